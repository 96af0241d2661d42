//! Whole files: those of llama.cpp's converter against the checkpoints that they were made of, and hostile ones.

use super::testing::Writer;
use super::*;
use crate::model::testing::{fixture, shared_model};
use crate::model::weights::number::Number;
use candle_core::{DType, Device};
use serde_json::{Map, Value, json};

const PAIRS: [&str; 2] = ["stories260K", "llama2xs-279K"];

/// All values of a tensor, in the order of the checkpoint.
fn values(gguf: &Gguf, name: &str) -> Vec<f32> {
    let (info, bytes) = (&gguf.tensors()[name], gguf.bytes(name).unwrap());
    let kind = GgmlType::from_name(&info.dtype).unwrap();
    let outs = info.shape[0];
    let width = info.shape[1..].iter().product();
    let mut values = vec![0.0; outs * width];
    if let Some(number) = Number::named(&info.dtype) {
        number.widen(&bytes, &mut values);
    } else {
        let matrix = decode(kind, outs, width, &bytes).unwrap();
        values.chunks_exact_mut(width).enumerate().for_each(|(row, values)| matrix.row(row, values));
    }
    values
}

/// The tensors of a checkpoint; tables that are computed, which old ones hold, aside.
fn safetensors(dir: &Path) -> HashMap<String, candle_core::Tensor> {
    const TABLES: [&str; 4] = [".attn.bias", ".attention.bias", ".masked_bias", ".inv_freq"];
    // SAFETY: nobody changes a fixture while it is read.
    let file = unsafe { candle_core::safetensors::MmapedSafetensors::new(dir.join("model.safetensors")) }.unwrap();
    let names = file.tensors().into_iter().map(|(name, _)| name);
    let names = names.filter(|name| !TABLES.iter().any(|table| name.ends_with(table)));
    names.map(|name| (name.clone(), file.load(&name, &Device::Cpu).unwrap())).collect()
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

// tests/fixtures/make_gguf.py: whole models as llama.cpp reads them, of the weights of `checkpoints`.
#[test]
fn families_are_those_of_the_checkpoints() {
    for (name, checkpoint) in [
        ("gemma", "gemma"),
        ("gpt2", "gpt2"),
        ("gptneox", "gpt_neox"),
        ("granite", "granite"),
        ("llama", "llama"),
        ("llama-llama3", "llama-llama3"),
        ("llama-yarn", "llama-yarn"),
        ("mixtral", "mixtral"),
        ("olmo2", "olmo2"),
        ("phi3", "phi3"),
        ("phi3-longrope", "phi3-longrope"),
        ("qwen2", "qwen2"),
        ("qwen3", "qwen3"),
        ("qwen3moe", "qwen3_moe"),
    ] {
        let dir = fixture("checkpoints").join(checkpoint);
        let gguf = Gguf::open(&fixture("gguf").join(format!("{name}.gguf"))).unwrap_or_else(|e| panic!("{e}"));
        // Weights of Gemma's norms went through x + 1.
        same_weights(&dir, &gguf, if name == "gemma" { 1e-6 } else { 0.0 });
        // Of Llama 3's rope there is only what it makes of each frequency; Phi-3 without factors has no use for the other key.
        let except = ["rope_parameters", "original_max_position_embeddings"];
        same_config(name, &config_json(&gguf).unwrap(), &config_of(&dir), &except);
    }
}

/// A small model of a family that has everything: a permuted and a quantised matrix, norms, a tokenizer.
fn small() -> Writer {
    let mut writer = Writer::new("llama");
    for (key, value) in [
        ("embedding_length", 32),
        ("block_count", 1),
        ("feed_forward_length", 32),
        ("context_length", 64),
        ("attention.head_count", 2),
        ("attention.head_count_kv", 1),
        ("rope.dimension_count", 16),
    ] {
        writer.count(&format!("llama.{key}"), value);
    }
    writer.number("llama.attention.layer_norm_rms_epsilon", 1e-5).number("llama.rope.freq_base", 500.0);
    writer.text("tokenizer.ggml.model", "llama").count("tokenizer.ggml.bos_token_id", 1);
    writer.texts("tokenizer.ggml.tokens", &["<unk>", "<s>", "</s>", "a", "b", "ab"]);
    writer.numbers("tokenizer.ggml.scores", &[0.0, 0.0, 0.0, -1.0, -2.0, -3.0]);
    writer.integers("tokenizer.ggml.token_type", &[2, 3, 3, 1, 1, 4]);
    writer.flag("tokenizer.ggml.add_bos_token", true);
    writer.tensor("token_embd.weight", &[6, 32], 8, vec![1; 6 * 34]);
    writer.tensor("blk.0.attn_q.weight", &[32, 32], 12 - 4, vec![2; 32 * 34]);
    writer.floats("blk.0.attn_k.weight", &[16, 32], &[0.5; 16 * 32]);
    writer.floats("blk.0.attn_norm.weight", &[32], &[1.5; 32]);
    writer.floats("rope_freqs.weight", &[8], &[1.0, 1.0, 1.0, 1.0, 2.0, 4.0, 8.0, 8.0]);
    writer
}

/// A change of a file in the making.
type Change<'a> = &'a dyn Fn(&mut Writer) -> &mut Writer;

/// Everything that is read of a file, in the order in which a run reads it.
fn read_all(path: &Path) -> Result<()> {
    let gguf = Gguf::open(path)?;
    config_json(&gguf)?;
    for (name, info) in gguf.tensors() {
        let bytes = gguf.bytes(name)?;
        if let (Some(kind), &[outs, ins]) = (GgmlType::from_name(&info.dtype), &info.shape[..])
            && kind.block() > 1
        {
            decode(kind, outs, ins, &bytes).map_err(|e| e.file(&info.file).key(name))?;
        }
    }
    tokenizer(gguf.metadata()).map(drop)
}

#[test]
fn a_small_file_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("small.gguf");
    let mut writer = small();
    for version in [2, 3] {
        writer.versioned(version);
        writer.save(&path);
        read_all(&path).unwrap();
    }
    let config = config_json(&Gguf::open(&path).unwrap()).unwrap();
    assert_eq!(config["rope_parameters"]["rope_type"], "longrope");
    assert_eq!(config["rope_parameters"]["long_factor"], json!([1.0, 1.0, 1.0, 1.0, 2.0, 4.0, 8.0, 8.0]));
    assert_eq!((&config["tie_word_embeddings"], &config["vocab_size"]), (&json!(true), &json!(6)));
    writer.count("general.alignment", 64).alignment = 64;
    writer.save(&path);
    read_all(&path).unwrap();
    assert_eq!(find(dir.path()).unwrap().unwrap(), path);
    std::fs::write(dir.path().join("mmproj-x.gguf"), "").unwrap();
    assert_eq!(find(dir.path()).unwrap().unwrap(), path);
    std::fs::write(dir.path().join("other.gguf"), "").unwrap();
    assert!(find(dir.path()).unwrap_err().to_string().contains("2 GGUF files"));
}

