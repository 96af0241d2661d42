//! Qwen 3: as Llama, with norms over the heads of queries and keys.

use super::qwen2;
use super::standard::{Norms, QkNorms, Standard};
use crate::error::Result;
use crate::model::config::{ATTENTION_BIAS, Defaults, HeadDim};
use crate::model::{Decoder, ModelConfig, Weights};

/// `Qwen3Config` of transformers.
pub const DEFAULTS: Defaults = Defaults {
    head_dim: HeadDim::Key(Some(128)),
    attention_bias: ATTENTION_BIAS,
    attention_out_bias: ATTENTION_BIAS,
    ..qwen2::DEFAULTS
};

/// Makes the model of its weights.
pub fn build(config: &ModelConfig, weights: &mut Weights) -> Result<Decoder> {
    Standard::new(config, weights).decoder(1.0, |standard, layer| {
        let mlp = standard.gated_mlp(layer)?;
        standard.block(layer, Norms::Before, QkNorms::Heads, mlp)
    })
}
