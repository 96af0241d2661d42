//! Weight matrices in the order that the micro-kernels read: panels of 32 outputs, all inputs of a panel together.
//! In: rows of W, or codes with scales. Out: `PackedMatrix`. Never multiplies (`multiply`) and never reads a file.

use std::ops::Range;

use rayon::prelude::*;

use super::buffer::Buffer;
use super::grouped::Grouped;
use super::grouped_panels::GroupedPanels;
use super::int8;
use super::isa::Isa;
use super::lanes::round_bf16;
use super::tile::PANEL;
use super::widen;

/// How a matrix is multiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arithmetic {
    /// Products and sums in f32.
    F32,
    /// Rows rounded to bfloat16 (halves to even), products summed in f32.
    Bf16,
    /// Rows rounded to eight bits for each 32 inputs where the matrix is quantised with whole-numbered levels and groups
    /// of whole blocks of 32 inputs, as `PackedMatrix::takes_bytes` says (`int8` has the formula); f32 elsewhere.
    Int8,
}

/// In what a dense matrix is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Keep {
    F32,
    /// Values are bfloat16 exactly, or are rounded to it.
    Bf16,
}

/// A weight matrix [outs, ins], packed once and multiplied often.
pub struct PackedMatrix {
    outs: usize,
    ins: usize,
    pub(super) panels: Panels,
}

pub(super) enum Panels {
    /// [panels][ins][32]
    F32(Buffer<f32>),
    /// [panels][ins.div_ceil(2)][32] pairs: input 2p of an output in the low half, input 2p + 1 in the high half.
    Bf16(Buffer<u32>),
    Grouped(GroupedPanels),
}

impl PackedMatrix {
    /// `fill(rows, values)` writes the rows `rows` of W, row-major f32; it is called in parallel for 32 rows at a time
    /// (fewer at the end). Where the processor lacks memory this aborts like `Vec`.
    pub fn pack(outs: usize, ins: usize, keep: Keep, fill: &(dyn Fn(Range<usize>, &mut [f32]) + Sync)) -> PackedMatrix {
        let panels = match keep {
            Keep::F32 => Panels::F32(pack_panels(outs, ins, ins, fill, interleave)),
            Keep::Bf16 => Panels::Bf16(pack_panels(outs, ins, ins.div_ceil(2), fill, interleave_pairs)),
        };
        PackedMatrix { outs, ins, panels }
    }

    /// Kept compressed, widened exactly while multiplying.
    pub fn grouped(codes: &Grouped) -> PackedMatrix {
        PackedMatrix { outs: codes.outs, ins: codes.ins, panels: Panels::Grouped(GroupedPanels::pack(codes)) }
    }

    /// Outputs: columns of y.
    pub fn outs(&self) -> usize {
        self.outs
    }

    /// Inputs: columns of x.
    pub fn ins(&self) -> usize {
        self.ins
    }

    /// Memory it takes, padding included.
    pub fn bytes(&self) -> usize {
        match &self.panels {
            Panels::F32(values) => values.bytes(),
            Panels::Bf16(pairs) => pairs.bytes(),
            Panels::Grouped(grouped) => grouped.bytes(),
        }
    }

    /// Whether `Arithmetic::Int8` multiplies this matrix in bytes; if not, in f32.
    pub fn takes_bytes(&self) -> bool {
        matches!(&self.panels, Panels::Grouped(grouped) if int8::suits(grouped))
    }

    /// Panels of 32 outputs, the last perhaps with fewer.
    pub(super) fn panel_count(&self) -> usize {
        self.outs.div_ceil(PANEL)
    }

    /// Where a panel's inputs from `start` on are kept, for prefetching: not to be read through.
    pub(super) fn address(&self, panel: usize, start: usize) -> *const f32 {
        let (halves, at) = (self.ins.div_ceil(2), panel * self.ins + start);
        match &self.panels {
            Panels::F32(values) => values.as_ptr().wrapping_add(at * PANEL),
            Panels::Bf16(pairs) => pairs.as_ptr().cast::<f32>().wrapping_add((panel * halves + start / 2) * PANEL),
            Panels::Grouped(grouped) => grouped.address(panel, start).cast(),
        }
    }

    /// Values of a panel's inputs `depth` in f32, [depth][32]. `depth` starts at an even input.
    pub(super) fn widen(&self, isa: Isa, panel: usize, depth: Range<usize>, values: &mut [f32]) {
        match &self.panels {
            Panels::F32(stored) => {
                let from = (panel * self.ins + depth.start) * PANEL;
                values[..depth.len() * PANEL].copy_from_slice(&stored[from..][..depth.len() * PANEL]);
            }
            Panels::Bf16(pairs) => {
                let from = (panel * self.ins.div_ceil(2) + depth.start / 2) * PANEL;
                widen::bf16_pairs(isa, &pairs[from..][..depth.len().div_ceil(2) * PANEL], depth.len(), values);
            }
            Panels::Grouped(grouped) => grouped.widen(isa, panel, depth, values),
        }
    }
}

/// All panels, each filled by `fill` and put in order by `order(rows of W, ins, panel)`; `steps` 32-wide lines a panel.
fn pack_panels<T: super::buffer::Plain>(
    outs: usize,
    ins: usize,
    steps: usize,
    fill: &(dyn Fn(Range<usize>, &mut [f32]) + Sync),
    order: impl Fn(&[f32], usize, &mut [T]) + Sync,
) -> Buffer<T> {
    let mut panels = Buffer::new(outs.div_ceil(PANEL) * steps * PANEL);
    if steps == 0 {
        return panels;
    }
    let work = panels.par_chunks_mut(steps * PANEL).enumerate();
    work.for_each_init(Vec::new, |rows, (p, panel)| {
        let range = p * PANEL..((p + 1) * PANEL).min(outs);
        rows.resize(range.len() * ins, 0.0);
        fill(range, rows);
        order(rows, ins, panel);
    });
    panels
}

/// Inputs that are put in order at a time: a line of each row stays in the cache.
const STRETCH: usize = 16;

/// [rows][ins] to [ins][32].
fn interleave(rows: &[f32], ins: usize, panel: &mut [f32]) {
    for first in (0..ins).step_by(STRETCH) {
        let stretch = first..(first + STRETCH).min(ins);
        for (j, row) in rows.chunks_exact(ins).enumerate() {
            for k in stretch.clone() {
                panel[k * PANEL + j] = row[k];
            }
        }
    }
}

/// [rows][ins] to pairs [ins.div_ceil(2)][32], rounded to bfloat16.
fn interleave_pairs(rows: &[f32], ins: usize, panel: &mut [u32]) {
    let pairs = ins.div_ceil(2);
    for first in (0..pairs).step_by(STRETCH) {
        for (j, row) in rows.chunks_exact(ins).enumerate() {
            for p in first..(first + STRETCH).min(pairs) {
                let high = row.get(2 * p + 1).copied().unwrap_or(0.0);
                panel[p * PANEL + j] = (round_bf16(row[2 * p]).to_bits() >> 16) | round_bf16(high).to_bits();
            }
        }
    }
}
