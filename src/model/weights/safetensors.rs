//! safetensors: eight bytes with the length of a JSON header, the header, then the tensors' bytes. One file, or an index and shards.
//!
//! The header is read and checked here, because errors should say what is wrong with which tensor, and because the format has
//! number formats (I8, F8) that candle's reader lacks. The bytes are mapped, not read.

use super::bytes::Bytes;
use super::checkpoint::{Checkpoint, DAMAGED, Opened, TensorInfo, stored_size};
use super::shards::{Index, Shard, Stale, stale_notice};
use crate::error::{Error, Result};
use crate::model::config::read_json;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// Bytes before the header: its length, little-endian.
pub(crate) const HEADER_LENGTH: u64 = 8;

/// The format's own limit on a header.
const LARGEST_HEADER: u64 = 100_000_000;

/// Where each tensor is.
#[derive(Default)]
struct Shards {
    tensors: HashMap<String, TensorInfo>,
    bytes: HashMap<String, Bytes>,
    stale: Vec<Stale>,
    notices: Vec<String>,
}

impl Checkpoint for Shards {
    fn tensors(&self) -> &HashMap<String, TensorInfo> {
        &self.tensors
    }

    fn bytes(&self, name: &str) -> Result<Bytes> {
        self.bytes.get(name).cloned().ok_or_else(|| Error::input(format!("the tensor {name} is missing")))
    }

    fn notices(&self) -> &[String] {
        &self.notices
    }
}

/// Opens the checkpoint of a folder, if there is one.
pub fn open(dir: &Path) -> Opened {
    let (single, index) = (dir.join(SINGLE), dir.join(INDEX));
    let mut shards = Shards::default();
    // Transformers prefers the single file, too.
    if single.exists() {
        shards.add(single, None)?;
        if index.exists() {
            shards.notices.push(format!("{SINGLE} was read; the shards of {INDEX} beside it were not"));
        }
    } else if let Some(map) = read_json::<Index>(&index)? {
        for shard in map.shards(dir).map_err(|e| e.file(&index))? {
            shards.add(shard.path.clone(), Some(&shard))?;
        }
        map.check(|name| shards.tensors.contains_key(name)).map_err(|e| e.file(&index))?;
        let stale = std::mem::take(&mut shards.stale);
        let notice = stale_notice(&shards, &stale)?;
        shards.notices.extend(notice);
    } else {
        return Ok(None);
    }
    Ok(Some(Box::new(shards)))
}

impl Shards {
    /// Takes the tensors of a file; of a shard those that the index does not place elsewhere.
    fn add(&mut self, path: PathBuf, shard: Option<&Shard<'_>>) -> Result<()> {
        let file = Bytes::map(&path)?;
        let (entries, data) = read_header(&file).map_err(|e| e.file(&path))?;
        check_overlaps(&entries).map_err(|e| e.file(&path))?;
        for (name, entry) in entries {
            let bytes = data.part(entry.range.clone()).ok_or_else(|| strange(&name).file(&path))?;
            let info = TensorInfo { file: path.clone(), dtype: entry.dtype, shape: entry.shape };
            if shard.is_some_and(|shard| shard.is_stale(&name)) {
                self.stale.push(Stale { tensor: name, info, bytes });
                continue;
            }
            if let Some(other) = self.tensors.get(&name) {
                let other = other.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let message = format!("is in {other} as well, and the index does not say which of the two counts");
                return Err(Error::input(message).file(&path).key(name));
            }
            self.bytes.insert(name.clone(), bytes);
            self.tensors.insert(name, info);
        }
        Ok(())
    }
}

/// One tensor of a header; its bytes lie inside the data and, where the number format is known, are as many as its shape needs.
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    range: Range<usize>,
}

/// One tensor as a header writes it.
#[derive(Deserialize)]
struct Written {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (u64, u64),
}

/// All tensors as a header writes them, in its order.
struct Header(Vec<(String, Written)>);

