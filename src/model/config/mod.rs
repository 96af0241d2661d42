//! `config.json`: the shape of a model, in old and new spellings.
//!
//! Comes in: the JSON that transformers (or a GGUF header turned into its words) writes, which nobody has checked. Goes out:
//! a [`ModelConfig`] with the family's defaults filled in, one [`LayerKind`] for each layer, and sizes that layers may trust.
//! Never: tensors.

mod defaults;
mod layers;
mod read;
mod rope;
#[cfg(test)]
mod tests;

pub use defaults::{
    ATTENTION_BIAS, Bias, Defaults, ExpertDefaults, HeadDim, KeyValueHeads, MLP_BIAS, RopeDefaults, Scale, Softcap,
    Windows,
};
pub use layers::LayerKind;
pub(crate) use read::read_json;
pub use rope::{LongRope, RopeScaling, RopeSpec, Yarn};

use super::{Arch, arch, folder, gguf};
use crate::error::{Error, Result};
use crate::kernel::Activation;
use read::{Written, within};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// The file that says what a model is.
pub const CONFIG: &str = "config.json";

/// The file that says where generated text ends.
pub const GENERATION_CONFIG: &str = "generation_config.json";

/// Every layer has an entry in a list, so their number is bounded tightly. The deepest published models have under 200.
const MOST_LAYERS: usize = 4096;

/// As wide as a head can be, so that tables of angles stay small.
const WIDEST_HEAD: usize = 1 << 14;

/// Every expert has its own matrices.
const MOST_EXPERTS: usize = 1 << 14;

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
    /// Of all norms, whatever kind they are.
    pub norm_eps: f64,
    pub hidden_act: Activation,
    /// The ropes that layers choose from; none where positions are learned.
    pub ropes: Vec<RopeSpec>,
    /// `[num_hidden_layers]`
    pub layers: Vec<LayerKind>,
    /// The mixture of experts in the layers that have one.
    pub experts: Option<ExpertsConfig>,
    /// The longest context that the model was made for. Learned positions end there.
    pub max_length: Option<usize>,
    pub tie_word_embeddings: bool,
    /// Whether q, k and v have biases.
    pub attention_bias: bool,
    /// Whether the output projection of attention has a bias.
    pub attention_out_bias: bool,
    pub mlp_bias: bool,
    /// `cap * tanh(score / cap)`, before the mask.
    pub attention_softcap: Option<f32>,
    /// `cap * tanh(logit / cap)`
    pub final_softcap: Option<f32>,
    /// What embeddings are multiplied by (Granite).
    pub embedding_multiplier: f32,
    /// What is added to the hidden states is multiplied by this first (Granite).
    pub residual_multiplier: f32,
    /// What logits are divided by (Granite).
    pub logits_scaling: f32,
    /// Whether attention and MLP both read the same hidden states (GPT-NeoX).
    pub parallel_residual: bool,
    pub bos_token_id: Option<u32>,
    /// Tokens that end a text: those of `config.json` and `generation_config.json`.
    pub eos_token_ids: Vec<u32>,
    /// What `generation_config.json` wants repeated tokens to be held back by, unless 1.
    pub repetition_penalty: Option<f64>,
    /// `dtype` or `torch_dtype`.
    pub dtype: Option<String>,
    /// How the weights are quantised, for those who read them.
    pub quantization_config: Option<Value>,
    /// Whether there was a `generation_config.json`, which says where texts end.
    pub has_generation_config: bool,
    /// What the user should know: names that contradict each other.
    pub notices: Vec<String>,
}

/// A mixture of experts: gated MLPs, of which each token takes a few.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpertsConfig {
    pub num_experts: usize,
    /// How many of them a token takes.
    pub num_experts_per_tok: usize,
    /// Inner width of one expert.
    pub intermediate_size: usize,
    /// Whether the shares of the chosen experts are made to sum to one.
    pub normalised: bool,
}

impl ModelConfig {
    /// Reads the `config.json` of a folder, and its `generation_config.json` if there is one; or the header of a `.gguf` file.
    pub fn load(dir: &Path) -> Result<ModelConfig> {
        if gguf::is_gguf(dir) {
            return ModelConfig::from_json(&gguf::config_json(&gguf::Gguf::open(dir)?)?, dir);
        }
        let file = dir.join(CONFIG);
        let written: Map<String, Value> = read_json(&file)?.ok_or_else(|| folder::no_config(dir, &file))?;
        let mut config = ModelConfig::from_json(&written, &file)?;
        let file = dir.join(GENERATION_CONFIG);
        let generation: Option<Map<String, Value>> = read_json(&file)?;
        config.has_generation_config = generation.is_some();
        let generation = generation.unwrap_or_default();
        config.read_generation(Written::new(&generation, &[])).map_err(|e| e.file(&file))?;
        Ok(config)
    }

