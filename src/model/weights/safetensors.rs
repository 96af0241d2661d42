//! Safetensors: one file, or shards with `model.safetensors.index.json`; memory-mapped.

use crate::error::{Error, Result};
use candle_core::safetensors::MmapedSafetensors;
use candle_core::{DType, Device, Tensor};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The tensors of a checkpoint, loaded on demand into one number format.
pub struct Weights {
    /// Tensor name to index into `files`.
    names: BTreeMap<String, usize>,
    files: Vec<(PathBuf, MmapedSafetensors)>,
    dtype: DType,
    device: Device,
}

impl Weights {
    /// Opens the checkpoint in `folder`; tensors will be converted to `dtype`.
    pub fn open(folder: &Path, dtype: DType, device: &Device) -> Result<Weights> {
        let mut weights = Weights { names: BTreeMap::new(), files: Vec::new(), dtype, device: device.clone() };
        for path in files(folder)? {
            let mapped = map(&path)?;
            let index = weights.files.len();
            for (name, _) in mapped.tensors() {
                weights.names.insert(name, index);
            }
            weights.files.push((path, mapped));
        }
        Ok(weights)
    }

    pub fn dtype(&self) -> DType {
        self.dtype
    }

    pub fn device(&self) -> &Device {
        &self.device
    }

    /// A tensor of this shape.
    pub fn get(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let missing = || {
            let file = self.files.first().map(|(path, _)| path.clone()).unwrap_or_default();
            Error::input("the checkpoint lacks this tensor")
                .file(file)
                .key(name)
                .hint("config.json and the weights do not belong together, or a shard is missing")
        };
        let (path, file) = self.names.get(name).and_then(|index| self.files.get(*index)).ok_or_else(missing)?;
        let fail = |e: candle_core::Error| Error::input("cannot load this tensor").file(path).key(name).cause(e);
        let view = file.get(name).map_err(fail)?;
        if view.shape() != shape {
            return Err(Error::input(format!("shape {:?} instead of {shape:?}", view.shape()))
                .file(path)
                .key(name)
                .hint("config.json and the weights do not belong together"));
        }
        let format = format!("{:?}", view.dtype());
        if !["F32", "F16", "BF16", "F64"].contains(&format.as_str()) {
            return Err(Error::input(format!("number format {format} is not supported"))
                .file(path)
                .key(name)
                .hint("quantised checkpoints cannot be read yet; use the f32, bf16 or f16 one"));
        }
        let tensor = file.load(name, &self.device).map_err(fail)?;
        tensor.to_dtype(self.dtype).map_err(fail)
    }

    /// Gives the outcome of a computation on a tensor a place.
    pub fn checked<T>(&self, name: &str, outcome: candle_core::Result<T>) -> Result<T> {
        outcome.map_err(|e| Error::input("cannot compute with this tensor").key(name).cause(e))
    }

    /// Elements of all tensors.
    pub fn num_parameters(&self) -> u64 {
        let tensors = self.files.iter().flat_map(|(_, file)| file.tensors());
        tensors.map(|(_, view)| view.shape().iter().map(|n| *n as u64).product::<u64>()).sum()
    }

    /// The files and their sizes in bytes.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|(path, _)| path.as_path())
    }
}

/// The weight files of a checkpoint: the shards its index names, else the single file.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let index = folder.join("model.safetensors.index.json");
    let single = folder.join("model.safetensors");
    if !index.is_file() {
        if single.is_file() {
            return Ok(vec![single]);
        }
        return Err(Error::input("there are no weights here (model.safetensors or model.safetensors.index.json)")
            .file(folder)
            .hint("download the safetensors files of the model into this folder"));
    }
    let bytes = std::fs::read(&index).map_err(|e| Error::io("cannot read the index of the shards", &index, e))?;
    let damaged = || Error::input("this is not an index of shards").file(&index).hint("download the file again");
    let value: Value = serde_json::from_slice(&bytes).map_err(|e| damaged().cause(e))?;
    let map = value.get("weight_map").and_then(Value::as_object).ok_or_else(|| damaged().key("weight_map"))?;
    let names: BTreeSet<&str> = map.values().filter_map(Value::as_str).collect();
    let mut paths = Vec::new();
    for name in names {
        // A shard is a file beside the index; anything else would reach outside the checkpoint.
        if name.contains(['/', '\\']) || name == ".." {
            return Err(damaged().key(name.to_string()));
        }
        let path = folder.join(name);
        if !path.is_file() {
            return Err(Error::input("the index names a shard that is not there").file(path).hint("download it"));
        }
        paths.push(path);
    }
    if paths.is_empty() { Err(damaged().key("weight_map")) } else { Ok(paths) }
}

fn map(path: &Path) -> Result<MmapedSafetensors> {
    check_header(path)?;
    // SAFETY: the mapping is read-only; as with every mapped file, nobody may change it while it is in use.
    unsafe { MmapedSafetensors::new(path) }.map_err(|e| {
        Error::input("this is not a valid safetensors file").file(path).cause(e).hint("download the file again")
    })
}

/// Looks whether the file is as long as its header says, which the reader's own message does not tell plainly.
fn check_header(path: &Path) -> Result<()> {
    let fail = |e| Error::io("cannot read the weights", path, e);
    let mut file = File::open(path).map_err(fail)?;
    let size = file.metadata().map_err(fail)?.len();
    let short = |needs: u64| {
        Error::input(format!("the file is cut short: {size} bytes, and its header says {needs}"))
            .file(path)
            .hint("download the file again")
    };
    let mut length = [0u8; 8];
    if size < 8 {
        return Err(short(8));
    }
    file.read_exact(&mut length).map_err(fail)?;
    let length = u64::from_le_bytes(length);
    let end = length.checked_add(8).unwrap_or(u64::MAX);
    if length > 100_000_000 {
        return Err(Error::input("this is not a safetensors file").file(path).hint("download the file again"));
    }
    if end > size {
        return Err(short(end));
    }
    let mut header = vec![0u8; length as usize];
    file.read_exact(&mut header).map_err(fail)?;
    let header: Value = serde_json::from_slice(&header).map_err(|e| {
        Error::input("the header of this safetensors file is damaged").file(path).cause(e).hint("download the file again")
    })?;
    let ends = header.as_object().into_iter().flatten().filter_map(|(_, entry)| entry["data_offsets"][1].as_u64());
    let needs = ends.max().unwrap_or(0).saturating_add(end);
    if needs > size { Err(short(needs)) } else { Ok(()) }
}
