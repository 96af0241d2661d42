//! Llama: RMS norm, rotary attention with shared key-value heads, gated MLP.

use super::standard::{Norms, QkNorms, Standard};
use crate::error::Result;
use crate::model::config::{ATTENTION_BIAS, Defaults, MLP_BIAS};
use crate::model::{Decoder, ModelConfig, Weights};

/// `LlamaConfig` of transformers.
pub const DEFAULTS: Defaults = Defaults {
    attention_bias: ATTENTION_BIAS,
    attention_out_bias: ATTENTION_BIAS,
    mlp_bias: MLP_BIAS,
    ..Defaults::BASE
};

/// Makes the model of its weights.
pub fn build(config: &ModelConfig, weights: &mut Weights) -> Result<Decoder> {
    Standard::new(config, weights).decoder(1.0, |standard, layer| {
        let mlp = standard.gated_mlp(layer)?;
        standard.block(layer, Norms::Before, QkNorms::None, mlp)
    })
}
