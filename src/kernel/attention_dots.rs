//! The tile of attention on processors that multiply pairs of bfloat16 (AVX-512-BF16), and the pairs it takes.
//! In: pointers to rows of pairs, panels of keys or rows of values. Out: the tile. Never chooses the instruction set.
//!
//! `vdpbf16ps` is two fused multiply-adds: acc = low(a) * low(b) + (high(a) * high(b) + acc), the *high* halves first
//! (Intel's manual has it so; AMD's Zen 4 gave these bits for all of 4 million random cases), tiny numbers flushed to
//! zero. So pairs of positions with the earlier one high are one chain over positions, and a half pair (zeros in the
//! other half of both) is the chain's single step: where blocks begin and end does not change a bit.

use std::arch::x86_64::*;
use std::mem::transmute;

/// c[i][0..width] += sum over p < pairs of the dot products of pairs a[i * a_row + p] and b[p * b_step + j], in order.
#[derive(Clone, Copy)]
pub(super) struct Dots {
    pub pairs: usize,
    pub a: *const u32,
    pub a_row: usize,
    pub b: *const u32,
    pub b_step: usize,
    pub c: *mut f32,
    pub c_row: usize,
    /// The chains go on from c; else from zero.
    pub go_on: bool,
}

/// `rows` is 1 to 12, `width` a multiple of 16.
///
/// # Safety
/// The processor runs `Isa::Avx512Bf16`; all of `a` and `b` that `Dots` names is readable, all of `c` writable.
pub(super) unsafe fn multiply_dots(rows: usize, width: usize, dots: Dots) {
    let mut column = 0;
    while column < width {
        let wide = width - column >= 32;
        // SAFETY: within the width that the caller promises.
        let part = unsafe { Dots { b: dots.b.add(column), c: dots.c.add(column), ..dots } };
        macro_rules! call {
            ($($r:literal)*) => {
                match (rows, wide) {
                    // SAFETY: the caller's promise.
                    $(($r, true) => unsafe { tile::<$r, 2>(part) },
                      ($r, false) => unsafe { tile::<$r, 1>(part) },)*
                    _ => debug_assert!(false, "no tile of {rows} rows"),
                }
            };
        }
        call!(1 2 3 4 5 6 7 8 9 10 11 12);
        column += if wide { 32 } else { 16 };
    }
}

/// # Safety
/// As `multiply_dots`, for R rows by N vectors.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn tile<const R: usize, const N: usize>(dots: Dots) {
    let mut sums = [[_mm512_setzero_ps(); N]; R];
    // SAFETY: the caller's promise; both types of each transmute are 64 bytes of plain data.
    unsafe {
        if dots.go_on {
            for (i, row) in sums.iter_mut().enumerate() {
                for (j, sum) in row.iter_mut().enumerate() {
                    *sum = _mm512_loadu_ps(dots.c.add(i * dots.c_row + 16 * j));
                }
            }
        }
        let (mut a, mut b) = (dots.a, dots.b);
        for _ in 0..dots.pairs {
            let mut columns = [transmute::<__m512i, __m512bh>(_mm512_setzero_si512()); N];
            for (j, column) in columns.iter_mut().enumerate() {
                *column = transmute::<__m512i, __m512bh>(_mm512_loadu_si512(b.add(16 * j).cast()));
            }
            for (i, row) in sums.iter_mut().enumerate() {
                let x = transmute::<__m512i, __m512bh>(_mm512_set1_epi32(*a.add(i * dots.a_row) as i32));
                for (sum, column) in row.iter_mut().zip(columns) {
                    *sum = _mm512_dpbf16_ps(*sum, x, column);
                }
            }
            // Past the end these pointers are not read: wrapping arithmetic keeps them legal.
            a = a.wrapping_add(1);
            b = b.wrapping_add(dots.b_step);
        }
        for (i, row) in sums.into_iter().enumerate() {
            for (j, sum) in row.into_iter().enumerate() {
                _mm512_storeu_ps(dots.c.add(i * dots.c_row + 16 * j), sum);
            }
        }
    }
}

/// Which value of a pair is its high half.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum High {
    First,
    Second,
}

/// `count` values rounded to bfloat16 (halves to even, tiny ones to zero), two by two; a last odd one with zero.
///
/// # Safety
/// The processor runs `Isa::Avx512Bf16`; `count` values are readable at `from`, `count.div_ceil(2)` pairs writable at
/// `to`, which may overlap if it does not begin behind `from`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
pub(super) unsafe fn make_pairs(from: *const f32, count: usize, high: High, to: *mut u32) {
    // Lanes of a vector at `at` that are below `end`.
    let below = |at: usize, end: usize| -> __mmask16 {
        let left = end.saturating_sub(at).min(16);
        ((1u32 << left) - 1) as __mmask16
    };
    let pairs = count.div_ceil(2);
    for at in (0..pairs).step_by(16) {
        // SAFETY: masks keep to `count` values and their pairs; what is read here is not yet overwritten, because each
        // step writes 16 words at most at half the distance of the 32 that it reads.
        unsafe {
            let one = _mm512_maskz_loadu_ps(below(2 * at, count), from.wrapping_add(2 * at));
            let two = _mm512_maskz_loadu_ps(below(2 * at + 16, count), from.wrapping_add(2 * at + 16));
            let mut words = transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(two, one));
            if high == High::First {
                words = _mm512_rol_epi32::<16>(words);
            }
            _mm512_mask_storeu_epi32(to.add(at).cast(), below(at, pairs), words);
        }
    }
}
