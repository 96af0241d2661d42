//! OLMo 2: as Llama, with norms behind attention and MLP instead of before them, and over all heads of queries and of keys.

use super::standard::{Norms, QkNorms, Standard};
use crate::error::Result;
use crate::model::config::{ATTENTION_BIAS, Defaults};
use crate::model::{Decoder, ModelConfig, Weights};

/// `Olmo2Config` of transformers.
pub const DEFAULTS: Defaults = Defaults {
    vocab_size: 50_304,
    norm_eps: 1e-5,
    attention_bias: ATTENTION_BIAS,
    attention_out_bias: ATTENTION_BIAS,
    bos_token_id: None,
    eos_token_id: Some(50_279),
    ..Defaults::BASE
};

/// Makes the model of its weights.
pub fn build(config: &ModelConfig, weights: &mut Weights) -> Result<Decoder> {
    Standard::new(config, weights).decoder(1.0, |standard, layer| {
        let mlp = standard.gated_mlp(layer)?;
        standard.block(layer, Norms::Behind, QkNorms::Wide, mlp)
    })
}
