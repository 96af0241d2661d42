//! Tiny classifiers of all architectures against the logits of transformers, and folders that are damaged or hostile.
//!
//! `tests/fixtures/classifiers/make.py` made the folders and computed `expected.json` in each.

use super::*;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use tempfile::TempDir;

#[derive(Deserialize)]
struct Expected {
    texts: Vec<String>,
    ids: Vec<Vec<u32>>,
    runs: Vec<Run>,
}

/// Logits with some keys of `config.json` changed.
#[derive(Deserialize)]
struct Run {
    change: Map<String, Value>,
    logits: Vec<Vec<f32>>,
}

const ALL: &[&str] = &["bert", "roberta", "xlm-roberta", "distilbert", "deberta-v2", "deberta-v3", "modernbert"];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/classifiers").join(name)
}

fn expected(name: &str) -> Expected {
    serde_json::from_slice(&std::fs::read(fixture(name).join("expected.json")).unwrap()).unwrap()
}

/// A copy of a folder that may be changed.
fn copy(name: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(fixture(name)).unwrap().flatten() {
        std::fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
    }
    dir
}

fn change(dir: &Path, file: &str, change: impl FnOnce(&mut Value)) {
    let path = dir.join(file);
    let mut value: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut value);
    std::fs::write(path, value.to_string()).unwrap();
}

fn load(dir: &Path, settings: &str) -> Result<HfScorer> {
    HfScorer::load(dir, "test", &Options::parse(settings, SETTINGS)?)
}

fn scores(scorer: &HfScorer, texts: &[&str]) -> Vec<Result<f64, String>> {
    let mut scores = vec![Err("untold".to_string()); texts.len()];
    scorer.score(texts, &|| false, &mut |index, score| scores[index] = score).unwrap();
    scores
}

fn logits(scorer: &HfScorer, rows: &[Vec<u32>]) -> Vec<Vec<f32>> {
    let batch = Batch::new(rows.to_vec(), scorer.pad).unwrap();
    scorer.classifier.logits(&batch).unwrap().to_vec2().unwrap()
}

fn assert_near(name: &str, found: &[Vec<f32>], expected: &[Vec<f32>]) {
    assert_eq!(found.len(), expected.len());
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(found.len(), expected.len(), "{name}");
        for (a, b) in found.iter().zip(expected) {
            assert!((a - b).abs() < 1e-4, "{name}, text {index}: {found:?} is not {expected:?}");
        }
    }
}

#[test]
fn ids_are_those_of_transformers() {
    for name in ALL {
        let (scorer, expected) = (load(&fixture(name), "").unwrap(), expected(name));
        for (text, ids) in expected.texts.iter().zip(&expected.ids) {
            assert_eq!(&scorer.tokenizer.encode(text).unwrap(), ids, "{name}: {text:?}");
        }
        let longest = expected.ids.iter().map(Vec::len).max();
        assert_eq!(longest, Some(scorer.tokenizer.max_length), "{name}: a text is cut off");
    }
}

#[test]
fn logits_are_those_of_transformers() {
    for name in ALL {
        let expected = expected(name);
        for run in &expected.runs {
            let dir = copy(name);
            change(dir.path(), "config.json", |config| {
                run.change.iter().for_each(|(key, value)| config[key] = value.clone());
            });
            let scorer = load(dir.path(), "").unwrap();
            let what = format!("{name} {:?}", run.change);
            assert_near(&what, &logits(&scorer, &expected.ids), &run.logits);
            // Each text alone: the padding changes nothing.
            let alone: Vec<Vec<f32>> =
                expected.ids.iter().flat_map(|ids| logits(&scorer, std::slice::from_ref(ids))).collect();
            assert_near(&what, &alone, &run.logits);
        }
    }
}

