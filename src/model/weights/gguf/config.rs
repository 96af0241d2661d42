//! The header of a GGUF file as the `config.json` that transformers would have written for the model.
//!
//! Comes in: metadata and the names and shapes of tensors. Goes out: a JSON object in the spelling of transformers 5, for the one
//! reader of configurations. Never: what a value means for a model.
//!
//! Keys that the header lacks are written as `null` where transformers' default for a missing key would be wrong.

use super::{Gguf, header, rope, tokenizer};
use crate::error::{Error, Result};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// A family as transformers names it.
struct Class {
    /// `general.architecture`.
    gguf: &'static str,
    class: &'static str,
    model_type: &'static str,
    hidden_act: &'static str,
    /// Transformers' key for the epsilon of norms.
    norm_eps: &'static str,
    /// What only this family has.
    own: fn(&Reader<'_>, &mut Map<String, Value>) -> Result<()>,
}

const RMS: &str = "rms_norm_eps";

const CLASSES: &[Class] = &[
    row("llama", "LlamaForCausalLM", "llama", "silu", RMS, llama),
    row("granite", "GraniteForCausalLM", "granite", "silu", RMS, granite),
    row("smollm3", "SmolLM3ForCausalLM", "smollm3", "silu", RMS, smollm3),
    row("qwen2", "Qwen2ForCausalLM", "qwen2", "silu", RMS, qwen),
    row("qwen3", "Qwen3ForCausalLM", "qwen3", "silu", RMS, qwen),
    row("qwen3moe", "Qwen3MoeForCausalLM", "qwen3_moe", "silu", RMS, qwen3_moe),
    row("gemma", "GemmaForCausalLM", "gemma", "gelu_pytorch_tanh", RMS, |_, _| Ok(())),
    row("gemma2", "Gemma2ForCausalLM", "gemma2", "gelu_pytorch_tanh", RMS, gemma2),
    row("gemma3", "Gemma3ForCausalLM", "gemma3_text", "gelu_pytorch_tanh", RMS, gemma3),
    row("olmo2", "Olmo2ForCausalLM", "olmo2", "silu", RMS, olmo2),
    row("phi3", "Phi3ForCausalLM", "phi3", "silu", RMS, phi3),
    row("gpt2", "GPT2LMHeadModel", "gpt2", "gelu_new", "layer_norm_epsilon", gpt2),
    row("gptneox", "GPTNeoXForCausalLM", "gpt_neox", "gelu", "layer_norm_eps", gpt_neox),
];

const fn row(
    gguf: &'static str,
    class: &'static str,
    model_type: &'static str,
    hidden_act: &'static str,
    norm_eps: &'static str,
    own: fn(&Reader<'_>, &mut Map<String, Value>) -> Result<()>,
) -> Class {
    Class { gguf, class, model_type, hidden_act, norm_eps, own }
}

/// Reads metadata under the prefix of the architecture, and numbers that several keys are made of.
pub(super) struct Reader<'a> {
    pub gguf: &'a Gguf,
    prefix: &'a str,
    hidden_size: usize,
    layers: usize,
    heads: usize,
    pub head_dim: usize,
}

impl<'a> Reader<'a> {
    fn new(gguf: &'a Gguf) -> Result<Reader<'a>> {
        let mut reader = Reader { gguf, prefix: gguf.architecture(), hidden_size: 0, layers: 0, heads: 0, head_dim: 0 };
        reader.hidden_size = reader.needed("embedding_length")?;
        reader.layers = reader.needed("block_count")?;
        reader.heads = reader.needed("attention.head_count")?;
        let shared = reader.hidden_size.checked_div(reader.heads).unwrap_or(0);
        reader.head_dim = reader.count("attention.key_length")?.unwrap_or(shared);
        if reader.head_dim == 0 {
            return Err(reader.error("attention.head_count", "is not a possible number of heads"));
        }
        if reader.count("attention.value_length")?.is_some_and(|width| width != reader.head_dim) {
            return Err(reader.error("attention.value_length", "values that are not as wide as keys are not supported"));
        }
        Ok(reader)
    }

    pub fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.prefix)
    }

    pub fn error(&self, key: &str, message: impl Into<String>) -> Error {
        self.gguf.metadata().error(&self.key(key), message)
    }

