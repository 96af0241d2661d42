//! A matrix as a checkpoint holds it.
//!
//! Comes in: bytes with a number format, or codes with scales. Goes out: exact values in f32, row by row, and rows selected or
//! put in another order without copying plain numbers. Never: names, files, arithmetic on activations.

use super::bytes::Bytes;
use super::number::{self, Number};
use crate::kernel::{Grouped, Rounding};
use rayon::prelude::*;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Numbers that are compared at a time, about.
const COMPARED: usize = 1 << 16;

/// A matrix `[outs, ins]` as a checkpoint holds it, or as `--precision` made it. A clone shares the data.
#[derive(Clone)]
pub enum StoredMatrix {
    Dense(Dense),
    Grouped(Arc<Compressed>),
}

/// Codes with scales, and what they are.
pub struct Compressed {
    pub codes: Grouped,
    /// For tables: `int8`, `nf4`, `q4_k`, `gptq`, ...
    pub encoding: &'static str,
    /// The activations that LLM.int8 keeps out of its int8 multiplication are those with at least this absolute value. Rows of
    /// codes of other encodings have none.
    pub llm_int8_threshold: Option<f32>,
}

impl StoredMatrix {
    /// Codes of an encoding.
    pub fn compressed(codes: Grouped, encoding: &'static str) -> StoredMatrix {
        StoredMatrix::Grouped(Arc::new(Compressed { codes, encoding, llm_int8_threshold: None }))
    }

    /// Outputs: rows.
    pub fn outs(&self) -> usize {
        match self {
            StoredMatrix::Dense(dense) => dense.outs(),
            StoredMatrix::Grouped(grouped) => grouped.codes.outs,
        }
    }

    /// Inputs: columns.
    pub fn ins(&self) -> usize {
        match self {
            StoredMatrix::Dense(dense) => dense.ins,
            StoredMatrix::Grouped(grouped) => grouped.codes.ins,
        }
    }

    /// Exact values of some rows, row after row. `values`: `[rows, ins]`
    pub fn rows(&self, rows: Range<usize>, values: &mut [f32]) {
        match self {
            StoredMatrix::Dense(dense) => dense.rows(rows, values),
            StoredMatrix::Grouped(grouped) => {
                for (row, values) in rows.zip(values.chunks_exact_mut(grouped.codes.ins.max(1))) {
                    grouped.codes.row(row, values);
                }
            }
        }
    }

    /// The rows `rows`, in that order; a row may come more than once. Plain numbers are not copied.
    pub fn select_rows(&self, rows: &[usize]) -> StoredMatrix {
        match self {
            StoredMatrix::Dense(dense) => StoredMatrix::Dense(dense.select_rows(rows)),
            StoredMatrix::Grouped(grouped) => StoredMatrix::Grouped(Arc::new(Compressed {
                codes: grouped.codes.select_rows(rows),
                encoding: grouped.encoding,
                llm_int8_threshold: grouped.llm_int8_threshold,
            })),
        }
    }

    /// Whether both have the same values. (A value that is no number equals none.)
    pub fn equals(&self, other: &StoredMatrix) -> bool {
        if (self.outs(), self.ins()) != (other.outs(), other.ins()) {
            return false;
        }
        let step = (COMPARED / self.ins().max(1)).max(1);
        let starts: Vec<usize> = (0..self.outs()).step_by(step).collect();
        starts.par_iter().all(|start| {
            let rows = *start..(start + step).min(self.outs());
            let mut values = [vec![0.0; rows.len() * self.ins()], vec![0.0; rows.len() * self.ins()]];
            self.rows(rows.clone(), &mut values[0]);
            other.rows(rows, &mut values[1]);
            values[0] == values[1]
        })
    }

