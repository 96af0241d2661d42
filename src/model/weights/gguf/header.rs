//! The header of a GGUF file: typed metadata, then where each tensor lies.
//!
//! Comes in: the bytes of a file that nobody vouches for. Goes out: values and tensors that were checked against the size of the
//! file. Never: allocations that the file's own bytes do not pay for.
//!
//! Layout: `GGUF`, version u32, number of tensors u64, number of keys u64, keys with values, tensors, padding, data. All
//! little-endian. See <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>.

use super::blocks::GgmlType;
use crate::error::{Error, Result};
use std::collections::HashMap;
use std::ops::Range;

pub(super) const DAMAGED: &str = "the file is damaged or was not downloaded to the end; fetch it again";

/// The first bytes of a file.
pub(super) const MAGIC: &[u8; 4] = b"GGUF";

/// Where data begin is a multiple of this, unless `general.alignment` says otherwise.
const ALIGNMENT: u64 = 32;

/// A larger alignment is nonsense.
const LARGEST_ALIGNMENT: u64 = 1 << 20;

/// The format's own limit on keys; names of tensors are held to it, too.
const LONGEST_NAME: u64 = 65_535;

/// The format's own limit on dimensions.
const MOST_DIMENSIONS: u32 = 4;

/// Bytes of the shortest key with its value, and of the shortest tensor.
const SHORTEST_KEY: u64 = 8 + 4 + 1;
const SHORTEST_TENSOR: u64 = 8 + 4 + 4 + 8;

/// Types of values, by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    Text,
    Array,
    U64,
    I64,
    F64,
}

/// A value. Texts and arrays stay in the file: what is here says where.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Integer(i128),
    Float(f64),
    Bool(bool),
    Text(Range<usize>),
    Array { kind: Kind, count: usize, bytes: Range<usize> },
}

/// A tensor of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub name: String,
    pub kind: GgmlType,
    /// Outermost first, as everywhere but in GGUF.
    pub shape: Vec<usize>,
    /// Bytes in the file.
    pub bytes: Range<usize>,
}

impl Entry {
    /// Rows and their length: all dimensions but the innermost make rows.
    pub fn rows(&self) -> (usize, usize) {
        let ins = self.shape.last().copied().unwrap_or(1);
        (self.shape.iter().rev().skip(1).product(), ins)
    }
}

/// What a header says.
#[derive(Debug)]
pub(super) struct Header {
    pub values: HashMap<String, Value>,
    pub tensors: Vec<Entry>,
}

/// Reads and checks a header. Errors name keys and tensors, not the file.
pub(super) fn parse(bytes: &[u8]) -> Result<Header> {
    let mut cursor = Cursor { bytes, at: 0 };
    check_version(&mut cursor)?;
    let (tensors, keys) = (cursor.u64("the number of tensors")?, cursor.u64("the number of keys")?);
    cursor.check_count(keys, SHORTEST_KEY, "keys")?;
    cursor.check_count(tensors, SHORTEST_TENSOR, "tensors")?;
    let mut values = HashMap::new();
    for _ in 0..keys {
        let key = cursor.name("a key")?;
        let value = cursor.kind().and_then(|kind| cursor.value(kind)).map_err(|e| e.key(shown(&key)))?;
        if values.contains_key(&key) {
            return Err(Error::input("stands twice in the header").key(shown(&key)).hint(DAMAGED));
        }
        values.insert(key, value);
    }
    let alignment = alignment(&values)?;
    let mut found = Vec::new();
    for _ in 0..tensors {
        let name = cursor.name("the name of a tensor")?;
        found.push(cursor.tensor(&name).map_err(|e| e.key(shown(&name)))?);
    }
    let data = (cursor.at as u64).next_multiple_of(alignment);
    let tensors = place(found, data, alignment, bytes.len() as u64)?;
    Ok(Header { values, tensors })
}

fn check_version(cursor: &mut Cursor<'_>) -> Result<()> {
    match cursor.take(4, "the first four bytes")? {
        magic if magic == MAGIC => {}
        b"ggml" | b"ggjt" | b"ggmf" | b"lmgg" | b"tjgg" | b"fmgg" => {
            return Err(Error::input("is a GGML file, which came before GGUF")
                .hint("convert the original model anew with llama.cpp's convert_hf_to_gguf.py"));
        }
        _ => return Err(Error::input("does not begin with `GGUF`").hint(DAMAGED)),
    }
    match cursor.u32("the version")? {
        2 | 3 => Ok(()),
        1 => Err(Error::input("is of GGUF version 1, which is not supported")
            .hint("convert the original model anew with llama.cpp's convert_hf_to_gguf.py")),
        version if version.swap_bytes() < 0x1_0000 => {
            Err(Error::input("is a big-endian GGUF file, which is not supported")
                .hint("use the little-endian file of the model, or convert it with gguf-py's gguf_convert_endian.py"))
        }
        version => Err(Error::input(format!("is of GGUF version {version}, which is not supported"))
            .hint("versions 2 and 3 are read; a newer program may be needed, or the file is damaged")),
    }
}

