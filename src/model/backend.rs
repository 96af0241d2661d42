//! Where models run, and in which number formats weights are kept and arithmetic is done.

use crate::error::{Error, Result};
use crate::kernel::Arithmetic;
use candle_core::{DType, Device};
use std::fmt;
use std::str::FromStr;

/// The number format that the user asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DTypeChoice {
    /// The checkpoint's own, as `config.json` names it, else that of its first tensor; f32 for quantised checkpoints.
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
    /// The CPU by candle's operations: what a GPU does, and an oracle for the kernels.
    #[cfg(test)]
    Candle,
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

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceChoice::Auto => write!(f, "auto"),
            DeviceChoice::Cpu => write!(f, "cpu"),
            DeviceChoice::Cuda(number) => write!(f, "cuda:{number}"),
            DeviceChoice::Metal => write!(f, "metal"),
            #[cfg(test)]
            DeviceChoice::Candle => write!(f, "candle"),
        }
    }
}

/// What happens to rows before they meet quantised weights.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Activations {
    /// They stay as they are: products with the exactly dequantised weights.
    #[default]
    Exact,
    /// Rounded to 8 bits for each 32 channels, as llama.cpp does; faster. Formats that this does not fit stay exact.
    Int8,
    /// LLM.int8 weights as bitsandbytes multiplies them: rows rounded to 8 bits but for outlier channels. Other formats stay exact.
    LlmInt8,
}

impl Activations {
    /// The name as `--activations` takes it and results record it.
    pub fn as_str(self) -> &'static str {
        match self {
            Activations::Exact => "exact",
            Activations::Int8 => "int8",
            Activations::LlmInt8 => "llm-int8",
        }
    }
}

/// Number formats that models are run in, with their names in `config.json`.
const DTYPES: &[(&str, DType)] = &[("float32", DType::F32), ("bfloat16", DType::BF16), ("float16", DType::F16)];

/// Where rows are while a model runs.
#[derive(Debug, Clone)]
pub enum Place {
    /// Memory, worked on by our kernels.
    Host,
    /// Tensors of candle, on a GPU (or, as the oracle of tests, on the CPU).
    Device(Device),
}

/// A device with its number formats.
///
/// On the CPU hidden states, norms, attention's softmax and log-probabilities are f32 always. With bf16 weights the rows that enter
/// a matrix product are rounded to bf16 and the products are summed in f32, which processors with AVX-512-BF16 do twice as fast;
/// f16 weights are widened exactly and multiplied in f32, because no such processor computes in f16 and its range is easily left.
/// On a GPU everything but norms, softmax and log-probabilities is in the weights' format.
#[derive(Debug, Clone)]
pub struct Backend {
    pub place: Place,
    /// Format that the weights' values are rounded to.
    pub weights: DType,
    /// How matrices are multiplied on the host.
    pub arithmetic: Arithmetic,
    pub activations: Activations,
}

impl Backend {
    /// The backend for a choice; `own` is the checkpoint's number format.
    pub fn new(choice: DTypeChoice, device: DeviceChoice, own: Option<&str>) -> Result<Backend> {
        let weights = match choice {
            DTypeChoice::F32 => DType::F32,
            DTypeChoice::Bf16 => DType::BF16,
            DTypeChoice::F16 => DType::F16,
            DTypeChoice::Auto => named(own.unwrap_or("float32"))?,
        };
        let arithmetic = if weights == DType::BF16 { Arithmetic::Bf16 } else { Arithmetic::F32 };
        Ok(Backend { place: place(device)?, weights, arithmetic, activations: Activations::Exact })
    }

    /// The same with rows treated otherwise before they meet quantised weights, which only our kernels can.
    pub fn with_activations(self, activations: Activations) -> Result<Backend> {
        if activations != Activations::Exact && matches!(self.place, Place::Device(_)) {
            return Err(Error::input(format!("activations are not rounded on {}", self.device_name()))
                .key("--activations")
                .hint("leave --activations out, or run on the CPU with --device cpu"));
        }
        let arithmetic = if activations == Activations::Int8 { Arithmetic::Int8 } else { self.arithmetic };
        Ok(Backend { arithmetic, activations, ..self })
    }

