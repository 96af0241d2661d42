//! Blocks of numbers as llama.cpp stores them.
//!
//! Comes in: the bytes of a matrix and their type. Goes out: codes with scales and minima whose `scale * level + min`, evaluated in
//! f32, is the value that llama.cpp's definition gives, bit for bit. Never: files, names, rounded values.
//!
//! Layouts are those of `ggml-common.h`, arithmetic is that of `dequantize_row_*` in `ggml-quants.c`.

use crate::error::{Error, Result};
use crate::kernel::{Codes, Grouped, Rounding};
use rayon::prelude::*;

/// A number format of tensors in GGUF files that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(non_camel_case_types, reason = "the format's own names")]
pub enum GgmlType {
    F32,
    F16,
    BF16,
    F64,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q8_1,
    Q2_K,
    Q3_K,
    Q4_K,
    Q5_K,
    Q6_K,
    Q8_K,
    IQ4_NL,
}

/// Numbers in files, names, and the types that are read; the others are here so that they can be refused by name.
const TYPES: &[(u32, &str, Option<GgmlType>)] = &[
    (0, "F32", Some(GgmlType::F32)),
    (1, "F16", Some(GgmlType::F16)),
    (2, "Q4_0", Some(GgmlType::Q4_0)),
    (3, "Q4_1", Some(GgmlType::Q4_1)),
    (4, "Q4_2", None),
    (5, "Q4_3", None),
    (6, "Q5_0", Some(GgmlType::Q5_0)),
    (7, "Q5_1", Some(GgmlType::Q5_1)),
    (8, "Q8_0", Some(GgmlType::Q8_0)),
    (9, "Q8_1", Some(GgmlType::Q8_1)),
    (10, "Q2_K", Some(GgmlType::Q2_K)),
    (11, "Q3_K", Some(GgmlType::Q3_K)),
    (12, "Q4_K", Some(GgmlType::Q4_K)),
    (13, "Q5_K", Some(GgmlType::Q5_K)),
    (14, "Q6_K", Some(GgmlType::Q6_K)),
    (15, "Q8_K", Some(GgmlType::Q8_K)),
    (16, "IQ2_XXS", None),
    (17, "IQ2_XS", None),
    (18, "IQ3_XXS", None),
    (19, "IQ1_S", None),
    (20, "IQ4_NL", Some(GgmlType::IQ4_NL)),
    (21, "IQ3_S", None),
    (22, "IQ2_S", None),
    (23, "IQ4_XS", None),
    (24, "I8", None),
    (25, "I16", None),
    (26, "I32", None),
    (27, "I64", None),
    (28, "F64", Some(GgmlType::F64)),
    (29, "IQ1_M", None),
    (30, "BF16", Some(GgmlType::BF16)),
    (31, "Q4_0_4_4", None),
    (32, "Q4_0_4_8", None),
    (33, "Q4_0_8_8", None),
    (34, "TQ1_0", None),
    (35, "TQ2_0", None),
    (36, "IQ4_NL_4_4", None),
    (37, "IQ4_NL_4_8", None),
    (38, "IQ4_NL_8_8", None),
    (39, "MXFP4", None),
    (40, "NVFP4", None),
    (41, "Q1_0", None),
    (42, "Q2_0", None),
];

/// The uneven levels of IQ4_NL (`kvalues_iq4nl` of ggml-common.h).
pub const UNEVEN: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/// How the blocks of a type are laid out.
struct Layout {
    /// Inputs of a block.
    inputs: usize,
    /// Bytes of a block.
    bytes: usize,
    /// Inputs that share a scale.
    group: usize,
    /// The levels of codes, where these are below 16; others are levels themselves.
    levels: Option<Levels>,
    /// Groups have minima.
    mins: bool,
    /// Splits a block: bytes, then one code for each input, a scale and a minimum for each group.
    split: Split,
}

