//! Hidden states to log-probabilities: the final norm and the language-model head, only at the rows that are asked for.

use super::embedding::Embedding;
use super::norm::Norm;
use super::projection::{Part, Projection};
use crate::error::Result;
use crate::kernel::{self, HeadSpec, RowScore};
use crate::model::profile::{Kind, spend};
use crate::model::rows::Rows;
use crate::model::{ModelConfig, Weights};
use candle_core::DType;

/// The language-model head with the norm before it.
pub struct Head {
    norm: Norm,
    projection: Projection,
    scale: f32,
    softcap: Option<f32>,
}

impl Head {
    /// Reads `<name>.weight`, or takes the embedding's matrix where the two are tied: the configuration says so, and the checkpoint
    /// holds no other matrix.
    pub fn load(
        weights: &mut Weights,
        config: &ModelConfig,
        name: &str,
        embedding: &Embedding,
        norm: Norm,
    ) -> Result<Head> {
        let tied = || Part { weight: embedding.matrix().clone(), bias: None };
        let stored = weights.has_matrix(name);
        let part = if config.tie_word_embeddings && (!stored || embedding.is_stored_as(name)) {
            tied()
        } else if config.tie_word_embeddings {
            let apart = weights.head_apart(name, embedding.matrix())?;
            apart.map_or_else(tied, |weight| Part { weight, bias: None })
        } else if stored {
            let bias_name = format!("{name}.bias");
            let bias =
                if weights.has(&bias_name) { Some(weights.vector(&bias_name, config.vocab_size)?) } else { None };
            Part { weight: weights.head(name, config.vocab_size, config.hidden_size)?, bias }
        } else {
            return Err(weights.absent(&format!("{name}.weight")).file(&config.file).hint(
                "the checkpoint may share the embedding's matrix: then config.json should say \"tie_word_embeddings\": true",
            ));
        };
        Ok(Head { norm, projection: Projection::new(weights.backend(), vec![part])?, scale: 1.0, softcap: None })
    }

    /// Multiplies the logits by a factor (Granite divides them).
    pub fn scaled(mut self, scale: f32) -> Head {
        self.scale = scale;
        self
    }

    /// Bounds logits softly: `cap * tanh(logit / cap)` (Gemma 2).
    pub fn soft_capped(mut self, cap: Option<f32>) -> Head {
        self.softcap = cap;
        self
    }

    /// Bytes of the packed weights.
    pub fn bytes(&self) -> usize {
        self.projection.bytes()
    }

    /// Log-probabilities of `targets[i]` after the token of row `rows[i]` of `hidden`.
    pub fn log_probs(&self, hidden: &Rows, rows: &[usize], targets: &[&[u32]]) -> candle_core::Result<Vec<RowScore>> {
        let x = self.norm.forward(&hidden.gather(rows)?)?;
        if let (Rows::Host(x), Some((matrix, arithmetic))) = (&x, self.projection.packed()) {
            let score = || {
                let bias = self.projection.bias();
                kernel::log_probs((matrix, arithmetic), self.spec(), bias, x, targets)
            };
            return Ok(spend(Kind::Head, 2 * (x.rows() * matrix.ins() * matrix.outs()) as u64, score));
        }
        let vocabulary = self.projection.outs();
        let logits = self.tensor_logits(&x)?;
        Ok(logits.chunks(vocabulary).zip(targets).map(|(row, targets)| RowScore::of(row, targets)).collect())
    }

    /// Logits after the tokens of some rows. `[rows, vocabulary]`
    pub fn logits(&self, hidden: &Rows, rows: &[usize]) -> candle_core::Result<Vec<f32>> {
        let x = self.norm.forward(&hidden.gather(rows)?)?;
        if let (Rows::Host(x), Some((matrix, arithmetic))) = (&x, self.projection.packed()) {
            let mut out = vec![0.0; x.rows() * self.projection.outs()];
            spend(Kind::Head, 2 * (x.rows() * matrix.ins() * matrix.outs()) as u64, || {
                kernel::logits((matrix, arithmetic), self.spec(), self.projection.bias(), x, x.rows(), &mut out);
            });
            return Ok(out);
        }
        self.tensor_logits(&x)
    }

    fn spec(&self) -> HeadSpec {
        HeadSpec { scale: self.scale, softcap: self.softcap }
    }

    fn tensor_logits(&self, x: &Rows) -> candle_core::Result<Vec<f32>> {
        let Rows::Device(logits) = self.projection.forward(x)? else { return crate::model::rows::mixed() };
        let logits = logits.to_dtype(DType::F32)?.affine(f64::from(self.scale), 0.0)?;
        let logits = match self.softcap {
            Some(cap) => ((logits / f64::from(cap))?.tanh()? * f64::from(cap))?,
            None => logits,
        };
        logits.flatten_all()?.to_vec1()
    }
}
