//! The tensors of a checkpoint, whatever file format holds them and however its matrices are encoded.
//!
//! Comes in: a folder (or a file), names, the shapes that the configuration gives. Goes out: matrices as they are stored, vectors
//! in f32, or errors that name file and tensor. Never: what a tensor is for.

mod bytes;
mod checkpoint;
#[cfg(test)]
mod damage_tests;
mod encoding;
pub mod gguf;
mod number;
mod pickle;
mod quantise;
mod quantization;
mod remarks;
mod safetensors;
mod shards;
mod stored;
#[cfg(test)]
mod tests;

pub use bytes::Bytes;
pub use checkpoint::{Checkpoint, TensorInfo};
pub use quantise::Precision;
pub(crate) use quantization::{OLD_AWQ, OLD_GPTQ};
pub(crate) use safetensors::HEADER_LENGTH;
pub use stored::{Dense, StoredMatrix};

use super::Backend;
use crate::error::{Error, Result};
use crate::kernel::Rounding;
use candle_core::DType;
use encoding::{Asked, Encoding, PLAIN, Under, elements, missing, plain, wrong_shape};
use number::Number;
use quantization::Quantization;
use remarks::Doubtful;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use stored::Watch;

/// What a checkpoint turned out to be, before a number format is chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The number format of its first tensor of real numbers, in the order of names.
    pub dtype: Option<&'static str>,
    /// How matrices are quantised, if any is.
    pub quantised: Option<&'static str>,
}

/// The weights of a model: hands out tensors after checking that they are what the configuration says.
pub struct Weights {
    place: PathBuf,
    checkpoint: Box<dyn Checkpoint>,
    quantization: Option<Quantization>,
    precision: Option<Precision>,
    backend: Backend,
    used: BTreeSet<String>,
    watches: Vec<Arc<Watch>>,
    num_parameters: u64,
    stored_bytes: u64,
    /// Matrices of linear layers by how they are stored.
    storage: BTreeMap<&'static str, usize>,
    /// Matrices that were to be brought to a precision, by what became of them and the width of their rows; `None`: they stay.
    quantised: BTreeMap<(Option<&'static str>, usize), usize>,
    notices: BTreeMap<String, Doubtful>,
}

/// A tensor that is read whole.
struct Whole {
    values: Bytes,
    number: Number,
    file: PathBuf,
}

impl Weights {
    /// Opens the checkpoint of a folder. `backend` chooses where tensors go, knowing what the checkpoint is. Matrices of linear layers
    /// are brought to `precision`, if one is given; a checkpoint that is quantised already is then refused.
    pub fn open(
        place: &Path,
        precision: Option<Precision>,
        backend: impl FnOnce(&Found) -> Result<Backend>,
    ) -> Result<Weights> {
        let quantization = if place.is_dir() { quantization::read(place)? } else { None };
        let checkpoint = checkpoint::open(place)?;
        let encodings = encodings(checkpoint.as_ref());
        if let Some(said) = quantization.as_ref().filter(|said| !encodings.iter().any(|e| announced(e, said))) {
            return Err(Error::input(format!("says that weights are quantised by {}, but no tensor is", said.method))
                .file(&said.file)
                .hint("remove `quantization_config` if the weights are plain, or fetch those that belong to it"));
        }
        let quantised = encodings.iter().map(|encoding| encoding.name).find(|name| *name != PLAIN);
        if let (Some(precision), Some(quantised)) = (precision, quantised) {
            return Err(already_quantised(precision, quantised).file(place));
        }
        let backend = backend(&Found { dtype: own_dtype(checkpoint.as_ref()), quantised })?;
        Ok(Weights {
            place: place.to_path_buf(),
            checkpoint,
            quantization,
            precision,
            backend,
            used: BTreeSet::new(),
            watches: Vec::new(),
            num_parameters: 0,
            stored_bytes: 0,
            storage: BTreeMap::new(),
            quantised: BTreeMap::new(),
            notices: BTreeMap::new(),
        })
    }

    pub fn backend(&self) -> &Backend {
        &self.backend
    }

    /// Whether there is a tensor of that name.
    pub fn has(&self, name: &str) -> bool {
        self.checkpoint.tensors().contains_key(name)
    }

