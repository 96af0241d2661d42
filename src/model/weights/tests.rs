//! Matrices in every encoding against what their own software makes of them, and checkpoints that are not what they claim.

use super::{Found, Precision, StoredMatrix, Weights};
use crate::error::Result;
use crate::model::testing::{fixture, shared_model};
use crate::model::{Backend, DTypeChoice, DeviceChoice};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

fn testdata(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/model/weights/testdata")).join(name)
}

/// A folder with a file of the testdata as its weights.
fn folder(file: &str, name: &str, config: &Value) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(testdata(file), dir.path().join(name)).unwrap();
    std::fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
    dir
}

fn open_as(dir: &Path, dtype: DTypeChoice, precision: Option<Precision>) -> Result<Weights> {
    Weights::open(dir, precision, |found: &Found| Backend::new(dtype, DeviceChoice::Cpu, found.dtype))
}

fn open(dir: &Path) -> Result<Weights> {
    open_as(dir, DTypeChoice::F32, None)
}

fn values(matrix: &StoredMatrix) -> Vec<f32> {
    let mut values = vec![f32::NAN; matrix.outs() * matrix.ins()];
    matrix.rows(0..matrix.outs(), &mut values);
    values
}

fn encodings(config: &Value) -> (tempfile::TempDir, Weights) {
    let dir = folder("encodings.safetensors", "model.safetensors", &json!({ "quantization_config": config }));
    let weights = open(dir.path()).unwrap();
    (dir, weights)
}

// make_weights.py
#[test]
fn encodings_give_the_values_of_their_own_software() {
    let gptq = json!({"quant_method": "gptq", "bits": 4, "group_size": -1, "dynamic": {}});
    let version_2 = json!({"quant_method": "gptq", "bits": 4, "group_size": 32, "checkpoint_format": "gptq_v2"});
    let fp8 = json!({"quant_method": "fp8", "weight_block_size": [16, 32]});
    let awq = json!({"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemm"});
    for (config, prefix, outs, ins, description, grouped) in [
        (&gptq, "gptq2", 32, 64, "gptq", true),
        (&gptq, "gptq3", 32, 64, "gptq", true),
        (&gptq, "gptq4", 32, 64, "gptq", true),
        (&gptq, "gptq8", 32, 64, "gptq", true),
        (&gptq, "gptq_sym", 40, 64, "gptq", true),
        (&gptq, "gptq_act", 32, 64, "gptq", false),
        (&gptq, "gptq_f32", 32, 64, "gptq", false),
        (&version_2, "gptq_v2", 32, 64, "gptq", true),
        (&awq, "awq", 24, 64, "awq", true),
        (&fp8, "fp8_tensor", 40, 48, "fp8", false),
        (&fp8, "fp8_row", 40, 48, "fp8", false),
        (&fp8, "fp8_block", 40, 48, "fp8", false),
        (&Value::Null, "fp8_row", 40, 48, "fp8", false),
        (&Value::Null, "gptq4", 32, 64, "gptq", true),
        (&Value::Null, "awq", 24, 64, "awq", true),
    ] {
        let (_dir, mut weights) = encodings(config);
        assert!(weights.has_matrix(prefix) && !weights.has_matrix("nothing"));
        let matrix = weights.linear(prefix, outs, ins).unwrap_or_else(|e| panic!("{prefix}: {e}"));
        let expected = values(&stored_expected(&weights, prefix, outs, ins));
        assert_eq!(values(&matrix), expected, "{prefix}");
        assert_eq!(
            (matrix.description(), matches!(matrix, StoredMatrix::Grouped(_))),
            (description, grouped),
            "{prefix}"
        );
        assert_eq!(
            values(&matrix.select_rows(&[3, 1])),
            [&expected[3 * ins..4 * ins], &expected[ins..2 * ins]].concat()
        );
        weights.check_values().unwrap();
        assert!(matrix.stored_bytes() < 4 * outs * ins, "{prefix}");
    }
}

/// The expected values, which are a plain matrix of another name.
fn stored_expected(weights: &Weights, prefix: &str, outs: usize, ins: usize) -> StoredMatrix {
    let bytes = weights.checkpoint.bytes(&format!("{prefix}.expected")).unwrap();
    StoredMatrix::Dense(super::Dense::stored(bytes, super::number::Number::F32, outs, ins).unwrap())
}

