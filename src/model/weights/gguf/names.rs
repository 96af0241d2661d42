//! Names of tensors: those of llama.cpp to those of Hugging Face checkpoints, with what the converter did to the values.
//!
//! Comes in: a family and the tensors of a file. Goes out: for each Hugging Face name, where its values lie and how they are
//! brought back into their order. Never: bytes.
//!
//! The tables follow `gguf-py/gguf/tensor_mapping.py`, the changes `convert_hf_to_gguf.py` and its `conversion/` of llama.cpp.

use super::header::Entry;
use crate::error::{Error, Result};
use std::collections::HashMap;

/// What llama.cpp's converter did to the rows of a tensor, to be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Nothing.
    Kept,
    /// In each head, the rows of the two halves stand by turns, so that rotary pairs are neighbours.
    Rotary { heads: usize },
    /// All queries, all keys, all values, where the checkpoint has the three of each head together.
    ApartByKind { heads: usize },
}

impl Order {
    /// For each row of the checkpoint, the row of the file; `None` where they are the same. An error says why they cannot be.
    pub fn rows(self, rows: usize) -> Result<Option<Vec<usize>>, String> {
        let (parts, heads) = match self {
            Order::Kept => return Ok(None),
            Order::Rotary { heads } => (2, heads),
            Order::ApartByKind { heads } => (3, heads),
        };
        if heads == 0 || !rows.is_multiple_of(parts * heads) {
            return Err(format!("{rows} rows cannot be those of {heads} heads"));
        }
        let width = rows / heads / parts;
        let place = |row: usize| {
            let (head, part, at) = (row / (parts * width), row / width % parts, row % width);
            match self {
                Order::Rotary { .. } => (head * width + at) * parts + part,
                _ => (part * heads + head) * width + at,
            }
        };
        Ok(Some((0..rows).map(place).collect()))
    }
}

/// Where the values of a Hugging Face tensor lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The tensor in the file.
    pub tensor: usize,
    /// Of a stack of experts, the one whose matrix this is.
    pub expert: Option<usize>,
    pub order: Order,
    /// The converter added one to each value.
    pub from_one: bool,
}

/// A family as GGUF names it.
pub struct Family {
    /// `general.architecture`.
    pub name: &'static str,
    /// Prefix of a layer's tensors; the number follows.
    layers: &'static str,
    /// Tensors of the whole model.
    model: &'static [(&'static str, &'static str)],
    /// Tensors of each layer.
    layer: &'static [(&'static str, &'static str)],
    /// Rows of queries and keys were put in the order of rotary pairs.
    rotary_pairs: bool,
    /// One was added to the weights of norms.
    norms_from_one: bool,
    /// The fused matrix of queries, keys and values was taken apart by kind.
    apart_by_kind: bool,
}

const MODEL: &[(&str, &str)] =
    &[("token_embd", "model.embed_tokens"), ("output_norm", "model.norm"), ("output", "lm_head")];

