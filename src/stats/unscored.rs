//! Documents that could not be scored, as bounds: nothing is supposed about why they have no score.
//!
//! With `S` over `n - u` scored documents and `u` without a score (0 to 1), the mean of all lies in `[S/n, (S+u)/n]`. Manski (1989). Who
//! decides fills the holes with the least score and with the greatest, takes the interval of each, and trusts only what both say: a
//! gate passes if it passes at the lower end. Wide when much is missing, which is the point.

use super::given::{Unfit, inside};
use super::interval::Interval;

/// The values, with `score` where there is none.
pub fn filled(values: &[Option<f64>], score: f64) -> Vec<f64> {
    values.iter().map(|value| value.unwrap_or(score)).collect()
}

/// The least and the greatest mean that scores from `range` for what is missing can give.
///
/// # Errors
/// Without values, with a value that is not finite, or with a range that has no room.
pub fn bounds(values: &[Option<f64>], range: (f64, f64)) -> Result<Interval, Unfit> {
    inside("a least score of", range.0, f64::NEG_INFINITY, range.1)?;
    let mean = |score: f64| filled(values, score).iter().sum::<f64>() / values.len() as f64;
    let known = values.iter().position(|value| value.is_some_and(|value| !value.is_finite()));
    match (known, Interval::new(mean(range.0), mean(range.1))) {
        (Some(at), _) => Err(Unfit::NotFinite { at }),
        (None, None) => Err(Unfit::TooFew { what: "values", n: values.len(), least: 1 }),
        (None, Some(interval)) => Ok(interval),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Manski's bounds by hand.
    #[test]
    fn what_is_missing_bounds_the_mean() {
        let values = [Some(1.0), None, Some(0.0), Some(1.0), None];
        assert_eq!(bounds(&values, (0.0, 1.0)), Ok(Interval::new(0.4, 0.8).unwrap()));
        assert_eq!(bounds(&values[2..4], (0.0, 1.0)), Ok(Interval::new(0.5, 0.5).unwrap()));
        assert_eq!(filled(&values, 0.0), [1.0, 0.0, 0.0, 1.0, 0.0]);
        assert!(bounds(&[], (0.0, 1.0)).is_err());
        assert!(bounds(&values, (1.0, 0.0)).is_err());
        assert_eq!(bounds(&[Some(f64::NAN)], (0.0, 1.0)), Err(Unfit::NotFinite { at: 0 }));
    }
}
