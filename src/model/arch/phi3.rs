//! Phi-3: as Llama, with queries, keys and values in one matrix, gate and up in another, and heads that may turn in part.

use super::standard::{Norms, QkNorms, Standard};
use crate::error::Result;
use crate::model::config::{Defaults, RopeDefaults, Windows};
use crate::model::layer::{Mlp, Projection};
use crate::model::{Decoder, ModelConfig, Weights};

/// `Phi3Config` of transformers.
pub const DEFAULTS: Defaults = Defaults {
    vocab_size: 32_064,
    hidden_size: 3072,
    intermediate_size: Some(8192),
    norm_eps: 1e-5,
    max_position_embeddings: 4096,
    rope: Some(RopeDefaults {
        partial: Some(("partial_rotary_factor", 1.0)),
        original_max_position_embeddings: Some(4096),
        // What early checkpoints called it.
        aliases: &[("su", "longrope"), ("yarn", "longrope")],
        ..RopeDefaults::BASE
    }),
    windows: Windows::All,
    eos_token_id: Some(32_000),
    ..Defaults::BASE
};

/// Makes the model of its weights.
pub fn build(config: &ModelConfig, weights: &mut Weights) -> Result<Decoder> {
    let ModelConfig { hidden_size: hidden, intermediate_size: inner, head_dim, hidden_act: activation, .. } = *config;
    let width = (config.num_attention_heads + 2 * config.num_key_value_heads) * head_dim;
    Standard::new(config, weights).decoder(1.0, |standard, layer| {
        let mut load = |part: &str, outs: usize, ins: usize| {
            let name = standard.name(layer, part);
            Projection::load(standard.weights, &name, outs, ins, false)
        };
        // Both matrices have their parts in the order in which the layers want them.
        let qkv = load("self_attn.qkv_proj", width, hidden)?;
        let gate_up = load("mlp.gate_up_proj", 2 * inner, hidden)?;
        let down = load("mlp.down_proj", hidden, inner)?;
        let attention = standard.attention(layer, qkv, QkNorms::None)?;
        standard.block_of(layer, Norms::Before, attention, Mlp::Gated { gate_up, down, activation })
    })
}
