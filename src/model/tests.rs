//! Whole models against transformers, and whole sequences against the same in pieces.

use super::testing::{fixture, shared_model};
use super::{Activations, Branch, DTypeChoice, DeviceChoice, LoadOptions, Model};
use candle_core::{DType, Device, Tensor};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Shared checkpoints with random weights.
const SHARED: [&str; 10] = [
    "tiny-gemma",
    "tiny-gemma2",
    "tiny-gemma3_text",
    "tiny-gpt2",
    "tiny-gpt_neox",
    "tiny-llama",
    "tiny-mistral",
    "tiny-phi3",
    "tiny-qwen2",
    "tiny-qwen3",
];

fn load(dir: &Path, dtype: DTypeChoice) -> Model {
    load_on(DeviceChoice::Cpu, dir, dtype)
}

fn load_on(device: DeviceChoice, dir: &Path, dtype: DTypeChoice) -> Model {
    let options = LoadOptions { dtype, device, ..LoadOptions::default() };
    Model::load(dir, &options).unwrap_or_else(|err| panic!("{}: {err}", dir.display()))
}

/// A checkpoint of `tests/fixtures/checkpoints`.
fn checkpoint(name: &str) -> PathBuf {
    fixture("checkpoints").join(name)
}

/// All of them, by name.
fn checkpoints() -> Vec<PathBuf> {
    let mut dirs: Vec<PathBuf> =
        std::fs::read_dir(fixture("checkpoints")).unwrap().map(|entry| entry.unwrap().path()).collect();
    dirs.sort();
    assert!(dirs.len() > 30, "{dirs:?}");
    dirs
}

fn tensors(file: &Path) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(file, &Device::Cpu).unwrap()
}

fn ids(tensor: &Tensor) -> Vec<u32> {
    tensor.flatten_all().unwrap().to_dtype(DType::U32).unwrap().to_vec1().unwrap()
}

/// Token ids and logits of a checkpoint's reference.
fn reference(dir: &Path) -> (Vec<u32>, Vec<f32>) {
    reference_in(&dir.join("logits.safetensors"))
}

fn reference_in(file: &Path) -> (Vec<u32>, Vec<f32>) {
    let arrays = tensors(file);
    (ids(&arrays["input_ids"]), arrays["logits"].flatten_all().unwrap().to_vec1().unwrap())
}

/// Logits of a sequence that is run in pieces of such lengths, each after the others.
fn logits_in_pieces(model: &Model, ids: &[u32], lengths: &[usize]) -> Vec<f32> {
    assert_eq!(lengths.iter().sum::<usize>(), ids.len());
    let (mut nodes, mut logits, mut start) = (Vec::new(), Vec::new(), 0);
    for length in lengths {
        let mut own = model.new_kv(*length);
        let tokens = &ids[start..start + length];
        let mut branches = [Branch { tokens, past: nodes.iter().collect(), own: &mut own, sequence_len: ids.len() }];
        let hidden = model.forward(&mut branches).unwrap();
        logits.extend(model.logits(&hidden, &(0..*length).collect::<Vec<_>>()).unwrap());
        nodes.push(own);
        start += length;
    }
    logits
}

fn logits(model: &Model, ids: &[u32]) -> Vec<f32> {
    logits_in_pieces(model, ids, &[ids.len()])
}

/// Largest difference; NaN if there is one.
fn difference(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let differences = found.iter().zip(expected).map(|(f, e)| (f - e).abs());
    differences.fold(0.0, |max, d| if d > max || d.is_nan() { d } else { max })
}

// tests/fixtures/make_arch_checkpoints.py: transformers 5.24 in f32, eager attention.
#[test]
fn logits_of_all_families_equal_those_of_transformers() {
    all_families_equal_transformers(DeviceChoice::Cpu);
}

