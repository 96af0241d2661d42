//! What all scorers are.

use crate::error::Result;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A probability in 0..1 that a text is toxic, or why there is none.
pub type Score = Result<f64, String>;

/// Takes scores as soon as they exist: the index of the text, its score.
pub type ScoreSink<'a> = dyn FnMut(usize, Score) + 'a;

/// Everything that decides the scores of a scorer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScorerIdentity {
    /// The row of [`super::TOXICITY_SCORERS`]: `linear`, `hf`, `perspective`, ...
    pub kind: String,
    /// Name for tables: the model's folder or id, the service's model.
    pub name: String,
    /// Of local scorers: SHA-256 (hex) of all that decides a score: weights, configuration, tokenizer. Of remote ones, whose weights nobody
    /// outside knows: of the settings that are sent.
    pub sha256: String,
    /// Which output is the toxicity: a label, a category, an attribute.
    pub label: String,
    /// Settings that change scores.
    pub options: BTreeMap<String, String>,
}

/// Something that says how toxic texts are.
pub trait Scorer: Send + Sync {
    fn identity(&self) -> &ScorerIdentity;

    /// Scores texts in whatever order suits, telling `sink` each score as soon as it exists. A text that cannot be scored is told with the
    /// reason. When `cancelled` says so, returns early (`Ok`) with the rest untold. An error is one after which no text can be scored.
    fn score(&self, texts: &[&str], cancelled: &dyn Fn() -> bool, sink: &mut ScoreSink<'_>) -> Result<()>;
}

/// A score that may be told: a number that is none, or that is no probability, is a failure.
pub(super) fn checked(score: f64) -> Score {
    if (0.0..=1.0).contains(&score) {
        Ok(score)
    } else {
        Err(format!("the scorer gave {score}, which is no probability"))
    }
}

/// The logistic function.
pub(super) fn sigmoid(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_probabilities_are_scores() {
        assert_eq!((checked(0.0), checked(1.0)), (Ok(0.0), Ok(1.0)));
        for bad in [-0.01, 1.01, f64::NAN, f64::INFINITY] {
            assert!(checked(bad).is_err(), "{bad}");
        }
        assert_eq!((sigmoid(0.0), sigmoid(-1000.0), sigmoid(1000.0)), (0.5, 0.0, 1.0));
    }
}
