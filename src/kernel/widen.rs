//! Compressed panels to f32, vectorised: bfloat16 pairs, and codes of four and eight bits with their scales.
//! In: lines of a panel. Out: [depth][32] values. Never rounds where the format does not say so.

use super::grouped::Rounding;
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

/// `bytes`: lines of 32, two inputs each; `skip` 1 leaves out the first line's low nibbles; `values`: [inputs][32].
pub(super) fn nibbles(isa: Isa, bytes: &[u8], table: &[f32; 16], levels: Levels, skip: usize, values: &mut [f32]) {
    assert!(bytes.len() / PANEL == (values.len() / PANEL + skip).div_ceil(2));
    levels.check();
    // SAFETY: as above.
    unsafe { run_on(isa, Nibbles { bytes, table, levels, skip, values }) }
}

/// `codes`: [inputs][32]; `values`: the same.
pub(super) fn bytes(isa: Isa, codes: &[i8], levels: Levels, values: &mut [f32]) {
    assert!(codes.len() == values.len());
    levels.check();
    // SAFETY: as above.
    unsafe { run_on(isa, Bytes { codes, levels, values }) }
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
trait Finish<V>: Copy {
    unsafe fn finish(self, level: V) -> V;
}

#[derive(Clone, Copy)]
struct Steps<V, const MIN: bool, const ROUNDING: u8> {
    scale: V,
    min: V,
}

const NONE: u8 = 0;
const BF16: u8 = 1;
const F16: u8 = 2;

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

struct Nibbles<'a> {
    bytes: &'a [u8],
    table: &'a [f32; 16],
    levels: Levels<'a>,
    skip: usize,
    values: &'a mut [f32],
}

impl Work for Nibbles<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let inputs = self.values.len() / PANEL;
        // SAFETY: `nibbles` checked the lengths.
        unsafe {
            for j in (0..PANEL).step_by(V::COUNT) {
                let from = self.bytes.as_ptr().add(j);
                let to = self.values.as_mut_ptr().add(j);
                with_steps!(self.levels, j, V, finish => {
                    nibble_column::<V>(from, self.table, self.skip, inputs, to, finish)
                });
            }
        }
    }
}

/// COUNT outputs of all inputs.
///
/// # Safety
/// Called in `Work::run`; lengths as `nibbles` checks them.
#[inline(always)]
unsafe fn nibble_column<V: Lanes>(
    from: *const u8,
    table: &[f32; 16],
    skip: usize,
    inputs: usize,
    to: *mut f32,
    finish: impl Finish<V>,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let (mut from, mut k) = (from, 0);
        if skip == 1 && inputs > 0 {
            finish.finish(V::look_up_nibbles(from, table).1).store(to);
            from = from.wrapping_add(PANEL);
            k = 1;
        }
        while k + 2 <= inputs {
            let (low, high) = V::look_up_nibbles(from, table);
            finish.finish(low).store(to.add(k * PANEL));
            finish.finish(high).store(to.add((k + 1) * PANEL));
            from = from.wrapping_add(PANEL);
            k += 2;
        }
        if k < inputs {
            finish.finish(V::look_up_nibbles(from, table).0).store(to.add(k * PANEL));
        }
    }
}

struct Bytes<'a> {
    codes: &'a [i8],
    levels: Levels<'a>,
    values: &'a mut [f32],
}

impl Work for Bytes<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let inputs = self.values.len() / PANEL;
        // SAFETY: `bytes` checked the lengths.
        unsafe {
            for j in (0..PANEL).step_by(V::COUNT) {
                let from = self.codes.as_ptr().add(j);
                let to = self.values.as_mut_ptr().add(j);
                with_steps!(self.levels, j, V, finish => {
                    for k in 0..inputs {
                        finish.finish(V::load_i8(from.add(k * PANEL))).store(to.add(k * PANEL));
                    }
                });
            }
        }
    }
}
