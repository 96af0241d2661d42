//! IQ4_NL of llama.cpp: blocks of 32 numbers with a scale and 16 uneven levels.
//!
//! Arithmetic is that of `quantize_row_iq4_nl_impl` in `ggml-quants.c` without an importance matrix: numbers weigh as their squares,
//! and of fifteen scales around the one that puts the largest number on the outermost level, the one of the smallest error is taken.

use super::chunks;
use crate::error::{Error, Result};
use crate::model::weights::gguf::{self, GgmlType, UNEVEN};
use crate::model::weights::stored::StoredMatrix;
use half::f16;

/// Numbers of a block.
const BLOCK: usize = 32;

/// Bytes of a block: the scale, and two codes a byte.
const BYTES: usize = 2 + BLOCK / 2;

/// Scales that are tried on either side.
const TRIES: i32 = 7;

/// Blocks of smaller numbers are zeros.
const SMALLEST: f32 = 1e-15;

/// The matrix in blocks; the width of its rows is a multiple of theirs.
pub fn iq4_nl(matrix: &StoredMatrix, name: &'static str) -> Result<StoredMatrix> {
    let bytes = chunks(matrix, 1, |values| {
        let mut bytes = Vec::with_capacity(values.len() / BLOCK * BYTES);
        values.chunks_exact(BLOCK).for_each(|block| push_block(block, &mut bytes));
        bytes
    });
    let codes = gguf::decode(GgmlType::IQ4_NL, matrix.outs(), matrix.ins(), &bytes.concat());
    let codes = codes.map_err(|e| Error::input(format!("cannot be quantised to {name}")).cause(e))?;
    Ok(StoredMatrix::compressed(codes, name))
}

fn push_block(x: &[f32], bytes: &mut Vec<u8>) {
    let scale = scale_of(x);
    let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
    bytes.extend_from_slice(&f16::from_f32(scale).to_le_bytes());
    let code = |value: &f32| nearest(inverse * value) as u8;
    let (low, high) = x.split_at(BLOCK / 2);
    bytes.extend(low.iter().zip(high).map(|(low, high)| code(low) | code(high) << 4));
}

/// The best of the scales that are tried; 0 for a block of zeros.
fn scale_of(x: &[f32]) -> f32 {
    // The number of the largest absolute value, with its sign; of equal ones the first.
    let largest = x.iter().fold(0.0f32, |largest, value| if value.abs() > largest.abs() { *value } else { largest });
    // (A value that is no number is larger than nothing.)
    if largest.abs() < SMALLEST {
        return 0.0;
    }
    let outermost = f32::from(UNEVEN[0]);
    let (sumqx, sumq2) = sums(x, 1.0 / (-largest / outermost));
    let mut scale = sumqx / sumq2;
    let mut best = scale * sumqx;
    for step in -TRIES..=TRIES {
        let (sumqx, sumq2) = sums(x, (step as f32 + outermost) / largest);
        if sumq2 > 0.0 && sumqx * sumqx > best * sumq2 {
            scale = sumqx / sumq2;
            best = scale * sumqx;
        }
    }
    scale
}

/// Sums of `w q x` and `w q q` over a block, where q is the level nearest to x times `inverse`, and w is x squared.
fn sums(x: &[f32], inverse: f32) -> (f32, f32) {
    let (mut sumqx, mut sumq2) = (0.0f32, 0.0f32);
    for value in x {
        let q = f32::from(UNEVEN[nearest(inverse * value)]);
        let weight = value * value;
        sumqx += weight * q * value;
        sumq2 += weight * q * q;
    }
    (sumqx, sumq2)
}

/// The code of the level that is nearest; of two equally near ones the higher.
fn nearest(x: f32) -> usize {
    let level = |code: usize| f32::from(UNEVEN[code]);
    let last = UNEVEN.len() - 1;
    if x <= level(0) {
        return 0;
    }
    if x >= level(last) {
        return last;
    }
    let (mut low, mut high) = (0, last);
    while high - low > 1 {
        let middle = (low + high) / 2;
        if x < level(middle) { high = middle } else { low = middle }
    }
    // (Neither comparison is true of a value that is no number.)
    if x - level(high - 1) < level(high) - x { high - 1 } else { high }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::weights::checkpoint;
    use crate::model::weights::number::Number;
    use crate::model::weights::stored::Dense;

    // tests/fixtures/make_block_goldens.py: llama.cpp's own function.
    #[test]
    fn blocks_are_those_of_llama_cpp() {
        let dir = tempfile::tempdir().unwrap();
        let file = crate::model::testing::fixture("gguf/quantised.safetensors");
        std::fs::copy(file, dir.path().join("model.safetensors")).unwrap();
        let checkpoint = checkpoint::open(dir.path()).unwrap();
        let input = checkpoint.bytes("input").unwrap();
        let mut values = vec![0.0; 12 * 256];
        Number::F32.widen(&input, &mut values);
        let mut bytes = Vec::new();
        values.chunks_exact(BLOCK).for_each(|block| push_block(block, &mut bytes));
        assert_eq!(bytes, *checkpoint.bytes("IQ4_NL.bytes").unwrap());
        // The same by way of a matrix whose rows are not whole blocks of 256.
        let matrix = StoredMatrix::Dense(Dense::stored(input, Number::F32, 96, 32).unwrap());
        let made = iq4_nl(&matrix, "iq4_nl").unwrap();
        let expected = gguf::decode(GgmlType::IQ4_NL, 96, 32, &bytes).unwrap();
        let (mut ours, mut theirs) = ([0.0; 32], [0.0; 32]);
        for row in 0..96 {
            made.rows(row..row + 1, &mut ours);
            expected.row(row, &mut theirs);
            assert_eq!(ours, theirs);
        }
    }
}
