//! Rotary position embedding: pairs of channels (first half with second half, as in transformers) turn with the position.

use crate::model::{Rope, RopeScaling};
use candle_core::{Device, Result, Tensor};
use candle_transformers::models::llama::Llama3RopeConfig;
use std::f32::consts::PI;

/// Frequencies of the channel pairs.
pub struct Rotary {
    inv_freq: Vec<f32>,
}

/// Cosines and sines of a stretch of positions, each `[tokens, head_dim / 2]`.
pub struct Angles {
    pub cos: Tensor,
    pub sin: Tensor,
}

impl Rotary {
    pub fn new(rope: &Rope, head_dim: usize) -> Rotary {
        let plain = (0..head_dim).step_by(2).map(|i| 1.0 / rope.theta.powf(i as f32 / head_dim as f32));
        let inv_freq = match &rope.scaling {
            RopeScaling::Default => plain.collect(),
            RopeScaling::Linear(factor) => plain.map(|freq| freq / factor).collect(),
            RopeScaling::Llama3(config) => plain.map(|freq| llama3(freq, config)).collect(),
        };
        Rotary { inv_freq }
    }

    /// The angles of positions `start .. start + tokens`, in f32.
    pub fn angles(&self, start: usize, tokens: usize, device: &Device) -> Result<Angles> {
        let pairs = self.inv_freq.len();
        let mut cos = Vec::with_capacity(tokens * pairs);
        let mut sin = Vec::with_capacity(tokens * pairs);
        for position in start..start + tokens {
            for freq in &self.inv_freq {
                let (s, c) = (position as f32 * freq).sin_cos();
                cos.push(c);
                sin.push(s);
            }
        }
        let shape = (tokens, pairs);
        Ok(Angles { cos: Tensor::from_vec(cos, shape, device)?, sin: Tensor::from_vec(sin, shape, device)? })
    }
}

/// Llama 3.1: waves longer than the original context are stretched by `factor`, short ones kept, a linear ramp in between.
fn llama3(freq: f32, config: &Llama3RopeConfig) -> f32 {
    let original = config.original_max_position_embeddings as f32;
    let wavelength = 2.0 * PI / freq;
    if wavelength < original / config.high_freq_factor {
        freq
    } else if wavelength > original / config.low_freq_factor {
        freq / config.factor
    } else {
        let smooth =
            (original / wavelength - config.low_freq_factor) / (config.high_freq_factor - config.low_freq_factor);
        (1.0 - smooth) * freq / config.factor + smooth * freq
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_transformers::models::llama::Llama3RopeType;

    fn frequencies(theta: f32, head_dim: usize, scaling: RopeScaling) -> Vec<f32> {
        Rotary::new(&Rope { theta, scaling }, head_dim).inv_freq
    }

    fn close(found: &[f32], expected: &[f32]) {
        assert_eq!(found.len(), expected.len());
        for (f, e) in found.iter().zip(expected) {
            assert!((f - e).abs() <= 2e-7 * e.abs(), "{found:?} is not {expected:?}");
        }
    }

    // Expected values: ROPE_INIT_FUNCTIONS of transformers 5.23 with the same settings.
    #[test]
    fn frequencies_equal_those_of_transformers() {
        close(&frequencies(1e4, 8, RopeScaling::Default), &ROPE_DEFAULT);
        close(&frequencies(1e4, 8, RopeScaling::Linear(4.0)), &ROPE_DEFAULT.map(|f| f / 4.0));
        let llama3 = Llama3RopeConfig {
            factor: 8.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_max_position_embeddings: 8192,
            rope_type: Llama3RopeType::Llama3,
        };
        close(&frequencies(5e5, 16, RopeScaling::Llama3(llama3)), &ROPE_LLAMA3);
    }

    const ROPE_DEFAULT: [f32; 4] = [1.0, 0.1, 0.01, 0.001];
    const ROPE_LLAMA3: [f32; 8] =
        [1.0, 0.193_922_76, 0.037_606_03, 0.007_292_665, 0.000_524_846, 3.428_102_4e-5, 6.647_869_7e-6, 1.289_173_2e-6];
}
