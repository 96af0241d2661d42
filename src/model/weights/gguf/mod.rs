//! GGUF, the format of llama.cpp: metadata and tensors in one file, or in numbered parts.
//!
//! Comes in: a `.gguf` file that nobody vouches for. Goes out: tensors under the names and in the order of a Hugging Face
//! checkpoint, so that families are written once; the configuration as `config.json` would have it; the tokenizer. Never: values
//! other than those in the file, save that what the converter added to norms is taken away again.

pub mod blocks;
mod config;
mod header;
mod metadata;
mod names;
mod pretokenizers;
mod rope;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub mod tokenizer;
#[cfg(test)]
mod tokenizer_tests;

pub use blocks::{GgmlType, UNEVEN, decode};
pub use config::config_json;
pub use metadata::Metadata;
pub use pretokenizers::named as pretokenizer;
pub use tokenizer::{GgufTokenizer, byte_level_steps, ends, merges_of_scores, tokenizer, wrapper};

use super::TensorInfo;
use super::bytes::Bytes;
use super::number::Number;
use crate::error::{Error, Result};
use crate::file;
use header::{DAMAGED, Entry, Header, shown};
use names::{Heads, Source};
use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// How files of this format end.
pub const ENDING: &str = ".gguf";

/// No list of rotary factors is longer.
const MOST_FACTORS: usize = 1 << 16;

/// An open file, all its parts with it.
pub struct Gguf {
    architecture: String,
    metadata: Metadata,
    parts: Vec<Part>,
    /// Tensors of all parts, each with the number of its part.
    entries: Vec<Entry>,
    part_of: Vec<usize>,
    by_name: HashMap<String, usize>,
    sources: HashMap<String, Source>,
    tensors: HashMap<String, TensorInfo>,
}

struct Part {
    path: PathBuf,
    bytes: Bytes,
}

impl Gguf {
    /// Opens a file and, where the model is split, the parts beside it.
    pub fn open(path: &Path) -> Result<Gguf> {
        let (bytes, mut header) = read(path)?;
        let mut metadata = Metadata::new(path, bytes.clone(), &mut header);
        let mut gathered = Gathered::default();
        match metadata.count("split.count")?.filter(|count| *count > 1) {
            None => gathered.add(Part { path: path.to_path_buf(), bytes }, header)?,
            Some(count) => {
                let wanted = metadata.count("split.tensors.count")?;
                for (number, part) in parts(path, count, &metadata)?.into_iter().enumerate() {
                    let (bytes, mut header) = read(&part)?;
                    // The first part has the metadata of the model.
                    let own = Metadata::new(&part, bytes.clone(), &mut header);
                    if number == 0 {
                        metadata = own;
                    }
                    gathered.add(Part { path: part, bytes }, header)?;
                }
                let found = gathered.entries.len();
                if let Some(wanted) = wanted.filter(|wanted| *wanted != found) {
                    let message = format!("the model should have {wanted} tensors, its {count} files have {found}");
                    return Err(metadata.error("split.tensors.count", message).hint(DAMAGED));
                }
            }
        }
        gathered.finish(metadata)
    }

    /// `general.architecture`.
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// A tensor by the name that it has in the file.
    fn entry(&self, name: &str) -> Option<&Entry> {
        self.by_name.get(name).and_then(|at| self.entries.get(*at))
    }

    /// The bytes of an entry as they are in the file.
    fn stored(&self, at: usize) -> Option<Bytes> {
        let part = self.parts.get(*self.part_of.get(at)?)?;
        part.bytes.part(self.entries.get(at)?.bytes.clone())
    }

    /// The numbers of a short tensor by the name that it has in the file: factors of rotary frequencies.
    fn plain(&self, name: &str) -> Result<Vec<f64>> {
        let error = |message: &str| Error::input(message).file(self.metadata.file()).key(name).hint(DAMAGED);
        let at = *self.by_name.get(name).ok_or_else(|| error("is missing"))?;
        let bytes = self.stored(at).ok_or_else(|| error("lies outside of the file"))?;
        let number = self.entries.get(at).and_then(|entry| Number::named(entry.kind.name()));
        let number = number.ok_or_else(|| error("should be plain numbers"))?;
        let count = bytes.len() / number.size();
        if count > MOST_FACTORS {
            return Err(error("has more numbers than a head has channels"));
        }
        let mut values = vec![0.0; count];
        number.widen(&bytes, &mut values);
        Ok(values.into_iter().map(|value| metadata::as_written(value.into())).collect())
    }

