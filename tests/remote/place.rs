//! A folder with tasks and data of a test's own, runs of the binary in it, and what they left.

use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const CHOICES: &str = r#"
task: toy_choices
dataset_path: json
dataset_kwargs:
  data_files: {test: choices.jsonl}
test_split: test
output_type: multiple_choice
doc_to_text: "Question {{id}}: {{text}}\nAnswer:"
doc_to_choice: "{{choices}}"
doc_to_target: answer
"#;

const WORDS: &str = r#"
task: toy_words
dataset_path: json
dataset_kwargs:
  data_files: {test: words.jsonl}
test_split: test
output_type: generate_until
doc_to_text: "Question {{id}}: {{text}}\nAnswer:"
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["\n"], max_gen_toks: 24}
metric_list:
  - metric: exact_match
"#;

const NAMES: &[&str] =
    &["river", "stone", "cloud", "maple", "harbour", "lantern", "violin", "meadow", "copper", "winter"];

/// Choices of each document of `toy_choices`.
pub const NUM_CHOICES: usize = 4;

/// A folder for one test.
pub struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    /// With so many documents with four choices, and so many with a free answer.
    pub fn new(choices: usize, words: usize) -> Place {
        let dir = tempfile::tempdir().unwrap();
        let tasks = dir.path().join("tasks");
        std::fs::create_dir(&tasks).unwrap();
        std::fs::write(tasks.join("choices.yaml"), CHOICES).unwrap();
        std::fs::write(tasks.join("words.yaml"), WORDS).unwrap();
        let mut random = fastrand::Rng::with_seed(7);
        let mut text = |n: usize| (0..n).map(|_| NAMES[random.usize(..NAMES.len())]).collect::<Vec<_>>().join(" ");
        let row = |id: usize, text: String, rest: String| format!("{{\"id\": {id}, \"text\": \"{text}\", {rest}}}\n");
        let rows: String = (0..choices)
            .map(|id| {
                let choices: Vec<String> = (0..NUM_CHOICES).map(|n| format!("\"{} {n}\"", text(2))).collect();
                row(id, text(12), format!("\"choices\": [{}], \"answer\": {}", choices.join(", "), id % NUM_CHOICES))
            })
            .collect();
        std::fs::write(tasks.join("choices.jsonl"), rows).unwrap();
        let rows: String = (0..words).map(|id| row(10_000 + id, text(10), "\"answer\": \"red\"".to_string())).collect();
        std::fs::write(tasks.join("words.jsonl"), rows).unwrap();
        Place { dir }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// `fairmark run` on the server's model, run folders under `out`; nothing of the environment gets in.
    pub fn command(&self, model: &str, tasks: &str, out: &str, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fairmark"));
        command.current_dir(self.path()).env_clear().env("HF_HUB_OFFLINE", "1");
        command.env("HOME", self.path()).env("XDG_CACHE_HOME", self.path().join("cache"));
        for name in ["PATH", "SYSTEMROOT", "LD_LIBRARY_PATH"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.args(["run", "--model", model, "--tasks", tasks, "--include-path", "tasks", "--out", out]);
        // Faults are quick here, and so is asking again.
        command.args(["--bootstrap-iters", "100", "--retry-wait", "0.02", "--connect-timeout", "2"]);
        command.args(more);
        command
    }

    pub fn run(&self, model: &str, tasks: &str, out: &str, more: &[&str]) -> Run {
        Run::of(self.command(model, tasks, out, more).output().unwrap())
    }

    /// The only run folder under `out`.
    pub fn folder(&self, out: &str) -> PathBuf {
        let folders = self.folders(out);
        assert_eq!(folders.len(), 1, "{folders:?}");
        folders[0].clone()
    }

    pub fn folders(&self, out: &str) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.path().join(out)) else { return Vec::new() };
        let mut folders: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).filter(|p| p.is_dir()).collect();
        folders.sort();
        folders
    }

    /// What a run says in files, without what legitimately differs between two runs: dates and durations.
    pub fn outputs(&self, out: &str) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        let folder = self.folder(out);
        for path in std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let stem = name.split("_20").next().unwrap().to_string();
            if name.starts_with("samples") {
                files.insert(stem, std::fs::read(&path).unwrap());
            } else if name.starts_with("results_") {
                files.insert(stem, without_times(results(&folder)).to_string().into_bytes());
            }
        }
        assert!(files.len() >= 3, "results, samples, the Parquet: {:?}", files.keys());
        files
    }

    /// Fails where two runs say different things.
    pub fn assert_equal(&self, left: &str, right: &str) {
        let (left_files, right_files) = (self.outputs(left), self.outputs(right));
        assert_eq!(left_files.keys().collect::<Vec<_>>(), right_files.keys().collect::<Vec<_>>());
        for (name, bytes) in &left_files {
            assert!(
                *bytes == right_files[name],
                "{name} differs between {left} and {right}: {}",
                difference(bytes, &right_files[name])
            );
        }
    }
}

