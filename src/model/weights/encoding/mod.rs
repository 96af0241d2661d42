//! How the matrix of a linear layer is written as tensors: plain, or as codes with scales.
//!
//! Comes in: the tensors under a prefix and the shape that the configuration gives. Goes out: a `StoredMatrix` whose values are
//! those of the format's definition. Never: file formats, names of layers.

mod affine;
mod awq;
pub mod bnb_4bit;
pub mod bnb_int8;
mod fp8;
mod ggml;
mod gptq;
pub mod plain;

use super::bytes::Bytes;
use super::checkpoint::{Checkpoint, DAMAGED, TensorInfo, stored_size};
use super::number::{self, Number};
use super::quantization::Quantization;
use super::stored::StoredMatrix;
use crate::error::{Error, Result};
use crate::kernel::Rounding;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;

/// A way of writing a matrix.
pub struct Encoding {
    /// For messages and tables.
    pub name: &'static str,
    /// The values of `quant_method` in `quantization_config` that announce it.
    pub methods: &'static [&'static str],
    /// Whether the tensors under a prefix are a matrix written so.
    pub recognise: fn(&Under<'_>) -> bool,
    /// Reads the matrix.
    pub decode: fn(&Asked<'_>) -> Result<StoredMatrix>,
}

/// All encodings, in the order in which they are looked for. A new one is a file here and a row.
pub const ENCODINGS: &[Encoding] = &[
    Encoding { name: "gptq", methods: &["gptq"], recognise: gptq::recognise, decode: gptq::decode },
    Encoding { name: "awq", methods: &["awq"], recognise: awq::recognise, decode: awq::decode },
    Encoding {
        name: "bitsandbytes 4 bit",
        methods: &["bitsandbytes"],
        recognise: bnb_4bit::recognise,
        decode: bnb_4bit::decode,
    },
    Encoding {
        name: "bitsandbytes int8",
        methods: &["bitsandbytes"],
        recognise: bnb_int8::recognise,
        decode: bnb_int8::decode,
    },
    Encoding {
        name: "fp8",
        methods: &["fp8", "fbgemm_fp8", "compressed-tensors"],
        recognise: fp8::recognise,
        decode: fp8::decode,
    },
    Encoding { name: "ggml blocks", methods: &[], recognise: ggml::recognise, decode: ggml::decode },
    Encoding { name: PLAIN, methods: &[], recognise: plain::recognise, decode: plain::decode },
];

/// The encoding that is none.
pub const PLAIN: &str = "plain";

/// The tensors whose names begin with a prefix and a dot.
pub struct Under<'a> {
    pub checkpoint: &'a dyn Checkpoint,
    pub prefix: &'a str,
}

impl<'a> Under<'a> {
    /// What is known of `<prefix>.<suffix>`, if it is there.
    pub fn info(&self, suffix: &str) -> Option<&'a TensorInfo> {
        self.checkpoint.tensors().get(&self.name(suffix))
    }

    /// The number format of `<prefix>.<suffix>`, empty if it is not there.
    pub fn dtype(&self, suffix: &str) -> &'a str {
        self.info(suffix).map_or("", |info| &info.dtype)
    }

    fn name(&self, suffix: &str) -> String {
        format!("{}.{suffix}", self.prefix)
    }

    /// The encoding of the matrix under the prefix, if there is one.
    pub fn encoding(&self) -> Option<&'static Encoding> {
        ENCODINGS.iter().find(|encoding| (encoding.recognise)(self))
    }
}

/// A matrix that is asked for, and what has been read for it.
pub struct Asked<'a> {
    pub under: Under<'a>,
    /// Folder or file of the checkpoint, for errors.
    pub place: &'a Path,
    pub outs: usize,
    pub ins: usize,
    /// A matrix that plain checkpoints store as `[ins, outs]`.
    pub conv1d: bool,
    /// What full-precision values are rounded to.
    pub rounding: Rounding,
    pub quantization: Option<&'a Quantization>,
    /// Names of the tensors that were read.
    pub used: RefCell<BTreeSet<String>>,
    /// What the user should know about its tables.
    pub doubts: RefCell<BTreeSet<String>>,
}