    /// Whether the names of some tensors begin so.
    pub fn begins(&self, start: &str) -> bool {
        self.checkpoint.tensors().keys().any(|name| name.starts_with(start))
    }

    /// Whether there is the matrix of a linear layer under a prefix, in whatever encoding.
    pub fn has_matrix(&self, prefix: &str) -> bool {
        Under { checkpoint: self.checkpoint.as_ref(), prefix }.encoding().is_some()
    }

    /// The matrix `[outs, ins]` of a linear layer: `<prefix>.weight`, in whatever encoding the checkpoint has it, in the precision that
    /// was asked for. An error where it is missing, of another shape, or damaged.
    pub fn linear(&mut self, prefix: &str, outs: usize, ins: usize) -> Result<StoredMatrix> {
        let (matrix, bytes) = self.stored(prefix, outs, ins, false)?;
        self.at_precision(matrix, bytes)
    }

    /// The same for a layer that plain checkpoints store as `[ins, outs]`. Quantised ones store it as any other.
    pub fn conv1d(&mut self, prefix: &str, outs: usize, ins: usize) -> Result<StoredMatrix> {
        let (matrix, bytes) = self.stored(prefix, outs, ins, true)?;
        self.at_precision(matrix, bytes)
    }

    /// An embedding `[rows, width]`: as it is stored, never quantised on the fly.
    pub fn embedding(&mut self, prefix: &str, rows: usize, width: usize) -> Result<StoredMatrix> {
        let (matrix, bytes) = self.stored(prefix, rows, width, false)?;
        self.stored_bytes += kept(&matrix, bytes);
        Ok(matrix)
    }

    /// The language-model head `[outs, ins]`: as it is stored, never quantised on the fly.
    pub fn head(&mut self, prefix: &str, outs: usize, ins: usize) -> Result<StoredMatrix> {
        self.embedding(prefix, outs, ins)
    }

    /// The head under a prefix, although the configuration says that it is the embedding's matrix: `None` where the two are equal.
    /// Where they differ (a head that was trained apart), transformers 5 does not tie them, and so it is here.
    pub fn head_apart(&mut self, prefix: &str, embedding: &StoredMatrix) -> Result<Option<StoredMatrix>> {
        let parameters = self.num_parameters;
        let (matrix, bytes) = self.stored(prefix, embedding.outs(), embedding.ins(), false)?;
        if matrix.equals(embedding) {
            self.num_parameters = parameters;
            return Ok(None);
        }
        self.stored_bytes += kept(&matrix, bytes);
        self.notice(
            "is stored, and it is not the embedding, although the configuration says that the two are tied: the stored one \
             is used, as transformers 5 does (transformers 4 used the embedding)",
            &format!("{prefix}.weight"),
        );
        Ok(Some(matrix))
    }

    /// The plain tensor `name` `[experts, outs, ins]` as the rows of all experts `[experts * outs, ins]`, in the precision that was
    /// asked for.
    pub fn experts(&mut self, name: &str, experts: usize, outs: usize, ins: usize) -> Result<StoredMatrix> {
        let whole = self.whole(name, &[experts, outs, ins])?;
        let rows = self.possible(name, experts, outs).and_then(|rows| self.possible(name, rows, ins).map(|_| rows))?;
        let bytes = whole.values.len() as u64;
        let dense = Dense::stored(whole.values, whole.number, rows, ins).ok_or_else(|| missing(name, &self.place))?;
        let dense = dense.rounded(plain::rounding(whole.number, self.rounding()));
        let matrix = self.watched(StoredMatrix::Dense(dense), name, &whole.file);
        self.num_parameters += (rows * ins) as u64;
        self.at_precision(matrix, bytes)
    }

    /// The plain tensor `name` of so many numbers, rounded to the model's number format. NaN and infinities are refused.
    pub fn vector(&mut self, name: &str, len: usize) -> Result<Vec<f32>> {
        let whole = self.whole(name, &[len])?;
        let mut values = vec![0.0; whole.values.len() / whole.number.size()];
        whole.number.widen(&whole.values, &mut values);
        if !number::all_finite(&values) {
            return Err(not_finite(name, &whole.file));
        }
        number::round(self.rounding(), &mut values);
        self.num_parameters += len as u64;
        self.stored_bytes += (len * self.rounding().size().unwrap_or(whole.number.size())) as u64;
        Ok(values)
    }

