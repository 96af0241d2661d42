//! The skeleton that Llama began and most families kept: what their tensors are called, and how layers are made of them.
//!
//! Comes in: a configuration and the weights. Goes out: layers, for a family to put together. A family's own names stand in its
//! own file.

use crate::error::Result;
use crate::model::layer::{Attention, AttentionShape, Block, Embedding, Head, Mlp, Norm, Part, Projection, QkNorm};
use crate::model::rotary::RotaryTable;
use crate::model::{Decoder, ModelConfig, Weights};

/// Builds a model layer by layer.
pub struct Standard<'a> {
    pub config: &'a ModelConfig,
    pub weights: &'a mut Weights,
    /// What names of tensors begin with, with its dot: `model.`; empty where the model was saved without its head.
    prefix: &'static str,
    /// Added to the weights of norms: Gemma's are offsets from one.
    norm_offset: f32,
}

/// Where a block has its norms.
#[derive(Clone, Copy)]
pub enum Norms {
    /// Before attention and MLP.
    Before,
    /// Behind them, before what they give is added.
    Behind,
    /// Both.
    Around,
}

/// Which norms queries and keys have.
#[derive(Clone, Copy)]
pub enum QkNorms {
    None,
    /// Over each head.
    Heads,
    /// Over all heads together.
    Wide,
}