/// The neighbourhood of the first difference.
fn difference(left: &[u8], right: &[u8]) -> String {
    let at = left.iter().zip(right).position(|(a, b)| a != b).unwrap_or(left.len().min(right.len()));
    let around = |bytes: &[u8]| {
        String::from_utf8_lossy(&bytes[at.saturating_sub(150)..(at + 150).min(bytes.len())]).into_owned()
    };
    format!("\n--- {}\n--- {}", around(left), around(right))
}

fn without_times(mut value: Value) -> Value {
    for key in ["date", "total_evaluation_time_seconds"] {
        value[key] = Value::Null;
    }
    for key in ["load_seconds", "effort"] {
        value["fairmark"][key] = Value::Null;
    }
    value
}

/// The results file of a run folder.
pub fn results(folder: &Path) -> Value {
    let entries = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let mut found: Vec<PathBuf> =
        entries.filter(|p| p.file_name().unwrap().to_string_lossy().starts_with("results_")).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    serde_json::from_slice(&std::fs::read(found.remove(0)).unwrap()).unwrap()
}

/// The names of a task's figures (`acc,none`).
pub fn figures(folder: &Path, task: &str) -> Vec<String> {
    let results = results(folder);
    let figures = results["results"][task].as_object().unwrap();
    figures.keys().filter(|key| key.contains(',')).cloned().collect()
}

/// A command that has ended.
pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    pub fn of(output: Output) -> Run {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let run = Run { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) };
        assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
        run
    }

    /// Fails unless the command ended with this code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Run {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }
}

/// A journal's lines that hold answers.
pub struct Journal {
    /// Keys, as often as they stand there.
    pub keys: Vec<String>,
    /// What was asked, as the server names it (`score: ...`), where there is an answer.
    pub answered: Vec<String>,
}

impl Journal {
    pub fn read(folder: &Path) -> Journal {
        let bytes = std::fs::read(folder.join("journal.jsonl")).unwrap_or_default();
        let mut journal = Journal { keys: Vec::new(), answered: Vec::new() };
        let mut prompts: HashMap<String, String> = HashMap::new();
        let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |end| end + 1);
        for line in bytes[..whole].split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
            let line: Value = serde_json::from_slice(line).unwrap();
            match line["line"].as_str() {
                Some("prompt") => {
                    prompts.insert(line["id"].as_str().unwrap().to_string(), prompt_text(&line["prompt"]));
                }
                Some("answer") => {
                    journal.keys.push(line["key"].as_str().unwrap().to_string());
                    if !line["response"].is_null() {
                        journal.answered.push(asked_text(&line["asked"], &prompts));
                    }
                }
                _ => {}
            }
        }
        journal
    }

    /// Fails unless there are so many keys, each once.
    pub fn expect_each_once(&self, count: usize) {
        let mut keys = self.keys.clone();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), self.keys.len(), "a key stands twice in the journal");
        assert_eq!(keys.len(), count, "answers in the journal");
    }
}

fn prompt_text(prompt: &Value) -> String {
    match prompt["text"].as_str() {
        Some(text) => text.to_string(),
        None => {
            let turns = prompt["chat"].as_array().unwrap();
            turns.iter().map(|turn| turn["content"].as_str().unwrap()).collect::<Vec<_>>().join("\n")
        }
    }
}

fn asked_text(asked: &Value, prompts: &HashMap<String, String>) -> String {
    let (kind, asked) = asked.as_object().unwrap().iter().next().unwrap();
    let context = &prompts[asked["context"].as_str().unwrap()];
    match kind.as_str() {
        "loglikelihood" => format!("score: {context}{}", asked["continuation"].as_str().unwrap()),
        _ => format!("generate: {context}"),
    }
}

/// The number in `Question 12: ...`.
pub fn question(prompt: &str) -> Option<usize> {
    let (_, rest) = prompt.split_once("Question ")?;
    rest.split_once(':')?.0.parse().ok()
}
