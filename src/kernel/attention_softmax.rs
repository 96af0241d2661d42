//! Shares of a query's positions: e^(score - greatest), as attention mixes values with them.
//! In: rows of scores. Out: shares in their place, and one over their sums. Never lets anything but absolute positions
//! choose the order of the sum: a position's lane is its remainder.

use std::ops::Range;

use super::exp::tanh;
use super::lanes::{Lanes, Work};

/// Turns the scores of the positions that each row has `seen` into shares that still lack their sum, and writes zeros to
/// the rest of `mixed`. Each sum goes to `totals`: NaN where a seen score is NaN or the greatest infinite.
pub(super) struct Softmax<'a> {
    /// [seen.len()][row_len]: each from a multiple of 16 positions on, to one behind `mixed` at least.
    pub rows: &'a mut [f32],
    pub row_len: usize,
    /// Of 1 to `ROWS` rows, none empty.
    pub seen: &'a [Range<usize>],
    /// Around all that is seen.
    pub mixed: Range<usize>,
    /// Factor of the scores.
    pub scale: f32,
    /// cap * tanh(score / cap), after the factor.
    pub softcap: Option<f32>,
    pub totals: &'a mut [f32],
}

/// Rows at once: chains of several hide each other's waits.
pub(super) const ROWS: usize = 4;

impl Work for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        assert!(self.rows.len() >= self.seen.len() * self.row_len && self.totals.len() >= self.seen.len());
        assert!(self.mixed.end.next_multiple_of(16) <= self.row_len);
        // SAFETY: called in `Work::run`; rows are as long as asserted.
        unsafe {
            match self.seen.len() {
                1 => share::<V, 1>(self),
                2 => share::<V, 2>(self),
                3 => share::<V, 3>(self),
                4 => share::<V, ROWS>(self),
                rows => debug_assert!(false, "no softmax of {rows} rows"),
            }
        }
    }
}

/// # Safety
/// Called in `Work::run`; there are R rows, whole vectors long to the end of `mixed`.
#[inline(always)]
unsafe fn share<V: Lanes, const R: usize>(work: Softmax<'_>) {
    let Softmax { rows, row_len, seen, mixed, scale, softcap, totals } = work;
    let vectors = || (mixed.start / V::COUNT * V::COUNT..mixed.end).step_by(V::COUNT);
    // Vectors between these are seen by all rows.
    let start = seen.iter().map(|seen| seen.start).fold(0, usize::max);
    let end = seen.iter().map(|seen| seen.end).fold(usize::MAX, usize::min);
    let cut = |at: usize| at < start || at + V::COUNT > end;
    // A factor that turns the order round is applied before the greatest is sought.
    let before = softcap.is_some() || scale.is_sign_negative();
    // SAFETY: the caller's promise.
    unsafe {
        let rows: [*mut f32; R] = std::array::from_fn(|i| rows.as_mut_ptr().add(i * row_len));
        let mut greatest = [V::splat(f32::NEG_INFINITY); R];
        for at in vectors() {
            for i in 0..R {
                let to = rows[i].add(at);
                let mut x = V::load(to);
                if before {
                    x = capped(x.mul(V::splat(scale)), softcap);
                    x.store(to);
                }
                if cut(at) {
                    x = only(x, at, &seen[i], f32::NEG_INFINITY);
                }
                // In this order a NaN leaves `greatest` as it is, or becomes it for good.
                greatest[i] = x.max(greatest[i]);
            }
        }
        let factor = V::splat(if before { 1.0 } else { scale } * std::f32::consts::LOG2_E);
        // Loops, not closures: those would not be compiled for the instruction set.
        for greatest in &mut greatest {
            *greatest = V::splat(greatest_lane(*greatest));
        }
        let mut sums = [V::splat(0.0); R];
        for at in vectors() {
            for i in 0..R {
                let to = rows[i].add(at);
                let mut x = V::load(to);
                // What is not seen may be any number, and must not leave the bounds of `power` either.
                if cut(at) {
                    x = only(x, at, &seen[i], f32::NEG_INFINITY);
                }
                let mut share = power(x.sub(greatest[i]).mul(factor));
                if cut(at) {
                    share = only(share, at, &seen[i], 0.0);
                }
                share.store(to);
                sums[i] = sums[i].add(share);
            }
        }
        for i in 0..R {
            totals[i] = sums[i].sum();
        }
    }
}

