//! Where two models' next-token distributions were held against each other.

use serde::{Deserialize, Serialize};

/// How a divergence was found; kinds are never mixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// All of the vocabulary.
    #[serde(rename = "kl")]
    Full,
    /// All of the vocabulary at a sample of positions, against stored rows.
    #[serde(rename = "kl_sampled")]
    Sampled,
    /// The reference's 64 likeliest tokens and one rest: a lower bound.
    #[serde(rename = "kl_lower")]
    Lower,
}

/// One position: the distribution of the token after a prefix. Logs are natural.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// What positions are clustered by: the window of a text, or the document of a task, whose sequences have much in common. From 0.
    pub sequence: u32,
    /// KL(reference || candidate), nats; NaN where a row is not finite.
    pub kl: f64,
    /// Of the token that follows in the text (where texts part here: in the first of them).
    pub reference_logprob: f64,
    /// Of the same token.
    pub candidate_logprob: f64,
    /// The reference's greatest probability.
    pub reference_top: f64,
    /// Whether both have the same likeliest token (the first of equals).
    pub same_top: bool,
    /// How many of the reference's five likeliest are among the candidate's five.
    pub top5: u8,
}

/// What is known of all positions of one source (a task's name, or `corpus:<file name>`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// 1.
    pub format_version: u32,
    pub kind: Kind,
    /// The reference's label.
    pub reference: String,
    /// SHA-256 of the reference's spec.
    pub reference_spec: String,
    pub source: String,
    /// Tokens of a distribution.
    pub vocabulary: usize,
    /// Witness: hash of all token sequences and scored positions.
    pub tokens_sha256: String,
    pub positions: u64,
    /// Clusters of positions: see [`Position::sequence`].
    pub sequences: u64,
    /// Tokens of a window; corpus only.
    pub window: Option<usize>,
    /// `kl_sampled`: mean KL of the stored rows against the exact ones of the same model.
    pub floor: Option<f64>,
    /// Matrices that the precision changed, of how many: where known.
    pub replaced: Option<(usize, usize)>,
}
