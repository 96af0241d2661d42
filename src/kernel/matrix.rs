//! Matrices in groups that share a scale. Stand-in of branch `gguf` until branch `kernel` is merged; that one wins.

/// W[out][in] = scale * level(code) + min, evaluated in f32.
#[derive(Debug, Clone)]
pub struct Grouped {
    pub outs: usize,
    pub ins: usize,
    pub group: usize,
    pub codes: Codes,
    pub scales: Vec<f32>,
    pub mins: Option<Vec<f32>>,
    pub rounding: Rounding,
}

#[derive(Debug, Clone)]
pub enum Codes {
    Four { bytes: Vec<u8>, levels: [f32; 16] },
    Eight(Vec<i8>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    None,
    Bf16,
    F16,
}

impl Grouped {
    pub fn new(
        outs: usize,
        ins: usize,
        group: usize,
        codes: Codes,
        scales: Vec<f32>,
        mins: Option<Vec<f32>>,
        rounding: Rounding,
    ) -> Result<Grouped, String> {
        Ok(Grouped { outs, ins, group, codes, scales, mins, rounding })
    }

    pub fn row(&self, out: usize, values: &mut [f32]) {
        let groups = self.ins.div_ceil(self.group);
        for (i, value) in values.iter_mut().enumerate() {
            let level = match &self.codes {
                Codes::Four { bytes, levels } => {
                    levels[usize::from(bytes[out * self.ins.div_ceil(2) + i / 2] >> (4 * (i % 2)) & 15)]
                }
                Codes::Eight(codes) => f32::from(codes[out * self.ins + i]),
            };
            let group = out * groups + i / self.group;
            *value = self.scales[group] * level;
            if let Some(mins) = &self.mins {
                *value += mins[group];
            }
        }
    }
}
