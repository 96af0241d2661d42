//! `fairmark rescore`: recorded answers under changed filters and metrics give what a run under the changed task gives, without model and
//! data.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A scratch folder with task files and data.
struct Bench(tempfile::TempDir);

const CHOICES: &str = "task: swag\ndataset_path: json\ndataset_kwargs: {data_files: {test: d.jsonl, train: d.jsonl}}\ntest_split: test\n\
                       fewshot_split: train\nnum_fewshot: 2\noutput_type: multiple_choice\ndoc_to_text: '{{q}}'\ndoc_to_target: a\ndoc_to_choice: c\n";
const TEXTS: &str = "task: sums\ndataset_path: json\ndataset_kwargs: {data_files: {test: d.jsonl}}\ntest_split: test\noutput_type: generate_until\n\
                     doc_to_text: '{{q}} ='\ndoc_to_target: '{{c[a]}}'\ngeneration_kwargs: {until: [\"\\n\"]}\n";
const ACC: &str = "metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]\n";
const MATCH: &str = "metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]\n";

impl Bench {
    fn new() -> Bench {
        let bench = Bench(tempfile::tempdir().unwrap());
        let line = |i: usize| json!({"q": format!("question {i}"), "c": ["cat", "blue river", "42"], "a": i * 7 % 3});
        let lines: Vec<String> = (0..40).map(|i| line(i).to_string()).collect();
        bench.write("tasks/d.jsonl", &lines.join("\n"));
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        std::fs::write(self.path(name), text).unwrap();
    }

    fn fairmark(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fairmark"));
        command.current_dir(self.0.path()).env("HF_HUB_OFFLINE", "1").env("XDG_CACHE_HOME", self.path("cache"));
        command.args(arguments).output().unwrap()
    }

    /// Runs the task as it stands; the run's folder.
    fn run(&self, task: &str, out: &str, more: &[&str]) -> PathBuf {
        let known = ["run", "--model", "mock", "--tasks", task, "--include-path", "tasks", "--out", out];
        succeeded(&self.fairmark(&[&known, more].concat()));
        only_folder(&self.path(out))
    }

    fn rescore(&self, run: &Path, more: &[&str]) -> Output {
        self.fairmark(
            &[&["rescore", run.to_str().unwrap(), "--include-path", "tasks", "--out", "again"], more].concat(),
        )
    }
}

#[track_caller]
fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[track_caller]
fn only_folder(out: &Path) -> PathBuf {
    let folders: Vec<_> = std::fs::read_dir(out).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(folders.len(), 1, "{folders:?}");
    folders[0].clone()
}

/// The results file of a run.
fn results(folder: &Path) -> Value {
    let mut files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let file = files.find(|path| path.file_name().unwrap().to_string_lossy().starts_with("results_")).unwrap();
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

/// Samples by filter and document.
fn samples(folder: &Path) -> BTreeMap<(String, u64), Value> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.file_name().unwrap().to_string_lossy().starts_with("samples_") && entry.extension().unwrap() == "jsonl"
        {
            for line in std::fs::read_to_string(entry).unwrap().lines() {
                let line: Value = serde_json::from_str(line).unwrap();
                let key = (line["filter"].as_str().unwrap().to_owned(), line["doc_id"].as_u64().unwrap());
                found.insert(key, line);
            }
        }
    }
    found
}

/// Rescoring an old run under the task as it stands now gives what a fresh run gives.
#[track_caller]
fn as_a_fresh_run(bench: &Bench, old: &Path, task: &str, more: &[&str]) {
    let fresh = bench.run(task, "fresh", more);
    // Neither data nor a model are there any more.
    std::fs::remove_file(bench.path("tasks/d.jsonl")).unwrap();
    succeeded(&bench.rescore(old, &[]));
    let again = only_folder(&bench.path("again"));
    assert_eq!(results(&again)["results"], results(&fresh)["results"]);
    assert_eq!(samples(&again), samples(&fresh));
    let options = results(&again)["fairmark"]["spec"]["model"]["options"].to_string();
    assert!(options.contains("answers_from=mock-"), "{options}");
}

#[test]
fn a_new_metric_of_choices() {
    let bench = Bench::new();
    bench.write("tasks/t.yaml", &format!("{CHOICES}{ACC}"));
    let old = bench.run("swag", "old", &[]);
    let more = "metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}, {metric: acc_norm, aggregation: mean, higher_is_better: true}]\n";
    bench.write("tasks/t.yaml", &format!("{CHOICES}{more}"));
    as_a_fresh_run(&bench, &old, "swag", &[]);
    assert!(results(&only_folder(&bench.path("again")))["results"]["swag"]["acc_norm,none"].is_number());
}