// tests/fixtures/make_storage_checkpoints.py
#[test]
fn a_matrix_of_every_storage_format_is_what_it_should_be() {
    let mut count = 0;
    for entry in std::fs::read_dir(fixture("storage")).unwrap() {
        let dir = entry.unwrap().path();
        let reference =
            candle_core::safetensors::load(dir.join("logits.safetensors"), &candle_core::Device::Cpu).unwrap();
        let Some(expected) = reference.get("dequantised") else { continue };
        let expected: Vec<f32> = expected.flatten_all().unwrap().to_vec1().unwrap();
        let mut weights = open(&dir).unwrap();
        let matrix = weights.linear("model.layers.0.mlp.down_proj", 64, 96).unwrap();
        assert!(values(&matrix) == expected, "{}", dir.display());
        let unused = weights.unused();
        assert!(!unused.iter().any(|name| name.contains("down_proj")), "{}: {unused:?}", dir.display());
        count += 1;
    }
    assert!(count >= 14, "{count}");
}

// make_weights.py
#[test]
fn plain_tensors_are_turned_rounded_and_stacked() {
    let dir = folder("encodings.safetensors", "model.safetensors", &json!({}));
    let mut weights = open_as(dir.path(), DTypeChoice::Bf16, None).unwrap();
    let wide = weights.linear("wide", 8, 32).unwrap();
    assert_eq!(values(&wide), values(&stored_expected(&weights, "wide", 8, 32)));
    assert!(wide.is_bf16());
    assert_eq!(weights.vector("norm.weight", 3).unwrap(), [1.0, 1.0, -3.0]);
    let mut weights = open(dir.path()).unwrap();
    assert_eq!(weights.vector("norm.weight", 3).unwrap(), [1.0, 1.0 + 2f32.powi(-10), -3.0]);
    let conv = weights.conv1d("conv", 16, 48).unwrap();
    assert_eq!(values(&conv), values(&stored_expected(&weights, "conv", 16, 48)));
    let experts = weights.experts("experts", 3, 4, 32).unwrap();
    assert_eq!(values(&experts), values(&stored_expected(&weights, "experts", 12, 32)));
    assert_eq!(
        (weights.num_parameters(), weights.stored_bytes()),
        (3 + 16 * 48 + 12 * 32, 4 * 3 + 2 * 16 * 48 + 4 * 12 * 32)
    );
    assert_eq!(weights.storage(), []);
    assert!(weights.unused().contains(&"fp8_row.input_scale".to_string()));
    weights.linear("fp8_row", 40, 48).unwrap();
    assert!(!weights.unused().iter().any(|name| name.starts_with("fp8_row.w") || name.contains("input_scale")));
    assert_eq!(weights.storage(), [("fp8".to_string(), 1)]);
}

#[test]
fn claims_that_tensors_do_not_bear_out_are_refused() {
    let refusal = |config: Value, prefix: &str, outs, ins| {
        let (_dir, mut weights) = encodings(&config);
        weights.linear(prefix, outs, ins).err().unwrap_or_else(|| panic!("{prefix}")).to_string()
    };
    let says = |config: Value, prefix: &str, outs, ins, part: &str| {
        let err = refusal(config, prefix, outs, ins);
        assert!(err.contains(part) && err.contains(&format!("model.safetensors, {prefix}.")), "{part}: {err}");
    };
    says(json!({"quant_method": "gptq", "bits": 8}), "gptq4", 32, 64, "is in 4 bits, `quantization_config` says 8");
    says(json!({"quant_method": "gptq", "bits": 4, "group_size": 8}), "gptq4", 32, 64, "would have 8");
    says(json!({"quant_method": "awq", "group_size": 8}), "awq", 24, 64, "would have 8");
    says(json!({"quant_method": "gptq"}), "awq", 24, 64, "is awq, `quantization_config` says gptq");
    says(Value::Null, "gptq4", 32, 96, "cannot be in words of the shape [8, 32]");
    says(Value::Null, "gptq4", 64, 64, "[8, 32]");
    says(Value::Null, "awq", 32, 64, "[64, 3]");
    says(Value::Null, "fp8_row", 41, 48, "[40, 48]");
    says(json!({"quant_method": "fp8", "weight_block_size": [8, 32]}), "fp8_block", 40, 48, "[3, 2]");
    says(Value::Null, "wide", 32, 8, "config.json asks for the shape [32, 8], the file has [8, 32]");
    assert!(refusal(Value::Null, "wide", usize::MAX, 8).contains("not a possible shape"));
    assert!(refusal(Value::Null, "wide", 0, 8).contains("not a possible shape"));
    assert!(refusal(Value::Null, "absent", 8, 8).contains("the tensor absent.weight is missing"));
    let dir =
        folder("encodings.safetensors", "model.safetensors", &json!({"quantization_config": {"load_in_4bit": true}}));
    let err = open(dir.path()).err().unwrap().to_string();
    assert!(err.contains("quantised by bitsandbytes, but no tensor is") && err.contains("config.json"), "{err}");
}