    /// What it is stored as, for tables: `bfloat16`, `nf4`, `q4_k`, ...
    pub fn description(&self) -> &'static str {
        match self {
            StoredMatrix::Dense(dense) => dense.encoding,
            StoredMatrix::Grouped(grouped) => grouped.encoding,
        }
    }

    /// Bytes of the rows as they are stored, scales included.
    pub fn stored_bytes(&self) -> usize {
        match self {
            StoredMatrix::Dense(dense) => dense.stored_bytes(),
            StoredMatrix::Grouped(grouped) => grouped.codes.bytes(),
        }
    }

    /// Bytes of plain numbers in the model's number format, where they are rounded to another one than the checkpoint's.
    pub fn rounded_bytes(&self) -> Option<usize> {
        match self {
            StoredMatrix::Dense(dense) => dense.rounded_bytes(),
            StoredMatrix::Grouped(_) => None,
        }
    }

    /// Bytes that the rows take in memory, scales included.
    pub fn memory_bytes(&self) -> usize {
        match self {
            StoredMatrix::Dense(dense) => dense.memory_bytes(),
            StoredMatrix::Grouped(grouped) => grouped.codes.bytes(),
        }
    }

    /// Lets go of the memory of mapped pages: the matrix has been packed.
    pub fn release(&self) {
        if let StoredMatrix::Dense(Dense { values: Values::Stored(bytes, _), .. }) = self {
            bytes.release();
        }
    }

    /// Whether every value is a bfloat16 number.
    pub fn is_bf16(&self) -> bool {
        match self {
            StoredMatrix::Dense(dense) => dense.is_bf16(),
            StoredMatrix::Grouped(grouped) => grouped.codes.rounding == Rounding::Bf16,
        }
    }

    /// The threshold of LLM.int8, where the matrix is stored so.
    pub fn llm_int8_threshold(&self) -> Option<f32> {
        match self {
            StoredMatrix::Dense(_) => None,
            StoredMatrix::Grouped(grouped) => grouped.llm_int8_threshold,
        }
    }

    /// Whether it is plain numbers of at least 16 bits, which can be quantised.
    pub fn is_full_precision(&self) -> bool {
        matches!(self, StoredMatrix::Dense(Dense { values: Values::Stored(_, number), .. }) if *number != Number::F8E4M3)
    }
}

/// Plain numbers, read when they are needed.
#[derive(Clone)]
pub struct Dense {
    values: Values,
    /// Shape as stored, before rows are selected.
    outs: usize,
    ins: usize,
    /// Stored as `[ins, outs]`.
    transposed: bool,
    selection: Option<Arc<[usize]>>,
    scales: Option<Arc<BlockScales>>,
    rounding: Rounding,
    encoding: &'static str,
    watch: Option<Arc<Watch>>,
}

#[derive(Clone)]
enum Values {
    Stored(Bytes, Number),
    /// Decoded where codes with a scale for each group do not fit, with the bytes that the codes had.
    Made(Arc<[f32]>, usize),
}

/// Factors for rectangles of a matrix.
pub struct BlockScales {
    /// `[outs.div_ceil(block outs), ins.div_ceil(block ins)]`
    pub values: Vec<f32>,
    pub block_outs: usize,
    pub block_ins: usize,
}

/// Remembers that a matrix turned out to hold NaN or infinity when it was read.
pub struct Watch {
    pub name: String,
    pub file: PathBuf,
    found: AtomicBool,
}

impl Watch {
    pub fn new(name: String, file: PathBuf) -> Watch {
        Watch { name, file, found: AtomicBool::new(false) }
    }

    /// Whether a value that was read was NaN or infinite.
    pub fn found(&self) -> bool {
        self.found.load(Ordering::Relaxed)
    }
}

impl Dense {
    /// The matrix of a file's bytes; `None` where there are not just as many as the shape needs.
    pub fn stored(bytes: Bytes, number: Number, outs: usize, ins: usize) -> Option<Dense> {
        let wanted = outs.checked_mul(ins)?.checked_mul(number.size())?;
        (bytes.len() == wanted).then(|| Dense {
            values: Values::Stored(bytes, number),
            outs,
            ins,
            transposed: false,
            selection: None,
            scales: None,
            rounding: Rounding::None,
            encoding: number.name(),
            watch: None,
        })
    }

