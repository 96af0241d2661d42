//! Clusters, intervals and power through the real binary: what stands in samples, tables and JSON.

use serde_json::Value;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

/// A folder with a task of 60 documents about passages, twelve about each, and one without clusters.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut rows = String::new();
    for at in 0..60 {
        let (passage, right) = (at / 12, at % 2);
        writeln!(rows, r#"{{"passage": "Passage {passage}", "q": "Question {at}", "right": {right}}}"#).unwrap();
    }
    std::fs::write(folder.path().join("rows.jsonl"), rows).unwrap();
    let task = |name: &str, more: &str| {
        let text = format!(
            "task: {name}\ndataset_path: json\ndataset_kwargs: {{data_files: {{test: rows.jsonl}}}}\ntest_split: test\n\
             output_type: multiple_choice\ndoc_to_text: '{{{{q}}}}'\ndoc_to_choice: [no, yes]\ndoc_to_target: right\n\
             metric_list: [{{metric: acc}}]\nmetadata:\n  version: 1\n{more}"
        );
        let text = text.replace("[no, yes]", "['no', 'yes']");
        std::fs::write(folder.path().join(format!("{name}.yaml")), text).unwrap();
    };
    task("passages", "  cluster: '{{passage}}'\n");
    task("alone", "");
    let group = "group: both\ntask: [passages, alone]\naggregate_metric_list: [{metric: acc, weight_by_size: false}]\n";
    std::fs::write(folder.path().join("both.yaml"), group).unwrap();
    folder
}

fn fairmark(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fairmark"));
    command.current_dir(folder).env("HF_HUB_OFFLINE", "1").args(args).output().unwrap()
}

/// stdout of a command that succeeds.
fn said(folder: &Path, args: &[&str]) -> String {
    let output = fairmark(folder, args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs the tasks and gives the run's folder.
fn run(folder: &Path, model: &str, out: &str, more: &[&str]) -> (String, String) {
    let args = ["run", "--model", model, "--tasks", "both", "--include-path", ".", "--cache", "off", "--out", out];
    let table = said(folder, &[&args, more].concat());
    let entry = std::fs::read_dir(folder.join(out)).unwrap().next().unwrap().unwrap();
    (entry.path().display().to_string(), table)
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn clusters_stand_in_the_samples_and_widen_the_claim() {
    let folder = folder();
    let (path, table) = run(folder.path(), "mock", "out", &["--interval"]);
    let samples = std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path());
    let of = |name: &str| {
        let is = |path: &Path| path.file_name().unwrap().to_str().unwrap().starts_with(&format!("samples_{name}_"));
        let file = samples_of(&path).into_iter().find(|path| is(path)).unwrap();
        std::fs::read_to_string(file).unwrap().lines().map(json).collect::<Vec<Value>>()
    };
    assert!(samples.count() > 2);
    let lines = of("passages");
    assert_eq!((lines.len(), &lines[13]["cluster"]), (60, &Value::from("Passage 1")));
    assert!(of("alone").iter().all(|line| line.get("cluster").is_none()));

    // The table: intervals, their methods, and that there are few clusters.
    assert!(table.contains("[ ] 95 % intervals, by the methods:"), "{table}");
    assert!(table.contains("Wilson, scope population (further documents of this kind): acc of alone"), "{table}");
    assert!(table.contains("only 5 clusters: an error made of fewer than 30 can be far too small"), "{table}");
    assert!(table.lines().any(|line| line.contains("alone") && line.contains(" [0.") && line.contains(']')), "{table}");

    // The same from disk, for machines.
    let runs = json(&said(folder.path(), &["report", &path, "--interval", "--json"]));
    let task = |name: &str| {
        let tasks = runs[0]["tasks"].as_array().unwrap();
        tasks.iter().find(|task| task["name"] == name).unwrap()["estimates"][0].clone()
    };
    let (alone, passages) = (task("alone"), task("passages"));
    assert_eq!((&alone["interval"]["method"], &alone["interval"]["units"]), (&"Wilson".into(), &60.into()));
    assert_eq!((&passages["interval"]["n"], &passages["interval"]["units"]), (&60.into(), &5.into()));
    let low = alone["interval"]["interval"]["low"].as_f64().unwrap();
    // Wilson's lower end by hand.
    let (p, n, z) = (alone["value"].as_f64().unwrap(), 60.0, 1.959963984540054_f64);
    let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    assert!((low - (p + z * z / (2.0 * n) - half) / (1.0 + z * z / n)).abs() < 1e-9, "{low}");
    let group = &runs[0]["groups"][0]["estimates"][0]["interval"];
    // Of tasks of one size both weights are the same.
    assert_eq!((&group["method"], &group["scope"]), (&"stratified, by documents".into(), &"population".into()));
    let csv = said(folder.path(), &["report", &path, "--interval", "--csv"]);
    assert!(
        csv.lines()
            .next()
            .unwrap()
            .ends_with("interval_low,interval_high,confidence,interval_method,scope,units,interval_note")
    );
    assert!(csv.contains(",Wilson,population,60,"), "{csv}");
    // Without the flag nothing of it.
    let plain = said(folder.path(), &["report", &path]);
    assert!(plain.contains('±') && !plain.contains("intervals"), "{plain}");
    assert!(!said(folder.path(), &["report", &path, "--csv"]).contains("interval"));

    let shown = said(folder.path(), &["show", "passages", "--include-path", ".", "--doc", "13"]);
    assert!(shown.lines().any(|line| line == "cluster    Passage 1"), "{shown}");
}

fn samples_of(path: &str) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|end| end == "jsonl")).collect()
}

