//! File formats of checkpoints: what they have in common, and which there are.
//!
//! Comes in: a folder or a file. Goes out: tensors by name, with number format, shape and bytes. Never: what tensors mean.

use super::bytes::Bytes;
use super::gguf::{self, Gguf};
use super::{pickle, safetensors};
use crate::error::{Error, Result};
use crate::model::folder;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// A file format of checkpoints.
pub struct Format {
    /// What it looks like in a folder, for error messages.
    pub files: &'static str,
    /// Opens the checkpoint in a folder (or the file); `None` when there is none of this format.
    pub open: fn(&Path) -> Opened,
}

/// A checkpoint, where there is one.
pub type Opened = Result<Option<Box<dyn Checkpoint>>>;

/// All formats, in the order in which they are looked for. A new one is a file here and a row.
pub const FORMATS: &[Format] = &[
    Format { files: "model.safetensors, or model.safetensors.index.json with its shards", open: safetensors::open },
    Format { files: "pytorch_model.bin, or pytorch_model.bin.index.json with its shards", open: pickle::open },
    Format { files: "a single .gguf file", open: gguf },
];

/// The hint for a file that contradicts itself.
pub const DAMAGED: &str = "the file is damaged or was not downloaded to the end; fetch it again";

/// What is known of a tensor before it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    pub file: PathBuf,
    /// In the names of safetensors (`F32`, `BF16`, `I8`), or of ggml (`Q4_K`).
    pub dtype: String,
    pub shape: Vec<usize>,
}

/// An open checkpoint.
pub trait Checkpoint: Send + Sync {
    /// All tensors by name.
    fn tensors(&self) -> &HashMap<String, TensorInfo>;

    /// The bytes of a tensor, row-major and little-endian.
    fn bytes(&self, name: &str) -> Result<Bytes>;

    /// Whether GPT-2's Conv1D matrices are stored as linear layers are: `[outs, ins]`.
    fn conv1d_is_linear(&self) -> bool {
        false
    }

    /// What the user should know about its files.
    fn notices(&self) -> &[String] {
        &[]
    }
}

impl Checkpoint for Gguf {
    fn tensors(&self) -> &HashMap<String, TensorInfo> {
        Gguf::tensors(self)
    }

    fn bytes(&self, name: &str) -> Result<Bytes> {
        Gguf::bytes(self, name)
    }

    fn conv1d_is_linear(&self) -> bool {
        Gguf::conv1d_is_linear(self)
    }
}

fn gguf(place: &Path) -> Opened {
    Ok(match gguf::find(place)? {
        Some(path) => Some(Box::new(Gguf::open(&path)?)),
        None => None,
    })
}

/// Opens the checkpoint of a folder or file, of whatever format. An error where there is none, or where it is damaged.
pub fn open(place: &Path) -> Result<Box<dyn Checkpoint>> {
    // Other formats would look for their files in it, as if it were a folder.
    if gguf::is_gguf(place) {
        return Ok(Box::new(Gguf::open(place)?));
    }
    for format in FORMATS {
        if let Some(checkpoint) = (format.open)(place)? {
            return Ok(checkpoint);
        }
    }
    let looked: Vec<&str> = FORMATS.iter().map(|f| f.files).collect();
    let none = || Error::input("has no weights").file(place).hint(format!("there should be {}", looked.join(", or ")));
    Err(folder::no_weights(place).unwrap_or_else(none))
}

/// Number formats of safetensors with the bytes of a number.
const SIZES: &[(&str, usize)] = &[
    ("BOOL", 1),
    ("U8", 1),
    ("I8", 1),
    ("F8_E4M3", 1),
    ("F8_E5M2", 1),
    ("F8_E8M0", 1),
    ("I16", 2),
    ("U16", 2),
    ("F16", 2),
    ("BF16", 2),
    ("I32", 4),
    ("U32", 4),
    ("F32", 4),
    ("I64", 8),
    ("U64", 8),
    ("F64", 8),
];

/// Bytes of so many numbers: `None` for a format that is not known, `Some(None)` for a shape that cannot be.
pub fn stored_size(dtype: &str, shape: &[usize]) -> Option<Option<usize>> {
    let (_, size) = SIZES.iter().find(|(name, _)| *name == dtype)?;
    Some(shape.iter().try_fold(*size, |bytes, dimension| bytes.checked_mul(*dimension)))
}
