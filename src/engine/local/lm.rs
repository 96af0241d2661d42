//! What the engine needs of a model: packed forward passes over shared keys and values, and answers about single rows.
//!
//! Scheduling is written against this trait, so that tests can put a toy in the model's place that notices every wrong step.

use crate::error::Result;

/// Tokens of one stretch of a sequence in a packed pass. They follow `past` and what `own` already holds.
pub struct Branch<'a, K> {
    pub tokens: &'a [u32],
    /// Keys and values of what stands before, from the sequence's beginning, all of them complete.
    pub past: Vec<&'a K>,
    /// Where the keys and values of these tokens are added.
    pub own: &'a mut K,
    /// Length of the whole sequence, if it is beyond [`LanguageModel::depends_on_length`], else 0.
    pub sequence_len: usize,
}

/// The answers about one row of hidden states.
#[derive(Debug, Clone, PartialEq)]
pub struct RowScore {
    /// The most likely token; the first of equals.
    pub argmax: u32,
    /// Logarithms of the probabilities of the tokens that were asked about, in their order.
    pub log_probs: Vec<f64>,
}

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

// TEMPORARY: until branch `layers` is merged, whole sequences go through the old forward pass again and again.
impl LanguageModel for crate::model::Model {
    type Kv = Vec<u32>;
    type Hidden = Vec<candle_core::Tensor>;

    fn new_kv(&self, capacity: usize) -> Vec<u32> {
        Vec::with_capacity(capacity)
    }

    fn kv_bytes(&self, tokens: usize) -> usize {
        tokens * 1024
    }

    fn forward(&self, branches: &mut [Branch<'_, Vec<u32>>]) -> Result<Self::Hidden> {
        let mut rows = Vec::new();
        for branch in branches {
            branch.own.extend_from_slice(branch.tokens);
            let ids: Vec<u32> = branch.past.iter().copied().chain([&*branch.own]).flatten().copied().collect();
            let hidden = crate::model::Model::forward(self, &ids, None)?;
            for row in ids.len() - branch.tokens.len()..ids.len() {
                rows.push(hidden.narrow(0, row, 1).map_err(|e| crate::error::Error::input("narrow").cause(e))?);
            }
        }
        Ok(rows)
    }

    fn log_probs(&self, hidden: &Self::Hidden, rows: &[usize], targets: &[&[u32]]) -> Result<Vec<RowScore>> {
        let mut scores = Vec::new();
        for (row, targets) in rows.iter().zip(targets) {
            let logits = crate::model::Model::logits(self, &hidden[*row], 0, 1)?;
            let mut best = (0, f32::NEG_INFINITY);
            for (index, logit) in logits.iter().enumerate() {
                if *logit > best.1 {
                    best = (index as u32, *logit);
                }
            }
            let sum: f64 = logits.iter().map(|logit| f64::from((logit - best.1).exp())).sum();
            let log_sum = f64::from(best.1) + sum.ln();
            let log_probs = targets.iter().map(|t| f64::from(logits[*t as usize]) - log_sum).collect();
            scores.push(RowScore { argmax: best.0, log_probs });
        }
        Ok(scores)
    }

    fn logits(&self, hidden: &Self::Hidden, rows: &[usize]) -> Result<Vec<f32>> {
        let mut all = Vec::new();
        for row in rows {
            all.extend(crate::model::Model::logits(self, &hidden[*row], 0, 1)?);
        }
        Ok(all)
    }
}
