//! Norms, computed in f32 whatever the format of the weights.

use crate::error::{Error, Result};
use crate::kernel;
use crate::model::Weights;
use crate::model::backend::Place;
use crate::model::profile::{Kind as Work, spend};
use crate::model::rows::{HostRows, Rows, mixed, tensor};
use candle_core::{D, DType, Tensor};

/// A norm over the width of a row.
pub struct Norm {
    /// Factors, an offset of one added. `[width]`
    weight: Vec<f32>,
    /// `[width]`
    bias: Option<Vec<f32>>,
    eps: f32,
    kind: Kind,
    /// Factors and bias where rows are tensors.
    device: Option<(Tensor, Option<Tensor>)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `x / sqrt(mean(x^2) + eps) * weight`
    Rms,
    /// `(x - mean(x)) / sqrt(var(x) + eps) * weight + bias`
    Layer,
}

impl Norm {
    /// Root-mean-square norm: reads `<name>.weight`; `offset` is added to the weights (Gemma: 1, else 0).
    pub fn rms(weights: &mut Weights, name: &str, width: usize, eps: f64, offset: f32) -> Result<Norm> {
        let mut weight = weights.vector(&format!("{name}.weight"), width)?;
        weight.iter_mut().for_each(|w| *w += offset);
        Norm::new(weights, weight, None, eps, Kind::Rms)
    }

    /// Layer norm: reads `<name>.weight` and `<name>.bias`.
    pub fn layer(weights: &mut Weights, name: &str, width: usize, eps: f64) -> Result<Norm> {
        let weight = weights.vector(&format!("{name}.weight"), width)?;
        let bias = weights.vector(&format!("{name}.bias"), width)?;
        Norm::new(weights, weight, Some(bias), eps, Kind::Layer)
    }

    fn new(weights: &Weights, weight: Vec<f32>, bias: Option<Vec<f32>>, eps: f64, kind: Kind) -> Result<Norm> {
        let device = match &weights.backend().place {
            Place::Host => None,
            Place::Device(device) => {
                let made = tensor(&weight, device, DType::F32)
                    .and_then(|w| Ok((w, bias.as_ref().map(|b| tensor(b, device, DType::F32)).transpose()?)));
                Some(made.map_err(|e| Error::input("cannot prepare a norm").cause(e))?)
            }
        };
        Ok(Norm { weight, bias, eps: eps as f32, kind, device })
    }

    /// Factors of the norm. `[width]`
    pub fn weight(&self) -> &[f32] {
        &self.weight
    }

    pub fn eps(&self) -> f32 {
        self.eps
    }

    /// `[rows, width]` to `[rows, width]`
    pub fn forward(&self, x: &Rows) -> candle_core::Result<Rows> {
        spend(Work::Norms, 0, || self.norm(x))
    }

    fn norm(&self, x: &Rows) -> candle_core::Result<Rows> {
        match x {
            Rows::Host(x) => {
                let mut out = HostRows::new(x.rows(), x.width());
                match self.kind {
                    Kind::Rms => kernel::rms_norm(x, x.width(), &self.weight, self.eps, &mut out),
                    Kind::Layer => {
                        kernel::layer_norm(x, x.width(), &self.weight, self.bias.as_deref(), self.eps, &mut out);
                    }
                }
                Ok(Rows::Host(out))
            }
            Rows::Device(x) => Ok(Rows::Device(self.tensor(x)?)),
        }
    }

    /// `x += factor * y`, then the norm of `x`: one pass over memory where the kernel has it.
    pub fn add_forward(&self, x: &mut Rows, y: &Rows, factor: f32) -> candle_core::Result<Rows> {
        spend(Work::Norms, 0, || self.add_norm(x, y, factor))
    }

    fn add_norm(&self, x: &mut Rows, y: &Rows, factor: f32) -> candle_core::Result<Rows> {
        match (&mut *x, y, self.kind) {
            (Rows::Host(x), Rows::Host(y), Kind::Rms) => {
                let width = x.width();
                let mut out = HostRows::new(x.rows(), width);
                kernel::add_rms_norm(x, y, factor, width, &self.weight, self.eps, &mut out);
                Ok(Rows::Host(out))
            }
            _ => {
                x.add_scaled(y, factor)?;
                self.norm(x)
            }
        }
    }

    /// The norm over the last dimension of a tensor of any rank, by candle's operations, in f32 inside.
    pub fn tensor(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let Some((weight, bias)) = &self.device else { return mixed() };
        let wide = x.to_dtype(DType::F32)?;
        let centred = match self.kind {
            Kind::Rms => wide,
            Kind::Layer => wide.broadcast_sub(&wide.mean_keepdim(D::Minus1)?)?,
        };
        let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
        let normed = centred.broadcast_div(&(variance + f64::from(self.eps))?.sqrt()?)?.broadcast_mul(weight)?;
        let normed = match bias {
            Some(bias) => normed.broadcast_add(bias)?,
            None => normed,
        };
        normed.to_dtype(x.dtype())
    }
}
