//! Checkpoints that somebody else saved, by the real binary: what runs, what is said about it, what is refused.
//!
//! All are made of the demo's model, which is part of the repository.

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// A folder with a copy of the demo's model and a task of two documents.
struct World {
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> World {
        let world = World { dir: tempfile::tempdir().unwrap() };
        std::fs::create_dir(world.model()).unwrap();
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/demo/model");
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            std::fs::write(world.model().join(entry.file_name()), std::fs::read(entry.path()).unwrap()).unwrap();
        }
        world.write("docs.jsonl", "{\"q\": \"Is snow white?\"}\n{\"q\": \"Is [IMG] white?\"}\n");
        let task = "task: t\ndataset_path: json\ndataset_kwargs: {data_files: {test: docs.jsonl}}\ntest_split: test\n\
                    output_type: multiple_choice\ndoc_to_text: \"{{q}}\"\ndoc_to_target: 0\ndoc_to_choice: [\"yes\", \"no\"]\n\
                    metric_list: [{metric: acc}]\n";
        world.write("t.yaml", task);
        world
    }

    fn model(&self) -> PathBuf {
        self.dir.path().join("model")
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join(name), text).unwrap();
    }

    fn edit(&self, file: &str, change: impl FnOnce(&mut Value)) {
        let path = self.model().join(file);
        let mut value: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        change(&mut value);
        std::fs::write(path, value.to_string()).unwrap();
    }

    /// Runs the task; exit code, what is data, what is talk.
    fn run(&self, flags: &[&str]) -> (i32, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fairmark"));
        command.current_dir(self.dir.path()).env("NO_COLOR", "1");
        command.args(["run", "--model", "model", "--tasks", "t.yaml", "--offline", "--cache", "off", "--out", "out"]);
        let Output { status, stdout, stderr } = command.args(flags).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (status.code().unwrap_or(-1), text(stdout), text(stderr))
    }

    /// The refusal, which names `part`.
    fn refused(&self, part: &str) {
        let (code, _, said) = self.run(&[]);
        assert!(code == 2 && said.contains(part) && !said.contains("panicked"), "{part}: exit {code}, {said}");
    }
}

#[test]
fn an_added_token_without_a_row_harms_only_texts_that_hold_it() {
    let world = World::new();
    let token = json!({"id": 1024, "content": "[IMG]", "single_word": false, "lstrip": false, "rstrip": false,
                       "normalized": false, "special": true});
    world.edit("tokenizer.json", |t| t["added_tokens"].as_array_mut().unwrap().push(token));
    let (code, table, said) = world.run(&[]);
    assert!(said.contains("\"[IMG]\" (id 1024) has no row in the model's embedding of 1024"), "{said}");
    assert!(code == 3 && table.contains("acc"), "exit {code}: {table} {said}");
    let samples = std::fs::read_dir(world.dir.path().join("out")).unwrap().flatten().next().unwrap().path();
    let samples = std::fs::read_dir(samples).unwrap().flatten().map(|entry| entry.path());
    let samples = samples.filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    let samples: String = samples.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    assert!(samples.contains("the text holds the token"), "{samples}");
}

#[test]
fn a_column_is_called_what_was_run() {
    let world = World::new();
    let (code, table, said) = world.run(&["--precision", "q4_k,q8_0"]);
    assert!(code == 0 && table.contains("q4_k (q5_0)") && table.contains("q8_0"), "exit {code}: {table} {said}");
    assert!(said.contains("are q5_0, as llama.cpp does it: rows of 64 are not whole blocks of 256"), "{said}");
}

#[test]
fn model_type_decides_and_contradictions_are_said() {
    let world = World::new();
    world.edit("config.json", |c| c["architectures"] = json!(["FSDPLlamaForCausalLM"]));
    let (code, _, said) = world.run(&[]);
    assert!(code == 0 && said.contains("names the class `FSDPLlamaForCausalLM`; its `model_type` decides"), "{said}");
    std::fs::write(world.model().join("adapter_config.json"), "{}").unwrap();
    let (code, _, said) = world.run(&[]);
    assert!(code == 0 && said.contains("adapter_config.json), which is not applied"), "{said}");
    world.edit("config.json", |c| c["model_type"] = json!("llamma"));
    world.refused("the architecture `FSDPLlamaForCausalLM` is not supported");
}

#[test]
fn hostile_tokenizers_are_named_errors() {
    let replace = |content: &str| json!({"type": "Replace", "pattern": {"String": "a"}, "content": content});
    let doubling: Vec<Value> = (0..60).map(|_| replace("aa")).collect();
    let cases: Vec<(&str, Value, &str)> = vec![
        ("normalizer", json!({"type": "Sequence", "normalizers": doubling}), "makes texts longer without bound"),
        ("decoder", json!({"type": "Sequence", "decoders": doubling}), "makes texts longer without bound"),
        ("normalizer", json!({"type": "Precompiled", "precompiled_charsmap": "8P///w=="}), "claims 4294967280 bytes"),
        ("normalizer", json!({"type": "Replace", "pattern": {"Regex": "("}, "content": ""}), "tokenizer.json"),
        ("pre_tokenizer", json!({"type": "Nonsense"}), "is not a tokenizer that can be read"),
        ("decoder", json!({"type": "Strip", "content": " ", "start": 4_000_000, "stop": 0}), "tokenizer.json"),
    ];
    for (step, value, part) in cases {
        let world = World::new();
        world.edit("tokenizer.json", |t| t[step] = value.clone());
        let (code, _, said) = world.run(&[]);
        assert!(!said.contains("panicked") && [0, 2].contains(&code), "{value}: exit {code}, {said}");
        if step != "decoder" || value["type"] == "Sequence" {
            assert!(code == 2 && said.contains(part), "{part}: exit {code}, {said}");
        }
    }
    let world = World::new();
    // A pattern that tries out all ways to split a long text.
    let pattern = json!({"type": "Split", "pattern": {"Regex": "(x+x+)+y"}, "behavior": "Isolated", "invert": false});
    world.edit("tokenizer.json", |t| t["pre_tokenizer"] = pattern);
    world.write("docs.jsonl", &format!("{{\"q\": \"{}\"}}\n", "x".repeat(5000)));
    let (code, _, said) = world.run(&[]);
    assert!(!said.contains("panicked") && [0, 1, 2, 3].contains(&code), "exit {code}, {said}");
}

#[cfg(unix)]
#[test]
fn pipes_and_devices_are_no_files() {
    for name in
        ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "generation_config.json"]
    {
        for device in [false, true] {
            let world = World::new();
            let path = world.model().join(name);
            std::fs::remove_file(&path).unwrap();
            if device {
                std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
            } else {
                assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
            }
            let started = Instant::now();
            let (code, _, said) = world.run(&[]);
            assert!(code == 2 && said.contains("not a file") && said.contains(name), "{name}: exit {code}, {said}");
            assert!(started.elapsed() < Duration::from_secs(20), "{name}");
        }
    }
}

#[test]
fn pointers_of_git_lfs_are_named() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n";
    for name in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
        let world = World::new();
        std::fs::write(world.model().join(name), pointer).unwrap();
        world.refused("is a pointer of git-lfs, not the file: run `git lfs pull`");
    }
}
