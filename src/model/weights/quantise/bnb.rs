//! What bitsandbytes 0.50 makes of a matrix (`backends/default/ops.py`).
//!
//! Two things of double quantisation are not done as its library for CPUs does them: the mean that is taken off the scales is
//! summed in another order and may differ in the last bit, and scales get the nearest code, as on GPUs, where that library looks
//! codes up in a table of 65,536 steps, which gives about one in a hundred its second nearest.

use super::chunks;
use crate::error::{Error, Result};
use crate::kernel::Rounding;
use crate::model::weights::encoding::bnb_4bit::{self, Flat};
use crate::model::weights::encoding::bnb_int8;
use crate::model::weights::number;
use crate::model::weights::stored::StoredMatrix;
use std::sync::LazyLock;

/// Numbers that share a scale, and scales that share one.
const BLOCK: usize = 64;
const NESTED_BLOCK: usize = 256;

/// Scales below this are not divided by.
const SMALLEST: f32 = 1e-38;

/// What transformers takes.
const THRESHOLD: f32 = 6.0;

/// A kind of 4-bit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Nf4,
    Fp4,
}

/// Quantiles of the normal distribution (`get_4bit_type`).
const NF4: [f32; 16] = [
    -1.0,
    -0.696_192_8,
    -0.525_073_05,
    -0.394_917_5,
    -0.284_441_38,
    -0.184_773_43,
    -0.091_050_036,
    0.0,
    0.079_580_3,
    0.160_930_2,
    0.246_112_3,
    0.337_915_24,
    0.440_709_83,
    0.562_617,
    0.722_956_84,
    1.0,
];

/// Magnitudes of FP4 codes before they are divided by the largest; codes from 8 on are negative.
const FP4: [f32; 8] = [0.0, 0.0625, 8.0, 12.0, 4.0, 6.0, 2.0, 3.0];

/// Codes of FP4 in the order of their values.
const FP4_ORDER: [u8; 16] = [11, 10, 13, 12, 15, 14, 9, 0, 8, 1, 6, 7, 4, 5, 2, 3];

impl Kind {
    /// What each code means.
    pub fn levels(self) -> [f32; 16] {
        match self {
            Kind::Nf4 => NF4,
            Kind::Fp4 => std::array::from_fn(|code| {
                let magnitude = FP4[code % 8] / 12.0;
                if code > 8 { -magnitude } else { magnitude }
            }),
        }
    }

    /// Codes in the order of their values, and the middles between neighbours.
    fn order(self) -> ([u8; 16], [f32; 15]) {
        let order = match self {
            Kind::Nf4 => std::array::from_fn(|code| code as u8),
            Kind::Fp4 => FP4_ORDER,
        };
        let level = |rank: usize| self.levels()[usize::from(order[rank])];
        (order, std::array::from_fn(|rank| (level(rank) + level(rank + 1)) / 2.0))
    }
}

/// LLM.int8: rows in f16, codes to the nearest of 127 steps, halves to even.
pub fn int8(matrix: &StoredMatrix) -> Result<StoredMatrix> {
    let ins = matrix.ins();
    let parts = chunks(matrix, 1, |mut values| {
        number::round(Rounding::F16, &mut values);
        let mut codes = Vec::with_capacity(values.len());
        let scales: Vec<f32> = values.chunks_exact(ins).map(|row| int8_row(row, &mut codes)).collect();
        (codes, scales)
    });
    let (codes, scales): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
    bnb_int8::matrix(codes.concat(), scales.concat(), matrix.outs(), ins, THRESHOLD).map_err(Error::input)
}

/// Adds the codes of a row and gives what a code is worth.
fn int8_row(row: &[f32], codes: &mut Vec<i8>) -> f32 {
    let largest = row.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    // What torch makes of `127.0 / largest`.
    let steps = (1.0 / largest) * 127.0;
    // An empty row is 0 times infinity; the cast makes it 0.
    codes.extend(row.iter().map(|value| (value * steps).round_ties_even() as i8));
    largest / 127.0
}

/// NF4 or FP4 in blocks over all rows together, perhaps with scales that are quantised again.
pub fn four_bit(matrix: &StoredMatrix, kind: Kind, double: bool, rounding: Rounding) -> Result<StoredMatrix> {
    let (codes, scales) = four_bit_codes(matrix, kind);
    let scales = if double { nested(&scales).values() } else { scales };
    let encoding = match (kind, double) {
        (Kind::Nf4, false) => "nf4",
        (Kind::Nf4, true) => "nf4-dq",
        (Kind::Fp4, false) => "fp4",
        (Kind::Fp4, true) => "fp4-dq",
    };
    let flat = Flat { codes: &codes, levels: kind.levels(), scales: &scales, block: BLOCK, rounding, encoding };
    bnb_4bit::matrix(&flat, matrix.outs(), matrix.ins()).map_err(Error::input)
}

