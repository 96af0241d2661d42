//! Scores and estimates against the reference's own, from the answers that it got: `../shared/parity`, made with lm_eval
//! 0.4.13 (`bootstrap_iters` 1,000). The tasks are built by hand here; that task files mean them is tested elsewhere.

use super::testing::{greedy, item, metric_spec, pipeline, task, text};
use super::{check_task, estimate_task, score_item};
use crate::estimate::Estimate;
use crate::item::{Item, Target};
use crate::request::{Response, Unscored};
use crate::sample::{AnsweredItem, Sample, Score};
use crate::task::{OutputType, ResultSpec, Task};
use flate2::read::GzDecoder;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

const PARITY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/parity");

fn multiple_choice(metrics: &[&str]) -> Task {
    let metrics = metrics.iter().map(|name| metric_spec(name, "mean")).collect();
    Task { metrics, ..task(OutputType::MultipleChoice) }
}

fn generation(strict: &str) -> Task {
    let mut exact_match = metric_spec("exact_match", "mean");
    exact_match.kwargs.insert("ignore_case".into(), json!(true));
    exact_match.kwargs.insert("ignore_punctuation".into(), json!(false));
    exact_match.kwargs.insert("regexes_to_ignore".into(), json!([",", r"\$", "(?s).*#### ", r"\.$"]));
    let first = json!({"function": "take_first"});
    let strict = json!({"function": "regex", "regex_pattern": strict});
    let flexible = json!({"function": "regex", "group_select": -1, "regex_pattern": "(-?[$0-9.,]{2,})|(-?[0-9]+)"});
    let filters =
        vec![pipeline("strict-match", &[strict, first.clone()]), pipeline("flexible-extract", &[flexible, first])];
    Task { metrics: vec![exact_match], filters, ..task(OutputType::GenerateUntil) }
}

/// The task of a parity file, from its name; `None` for what is scored by functions of a later day.
fn task_of(name: &str) -> Option<Task> {
    let label_mass = Some(ResultSpec { function: "label_mass".into(), args: vec![("labels".into(), String::new())] });
    Some(match name.split('-').next()? {
        "hellaswag" | "arc_easy" | "arc_challenge" => multiple_choice(&["acc", "acc_norm"]),
        "boolq" | "winogrande" | "truthfulqa_mc1" => multiple_choice(&["acc"]),
        "truthfulqa_mc2" => Task { process_results: label_mass, ..multiple_choice(&["acc"]) },
        mmlu if mmlu.starts_with("mmlu_") => multiple_choice(&["acc"]),
        "gsm8k" => generation(r"#### (\-?[0-9\.\,]+)"),
        "gsm8k_cot" => generation(r"The answer is (\-?[0-9\.\,]+)."),
        _ => return None,
    })
}

fn files() -> Vec<PathBuf> {
    let list = |folder: &Path| -> Vec<PathBuf> {
        let mut found: Vec<PathBuf> = fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).collect();
        found.sort();
        found
    };
    let models = list(Path::new(PARITY)).into_iter().filter(|path| path.is_dir());
    models.flat_map(|model| list(&model)).filter(|path| path.to_string_lossy().ends_with(".jsonl.gz")).collect()
}

fn rows(path: &Path) -> Vec<Value> {
    let lines = BufReader::new(GzDecoder::new(File::open(path).unwrap())).lines();
    lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect()
}

