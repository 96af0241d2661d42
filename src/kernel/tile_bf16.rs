//! Micro-kernels over panels of bfloat16 pairs: widened in registers to f32 math, or dot products of pairs where the
//! processor has them. In, out, never: as in `tile`.

use super::isa::Isa;
use super::lanes::{Lanes, Work, prefetch, run_on};
use super::tile::{LINE, PANEL, Start, prefetch_tile};

/// c[i][0..32] (`start`) sum over k < depth of a[i * a_row + k * a_step] * b[k], b being [depth.div_ceil(2)][32] pairs.
/// The same chain, and so the same bits, as `tile::Tile` over the widened panel.
#[derive(Clone, Copy)]
pub struct PairsTile {
    pub depth: usize,
    pub a: *const f32,
    pub a_row: usize,
    pub a_step: usize,
    pub b: *const u32,
    pub c: *mut f32,
    pub c_row: usize,
    pub start: Start,
}

/// Lines from `ahead` on are asked for meanwhile.
///
/// # Safety
/// As `tile::multiply_tile_ahead`; `rows` is 1 to `max_rows(isa)`.
pub unsafe fn multiply_pairs_tile(isa: Isa, rows: usize, tile: PairsTile, ahead: *const f32) {
    let lanes = match isa {
        Isa::Avx512 | Isa::Avx512Bf16 => 16,
        Isa::Avx2 => 8,
        Isa::Neon | Isa::Portable => 4,
    };
    let packed = tile.a_row == 1 && tile.a_step == rows;
    // Two vectors at a time: few enough registers for every set, and two chains a row.
    for column in (0..PANEL).step_by(2 * lanes) {
        // SAFETY: the caller's promise.
        unsafe {
            let part = PairsTile { b: tile.b.add(column), c: tile.c.add(column), ..tile };
            macro_rules! call {
                ($($r:literal)*) => {
                    match (rows, packed) {
                        $(($r, true) => run_on(isa, PairsWork::<$r, 2, true>(part, ahead)),
                          ($r, false) => run_on(isa, PairsWork::<$r, 2, false>(part, ahead)),)*
                        _ => debug_assert!(false, "no tile of {rows} rows"),
                    }
                };
            }
            call!(1 2 3 4 5 6 7 8 9 10 11 12);
        }
    }
}

struct PairsWork<const R: usize, const N: usize, const PACKED: bool>(PairsTile, *const f32);

impl<const R: usize, const N: usize, const PACKED: bool> Work for PairsWork<R, N, PACKED> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let tile = self.0;
        let (a_row, a_step) = if PACKED { (1, R) } else { (tile.a_row, tile.a_step) };
        prefetch_tile(tile.c, tile.c_row, R, N * V::COUNT);
        // SAFETY: pointers stay within what the caller of `multiply_pairs_tile` promises.
        unsafe {
            let mut sums = [[V::splat(0.0); N]; R];
            if tile.start == Start::Continue {
                each::<R, N>(|i, j| sums[i][j] = V::load(tile.c.add(i * tile.c_row + j * V::COUNT)));
            }
            for p in 0..tile.depth / 2 {
                prefetch(self.1.wrapping_add(p * LINE));
                let pairs: [(V, V); N] = load_pairs(tile.b.add(p * PANEL));
                for (i, row) in sums.iter_mut().enumerate() {
                    let a = tile.a.add(i * a_row + 2 * p * a_step);
                    let (x, x_next) = (V::splat(*a), V::splat(*a.add(a_step)));
                    for (sum, (low, high)) in row.iter_mut().zip(pairs) {
                        *sum = x_next.mul_add(high, x.mul_add(low, *sum));
                    }
                }
            }
            if tile.depth % 2 == 1 {
                let p = tile.depth / 2;
                let pairs: [(V, V); N] = load_pairs(tile.b.add(p * PANEL));
                each::<R, N>(|i, j| {
                    let x = V::splat(*tile.a.add(i * a_row + 2 * p * a_step));
                    sums[i][j] = x.mul_add(pairs[j].0, sums[i][j]);
                });
            }
            each::<R, N>(|i, j| {
                let to = tile.c.add(i * tile.c_row + j * V::COUNT);
                let sum = if tile.start == Start::Add { V::load(to).add(sums[i][j]) } else { sums[i][j] };
                sum.store(to);
            });
        }
    }
}

