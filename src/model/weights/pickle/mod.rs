//! `pytorch_model.bin`: a ZIP with a pickle that describes tensors, and their numbers beside it. One file, or an index and shards.
//!
//! Nothing in the pickle is executed: it is read as a description (`machine`), and only tensors are understood in it.

mod machine;
mod zip;

use super::bytes::Bytes;
use super::checkpoint::{Checkpoint, DAMAGED, Opened, TensorInfo, stored_size};
use super::shards::{Index, Shard, Stale, stale_notice};
use crate::error::{Error, Result};
use crate::model::config::read_json;
use machine::{Graph, Id, Object};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

const SINGLE: &str = "pytorch_model.bin";
const INDEX: &str = "pytorch_model.bin.index.json";

/// Pickles of models have some hundred bytes for each tensor.
const LARGEST_PICKLE: usize = 1 << 26;

/// Storages and number formats of torch with their names in safetensors.
const DTYPES: &[(&str, &str)] = &[
    ("torch.FloatStorage", "F32"),
    ("torch.HalfStorage", "F16"),
    ("torch.BFloat16Storage", "BF16"),
    ("torch.DoubleStorage", "F64"),
    ("torch.LongStorage", "I64"),
    ("torch.IntStorage", "I32"),
    ("torch.ShortStorage", "I16"),
    ("torch.CharStorage", "I8"),
    ("torch.ByteStorage", "U8"),
    ("torch.BoolStorage", "BOOL"),
    ("torch.float8_e4m3fn", "F8_E4M3"),
    ("torch.float8_e5m2", "F8_E5M2"),
];

/// All tensors of all files.
#[derive(Default)]
struct Pickled {
    tensors: HashMap<String, TensorInfo>,
    views: HashMap<String, View>,
    stale: Vec<Stale>,
    notices: Vec<String>,
}

/// How a tensor lies in its storage.
struct View {
    storage: Bytes,
    /// Bytes of a number.
    size: usize,
    offset: usize,
    shape: Vec<usize>,
    /// In numbers.
    strides: Vec<usize>,
}

impl Checkpoint for Pickled {
    fn tensors(&self) -> &HashMap<String, TensorInfo> {
        &self.tensors
    }

    fn bytes(&self, name: &str) -> Result<Bytes> {
        let view = self.views.get(name).ok_or_else(|| Error::input(format!("the tensor {name} is missing")))?;
        view.bytes().ok_or_else(|| Error::input("lies outside its storage").key(name).hint(DAMAGED))
    }

    fn notices(&self) -> &[String] {
        &self.notices
    }
}

/// Opens the checkpoint of a folder, if there is one.
pub fn open(dir: &Path) -> Opened {
    let (single, index) = (dir.join(SINGLE), dir.join(INDEX));
    let mut pickled = Pickled::default();
    if single.exists() {
        pickled.add(single, None)?;
        if index.exists() {
            pickled.notices.push(format!("{SINGLE} was read; the shards of {INDEX} beside it were not"));
        }
    } else if let Some(map) = read_json::<Index>(&index)? {
        for shard in map.shards(dir).map_err(|e| e.file(&index))? {
            pickled.add(shard.path.clone(), Some(&shard))?;
        }
        map.check(|name| pickled.tensors.contains_key(name)).map_err(|e| e.file(&index))?;
        let stale = std::mem::take(&mut pickled.stale);
        let notice = stale_notice(&pickled, &stale)?;
        pickled.notices.extend(notice);
    } else {
        return Ok(None);
    }
    Ok(Some(Box::new(pickled)))
}