// tests/fixtures/make_gguf.py: transformers 5.24 in f32 with the values that the files stand for.
#[test]
fn logits_of_gguf_files_equal_those_of_transformers() {
    let files = std::fs::read_dir(fixture("gguf")).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<PathBuf> = files.filter(|path| super::gguf::is_gguf(path)).collect();
    assert!(files.len() >= 20, "{files:?}");
    for file in files {
        let (ids, expected) = reference_in(&file.with_extension("logits.safetensors"));
        let model = load(&file, DTypeChoice::F32);
        let difference = difference(&logits_in_pieces(&model, &ids, &[13, ids.len() - 13]), &expected);
        println!("{:24} {difference:e}", file.display());
        assert_eq!(model.unused_tensors, [""; 0], "{}", file.display());
        assert!(difference < 1e-4, "{}: {difference}", file.display());
    }
}

#[test]
fn gguf_files_answer_as_the_checkpoints_that_they_were_made_of() {
    for name in ["stories260K", "llama2xs-279K"] {
        let Some(dir) = shared_model(name) else { return };
        let reference: Value = serde_json::from_slice(&std::fs::read(dir.join("reference.json")).unwrap()).unwrap();
        let ids: Vec<u32> = serde_json::from_value(reference["scored"][0]["ids"].clone()).unwrap();
        let expected = logits(&load(&dir, DTypeChoice::F32), &ids);
        let plain = load(&dir.join(format!("{name}-f32.gguf")), DTypeChoice::F32);
        assert_eq!(logits(&plain, &ids), expected, "{name}");
        let quantised = load(&dir.join(format!("{name}-q8_0.gguf")), DTypeChoice::F32);
        assert_eq!((quantised.unused_tensors.len(), quantised.storage[0].0.as_str()), (0, "q8_0"));
        let difference = difference(&logits(&quantised, &ids), &expected);
        assert!(0.0 < difference && difference < 1.0, "{name}: {difference}");
    }
}

// What GPUs run.
#[test]
fn logits_by_candles_operations_equal_those_of_transformers() {
    all_families_equal_transformers(DeviceChoice::Candle);
}

fn all_families_equal_transformers(device: DeviceChoice) {
    let mut off = Vec::new();
    for dir in checkpoints() {
        let (ids, expected) = reference(&dir);
        let model = load_on(device, &dir, DTypeChoice::F32);
        // In two pieces, so that keys and values are also taken from earlier passes.
        let difference = difference(&logits_in_pieces(&model, &ids, &[13, ids.len() - 13]), &expected);
        println!("{device:6} {:24} {difference:e}", dir.file_name().unwrap().to_string_lossy());
        assert_eq!(model.unused_tensors, [""; 0], "{}", dir.display());
        if difference.is_nan() || difference >= 1e-4 {
            off.push((dir, difference));
        }
    }
    assert!(off.is_empty(), "{off:?}");
}

// logits_dequant_f32.npz: transformers in f32 with the weights that bitsandbytes dequantised.
#[test]
fn logits_of_shared_bitsandbytes_checkpoints_equal_those_of_their_dequantised_weights() {
    for (arch, kind) in
        ["llama", "gemma"].iter().flat_map(|arch| ["int8", "nf4", "nf4-dq", "fp4"].map(|kind| (arch, kind)))
    {
        let name = format!("tiny-{arch}-bnb-{kind}");
        let Some(dir) = shared_model(&name) else { return };
        let read = |file: &str, array: &str| Tensor::read_npz_by_name(dir.join(file), &[array]).unwrap().remove(0);
        let ids = ids(&read("logits_fixed.npz", "input_ids"));
        let expected: Vec<f32> = read("logits_dequant_f32.npz", "logits").flatten_all().unwrap().to_vec1().unwrap();
        let model = load(&dir, DTypeChoice::Auto);
        let difference = difference(&logits(&model, &ids), &expected);
        println!("{name:24} {difference:e}");
        assert!(difference < 1e-4, "{name}: {difference}");
        assert_eq!(model.unused_tensors, [""; 0], "{name}");
    }
}