#[inline(always)]
fn each<const R: usize, const N: usize>(mut f: impl FnMut(usize, usize)) {
    for i in 0..R {
        for j in 0..N {
            f(i, j);
        }
    }
}

/// # Safety
/// N vectors of pairs are readable.
#[inline(always)]
unsafe fn load_pairs<V: Lanes, const N: usize>(from: *const u32) -> [(V, V); N] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut pairs = [(V::splat(0.0), V::splat(0.0)); N];
        for (j, pair) in pairs.iter_mut().enumerate() {
            *pair = V::load_bf16_pairs(from.add(j * V::COUNT));
        }
        pairs
    }
}

/// c[i][0..32] (`start`) sum over p < pairs of the dot products of pairs a[i * a_row + p * a_step] and b[p * 32 + j], as
/// the processor rounds them.
#[derive(Clone, Copy)]
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))] // only made, never read, elsewhere
pub struct DotTile {
    pub pairs: usize,
    pub a: *const u32,
    pub a_row: usize,
    pub a_step: usize,
    pub b: *const u32,
    pub c: *mut f32,
    pub c_row: usize,
    /// `Zero` or `Add`.
    pub start: Start,
}

/// Lines from `ahead` on are asked for meanwhile.
///
/// # Safety
/// The processor runs `Isa::Avx512Bf16`; `rows` is 1 to 12; memory as in `tile::multiply_tile`.
pub unsafe fn multiply_dot_tile(rows: usize, tile: DotTile, ahead: *const f32) {
    #[cfg(target_arch = "x86_64")]
    {
        let packed = tile.a_row == 1 && tile.a_step == rows;
        // SAFETY: the caller's promise.
        macro_rules! call {
            ($($r:literal)*) => {
                match (rows, packed) {
                    $(($r, true) => unsafe { dot::<$r, true>(tile, ahead) },
                      ($r, false) => unsafe { dot::<$r, false>(tile, ahead) },)*
                    _ => debug_assert!(false, "no tile of {rows} rows"),
                }
            };
        }
        call!(1 2 3 4 5 6 7 8 9 10 11 12);
    }
    #[cfg(not(target_arch = "x86_64"))]
    unreachable!(
        "no processor of this architecture is `Isa::Avx512Bf16`: {rows} rows, {} pairs, {ahead:?}",
        tile.pairs
    );
}

/// # Safety
/// As `multiply_dot_tile`.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn dot<const R: usize, const PACKED: bool>(tile: DotTile, ahead: *const f32) {
    use std::arch::x86_64::*;
    use std::mem::transmute;

    let (a_row, a_step) = if PACKED { (1, R) } else { (tile.a_row, tile.a_step) };
    let mut sums = [[_mm512_setzero_ps(); 2]; R];
    prefetch_tile(tile.c, tile.c_row, R, PANEL);
    // SAFETY: the caller's promise; both types of each transmute are 64 bytes of plain data.
    unsafe {
        let (mut a, mut b, mut ahead) = (tile.a, tile.b, ahead);
        for _ in 0..tile.pairs {
            prefetch(ahead);
            let left: __m512bh = transmute(_mm512_loadu_si512(b.cast()));
            let right: __m512bh = transmute(_mm512_loadu_si512(b.add(16).cast()));
            for (i, sum) in sums.iter_mut().enumerate() {
                let x: __m512bh = transmute(_mm512_set1_epi32(*a.add(i * a_row) as i32));
                *sum = [_mm512_dpbf16_ps(sum[0], x, left), _mm512_dpbf16_ps(sum[1], x, right)];
            }
            a = a.wrapping_add(a_step);
            b = b.wrapping_add(PANEL);
            ahead = ahead.wrapping_add(LINE);
        }
        for (i, sum) in sums.into_iter().enumerate() {
            for (j, sum) in sum.into_iter().enumerate() {
                let to = tile.c.add(i * tile.c_row + 16 * j);
                let before = if tile.start == Start::Zero { _mm512_setzero_ps() } else { _mm512_loadu_ps(to) };
                _mm512_storeu_ps(to, if tile.start == Start::Zero { sum } else { _mm512_add_ps(before, sum) });
            }
        }
    }
}
