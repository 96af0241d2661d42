//! `fairmark report` as a user meets it: runs of ours, of lm-evaluation-harness and of Inspect; unfinished, damaged and hostile ones.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn fairmark(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fairmark"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).env("HF_HUB_OFFLINE", "1").env_remove("HF_TOKEN");
    command.args(args).output().unwrap()
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/runs").join(name)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[track_caller]
fn report(path: &Path, more: &[&str], code: i32) -> (String, String) {
    let output = fairmark(&[&["report", path.to_str().unwrap()], more].concat());
    assert_eq!(output.status.code(), Some(code), "{}", text(&output.stderr));
    (text(&output.stdout), text(&output.stderr))
}

/// The line of a table whose cells have these words, in this order.
#[track_caller]
fn has_line(table: &str, words: &[&str]) {
    let is = |line: &str| {
        let mut cells = line.split_whitespace();
        words.iter().all(|word| cells.any(|cell| cell == *word))
    };
    assert!(table.lines().any(is), "{words:?} in {table}");
}

/// What every version printed itself (the tables that `lm_eval` ended with).
#[test]
fn outputs_of_every_version_of_the_harness() {
    for version in ["0.4.3", "0.4.5", "0.4.7", "0.4.9", "0.4.11", "0.4.13"] {
        let (table, _) = report(&fixture(&format!("lm_eval/{version}/all/own__base-7b")), &[], 0);
        has_line(&table, &["acc", "0.7857", "±", "0.1147"]);
        has_line(&table, &["own_copa", "acc", "0.8000", "±", "0.0918"]);
        has_line(&table, &["word_perplexity", "36.7758"]);
        has_line(&table, &["exact_match", "0.6000"]);
        has_line(&table, &["exact_match", "0.8000"]);
        has_line(&table, &["overlap", "0.8333"]);
        assert!(table.contains("base-7b") && !table.contains("- -"), "{table}");
        let (json, _) = report(&fixture(&format!("lm_eval/{version}/all/own__base-7b")), &["--json"], 0);
        let run: Value = serde_json::from_str::<Value>(&json).unwrap()[0].clone();
        assert_eq!(run["model"]["name"], "own/base-7b", "{version}");
        assert_eq!(run["tasks"].as_array().unwrap().len(), 6, "{version}");
        let capitals = run["tasks"].as_array().unwrap().iter().find(|task| task["name"] == "own_capitals").unwrap();
        assert_eq!(
            (&capitals["alias"], &capitals["version"], &capitals["shots"]),
            (&"capitals".into(), &2.0.into(), &0.into())
        );
        assert_eq!(run["groups"][0]["estimates"][0]["n"], 14, "{version}");
    }
}

/// Runs in a folder of the harness lie one level down, by model.
#[test]
fn a_folder_with_one_run_in_it() {
    let (table, _) = report(&fixture("lm_eval/0.4.9/all"), &[], 0);
    has_line(&table, &["own_copa", "acc", "0.8000"]);
}

#[test]
fn several_dates_in_one_folder_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let results = std::fs::read_dir(fixture("lm_eval/0.4.13/copa/own__base-7b")).unwrap();
    let results = results.map(|e| e.unwrap().path()).find(|p| p.extension().unwrap() == "json").unwrap();
    for date in ["2026-01-01T00-00-00.000000", "2026-02-01T00-00-00.000000"] {
        std::fs::copy(&results, dir.path().join(format!("results_{date}.json"))).unwrap();
    }
    let (_, said) = report(dir.path(), &[], 2);
    assert!(said.contains("2 runs") && said.contains("2026-01-01") && said.contains("2026-02-01"), "{said}");
    let (table, _) = report(&dir.path().join("results_2026-01-01T00-00-00.000000.json"), &[], 0);
    has_line(&table, &["own_copa", "acc", "0.8000"]);
}

/// Figures by `inspect` (`golden.json` beside the logs).
#[test]
fn logs_of_inspect() {
    let (table, _) = report(&fixture("inspect/sums.eval"), &[], 0);
    has_line(&table, &["own_sums", "accuracy", "0.8333", "±", "0.1124"]);
    let (table, said) = report(&fixture("inspect/errors.eval"), &[], 3);
    has_line(&table, &["own_errors", "accuracy"]);
    assert!(said.contains("ended in an error") && said.contains('2'), "{said}");
    let (_, said) = report(&fixture("inspect/unfinished.eval"), &[], 3);
    assert!(said.contains("not finished"), "{said}");
    let (json, _) = report(&fixture("inspect/epochs.eval"), &["--json"], 0);
    let run: Value = serde_json::from_str::<Value>(&json).unwrap()[0].clone();
    assert_eq!((&run["writer"]["program"], &run["repeatable"]), (&"inspect".into(), &Value::Null));
    assert_eq!(run["tasks"][0]["estimates"][0]["n"], 12);
    let (csv, _) = report(&fixture("inspect/kinds.eval"), &["--csv"], 3);
    assert!(csv.lines().any(|line| line.contains("looks/length") && line.contains("mean")), "{csv}");
    let (_, said) = report(&fixture("inspect"), &[], 2);
    assert!(said.contains("name one of them"), "{said}");
}

