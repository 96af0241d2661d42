//! Number formats of plain tensors.
//!
//! Comes in: little-endian bytes at any alignment. Goes out: their exact values in f32 (f64 rounded). Never: shapes.

use crate::kernel::Rounding;
use half::f16;
use half::slice::HalfFloatSliceExt;

/// A format of real numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    F32,
    Bf16,
    F16,
    F64,
    /// One sign, four exponent (bias 7) and three mantissa bits, without infinities (OCP "E4M3", torch's `float8_e4m3fn`).
    F8E4M3,
}

/// Formats with their names in safetensors headers and in `config.json`.
const NUMBERS: &[(Number, &str, &str)] = &[
    (Number::F32, "F32", "float32"),
    (Number::Bf16, "BF16", "bfloat16"),
    (Number::F16, "F16", "float16"),
    (Number::F64, "F64", "float64"),
    (Number::F8E4M3, "F8_E4M3", "float8_e4m3"),
];

/// Whether it is the name of a format in `config.json`.
pub fn is_name(name: &str) -> bool {
    NUMBERS.iter().any(|(_, _, known)| *known == name)
}

/// Numbers that are converted at a time, on the stack.
const STRETCH: usize = 512;

impl Number {
    /// The format of a safetensors name.
    pub fn named(dtype: &str) -> Option<Number> {
        NUMBERS.iter().find(|(_, name, _)| *name == dtype).map(|(number, _, _)| *number)
    }

    /// Its name in `config.json`.
    pub fn name(self) -> &'static str {
        NUMBERS.iter().find(|(number, _, _)| *number == self).map_or("?", |(_, _, name)| name)
    }

    /// Bytes of a number.
    pub fn size(self) -> usize {
        match self {
            Number::F8E4M3 => 1,
            Number::Bf16 | Number::F16 => 2,
            Number::F32 => 4,
            Number::F64 => 8,
        }
    }

    /// Widens numbers that follow each other; as many as both sides have.
    pub fn widen(self, bytes: &[u8], values: &mut [f32]) {
        match self {
            Number::F32 => each::<4>(bytes, values, f32::from_le_bytes),
            Number::F64 => each::<8>(bytes, values, |b| f64::from_le_bytes(b) as f32),
            Number::Bf16 => each::<2>(bytes, values, widen_bf16),
            Number::F8E4M3 => each::<1>(bytes, values, |[b]| E4M3[usize::from(b)]),
            // Processors convert several at once, which `half` finds out.
            Number::F16 => {
                for (bytes, values) in bytes.chunks(2 * STRETCH).zip(values.chunks_mut(STRETCH)) {
                    let mut halves = [f16::ZERO; STRETCH];
                    let whole = bytes.chunks_exact(2).zip(&mut halves).map(|(b, half)| {
                        *half = f16::from_bits(u16::from_le_bytes([b[0], b[1]]));
                    });
                    let count = whole.count().min(values.len());
                    halves[..count].convert_to_f32_slice(&mut values[..count]);
                }
            }
        }
    }

    /// Widens every `stride`-th number from the `first`-th on, for as many values as there are. Numbers beyond the bytes are left.
    pub fn gather(self, bytes: &[u8], first: usize, stride: usize, values: &mut [f32]) {
        match self {
            Number::F32 => every::<4>(bytes, first, stride, values, f32::from_le_bytes),
            Number::F64 => every::<8>(bytes, first, stride, values, |b| f64::from_le_bytes(b) as f32),
            Number::Bf16 => every::<2>(bytes, first, stride, values, widen_bf16),
            Number::F8E4M3 => every::<1>(bytes, first, stride, values, |[b]| E4M3[usize::from(b)]),
            Number::F16 => every::<2>(bytes, first, stride, values, |b| f16::from_le_bytes(b).to_f32()),
        }
    }
}

fn widen_bf16(bytes: [u8; 2]) -> f32 {
    f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16)
}

fn every<const SIZE: usize>(
    bytes: &[u8],
    first: usize,
    stride: usize,
    values: &mut [f32],
    widen: impl Fn([u8; SIZE]) -> f32,
) {
    let (bytes, _) = bytes.as_chunks::<SIZE>();
    let bytes = bytes.get(first..).unwrap_or_default().iter().step_by(stride.max(1));
    for (value, bytes) in values.iter_mut().zip(bytes) {
        *value = widen(*bytes);
    }
}

fn each<const SIZE: usize>(bytes: &[u8], values: &mut [f32], widen: impl Fn([u8; SIZE]) -> f32) {
    let (bytes, _) = bytes.as_chunks::<SIZE>();
    for (value, bytes) in values.iter_mut().zip(bytes) {
        *value = widen(*bytes);
    }
}

