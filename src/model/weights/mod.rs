//! The tensors of a checkpoint, whatever file format holds them.

mod bytes;
pub mod gguf;
mod number;
mod safetensors;

pub(crate) use safetensors::HEADER_LENGTH;

use super::Backend;
use crate::error::{Error, Result};
use candle_core::{DType, Device, Tensor};
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

/// A file format of checkpoints.
pub struct Format {
    /// What it looks like in a folder, for error messages.
    pub files: &'static str,
    /// Opens the checkpoint in a folder; `None` when the folder has none of this format.
    pub open: fn(&Path) -> Opened,
}

/// A checkpoint, where there is one.
pub type Opened = Result<Option<Box<dyn Checkpoint>>>;

/// All formats, in the order in which they are looked for. A new one is a file here and a row.
pub const FORMATS: &[Format] =
    &[Format { files: "model.safetensors, or model.safetensors.index.json with its shards", open: safetensors::open }];

/// Files of formats that are not read, with what to say about them.
const UNREAD: &[(&str, &str)] = &[
    (".gguf", "GGUF files are not supported yet; use the safetensors checkpoint"),
    (
        ".bin",
        "pytorch_model.bin is not supported yet; save the model with `save_pretrained(..., safe_serialization=True)`",
    ),
];

/// What is known of a tensor before it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    pub file: PathBuf,
    pub dtype: String,
    pub shape: Vec<usize>,
}

/// An open checkpoint.
pub trait Checkpoint {
    /// All tensors by name.
    fn tensors(&self) -> &HashMap<String, TensorInfo>;

    /// Reads a tensor whose number format is one of candle's.
    fn load(&self, name: &str, device: &Device) -> Result<Tensor>;
}

/// The weights of a model: hands out tensors after checking that they are what the configuration says.
pub struct Weights {
    dir: PathBuf,
    checkpoint: Box<dyn Checkpoint>,
    backend: Backend,
    used: BTreeSet<String>,
    num_parameters: u64,
}

impl Weights {
    /// Opens the checkpoint of a folder. `backend` chooses where tensors go, knowing the checkpoint's number format.
    pub fn open(dir: &Path, backend: impl FnOnce(Option<&str>) -> Result<Backend>) -> Result<Weights> {
        for format in FORMATS {
            if let Some(checkpoint) = (format.open)(dir)? {
                let backend = backend(own_dtype(checkpoint.as_ref()))?;
                let (dir, used) = (dir.to_path_buf(), BTreeSet::new());
                return Ok(Weights { dir, checkpoint, backend, used, num_parameters: 0 });
            }
        }
        let looked: Vec<&str> = FORMATS.iter().map(|f| f.files).collect();
        let names = std::fs::read_dir(dir).into_iter().flatten().flatten();
        let names: Vec<String> = names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        let unread = UNREAD.iter().find(|(ending, _)| names.iter().any(|name| name.ends_with(ending)));
        Err(Error::input("has no weights").file(dir).hint(
            unread.map_or_else(|| format!("there should be {}", looked.join(", or ")), |(_, say)| say.to_string()),
        ))
    }

    pub fn backend(&self) -> &Backend {
        &self.backend
    }

    pub fn has(&self, name: &str) -> bool {
        self.checkpoint.tensors().contains_key(name)
    }

    /// A tensor that is multiplied or indexed: values rounded to the weights' format, kept in the matrices' format.
    pub fn matrix(&mut self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let (rounded, kept) = (self.backend.weights, self.backend.matmul);
        self.read(name, shape, rounded, kept)
    }

    /// A tensor that takes part in elementwise arithmetic: in the activations' format.
    pub fn vector(&mut self, name: &str, len: usize) -> Result<Tensor> {
        let (rounded, kept) = (self.backend.weights, self.backend.activations);
        self.read(name, &[len], rounded, kept)
    }

    /// A number in the activations' format, rounded as a weight would be.
    pub fn constant(&self, value: f32) -> Result<Tensor> {
        let made = Tensor::new(value, &self.backend.device)
            .and_then(|t| t.to_dtype(self.backend.weights)?.to_dtype(self.backend.activations));
        made.map_err(|e| Error::input("cannot make a constant").cause(e))
    }

    /// Says that the model knows a tensor but does not need it.
    pub fn ignore(&mut self, name: &str) {
        self.used.insert(name.to_string());
    }

    /// Parameters of the tensors handed out.
    pub fn num_parameters(&self) -> u64 {
        self.num_parameters
    }

    /// Tensors that nobody asked for, in the order of their names; tables of rotary angles, which old checkpoints hold, aside.
    pub fn unused(&self) -> Vec<String> {
        let unused = self.checkpoint.tensors().keys().filter(|name| !self.used.contains(*name));
        let mut unused: Vec<String> = unused.filter(|name| !name.ends_with(".rotary_emb.inv_freq")).cloned().collect();
        unused.sort();
        unused
    }

    fn read(&mut self, name: &str, shape: &[usize], rounded: DType, kept: DType) -> Result<Tensor> {
        let info = self.checkpoint.tensors().get(name).ok_or_else(|| {
            Error::input(format!("the tensor {name} is missing"))
                .file(&self.dir)
                .hint("the checkpoint is incomplete, or of another architecture than its config.json says")
        })?;
        if info.shape != shape {
            return Err(Error::input(format!(
                "config.json asks for the shape {shape:?}, the file has {:?}",
                info.shape
            ))
            .file(&info.file)
            .key(name));
        }
        check_dtype(name, info)?;
        let tensor = self.checkpoint.load(name, &self.backend.device)?;
        self.used.insert(name.to_string());
        self.num_parameters += tensor.elem_count() as u64;
        (tensor.to_dtype(rounded).and_then(|t| t.to_dtype(kept)))
            .map_err(|e| Error::input("cannot be converted").file(&info.file).key(name).cause(e))
    }
}

fn check_dtype(name: &str, info: &TensorInfo) -> Result<()> {
    let hint = match info.dtype.as_str() {
        "F32" | "F16" | "BF16" | "F64" => return Ok(()),
        "I8" | "U8" | "I32" => "this looks like a quantised checkpoint; they are not supported yet",
        _ => "weights can be F32, BF16, F16 or F64",
    };
    Err(Error::input(format!("the number format {} is not supported", info.dtype))
        .file(&info.file)
        .key(name)
        .hint(hint))
}

/// The number format of the checkpoint's first tensor of real numbers, in the order of names.
fn own_dtype(checkpoint: &dyn Checkpoint) -> Option<&'static str> {
    let mut tensors: Vec<_> = checkpoint.tensors().iter().collect();
    tensors.sort_by_key(|(name, _)| *name);
    tensors.iter().find_map(|(_, info)| match info.dtype.as_str() {
        "F32" | "F64" => Some("float32"),
        "BF16" => Some("bfloat16"),
        "F16" => Some("float16"),
        _ => None,
    })
}
