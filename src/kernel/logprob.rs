//! The language-model head: hidden states to logits and log-probabilities.
//!
//! In: rows, the head's matrix, tokens that are asked about. Out: their log-probabilities and the most likely token of each row. Logits of
//! a whole vocabulary exist for a few rows and some thousand columns at a time only: a vocabulary of 262,144 would take a megabyte a row.
//!
//! The sum of exponentials runs over blocks of columns of fixed width, in lanes by column within a block, and over the blocks in
//! order: a row's bits depend on the row alone.

use super::exp::{exp, load_some, store_some, tanh};
use super::isa::Isa;
use super::lanes::{Lanes, Work, run_on};
use super::matrix::{Arithmetic, PackedMatrix};
use super::multiply::multiply_by_blocks;
use super::tile::PANEL;
use rayon::prelude::*;

/// Panels whose exponentials are summed in f32; blocks are added in f64. 2048 columns.
const SUMMED_PANELS: usize = 64;

/// Rows that go through the head at a time.
const ROWS: usize = 512;

/// Logits at a time, about: they stay in the cache until they are summed.
const LOGITS: usize = 1 << 19;

/// What is done to logits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeadSpec {
    /// Factor of the product (Granite divides its logits).
    pub scale: f32,
    /// `cap * tanh(logit / cap)` (Gemma 2).
    pub softcap: Option<f32>,
}

/// What a model expects after one token.
#[derive(Debug, Clone, PartialEq)]
pub struct RowScore {
    /// The most likely token; the first of equals.
    pub argmax: u32,
    /// Natural logarithms of the probabilities of the tokens that were asked about, in their order: logit - (max + ln sum e^(logit - max)),
    /// in f64. NaN where any logit of the row is NaN, or the token is not in the vocabulary.
    pub log_probs: Vec<f64>,
}

impl RowScore {
    /// The score of a whole row of logits.
    pub fn of(logits: &[f32], targets: &[u32]) -> RowScore {
        let mut sums = Sums::new(targets.len());
        for (block, logits) in logits.chunks(SUMMED_PANELS * PANEL).enumerate() {
            sums.add(block * SUMMED_PANELS * PANEL, logits, targets);
        }
        sums.score()
    }
}

/// Log-probabilities after each row. `x`: `[rows][ins]`, final norm applied; `targets[r]` are asked about after row r; `bias`: `[outs]`.
pub fn log_probs(
    head: (&PackedMatrix, Arithmetic),
    spec: HeadSpec,
    bias: Option<&[f32]>,
    x: &[f32],
    targets: &[&[u32]],
) -> Vec<RowScore> {
    let mut scores = Vec::with_capacity(targets.len());
    let row_blocks = x.chunks(ROWS * head.0.ins().max(1)).zip(targets.chunks(ROWS));
    for (x, targets) in row_blocks {
        let mut sums: Vec<Sums> = targets.iter().map(|targets| Sums::new(targets.len())).collect();
        for_blocks(head, spec, bias, x, targets.len(), |first, stride, width, logits| {
            let rows = sums.par_iter_mut().zip(targets).zip(logits.par_chunks(stride));
            rows.for_each(|((sums, targets), logits)| {
                for (block, logits) in logits[..width].chunks(SUMMED_PANELS * PANEL).enumerate() {
                    sums.add(first + block * SUMMED_PANELS * PANEL, logits, targets);
                }
            });
        });
        scores.extend(sums.into_iter().map(Sums::score));
    }
    scores
}

/// Logits after each row, the same that [`log_probs`] sees. `x`: `[rows][ins]`; `out`: `[rows][outs]`.
pub fn logits(
    head: (&PackedMatrix, Arithmetic),
    spec: HeadSpec,
    bias: Option<&[f32]>,
    x: &[f32],
    rows: usize,
    out: &mut [f32],
) {
    let outs = head.0.outs();
    for_blocks(head, spec, bias, x, rows, |first, stride, width, logits| {
        for (out, logits) in out.chunks_mut(outs.max(1)).zip(logits.chunks(stride)) {
            out[first..first + width].copy_from_slice(&logits[..width]);
        }
    });
}

/// Computes logits of some columns at a time and hands them on: first column, distance of rows, width, `[rows][distance]`.
fn for_blocks(
    head: (&PackedMatrix, Arithmetic),
    spec: HeadSpec,
    bias: Option<&[f32]>,
    x: &[f32],
    rows: usize,
    mut take: impl FnMut(usize, usize, usize, &[f32]),
) {
    // Whole blocks of the sums, as many as fit.
    let panels = SUMMED_PANELS * (LOGITS / (rows.max(1) * SUMMED_PANELS * PANEL)).max(1);
    let panels = panels.min(head.0.outs().div_ceil(PANEL).next_multiple_of(SUMMED_PANELS));
    let stride = panels * PANEL;
    let mut y = super::rows::scratch(rows * stride);
    multiply_by_blocks(head, x, rows, panels, &mut y, |first, width, y| {
        if spec.scale != 1.0 || bias.is_some() || spec.softcap.is_some() {
            let bias = bias.map(|bias| &bias[first..first + width]);
            y.par_chunks_mut(stride).take(rows).for_each(|row| {
                // SAFETY: `best` names an instruction set of this processor.
                unsafe { run_on(Isa::best(), Finish { spec, bias, logits: &mut row[..width] }) }
            });
        }
        take(first, stride, width, y);
    });
}