    /// The bytes of a tensor in the order of a Hugging Face checkpoint.
    fn ordered(&self, source: &Source) -> Result<Bytes> {
        let outside = || Error::input("lies outside of the file").hint(DAMAGED);
        let entry = self.entries.get(source.tensor).ok_or_else(outside)?;
        let mut bytes = self.stored(source.tensor).ok_or_else(outside)?;
        let mut rows = entry.shape.first().copied().unwrap_or(1);
        if let Some(expert) = source.expert {
            let size = bytes.len() / rows;
            bytes = bytes.part(expert * size..(expert + 1) * size).ok_or_else(outside)?;
            rows = entry.shape.get(1).copied().unwrap_or(1);
        }
        if let Some(order) = source.order.rows(rows).map_err(|e| Error::input(e).hint(DAMAGED))? {
            // Rows are whole blocks, so that their bytes can be moved.
            let size = bytes.len() / rows;
            let mut moved = Vec::with_capacity(bytes.len());
            for row in order {
                moved.extend_from_slice(bytes.get(row * size..(row + 1) * size).ok_or_else(outside)?);
            }
            bytes = moved.into();
        }
        if source.from_one {
            let (numbers, _) = bytes.as_chunks::<4>();
            let less: Vec<u8> = numbers.iter().flat_map(|b| (f32::from_le_bytes(*b) - 1.0).to_le_bytes()).collect();
            bytes = less.into();
        }
        Ok(bytes)
    }

    /// All tensors by their Hugging Face names.
    pub fn tensors(&self) -> &HashMap<String, TensorInfo> {
        &self.tensors
    }

    /// The bytes of a tensor in the order of a Hugging Face checkpoint.
    pub fn bytes(&self, name: &str) -> Result<Bytes> {
        let source = self.sources.get(name).ok_or_else(|| Error::input(format!("the tensor {name} is missing")))?;
        let file = self.tensors.get(name).map_or(self.metadata.file(), |info| info.file.as_path());
        self.ordered(source).map_err(|e| e.file(file).key(name))
    }

    /// The converter turned GPT-2's matrices.
    pub fn conv1d_is_linear(&self) -> bool {
        true
    }
}

/// Whether a path names a file of this format: by its ending, or by its first bytes (Ollama's files are called `sha256-...`).
pub fn is_gguf(path: &Path) -> bool {
    if has_ending(path) {
        return path.is_file();
    }
    let mut magic = [0; 4];
    // Folders and hub ids are asked about as well; neither can be opened.
    file::open(path).is_ok_and(|mut file| file.read_exact(&mut magic).is_ok()) && &magic == header::MAGIC
}

fn has_ending(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf"))
}

/// The file that a path names: itself, or the only model in the folder.
pub fn find(path: &Path) -> Result<Option<PathBuf>> {
    if is_gguf(path) {
        return Ok(Some(path.to_path_buf()));
    }
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let model = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let later_part = split_name(&name).is_some_and(|(_, number, _)| number > 1);
        // Vision towers lie beside their models.
        has_ending(path) && path.is_file() && !name.starts_with("mmproj") && !later_part
    };
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(model).collect();
    found.sort();
    match found.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one.clone())),
        [first, ..] => Err(Error::input(format!("has {} GGUF files", found.len()))
            .file(path)
            .hint(format!("name one of them as the model, such as {}", first.display()))),
    }
}

/// The file and, where its name says that it is part of a split model, the parts that are there.
pub fn files(path: &Path) -> Vec<PathBuf> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let Some((stem, _, count)) = split_name(&name) else { return vec![path.to_path_buf()] };
    let part = |number| path.with_file_name(format!("{stem}-{number:05}-of-{count:05}{ENDING}"));
    (1..=count).map(part).filter(|part| part.is_file()).collect()
}

/// Whether two names are of one model: the same file, or parts of the same split.
pub fn same_model(one: &str, other: &str) -> bool {
    let whole = |name| split_name(name).map(|(stem, _, count)| (stem, count));
    one == other || (whole(one).is_some() && whole(one) == whole(other))
}

/// The chat template in the header of a file.
pub fn chat_template(path: &Path) -> Result<Option<String>> {
    let gguf = Gguf::open(path)?;
    Ok(gguf.metadata.text(tokenizer::CHAT_TEMPLATE)?.map(str::to_string))
}

fn read(path: &Path) -> Result<(Bytes, Header)> {
    let bytes = Bytes::map(path)?;
    let header = header::parse(&bytes).map_err(|e| e.file(path))?;
    Ok((bytes, header))
}

