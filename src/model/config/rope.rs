//! Rotary positions as `config.json` sets them, in old spellings (`rope_theta` and `rope_scaling`) and new (`rope_parameters`, flat
//! or one for each type of layer).

use super::defaults::{Defaults, RopeDefaults};
use super::read::Written;
use crate::error::{Error, Result};
use serde_json::Value;

/// Rotary position embedding of some layers.
#[derive(Debug, Clone, PartialEq)]
pub struct RopeSpec {
    /// The base of the wavelengths.
    pub theta: f64,
    /// The part of a head that turns.
    pub partial: f64,
    pub scaling: RopeScaling,
}

/// How rotary frequencies are stretched for longer contexts.
#[derive(Debug, Clone, PartialEq)]
pub enum RopeScaling {
    Default,
    /// All frequencies divided by a factor.
    Linear {
        factor: f64,
    },
    /// For sequences beyond the trained length the base grows with the length (NTK).
    Dynamic {
        factor: f64,
        max_position_embeddings: usize,
    },
    /// Low frequencies divided by a factor, high ones kept, a ramp in between (Llama 3.1).
    Llama3 {
        factor: f64,
        low_freq_factor: f64,
        high_freq_factor: f64,
        original_max_position_embeddings: usize,
    },
    Yarn(Yarn),
    /// A factor for each frequency, one set for short and one for long sequences (Phi-3).
    LongRope(LongRope),
}

/// YaRN (Peng et al. 2023, arXiv:2309.00071): as Llama 3's, with the ramp over channels, and scores scaled.
#[derive(Debug, Clone, PartialEq)]
pub struct Yarn {
    pub factor: f64,
    pub original_max_position_embeddings: usize,
    /// Turns within the original context above which a frequency is kept.
    pub beta_fast: f64,
    /// Turns within the original context below which a frequency is divided.
    pub beta_slow: f64,
    /// Whether the ends of the ramp are whole channels.
    pub truncate: bool,
    /// What cosines and sines are multiplied by.
    pub attention_factor: f64,
}

/// LongRoPE (Ding et al. 2024, arXiv:2402.13753).
#[derive(Debug, Clone, PartialEq)]
pub struct LongRope {
    /// `[rotary_dim / 2]`
    pub short_factor: Vec<f64>,
    /// `[rotary_dim / 2]`
    pub long_factor: Vec<f64>,
    /// Longer sequences are long ones.
    pub original_max_position_embeddings: usize,
    /// What cosines and sines are multiplied by.
    pub attention_factor: f64,
}

const SUPPORTED: &str = "supported are default, linear, dynamic, llama3, yarn and longrope";

impl RopeSpec {
    /// Channels of a head whose frequencies are set, counted as transformers does.
    pub fn dim(&self, head_dim: usize) -> usize {
        (head_dim as f64 * self.partial) as usize
    }

    /// Channels of a head that turn: an odd number of them is rounded up to whole pairs.
    pub fn rotary_dim(&self, head_dim: usize) -> usize {
        self.dim(head_dim).div_ceil(2) * 2
    }
}

/// The ropes of a model: none, one, or that of full attention and that of layers with a window.
pub fn ropes(
    written: &Written,
    defaults: &'static Defaults,
    head_dim: usize,
    max_length: usize,
) -> Result<Vec<RopeSpec>> {
    let Some(defaults) = &defaults.rope else { return Ok(Vec::new()) };
    let reader = Reader { written: *written, defaults, head_dim, max_length };
    let theta = written.positive(defaults.theta_key, None)?.or(written.positive("rope_theta", None)?);
    let theta = theta.unwrap_or(defaults.theta);
    match defaults.local_theta {
        Some(local_theta) => reader.two(theta, local_theta),
        None => Ok(vec![reader.one(theta)?]),
    }
}

struct Reader<'a> {
    written: Written<'a>,
    defaults: &'static RopeDefaults,
    head_dim: usize,
    max_length: usize,
}

/// The settings of one rope, with the key that they stand under.
#[derive(Clone, Copy)]
struct Settings<'a> {
    key: &'static str,
    map: Option<Written<'a>>,
}

impl<'a> Settings<'a> {
    fn real(&self, key: &'static str, default: Option<f64>) -> Result<Option<f64>> {
        self.map.map_or(Ok(default), |map| map.positive(key, default)).map_err(|e| self.place(e))
    }

    fn needed(&self, key: &'static str) -> Result<f64> {
        self.real(key, None)?.ok_or_else(|| self.place(Error::input(format!("needs `{key}` above 0"))))
    }

    fn size(&self, key: &'static str) -> Result<Option<usize>> {
        self.map.map_or(Ok(None), |map| map.size(key, None))
    }

    fn place(&self, error: Error) -> Error {
        error.key(self.key)
    }
}