/// Probabilities by hand from the reference's logits.
#[test]
fn scores_are_probabilities_of_the_toxic_label() {
    for (name, label, index, softmax) in [
        ("bert", "toxic", 0, false),
        ("roberta", "LABEL_1", 1, true),
        ("xlm-roberta", "toxicity", 0, false),
        ("distilbert", "toxic", 1, true),
        ("deberta-v2", "toxic", 1, true),
        ("deberta-v3", "toxic", 1, true),
        ("modernbert", "offensive", 1, true),
    ] {
        let (scorer, expected) = (load(&fixture(name), "").unwrap(), expected(name));
        assert_eq!(scorer.identity().label, label);
        let texts: Vec<&str> = expected.texts.iter().map(String::as_str).collect();
        for (score, logits) in scores(&scorer, &texts).into_iter().zip(&expected.runs[0].logits) {
            let exp: Vec<f64> = logits.iter().map(|logit| f64::from(*logit).exp()).collect();
            let own = exp[index];
            let wanted = if softmax { own / exp.iter().sum::<f64>() } else { own / (1.0 + own) };
            assert!((score.clone().unwrap() - wanted).abs() < 1e-4, "{name}: {score:?} is not {wanted}");
        }
    }
}

#[test]
fn settings_choose_label_activation_and_length() {
    let dir = fixture("bert");
    let (plain, threat) = (load(&dir, "").unwrap(), load(&dir, "#label=threat").unwrap());
    assert_eq!((threat.label, threat.identity().label.as_str()), (3, "threat"));
    assert_eq!(plain.identity().sha256, threat.identity().sha256, "the same weights");
    let soft = load(&dir, "#activation=softmax").unwrap();
    assert_ne!(scores(&plain, &["x"]), scores(&soft, &["x"]));
    assert_eq!(soft.identity().options["activation"], "softmax");
    let short = load(&dir, "#max_length=5").unwrap();
    assert_eq!(short.tokenizer.encode("the train is late and nobody cares").unwrap().len(), 5);
    for (settings, said) in [
        ("#label=rude", "has no label"),
        ("#activation=relu", "is not `softmax`"),
        ("#max_length=41", "takes 40 tokens"),
        ("#max_length=2", "no room"),
    ] {
        let err = load(&dir, settings).err().unwrap().to_string();
        assert!(err.contains(said), "{settings}: {err}");
    }
}

#[test]
fn old_tokenizer_files_give_the_same_ids() {
    for name in ["bert", "roberta"] {
        let (dir, expected) = (copy(name), expected(name));
        std::fs::remove_file(dir.path().join("tokenizer.json")).unwrap();
        let scorer = load(dir.path(), "").unwrap();
        for (text, ids) in expected.texts.iter().zip(&expected.ids) {
            assert_eq!(&scorer.tokenizer.encode(text).unwrap(), ids, "{name}: {text:?}");
        }
    }
    let dir = copy("deberta-v3");
    std::fs::remove_file(dir.path().join("tokenizer.json")).unwrap();
    let err = load(dir.path(), "").err().unwrap().to_string();
    assert!(err.contains("tokenizer.json") && err.contains("save_pretrained"), "{err}");
}

