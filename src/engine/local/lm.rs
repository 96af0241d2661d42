//! What the engine needs of a model: packed forward passes over shared keys and values, and answers about single rows.
//!
//! Scheduling is written against this trait, so that tests can put a toy in the model's place that notices every wrong step.

use crate::error::Result;
pub use crate::model::{Branch, RowScore};
use crate::model::{Hidden, Kv, Model};

/// A causal language model. Its numbers depend on a token's sequence alone, never on what else is in a pass or how the sequence was
/// cut into stretches.
pub trait LanguageModel: Sync {
    /// Keys and values of consecutive positions of one sequence, all layers.
    type Kv: Send + Sync;
    /// Final hidden states of a packed pass, one row a token.
    type Hidden: Sync;

    /// Empty keys and values with room for so many tokens.
    fn new_kv(&self, capacity: usize) -> Self::Kv;

    /// Bytes that keys and values with room for so many tokens take.
    fn kv_bytes(&self, tokens: usize) -> usize;

    /// One packed pass. Rows stand in the order of the branches and their tokens.
    fn forward(&self, branches: &mut [Branch<'_, Self::Kv>]) -> Result<Self::Hidden>;

    /// What the model expects after the tokens at `rows`; `targets[i]` are the tokens asked about at `rows[i]`.
    fn log_probs(&self, hidden: &Self::Hidden, rows: &[usize], targets: &[&[u32]]) -> Result<Vec<RowScore>>;

    /// Logits at `rows`, one row after the other. `[rows, vocabulary]`
    fn logits(&self, hidden: &Self::Hidden, rows: &[usize]) -> Result<Vec<f32>>;

    /// The sequence length above which keys depend on it, as with some rotary settings: longer sequences share nothing with sequences
    /// of other lengths.
    fn depends_on_length(&self) -> Option<usize> {
        None
    }

    /// What [`Branch::sequence_len`] is for a length. Sequences of different classes share nothing.
    fn length_class(&self, len: usize) -> usize {
        self.depends_on_length().filter(|longest| len > *longest).map_or(0, |_| len)
    }
}

impl LanguageModel for Model {
    type Kv = Kv;
    type Hidden = Hidden;

    fn new_kv(&self, capacity: usize) -> Kv {
        Model::new_kv(self, capacity)
    }

    fn kv_bytes(&self, tokens: usize) -> usize {
        Model::kv_bytes(self, tokens)
    }

    fn forward(&self, branches: &mut [Branch<'_>]) -> Result<Hidden> {
        Model::forward(self, branches)
    }

    fn log_probs(&self, hidden: &Hidden, rows: &[usize], targets: &[&[u32]]) -> Result<Vec<RowScore>> {
        Model::log_probs(self, hidden, rows, targets)
    }

    fn logits(&self, hidden: &Hidden, rows: &[usize]) -> Result<Vec<f32>> {
        Model::logits(self, hidden, rows)
    }

    fn depends_on_length(&self) -> Option<usize> {
        Model::depends_on_length(self)
    }
}
