//! Rotary positions of a GGUF header in the words of transformers 5.
//!
//! Comes in: `<family>.rope.*` and the factors that stand among the tensors. Goes out: `rope_parameters`. Never: angles.

use super::config::Reader;
use super::header;
use super::names::{ROPE_FACTORS, ROPE_FACTORS_LONG, ROPE_FACTORS_SHORT};
use crate::error::Result;
use serde_json::{Map, Value, json};

/// The object `rope_parameters` of a `config.json`.
pub fn parameters(reader: &Reader<'_>) -> Result<Value> {
    let mut rope = Map::new();
    rope.insert("rope_theta".into(), json!(reader.number("rope.freq_base")?.unwrap_or(10_000.0)));
    let turning = reader.count("rope.dimension_count")?.unwrap_or(reader.head_dim);
    if turning != reader.head_dim {
        rope.insert("partial_rotary_factor".into(), json!(part(turning, reader.head_dim)));
    }
    let name = scaling(reader, &mut rope)?;
    rope.insert("rope_type".into(), json!(name));
    Ok(rope.into())
}

/// The factor that gives `turning` of `width` channels when the product is cut to a whole number.
fn part(turning: usize, width: usize) -> f64 {
    let factor = turning as f64 / width as f64;
    if (factor * width as f64) as usize == turning { factor } else { factor.next_up() }
}

/// Fills in how frequencies are stretched and returns the type's name.
fn scaling(reader: &Reader<'_>, rope: &mut Map<String, Value>) -> Result<&'static str> {
    let gguf = reader.gguf;
    if reader.has(ROPE_FACTORS_LONG) || reader.has(ROPE_FACTORS_SHORT) {
        rope.insert("long_factor".into(), json!(gguf.plain(ROPE_FACTORS_LONG)?));
        rope.insert("short_factor".into(), json!(gguf.plain(ROPE_FACTORS_SHORT)?));
        rope.insert("attention_factor".into(), json!(reader.positive("rope.scaling.attn_factor")?));
        if let Some(original) = reader.count("rope.scaling.original_context_length")? {
            rope.insert("original_max_position_embeddings".into(), json!(original));
        }
        return Ok("longrope");
    }
    if reader.has(ROPE_FACTORS) {
        // The converter replaced Llama 3's three numbers by what they make of each frequency. That is a long rope whose factors
        // are the same for short and long sequences.
        let factors = json!(gguf.plain(ROPE_FACTORS)?);
        rope.insert("long_factor".into(), factors.clone());
        rope.insert("short_factor".into(), factors);
        rope.insert("attention_factor".into(), json!(1.0));
        return Ok("longrope");
    }
    let factor = match reader.positive("rope.scaling.factor")? {
        Some(factor) => Some(factor),
        None => reader.positive("rope.scale_linear")?,
    };
    let name = gguf.metadata().text(&reader.key("rope.scaling.type"))?.unwrap_or("linear");
    match (name, factor) {
        ("none", _) | ("linear" | "yarn" | "longrope", None) => Ok("default"),
        ("linear", Some(1.0)) => Ok("default"),
        ("linear", Some(factor)) => {
            rope.insert("factor".into(), json!(factor));
            Ok("linear")
        }
        ("yarn", Some(factor)) => {
            rope.insert("factor".into(), json!(factor));
            if let Some(original) = reader.count("rope.scaling.original_context_length")? {
                rope.insert("original_max_position_embeddings".into(), json!(original));
            }
            for (theirs, own) in [
                ("attention_factor", "yarn_attn_factor"),
                ("beta_fast", "yarn_beta_fast"),
                ("beta_slow", "yarn_beta_slow"),
            ] {
                if let Some(value) = reader.positive(&format!("rope.scaling.{own}"))? {
                    rope.insert(theirs.into(), json!(value));
                }
            }
            Ok("yarn")
        }
        (other, _) => Err(reader
            .error("rope.scaling.type", format!("the rope scaling `{}` is not supported", header::shown(other)))
            .hint("supported are none, linear, yarn, and factors for each frequency")),
    }
}
