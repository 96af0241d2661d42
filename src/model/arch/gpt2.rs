//! GPT-2: layer norms, learned positions, matrices stored with their inputs first.

use super::standard::shape;
use crate::error::Result;
use crate::model::config::{Bias, Defaults, HeadDim, KeyValueHeads, Scale};
use crate::model::layer::{Attention, Block, Embedding, Head, Mlp, Norm, Part, Projection};
use crate::model::{Decoder, ModelConfig, Weights};

/// `GPT2Config` of transformers.
pub const DEFAULTS: Defaults = Defaults {
    spellings: &[
        ("hidden_size", "n_embd"),
        ("num_hidden_layers", "n_layer"),
        ("num_attention_heads", "n_head"),
        ("max_position_embeddings", "n_positions"),
        ("intermediate_size", "n_inner"),
        ("hidden_act", "activation_function"),
        ("norm_eps", "layer_norm_epsilon"),
    ],
    vocab_size: 50_257,
    hidden_size: 768,
    intermediate_size: None,
    num_hidden_layers: 12,
    num_attention_heads: 12,
    key_value_heads: KeyValueHeads::AllHeads,
    head_dim: HeadDim::Shared,
    norm_eps: 1e-5,
    hidden_act: "gelu_new",
    max_position_embeddings: 1024,
    rope: None,
    scale: Scale::Gpt2,
    attention_bias: Bias::Always,
    attention_out_bias: Bias::Always,
    mlp_bias: Bias::Always,
    tie_word_embeddings: true,
    bos_token_id: Some(50_256),
    eos_token_id: Some(50_256),
    ..Defaults::BASE
};

/// Makes the model of its weights.
pub fn build(config: &ModelConfig, weights: &mut Weights) -> Result<Decoder> {
    // The first published checkpoints are of the model without its head.
    let prefix = if weights.begins("h.") { "" } else { "transformer." };
    let hidden = config.hidden_size;
    let positions = config.max_length.unwrap_or(DEFAULTS.max_position_embeddings);
    let embedding = Embedding::load(weights, config, &format!("{prefix}wte"), "lm_head")?;
    let embedding = embedding.with_positions(weights, &format!("{prefix}wpe"), positions)?;
    let blocks = (0..config.num_hidden_layers)
        .map(|layer| block(config, weights, layer, &format!("{prefix}h.{layer}")))
        .collect::<Result<_>>()?;
    let norm = Norm::layer(weights, &format!("{prefix}ln_f"), hidden, config.norm_eps)?;
    let head = Head::load(weights, config, "lm_head", &embedding, norm)?;
    Ok(Decoder { embedding, rotaries: Vec::new(), blocks, head })
}

fn block(config: &ModelConfig, weights: &mut Weights, layer: usize, name: &str) -> Result<Block> {
    let ModelConfig { hidden_size: hidden, intermediate_size: inner, hidden_act: activation, norm_eps, .. } = *config;
    let input_norm = Norm::layer(weights, &format!("{name}.ln_1"), hidden, norm_eps)?;
    let mlp_norm = Norm::layer(weights, &format!("{name}.ln_2"), hidden, norm_eps)?;
    let mut load = |part: &str, outs: usize, ins: usize| conv1d(weights, &format!("{name}.{part}"), outs, ins);
    let attention = Attention {
        qkv: load("attn.c_attn", 3 * hidden, hidden)?,
        out: load("attn.c_proj", hidden, hidden)?,
        norm: None,
        rotary: None,
        shape: shape(config, layer),
    };
    let (up, down) = (load("mlp.c_fc", inner, hidden)?, load("mlp.c_proj", hidden, inner)?);
    Ok(Block {
        input_norm: Some(input_norm),
        attention,
        post_attention_norm: None,
        mlp_norm: Some(mlp_norm),
        mlp: Mlp::Plain { up, down, activation },
        post_mlp_norm: None,
        parallel: false,
        residual_scale: 1.0,
    })
}

/// A linear layer whose matrix is stored `[ins, outs]`, with its bias.
fn conv1d(weights: &mut Weights, name: &str, outs: usize, ins: usize) -> Result<Projection> {
    let bias = weights.vector(&format!("{name}.bias"), outs)?;
    let part = Part { weight: weights.conv1d(name, outs, ins)?, bias: Some(bias) };
    Projection::new(weights.backend(), vec![part])
}
