//! safetensors: eight bytes with the length of a JSON header, the header, then the tensors' bytes. One file, or an index and shards.
//!
//! The header is read and checked here, so that errors can say what is wrong with which tensor; the bytes are then mapped into
//! memory by candle, which checks again.

use super::{Checkpoint, Opened, TensorInfo};
use crate::error::{Error, Result};
use crate::model::config::read_json;
use candle_core::safetensors::MmapedSafetensors;
use candle_core::{Device, Tensor};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// Bytes before the header: its length, little-endian.
pub(crate) const HEADER_LENGTH: u64 = 8;

/// The format's own limit on a header.
const LARGEST_HEADER: u64 = 100_000_000;

const DAMAGED: &str = "the file is damaged or was not downloaded to the end; fetch it again";

/// Open shards and where each tensor is.
struct Shards {
    files: HashMap<PathBuf, MmapedSafetensors>,
    tensors: HashMap<String, TensorInfo>,
}

impl Checkpoint for Shards {
    fn tensors(&self) -> &HashMap<String, TensorInfo> {
        &self.tensors
    }

    fn load(&self, name: &str, device: &Device) -> Result<Tensor> {
        let missing = || Error::input(format!("the tensor {name} is missing"));
        let info = self.tensors.get(name).ok_or_else(missing)?;
        let file = self.files.get(&info.file).ok_or_else(missing)?;
        file.load(name, device).map_err(|e| Error::input("cannot be read").file(&info.file).key(name).cause(e))
    }
}

/// The index of a sharded checkpoint.
#[derive(Deserialize)]
struct Index {
    weight_map: HashMap<String, String>,
}

/// One tensor in a header.
#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (u64, u64),
}

/// Opens the checkpoint of a folder, if there is one.
pub fn open(dir: &Path) -> Opened {
    let (single, index) = (dir.join(SINGLE), dir.join(INDEX));
    let mut shards = Shards { files: HashMap::new(), tensors: HashMap::new() };
    // Transformers prefers the single file, too.
    if single.exists() {
        shards.add(single)?;
    } else if let Some(map) = read_json::<Index>(&index)? {
        for name in map.weight_map.values().collect::<BTreeSet<_>>() {
            shards.add(shard_path(dir, name).map_err(|e| e.file(&index))?)?;
        }
        if let Some((name, shard)) = map.weight_map.iter().find(|(name, _)| !shards.tensors.contains_key(*name)) {
            return Err(Error::input(format!("names the tensor {name} in {shard}, which does not hold it"))
                .file(&index)
                .hint(DAMAGED));
        }
    } else {
        return Ok(None);
    }
    Ok(Some(Box::new(shards)))
}

fn shard_path(dir: &Path, name: &str) -> Result<PathBuf> {
    let path = dir.join(name);
    if !Path::new(name).components().all(|part| matches!(part, Component::Normal(_))) {
        return Err(Error::input(format!("names a shard outside the folder: {name}")));
    }
    if !path.exists() {
        return Err(Error::input(format!("names the shard {name}, which is not there"))
            .hint("the checkpoint was not downloaded to the end; fetch the missing file"));
    }
    Ok(path)
}

impl Shards {
    fn add(&mut self, path: PathBuf) -> Result<()> {
        let entries = read_header(&path).map_err(|e| e.file(&path))?;
        // SAFETY: the mapping is only sound while nobody shortens or rewrites the file. Checkpoints are not written while they are
        // being read; programs that map them (all of this ecosystem) rely on it.
        let mapped = unsafe { MmapedSafetensors::new(&path) };
        let mapped =
            mapped.map_err(|e| Error::input("is not a valid safetensors file").file(&path).hint(DAMAGED).cause(e))?;
        for (name, entry) in entries {
            self.tensors.insert(name, TensorInfo { file: path.clone(), dtype: entry.dtype, shape: entry.shape });
        }
        self.files.insert(path, mapped);
        Ok(())
    }
}