impl<'a> Asked<'a> {
    /// What is known of `<prefix>.<suffix>`, if it is there.
    pub fn info(&self, suffix: &str) -> Option<&'a TensorInfo> {
        self.under.info(suffix)
    }

    /// An error about `<prefix>.<suffix>`.
    pub fn refuse(&self, suffix: &str, message: impl Into<String>) -> Error {
        let file = self.info(suffix).map_or(self.place, |info| info.file.as_path());
        Error::input(message).file(file).key(self.under.name(suffix))
    }

    /// A tensor of one of some number formats, whatever its shape.
    pub fn tensor(&self, suffix: &str, dtypes: &[&str]) -> Result<(&'a TensorInfo, Bytes)> {
        let name = self.under.name(suffix);
        let info = self.info(suffix).ok_or_else(|| missing(&name, self.place))?;
        if !dtypes.contains(&info.dtype.as_str()) {
            let message = format!("the number format {} is not supported here", info.dtype);
            return Err(self.refuse(suffix, message).hint(format!("it should be {}", dtypes.join(" or "))));
        }
        let bytes = self.under.checkpoint.bytes(&name).map_err(|e| e.file(&info.file).key(&name))?;
        if stored_size(&info.dtype, &info.shape).is_some_and(|size| size != Some(bytes.len())) {
            let message = format!("{:?} numbers of {} do not take {} bytes", info.shape, info.dtype, bytes.len());
            return Err(self.refuse(suffix, message).hint(DAMAGED));
        }
        self.used.borrow_mut().insert(name);
        Ok((info, bytes))
    }

    /// A tensor of one of some number formats and of a shape.
    pub fn shaped(&self, suffix: &str, dtypes: &[&str], shape: &[usize]) -> Result<Bytes> {
        let (info, bytes) = self.tensor(suffix, dtypes)?;
        if info.shape != shape {
            return Err(self.refuse(suffix, wrong_shape(shape, &info.shape)));
        }
        Ok(bytes)
    }

    /// Finite real numbers of any format, as many as `shape` has whatever the tensor's own shape is: scales.
    pub fn reals(&self, suffix: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let (info, bytes) = self.tensor(suffix, &["F32", "F16", "BF16", "F64"])?;
        if elements(&info.shape) != elements(shape) {
            return Err(self.refuse(suffix, wrong_shape(shape, &info.shape)));
        }
        let number = Number::named(&info.dtype).unwrap_or(Number::F32);
        let mut values = vec![0.0; bytes.len() / number.size()];
        number.widen(&bytes, &mut values);
        if !number::all_finite(&values) {
            return Err(self.refuse(suffix, "holds NaN or infinity").hint(DAMAGED));
        }
        Ok(values)
    }

    /// 32-bit words of a shape.
    pub fn words(&self, suffix: &str, shape: &[usize]) -> Result<Vec<u32>> {
        let bytes = self.shaped(suffix, &["I32", "U32"], shape)?;
        let (words, _) = bytes.as_chunks::<4>();
        Ok(words.iter().map(|word| u32::from_le_bytes(*word)).collect())
    }

    /// Remembers something to say about the matrix.
    pub fn doubt(&self, text: impl Into<String>) {
        self.doubts.borrow_mut().insert(text.into());
    }

    /// Says that a tensor is known but not needed.
    pub fn ignore(&self, suffix: &str) {
        self.used.borrow_mut().insert(self.under.name(suffix));
    }
}

/// The error for a tensor that is not there.
pub fn missing(name: &str, place: &Path) -> Error {
    Error::input(format!("the tensor {name} is missing"))
        .file(place)
        .hint("the checkpoint is incomplete, or of another architecture than its config.json says")
}

/// What to say of a shape that is not the configuration's.
pub fn wrong_shape(wanted: &[usize], found: &[usize]) -> String {
    format!("config.json asks for the shape {wanted:?}, the file has {found:?}")
}

/// Numbers of a shape; `None` where there cannot be so many.
pub fn elements(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |product, size| product.checked_mul(*size))
}
