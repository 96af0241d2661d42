//! GPTQ (Frantar et al. 2022, arXiv:2210.17323) as AutoGPTQ and GPTQModel store it, 2, 3, 4 and 8 bits.
//!
//! `qweight` I32 `[ins * bits / 32, outs]` holds the codes of an output down a column, `qzeros` I32 `[groups, outs * bits / 32]` the
//! zeros of a group along a row, both as one stream of bits from the lowest on; `scales` `[groups, outs]`; `g_idx` I32 `[ins]`, the
//! group of each input, where they were quantised in the order of their activations. `W = (code - zero) * scale`. Version 1 of the
//! format stores zeros less one.

use super::affine::{Affine, Groups};
use super::plain::DTYPES;
use super::{Asked, Under, wrong_shape};
use crate::error::Result;
use crate::model::weights::checkpoint::DAMAGED;
use crate::model::weights::stored::StoredMatrix;

const BITS: &[usize] = &[2, 3, 4, 8];

pub fn recognise(under: &Under<'_>) -> bool {
    // AWQ packs along outputs: then `qweight` has as many rows as `qzeros` has groups times their width, and no `g_idx`.
    under.info("qweight").is_some() && !super::awq::recognise(under)
}

pub fn decode(asked: &Asked<'_>) -> Result<StoredMatrix> {
    let (outs, ins) = (asked.outs, asked.ins);
    let bits = bits(asked)?;
    let packed = |numbers: usize| numbers * bits / 32;
    let words = asked.words("qweight", &[packed(ins), outs])?;
    let groups = match asked.info("scales").map(|info| &info.shape[..]) {
        Some([groups, _]) if *groups > 0 && *groups <= ins => *groups,
        Some(other) => return Err(asked.refuse("scales", wrong_shape(&[1, outs], other))),
        None => return Err(super::missing(&format!("{}.scales", asked.under.prefix), asked.place)),
    };
    let scales = asked.reals("scales", &[groups, outs])?;
    let zero_words = asked.words("qzeros", &[groups, packed(outs)])?;
    let stored = |at: usize| {
        let row = &zero_words[at / outs * packed(outs)..][..packed(outs)];
        i32::from(stream(|word| row.get(word).copied().unwrap_or(0), at % outs, bits))
    };
    let stored: Vec<i32> = (0..groups * outs).map(stored).collect();
    let less = if zeros_less_one(asked, &stored, bits) { 1 } else { 0 };
    let zeros = stored.iter().map(|zero| zero + less).collect();
    let row = |out: usize, codes: &mut [u8]| {
        let word = |word: usize| words.get(word * outs + out).copied().unwrap_or(0);
        codes.iter_mut().enumerate().for_each(|(k, code)| *code = stream(word, k, bits));
    };
    ignore_empty_bias(asked)?;
    let affine = Affine {
        outs,
        ins,
        bits: bits as u32,
        row: &row,
        zeros,
        groups: groups_of_inputs(asked, groups)?,
        rounding: asked.rounding,
        encoding: "gptq",
        stored_bytes: 4 * (words.len() + zero_words.len()) + 2 * scales.len(),
        scales,
    };
    affine.matrix().map_err(|e| asked.refuse("qweight", e))
}

/// Whether stored zeros are less by one than the zeros are: version 1 of the format. `sym` says what the zeros are, so that it shows
/// where a file is of the other version than its configuration says (programs that write version 2 under the name of version 1).
fn zeros_less_one(asked: &Asked<'_>, stored: &[i32], bits: usize) -> bool {
    let written = !asked.quantization.is_some_and(|q| q.gptq_v2);
    let middle = 1 << (bits - 1);
    let all = |zero: i32| !stored.is_empty() && stored.iter().all(|found| *found == zero);
    match asked.quantization.and_then(|q| q.sym) {
        Some(true) if written && all(middle) => {
            asked.doubt(format!(
                "every zero point is stored as {middle}, which with `sym` is version 2 of the format, not version 1 as \
                 `checkpoint_format` says: read as version 2"
            ));
            false
        }
        Some(true) if !written && all(middle - 1) => {
            asked.doubt(format!(
                "every zero point is stored as {}, which with `sym` is version 1 of the format, not version 2 as \
                 `checkpoint_format` says: read as version 1",
                middle - 1
            ));
            true
        }
        Some(true) if !all(if written { middle - 1 } else { middle }) => {
            asked.doubt(
                "zero points are not in the middle, although the configuration says `sym`: one of the two is wrong, and the \
                 tables were read as they are",
            );
            written
        }
        other => {
            if other != Some(true) && written && all(middle) {
                asked.doubt(format!(
                    "every zero point is stored as {middle}, so that in version 1 of the format none is in the middle: the \
                     file may be of version 2 (`checkpoint_format`), which cannot be told from here"
                ));
            }
            written
        }
    }
}

