//! Gemma 2: as Gemma 1, with norms on both sides of attention and MLP, a window in every other layer, and soft caps.

use super::gemma;
use super::standard::{Norms, QkNorms, Standard};
use crate::error::Result;
use crate::model::config::{Defaults, KeyValueHeads, Scale, Softcap, Windows};
use crate::model::{Decoder, ModelConfig, Weights};

/// `Gemma2Config` of transformers.
pub const DEFAULTS: Defaults = Defaults {
    spellings: &[("norm_eps", "rms_norm_eps"), ("hidden_act", "hidden_activation")],
    hidden_size: 2304,
    intermediate_size: Some(9216),
    num_hidden_layers: 26,
    num_attention_heads: 8,
    key_value_heads: KeyValueHeads::Key(Some(4)),
    windows: Windows::AllButEvery { default: 2, key: None },
    sliding_window: Some(4096),
    scale: Scale::QueryPreAttnScalar,
    attention_softcap: Softcap::Key(Some(50.0)),
    final_softcap: Softcap::Key(Some(30.0)),
    ..gemma::DEFAULTS
};

/// Makes the model of its weights.
pub fn build(config: &ModelConfig, weights: &mut Weights) -> Result<Decoder> {
    let scale = gemma::embedding_scale(config);
    Standard::new(config, weights).norms_from_one().decoder(scale, |standard, layer| {
        let mlp = standard.gated_mlp(layer)?;
        standard.block(layer, Norms::Around, QkNorms::None, mlp)
    })
}
