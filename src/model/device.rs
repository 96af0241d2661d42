//! Where tensors live, and in which number formats weights are kept and arithmetic is done.

use crate::error::{Error, Result};
use candle_core::{DType, Device};
use std::str::FromStr;

/// The number format that the user asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DTypeChoice {
    /// The checkpoint's own, as `config.json` names it, else that of its first tensor.
    #[default]
    Auto,
    F32,
    Bf16,
    F16,
}

/// The device that the user asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// A GPU where this build and this machine have one, else the CPU.
    #[default]
    Auto,
    Cpu,
    /// A CUDA device by number.
    Cuda(usize),
    Metal,
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<DeviceChoice, String> {
        match text.split_once(':').unwrap_or((text, "0")) {
            ("auto", "0") if !text.contains(':') => Ok(DeviceChoice::Auto),
            ("cpu", "0") if !text.contains(':') => Ok(DeviceChoice::Cpu),
            ("metal", "0") => Ok(DeviceChoice::Metal),
            ("cuda", number) => number.parse().map(DeviceChoice::Cuda).map_err(|_| format!("`{number}` is no number")),
            _ => Err("devices are auto, cpu, cuda, cuda:N and metal".to_string()),
        }
    }
}

/// How LLM.int8 weights are multiplied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Int8Form {
    /// With the dequantised weights, rows left as they are.
    #[default]
    Exact,
    /// As bitsandbytes does: rows rounded to int8, but for outlier channels.
    Mixed,
}

/// Number formats that models are run in, with their names in `config.json`.
const DTYPES: &[(&str, DType)] = &[("float32", DType::F32), ("bfloat16", DType::BF16), ("float16", DType::F16)];

/// A device with its number formats.
///
/// On the CPU matrices are multiplied in f32, which nothing there does faster: narrower weights are rounded to their format and
/// widened once at load. With bf16 the activations between the multiplications are rounded to bf16, as the reference's are;
/// with f16 they stay f32, because no processor of this kind computes in f16 and the range of f16 is easily left.
#[derive(Debug, Clone)]
pub struct Backend {
    pub device: Device,
    /// Format that the weights' values are rounded to.
    pub weights: DType,
    /// Format of hidden states between operations.
    pub activations: DType,
    /// Format that matrices are kept and multiplied in.
    pub matmul: DType,
}

impl Backend {
    /// The backend for a choice; `own` is the checkpoint's number format.
    pub fn new(choice: DTypeChoice, own: Option<&str>) -> Result<Backend> {
        let weights = match choice {
            DTypeChoice::F32 => DType::F32,
            DTypeChoice::Bf16 => DType::BF16,
            DTypeChoice::F16 => DType::F16,
            DTypeChoice::Auto => named(own.unwrap_or("float32"))?,
        };
        let device = device();
        let (activations, matmul) = match (&device, weights) {
            (Device::Cpu, DType::BF16) => (DType::BF16, DType::F32),
            (Device::Cpu, _) => (DType::F32, DType::F32),
            _ => (weights, weights),
        };
        Ok(Backend { device, weights, activations, matmul })
    }

    /// The name of the weights' number format.
    pub fn dtype_name(&self) -> &'static str {
        name(self.weights)
    }

    /// The name of the format of the arithmetic, where it is not that of the weights.
    pub fn arithmetic(&self) -> Option<&'static str> {
        (self.activations != self.weights).then(|| name(self.activations))
    }
}

/// The device that tensors live on: the CPU. (A build with candle's `cuda` or `metal` would choose here.)
fn device() -> Device {
    Device::Cpu
}

fn name(dtype: DType) -> &'static str {
    DTYPES.iter().find(|(_, d)| *d == dtype).map_or("unknown", |(name, _)| name)
}

fn named(name: &str) -> Result<DType> {
    DTYPES.iter().find(|(n, _)| *n == name).map(|(_, dtype)| *dtype).ok_or_else(|| {
        Error::input(format!("the number format `{name}` cannot be computed with"))
            .hint("choose one with --dtype float32, bfloat16 or float16")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_is_the_checkpoints_own_format() {
        assert_eq!(Backend::new(DTypeChoice::Auto, Some("bfloat16")).unwrap().dtype_name(), "bfloat16");
        assert_eq!(Backend::new(DTypeChoice::F32, Some("bfloat16")).unwrap().dtype_name(), "float32");
        let half = Backend::new(DTypeChoice::Auto, Some("float16")).unwrap();
        assert_eq!((half.dtype_name(), half.arithmetic()), ("float16", Some("float32")));
        let err = Backend::new(DTypeChoice::Auto, Some("int8")).unwrap_err().to_string();
        assert!(err.contains("int8") && err.contains("--dtype"), "{err}");
    }
}
