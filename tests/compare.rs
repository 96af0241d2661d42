//! `fairmark compare` as a user meets it: outputs of lm-evaluation-harness (`fixtures/runs/lm_eval`), logs of Inspect, runs of ours.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const RUNS: &str = "tests/fixtures/runs";
const COPA: [&str; 2] = ["lm_eval/0.4.13/copa/own__base-7b", "lm_eval/0.4.13/copa/own__worse-7b"];
const ALL: [&str; 2] = ["lm_eval/0.4.13/all/own__base-7b", "lm_eval/0.4.13/all/own__worse-7b"];

fn fairmark(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fairmark"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).env("HF_HUB_OFFLINE", "1").env_remove("HF_TOKEN");
    command.args(args).output().unwrap()
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(RUNS).join(name)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// `fairmark compare` of fixtures; what it printed.
#[track_caller]
fn compare(runs: &[&str], more: &[&str]) -> String {
    let paths: Vec<String> = runs.iter().map(|run| fixture(run).display().to_string()).collect();
    compare_paths(&paths.iter().map(String::as_str).collect::<Vec<_>>(), more)
}

#[track_caller]
fn compare_paths(paths: &[&str], more: &[&str]) -> String {
    let output = fairmark(&[&["compare"], paths, more].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[track_caller]
fn json(runs: &[&str], more: &[&str]) -> Value {
    let mut found: Value = serde_json::from_str(&compare(runs, &[&["--json"], more].concat())).unwrap();
    found["comparisons"].take()
}

/// A comparison that is refused with exit code 2; what it said.
#[track_caller]
fn refused(paths: &[&Path], words: &[&str]) -> String {
    let paths: Vec<&str> = paths.iter().map(|path| path.to_str().unwrap()).collect();
    let output = fairmark(&[&["compare"], &paths[..]].concat());
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(output.stdout.is_empty());
    assert!(words.iter().all(|word| said.contains(word)), "{said}");
    said
}

fn row<'a>(comparison: &'a Value, task: &str, metric: &str, filter: &str) -> &'a Value {
    let rows = comparison["rows"].as_array().unwrap();
    let found = rows.iter().find(|row| row["task"] == task && row["metric"] == metric && row["filter"] == filter);
    found.unwrap_or_else(|| panic!("no row {task} {metric} {filter} in {comparison}"))
}

#[track_caller]
fn near(found: &Value, expected: &Value, what: &str) {
    let (a, b) = (found.as_f64().expect(what), expected.as_f64().expect(what));
    assert!((a - b).abs() <= 1e-9, "{what}: {a}, and {b} by scipy and statsmodels");
}

/// A copy of a run's files, changed line by line.
fn copy(run: &str, change: impl Fn(&str, &str) -> String) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(fixture(run)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        std::fs::write(dir.path().join(name), change(name, &std::fs::read_to_string(&path).unwrap())).unwrap();
    }
    dir
}

/// The example of the errorbars package (README of 0.2.4): 20 documents of COPA, 0.80 against 0.60. Its p-value is of the t-test.
#[test]
fn the_copa_example_of_errorbars() {
    let table = compare(&COPA, &[]);
    let line = table.lines().find(|line| line.contains("own_copa")).unwrap();
    for figure in ["20", "0.8000", "0.6000", "-0.2000", "0.1376"] {
        assert!(line.split_whitespace().any(|word| word == figure), "{figure} in {line}");
    }
    let flips = table.lines().filter(|line| line.contains("own_copa") && line.contains("0.2891")).collect::<Vec<_>>();
    assert!(!flips.is_empty(), "the exact p: {table}");
    assert!(table.contains("6 to wrong, 2 to right"), "{table}");
    let found = json(&COPA, &[]);
    let row = row(&found[0], "own_copa", "acc", "none");
    assert_eq!(row["n"], 20);
    assert_eq!((&row["paired"]["to_wrong"], &row["paired"]["to_right"]), (&6.into(), &2.into()));
    near(&row["paired"]["exact"]["p"], &0.2890625.into(), "the exact p");
    near(&row["paired"]["test"]["p"], &0.1796875.into(), "mid-p");
}

