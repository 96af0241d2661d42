//! A linear layer. It hides how its matrix is stored, so that no architecture needs a quantised twin.

use crate::error::Result;
use crate::model::Weights;
use candle_core::{DType, Tensor};

/// `x W^T + b`
pub struct Projection {
    /// `[out, in]`, in the format that matrices are multiplied in
    weight: Tensor,
    /// `[out]`
    bias: Option<Tensor>,
    activations: DType,
}

impl Projection {
    /// Reads `<name>.weight` and, if there should be one, `<name>.bias`.
    pub fn load(weights: &mut Weights, name: &str, out: usize, width: usize, bias: bool) -> Result<Projection> {
        let weight = weights.matrix(&format!("{name}.weight"), &[out, width])?;
        let bias = if bias { Some(weights.matrix(&format!("{name}.bias"), &[out])?) } else { None };
        Ok(Projection { weight, bias, activations: weights.backend().activations })
    }

    /// A projection with a matrix that is already there (a tied head).
    pub fn shared(weight: Tensor, activations: DType) -> Projection {
        Projection { weight, bias: None, activations }
    }

    /// `[rows, in]` to `[rows, out]`
    pub fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let x = x.to_dtype(self.weight.dtype())?.matmul(&self.weight.t()?)?;
        let x = match &self.bias {
            Some(bias) => x.broadcast_add(bias)?,
            None => x,
        };
        x.to_dtype(self.activations)
    }
}
