//! Whole files: those of llama.cpp's converter against the checkpoints that they were made of, and hostile ones.

use super::testing::Writer;
use super::*;
use crate::model::testing::shared_model;
use crate::model::weights::number::Number;
use candle_core::{DType, Device};
use serde_json::{Map, Value, json};

const PAIRS: [&str; 2] = ["stories260K", "llama2xs-279K"];

/// All values of a tensor.
fn values(gguf: &Gguf, name: &str) -> Vec<f32> {
    let (info, bytes) = (&gguf.tensors()[name], gguf.bytes(name).unwrap());
    let kind = GgmlType::from_name(&info.dtype).unwrap();
    if let Some(number) = Number::named(&info.dtype) {
        let mut values = vec![0.0; bytes.len() / number.size()];
        number.widen(&bytes, &mut values);
        return values;
    }
    let (ins, outs) = (*info.shape.last().unwrap(), info.shape[0]);
    let matrix = decode(kind, outs, ins, &bytes).unwrap();
    let mut values = vec![0.0; outs * ins];
    values.chunks_exact_mut(ins).enumerate().for_each(|(row, values)| matrix.row(row, values));
    values
}

fn safetensors(dir: &Path) -> HashMap<String, candle_core::Tensor> {
    candle_core::safetensors::load(dir.join("model.safetensors"), &Device::Cpu).unwrap()
}

