//! Blocks of llama.cpp: `weight` in one of its quantised types, `[outs, ins]`.

use super::{Asked, Under, wrong_shape};
use crate::error::Result;
use crate::model::weights::gguf::{self, GgmlType};
use crate::model::weights::stored::StoredMatrix;

/// As `--precision` and tables write them.
const NAMES: &[&str] =
    &["q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q8_1", "q2_k", "q3_k", "q4_k", "q5_k", "q6_k", "q8_k"];

pub fn recognise(under: &Under<'_>) -> bool {
    GgmlType::from_name(under.dtype("weight")).is_some_and(|kind| kind.block() > 1)
}

pub fn decode(asked: &Asked<'_>) -> Result<StoredMatrix> {
    let dtype = asked.under.dtype("weight");
    let (info, bytes) = asked.tensor("weight", &[dtype])?;
    if info.shape != [asked.outs, asked.ins] {
        return Err(asked.refuse("weight", wrong_shape(&[asked.outs, asked.ins], &info.shape)));
    }
    let kind = GgmlType::from_name(dtype).ok_or_else(|| asked.refuse("weight", "its blocks are unknown"))?;
    let codes = gguf::decode(kind, asked.outs, asked.ins, &bytes)
        .map_err(|e| e.file(&info.file).key(asked.under.name("weight")))?;
    let name = NAMES.iter().find(|name| name.eq_ignore_ascii_case(kind.name())).unwrap_or(&"ggml blocks");
    Ok(StoredMatrix::compressed(codes, name))
}