/// `compare.json` is made by scipy and statsmodels (`make_compare.py`): right and wrong, scores, clusters, groups.
#[test]
fn figures_are_those_of_scipy_and_statsmodels() {
    let golden: Value = serde_json::from_slice(&std::fs::read(fixture("compare.json")).unwrap()).unwrap();
    let mut checked = 0;
    for pair in golden.as_array().unwrap() {
        let found = json(&[pair["base"].as_str().unwrap(), pair["candidate"].as_str().unwrap()], &[]);
        let rows = pair["rows"].as_array().unwrap().iter().chain(pair["groups"].as_array().unwrap());
        for expected in rows {
            let name = |key: &str| expected[key].as_str().unwrap();
            let row = row(&found[0], name("task"), name("metric"), name("filter"));
            let (paired, what) = (&row["paired"], format!("{expected}"));
            assert_eq!(row["n"], expected["n"], "{what}");
            near(&paired["difference"]["value"], &expected["difference"], &what);
            near(&paired["stderr"], &expected["stderr"], &what);
            let pairs = [(&paired["test"]["p"], "p"), (&paired["exact"]["p"], "exact"), (&row["p_adjusted"], "holm")];
            for (value, key) in pairs.into_iter().filter(|(_, key)| expected.get(key).is_some()) {
                near(value, &expected[key], &format!("{key} of {what}"));
                checked += 1;
            }
            for key in ["to_right", "to_wrong"].into_iter().filter(|key| expected.get(key).is_some()) {
                assert_eq!(paired[key], expected[key], "{what}");
            }
            if let Some(ends) = expected.get("interval") {
                near(&paired["difference"]["interval"]["low"], &ends[0], &what);
                near(&paired["difference"]["interval"]["high"], &ends[1], &what);
                checked += 1;
            }
        }
    }
    assert!(checked > 30, "{checked}");
}

/// Jeffreys would differ: without flips Tango's interval is ±z²/(n+z²).
#[test]
fn a_run_compared_with_itself_did_not_change() {
    let found = json(&[ALL[0], ALL[0]], &[]);
    for row in found[0]["rows"].as_array().unwrap() {
        let Some(paired) = row["paired"].as_object() else { continue };
        assert_eq!(paired["difference"]["value"], 0.0, "{row}");
        assert_eq!(paired["test"]["p"], 1.0, "{row}");
        if row["is_group"] == false && paired["to_wrong"].is_u64() {
            assert_eq!((&paired["to_wrong"], &paired["to_right"]), (&0.into(), &0.into()));
            let (n, z) = (row["n"].as_f64().unwrap(), 1.959963984540054_f64);
            let end = z * z / (n + z * z);
            near(&paired["difference"]["interval"]["high"], &end.into(), "the closed form");
            near(&paired["difference"]["interval"]["low"], &(-end).into(), "the closed form");
        }
    }
    let table = compare(&[COPA[0], COPA[0]], &[]);
    assert!(table.contains("every score is the same"), "{table}");
}

#[test]
fn swapping_the_roles_mirrors_everything() {
    let [there, back] = [[ALL[0], ALL[1]], [ALL[1], ALL[0]]].map(|runs| json(&runs, &[]));
    let mut seen = 0;
    for row_there in there[0]["rows"].as_array().unwrap() {
        let name = |key: &str| row_there[key].as_str().unwrap();
        let row_back = row(&back[0], name("task"), name("metric"), name("filter"));
        let (a, b) = (&row_there["paired"], &row_back["paired"]);
        let number = |value: &Value| value.as_f64().unwrap();
        if a.is_null() {
            assert!(b.is_null());
            continue;
        }
        seen += 1;
        assert!((number(&a["difference"]["value"]) + number(&b["difference"]["value"])).abs() < 1e-12);
        assert!((number(&a["test"]["p"]) - number(&b["test"]["p"])).abs() < 1e-12);
        assert_eq!((&a["to_wrong"], &a["to_right"]), (&b["to_right"], &b["to_wrong"]));
        if a["to_wrong"].is_u64() {
            let ends = |value: &Value, key: &str| number(&value["difference"]["interval"][key]);
            assert!((ends(a, "low") + ends(b, "high")).abs() < 1e-9, "{a} {b}");
        }
        assert_eq!(row_there["base"], row_back["candidate"]);
    }
    assert!(seen >= 8, "{seen}");
}

/// The harness's own figures and samples from its versions: the same model is the same whichever wrote it.
#[test]
fn versions_of_the_harness_are_compared_with_each_other() {
    let newest = ALL[0];
    for version in ["0.4.3", "0.4.5", "0.4.7", "0.4.9", "0.4.11"] {
        let old = format!("lm_eval/{version}/all/own__base-7b");
        let found = json(&[&old, newest], &["--intersect"]);
        for filter in ["strict-match", "flexible-extract"] {
            let row = row(&found[0], "own_sums", "exact_match", filter);
            assert_eq!((&row["n"], &row["paired"]["difference"]["value"]), (&10.into(), &0.0.into()), "{version}");
        }
        let copa = row(&found[0], "own_copa", "acc", "none");
        assert_eq!((&copa["n"], &copa["paired"]["to_wrong"]), (&20.into(), &0.into()), "{version}");
        assert_eq!(row(&found[0], "own_suite", "acc", "none")["is_group"], true, "{version}");
    }
}

