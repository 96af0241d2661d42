//! What a folder holds that is no model yet, and what to do about it.
//!
//! Comes in: a folder in which something was missed. Goes out: an error that says what is there instead. Never: guesses that names of files do
//! not bear out.

use super::config::{CONFIG, read_json};
use crate::error::Error;
use serde::Deserialize;
use serde_json::Value;
use std::path::Path;

/// The file of a LoRA adapter.
pub const ADAPTER: &str = "adapter_config.json";

/// What a model is.
const A_MODEL: &str =
    "a model is a folder with config.json, tokenizer.json and model.safetensors, as transformers saves it";

/// Characters of somebody else's name that messages show.
const LONGEST: usize = 100;

/// Names that a hint lists.
const SHOWN: usize = 4;

/// Most entries of a folder that are looked at.
const MOST: usize = 10_000;

#[derive(Deserialize)]
struct Adapter {
    base_model_name_or_path: Option<Value>,
}

/// Something that is no model: how it is recognised, what to say, what to do.
struct Other {
    is: fn(&[String]) -> bool,
    what: &'static str,
    hint: &'static str,
}

/// In the order in which they are looked for.
const OTHERS: &[Other] = &[
    Other {
        is: |names| has(names, "model_index.json"),
        what: "holds a pipeline of diffusers (model_index.json), not a language model",
        hint: "fairmark runs language models",
    },
    Other {
        is: |names| has(names, "modules.json"),
        what: "holds a model of sentence-transformers (modules.json), not a language model",
        hint: "fairmark runs language models",
    },
    Other {
        is: |names| names.iter().any(|name| name.ends_with(".pth")),
        what: "holds a checkpoint in Meta's own format (consolidated.*.pth), not one of transformers",
        hint: "convert it with transformers' convert_llama_weights_to_hf.py, or use the repository of the same model that ends in -hf",
    },
    Other {
        is: |names| names.iter().any(|name| name.starts_with("consolidated") && name.ends_with(".safetensors")),
        what: "holds a checkpoint in Mistral's own format (consolidated.safetensors), not one of transformers",
        hint: "convert it with transformers' convert_mistral_weights_to_hf.py, or fetch the repository's model.safetensors",
    },
    Other {
        is: |names| names.iter().any(|name| name.ends_with(".distcp") || name.starts_with("__0_")),
        what: "holds a distributed checkpoint (.distcp) of a training run",
        hint: "merge it, for example with `accelerate merge-weights`, and save the model with save_pretrained",
    },
    Other {
        is: |names| names.iter().any(|name| name == "zero_to_fp32.py" || name.starts_with("global_step")),
        what: "holds a checkpoint of DeepSpeed",
        hint: "its zero_to_fp32.py makes a pytorch_model.bin of it",
    },
    Other {
        is: |names| names.iter().any(|name| name.ends_with(".onnx") || name == "onnx"),
        what: "holds an ONNX model",
        hint: "ONNX models are not supported; use the safetensors checkpoint that it was made from",
    },
    Other {
        is: |names| names.iter().any(|name| name.ends_with(".msgpack")),
        what: "holds a checkpoint of Flax",
        hint: "Flax checkpoints are not supported; use the safetensors checkpoint",
    },
    Other {
        is: |names| names.iter().any(|name| name.ends_with(".h5")),
        what: "holds a checkpoint of TensorFlow",
        hint: "TensorFlow checkpoints are not supported; use the safetensors checkpoint",
    },
    Other {
        is: |names| names.iter().any(|name| name.starts_with("weights") && name.ends_with(".npz")),
        what: "holds weights in NumPy's format (.npz), as MLX wrote them",
        hint: "use the safetensors checkpoint that they were made from",
    },
    Other {
        is: |names| names.iter().any(|name| name.starts_with("openvino_model")),
        what: "holds a model of OpenVINO",
        hint: "use the safetensors checkpoint that it was made from",
    },
];

fn has(names: &[String], wanted: &str) -> bool {
    names.iter().any(|name| name == wanted)
}

/// Names in a folder, sorted.
fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten().take(MOST);
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn weights(names: &[String]) -> bool {
    let ends = [".safetensors", ".bin", ".pt", ".pth"];
    names.iter().any(|name| ends.iter().any(|end| name.ends_with(end)))
}

/// The error for a folder without `config.json`.
pub fn no_config(dir: &Path, file: &Path) -> Error {
    let names = names(dir);
    if let Some(err) = instead(dir, &names) {
        return err;
    }
    let err = Error::input("is not there").file(file);
    // Runs of a trainer and copies of the hub's cache have their models one folder below.
    let below = |name: &&String| dir.join(name).join(CONFIG).is_file();
    let snapshot = || {
        let inner = dir.join("snapshots");
        let commit = self::names(&inner).into_iter().find(|commit| inner.join(commit).join(CONFIG).is_file());
        commit.map(|commit| format!("snapshots/{commit}"))
    };
    if let Some(name) = names.iter().find(below).cloned().or_else(snapshot) {
        return err.hint(format!("there is a config.json in {}: name that folder", dir.join(shown(&name)).display()));
    }
    if ["tokenizer.json", "tokenizer.model", "vocab.json"].iter().any(|name| has(&names, name)) && !weights(&names) {
        return Error::input("holds a tokenizer only, no model").file(dir).hint(A_MODEL);
    }
    err.hint(if names.is_empty() {
        "the folder is empty; a model is a folder as transformers saves it"
    } else {
        A_MODEL
    })
}