/// Scale, bias and soft cap of logits.
struct Finish<'a> {
    spec: HeadSpec,
    bias: Option<&'a [f32]>,
    logits: &'a mut [f32],
}

impl Work for Finish<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        for at in (0..self.logits.len()).step_by(V::COUNT) {
            let count = (self.logits.len() - at).min(V::COUNT);
            // SAFETY: `count` values from `at` on lie within both rows.
            unsafe {
                let mut x = load_some::<V>(self.logits.as_ptr().add(at), count, 0.0);
                if let Some(bias) = self.bias {
                    x = x.add(load_some(bias.as_ptr().add(at), count, 0.0));
                }
                x = x.mul(V::splat(self.spec.scale));
                if let Some(cap) = self.spec.softcap {
                    x = tanh(x.div(V::splat(cap))).mul(V::splat(cap));
                }
                store_some(x, self.logits.as_mut_ptr().add(at), count);
            }
        }
    }
}

/// What is known of a row after some of its columns.
struct Sums {
    max: f32,
    argmax: usize,
    is_nan: bool,
    /// Largest logit and sum of exponentials of each block, less that logit.
    blocks: Vec<(f32, f32)>,
    /// Logits of the targets.
    found: Vec<f32>,
}

impl Sums {
    fn new(targets: usize) -> Sums {
        Sums { max: f32::NEG_INFINITY, argmax: 0, is_nan: false, blocks: Vec::new(), found: vec![f32::NAN; targets] }
    }

    /// Adds a block of columns.
    fn add(&mut self, first: usize, logits: &[f32], targets: &[u32]) {
        // SAFETY: `best` names an instruction set of this processor.
        let (max, sum, is_nan) = unsafe { run_on(Isa::best(), Exponentials(logits)) };
        self.is_nan |= is_nan;
        if max > self.max || self.blocks.is_empty() {
            self.max = max;
            self.argmax = first + logits.iter().position(|logit| *logit == max).unwrap_or(0);
        }
        self.blocks.push((max, sum));
        for (found, target) in self.found.iter_mut().zip(targets) {
            if let Some(logit) = (*target as usize).checked_sub(first).and_then(|column| logits.get(column)) {
                *found = *logit;
            }
        }
    }

    fn score(self) -> RowScore {
        let max = f64::from(self.max);
        let sum: f64 = self.blocks.iter().map(|(m, sum)| f64::from(*sum) * (f64::from(*m) - max).exp()).sum();
        let log_sum = if self.is_nan { f64::NAN } else { max + sum.ln() };
        let log_probs = self.found.iter().map(|logit| f64::from(*logit) - log_sum).collect();
        RowScore { argmax: self.argmax as u32, log_probs }
    }
}

/// The largest of some logits, the sum of e^(logit - largest), and whether any is NaN.
struct Exponentials<'a>(&'a [f32]);

/// Vectors that are summed side by side.
const CHAINS: usize = 4;

