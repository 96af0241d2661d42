//! AWQ (Lin et al. 2023, arXiv:2306.00978), 4 bits in the order of its GEMM kernel, as AutoAWQ stores it.
//!
//! `qweight` I32 `[ins, outs / 8]` and `qzeros` I32 `[groups, outs / 8]` hold eight neighbouring outputs a word, in the order of
//! [`ORDER`]; `scales` `[groups, outs]`. `W = (code - zero) * scale`, groups are neighbouring inputs.

use super::affine::{Affine, Groups};
use super::{Asked, Under, missing, wrong_shape};
use crate::error::Result;
use crate::model::weights::stored::StoredMatrix;

/// Output `8 j + k` is in nibble `ORDER[k]` of word `j`: nibbles hold outputs 0, 2, 4, 6, 1, 3, 5, 7.
const ORDER: [u32; 8] = [0, 4, 1, 5, 2, 6, 3, 7];

/// Outputs of a word.
const PACKED: usize = 8;

/// As GPTQ, but with an eighth of the columns of `scales`, and with no list of groups.
pub fn recognise(under: &Under<'_>) -> bool {
    let columns = |suffix: &str| under.info(suffix).and_then(|info| info.shape.get(1).copied());
    match (columns("qweight"), columns("scales")) {
        (Some(packed), Some(outs)) => packed.checked_mul(PACKED) == Some(outs) && under.info("g_idx").is_none(),
        _ => false,
    }
}

pub fn decode(asked: &Asked<'_>) -> Result<StoredMatrix> {
    let (outs, ins) = (asked.outs, asked.ins);
    if !outs.is_multiple_of(PACKED) {
        return Err(asked.refuse("qweight", format!("{outs} outputs are not whole words of {PACKED}")));
    }
    let columns = outs / PACKED;
    let words = asked.words("qweight", &[ins, columns])?;
    let groups = match asked.info("scales").map(|info| &info.shape[..]) {
        Some([groups, _]) if *groups > 0 && *groups <= ins => *groups,
        Some(other) => return Err(asked.refuse("scales", wrong_shape(&[1, outs], other))),
        None => return Err(missing(&format!("{}.scales", asked.under.prefix), asked.place)),
    };
    let group = asked.quantization.and_then(|q| q.group_size).unwrap_or_else(|| ins.div_ceil(groups)).min(ins);
    if ins.div_ceil(group) != groups {
        let message =
            format!("has {groups} groups, {ins} inputs in groups of {group} would have {}", ins.div_ceil(group));
        return Err(asked.refuse("scales", message));
    }
    let scales = asked.reals("scales", &[groups, outs])?;
    let zero_words = asked.words("qzeros", &[groups, columns])?;
    let nibble = |words: &[u32], row: usize, out: usize| {
        let word = words.get(row * columns + out / PACKED).copied().unwrap_or(0);
        (word >> (4 * ORDER[out % PACKED]) & 15) as u8
    };
    let zeros: Vec<i32> = (0..groups * outs).map(|at| i32::from(nibble(&zero_words, at / outs, at % outs))).collect();
    check_zeros(asked, &zeros);
    let row = |out: usize, codes: &mut [u8]| {
        codes.iter_mut().enumerate().for_each(|(k, code)| *code = nibble(&words, k, out));
    };
    let affine = Affine {
        outs,
        ins,
        bits: 4,
        row: &row,
        zeros,
        groups: Groups::Even(group),
        rounding: asked.rounding,
        encoding: "awq",
        stored_bytes: 4 * (words.len() + zero_words.len()) + 2 * scales.len(),
        scales,
    };
    affine.matrix().map_err(|e| asked.refuse("qweight", e))
}

/// The middle of 16 levels.
const MIDDLE: i32 = 8;

/// `zero_point` says whether zeros were chosen; tables that say otherwise are of another layout, or damaged.
fn check_zeros(asked: &Asked<'_>, zeros: &[i32]) {
    let all = |zero: i32| !zeros.is_empty() && zeros.iter().all(|found| *found == zero);
    let chosen = asked.quantization.and_then(|q| q.zero_point);
    if all(0) || all(MIDDLE - 1) {
        asked.doubt(format!(
            "every zero point is {}: no level is below zero, or none in the middle; the file may be in another layout than AWQ's",
            zeros[0]
        ));
    } else if chosen == Some(false) && !all(MIDDLE) {
        asked.doubt(
            "zero points are not in the middle, although the configuration says that `zero_point` is false: one of the two is \
             wrong, and the tables were read as they are",
        );
    }
}
