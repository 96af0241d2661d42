//! Gemma 1: as Llama, with scaled embeddings and norms whose weights are offsets from one.

use super::standard::{Norms, QkNorms, Standard};
use crate::error::Result;
use crate::model::config::{ATTENTION_BIAS, Defaults, HeadDim, KeyValueHeads};
use crate::model::{Decoder, ModelConfig, Weights};

/// `GemmaConfig` of transformers.
pub const DEFAULTS: Defaults = Defaults {
    vocab_size: 256_000,
    hidden_size: 3072,
    intermediate_size: Some(24_576),
    num_hidden_layers: 28,
    num_attention_heads: 16,
    key_value_heads: KeyValueHeads::Key(Some(16)),
    head_dim: HeadDim::Key(Some(256)),
    hidden_act: "gelu_pytorch_tanh",
    max_position_embeddings: 8192,
    attention_bias: ATTENTION_BIAS,
    attention_out_bias: ATTENTION_BIAS,
    tie_word_embeddings: true,
    bos_token_id: Some(2),
    eos_token_id: Some(1),
    ..Defaults::BASE
};

/// Makes the model of its weights.
pub fn build(config: &ModelConfig, weights: &mut Weights) -> Result<Decoder> {
    Standard::new(config, weights).norms_from_one().decoder(embedding_scale(config), |standard, layer| {
        let mlp = standard.gated_mlp(layer)?;
        standard.block(layer, Norms::Before, QkNorms::None, mlp)
    })
}

/// What all Gemmas multiply embeddings by: the root of the width.
pub fn embedding_scale(config: &ModelConfig) -> f32 {
    (config.hidden_size as f64).sqrt() as f32
}
