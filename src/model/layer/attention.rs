//! Causal self-attention over the branches of a prefix tree, with shared key-value heads.

use super::norm::Norm;
use super::pass::{Angles, Branch, KvLayers, Pass};
use super::projection::Projection;
use crate::kernel::{self, AttentionSpec, KvShape, Stretch, Turned};
use crate::model::profile::{Kind, spend};
use crate::model::rows::{HostRows, Rows, mixed};
use candle_core::{D, DType, Device, Result, Tensor};
use candle_nn::ops::softmax_last_dim;
use candle_nn::rotary_emb::rope;
use rayon::iter::{IndexedParallelIterator, IntoParallelRefMutIterator, ParallelIterator};
use std::ops::Range;

/// Heads and how they attend.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttentionShape {
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    /// Factor of the scores.
    pub scale: f32,
    /// `cap * tanh(score / cap)` (Gemma 2).
    pub softcap: Option<f32>,
    /// Tokens that a query sees, itself included; `None`: all before it.
    pub window: Option<usize>,
}

impl AttentionShape {
    /// What a token's keys and values take.
    pub fn kv(&self) -> KvShape {
        KvShape { kv_heads: self.kv_heads, head_dim: self.head_dim, value_dim: self.head_dim }
    }

    fn spec(&self) -> AttentionSpec {
        AttentionSpec {
            heads: self.heads,
            kv: self.kv(),
            scale: self.scale,
            softcap: self.softcap,
            window: self.window,
        }
    }
}

/// Norms of queries and keys before they are turned: over each head (Qwen 3, Gemma 3) or over all heads together (OLMo 2), as
/// their widths say.
pub struct QkNorm {
    pub q: Norm,
    pub k: Norm,
}

/// Attention of one layer.
pub struct Attention {
    /// Queries, keys and values side by side. `[(heads + 2 * kv_heads) * head_dim, hidden]`
    pub qkv: Projection,
    pub out: Projection,
    pub norm: Option<QkNorm>,
    /// Which of the model's rotary tables turns queries and keys; `None`: positions are learned, or not seen at all.
    pub rotary: Option<usize>,
    pub shape: AttentionShape,
}