// tests/fixtures/make_storage_checkpoints.py: transformers in f32 with the exactly dequantised weights.
#[test]
fn logits_of_all_storage_formats_equal_those_of_their_dequantised_weights() {
    let mut off = Vec::new();
    let mut seen = 0;
    for dir in std::fs::read_dir(fixture("storage")).unwrap().map(|entry| entry.unwrap().path()) {
        if dir.ends_with("bin-legacy") {
            let err = Model::load(&dir, &LoadOptions::default()).err().unwrap().to_string();
            assert!(err.contains("hint:"), "{err}");
            continue;
        }
        let (ids, expected) = reference(&dir);
        let difference = difference(&logits(&load(&dir, DTypeChoice::F32), &ids), &expected);
        println!("{:24} {difference:e}", dir.file_name().unwrap().to_string_lossy());
        if difference.is_nan() || difference >= 1e-4 {
            off.push((dir, difference));
        }
        seen += 1;
    }
    assert!(off.is_empty() && seen >= 20, "{seen} seen, {off:?}");
}

#[test]
fn rounded_activations_are_close_to_exact_ones_and_not_the_same() {
    let load = |activations| {
        let device = DeviceChoice::Cpu;
        let options = LoadOptions { dtype: DTypeChoice::F32, device, activations, ..LoadOptions::default() };
        Model::load(&fixture("storage").join("bnb-int8"), &options).unwrap()
    };
    let ids: Vec<u32> = (1..40).collect();
    let exact = logits(&load(Activations::Exact), &ids);
    let spread = exact.iter().fold(0.0f32, |max, logit| max.max(logit.abs()));
    for activations in [Activations::Int8, Activations::LlmInt8] {
        let model = load(activations);
        let rounded = logits(&model, &ids);
        let difference = difference(&rounded, &exact);
        assert!(difference > 0.0 && difference < 0.1 * spread, "{activations:?}: {difference} of {spread}");
        assert_eq!(rounded, logits_in_pieces(&model, &ids, &[1, 20, 18]), "{activations:?}: in pieces");
    }
}

// logits_fixed.npz: bitsandbytes' own mixed multiplication on the CPU, where outlier channels are those of any row.
#[test]
fn the_mixed_form_of_llm_int8_is_nearer_to_bitsandbytes_than_the_exact_one() {
    for name in ["tiny-llama-bnb-int8", "tiny-gemma-bnb-int8"] {
        let Some(dir) = shared_model(name) else { return };
        let read = |array: &str| Tensor::read_npz_by_name(dir.join("logits_fixed.npz"), &[array]).unwrap().remove(0);
        let ids = ids(&read("input_ids"));
        let expected: Vec<f32> = read("logits").to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        let error = |activations| {
            let options = LoadOptions { device: DeviceChoice::Cpu, activations, ..LoadOptions::default() };
            let found = logits(&Model::load(&dir, &options).unwrap(), &ids);
            let squares: f32 = found.iter().zip(&expected).map(|(f, e)| (f - e) * (f - e)).sum();
            (squares / expected.len() as f32).sqrt()
        };
        let (exact, mixed) = (error(Activations::Exact), error(Activations::LlmInt8));
        println!("{name}: rms error of exact {exact:e}, of mixed {mixed:e}");
        assert!(mixed < 0.5 * exact, "{name}: {mixed} is not much nearer than {exact}");
    }
}

// logits_fixed.npz: transformers in f32.
#[test]
fn logits_of_shared_checkpoints_equal_the_reference() {
    for name in SHARED {
        let Some(dir) = shared_model(name) else { return };
        let arrays = Tensor::read_npz_by_name(dir.join("logits_fixed.npz"), &["input_ids", "logits"]).unwrap();
        let expected: Vec<f32> = arrays[1].flatten_all().unwrap().to_vec1().unwrap();
        let difference = difference(&logits(&load(&dir, DTypeChoice::F32), &ids(&arrays[0])), &expected);
        println!("{name:24} {difference:e}");
        assert!(difference < 1e-4, "{name}: {difference}");
    }
}

// tests/fixtures/make_checkpoints.py: transformers in f32 and in bf16; parameters as its num_parameters() counts them.
#[test]
fn narrow_formats_are_close_to_the_reference() {
    for (name, parameters) in [("llama", 6192), ("gemma", 4944)] {
        let dir = fixture(name);
        let arrays = tensors(&dir.join("logits.safetensors"));
        let values = |name: &str| arrays[name].flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let (ids, expected) = (ids(&arrays["ids"]), values("logits"));
        let model = load(&dir, DTypeChoice::F32);
        let wide = difference(&logits(&model, &ids), &expected);
        assert!(wide < 1e-4, "{name}: {wide}");
        assert_eq!(model.num_parameters, parameters, "{name}");
        // Bf16 has 8 bits; the rows that enter products are rounded, what stands between them is not.
        let half = difference(&logits(&load(&dir, DTypeChoice::Bf16), &ids), &values("logits_bf16"));
        let scale = expected.iter().fold(0.0f32, |max, x| max.max(x.abs()));
        assert!(half < 0.03 * scale, "{name}: {half} of {scale}");
    }
}

