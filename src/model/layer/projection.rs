//! Linear layers: one type that hides how the weights are stored and multiplied.

use crate::error::{Error, Result};
use crate::kernel::{self, Arithmetic, Keep, PackedMatrix};
use crate::model::Weights;
use crate::model::backend::{Activations, Backend, Place};
use crate::model::profile::{Kind, spend};
use crate::model::rows::{HostRows, Rows, mixed, tensor};
use crate::model::weights::StoredMatrix;
use candle_core::{DType, Tensor};

/// A matrix of a checkpoint with its bias.
pub struct Part {
    pub weight: StoredMatrix,
    /// `[outs]`
    pub bias: Option<Vec<f32>>,
}

/// `x W^T + b` for one matrix, or for several that share their input, whose outputs stand side by side.
pub struct Projection {
    form: Form,
    /// Of all parts; empty when none has a bias.
    bias: Vec<f32>,
    outs: usize,
    ins: usize,
}

enum Form {
    Host { parts: Vec<PackedMatrix>, arithmetic: Arithmetic },
    Mixed(Vec<Mixed>),
    Device { weight: Tensor, bias: Option<Tensor> },
}

/// The mixed scheme of LLM.int8 (Dettmers et al. 2022, arXiv:2208.07339): most channels of a row are rounded to int8 and
/// multiplied with the int8 codes of the weights; those at or above a threshold are multiplied in f16 with the dequantised weights.
struct Mixed {
    /// The codes as numbers.
    codes: PackedMatrix,
    /// What a code is worth in each output. `[outs]`
    scales: Vec<f32>,
    /// The dequantised weights, for outlier channels.
    exact: PackedMatrix,
    threshold: f32,
}

impl Part {
    /// Reads the linear layer under a prefix, with `<prefix>.bias` if `bias`.
    pub fn linear(weights: &mut Weights, prefix: &str, outs: usize, ins: usize, bias: bool) -> Result<Part> {
        let bias = if bias { Some(weights.vector(&format!("{prefix}.bias"), outs)?) } else { None };
        Ok(Part { weight: weights.linear(prefix, outs, ins)?, bias })
    }

    /// Some rows of the part, in the order of `rows`.
    pub fn select(&self, rows: &[usize]) -> Part {
        let bias = self.bias.as_ref().map(|b| rows.iter().filter_map(|row| b.get(*row).copied()).collect());
        Part { weight: self.weight.select_rows(rows), bias }
    }
}

impl Projection {
    /// Reads one linear layer.
    pub fn load(weights: &mut Weights, prefix: &str, outs: usize, ins: usize, bias: bool) -> Result<Projection> {
        let part = Part::linear(weights, prefix, outs, ins, bias)?;
        Projection::new(weights.backend(), vec![part])
    }

    /// Packs matrices of equal input width.
    pub fn new(backend: &Backend, parts: Vec<Part>) -> Result<Projection> {
        let outs = parts.iter().map(|part| part.weight.outs()).sum();
        let ins = parts.first().map_or(0, |part| part.weight.ins());
        let mut bias = Vec::new();
        if parts.iter().any(|part| part.bias.is_some()) {
            for part in &parts {
                match &part.bias {
                    Some(values) => bias.extend_from_slice(values),
                    None => bias.resize(bias.len() + part.weight.outs(), 0.0),
                }
            }
        }
        let form = match &backend.place {
            Place::Host if is_mixed(&parts, backend) => {
                Form::Mixed(parts.iter().map(Mixed::new).collect::<Result<_>>()?)
            }
            Place::Host => Form::Host {
                parts: parts.iter().map(|part| pack(&part.weight, backend)).collect::<Result<_>>()?,
                arithmetic: backend.arithmetic,
            },
            Place::Device(_) => {
                let weights: Vec<&StoredMatrix> = parts.iter().map(|part| &part.weight).collect();
                let (weight, bias) = on_device(&weights, &bias, backend)
                    .map_err(|e| Error::input("cannot move weights to the device").cause(e))?;
                Form::Device { weight, bias }
            }
        };
        Ok(Projection { form, bias, outs, ins })
    }

