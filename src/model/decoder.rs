//! A decoder-only language model, put together of layers: what a family's file builds.

use super::layer::{AttentionShape, Block, Branch, Embedding, Head, Pass, Stream};
use super::rotary::RotaryTable;
use super::rows::Rows;
use super::{Backend, ModelConfig};
use candle_core::Result;

/// A decoder-only language model.
pub struct Decoder {
    pub embedding: Embedding,
    /// Tables of rotary angles that layers refer to by number.
    pub rotaries: Vec<RotaryTable>,
    pub blocks: Vec<Block>,
    pub head: Head,
}

impl Decoder {
    /// Hidden states of all branches' tokens, before the final norm. `[rows, hidden]`
    pub fn forward(&self, backend: &Backend, branches: &mut [Branch<'_>]) -> Result<Rows> {
        let pass = Pass::new(backend, &self.rotaries, branches)?;
        let ids: Vec<u32> = branches.iter().flat_map(|branch| branch.tokens.iter().copied()).collect();
        let mut stream = Stream::new(self.embedding.forward(&ids, &pass.positions)?);
        for (layer, block) in self.blocks.iter().enumerate() {
            block.forward(&mut stream, &pass, branches, layer)?;
        }
        pass.finish(branches);
        stream.finish()
    }

    /// Heads of each layer.
    pub fn shapes(&self) -> Vec<AttentionShape> {
        self.blocks.iter().map(|block| block.attention.shape).collect()
    }

    /// Bytes of the matrices in memory: packed ones, and the embedding's.
    pub fn memory_bytes(&self) -> usize {
        self.embedding.bytes() + self.blocks.iter().map(Block::bytes).sum::<usize>() + self.head.bytes()
    }

    /// From which sequence length on rotary angles depend on it, if they ever do.
    pub fn depends_on_length(&self) -> Option<usize> {
        self.rotaries.iter().filter_map(RotaryTable::depends_on_length).min()
    }

    /// The longest sequence that learned positions allow.
    pub fn max_positions(&self, config: &ModelConfig) -> Option<usize> {
        self.embedding.max_positions().or(config.max_length)
    }
}
