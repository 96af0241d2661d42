//! Llama: RMS norm, rotary attention with shared key-value heads, gated MLP.

use super::Decoder;
use crate::error::Result;
use crate::model::config::Defaults;
use crate::model::layer::{Embedding, Head, KvCache, RmsNormKind, Stack};
use crate::model::{ModelConfig, Weights};
use candle_core::Tensor;

/// `LlamaConfig` of transformers.
pub const DEFAULTS: Defaults = Defaults {
    num_key_value_heads: None,
    head_dim: None,
    hidden_act: "silu",
    tie_word_embeddings: false,
    bos_token_id: 1,
    eos_token_id: 2,
};

struct Llama {
    embedding: Embedding,
    stack: Stack,
    head: Head,
}

/// Makes the model of its weights.
pub fn build(config: &ModelConfig, weights: &mut Weights) -> Result<Box<dyn Decoder>> {
    let embedding = Embedding::load(weights, "model.embed_tokens", config.vocab_size, config.hidden_size)?;
    let stack = Stack::load(weights, "model", config, RmsNormKind::Scale)?;
    let head = Head::load(weights, config, &embedding)?;
    Ok(Box::new(Llama { embedding, stack, head }))
}

impl Decoder for Llama {
    fn forward(&self, ids: &[u32], cache: Option<&mut KvCache>) -> candle_core::Result<Tensor> {
        self.stack.forward(self.embedding.forward(ids)?, cache)
    }

    fn head(&self, hidden: &Tensor) -> candle_core::Result<Tensor> {
        self.head.forward(hidden)
    }
}