    /// The configuration that a JSON object in transformers' words describes; `origin` is the file it comes from.
    pub fn from_json(map: &Map<String, Value>, origin: &Path) -> Result<ModelConfig> {
        read_config(map, origin).map_err(|e| e.file(origin))
    }

    /// The family's row in [`ARCHES`].
    pub fn arch(&self) -> Result<&'static Arch> {
        arch::named(&[&self.architecture], None).map(|named| named.arch).map_err(|e| e.file(&self.file))
    }

    fn read_generation(&mut self, written: Written) -> Result<()> {
        for id in written.token_ids("eos_token_id", None)? {
            if !self.eos_token_ids.contains(&id) {
                self.eos_token_ids.push(id);
            }
        }
        self.repetition_penalty = written.real("repetition_penalty", None)?.filter(|penalty| *penalty != 1.0);
        Ok(())
    }
}

fn read_config(map: &Map<String, Value>, origin: &Path) -> Result<ModelConfig> {
    let outer = Written::new(map, &[]);
    let names = outer.list("architectures", "class names", Value::as_str)?.unwrap_or_default();
    let arch::Named { arch, notice } = arch::named(&names, outer.word("model_type")?)?;
    let defaults = &arch.defaults;
    // Models that also see or hear keep the language model's settings apart.
    let inner = if arch.text_config { outer.object("text_config")? } else { None };
    let written = Written::new(inner.unwrap_or(map), defaults.spellings);
    refuse_unsupported(written)?;

    let hidden_size = written.known_size("hidden_size", Some(defaults.hidden_size))?;
    let default = defaults.intermediate_size.unwrap_or(4 * hidden_size);
    let intermediate_size = match written.size("intermediate_size", Some(default))? {
        None if defaults.intermediate_size.is_none() => default,
        given => given.ok_or_else(|| Error::input("is missing").key("intermediate_size"))?,
    };
    let (heads, key_value_heads) = heads(written, defaults)?;
    let head_dim = head_dim(written, defaults, hidden_size, heads)?;
    let count = written.known_size("num_hidden_layers", Some(defaults.num_hidden_layers))?;
    let num_hidden_layers = within("num_hidden_layers", count, MOST_LAYERS)?;
    let max_length = written.known_size("max_position_embeddings", Some(defaults.max_position_embeddings))?;
    let ropes = rope::ropes(&written, defaults, head_dim, max_length)?;
    let layers = layers::layers(&written, defaults, num_hidden_layers, head_dim, ropes.len())?;
    let flag = |bias: &Bias| match bias {
        Bias::Never => Ok(false),
        Bias::Always => Ok(true),
        Bias::Key(key, default) => written.flag(key, *default),
    };
    let softcap = |key: &'static str, softcap: &Softcap| match softcap {
        Softcap::Never => Ok(None),
        Softcap::Key(default) => written.positive(key, *default).map(|cap| cap.map(|cap| cap as f32)),
    };
    let multiplier = |key: &'static str| -> Result<f32> {
        match defaults.multipliers {
            true => Ok(written.real(key, Some(1.0))?.unwrap_or(1.0) as f32),
            false => Ok(1.0),
        }
    };
    // These few stand outside where the language model's settings are kept apart; what stands outside wins.
    let outside = |key: &str| if map.contains_key(key) { outer } else { written };
    Ok(ModelConfig {
        file: origin.to_path_buf(),
        architecture: arch.class.to_string(),
        hidden_size,
        intermediate_size,
        vocab_size: written.known_size("vocab_size", Some(defaults.vocab_size))?,
        num_hidden_layers,
        num_attention_heads: heads,
        num_key_value_heads: key_value_heads,
        head_dim,
        norm_eps: written.real("norm_eps", Some(defaults.norm_eps))?.unwrap_or(defaults.norm_eps),
        hidden_act: activation(written.word("hidden_act")?.unwrap_or(defaults.hidden_act), arch.model_type)?,
        ropes,
        experts: experts(written, defaults, layers.iter().any(|layer| layer.experts))?,
        layers,
        max_length: Some(max_length),
        tie_word_embeddings: outside("tie_word_embeddings")
            .flag("tie_word_embeddings", defaults.tie_word_embeddings)?,
        attention_bias: flag(&defaults.attention_bias)?,
        attention_out_bias: flag(&defaults.attention_out_bias)?,
        mlp_bias: flag(&defaults.mlp_bias)?,
        attention_softcap: softcap("attn_logit_softcapping", &defaults.attention_softcap)?,
        final_softcap: softcap("final_logit_softcapping", &defaults.final_softcap)?,
        embedding_multiplier: multiplier("embedding_multiplier")?,
        residual_multiplier: multiplier("residual_multiplier")?,
        logits_scaling: match multiplier("logits_scaling")? {
            0.0 => return Err(Error::input("logits cannot be divided by 0").key("logits_scaling")),
            scaling => scaling,
        },
        parallel_residual: match defaults.parallel_residual {
            Some(default) => written.flag("use_parallel_residual", default)?,
            None => false,
        },
        bos_token_id: outside("bos_token_id").token_ids("bos_token_id", defaults.bos_token_id)?.first().copied(),
        eos_token_ids: outside("eos_token_id").token_ids("eos_token_id", defaults.eos_token_id)?,
        repetition_penalty: None,
        dtype: dtype(outer)?.or(dtype(written)?),
        quantization_config: outer.value("quantization_config").cloned(),
        has_generation_config: false,
        notices: notice.into_iter().collect(),
    })
}

