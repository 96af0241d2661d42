//! Packed rows: the hidden states of many tokens of many sequences, one below the other, without padding.
//!
//! On the CPU they are plain memory that the kernels work on; on other devices (and where candle serves as the test oracle) they
//! are a candle tensor. Layers are written once over both.

use crate::kernel::{self, Activation, Scratch, ScratchBuffer};
use candle_core::{DType, Device, Result, Tensor};
use std::sync::LazyLock;

/// Temporaries of all forward passes of this process.
static SCRATCH: LazyLock<Scratch> = LazyLock::new(Scratch::new);

/// Rows in memory. `[rows, width]`, f32
pub struct HostRows {
    data: ScratchBuffer<'static>,
    rows: usize,
    width: usize,
}

impl HostRows {
    /// Rows with unspecified contents.
    pub fn new(rows: usize, width: usize) -> HostRows {
        HostRows { data: SCRATCH.take(rows * width), rows, width }
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn width(&self) -> usize {
        self.width
    }

    /// One row.
    pub fn row_mut(&mut self, row: usize) -> &mut [f32] {
        let width = self.width;
        &mut self.data[row * width..(row + 1) * width]
    }

    /// One row.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.data[row * self.width..(row + 1) * self.width]
    }
}

impl std::ops::Deref for HostRows {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.data[..self.rows * self.width]
    }
}

impl std::ops::DerefMut for HostRows {
    fn deref_mut(&mut self) -> &mut [f32] {
        let len = self.rows * self.width;
        &mut self.data[..len]
    }
}

/// Packed rows, wherever they are. `[rows, width]`
pub enum Rows {
    Host(HostRows),
    Device(Tensor),
}

impl Rows {
    /// How many rows there are.
    pub fn rows(&self) -> Result<usize> {
        match self {
            Rows::Host(x) => Ok(x.rows()),
            Rows::Device(x) => x.dim(0),
        }
    }

    /// Some of the rows, in the order of `rows`.
    pub fn gather(&self, rows: &[usize]) -> Result<Rows> {
        Ok(match self {
            Rows::Host(x) => {
                let mut picked = HostRows::new(rows.len(), x.width());
                rows.iter().enumerate().for_each(|(to, from)| picked.row_mut(to).copy_from_slice(x.row(*from)));
                Rows::Host(picked)
            }
            Rows::Device(x) => {
                let rows: Vec<u32> = rows.iter().map(|row| *row as u32).collect();
                Rows::Device(x.index_select(&Tensor::new(rows, x.device())?, 0)?)
            }
        })
    }

    /// `self += factor * y`
    pub fn add_scaled(&mut self, y: &Rows, factor: f32) -> Result<()> {
        match (self, y) {
            (Rows::Host(x), Rows::Host(y)) if factor == 1.0 => kernel::add(x, y),
            (Rows::Host(x), Rows::Host(y)) => kernel::add_scaled(x, y, factor),
            (Rows::Device(x), Rows::Device(y)) if factor == 1.0 => *x = (&*x + y)?,
            (Rows::Device(x), Rows::Device(y)) => *x = (&*x + y.affine(f64::from(factor), 0.0)?)?,
            _ => return mixed(),
        }
        Ok(())
    }

    /// `self *= factor`
    pub fn scale(&mut self, factor: f32) -> Result<()> {
        match self {
            Rows::Host(x) => kernel::scale(x, factor),
            Rows::Device(x) => *x = x.affine(f64::from(factor), 0.0)?,
        }
        Ok(())
    }

    /// An activation, in place.
    pub fn activate(&mut self, activation: Activation) -> Result<()> {
        match self {
            Rows::Host(x) => kernel::activate(activation, x),
            Rows::Device(x) => *x = activated(x, activation)?,
        }
        Ok(())
    }

    /// `[rows, 2 * width]` of gates and values to `[rows, width]` of `activation(gate) * value`.
    pub fn gated(&self, activation: Activation) -> Result<Rows> {
        Ok(match self {
            Rows::Host(x) => {
                let width = x.width() / 2;
                let mut out = HostRows::new(x.rows(), width);
                kernel::gated(activation, x, width, &mut out);
                Rows::Host(out)
            }
            Rows::Device(x) => {
                let width = x.dim(1)? / 2;
                let gate = activated(&x.narrow(1, 0, width)?.contiguous()?, activation)?;
                Rows::Device((gate * x.narrow(1, width, width)?)?)
            }
        })
    }
}

/// Two sets of rows that should be in one place are in two: a fault of the layers.
pub fn mixed<T>() -> Result<T> {
    candle_core::bail!("rows in memory and rows on a device were mixed")
}

/// An activation by candle's operations.
fn activated(x: &Tensor, activation: Activation) -> Result<Tensor> {
    match activation {
        Activation::Silu => x.silu(),
        Activation::Gelu => x.gelu_erf(),
        Activation::GeluTanh => x.gelu(),
        Activation::Relu => x.relu(),
        Activation::Relu2 => x.relu()?.sqr(),
        Activation::QuickGelu => x * candle_nn::ops::sigmoid(&x.affine(1.702, 0.0)?)?,
    }
}

/// A vector of weights as a tensor on a device.
pub fn tensor(values: &[f32], device: &Device, dtype: DType) -> Result<Tensor> {
    Tensor::new(values, device)?.to_dtype(dtype)
}
