//! Llama: RMSNorm, rotary positions, grouped-query attention, SwiGLU.

use crate::error::Result;
use crate::model::config::ModelConfig;
use crate::model::decoder::{Act, DecoderSpec};

/// What the forward pass needs, from `config.json`.
pub fn spec(config: &ModelConfig) -> Result<DecoderSpec> {
    let mut spec = DecoderSpec::from_config(config, Act::Silu)?;
    spec.attention_bias = config.attention_bias;
    spec.mlp_bias = config.mlp_bias;
    Ok(spec)
}
