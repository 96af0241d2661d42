//! Percentiles by llama.cpp's rule, and the tails that a sample is too small for.
//!
//! `tools/perplexity/perplexity.cpp` interpolates linearly at `f·(n-1)` of the sorted values, as `numpy.percentile` does, so that figures can
//! be laid beside its own. Misleads in the tail of a small sample: 99.9 % of 2,000 values is the second or third largest.

use super::mean::finite_or_infinite;
use serde::Serialize;

/// Values that must lie above a percentile for it to be one.
const ABOVE: usize = 10;

/// A percentile of the upper tail.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tail {
    /// The percentile itself.
    Percentile(#[serde(serialize_with = "finite_or_infinite")] f64),
    /// Fewer than ten of the `n` values lie above it: the greatest of them stands in its place.
    MaxOf {
        #[serde(serialize_with = "finite_or_infinite")]
        value: f64,
        n: usize,
    },
}

impl Tail {
    /// The tail at `per_mille` (990 for 99 %) of values in ascending order; `None` of none.
    pub fn of(sorted: &[f64], per_mille: u32) -> Option<Tail> {
        let n = sorted.len();
        let above = n.saturating_mul(1000_usize.saturating_sub(per_mille as usize));
        match above < ABOVE * 1000 {
            true => sorted.last().map(|value| Tail::MaxOf { value: *value, n }),
            false => percentile(sorted, per_mille).map(Tail::Percentile),
        }
    }

    /// The figure, whichever it is.
    pub fn value(self) -> f64 {
        match self {
            Tail::Percentile(value) | Tail::MaxOf { value, .. } => value,
        }
    }
}

/// The percentile at `per_mille` (500: the median) of values in ascending order, which may be infinite; `None` of none.
pub fn percentile(sorted: &[f64], per_mille: u32) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    // Whole numbers, so that no rounding decides between two neighbours.
    let place = (per_mille.min(1000) as usize).saturating_mul(last);
    let (low, rest) = (sorted.get(place / 1000)?, (place % 1000) as f64 / 1000.0);
    let high = sorted.get(place / 1000 + 1).filter(|_| rest > 0.0).unwrap_or(low);
    // Of two infinite values, or on a value itself, nothing is interpolated.
    Some(if low == high { *low } else { (1.0 - rest) * low + rest * high })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: 0.9·(11-1) = 9; 0.5·(4-1) = 1.5.
    #[test]
    fn between_neighbours() {
        let values: Vec<f64> = (0..11).map(f64::from).collect();
        assert_eq!(percentile(&values, 900), Some(9.0));
        assert_eq!(percentile(&[-1.0, 0.0, 1.0, 8.0], 500), Some(0.5));
        assert_eq!((percentile(&[3.0], 999), percentile(&[], 500)), (Some(3.0), None));
        assert_eq!(percentile(&[0.0, f64::INFINITY], 500), Some(f64::INFINITY));
        assert_eq!(percentile(&[0.0, f64::INFINITY, f64::INFINITY], 999), Some(f64::INFINITY));
        assert_eq!(percentile(&[0.0, 1.0, f64::INFINITY], 500), Some(1.0));
    }

    /// Ten values must lie above: 100 of 90 %, 1,000 of 99 %, 10,000 of 99.9 %.
    #[test]
    fn small_samples_have_no_tail() {
        for (per_mille, least) in [(900, 100), (990, 1000), (999, 10_000)] {
            let values: Vec<f64> = (0..least).map(f64::from).collect();
            assert!(matches!(Tail::of(&values, per_mille), Some(Tail::Percentile(_))), "{per_mille}");
            let fewer = &values[..values.len() - 1];
            let most = *fewer.last().unwrap();
            assert_eq!(Tail::of(fewer, per_mille), Some(Tail::MaxOf { value: most, n: fewer.len() }));
        }
        assert_eq!(Tail::of(&[], 900), None);
    }
}
