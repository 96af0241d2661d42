//! Micro-kernels of `Arithmetic::Int8`: sums of products of bytes in whole numbers, a block of 32 inputs at a time, then f32.
//! In: rounded rows, panels of codes. Out: tiles of y by the formula that opens `int8`, the same bits on every instruction
//! set. Never rounds rows itself.

use super::grouped_panels::{GroupedPanels, PanelCodes};
use super::int8::{BLOCK, ByteRows, WORDS};
use super::isa::Isa;
use super::lanes::{Lanes, Work, run_on};
use super::tile::{PANEL, Start};

/// Rows by one panel over a stretch of blocks.
pub(super) struct ByteTile<'a> {
    pub rows: &'a ByteRows,
    pub first_row: usize,
    pub height: usize,
    pub panels: &'a GroupedPanels,
    pub panel: usize,
    pub first_block: usize,
    pub blocks: usize,
    pub c: *mut f32,
    pub c_row: usize,
    /// `Zero` or `Continue`.
    pub start: Start,
}

/// # Safety
/// The processor runs `isa`; rows, panels and blocks exist; c has `height` rows of 32 values `c_row` apart.
pub(super) unsafe fn multiply_byte_tile(isa: Isa, tile: &ByteTile) {
    let source = Source::of(tile);
    // Halves of nearly equal height: whole numbers and sums of six rows fill the registers.
    let parts = tile.height.div_ceil(6);
    for part in 0..parts {
        let (from, to) = (tile.height * part / parts, tile.height * (part + 1) / parts);
        // SAFETY: rows from..to of the tile.
        unsafe {
            let lines = source.rows(from);
            match to - from {
                1 => multiply_rows::<1>(isa, &lines),
                2 => multiply_rows::<2>(isa, &lines),
                3 => multiply_rows::<3>(isa, &lines),
                4 => multiply_rows::<4>(isa, &lines),
                5 => multiply_rows::<5>(isa, &lines),
                6 => multiply_rows::<6>(isa, &lines),
                _ => {}
            }
        }
    }
}

/// A `ByteTile` as pointers.
#[derive(Clone, Copy)]
struct Source<'a> {
    /// [rows][all blocks][8]
    words: *const u32,
    /// [rows][all blocks]
    steps: *const f32,
    sums: *const i32,
    all_blocks: usize,
    first_block: usize,
    blocks: usize,
    /// [blocks][lines a block][32], the panel's.
    codes: *const u32,
    /// Of codes of four bits.
    levels: Option<[i8; 16]>,
    /// [groups][32], the panel's.
    scales: &'a [f32],
    mins: Option<&'a [f32]>,
    blocks_a_group: usize,
    c: *mut f32,
    c_row: usize,
    go_on: bool,
}

impl<'a> Source<'a> {
    fn of(tile: &ByteTile<'a>) -> Source<'a> {
        let (panels, all_blocks) = (tile.panels, tile.rows.blocks);
        let groups = panels.ins.div_ceil(panels.group) * PANEL;
        let levels = match &panels.codes {
            PanelCodes::Four { levels, .. } => Some(levels.map(|level| level as i8)),
            PanelCodes::Eight(_) => None,
        };
        Source {
            words: tile.rows.words[tile.first_row * all_blocks * WORDS..].as_ptr().cast(),
            steps: tile.rows.steps[tile.first_row * all_blocks..].as_ptr(),
            sums: tile.rows.sums[tile.first_row * all_blocks..].as_ptr().cast(),
            all_blocks,
            first_block: tile.first_block,
            blocks: tile.blocks,
            codes: panels.address(tile.panel, 0),
            levels,
            scales: &panels.scales[tile.panel * groups..][..groups],
            mins: panels.mins.as_ref().map(|mins| &mins[tile.panel * groups..][..groups]),
            blocks_a_group: if panels.group >= panels.ins { usize::MAX } else { panels.group / BLOCK },
            c: tile.c,
            c_row: tile.c_row,
            go_on: tile.start == Start::Continue,
        }
    }

    /// The same from row `row` on.
    fn rows(mut self, row: usize) -> Source<'a> {
        self.words = self.words.wrapping_add(row * self.all_blocks * WORDS);
        self.steps = self.steps.wrapping_add(row * self.all_blocks);
        self.sums = self.sums.wrapping_add(row * self.all_blocks);
        self.c = self.c.wrapping_add(row * self.c_row);
        self
    }