#[test]
fn split_models_are_put_together() {
    let dir = tempfile::tempdir().unwrap();
    let part = |number: usize| dir.path().join(format!("m-{number:05}-of-00002.gguf"));
    let mut first = Writer::new("llama");
    first.count("split.count", 2).count("split.tensors.count", 3).floats("output_norm.weight", &[2], &[1.0, 2.0]);
    first.save(&part(1));
    let mut second = Writer::new("elsewhere");
    second.count("split.count", 2).floats("output.weight", &[1, 2], &[3.0, 4.0]).floats("x", &[1], &[5.0]);
    second.save(&part(2));
    for opened in [1, 2] {
        let gguf = Gguf::open(&part(opened)).unwrap();
        assert_eq!((gguf.architecture(), values(&gguf, "lm_head.weight")), ("llama", vec![3.0, 4.0]));
        assert_eq!((values(&gguf, "model.norm.weight"), values(&gguf, "x")), (vec![1.0, 2.0], vec![5.0]));
        assert_eq!(gguf.tensors()["x"].file, part(2));
    }
    assert_eq!(find(dir.path()).unwrap().unwrap(), part(1));
    let says = |part: &str, path: &Path| {
        let err = Gguf::open(path).err().expect("should be refused").to_string();
        assert!(err.contains(part) && err.contains("hint:"), "{part}: {err}");
    };
    second.floats("output_norm.weight", &[1], &[1.0]).save(&part(2));
    says("00002-of-00002.gguf, output_norm.weight: is in two parts", &part(1));
    Writer::new("llama").save(&part(2));
    says("should have 3 tensors, its 2 files have 1", &part(1));
    std::fs::remove_file(part(2)).unwrap();
    says("m-00002-of-00002.gguf: is not there", &part(1));
    let renamed = dir.path().join("m.gguf");
    std::fs::rename(part(1), &renamed).unwrap();
    says("split.count: is one of 2 parts", &renamed);
}

