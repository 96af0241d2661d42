//! Parts that the encoders share, read from a checkpoint with their shapes checked.

use super::batch::Batch;
use crate::error::{Error, Result};
use crate::model::Weights;
use candle_core::{D, Device, Tensor};
use candle_nn::{Embedding, LayerNorm, Linear, Module};

/// Result of tensor arithmetic.
pub type Candle<T> = candle_core::Result<T>;

/// An error of tensor arithmetic as one of ours.
pub fn arithmetic(err: candle_core::Error) -> Error {
    Error::input("the classifier cannot be computed").cause(err)
}

/// A matrix `[rows, columns]`: `<prefix>.weight`.
pub fn matrix(weights: &mut Weights, prefix: &str, rows: usize, columns: usize) -> Result<Tensor> {
    let stored = weights.embedding(prefix, rows, columns)?;
    let mut values = vec![0.0; rows * columns];
    stored.rows(0..rows, &mut values);
    stored.release();
    Tensor::from_vec(values, (rows, columns), &Device::Cpu).map_err(arithmetic)
}

/// A vector: the tensor of that name.
pub fn vector(weights: &mut Weights, name: &str, len: usize) -> Result<Tensor> {
    Tensor::from_vec(weights.vector(name, len)?, len, &Device::Cpu).map_err(arithmetic)
}

/// A linear layer with its bias.
pub fn linear(weights: &mut Weights, prefix: &str, outs: usize, ins: usize) -> Result<Linear> {
    let bias = vector(weights, &format!("{prefix}.bias"), outs)?;
    Ok(Linear::new(matrix(weights, prefix, outs, ins)?, Some(bias)))
}

/// A linear layer, with a bias where the checkpoint has one.
pub fn linear_maybe_bias(weights: &mut Weights, prefix: &str, outs: usize, ins: usize) -> Result<Linear> {
    match weights.has(&format!("{prefix}.bias")) {
        true => linear(weights, prefix, outs, ins),
        false => Ok(Linear::new(matrix(weights, prefix, outs, ins)?, None)),
    }
}

/// A layer norm; checkpoints converted from TensorFlow call its parts `gamma` and `beta`, and some models have no bias.
pub fn layer_norm(weights: &mut Weights, prefix: &str, width: usize, eps: f64) -> Result<LayerNorm> {
    let is_old = weights.has(&format!("{prefix}.gamma"));
    let [scale, shift] = if is_old { ["gamma", "beta"] } else { ["weight", "bias"] };
    let scale = vector(weights, &format!("{prefix}.{scale}"), width)?;
    let shift = format!("{prefix}.{shift}");
    let shift = match weights.has(&shift) {
        true => vector(weights, &shift, width)?,
        false => scale.zeros_like().map_err(arithmetic)?,
    };
    Ok(LayerNorm::new(scale, shift, eps))
}

/// A table of rows by id.
pub fn embedding(weights: &mut Weights, prefix: &str, rows: usize, width: usize) -> Result<Embedding> {
    Ok(Embedding::new(matrix(weights, prefix, rows, width)?, width))
}

/// Activation functions by their names in `config.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Gelu,
    GeluTanh,
    Relu,
    Silu,
    Tanh,
}

/// Names, as transformers knows them.
const ACTS: &[(&str, Act)] = &[
    ("gelu", Act::Gelu),
    ("gelu_python", Act::Gelu),
    ("gelu_new", Act::GeluTanh),
    ("gelu_pytorch_tanh", Act::GeluTanh),
    ("gelu_fast", Act::GeluTanh),
    ("relu", Act::Relu),
    ("silu", Act::Silu),
    ("swish", Act::Silu),
    ("tanh", Act::Tanh),
];

impl Act {
    pub fn named(name: &str) -> Option<Act> {
        ACTS.iter().find(|(known, _)| *known == name).map(|(_, act)| *act)
    }
}

impl Module for Act {
    fn forward(&self, values: &Tensor) -> Candle<Tensor> {
        match self {
            Act::Gelu => values.gelu_erf(),
            Act::GeluTanh => values.gelu(),
            Act::Relu => values.relu(),
            Act::Silu => values.silu(),
            Act::Tanh => values.tanh(),
        }
    }
}

/// `[batch, time, heads * width]` as `[batch, heads, time, width]`.
pub fn split_heads(values: &Tensor, heads: usize) -> Candle<Tensor> {
    let (batch, time, width) = values.dims3()?;
    values.reshape((batch, time, heads, width / heads.max(1)))?.transpose(1, 2)?.contiguous()
}

/// The weighted values of all heads, `[batch, time, heads * width]`. `scores`, `[batch, heads, time, time]`, are scaled already; places
/// behind the end of a text get no weight.
pub fn attend(scores: &Tensor, values: &Tensor, batch: &Batch) -> Candle<Tensor> {
    let scores = match batch.mask() {
        Some(mask) => scores.broadcast_add(mask)?,
        None => scores.clone(),
    };
    let attended = candle_nn::ops::softmax_last_dim(&scores)?.matmul(values)?;
    let (batch, heads, time, width) = attended.dims4()?;
    attended.transpose(1, 2)?.reshape((batch, time, heads * width))
}

/// Hidden states of the first token, `[batch, width]`.
pub fn first_token(hidden: &Tensor) -> Candle<Tensor> {
    hidden.narrow(1, 0, 1)?.squeeze(1)?.contiguous()
}

/// Scores of queries and keys, `[batch, heads, time, time]`.
pub fn dot_products(queries: &Tensor, keys: &Tensor, scale: f64) -> Candle<Tensor> {
    (queries * scale)?.matmul(&keys.transpose(D::Minus2, D::Minus1)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_errors_name_the_classifier() {
        let err = Tensor::zeros((2, 2), candle_core::DType::F32, &Device::Cpu).unwrap().reshape((3, 3)).unwrap_err();
        assert!(arithmetic(err).to_string().contains("classifier"));
    }
}