    /// A matrix decoded from an encoding that took `stored_bytes`; `None` where there are not just as many values as the shape needs.
    pub fn made(
        values: Vec<f32>,
        outs: usize,
        ins: usize,
        encoding: &'static str,
        stored_bytes: usize,
    ) -> Option<Dense> {
        (outs.checked_mul(ins)? == values.len()).then(|| Dense {
            values: Values::Made(values.into(), stored_bytes),
            outs,
            ins,
            transposed: false,
            selection: None,
            scales: None,
            rounding: Rounding::None,
            encoding,
            watch: None,
        })
    }

    /// The same bytes as `[ins, outs]`, as GPT-2's Conv1D stores them.
    pub fn transposed(mut self) -> Dense {
        self.transposed = true;
        self
    }

    /// Values are rounded to a format when they are read.
    pub fn rounded(mut self, rounding: Rounding) -> Dense {
        self.rounding = rounding;
        self
    }

    /// Values are multiplied when they are read; the encoding gets a name of its own. `scales.values` must have a factor for each block.
    pub fn scaled(mut self, scales: BlockScales, encoding: &'static str) -> Dense {
        self.scales = Some(Arc::new(scales));
        self.encoding = encoding;
        self
    }

    /// NaN and infinities are reported when they are read.
    pub fn watched(mut self, watch: Arc<Watch>) -> Dense {
        self.watch = Some(watch);
        self
    }

    fn outs(&self) -> usize {
        self.selection.as_ref().map_or(self.outs, |rows| rows.len())
    }

    fn rows(&self, rows: Range<usize>, values: &mut [f32]) {
        let values = &mut values[..rows.len() * self.ins];
        match &self.selection {
            None if !self.transposed => self.read(rows.start, values),
            _ => {
                for (row, values) in rows.clone().zip(values.chunks_exact_mut(self.ins)) {
                    self.read(self.stored_row(row), values);
                }
            }
        }
        if let Some(scales) = &self.scales {
            for (row, values) in rows.zip(values.chunks_exact_mut(self.ins)) {
                scales.apply(self.stored_row(row), values);
            }
        }
        number::round(self.rounding, values);
        if let Some(watch) = self.watch.as_ref().filter(|_| !number::all_finite(values)) {
            watch.found.store(true, Ordering::Relaxed);
        }
    }

    /// Stored numbers from the beginning of a stored row on; of that row only where the matrix is transposed.
    fn read(&self, row: usize, values: &mut [f32]) {
        match &self.values {
            Values::Stored(bytes, number) if self.transposed => number.gather(bytes, row, self.outs, values),
            Values::Stored(bytes, number) => number.widen(&bytes[row * self.ins * number.size()..], values),
            Values::Made(stored, _) => {
                values.copy_from_slice(&stored[row * self.ins..][..values.len()]);
            }
        }
    }

    fn stored_row(&self, row: usize) -> usize {
        self.selection.as_ref().map_or(row, |rows| rows[row])
    }

    fn select_rows(&self, rows: &[usize]) -> Dense {
        Dense { selection: Some(rows.iter().map(|row| self.stored_row(*row)).collect()), ..self.clone() }
    }

    fn rounded_bytes(&self) -> Option<usize> {
        let is_plain = self.scales.is_none() && matches!(self.values, Values::Stored(..));
        let size = self.rounding.size().filter(|_| is_plain)?;
        Some(self.outs() * self.ins * size)
    }

    fn stored_bytes(&self) -> usize {
        match &self.values {
            Values::Stored(_, number) => {
                let scales = self.scales.as_ref().map_or(0, |scales| 4 * scales.values.len());
                self.outs() * self.ins * number.size() + scales
            }
            Values::Made(_, bytes) => (*bytes as u128 * self.outs() as u128 / self.outs.max(1) as u128) as usize,
        }
    }

    /// Of all rows: those that were not selected are there too.
    fn memory_bytes(&self) -> usize {
        match &self.values {
            Values::Stored(_, number) => {
                let scales = self.scales.as_ref().map_or(0, |scales| 4 * scales.values.len());
                self.outs * self.ins * number.size() + scales
            }
            Values::Made(values, _) => 4 * values.len(),
        }
    }

    fn is_bf16(&self) -> bool {
        let plain = matches!(self.values, Values::Stored(_, Number::Bf16)) && self.scales.is_none();
        plain || self.rounding == Rounding::Bf16
    }
}

