//! One file per family of models: what its tensors are called and how they are put together.

pub mod gemma;
pub mod llama;

use super::layer::KvCache;
use candle_core::{Result, Tensor};

/// A decoder-only language model.
pub trait Decoder: Send + Sync {
    /// Hidden states of all `ids` after the final norm; the ids follow the tokens that `cache` holds. `[ids, hidden]`
    fn forward(&self, ids: &[u32], cache: Option<&mut KvCache>) -> Result<Tensor>;

    /// Logits of hidden states, in f32: `[rows, hidden]` to `[rows, vocabulary]`.
    fn head(&self, hidden: &Tensor) -> Result<Tensor>;
}