impl Attention {
    /// `[rows, hidden]` to `[rows, hidden]`; keys and values of the rows are appended to the branches' own.
    pub fn forward(&self, x: &Rows, pass: &Pass, branches: &mut [Branch<'_>], layer: usize) -> Result<Rows> {
        let mixed = match self.qkv.forward(x)? {
            Rows::Host(qkv) => Rows::Host(self.host(qkv, pass, branches, layer)?),
            Rows::Device(qkv) => Rows::Device(self.device(&qkv, pass, branches, layer)?),
        };
        self.out.forward(&mixed)
    }

    /// Bytes of the packed weights.
    pub fn bytes(&self) -> usize {
        self.qkv.bytes() + self.out.bytes()
    }

    fn host(&self, mut qkv: HostRows, pass: &Pass, branches: &mut [Branch<'_>], layer: usize) -> Result<HostRows> {
        spend(Kind::RotaryAndCache, 0, || self.turn_and_store(&mut qkv, pass, branches, layer));
        let stretches: Option<Vec<Stretch<'_>>> = branches
            .iter()
            .zip(&pass.rows)
            .map(|(branch, rows)| {
                let past = branch.past.iter().map(|kv| kv.block(layer)).collect::<Option<_>>()?;
                Some(Stretch { first_row: rows.start, rows: rows.len(), past, own: branch.own.block(layer)? })
            })
            .collect();
        let Some(stretches) = stretches else { return mixed() };
        let (stride, width) = (qkv.width(), self.shape.heads * self.shape.head_dim);
        let mut out = HostRows::new(qkv.rows(), width);
        spend(Kind::Attention, self.flops(pass), || {
            kernel::attention(&self.shape.spec(), &stretches, &qkv, stride, &mut out, width);
        });
        Ok(out)
    }

    /// Norms and turns queries and keys in place, and appends keys and values to the branches' own.
    fn turn_and_store(&self, qkv: &mut HostRows, pass: &Pass, branches: &mut [Branch<'_>], layer: usize) {
        let AttentionShape { heads, kv_heads, head_dim, .. } = self.shape;
        let stride = qkv.width();
        let (k_column, v_column) = (heads * head_dim, (heads + kv_heads) * head_dim);
        if let Some(norm) = &self.norm {
            for (norm, column, heads) in [(&norm.q, 0, heads), (&norm.k, k_column, kv_heads)] {
                let width = norm.weight().len();
                let parts = heads * head_dim / width;
                kernel::rms_norm_parts(qkv, stride, column, parts, norm.weight(), norm.eps());
            }
        }
        if let Some(Angles { cos, sin, rotary_dim, .. }) = self.angles(pass) {
            // Keys stand right behind the queries.
            let heads = heads + kv_heads;
            let turned = Turned { stride, first_column: 0, heads, head_dim, rotary_dim: *rotary_dim };
            kernel::rotate(qkv, turned, cos, sin);
        }
        let qkv: &HostRows = qkv;
        branches.par_iter_mut().zip(&pass.rows).for_each(|(branch, rows)| {
            if let (KvLayers::Host(blocks), false) = (&mut branch.own.layers, rows.is_empty())
                && let Some(block) = blocks.get_mut(layer)
            {
                let first = rows.start * stride;
                block.append(&qkv[first + k_column..], stride, &qkv[first + v_column..], stride, rows.len());
            }
        });
    }

    /// Arithmetic of the scores and the mixing of values that the masks leave.
    fn flops(&self, pass: &Pass) -> u64 {
        let seen = |position: &usize| (position + 1).min(self.shape.window.unwrap_or(usize::MAX)) as u64;
        pass.positions.iter().map(seen).sum::<u64>() * (4 * self.shape.heads * self.shape.head_dim) as u64
    }

    fn angles<'a>(&self, pass: &'a Pass) -> Option<&'a Angles> {
        self.rotary.and_then(|table| pass.angles.get(table))
    }

    fn device(&self, qkv: &Tensor, pass: &Pass, branches: &mut [Branch<'_>], layer: usize) -> Result<Tensor> {
        let AttentionShape { heads, kv_heads, head_dim, .. } = self.shape;
        let (q_width, k_width) = (heads * head_dim, kv_heads * head_dim);
        let part = |from: usize, width: usize, norm: Option<&Norm>| {
            let x = qkv.narrow(1, from, width)?;
            let Some(norm) = norm else { return split(&x, head_dim) };
            let parts = width / norm.weight().len();
            let x = norm.tensor(&x.reshape((x.dim(0)?, parts, width / parts))?)?;
            split(&x.reshape((x.dim(0)?, width))?, head_dim)
        };
        let q = self.turned(part(0, q_width, self.norm.as_ref().map(|n| &n.q))?, pass)?; // [heads, rows, head_dim]
        let k = self.turned(part(q_width, k_width, self.norm.as_ref().map(|n| &n.k))?, pass)?; // [kv_heads, rows, head_dim]
        let v = part(q_width + k_width, k_width, None)?;
        let q = q.affine(f64::from(self.shape.scale), 0.0)?;
        let mut mixed = Vec::with_capacity(branches.len());
        for (branch, rows) in branches.iter_mut().zip(&pass.rows).filter(|(_, rows)| !rows.is_empty()) {
            let narrow = |x: &Tensor| x.narrow(1, rows.start, rows.len());
            let (keys, values) = append(branch, layer, &narrow(&k)?, &narrow(&v)?)?;
            mixed.push(self.attend(&narrow(&q)?, &keys, &values)?);
        }
        let mixed = Tensor::cat(&mixed, 1)?; // [heads, rows, head_dim]
        let rows = mixed.dim(1)?;
        mixed.transpose(0, 1)?.reshape((rows, q_width))?.to_dtype(qkv.dtype())
    }

    /// Turns `[heads, rows, head_dim]` by the rows' positions.
    fn turned(&self, x: Tensor, pass: &Pass) -> Result<Tensor> {
        let Some(Angles { rotary_dim, device: Some((cos, sin)), .. }) = self.angles(pass) else { return Ok(x) };
        let width = x.dim(D::Minus1)?;
        let turned = rope(&x.narrow(D::Minus1, 0, *rotary_dim)?.contiguous()?.unsqueeze(0)?, cos, sin)?.squeeze(0)?;
        if *rotary_dim == width {
            return Ok(turned);
        }
        Tensor::cat(&[&turned, &x.narrow(D::Minus1, *rotary_dim, width - rotary_dim)?], D::Minus1)
    }

    /// Values mixed for the last rows of one sequence. `[heads, rows, head_dim]`
    fn attend(&self, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
        let AttentionShape { heads, kv_heads, head_dim, softcap, .. } = self.shape;
        let (rows, keys) = (q.dim(1)?, k.dim(1)?);
        // The queries of the heads that share a key-value head are the rows of one matrix.
        let q = q.contiguous()?.reshape((kv_heads, heads / kv_heads * rows, head_dim))?;
        let scores = q.matmul(&k.transpose(1, 2)?.contiguous()?)?.reshape((heads, rows, keys))?;
        let scores = match softcap {
            Some(cap) => ((scores / f64::from(cap))?.tanh()? * f64::from(cap))?,
            None => scores,
        };
        let scores = scores.broadcast_add(&self.mask(keys - rows..keys, q.device())?)?;
        let shares = softmax_last_dim(&scores)?.reshape((kv_heads, heads / kv_heads * rows, keys))?;
        shares.matmul(&v.contiguous()?)?.reshape((heads, rows, head_dim))
    }

    /// 0 where a query at a position may see a key, minus infinity elsewhere. `[positions, positions.end]`
    fn mask(&self, positions: Range<usize>, device: &Device) -> Result<Tensor> {
        let keys = positions.end;
        let sees =
            |query: usize, key: usize| key <= query && self.shape.window.is_none_or(|window| key + window > query);
        let mask: Vec<f32> = positions
            .clone()
            .flat_map(|query| (0..keys).map(move |key| if sees(query, key) { 0.0 } else { f32::NEG_INFINITY }))
            .collect();
        Tensor::from_vec(mask, (positions.len(), keys), device)
    }
}

/// `[rows, heads * head_dim]` to `[heads, rows, head_dim]`, in f32: attention is not done in narrower formats.
fn split(x: &Tensor, head_dim: usize) -> Result<Tensor> {
    let (rows, width) = x.dims2()?;
    x.to_dtype(DType::F32)?.reshape((rows, width / head_dim, head_dim))?.transpose(0, 1)?.contiguous()
}

/// Appends keys and values to a branch's own; gives those of its whole sequence.
fn append(branch: &mut Branch<'_>, layer: usize, k: &Tensor, v: &Tensor) -> Result<(Tensor, Tensor)> {
    let own = match &mut branch.own.layers {
        KvLayers::Device(layers) => layers.get_mut(layer),
        KvLayers::Host(_) => None,
    };
    let Some(own) = own else { return mixed() };
    let (k, v) = match own.take() {
        Some((keys, values)) => (Tensor::cat(&[&keys, k], 1)?, Tensor::cat(&[&values, v], 1)?),
        None => (k.contiguous()?, v.contiguous()?),
    };
    *own = Some((k.clone(), v.clone()));
    let mut all: Vec<(&Tensor, &Tensor)> = Vec::with_capacity(branch.past.len() + 1);
    for kv in &branch.past {
        match &kv.layers {
            KvLayers::Device(layers) => all.extend(layers.get(layer).and_then(Option::as_ref).map(|(k, v)| (k, v))),
            KvLayers::Host(_) => return mixed(),
        }
    }
    all.push((&k, &v));
    let (keys, values): (Vec<&Tensor>, Vec<&Tensor>) = all.into_iter().unzip();
    Ok((Tensor::cat(&keys, 1)?, Tensor::cat(&values, 1)?))
}