/// What codes below 16 stand for.
enum Levels {
    /// The code less so much.
    From(u8),
    Uneven,
}

/// Takes a block's bytes, fills codes, scales and minima.
type Split = fn(&[u8], &mut [u8], &mut [f32], &mut [f32]);

/// Inputs of the largest block.
const LARGEST_BLOCK: usize = 256;

impl GgmlType {
    /// The type of a number in a file. An error names the type that cannot be read.
    pub fn from_id(id: u32) -> Result<GgmlType> {
        let row = TYPES.iter().find(|(row, _, _)| *row == id);
        let Some((_, name, kind)) = row else {
            return Err(Error::input(format!("the number format {id} is unknown")).hint(
                "the file is damaged or newer than this program; F32, F16, BF16, Q8_0, Q4_0 to Q5_1, Q2_K to Q8_K and IQ4_NL are read",
            ));
        };
        kind.ok_or_else(|| {
            Error::input(format!("the number format {name} is not supported")).hint(
                "use the model's Q4_K_M, Q6_K, Q8_0, BF16 or F16 file; other IQ, ternary and FP4 formats are not read",
            )
        })
    }

    /// The type that is called so (`Q4_K`; case does not matter).
    pub fn from_name(name: &str) -> Option<GgmlType> {
        TYPES.iter().find(|(_, row, _)| row.eq_ignore_ascii_case(name)).and_then(|(_, _, kind)| *kind)
    }

    /// The format's own name.
    pub fn name(self) -> &'static str {
        TYPES.iter().find(|(_, _, kind)| *kind == Some(self)).map_or("?", |(_, name, _)| name)
    }

    /// Inputs of a block; 1 where numbers stand alone.
    pub fn block(self) -> usize {
        self.layout().map_or(1, |layout| layout.inputs)
    }

    /// Bytes of a block.
    pub fn block_bytes(self) -> usize {
        match self {
            GgmlType::F16 | GgmlType::BF16 => 2,
            GgmlType::F32 => 4,
            GgmlType::F64 => 8,
            _ => self.layout().map_or(0, |layout| layout.bytes),
        }
    }

    /// Bytes of so many rows of `ins` numbers; `None` where rows are no whole blocks or the count overflows.
    pub fn size(self, outs: usize, ins: usize) -> Option<usize> {
        if !ins.is_multiple_of(self.block()) {
            return None;
        }
        (ins / self.block()).checked_mul(self.block_bytes())?.checked_mul(outs)
    }

    /// How blocks are laid out; `None` for numbers that stand alone.
    fn layout(self) -> Option<Layout> {
        let even = |zero: u8| Some(Levels::From(zero));
        let (inputs, bytes, group, levels, mins, split): (_, _, _, _, _, Split) = match self {
            GgmlType::F32 | GgmlType::F16 | GgmlType::BF16 | GgmlType::F64 => return None,
            GgmlType::Q4_0 => (32, 18, 32, even(8), false, q4_0),
            GgmlType::Q4_1 => (32, 20, 32, even(0), true, q4_1),
            GgmlType::Q5_0 => (32, 22, 32, None, false, q5_0),
            GgmlType::Q5_1 => (32, 24, 32, None, true, q5_1),
            GgmlType::Q8_0 => (32, 34, 32, None, false, q8_0),
            GgmlType::Q8_1 => (32, 36, 32, None, false, q8_1),
            GgmlType::Q2_K => (256, 84, 16, even(0), true, q2_k),
            GgmlType::Q3_K => (256, 110, 16, even(4), false, q3_k),
            GgmlType::Q4_K => (256, 144, 32, even(0), true, q4_k),
            GgmlType::Q5_K => (256, 176, 32, None, true, q5_k),
            GgmlType::Q6_K => (256, 210, 16, None, false, q6_k),
            GgmlType::IQ4_NL => (32, 18, 32, Some(Levels::Uneven), false, q4_0),
            GgmlType::Q8_K => (256, 292, 256, None, false, q8_k),
        };
        Some(Layout { inputs, bytes, group, levels, mins, split })
    }
}

