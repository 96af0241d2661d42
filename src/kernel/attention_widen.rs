//! bfloat16 on processors that only multiply f32: queries and shares rounded, keys and values widened.
//! In: values or pairs. Out: f32. Never multiplies.

use super::lanes::{Lanes, Work};
use super::tile::PANEL;

/// Rounds to bfloat16, in place.
pub(super) struct Round<'a>(pub &'a mut [f32]);

impl Work for Round<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let mut vectors = self.0.chunks_exact_mut(V::COUNT);
        for vector in &mut vectors {
            // SAFETY: called in `Work::run`; a chunk holds COUNT values.
            unsafe { V::load(vector.as_ptr()).round_bf16().store(vector.as_mut_ptr()) };
        }
        for value in vectors.into_remainder() {
            *value = super::lanes::round_bf16(*value);
        }
    }
}

/// A panel of keys, [dim.div_ceil(2)][32] pairs, to [dim][32] values.
pub(super) struct WidenKeys<'a> {
    pub from: &'a [u32],
    pub to: &'a mut [f32],
    pub dim: usize,
}

impl Work for WidenKeys<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let rows = self.to[..self.dim * PANEL].chunks_mut(2 * PANEL);
        for (pairs, rows) in self.from.chunks_exact(PANEL).zip(rows) {
            let (even, odd) = rows.split_at_mut(PANEL);
            for at in (0..PANEL).step_by(V::COUNT) {
                // SAFETY: called in `Work::run`; `even` is a panel's row, and `odd` is one or, behind an odd last, empty.
                unsafe {
                    let (low, high) = V::load_bf16_pairs(pairs.as_ptr().add(at));
                    low.store(even.as_mut_ptr().add(at));
                    if !odd.is_empty() {
                        high.store(odd.as_mut_ptr().add(at));
                    }
                }
            }
        }
    }
}

/// Values of pairs of positions, [pairs][width], to [2 * pairs][width]: the high halves are the earlier ones.
pub(super) struct WidenValues<'a> {
    pub from: &'a [u32],
    pub to: &'a mut [f32],
    /// A multiple of 16.
    pub width: usize,
}

impl Work for WidenValues<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let width = self.width;
        for (pairs, rows) in self.from.chunks_exact(width).zip(self.to.chunks_exact_mut(2 * width)) {
            for at in (0..width).step_by(V::COUNT) {
                // SAFETY: called in `Work::run`; rows are of whole vectors.
                unsafe {
                    let (low, high) = V::load_bf16_pairs(pairs.as_ptr().add(at));
                    high.store(rows.as_mut_ptr().add(at));
                    low.store(rows.as_mut_ptr().add(width + at));
                }
            }
        }
    }
}