impl<'a> Reader<'a> {
    /// The rope of all layers.
    fn one(&self, theta: f64) -> Result<RopeSpec> {
        // Where a file has both, transformers reads the old spelling.
        let old = self.written.object("rope_scaling")?;
        let (key, map) = match old {
            Some(map) => ("rope_scaling", Some(map)),
            None => ("rope_parameters", self.written.object("rope_parameters")?),
        };
        if map.is_some_and(|map| map.values().any(Value::is_object)) {
            return Err(Error::input("ropes that differ from layer to layer are not known in this family").key(key));
        }
        self.spec(Settings { key, map: map.map(|map| Written::new(map, &[])) }, theta, true)
    }

    /// The rope of layers with full attention and that of layers with a window.
    fn two(&self, theta: f64, local_theta: f64) -> Result<Vec<RopeSpec>> {
        let local_theta = self.written.positive("rope_local_base_freq", None)?.unwrap_or(local_theta);
        let (full, local) = ("full_attention", "sliding_attention");
        let key = "rope_parameters";
        let new = self.written.object(key)?;
        if new.is_some_and(|map| !map.contains_key(full) && !map.contains_key(local)) {
            return Err(Error::input(format!("needs `{full}` and `{local}`")).key(key));
        }
        let part = |name| new.map_or(Ok(None), |map| Written::new(map, &[]).object(name)).map_err(|e| e.key(key));
        // The old spelling scales full attention only; it is laid over what the new one says.
        let mut merged = part(full)?.cloned().unwrap_or_default();
        let old = self.written.object("rope_scaling")?;
        merged.extend(old.into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())));
        let key = if old.is_some() { "rope_scaling" } else { key };
        let full = Settings { key, map: Some(Written::new(&merged, &[])) };
        let full = Reader { ..*self }.spec(full, theta, false)?;
        let local = Settings { key: "rope_parameters", map: part(local)?.map(|map| Written::new(map, &[])) };
        Ok(vec![full, self.spec(local, local_theta, false)?])
    }

    fn spec(&self, settings: Settings, theta: f64, flat: bool) -> Result<RopeSpec> {
        let word = |key| settings.map.map_or(Ok(None), |map: Written| map.word(key)).map_err(|e| settings.place(e));
        let name = word("rope_type")?.or(word("type")?).unwrap_or("default");
        let aliases = self.defaults.aliases.iter();
        let name = aliases.clone().find(|(alias, _)| *alias == name).map_or(name, |(_, name)| *name);
        let theta = settings.real("rope_theta", None)?.unwrap_or(theta);
        let partial = self.partial(settings, name)?;
        let mut spec = RopeSpec { theta, partial, scaling: RopeScaling::Default };
        let dim = spec.dim(self.head_dim);
        if dim == 0 || partial > 1.0 || spec.rotary_dim(self.head_dim) > self.head_dim {
            return Err(settings.place(Error::input(format!(
                "rotary positions cannot turn {dim} channels of a head of {}",
                self.head_dim
            ))));
        }
        let scaling = match name {
            "default" => RopeScaling::Default,
            "linear" => RopeScaling::Linear { factor: settings.needed("factor")? },
            "dynamic" => {
                RopeScaling::Dynamic { factor: settings.needed("factor")?, max_position_embeddings: self.max_length }
            }
            "llama3" => RopeScaling::Llama3 {
                factor: settings.needed("factor")?,
                low_freq_factor: settings.needed("low_freq_factor")?,
                high_freq_factor: settings.needed("high_freq_factor")?,
                original_max_position_embeddings: self.original(settings, flat)?,
            },
            "yarn" => RopeScaling::Yarn(self.yarn(settings, flat)?),
            "longrope" => RopeScaling::LongRope(self.long_rope(settings, flat, dim.div_ceil(2))?),
            other => {
                let error = Error::input(format!("the rope type `{other}` is not supported")).hint(SUPPORTED);
                return Err(settings.place(error));
            }
        };
        spec.scaling = scaling;
        check(&spec, dim).map_err(|e| settings.place(e))?;
        Ok(spec)
    }

    fn partial(&self, settings: Settings, name: &str) -> Result<f64> {
        let inner = settings.real("partial_rotary_factor", None)?;
        match self.defaults.partial {
            Some((key, default)) => {
                let outer =
                    self.written.positive(key, None)?.or(self.written.positive("partial_rotary_factor", None)?);
                Ok(inner.or(outer).unwrap_or(default))
            }
            // Such families turn whole heads; with the default type transformers does not even look at the key.
            None if name == "default" || inner.is_none_or(|partial| partial == 1.0) => Ok(1.0),
            None => Err(settings.place(Error::input("heads that turn in part are not known in this family"))),
        }
    }

    /// The context that the model was first trained for. Outside of the rope's settings it wins over what they say, but not where
    /// each type of layer has its own.
    fn original(&self, settings: Settings, flat: bool) -> Result<usize> {
        let key = "original_max_position_embeddings";
        let outer = if flat { self.written.size(key, self.defaults.original_max_position_embeddings)? } else { None };
        Ok(outer.or(settings.size(key)?).unwrap_or(self.max_length))
    }

    fn yarn(&self, settings: Settings, flat: bool) -> Result<Yarn> {
        let original = self.original(settings, flat)?;
        let factor = settings.real("factor", None)?.unwrap_or(self.max_length as f64 / original as f64);
        let attention_factor = match settings.real("attention_factor", None)? {
            Some(factor) => factor,
            None => yarn_attention_factor(factor, optional(settings, "mscale")?, optional(settings, "mscale_all_dim")?),
        };
        Ok(Yarn {
            factor,
            original_max_position_embeddings: original,
            beta_fast: optional(settings, "beta_fast")?.unwrap_or(32.0),
            beta_slow: optional(settings, "beta_slow")?.unwrap_or(1.0),
            truncate: settings.map.map_or(Ok(true), |map| map.flag("truncate", true))?,
            attention_factor,
        })
    }

    fn long_rope(&self, settings: Settings, flat: bool, pairs: usize) -> Result<LongRope> {
        let original = self.original(settings, flat)?;
        let factor = settings.real("factor", None)?.unwrap_or(self.max_length as f64 / original as f64);
        let attention_factor = match settings.real("attention_factor", None)? {
            Some(given) => given,
            None if factor <= 1.0 => 1.0,
            None => (1.0 + factor.ln() / (original as f64).ln()).sqrt(),
        };
        let factors = |key: &'static str| {
            let positive = |value: &Value| value.as_f64().filter(|x| x.is_finite() && *x as f32 > 0.0);
            let list = settings.map.map_or(Ok(None), |map| map.list(key, "numbers above 0", positive));
            let list = list?.ok_or_else(|| Error::input(format!("needs `{key}`")).key(settings.key))?;
            if list.len() != pairs {
                return Err(Error::input(format!("has {} factors for {pairs} pairs of channels", list.len())).key(key));
            }
            Ok(list)
        };
        Ok(LongRope {
            short_factor: factors("short_factor")?,
            long_factor: factors("long_factor")?,
            original_max_position_embeddings: original,
            attention_factor,
        })
    }
}

