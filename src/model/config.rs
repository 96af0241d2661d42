//! `config.json`: the shape of a model, in old and new spellings.
//!
//! Serde structs in candle-transformers demand keys that newer files spell otherwise (`rope_parameters`) or leave out, so the
//! file is read here; what fits of theirs (the Llama 3 rope, activations, lists of end tokens) is used.

use super::{ARCHES, Arch};
use crate::error::{Error, Result, nearest};
use candle_nn::Activation;
use candle_transformers::models::llama::{Llama3RopeConfig, Llama3RopeType, LlamaEosToks};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The file that says what a model is.
pub const CONFIG: &str = "config.json";

/// The file that says where generated text ends.
pub const GENERATION_CONFIG: &str = "generation_config.json";

/// No dimension of a real model comes near this; a larger one would overflow products of dimensions.
const LARGEST_DIMENSION: usize = 1 << 24;

/// What a family's `config.json` means where it says nothing (the defaults of its class in transformers).
pub struct Defaults {
    pub num_key_value_heads: Option<usize>,
    pub head_dim: Option<usize>,
    pub hidden_act: &'static str,
    pub tie_word_embeddings: bool,
    pub bos_token_id: u32,
    pub eos_token_id: u32,
}

/// Rotary position embedding.
#[derive(Debug, Clone)]
pub struct Rope {
    pub theta: f32,
    pub scaling: RopeScaling,
}

/// How rotary frequencies are stretched for longer contexts.
#[derive(Debug, Clone)]
pub enum RopeScaling {
    Default,
    /// All frequencies divided by a factor.
    Linear(f32),
    /// Low frequencies divided by a factor, high ones kept, a ramp in between.
    Llama3(Llama3RopeConfig),
}

/// The shape of a model, defaults filled in.
#[derive(Debug, Clone)]
pub struct ModelConfig {
    /// The file it was read from.
    pub file: PathBuf,
    /// `architectures[0]`, or the class of `model_type`.
    pub architecture: String,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub vocab_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub num_key_value_heads: usize,
    pub head_dim: usize,
    pub rms_norm_eps: f64,
    pub hidden_act: Activation,
    pub rope: Rope,
    /// The longest context that the model was made for, if the file says so.
    pub max_length: Option<usize>,
    pub tie_word_embeddings: bool,
    pub attention_bias: bool,
    pub mlp_bias: bool,
    pub bos_token_id: Option<u32>,
    /// Tokens that end a text: those of `config.json` and `generation_config.json`.
    pub eos_token_ids: Vec<u32>,
    /// What `generation_config.json` wants repeated tokens to be held back by, unless 1.
    pub repetition_penalty: Option<f64>,
    /// `dtype` or `torch_dtype`.
    pub dtype: Option<String>,
}

/// The keys that are read; all others are for other programs.
#[derive(Deserialize)]
struct Written {
    architectures: Option<Vec<String>>,
    model_type: Option<String>,
    hidden_size: Option<usize>,
    intermediate_size: Option<usize>,
    vocab_size: Option<usize>,
    num_hidden_layers: Option<usize>,
    num_attention_heads: Option<usize>,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    rms_norm_eps: Option<f64>,
    hidden_act: Option<String>,
    hidden_activation: Option<String>,
    rope_theta: Option<f64>,
    rope_scaling: Option<WrittenRope>,
    rope_parameters: Option<WrittenRope>,
    max_position_embeddings: Option<usize>,
    n_positions: Option<usize>,
    n_ctx: Option<usize>,
    tie_word_embeddings: Option<bool>,
    attention_bias: Option<bool>,
    mlp_bias: Option<bool>,
    use_bidirectional_attention: Option<Value>,
    bos_token_id: Option<u32>,
    eos_token_id: Option<LlamaEosToks>,
    dtype: Option<String>,
    torch_dtype: Option<String>,
}

#[derive(Deserialize, Default)]
struct WrittenGeneration {
    eos_token_id: Option<LlamaEosToks>,
    repetition_penalty: Option<f64>,
}

#[derive(Deserialize, Default)]
struct WrittenRope {
    rope_theta: Option<f64>,
    rope_type: Option<String>,
    #[serde(rename = "type")]
    old_type: Option<String>,
    factor: Option<f32>,
    low_freq_factor: Option<f32>,
    high_freq_factor: Option<f32>,
    original_max_position_embeddings: Option<usize>,
}

