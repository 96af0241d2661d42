//! `quantization_config` of `config.json`, and the files that said the same before it: how a checkpoint claims to be quantised.
//!
//! Comes in: JSON. Goes out: what the tensors' own shapes do not say. Never: tensors.

use super::encoding::ENCODINGS;
use crate::error::{Error, Result};
use crate::model::config::{CONFIG, read_json};
use serde::Deserialize;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Files that hold the configuration of old checkpoints, and their method.
const OLD_FILES: &[(&str, &str)] = &[(OLD_GPTQ, "gptq"), (OLD_AWQ, "awq")];

pub const OLD_GPTQ: &str = "quantize_config.json";
pub const OLD_AWQ: &str = "quant_config.json";

/// What a checkpoint says about its quantisation.
#[derive(Debug, Clone)]
pub struct Quantization {
    pub file: PathBuf,
    /// `quant_method`
    pub method: String,
    /// Bits of a code.
    pub bits: Option<usize>,
    /// Inputs that share a scale; `None` for all of a row, or where nothing is said.
    pub group_size: Option<usize>,
    /// Zero points of GPTQ are stored as they are.
    pub gptq_v2: bool,
    /// GPTQ: levels lie evenly around zero, so that every zero point is the middle one.
    pub sym: Option<bool>,
    /// GPTQ: inputs were quantised in the order of their activations, so that groups are listed.
    pub desc_act: Option<bool>,
    /// AWQ: levels do not lie evenly around zero.
    pub zero_point: Option<bool>,
    /// Some matrices differ from the rest (GPTQModel's `dynamic`).
    pub dynamic: bool,
    pub llm_int8_threshold: Option<f32>,
    /// Outputs and inputs of fp8 blocks.
    pub weight_block_size: Option<(usize, usize)>,
}

#[derive(Deserialize)]
struct Config {
    quantization_config: Option<Value>,
    compression_config: Option<Value>,
}

/// The keys of all methods.
#[derive(Deserialize)]
struct Written {
    quant_method: Option<String>,
    #[serde(alias = "w_bit")]
    bits: Option<usize>,
    #[serde(alias = "q_group_size")]
    group_size: Option<i64>,
    checkpoint_format: Option<String>,
    sym: Option<bool>,
    desc_act: Option<bool>,
    zero_point: Option<bool>,
    dynamic: Option<Value>,
    version: Option<Value>,
    load_in_8bit: Option<bool>,
    load_in_4bit: Option<bool>,
    llm_int8_threshold: Option<f32>,
    weight_block_size: Option<(usize, usize)>,
    format: Option<String>,
    config_groups: Option<Value>,
}

/// Reads what the folder says; `None` for a checkpoint that claims to be plain.
pub fn read(dir: &Path) -> Result<Option<Quantization>> {
    let file = dir.join(CONFIG);
    if let Some(config) = read_json::<Config>(&file)? {
        let written = config.quantization_config.or(config.compression_config).filter(|value| !value.is_null());
        if let Some(written) = written {
            return parse(written, None, &file).map(Some).map_err(|e| e.file(&file).key("quantization_config"));
        }
    }
    for (name, method) in OLD_FILES {
        let file = dir.join(name);
        if let Some(written) = read_json::<Value>(&file)? {
            return parse(written, Some(method), &file).map(Some).map_err(|e| e.file(&file));
        }
    }
    Ok(None)
}

fn parse(written: Value, default: Option<&str>, file: &Path) -> Result<Quantization> {
    let written: Written =
        serde_json::from_value(written).map_err(|e| Error::input("is not what it should be").cause(e))?;
    let eight_or_four = written.load_in_8bit.is_some() || written.load_in_4bit.is_some();
    let method = written.quant_method.as_deref().or(default).or(eight_or_four.then_some("bitsandbytes"));
    let method = method.ok_or_else(|| Error::input("does not say its `quant_method`").hint(known()))?.to_string();
    if !ENCODINGS.iter().any(|encoding| encoding.methods.contains(&method.as_str())) {
        return Err(Error::input(format!("the quantisation method `{method}` is not supported")).hint(known()));
    }
    check(&method, &written)?;
    let group_size = match written.group_size {
        None | Some(-1) => None,
        Some(size) => {
            let size = usize::try_from(size).ok().filter(|size| *size > 0);
            Some(size.ok_or_else(|| Error::input("`group_size` is not a possible size"))?)
        }
    };
    Ok(Quantization {
        file: file.to_path_buf(),
        bits: written.bits,
        group_size,
        gptq_v2: written.checkpoint_format.as_deref() == Some("gptq_v2"),
        sym: written.sym,
        desc_act: written.desc_act,
        zero_point: written.zero_point,
        dynamic: written.dynamic.is_some_and(|value| !value.is_null()),
        llm_int8_threshold: written.llm_int8_threshold,
        weight_block_size: written.weight_block_size,
        method,
    })
}

