//! Granite: as Llama, with factors on embeddings, scores, what layers add, and logits.

use super::standard::{Norms, QkNorms, Standard};
use crate::error::Result;
use crate::model::config::{Defaults, Scale};
use crate::model::{Decoder, ModelConfig, Weights};

/// `GraniteConfig` of transformers.
pub const DEFAULTS: Defaults =
    Defaults { scale: Scale::AttentionMultiplier, multipliers: true, ..super::llama::DEFAULTS };

/// Makes the model of its weights.
pub fn build(config: &ModelConfig, weights: &mut Weights) -> Result<Decoder> {
    Standard::new(config, weights).decoder(config.embedding_multiplier, |standard, layer| {
        let mlp = standard.gated_mlp(layer)?;
        standard.block(layer, Norms::Before, QkNorms::None, mlp)
    })
}