    /// Lines of 32 words that a whole block of codes takes.
    fn lines(&self) -> usize {
        if self.levels.is_some() { WORDS / 2 } else { WORDS }
    }

    /// First value of a block's scales and minima.
    fn group(&self, block: usize) -> usize {
        block / self.blocks_a_group * PANEL
    }
}

/// # Safety
/// As `multiply_byte_tile`, for R rows.
unsafe fn multiply_rows<const R: usize>(isa: Isa, source: &Source) {
    // SAFETY: the caller's promise; VNNI is asked for.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        if isa.has_vnni() {
            return match source.levels {
                Some(_) => vnni::<R, true>(source),
                None => vnni::<R, false>(source),
            };
        }
        run_on(isa, AnyProcessor::<R>(source))
    }
}

/// The sum of a block's bytes, from what is kept of it; exact.
#[inline(always)]
fn sum_of(kept: i32) -> f32 {
    kept as f32 * (-1.0 / 128.0)
}

/// R rows in plain Rust.
struct AnyProcessor<'a, const R: usize>(&'a Source<'a>);

impl<const R: usize> Work for AnyProcessor<'_, R> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let source = self.0;
        // SAFETY: the caller of `multiply_byte_tile` promises rows, panels, blocks and c.
        unsafe {
            for i in 0..R {
                let c: &mut [f32; PANEL] = &mut *source.c.add(i * source.c_row).cast();
                if !source.go_on {
                    c.fill(0.0);
                }
                for block in source.first_block..source.first_block + source.blocks {
                    let at = i * source.all_blocks + block;
                    let whole = block_products(source, source.words.add(at * WORDS), block);
                    let (step, sum) = (*source.steps.add(at), sum_of(*source.sums.add(at)));
                    let group = source.group(block);
                    let scales = &source.scales[group..][..PANEL];
                    for ((c, whole), scale) in c.iter_mut().zip(whole).zip(scales) {
                        *c += whole as f32 * (scale * step);
                    }
                    if let Some(mins) = source.mins {
                        c.iter_mut().zip(&mins[group..][..PANEL]).for_each(|(c, min)| *c += min * (step * sum));
                    }
                }
            }
        }
    }
}

/// Sums of a block's products of bytes for 32 outputs. `row`: the block's words.
///
/// # Safety
/// The block exists.
#[inline(always)]
unsafe fn block_products(source: &Source, row: *const u32, block: usize) -> [i32; PANEL] {
    let mut sums = [0i32; PANEL];
    for line in 0..source.lines() {
        // SAFETY: the caller's promise; panels have a block of padding after the last.
        let words = unsafe { &*source.codes.add((block * source.lines() + line) * PANEL).cast::<[u32; PANEL]>() };
        let mut add = |row: u32, words: [u32; PANEL]| {
            let x = row.to_le_bytes().map(|byte| i32::from(byte as i8));
            for (sum, word) in sums.iter_mut().zip(words) {
                let w = word.to_le_bytes().map(|byte| i32::from(byte as i8));
                *sum += x[0] * w[0] + x[1] * w[1] + x[2] * w[2] + x[3] * w[3];
            }
        };
        // SAFETY: a row's block has 8 words.
        unsafe {
            match &source.levels {
                None => add(*row.add(line), *words),
                Some(levels) => {
                    let level = |nibbles: u32| {
                        u32::from_le_bytes(nibbles.to_le_bytes().map(|nibble| levels[usize::from(nibble & 15)] as u8))
                    };
                    add(*row.add(2 * line), words.map(level));
                    add(*row.add(2 * line + 1), words.map(|word| level(word >> 4)));
                }
            }
        }
    }
    sums
}