/// A run of ours, and its folder changed.
struct Ours {
    out: tempfile::TempDir,
    printed: String,
}

impl Ours {
    fn run(more: &[&str]) -> Ours {
        let out = tempfile::tempdir().unwrap();
        let model = ["run", "--model", "mock", "--tasks", "demo_facts,demo_sums", "--limit", "6", "--quiet", "--out"];
        let output = fairmark(&[&model, &[out.path().to_str().unwrap()][..], more].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        Ours { out, printed: text(&output.stdout) }
    }

    fn folder(&self) -> PathBuf {
        std::fs::read_dir(self.out.path()).unwrap().next().unwrap().unwrap().path()
    }

    fn change(&self, file: &str, change: impl Fn(String) -> String) {
        let path = self.folder().join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        let changed = change(text.clone());
        assert_ne!(text, changed);
        std::fs::write(path, changed).unwrap();
    }

    fn results(&self) -> String {
        let files =
            std::fs::read_dir(self.folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        files.into_iter().find(|name| name.starts_with("results_")).unwrap()
    }
}

#[test]
fn a_run_is_reported_as_it_was_printed() {
    let ours = Ours::run(&[]);
    assert_eq!(report(&ours.folder(), &[], 0).0, ours.printed);
    assert_eq!(report(&ours.folder().join("run.json"), &[], 0).0, ours.printed);
    assert_eq!(report(&ours.folder().join(ours.results()), &[], 0).0, ours.printed);
    assert_eq!(report(ours.out.path(), &[], 0).0, ours.printed, "one level down");
    let (markdown, _) = report(&ours.folder(), &["--markdown"], 0);
    assert!(markdown.lines().any(|line| line.starts_with('|')), "{markdown}");
}

#[test]
fn an_unfinished_run_says_how_far_it_is() {
    let ours = Ours::run(&[]);
    std::fs::remove_file(ours.folder().join(ours.results())).unwrap();
    ours.change("run.json", |text| text.replace("\"complete\"", "\"incomplete\""));
    let (table, said) = report(&ours.folder(), &[], 3);
    assert!(said.contains("not finished"), "{said} {table}");
}

#[test]
fn older_and_damaged_folders_are_named() {
    let ours = Ours::run(&[]);
    let header = std::fs::read_to_string(ours.folder().join("run.json")).unwrap();
    let at = header.find("\"format_version\"").unwrap();
    let digits = header[at..].find(|c: char| c.is_ascii_digit()).unwrap() + at;
    let end = header[digits..].find(|c: char| !c.is_ascii_digit()).unwrap() + digits;
    let older = format!("{}1{}", &header[..digits], &header[end..]);
    std::fs::write(ours.folder().join("run.json"), older).unwrap();
    let (_, said) = report(&ours.folder(), &[], 2);
    assert!(said.contains("format 1") && said.contains("hint"), "{said}");
    for bad in ["", "{", "[]", "{\"format_version\": \"x\"}", &"[".repeat(1_000_000), &header[..header.len() / 2]] {
        std::fs::write(ours.folder().join("run.json"), bad).unwrap();
        let (table, said) = report(&ours.folder(), &[], 2);
        assert!(table.is_empty() && said.contains("run.json"), "{said}");
    }
    std::fs::write(ours.folder().join("run.json"), &header).unwrap();
    let file = ours.folder().join(ours.results());
    let results = std::fs::read_to_string(&file).unwrap();
    for bad in ["", "null", "{}", &"[".repeat(1_000_000), &results[..results.len() / 3]] {
        std::fs::write(&file, bad).unwrap();
        let (_, said) = report(&ours.folder(), &[], 2);
        assert!(said.contains("results_"), "{said}");
    }
}

/// Names that others wrote do not repaint the terminal.
#[test]
fn hostile_names_are_harmless() {
    let dir = tempfile::tempdir().unwrap();
    let codes = "X\u{1b}[31m\u{202e}\u{7}\u{9b}1m\nwarning: all is well";
    let quoted = serde_json::to_string(codes).unwrap();
    let results = format!(
        "{{\"results\": {{{quoted}: {{\"alias\": {quoted}, \"acc,{0}\": 0.5, \"acc_stderr,{0}\": \"N/A\"}}}},
          \"model_name\": {quoted}, \"configs\": {{}}, \"versions\": {{{quoted}: {quoted}}}}}",
        "no\\u001b[1mne"
    );
    std::fs::write(dir.path().join("results_2026.json"), results).unwrap();
    for more in [&[][..], &["--markdown"]] {
        let (table, said) = report(dir.path(), more, 0);
        let odd = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
        assert!(!table.contains(odd) && !said.contains(odd), "{}", table.escape_debug());
        assert!(!table.lines().any(|line| line.starts_with("warning: all is well")), "{table}");
    }
    let endless = r#"{"results": {"a": {"acc,none": 1}}, "group_subtasks": {"a": ["b"], "b": ["a"]}}"#;
    std::fs::write(dir.path().join("results_2026.json"), endless).unwrap();
    let output = fairmark(&["report", dir.path().to_str().unwrap()]);
    assert!(output.status.code().is_some_and(|code| code != 101), "{}", text(&output.stderr));
}
