//! What GPTQ and AWQ have in common: `W = (code - zero) * scale`, with a zero and a scale for each output and group of inputs.
//!
//! Comes in: codes, zeros and scales however they are packed. Goes out: codes with a scale and a minimum, where that gives the same
//! values bit for bit; otherwise the values themselves.

use crate::kernel::{Codes, Grouped, Rounding};
use crate::model::weights::stored::{Dense, StoredMatrix};
use rayon::prelude::*;

/// Neighbouring outputs are unpacked together: their words share cache lines.
const OUTS: usize = 16;

/// A matrix `[outs, ins]` of codes of `bits` bits (at most 8).
pub struct Affine<'a> {
    pub outs: usize,
    pub ins: usize,
    pub bits: u32,
    /// Writes the codes of one output. `[ins]`
    pub row: &'a (dyn Fn(usize, &mut [u8]) + Sync),
    /// `[groups, outs]`
    pub zeros: Vec<i32>,
    /// `[groups, outs]`
    pub scales: Vec<f32>,
    pub groups: Groups,
    pub rounding: Rounding,
    pub encoding: &'static str,
    /// What all tensors take in the file.
    pub stored_bytes: usize,
}

/// Which group an input belongs to.
pub enum Groups {
    /// So many neighbours each.
    Even(usize),
    /// Written down for each input ("activation order"); numbers are below that of groups.
    Listed(Vec<u32>),
}

impl Affine<'_> {
    /// The matrix; an error where the parts do not fit each other.
    pub fn matrix(self) -> Result<StoredMatrix, String> {
        let groups = self.scales.len() / self.outs.max(1);
        if self.scales.len() != groups * self.outs || self.zeros.len() != self.scales.len() {
            return Err("there is not a zero and a scale for each group".to_string());
        }
        match self.groups {
            Groups::Even(group) if self.fits_minima() => self.grouped(group, groups),
            _ => self.dense(),
        }
    }

    /// The zero that codes are taken from before they are scaled: in the middle, so that symmetric matrices need no minima.
    fn middle(&self) -> i32 {
        1 << (self.bits - 1)
    }

    /// Whether `(code - middle) * scale + (middle - zero) * scale` is `(code - zero) * scale` without rounding: products of a
    /// difference of `bits + 1` bits and a scale with that many zeros at its end are exact in f32. Scales of 16 bits all are so.
    fn fits_minima(&self) -> bool {
        let end = (1u32 << (self.bits + 1)) - 1;
        let no_minima = self.zeros.iter().all(|zero| *zero == self.middle());
        no_minima || self.scales.iter().all(|scale| scale.to_bits() & end == 0)
    }

    fn grouped(&self, group: usize, groups: usize) -> Result<StoredMatrix, String> {
        let middle = self.middle();
        let turn = |value: &dyn Fn(usize) -> f32| {
            (0..self.outs * groups).map(|at| value(at % groups * self.outs + at / groups)).collect::<Vec<f32>>()
        };
        let scales = turn(&|at| self.scales[at]);
        let minima = self.zeros.iter().any(|zero| *zero != middle);
        let minima = minima.then(|| turn(&|at| (middle - self.zeros[at]) as f32 * self.scales[at]));
        let codes = if self.bits <= 4 {
            let levels = std::array::from_fn(|code| (code as i32 - middle) as f32);
            Codes::Four { bytes: self.unpacked(self.ins.div_ceil(2), pack_nibbles), levels }
        } else {
            Codes::Eight(self.unpacked(self.ins, |codes, row| {
                row.iter_mut().zip(codes).for_each(|(to, code)| *to = (i32::from(*code) - middle) as i8);
            }))
        };
        let grouped = Grouped::new(self.outs, self.ins, group, codes, scales, minima, self.rounding)?;
        Ok(StoredMatrix::compressed(grouped, self.encoding))
    }

    fn dense(&self) -> Result<StoredMatrix, String> {
        let group_of: Vec<usize> = match &self.groups {
            Groups::Even(group) => (0..self.ins).map(|k| k / group).collect(),
            Groups::Listed(groups) => groups.iter().map(|group| *group as usize).collect(),
        };
        let mut values = vec![0.0; self.outs * self.ins];
        values.par_chunks_mut((self.ins * OUTS).max(1)).enumerate().for_each_init(
            || vec![0; self.ins],
            |codes, (chunk, rows)| {
                for (j, row) in rows.chunks_exact_mut(self.ins).enumerate() {
                    let out = chunk * OUTS + j;
                    (self.row)(out, codes);
                    for ((value, code), group) in row.iter_mut().zip(codes.iter()).zip(&group_of) {
                        let at = group * self.outs + out;
                        *value = (i32::from(*code) - self.zeros[at]) as f32 * self.scales[at];
                    }
                }
            },
        );
        let dense = Dense::made(values, self.outs, self.ins, self.encoding, self.stored_bytes);
        Ok(StoredMatrix::Dense(dense.ok_or("impossible shape")?.rounded(self.rounding)))
    }

    /// All rows, `width` long, each packed by `pack(codes, row)`.
    fn unpacked<T: Default + Clone + Send>(&self, width: usize, pack: impl Fn(&[u8], &mut [T]) + Sync) -> Vec<T> {
        let mut all = vec![T::default(); self.outs * width];
        all.par_chunks_mut((width * OUTS).max(1)).enumerate().for_each_init(
            || vec![0; self.ins],
            |codes, (chunk, rows)| {
                for (j, row) in rows.chunks_exact_mut(width).enumerate() {
                    (self.row)(chunk * OUTS + j, codes);
                    pack(codes, row);
                }
            },
        );
        all
    }
}

/// Two codes a byte, the first in the low nibble.
fn pack_nibbles(codes: &[u8], row: &mut [u8]) {
    for (byte, codes) in row.iter_mut().zip(codes.chunks(2)) {
        *byte = codes[0] | codes.get(1).map_or(0, |code| code << 4);
    }
}
