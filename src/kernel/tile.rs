//! Micro-kernels: a tile of the product, up to a dozen rows by 32 columns, held in registers over a stretch of depth.
//! In: pointers to rows, a panel and the tile. Out: the tile. Never allocates, blocks or splits work: `multiply` does.
//!
//! Each element is one chain: acc = a[k] * b[k] + acc for k in order. So its bits depend on the depth alone, not on the
//! height of the tile or on what stands beside it.

use super::isa::Isa;
use super::lanes::{Lanes, Work, prefetch, prefetch_to_write, run_on};

/// Columns of a panel.
pub const PANEL: usize = 32;
/// Values of a cache line.
pub(super) const LINE: usize = 16;

/// How a tile's sum meets what stands in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// c = sum
    Zero,
    /// c = c + sum, the sum made from zero first.
    Add,
    /// The chain goes on from c: cutting the depth anywhere leaves the same bits.
    Continue,
}

/// c[i][j] (`start`) sum over k < depth of a[i * a_row + k * a_step] * b[k * b_step + j], for 0 <= j < width.
#[derive(Clone, Copy)]
pub struct Tile {
    pub depth: usize,
    pub a: *const f32,
    pub a_row: usize,
    pub a_step: usize,
    pub b: *const f32,
    pub b_step: usize,
    pub c: *mut f32,
    pub c_row: usize,
    pub start: Start,
}

/// The most rows that one tile holds.
pub fn max_rows(isa: Isa) -> usize {
    match isa {
        Isa::Avx512 | Isa::Avx512Bf16 => 12,
        Isa::Avx2 | Isa::Neon => 6,
        Isa::Portable => 4,
    }
}

/// Calls `$code` with a constant `$R` that equals `$rows`, from those listed.
macro_rules! with_rows {
    ($rows:expr, [$($r:literal)*], $R:ident => $code:expr) => {
        match $rows {
            $($r => { const $R: usize = $r; $code })*
            _ => debug_assert!(false, "no tile of {} rows", $rows),
        }
    };
}

/// Multiplies one tile of f32. `rows` is 1 to `max_rows(isa)`, `width` a multiple of 16. Rows packed for the tile
/// (`a_row` 1, `a_step` = `rows`) are read fastest.
///
/// # Safety
/// The processor runs `isa`; all of `a` and `b` that the definition names is readable, all of `c` writable.
pub unsafe fn multiply_tile(isa: Isa, rows: usize, width: usize, tile: Tile) {
    // SAFETY: the caller's promise.
    unsafe { multiply_tile_ahead(isa, rows, width, tile, tile.b) }
}

/// The same; meanwhile the cache lines from `ahead` on are asked for, one at each step of depth: what is read next.
///
/// # Safety
/// As `multiply_tile`; `ahead` is any address.
pub unsafe fn multiply_tile_ahead(isa: Isa, rows: usize, width: usize, tile: Tile, ahead: *const f32) {
    let packed = tile.a_row == 1 && tile.a_step == rows;
    let mut column = 0;
    while column < width {
        // SAFETY: within the width that the caller promises.
        let part = unsafe { Tile { b: tile.b.add(column), c: tile.c.add(column), ..tile } };
        let wide = width - column >= PANEL;
        // SAFETY (all arms): the caller's promise.
        match (isa, wide) {
            (Isa::Avx512 | Isa::Avx512Bf16, true) => {
                with_rows!(rows, [1 2 3 4 5 6 7 8 9 10 11 12], R => unsafe { run_tile::<R, 2>(isa, packed, part, ahead) });
                column += 32;
            }
            (Isa::Avx512 | Isa::Avx512Bf16, false) => {
                with_rows!(rows, [1 2 3 4 5 6 7 8 9 10 11 12], R => unsafe { run_tile::<R, 1>(isa, packed, part, ahead) });
                column += 16;
            }
            (Isa::Avx2, true) if rows < 3 => {
                with_rows!(rows, [1 2], R => unsafe { run_tile::<R, 4>(isa, packed, part, ahead) });
                column += 32;
            }
            (Isa::Avx2, _) => {
                with_rows!(rows, [1 2 3 4 5 6], R => unsafe { run_tile::<R, 2>(isa, packed, part, ahead) });
                column += 16;
            }
            (Isa::Neon, _) => {
                with_rows!(rows, [1 2 3 4 5 6], R => unsafe { run_tile::<R, 4>(isa, packed, part, ahead) });
                column += 16;
            }
            (Isa::Portable, _) => {
                with_rows!(rows, [1 2 3 4], R => unsafe { run_tile::<R, 2>(isa, packed, part, ahead) });
                column += 8;
            }
        }
    }
}

/// # Safety
/// As `multiply_tile`.
unsafe fn run_tile<const R: usize, const N: usize>(isa: Isa, packed: bool, tile: Tile, ahead: *const f32) {
    // SAFETY: the caller's promise.
    unsafe {
        if packed {
            run_on(isa, TileWork::<R, N, true>(tile, ahead));
        } else {
            run_on(isa, TileWork::<R, N, false>(tile, ahead));
        }
    }
}

/// R rows by N vectors; PACKED: rows packed for the tile.
struct TileWork<const R: usize, const N: usize, const PACKED: bool>(Tile, *const f32);

