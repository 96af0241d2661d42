//! Rotary positions: by which angles pairs of channels turn at each position.
//!
//! Comes in: the settings of a rope, positions, the length of their sequence. Goes out: cosines and sines. Never: the turning.
//!
//! Angles are computed as transformers computes them: frequencies in f32 in its order of operations, the angle as the f32 product
//! of position and frequency. Powers are rounded correctly to f32; torch's differ from that by one unit in the last place for
//! about one channel in a hundred.
//!
//! Two types depend on the length of the sequence. Transformers looks at the longest sequence of a batch (and, for `dynamic`, at
//! earlier batches); here numbers depend on the sequence alone, as if it were the first and only one:
//!
//! - `longrope` has its long factors in sequences longer than the original context, its short ones in all others.
//! - `dynamic` has a base that grows with every token beyond the context that the model was made for, and is plain until then.
//!
//! Keys of two sequences can be shared only where [`RotaryTable::regime`] is the same for both lengths.

use super::config::{LongRope, RopeScaling, RopeSpec, Yarn};
use std::borrow::Cow;
use std::f64::consts::PI;

/// Frequencies of the channel pairs of one rope.
#[derive(Debug, Clone)]
pub struct RotaryTable {
    /// Of sequences up to the threshold, or of all. `[rotary_dim / 2]`
    inv_freq: Vec<f32>,
    /// What cosines and sines are multiplied by.
    attention_factor: f32,
    longer: Longer,
}

/// What happens in sequences beyond a threshold.
#[derive(Debug, Clone)]
enum Longer {
    Same,
    /// Other frequencies, the same for all such sequences.
    Switched {
        threshold: usize,
        inv_freq: Vec<f32>,
    },
    /// Frequencies of a base that grows with the length.
    Growing {
        threshold: usize,
        theta: f32,
        factor: f32,
        dim: usize,
    },
}

impl RotaryTable {
    /// The table of a rope on heads of this width.
    pub fn new(spec: &RopeSpec, head_dim: usize) -> RotaryTable {
        let dim = spec.dim(head_dim);
        let powers = powers(spec.theta as f32, dim);
        let plain = || powers.iter().map(|power| 1.0 / power);
        let (inv_freq, attention_factor, longer) = match &spec.scaling {
            RopeScaling::Default => (plain().collect(), 1.0, Longer::Same),
            RopeScaling::Linear { factor } => {
                let factor = *factor as f32;
                (plain().map(|freq| freq / factor).collect(), 1.0, Longer::Same)
            }
            RopeScaling::Dynamic { factor, max_position_embeddings: threshold } => {
                let (theta, factor) = (spec.theta as f32, *factor as f32);
                (plain().collect(), 1.0, Longer::Growing { threshold: *threshold, theta, factor, dim })
            }
            RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_position_embeddings } => {
                let (low, high) = (*low_freq_factor as f32, *high_freq_factor as f32);
                let original = *original_max_position_embeddings as f64;
                let ramp = Llama3Ramp {
                    factor: *factor as f32,
                    low,
                    span: (high_freq_factor - low_freq_factor) as f32,
                    original: original as f32,
                    long: (original / low_freq_factor) as f32,
                    short: (original / high_freq_factor) as f32,
                };
                debug_assert!(high > low);
                (plain().map(|freq| ramp.scaled(freq)).collect(), 1.0, Longer::Same)
            }
            RopeScaling::Yarn(yarn) => {
                (yarn_frequencies(yarn, &powers, spec.theta, dim), yarn.attention_factor as f32, Longer::Same)
            }
            RopeScaling::LongRope(long) => {
                let LongRope { short_factor, long_factor, original_max_position_embeddings, attention_factor } = long;
                let stretched = |factors: &[f64]| {
                    factors.iter().zip(&powers).map(|(factor, power)| 1.0 / (*factor as f32 * power)).collect()
                };
                // Factors that are the same for all lengths are how GGUF files hold ropes of other types.
                let longer = match short_factor == long_factor {
                    true => Longer::Same,
                    false => Longer::Switched {
                        threshold: *original_max_position_embeddings,
                        inv_freq: stretched(long_factor),
                    },
                };
                (stretched(short_factor), *attention_factor as f32, longer)
            }
        };
        RotaryTable { inv_freq, attention_factor, longer }
    }

    /// Channels of a head that turn.
    pub fn rotary_dim(&self) -> usize {
        2 * self.inv_freq.len()
    }

    /// The longest sequence whose angles do not depend on its length; `None` where none do.
    pub fn depends_on_length(&self) -> Option<usize> {
        match &self.longer {
            Longer::Same => None,
            Longer::Switched { threshold, .. } | Longer::Growing { threshold, .. } => Some(*threshold),
        }
    }

    /// Sequences of two lengths have the same angles where this is the same for both.
    pub fn regime(&self, sequence_len: usize) -> usize {
        match &self.longer {
            Longer::Same => 0,
            Longer::Switched { threshold, .. } => usize::from(sequence_len > *threshold),
            Longer::Growing { threshold, .. } => sequence_len.saturating_sub(*threshold),
        }
    }

    /// Appends cosines and sines of positions in a sequence of `sequence_len` tokens, the attention factor multiplied in.
    /// `[positions, rotary_dim / 2]` each.
    pub fn angles(
        &self,
        positions: impl IntoIterator<Item = usize>,
        sequence_len: usize,
        cos: &mut Vec<f32>,
        sin: &mut Vec<f32>,
    ) {
        let inv_freq = self.frequencies(sequence_len);
        for position in positions {
            for freq in inv_freq.iter() {
                let (s, c) = (position as f32 * freq).sin_cos();
                cos.push(c * self.attention_factor);
                sin.push(s * self.attention_factor);
            }
        }
    }

    /// Frequencies in a sequence of a length. `[rotary_dim / 2]`
    pub fn frequencies(&self, sequence_len: usize) -> Cow<'_, [f32]> {
        match &self.longer {
            Longer::Switched { threshold, inv_freq } if sequence_len > *threshold => Cow::Borrowed(inv_freq),
            Longer::Growing { threshold, theta, factor, dim } if sequence_len > *threshold => {
                let stretch = factor * sequence_len as f32 / *threshold as f32 - (factor - 1.0);
                let theta = theta * pow(stretch, *dim as f64 / (*dim as f64 - 2.0));
                Cow::Owned(powers(theta, *dim).into_iter().map(|power| 1.0 / power).collect())
            }
            _ => Cow::Borrowed(&self.inv_freq),
        }
    }
}