/// What Llama began and most families kept.
const LAYER: &[(&str, &str)] = &[
    ("attn_norm", "input_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("attn_q_norm", "self_attn.q_norm"),
    ("attn_k_norm", "self_attn.k_norm"),
    ("ffn_norm", "post_attention_layernorm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
    ("ffn_gate_inp", "mlp.gate"),
    ("ffn_gate_exps", "mlp.experts.*.gate_proj"),
    ("ffn_up_exps", "mlp.experts.*.up_proj"),
    ("ffn_down_exps", "mlp.experts.*.down_proj"),
];

const MIXTRAL_LAYER: &[(&str, &str)] = &[
    ("attn_norm", "input_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("ffn_norm", "post_attention_layernorm"),
    ("ffn_gate_inp", "block_sparse_moe.gate"),
    ("ffn_gate_exps", "block_sparse_moe.experts.*.w1"),
    ("ffn_down_exps", "block_sparse_moe.experts.*.w2"),
    ("ffn_up_exps", "block_sparse_moe.experts.*.w3"),
    // Files of 2023 have a tensor for each expert.
    ("ffn_gate.*", "block_sparse_moe.experts.*.w1"),
    ("ffn_down.*", "block_sparse_moe.experts.*.w2"),
    ("ffn_up.*", "block_sparse_moe.experts.*.w3"),
];

/// Norms before and behind attention and MLP, or only behind.
const POST_NORM_LAYER: &[(&str, &str)] = &[
    ("attn_norm", "input_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("attn_q_norm", "self_attn.q_norm"),
    ("attn_k_norm", "self_attn.k_norm"),
    ("post_attention_norm", "post_attention_layernorm"),
    ("ffn_norm", "pre_feedforward_layernorm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
    ("post_ffw_norm", "post_feedforward_layernorm"),
];

const PHI3_LAYER: &[(&str, &str)] = &[
    ("attn_norm", "input_layernorm"),
    ("attn_qkv", "self_attn.qkv_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("ffn_norm", "post_attention_layernorm"),
    ("ffn_up", "mlp.gate_up_proj"),
    ("ffn_down", "mlp.down_proj"),
];

const GPT2_MODEL: &[(&str, &str)] = &[
    ("token_embd", "transformer.wte"),
    ("position_embd", "transformer.wpe"),
    ("output_norm", "transformer.ln_f"),
    ("output", "lm_head"),
];

const GPT2_LAYER: &[(&str, &str)] = &[
    ("attn_norm", "ln_1"),
    ("attn_qkv", "attn.c_attn"),
    ("attn_output", "attn.c_proj"),
    ("ffn_norm", "ln_2"),
    ("ffn_up", "mlp.c_fc"),
    ("ffn_down", "mlp.c_proj"),
];

const NEOX_MODEL: &[(&str, &str)] =
    &[("token_embd", "gpt_neox.embed_in"), ("output_norm", "gpt_neox.final_layer_norm"), ("output", "embed_out")];

const NEOX_LAYER: &[(&str, &str)] = &[
    ("attn_norm", "input_layernorm"),
    ("attn_qkv", "attention.query_key_value"),
    ("attn_output", "attention.dense"),
    ("ffn_norm", "post_attention_layernorm"),
    ("ffn_up", "mlp.dense_h_to_4h"),
    ("ffn_down", "mlp.dense_4h_to_h"),
];

const BASE: Family = Family {
    name: "",
    layers: "model.layers",
    model: MODEL,
    layer: LAYER,
    rotary_pairs: false,
    norms_from_one: false,
    apart_by_kind: false,
};

/// All families, by the names of `general.architecture`. A new one is a row here and one in `config.rs`.
pub const FAMILIES: &[Family] = &[
    Family { name: "llama", rotary_pairs: true, ..BASE },
    Family { name: "granite", rotary_pairs: true, ..BASE },
    Family { name: "smollm3", rotary_pairs: true, ..BASE },
    Family { name: "qwen2", ..BASE },
    Family { name: "qwen3", ..BASE },
    Family { name: "qwen3moe", ..BASE },
    Family { name: "gemma", norms_from_one: true, ..BASE },
    Family { name: "gemma2", layer: POST_NORM_LAYER, norms_from_one: true, ..BASE },
    Family { name: "gemma3", layer: POST_NORM_LAYER, norms_from_one: true, ..BASE },
    Family { name: "olmo2", layer: POST_NORM_LAYER, ..BASE },
    Family { name: "phi3", layer: PHI3_LAYER, ..BASE },
    Family { name: "gpt2", layers: "transformer.h", model: GPT2_MODEL, layer: GPT2_LAYER, ..BASE },
    Family {
        name: "gptneox",
        layers: "gpt_neox.layers",
        model: NEOX_MODEL,
        layer: NEOX_LAYER,
        apart_by_kind: true,
        ..BASE
    },
];

/// Mixtures of experts under Llama's name have Mixtral's names.
const MIXTRAL: Family = Family { layer: MIXTRAL_LAYER, rotary_pairs: true, ..BASE };

/// Tensors that belong to the configuration: factors of rotary frequencies.
pub const ROPE_FACTORS: &str = "rope_freqs.weight";
pub const ROPE_FACTORS_LONG: &str = "rope_factors_long.weight";
pub const ROPE_FACTORS_SHORT: &str = "rope_factors_short.weight";

/// The row of a family in [`FAMILIES`].
pub fn family(name: &str) -> Result<&'static Family> {
    FAMILIES.iter().find(|family| family.name == name).ok_or_else(|| {
        let known: Vec<&str> = FAMILIES.iter().map(|family| family.name).collect();
        Error::input(format!("the architecture `{}` is not supported", super::header::shown(name)))
            .key("general.architecture")
            .hint(format!("supported are {}", known.join(", ")))
    })
}

/// Heads of the model, which rows are ordered by.
#[derive(Debug, Clone, Copy)]
pub struct Heads {
    pub queries: usize,
    pub keys: usize,
}

/// For each Hugging Face name, where its values lie. Tensors that the family does not know keep their own names.
pub fn sources(family: &Family, heads: Heads, tensors: &[Entry]) -> Result<HashMap<String, Source>> {
    let experts = tensors.iter().any(|t| t.name.contains("ffn_gate_inp"));
    let family = if family.name == "llama" && experts { &MIXTRAL } else { family };
    let mut sources = HashMap::new();
    for (at, tensor) in tensors.iter().enumerate() {
        if is_rope(&tensor.name) {
            continue;
        }
        let (name, source) = source(family, heads, at, &tensor.name);
        if let Some((before, after)) = name.split_once('*') {
            let stack = stack_size(tensor)?;
            for expert in 0..stack {
                let source = Source { expert: Some(expert), ..source.clone() };
                add(&mut sources, format!("{before}{expert}{after}"), source, tensor)?;
            }
        } else {
            add(&mut sources, name, source, tensor)?;
        }
    }
    Ok(sources)
}

/// No model has more tensors, those of experts counted one by one.
const MOST_TENSORS: usize = 1 << 18;

fn add(sources: &mut HashMap<String, Source>, name: String, source: Source, tensor: &Entry) -> Result<()> {
    if sources.len() >= MOST_TENSORS {
        return Err(Error::input("the file has more tensors than any model"));
    }
    match sources.insert(name.clone(), source) {
        None => Ok(()),
        Some(_) => {
            Err(Error::input(format!("is a second tensor for `{name}`")).key(super::header::shown(&tensor.name)))
        }
    }
}

/// Experts of a stack `[experts, outs, ins]`.
fn stack_size(tensor: &Entry) -> Result<usize> {
    /// No model has more; names are made for each.
    const MOST_EXPERTS: usize = 4096;
    match tensor.shape[..] {
        [experts, _, _] if experts <= MOST_EXPERTS => Ok(experts),
        _ => Err(Error::input(format!("should be a stack of experts, its shape is {:?}", tensor.shape))
            .key(super::header::shown(&tensor.name))),
    }
}

/// Frequencies, in some files for each layer, are no weights.
fn is_rope(name: &str) -> bool {
    [ROPE_FACTORS, ROPE_FACTORS_LONG, ROPE_FACTORS_SHORT].contains(&name)
        || [".rope_freqs.weight", ".attn_rot_embd.weight", ".rope_factors_long.weight", ".rope_factors_short.weight"]
            .iter()
            .any(|end| name.ends_with(end))
}

/// The Hugging Face name of a tensor, `*` for the number of an expert in a stack, and what is to be undone.
fn source(family: &Family, heads: Heads, tensor: usize, name: &str) -> (String, Source) {
    let mut source = Source { tensor, expert: None, order: Order::Kept, from_one: false };
    let Some((stem, kind)) = name.rsplit_once('.').filter(|(_, kind)| ["weight", "bias"].contains(kind)) else {
        return (name.to_string(), source);
    };
    source.from_one = family.norms_from_one && stem.ends_with("norm") && kind == "weight";
    let Some((layer, part)) = stem.strip_prefix("blk.").and_then(|rest| rest.split_once('.')) else {
        let row = family.model.iter().find(|(own, _)| *own == stem);
        return (row.map_or(name.to_string(), |(_, theirs)| format!("{theirs}.{kind}")), source);
    };
    // A tensor for each expert: its number takes the place of the star in the table's name.
    let (row, expert) = match part.split_once('.').filter(|(_, expert)| is_number(expert)) {
        Some((part, expert)) => (format!("{part}.*"), Some(expert)),
        None => (part.to_string(), None),
    };
    let Some((_, theirs)) = family.layer.iter().find(|(own, _)| *own == row).filter(|_| is_number(layer)) else {
        return (name.to_string(), source);
    };
    source.order = match part {
        "attn_q" if family.rotary_pairs => Order::Rotary { heads: heads.queries },
        "attn_k" if family.rotary_pairs => Order::Rotary { heads: heads.keys },
        "attn_qkv" if family.apart_by_kind => Order::ApartByKind { heads: heads.queries },
        _ => Order::Kept,
    };
    let theirs = expert.map_or(theirs.to_string(), |expert| theirs.replace('*', expert));
    (format!("{}.{layer}.{theirs}.{kind}", family.layers), source)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.len() <= 5 && text.bytes().all(|b| b.is_ascii_digit())
}