    /// Leaves out tensors that belong to another part than the language model.
    pub fn ignore(&mut self, belongs: impl Fn(&str) -> bool) {
        let names = self.checkpoint.tensors().keys().filter(|name| belongs(name));
        self.used.extend(names.cloned());
    }

    /// Refuses weights in which a matrix that has been read so far held NaN or infinity. Matrices are read when they are packed, so
    /// this is asked after that.
    pub fn check_values(&self) -> Result<()> {
        match self.watches.iter().find(|watch| watch.found()) {
            Some(watch) => Err(not_finite(&watch.name, &watch.file)),
            None => Ok(()),
        }
    }

    /// Parameters of the tensors handed out: of quantised ones, what they stand for.
    pub fn num_parameters(&self) -> u64 {
        self.num_parameters
    }

    /// Bytes of the tensors handed out as they are stored, scales included, or as the precision made them.
    pub fn stored_bytes(&self) -> u64 {
        self.stored_bytes
    }

    /// How matrices of linear layers are stored, where not as plain numbers: `nf4`, `q4_k`, ... with the number of matrices of each.
    /// Where they were to be brought to a precision, those that stayed are there too.
    pub fn storage(&self) -> Vec<(String, usize)> {
        let brought = self.brought_to();
        if !brought.is_empty() {
            return brought;
        }
        let quantised = self.storage.iter().filter(|(name, _)| !number::is_name(name));
        quantised.map(|(name, count)| (name.to_string(), *count)).collect()
    }

    /// What full-precision values are rounded to.
    fn rounding(&self) -> Rounding {
        match self.backend.weights {
            DType::BF16 => Rounding::Bf16,
            DType::F16 => Rounding::F16,
            _ => Rounding::None,
        }
    }

    /// A matrix as it is stored, with the bytes of its tensors.
    fn stored(&mut self, prefix: &str, outs: usize, ins: usize, conv1d: bool) -> Result<(StoredMatrix, u64)> {
        let name = format!("{prefix}.weight");
        self.possible(&name, outs, ins)?;
        let checkpoint = self.checkpoint.as_ref();
        let under = Under { checkpoint, prefix };
        let encoding = under.encoding().ok_or_else(|| self.absent(&name))?;
        let asked = Asked {
            under,
            place: &self.place,
            outs,
            ins,
            conv1d,
            rounding: self.rounding(),
            quantization: self.quantization.as_ref(),
            used: Default::default(),
            doubts: Default::default(),
        };
        if let Some(said) =
            self.quantization.as_ref().filter(|said| !encoding.methods.is_empty() && !announced(encoding, said))
        {
            let message = format!("is {}, `quantization_config` says {}", encoding.name, said.method);
            let suffix = if asked.info("weight").is_some() { "weight" } else { "qweight" };
            return Err(asked.refuse(suffix, message));
        }
        let matrix = (encoding.decode)(&asked)?;
        let (used, doubts) = (asked.used.into_inner(), asked.doubts.into_inner());
        let mut bytes = 0;
        for name in &used {
            bytes += checkpoint.bytes(name)?.len() as u64;
        }
        let file = checkpoint.tensors().get(&name).map_or(&self.place, |info| &info.file).clone();
        self.used.extend(used);
        doubts.iter().for_each(|doubt| self.notice(doubt, prefix));
        self.num_parameters += outs as u64 * ins as u64;
        Ok((self.watched(matrix, &name, &file), bytes))
    }

    /// Remembers to ask plain numbers whether they were finite.
    fn watched(&mut self, matrix: StoredMatrix, name: &str, file: &Path) -> StoredMatrix {
        match matrix {
            StoredMatrix::Dense(dense) => {
                let watch = Arc::new(Watch::new(name.to_string(), file.to_path_buf()));
                self.watches.push(watch.clone());
                StoredMatrix::Dense(dense.watched(watch))
            }
            grouped => grouped,
        }
    }