#[test]
fn comparisons_name_what_to_beware_of() {
    let folder = folder();
    let (first, _) = run(folder.path(), "mock", "a", &[]);
    let (second, _) = run(folder.path(), "mock:seed=2", "b", &[]);
    let text = said(folder.path(), &["compare", &first, &second]);
    assert!(text.contains("clusters of documents that are alike: passages 5"), "{text}");
    assert!(text.contains("caution: acc of ") && text.contains("only 5 clusters"), "{text}");
}

#[test]
fn power_is_said_before_a_run() {
    let folder = folder();
    let args = ["power", "--tasks", "both", "--include-path", "."];
    let text = said(folder.path(), &[&args[..], &["--difference", "0.02"]].concat());
    assert!(text.contains("flips 2 %") && text.contains("385 no") && text.contains("9812 no"), "{text}");
    assert!(text.contains("how many verdicts flip is assumed"), "{text}");
    assert!(text.contains("passages in 5"), "{text}");
    let found = json(&said(folder.path(), &[&args[..], &["--limit", "30", "--json"]].concat()));
    let of = |name: &str| found.as_array().unwrap().iter().find(|row| row["name"] == name).unwrap().clone();
    assert_eq!((&of("alone")["documents"], &of("both")["documents"]), (&30.into(), &60.into()));
    assert_eq!((&of("alone")["scale"], &of("alone")["base"]), (&"right_or_wrong".into(), &Value::Null));
    // Even if 2 % of 30 documents all flipped one way, nobody would see it.
    assert_eq!(of("alone")["paired"][0]["least"], Value::Null);

    let (path, _) = run(folder.path(), "mock", "out", &[]);
    let found = json(&said(folder.path(), &["power", "--baseline", &path, "--tasks", "alone", "--json"]));
    assert_eq!((found.as_array().unwrap().len(), &found[0]["documents"]), (1, &60.into()));
    assert!(found[0]["base"].is_f64() && found[0]["paired"].as_array().unwrap().len() == 4, "{found}");
    let (second, _) = run(folder.path(), "mock:seed=2", "b", &[]);
    let two = ["power", "--baseline", &path, "--candidate", &second, "--difference", "0.1"];
    let text = said(folder.path(), &two);
    assert!(text.contains("flips seen") && text.contains("same documents"), "{text}");
    for (bad, expected) in [
        (vec!["power"], "--tasks"),
        (vec!["power", "--tasks", "both", "--include-path", ".", "--difference", "0"], "no difference to be seen"),
        (vec!["power", "--baseline", &path, "--tasks", "nobody"], "the baseline has no task or group `nobody`"),
        (vec!["power", "--candidate", &path, "--tasks", "both"], "--baseline"),
    ] {
        let output = fairmark(folder.path(), &bad);
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && err.contains(expected), "{bad:?}: {err}");
    }
}