/// The matrix `[outs][ins]` in the blocks `bytes`; rows are whole blocks. Types whose numbers stand alone have no blocks and are
/// refused, as are scales that are no numbers.
pub fn decode(kind: GgmlType, outs: usize, ins: usize, bytes: &[u8]) -> Result<Grouped> {
    let layout = kind.layout().ok_or_else(|| Error::input(format!("{} has no blocks to be decoded", kind.name())))?;
    if ins == 0 || !ins.is_multiple_of(layout.inputs) {
        return Err(Error::input(format!(
            "rows of {ins} numbers are no whole blocks of {} numbers, as {} wants",
            layout.inputs,
            kind.name()
        )));
    }
    if kind.size(outs, ins) != Some(bytes.len()) {
        return Err(Error::input(format!(
            "{outs} rows of {ins} numbers in {} are not {} bytes",
            kind.name(),
            bytes.len()
        )));
    }
    // Checked above: bytes are there for all of this, so that what is allocated is a small multiple of them.
    let (groups, row_bytes) = (ins / layout.group, bytes.len().checked_div(outs).unwrap_or(0));
    let row_codes = if layout.levels.is_some() { ins / 2 } else { ins };
    let mut codes = vec![0_u8; outs * row_codes];
    let mut scales = vec![0_f32; outs * groups];
    let mut mins = vec![0_f32; outs * groups];
    let rows = codes.par_chunks_mut(row_codes).zip(scales.par_chunks_mut(groups)).zip(mins.par_chunks_mut(groups));
    rows.zip(bytes.par_chunks(row_bytes.max(1))).for_each(|(((codes, scales), mins), bytes)| {
        decode_row(&layout, bytes, codes, scales, mins);
    });
    if !scales.iter().chain(&mins).all(|value| value.is_finite()) {
        return Err(Error::input("holds scales that are no finite numbers").hint(
            "the file is damaged, or the model overflowed when it was quantised; fetch it again or use another one",
        ));
    }
    let codes = match layout.levels {
        Some(Levels::From(zero)) => {
            Codes::Four { bytes: codes, levels: std::array::from_fn(|code| code as f32 - f32::from(zero)) }
        }
        Some(Levels::Uneven) => Codes::Four { bytes: codes, levels: UNEVEN.map(f32::from) },
        // Signed already; the same allocation.
        None => Codes::Eight(codes.into_iter().map(|code| code as i8).collect()),
    };
    let mins = layout.mins.then_some(mins);
    Grouped::new(outs, ins, layout.group, codes, scales, mins, Rounding::None).map_err(Error::input)
}

fn decode_row(layout: &Layout, bytes: &[u8], codes: &mut [u8], scales: &mut [f32], mins: &mut [f32]) {
    let groups = layout.inputs / layout.group;
    let mut block_codes = [0; LARGEST_BLOCK];
    let block_codes = &mut block_codes[..layout.inputs];
    let row_codes = if layout.levels.is_some() { layout.inputs / 2 } else { layout.inputs };
    let targets =
        codes.chunks_exact_mut(row_codes).zip(scales.chunks_exact_mut(groups)).zip(mins.chunks_exact_mut(groups));
    for (bytes, ((codes, scales), mins)) in bytes.chunks_exact(layout.bytes).zip(targets) {
        (layout.split)(bytes, block_codes, scales, mins);
        if layout.levels.is_some() {
            for (pair, codes) in codes.iter_mut().zip(block_codes.chunks_exact(2)) {
                *pair = codes[0] | codes[1] << 4;
            }
        } else {
            codes.copy_from_slice(block_codes);
        }
    }
}

/// The half-precision number at `at`, exactly.
fn half(bytes: &[u8], at: usize) -> f32 {
    half::f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32()
}