    /// Width of the output.
    pub fn outs(&self) -> usize {
        self.outs
    }

    /// Bytes of the packed weights.
    pub fn bytes(&self) -> usize {
        match &self.form {
            Form::Host { parts, .. } => parts.iter().map(PackedMatrix::bytes).sum(),
            Form::Mixed(parts) => parts.iter().map(|p| p.codes.bytes() + p.exact.bytes()).sum(),
            Form::Device { weight, .. } => weight.elem_count() * weight.dtype().size_in_bytes(),
        }
    }

    /// The packed matrix of a projection of one part, where rows are in memory.
    pub fn packed(&self) -> Option<(&PackedMatrix, Arithmetic)> {
        match &self.form {
            Form::Host { parts, arithmetic } => parts.first().map(|part| (part, *arithmetic)),
            _ => None,
        }
    }

    /// The biases of all outputs, if there are any. `[outs]`
    pub fn bias(&self) -> Option<&[f32]> {
        (!self.bias.is_empty()).then_some(self.bias.as_slice())
    }

    /// `[rows, ins]` to `[rows, outs]`
    pub fn forward(&self, x: &Rows) -> candle_core::Result<Rows> {
        let flops = 2 * x.rows()? * self.ins * self.outs;
        spend(Kind::Linear, flops as u64, || self.multiply(x))
    }

    fn multiply(&self, x: &Rows) -> candle_core::Result<Rows> {
        match (&self.form, x) {
            (Form::Host { parts, arithmetic }, Rows::Host(x)) => {
                let parts: Vec<&PackedMatrix> = parts.iter().collect();
                let mut y = HostRows::new(x.rows(), self.outs);
                kernel::multiply(&parts, *arithmetic, x, x.rows(), &mut y, self.outs);
                self.add_bias(&mut y);
                Ok(Rows::Host(y))
            }
            (Form::Mixed(parts), Rows::Host(x)) => {
                let mut y = HostRows::new(x.rows(), self.outs);
                let mut column = 0;
                for part in parts {
                    part.multiply(x, &mut y, column);
                    column += part.codes.outs();
                }
                self.add_bias(&mut y);
                Ok(Rows::Host(y))
            }
            (Form::Device { weight, bias }, Rows::Device(x)) => {
                let y = x.to_dtype(weight.dtype())?.matmul(&weight.t()?)?;
                Ok(Rows::Device(match bias {
                    Some(bias) => y.broadcast_add(bias)?,
                    None => y,
                }))
            }
            _ => mixed(),
        }
    }

    fn add_bias(&self, y: &mut HostRows) {
        if !self.bias.is_empty() {
            kernel::add_bias(y, self.outs, &self.bias);
        }
    }
}

impl Mixed {
    fn new(part: &Part) -> Result<Mixed> {
        let StoredMatrix::Grouped(grouped) = &part.weight else {
            return Err(Error::input("the mixed form of LLM.int8 needs int8 codes"));
        };
        let threshold = part.weight.llm_int8_threshold().unwrap_or(f32::INFINITY);
        let mut codes = grouped.codes.clone();
        if codes.group != codes.ins {
            return Err(Error::input("the mixed form of LLM.int8 needs one scale a row"));
        }
        let scales = codes.scales.clone();
        codes.scales.fill(1.0);
        codes.rounding = kernel::Rounding::None;
        let exact = PackedMatrix::grouped(&grouped.codes);
        Ok(Mixed { codes: PackedMatrix::grouped(&codes), scales, exact, threshold })
    }

