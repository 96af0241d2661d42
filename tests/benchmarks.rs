//! Every built-in task that the reference harness has, on its first documents: prompts, targets and figures are equal.
//!
//! The expected values were made by `tests/fixtures/tasks/make.py` with lm-evaluation-harness 0.4.13 and the tiny model and data of
//! `../shared`. Where that folder is absent, the test says that it is skipped. Tasks whose answers are judged (programs, toxicity) have their
//! prompts compared, since the reference judges them by other means.

use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// How far a mean of log-likelihoods may be from the reference's, which rounds them to f32.
const TOLERANCE: f64 = 1e-3;

/// Documents whose prompts are compared for tasks that are judged.
const SHOWN: usize = 3;

/// `make.py` lets every answer end after as many tokens.
const GENERATED_TOKENS: &str = "max_gen_toks=16";

#[test]
fn prompts_targets_and_figures_equal_the_reference_harness() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shared = root.join("../shared");
    if !shared.join("datasets/sources.yaml").is_file() {
        // Past the test harness, which keeps what passing tests print to itself.
        let _ = writeln!(
            std::io::stderr(),
            "prompts_targets_and_figures_equal_the_reference_harness: skipped: ../shared/datasets is not there"
        );
        return;
    }
    let fixtures = root.join("tests/fixtures/tasks");
    let expected: BTreeMap<String, Value> =
        serde_json::from_str(&read_gz(&fixtures.join("reference.json.gz"))).unwrap();
    let bigbench = bigbench(&fixtures, &shared);
    let mut batches: BTreeMap<(bool, u64), Vec<&str>> = BTreeMap::new();
    let mut problems = Vec::new();
    for (task, about) in &expected {
        if about["results"].as_object().unwrap().is_empty() {
            compare_shown(&shared, task, about, &mut problems);
        } else {
            let batch = (task.starts_with("bigbench_"), about["limit"].as_u64().unwrap());
            batches.entry(batch).or_default().push(task);
        }
    }
    for ((is_bigbench, limit), tasks) in &batches {
        let data = if *is_bigbench { bigbench.path().to_owned() } else { shared.join("datasets") };
        let out = run(&shared, &data, tasks, *limit);
        let folder = std::fs::read_dir(out.path()).unwrap().next().unwrap().unwrap().path();
        for task in tasks {
            compare(&folder, task, &expected[*task], &mut problems);
        }
    }
    let compared: usize = batches.values().map(Vec::len).sum();
    assert!(compared > 0, "reference.json.gz has tasks with figures");
    let some = &problems[..problems.len().min(40)];
    assert!(problems.is_empty(), "{} differences in {} tasks:\n{}", problems.len(), expected.len(), some.join("\n"));
}

/// A folder with the files of BIG-bench, which the shared folder's `sources.yaml` does not name.
fn bigbench(fixtures: &Path, shared: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(fixtures.join("bigbench.yaml"), folder.path().join("sources.yaml")).unwrap();
    std::fs::create_dir(folder.path().join("bigbench")).unwrap();
    for file in std::fs::read_dir(shared.join("datasets/bigbench")).unwrap().map(|entry| entry.unwrap().path()) {
        std::fs::copy(&file, folder.path().join("bigbench").join(file.file_name().unwrap())).unwrap();
    }
    folder
}

