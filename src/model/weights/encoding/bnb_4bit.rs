//! NF4 and FP4 of bitsandbytes (Dettmers et al. 2023, arXiv:2305.14314).
//!
//! `weight` holds two codes a byte over all rows together, the first in the high nibble; `weight.quant_map` says what a code means;
//! `weight.absmax` has a scale for each block of consecutive numbers; `weight.quant_state.bitsandbytes__nf4` is JSON. With double
//! quantisation `absmax` is codes of its own. `W = quant_map[code] * absmax[block]`, rounded to the `dtype` of the JSON.

use super::{Asked, Under, elements, wrong_shape};
use crate::error::Result;
use crate::kernel::{Codes, Grouped, Rounding};
use crate::model::weights::checkpoint::DAMAGED;
use crate::model::weights::stored::{Dense, StoredMatrix};
use rayon::prelude::*;
use serde::Deserialize;

/// Groups below this width cost more than they save.
const SMALLEST_GROUP: usize = 16;

const KINDS: &[&str] = &["nf4", "fp4"];

/// Number formats that packed codes may pretend to be (`bnb_4bit_quant_storage`).
const STORAGES: &[&str] = &["U8", "I8", "BF16", "F16", "F32"];

pub fn recognise(under: &Under<'_>) -> bool {
    under.info("weight.absmax").is_some() || state(under).is_some()
}

/// The name of the state tensor, and which kind it says.
fn state(under: &Under<'_>) -> Option<(String, &'static str)> {
    let named = KINDS.iter().map(|kind| (format!("weight.quant_state.bitsandbytes__{kind}"), *kind));
    named.into_iter().find(|(name, _)| under.info(name).is_some())
}

/// What the JSON says.
#[derive(Deserialize)]
struct State {
    blocksize: usize,
    dtype: String,
    shape: Vec<usize>,
    nested_blocksize: Option<usize>,
    nested_offset: Option<f64>,
}

/// Codes in flat order, the first in the high nibble, with a scale for each block.
pub struct Flat<'a> {
    pub codes: &'a [u8],
    pub levels: [f32; 16],
    pub scales: &'a [f32],
    pub block: usize,
    pub rounding: Rounding,
    pub encoding: &'static str,
}

pub fn decode(asked: &Asked<'_>) -> Result<StoredMatrix> {
    let Some((name, kind)) = state(&asked.under) else {
        let hint = "4-bit checkpoints of bitsandbytes before 0.41 cannot be read; save the model again";
        return Err(asked.refuse("weight.quant_state", "the state of the quantisation is missing").hint(hint));
    };
    let state = read_state(asked, &name)?;
    if state.shape != [asked.outs, asked.ins] {
        return Err(asked.refuse(&name, wrong_shape(&[asked.outs, asked.ins], &state.shape)));
    }
    let numbers = elements(&state.shape).ok_or_else(|| asked.refuse(&name, "its shape is impossible"))?;
    let (info, codes) = asked.tensor("weight", STORAGES)?;
    if codes.len() != numbers.div_ceil(2) {
        let message = format!("{numbers} codes of 4 bits take {} bytes, not {}", numbers.div_ceil(2), codes.len());
        return Err(asked.refuse("weight", format!("{message} (its shape is {:?})", info.shape)).hint(DAMAGED));
    }
    let levels = asked.reals("weight.quant_map", &[16])?;
    let mut map = [0.0; 16];
    map.copy_from_slice(&levels);
    let rounding = match state.dtype.as_str() {
        "float32" => Rounding::None,
        "bfloat16" => Rounding::Bf16,
        "float16" => Rounding::F16,
        other => return Err(asked.refuse(&name, format!("its dtype `{other}` is unknown"))),
    };
    let scales = scales(asked, &name, &state, numbers)?;
    let encoding = match (kind, state.nested_blocksize) {
        ("nf4", None) => "nf4",
        ("nf4", Some(_)) => "nf4-dq",
        (_, None) => "fp4",
        (_, Some(_)) => "fp4-dq",
    };
    let flat = Flat { codes: &codes, levels: map, scales: &scales, block: state.blocksize, rounding, encoding };
    matrix(&flat, asked.outs, asked.ins).map_err(|e| asked.refuse("weight", e))
}