/// A number of which 0 means the same as nothing.
fn optional(settings: Settings, key: &'static str) -> Result<Option<f64>> {
    let value = settings.map.map_or(Ok(None), |map| map.real(key, None)).map_err(|e| settings.place(e))?;
    Ok(value.filter(|x| *x != 0.0))
}

/// What YaRN multiplies cosines and sines by, where the file does not say it.
fn yarn_attention_factor(factor: f64, mscale: Option<f64>, mscale_all_dim: Option<f64>) -> f64 {
    let scaled = |mscale: f64| if factor <= 1.0 { 1.0 } else { 0.1 * mscale * factor.ln() + 1.0 };
    match (mscale, mscale_all_dim) {
        (Some(mscale), Some(all_dim)) => scaled(mscale) / scaled(all_dim),
        _ => scaled(1.0),
    }
}

/// Refuses settings whose formulas have no value.
fn check(spec: &RopeSpec, dim: usize) -> Result<()> {
    let attention_factor = match &spec.scaling {
        RopeScaling::Default | RopeScaling::Linear { .. } => 1.0,
        RopeScaling::Dynamic { factor, .. } => {
            if *factor < 1.0 {
                return Err(Error::input(format!("needs a `factor` of at least 1, not {factor}")));
            }
            // The exponent is dim / (dim - 2).
            if dim <= 2 {
                return Err(Error::input("dynamic scaling needs more than two channels that turn"));
            }
            1.0
        }
        RopeScaling::Llama3 { low_freq_factor, high_freq_factor, .. } => {
            if high_freq_factor <= low_freq_factor {
                return Err(Error::input("needs a `high_freq_factor` above `low_freq_factor`"));
            }
            1.0
        }
        RopeScaling::Yarn(yarn) => {
            if spec.theta <= 1.0 {
                return Err(Error::input("yarn needs a `rope_theta` above 1"));
            }
            if yarn.beta_fast <= 0.0 || yarn.beta_slow <= 0.0 {
                return Err(Error::input("yarn needs `beta_fast` and `beta_slow` above 0"));
            }
            yarn.attention_factor
        }
        RopeScaling::LongRope(long) => long.attention_factor,
    };
    if !(attention_factor > 0.0 && (attention_factor as f32).is_finite()) {
        return Err(Error::input(format!("{attention_factor} is not a possible `attention_factor`")));
    }
    Ok(())
}