/// Runs tasks with the real binary, all in one run.
fn run(shared: &Path, data: &Path, tasks: &[&str], limit: u64) -> tempfile::TempDir {
    let out = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_fairmark"))
        .args(["run", "--quiet", "--offline", "--dtype", "float32", "--bootstrap-iters", "0"])
        .args(["--gen-kwargs", GENERATED_TOKENS, "--limit", &limit.to_string(), "--tasks", &tasks.join(",")])
        .arg("--model")
        .arg(shared.join("models/tiny-llama"))
        .arg("--data-dir")
        .arg(data)
        .arg("--out")
        .arg(out.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{tasks:?}: {}", String::from_utf8_lossy(&output.stderr));
    out
}

/// Compares the documents and figures of a task.
fn compare(folder: &Path, task: &str, expected: &Value, problems: &mut Vec<String>) {
    let text = std::fs::read_to_string(file(folder, &format!("samples_{task}_2"), ".jsonl")).unwrap();
    let samples: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let theirs = expected["samples"].as_array().unwrap();
    let mut problem = |what: String| problems.push(format!("{task}: {what}"));
    if samples.len() != theirs.len() {
        problem(format!("{} samples instead of {}", samples.len(), theirs.len()));
    }
    for theirs in theirs {
        let is_it = |ours: &&Value| ours["doc_id"] == theirs["doc_id"] && ours["filter"] == theirs["filter"];
        let Some(ours) = samples.iter().find(is_it) else {
            problem(format!("no sample for document {} under {}", theirs["doc_id"], theirs["filter"]));
            continue;
        };
        let doc = &theirs["doc_id"];
        if sha(&requests(ours)) != theirs["requests"] {
            problem(format!("document {doc}: other requests, the first of which begins {:.300}", requests(ours)));
        }
        if sha(ours["target"].as_str().unwrap_or(&ours["target"].to_string())) != theirs["target"] {
            problem(format!("document {doc}: another target, {}", ours["target"]));
        }
        for (metric, value) in theirs["metrics"].as_object().unwrap() {
            if !near(value, &ours[metric]) {
                problem(format!("document {doc}: {metric} is {} instead of {value}", ours[metric]));
            }
        }
    }
    let text = std::fs::read_to_string(file(folder, "results_", ".json")).unwrap();
    let results: Value = serde_json::from_str(&text).unwrap();
    for (metric, value) in expected["results"].as_object().unwrap() {
        if !near(value, &results["results"][task][metric]) {
            problem(format!("{metric} is {} instead of {value}", results["results"][task][metric]));
        }
    }
    for (metric, value) in expected["higher_is_better"].as_object().unwrap() {
        if *value != results["higher_is_better"][task][metric] {
            problem(format!("higher_is_better of {metric} is not {value}"));
        }
    }
    if !near(&expected["version"], &results["versions"][task]) {
        problem(format!("version {} instead of {}", results["versions"][task], expected["version"]));
    }
    if expected["num_fewshot"] != results["n-shot"][task] {
        problem(format!("{} shots instead of {}", results["n-shot"][task], expected["num_fewshot"]));
    }
}

/// Compares the prompts and targets of a task that is not run.
fn compare_shown(shared: &Path, task: &str, expected: &Value, problems: &mut Vec<String>) {
    for theirs in expected["samples"].as_array().unwrap().iter().take(SHOWN) {
        let output = Command::new(env!("CARGO_BIN_EXE_fairmark"))
            .args(["show", task, "--offline", "--doc", &theirs["doc_id"].to_string(), "--data-dir"])
            .arg(shared.join("datasets"))
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{task}: {}", String::from_utf8_lossy(&output.stderr));
        let prompt = text.split_once("--- prompt of request 0 ---\n").unwrap().1;
        let prompt = prompt.split_once("\n--- end of prompt ---").unwrap().0;
        // What is shown has a carriage return, which would overwrite a line of the terminal, as an escape.
        let prompt = prompt.replace("\\r\n", "\r\n");
        if sha(&prompt) != theirs["prompt"] {
            problems.push(format!("{task}: document {}: another prompt: {prompt}", theirs["doc_id"]));
        }
    }
}

/// The arguments of every request as `make.py` writes them.
fn requests(sample: &Value) -> String {
    let arguments = sample["arguments"].as_object().unwrap();
    let parts = (0..arguments.len()).flat_map(|request| {
        let parts = arguments[&format!("gen_args_{request}")].as_object().unwrap();
        (0..parts.len()).map(move |part| match &parts[&format!("arg_{part}")] {
            Value::String(text) => text.clone(),
            Value::Object(settings) => {
                let sorted: BTreeMap<&String, &Value> = settings.iter().collect();
                serde_json::to_string(&sorted).unwrap()
            }
            other => other.to_string(),
        })
    });
    parts.collect::<Vec<_>>().join("\u{1f}")
}

/// The first 16 hexadecimal digits of SHA-256.
fn sha(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Both the same number, or both none.
fn near(theirs: &Value, ours: &Value) -> bool {
    match (theirs.as_f64(), ours.as_f64()) {
        (Some(a), Some(b)) => (a - b).abs() <= TOLERANCE * a.abs().max(1.0),
        _ => theirs == ours,
    }
}

fn file(folder: &Path, start: &str, end: &str) -> PathBuf {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut matching = names.filter(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.starts_with(start) && name.ends_with(end)
    });
    matching.next().unwrap_or_else(|| panic!("{} has no file {start}*{end}", folder.display()))
}

fn read_gz(path: &Path) -> String {
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn the_page_of_benchmarks_is_what_the_tasks_say() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_fairmark")).args(["ls", "benchmarks", "--markdown"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/benchmarks.md")).unwrap();
    let made = String::from_utf8_lossy(&output.stdout);
    assert!(made == page, "docs/benchmarks.md is old: fairmark ls benchmarks --markdown > docs/benchmarks.md");
}