impl Pickled {
    /// Takes the tensors of a file; of a shard those that the index does not place elsewhere.
    fn add(&mut self, path: PathBuf, shard: Option<&Shard<'_>>) -> Result<()> {
        let archive = Archive::open(&path).map_err(|e| e.file(&path))?;
        let Object::Dict(pairs) = archive.graph.get(archive.graph.root) else {
            return Err(Error::input("holds no dictionary of tensors").file(&path).hint(NOT_A_STATE));
        };
        for (key, value) in pairs {
            let Object::Text(name) = archive.graph.get(*key) else { continue };
            if let Some((dtype, view)) = archive.tensor(*value).map_err(|e| e.file(&path).key(name))? {
                let info = TensorInfo { file: path.clone(), dtype: dtype.to_string(), shape: view.shape.clone() };
                if shard.is_some_and(|shard| shard.is_stale(name)) {
                    let outside = || Error::input("lies outside its storage").file(&path).key(name).hint(DAMAGED);
                    let bytes = view.bytes().ok_or_else(outside)?;
                    self.stale.push(Stale { tensor: name.clone(), info, bytes });
                    continue;
                }
                if let Some(other) = self.tensors.get(name).filter(|other| other.file != path) {
                    let other = other.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
                    let message = format!("is in {other} as well, and the index does not say which of the two counts");
                    return Err(Error::input(message).file(&path).key(name));
                }
                self.tensors.insert(name.clone(), info);
                self.views.insert(name.clone(), view);
            }
        }
        if self.tensors.is_empty() && self.stale.is_empty() {
            return Err(Error::input("holds no tensors by name").file(&path).hint(NOT_A_STATE));
        }
        Ok(())
    }
}

const NOT_A_STATE: &str = "it should be what transformers saves: a dictionary of tensors by name";

/// A file that `torch.save` wrote.
struct Archive {
    graph: Graph,
    entries: HashMap<String, Bytes>,
    /// Folder of the entries, with its slash.
    root: String,
}

impl Archive {
    fn open(path: &Path) -> Result<Archive> {
        let file = Bytes::map(path)?;
        if !file.starts_with(b"PK") {
            // The pickles of torch before 1.6 begin with the instruction PROTO.
            return Err(match file.first() {
                Some(0x80) => Error::input("is in the format of torch before 1.6, which is not read")
                    .hint("load it with torch and save it again, or use the safetensors checkpoint"),
                _ => Error::input("is not what torch.save writes").hint(DAMAGED),
            });
        }
        let entries = zip::entries(&file)?;
        let name = entries.keys().filter(|name| name.ends_with("/data.pkl")).min().cloned();
        let name = name.ok_or_else(|| Error::input("holds no data.pkl").hint(NOT_A_STATE))?;
        let root = name.trim_end_matches("data.pkl").to_string();
        if entries.get(&format!("{root}byteorder")).is_some_and(|order| &**order == b"big") {
            return Err(Error::input("was written by a big-endian machine, which is not read")
                .hint("save the model again with `safe_serialization=True`"));
        }
        let pickle = entries.get(&name).filter(|pickle| pickle.len() <= LARGEST_PICKLE);
        let pickle = pickle.ok_or_else(|| Error::input("its pickle is too large").hint(NOT_A_STATE))?;
        let damaged = |message| Error::input(format!("its pickle cannot be read: {message}")).hint(DAMAGED);
        Ok(Archive { graph: machine::read(pickle).map_err(damaged)?, entries, root })
    }

    /// The tensor that an object is, with its number format; `None` for an object that is none.
    fn tensor(&self, id: Id) -> Result<Option<(&'static str, View)>> {
        let Object::Call(function, arguments) = self.graph.get(id) else { return Ok(None) };
        let Object::Global(function) = self.graph.get(*function) else { return Ok(None) };
        let parts = self.graph.parts(*arguments);
        let strange = || Error::input("its pickle describes the tensor strangely").hint(DAMAGED);
        match (function.as_str(), parts) {
            ("torch._utils._rebuild_parameter", [data, ..]) if *data < id => self.tensor_once(*data),
            ("torch._tensor._rebuild_from_type_v2", [_, _, inner, ..]) => {
                self.view(self.graph.parts(*inner), None).ok_or_else(strange)?.map(Some)
            }
            ("torch._utils._rebuild_tensor_v2", _) => self.view(parts, None).ok_or_else(strange)?.map(Some),
            ("torch._utils._rebuild_tensor_v3", [_, _, _, _, _, _, dtype, ..]) => {
                self.view(parts, Some(*dtype)).ok_or_else(strange)?.map(Some)
            }
            (other, _) => Err(Error::input(format!("is made by `{other}`, which is not known"))
                .hint("save the model again with `safe_serialization=True`")),
        }
    }

