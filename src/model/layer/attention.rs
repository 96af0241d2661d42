//! Causal self-attention with rotary positions and shared key-value heads.

use super::cache::KvCache;
use super::projection::Projection;
use super::rotary::Angles;
use crate::error::Result;
use crate::model::{ModelConfig, Weights};
use candle_core::{DType, Device, Tensor};
use candle_nn::ops::softmax_last_dim;
use candle_nn::rotary_emb::rope;

/// Query rows that are scored at a time: bounds the memory for scores and skips most of what the mask hides. A constant, so
/// that numbers depend on the sequence only.
const QUERY_ROWS: usize = 128;

/// Which keys a stretch of query rows may see.
pub struct Window {
    /// First query row.
    row: usize,
    rows: usize,
    /// Keys up to and including the last query's own.
    keys: usize,
    /// 0 where a key may be seen, minus infinity where it is in the future. `[rows, keys]`
    mask: Option<Tensor>,
}

/// The windows of `tokens` queries that follow `past` tokens.
pub fn windows(tokens: usize, past: usize, device: &Device) -> candle_core::Result<Vec<Window>> {
    let window = |row: usize| {
        let rows = QUERY_ROWS.min(tokens - row);
        let keys = past + row + rows;
        // A single query sees everything.
        let mask = (rows > 1).then(|| {
            let mut mask = Vec::with_capacity(rows * keys);
            for query in 0..rows {
                mask.resize(query * keys + past + row + query + 1, 0.0f32);
                mask.resize((query + 1) * keys, f32::NEG_INFINITY);
            }
            Tensor::from_vec(mask, (rows, keys), device)
        });
        Ok(Window { row, rows, keys, mask: mask.transpose()? })
    };
    (0..tokens).step_by(QUERY_ROWS).map(window).collect()
}

/// Attention of one layer.
pub struct Attention {
    q: Projection,
    k: Projection,
    v: Projection,
    out: Projection,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
}

impl Attention {
    /// Reads `<name>.{q,k,v,o}_proj`.
    pub fn load(weights: &mut Weights, name: &str, config: &ModelConfig) -> Result<Attention> {
        let (heads, kv_heads, head_dim) = (config.num_attention_heads, config.num_key_value_heads, config.head_dim);
        let (hidden, bias) = (config.hidden_size, config.attention_bias);
        Ok(Attention {
            q: Projection::load(weights, &format!("{name}.q_proj"), heads * head_dim, hidden, bias)?,
            k: Projection::load(weights, &format!("{name}.k_proj"), kv_heads * head_dim, hidden, bias)?,
            v: Projection::load(weights, &format!("{name}.v_proj"), kv_heads * head_dim, hidden, bias)?,
            out: Projection::load(weights, &format!("{name}.o_proj"), hidden, heads * head_dim, bias)?,
            heads,
            kv_heads,
            head_dim,
        })
    }

    /// `[tokens, hidden]` to `[tokens, hidden]`; `cache` is the sequence's cache and this layer's number.
    pub fn forward(
        &self,
        x: &Tensor,
        angles: &Angles,
        windows: &[Window],
        cache: Option<(&mut KvCache, usize)>,
    ) -> candle_core::Result<Tensor> {
        let tokens = x.dim(0)?;
        let q = self.split(&self.q.forward(x)?, self.heads)?; // [heads, tokens, head_dim]
        let k = self.split(&self.k.forward(x)?, self.kv_heads)?; // [kv_heads, tokens, head_dim]
        let v = self.split(&self.v.forward(x)?, self.kv_heads)?;
        let (q, k) = (turn(&q, angles)?, turn(&k, angles)?);
        let (k, v) = match cache {
            Some((cache, layer)) => cache.append(layer, &k, &v)?,
            None => (k, v),
        };
        let q = q.affine((self.head_dim as f64).powf(-0.5), 0.0)?;
        let mixed = windows.iter().map(|w| self.attend(&q, &k, &v, w)).collect::<candle_core::Result<Vec<_>>>()?;
        let mixed = Tensor::cat(&mixed, 1)?; // [heads, tokens, head_dim]
        let mixed = mixed.transpose(0, 1)?.reshape((tokens, self.heads * self.head_dim))?;
        self.out.forward(&mixed.to_dtype(x.dtype())?)
    }

    /// `[tokens, heads * head_dim]` to `[heads, tokens, head_dim]`, in f32: attention is not done in narrower formats.
    fn split(&self, x: &Tensor, heads: usize) -> candle_core::Result<Tensor> {
        let tokens = x.dim(0)?;
        x.to_dtype(DType::F32)?.reshape((tokens, heads, self.head_dim))?.transpose(0, 1)?.contiguous()
    }

    /// Values mixed for one window of queries. `[heads, rows, head_dim]`
    fn attend(&self, q: &Tensor, k: &Tensor, v: &Tensor, window: &Window) -> candle_core::Result<Tensor> {
        let Window { row, rows, keys, mask } = window;
        let group = self.heads / self.kv_heads;
        // The queries of the heads that share a key-value head are the rows of one matrix.
        let q = q.narrow(1, *row, *rows)?.reshape((self.kv_heads, group * rows, self.head_dim))?;
        let (k, v) = (k.narrow(1, 0, *keys)?, v.narrow(1, 0, *keys)?);
        let scores = q.matmul(&k.transpose(1, 2)?)?.reshape((self.heads, *rows, *keys))?;
        let scores = match mask {
            Some(mask) => scores.broadcast_add(mask)?,
            None => scores,
        };
        let shares = softmax_last_dim(&scores)?.reshape((self.kv_heads, group * rows, *keys))?;
        shares.matmul(&v)?.reshape((self.heads, *rows, self.head_dim))
    }
}

/// Turns `[heads, tokens, head_dim]` by its positions.
fn turn(x: &Tensor, angles: &Angles) -> candle_core::Result<Tensor> {
    rope(&x.unsqueeze(0)?, &angles.cos, &angles.sin)?.squeeze(0)
}