#[test]
fn scores_come_for_every_text_once_whatever_the_batch() {
    let scorer = load(&fixture("distilbert"), "").unwrap();
    let texts: Vec<String> = (0..150).map(|index| "the train is late ".repeat(index % 13)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let mut seen = vec![0; texts.len()];
    let mut together = vec![f64::NAN; texts.len()];
    let mut sink = |index: usize, score: Result<f64, String>| {
        seen[index] += 1;
        together[index] = score.unwrap();
    };
    scorer.score(&texts, &|| false, &mut sink).unwrap();
    assert!(seen.iter().all(|count| *count == 1));
    for index in [0, 1, 12, 149] {
        let alone = scores(&scorer, &texts[index..=index])[0].clone().unwrap();
        assert!((alone - together[index]).abs() < 1e-6);
    }
    let again = scores(&scorer, &texts);
    assert!(again.iter().zip(&together).all(|(again, first)| again.as_ref() == Ok(first)), "equal runs are equal");
    scorer.score(&texts, &|| true, &mut |_, _| panic!("was stopped")).unwrap();
}

#[test]
fn layer_norms_of_tensorflow_are_known() {
    let dir = copy("bert");
    let path = dir.path().join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header = String::from_utf8(bytes[8..8 + length].to_vec()).unwrap();
    let header = header.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
    let mut changed = (header.len() as u64).to_le_bytes().to_vec();
    changed.extend_from_slice(header.as_bytes());
    changed.extend_from_slice(&bytes[8 + length..]);
    std::fs::write(&path, changed).unwrap();
    let expected = expected("bert");
    assert_near("gamma", &logits(&load(dir.path(), "").unwrap(), &expected.ids), &expected.runs[0].logits);
}

/// What is changed, and a part of what is said about it.
type Damage = (&'static str, &'static str, fn(&Path), &'static str);

fn set(dir: &Path, key: &str, value: Value) {
    change(dir, "config.json", |config| config[key] = value);
}

/// Overwrites the first number of a tensor with NaN.
fn put_nan(dir: &Path, tensor: &str) {
    let path = dir.join("model.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let start = 8 + length + header[tensor]["data_offsets"][0].as_u64().unwrap() as usize;
    bytes[start..start + 2].copy_from_slice(&0x7e00u16.to_le_bytes());
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn damaged_and_hostile_folders_are_refused() {
    let damages: &[Damage] = &[
        ("bert", "no weights", |dir| std::fs::remove_file(dir.join("model.safetensors")).unwrap(), "has no weights"),
        ("bert", "no config", |dir| std::fs::remove_file(dir.join("config.json")).unwrap(), "config.json"),
        ("bert", "another shape", |dir| set(dir, "intermediate_size", json!(33)), "intermediate.dense"),
        ("bert", "more layers", |dir| set(dir, "num_hidden_layers", json!(3)), "layer.2"),
        ("bert", "giant", |dir| set(dir, "vocab_size", json!(1 << 23)), "word_embeddings"),
        ("bert", "beyond all", |dir| set(dir, "vocab_size", json!(u64::MAX)), "too large"),
        ("bert", "other labels", |dir| set(dir, "id2label", json!({"0": "toxic"})), "classifier"),
        ("bert", "vocabulary", |dir| set(dir, "architectures", json!(["BertModel"])), "not a sequence classifier"),
        ("bert", "positions", |dir| set(dir, "position_embedding_type", json!("relative_key")), "relative_key"),
        ("bert", "NaN in a matrix", |dir| put_nan(dir, "classifier.weight"), "NaN"),
        ("bert", "NaN in a vector", |dir| put_nan(dir, "classifier.bias"), "NaN"),
        ("bert", "NaN in a table", |dir| put_nan(dir, "bert.embeddings.word_embeddings.weight"), "NaN"),
        ("bert", "tokenizer", |dir| std::fs::write(dir.join("tokenizer.json"), "{").unwrap(), "not a tokenizer"),
        ("bert", "config", |dir| std::fs::write(dir.join("config.json"), "[1]").unwrap(), "not what it should be"),
        ("distilbert", "cut", |dir| std::fs::write(dir.join("pytorch_model.bin"), "PK").unwrap(), "pytorch_model.bin"),
        ("deberta-v3", "buckets", |dir| set(dir, "position_buckets", json!(1)), "position_buckets"),
        ("deberta-v3", "far", |dir| set(dir, "position_buckets", json!(1 << 20)), "position_buckets"),
        ("deberta-v2", "kernel", |dir| set(dir, "conv_kernel_size", json!(2)), "conv_kernel_size"),
        ("deberta-v2", "groups", |dir| set(dir, "conv_groups", json!(5)), "conv_kernel_size"),
        ("modernbert", "rope", |dir| set(dir, "num_attention_heads", json!(16)), "cannot be rotated"),
        ("modernbert", "kinds", |dir| set(dir, "layer_types", json!(["full_attention"])), "layer_types"),
        ("modernbert", "pooling", |dir| set(dir, "classifier_pooling", json!("max")), "classifier_pooling"),
    ];
    for (name, what, damage, said) in damages {
        let dir = copy(name);
        damage(dir.path());
        let err = load(dir.path(), "").err().unwrap_or_else(|| panic!("{name}, {what}: was taken")).to_string();
        assert!(err.contains(said), "{name}, {what}: {err}");
    }
}

/// A vocabulary larger than the model's is found at the text that has such a token, and only there.
#[test]
fn tokens_that_the_model_lacks_are_errors_of_their_text() {
    let dir = copy("bert");
    let scorer = load(dir.path(), "").unwrap();
    let mut config = Config::load(dir.path()).unwrap();
    config.vocab_size = 10;
    let scorer = HfScorer { tokenizer: TextTokenizer::load(dir.path(), &config, None).unwrap(), ..scorer };
    let found = scores(&scorer, &["", "the train"]);
    assert!(found[0].is_ok() && found[1].as_ref().unwrap_err().contains("10 only"), "{found:?}");
}