#[test]
fn formats_are_as_asked_for() {
    let dir = fixture("gemma");
    let dtype = |choice| load(&dir, choice).dtype;
    assert_eq!(dtype(DTypeChoice::Auto), "bfloat16");
    assert_eq!(dtype(DTypeChoice::F32), "float32");
    let half = load(&dir, DTypeChoice::F16);
    assert_eq!((half.dtype.as_str(), half.arithmetic), ("float16", Some("float32")));
    // All but the smallest weights are the same in bf16 and f16, and the arithmetic is f32.
    let arrays = tensors(&dir.join("logits.safetensors"));
    let expected: Vec<f32> = arrays["logits"].flatten_all().unwrap().to_vec1().unwrap();
    let difference = difference(&logits(&half, &ids(&arrays["ids"])), &expected);
    assert!(difference < 1e-3, "{difference}");
}

#[test]
fn sequences_in_pieces_have_the_same_bits() {
    for dir in checkpoints() {
        let (ids, _) = reference(&dir);
        for dtype in [DTypeChoice::F32, DTypeChoice::Bf16] {
            let model = load(&dir, dtype);
            let whole = logits(&model, &ids);
            for lengths in [vec![1; ids.len()], vec![ids.len() - 9, 1, 8], vec![3, 16, ids.len() - 19]] {
                let pieces = logits_in_pieces(&model, &ids, &lengths);
                let equal = whole.iter().zip(&pieces).all(|(w, p)| w.to_bits() == p.to_bits());
                assert!(equal, "{} {dtype:?} {lengths:?}: {}", dir.display(), difference(&whole, &pieces));
            }
        }
    }
}

#[test]
fn angles_depend_on_the_length_in_two_rope_types_only() {
    for dir in checkpoints() {
        let name = dir.file_name().unwrap().to_string_lossy().into_owned();
        let depends = load(&dir, DTypeChoice::F32).depends_on_length().is_some();
        assert_eq!(depends, name.contains("longrope") || name.contains("dynamic"), "{name}");
    }
}

/// A copy of a fixture with other tensor names, more tensors and another configuration.
fn respelled(
    name: &str,
    rename: impl Fn(&str) -> String,
    more: &[(&str, &[usize])],
    config: impl Fn(Value) -> Value,
) -> tempfile::TempDir {
    let (from, to) = (checkpoint(name), tempfile::tempdir().unwrap());
    let named = tensors(&from.join("model.safetensors")).into_iter().map(|(name, t)| (rename(&name), t));
    let more =
        more.iter().map(|(name, shape)| (name.to_string(), Tensor::zeros(*shape, DType::F32, &Device::Cpu).unwrap()));
    let all: HashMap<String, Tensor> = named.chain(more).collect();
    candle_core::safetensors::save(&all, to.path().join("model.safetensors")).unwrap();
    let written: Value = serde_json::from_slice(&std::fs::read(from.join("config.json")).unwrap()).unwrap();
    std::fs::write(to.path().join("config.json"), config(written).to_string()).unwrap();
    to
}

/// A checkpoint under other names has the same logits and no tensor too many.
fn same_model(name: &str, dir: &tempfile::TempDir) {
    let (ids, _) = reference(&checkpoint(name));
    let (model, expected) = (load(dir.path(), DTypeChoice::F32), load(&checkpoint(name), DTypeChoice::F32));
    assert_eq!(model.unused_tensors, [""; 0], "{name}");
    assert_eq!(model.num_parameters, expected.num_parameters, "{name}");
    assert_eq!(logits(&model, &ids), logits(&expected, &ids), "{name}");
}

