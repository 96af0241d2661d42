//! Quantised matrices in panels of 32 outputs, the codes of consecutive inputs of an output in one 32-bit word.
//! In: `Grouped`. Out: panels, and their values in f32. Never rounds where the matrix does not say so.

use std::ops::Range;

use rayon::prelude::*;

use super::buffer::{Buffer, Plain};
use super::grouped::{Codes, Grouped, Rounding};
use super::isa::Isa;
use super::tile::PANEL;
use super::widen::{self, Levels};

pub(super) struct GroupedPanels {
    pub ins: usize,
    pub group: usize,
    pub codes: PanelCodes,
    /// [panels][groups][32]
    pub scales: Buffer<f32>,
    pub mins: Option<Buffer<f32>>,
    pub rounding: Rounding,
}

/// Zeros stand for inputs past the last; a block of 32 inputs may be read after the last panel.
pub(super) enum PanelCodes {
    /// [panels][ins.div_ceil(8)][32] words: inputs 0 to 3 in the low nibbles of the four bytes, 4 to 7 in the high ones, so
    /// that each half is four bytes after one mask.
    Four { words: Buffer<u32>, levels: [f32; 16] },
    /// [panels][ins.div_ceil(4)][32] words: a byte an input.
    Eight(Buffer<u32>),
}

impl PanelCodes {
    /// Inputs of a word.
    pub fn inputs(&self) -> usize {
        match self {
            PanelCodes::Four { .. } => 8,
            PanelCodes::Eight(_) => 4,
        }
    }

    pub fn words(&self) -> &Buffer<u32> {
        match self {
            PanelCodes::Four { words, .. } | PanelCodes::Eight(words) => words,
        }
    }
}

/// Where input `i` of a word of eight has its four bits.
pub(super) const fn nibble_shift(i: usize) -> u32 {
    (if i < 4 { 8 * i } else { 8 * (i - 4) + 4 }) as u32
}

impl GroupedPanels {
    pub fn pack(from: &Grouped) -> GroupedPanels {
        let (outs, ins, groups) = (from.outs, from.ins, from.groups());
        let codes = match &from.codes {
            Codes::Four { bytes, levels } => {
                let code = |out: usize, k: usize| u32::from(bytes[out * ins.div_ceil(2) + k / 2] >> (4 * (k % 2)) & 15);
                let word = |out, first: usize| {
                    (first..ins.min(first + 8)).fold(0, |word, k| word | code(out, k) << nibble_shift(k - first))
                };
                PanelCodes::Four {
                    words: in_panels(outs, ins.div_ceil(8), PADDING, |out, w| word(out, 8 * w)),
                    levels: *levels,
                }
            }
            Codes::Eight(codes) => PanelCodes::Eight(in_panels(outs, ins.div_ceil(4), PADDING, |out, w| {
                let bytes = &codes[out * ins + 4 * w..out * ins + ins.min(4 * w + 4)];
                bytes.iter().enumerate().fold(0, |word, (i, &code)| word | u32::from(code as u8) << (8 * i))
            })),
        };
        GroupedPanels {
            ins,
            group: from.group,
            codes,
            scales: in_panels(outs, groups, 0, |out, g| from.scales[out * groups + g]),
            mins: from.mins.as_ref().map(|mins| in_panels(outs, groups, 0, |out, g| mins[out * groups + g])),
            rounding: from.rounding,
        }
    }

    pub fn bytes(&self) -> usize {
        self.codes.words().bytes() + self.scales.bytes() + self.mins.as_ref().map_or(0, Buffer::bytes)
    }

    /// Where the word of a panel's input `start` is kept.
    pub fn address(&self, panel: usize, start: usize) -> *const u32 {
        let inputs = self.codes.inputs();
        let line = panel * self.ins.div_ceil(inputs) + start / inputs;
        self.codes.words().as_ptr().wrapping_add(line * PANEL)
    }

    /// Values of a panel's inputs `depth`: [depth][32], bit-equal to `Grouped::row`.
    pub fn widen(&self, isa: Isa, panel: usize, depth: Range<usize>, values: &mut [f32]) {
        let groups = self.ins.div_ceil(self.group);
        let inputs = self.codes.inputs();
        let panel_words = self.ins.div_ceil(inputs) * PANEL;
        let words = &self.codes.words()[panel * panel_words..][..panel_words];
        let mut start = depth.start;
        while start < depth.end {
            // A stretch within one group: its scales and minima stay in registers.
            let group = start / self.group;
            let end = ((group + 1) * self.group).min(depth.end);
            let line = (panel * groups + group) * PANEL;
            let levels = Levels {
                scales: &self.scales[line..][..PANEL],
                mins: self.mins.as_ref().map(|mins| &mins[line..][..PANEL]),
                rounding: self.rounding,
            };
            let words = &words[start / inputs * PANEL..end.div_ceil(inputs) * PANEL];
            let values = &mut values[(start - depth.start) * PANEL..][..(end - start) * PANEL];
            match &self.codes {
                PanelCodes::Four { levels: table, .. } => {
                    widen::nibbles(isa, words, table, levels, start % inputs, values);
                }
                PanelCodes::Eight(_) => widen::bytes(isa, words, levels, start % inputs, values),
            }
            start = end;
        }
    }
}

/// Words of 32 inputs of eight bits.
const PADDING: usize = 8 * PANEL;

/// [panels][columns][32] of `value(out, column)`, zeros beyond the last output; then `padding` zeros.
fn in_panels<T: Plain>(
    outs: usize,
    columns: usize,
    padding: usize,
    value: impl Fn(usize, usize) -> T + Sync,
) -> Buffer<T> {
    let len = outs.div_ceil(PANEL) * columns * PANEL;
    let mut panels = Buffer::new(len + padding);
    if columns > 0 {
        panels[..len].par_chunks_mut(columns * PANEL).enumerate().for_each(|(p, panel)| {
            for j in 0..PANEL.min(outs - p * PANEL) {
                for column in 0..columns {
                    panel[column * PANEL + j] = value(p * PANEL + j, column);
                }
            }
        });
    }
    panels
}
