//! Mixtral: as Mistral, with a mixture of experts in place of every MLP.

use super::standard::{Norms, QkNorms, Standard};
use super::{mistral, mixture};
use crate::error::Result;
use crate::model::config::{Defaults, ExpertDefaults, RopeDefaults};
use crate::model::{Decoder, ModelConfig, Weights};

/// `MixtralConfig` of transformers.
pub const DEFAULTS: Defaults = Defaults {
    norm_eps: 1e-5,
    sliding_window: None,
    rope: Some(RopeDefaults { theta: 1_000_000.0, ..RopeDefaults::BASE }),
    experts: Some(ExpertDefaults {
        num_experts: 8,
        num_experts_per_tok: 2,
        intermediate_size: ("intermediate_size", 14_336),
        always_normalised: true,
        some_dense: false,
    }),
    ..mistral::DEFAULTS
};

/// Makes the model of its weights.
pub fn build(config: &ModelConfig, weights: &mut Weights) -> Result<Decoder> {
    Standard::new(config, weights).decoder(1.0, |standard, layer| {
        // Published checkpoints have their own name for the block; transformers 5 calls it `mlp` in memory.
        let published = standard.name(layer, "block_sparse_moe");
        let name = match standard.weights.has_matrix(&format!("{published}.gate")) {
            true => published,
            false => standard.name(layer, "mlp"),
        };
        let mlp = mixture::load(standard, &name, ["w1", "w3", "w2"])?;
        standard.block(layer, Norms::Before, QkNorms::None, mlp)
    })
}