/// `<stem>-00002-of-00005.gguf` as stem, 2 and 5.
fn split_name(name: &str) -> Option<(&str, usize, usize)> {
    let (rest, count) = name.strip_suffix(ENDING)?.rsplit_once("-of-")?;
    let (stem, number) = rest.rsplit_once('-')?;
    let number_of = |digits: &str| (digits.len() == 5).then(|| digits.parse().ok()).flatten();
    Some((stem, number_of(number)?, number_of(count)?))
}

/// Paths of all parts of a split model, of which `path` is one.
fn parts(path: &Path, count: usize, metadata: &Metadata) -> Result<Vec<PathBuf>> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let Some((stem, _, _)) = split_name(&name).filter(|(_, _, claimed)| *claimed == count) else {
        return Err(metadata
            .error("split.count", format!("is one of {count} parts, which its name does not say"))
            .hint(format!("parts should be called `name-00001-of-{count:05}{ENDING}` and lie in one folder")));
    };
    let part = |number: usize| {
        let part = path.with_file_name(format!("{stem}-{number:05}-of-{count:05}{ENDING}"));
        match part.is_file() {
            true => Ok(part),
            false => Err(Error::input("is not there").file(part).hint("all parts of the model must lie in one folder")),
        }
    };
    (1..=count).map(part).collect()
}

/// Parts as they are read.
#[derive(Default)]
struct Gathered {
    parts: Vec<Part>,
    entries: Vec<Entry>,
    part_of: Vec<usize>,
    by_name: HashMap<String, usize>,
}

impl Gathered {
    fn add(&mut self, part: Part, header: Header) -> Result<()> {
        for entry in header.tensors {
            if self.by_name.insert(entry.name.clone(), self.entries.len()).is_some() {
                let err = Error::input("is in two parts of the model").file(&part.path).key(shown(&entry.name));
                return Err(err.hint(DAMAGED));
            }
            self.entries.push(entry);
            self.part_of.push(self.parts.len());
        }
        self.parts.push(part);
        Ok(())
    }

    fn finish(self, metadata: Metadata) -> Result<Gguf> {
        if let Some(kind) = metadata.text("general.type")?.filter(|kind| *kind != "model") {
            let message = format!("holds a {}, not a model", shown(kind));
            return Err(metadata.error("general.type", message).hint("name the file of the language model"));
        }
        let key = "general.architecture";
        let architecture =
            metadata.text(key)?.ok_or_else(|| metadata.error(key, "is missing").hint(DAMAGED))?.to_string();
        let family = names::family(&architecture).map_err(|e| e.file(metadata.file()))?;
        let heads = heads(&architecture, &metadata)?;
        let sources =
            names::sources(family, heads, &self.entries).map_err(|e| e.file(metadata.file()).hint(DAMAGED))?;
        let info = |source: &Source| {
            let entry = self.entries.get(source.tensor)?;
            let part = self.parts.get(*self.part_of.get(source.tensor)?)?;
            let shape = entry.shape.get(usize::from(source.expert.is_some())..)?.to_vec();
            Some(TensorInfo { file: part.path.clone(), dtype: entry.kind.name().to_string(), shape })
        };
        let mut tensors = HashMap::new();
        for (name, source) in &sources {
            let Some(info) = info(source) else { continue };
            let error = |message: String| Error::input(message).file(&info.file).key(shown(name)).hint(DAMAGED);
            let rows = info.shape.first().copied().unwrap_or(1);
            source.order.rows(rows).map_err(error)?;
            if source.from_one && info.dtype != GgmlType::F32.name() {
                return Err(error(format!("is a norm in {}, where it should be F32", info.dtype)));
            }
            tensors.insert(name.clone(), info);
        }
        let Gathered { parts, entries, part_of, by_name } = self;
        Ok(Gguf { architecture, metadata, parts, entries, part_of, by_name, sources, tensors })
    }
}

/// Heads of queries and of keys, which the order of rows depends on.
fn heads(architecture: &str, metadata: &Metadata) -> Result<Heads> {
    let count = |key: &str| {
        let key = format!("{architecture}.{key}");
        match metadata.is_list(&key) {
            true => Ok(metadata.numbers(&key)?.and_then(|list| list.first().map(|first| *first as usize))),
            false => metadata.count(&key),
        }
    };
    let queries = count("attention.head_count")?.unwrap_or(0);
    Ok(Heads { queries, keys: count("attention.head_count_kv")?.unwrap_or(queries) })
}
