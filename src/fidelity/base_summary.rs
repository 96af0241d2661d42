//! The figures that llama.cpp's perplexity tool prints of a base file and a model, by its formulas, so that they can be laid side by side.
//!
//! Source: `kl_divergence` in `tools/perplexity/perplexity.cpp`. Errors there take positions for independent, which those of one text are
//! not: they are too small.

use super::Position;
use serde::Serialize;

/// Figures over positions. Logarithms are natural; `_se`: standard error by llama.cpp's formula.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BaseSummary {
    pub kind: &'static str,
    /// Positions with finite figures.
    pub positions: usize,
    pub not_finite: usize,
    pub kl_mean: f64,
    pub kl_mean_se: f64,
    pub kl_min: f64,
    pub kl_median: f64,
    pub kl_90: f64,
    pub kl_99: f64,
    pub kl_999: f64,
    pub kl_max: f64,
    pub same_top: f64,
    pub same_top_se: f64,
    /// Of the probability of the token that follows: candidate less base.
    pub dp_mean: f64,
    pub dp_mean_se: f64,
    pub dp_rms: f64,
    pub perplexity: f64,
    pub perplexity_base: f64,
    /// ln(perplexity / base), with the error of the paired difference.
    pub ln_ratio: f64,
    pub ln_ratio_se: f64,
}

impl BaseSummary {
    /// `None` where there are less than two finite positions.
    pub fn of(positions: &[Position]) -> Option<BaseSummary> {
        let is_finite = |p: &&Position| [p.kl, p.reference_logprob, p.candidate_logprob].iter().all(|x| x.is_finite());
        let used: Vec<&Position> = positions.iter().filter(is_finite).collect();
        if used.len() < 2 {
            return None;
        }
        let values = |of: fn(&Position) -> f64| used.iter().map(|position| of(position)).collect::<Vec<f64>>();
        let mut kl = values(|p| p.kl);
        let (kl_mean, kl_mean_se) = mean(&kl);
        kl.sort_by(f64::total_cmp);
        let (same_top, same_top_se) = mean(&values(|p| f64::from(u8::from(p.same_top))));
        let dp = values(|p| p.candidate_logprob.exp() - p.reference_logprob.exp());
        let (dp_mean, dp_mean_se) = mean(&dp);
        let squares: Vec<f64> = dp.iter().map(|dp| dp * dp).collect();
        let (ln_ratio, ln_ratio_se) = mean(&values(|p| p.reference_logprob - p.candidate_logprob));
        Some(BaseSummary {
            kind: super::logits_file::KIND,
            positions: used.len(),
            not_finite: positions.len() - used.len(),
            kl_mean,
            kl_mean_se,
            kl_min: quantile(&kl, 0.0),
            kl_median: quantile(&kl, 0.5),
            kl_90: quantile(&kl, 0.9),
            kl_99: quantile(&kl, 0.99),
            kl_999: quantile(&kl, 0.999),
            kl_max: quantile(&kl, 1.0),
            same_top,
            same_top_se,
            dp_mean,
            dp_mean_se,
            dp_rms: mean(&squares).0.sqrt(),
            perplexity: mean(&values(|p| -p.candidate_logprob)).0.exp(),
            perplexity_base: mean(&values(|p| -p.reference_logprob)).0.exp(),
            ln_ratio,
            ln_ratio_se,
        })
    }
}

/// Mean and its standard error: sqrt((mean of squares - square of the mean) / (n - 1)).
fn mean(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n;
    (mean, (variance / (n - 1.0)).sqrt())
}

/// Of sorted values, by linear interpolation at fraction * (n - 1).
fn quantile(sorted: &[f64], fraction: f64) -> f64 {
    let place = fraction * (sorted.len().saturating_sub(1)) as f64;
    let below = sorted.get(place.floor() as usize).copied().unwrap_or(f64::NAN);
    let above = sorted.get(place.ceil() as usize).copied().unwrap_or(below);
    below + (above - below) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(kl: f64, reference: f64, candidate: f64) -> Position {
        Position {
            sequence: 0,
            kl,
            reference_logprob: f64::ln(reference),
            candidate_logprob: f64::ln(candidate),
            reference_top: 0.5,
            same_top: kl < 0.25,
            top5: 5,
        }
    }

    // By hand, from the formulas of perplexity.cpp.
    #[test]
    fn figures_are_those_of_the_formulas() {
        let all = [
            position(0.1, 0.5, 0.25),
            position(0.2, 0.25, 0.25),
            position(0.3, 0.5, 0.5),
            position(f64::NAN, 0.5, 0.5),
        ];
        let found = BaseSummary::of(&all).unwrap();
        let near = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        assert_eq!((found.positions, found.not_finite), (3, 1));
        near(found.kl_mean, 0.2);
        near(found.kl_mean_se, (0.02f64 / 3.0 / 2.0).sqrt());
        near(found.kl_median, 0.2);
        near(found.kl_90, 0.28);
        near(found.kl_max, 0.3);
        near(found.same_top, 2.0 / 3.0);
        near(found.dp_mean, -0.25 / 3.0);
        near(found.dp_rms, 0.25 / 3f64.sqrt());
        near(found.ln_ratio, 2f64.ln() / 3.0);
        near(found.perplexity, (5.0 * 2f64.ln() / 3.0).exp());
        near(found.perplexity_base, (4.0 * 2f64.ln() / 3.0).exp());
        assert!(BaseSummary::of(&all[..1]).is_none());
    }
}
