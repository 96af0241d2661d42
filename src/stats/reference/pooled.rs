//! Figures of a group from the figures of its tasks.

use super::mean::sum;

/// `Σ value·size / Σ size`; with equal sizes the plain mean. `None` when the sizes sum to nothing.
pub fn weighted_mean(parts: &[(f64, f64)]) -> Option<f64> {
    let total = sum(parts.iter().map(|(_, size)| *size));
    if total > 0.0 { Some(sum(parts.iter().map(|(value, size)| value * size)) / total) } else { None }
}

/// The least and the greatest mean of `n` values whose mean is `mean` (`None` for none of them) and `missing` more from `range`.
///
/// Manski's worst-case bounds (1989): nothing is supposed about why values are missing. They are wide when much is missing, and say
/// nothing about the chance of drawing other documents, as a standard error does.
pub fn mean_bounds(mean: Option<f64>, n: usize, missing: usize, range: (f64, f64)) -> Option<(f64, f64)> {
    let known = match (mean, n) {
        (_, 0) => 0.0,
        (mean, n) => mean? * n as f64,
    };
    let total = (n + missing) as f64;
    let bound = |value: f64| (known + value * missing as f64) / total;
    let bounds = (bound(range.0), bound(range.1));
    (bounds.0.is_finite() && bounds.1.is_finite()).then_some(bounds)
}

/// Standard error of a size-weighted mean by pooled variance: `√(Σ (n-1)·n·se² / (Σn - k) / Σn)` over `k` tasks of `n`
/// documents. `None` when every task has one document.
///
/// Pooling takes the variance inside tasks only: it belongs to the weighted mean over these very tasks, not to the tasks
/// as a sample of others. <https://en.wikipedia.org/wiki/Pooled_variance>
pub fn pooled_stderr(parts: &[(f64, usize)]) -> Option<f64> {
    let total: usize = parts.iter().map(|(_, size)| size).sum();
    let freedom = total.checked_sub(parts.len()).filter(|freedom| *freedom > 0)?;
    let squares = sum(parts.iter().map(|(stderr, size)| {
        let n = *size as f64;
        (n - 1.0) * (stderr * stderr) * n
    }));
    Some((squares / freedom as f64 / total as f64).sqrt())
}

/// Standard error of the plain mean of `k` independent figures: `√(Σ se²) / k`. `None` for none.
pub fn unweighted_mean_stderr(stderrs: &[f64]) -> Option<f64> {
    if stderrs.is_empty() {
        return None;
    }
    Some(sum(stderrs.iter().map(|stderr| stderr * stderr)).sqrt() / stderrs.len() as f64)
}

#[cfg(test)]
mod tests {
    //! Expected values: `pooled_sample_stderr`, `unweighted_mean_stderr`, `aggregate_subtask_metrics` of lm_eval 0.4.13.
    use super::*;

    #[test]
    fn reference_values() {
        assert_eq!(pooled_stderr(&[(0.05, 100), (0.02, 400), (0.11, 20)]), Some(0.01861800112200292));
        assert_eq!(unweighted_mean_stderr(&[0.05, 0.02, 0.11]), Some(0.0408248290463863));
        assert_eq!(weighted_mean(&[(0.3, 100.0), (0.5, 400.0), (0.9, 20.0)]), Some(0.47692307692307695));
        assert_eq!(weighted_mean(&[(0.3, 1.0), (0.5, 1.0), (0.9, 1.0)]), Some(0.5666666666666668));
    }

    #[test]
    fn equal_sizes_make_both_errors_equal() {
        let pooled = pooled_stderr(&[(0.05, 50), (0.02, 50)]).unwrap();
        let plain = unweighted_mean_stderr(&[0.05, 0.02]).unwrap();
        assert!((pooled - plain).abs() < 1e-15);
    }

    /// Manski, "Anatomy of the selection problem" (1989): by hand.
    #[test]
    fn what_is_missing_bounds_the_mean() {
        assert_eq!(mean_bounds(Some(0.5), 8, 2, (0.0, 1.0)), Some((0.4, 0.6)));
        assert_eq!(mean_bounds(Some(0.5), 1, 1, (0.0, 2.0)), Some((0.25, 1.25)));
        assert_eq!(mean_bounds(Some(0.25), 4, 0, (0.0, 1.0)), Some((0.25, 0.25)));
        assert_eq!(mean_bounds(None, 0, 3, (0.0, 1.0)), Some((0.0, 1.0)));
        assert_eq!(mean_bounds(None, 0, 0, (0.0, 1.0)), None);
        assert_eq!(mean_bounds(None, 2, 1, (0.0, 1.0)), None);
    }

    #[test]
    fn nothing_from_nothing() {
        assert_eq!(pooled_stderr(&[(0.0, 1), (0.0, 1)]), None);
        assert_eq!(pooled_stderr(&[]), None);
        assert_eq!(unweighted_mean_stderr(&[]), None);
        assert_eq!(weighted_mean(&[]), None);
    }
}