#[test]
fn checkpoints_of_a_model_without_its_head_are_read() {
    let strip = |name: &str| name.trim_start_matches("transformer.").to_string();
    let masks: [(&str, &[usize]); 2] = [("h.0.attn.bias", &[1, 1, 8, 8]), ("h.0.attn.masked_bias", &[1])];
    same_model("gpt2", &respelled("gpt2", strip, &masks, |config| config));
}

#[test]
fn heads_and_tables_under_other_names_are_read() {
    let head = |name: &str| name.replace("embed_out", "lm_head");
    let tables: [(&str, &[usize]); 3] = [
        ("gpt_neox.layers.0.attention.bias", &[1, 1, 8, 8]),
        ("gpt_neox.layers.0.attention.masked_bias", &[1]),
        ("gpt_neox.layers.0.attention.rotary_emb.inv_freq", &[2]),
    ];
    same_model("gpt_neox", &respelled("gpt_neox", head, &tables, |config| config));
}

#[test]
fn language_models_of_models_that_see_are_read() {
    let nested = |text: Value| {
        json!({
            "architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3", "text_config": text,
            "eos_token_id": [1, 2], "vision_config": {"hidden_size": 8},
        })
    };
    for (prefix, picture) in [
        ("language_model.model.", "vision_tower.vision_model.embeddings.position_embedding.weight"),
        ("model.language_model.", "model.multi_modal_projector.mm_input_projection_weight"),
    ] {
        let rename = |name: &str| name.replacen("model.", prefix, 1);
        same_model("gemma3_text", &respelled("gemma3_text", rename, &[(picture, &[4, 4])], nested));
    }
}

fn refusal(dir: &Path, ids: &[u32]) -> String {
    let model = load(dir, DTypeChoice::F32);
    let mut own = model.new_kv(ids.len());
    let mut branches = [Branch { tokens: ids, past: Vec::new(), own: &mut own, sequence_len: ids.len() }];
    model.forward(&mut branches).err().map(|err| err.to_string()).unwrap_or_default()
}

#[test]
fn tokens_and_positions_that_a_model_lacks_are_refused() {
    assert!(refusal(&fixture("llama"), &[3, 64]).contains("token id 64"));
    let dir = checkpoint("gpt2");
    let longest = load(&dir, DTypeChoice::F32).config.max_length.unwrap();
    assert_eq!(refusal(&dir, &vec![1; longest]), "");
    assert!(refusal(&dir, &vec![1; longest + 1]).contains("learned positions"));
}

#[test]
fn checkpoints_that_do_not_fit_their_configuration_are_refused() {
    let options = LoadOptions { dtype: DTypeChoice::F32, device: DeviceChoice::Cpu, ..LoadOptions::default() };
    let refused = |dir: tempfile::TempDir| match Model::load(dir.path(), &options) {
        Ok(_) => panic!("was loaded"),
        Err(err) => err.to_string(),
    };
    let keep = |name: &str| name.to_string();
    let lost = |lost: &'static str| move |name: &str| if name == lost { "elsewhere".to_string() } else { keep(name) };
    for (name, tensor) in [
        ("llama", "model.layers.0.self_attn.q_proj.weight"),
        ("gpt_neox", "embed_out.weight"),
        ("gpt2", "transformer.h.0.attn.c_attn.bias"),
        ("mixtral", "model.layers.0.block_sparse_moe.experts.1.w3.weight"),
        ("mixtral-fused", "model.layers.0.mlp.experts.down_proj"),
        ("olmo2", "model.layers.0.self_attn.k_norm.weight"),
        ("gemma3_text", "model.norm.weight"),
    ] {
        let err = refused(respelled(name, lost(tensor), &[], |config| config));
        assert!(err.contains(tensor) && err.contains("missing"), "{err}");
    }
    for (name, key, shown) in [
        // Gate and up are one matrix.
        ("phi3", "intermediate_size", "68"),
        ("qwen3", "head_dim", "136"),
        ("gpt2", "n_inner", "34"),
        ("gemma2", "vocab_size", "34"),
    ] {
        let err = refused(respelled(name, keep, &[], |mut config| {
            config[key] = json!(34);
            config
        }));
        assert!(err.contains("safetensors") && err.contains(shown), "{name}: {err}");
    }
}