impl<'a> Standard<'a> {
    pub fn new(config: &'a ModelConfig, weights: &'a mut Weights) -> Standard<'a> {
        Standard::prefixed(config, weights, &["model.", ""])
    }

    /// Names of tensors begin with the first of these prefixes that has layers.
    pub fn prefixed(config: &'a ModelConfig, weights: &'a mut Weights, prefixes: &[&'static str]) -> Standard<'a> {
        let found = prefixes.iter().find(|prefix| weights.begins(&format!("{prefix}layers.")));
        Standard { config, prefix: found.copied().unwrap_or("model."), weights, norm_offset: 0.0 }
    }

    /// Weights of norms are offsets from one.
    pub fn norms_from_one(mut self) -> Standard<'a> {
        self.norm_offset = 1.0;
        self
    }

    /// The name of something in a layer.
    pub fn name(&self, layer: usize, part: &str) -> String {
        format!("{}layers.{layer}.{part}", self.prefix)
    }

    /// A norm over the width of the model, or another one.
    pub fn norm(&mut self, name: &str, width: usize) -> Result<Norm> {
        Norm::rms(self.weights, name, width, self.config.norm_eps, self.norm_offset)
    }

    fn block_norm(&mut self, layer: usize, part: &str) -> Result<Option<Norm>> {
        self.norm(&self.name(layer, part), self.config.hidden_size).map(Some)
    }

    /// A layer that differs from Llama's in nothing but its norms and perhaps its MLP.
    pub fn block(&mut self, layer: usize, norms: Norms, qk_norms: QkNorms, mlp: Mlp) -> Result<Block> {
        let qkv = self.qkv(layer)?;
        let attention = self.attention(layer, qkv, qk_norms)?;
        self.block_of(layer, norms, attention, mlp)
    }

    /// A layer of an attention and an MLP that are already there.
    pub fn block_of(&mut self, layer: usize, norms: Norms, attention: Attention, mlp: Mlp) -> Result<Block> {
        let (input, after) = ("input_layernorm", "post_attention_layernorm");
        let (before_mlp, after_mlp) = ("pre_feedforward_layernorm", "post_feedforward_layernorm");
        // Llama's "post attention" norm stands before the MLP.
        let [input_norm, post_attention_norm, mlp_norm, post_mlp_norm] = match norms {
            Norms::Before => [Some(input), None, Some(after), None],
            Norms::Behind => [None, Some(after), None, Some(after_mlp)],
            Norms::Around => [Some(input), Some(after), Some(before_mlp), Some(after_mlp)],
        }
        .map(|part| part.map_or(Ok(None), |part| self.block_norm(layer, part)));
        Ok(Block {
            input_norm: input_norm?,
            attention,
            post_attention_norm: post_attention_norm?,
            mlp_norm: mlp_norm?,
            mlp,
            post_mlp_norm: post_mlp_norm?,
            parallel: false,
            residual_scale: self.config.residual_multiplier,
        })
    }

    /// Queries, keys and values of three matrices.
    fn qkv(&mut self, layer: usize) -> Result<Projection> {
        let ModelConfig { hidden_size, head_dim, attention_bias, .. } = *self.config;
        let (heads, kv_heads) = (self.config.num_attention_heads, self.config.num_key_value_heads);
        let parts = [("q_proj", heads), ("k_proj", kv_heads), ("v_proj", kv_heads)].map(|(part, heads)| {
            let name = self.name(layer, &format!("self_attn.{part}"));
            Part::linear(self.weights, &name, heads * head_dim, hidden_size, attention_bias)
        });
        Projection::new(self.weights.backend(), parts.into_iter().collect::<Result<_>>()?)
    }

    /// Attention with a projection that gives queries, keys and values side by side.
    pub fn attention(&mut self, layer: usize, qkv: Projection, qk_norms: QkNorms) -> Result<Attention> {
        let shape = shape(self.config, layer);
        let (heads, kv_heads) = match qk_norms {
            QkNorms::Heads => (1, 1),
            QkNorms::None | QkNorms::Wide => (shape.heads, shape.kv_heads),
        };
        let norm = match qk_norms {
            QkNorms::None => None,
            QkNorms::Heads | QkNorms::Wide => Some(QkNorm {
                q: self.norm(&self.name(layer, "self_attn.q_norm"), heads * shape.head_dim)?,
                k: self.norm(&self.name(layer, "self_attn.k_norm"), kv_heads * shape.head_dim)?,
            }),
        };
        let name = self.name(layer, "self_attn.o_proj");
        let (hidden, bias) = (self.config.hidden_size, self.config.attention_out_bias);
        let out = Projection::load(self.weights, &name, hidden, shape.heads * shape.head_dim, bias)?;
        Ok(Attention { qkv, out, norm, rotary: self.config.layers[layer].rope, shape })
    }

    /// The gated MLP of a layer.
    pub fn gated_mlp(&mut self, layer: usize) -> Result<Mlp> {
        let [gate, up, down] = ["mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"].map(|part| self.name(layer, part));
        let ModelConfig { hidden_size, intermediate_size, hidden_act, mlp_bias, .. } = *self.config;
        Mlp::gated(self.weights, [&gate, &up, &down], hidden_size, intermediate_size, hidden_act, mlp_bias)
    }

    /// Makes the model of its blocks. Embeddings are multiplied by `embedding_scale`.
    pub fn decoder(
        mut self,
        embedding_scale: f32,
        block: impl Fn(&mut Standard<'a>, usize) -> Result<Block>,
    ) -> Result<Decoder> {
        let config = self.config;
        // The head stands beside the model, or beside the language model in it.
        let beside = self.prefix.strip_suffix("model.").filter(|rest| rest.is_empty() || rest.ends_with('.'));
        let inner = format!("{}lm_head", beside.unwrap_or(self.prefix));
        let head = if self.weights.has_matrix(&inner) { inner.as_str() } else { "lm_head" };
        let embedding = Embedding::load(self.weights, config, &format!("{}embed_tokens", self.prefix), head)?;
        let embedding = embedding.scaled(self.weights, embedding_scale);
        let blocks = (0..config.num_hidden_layers).map(|layer| block(&mut self, layer)).collect::<Result<_>>()?;
        let norm = self.norm(&format!("{}norm", self.prefix), config.hidden_size)?;
        let head = Head::load(self.weights, config, head, &embedding, norm)?
            .scaled(1.0 / config.logits_scaling)
            .soft_capped(config.final_softcap);
        Ok(Decoder { embedding, rotaries: rotaries(config), blocks, head })
    }
}

/// Tables of all the model's ropes.
pub fn rotaries(config: &ModelConfig) -> Vec<RotaryTable> {
    config.ropes.iter().map(|rope| RotaryTable::new(rope, config.head_dim)).collect()
}

/// Heads of a layer and how they attend.
pub fn shape(config: &ModelConfig, layer: usize) -> AttentionShape {
    let kind = config.layers[layer];
    AttentionShape {
        heads: config.num_attention_heads,
        kv_heads: config.num_key_value_heads,
        head_dim: config.head_dim,
        scale: kind.scale,
        softcap: config.attention_softcap,
        window: kind.window,
    }
}
