//! Means over positions, with errors over sequences.
//!
//! Positions of one text have much in common: an error that takes each for a draw of its own is several times too small. CR1 over the
//! sequences ([`stats::mean_error`](crate::stats::mean_error)) has its source there.

use crate::estimate::{figure, figure_json};
use crate::stats::{Caution, Clusters, Interval, Level, Observations, mean_error, student};
use serde::{Serialize, Serializer};

/// A figure in JSON, which has no infinity: see [`figure_json`].
///
/// # Errors
/// Those of the serializer.
pub fn finite_or_infinite<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    figure_json(*value).serialize(serializer)
}

/// A mean over positions, each counting the same.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mean {
    /// Infinite where a value is.
    #[serde(serialize_with = "finite_or_infinite")]
    pub value: f64,
    /// Clustered by sequence; `None` for one sequence, or where a value is infinite. 0 where all values are alike.
    #[serde(serialize_with = "figure::serialize")]
    pub stderr: Option<f64>,
    /// 95 %, by Student's t over sequences; `None` where there is no error, or one of 0, which is no certainty.
    pub interval: Option<Interval>,
    pub n: usize,
    pub sequences: usize,
    pub cautions: Vec<Caution>,
}

impl Mean {
    /// The mean of values, each of one of the `clusters`; those are `None` for one sequence. `None` of no values, and of both infinities.
    pub(super) fn over(values: &[f64], clusters: Option<&Clusters>) -> Option<Mean> {
        let n = values.len();
        let sequences = clusters.map_or(1, Clusters::count);
        let plain = values.iter().sum::<f64>() / n as f64;
        if n == 0 || plain.is_nan() {
            return None;
        }
        let mut mean = Mean { value: plain, stderr: None, interval: None, n, sequences, cautions: Vec::new() };
        let observations =
            clusters.and_then(|clusters| Observations::new(values).and_then(|all| all.clustered(clusters)).ok());
        let Some(observations) = observations else { return Some(mean) };
        if let Ok(error) = mean_error(observations) {
            (mean.value, mean.stderr) = (error.mean, Some(error.stderr));
        }
        if let Ok(estimate) = student(observations, Level::P95) {
            (mean.interval, mean.cautions) = (Some(estimate.interval), estimate.cautions);
        }
        Some(mean)
    }

    /// Whether the error is made of so few sequences that it can be far too small.
    pub fn of_few_sequences(&self) -> bool {
        self.cautions.iter().any(|caution| matches!(caution, Caution::FewClusters { .. }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sequence_has_no_error() {
        let mean = Mean::over(&[1.0, 3.0], None).unwrap();
        assert_eq!((mean.value, mean.stderr, mean.interval, mean.sequences), (2.0, None, None, 1));
        assert_eq!(Mean::over(&[], None), None);
    }

    #[test]
    fn infinity_is_honest() {
        let clusters = Clusters::new([0, 0, 1]).unwrap();
        let mean = Mean::over(&[1.0, f64::INFINITY, 0.0], Some(&clusters)).unwrap();
        assert_eq!((mean.value, mean.stderr), (f64::INFINITY, None));
        assert_eq!(Mean::over(&[f64::NEG_INFINITY, f64::INFINITY, 0.0], Some(&clusters)), None);
        assert!(serde_json::to_string(&mean).unwrap().contains("\"Infinity\""));
    }

    #[test]
    fn alike_values_have_an_error_of_nought_and_no_interval() {
        let clusters = Clusters::new([0, 0, 1]).unwrap();
        let mean = Mean::over(&[0.0; 3], Some(&clusters)).unwrap();
        assert_eq!((mean.value, mean.stderr, mean.interval), (0.0, Some(0.0), None));
    }
}