/// R rows by dot products of bytes. The instruction takes one side without sign: codes are moved up by 128, and 128 times
/// the sum of the row's bytes is taken off.
///
/// # Safety
/// As `multiply_byte_tile`, on a processor with AVX-512-VNNI.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn vnni<const R: usize, const FOUR: bool>(source: &Source) {
    use std::arch::x86_64::*;

    // Not a constant on purpose: unrolled, this loop's loads push the sums out of the registers.
    let lines = source.lines();
    // SAFETY: the caller's promise; panels have a block of padding after the last.
    unsafe {
        let up = _mm512_set1_epi8(-128);
        let table = source
            .levels
            .map_or(up, |levels| _mm512_xor_si512(_mm512_broadcast_i32x4(_mm_loadu_si128(levels.as_ptr().cast())), up));
        let mut sums = [[_mm512_setzero_ps(); 2]; R];
        if source.go_on {
            for (i, sum) in sums.iter_mut().enumerate() {
                let c = source.c.add(i * source.c_row);
                *sum = [_mm512_loadu_ps(c), _mm512_loadu_ps(c.add(16))];
            }
        }
        for block in source.first_block..source.first_block + source.blocks {
            let mut whole = [[_mm512_setzero_si512(); 2]; R];
            for (i, whole) in whole.iter_mut().enumerate() {
                *whole = [_mm512_set1_epi32(*source.sums.add(i * source.all_blocks + block)); 2];
            }
            let row = source.words.add(block * WORDS);
            let row_words = source.all_blocks * WORDS;
            let codes = source.codes.add(block * lines * PANEL);
            for line in 0..lines {
                let words = [0, 16].map(|j| _mm512_loadu_si512(codes.add(line * PANEL + j).cast()));
                if FOUR {
                    let nibbles = _mm512_set1_epi8(15);
                    let low = words.map(|words| _mm512_shuffle_epi8(table, _mm512_and_si512(words, nibbles)));
                    add_products(&mut whole, low, row.add(2 * line), row_words);
                    let high = words.map(|words| _mm512_and_si512(_mm512_srli_epi16::<4>(words), nibbles));
                    let high = high.map(|index| _mm512_shuffle_epi8(table, index));
                    add_products(&mut whole, high, row.add(2 * line + 1), row_words);
                } else {
                    let moved_up = words.map(|words| _mm512_xor_si512(words, up));
                    add_products(&mut whole, moved_up, row.add(line), row_words);
                }
            }
            let group = source.group(block);
            let scales = source.scales[group..][..PANEL].as_ptr();
            let scales = [_mm512_loadu_ps(scales), _mm512_loadu_ps(scales.add(16))];
            for (i, sum) in sums.iter_mut().enumerate() {
                let step = _mm512_set1_ps(*source.steps.add(i * source.all_blocks + block));
                for j in 0..2 {
                    let product = _mm512_mul_ps(_mm512_cvtepi32_ps(whole[i][j]), _mm512_mul_ps(scales[j], step));
                    sum[j] = _mm512_add_ps(sum[j], product);
                }
            }
            if let Some(mins) = source.mins {
                let mins = mins[group..][..PANEL].as_ptr();
                let mins = [_mm512_loadu_ps(mins), _mm512_loadu_ps(mins.add(16))];
                for (i, sum) in sums.iter_mut().enumerate() {
                    let at = i * source.all_blocks + block;
                    let inputs = _mm512_set1_ps(*source.steps.add(at) * sum_of(*source.sums.add(at)));
                    *sum = [0, 1].map(|j| _mm512_add_ps(sum[j], _mm512_mul_ps(mins[j], inputs)));
                }
            }
        }
        for (i, sum) in sums.iter().enumerate() {
            let c = source.c.add(i * source.c_row);
            _mm512_storeu_ps(c, sum[0]);
            _mm512_storeu_ps(c.add(16), sum[1]);
        }
    }
}

/// whole[i] += codes * four bytes at x[i * x_row].
///
/// # Safety
/// As `vnni`; x has R rows.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn add_products<const R: usize>(
    whole: &mut [[std::arch::x86_64::__m512i; 2]; R],
    codes: [std::arch::x86_64::__m512i; 2],
    x: *const u32,
    x_row: usize,
) {
    use std::arch::x86_64::{_mm512_dpbusd_epi32, _mm512_set1_epi32};

    for (i, whole) in whole.iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        let x = _mm512_set1_epi32(unsafe { *x.add(i * x_row) } as i32);
        whole[0] = _mm512_dpbusd_epi32(whole[0], codes[0], x);
        whole[1] = _mm512_dpbusd_epi32(whole[1], codes[1], x);
    }
}
