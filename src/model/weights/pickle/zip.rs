//! Just enough of ZIP for what `torch.save` writes: entries that are stored, not compressed, in one file.
//!
//! Comes in: a mapped file. Goes out: entries by name, as parts of the mapping. Never: decompression, allocation beyond names.

use crate::error::{Error, Result};
use crate::model::weights::bytes::Bytes;
use crate::model::weights::checkpoint::DAMAGED;
use std::collections::HashMap;

const END: u32 = 0x0605_4b50;
const END_64_PLACE: u32 = 0x0706_4b50;
const END_64: u32 = 0x0606_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const LOCAL: u32 = 0x0403_4b50;

/// Bytes of the record at the end without its comment, and of the comment at most.
const END_LENGTH: usize = 22;
const LONGEST_COMMENT: usize = 0xffff;

/// The extra field with sizes of 64 bits.
const EXTRA_64: u16 = 1;

/// What sizes of 32 bits say when those of 64 bits are meant.
const SEE_64: u64 = 0xffff_ffff;

/// All entries by name.
pub fn entries(file: &Bytes) -> Result<HashMap<String, Bytes>> {
    read(file).ok_or_else(|| Error::input("its table of contents is damaged").hint(DAMAGED))?
}

/// A number of `SIZE` bytes, little-endian; `None` beyond the end.
fn number<const SIZE: usize>(bytes: &[u8], at: usize) -> Option<u64> {
    let mut wide = [0; 8];
    wide.get_mut(..SIZE)?.copy_from_slice(bytes.get(at..at.checked_add(SIZE)?)?);
    Some(u64::from_le_bytes(wide))
}

fn is(bytes: &[u8], at: usize, signature: u32) -> bool {
    number::<4>(bytes, at) == Some(u64::from(signature))
}

/// `None` where the structure is broken; an error where it is whole but cannot be read.
fn read(file: &Bytes) -> Option<Result<HashMap<String, Bytes>>> {
    let (mut at, size) = directory(file)?;
    let end = at.checked_add(size).filter(|end| *end <= file.len())?;
    let mut entries = HashMap::new();
    while at < end {
        if !is(file, at, CENTRAL) {
            return None;
        }
        let field = |offset: usize| number::<2>(file, at + offset).map(|v| v as usize);
        let (name, extra, comment) = (field(28)?, field(30)?, field(32)?);
        let name_end = at + 46 + name;
        let name = String::from_utf8_lossy(file.get(at + 46..name_end)?).into_owned();
        if field(10)? != 0 {
            let error = Error::input("is compressed, which torch.save never does").key(name);
            return Some(Err(error.hint("save the model again with `save_pretrained`")));
        }
        let (size, local) = place(file, at, file.get(name_end..name_end + extra)?)?;
        if !is(file, local, LOCAL) {
            return None;
        }
        let lengths = number::<2>(file, local + 26)? + number::<2>(file, local + 28)?;
        let start = local.checked_add(30 + lengths as usize)?;
        entries.insert(name, file.part(start..start.checked_add(size)?)?);
        at = name_end + extra + comment;
    }
    Some(Ok(entries))
}

/// Where the central directory begins and what it takes.
fn directory(file: &[u8]) -> Option<(usize, usize)> {
    let last = file.len().checked_sub(END_LENGTH)?;
    let first = last.saturating_sub(LONGEST_COMMENT);
    let end = (first..=last).rev().find(|at| is(file, *at, END))?;
    let locator = end.checked_sub(20).filter(|at| is(file, *at, END_64_PLACE));
    let (size, start) = match locator {
        Some(at) => {
            let record = usize::try_from(number::<8>(file, at + 8)?).ok()?;
            if record > file.len() || !is(file, record, END_64) {
                return None;
            }
            (number::<8>(file, record + 40)?, number::<8>(file, record + 48)?)
        }
        None => (number::<4>(file, end + 12)?, number::<4>(file, end + 16)?),
    };
    Some((usize::try_from(start).ok()?, usize::try_from(size).ok()?))
}

/// Size of an entry, which is stored as it is, and where its local header is.
fn place(file: &[u8], at: usize, mut extra: &[u8]) -> Option<(usize, usize)> {
    let mut fields = [number::<4>(file, at + 24)?, number::<4>(file, at + 20)?, number::<4>(file, at + 42)?];
    while extra.len() >= 4 {
        let (kind, length) = (number::<2>(extra, 0)?, number::<2>(extra, 2)? as usize);
        let content = extra.get(4..4 + length)?;
        if kind == u64::from(EXTRA_64) {
            let mut wide = content.chunks_exact(8);
            for field in fields.iter_mut().filter(|field| **field == SEE_64) {
                *field = number::<8>(wide.next()?, 0)?;
            }
        }
        extra = &extra[4 + length..];
    }
    let [plain, stored, local] = fields;
    let local = usize::try_from(local).ok().filter(|local| *local < file.len())?;
    (plain == stored).then_some((usize::try_from(plain).ok()?, local))
}
