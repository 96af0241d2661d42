//! Gemma (first generation): as Llama, but norms weigh by 1 + w, embeddings are scaled by the root of the width, and the gate is a
//! GELU (tanh form).

use crate::error::Result;
use crate::model::config::ModelConfig;
use crate::model::decoder::{Act, DecoderSpec};

/// What the forward pass needs, from `config.json`.
pub fn spec(config: &ModelConfig) -> Result<DecoderSpec> {
    let mut spec = DecoderSpec::from_config(config, Act::GeluTanh)?;
    spec.norm_offset = 1.0;
    spec.embed_scale = Some((spec.hidden_size as f64).sqrt());
    spec.attention_bias = config.attention_bias;
    // Gemma ties its head to the embeddings unless a configuration says otherwise.
    spec.tied_head = config.tie_word_embeddings.unwrap_or(true);
    Ok(spec)
}