    /// The tensor inside a parameter, which is no parameter itself.
    fn tensor_once(&self, id: Id) -> Result<Option<(&'static str, View)>> {
        match self.graph.get(id) {
            Object::Call(function, _) if matches!(self.graph.get(*function), Object::Global(name) if name.contains("_rebuild_tensor")) => {
                self.tensor(id)
            }
            _ => Err(Error::input("its pickle describes the parameter strangely").hint(DAMAGED)),
        }
    }

    /// `(storage, offset, shape, strides, ...)`; `None` where that is not what the arguments are.
    fn view(&self, parts: &[Id], dtype: Option<Id>) -> Option<Result<(&'static str, View)>> {
        let [storage, offset, shape, strides, ..] = *parts else { return None };
        let Object::Persistent(storage) = self.graph.get(storage) else { return None };
        // ("storage", type, key, device, numbers)
        let [_, class, key, ..] = *self.graph.parts(*storage) else { return None };
        let (Object::Global(class), Object::Text(key)) = (self.graph.get(dtype.unwrap_or(class)), self.graph.get(key))
        else {
            return None;
        };
        let Some((_, dtype)) = DTYPES.iter().find(|(name, _)| name == class) else {
            return Some(Err(Error::input(format!("the number format `{class}` is not supported"))));
        };
        let Some(storage) = self.entries.get(&format!("{}data/{key}", self.root)).cloned() else {
            return Some(Err(Error::input(format!("its numbers (data/{key}) are not in the file")).hint(DAMAGED)));
        };
        let (size, shape) = (stored_size(dtype, &[])??, self.sizes(shape)?);
        let view = View { storage, size, offset: self.size(offset)?, strides: self.sizes(strides)?, shape };
        if !view.lies_inside() {
            let message = format!(
                "{:?} numbers of {dtype} do not lie in the {} bytes of data/{key}",
                view.shape,
                view.storage.len()
            );
            return Some(Err(Error::input(message).hint(DAMAGED)));
        }
        Some(Ok((dtype, view)))
    }

    fn size(&self, id: Id) -> Option<usize> {
        match self.graph.get(id) {
            Object::Int(value) => usize::try_from(*value).ok(),
            _ => None,
        }
    }

    fn sizes(&self, id: Id) -> Option<Vec<usize>> {
        let Object::Tuple(parts) = self.graph.get(id) else { return None };
        parts.iter().map(|part| self.size(*part)).collect()
    }
}

impl View {
    /// Whether all numbers are in the storage, and no more of them than it has (which a stride of 0 could make).
    fn lies_inside(&self) -> bool {
        let numbers = self.storage.len() / self.size;
        let count = self.shape.iter().try_fold(1usize, |count, size| count.checked_mul(*size));
        let last = || {
            let mut ends =
                self.shape.iter().zip(&self.strides).map(|(size, stride)| size.checked_sub(1)?.checked_mul(*stride));
            ends.try_fold(self.offset, |last, end| last.checked_add(end?))
        };
        self.shape.len() == self.strides.len()
            && match count {
                Some(0) => true,
                Some(count) => count <= numbers && last().is_some_and(|last| last < numbers),
                None => false,
            }
    }

    fn is_contiguous(&self) -> bool {
        let mut wanted = 1;
        self.shape.iter().zip(&self.strides).rev().all(|(size, stride)| {
            let fits = *size == 1 || *stride == wanted;
            wanted *= size;
            fits
        })
    }

    /// The numbers in row-major order: a part of the file where they lie so, else a copy.
    fn bytes(&self) -> Option<Bytes> {
        let count: usize = self.shape.iter().product();
        if count == 0 {
            return Some(Bytes::from(Vec::new()));
        }
        if self.is_contiguous() {
            return self.storage.part(self.offset * self.size..(self.offset + count) * self.size);
        }
        let mut bytes = Vec::with_capacity(count * self.size);
        let mut place = vec![0; self.shape.len()];
        for _ in 0..count {
            let at: usize = place.iter().zip(&self.strides).map(|(at, stride)| at * stride).sum();
            let at = (self.offset + at) * self.size;
            bytes.extend_from_slice(self.storage.get(at..at + self.size)?);
            // Counts up, the last dimension first.
            for (at, size) in place.iter_mut().zip(&self.shape).rev() {
                *at += 1;
                if *at < *size {
                    break;
                }
                *at = 0;
            }
        }
        Some(Bytes::from(bytes))
    }
}