/// 16 bytes of two codes: those of the first half of the inputs in the low nibbles.
fn nibbles(bytes: &[u8], codes: &mut [u8]) {
    let (low, high) = codes.split_at_mut(bytes.len());
    for ((byte, low), high) in bytes.iter().zip(low).zip(high) {
        *low = byte & 15;
        *high = byte >> 4;
    }
}

/// Adds the fifth bits of 32 codes and takes `zero` from each.
fn fifth_bits(bits: &[u8], codes: &mut [u8], zero: u8) {
    for (i, code) in codes.iter_mut().enumerate() {
        *code = (*code | (bits[i / 8] >> (i % 8) & 1) << 4).wrapping_sub(zero);
    }
}

// d f16, 16 bytes of nibbles
fn q4_0(block: &[u8], codes: &mut [u8], scales: &mut [f32], _: &mut [f32]) {
    scales[0] = half(block, 0);
    nibbles(&block[2..], codes);
}

// d f16, m f16, 16 bytes of nibbles
fn q4_1(block: &[u8], codes: &mut [u8], scales: &mut [f32], mins: &mut [f32]) {
    (scales[0], mins[0]) = (half(block, 0), half(block, 2));
    nibbles(&block[4..], codes);
}

// d f16, 4 bytes of fifth bits, 16 bytes of nibbles
fn q5_0(block: &[u8], codes: &mut [u8], scales: &mut [f32], _: &mut [f32]) {
    scales[0] = half(block, 0);
    nibbles(&block[6..], codes);
    fifth_bits(&block[2..6], codes, 16);
}

// d f16, m f16, 4 bytes of fifth bits, 16 bytes of nibbles
fn q5_1(block: &[u8], codes: &mut [u8], scales: &mut [f32], mins: &mut [f32]) {
    (scales[0], mins[0]) = (half(block, 0), half(block, 2));
    nibbles(&block[8..], codes);
    fifth_bits(&block[4..8], codes, 0);
}

// d f16, 32 signed bytes
fn q8_0(block: &[u8], codes: &mut [u8], scales: &mut [f32], _: &mut [f32]) {
    scales[0] = half(block, 0);
    codes.copy_from_slice(&block[2..]);
}

// d f16, d times the sum of codes f16, 32 signed bytes
fn q8_1(block: &[u8], codes: &mut [u8], scales: &mut [f32], _: &mut [f32]) {
    scales[0] = half(block, 0);
    codes.copy_from_slice(&block[4..]);
}

/// Four 2-bit codes a byte: in each stretch of 32 bytes, 128 codes, the first 32 in the lowest bits.
fn crumbs(bytes: &[u8], codes: &mut [u8]) {
    for (bytes, codes) in bytes.chunks_exact(32).zip(codes.chunks_exact_mut(128)) {
        for (step, codes) in codes.chunks_exact_mut(32).enumerate() {
            for (code, byte) in codes.iter_mut().zip(bytes) {
                *code = byte >> (2 * step) & 3;
            }
        }
    }
}

// 16 bytes of scale and minimum nibbles, 64 bytes of crumbs, d f16, dmin f16
fn q2_k(block: &[u8], codes: &mut [u8], scales: &mut [f32], mins: &mut [f32]) {
    let (d, dmin) = (half(block, 80), half(block, 82));
    for ((byte, scale), min) in block[..16].iter().zip(scales).zip(mins) {
        *scale = d * f32::from(byte & 15);
        *min = -(dmin * f32::from(byte >> 4));
    }
    crumbs(&block[16..80], codes);
}

