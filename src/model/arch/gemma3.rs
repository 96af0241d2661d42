//! Gemma 3: as Gemma 2 with norms over the heads of queries and keys instead of the soft cap of scores, five layers with a window
//! to one without, and rotary positions of their own in each kind.
//!
//! In checkpoints that also see pictures the language model is one part; the others are left alone.

use super::standard::{Norms, QkNorms, Standard};
use super::{gemma, gemma2};
use crate::error::Result;
use crate::model::config::{Defaults, RopeDefaults, Softcap, Windows};
use crate::model::{Decoder, ModelConfig, Weights};

/// `Gemma3TextConfig` of transformers. The attention there does not look at `attn_logit_softcapping`.
pub const DEFAULTS: Defaults = Defaults {
    vocab_size: 262_208,
    max_position_embeddings: 131_072,
    rope: Some(RopeDefaults { theta: 1_000_000.0, local_theta: Some(10_000.0), ..RopeDefaults::BASE }),
    windows: Windows::AllButEvery { default: 6, key: Some("sliding_window_pattern") },
    attention_softcap: Softcap::Never,
    final_softcap: Softcap::Key(None),
    ..gemma2::DEFAULTS
};

/// Where the language model is found: as older versions of transformers name it, as newer ones do, alone, and each without the head.
const PREFIXES: [&str; 5] = ["language_model.model.", "model.language_model.", "model.", "language_model.", ""];

/// What belongs to pictures.
const PICTURES: [&str; 4] =
    ["vision_tower.", "multi_modal_projector.", "model.vision_tower.", "model.multi_modal_projector."];

/// Makes the model of its weights.
pub fn build(config: &ModelConfig, weights: &mut Weights) -> Result<Decoder> {
    weights.ignore(|name| PICTURES.iter().any(|part| name.starts_with(part)));
    let standard = Standard::prefixed(config, weights, &PREFIXES).norms_from_one();
    standard.decoder(gemma::embedding_scale(config), |standard, layer| {
        let mlp = standard.gated_mlp(layer)?;
        standard.block(layer, Norms::Around, QkNorms::Heads, mlp)
    })
}
