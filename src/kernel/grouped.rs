//! Quantised matrices: codes of four or eight bits with a scale, and perhaps a minimum, for each group of inputs.
//! In: a checkpoint's codes. Out: `Grouped`, row by row, exact. Never knows a checkpoint's own layout.

use half::f16;

use super::lanes::round_bf16;

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
    /// Bytes of a number of the format; `None` without one.
    pub fn size(self) -> Option<usize> {
        match self {
            Rounding::None => None,
            Rounding::Bf16 | Rounding::F16 => Some(2),
        }
    }

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
