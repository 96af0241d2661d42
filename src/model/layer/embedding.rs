//! The first and the last matrix: token ids to hidden states, hidden states to logits.

use super::projection::Projection;
use crate::error::{Error, Result};
use crate::model::{ModelConfig, Weights};
use candle_core::{DType, Tensor};

/// One row of weights for each token.
pub struct Embedding {
    /// `[vocabulary, hidden]`
    weight: Tensor,
    activations: DType,
}

impl Embedding {
    /// Reads `<name>.weight`.
    pub fn load(weights: &mut Weights, name: &str, vocab_size: usize, hidden_size: usize) -> Result<Embedding> {
        let weight = weights.matrix(&format!("{name}.weight"), &[vocab_size, hidden_size])?;
        Ok(Embedding { weight, activations: weights.backend().activations })
    }

    /// Rows of the ids. `[ids, hidden]`
    pub fn forward(&self, ids: &[u32]) -> candle_core::Result<Tensor> {
        let ids = Tensor::new(ids, self.weight.device())?;
        self.weight.index_select(&ids, 0)?.to_dtype(self.activations)
    }
}

/// The language-model head.
pub struct Head {
    projection: Projection,
}

impl Head {
    /// Reads `lm_head.weight`, or takes the embedding's matrix where the two are tied.
    pub fn load(weights: &mut Weights, config: &ModelConfig, embedding: &Embedding) -> Result<Head> {
        let activations = weights.backend().activations;
        if config.tie_word_embeddings {
            weights.ignore("lm_head.weight");
            return Ok(Head { projection: Projection::shared(embedding.weight.clone(), activations) });
        }
        if !weights.has("lm_head.weight") {
            return Err(Error::input("the tensor lm_head.weight is missing").file(&config.file).hint(
                "the checkpoint may share the embedding's matrix: then config.json should say \"tie_word_embeddings\": true",
            ));
        }
        let projection = Projection::load(weights, "lm_head", config.vocab_size, config.hidden_size, false)?;
        Ok(Head { projection })
    }

    /// Logits in f32. `[rows, vocabulary]`
    pub fn forward(&self, hidden: &Tensor) -> candle_core::Result<Tensor> {
        self.projection.forward(hidden)?.to_dtype(DType::F32)
    }
}