// make_weights.py: what torch.save wrote, read without running it.
#[test]
fn pickles_hold_the_same_numbers() {
    let dir = folder("torch.bin", "pytorch_model.bin", &json!({}));
    let mut weights = open(dir.path()).unwrap();
    let numbers = |weights: &Weights, name: &str| {
        let info = &weights.checkpoint.tensors()[name];
        let mut values = vec![0.0; info.shape.iter().product()];
        let number = super::number::Number::named(&info.dtype).unwrap();
        number.widen(&weights.checkpoint.bytes(name).unwrap(), &mut values);
        (info.shape.clone(), info.dtype.clone(), values)
    };
    let base: Vec<f32> = (0..24).map(|i| i as f32).collect();
    let f32 = "F32".to_string();
    assert_eq!(numbers(&weights, "f32"), (vec![4, 6], f32.clone(), base.clone()));
    assert_eq!(numbers(&weights, "tied"), numbers(&weights, "f32"));
    let turned = (0..24).map(|i| (i % 4 * 6 + i / 4) as f32).collect();
    assert_eq!(numbers(&weights, "turned"), (vec![6, 4], f32.clone(), turned));
    assert_eq!(numbers(&weights, "part"), (vec![2, 3], f32.clone(), vec![8.0, 9.0, 10.0, 14.0, 15.0, 16.0]));
    assert_eq!(numbers(&weights, "parameter"), (vec![2, 3], "BF16".to_string(), base[..6].to_vec()));
    assert_eq!(numbers(&weights, "half"), (vec![4], "F16".to_string(), base[..4].to_vec()));
    assert_eq!(numbers(&weights, "scalar"), (vec![], f32.clone(), vec![7.0]));
    assert_eq!(numbers(&weights, "fp8"), (vec![2], "F8_E4M3".to_string(), vec![1.0, -0.5]));
    assert_eq!(numbers(&weights, "empty"), (vec![0, 4], f32, vec![]));
    assert_eq!(weights.checkpoint.tensors()["long"].dtype, "I64");
    assert_eq!(weights.vector("half", 4).unwrap(), base[..4]);
    let err = weights.vector("long", 3).unwrap_err().to_string();
    assert!(err.contains("pytorch_model.bin, long: the number format I64"), "{err}");
}

#[test]
fn old_and_damaged_pickles_are_refused() {
    let refusal = |bytes: &[u8]| {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("pytorch_model.bin"), bytes).unwrap();
        open(dir.path()).err().expect("should be refused").to_string()
    };
    let old = refusal(&std::fs::read(testdata("torch_old.bin")).unwrap());
    assert!(old.contains("torch before 1.6") && old.contains("hint: load it with torch"), "{old}");
    let whole = std::fs::read(testdata("torch.bin")).unwrap();
    assert!(refusal(&whole[..whole.len() - 10]).contains("table of contents is damaged"));
    assert!(refusal(b"").contains("not what torch.save writes"));
    assert!(refusal(b"PK").contains("table of contents is damaged"));
    // A function that is none of torch's, where a tensor should be.
    let place = whole.windows(11).position(|w| w == b"torch._util").unwrap();
    let mut evil = whole.clone();
    evil[place..place + 5].copy_from_slice(b"posix");
    assert!(refusal(&evil).contains("is made by `posix._utils._rebuild_tensor_v2`, which is not known"));
    let dir = tempfile::tempdir().unwrap();
    let index = json!({"weight_map": {"f32": "a.bin", "gone": "a.bin"}});
    std::fs::write(dir.path().join("pytorch_model.bin.index.json"), index.to_string()).unwrap();
    assert!(open(dir.path()).err().unwrap().to_string().contains("shard a.bin, which is not there"));
    std::fs::write(dir.path().join("a.bin"), &whole).unwrap();
    assert!(open(dir.path()).err().unwrap().to_string().contains("tensor gone in a.bin"));
}