fn alignment(values: &HashMap<String, Value>) -> Result<u64> {
    let key = "general.alignment";
    let alignment = match values.get(key) {
        None => return Ok(ALIGNMENT),
        Some(Value::Integer(value)) => u64::try_from(*value).unwrap_or(0),
        Some(_) => 0,
    };
    if alignment.is_power_of_two() && alignment <= LARGEST_ALIGNMENT {
        return Ok(alignment);
    }
    Err(Error::input("is not a possible alignment; it should be a power of two").key(key).hint(DAMAGED))
}

/// A tensor as the header describes it, its bytes not yet looked for.
struct Found {
    name: String,
    kind: GgmlType,
    shape: Vec<usize>,
    offset: u64,
    size: u64,
}

/// Checks that every tensor has bytes of its own inside the file, and a name of its own.
fn place(found: Vec<Found>, data: u64, alignment: u64, file: u64) -> Result<Vec<Entry>> {
    let room = file.saturating_sub(data);
    let mut names = std::collections::HashSet::new();
    let mut entries = Vec::new();
    for Found { name, kind, shape, offset, size } in found {
        let err = |message: String| Error::input(message).key(shown(&name)).hint(DAMAGED);
        if !offset.is_multiple_of(alignment) {
            return Err(err(format!("its offset {offset} is no multiple of the alignment {alignment}")));
        }
        let end = offset.checked_add(size).filter(|end| *end <= room).ok_or_else(|| {
            err(format!(
                "the file is shorter than its header says: {size} bytes at byte {offset} of {room} bytes of data"
            ))
        })?;
        if !names.insert(name.clone()) {
            return Err(err("stands twice in the header".to_string()));
        }
        // Both are at most the file's length, which is in memory.
        let bytes = (data + offset) as usize..(data + end) as usize;
        entries.push(Entry { name, kind, shape, bytes });
    }
    check_overlaps(&entries)?;
    Ok(entries)
}

/// Bytes that belong to several tensors would let a small file claim a large model.
fn check_overlaps(entries: &[Entry]) -> Result<()> {
    let mut order: Vec<&Entry> = entries.iter().collect();
    order.sort_by_key(|entry| entry.bytes.start);
    match order.windows(2).find(|pair| pair[1].bytes.start < pair[0].bytes.end) {
        None => Ok(()),
        Some(pair) => {
            let message = format!("its bytes are also those of {}", shown(&pair[0].name));
            Err(Error::input(message).key(shown(&pair[1].name)).hint(DAMAGED))
        }
    }
}

/// A name from the file as errors may show it.
pub(super) fn shown(name: &str) -> String {
    crate::visible::excerpt(name, 100)
}