/// AutoGPTQ stores a bias of zeros where the model has none.
fn ignore_empty_bias(asked: &Asked<'_>) -> Result<()> {
    if asked.info("bias").is_some() {
        let (_, bytes) = asked.tensor("bias", DTYPES)?;
        if bytes.iter().any(|byte| *byte != 0) {
            asked.used.borrow_mut().remove(&format!("{}.bias", asked.under.prefix));
        }
    }
    Ok(())
}

/// The `at`-th number of `bits` bits in a stream of words.
fn stream(word: impl Fn(usize) -> u32, at: usize, bits: usize) -> u8 {
    let (first, shift) = (at * bits / 32, at * bits % 32);
    let mut value = word(first) >> shift;
    if shift + bits > 32 {
        value |= word(first + 1) << (32 - shift);
    }
    (value & ((1 << bits) - 1)) as u8
}

/// Bits of a code, from the shape of `qweight`; what `quantization_config` says must agree.
fn bits(asked: &Asked<'_>) -> Result<usize> {
    let shape = asked.info("qweight").map_or(&[][..], |info| &info.shape);
    let fits = |bits: &&usize| {
        let words = |numbers: usize| numbers.checked_mul(**bits).filter(|n| n % 32 == 0).map(|n| n / 32);
        words(asked.ins) == shape.first().copied() && words(asked.outs).is_some()
    };
    let Some(bits) = BITS.iter().find(fits).copied().filter(|_| shape.len() == 2) else {
        let (outs, ins) = (asked.outs, asked.ins);
        let message = format!("{ins} inputs of {outs} outputs cannot be in words of the shape {shape:?}");
        return Err(asked.refuse("qweight", message).hint("GPTQ packs 2, 3, 4 or 8 bits along the inputs"));
    };
    match asked.quantization.and_then(|q| q.bits.filter(|_| !q.dynamic)) {
        Some(written) if written != bits => Err(asked
            .refuse("qweight", format!("is in {bits} bits, `quantization_config` says {written}"))
            .hint(DAMAGED)),
        _ => Ok(bits),
    }
}

fn groups_of_inputs(asked: &Asked<'_>, groups: usize) -> Result<Groups> {
    let ins = asked.ins;
    let written = asked.quantization.and_then(|q| q.group_size.filter(|_| !q.dynamic));
    let group = written.unwrap_or_else(|| ins.div_ceil(groups)).min(ins);
    if ins.div_ceil(group) != groups {
        let message =
            format!("has {groups} groups, {ins} inputs in groups of {group} would have {}", ins.div_ceil(group));
        return Err(asked.refuse("scales", message));
    }
    let desc_act = asked.quantization.and_then(|q| q.desc_act);
    if asked.info("g_idx").is_none() {
        if desc_act == Some(true) {
            asked.doubt("there is no list of groups (`g_idx`), although the configuration says `desc_act`: neighbours were taken");
        }
        return Ok(Groups::Even(group));
    }
    let listed = asked.words("g_idx", &[ins])?;
    if let Some(bad) = listed.iter().find(|index| **index as usize >= groups) {
        let message = format!("names group {}, there are {groups}", *bad as i32);
        return Err(asked.refuse("g_idx", message).hint(DAMAGED));
    }
    let even = listed.iter().enumerate().all(|(k, index)| k / group == *index as usize);
    if even {
        return Ok(Groups::Even(group));
    }
    // Whoever quantised it gave each group as many inputs.
    let mut sizes = vec![0; groups];
    listed.iter().for_each(|index| sizes[*index as usize] += 1);
    let unused = groups > 1 && listed.iter().all(|index| *index == 0);
    if desc_act == Some(false) || unused {
        let what = if unused { "names group 0 for every input" } else { "is not that of neighbours" };
        let why = if desc_act == Some(false) { ", and the configuration says that `desc_act` is false" } else { "" };
        asked.doubt(format!("its list of groups (`g_idx`) {what}{why}: it is not used, neighbours are a group"));
        return Ok(Groups::Even(group));
    }
    if sizes.iter().take(groups - 1).any(|size| *size != group) {
        asked.doubt(format!(
            "its list of groups (`g_idx`) does not give each group {group} inputs; it was used as it is"
        ));
    }
    Ok(Groups::Listed(listed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_may_cross_words() {
        // AutoGPTQ puts number 10 of 3 bits into the last two bits of the first word and the first bit of the second.
        let words = [0b11 << 30, 0b1 | 0b101 << 1];
        let word = |i: usize| words[i];
        assert_eq!((stream(word, 9, 3), stream(word, 10, 3), stream(word, 11, 3)), (0, 7, 5));
        assert_eq!((stream(word, 7, 4), stream(word, 3, 8)), (12, 192));
    }
}