// 32 bytes of third bits, 64 bytes of crumbs, 12 bytes of 6-bit scales, d f16
fn q3_k(block: &[u8], codes: &mut [u8], scales: &mut [f32], _: &mut [f32]) {
    let (packed, d) = (&block[96..108], half(block, 108));
    for (i, scale) in scales.iter_mut().enumerate() {
        let low = packed[i % 8] >> (4 * (i / 8)) & 15;
        let high = packed[8 + i % 4] >> (2 * (i / 4)) & 3;
        *scale = d * f32::from((low | high << 4) as i8 - 32);
    }
    crumbs(&block[32..96], codes);
    for (bit, codes) in codes.chunks_exact_mut(32).enumerate() {
        for (code, byte) in codes.iter_mut().zip(&block[..32]) {
            *code |= (byte >> bit & 1) << 2;
        }
    }
}

/// The scales and minima of Q4_K and Q5_K: d f16, dmin f16, then 8 scales and 8 minima of 6 bits in 12 bytes.
fn k_scales(block: &[u8], scales: &mut [f32], mins: &mut [f32]) {
    let (d, dmin, packed) = (half(block, 0), half(block, 2), &block[4..16]);
    for (i, (scale, min)) in scales.iter_mut().zip(mins).enumerate() {
        let (a, b) = if i < 4 {
            (packed[i] & 63, packed[i + 4] & 63)
        } else {
            (packed[i + 4] & 15 | packed[i - 4] >> 6 << 4, packed[i + 4] >> 4 | packed[i] >> 6 << 4)
        };
        *scale = d * f32::from(a);
        *min = -(dmin * f32::from(b));
    }
}

/// Two 4-bit codes a byte: in each stretch of 32 bytes, 64 codes, the first 32 in the low nibbles.
fn long_nibbles(bytes: &[u8], codes: &mut [u8]) {
    for (bytes, codes) in bytes.chunks_exact(32).zip(codes.chunks_exact_mut(64)) {
        nibbles(bytes, codes);
    }
}

// d f16, dmin f16, 12 bytes of scales, 128 bytes of nibbles
fn q4_k(block: &[u8], codes: &mut [u8], scales: &mut [f32], mins: &mut [f32]) {
    k_scales(block, scales, mins);
    long_nibbles(&block[16..], codes);
}

// d f16, dmin f16, 12 bytes of scales, 32 bytes of fifth bits, 128 bytes of nibbles
fn q5_k(block: &[u8], codes: &mut [u8], scales: &mut [f32], mins: &mut [f32]) {
    k_scales(block, scales, mins);
    long_nibbles(&block[48..], codes);
    for (bit, codes) in codes.chunks_exact_mut(32).enumerate() {
        for (code, byte) in codes.iter_mut().zip(&block[16..48]) {
            *code |= (byte >> bit & 1) << 4;
        }
    }
}

// 128 bytes of low nibbles, 64 bytes of high crumbs, 16 signed scales, d f16
fn q6_k(block: &[u8], codes: &mut [u8], scales: &mut [f32], _: &mut [f32]) {
    let d = half(block, 208);
    for (scale, byte) in scales.iter_mut().zip(&block[192..208]) {
        *scale = d * f32::from(*byte as i8);
    }
    crumbs(&block[128..192], codes);
    for (bytes, codes) in block[..128].chunks_exact(64).zip(codes.chunks_exact_mut(128)) {
        let (low, high) = codes.split_at_mut(64);
        for ((byte, low), high) in bytes.iter().zip(low).zip(high) {
            *low = (*low << 4 | byte & 15).wrapping_sub(32);
            *high = (*high << 4 | byte >> 4).wrapping_sub(32);
        }
    }
}