/// Reads forward and never past the end.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn left(&self) -> u64 {
        (self.bytes.len() - self.at) as u64
    }

    fn take(&mut self, length: u64, what: &str) -> Result<&'a [u8]> {
        let taken = usize::try_from(length).ok().and_then(|n| self.bytes.get(self.at..self.at.checked_add(n)?));
        let taken = taken.ok_or_else(|| {
            Error::input(format!("the file ends before {what}: {length} bytes are wanted, {} are left", self.left()))
                .hint(DAMAGED)
        })?;
        self.at += taken.len();
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N as u64, what)?);
        Ok(bytes)
    }

    fn u32(&mut self, what: &str) -> Result<u32> {
        self.array(what).map(u32::from_le_bytes)
    }

    fn u64(&mut self, what: &str) -> Result<u64> {
        self.array(what).map(u64::from_le_bytes)
    }

    fn check_count(&self, count: u64, shortest: u64, what: &str) -> Result<()> {
        if count > self.left() / shortest {
            return Err(Error::input(format!(
                "claims {count} {what}, more than its {} bytes can hold",
                self.bytes.len()
            ))
            .hint(DAMAGED));
        }
        Ok(())
    }

    fn name(&mut self, what: &str) -> Result<String> {
        let length = self.u64(what)?;
        if length > LONGEST_NAME {
            return Err(Error::input(format!("{what} claims to have {length} bytes")).hint(DAMAGED));
        }
        let name = self.take(length, what)?;
        std::str::from_utf8(name)
            .map(str::to_string)
            .map_err(|e| Error::input(format!("{what} is not UTF-8 text")).hint(DAMAGED).cause(e))
    }

    fn kind(&mut self) -> Result<Kind> {
        Ok(match self.u32("the type of a value")? {
            0 => Kind::U8,
            1 => Kind::I8,
            2 => Kind::U16,
            3 => Kind::I16,
            4 => Kind::U32,
            5 => Kind::I32,
            6 => Kind::F32,
            7 => Kind::Bool,
            8 => Kind::Text,
            9 => Kind::Array,
            10 => Kind::U64,
            11 => Kind::I64,
            12 => Kind::F64,
            other => return Err(Error::input(format!("its value is of the unknown type {other}")).hint(DAMAGED)),
        })
    }

    fn value(&mut self, kind: Kind) -> Result<Value> {
        match kind {
            Kind::Array => self.value_array(),
            Kind::Text => self.text().map(Value::Text),
            _ => {
                let bytes = self.take(kind.size(), "a value")?;
                kind.number(bytes).ok_or_else(|| Error::input("is not a number").hint(DAMAGED))
            }
        }
    }

    fn text(&mut self) -> Result<Range<usize>> {
        let length = self.u64("the length of a text")?;
        let start = self.at;
        self.take(length, "the end of a text")?;
        Ok(start..self.at)
    }

    fn value_array(&mut self) -> Result<Value> {
        let (kind, count) = (self.kind()?, self.u64("the length of an array")?);
        let start = self.at;
        match kind {
            Kind::Array => return Err(Error::input("is an array of arrays, which is not supported").hint(DAMAGED)),
            Kind::Text => {
                self.check_count(count, 8, "texts")?;
                for _ in 0..count {
                    self.text()?;
                }
            }
            _ => {
                self.check_count(count, kind.size(), "values")?;
                self.take(count * kind.size(), "the end of an array")?;
            }
        }
        Ok(Value::Array { kind, count: count as usize, bytes: start..self.at })
    }

    fn tensor(&mut self, name: &str) -> Result<Found> {
        let dimensions = self.u32("the number of dimensions")?;
        if dimensions > MOST_DIMENSIONS {
            return Err(
                Error::input(format!("has {dimensions} dimensions, the format allows {MOST_DIMENSIONS}")).hint(DAMAGED)
            );
        }
        let shape = (0..dimensions).map(|_| self.u64("a dimension")).collect::<Result<Vec<u64>>>()?;
        let kind = GgmlType::from_id(self.u32("the type of a tensor")?)?;
        let offset = self.u64("the offset of a tensor")?;
        let impossible =
            || Error::input(format!("has the impossible shape {shape:?} for {}", kind.name())).hint(DAMAGED);
        let ins = shape.first().copied().unwrap_or(1);
        let elements = shape.iter().try_fold(1_u64, |product, n| product.checked_mul(*n)).filter(|n| *n > 0);
        let elements = elements.ok_or_else(impossible)?;
        if !ins.is_multiple_of(kind.block() as u64) {
            return Err(impossible());
        }
        let size = (elements / kind.block() as u64).checked_mul(kind.block_bytes() as u64).ok_or_else(impossible)?;
        let shape = shape.iter().rev().map(|n| usize::try_from(*n)).collect::<Result<_, _>>();
        Ok(Found { name: name.to_string(), kind, shape: shape.map_err(|_| impossible())?, offset, size })
    }
}

impl Kind {
    /// Bytes of a value; texts and arrays have no fixed size.
    fn size(self) -> u64 {
        match self {
            Kind::U8 | Kind::I8 | Kind::Bool => 1,
            Kind::U16 | Kind::I16 => 2,
            Kind::U32 | Kind::I32 | Kind::F32 => 4,
            Kind::U64 | Kind::I64 | Kind::F64 => 8,
            Kind::Text | Kind::Array => 0,
        }
    }

    /// The number or truth value in little-endian bytes of the right length.
    fn number(self, bytes: &[u8]) -> Option<Value> {
        let mut wide = [0; 8];
        wide.get_mut(..bytes.len())?.copy_from_slice(bytes);
        let word = u64::from_le_bytes(wide);
        Some(match self {
            Kind::U8 | Kind::U16 | Kind::U32 | Kind::U64 => Value::Integer(word.into()),
            Kind::I8 => Value::Integer((word as i8).into()),
            Kind::I16 => Value::Integer((word as i16).into()),
            Kind::I32 => Value::Integer((word as i32).into()),
            Kind::I64 => Value::Integer((word as i64).into()),
            Kind::F32 => Value::Float(f32::from_bits(word as u32).into()),
            Kind::F64 => Value::Float(f64::from_bits(word)),
            Kind::Bool => Value::Bool(word != 0),
            Kind::Text | Kind::Array => return None,
        })
    }

    /// The numbers of an array. (`bytes` was checked to hold whole ones.)
    pub fn numbers(self, bytes: &[u8]) -> Option<Vec<Value>> {
        let size = usize::try_from(self.size()).ok().filter(|size| *size > 0)?;
        bytes.chunks_exact(size).map(|bytes| self.number(bytes)).collect()
    }
}

/// The texts of an array of so many. (`bytes` was checked to hold them.)
pub(super) fn texts(count: usize, bytes: &[u8]) -> Result<Vec<&str>> {
    let mut cursor = Cursor { bytes, at: 0 };
    let text = |at: Range<usize>| {
        std::str::from_utf8(&bytes[at])
            .map_err(|e| Error::input("holds a text that is not UTF-8").hint(DAMAGED).cause(e))
    };
    (0..count).map(|_| cursor.text().and_then(text)).collect()
}
