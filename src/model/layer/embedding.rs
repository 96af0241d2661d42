//! Token ids to hidden states.

use crate::error::{Error, Result};
use crate::model::backend::Place;
use crate::model::profile::{Kind, spend};
use crate::model::rows::{HostRows, Rows};
use crate::model::weights::StoredMatrix;
use crate::model::{ModelConfig, Weights};
use candle_core::{DType, Tensor};

/// One row of weights for each token, and where positions are learned, one for each position.
pub struct Embedding {
    /// `[vocabulary, hidden]`
    tokens: StoredMatrix,
    /// `[positions, hidden]`
    positions: Option<StoredMatrix>,
    scale: f32,
    /// Prefix of the matrix in the checkpoint.
    stored_as: String,
    /// The rows of both where rows are tensors.
    device: Option<(Tensor, Option<Tensor>)>,
}

impl Embedding {
    /// Reads `<name>.weight`; where the head `head` is tied to it and only the head's matrix is stored, that one.
    pub fn load(weights: &mut Weights, config: &ModelConfig, name: &str, head: &str) -> Result<Embedding> {
        let only_head = config.tie_word_embeddings && !weights.has_matrix(name) && weights.has_matrix(head);
        let stored_as = if only_head { head } else { name }.to_string();
        let tokens = weights.embedding(&stored_as, config.vocab_size, config.hidden_size)?;
        Embedding { tokens, positions: None, scale: 1.0, stored_as, device: None }.placed(weights)
    }

    /// Whether the matrix is the one under a prefix.
    pub fn is_stored_as(&self, prefix: &str) -> bool {
        self.stored_as == prefix
    }

    /// Adds learned positions, read from `<name>.weight`.
    pub fn with_positions(mut self, weights: &mut Weights, name: &str, positions: usize) -> Result<Embedding> {
        self.positions = Some(weights.embedding(name, positions, self.tokens.ins())?);
        self.placed(weights)
    }

    /// Multiplies the rows by a factor, rounded to the format of the weights as transformers rounds it.
    pub fn scaled(mut self, weights: &Weights, scale: f32) -> Embedding {
        self.scale = match weights.backend().weights {
            DType::BF16 => half::bf16::from_f32(scale).to_f32(),
            DType::F16 => half::f16::from_f32(scale).to_f32(),
            _ => scale,
        };
        self
    }

    /// Bytes of the matrices in memory.
    pub fn bytes(&self) -> usize {
        self.tokens.memory_bytes() + self.positions.as_ref().map_or(0, StoredMatrix::memory_bytes)
    }

    /// The matrix, for heads that share it.
    pub fn matrix(&self) -> &StoredMatrix {
        &self.tokens
    }

    /// Positions that can be embedded, where they are learned.
    pub fn max_positions(&self) -> Option<usize> {
        self.positions.as_ref().map(StoredMatrix::outs)
    }

    fn placed(mut self, weights: &Weights) -> Result<Embedding> {
        let backend = weights.backend();
        if let Place::Device(device) = &backend.place {
            let moved = |matrix: &StoredMatrix| {
                let mut values = vec![0.0; matrix.outs() * matrix.ins()];
                matrix.rows(0..matrix.outs(), &mut values);
                Tensor::from_vec(values, (matrix.outs(), matrix.ins()), device)?.to_dtype(backend.weights)
            };
            let tensors =
                moved(&self.tokens).and_then(|tokens| Ok((tokens, self.positions.as_ref().map(moved).transpose()?)));
            self.device = Some(tensors.map_err(|e| Error::input("cannot move the embedding to the device").cause(e))?);
        }
        Ok(self)
    }

    /// Rows of tokens at their positions. `[ids, hidden]`
    pub fn forward(&self, ids: &[u32], positions: &[usize]) -> candle_core::Result<Rows> {
        spend(Kind::Embedding, 0, || self.look_up(ids, positions))
    }

    fn look_up(&self, ids: &[u32], positions: &[usize]) -> candle_core::Result<Rows> {
        if let Some((tokens, learned)) = &self.device {
            let device = tokens.device();
            let mut x = tokens.index_select(&Tensor::new(ids, device)?, 0)?;
            if let Some(learned) = learned {
                let positions: Vec<u32> = positions.iter().map(|p| *p as u32).collect();
                x = (x + learned.index_select(&Tensor::new(positions, device)?, 0)?)?;
            }
            return Ok(Rows::Device(if self.scale == 1.0 { x } else { x.affine(f64::from(self.scale), 0.0)? }));
        }
        let width = self.tokens.ins();
        let mut x = HostRows::new(ids.len(), width);
        let mut learned = vec![0.0; if self.positions.is_some() { width } else { 0 }];
        for (row, (id, position)) in ids.iter().zip(positions).enumerate() {
            let (id, to) = (*id as usize, x.row_mut(row));
            self.tokens.rows(id..id + 1, to);
            if let Some(table) = &self.positions {
                table.rows(*position..*position + 1, &mut learned);
                to.iter_mut().zip(&learned).for_each(|(x, p)| *x += p);
            }
        }
        let mut x = Rows::Host(x);
        if self.scale != 1.0 {
            x.scale(self.scale)?;
        }
        Ok(x)
    }
}
