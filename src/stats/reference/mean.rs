//! Means, medians and the spread around them.
//!
//! Sums run from left to right in double precision, as the reference's do, so that the last digits agree.

use super::NonEmpty;

/// The sum, from left to right.
pub(super) fn sum(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, |total, x| total + x)
}

/// The arithmetic mean.
pub fn mean(xs: NonEmpty<'_, f64>) -> f64 {
    sum(xs.iter().copied()) / xs.count()
}

/// Mean of the values that are numbers, `None` when none is: numpy's `nanmean`.
///
/// Misleads when the missing values are not missing at random: an answer that could not be graded is dropped, not failed.
pub fn nanmean(xs: NonEmpty<'_, f64>) -> Option<f64> {
    let zeroed: Vec<f64> = xs.iter().map(|x| if x.is_nan() { 0.0 } else { *x }).collect();
    let count = xs.iter().filter(|x| !x.is_nan()).count();
    if count == 0 { None } else { Some(pairwise_sum(&zeroed) / count as f64) }
}

/// The median as the reference has it: the element at `n / 2` of the sorted values, which is the upper of the two middle
/// ones when `n` is even.
pub fn median(xs: NonEmpty<'_, f64>) -> f64 {
    let mut sorted = xs.to_vec();
    let middle = sorted.len() / 2;
    *sorted.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// Standard deviation with Bessel's correction (division by `n - 1`); `None` for one value.
pub fn sample_stddev(xs: NonEmpty<'_, f64>) -> Option<f64> {
    if xs.len() < 2 {
        return None;
    }
    let mu = mean(xs);
    let squares = sum(xs.iter().map(|x| (x - mu) * (x - mu)));
    Some((squares / (xs.count() - 1.0)).sqrt())
}

/// Standard error of the mean, `s / √n`; `None` for one value.
///
/// Misleads when documents are not independent (several questions about one passage): the true error is then larger.
pub fn mean_stderr(xs: NonEmpty<'_, f64>) -> Option<f64> {
    sample_stddev(xs).map(|s| s / xs.count().sqrt())
}

/// numpy's pairwise summation (`pairwise_sum` in `loops_utils.h.src`): its rounding differs from a plain loop.
fn pairwise_sum(xs: &[f64]) -> f64 {
    const BLOCK: usize = 128;
    if xs.len() < 8 {
        return sum(xs.iter().copied());
    }
    if xs.len() > BLOCK {
        let half = xs.len() / 2;
        let (left, right) = xs.split_at(half - half % 8);
        return pairwise_sum(left) + pairwise_sum(right);
    }
    let mut lanes = [0.0; 8];
    let chunks = xs.chunks_exact(8);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane += x;
        }
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    let total = ((a + b) + (c + d)) + ((e + f) + (g + h));
    rest.iter().fold(total, |total, x| total + x)
}

#[cfg(test)]
mod tests {
    //! Expected values: `lm_eval.api.metrics` 0.4.13 and numpy on the same arrays.
    use super::*;

    const XS: [f64; 23] = [
        -1.619, -0.754, -3.255, -0.362, -2.679, -1.828, -0.29, -2.537, -0.187, -2.168, -0.349, -0.454, -2.123, -4.134,
        -0.619, -1.116, -3.137, -4.739, -2.886, -1.983, -4.881, -0.233, -4.292,
    ];

    #[test]
    fn reference_values() {
        let xs = NonEmpty::new(&XS).unwrap();
        assert_eq!(mean(xs), -2.027173913043478);
        assert_eq!(sample_stddev(xs), Some(1.531288187714511));
        assert_eq!(mean_stderr(xs), Some(0.3192956592138112));
        assert_eq!(median(xs), -1.983);
    }

    #[test]
    fn median_of_an_even_number_is_the_upper_one() {
        assert_eq!(median(NonEmpty::new(&[4.0, 1.0, 3.0, 2.0]).unwrap()), 3.0);
    }

    #[test]
    fn one_value_has_no_spread() {
        let one = NonEmpty::new(&[3.0]).unwrap();
        assert_eq!((mean(one), sample_stddev(one), mean_stderr(one)), (3.0, None, None));
    }

    #[test]
    fn nanmean_leaves_out_what_is_no_number() {
        let xs = [1.5, f64::NAN, 2.25, -3.0, f64::NAN, 0.1];
        assert_eq!(nanmean(NonEmpty::new(&xs).unwrap()), Some(0.2125));
        assert_eq!(nanmean(NonEmpty::new(&[f64::NAN]).unwrap()), None);
    }

    #[test]
    fn sums_as_numpy_does() {
        let waves: Vec<f64> = (0..300).map(|i| f64::from(i).sin() * 10f64.powi(i % 7)).collect();
        assert_eq!(pairwise_sum(&waves), 1750037.6192062735);
        let ramp = |n: i32| -> Vec<f64> { (0..n).map(|i| f64::from(i) * 0.1).collect() };
        assert_eq!(pairwise_sum(&ramp(7)), 2.1);
        assert_eq!(pairwise_sum(&ramp(300)), 4485.0);
        assert_eq!(pairwise_sum(&ramp(2000)), 199900.0);
    }
}
