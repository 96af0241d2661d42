//! Products of quantised matrices with rows rounded to eight bits on the way: sums of bytes in whole numbers, then f32.
//! In: rows, panels of codes. Out: tiles of y, the same bits on every instruction set. Never used unless asked for: rows
//! are rounded, to 1/127 of the greatest of each 32 inputs.
//!
//! For each block of 32 inputs of a row x: step = max |x| / 127, q = x / step rounded (halves to even), as
//! `x * (127 / max |x|)`. With a block's codes' levels l, scale s and minimum m of its group:
//! y = ((0 + sum(q l) * (s * step) + m * (step * sum(q))) + ...) over blocks in order, every operation rounded to f32 by
//! itself. W's own last rounding (`Rounding`) is left out.

use rayon::prelude::*;

use super::buffer::{Scratch, ScratchBuffer};
use super::grouped_panels::{GroupedPanels, PanelCodes};
use super::isa::Isa;
use super::lanes::{Lanes, Work, run_on};
use super::tile::{PANEL, Start};

/// Inputs that are rounded together.
pub(super) const BLOCK: usize = 32;
/// 32-bit words of a block of a row.
const WORDS: usize = BLOCK / 4;
/// Blocks whose greatest input is smaller are zeros: its reciprocal would be infinite.
const LEAST: f32 = 1e-30;

/// Rows in blocks of rounded inputs.
pub(super) struct ByteRows {
    pub blocks: usize,
    /// [rows][blocks][8] words of four signed bytes.
    words: ScratchBuffer<'static>,
    /// [rows][blocks]
    steps: ScratchBuffer<'static>,
    /// [rows][blocks] whole numbers, their bits kept as f32: the sum of a block's bytes times -128.
    sums: ScratchBuffer<'static>,
}

impl ByteRows {
    pub fn round(isa: Isa, scratch: &'static Scratch, x: &[f32], ins: usize) -> ByteRows {
        let (rows, blocks) = (x.len() / ins, ins.div_ceil(BLOCK));
        let mut words = scratch.take(rows * blocks * WORDS);
        let (mut steps, mut sums) = (scratch.take(rows * blocks), scratch.take(rows * blocks));
        let work = x.par_chunks_exact(ins).zip(words.par_chunks_exact_mut(blocks * WORDS));
        let work = work.zip(steps.par_chunks_exact_mut(blocks)).zip(sums.par_chunks_exact_mut(blocks));
        work.with_min_len(16).for_each(|(((row, words), steps), sums)| {
            // SAFETY: multiplication checked that the processor runs `isa`.
            unsafe { run_on(isa, RoundRow { row, words, steps, sums }) }
        });
        ByteRows { blocks, words, steps, sums }
    }
}

struct RoundRow<'a> {
    row: &'a [f32],
    words: &'a mut [f32],
    steps: &'a mut [f32],
    sums: &'a mut [f32],
}

impl Work for RoundRow<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let results = self.words.chunks_exact_mut(WORDS).zip(self.steps.iter_mut().zip(self.sums));
        for (inputs, (words, (step, sum))) in self.row.chunks(BLOCK).zip(results) {
            let mut block = [0f32; BLOCK];
            block[..inputs.len()].copy_from_slice(inputs);
            // SAFETY: called in `Work::run`.
            let (a_step, total) = unsafe { round_block::<V>(&mut block) };
            *step = a_step;
            *sum = f32::from_bits((total as i32 * -128) as u32);
            let bytes = block.map(|value| value as i32 as i8 as u8);
            for (word, four) in words.iter_mut().zip(bytes.as_chunks::<4>().0) {
                *word = f32::from_bits(u32::from_le_bytes(*four));
            }
        }
    }
}

/// Makes a block whole numbers; its step and their sum. A block with an infinity or a NaN is zeros with a step of NaN, and
/// so are its products.
///
/// # Safety
/// Called in `Work::run`.
#[inline(always)]
unsafe fn round_block<V: Lanes>(block: &mut [f32; BLOCK]) -> (f32, f32) {
    // SAFETY: the caller's promise; chunks hold COUNT values.
    unsafe {
        let zero = V::splat(0.0);
        let (mut most, mut differences) = (zero, zero);
        for chunk in block.chunks_exact(V::COUNT) {
            let value = V::load(chunk.as_ptr());
            most = most.max(value.max(zero.sub(value)));
            differences = differences.add(value.sub(value));
        }
        let mut lanes = [0f32; BLOCK];
        most.store(lanes.as_mut_ptr());
        let greatest = lanes[..V::COUNT].iter().fold(0f32, |most, &value| if value > most { value } else { most });
        if differences.sum() != 0.0 {
            // An infinity or a NaN less itself is NaN, other values leave zero.
            block.fill(0.0);
            return (f32::NAN, 0.0);
        }
        let inverse = V::splat(if greatest >= LEAST { 127.0 / greatest } else { 0.0 });
        let mut sum = zero;
        for chunk in block.chunks_exact_mut(V::COUNT) {
            let whole = V::load(chunk.as_ptr()).mul(inverse).round();
            sum = sum.add(whole);
            whole.store(chunk.as_mut_ptr());
        }
        (greatest / 127.0, sum.sum())
    }
}

/// Whether bytes can stand for a matrix: levels are whole numbers of eight bits, and groups are whole blocks.
pub(super) fn suits(panels: &GroupedPanels) -> bool {
    let whole = |level: &f32| *level == level.round() && (-128.0..=127.0).contains(level);
    let levels = match &panels.codes {
        PanelCodes::Four { levels, .. } => levels.iter().all(whole),
        PanelCodes::Eight(_) => true,
    };
    levels && (panels.group.is_multiple_of(BLOCK) || panels.group >= panels.ins)
}

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