/// What a method says that cannot be read.
fn check(method: &str, written: &Written) -> Result<()> {
    let refuse = |what: String, hint: &str| Err(Error::input(what).hint(hint));
    let bits = written.bits.unwrap_or(4);
    match method {
        "gptq" if ![2, 3, 4, 8].contains(&bits) => {
            refuse(format!("{bits} bits are not supported"), "GPTQ is read in 2, 3, 4 and 8 bits")
        }
        "gptq" => match written.checkpoint_format.as_deref().unwrap_or("gptq") {
            "gptq" | "gptq_v2" => Ok(()),
            other => refuse(
                format!("the `checkpoint_format` `{other}` is not supported"),
                "formats are gptq and gptq_v2; others are in the order of one GPU kernel: use the checkpoint they were made from",
            ),
        },
        "awq" if bits != 4 => refuse(format!("{bits} bits are not supported"), "AWQ is read in 4 bits"),
        "awq" => match written.version.as_ref().and_then(Value::as_str).unwrap_or("gemm") {
            version if version.eq_ignore_ascii_case("gemm") => Ok(()),
            version => refuse(
                format!("the version `{version}` is not supported"),
                "AWQ is read in the layout of its GEMM kernel",
            ),
        },
        "compressed-tensors" if !is_fp8(written) => refuse(
            format!("the format `{}` of compressed-tensors is not supported", written.format.as_deref().unwrap_or("?")),
            "of compressed-tensors only `float-quantized` with 8 bits is read",
        ),
        _ if written.weight_block_size.is_some_and(|(outs, ins)| outs == 0 || ins == 0) => {
            refuse("`weight_block_size` has blocks of no numbers".to_string(), "it is usually [128, 128]")
        }
        _ => Ok(()),
    }
}

/// Whether all groups of compressed-tensors have float weights of 8 bits.
fn is_fp8(written: &Written) -> bool {
    let groups = written.config_groups.as_ref().and_then(Value::as_object);
    let fp8 = |group: &Value| {
        let weights = &group["weights"];
        weights["type"].as_str() == Some("float") && weights["num_bits"].as_u64() == Some(8)
    };
    match groups {
        Some(groups) => !groups.is_empty() && groups.values().all(fp8),
        None => written.format.as_deref() == Some("float-quantized"),
    }
}

fn known() -> String {
    let mut methods: Vec<&str> = ENCODINGS.iter().flat_map(|encoding| encoding.methods).copied().collect();
    methods.dedup();
    format!("known are {}; or use the full-precision checkpoint that it was made from", methods.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn config(value: &Value) -> Result<Option<Quantization>> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(CONFIG), json!({ "quantization_config": value }).to_string()).unwrap();
        read(dir.path())
    }

    #[test]
    fn reads_all_spellings() {
        assert!(config(&Value::Null).unwrap().is_none());
        let gptq =
            config(&json!({"quant_method": "gptq", "bits": 4, "group_size": 128, "checkpoint_format": "gptq_v2"}));
        let gptq = gptq.unwrap().unwrap();
        assert_eq!((gptq.bits, gptq.group_size, gptq.gptq_v2), (Some(4), Some(128), true));
        let old = config(&json!({"load_in_8bit": true, "llm_int8_threshold": 4.5})).unwrap().unwrap();
        assert_eq!((old.method.as_str(), old.llm_int8_threshold), ("bitsandbytes", Some(4.5)));
        let fp8 = config(&json!({"quant_method": "fp8", "weight_block_size": [64, 32]})).unwrap().unwrap();
        assert_eq!(fp8.weight_block_size, Some((64, 32)));
        let dir = tempfile::tempdir().unwrap();
        let text = json!({"zero_point": true, "q_group_size": -1, "w_bit": 4, "version": "GEMM"}).to_string();
        std::fs::write(dir.path().join("quant_config.json"), text).unwrap();
        let awq = read(dir.path()).unwrap().unwrap();
        assert_eq!((awq.method.as_str(), awq.bits, awq.group_size), ("awq", Some(4), None));
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        let says = |value: Value, part: &str| {
            let err = config(&value).unwrap_err().to_string();
            assert!(err.contains(part) && err.contains("config.json, quantization_config"), "{part}: {err}");
        };
        says(json!({"quant_method": "mxfp4"}), "known are gptq, awq, bitsandbytes, fp8");
        says(json!({}), "quant_method");
        says(json!({"quant_method": 7}), "is not what it should be");
        says(json!({"quant_method": "gptq", "bits": 5}), "5 bits");
        says(json!({"quant_method": "gptq", "group_size": 0}), "group_size");
        says(json!({"quant_method": "gptq", "group_size": -5}), "group_size");
        says(json!({"quant_method": "gptq", "checkpoint_format": "marlin"}), "marlin");
        says(json!({"quant_method": "awq", "version": "gemv"}), "gemv");
        says(json!({"quant_method": "awq", "bits": 8}), "8 bits");
        says(json!({"quant_method": "compressed-tensors", "format": "pack-quantized"}), "pack-quantized");
        says(json!({"quant_method": "fp8", "weight_block_size": [0, 128]}), "weight_block_size");
    }
}