// d f32, 256 signed bytes, sums of groups that multiplication uses
fn q8_k(block: &[u8], codes: &mut [u8], scales: &mut [f32], _: &mut [f32]) {
    scales[0] = f32::from_le_bytes([block[0], block[1], block[2], block[3]]);
    codes.copy_from_slice(&block[4..260]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::testing::fixture;
    use candle_core::Device;

    /// `<TYPE>.bytes` and `<TYPE>.values` as llama.cpp's Python package decodes them (`tests/fixtures/make_block_goldens.py`);
    /// scales are random, but the first ones are the extremes.
    #[test]
    fn values_are_those_of_llama_cpp_bit_for_bit() {
        let golden = candle_core::safetensors::load(fixture("gguf/blocks.safetensors"), &Device::Cpu).unwrap();
        let mut seen = 0;
        for (_, name, kind) in TYPES {
            let Some(kind) = kind.filter(|kind| kind.block() > 1 && *kind != GgmlType::Q8_1) else { continue };
            let (bytes, values) = (&golden[&format!("{name}.bytes")], &golden[&format!("{name}.values")]);
            let bytes: Vec<u8> = bytes.flatten_all().unwrap().to_vec1().unwrap();
            let expected: Vec<f32> = values.flatten_all().unwrap().to_vec1().unwrap();
            // As rows of one block, and of four.
            for ins in [kind.block(), 4 * kind.block()] {
                let matrix = decode(kind, expected.len() / ins, ins, &bytes).unwrap();
                let mut values = vec![0.0; ins];
                for (row, expected) in expected.chunks_exact(ins).enumerate() {
                    matrix.row(row, &mut values);
                    let same = values.iter().zip(expected).all(|(a, b)| a.to_bits() == b.to_bits());
                    assert!(same, "{name} row {row}: {values:?} is not {expected:?}");
                }
            }
            seen += 1;
        }
        assert_eq!(seen, 12);
    }

    #[test]
    fn q8_1_is_q8_0_with_a_sum() {
        let codes: Vec<u8> = (0..32).map(|i| (i * 41) as u8).collect();
        let scale = 0.37_f32;
        let d = half::f16::from_f32(scale).to_le_bytes();
        let values = |kind, bytes: Vec<u8>| {
            let mut values = [0.0; 32];
            decode(kind, 1, 32, &bytes).unwrap().row(0, &mut values);
            values
        };
        let sum = [0x12, 0x34];
        assert_eq!(
            values(GgmlType::Q8_1, [&d[..], &sum, &codes].concat()),
            values(GgmlType::Q8_0, [&d[..], &codes].concat())
        );
    }

    #[test]
    fn sizes_and_scales_are_checked() {
        let says = |kind, outs, ins, bytes: &[u8]| decode(kind, outs, ins, bytes).unwrap_err().to_string();
        assert!(says(GgmlType::Q4_K, 1, 128, &[0; 72]).contains("no whole blocks of 256"));
        assert!(says(GgmlType::Q4_0, 2, 32, &[0; 18]).contains("not 18 bytes"));
        assert!(says(GgmlType::Q4_0, 1 << 60, 1 << 10, &[0; 18]).contains("not 18 bytes"));
        assert!(says(GgmlType::Q8_0, 0, 0, &[]).contains("no whole blocks"));
        assert!(says(GgmlType::F32, 1, 1, &[0; 4]).contains("no blocks"));
        let mut nan = [0; 34];
        nan[1] = 0x7e;
        assert!(says(GgmlType::Q8_0, 1, 32, &nan).contains("no finite numbers"));
        assert_eq!(decode(GgmlType::Q8_0, 0, 32, &[]).unwrap().outs, 0);
    }

    #[test]
    fn types_are_known_by_number_and_name() {
        for (id, name, kind) in TYPES {
            match kind {
                Some(kind) => {
                    assert_eq!(GgmlType::from_id(*id).unwrap(), *kind);
                    assert_eq!((kind.name(), GgmlType::from_name(&name.to_lowercase())), (*name, Some(*kind)));
                    assert_eq!(kind.size(3, 512), Some(3 * 512 / kind.block() * kind.block_bytes()));
                }
                None => {
                    let err = GgmlType::from_id(*id).unwrap_err().to_string();
                    assert!(err.contains(name) && err.contains("hint:"), "{err}");
                }
            }
        }
        assert!(GgmlType::from_id(4711).unwrap_err().to_string().contains("4711"));
        assert_eq!(GgmlType::Q8_0.size(usize::MAX, 64), None);
    }
}