fn read_state(asked: &Asked<'_>, name: &str) -> Result<State> {
    let (_, json) = asked.tensor(name, &["U8"])?;
    let state: State = serde_json::from_slice(&json)
        .map_err(|e| asked.refuse(name, "is not JSON that describes a quantisation").hint(DAMAGED).cause(e))?;
    if state.blocksize == 0 || state.nested_blocksize == Some(0) {
        return Err(asked.refuse(name, "its blocks have no numbers").hint(DAMAGED));
    }
    Ok(state)
}

/// A scale for each block, unpacked where it is quantised itself.
fn scales(asked: &Asked<'_>, name: &str, state: &State, numbers: usize) -> Result<Vec<f32>> {
    let blocks = numbers.div_ceil(state.blocksize);
    let Some(nested) = state.nested_blocksize else {
        return asked.reals("weight.absmax", &[blocks]);
    };
    let (info, codes) = asked.tensor("weight.absmax", &["U8"])?;
    if codes.len() != blocks {
        return Err(asked.refuse("weight.absmax", wrong_shape(&[blocks], &info.shape)));
    }
    let levels = asked.reals("weight.nested_quant_map", &[256])?;
    let largest = asked.reals("weight.nested_absmax", &[blocks.div_ceil(nested)])?;
    let offset = state.nested_offset.filter(|offset| (*offset as f32).is_finite());
    let offset = offset.ok_or_else(|| asked.refuse(name, "needs a finite `nested_offset`").hint(DAMAGED))? as f32;
    Ok(unnest(&codes, &levels, &largest, nested, offset))
}

/// Scales of their codes: `levels[code] * largest[block] + offset`.
pub fn unnest(codes: &[u8], levels: &[f32], largest: &[f32], block: usize, offset: f32) -> Vec<f32> {
    let blocks = codes.chunks(block).zip(largest);
    blocks.flat_map(|(codes, largest)| codes.iter().map(move |c| levels[usize::from(*c)] * largest + offset)).collect()
}

/// The matrix of codes in flat order. Blocks run over the ends of rows where their size does not divide a row's: a group then is
/// what divides both, so that it lies inside a row and a block.
pub fn matrix(flat: &Flat<'_>, outs: usize, ins: usize) -> Result<StoredMatrix, String> {
    let group = if flat.block.is_multiple_of(ins) { ins } else { common_divisor(flat.block, ins) };
    if group < SMALLEST_GROUP.min(ins) {
        return dense(flat, outs, ins);
    }
    let groups = ins / group;
    let per_block = flat.block / group;
    let scales = (0..outs * groups).map(|g| flat.scales.get(g / per_block).copied().unwrap_or(0.0)).collect();
    let codes = Codes::Four { bytes: rows_of_codes(flat.codes, outs, ins), levels: flat.levels };
    Ok(StoredMatrix::compressed(Grouped::new(outs, ins, group, codes, scales, None, flat.rounding)?, flat.encoding))
}

fn common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

/// Codes by rows with the first in the low nibble, of codes in flat order with the first in the high one.
fn rows_of_codes(flat: &[u8], outs: usize, ins: usize) -> Vec<u8> {
    if ins.is_multiple_of(2) {
        return flat.par_iter().with_min_len(1 << 14).map(|byte| byte.rotate_left(4)).collect();
    }
    let mut bytes = vec![0; outs * ins.div_ceil(2)];
    for (row, bytes) in bytes.chunks_exact_mut(ins.div_ceil(2)).enumerate() {
        for k in 0..ins {
            bytes[k / 2] |= code(flat, row * ins + k) << (4 * (k % 2));
        }
    }
    bytes
}

fn code(flat: &[u8], at: usize) -> u8 {
    let byte = flat.get(at / 2).copied().unwrap_or(0);
    if at.is_multiple_of(2) { byte >> 4 } else { byte & 15 }
}

/// The values themselves, for shapes in which blocks and rows have nothing in common.
fn dense(flat: &Flat<'_>, outs: usize, ins: usize) -> Result<StoredMatrix, String> {
    let value = |at: usize| {
        let scale = flat.scales.get(at / flat.block).copied().unwrap_or(0.0);
        flat.levels[usize::from(code(flat.codes, at))] * scale
    };
    let values = (0..outs * ins).into_par_iter().with_min_len(1 << 14).map(value).collect();
    let stored = flat.codes.len() + 4 * flat.scales.len();
    let dense = Dense::made(values, outs, ins, flat.encoding, stored).ok_or("impossible shape")?;
    Ok(StoredMatrix::Dense(dense.rounded(flat.rounding)))
}