#[test]
fn precisions_are_made_of_full_precision_only() {
    let Some(dir) = shared_model("tiny-llama") else { return };
    let load = |precision: &str| {
        let mut weights = open_as(&dir, DTypeChoice::F32, Some(precision.parse().unwrap())).unwrap();
        let prefix = "model.layers.0.mlp.down_proj";
        let plain = values(&open(&dir).unwrap().linear(prefix, 64, 192).unwrap());
        let matrix = weights.linear(prefix, 64, 192).unwrap();
        let error: f32 = values(&matrix).iter().zip(&plain).map(|(a, b)| (a - b) * (a - b)).sum();
        let error = (error / plain.iter().map(|v| v * v).sum::<f32>()).sqrt();
        (error, matrix.description(), weights.notices(), weights.stored_bytes(), weights.storage())
    };
    // Relative errors of random normal weights, about 3 bits a factor of 8.
    for (precision, most) in [
        ("int8", 0.01),
        ("nf4", 0.1),
        ("nf4-dq", 0.1),
        ("fp4", 0.13),
        ("fp4-dq", 0.13),
        ("q8_0", 0.01),
        ("q4_0", 0.1),
        ("q4_1", 0.09),
        ("q5_0", 0.05),
        ("q5_1", 0.05),
    ] {
        let (error, description, notices, bytes, storage) = load(precision);
        assert!(error < most && error > most / 4.0, "{precision}: {error}");
        assert_eq!((description, notices.len()), (precision, 0));
        assert!((bytes as usize) < 64 * 192 * 4 / 3, "{precision}: {bytes}");
        assert_eq!(storage, [(precision.to_string(), 1)]);
    }
    // Rows of 192: llama.cpp falls back to formats of blocks of 32.
    for (precision, made) in [
        ("q2_k", "iq4_nl"),
        ("q3_k", "iq4_nl"),
        ("q4_k", "q5_0"),
        ("q5_k", "q5_1"),
        ("q6_k", "q8_0"),
        ("iq4_nl", "iq4_nl"),
    ] {
        let (found, expected) = (load(precision), load(made));
        assert_eq!((found.0, found.1, found.3, &found.4), (expected.0, made, expected.3, &expected.4), "{precision}");
        assert!(found.0 > 0.0 && found.0 < 0.1, "{precision}: {}", found.0);
        if precision != made {
            let why = format!("rows of 192 are not whole blocks of 256, as {precision} needs");
            assert_eq!(found.2, [format!("1 matrix is {made}, as llama.cpp does it: {why}")]);
        }
    }
    // Embeddings and heads are left alone.
    let mut weights = open_as(&dir, DTypeChoice::F32, Some(Precision::Nf4)).unwrap();
    assert_eq!(weights.embedding("model.embed_tokens", 4096, 64).unwrap().description(), "float32");
    assert_eq!(weights.head("lm_head", 4096, 64).unwrap().description(), "float32");
    let Some(dir) = shared_model("tiny-llama-bnb-nf4") else { return };
    let err = open_as(&dir, DTypeChoice::F32, Some(Precision::Int8)).err().unwrap().to_string();
    assert!(err.contains("--precision int8: the checkpoint is quantised already (bitsandbytes 4 bit)"), "{err}");
}

