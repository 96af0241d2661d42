//! Rotary position tables, with the scalings that published checkpoints use.

use super::config::ModelConfig;
use crate::error::{Error, Result};
use candle_core::{DType, Device, Tensor};
use serde_json::{Map, Value};

/// The inverse frequencies of a model, `head_dim / 2` of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Rope {
    inverse_frequencies: Vec<f32>,
}

impl Rope {
    /// Reads `rope_theta` with `rope_scaling`, or `rope_parameters`. The scalings are those of transformers'
    /// `modeling_rope_utils`: default, linear, llama3; others are refused by name.
    pub fn from_config(config: &ModelConfig, head_dim: usize) -> Result<Rope> {
        let empty = Map::new();
        let parameters = config.rope_parameters.as_ref().or(config.rope_scaling.as_ref()).unwrap_or(&empty);
        let number = |key: &str| parameters.get(key).and_then(Value::as_f64);
        let theta = number("rope_theta").or(config.rope_theta).unwrap_or(10_000.0);
        let kind = parameters.get("rope_type").or(parameters.get("type")).and_then(Value::as_str).unwrap_or("default");
        let key = if config.rope_parameters.is_some() { "rope_parameters" } else { "rope_scaling" };
        let need = |name: &str| {
            number(name).filter(|n| *n > 0.0).ok_or_else(|| {
                Error::input(format!("rotary scaling `{kind}` needs a positive `{name}`")).file(&config.file).key(key)
            })
        };
        let plain = (0..head_dim / 2).map(|i| 1.0 / theta.powf(2.0 * i as f64 / head_dim as f64));
        let frequencies: Vec<f64> = match kind {
            "default" => plain.collect(),
            "linear" => {
                let factor = need("factor")?;
                plain.map(|f| f / factor).collect()
            }
            "llama3" => {
                let factor = need("factor")?;
                let (low, high) = (need("low_freq_factor")?, need("high_freq_factor")?);
                let window = need("original_max_position_embeddings")?;
                plain.map(|f| llama3(f, factor, low, high, window)).collect()
            }
            other => {
                return Err(Error::input(format!("rotary scaling `{other}` is not supported"))
                    .file(&config.file)
                    .key(key)
                    .hint("supported: default, linear, llama3"));
            }
        };
        Ok(Rope { inverse_frequencies: frequencies.into_iter().map(|f| f as f32).collect() })
    }

    /// Cosines and sines of positions `0..len`, each `[len, head_dim / 2]`.
    pub fn tables(&self, len: usize, dtype: DType, device: &Device) -> candle_core::Result<(Tensor, Tensor)> {
        let half = self.inverse_frequencies.len();
        let mut cos = Vec::with_capacity(len * half);
        let mut sin = Vec::with_capacity(len * half);
        for position in 0..len {
            for frequency in &self.inverse_frequencies {
                let angle = position as f32 * frequency;
                cos.push(angle.cos());
                sin.push(angle.sin());
            }
        }
        let table = |values| Tensor::from_vec(values, (len, half), device)?.to_dtype(dtype);
        Ok((table(cos)?, table(sin)?))
    }
}

/// Llama 3.1: long waves are stretched, short ones kept, those between blended.
fn llama3(frequency: f64, factor: f64, low: f64, high: f64, window: f64) -> f64 {
    let wavelength = 2.0 * std::f64::consts::PI / frequency;
    if wavelength > window / low {
        frequency / factor
    } else if wavelength < window / high {
        frequency
    } else {
        let smooth = (window / wavelength - low) / (high - low);
        (1.0 - smooth) * frequency / factor + smooth * frequency
    }
}