/// Reads a JSON file of a checkpoint; `None` when it is not there.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(err) => return Err(Error::io("cannot read", path, err)),
    };
    let text = std::str::from_utf8(&bytes).map_err(|e| Error::input("is not UTF-8 text").file(path).cause(e))?;
    serde_json::from_str(text)
        .map(Some)
        .map_err(|e| Error::input("is not what it should be").at(path, e.line()).cause(e))
}

/// All ids of a list or a single id.
pub(crate) fn token_ids(written: Option<LlamaEosToks>) -> Vec<u32> {
    match written {
        None => Vec::new(),
        Some(LlamaEosToks::Single(id)) => vec![id],
        Some(LlamaEosToks::Multiple(ids)) => ids,
    }
}

impl ModelConfig {
    /// Reads the `config.json` of a folder.
    pub fn load(dir: &Path) -> Result<ModelConfig> {
        let file = dir.join(CONFIG);
        let written = read_json::<Written>(&file)?.ok_or_else(|| {
            Error::input("is not there").file(&file).hint(
                "a model is a folder with config.json, tokenizer.json and model.safetensors, as transformers saves it",
            )
        })?;
        let mut config = ModelConfig::from_written(written, file.clone()).map_err(|e| e.file(file))?;
        let generation = read_json::<WrittenGeneration>(&dir.join(GENERATION_CONFIG))?.unwrap_or_default();
        for id in token_ids(generation.eos_token_id) {
            if !config.eos_token_ids.contains(&id) {
                config.eos_token_ids.push(id);
            }
        }
        config.repetition_penalty = generation.repetition_penalty.filter(|penalty| *penalty != 1.0);
        Ok(config)
    }

    /// The family's row in [`ARCHES`].
    pub fn arch(&self) -> Result<&'static Arch> {
        arch_named(Some(&self.architecture), None).map_err(|e| e.file(&self.file))
    }

    fn from_written(written: Written, file: PathBuf) -> Result<ModelConfig> {
        let class = written.architectures.as_ref().and_then(|names| names.first());
        let arch = arch_named(class.map(String::as_str), written.model_type.as_deref())?;
        refuse_unsupported(&written)?;
        let defaults = &arch.defaults;
        let hidden_size = dimension("hidden_size", written.hidden_size)?;
        let num_attention_heads = dimension("num_attention_heads", written.num_attention_heads)?;
        let num_key_value_heads = dimension(
            "num_key_value_heads",
            written.num_key_value_heads.or(defaults.num_key_value_heads).or(Some(num_attention_heads)),
        )?;
        if !num_attention_heads.is_multiple_of(num_key_value_heads) {
            return Err(Error::input(format!(
                "{num_attention_heads} attention heads cannot share {num_key_value_heads} key-value heads evenly"
            ))
            .key("num_key_value_heads"));
        }
        let head_dim =
            dimension("head_dim", written.head_dim.or(defaults.head_dim).or(Some(hidden_size / num_attention_heads)))?;
        if !head_dim.is_multiple_of(2) {
            return Err(
                Error::input(format!("rotary embedding needs an even head width, not {head_dim}")).key("head_dim")
            );
        }
        let act = written.hidden_activation.as_deref().or(written.hidden_act.as_deref()).unwrap_or(defaults.hidden_act);
        let max_length = written.n_positions.or(written.max_position_embeddings).or(written.n_ctx);
        let dtype = written.dtype.as_ref().or(written.torch_dtype.as_ref());
        Ok(ModelConfig {
            file,
            architecture: arch.class.to_string(),
            hidden_size,
            intermediate_size: dimension("intermediate_size", written.intermediate_size)?,
            vocab_size: dimension("vocab_size", written.vocab_size)?,
            num_hidden_layers: dimension("num_hidden_layers", written.num_hidden_layers)?,
            num_attention_heads,
            num_key_value_heads,
            head_dim,
            rms_norm_eps: written.rms_norm_eps.unwrap_or(1e-6),
            hidden_act: activation(act, arch.model_type)?,
            rope: rope(&written)?,
            max_length: max_length.map(|n| dimension("max_position_embeddings", Some(n))).transpose()?,
            tie_word_embeddings: written.tie_word_embeddings.unwrap_or(defaults.tie_word_embeddings),
            attention_bias: written.attention_bias.unwrap_or(false),
            mlp_bias: written.mlp_bias.unwrap_or(false),
            bos_token_id: written.bos_token_id.or(Some(defaults.bos_token_id)),
            dtype: dtype.map(|name| name.trim_start_matches("torch.").to_string()),
            eos_token_ids: match token_ids(written.eos_token_id) {
                ids if ids.is_empty() => vec![defaults.eos_token_id],
                ids => ids,
            },
            repetition_penalty: None,
        })
    }
}