// The copies were quantised by transformers from tiny-llama.
#[test]
fn precisions_equal_the_checkpoints_that_transformers_made() {
    for precision in ["int8", "nf4", "nf4-dq", "fp4"] {
        let (Some(plain), Some(made)) =
            (shared_model("tiny-llama"), shared_model(&format!("tiny-llama-bnb-{precision}")))
        else {
            return;
        };
        let mut plain = open_as(&plain, DTypeChoice::F32, Some(precision.parse().unwrap())).unwrap();
        let mut made = open(&made).unwrap();
        for (part, outs, ins) in [("mlp.down_proj", 64, 192), ("mlp.gate_proj", 192, 64), ("self_attn.k_proj", 32, 64)]
        {
            let prefix = format!("model.layers.1.{part}");
            let (ours, theirs) = (plain.linear(&prefix, outs, ins).unwrap(), made.linear(&prefix, outs, ins).unwrap());
            assert_eq!(ours.llm_int8_threshold(), theirs.llm_int8_threshold());
            assert_eq!(ours.description(), theirs.description());
            for (ours, theirs) in values(&ours).iter().zip(values(&theirs)) {
                // Double quantisation's mean may be summed in another order.
                let most = if precision == "nf4-dq" { 1e-6 * theirs.abs() } else { 0.0 };
                assert!((ours - theirs).abs() <= most, "{precision} {prefix}: {ours} {theirs}");
            }
        }
    }
}

/// A matrix of plain numbers in a folder of its own.
fn plain(outs: usize, ins: usize) -> tempfile::TempDir {
    let values: Vec<u8> = (0..outs * ins).flat_map(|i| ((i * 37 % 101) as f32 / 50.0 - 1.0).to_le_bytes()).collect();
    written(&[("x.weight", "F32", &[outs, ins], values)], &Value::Null)
}

type Tensor<'a> = (&'a str, &'a str, &'a [usize], Vec<u8>);

/// A folder with these tensors and a `quantization_config`.
fn written(tensors: &[Tensor<'_>], quantization: &Value) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, dtype, shape, bytes) in tensors {
        let offsets = [data.len(), data.len() + bytes.len()];
        header.insert(name.to_string(), json!({"dtype": dtype, "shape": shape, "data_offsets": offsets}));
        data.extend_from_slice(bytes);
    }
    let header = Value::Object(header).to_string();
    let file = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat();
    std::fs::write(dir.path().join("model.safetensors"), file).unwrap();
    let config = json!({ "quantization_config": quantization });
    std::fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
    dir
}

#[test]
fn a_precision_that_changes_nothing_is_refused() {
    for (precision, ins, part) in [
        ("q4_k", 40, "rows of 40 are not whole blocks of 256, as q4_k needs, nor of 32, as q5_0 needs"),
        ("q4_0", 40, "rows of 40 are not whole blocks of 32, as q4_0 needs"),
    ] {
        let dir = plain(4, ins);
        let mut weights = open_as(dir.path(), DTypeChoice::F32, Some(precision.parse().unwrap())).unwrap();
        assert_eq!(weights.linear("x", 4, ins).unwrap().description(), "float32");
        let err = weights.check_precision().unwrap_err().to_string();
        assert!(err.contains(part) && err.contains("--precision") && err.contains("hint:"), "{err}");
        assert_eq!(weights.storage(), [("float32".to_string(), 1)]);
    }
    let dir = plain(4, 64);
    let mut weights = open_as(dir.path(), DTypeChoice::F32, Some(Precision::Q4K)).unwrap();
    weights.linear("x", 4, 64).unwrap();
    weights.check_precision().unwrap();
    assert_eq!(weights.storage(), [("q5_0".to_string(), 1)]);
}

/// GPTQ of 4 bits, 16 inputs and 8 outputs, all codes 9, two groups of the scales 1 and 2, every stored zero `zero`.
fn gptq(zero: u32, g_idx: Option<[i32; 16]>, said: Value) -> (Vec<f32>, Vec<String>) {
    let word = |code: u32| (0..8).fold(0, |word, at| word | code << (4 * at));
    let words = |code: u32, count: usize| word(code).to_le_bytes().repeat(count);
    let half = |value: f32| half::f16::from_f32(value).to_le_bytes().repeat(8);
    let mut tensors: Vec<Tensor<'_>> = vec![
        ("x.qweight", "I32", &[2, 8], words(9, 16)),
        ("x.qzeros", "I32", &[2, 1], words(zero, 2)),
        ("x.scales", "F16", &[2, 8], [half(1.0), half(2.0)].concat()),
    ];
    if let Some(groups) = g_idx {
        tensors.push(("x.g_idx", "I32", &[16], groups.iter().flat_map(|group| group.to_le_bytes()).collect()));
    }
    let mut config = json!({"quant_method": "gptq", "bits": 4, "group_size": 8});
    config.as_object_mut().unwrap().extend(said.as_object().unwrap().clone());
    let dir = written(&tensors, &config);
    let mut weights = open(dir.path()).unwrap();
    let matrix = weights.linear("x", 8, 16).unwrap();
    (values(&matrix)[..16].to_vec(), weights.notices())
}

