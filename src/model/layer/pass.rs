//! What one packed pass through a model is about: branches of a prefix tree, their keys and values, their positions.

use super::attention::AttentionShape;
use crate::kernel::{KvBlock, KvFormat, KvShape};
use crate::model::backend::{Backend, Place};
use crate::model::rotary::RotaryTable;
use candle_core::{Result, Tensor};
use std::ops::Range;

/// Keys and values of consecutive tokens of one sequence, in all layers: one node of a prefix tree.
pub struct Kv {
    pub(super) layers: KvLayers,
    len: usize,
}

pub(super) enum KvLayers {
    Host(Vec<KvBlock>),
    /// Keys and values, each `[kv_heads, tokens, head_dim]`; none yet before the first tokens.
    Device(Vec<Option<(Tensor, Tensor)>>),
}

impl Kv {
    /// Empty, with room for `capacity` tokens before it has to grow.
    pub fn new(backend: &Backend, layers: &[AttentionShape], capacity: usize) -> Kv {
        let layers = match &backend.place {
            Place::Host => {
                let format = KvFormat::of(backend.arithmetic);
                KvLayers::Host(layers.iter().map(|l| KvBlock::new(l.kv(), format, capacity)).collect())
            }
            Place::Device(_) => KvLayers::Device(layers.iter().map(|_| None).collect()),
        };
        Kv { layers, len: 0 }
    }

    /// Bytes that a `Kv` of such a capacity takes.
    pub fn bytes_of(backend: &Backend, layers: &[AttentionShape], capacity: usize) -> usize {
        let of = |shape: KvShape| match &backend.place {
            Place::Host => KvBlock::bytes_of(shape, KvFormat::of(backend.arithmetic), capacity),
            Place::Device(_) => {
                shape.kv_heads * (shape.head_dim + shape.value_dim) * capacity * backend.weights.size_in_bytes()
            }
        };
        layers.iter().map(|layer| of(layer.kv())).sum()
    }

    /// Tokens it holds.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A host's keys and values of one layer.
    pub(super) fn block(&self, layer: usize) -> Option<&KvBlock> {
        match &self.layers {
            KvLayers::Host(blocks) => blocks.get(layer),
            KvLayers::Device(_) => None,
        }
    }
}

/// Tokens to run in a packed pass: they follow `past` (root first) and what `own` already holds.
pub struct Branch<'a, K = Kv> {
    pub tokens: &'a [u32],
    /// Keys and values of what stands before, from the sequence's beginning, all of them complete.
    pub past: Vec<&'a K>,
    /// Takes the tokens' keys and values.
    pub own: &'a mut K,
    /// Length of the whole sequence, where it is beyond what rotary angles begin to depend on; else 0.
    pub sequence_len: usize,
}

impl Branch<'_> {
    /// Position of the first of the tokens.
    pub fn start(&self) -> usize {
        self.past.iter().map(|kv| kv.len()).sum::<usize>() + self.own.len()
    }
}

/// Where the rows of a pass are: rows of each branch, and positions and rotary angles of each row.
pub struct Pass {
    /// Rows of each branch.
    pub(super) rows: Vec<Range<usize>>,
    pub(crate) positions: Vec<usize>,
    /// For each rotary table: cosines and sines of all rows, `[rows, rotary_dim / 2]`.
    pub(super) angles: Vec<Angles>,
}

/// Cosines and sines of the rows of a pass.
pub struct Angles {
    pub cos: Vec<f32>,
    pub sin: Vec<f32>,
    pub rotary_dim: usize,
    /// The same as tensors, where rows are tensors.
    pub device: Option<(Tensor, Tensor)>,
}

impl Pass {
    /// Lays out the branches one after the other.
    pub fn new(backend: &Backend, tables: &[RotaryTable], branches: &[Branch<'_>]) -> Result<Pass> {
        let mut rows = Vec::with_capacity(branches.len());
        let mut positions = Vec::new();
        for branch in branches {
            let (first, start) = (positions.len(), branch.start());
            positions.extend(start..start + branch.tokens.len());
            rows.push(first..positions.len());
        }
        let angles = tables.iter().map(|table| Angles::new(backend, table, branches)).collect::<Result<_>>()?;
        Ok(Pass { rows, positions, angles })
    }

    /// Says that the branches' own keys and values now hold their tokens.
    pub fn finish(&self, branches: &mut [Branch<'_>]) {
        branches.iter_mut().for_each(|branch| branch.own.len += branch.tokens.len());
    }
}

impl Angles {
    fn new(backend: &Backend, table: &RotaryTable, branches: &[Branch<'_>]) -> Result<Angles> {
        let (mut cos, mut sin) = (Vec::new(), Vec::new());
        for branch in branches {
            let start = branch.start();
            table.angles(start..start + branch.tokens.len(), branch.sequence_len, &mut cos, &mut sin);
        }
        let rotary_dim = table.rotary_dim();
        let device = match &backend.place {
            Place::Host => None,
            Place::Device(device) => {
                let shape = (cos.len() / (rotary_dim / 2).max(1), rotary_dim / 2);
                let moved = |values: &Vec<f32>| Tensor::from_slice(values, shape, device);
                Some((moved(&cos)?, moved(&sin)?))
            }
        };
        Ok(Angles { cos, sin, rotary_dim, device })
    }
}
