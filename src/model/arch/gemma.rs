//! Gemma 1: as Llama, with scaled embeddings and norms whose weights are offsets from one.

use super::Decoder;
use crate::error::Result;
use crate::model::config::Defaults;
use crate::model::layer::{Embedding, Head, KvCache, RmsNormKind, Stack};
use crate::model::{ModelConfig, Weights};
use candle_core::Tensor;

/// `GemmaConfig` of transformers.
pub const DEFAULTS: Defaults = Defaults {
    num_key_value_heads: Some(16),
    head_dim: Some(256),
    hidden_act: "gelu_pytorch_tanh",
    tie_word_embeddings: true,
    bos_token_id: 2,
    eos_token_id: 1,
};

struct Gemma {
    embedding: Embedding,
    /// Square root of the width, rounded to the format of the weights as transformers rounds it. `[]`
    scale: Tensor,
    stack: Stack,
    head: Head,
}

/// Makes the model of its weights.
pub fn build(config: &ModelConfig, weights: &mut Weights) -> Result<Box<dyn Decoder>> {
    let embedding = Embedding::load(weights, "model.embed_tokens", config.vocab_size, config.hidden_size)?;
    let stack = Stack::load(weights, "model", config, RmsNormKind::OnePlus)?;
    let head = Head::load(weights, config, &embedding)?;
    let scale = weights.constant((config.hidden_size as f32).sqrt())?;
    Ok(Box::new(Gemma { embedding, scale, stack, head }))
}

impl Decoder for Gemma {
    fn forward(&self, ids: &[u32], cache: Option<&mut KvCache>) -> candle_core::Result<Tensor> {
        self.stack.forward(self.embedding.forward(ids)?.broadcast_mul(&self.scale)?, cache)
    }

    fn head(&self, hidden: &Tensor) -> candle_core::Result<Tensor> {
        self.head.forward(hidden)
    }
}