    /// Format of rows on a device.
    pub fn row_dtype(&self) -> DType {
        match self.place {
            Place::Host => DType::F32,
            Place::Device(_) => self.weights,
        }
    }

    /// The name of the weights' number format.
    pub fn dtype_name(&self) -> &'static str {
        name(self.weights)
    }

    /// The name of the format of the arithmetic, where it is not that of the weights.
    pub fn arithmetic(&self) -> Option<&'static str> {
        (matches!(self.place, Place::Host) && self.weights == DType::F16).then_some("float32")
    }

    /// `cpu`, `cuda:0`, ...
    pub fn device_name(&self) -> String {
        match &self.place {
            Place::Host | Place::Device(Device::Cpu) => "cpu".to_string(),
            Place::Device(device) => match device.location() {
                candle_core::DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
                candle_core::DeviceLocation::Metal { .. } => "metal".to_string(),
                candle_core::DeviceLocation::Cpu => "cpu".to_string(),
            },
        }
    }
}

fn place(choice: DeviceChoice) -> Result<Place> {
    match choice {
        DeviceChoice::Cpu => Ok(Place::Host),
        #[cfg(test)]
        DeviceChoice::Candle => Ok(Place::Device(Device::Cpu)),
        DeviceChoice::Cuda(number) => {
            if !cfg!(feature = "cuda") {
                return Err(Error::input("this fairmark was built without CUDA")
                    .key("--device")
                    .hint("build it with `cargo build --release --features cuda`, or leave --device out"));
            }
            let device = Device::new_cuda(number);
            device.map(Place::Device).map_err(|e| Error::input(format!("cannot use CUDA device {number}")).cause(e))
        }
        DeviceChoice::Metal => {
            if !cfg!(feature = "metal") {
                return Err(Error::input("this fairmark was built without Metal")
                    .key("--device")
                    .hint("build it with `cargo build --release --features metal`, or leave --device out"));
            }
            Device::new_metal(0).map(Place::Device).map_err(|e| Error::input("cannot use the Metal device").cause(e))
        }
        DeviceChoice::Auto => {
            let gpu = (cfg!(feature = "cuda").then(|| Device::new_cuda(0).ok()).flatten())
                .or_else(|| cfg!(feature = "metal").then(|| Device::new_metal(0).ok()).flatten());
            Ok(gpu.map_or(Place::Host, Place::Device))
        }
    }
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

    fn backend(choice: DTypeChoice, own: Option<&str>) -> Result<Backend> {
        Backend::new(choice, DeviceChoice::Cpu, own)
    }

    #[test]
    fn auto_is_the_checkpoints_own_format() {
        assert_eq!(backend(DTypeChoice::Auto, Some("bfloat16")).unwrap().dtype_name(), "bfloat16");
        assert_eq!(backend(DTypeChoice::F32, Some("bfloat16")).unwrap().dtype_name(), "float32");
        let half = backend(DTypeChoice::Auto, Some("float16")).unwrap();
        assert_eq!((half.dtype_name(), half.arithmetic()), ("float16", Some("float32")));
        let err = backend(DTypeChoice::Auto, Some("int8")).unwrap_err().to_string();
        assert!(err.contains("int8") && err.contains("--dtype"), "{err}");
    }

    #[test]
    fn devices_are_read_and_refused_by_name() {
        for (text, device) in [
            ("auto", DeviceChoice::Auto),
            ("cpu", DeviceChoice::Cpu),
            ("cuda", DeviceChoice::Cuda(0)),
            ("cuda:3", DeviceChoice::Cuda(3)),
            ("metal", DeviceChoice::Metal),
        ] {
            assert_eq!(text.parse(), Ok(device), "{text}");
        }
        for text in ["gpu", "cuda:x", "cpu:1", ""] {
            assert!(text.parse::<DeviceChoice>().is_err(), "{text}");
        }
        if !cfg!(feature = "cuda") {
            let err = Backend::new(DTypeChoice::F32, DeviceChoice::Cuda(0), None).unwrap_err().to_string();
            assert!(err.contains("without CUDA") && err.contains("--features cuda"), "{err}");
        }
    }
}