// The weights are (9 - zero) * scale; zeros are stored less one in version 1.
#[test]
fn tables_of_gptq_are_held_against_the_configuration() {
    let right: Vec<f32> = [[1.0; 8], [2.0; 8]].concat();
    let even: [i32; 16] = std::array::from_fn(|k| (k / 8) as i32);
    let mixed: [i32; 16] = std::array::from_fn(|k| (k % 2) as i32);
    let plain = json!({"sym": true, "desc_act": false});
    let version_2 = json!({"sym": true, "desc_act": false, "checkpoint_format": "gptq_v2"});
    for (zero, g_idx, said, values, notice) in [
        (7, Some(even), plain.clone(), &right, ""),
        (7, None, plain.clone(), &right, ""),
        (8, Some(even), version_2.clone(), &right, ""),
        // A list of noughts, whatever is said of it.
        (7, Some([0; 16]), plain.clone(), &right, "names group 0 for every input, and the configuration"),
        (7, Some([0; 16]), json!({"sym": true}), &right, "names group 0 for every input: it is not used"),
        (7, Some(mixed), plain.clone(), &right, "is not that of neighbours"),
        (7, Some(mixed), json!({"desc_act": true}), &(0..16).map(|k| [1.0, 2.0][k % 2]).collect(), ""),
        (7, None, json!({"desc_act": true}), &right, "there is no list of groups"),
        // Zeros of the other version.
        (8, Some(even), plain.clone(), &right, "read as version 2"),
        (7, Some(even), version_2, &right, "read as version 1"),
        (8, Some(even), json!({"sym": false}), &[[0.0; 8], [0.0; 8]].concat(), "cannot be told from here"),
        (3, Some(even), plain, &[[5.0; 8], [10.0; 8]].concat(), "zero points are not in the middle"),
        (3, Some(even), json!({"sym": false}), &[[5.0; 8], [10.0; 8]].concat(), ""),
    ] {
        let (found, notices) = gptq(zero, g_idx, said.clone());
        assert_eq!(found, *values, "{zero} {said}");
        match notice {
            "" => assert!(notices.is_empty(), "{notices:?}"),
            part => assert!(notices.len() == 1 && notices[0].contains(part), "{part}: {notices:?}"),
        }
    }
}

#[test]
fn zeros_of_awq_are_held_against_the_configuration() {
    let awq = |zero: u32, said: Value| {
        let word = |code: u32| (0..8).fold(0u32, |word, at| word | code << (4 * at)).to_le_bytes();
        let tensors: [Tensor<'_>; 3] = [
            ("x.qweight", "I32", &[16, 1], word(9).repeat(16)),
            ("x.qzeros", "I32", &[2, 1], word(zero).repeat(2)),
            ("x.scales", "F16", &[2, 8], half::f16::from_f32(1.0).to_le_bytes().repeat(16)),
        ];
        let mut config = json!({"quant_method": "awq", "bits": 4, "group_size": 8, "version": "gemm"});
        config.as_object_mut().unwrap().extend(said.as_object().unwrap().clone());
        let dir = written(&tensors, &config);
        let mut weights = open(dir.path()).unwrap();
        weights.linear("x", 8, 16).unwrap();
        weights.notices()
    };
    assert!(awq(8, json!({"zero_point": false})).is_empty() && awq(5, json!({"zero_point": true})).is_empty());
    assert!(awq(5, json!({"zero_point": false}))[0].contains("`zero_point` is false"));
    assert!(awq(0, json!({"zero_point": true}))[0].contains("every zero point is 0"));
}
