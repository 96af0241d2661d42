//! Mistral: as Llama, with a sliding window in all layers (the first 7B) or none (all later ones).

use crate::error::Result;
use crate::model::config::{Defaults, KeyValueHeads, Windows};
use crate::model::{Decoder, ModelConfig, Weights};

/// `MistralConfig` of transformers.
pub const DEFAULTS: Defaults = Defaults {
    intermediate_size: Some(14_336),
    key_value_heads: KeyValueHeads::Key(Some(8)),
    max_position_embeddings: 131_072,
    windows: Windows::All,
    sliding_window: Some(4096),
    ..Defaults::BASE
};

/// Makes the model of its weights.
pub fn build(config: &ModelConfig, weights: &mut Weights) -> Result<Decoder> {
    super::llama::build(config, weights)
}