impl Work for Exponentials<'_> {
    type Output = (f32, f32, bool);

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) -> (f32, f32, bool) {
        let logits = self.0;
        let is_nan = logits.iter().fold(false, |any, logit| any | logit.is_nan());
        // SAFETY: loads within the logits; lanes beyond the end hold minus infinity, whose exponential is 0.
        unsafe {
            let load = |chunk: &[f32]| load_some::<V>(chunk.as_ptr(), chunk.len(), f32::NEG_INFINITY);
            let mut largest = [V::splat(f32::NEG_INFINITY); CHAINS];
            for (i, chunk) in logits.chunks(V::COUNT).enumerate() {
                largest[i % CHAINS] = largest[i % CHAINS].max(load(chunk));
            }
            let largest = largest[0].max(largest[1]).max(largest[2].max(largest[3]));
            let mut lanes = [f32::NEG_INFINITY; 16];
            store_some(largest, lanes.as_mut_ptr(), V::COUNT);
            let max = lanes.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            // A block of nothing but minus infinity adds nothing.
            let centre = V::splat(if max.is_finite() { max } else { 0.0 });
            let mut sums = [V::splat(0.0); CHAINS];
            for (i, chunk) in logits.chunks(V::COUNT).enumerate() {
                sums[i % CHAINS] = sums[i % CHAINS].add(exp(load(chunk).sub(centre)));
            }
            (max, sums[0].add(sums[1]).add(sums[2].add(sums[3])).sum(), is_nan)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::matrix::Keep;

    fn value(i: usize) -> f32 {
        ((i * 7919 + 13) % 1009) as f32 / 252.0 - 2.0
    }

    fn head(outs: usize, ins: usize) -> PackedMatrix {
        PackedMatrix::pack(outs, ins, Keep::F32, &|rows, values| {
            for (row, values) in rows.zip(values.chunks_mut(ins)) {
                values.iter_mut().enumerate().for_each(|(i, v)| *v = value(row * ins + i));
            }
        })
    }

    const PLAIN: HeadSpec = HeadSpec { scale: 1.0, softcap: None };

    // Expected values: torch.log_softmax(torch.tensor([1., 3., 3., 0.]), -1).
    #[test]
    fn a_row_gives_log_softmax_and_first_argmax() {
        let row = RowScore::of(&[1.0, 3.0, 3.0, 0.0], &[0, 1, 3, 4]);
        assert_eq!(row.argmax, 1);
        for (found, expected) in row.log_probs.iter().zip([-2.781_672, -0.781_671_9, -3.781_672]) {
            assert!((found - expected).abs() < 1e-6);
        }
        assert!(row.log_probs[3].is_nan(), "not in the vocabulary");
        assert!(RowScore::of(&[1.0, f32::NAN], &[0]).log_probs[0].is_nan());
        assert_eq!(RowScore::of(&[f32::NEG_INFINITY, 2.0], &[1]).log_probs[0], 0.0);
        let far = RowScore::of(&[-3e4, 0.0, 3e4], &[0, 2]);
        assert_eq!((far.argmax, far.log_probs), (2, vec![-6e4, 0.0]));
    }

    #[test]
    fn scores_are_the_same_bits_in_any_company_and_those_of_the_logits() {
        let (outs, ins, rows) = (5000, 24, 230);
        let head = head(outs, ins);
        let bias: Vec<f32> = (0..outs).map(value).collect();
        let x: Vec<f32> = (0..rows * ins).map(|i| value(3 * i) / 4.0).collect();
        let targets: Vec<Vec<u32>> = (0..rows as u32).map(|r| vec![r, 4999 - r, 2048]).collect();
        let targets: Vec<&[u32]> = targets.iter().map(Vec::as_slice).collect();
        for (spec, bias) in [(PLAIN, None), (HeadSpec { scale: 0.5, softcap: Some(3.0) }, Some(bias.as_slice()))] {
            let head = (&head, Arithmetic::F32);
            let all = log_probs(head, spec, bias, &x, &targets);
            assert_eq!(all.len(), rows);
            let mut out = vec![0.0; rows * outs];
            logits(head, spec, bias, &x, rows, &mut out);
            for (row, score) in all.iter().enumerate() {
                let x = &x[row * ins..(row + 1) * ins];
                assert_eq!(*score, log_probs(head, spec, bias, x, &targets[row..=row])[0], "alone");
                assert_eq!(*score, RowScore::of(&out[row * outs..(row + 1) * outs], targets[row]), "from logits");
                let logit = |token: usize| {
                    let product: f64 = (0..ins).map(|i| f64::from(x[i]) * f64::from(value(token * ins + i))).sum();
                    let logit = (product + bias.map_or(0.0, |b| f64::from(b[token]))) * f64::from(spec.scale);
                    spec.softcap.map_or(logit, |cap| f64::from(cap) * (logit / f64::from(cap)).tanh())
                };
                if row % 50 == 0 {
                    let sum: f64 = (0..outs).map(|token| logit(token).exp()).sum();
                    for (target, found) in targets[row].iter().zip(&score.log_probs) {
                        let expected = logit(*target as usize) - sum.ln();
                        assert!((found - expected).abs() < 1e-5, "{found} is not {expected}");
                    }
                }
            }
        }
    }

    #[test]
    fn one_logit_that_is_no_number_makes_the_row_none() {
        let (outs, ins) = (4100, 8);
        for softcap in [None, Some(30.0)] {
            let spec = HeadSpec { scale: 1.0, softcap };
            for bad in [0, 2047, 2048, 4099] {
                let mut bias = vec![0.0; outs];
                bias[bad] = f32::NAN;
                let (head, x) = (head(outs, ins), vec![0.5; 2 * ins]);
                let targets: [&[u32]; 2] = [&[7, bad as u32], &[4000]];
                let scores = log_probs((&head, Arithmetic::F32), spec, Some(&bias), &x, &targets);
                let found = scores.iter().flat_map(|score| &score.log_probs);
                assert!(found.clone().all(|value| value.is_nan()), "{spec:?} {bad}: {scores:?}");
            }
        }
    }

    #[test]
    fn threads_do_not_change_bits() {
        let (outs, ins, rows) = (70_000, 40, 5);
        let head = head(outs, ins);
        let x: Vec<f32> = (0..rows * ins).map(|i| value(3 * i) / 4.0).collect();
        let targets: Vec<&[u32]> = vec![&[0, 69_999, 30_000]; rows];
        for arithmetic in [Arithmetic::F32, Arithmetic::Bf16] {
            let with = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| log_probs((&head, arithmetic), PLAIN, None, &x, &targets))
            };
            assert_eq!(with(1), with(3));
        }
    }
}