fn arch_named(class: Option<&str>, model_type: Option<&str>) -> Result<&'static Arch> {
    let found = match (class, model_type) {
        (Some(class), _) => ARCHES.iter().find(|a| a.class == class),
        (None, Some(model_type)) => ARCHES.iter().find(|a| a.model_type == model_type),
        (None, None) => {
            return Err(Error::input("names neither `architectures` nor `model_type`")
                .hint("it should be the config.json that transformers saves beside the weights"));
        }
    };
    found.ok_or_else(|| {
        let name = class.or(model_type).unwrap_or_default();
        let known: Vec<String> = ARCHES.iter().map(|a| format!("{} ({})", a.class, a.doc)).collect();
        let meant = nearest(name, ARCHES.iter().map(|a| a.class)).filter(|near| near.eq_ignore_ascii_case(name));
        let meant = meant.map_or(String::new(), |near| format!("did you mean `{near}`? "));
        Error::input(format!("the architecture `{name}` is not supported"))
            .key("architectures")
            .hint(format!("{meant}supported are {}", known.join(", ")))
    })
}

fn refuse_unsupported(written: &Written) -> Result<()> {
    if written.use_bidirectional_attention.as_ref().is_some_and(|v| !matches!(v, Value::Null | Value::Bool(false))) {
        return Err(Error::input("bidirectional attention is not supported").key("use_bidirectional_attention"));
    }
    Ok(())
}

fn dimension(key: &str, value: Option<usize>) -> Result<usize> {
    match value {
        Some(value) if (1..=LARGEST_DIMENSION).contains(&value) => Ok(value),
        Some(value) => Err(Error::input(format!("{value} is not a possible size")).key(key)),
        None => Err(Error::input("is missing").key(key)),
    }
}

/// The activation of a name; Gemma's configurations say `gelu` and mean the tanh approximation.
fn activation(name: &str, model_type: &str) -> Result<Activation> {
    let name = if model_type == "gemma" && name == "gelu" { "gelu_pytorch_tanh" } else { name };
    serde_json::from_value(Value::String(name.to_string()))
        .map_err(|_| Error::input(format!("the activation `{name}` is not supported")).key("hidden_act"))
}