/// Reads and checks the header: every tensor's bytes lie inside the file.
fn read_header(path: &Path) -> Result<HashMap<String, Entry>> {
    let io = |e| Error::io("cannot read", path, e);
    let mut file = File::open(path).map_err(io)?;
    let size = file.metadata().map_err(io)?.len();
    if size < HEADER_LENGTH {
        return Err(Error::input(format!("has only {size} bytes")).hint(DAMAGED));
    }
    let mut length = [0; HEADER_LENGTH as usize];
    file.read_exact(&mut length).map_err(io)?;
    let length = u64::from_le_bytes(length);
    if length > LARGEST_HEADER {
        return Err(Error::input("does not begin with a safetensors header").hint(DAMAGED));
    }
    let room = size - HEADER_LENGTH;
    if length > room {
        return Err(Error::input(format!("its header should have {length} bytes, the file has {room}")).hint(DAMAGED));
    }
    let mut header = Vec::new();
    file.take(length).read_to_end(&mut header).map_err(io)?;
    let header: Map<String, Value> =
        serde_json::from_slice(&header).map_err(|e| Error::input("its header is not JSON").hint(DAMAGED).cause(e))?;
    let mut entries = HashMap::new();
    for (name, value) in header.into_iter().filter(|(name, _)| name != "__metadata__") {
        let entry: Entry = serde_json::from_value(value)
            .map_err(|e| Error::input("its header describes a tensor strangely").key(&name).hint(DAMAGED).cause(e))?;
        let (start, end) = entry.data_offsets;
        if start > end {
            return Err(Error::input("its header describes a tensor strangely").key(name).hint(DAMAGED));
        }
        if end > room - length {
            return Err(Error::input(format!(
                "the file is shorter than its header says: the tensor ends at byte {end} of {} bytes of data",
                room - length
            ))
            .key(name)
            .hint(DAMAGED));
        }
        entries.insert(name, entry);
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Backend, DTypeChoice, Weights};
    use candle_core::DType;

    fn weights(dir: &Path) -> Result<Weights> {
        Weights::open(dir, |own| Backend::new(DTypeChoice::Auto, own))
    }

    fn refusal(dir: &Path) -> String {
        weights(dir).err().expect("should be refused").to_string()
    }

    fn ones(dir: &Path, file: &str, name: &str) {
        let tensor = Tensor::ones((2, 3), DType::BF16, &Device::Cpu).unwrap();
        tensor.save_safetensors(name, dir.join(file)).unwrap();
    }

    #[test]
    fn hands_out_checked_tensors_of_one_file() {
        let dir = tempfile::tempdir().unwrap();
        ones(dir.path(), SINGLE, "a");
        let mut weights = weights(dir.path()).unwrap();
        assert_eq!(weights.backend().dtype_name(), "bfloat16");
        let err = weights.matrix("a", &[3, 2]).unwrap_err().to_string();
        assert!(err.contains("model.safetensors, a: ") && err.contains("[3, 2]") && err.contains("[2, 3]"), "{err}");
        assert!(weights.matrix("b", &[1]).unwrap_err().to_string().contains("the tensor b is missing"));
        assert_eq!(weights.unused(), ["a"]);
        assert_eq!(weights.matrix("a", &[2, 3]).unwrap().dtype(), DType::F32);
        assert_eq!((weights.num_parameters(), weights.unused().len()), (6, 0));
    }

    #[test]
    fn reads_shards_and_misses_absent_ones() {
        let dir = tempfile::tempdir().unwrap();
        ones(dir.path(), "s1.safetensors", "a");
        ones(dir.path(), "s2.safetensors", "b");
        let index = |map: Value| {
            std::fs::write(dir.path().join(INDEX), serde_json::json!({ "weight_map": map }).to_string()).unwrap();
        };
        index(serde_json::json!({"a": "s1.safetensors", "b": "s2.safetensors"}));
        let mut weights = weights(dir.path()).unwrap();
        weights.matrix("a", &[2, 3]).unwrap();
        weights.matrix("b", &[2, 3]).unwrap();
        index(serde_json::json!({"a": "s1.safetensors", "b": "s3.safetensors"}));
        assert!(refusal(dir.path()).contains("s3.safetensors, which is not there"));
        index(serde_json::json!({"a": "s1.safetensors", "c": "s2.safetensors"}));
        assert!(refusal(dir.path()).contains("tensor c in s2.safetensors"));
        index(serde_json::json!({"a": "../s1.safetensors"}));
        assert!(refusal(dir.path()).contains("outside the folder"));
        std::fs::write(dir.path().join(INDEX), "{\"weight_map\": [").unwrap();
        assert!(refusal(dir.path()).contains("index.json:1"));
    }

    #[test]
    fn damaged_files_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(SINGLE);
        ones(dir.path(), SINGLE, "a");
        let whole = std::fs::read(&path).unwrap();
        let says = |bytes: &[u8], part: &str| {
            std::fs::write(&path, bytes).unwrap();
            let err = refusal(dir.path());
            assert!(err.contains(part) && err.contains("model.safetensors") && err.contains("hint:"), "{part}: {err}");
        };
        says(&whole[..whole.len() - 1], "shorter than its header says");
        says(&whole[..20], "header should have");
        says(&[], "only 0 bytes");
        says(&[0xff; 64], "does not begin with");
        says(b"\x08\0\0\0\0\0\0\0not json", "not JSON");
        let header = br#"{"a":{"dtype":"F32","shape":[9999999999999,9999999999999],"data_offsets":[0,4]}}"#;
        let mut huge = (header.len() as u64).to_le_bytes().to_vec();
        huge.extend_from_slice(header);
        huge.extend_from_slice(&[0; 4]);
        says(&huge, "not a valid safetensors file");
    }

    #[test]
    fn quantised_and_absent_weights_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let err = refusal(dir.path());
        assert!(err.contains("has no weights") && err.contains("model.safetensors"), "{err}");
        std::fs::write(dir.path().join("pytorch_model.bin"), "x").unwrap();
        assert!(refusal(dir.path()).contains("pytorch_model.bin is not supported yet"));
        let bytes = b"8\0\0\0\0\0\0\0{\"x\":{\"dtype\":\"I8\",\"shape\":[2],\"data_offsets\":[0,2]}}   \x01\x03";
        std::fs::write(dir.path().join(SINGLE), bytes).unwrap();
        let err = weights(dir.path()).unwrap().matrix("x", &[2]).unwrap_err().to_string();
        assert!(err.contains("I8") && err.contains("quantised"), "{err}");
    }
}
