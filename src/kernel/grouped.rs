//! Quantised matrices: codes of four or eight bits with a scale, and perhaps a minimum, for each group of inputs.
//! In: a checkpoint's codes. Out: `Grouped` (row by row, exact) and its panels. Never knows a checkpoint's own layout.

use std::ops::Range;

use half::f16;
use rayon::prelude::*;

use super::buffer::Buffer;
use super::isa::Isa;
use super::lanes::round_bf16;
use super::tile::PANEL;
use super::widen::{self, Levels};

/// W[out][in] = scale[out][in / group] * level(code[out][in]) + min[out][in / group] in f32: multiplication, rounding,
/// addition (where there are minima), rounding; then `rounding`.
#[derive(Clone, Debug)]
pub struct Grouped {
    pub outs: usize,
    pub ins: usize,
    /// Inputs that share a scale; the last group of a row may be shorter. group == ins: one scale a row.
    pub group: usize,
    pub codes: Codes,
    /// [outs][ins.div_ceil(group)]
    pub scales: Vec<f32>,
    /// Same shape, or none.
    pub mins: Option<Vec<f32>>,
    pub rounding: Rounding,
}

/// Codes of a matrix.
#[derive(Clone, Debug)]
pub enum Codes {
    /// Two codes a byte, the even input's in the low nibble; rows are [ins.div_ceil(2)] bytes. Levels say what a code
    /// means.
    Four { bytes: Vec<u8>, levels: [f32; 16] },
    /// [outs][ins], a code being its own level.
    Eight(Vec<i8>),
}

/// To what a value is rounded in the end, as the checkpoint's own software rounds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rounding {
    None,
    Bf16,
    F16,
}

impl Rounding {
    /// `value` rounded, halves to even.
    pub fn apply(self, value: f32) -> f32 {
        match self {
            Rounding::None => value,
            Rounding::Bf16 => round_bf16(value),
            Rounding::F16 => f16::from_f32(value).to_f32(),
        }
    }
}

impl Grouped {
    /// # Errors
    /// A group of no inputs, or a length that is not what the shape asks for; says which.
    pub fn new(
        outs: usize,
        ins: usize,
        group: usize,
        codes: Codes,
        scales: Vec<f32>,
        mins: Option<Vec<f32>>,
        rounding: Rounding,
    ) -> Result<Grouped, String> {
        if group == 0 {
            return Err("a group of 0 inputs".to_owned());
        }
        let check = |what: &str, got: usize, columns: usize| match outs.checked_mul(columns) {
            Some(expected) if expected == got => Ok(()),
            Some(expected) => {
                Err(format!("{got} {what} for {outs} x {ins} weights in groups of {group}, not {expected}"))
            }
            None => Err(format!("impossible shape {outs} x {ins}")),
        };
        match &codes {
            Codes::Four { bytes, .. } => check("bytes of codes", bytes.len(), ins.div_ceil(2))?,
            Codes::Eight(codes) => check("codes", codes.len(), ins)?,
        }
        check("scales", scales.len(), ins.div_ceil(group))?;
        if let Some(mins) = &mins {
            check("minima", mins.len(), ins.div_ceil(group))?;
        }
        Ok(Grouped { outs, ins, group, codes, scales, mins, rounding })
    }

    /// Groups of a row.
    pub fn groups(&self) -> usize {
        self.ins.div_ceil(self.group)
    }

    /// Exact values of one row. `values`: [ins]
    pub fn row(&self, out: usize, values: &mut [f32]) {
        let groups = self.groups();
        for (k, value) in values[..self.ins].iter_mut().enumerate() {
            let at = out * groups + k / self.group;
            let level = match &self.codes {
                Codes::Four { bytes, levels } => {
                    levels[(bytes[out * self.ins.div_ceil(2) + k / 2] >> (4 * (k % 2)) & 15) as usize]
                }
                Codes::Eight(codes) => f32::from(codes[out * self.ins + k]),
            };
            let product = self.scales[at] * level;
            *value = self.rounding.apply(self.mins.as_ref().map_or(product, |mins| product + mins[at]));
        }
    }

    /// The rows `rows` of it, in that order.
    pub fn select_rows(&self, rows: &[usize]) -> Grouped {
        fn select<T: Copy>(rows: &[usize], from: &[T], columns: usize) -> Vec<T> {
            rows.iter().flat_map(|&row| from[row * columns..(row + 1) * columns].iter().copied()).collect()
        }
        let codes = match &self.codes {
            Codes::Four { bytes, levels } => {
                Codes::Four { bytes: select(rows, bytes, self.ins.div_ceil(2)), levels: *levels }
            }
            Codes::Eight(codes) => Codes::Eight(select(rows, codes, self.ins)),
        };
        let groups = self.groups();
        Grouped {
            outs: rows.len(),
            codes,
            scales: select(rows, &self.scales, groups),
            mins: self.mins.as_ref().map(|mins| select(rows, mins, groups)),
            ..*self
        }
    }

