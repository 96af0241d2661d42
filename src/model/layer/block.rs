//! A decoder layer with a norm before each part, and the stack of them.

use super::attention::{Attention, Window, windows};
use super::cache::KvCache;
use super::mlp::GatedMlp;
use super::norm::{RmsNorm, RmsNormKind};
use super::rotary::{Angles, Rotary};
use crate::error::Result;
use crate::model::{ModelConfig, Weights};
use candle_core::Tensor;

/// `x + attention(norm(x))`, then `x + mlp(norm(x))`.
pub struct Block {
    attention_norm: RmsNorm,
    attention: Attention,
    mlp_norm: RmsNorm,
    mlp: GatedMlp,
}

impl Block {
    /// Reads the tensors under `<name>.`
    pub fn load(weights: &mut Weights, name: &str, config: &ModelConfig, norm: RmsNormKind) -> Result<Block> {
        let load_norm = |weights: &mut Weights, part: &str| {
            RmsNorm::load(weights, &format!("{name}.{part}"), config.hidden_size, config.rms_norm_eps, norm)
        };
        Ok(Block {
            attention_norm: load_norm(weights, "input_layernorm")?,
            attention: Attention::load(weights, &format!("{name}.self_attn"), config)?,
            mlp_norm: load_norm(weights, "post_attention_layernorm")?,
            mlp: GatedMlp::load(weights, &format!("{name}.mlp"), config)?,
        })
    }

    fn forward(
        &self,
        x: &Tensor,
        angles: &Angles,
        windows: &[Window],
        cache: Option<(&mut KvCache, usize)>,
    ) -> candle_core::Result<Tensor> {
        let x = (x + self.attention.forward(&self.attention_norm.forward(x)?, angles, windows, cache)?)?;
        &x + self.mlp.forward(&self.mlp_norm.forward(&x)?)?
    }
}

/// All layers and the final norm.
pub struct Stack {
    rotary: Rotary,
    blocks: Vec<Block>,
    norm: RmsNorm,
}

impl Stack {
    /// Reads `<name>.layers.<number>` and `<name>.norm`.
    pub fn load(weights: &mut Weights, name: &str, config: &ModelConfig, norm: RmsNormKind) -> Result<Stack> {
        let blocks = (0..config.num_hidden_layers)
            .map(|layer| Block::load(weights, &format!("{name}.layers.{layer}"), config, norm))
            .collect::<Result<Vec<_>>>()?;
        Ok(Stack {
            rotary: Rotary::new(&config.rope, config.head_dim),
            blocks,
            norm: RmsNorm::load(weights, &format!("{name}.norm"), config.hidden_size, config.rms_norm_eps, norm)?,
        })
    }

    /// `[tokens, hidden]` to `[tokens, hidden]`, after what `cache` holds.
    pub fn forward(&self, mut x: Tensor, mut cache: Option<&mut KvCache>) -> candle_core::Result<Tensor> {
        let tokens = x.dim(0)?;
        let past = cache.as_deref().map_or(0, KvCache::len);
        let angles = self.rotary.angles(past, tokens, x.device())?;
        let windows = windows(tokens, past, x.device())?;
        for (layer, block) in self.blocks.iter().enumerate() {
            x = block.forward(&x, &angles, &windows, cache.as_deref_mut().map(|cache| (cache, layer)))?;
        }
        if let Some(cache) = cache {
            cache.advance(tokens);
        }
        self.norm.forward(&x)
    }
}