#[test]
fn files_cut_anywhere_are_refused() {
    let (header, data) = small().parts();
    let whole = [&header[..], &data].concat();
    assert!(header::parse(&whole).is_ok());
    // Behind the last tensor there are 0 bytes of padding that may be missing.
    for length in 0..whole.len() {
        let err = header::parse(&whole[..length]).err().unwrap_or_else(|| panic!("{length} bytes were enough"));
        assert!(err.hint_text().is_some(), "{length}: {err}");
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cut.gguf");
    for length in [0, 3, 20, 100, header.len(), whole.len() - 1] {
        std::fs::write(&path, &whole[..length]).unwrap();
        let err = read_all(&path).unwrap_err().to_string();
        assert!(err.contains("cut.gguf") && err.contains("hint:"), "{length}: {err}");
    }
    let err = header::parse(&whole[..whole.len() - 1]).unwrap_err().to_string();
    assert!(err.starts_with("rope_freqs.weight: the file is shorter than its header says"), "{err}");
}

#[test]
fn damaged_files_never_panic() {
    let (header, data) = small().parts();
    let whole = [&header[..], &data].concat();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("damaged.gguf");
    // xorshift64, seeded.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let mut refused = 0;
    for _ in 0..4000 {
        let mut bytes = whole.clone();
        for _ in 0..1 + next(3) {
            let at = next(header.len());
            let width = 1 + next(8);
            let filling = [0, 0xff, 0x7f, 0x80, next(256) as u8][next(5)];
            bytes[at..(at + width).min(header.len())].fill(filling);
        }
        std::fs::write(&path, &bytes).unwrap();
        if let Err(err) = read_all(&path) {
            assert!(err.to_string().contains("damaged.gguf"), "{err}");
            refused += 1;
        }
    }
    assert!(refused > 2000, "{refused}");
}

#[test]
fn claims_that_the_file_cannot_pay_for_are_refused() {
    const HUGE: u64 = 1 << 60;
    let parse = |writer: &Writer| {
        let (header, data) = writer.parts();
        header::parse(&[header, data].concat()).map(drop)
    };
    let says = |writer: &Writer, part: &str| {
        let err = parse(writer).expect_err(part);
        assert!(err.to_string().contains(part) && err.hint_text().is_some(), "{part}: {err}");
    };
    let list = |kind: u32, count: u64| [&kind.to_le_bytes()[..], &count.to_le_bytes()].concat();
    let changed = |change: Change<'_>| {
        let mut writer = small();
        change(&mut writer);
        writer
    };
    says(&changed(&|w| w.raw("k", 8, &HUGE.to_le_bytes())), "k: the file ends before the end of a text");
    says(&changed(&|w| w.raw("k", 9, &list(0, HUGE))), "k: claims 1152921504606846976 values");
    says(&changed(&|w| w.raw("k", 9, &list(8, HUGE))), "k: claims 1152921504606846976 texts");
    says(&changed(&|w| w.raw("k", 9, &list(9, 1))), "k: is an array of arrays");
    says(&changed(&|w| w.raw("k", 13, &[0; 8])), "k: its value is of the unknown type 13");
    says(&changed(&|w| w.count("general.alignment", 0)), "general.alignment: is not a possible alignment");
    says(&changed(&|w| w.count("general.alignment", 31)), "general.alignment: is not a possible alignment");
    says(&changed(&|w| w.count("llama.block_count", 1)), "llama.block_count: stands twice");
    says(&changed(&|w| w.floats("x", &[HUGE], &[])), "x: the file is shorter");
    says(&changed(&|w| w.floats("x", &[HUGE, HUGE], &[])), "x: has the impossible shape");
    says(&changed(&|w| w.floats("x", &[u64::MAX], &[])), "x: has the impossible shape");
    says(&changed(&|w| w.floats("x", &[4, 0], &[])), "x: has the impossible shape");
    says(&changed(&|w| w.floats("x", &[1; 5], &[0.0])), "x: has 5 dimensions");
    says(&changed(&|w| w.tensor("x", &[2, 31], 8, vec![0; 68])), "x: has the impossible shape");
    says(&changed(&|w| w.tensor("x", &[256], 16, vec![0; 66])), "x: the number format IQ2_XXS is not supported");
    says(&changed(&|w| w.tensor("x", &[32], 39, vec![0; 17])), "x: the number format MXFP4 is not supported");
    says(&changed(&|w| w.tensor("x", &[1], 99, vec![0; 4])), "x: the number format 99 is unknown");
    says(&changed(&|w| w.floats("token_embd.weight", &[1], &[0.0])), "token_embd.weight: stands twice");
    says(&changed(&|w| w.versioned(1)), "version 1");
    says(&changed(&|w| w.versioned(4)), "version 4");
    says(&changed(&|w| w.versioned(3_u32.swap_bytes())), "big-endian");
    let (header, data) = small().parts();
    let says = |at: usize, change: &[u8], part: &str| {
        let mut bytes = [&header[..], &data].concat();
        bytes[at..at + change.len()].copy_from_slice(change);
        let err = header::parse(&bytes).expect_err(part).to_string();
        assert!(err.contains(part) && err.contains("hint:"), "{part}: {err}");
    };
    says(0, b"ggjt", "GGML");
    says(0, b"PK\x03\x04", "does not begin with `GGUF`");
    says(8, &HUGE.to_le_bytes(), "claims 1152921504606846976 tensors");
    says(16, &HUGE.to_le_bytes(), "claims 1152921504606846976 keys");
    says(24, &HUGE.to_le_bytes(), "a key claims to have 1152921504606846976 bytes");
    let offset = header.windows(8).rposition(|bytes| bytes == 3488_u64.to_le_bytes()).unwrap();
    says(offset, &3489_u64.to_le_bytes(), "rope_freqs.weight: its offset 3489 is no multiple of the alignment 32");
    says(offset, &0_u64.to_le_bytes(), "its bytes are also those of");
    says(offset, &(u64::MAX - 31).to_le_bytes(), "rope_freqs.weight: the file is shorter");
}