#[test]
fn documents_are_paired_by_what_they_say() {
    let reversed = copy(COPA[1], |name, text| match name.ends_with(".jsonl") {
        true => text.lines().rev().map(|line| format!("{line}\n")).collect(),
        false => text.to_owned(),
    });
    let base = fixture(COPA[0]);
    let table = |candidate: &Path| {
        serde_json::from_str::<Value>(&compare_paths(
            &[base.to_str().unwrap(), candidate.to_str().unwrap()],
            &["--json"],
        ))
        .unwrap()["comparisons"][0]["rows"]
            .clone()
    };
    assert_eq!(table(reversed.path()), table(&fixture(COPA[1])));
}

#[test]
fn what_differs_is_named() {
    let base = fixture(COPA[0]);
    let against = |run: &tempfile::TempDir, words: &[&str]| refused(&[&base, run.path()], words);
    let results = |from: &'static str, to: &'static str| {
        copy(COPA[1], move |name, text| match name.starts_with("results") {
            true => {
                assert!(text.contains(from), "{from}");
                text.replace(from, to)
            }
            false => text.to_owned(),
        })
    };
    against(&results("\"own_copa\": 0\n", "\"own_copa\": 5\n"), &["own_copa", "0 shots", "5", "--intersect"]);
    against(&results("\"own_copa\": 1.0", "\"own_copa\": 2.0"), &["own_copa", "version 1", "2"]);
    against(&results("acc,none", "acc,strict"), &["own_copa", "metric"]);
    against(&results("acc", "exact"), &["own_copa", "metric_list"]);
    let shorter = copy(COPA[1], |name, text| match name.ends_with(".jsonl") {
        true => text.lines().skip(3).map(|line| format!("{line}\n")).collect(),
        false => text.to_owned(),
    });
    against(&shorter, &["own_copa", "20 documents", "17"]);
    let filters = copy(COPA[1], |_, text| text.replace("\"filter\": \"none\"", "\"filter\": \"last\""));
    against(&filters, &["own_copa", "filter"]);
    refused(&[&fixture(ALL[0]), &base], &["only the base has", "own_capitals"]);

    let output = fairmark(&["compare", base.to_str().unwrap(), shorter.path().to_str().unwrap(), "--intersect"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let table = text(&output.stdout);
    assert!(table.contains("left out") && table.contains("17 in both"), "{table}");
}

#[test]
fn samples_that_are_missing_or_damaged_are_named() {
    let base = fixture(COPA[0]);
    let without = copy(COPA[1], |_, text| text.to_owned());
    for entry in std::fs::read_dir(without.path()).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.extension().is_some_and(|end| end == "jsonl") {
            std::fs::remove_file(entry).unwrap();
        }
    }
    refused(&[&base, without.path()], &["no samples of own_copa", "--log_samples"]);
    let torn = copy(COPA[1], |name, text| match name.ends_with(".jsonl") {
        true => text[..text.len() - 100].to_owned(),
        false => text.to_owned(),
    });
    refused(&[&base, torn.path()], &["no sample", "20", "truncated"]);
    let odd = copy(COPA[1], |name, text| match name.starts_with("results") {
        true => text[..text.len() / 2].to_owned(),
        false => text.to_owned(),
    });
    refused(&[&base, odd.path()], &["damaged", "truncated"]);
    refused(&[&base, &fixture("lm_eval/0.4.13/copa")], &["2 runs", "name one of them"]);
    refused(&[&base, &fixture("inspect")], &["runs in this folder", "name one of them"]);
    refused(&[&base, Path::new("nowhere")], &["nowhere"]);
}

/// Of the two logs 10 and 7 of 12 sums are right; `sums-worse.eval` has one right answer wrong that it shares (`golden.json`).
#[test]
fn logs_of_inspect_are_compared() {
    let found = json(&["inspect/sums.eval", "inspect/sums-worse.eval"], &[]);
    let match_row = row(&found[0], "own_sums", "accuracy", "match");
    assert_eq!(match_row["n"], 12);
    assert_eq!((&match_row["paired"]["to_wrong"], &match_row["paired"]["to_right"]), (&4.into(), &1.into()));
    assert_eq!((&match_row["base"], &match_row["higher_is_better"]), (&(10.0 / 12.0).into(), &true.into()));
    assert_eq!(row(&found[0], "own_sums", "accuracy", "includes")["n"], 12);
    let table = compare(&["inspect/sums.eval", "inspect/sums-worse.eval"], &[]);
    assert!(table.contains("own_sums, document sum-4") && !table.contains("fairmark show"), "{table}");
    let same = json(&["inspect/stored.eval", "inspect/deflated.eval"], &[]);
    assert_eq!(row(&same[0], "own_sums", "accuracy", "match")["paired"]["difference"]["value"], 0.0);
    // Epochs are averaged first: 12 documents, not 24.
    let epochs = json(&["inspect/epochs.eval", "inspect/epochs.eval"], &[]);
    assert_eq!(row(&epochs[0], "own_epochs", "accuracy", "match")["n"], 12);
    let kinds = json(&["inspect/kinds.eval", "inspect/kinds.eval"], &[]);
    assert_eq!(row(&kinds[0], "own_kinds", "accuracy", "kinds")["n"], 11, "NaN is no score");
    assert_eq!(row(&kinds[0], "own_kinds", "mean", "looks/length")["n"], 12);
    let std = row(&kinds[0], "own_kinds", "std", "looks/length");
    assert!(std["paired"].is_null() && std["unpaired"].is_string(), "a spread is no mean: {std}");
    // Another task, another version, a log that is not finished, and a run that has nothing in common with a log.
    refused(&[&fixture("inspect/sums.eval"), &fixture("inspect/kinds.eval")], &["own_sums", "own_kinds"]);
    refused(&[&fixture("inspect/sums.eval"), &fixture(ALL[0])], &["own_sums"]);
    let unfinished = fixture("inspect/unfinished.eval");
    let output = fairmark(&["compare", unfinished.to_str().unwrap(), fixture("inspect/sums.eval").to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("eval-retry"), "{}", text(&output.stderr));
}

/// A run of ours over the task file that the harness ran: the documents are the same by their hashes.
#[test]
fn ours_against_the_harness() {
    let out = tempfile::tempdir().unwrap();
    let tasks = fixture("tasks");
    let mut command = Command::new(env!("CARGO_BIN_EXE_fairmark"));
    command
        .current_dir(&tasks)
        .env("HF_HUB_OFFLINE", "1")
        .args(["run", "--model", "mock", "--quiet", "--cache", "off"]);
    command.args(["--include-path", ".", "--tasks", "own_copa", "--out"]).arg(out.path());
    let ran = command.output().unwrap();
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    let ours = std::fs::read_dir(out.path()).unwrap().next().unwrap().unwrap().path();
    let paths = [fixture(COPA[0]).display().to_string(), ours.display().to_string()];
    let found = compare_paths(&[&paths[0], &paths[1]], &["--json"]);
    let found: Value = serde_json::from_str(&found).unwrap();
    let found = &found["comparisons"];
    let row = row(&found[0], "own_copa", "acc", "none");
    assert_eq!(row["n"], 20);
    assert!(row["paired"]["to_wrong"].is_u64());
    assert!(
        found[0]["notes"].as_array().unwrap().iter().all(|note| !note.as_str().unwrap().contains("ids")),
        "{found}"
    );
}

#[test]
fn tables_of_every_kind() {
    let runs = [COPA[0], COPA[1], "lm_eval/0.4.13/copa/own__base-7b"];
    let matrix = compare(&runs, &["--all-pairs"]);
    assert!(matrix.contains("-0.2000") && matrix.contains("+0.2000"), "{matrix}");
    let markdown = compare(&ALL, &["--markdown"]);
    assert!(markdown.starts_with("### ") && markdown.lines().any(|line| line.starts_with("|")), "{markdown}");
    let csv = compare(&ALL, &["--csv"]);
    // Commas within quotes part no fields.
    let unquoted = |line: &str| line.split('"').step_by(2).collect::<String>();
    let fields: Vec<usize> = csv.lines().map(|line| unquoted(line).split(',').count()).collect();
    assert!(fields.len() > 8 && fields.iter().all(|count| *count == fields[0]), "{csv}");
    let heading: Vec<&str> = csv.lines().next().unwrap().split(',').collect();
    let at = heading.iter().position(|name| *name == "difference").unwrap();
    let copa = csv.lines().find(|line| line.contains("own_copa")).unwrap();
    assert_eq!(copa.split(',').nth(at).unwrap().parse::<f64>().unwrap(), -0.2);
    let pairs = json(&runs, &["--all-pairs"]);
    assert_eq!(pairs.as_array().unwrap().len(), 3);
}