#[test]
fn a_changed_filter_and_a_second_one() {
    let bench = Bench::new();
    bench.write("tasks/t.yaml", &format!("{TEXTS}{MATCH}"));
    let old = bench.run("sums", "old", &[]);
    let filters = "filter_list:\n  - {name: first, filter: [{function: regex, regex_pattern: '(\\w+)'}, {function: take_first}]}\n  \
                   - {name: number, filter: [{function: regex, regex_pattern: '(\\d+)'}, {function: take_first}]}\n";
    bench.write("tasks/t.yaml", &format!("{TEXTS}{MATCH}{filters}"));
    as_a_fresh_run(&bench, &old, "sums", &[]);
    assert_eq!(samples(&only_folder(&bench.path("again"))).len(), 80);
}

#[test]
fn repeated_answers_and_letters() {
    let bench = Bench::new();
    let repeated = format!("{TEXTS}{MATCH}repeats: 3\n");
    bench.write(
        "tasks/t.yaml",
        &repeated.replace("generation_kwargs: {", "generation_kwargs: {do_sample: true, temperature: 1.0, "),
    );
    let old = bench.run("sums", "old", &[]);
    let vote = "filter_list:\n  - {name: vote, filter: [{function: majority_vote}, {function: take_first}]}\n";
    let voted = repeated.replace("generation_kwargs: {", "generation_kwargs: {do_sample: true, temperature: 1.0, ");
    bench.write("tasks/t.yaml", &format!("{voted}{vote}"));
    as_a_fresh_run(&bench, &old, "sums", &[]);

    let bench = Bench::new();
    bench.write("tasks/t.yaml", &format!("{CHOICES}{ACC}"));
    let letters = ["--mc-protocol", "letter-logprobs"];
    let old = bench.run("swag", "old", &letters);
    as_a_fresh_run(&bench, &old, "swag", &letters);
}

/// Documents that had no answer have none again, for the same reason.
#[test]
fn what_was_not_answered_is_not_scored() {
    let bench = Bench::new();
    bench.write("tasks/t.yaml", &format!("{CHOICES}{ACC}"));
    let known = ["run", "--model", "mock:fail=9", "--tasks", "swag", "--include-path", "tasks", "--out", "old"];
    assert_eq!(bench.fairmark(&known).status.code(), Some(3));
    let old = only_folder(&bench.path("old"));
    let output = bench.rescore(&old, &[]);
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    let again = only_folder(&bench.path("again"));
    assert_eq!(results(&again)["results"], results(&old)["results"]);
    assert_eq!(results(&again)["fairmark"]["unscored"], results(&old)["fairmark"]["unscored"]);
}

#[test]
fn what_cannot_be_scored_again_is_refused() {
    let bench = Bench::new();
    bench.write("tasks/t.yaml", &format!("{CHOICES}{ACC}"));
    let old = bench.run("swag", "old", &[]);
    // A metric that needs answers nobody gave.
    bench.write("tasks/t.yaml", &format!("{CHOICES}{}", ACC.replace("metric: acc,", "metric: acc_mutual_info,")));
    let output = bench.rescore(&old, &[]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(2) && said.contains("3 requests were recorded") && said.contains("swag"),
        "{said}"
    );
    // A task that the run does not have.
    bench.write("tasks/u.yaml", &format!("{TEXTS}{MATCH}"));
    let output = bench.rescore(&old, &["--tasks", "sums"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && said.contains("has no task `sums`") && said.contains("swag"), "{said}");
    // Samples that were changed by hand.
    let file = std::fs::read_dir(&old).unwrap().map(|entry| entry.unwrap().path());
    let file = file
        .into_iter()
        .find(|path| path.extension().is_some_and(|end| end == "jsonl") && path.to_string_lossy().contains("samples_"));
    let file = file.unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    bench.write("tasks/t.yaml", &format!("{CHOICES}{ACC}"));
    for (from, to, what) in [
        ("\"resps\": [[[\"-", "\"resps\": [[[\"", "no log-probability"),
        ("\"doc_id\": 1,", "\"doc_id\": 0,", "stands twice"),
        ("\"resps\"", "\"answers\"", "no `resps`"),
    ] {
        std::fs::write(&file, text.replacen(from, to, 1)).unwrap();
        let output = bench.rescore(&old, &["--fresh"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && said.contains(what), "{what}: {said}");
    }
}