impl<'de> Deserialize<'de> for Header {
    // Read into structs, not into JSON values, which take up to fifty times the memory of their text.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Header, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Header;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let mut entries = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    }
                    let written = map.next_value();
                    let named = |e| serde::de::Error::custom(format!("the tensor {name}: {e}"));
                    let written = written.map_err(named)?;
                    entries.push((name, written));
                }
                Ok(Header(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// Reads and checks the header. Gives the tensors and the bytes behind the header.
fn read_header(file: &Bytes) -> Result<(HashMap<String, Entry>, Bytes)> {
    let Some((length, rest)) = file.split_first_chunk::<{ HEADER_LENGTH as usize }>() else {
        return Err(Error::input(format!("has only {} bytes", file.len())).hint(DAMAGED));
    };
    let length = u64::from_le_bytes(*length);
    if length > LARGEST_HEADER {
        return Err(Error::input("does not begin with a safetensors header").hint(DAMAGED));
    }
    let Some(header) = rest.get(..length as usize) else {
        return Err(
            Error::input(format!("its header should have {length} bytes, the file has {}", rest.len())).hint(DAMAGED)
        );
    };
    let data = file.part(HEADER_LENGTH as usize + header.len()..file.len()).ok_or_else(|| strange("data"))?;
    let header: Header = serde_json::from_slice(header)
        .map_err(|e| Error::input("its header is not JSON that describes tensors").hint(DAMAGED).cause(e))?;
    let mut entries = HashMap::new();
    for (name, written) in header.0 {
        let entry = check_entry(written, data.len()).map_err(|e| e.key(&name))?;
        if entries.insert(name.clone(), entry).is_some() {
            return Err(Error::input("its header describes the tensor twice").key(name).hint(DAMAGED));
        }
    }
    Ok((entries, data))
}

fn strange(name: &str) -> Error {
    Error::input("its header describes a tensor strangely").key(name).hint(DAMAGED)
}

fn check_entry(written: Written, room: usize) -> Result<Entry> {
    let (start, end) = written.data_offsets;
    if start > end {
        return Err(Error::input(format!("its header says that it ends at byte {end}, before its start at {start}"))
            .hint(DAMAGED));
    }
    if end > room as u64 {
        return Err(Error::input(format!(
            "the file is shorter than its header says: the tensor ends at byte {end} of {room} bytes of data"
        ))
        .hint(DAMAGED));
    }
    let Written { dtype, shape, .. } = written;
    // What a tensor of an unknown format takes is not known: it is refused when somebody asks for it.
    match stored_size(&dtype, &shape) {
        Some(None) => return Err(Error::input(format!("the shape {shape:?} is impossible")).hint(DAMAGED)),
        Some(Some(size)) if size as u64 != end - start => {
            let message = format!("{shape:?} numbers of {dtype} take {size} bytes, not {}", end - start);
            return Err(Error::input(message).hint(DAMAGED));
        }
        _ => {}
    }
    // Inside the file, so these fit.
    Ok(Entry { dtype, shape, range: start as usize..end as usize })
}

/// Tensors must not share bytes: the format forbids it, and a header that does it is damaged.
fn check_overlaps(entries: &HashMap<String, Entry>) -> Result<()> {
    let mut ranges: Vec<(&Range<usize>, &str)> = entries.iter().map(|(name, e)| (&e.range, name.as_str())).collect();
    ranges.retain(|(range, _)| !range.is_empty());
    ranges.sort_by_key(|(range, name)| (range.start, *name));
    match ranges.windows(2).find(|pair| pair[1].0.start < pair[0].0.end) {
        Some(pair) => {
            Err(Error::input(format!("its bytes overlap those of {}", pair[0].1)).key(pair[1].1).hint(DAMAGED))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Backend, DTypeChoice, DeviceChoice, Weights};
    use candle_core::{DType, Device, Tensor};
    use serde_json::Value;

    fn weights(dir: &Path) -> Result<Weights> {
        Weights::open(dir, None, |found| Backend::new(DTypeChoice::Auto, DeviceChoice::Cpu, found.dtype))
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
        ones(dir.path(), SINGLE, "a.weight");
        let mut weights = weights(dir.path()).unwrap();
        assert_eq!(weights.backend().dtype_name(), "bfloat16");
        let err = weights.linear("a", 3, 2).err().unwrap().to_string();
        assert!(
            err.contains("model.safetensors, a.weight: ") && err.contains("[3, 2]") && err.contains("[2, 3]"),
            "{err}"
        );
        assert!(weights.vector("b", 1).unwrap_err().to_string().contains("the tensor b is missing"));
        assert_eq!(weights.unused(), ["a.weight"]);
        assert!(weights.linear("a", 2, 3).unwrap().is_bf16());
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
        assert!(weights.experts("a", 1, 2, 3).is_err());
        assert!(weights.has("a") && weights.has("b"));
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
    fn the_index_decides_which_copy_of_a_tensor_counts() {
        let dir = tempfile::tempdir().unwrap();
        let save = |file: &str, tensors: &[(&str, f64)]| {
            let tensor = |value: f64| (Tensor::ones((1, 2), DType::F32, &Device::Cpu).unwrap() * value).unwrap();
            let tensors = tensors.iter().map(|(name, value)| (name.to_string(), tensor(*value))).collect();
            candle_core::safetensors::save::<String, _>(&tensors, dir.path().join(file)).unwrap();
        };
        save("s1.safetensors", &[("a", 1.0), ("b", 9.0), ("c", 3.0)]);
        save("s2.safetensors", &[("a", 9.0), ("b", 2.0), ("c", 3.0)]);
        let index =
            serde_json::json!({"weight_map": {"a": "s1.safetensors", "b": "s2.safetensors", "c": "s1.safetensors"}});
        std::fs::write(dir.path().join(INDEX), index.to_string()).unwrap();
        let mut weights = weights(dir.path()).unwrap();
        let value = |weights: &mut Weights, name: &str| weights.look(name).unwrap().unwrap()[0];
        assert_eq!([value(&mut weights, "a"), value(&mut weights, "b"), value(&mut weights, "c")], [1.0, 2.0, 3.0]);
        let notices = weights.notices();
        assert!(notices.len() == 1 && notices[0].starts_with("2 tensors stand in a second shard"), "{notices:?}");
        // Which of two copies counts that no index names, nobody knows.
        let index = serde_json::json!({"weight_map": {"a": "s1.safetensors", "b": "s2.safetensors"}});
        std::fs::write(dir.path().join(INDEX), index.to_string()).unwrap();
        assert!(refusal(dir.path()).contains("s1.safetensors as well"));
        // A single file goes before an index, as in transformers.
        save(SINGLE, &[("a", 7.0)]);
        let weights = super::tests::weights(dir.path()).unwrap();
        assert_eq!(weights.look("a").unwrap().unwrap()[0], 7.0);
        assert!(weights.notices()[0].contains("model.safetensors was read"), "{:?}", weights.notices());
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
        says(&huge, "the shape [9999999999999, 9999999999999] is impossible");
        let header = |text: &str| {
            let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
            bytes.extend_from_slice(text.as_bytes());
            bytes.extend_from_slice(&[0; 8]);
            bytes
        };
        let one = |offsets: &str| header(&format!(r#"{{"a":{{"dtype":"F32","shape":[1],"data_offsets":{offsets}}}}}"#));
        says(&one("[0,1152921504606846976]"), "shorter than its header says");
        says(&one("[4,0]"), "before its start");
        says(&one("[0,8]"), "[1] numbers of F32 take 4 bytes, not 8");
        says(&one("[0,-4]"), "the tensor a: ");
        let b = r#""b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}"#;
        let a = r#""a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#;
        says(&header(&format!("{{{a},{b}}}")), "b: its bytes overlap those of a");
        says(&header(&format!("{{{a},{a}}}")), "describes the tensor twice");
        says(&header("[]"), "not JSON that describes tensors");
        says(&(1u64 << 60).to_le_bytes(), "does not begin with");
    }

    #[test]
    fn quantised_and_absent_weights_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let err = refusal(dir.path());
        assert!(err.contains("has no weights") && err.contains("model.safetensors"), "{err}");
        let with = |entry: &str, bytes: &[u8]| {
            let mut file = (entry.len() as u64).to_le_bytes().to_vec();
            file.extend_from_slice(entry.as_bytes());
            file.extend_from_slice(bytes);
            std::fs::write(dir.path().join(SINGLE), file).unwrap();
            weights(dir.path()).unwrap().linear("x", 1, 2).err().unwrap().to_string()
        };
        let err = with(r#"{"x.weight":{"dtype":"I32","shape":[1,2],"data_offsets":[0,8]}}"#, &[0; 8]);
        assert!(err.contains("I32") && err.contains("unknown kind of quantisation"), "{err}");
        let err = with(r#"{"x.weight":{"dtype":"I8","shape":[1,2],"data_offsets":[0,2]}}"#, &[1, 3]);
        assert!(err.contains("x.SCB is missing"), "{err}");
        let err = with(r#"{"x.weight":{"dtype":"Q9","shape":[1,2],"data_offsets":[0,2]}}"#, &[1, 3]);
        assert!(err.contains("x.weight: the number format Q9"), "{err}");
    }
}