/// Codes in flat order, the first in the high nibble, and a scale for each block.
fn four_bit_codes(matrix: &StoredMatrix, kind: Kind) -> (Vec<u8>, Vec<f32>) {
    let (order, middles) = kind.order();
    let parts = chunks(matrix, BLOCK, |values| {
        let scales: Vec<f32> = values.chunks(BLOCK).map(largest).collect();
        let code = |block: usize, value: f32| {
            let whole = (block + 1) * BLOCK <= values.len();
            let largest = scales[block].max(SMALLEST);
            let scaled = if whole { value * (1.0 / largest) } else { value / largest };
            order[rank(&middles, scaled.clamp(-1.0, 1.0))]
        };
        let codes: Vec<u8> = values.iter().enumerate().map(|(i, value)| code(i / BLOCK, *value)).collect();
        // An odd number of codes is filled up with the code of 0.
        let zero = order[rank(&middles, 0.0)];
        let pair = |pair: &[u8]| pair[0] << 4 | pair.get(1).copied().unwrap_or(zero);
        (codes.chunks(2).map(pair).collect::<Vec<u8>>(), scales)
    });
    let (codes, scales): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
    (codes.concat(), scales.concat())
}

fn largest(block: &[f32]) -> f32 {
    block.iter().fold(0.0, |largest, value| largest.max(value.abs()))
}

/// How many middles lie below a value.
fn rank(middles: &[f32; 15], value: f32) -> usize {
    middles.iter().map(|middle| usize::from(*middle < value)).sum()
}

/// Scales in 8 bits: codes of the "dynamic" map in blocks, after the mean is taken off.
struct Nested {
    codes: Vec<u8>,
    largest: Vec<f32>,
    offset: f32,
}

fn nested(scales: &[f32]) -> Nested {
    let sum: f64 = scales.iter().map(|scale| f64::from(*scale)).sum();
    let offset = (sum / scales.len().max(1) as f64) as f32;
    let rest: Vec<f32> = scales.iter().map(|scale| scale - offset).collect();
    let largest: Vec<f32> = rest.chunks(NESTED_BLOCK).map(largest).collect();
    let code = |(i, value): (usize, &f32)| match largest[i / NESTED_BLOCK] {
        0.0 => 0,
        largest => nearest(&DYNAMIC, value * (1.0 / largest)),
    };
    Nested { codes: rest.iter().enumerate().map(code).collect(), largest, offset }
}

impl Nested {
    /// The scales that the codes stand for.
    fn values(&self) -> Vec<f32> {
        bnb_4bit::unnest(&self.codes, DYNAMIC.as_slice(), &self.largest, NESTED_BLOCK, self.offset)
    }
}

/// The place of the level nearest to a value; of two as near as each other the lower one.
fn nearest(levels: &[f32; 256], value: f32) -> u8 {
    let above = levels.partition_point(|level| *level < value);
    let place = match above {
        0 => 0,
        256 => 255,
        above if levels[above] - value < value - levels[above - 1] => above,
        above => above - 1,
    };
    place as u8
}

/// `create_dynamic_map`: fractions that are finer the larger their exponent, both signs, 0 and 1.
static DYNAMIC: LazyLock<[f32; 256]> = LazyLock::new(|| {
    let mut levels = vec![0.0, 1.0];
    for exponent in 0..7 {
        let boundaries = linspace((1 << exponent) + 1);
        let power = 10f64.powi(exponent - 6) as f32;
        let means = boundaries.windows(2).map(|pair| power * ((pair[0] + pair[1]) / 2.0));
        levels.extend(means.flat_map(|mean| [mean, -mean]));
    }
    levels.sort_by(f32::total_cmp);
    let mut all = [0.0; 256];
    all.iter_mut().zip(levels).for_each(|(to, level)| *to = level);
    all
});

