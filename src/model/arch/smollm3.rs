//! SmolLM3: as Llama, with no positions at all in every fourth layer.

use crate::error::Result;
use crate::model::config::{ATTENTION_BIAS, Defaults, KeyValueHeads, MLP_BIAS, RopeDefaults, Windows};
use crate::model::{Decoder, ModelConfig, Weights};

/// `SmolLM3Config` of transformers.
pub const DEFAULTS: Defaults = Defaults {
    vocab_size: 128_256,
    hidden_size: 2048,
    num_hidden_layers: 36,
    num_attention_heads: 16,
    key_value_heads: KeyValueHeads::Key(Some(4)),
    max_position_embeddings: 32_768,
    rope: Some(RopeDefaults { theta: 2_000_000.0, ..RopeDefaults::BASE }),
    windows: Windows::NoRope,
    attention_bias: ATTENTION_BIAS,
    attention_out_bias: ATTENTION_BIAS,
    mlp_bias: MLP_BIAS,
    tie_word_embeddings: true,
    bos_token_id: Some(128_000),
    eos_token_id: Some(128_001),
    ..Defaults::BASE
};

/// Makes the model of its weights.
pub fn build(config: &ModelConfig, weights: &mut Weights) -> Result<Decoder> {
    super::llama::build(config, weights)
}