    /// Memory of codes, scales and minima.
    pub fn bytes(&self) -> usize {
        let codes = match &self.codes {
            Codes::Four { bytes, .. } => bytes.len(),
            Codes::Eight(codes) => codes.len(),
        };
        codes + 4 * (self.scales.len() + self.mins.as_ref().map_or(0, Vec::len))
    }
}

/// The same in panels of 32 outputs.
pub(super) struct GroupedPanels {
    pub ins: usize,
    pub group: usize,
    pub codes: PanelCodes,
    /// [panels][groups][32]
    pub scales: Buffer<f32>,
    pub mins: Option<Buffer<f32>>,
    pub rounding: Rounding,
}

pub(super) enum PanelCodes {
    /// [panels][ins.div_ceil(2)][32], the even input in the low nibble.
    Four { bytes: Buffer<u8>, levels: [f32; 16] },
    /// [panels][ins][32]
    Eight(Buffer<i8>),
}

impl GroupedPanels {
    pub fn pack(from: &Grouped) -> GroupedPanels {
        let groups = from.groups();
        let codes = match &from.codes {
            Codes::Four { bytes, levels } => {
                PanelCodes::Four { bytes: in_panels(bytes, from.outs, from.ins.div_ceil(2)), levels: *levels }
            }
            Codes::Eight(codes) => PanelCodes::Eight(in_panels(codes, from.outs, from.ins)),
        };
        GroupedPanels {
            ins: from.ins,
            group: from.group,
            codes,
            scales: in_panels(&from.scales, from.outs, groups),
            mins: from.mins.as_ref().map(|mins| in_panels(mins, from.outs, groups)),
            rounding: from.rounding,
        }
    }

    pub fn bytes(&self) -> usize {
        let codes = match &self.codes {
            PanelCodes::Four { bytes, .. } => bytes.bytes(),
            PanelCodes::Eight(codes) => codes.bytes(),
        };
        codes + self.scales.bytes() + self.mins.as_ref().map_or(0, Buffer::bytes)
    }

    /// Where a panel's codes from input `start` on are kept, for prefetching.
    pub fn address(&self, panel: usize, start: usize) -> *const f32 {
        match &self.codes {
            PanelCodes::Four { bytes, .. } => {
                bytes.as_ptr().wrapping_add((panel * self.ins.div_ceil(2) + start / 2) * PANEL).cast()
            }
            PanelCodes::Eight(codes) => codes.as_ptr().wrapping_add((panel * self.ins + start) * PANEL).cast(),
        }
    }

    /// Values of a panel's inputs `depth`, which starts at an even input: [depth][32], bit-equal to `Grouped::row`.
    pub fn widen(&self, isa: Isa, panel: usize, depth: Range<usize>, values: &mut [f32]) {
        let groups = self.ins.div_ceil(self.group);
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
            let values = &mut values[(start - depth.start) * PANEL..][..(end - start) * PANEL];
            match &self.codes {
                PanelCodes::Four { bytes, levels: table } => {
                    let from = (panel * self.ins.div_ceil(2) + start / 2) * PANEL;
                    let lines = end.div_ceil(2) - start / 2;
                    widen::nibbles(isa, &bytes[from..][..lines * PANEL], table, levels, start % 2, values);
                }
                PanelCodes::Eight(codes) => {
                    let from = (panel * self.ins + start) * PANEL;
                    widen::bytes(isa, &codes[from..][..(end - start) * PANEL], levels, values);
                }
            }
            start = end;
        }
    }
}

/// [outs][columns] to [panels][columns][32], zeros beyond the last output.
fn in_panels<T: super::buffer::Plain>(rows: &[T], outs: usize, columns: usize) -> Buffer<T> {
    let mut panels = Buffer::new(outs.div_ceil(PANEL) * columns * PANEL);
    if columns > 0 {
        panels.par_chunks_mut(columns * PANEL).enumerate().for_each(|(p, panel)| {
            let rows = &rows[p * PANEL * columns..((p + 1) * PANEL).min(outs) * columns];
            for (j, row) in rows.chunks_exact(columns).enumerate() {
                for (k, &value) in row.iter().enumerate() {
                    panel[k * PANEL + j] = value;
                }
            }
        });
    }
    panels
}
