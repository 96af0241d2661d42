//! On-the-fly precision: full-precision matrices brought to a quantised format while they are loaded.
//!
//! Comes in: a matrix of plain numbers. Goes out: the codes and scales that the format's own software makes of it. Never: files.

mod bnb;
mod ggml;
mod uneven;

use super::gguf::GgmlType;
use super::stored::StoredMatrix;
use crate::error::Result;
use crate::kernel::Rounding;
use candle_core::quantized::GgmlDType;
use rayon::prelude::*;
use std::fmt;
use std::str::FromStr;

/// A format that weights can be brought to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Precision {
    Int8,
    Nf4,
    Nf4Dq,
    Fp4,
    Fp4Dq,
    Q8_0,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q2K,
    Q3K,
    Q4K,
    Q5K,
    Q6K,
    Iq4Nl,
}

/// How a precision is made.
enum Way {
    Int8,
    FourBit { kind: bnb::Kind, double: bool },
    Blocks { candle: GgmlDType, kind: GgmlType },
    Uneven,
}

const fn blocks(candle: GgmlDType, kind: GgmlType) -> Way {
    Way::Blocks { candle, kind }
}

/// All precisions with their names, what they are, and how they are made.
const PRECISIONS: &[(Precision, &str, &str, Way)] = &[
    (Precision::Int8, "int8", "LLM.int8 of bitsandbytes: 8 bits, a scale for each row", Way::Int8),
    (Precision::Nf4, "nf4", "NF4 of bitsandbytes: 4 bits in blocks of 64", four(bnb::Kind::Nf4, false)),
    (Precision::Nf4Dq, "nf4-dq", "NF4 with double quantisation of the scales", four(bnb::Kind::Nf4, true)),
    (Precision::Fp4, "fp4", "FP4 of bitsandbytes: 4 bits in blocks of 64", four(bnb::Kind::Fp4, false)),
    (Precision::Fp4Dq, "fp4-dq", "FP4 with double quantisation of the scales", four(bnb::Kind::Fp4, true)),
    (Precision::Q8_0, "q8_0", "llama.cpp, 8.5 bits in blocks of 32", blocks(GgmlDType::Q8_0, GgmlType::Q8_0)),
    (Precision::Q4_0, "q4_0", "llama.cpp, 4.5 bits in blocks of 32", blocks(GgmlDType::Q4_0, GgmlType::Q4_0)),
    (Precision::Q4_1, "q4_1", "llama.cpp, 5 bits in blocks of 32", blocks(GgmlDType::Q4_1, GgmlType::Q4_1)),
    (Precision::Q5_0, "q5_0", "llama.cpp, 5.5 bits in blocks of 32", blocks(GgmlDType::Q5_0, GgmlType::Q5_0)),
    (Precision::Q5_1, "q5_1", "llama.cpp, 6 bits in blocks of 32", blocks(GgmlDType::Q5_1, GgmlType::Q5_1)),
    (Precision::Q2K, "q2_k", "llama.cpp, 2.6 bits in blocks of 256", blocks(GgmlDType::Q2K, GgmlType::Q2_K)),
    (Precision::Q3K, "q3_k", "llama.cpp, 3.4 bits in blocks of 256", blocks(GgmlDType::Q3K, GgmlType::Q3_K)),
    (Precision::Q4K, "q4_k", "llama.cpp, 4.5 bits in blocks of 256", blocks(GgmlDType::Q4K, GgmlType::Q4_K)),
    (Precision::Q5K, "q5_k", "llama.cpp, 5.5 bits in blocks of 256", blocks(GgmlDType::Q5K, GgmlType::Q5_K)),
    (Precision::Q6K, "q6_k", "llama.cpp, 6.6 bits in blocks of 256", blocks(GgmlDType::Q6K, GgmlType::Q6_K)),
    (Precision::Iq4Nl, "iq4_nl", "llama.cpp, 4.5 bits of 16 uneven levels in blocks of 32", Way::Uneven),
];

/// What llama.cpp takes for rows that are not whole blocks of 256 (`tensor_type_fallback` in llama-quant.cpp).
const FALLBACKS: &[(Precision, Precision)] = &[
    (Precision::Q2K, Precision::Iq4Nl),
    (Precision::Q3K, Precision::Iq4Nl),
    (Precision::Q4K, Precision::Q5_0),
    (Precision::Q5K, Precision::Q5_1),
    (Precision::Q6K, Precision::Q8_0),
];

