//! Micro-kernels for few rows by a panel of codes, widened in registers: decoding reads each code once, and a buffer would
//! cost more than the products. In: rows, panels of codes. Out: tiles of y, the same bits as `tile` over the widened panel.
//! Never used for many rows: `multiply` widens a panel once for those.

use std::ops::Range;

use super::grouped::Rounding;
use super::grouped_panels::{GroupedPanels, PanelCodes, nibble_shift};
use super::isa::Isa;
use super::lanes::{Lanes, Work, prefetch, run_on};
use super::tile::{LINE, PANEL, Start};
use super::widen::{BF16, F16, Finish, NONE, Steps};

/// The most rows of a `GroupedTile`.
pub(super) const GROUPED_ROWS: usize = 4;

/// c[i][0..32] (`start`) sum over k in `depth` of a[i * a_row + k - depth.start] * the panel's k.
pub(super) struct GroupedTile<'a> {
    pub panels: &'a GroupedPanels,
    pub panel: usize,
    /// Starts at a whole word of codes.
    pub depth: Range<usize>,
    pub a: *const f32,
    pub a_row: usize,
    pub c: *mut f32,
    pub c_row: usize,
    /// `Zero` or `Add`.
    pub start: Start,
}

/// # Safety
/// The processor runs `isa`; `rows` is 1 to `GROUPED_ROWS`; the panel and its depth exist, a is readable, c writable.
pub(super) unsafe fn multiply_grouped_tile(isa: Isa, rows: usize, tile: &GroupedTile) {
    // SAFETY: the caller's promise.
    unsafe {
        match rows {
            1 => by_format::<1>(isa, tile),
            2 => by_format::<2>(isa, tile),
            3 => by_format::<3>(isa, tile),
            4 => by_format::<4>(isa, tile),
            _ => debug_assert!(false, "no tile of {rows} rows"),
        }
    }
}

/// # Safety
/// As `multiply_grouped_tile`.
unsafe fn by_format<const R: usize>(isa: Isa, tile: &GroupedTile) {
    macro_rules! case {
        ($min:literal, $rounding:ident) => {
            // SAFETY: the caller's promise.
            match &tile.panels.codes {
                PanelCodes::Four { levels, .. } => unsafe {
                    run_on(isa, GroupedWork::<R, 8, $min, $rounding>(tile, levels))
                },
                PanelCodes::Eight(_) => unsafe { run_on(isa, GroupedWork::<R, 4, $min, $rounding>(tile, &[0.0; 16])) },
            }
        };
    }
    match (tile.panels.mins.is_some(), tile.panels.rounding) {
        (false, Rounding::None) => case!(false, NONE),
        (false, Rounding::Bf16) => case!(false, BF16),
        (false, Rounding::F16) => case!(false, F16),
        (true, Rounding::None) => case!(true, NONE),
        (true, Rounding::Bf16) => case!(true, BF16),
        (true, Rounding::F16) => case!(true, F16),
    }
}

/// R rows; words of INPUTS codes.
struct GroupedWork<'a, const R: usize, const INPUTS: usize, const MIN: bool, const ROUNDING: u8>(
    &'a GroupedTile<'a>,
    &'a [f32; 16],
);

impl<const R: usize, const INPUTS: usize, const MIN: bool, const ROUNDING: u8> Work
    for GroupedWork<'_, R, INPUTS, MIN, ROUNDING>
{
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let (tile, levels) = (self.0, self.1);
        for column in (0..PANEL).step_by(2 * V::COUNT) {
            // SAFETY: the caller of `multiply_grouped_tile` promises rows, panel and c.
            unsafe {
                let sums = two_vectors::<V, R, INPUTS, MIN, ROUNDING>(tile, levels, column);
                for (i, row) in sums.into_iter().enumerate() {
                    for (j, sum) in row.into_iter().enumerate() {
                        let to = tile.c.add(i * tile.c_row + column + j * V::COUNT);
                        let sum = if tile.start == Start::Add { V::load(to).add(sum) } else { sum };
                        sum.store(to);
                    }
                }
            }
        }
    }
}

/// Sums of two vectors of outputs, from output `column` of the panel on.
///
/// # Safety
/// Called in `Work::run`; as `multiply_grouped_tile`.
#[inline(always)]
unsafe fn two_vectors<V: Lanes, const R: usize, const INPUTS: usize, const MIN: bool, const ROUNDING: u8>(
    tile: &GroupedTile,
    levels: &[f32; 16],
    column: usize,
) -> [[V; 2]; R] {
    let (panels, depth) = (tile.panels, &tile.depth);
    let groups = panels.ins.div_ceil(panels.group);
    // SAFETY: the caller's promise.
    unsafe {
        let mut sums = [[V::splat(0.0); 2]; R];
        let mut k = depth.start;
        while k < depth.end {
            let group = k / panels.group;
            let end = ((group + 1) * panels.group).min(depth.end);
            let line = (tile.panel * groups + group) * PANEL + column;
            let steps = [0, V::COUNT].map(|j| {
                let scale = V::load(panels.scales.as_ptr().add(line + j));
                let min = panels.mins.as_ref().map_or(V::splat(0.0), |mins| V::load(mins.as_ptr().add(line + j)));
                Steps::<V, MIN, ROUNDING> { scale, min }
            });
            while k < end {
                let words = panels.address(tile.panel, k).add(column);
                prefetch(words.wrapping_add(AHEAD));
                let words = [V::load(words.cast()), V::load(words.add(V::COUNT).cast())];
                let first = k % INPUTS;
                // x of the word's input 0, which may lie before the stretch: only inputs of the stretch are read.
                let x = tile.a.wrapping_add(k - depth.start).wrapping_sub(first);
                if first == 0 && k + INPUTS <= end {
                    for i in 0..INPUTS {
                        add_input::<V, R, INPUTS>(&mut sums, steps, words, i, levels, x, tile.a_row);
                    }
                    k += INPUTS;
                } else {
                    let last = INPUTS.min(first + end - k);
                    for i in first..last {
                        add_input::<V, R, INPUTS>(&mut sums, steps, words, i, levels, x, tile.a_row);
                    }
                    k += last - first;
                }
            }
        }
        sums
    }
}

/// Adds the products of input `i` of two vectors of words. `x`: of the word's input 0.
///
/// # Safety
/// Called in `Work::run`; R rows of x are readable at the input.
#[inline(always)]
unsafe fn add_input<V: Lanes, const R: usize, const INPUTS: usize>(
    sums: &mut [[V; 2]; R],
    steps: [impl Finish<V>; 2],
    words: [V; 2],
    i: usize,
    levels: &[f32; 16],
    x: *const f32,
    x_row: usize,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let (left, right) = match INPUTS {
            8 => (words[0].nibble_level(nibble_shift(i), levels), words[1].nibble_level(nibble_shift(i), levels)),
            _ => (words[0].signed_byte(i as u32), words[1].signed_byte(i as u32)),
        };
        let (left, right) = (steps[0].finish(left), steps[1].finish(right));
        for (r, sum) in sums.iter_mut().enumerate() {
            let x = V::splat(*x.wrapping_add(r * x_row + i));
            *sum = [x.mul_add(left, sum[0]), x.mul_add(right, sum[1])];
        }
    }
}

/// How far ahead codes are asked for, in words: a page of them.
const AHEAD: usize = 64 * LINE;