#[test]
fn other_models_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.gguf");
    let says = |change: Change<'_>, part: &str| {
        let mut writer = small();
        change(&mut writer);
        writer.save(&path);
        let err = read_all(&path).unwrap_err().to_string();
        assert!(err.contains("x.gguf") && err.contains(part), "{part}: {err}");
    };
    says(&|w| w.family("dodo"), "the architecture `dodo` is not supported");
    says(&|w| w.text("general.type", "adapter"), "holds a adapter, not a model");
    says(
        &|w| w.without("rope_freqs.weight").text("llama.rope.scaling.type", "spiral"),
        "llama.rope.scaling.type: the rope scaling `spiral` is not supported",
    );
    says(&|w| w.flag("llama.attention.causal", false), "llama.attention.causal");
    says(&|w| w.count("llama.attention.value_length", 3), "llama.attention.value_length");
    says(
        &|w| w.tensor("output_norm.weight", &[1], 1, vec![0; 2]).family("gemma"),
        "model.norm.weight: is a norm in F16",
    );
    says(&|w| w.floats("blk.0.attn_q.bias", &[6], &[0.0; 6]), "6 rows cannot be those of 2 heads");
    says(&|w| w.tensor("blk.0.x.weight", &[1, 32], 8, vec![0xff; 34]), "holds scales that are no finite numbers");
}

#[test]
fn what_ends_a_turn_by_its_text_ends_a_text() {
    let ends = |tokens: &[&str]| {
        let mut writer = small();
        writer.tokens(tokens);
        let dir = tempfile::tempdir().unwrap();
        // Ollama's files have no ending.
        let path = dir.path().join("sha256-0123");
        writer.save(&path);
        assert!(super::is_gguf(&path) && !super::is_gguf(dir.path()));
        config_json(&Gguf::open(&path).unwrap()).unwrap()["eos_token_id"].clone()
    };
    assert_eq!(ends(&["a", "b", "c"]), json!([2]), "the default of SentencePiece");
    assert_eq!(ends(&["<unk>", "<s>", "</s>", "<|end|>", "<|endoftext|>"]), json!([2, 3, 4]));
    assert_eq!(ends(&["<|return|>", "<|call|>", "x", "<|end|>"]), json!([2, 0, 1]), "a part of a turn ends nothing");
}