    /// Which channels are outliers is decided for each row on its own, so that a row's numbers do not depend on its company
    /// (bitsandbytes decides for all rows of a call together).
    fn multiply(&self, x: &HostRows, y: &mut HostRows, column: usize) {
        let (rows, ins, outs) = (x.rows(), x.width(), self.codes.outs());
        let (mut inner, mut outliers) = (HostRows::new(rows, ins), HostRows::new(rows, ins));
        let mut row_scales = vec![0.0f32; rows];
        let mut any_outlier = false;
        for (row, row_scale) in row_scales.iter_mut().enumerate() {
            // bitsandbytes casts rows to f16 first.
            let half = |value: f32| half::f16::from_f32(value).to_f32();
            let is_outlier = |value: f32| self.threshold > 0.0 && value.abs() >= self.threshold;
            let source = x.row(row);
            let absmax =
                source.iter().map(|v| half(*v)).filter(|v| !is_outlier(*v)).fold(0.0f32, |max, v| max.max(v.abs()));
            *row_scale = absmax / 127.0;
            let inverse = if absmax > 0.0 { 127.0 / absmax } else { 0.0 };
            let (inner, outliers) = (inner.row_mut(row), outliers.row_mut(row));
            for ((value, inner), outlier) in source.iter().zip(inner).zip(outliers) {
                let value = half(*value);
                let out = is_outlier(value);
                any_outlier |= out;
                (*inner, *outlier) = if out { (0.0, value) } else { ((value * inverse).round_ties_even(), 0.0) };
            }
        }
        let mut product = HostRows::new(rows, outs);
        kernel::multiply(&[&self.codes], Arithmetic::F32, &inner, rows, &mut product, outs);
        let mut apart = HostRows::new(rows, outs);
        if any_outlier {
            kernel::multiply(&[&self.exact], Arithmetic::F32, &outliers, rows, &mut apart, outs);
        } else {
            apart.fill(0.0);
        }
        for (row, row_scale) in row_scales.iter().enumerate() {
            let (product, apart) = (product.row(row), apart.row(row));
            let target = &mut y.row_mut(row)[column..column + outs];
            for (((to, product), apart), scale) in target.iter_mut().zip(product).zip(apart).zip(&self.scales) {
                *to = product * (row_scale * scale) + apart;
            }
        }
    }
}

/// Whether all parts are int8 and the mixed form is asked for.
fn is_mixed(parts: &[Part], backend: &Backend) -> bool {
    backend.activations == Activations::LlmInt8 && parts.iter().all(|part| part.weight.llm_int8_threshold().is_some())
}

/// Packs a matrix for the host's kernels: as it is stored where it is compressed, unless bf16 arithmetic is asked for.
pub fn pack(weight: &StoredMatrix, backend: &Backend) -> Result<PackedMatrix> {
    if let (StoredMatrix::Grouped(grouped), Arithmetic::F32 | Arithmetic::Int8) = (weight, backend.arithmetic) {
        return Ok(PackedMatrix::grouped(&grouped.codes));
    }
    let keep = if backend.weights == DType::BF16 || weight.is_bf16() { Keep::Bf16 } else { Keep::F32 };
    let packed = PackedMatrix::pack(weight.outs(), weight.ins(), keep, &|rows, values| weight.rows(rows, values));
    weight.release();
    Ok(packed)
}

/// All matrices below each other as one tensor, with the biases. `[outs, ins]`
fn on_device(
    weights: &[&StoredMatrix],
    bias: &[f32],
    backend: &Backend,
) -> candle_core::Result<(Tensor, Option<Tensor>)> {
    let Place::Device(device) = &backend.place else { return mixed() };
    let mut tensors = Vec::new();
    for weight in weights {
        let mut values = vec![0.0; weight.outs() * weight.ins()];
        weight.rows(0..weight.outs(), &mut values);
        tensors.push(Tensor::from_vec(values, (weight.outs(), weight.ins()), device)?.to_dtype(backend.weights)?);
    }
    let weight = Tensor::cat(&tensors, 0)?.contiguous()?;
    let bias = if bias.is_empty() { None } else { Some(tensor(bias, device, backend.weights)?) };
    Ok((weight, bias))
}