    /// A whole number; of a list with one for each layer, the one that all layers have.
    pub fn count(&self, key: &str) -> Result<Option<usize>> {
        let name = self.key(key);
        if !self.gguf.metadata().is_list(&name) {
            return self.gguf.metadata().count(&name);
        }
        let list = self.gguf.metadata().numbers(&name)?.unwrap_or_default();
        let same = list.first().copied().filter(|first| list.iter().all(|value| value == first));
        let same = same.filter(|value| *value >= 0.0 && value.fract() == 0.0);
        same.map(|value| Some(value as usize))
            .ok_or_else(|| self.error(key, "differs from layer to layer, which is not supported"))
    }

    fn needed(&self, key: &str) -> Result<usize> {
        self.count(key)?.ok_or_else(|| self.error(key, "is missing").hint(header::DAMAGED))
    }

    pub fn number(&self, key: &str) -> Result<Option<f64>> {
        self.gguf.metadata().number(&self.key(key))
    }

    /// A number of which 0 means the same as nothing.
    pub fn positive(&self, key: &str) -> Result<Option<f64>> {
        Ok(self.number(key)?.filter(|value| *value != 0.0))
    }

    pub fn has(&self, tensor: &str) -> bool {
        self.gguf.entry(tensor).is_some()
    }

    /// The window of attention, where there is one.
    fn window(&self) -> Result<Option<usize>> {
        Ok(self.count("attention.sliding_window")?.filter(|window| *window > 0))
    }

    /// Layers that see only a window: as listed, else all but every `pattern`-th.
    fn layer_types(&self, pattern: usize) -> Result<Vec<&'static str>> {
        let key = "attention.sliding_window_pattern";
        let name = |sliding: bool| if sliding { "sliding_attention" } else { "full_attention" };
        if self.gguf.metadata().is_list(&self.key(key)) {
            let list = self.gguf.metadata().numbers(&self.key(key))?.unwrap_or_default();
            if list.len() != self.layers {
                return Err(self.error(key, format!("has {} entries for {} layers", list.len(), self.layers)));
            }
            return Ok(list.into_iter().map(|sliding| name(sliding != 0.0)).collect());
        }
        let pattern = self.count(key)?.unwrap_or(pattern);
        // No model has more layers; the list is as long.
        if self.layers > 65_536 || pattern == 0 {
            return Err(self.error(key, "cannot be applied to the layers"));
        }
        Ok((1..=self.layers).map(|layer| name(!layer.is_multiple_of(pattern))).collect())
    }
}

/// The model's `config.json`. Errors name the file and the key.
pub fn config_json(gguf: &Gguf) -> Result<Map<String, Value>> {
    let class = CLASSES.iter().find(|class| class.gguf == gguf.architecture());
    let class = class.ok_or_else(|| gguf.metadata().error("general.architecture", "is not supported"))?;
    let reader = Reader::new(gguf)?;
    if gguf.metadata().flag(&reader.key("attention.causal"))? == Some(false) {
        return Err(reader.error("attention.causal", "models that see what follows are not supported"));
    }
    let key_value_heads = reader.count("attention.head_count_kv")?.unwrap_or(reader.heads);
    let eps = if class.norm_eps == RMS { "attention.layer_norm_rms_epsilon" } else { "attention.layer_norm_epsilon" };
    let eps = reader.number(eps)?.ok_or_else(|| reader.error(eps, "is missing").hint(header::DAMAGED))?;
    let mut map = Map::new();
    let mut put = |key: &str, value: Value| {
        map.insert(key.to_string(), value);
    };
    put("architectures", json!([class.class]));
    put("model_type", json!(class.model_type));
    put("hidden_size", json!(reader.hidden_size));
    put("intermediate_size", json!(reader.needed("feed_forward_length")?));
    put("num_hidden_layers", json!(reader.layers));
    put("num_attention_heads", json!(reader.heads));
    put("num_key_value_heads", json!(key_value_heads));
    put("head_dim", json!(reader.head_dim));
    put("vocab_size", json!(vocabulary(&reader)?));
    put("max_position_embeddings", json!(reader.needed("context_length")?));
    put("hidden_act", json!(class.hidden_act));
    put(class.norm_eps, json!(eps));
    put("rope_parameters", rope::parameters(&reader)?);
    put("sliding_window", Value::Null);
    put("attention_bias", json!(["attn_q.bias", "attn_qkv.bias"].iter().any(|t| reader.has(&format!("blk.0.{t}")))));
    put("mlp_bias", json!(reader.has("blk.0.ffn_up.bias")));
    put("tie_word_embeddings", json!(!reader.has("output.weight")));
    for (key, value) in special_tokens(gguf)? {
        put(key, value);
    }
    (class.own)(&reader, &mut map)?;
    Ok(map)
}