fn refuse_unsupported(written: Written) -> Result<()> {
    let off = |value: Option<&Value>| matches!(value, None | Some(Value::Bool(false)));
    if !off(written.value("use_bidirectional_attention")) {
        return Err(Error::input("bidirectional attention is not supported").key("use_bidirectional_attention"));
    }
    if !off(written.value("add_cross_attention")) {
        return Err(Error::input("cross-attention is not supported").key("add_cross_attention"));
    }
    Ok(())
}

/// Attention heads and key-value heads.
fn heads(written: Written, defaults: &Defaults) -> Result<(usize, usize)> {
    let heads = written.known_size("num_attention_heads", Some(defaults.num_attention_heads))?;
    let key_value_heads = match defaults.key_value_heads {
        KeyValueHeads::AllHeads => heads,
        KeyValueHeads::Key(default) => written.size("num_key_value_heads", default)?.unwrap_or(heads),
    };
    if !heads.is_multiple_of(key_value_heads) {
        return Err(Error::input(format!(
            "{heads} attention heads cannot share {key_value_heads} key-value heads evenly"
        ))
        .key("num_key_value_heads"));
    }
    Ok((heads, key_value_heads))
}

fn head_dim(written: Written, defaults: &Defaults, hidden_size: usize, heads: usize) -> Result<usize> {
    let given = match defaults.head_dim {
        HeadDim::Shared if hidden_size.is_multiple_of(heads) => None,
        HeadDim::Shared => {
            return Err(Error::input(format!("{heads} heads cannot share a width of {hidden_size} evenly"))
                .key("num_attention_heads"));
        }
        HeadDim::Key(default) => written.size("head_dim", default)?,
    };
    let head_dim = within("head_dim", given.unwrap_or(hidden_size / heads), WIDEST_HEAD)?;
    if defaults.rope.is_some() && !head_dim.is_multiple_of(2) {
        return Err(Error::input(format!("rotary embedding needs an even head width, not {head_dim}")).key("head_dim"));
    }
    Ok(head_dim)
}

/// The settings of mixtures of experts, if some layer has one.
fn experts(written: Written, defaults: &Defaults, used: bool) -> Result<Option<ExpertsConfig>> {
    let Some(defaults) = defaults.experts.as_ref().filter(|_| used) else { return Ok(None) };
    // The same thing has two names.
    let local = written.size("num_local_experts", None)?;
    let num_experts = written.size("num_experts", local.or(Some(defaults.num_experts)))?;
    let num_experts = within("num_experts", num_experts.unwrap_or(defaults.num_experts), MOST_EXPERTS)?;
    let per_tok = written.known_size("num_experts_per_tok", Some(defaults.num_experts_per_tok))?;
    if per_tok > num_experts {
        return Err(
            Error::input(format!("a token cannot take {per_tok} of {num_experts} experts")).key("num_experts_per_tok")
        );
    }
    let (key, width) = defaults.intermediate_size;
    Ok(Some(ExpertsConfig {
        num_experts,
        num_experts_per_tok: per_tok,
        intermediate_size: written.known_size(key, Some(width))?,
        normalised: defaults.always_normalised || written.flag("norm_topk_prob", false)?,
    }))
}

/// The activation of a name; Gemma's first configurations say `gelu` and mean the tanh approximation.
fn activation(name: &str, model_type: &str) -> Result<Activation> {
    Ok(match name {
        "gelu" if model_type == "gemma" => Activation::GeluTanh,
        "silu" | "swish" => Activation::Silu,
        "gelu" | "gelu_python" => Activation::Gelu,
        "gelu_new" | "gelu_pytorch_tanh" | "gelu_python_tanh" | "gelu_fast" | "gelu_accurate" => Activation::GeluTanh,
        "quick_gelu" => Activation::QuickGelu,
        "relu" => Activation::Relu,
        "relu2" => Activation::Relu2,
        other => {
            let other: String = other.chars().take(40).collect();
            return Err(Error::input(format!("the activation `{other}` is not supported"))
                .key("hidden_act")
                .hint("supported are silu, gelu, gelu_new, gelu_pytorch_tanh, quick_gelu, relu and relu2"));
        }
    })
}

fn dtype(written: Written) -> Result<Option<String>> {
    let name = written.word("dtype")?.or(written.word("torch_dtype")?);
    Ok(name.map(|name| name.trim_start_matches("torch.").to_string()))
}