impl<const R: usize, const N: usize, const PACKED: bool> Work for TileWork<R, N, PACKED> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let tile = self.0;
        let (a_row, a_step) = if PACKED { (1, R) } else { (tile.a_row, tile.a_step) };
        // SAFETY: pointers stay within what `multiply_tile`'s caller promises.
        unsafe {
            let mut sums = begin::<V, R, N>(&tile);
            let (mut a, mut b, mut ahead) = (tile.a, tile.b, self.1);
            for _ in 0..tile.depth {
                prefetch(ahead);
                let columns: [V; N] = load::<V, N>(b);
                for (i, row) in sums.iter_mut().enumerate() {
                    let x = V::splat(*a.add(i * a_row));
                    for (sum, column) in row.iter_mut().zip(columns) {
                        *sum = x.mul_add(column, *sum);
                    }
                }
                // Past the end these pointers are not read: wrapping arithmetic keeps them legal.
                a = a.wrapping_add(a_step);
                b = b.wrapping_add(tile.b_step);
                ahead = ahead.wrapping_add(LINE);
            }
            end::<V, R, N>(&tile, sums);
        }
    }
}

/// Asks for a tile's lines: rows of y lie on pages of their own, and are there when the sums are.
#[inline(always)]
pub(super) fn prefetch_tile(c: *mut f32, c_row: usize, rows: usize, width: usize) {
    for i in 0..rows {
        for j in (0..width).step_by(LINE) {
            prefetch_to_write(c.wrapping_add(i * c_row + j));
        }
    }
}

/// # Safety
/// N vectors are readable.
#[inline(always)]
unsafe fn load<V: Lanes, const N: usize>(from: *const f32) -> [V; N] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut vectors = [V::splat(0.0); N];
        for (j, vector) in vectors.iter_mut().enumerate() {
            *vector = V::load(from.add(j * V::COUNT));
        }
        vectors
    }
}

/// # Safety
/// The tile's `c` is readable.
#[inline(always)]
unsafe fn begin<V: Lanes, const R: usize, const N: usize>(tile: &Tile) -> [[V; N]; R] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut sums = [[V::splat(0.0); N]; R];
        prefetch_tile(tile.c, tile.c_row, R, N * V::COUNT);
        if tile.start == Start::Continue {
            for (i, row) in sums.iter_mut().enumerate() {
                *row = load::<V, N>(tile.c.add(i * tile.c_row));
            }
        }
        sums
    }
}

/// # Safety
/// The tile's `c` is readable and writable.
#[inline(always)]
unsafe fn end<V: Lanes, const R: usize, const N: usize>(tile: &Tile, sums: [[V; N]; R]) {
    // SAFETY: the caller's promise.
    unsafe {
        for (i, row) in sums.into_iter().enumerate() {
            for (j, sum) in row.into_iter().enumerate() {
                let to = tile.c.add(i * tile.c_row + j * V::COUNT);
                let sum = if tile.start == Start::Add { V::load(to).add(sum) } else { sum };
                sum.store(to);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// sum in the order that the file's opening promises, in the arithmetic of `isa`.
    fn chain(isa: Isa, start: f32, products: impl Iterator<Item = (f32, f32)>) -> f32 {
        products.fold(start, |sum, (a, b)| if isa == Isa::Portable { a * b + sum } else { a.mul_add(b, sum) })
    }

    #[test]
    fn every_height_width_and_start_is_the_chain_it_promises() {
        let value = |i: usize| ((i * 7919 + 13) % 1009) as f32 / 504.5 - 1.0;
        for isa in Isa::available() {
            for rows in 1..=max_rows(isa) {
                for (width, packed, depth) in
                    [(16, false, 5), (32, false, 64), (32, true, 37), (48, true, 9), (16, true, 0)]
                {
                    for start in [Start::Zero, Start::Add, Start::Continue] {
                        let (a_row, a_step) = if packed { (1, rows) } else { (depth + 3, 1) };
                        let a: Vec<f32> = (0..rows * (depth + 3)).map(value).collect();
                        let b: Vec<f32> = (0..depth * width).map(|i| value(i + 555)).collect();
                        let before: Vec<f32> = (0..rows * (width + 1)).map(|i| value(i + 99)).collect();
                        let mut c = before.clone();
                        let tile = Tile {
                            depth,
                            a: a.as_ptr(),
                            a_row,
                            a_step,
                            b: b.as_ptr(),
                            b_step: width,
                            c: c.as_mut_ptr(),
                            c_row: width + 1,
                            start,
                        };
                        // SAFETY: the vectors above have the lengths the tile names.
                        unsafe { multiply_tile(isa, rows, width, tile) };
                        for (at, (&got, &was)) in c.iter().zip(&before).enumerate() {
                            let (i, j) = (at / (width + 1), at % (width + 1));
                            let products =
                                || (0..depth).map(|k| (a[i * a_row + k * a_step], b[k * width + j.min(width - 1)]));
                            let expected = match start {
                                _ if j == width => was,
                                Start::Zero => chain(isa, 0.0, products()),
                                Start::Add => was + chain(isa, 0.0, products()),
                                Start::Continue => chain(isa, was, products()),
                            };
                            assert_eq!(got.to_bits(), expected.to_bits(), "{isa:?} {rows}x{width}x{depth} {start:?}");
                        }
                    }
                }
            }
        }
    }
}