/// The item of a row of the samples file, with the answers that the reference got.
fn answered(name: &str, row: &Value) -> AnsweredItem {
    let mut item = Item { target_written: row["target"].clone(), ..item() };
    item.doc.id = usize::try_from(row["doc_id"].as_u64().unwrap()).unwrap();
    item.doc.fields = row["doc"].as_object().unwrap().clone();
    if row["resps"][0][0].is_array() {
        let continuations = row["arguments"].as_array().unwrap().iter().map(|a| a[1].as_str().unwrap());
        item.choices = continuations.map(|c| c.strip_prefix(' ').unwrap_or(c).to_owned()).collect();
    }
    item.target = match &row["target"] {
        _ if name.starts_with("winogrande") => {
            let answer: i64 = row["doc"]["answer"].as_str().unwrap().parse().unwrap();
            Target::Index(answer - 1)
        }
        Value::Number(index) => Target::Index(index.as_i64().unwrap()),
        target => Target::Text(target.as_str().unwrap().to_owned()),
    };
    if name.starts_with("truthfulqa_mc2") {
        item.result_args.insert("labels".into(), row["doc"]["mc2_targets"]["labels"].clone());
    }
    let responses = row["resps"].as_array().unwrap().iter();
    let responses = responses.map(|repeats| repeats.as_array().unwrap().iter().map(response).collect()).collect();
    AnsweredItem { item, responses }
}

fn response(resp: &Value) -> Result<Response, Unscored> {
    Ok(match resp {
        Value::String(answer) => text(answer),
        pair => greedy(pair[0].as_f64().unwrap(), pair[1].as_bool().unwrap()),
    })
}

fn close(ours: f64, reference: f64) -> bool {
    (ours - reference).abs() <= 1e-12 + 1e-9 * reference.abs()
}

fn assert_sample(sample: &Sample, row: &Value, place: &str) {
    assert_eq!(Value::from(sample.filtered.clone()), row["filtered_resps"], "{place}: filtered");
    let names: Vec<&str> = sample.scores.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(json!(names), row["metrics"], "{place}: metrics");
    for (name, score) in &sample.scores {
        let Score::Value(value) = score else { panic!("{place}: {name} is {score:?}") };
        assert!(close(*value, row[name].as_f64().unwrap()), "{place}: {name} is {value}, not {}", row[name]);
    }
}

fn assert_estimates(estimates: &[Estimate], results: &Value, place: &str) {
    let of_task = |key: &&String| key.contains(',') && !key.contains("_stderr,");
    let expected: Vec<&String> = results.as_object().unwrap().keys().filter(of_task).collect();
    let ours: Vec<String> = estimates.iter().map(|e| format!("{},{}", e.metric, e.filter)).collect();
    assert_eq!(ours.iter().collect::<Vec<_>>(), expected, "{place}: names");
    for e in estimates {
        let value = results[format!("{},{}", e.metric, e.filter)].as_f64().unwrap();
        assert!(close(e.value.unwrap(), value), "{place}: {} is {:?}, not {value}", e.metric, e.value);
        let stderr = results[format!("{}_stderr,{}", e.metric, e.filter)].as_f64();
        let same = match (e.stderr, stderr) {
            (Some(ours), Some(reference)) => close(ours, reference),
            (ours, reference) => ours == reference,
        };
        assert!(same, "{place}: standard error of {} is {:?}, not {stderr:?}", e.metric, e.stderr);
        assert_eq!((json!(e.n), e.unscored), (results["sample_len"].clone(), 0), "{place}: documents");
    }
}

#[test]
fn scores_and_estimates_as_the_reference() {
    let files = files();
    if files.is_empty() {
        crate::model::testing::say_skipped();
        return;
    }
    let mut compared = 0;
    for path in files {
        let place = path.display().to_string();
        let name = path.file_name().unwrap().to_string_lossy().replace(".jsonl.gz", "");
        let Some(task) = task_of(&name) else { continue };
        check_task(&task).unwrap();
        let rows = rows(&path);
        let mut samples = Vec::new();
        for row in &rows {
            let scored = score_item(&task, &answered(&name, row), &[]);
            let sample = scored.into_iter().find(|sample| row["filter"] == json!(sample.filter)).unwrap();
            assert_sample(&sample, row, &format!("{place}: document {}", row["doc_id"]));
            samples.push(sample);
        }
        let results: Value =
            serde_json::from_reader(File::open(path.with_file_name(format!("{name}.json"))).unwrap()).unwrap();
        assert_estimates(&estimate_task(&task, &samples, 1000), &results["results"], &place);
        compared += rows.len();
    }
    assert!(compared > 0, "no parity file is of a known task");
    eprintln!("{compared} samples compared");
}