/// `base ^ exponent`, rounded correctly to f32.
fn pow(base: f32, exponent: f64) -> f32 {
    f64::from(base).powf(exponent) as f32
}

/// `theta ^ (channel / dim)` of the first channel of each pair. `[dim / 2, rounded up]`
fn powers(theta: f32, dim: usize) -> Vec<f32> {
    (0..dim).step_by(2).map(|channel| pow(theta, f64::from(channel as f32 / dim as f32))).collect()
}

/// Llama 3.1: waves longer than the original context are stretched by `factor`, short ones kept, a linear ramp in between.
struct Llama3Ramp {
    factor: f32,
    low: f32,
    /// From the low to the high factor.
    span: f32,
    original: f32,
    /// Longer waves are stretched.
    long: f32,
    /// Shorter waves are kept.
    short: f32,
}

impl Llama3Ramp {
    fn scaled(&self, freq: f32) -> f32 {
        let wavelength = (2.0 * PI) as f32 / freq;
        if wavelength > self.long {
            return freq / self.factor;
        }
        if wavelength < self.short {
            return freq;
        }
        let smooth = (self.original / wavelength - self.low) / self.span;
        (1.0 - smooth) * freq / self.factor + smooth * freq
    }
}

/// YaRN: channels that turn often within the original context keep their frequency, those that turn seldom have it divided by the
/// factor, a linear ramp over the channels in between.
fn yarn_frequencies(yarn: &Yarn, powers: &[f32], theta: f64, dim: usize) -> Vec<f32> {
    let original = yarn.original_max_position_embeddings as f64;
    let channel = |turns: f64| dim as f64 * (original / (turns * 2.0 * PI)).ln() / (2.0 * theta.ln());
    let (mut low, mut high) = (channel(yarn.beta_fast), channel(yarn.beta_slow));
    if yarn.truncate {
        (low, high) = (low.floor(), high.ceil());
    }
    let (low, mut high) = (low.max(0.0), high.min(dim as f64 - 1.0));
    if low == high {
        high += 0.001;
    }
    let scaled = |(pair, power): (usize, &f32)| {
        let ramp = ((pair as f32 - low as f32) / (high - low) as f32).clamp(0.0, 1.0);
        let kept = 1.0 - ramp;
        1.0 / (yarn.factor as f32 * power) * (1.0 - kept) + 1.0 / power * kept
    };
    powers.iter().enumerate().map(scaled).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ModelConfig;
    use serde_json::{Map, Value};
    use std::path::Path;

    /// A case of `tests/fixtures/rotary.json`, which `make_rotary.py` there writes with transformers.
    struct Case(Map<String, Value>);

    impl Case {
        fn name(&self) -> &str {
            self.0["name"].as_str().unwrap()
        }

        fn reals(&self, key: &str) -> Vec<f32> {
            self.0[key].as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect()
        }

        fn table(&self) -> RotaryTable {
            let config = ModelConfig::from_json(self.0["config"].as_object().unwrap(), Path::new(self.name())).unwrap();
            RotaryTable::new(&config.ropes[self.0["rope"].as_u64().unwrap() as usize], config.head_dim)
        }
    }

    fn cases() -> Vec<Case> {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/rotary.json");
        let cases: Vec<Map<String, Value>> = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        cases.into_iter().map(Case).collect()
    }

    #[test]
    fn angles_equal_those_of_transformers() {
        for case in cases() {
            let (name, table, length) = (case.name(), case.table(), case.0["length"].as_u64().unwrap() as usize);
            let (found, expected) = (table.frequencies(length).into_owned(), case.reals("inv_freq"));
            assert_eq!(found.len(), expected.len(), "{name}");
            for (f, e) in found.iter().zip(&expected) {
                assert!((f - e).abs() <= 1.2e-7 * e, "{name}: {f} is not {e}");
            }
            let positions: Vec<usize> = case.reals("positions").iter().map(|p| *p as usize).collect();
            let (mut cos, mut sin) = (Vec::new(), Vec::new());
            table.angles(positions.iter().copied(), length, &mut cos, &mut sin);
            for (values, expected) in [(cos, case.reals("cos")), (sin, case.reals("sin"))] {
                assert_eq!(values.len(), expected.len(), "{name}");
                for (i, (v, e)) in values.iter().zip(expected).enumerate() {
                    let (position, pair) = (positions[i / found.len()], i % found.len());
                    let off = (found[pair] - case.reals("inv_freq")[pair]).abs() * position as f32;
                    // Where the frequency is off, its product with the position may also be rounded the other way.
                    let off = if off > 0.0 { off + position as f32 * found[pair] * f32::EPSILON } else { 0.0 };
                    assert!((v - e).abs() <= 1e-6 + off, "{name}, position {position}, pair {pair}: {v} is not {e}");
                }
            }
        }
    }

    #[test]
    fn few_frequencies_differ_from_torch_at_all() {
        let (mut equal, mut all) = (0, 0);
        for case in cases().iter().filter(|case| !case.name().starts_with("dynamic-")) {
            let found = case.table().frequencies(case.0["length"].as_u64().unwrap() as usize).into_owned();
            equal += found.iter().zip(case.reals("inv_freq")).filter(|(f, e)| *f == e).count();
            all += found.len();
        }
        assert!(equal * 100 >= all * 97, "{equal} of {all}");
    }

    fn table(name: &str) -> RotaryTable {
        cases().iter().find(|case| case.name() == name).unwrap().table()
    }

    #[test]
    fn only_two_types_depend_on_the_length() {
        assert_eq!(table("yarn").depends_on_length(), None);
        assert_eq!((table("yarn").regime(5), table("yarn").regime(1 << 40)), (0, 0));
        let long = table("longrope-long");
        assert_eq!(long.depends_on_length(), Some(512));
        assert_eq!([512, 513, 9999].map(|len| long.regime(len)), [0, 1, 1]);
        let same = LongRope {
            short_factor: vec![2.0; 4],
            long_factor: vec![2.0; 4],
            original_max_position_embeddings: 16,
            attention_factor: 1.0,
        };
        let same = RopeSpec { theta: 1e4, partial: 1.0, scaling: RopeScaling::LongRope(same) };
        assert_eq!(RotaryTable::new(&same, 8).depends_on_length(), None);
        let dynamic = table("dynamic-far");
        assert_eq!(dynamic.depends_on_length(), Some(512));
        assert_eq!([3, 512, 513, 514].map(|len| dynamic.regime(len)), [0, 0, 1, 2]);
    }

    #[test]
    fn angles_are_appended_and_depend_on_positions_alone() {
        let table = table("phi3");
        let (mut cos, mut sin) = (Vec::new(), Vec::new());
        table.angles(0..3, 100, &mut cos, &mut sin);
        table.angles([1, 7], 10, &mut cos, &mut sin);
        let pairs = table.rotary_dim() / 2;
        assert_eq!((cos.len(), sin.len()), (5 * pairs, 5 * pairs));
        assert_eq!(cos[pairs..2 * pairs], cos[3 * pairs..4 * pairs]);
    }
}