/// Powers of two below this are not told from it.
const LOWEST: f32 = -126.0;

/// 2^f - 1 = f * polynomial, highest power first: relative error below 1.1e-7 in 2^f for |f| <= 1/2 (Lawson's iteration).
/// The last is near ln 2, but not it.
#[allow(clippy::approx_constant)]
const POWER: [f32; 5] = [1.326_472_7e-3, 9.671_513e-3, 5.550_733_6e-2, 0.240_222_42, 0.693_147];

/// 2^x for x <= 0, within 4e-7 of it (and 2^-126 below that); NaN for NaN.
///
/// # Safety
/// As all of [`Lanes`].
#[inline(always)]
unsafe fn power<V: Lanes>(x: V) -> V {
    // SAFETY: the caller's promise.
    unsafe {
        // The second operand of `max` is what x86 and the portable form give where one is NaN; others give NaN too.
        let x = V::splat(LOWEST).max(x);
        let whole = x.round();
        let part = x.sub(whole);
        let mut p = V::splat(POWER[0]);
        for c in &POWER[1..] {
            p = p.mul_add(part, V::splat(*c));
        }
        p.mul_add(part, V::splat(1.0)).scale_by_power(whole)
    }
}

/// # Safety
/// As all of [`Lanes`].
#[inline(always)]
unsafe fn capped<V: Lanes>(x: V, softcap: Option<f32>) -> V {
    let Some(cap) = softcap else { return x };
    // SAFETY: the caller's promise.
    unsafe {
        let capped = tanh(x.mul(V::splat(1.0 / cap))).mul(V::splat(cap));
        // A NaN is less than nothing.
        let bounded = x.select_less(V::splat(f32::INFINITY), capped, x);
        V::splat(f32::MAX).select_less(x, V::splat(cap), bounded)
    }
}

/// The lanes of a vector at `at` whose positions are `seen`, `other` in the rest.
///
/// # Safety
/// As all of [`Lanes`].
#[inline(always)]
unsafe fn only<V: Lanes>(x: V, at: usize, seen: &Range<usize>, other: f32) -> V {
    const LANES: [f32; 16] = [0., 1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 11., 12., 13., 14., 15.];
    // Differences of a few lanes: exact in f32.
    let bound = |position: usize| position.saturating_sub(at).min(16) as f32;
    // SAFETY: the caller's promise; no form has more than 16 lanes.
    unsafe {
        let (lanes, other) = (V::load(LANES.as_ptr()), V::splat(other));
        let x = lanes.select_less(V::splat(bound(seen.end)), x, other);
        lanes.select_less(V::splat(bound(seen.start)), other, x)
    }
}

/// # Safety
/// As all of [`Lanes`].
#[inline(always)]
unsafe fn greatest_lane<V: Lanes>(x: V) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; 16];
    // SAFETY: the caller's promise; no form has more than 16 lanes.
    unsafe { x.store(lanes.as_mut_ptr()) };
    let mut count = V::COUNT;
    while count > 1 {
        count /= 2;
        for i in 0..count {
            if lanes[i + count] > lanes[i] || lanes[i + count].is_nan() {
                lanes[i] = lanes[i + count];
            }
        }
    }
    lanes[0]
}

/// Sums of mixed values divided by the sum of the shares: to[i] = from[i] / total, without negative zeros (whose sign
/// would depend on how many masked positions stood beside).
pub(super) struct Divide<'a> {
    pub from: &'a [f32],
    pub total: f32,
    pub to: &'a mut [f32],
}

impl Work for Divide<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        self.to.iter_mut().zip(self.from).for_each(|(to, from)| *to = from / self.total + 0.0);
    }
}