/// The error for a folder without weights that can be read, if names of files say what is there.
pub fn no_weights(dir: &Path) -> Option<Error> {
    instead(dir, &names(dir))
}

/// The error for a folder without a tokenizer that can be read: names the files of one that there are.
pub fn no_tokenizer(dir: &Path, file: &Path) -> Error {
    let names = names(dir);
    let known = |name: &&String| {
        ["vocab.json", "merges.txt", "vocab.txt", "spiece.model", "tekken.json", "tiktoken.model"]
            .contains(&name.as_str())
            || name.starts_with("tokenizer.model")
            || name.ends_with(".tiktoken")
    };
    let found: Vec<&str> = names.iter().filter(known).take(SHOWN).map(String::as_str).collect();
    let save = "save the tokenizer in the fast format: AutoTokenizer.from_pretrained(...).save_pretrained(...) in transformers";
    let err = Error::input("is not there").file(file);
    if found.is_empty() {
        return err.hint(save);
    }
    err.hint(format!(
        "of a tokenizer there is {}; tokenizer.model (SentencePiece) and vocab.json with merges.txt are read, others are not: {save}",
        found.join(", ")
    ))
}

/// What to know about a folder whose model is whole: an adapter in it is not applied.
pub fn notice(dir: &Path) -> Option<String> {
    dir.join(ADAPTER).is_file().then(|| {
        format!("the folder holds an adapter as well ({ADAPTER}), which is not applied; transformers would apply it where peft is installed")
    })
}

fn instead(dir: &Path, names: &[String]) -> Option<Error> {
    if has(names, ADAPTER) {
        let adapter: Option<Adapter> = read_json(&dir.join(ADAPTER)).ok().flatten();
        let base = adapter.and_then(|adapter| adapter.base_model_name_or_path);
        let base = base.as_ref().and_then(Value::as_str).map(|base| format!(" of `{}`", shown(base)));
        let message = format!("holds a LoRA adapter{} ({ADAPTER}), not a model", base.unwrap_or_default());
        return Some(Error::input(message).file(dir).hint(
            "merge it first: with peft, AutoPeftModelForCausalLM.from_pretrained(...).merge_and_unload().save_pretrained(...), \
             and save the tokenizer beside it",
        ));
    }
    // Beside a checkpoint of transformers' other files are no reason.
    if names.iter().any(|name| is_checkpoint(name)) {
        return None;
    }
    let other = OTHERS.iter().find(|other| (other.is)(names))?;
    Some(Error::input(other.what).file(dir).hint(other.hint))
}

fn is_checkpoint(name: &str) -> bool {
    let is = |start: &str, end: &str| name.starts_with(start) && name.ends_with(end);
    is("model", ".safetensors") || is("pytorch_model", ".bin")
}

fn shown(name: &str) -> String {
    name.chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use crate::model::{LoadOptions, Model};

    /// The refusal of a folder with these files.
    fn says(files: &[(&str, &str)]) -> String {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Model::load(dir.path(), &LoadOptions::default()).err().unwrap().to_string()
    }

    #[test]
    fn what_is_no_model_is_said_as_what_it_is() {
        let adapter = r#"{"peft_type": "LORA", "base_model_name_or_path": "org/base"}"#;
        let config = r#"{"model_type": "llama", "hidden_size": 8, "num_attention_heads": 2}"#;
        for (files, part) in [
            (
                &[("adapter_config.json", adapter), ("adapter_model.safetensors", "")][..],
                "a LoRA adapter of `org/base`",
            ),
            (&[("adapter_config.json", adapter), ("config.json", config)], "a LoRA adapter of `org/base`"),
            (&[("consolidated.00.pth", ""), ("params.json", "{}"), ("tokenizer.model", "")], "Meta's own format"),
            (&[("consolidated.safetensors", ""), ("params.json", "{}")], "Mistral's own format"),
            (&[("model_index.json", "{}"), ("unet/config.json", "{}")], "diffusers"),
            (&[("config.json", config), ("onnx/model.onnx", "")], "ONNX"),
            (&[("tokenizer.json", "{}"), ("tokenizer_config.json", "{}")], "a tokenizer only"),
            (
                &[("checkpoint-500/config.json", config), ("trainer_state.json", "{}")],
                "checkpoint-500: name that folder",
            ),
            (&[("snapshots/0a1b/config.json", config), ("refs/main", "0a1b")], "snapshots/0a1b: name that folder"),
            (
                &[("config.json", config), ("pytorch_model.bin.index.json", r#"{"weight_map": {"a": "b.bin"}}"#)],
                "not there",
            ),
            (&[("config.json", config)], "has no weights"),
            (&[], "the folder is empty"),
        ] {
            let err = says(files);
            assert!(err.contains(part) && err.contains("hint:"), "{part}: {err}");
        }
        let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n";
        assert!(says(&[("config.json", pointer)]).contains("git lfs pull"));
        let err = says(&[("config.json", config), ("model.safetensors", pointer)]);
        assert!(err.contains("model.safetensors: is a pointer of git-lfs"), "{err}");
    }
}
