//! Qwen 2: as Llama, with biases on queries, keys and values.

use crate::error::Result;
use crate::model::config::{Bias, Defaults, KeyValueHeads, Windows};
use crate::model::{Decoder, ModelConfig, Weights};

/// `Qwen2Config` of transformers.
pub const DEFAULTS: Defaults = Defaults {
    vocab_size: 151_936,
    intermediate_size: Some(22_016),
    key_value_heads: KeyValueHeads::Key(Some(32)),
    max_position_embeddings: 32_768,
    windows: Windows::FromMaxWindowLayers,
    sliding_window: Some(4096),
    attention_bias: Bias::Always,
    bos_token_id: None,
    eos_token_id: None,
    ..Defaults::BASE
};

/// Makes the model of its weights.
pub fn build(config: &ModelConfig, weights: &mut Weights) -> Result<Decoder> {
    super::llama::build(config, weights)
}