/// The model's vocabulary has as many tokens as the embedding has rows.
fn vocabulary(reader: &Reader<'_>) -> Result<usize> {
    let rows = reader.gguf.entry("token_embd.weight").map(|entry| entry.rows().0);
    match rows.or(reader.count("vocab_size")?) {
        Some(rows) => Ok(rows),
        None => {
            Err(reader.error("vocab_size", "is missing, and there is no `token_embd.weight`").hint(header::DAMAGED))
        }
    }
}

/// Ids of tokens that begin and end texts and fill them up. What ends a turn by its own text ends a text whatever the header names.
fn special_tokens(gguf: &Gguf) -> Result<[(&'static str, Value); 3]> {
    let id = |name: &str| gguf.metadata().count(&format!("tokenizer.ggml.{name}_token_id"));
    // llama.cpp's defaults for SentencePiece.
    let sentencepiece = gguf.metadata().text("tokenizer.ggml.model")? == Some("llama");
    let default = |id: usize| sentencepiece.then_some(id);
    let mut ends = Vec::new();
    let named = [id("eos")?.or(default(2)), id("eot")?, id("eom")?];
    let texts = gguf.metadata().texts("tokenizer.ggml.tokens")?.unwrap_or_default();
    let texts: HashMap<&str, u32> = texts.into_iter().zip(0..).collect();
    let by_text = tokenizer::ends(|text| texts.get(text).copied()).map(|id| id as usize);
    for id in named.into_iter().flatten().chain(by_text) {
        if !ends.contains(&id) {
            ends.push(id);
        }
    }
    let ends = if ends.is_empty() { Value::Null } else { json!(ends) };
    Ok([
        ("bos_token_id", json!(id("bos")?.or(default(1)))),
        ("eos_token_id", ends),
        ("pad_token_id", json!(id("padding")?)),
    ])
}

fn llama(reader: &Reader<'_>, map: &mut Map<String, Value>) -> Result<()> {
    let mut name = |class: &str, model_type: &str| {
        map.insert("architectures".into(), json!([class]));
        map.insert("model_type".into(), json!(model_type));
    };
    let window = reader.window()?;
    if reader.count("expert_count")?.is_some_and(|experts| experts > 0) {
        name("MixtralForCausalLM", "mixtral");
        map.insert("num_local_experts".into(), json!(reader.needed("expert_count")?));
        map.insert("num_experts_per_tok".into(), json!(reader.needed("expert_used_count")?));
    } else if window.is_some() {
        name("MistralForCausalLM", "mistral");
    }
    map.insert("sliding_window".into(), json!(window));
    Ok(())
}

fn granite(reader: &Reader<'_>, map: &mut Map<String, Value>) -> Result<()> {
    let scale = reader.positive("attention.scale")?.unwrap_or((reader.head_dim as f64).powf(-0.5));
    map.insert("attention_multiplier".into(), json!(scale));
    for (theirs, own) in [
        ("embedding_multiplier", "embedding_scale"),
        ("residual_multiplier", "residual_scale"),
        ("logits_scaling", "logit_scale"),
    ] {
        map.insert(theirs.into(), json!(reader.positive(own)?.unwrap_or(1.0)));
    }
    Ok(())
}

fn smollm3(_: &Reader<'_>, map: &mut Map<String, Value>) -> Result<()> {
    // llama.cpp takes it for granted.
    map.insert("no_rope_layer_interval".into(), json!(4));
    map.insert("use_sliding_window".into(), json!(false));
    Ok(())
}

fn qwen(_: &Reader<'_>, map: &mut Map<String, Value>) -> Result<()> {
    map.insert("use_sliding_window".into(), json!(false));
    Ok(())
}

fn qwen3_moe(reader: &Reader<'_>, map: &mut Map<String, Value>) -> Result<()> {
    map.insert("use_sliding_window".into(), json!(false));
    map.insert("num_experts".into(), json!(reader.needed("expert_count")?));
    map.insert("num_experts_per_tok".into(), json!(reader.needed("expert_used_count")?));
    let width = match reader.count("expert_feed_forward_length")? {
        Some(width) => width,
        // Early files lack the key: the matrices of experts are [experts, width, hidden].
        None => match reader.gguf.entry("blk.0.ffn_gate_exps.weight").map(|entry| &entry.shape[..]) {
            Some([_, width, _]) => *width,
            _ => return Err(reader.error("expert_feed_forward_length", "is missing").hint(header::DAMAGED)),
        },
    };
    map.insert("moe_intermediate_size".into(), json!(width));
    // llama.cpp takes it for granted.
    map.insert("norm_topk_prob".into(), json!(true));
    map.insert("decoder_sparse_step".into(), json!(1));
    let dense = |layer: &usize| reader.has(&format!("blk.{layer}.ffn_gate.weight"));
    let dense: Vec<usize> = (0..reader.layers.min(65_536)).filter(dense).collect();
    map.insert("mlp_only_layers".into(), json!(dense));
    Ok(())
}

/// What scores are divided by the root of: the width of heads, but in the largest model, which llama.cpp knows by its layers.
fn query_scalar(reader: &Reader<'_>, layers_of_largest: usize) -> Result<Value> {
    Ok(match reader.positive("attention.scale")? {
        Some(scale) => json!(scale.powi(-2)),
        None if reader.layers == layers_of_largest => json!(reader.hidden_size / reader.heads),
        None => json!(reader.head_dim),
    })
}

fn gemma2(reader: &Reader<'_>, map: &mut Map<String, Value>) -> Result<()> {
    map.insert("query_pre_attn_scalar".into(), query_scalar(reader, 46)?);
    map.insert("sliding_window".into(), json!(reader.window()?.unwrap_or(4096)));
    map.insert("layer_types".into(), json!(reader.layer_types(2)?));
    for (key, default) in [("attn_logit_softcapping", 50.0), ("final_logit_softcapping", 30.0)] {
        map.insert(key.into(), json!(reader.number(key)?.unwrap_or(default)));
    }
    Ok(())
}

fn gemma3(reader: &Reader<'_>, map: &mut Map<String, Value>) -> Result<()> {
    map.insert("query_pre_attn_scalar".into(), query_scalar(reader, 62)?);
    map.insert("final_logit_softcapping".into(), json!(reader.positive("final_logit_softcapping")?));
    let window = reader.window()?;
    map.insert("sliding_window".into(), json!(window));
    let types = match window {
        Some(_) => reader.layer_types(6)?,
        None => vec!["full_attention"; reader.layers.min(65_536)],
    };
    map.insert("layer_types".into(), json!(types));
    // Layers with a window have a rope of their own, which is never stretched.
    let local = json!({"rope_theta": reader.number("rope.freq_base_swa")?.unwrap_or(10_000.0), "rope_type": "default"});
    let full = map.remove("rope_parameters");
    map.insert("rope_parameters".into(), json!({"full_attention": full, "sliding_attention": local}));
    Ok(())
}

fn olmo2(reader: &Reader<'_>, map: &mut Map<String, Value>) -> Result<()> {
    if let Some(window) = reader.window()? {
        // OLMo 3 goes by the same name and has windows.
        map.insert("architectures".into(), json!(["Olmo3ForCausalLM"]));
        map.insert("model_type".into(), json!("olmo3"));
        map.insert("sliding_window".into(), json!(window));
        map.insert("layer_types".into(), json!(reader.layer_types(4)?));
    }
    Ok(())
}

fn phi3(reader: &Reader<'_>, map: &mut Map<String, Value>) -> Result<()> {
    map.insert("sliding_window".into(), json!(reader.window()?));
    let original = match reader.count("rope.scaling.original_context_length")? {
        Some(original) => original,
        None => reader.needed("context_length")?,
    };
    map.insert("original_max_position_embeddings".into(), json!(original));
    Ok(())
}

fn gpt2(reader: &Reader<'_>, map: &mut Map<String, Value>) -> Result<()> {
    for (common, own) in [
        ("hidden_size", "n_embd"),
        ("num_hidden_layers", "n_layer"),
        ("num_attention_heads", "n_head"),
        ("max_position_embeddings", "n_positions"),
        ("intermediate_size", "n_inner"),
        ("hidden_act", "activation_function"),
    ] {
        let value = map.remove(common).unwrap_or_default();
        map.insert(own.into(), value);
    }
    for other in ["rope_parameters", "sliding_window", "num_key_value_heads", "head_dim", "mlp_bias", "attention_bias"]
    {
        map.remove(other);
    }
    map.insert("n_ctx".into(), json!(reader.needed("context_length")?));
    Ok(())
}

fn gpt_neox(reader: &Reader<'_>, map: &mut Map<String, Value>) -> Result<()> {
    let parallel = reader.gguf.metadata().flag(&reader.key("use_parallel_residual"))?.unwrap_or(true);
    map.insert("use_parallel_residual".into(), json!(parallel));
    for other in ["sliding_window", "num_key_value_heads", "head_dim", "mlp_bias"] {
        map.remove(other);
    }
    Ok(())
}