impl BlockScales {
    /// Multiplies a row of the matrix.
    fn apply(&self, row: usize, values: &mut [f32]) {
        let columns = values.len().div_ceil(self.block_ins);
        let scales = &self.values[row / self.block_outs * columns..];
        for (values, scale) in values.chunks_mut(self.block_ins).zip(scales) {
            values.iter_mut().for_each(|value| *value *= scale);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Codes;

    fn all(matrix: &StoredMatrix) -> Vec<f32> {
        let mut values = vec![f32::NAN; matrix.outs() * matrix.ins()];
        matrix.rows(0..matrix.outs(), &mut values);
        values
    }

    fn counting(outs: usize, ins: usize) -> Dense {
        let bytes: Vec<u8> = (0..outs * ins).flat_map(|i| (i as f32).to_le_bytes()).collect();
        Dense::stored(bytes.into(), Number::F32, outs, ins).unwrap()
    }

    #[test]
    fn rows_are_read_selected_and_transposed() {
        let matrix = StoredMatrix::Dense(counting(3, 2));
        assert_eq!(all(&matrix), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        let chosen = matrix.select_rows(&[2, 0, 2]).select_rows(&[1, 2]);
        assert_eq!(all(&chosen), [0.0, 1.0, 4.0, 5.0]);
        assert_eq!((chosen.outs(), chosen.ins(), chosen.stored_bytes()), (2, 2, 16));
        // Bytes of [2, 3] read as the transpose of it.
        let turned = StoredMatrix::Dense(counting(3, 2).transposed());
        assert_eq!(all(&turned), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        assert_eq!(all(&turned.select_rows(&[1])), [1.0, 4.0]);
        let mut one = [0.0; 2];
        turned.rows(2..3, &mut one);
        assert_eq!(one, [2.0, 5.0]);
        assert!(Dense::stored(vec![0; 7].into(), Number::F32, 1, 2).is_none());
        assert!(Dense::stored(Vec::new().into(), Number::F32, usize::MAX, 2).is_none());
    }

    #[test]
    fn values_are_scaled_rounded_and_watched() {
        let scales = BlockScales { values: vec![1.0, 10.0, 100.0, 1000.0], block_outs: 2, block_ins: 2 };
        let matrix = StoredMatrix::Dense(counting(3, 3).scaled(scales, "fp8"));
        assert_eq!(all(&matrix), [0.0, 1.0, 20.0, 3.0, 4.0, 50.0, 600.0, 700.0, 8000.0]);
        assert_eq!(all(&matrix.select_rows(&[2])), [600.0, 700.0, 8000.0]);
        let bytes = (1.0f32 + 2f32.powi(-10)).to_le_bytes().to_vec();
        let rounded = Dense::stored(bytes.into(), Number::F32, 1, 1).unwrap().rounded(Rounding::Bf16);
        assert!(rounded.is_bf16() && all(&StoredMatrix::Dense(rounded)) == [1.0]);
        let watch = Arc::new(Watch::new("x".to_string(), PathBuf::new()));
        let bytes = f32::NAN.to_le_bytes().to_vec();
        let matrix =
            StoredMatrix::Dense(Dense::stored(bytes.into(), Number::F32, 1, 1).unwrap().watched(watch.clone()));
        assert!(!watch.found() && all(&matrix)[0].is_nan() && watch.found());
    }

    #[test]
    fn codes_keep_what_they_are() {
        let codes = Codes::Eight(vec![1, 2, 3, 4, 5, 6]);
        let codes = Grouped::new(2, 3, 3, codes, vec![1.0, 0.5], None, Rounding::None).unwrap();
        let matrix =
            StoredMatrix::Grouped(Arc::new(Compressed { codes, encoding: "int8", llm_int8_threshold: Some(6.0) }));
        let chosen = matrix.select_rows(&[1, 0]);
        assert_eq!(all(&chosen), [2.0, 2.5, 3.0, 1.0, 2.0, 3.0]);
        assert_eq!((chosen.description(), chosen.llm_int8_threshold()), ("int8", Some(6.0)));
        assert_eq!((chosen.stored_bytes(), chosen.is_full_precision()), (6 + 8, false));
    }
}