    /// Brings the matrix of a linear layer to the precision that was asked for; `bytes` is what it takes as it is.
    fn at_precision(&mut self, matrix: StoredMatrix, bytes: u64) -> Result<StoredMatrix> {
        let (matrix, bytes) = match self.precision {
            Some(precision) if !matrix.is_full_precision() => {
                return Err(already_quantised(precision, matrix.description()).file(&self.place));
            }
            Some(precision) => {
                let made = precision.quantise(&matrix, self.rounding()).map_err(|e| e.file(&self.place))?;
                let name = made.as_ref().map(StoredMatrix::description);
                *self.quantised.entry((name, matrix.ins())).or_default() += 1;
                match made {
                    Some(quantised) => {
                        self.check_values()?;
                        let bytes = quantised.stored_bytes() as u64;
                        (quantised, bytes)
                    }
                    None => {
                        let bytes = kept(&matrix, bytes);
                        (matrix, bytes)
                    }
                }
            }
            None => {
                let bytes = kept(&matrix, bytes);
                (matrix, bytes)
            }
        };
        *self.storage.entry(matrix.description()).or_default() += 1;
        self.stored_bytes += bytes;
        Ok(matrix)
    }

    /// A plain tensor of a shape.
    fn whole(&mut self, name: &str, shape: &[usize]) -> Result<Whole> {
        let info = self.checkpoint.tensors().get(name).ok_or_else(|| self.absent(name))?;
        let refuse = |message: String| Error::input(message).file(&info.file).key(name);
        if info.shape != shape {
            return Err(refuse(wrong_shape(shape, &info.shape)));
        }
        let number = Number::named(&info.dtype).filter(|number| *number != Number::F8E4M3).ok_or_else(|| {
            refuse(format!("the number format {} is not supported here", info.dtype))
                .hint(format!("it should be {}", plain::DTYPES.join(" or ")))
        })?;
        let values = self.checkpoint.bytes(name).map_err(|e| e.file(&info.file).key(name))?;
        if elements(shape).and_then(|count| count.checked_mul(number.size())) != Some(values.len()) {
            let message = format!("{shape:?} numbers of {} do not take {} bytes", info.dtype, values.len());
            return Err(refuse(message).hint(checkpoint::DAMAGED));
        }
        let file = info.file.clone();
        self.used.insert(name.to_string());
        Ok(Whole { values, number, file })
    }

    /// The product of two dimensions, or an error that names the tensor.
    fn possible(&self, name: &str, outs: usize, ins: usize) -> Result<usize> {
        // Values of eight bytes must be countable in memory.
        let product = outs.checked_mul(ins).filter(|product| *product > 0 && *product < usize::MAX / 8);
        product
            .ok_or_else(|| Error::input(format!("{outs} x {ins} is not a possible shape")).file(&self.place).key(name))
    }
}

/// Bytes of a matrix that takes `bytes` in the checkpoint: those of the number format that it is rounded to, where it is.
fn kept(matrix: &StoredMatrix, bytes: u64) -> u64 {
    matrix.rounded_bytes().map_or(bytes, |bytes| bytes as u64)
}

fn already_quantised(precision: Precision, found: &str) -> Error {
    Error::input(format!("the checkpoint is quantised already ({found})")).key(format!("--precision {precision}")).hint(
        "--precision quantises full-precision weights; leave it out, or use the checkpoint that this one was made from",
    )
}

fn not_finite(name: &str, file: &Path) -> Error {
    Error::input("holds NaN or infinity")
        .file(file)
        .key(name)
        .hint("the model diverged in training, or the file is damaged; no score of it would mean anything")
}

/// Whether a `quant_method` is that of an encoding.
fn announced(encoding: &Encoding, said: &Quantization) -> bool {
    encoding.methods.contains(&said.method.as_str())
}

/// The encodings of all matrices.
fn encodings(checkpoint: &dyn Checkpoint) -> Vec<&'static Encoding> {
    let names = checkpoint.tensors().keys();
    let prefixes = names.filter_map(|name| name.strip_suffix(".weight").or_else(|| name.strip_suffix(".qweight")));
    let found = prefixes.filter_map(|prefix| Under { checkpoint, prefix }.encoding());
    let found: BTreeSet<&str> = found.map(|encoding| encoding.name).collect();
    encoding::ENCODINGS.iter().filter(|encoding| found.contains(encoding.name)).collect()
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
