//! Qwen 3 with mixtures of experts: as Qwen 3, with a mixture in place of most layers' MLP.

use super::standard::{Norms, QkNorms, Standard};
use super::{mixture, qwen3};
use crate::error::Result;
use crate::model::config::{Defaults, ExpertDefaults, HeadDim, KeyValueHeads, Windows};
use crate::model::{Decoder, ModelConfig, Weights};

/// `Qwen3MoeConfig` of transformers.
pub const DEFAULTS: Defaults = Defaults {
    hidden_size: 2048,
    intermediate_size: Some(6144),
    num_hidden_layers: 24,
    key_value_heads: KeyValueHeads::Key(Some(4)),
    head_dim: HeadDim::Key(None),
    windows: Windows::AllIfUsed,
    experts: Some(ExpertDefaults {
        num_experts: 128,
        num_experts_per_tok: 8,
        intermediate_size: ("moe_intermediate_size", 768),
        always_normalised: false,
        some_dense: true,
    }),
    ..qwen3::DEFAULTS
};

/// Makes the model of its weights.
pub fn build(config: &ModelConfig, weights: &mut Weights) -> Result<Decoder> {
    Standard::new(config, weights).decoder(1.0, |standard, layer| {
        let mlp = if config.layers[layer].experts {
            mixture::load(standard, &standard.name(layer, "mlp"), ["gate_proj", "up_proj", "down_proj"])?
        } else {
            standard.gated_mlp(layer)?
        };
        standard.block(layer, Norms::Before, QkNorms::Heads, mlp)
    })
}