/// Rounds values to a format and widens them again, halves to even.
pub fn round(rounding: Rounding, values: &mut [f32]) {
    match rounding {
        Rounding::None => {}
        Rounding::Bf16 => values.iter_mut().for_each(|value| *value = round_bf16(*value)),
        Rounding::F16 => {
            for values in values.chunks_mut(STRETCH) {
                let mut halves = [f16::ZERO; STRETCH];
                let halves = &mut halves[..values.len()];
                halves.convert_from_f32_slice(values);
                halves.convert_to_f32_slice(values);
            }
        }
    }
}

/// Without branches, so that it is done for several values at once.
fn round_bf16(value: f32) -> f32 {
    let bits = value.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) & 0xffff_0000;
    f32::from_bits(if value.is_nan() { bits } else { rounded })
}

/// Whether all values are finite.
pub fn all_finite(values: &[f32]) -> bool {
    // Without an early end, so that it is done for several values at once.
    values.iter().fold(true, |finite, value| finite & (value.to_bits() & 0x7f80_0000 != 0x7f80_0000))
}

/// Values of all e4m3 codes.
static E4M3: [f32; 256] = e4m3_values();

const fn e4m3_values() -> [f32; 256] {
    let mut values = [0.0; 256];
    let mut code = 0;
    while code < 256 {
        let (exponent, mantissa) = ((code >> 3) & 15, code & 7);
        let magnitude = if code & 127 == 127 {
            f32::NAN
        } else if exponent == 0 {
            mantissa as f32 / 512.0
        } else {
            // The same number with a wider exponent: 120 more of bias, 20 more bits of mantissa.
            f32::from_bits((exponent as u32 + 120) << 23 | (mantissa as u32) << 20)
        };
        values[code] = if code > 127 { -magnitude } else { magnitude };
        code += 1;
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::bf16;

    #[test]
    fn widens_at_any_alignment() {
        for count in [0, 1, 7, 600] {
            let numbers: Vec<f32> = (0..count).map(|i| (i as f32 - 300.0) * 0.37).collect();
            let check = |number: Number, bytes: Vec<u8>, expected: Vec<f32>| {
                let shifted: Vec<u8> = std::iter::once(0).chain(bytes).collect();
                let mut values = vec![9.0; count];
                number.widen(&shifted[1..], &mut values);
                assert_eq!(values, expected, "{number:?}");
                number.gather(&shifted[1..], 0, 1, &mut values);
                assert_eq!(values, expected, "{number:?}");
            };
            check(Number::F32, numbers.iter().flat_map(|v| v.to_le_bytes()).collect(), numbers.clone());
            check(Number::F64, numbers.iter().flat_map(|v| f64::from(*v).to_le_bytes()).collect(), numbers.clone());
            let narrow: Vec<bf16> = numbers.iter().map(|v| bf16::from_f32(*v)).collect();
            let wide = narrow.iter().map(|v| v.to_f32()).collect();
            check(Number::Bf16, narrow.iter().flat_map(|v| v.to_le_bytes()).collect(), wide);
            let narrow: Vec<f16> = numbers.iter().map(|v| f16::from_f32(*v)).collect();
            let wide = narrow.iter().map(|v| v.to_f32()).collect();
            check(Number::F16, narrow.iter().flat_map(|v| v.to_le_bytes()).collect(), wide);
        }
    }

    #[test]
    fn e4m3_is_candles() {
        use candle_core::{DType, Device, Tensor};
        // candle's `float8` crate rounds to the nearest number of the format: each of them comes back as itself.
        let finite: Vec<f32> = E4M3.iter().copied().filter(|v| v.is_finite()).collect();
        assert_eq!(finite.len(), 254);
        assert_eq!((finite.iter().copied().fold(0.0, f32::max), E4M3[1], E4M3[0x38]), (448.0, 0.001_953_125, 1.0));
        let there = Tensor::new(finite.as_slice(), &Device::Cpu).unwrap().to_dtype(DType::F8E4M3).unwrap();
        assert_eq!(there.to_dtype(DType::F32).unwrap().to_vec1::<f32>().unwrap(), finite);
    }

    #[test]
    fn rounds_as_half_does() {
        let values: Vec<f32> = (0..2000u32)
            .map(|i| f32::from_bits(i.wrapping_mul(2_654_435_761)))
            .chain([f32::INFINITY, f32::MAX, 0.0, -0.0, 1.0 + 2f32.powi(-8), 65519.9, 65520.0])
            .collect();
        let same = |a: f32, b: f32| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
        let (mut narrow, mut half) = (values.clone(), values.clone());
        round(Rounding::Bf16, &mut narrow);
        round(Rounding::F16, &mut half);
        for ((value, narrow), half) in values.iter().zip(narrow).zip(half) {
            assert!(same(narrow, bf16::from_f32(*value).to_f32()), "{value:e} {narrow:e}");
            assert!(same(half, f16::from_f32(*value).to_f32()), "{value:e} {half:e}");
        }
        assert!(all_finite(&[0.0, f32::MAX]) && !all_finite(&[0.0, f32::NAN]) && !all_finite(&[f32::NEG_INFINITY]));
    }
}