const fn four(kind: bnb::Kind, double: bool) -> Way {
    Way::FourBit { kind, double }
}

/// Numbers that are quantised at a time, about.
const CHUNK: usize = 1 << 16;

impl Precision {
    /// Names and descriptions of all, for `--help`.
    pub fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
        PRECISIONS.iter().map(|(_, name, doc, _)| (*name, *doc))
    }

    /// The name as `--precision` takes it.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// Quantises a matrix on the current thread pool; where the blocks of a k-quant do not fit its rows, to the format that llama.cpp
    /// falls back to. `None` where that does not fit either. `rounding` is the model's number format, to which bitsandbytes rounds
    /// what it dequantises. Values that are NaN give codes of no meaning.
    pub(super) fn quantise(self, matrix: &StoredMatrix, rounding: Rounding) -> Result<Option<StoredMatrix>> {
        match &self.row().3 {
            Way::Int8 => bnb::int8(matrix).map(Some),
            Way::FourBit { kind, double } => bnb::four_bit(matrix, *kind, *double, rounding).map(Some),
            _ if !matrix.ins().is_multiple_of(self.block()) => match self.fallback() {
                Some(fallback) => fallback.quantise(matrix, rounding),
                None => Ok(None),
            },
            Way::Blocks { candle, kind } => ggml::blocks(matrix, *candle, *kind, self.name()).map(Some),
            Way::Uneven => uneven::iq4_nl(matrix, self.name()).map(Some),
        }
    }

    /// Numbers of a block that must not run over the end of a row; 1 where there are none.
    fn block(self) -> usize {
        match &self.row().3 {
            Way::Blocks { kind, .. } => kind.block(),
            Way::Uneven => GgmlType::IQ4_NL.block(),
            Way::Int8 | Way::FourBit { .. } => 1,
        }
    }

    /// Which blocks do not fit rows: `256, as q4_k needs`.
    pub(super) fn described(self) -> String {
        format!("{}, as {} needs", self.block(), self.name())
    }

    /// The same of the format and of the one that llama.cpp falls back to.
    pub(super) fn described_with_fallback(self) -> String {
        match self.fallback() {
            Some(fallback) => format!("{}, nor of {}", self.described(), fallback.described()),
            None => self.described(),
        }
    }

    fn fallback(self) -> Option<Precision> {
        FALLBACKS.iter().find(|(precision, _)| *precision == self).map(|(_, fallback)| *fallback)
    }

    fn row(self) -> &'static (Precision, &'static str, &'static str, Way) {
        PRECISIONS.iter().find(|(precision, ..)| *precision == self).unwrap_or(&PRECISIONS[0])
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(text: &str) -> Result<Precision, String> {
        let found = PRECISIONS.iter().find(|(_, name, ..)| name.eq_ignore_ascii_case(text)).map(|row| row.0);
        found.ok_or_else(|| {
            let names: Vec<&str> = Precision::all().map(|(name, _)| name).collect();
            format!("`{text}` is no precision; there are {}", names.join(", "))
        })
    }
}

/// Does something to the values of all rows, so many whole rows at a time that `unit` divides their numbers, in parallel.
fn chunks<T: Send>(matrix: &StoredMatrix, unit: usize, work: impl Fn(Vec<f32>) -> T + Sync) -> Vec<T> {
    let (outs, ins) = (matrix.outs(), matrix.ins());
    // Any `unit` rows do; where rows are wide, `unit` is a power of two and divides fewer.
    let step = (0..).map(|shift| 1usize << shift).find(|rows| (rows * ins).is_multiple_of(unit)).unwrap_or(unit);
    let rows = (CHUNK / (step * ins)).max(1) * step;
    let starts: Vec<usize> = (0..outs).step_by(rows).collect();
    let chunk = |start: &usize| {
        let range = *start..(start + rows).min(outs);
        let mut values = vec![0.0; range.len() * ins];
        matrix.rows(range, &mut values);
        work(values)
    };
    starts.par_iter().map(chunk).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_precision_has_a_name() {
        for (precision, name, ..) in PRECISIONS {
            assert_eq!(name.parse::<Precision>(), Ok(*precision));
            assert_eq!(precision.to_string(), *name);
        }
        assert_eq!("Q4_K".parse::<Precision>(), Ok(Precision::Q4K));
        assert!("int4".parse::<Precision>().unwrap_err().contains("nf4-dq, fp4"));
    }
}