/// `torch.linspace(0.1, 1, count)`: from both ends to the middle, products not rounded before the sum.
fn linspace(count: usize) -> Vec<f32> {
    let (start, end) = (0.1f32, 1.0f32);
    let step = (end - start) / (count - 1) as f32;
    let at = |i: usize| match i < count / 2 {
        true => step.mul_add(i as f32, start),
        false => (-step).mul_add((count - 1 - i) as f32, end),
    };
    (0..count).map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Codes;
    use crate::model::weights::checkpoint::{self, Checkpoint};
    use crate::model::weights::number::Number;
    use crate::model::weights::stored::Dense;
    use std::path::Path;

    /// A tensor of bnb.safetensors in f32, or its bytes where it has no real numbers.
    fn numbers(checkpoint: &dyn Checkpoint, name: &str) -> Vec<f32> {
        let (info, bytes) = (&checkpoint.tensors()[name], checkpoint.bytes(name).unwrap());
        let number = Number::named(&info.dtype).unwrap();
        let mut values = vec![0.0; bytes.len() / number.size()];
        number.widen(&bytes, &mut values);
        values
    }

    // make_bnb.py: bitsandbytes 0.50.2.
    #[test]
    fn codes_and_scales_are_those_of_bitsandbytes() {
        let dir = tempfile::tempdir().unwrap();
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/src/model/weights/quantise/testdata/bnb.safetensors");
        std::fs::copy(Path::new(file), dir.path().join("model.safetensors")).unwrap();
        let checkpoint = checkpoint::open(dir.path()).unwrap();
        let read = |name: &str| numbers(checkpoint.as_ref(), name);
        assert!(DYNAMIC.to_vec() == read("nested_quant_map"));
        for (kind, name) in [(Kind::Nf4, "nf4"), (Kind::Fp4, "fp4")] {
            assert_eq!(kind.levels().to_vec(), read(&format!("{name}.quant_map")));
        }
        for name in ["even", "across", "rest"] {
            let info = &checkpoint.tensors()[name];
            let number = Number::named(&info.dtype).unwrap();
            let dense = Dense::stored(checkpoint.bytes(name).unwrap(), number, info.shape[0], info.shape[1]);
            let matrix = StoredMatrix::Dense(dense.unwrap());
            let rounding = if name == "across" { Rounding::Bf16 } else { Rounding::None };
            check_int8(checkpoint.as_ref(), &matrix, name);
            for (kind, kind_name) in [(Kind::Nf4, "nf4"), (Kind::Fp4, "fp4")] {
                let (codes, scales) = four_bit_codes(&matrix, kind);
                assert_eq!(codes, *checkpoint.bytes(&format!("{name}.{kind_name}")).unwrap(), "{name} {kind_name}");
                assert_eq!(scales, read(&format!("{name}.{kind_name}.absmax")), "{name} {kind_name}");
                let nested = nested(&scales);
                let double = format!("{name}.{kind_name}-dq");
                assert_eq!(nested.codes, *checkpoint.bytes(&format!("{double}.absmax")).unwrap(), "{double}");
                let close = |ours: f32, theirs: f32| (ours - theirs).abs() <= 1e-6 * theirs.abs();
                assert!(close(nested.largest[0], read(&format!("{double}.nested_absmax"))[0]), "{double}");
                assert!(close(nested.offset, read(&format!("{double}.offset"))[0]), "{double}");
            }
            let made = four_bit(&matrix, Kind::Nf4, false, rounding).unwrap();
            let mut values = vec![0.0; matrix.outs() * matrix.ins()];
            made.rows(0..matrix.outs(), &mut values);
            assert!(values == read(&format!("{name}.values")), "{name}");
        }
    }

    // tests/fixtures/make_block_goldens.py: more scales than a second-level block has, an outlier, rows of very different sizes.
    #[test]
    fn values_are_those_of_bitsandbytes() {
        let dir = tempfile::tempdir().unwrap();
        let file = crate::model::testing::fixture("quantise/bitsandbytes.safetensors");
        std::fs::copy(file, dir.path().join("model.safetensors")).unwrap();
        let checkpoint = checkpoint::open(dir.path()).unwrap();
        let read = |name: &str| numbers(checkpoint.as_ref(), name);
        let dense = Dense::stored(checkpoint.bytes("input").unwrap(), Number::F32, 201, 88).unwrap();
        let matrix = StoredMatrix::Dense(dense);
        let all = |made: StoredMatrix| {
            let mut values = vec![0.0; 201 * 88];
            made.rows(0..201, &mut values);
            values
        };
        let (ours, theirs) = (all(int8(&matrix).unwrap()), read("int8.values"));
        let off: Vec<_> = ours.iter().zip(&theirs).enumerate().filter(|(_, (a, b))| a != b).take(5).collect();
        assert!(off.is_empty(), "{off:?}");
        for (kind, name) in [(Kind::Nf4, "nf4"), (Kind::Fp4, "fp4")] {
            let single = all(four_bit(&matrix, kind, false, Rounding::None).unwrap());
            assert!(single == read(&format!("{name}.values")), "{name}");
            let nested = nested(&four_bit_codes(&matrix, kind).1);
            let theirs = checkpoint.bytes(&format!("{name}-double.absmax")).unwrap();
            let off: Vec<_> = nested.codes.iter().zip(theirs.iter()).filter(|(ours, theirs)| ours != theirs).collect();
            // The table of the library for CPUs.
            assert!(off.len() <= 3 && off.iter().all(|(a, b)| a.abs_diff(**b) == 1), "{name}: {off:?}");
            let double = all(four_bit(&matrix, kind, true, Rounding::None).unwrap());
            let error = |values: &[f32]| values.iter().zip(&single).map(|(a, b)| (a - b).abs()).sum::<f32>();
            let (ours, theirs) = (error(&double), error(&read(&format!("{name}-double.values"))));
            assert!(ours <= 1.001 * theirs, "{name}: {ours} {theirs}");
        }
    }

    fn check_int8(checkpoint: &dyn Checkpoint, matrix: &StoredMatrix, name: &str) {
        let StoredMatrix::Grouped(made) = int8(matrix).unwrap() else { panic!("no codes") };
        let Codes::Eight(codes) = &made.codes.codes else { panic!("no codes of 8 bits") };
        let bytes: Vec<u8> = codes.iter().map(|code| *code as u8).collect();
        assert_eq!(bytes, *checkpoint.bytes(&format!("{name}.int8")).unwrap(), "{name}");
        let largest: Vec<f32> = numbers(checkpoint, &format!("{name}.int8.SCB"));
        assert_eq!(made.codes.scales, largest.iter().map(|largest| largest / 127.0).collect::<Vec<f32>>());
    }
}
