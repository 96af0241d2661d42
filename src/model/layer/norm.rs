//! Root-mean-square norm, computed in f32 whatever the format of the activations.

use crate::error::{Error, Result};
use crate::model::Weights;
use candle_core::{DType, Tensor};
use candle_nn::ops::rms_norm;

/// What a norm's weights mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RmsNormKind {
    /// Factors (Llama): the normed row is rounded to the activations' format, then multiplied.
    Scale,
    /// Offsets from one (Gemma): multiplied in f32, then rounded.
    OnePlus,
}

/// `x / sqrt(mean(x^2) + eps) * weight`
pub struct RmsNorm {
    /// Factors in f32 for the fused operation: ones where [`Self::after`] multiplies. `[hidden]`
    inside: Tensor,
    /// Factors in the activations' format, applied after rounding. `[hidden]`
    after: Option<Tensor>,
    eps: f32,
}

impl RmsNorm {
    /// Reads `<name>.weight`.
    pub fn load(weights: &mut Weights, name: &str, hidden_size: usize, eps: f64, kind: RmsNormKind) -> Result<RmsNorm> {
        let weight = weights.vector_tensor(&format!("{name}.weight"), hidden_size)?;
        let made = (|| {
            let wide = weight.to_dtype(DType::F32)?;
            Ok::<_, candle_core::Error>(match kind {
                RmsNormKind::OnePlus => (wide.affine(1.0, 1.0)?, None),
                // In f32 there is nothing to round in between, so one fused operation does it all.
                RmsNormKind::Scale if weight.dtype() == DType::F32 => (wide, None),
                RmsNormKind::Scale => (wide.ones_like()?, Some(weight)),
            })
        })();
        let (inside, after) = made.map_err(|e| Error::input("cannot prepare the norm").key(name).cause(e))?;
        Ok(RmsNorm { inside, after, eps: eps as f32 })
    }

    /// `[rows, hidden]` to `[rows, hidden]`
    pub fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let normed = rms_norm(&x.to_dtype(DType::F32)?, &self.inside, self.eps)?.to_dtype(x.dtype())?;
        match &self.after {
            Some(weight) => normed.broadcast_mul(weight),
            None => Ok(normed),
        }
    }
}