fn rope(written: &Written) -> Result<Rope> {
    let none = WrittenRope::default();
    let (key, rope) = match (&written.rope_parameters, &written.rope_scaling) {
        (Some(rope), _) => ("rope_parameters", rope),
        (None, Some(rope)) => ("rope_scaling", rope),
        (None, None) => ("rope_scaling", &none),
    };
    let need = |name: &str, value: Option<f32>| {
        value
            .filter(|v| v.is_finite() && *v > 0.0)
            .ok_or_else(|| Error::input(format!("needs `{name}` above 0")).key(key))
    };
    let scaling = match rope.rope_type.as_deref().or(rope.old_type.as_deref()).unwrap_or("default") {
        "default" => RopeScaling::Default,
        "linear" => RopeScaling::Linear(need("factor", rope.factor)?),
        "llama3" => RopeScaling::Llama3(Llama3RopeConfig {
            factor: need("factor", rope.factor)?,
            low_freq_factor: need("low_freq_factor", rope.low_freq_factor)?,
            high_freq_factor: need("high_freq_factor", rope.high_freq_factor)?,
            original_max_position_embeddings: dimension(
                "original_max_position_embeddings",
                rope.original_max_position_embeddings,
            )?,
            rope_type: Llama3RopeType::Llama3,
        }),
        other => {
            return Err(Error::input(format!("the rope type `{other}` is not supported"))
                .key(key)
                .hint("supported are default, linear and llama3"));
        }
    };
    let theta = rope.rope_theta.or(written.rope_theta).unwrap_or(10_000.0);
    if !theta.is_finite() || theta <= 0.0 {
        return Err(Error::input(format!("{theta} is not a possible base")).key("rope_theta"));
    }
    Ok(Rope { theta: theta as f32, scaling })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(changes: Value) -> Result<ModelConfig> {
        let mut config = json!({
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "intermediate_size": 172,
            "vocab_size": 512, "num_hidden_layers": 5, "num_attention_heads": 8,
        });
        for (key, value) in changes.as_object().unwrap() {
            config[key] = value.clone();
        }
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(CONFIG), config.to_string()).unwrap();
        ModelConfig::load(dir.path())
    }

    fn refusal(changes: Value) -> String {
        read(changes).unwrap_err().to_string()
    }

    #[test]
    fn reads_old_and_new_spellings() {
        let old = read(json!({"rope_theta": 500000.0, "torch_dtype": "bfloat16", "eos_token_id": 2,
            "rope_scaling": {"type": "linear", "factor": 4.0}}));
        let new = read(json!({"rope_parameters": {"rope_theta": 500000.0, "rope_type": "linear", "factor": 4.0},
            "dtype": "bfloat16", "eos_token_id": [2]}));
        for config in [old.unwrap(), new.unwrap()] {
            assert_eq!(config.rope.theta, 500_000.0);
            assert!(matches!(config.rope.scaling, RopeScaling::Linear(factor) if factor == 4.0));
            assert_eq!(config.dtype.as_deref(), Some("bfloat16"));
            assert_eq!(config.eos_token_ids, [2]);
        }
    }

    #[test]
    fn fills_in_the_defaults_of_the_family() {
        let llama = read(json!({})).unwrap();
        assert_eq!((llama.head_dim, llama.num_key_value_heads, llama.max_length), (8, 8, None));
        assert!(!llama.tie_word_embeddings);
        let gemma =
            json!({"architectures": null, "model_type": "gemma", "num_attention_heads": 16, "hidden_act": "gelu"});
        let gemma = read(gemma).unwrap();
        assert_eq!((gemma.head_dim, gemma.num_key_value_heads), (256, 16));
        assert_eq!(read(json!({"max_position_embeddings": 512})).unwrap().max_length, Some(512));
        assert!(gemma.tie_word_embeddings);
        assert_eq!(gemma.hidden_act, Activation::GeluPytorchTanh);
        assert_eq!(read(json!({"hidden_act": "gelu"})).unwrap().hidden_act, Activation::Gelu);
    }

    #[test]
    fn unknown_things_are_refused_by_name() {
        let err = refusal(json!({"architectures": ["DodoForCausalLM"]}));
        assert!(
            err.contains("config.json") && err.contains("DodoForCausalLM") && err.contains("LlamaForCausalLM"),
            "{err}"
        );
        assert!(refusal(json!({"architectures": ["LLamaForCausalLM"]})).contains("did you mean `LlamaForCausalLM`?"));
        assert!(refusal(json!({"rope_scaling": {"rope_type": "yarn", "factor": 2.0}})).contains("yarn"));
        assert!(refusal(json!({"hidden_act": "wiggle"})).contains("wiggle"));
    }

    #[test]
    fn impossible_shapes_are_refused() {
        assert!(refusal(json!({"num_key_value_heads": 3})).contains("evenly"));
        assert!(refusal(json!({"num_key_value_heads": 0})).contains("num_key_value_heads"));
        assert!(refusal(json!({"num_hidden_layers": 1u64 << 60})).contains("num_hidden_layers"));
        assert!(refusal(json!({"hidden_size": null})).contains("hidden_size: is missing"));
        assert!(refusal(json!({"hidden_size": "64"})).contains("config.json:1"));
        assert!(refusal(json!({"head_dim": 7})).contains("even"));
        assert!(
            refusal(json!({"rope_parameters": {"rope_type": "llama3", "factor": 8.0}})).contains("low_freq_factor")
        );
    }
}
