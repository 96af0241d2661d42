//! GPT-NeoX: layer norms, heads that turn in part, attention and MLP side by side, queries, keys and values interleaved by head.

use super::standard::{rotaries, shape};
use crate::error::Result;
use crate::model::config::{Bias, Defaults, HeadDim, KeyValueHeads, RopeDefaults};
use crate::model::layer::{Attention, Block, Embedding, Head, Mlp, Norm, Part, Projection};
use crate::model::{Decoder, ModelConfig, Weights};

/// `GPTNeoXConfig` of transformers.
pub const DEFAULTS: Defaults = Defaults {
    spellings: &[("norm_eps", "layer_norm_eps")],
    vocab_size: 50_432,
    hidden_size: 6144,
    intermediate_size: Some(24_576),
    num_hidden_layers: 44,
    num_attention_heads: 64,
    key_value_heads: KeyValueHeads::AllHeads,
    head_dim: HeadDim::Shared,
    norm_eps: 1e-5,
    hidden_act: "gelu",
    rope: Some(RopeDefaults {
        theta_key: "rotary_emb_base",
        partial: Some(("rotary_pct", 0.25)),
        ..RopeDefaults::BASE
    }),
    attention_bias: Bias::Key("attention_bias", true),
    attention_out_bias: Bias::Key("attention_bias", true),
    mlp_bias: Bias::Always,
    parallel_residual: Some(true),
    bos_token_id: Some(0),
    eos_token_id: Some(2),
    ..Defaults::BASE
};

/// Makes the model of its weights.
pub fn build(config: &ModelConfig, weights: &mut Weights) -> Result<Decoder> {
    // Models that were saved without their head have no prefix.
    let prefix = if weights.begins("layers.") { "" } else { "gpt_neox." };
    // Transformers 5 calls it lm_head in memory.
    let name = if weights.has_matrix("lm_head") { "lm_head" } else { "embed_out" };
    let embedding = Embedding::load(weights, config, &format!("{prefix}embed_in"), name)?;
    let blocks = (0..config.num_hidden_layers)
        .map(|layer| block(config, weights, layer, &format!("{prefix}layers.{layer}")))
        .collect::<Result<_>>()?;
    let norm = Norm::layer(weights, &format!("{prefix}final_layer_norm"), config.hidden_size, config.norm_eps)?;
    let head = Head::load(weights, config, name, &embedding, norm)?;
    Ok(Decoder { embedding, rotaries: rotaries(config), blocks, head })
}

fn block(config: &ModelConfig, weights: &mut Weights, layer: usize, name: &str) -> Result<Block> {
    let ModelConfig { hidden_size: hidden, intermediate_size: inner, hidden_act: activation, norm_eps, .. } = *config;
    let qkv_name = format!("{name}.attention.query_key_value");
    let qkv = Part::linear(weights, &qkv_name, 3 * hidden, hidden, config.attention_bias)?;
    let qkv = qkv.select(&side_by_side(config.num_attention_heads, config.head_dim));
    let qkv = Projection::new(weights.backend(), vec![qkv])?;
    let mut load = |part: &str, outs: usize, ins: usize, bias: bool| {
        Projection::load(weights, &format!("{name}.{part}"), outs, ins, bias)
    };
    let attention = Attention {
        qkv,
        out: load("attention.dense", hidden, hidden, config.attention_out_bias)?,
        norm: None,
        rotary: config.layers[layer].rope,
        shape: shape(config, layer),
    };
    let up = load("mlp.dense_h_to_4h", inner, hidden, config.mlp_bias)?;
    let down = load("mlp.dense_4h_to_h", hidden, inner, config.mlp_bias)?;
    let mut norm = |part: &str| Norm::layer(weights, &format!("{name}.{part}"), hidden, norm_eps);
    Ok(Block {
        input_norm: Some(norm("input_layernorm")?),
        attention,
        post_attention_norm: None,
        mlp_norm: Some(norm("post_attention_layernorm")?),
        mlp: Mlp::Plain { up, down, activation },
        post_mlp_norm: None,
        parallel: config.parallel_residual,
        residual_scale: 1.0,
    })
}

/// Rows of a matrix that has query, key and value of a head before those of the next, in the order all queries, all keys, all
/// values.
fn side_by_side(heads: usize, head_dim: usize) -> Vec<usize> {
    let rows = |part: usize| {
        (0..heads).flat_map(move |head| (0..head_dim).map(move |channel| (3 * head + part) * head_dim + channel))
    };
    (0..3).flat_map(rows).collect()
}
