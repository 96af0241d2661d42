//! Keys and values of the tokens that were seen, for one sequence.

use candle_core::{Result, Tensor};
use candle_nn::kv_cache;

/// One pair of growing tensors `[key-value heads, tokens, head_dim]` for each layer.
pub struct KvCache {
    layers: Vec<kv_cache::KvCache>,
    len: usize,
}

impl KvCache {
    /// An empty cache with room for `tokens`; nothing is allocated before it is used.
    pub fn new(layers: usize, tokens: usize) -> KvCache {
        KvCache { layers: (0..layers).map(|_| kv_cache::KvCache::new(1, tokens.max(1))).collect(), len: 0 }
    }

    /// Tokens that it holds.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends keys and values in one layer and returns all of that layer.
    pub(super) fn append(&mut self, layer: usize, k: &Tensor, v: &Tensor) -> Result<(Tensor, Tensor)> {
        match self.layers.get_mut(layer) {
            Some(cache) => cache.append(k, v),
            None => candle_core::bail!("the cache has no layer {layer}"),
        }
    }

    /// Says that all layers have taken in `tokens` more.
    pub(super) fn advance(&mut self, tokens: usize) {
        self.len += tokens;
    }
}
