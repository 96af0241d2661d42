//! Compressed panels to f32, vectorised: bfloat16 pairs, and codes of four and eight bits with their scales.
//! In: lines of a panel. Out: [depth][32] values. Never rounds where the format does not say so.

use super::grouped::Rounding;
use super::grouped_panels::nibble_shift;
use super::isa::Isa;
use super::lanes::{Lanes, Work, run_on};
use super::tile::PANEL;

/// Scales and minima of a group, a value for each of the 32 outputs.
#[derive(Clone, Copy)]
pub(super) struct Levels<'a> {
    pub scales: &'a [f32],
    pub mins: Option<&'a [f32]>,
    pub rounding: Rounding,
}

/// `pairs`: [depth.div_ceil(2)][32]; `values`: [depth][32].
pub(super) fn bf16_pairs(isa: Isa, pairs: &[u32], depth: usize, values: &mut [f32]) {
    assert!(pairs.len() >= depth.div_ceil(2) * PANEL && values.len() >= depth * PANEL);
    // SAFETY: multiplication checked that the processor runs `isa`; lengths checked above.
    unsafe { run_on(isa, Pairs { pairs, depth, values }) }
}

/// `words`: lines of 32, eight inputs each, from the line of the first input on, which is input `skip` of its word;
/// `values`: [inputs][32].
pub(super) fn nibbles(isa: Isa, words: &[u32], table: &[f32; 16], levels: Levels, skip: usize, values: &mut [f32]) {
    assert!(words.len() / PANEL == (values.len() / PANEL + skip).div_ceil(8) && skip < 8);
    levels.check();
    // SAFETY: as above.
    unsafe { run_on(isa, Codes::<8> { words, table, levels, skip, values }) }
}

/// The same with four inputs, a byte each, in a word.
pub(super) fn bytes(isa: Isa, words: &[u32], levels: Levels, skip: usize, values: &mut [f32]) {
    assert!(words.len() / PANEL == (values.len() / PANEL + skip).div_ceil(4) && skip < 4);
    levels.check();
    // SAFETY: as above.
    unsafe { run_on(isa, Codes::<4> { words, table: &[0.0; 16], levels, skip, values }) }
}

impl Levels<'_> {
    fn check(&self) {
        assert!(self.scales.len() == PANEL && self.mins.is_none_or(|mins| mins.len() == PANEL));
    }
}

struct Pairs<'a> {
    pairs: &'a [u32],
    depth: usize,
    values: &'a mut [f32],
}

impl Work for Pairs<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let (pairs, values) = (self.pairs.as_ptr(), self.values.as_mut_ptr());
        // SAFETY: `bf16_pairs` checked the lengths.
        unsafe {
            for line in 0..self.depth / 2 {
                for j in (0..PANEL).step_by(V::COUNT) {
                    let (low, high) = V::load_bf16_pairs(pairs.add(line * PANEL + j));
                    low.store(values.add(2 * line * PANEL + j));
                    high.store(values.add((2 * line + 1) * PANEL + j));
                }
            }
            if self.depth % 2 == 1 {
                let line = self.depth / 2;
                for j in (0..PANEL).step_by(V::COUNT) {
                    V::load_bf16_pairs(pairs.add(line * PANEL + j)).0.store(values.add(2 * line * PANEL + j));
                }
            }
        }
    }
}

/// What is done to a level: the same steps in the same order as `Grouped::row`.
pub(super) trait Finish<V>: Copy {
    /// # Safety
    /// Called in `Work::run`.
    unsafe fn finish(self, level: V) -> V;
}

/// Scale, minimum where MIN says so, ROUNDING.
#[derive(Clone, Copy)]
pub(super) struct Steps<V, const MIN: bool, const ROUNDING: u8> {
    pub scale: V,
    pub min: V,
}

pub(super) const NONE: u8 = 0;
pub(super) const BF16: u8 = 1;
pub(super) const F16: u8 = 2;

impl<V: Lanes, const MIN: bool, const ROUNDING: u8> Finish<V> for Steps<V, MIN, ROUNDING> {
    #[inline(always)]
    unsafe fn finish(self, level: V) -> V {
        // SAFETY: called in `Work::run`.
        unsafe {
            let mut value = self.scale.mul(level);
            if MIN {
                value = value.add(self.min);
            }
            match ROUNDING {
                BF16 => value.round_bf16(),
                F16 => value.round_f16(),
                _ => value,
            }
        }
    }
}

/// Calls `$body` with a `Finish` for columns `$j..`, compiled for each combination of minima and rounding: both are the
/// same for a whole matrix, so that the choice stays outside the loops over inputs.
macro_rules! with_steps {
    ($levels:expr, $j:expr, $V:ident, $finish:ident => $body:expr) => {{
        let scale = $V::load($levels.scales.as_ptr().add($j));
        let min = $levels.mins.map_or($V::splat(0.0), |mins| $V::load(mins.as_ptr().add($j)));
        macro_rules! case {
            ($min:literal, $rounding:ident) => {{
                let $finish = Steps::<$V, $min, $rounding> { scale, min };
                $body
            }};
        }
        match ($levels.mins.is_some(), $levels.rounding) {
            (false, Rounding::None) => case!(false, NONE),
            (false, Rounding::Bf16) => case!(false, BF16),
            (false, Rounding::F16) => case!(false, F16),
            (true, Rounding::None) => case!(true, NONE),
            (true, Rounding::Bf16) => case!(true, BF16),
            (true, Rounding::F16) => case!(true, F16),
        }
    }};
}

/// INPUTS of a word: 8 (nibbles, levels of a table) or 4 (bytes).
struct Codes<'a, const INPUTS: usize> {
    words: &'a [u32],
    table: &'a [f32; 16],
    levels: Levels<'a>,
    skip: usize,
    values: &'a mut [f32],
}

impl<const INPUTS: usize> Work for Codes<'_, INPUTS> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let inputs = self.values.len() / PANEL;
        // SAFETY: `nibbles` and `bytes` checked the lengths.
        unsafe {
            for j in (0..PANEL).step_by(V::COUNT) {
                let from = self.words.as_ptr().add(j);
                let to = self.values.as_mut_ptr().add(j);
                with_steps!(self.levels, j, V, finish => {
                    column::<V, INPUTS>(from, self.table, self.skip, inputs, to, finish)
                });
            }
        }
    }
}

/// COUNT outputs of all inputs.
///
/// # Safety
/// Called in `Work::run`; lengths as `nibbles` and `bytes` check them.
#[inline(always)]
unsafe fn column<V: Lanes, const INPUTS: usize>(
    from: *const u32,
    table: &[f32; 16],
    skip: usize,
    inputs: usize,
    to: *mut f32,
    finish: impl Finish<V>,
) {
    // SAFETY: the caller's promise: input k stands in line (skip + k) / INPUTS.
    unsafe {
        let level = |words: V, i: usize| match INPUTS {
            8 => words.nibble_level(nibble_shift(i), table),
            _ => words.signed_byte(i as u32),
        };
        let (mut from, mut k) = (from, 0);
        while k < inputs {
            let words = V::load(from.cast());
            let first = if k == 0 { skip } else { 0 };
            if first == 0 && k + INPUTS <= inputs {
                for i in 0..INPUTS {
                    finish.finish(level(words, i)).store(to.add((k + i) * PANEL));
                }
                k += INPUTS;
            } else {
                for i in first..INPUTS.min(first + inputs - k) {
                    finish.finish(level(words, i)).store(to.add(k * PANEL));
                    k += 1;
                }
            }
            from = from.wrapping_add(PANEL);
        }
    }
}
