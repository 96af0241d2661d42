//! Rows rounded to eight bits, for products of bytes with quantised matrices (`tile_int8`).
//! In: rows of f32. Out: blocks of 32 bytes with their steps. Never used unless asked for: a row is rounded to 1/127 of
//! the greatest of each 32 inputs.
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

/// Inputs that are rounded together.
pub(super) const BLOCK: usize = 32;
/// 32-bit words of a block of a row.
pub(super) const WORDS: usize = BLOCK / 4;
/// Blocks whose greatest input is smaller are zeros: its reciprocal would be infinite.
const LEAST: f32 = 1e-30;

/// Rows in blocks of rounded inputs.
pub(super) struct ByteRows {
    pub blocks: usize,
    /// [rows][blocks][8] words of four signed bytes.
    pub words: ScratchBuffer<'static>,
    /// [rows][blocks]
    pub steps: ScratchBuffer<'static>,
    /// [rows][blocks] whole numbers, their bits kept as f32: the sum of a block's bytes times -128.
    pub sums: ScratchBuffer<'static>,
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