fn flat(tensor: &candle_core::Tensor) -> Vec<f32> {
    tensor.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// Every tensor of a checkpoint is in the GGUF file made of it, with the same values, give or take a part of the largest in the row.
fn same_weights(dir: &Path, gguf: &Gguf, tolerance: f32) {
    let mut left: Vec<&String> = gguf.tensors().keys().collect();
    for (name, tensor) in safetensors(dir) {
        let file = gguf.metadata().file().display();
        let info = gguf.tensors().get(&name).unwrap_or_else(|| panic!("{file} has no {name}"));
        left.retain(|other| **other != name);
        let conv1d = ["c_attn.weight", "c_proj.weight", "c_fc.weight"].iter().any(|end| name.ends_with(end));
        let tensor = if conv1d { tensor.t().unwrap() } else { tensor };
        assert_eq!(info.shape, tensor.dims(), "{file}: {name}");
        let width = *tensor.dims().last().unwrap();
        for (a, b) in values(gguf, &name).chunks(width).zip(flat(&tensor).chunks(width)) {
            let largest = b.iter().fold(0.0, |largest: f32, b| largest.max(b.abs()));
            let near = a.iter().zip(b).all(|(a, b)| (a - b).abs() <= tolerance * largest);
            assert!(near, "{file}: {name}: {a:?} is not {b:?}");
        }
    }
    left.retain(|name| *name != "lm_head.weight");
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn weights_are_those_of_the_checkpoint() {
    for name in PAIRS {
        let Some(dir) = shared_model(name) else { return };
        let gguf = Gguf::open(&dir.join(format!("{name}-f32.gguf"))).unwrap();
        same_weights(&dir, &gguf, 0.0);
        // Both files have the tied head a second time.
        assert_eq!(values(&gguf, "lm_head.weight"), values(&gguf, "model.embed_tokens.weight"));
        // Half a step of 127, and the rounding of the scale to f16.
        same_weights(&dir, &Gguf::open(&dir.join(format!("{name}-q8_0.gguf"))).unwrap(), 1.0 / 254.0 + 0.0006);
    }
}

#[test]
fn blocks_are_read_as_candle_reads_them() {
    let Some(dir) = shared_model(PAIRS[0]) else { return };
    let path = dir.join(format!("{}-q8_0.gguf", PAIRS[0]));
    let mut file = std::fs::File::open(&path).unwrap();
    let content = candle_core::quantized::gguf_file::Content::read(&mut file).unwrap();
    let gguf = Gguf::open(&path).unwrap();
    for (own, name) in
        [("output.weight", "lm_head.weight"), ("blk.3.ffn_up.weight", "model.layers.3.mlp.up_proj.weight")]
    {
        let tensor = content.tensor(&mut file, own, &Device::Cpu).unwrap().dequantize(&Device::Cpu).unwrap();
        assert_eq!(values(&gguf, name), flat(&tensor));
    }
    assert_eq!(gguf.metadata().count("llama.block_count").unwrap(), Some(5));
    assert_eq!(content.metadata.len(), 23);
}

/// Keys of which both sides have a value, save those that the header cannot know.
fn same_config(file: &str, ours: &Map<String, Value>, theirs: &Map<String, Value>, except: &[&str]) {
    for (key, value) in ours.iter().filter(|(key, _)| !except.contains(&key.as_str())) {
        // A tie of words that the file has twice; ids are of the tokenizer.
        if ["tie_word_embeddings", "bos_token_id", "eos_token_id", "pad_token_id"].contains(&key.as_str()) {
            continue;
        }
        let Some(expected) = theirs.get(key).filter(|expected| !expected.is_null()) else { continue };
        let same = match (value.as_f64(), expected.as_f64()) {
            (Some(a), Some(b)) => a == b,
            _ => value == expected,
        };
        assert!(same, "{file}: {key} is {value}, not {expected}");
    }
}

fn config_of(dir: &Path) -> Map<String, Value> {
    serde_json::from_slice(&std::fs::read(dir.join("config.json")).unwrap()).unwrap()
}

#[test]
fn configurations_are_those_of_the_checkpoint() {
    for name in PAIRS {
        let Some(dir) = shared_model(name) else { return };
        let gguf = Gguf::open(&dir.join(format!("{name}-q8_0.gguf"))).unwrap();
        let config = config_json(&gguf).unwrap();
        same_config(name, &config, &config_of(&dir), &["rope_parameters"]);
        assert_eq!(config["rope_parameters"], json!({"rope_theta": 10000.0, "rope_type": "default"}));
        assert_eq!((&config["eos_token_id"], &config["bos_token_id"]), (&json!([2]), &json!(1)));
    }
}

/// What the converter does not write, so that no reader can know it: windows of Mistral and Qwen 2, which layers of Gemma 3 have
/// one, what scores of Gemma are divided by, and how Llama 3's factors came about.
const LOST: [&str; 7] = [
    "sliding_window",
    "use_sliding_window",
    "query_pre_attn_scalar",
    "layer_types",
    "rope_parameters",
    "architectures",
    "model_type",
];

/// Files that llama.cpp's converter made of checkpoints, in folders that the environment names.
#[test]
fn converted_families_are_those_of_the_checkpoints() {
    let folder = |name| std::env::var_os(name).map(PathBuf::from);
    let (Some(files), Some(checkpoints)) = (folder("FAIRMARK_GGUF"), folder("FAIRMARK_CHECKPOINTS")) else { return };
    let mut seen = 0;
    for entry in std::fs::read_dir(files).unwrap().flatten().filter(|entry| is_gguf(&entry.path())) {
        let name = entry.path().file_stem().unwrap().to_string_lossy().into_owned();
        let dir = checkpoints.join(&name);
        let gguf = Gguf::open(&entry.path()).unwrap_or_else(|e| panic!("{e}"));
        // Stacked experts have other names in the checkpoint; values of norms went through x + 1.
        if !name.ends_with("-fused") {
            same_weights(&dir, &gguf, if name.starts_with("gemma") { 1e-6 } else { 0.0 });
        }
        let (ours, theirs) = (config_json(&gguf).unwrap(), config_of(&dir));
        same_config(&name, &ours, &theirs, &LOST);
        // Mistral is Llama there.
        let class =
            |config: &Map<String, Value>| config["architectures"][0].as_str().unwrap().replace("Mistral", "Llama");
        assert_eq!(class(&ours), class(&theirs), "{name}");
        seen += 1;
    }
    assert!(seen > 20);
}
