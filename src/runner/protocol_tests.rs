//! Whole runs on the mock under every protocol: names of filters, groups, hashes, samples, bounds.

use super::testing::{folder, spec};
use super::write::parquet::samples_parquet;
use super::write::results::{ResultsInput, results_json};
use super::write::samples::samples_jsonl;
use super::{Finished, Means, Prepared, RunFolder, execute, plan_protocol, prepare};
use crate::catalog::Catalog;
use crate::compare::Stars;
use crate::data::{DataOptions, DataSource};
use crate::engine::mock::MockEngine;
use crate::engine::{Cancel, Capabilities, Engine};
use crate::judge::Judges;
use crate::prompt::PromptOptions;
use crate::report::{Style, render_all, side_by_side};
use crate::request::Prompt;
use crate::sample::Score;
use crate::task::ChoiceProtocol::{self, LetterLogprobs, LetterText, Likelihood};
use crate::task::Node;
use serde_json::{Value, json};
use std::path::Path;

const DOCS: usize = 24;

/// A benchmark like HellaSwag, one like MMLU, one that needs likelihoods, one that generates, and a group over them.
fn write_tasks(dir: &Path) {
    let data: Vec<String> = (0..DOCS)
        .map(|i| {
            json!({"q": format!("question {i}"), "c": ["one", "two", "three"], "a": i % 3, "l": [1, 0, 1]}).to_string()
        })
        .collect();
    std::fs::write(dir.join("data.jsonl"), data.join("\n")).unwrap();
    let choices = "output_type: multiple_choice\ndoc_to_target: a\ndoc_to_choice: c\n";
    let acc = "metric_list:\n  - metric: acc\n  - metric: acc_norm\n";
    let tasks = [
        ("swag", format!("{choices}doc_to_text: '{{{{q}}}}'\n{acc}")),
        (
            "lettered",
            "output_type: multiple_choice\ndoc_to_target: a\ndoc_to_choice: ['A', 'B', 'C']\ndoc_to_text: \"{{q}}\\nA. {{c[0]}}\\nB. {{c[1]}}\\nC. {{c[2]}}\\nAnswer:\"\nmetric_list:\n  - metric: acc\n".to_owned(),
        ),
        (
            "mass",
            format!("{choices}doc_to_text: '{{{{q}}}}'\nprocess_results:\n  function: label_mass\n  labels: '{{{{l}}}}'\nmetric_list:\n  - metric: acc\n"),
        ),
        ("free", "output_type: generate_until\ndoc_to_text: '{{q}}'\ndoc_to_target: '{{a}}'\n".to_owned()),
    ];
    for (name, yaml) in tasks {
        let head = format!(
            "task: {name}\ndataset_path: json\ndataset_kwargs:\n  data_files:\n    test: data.jsonl\ntest_split: test\n"
        );
        std::fs::write(dir.join(format!("{name}.yaml")), head + &yaml).unwrap();
    }
    let group = "group: both\ntask: [swag, lettered]\naggregate_metric_list:\n  - metric: acc\n    filter_list: [none]\n  - metric: acc_norm\n    weight_by_size: false\n";
    std::fs::write(dir.join("both.yaml"), group).unwrap();
}

struct Run {
    prepared_hash: String,
    finished: Finished,
    folder: RunFolder,
    _out: tempfile::TempDir,
}

fn nodes(names: &[&str]) -> (tempfile::TempDir, Vec<Node>) {
    let dir = tempfile::tempdir().unwrap();
    write_tasks(dir.path());
    let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
    let nodes = Catalog::load(&[dir.path().to_path_buf()]).unwrap().select(&names).unwrap();
    (dir, nodes)
}

fn prepared(nodes: &[Node], protocol: ChoiceProtocol) -> Prepared {
    let source = DataSource::open(DataOptions { offline: true, ..DataOptions::default() }).unwrap();
    let options = PromptOptions { choices: protocol, ..PromptOptions::default() };
    prepare(nodes.to_vec(), &source, &options, None, &mut |_| {}).unwrap()
}

fn run(names: &[&str], model: &str, protocol: ChoiceProtocol) -> Run {
    let (_dir, nodes) = nodes(names);
    let engine = MockEngine::new(model).unwrap();
    let prepared = prepared(&nodes, protocol);
    let spec = spec(&engine, &prepared);
    let prepared_hash = spec.sha256();
    let out = tempfile::tempdir().unwrap();
    let mut folder = folder(out.path(), spec);
    let (judges, cancel) = (Judges::default(), Cancel::default());
    let means = Means { engine: &engine, judges: &judges, cancel: &cancel };
    let finished = execute(prepared, &means, &mut folder, 10, &mut |_| {}).unwrap();
    Run { prepared_hash, finished, folder, _out: out }
}

fn results(run: &Run) -> Value {
    let input = ResultsInput {
        header: &run.folder.header,
        finished: &run.finished,
        task_hashes: &[],
        judges: Vec::new(),
        seconds: 0.0,
        load_seconds: 0.0,
    };
    serde_json::from_str(&results_json(&input)).unwrap()
}

/// The table of what stands in the results file.
fn table(run: &Run) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("results_x.json");
    std::fs::write(&file, results(run).to_string()).unwrap();
    let read = crate::read::open(&file).unwrap();
    render_all(&side_by_side(&[("mock", &read)], &Stars::new()), Style::Plain, None)
}

#[test]
fn figures_carry_their_protocol() {
    let mut hashes = Vec::new();
    for (protocol, filter) in [(Likelihood, "none"), (LetterLogprobs, "letter-logprobs"), (LetterText, "letter-text")] {
        let run = run(&["both"], "mock", protocol);
        hashes.push(run.prepared_hash.clone());
        let results = results(&run);
        let of = |name: &str, key: String| results["results"][name][key.as_str()].as_f64();
        let key = format!("acc,{filter}");
        for name in ["swag", "lettered", "both"] {
            assert!(of(name, key.clone()).is_some_and(|acc| (0.0..=1.0).contains(&acc)), "{name} {protocol:?}");
        }
        // Both have equally many documents.
        let mean = (of("swag", key.clone()).unwrap() + of("lettered", key.clone()).unwrap()) / 2.0;
        assert!((of("both", key).unwrap() - mean).abs() < 1e-12);
        let norm = |name: &str| of(name, format!("acc_norm,{filter}"));
        assert_eq!(norm("swag").is_some(), protocol == Likelihood, "{protocol:?}");
        assert_eq!(norm("both"), None, "only one of its tasks has it");
        let others = results["results"]["swag"].as_object().unwrap().keys().filter(|k| k.contains(',')).count();
        assert_eq!(others, if protocol == Likelihood { 4 } else { 2 });
        assert_eq!(results["configs"]["swag"].get("mc_protocol").is_some(), protocol != Likelihood);
        assert!(results["fairmark"].get("bounds").is_none());
        for task in &run.finished.tasks {
            let per_doc = if protocol == Likelihood { 3 } else { 1 };
            assert!(task.items.iter().all(|a| a.item.requests.len() == per_doc));
            assert!(task.samples.iter().all(|s| s.filter == filter && s.filtered.len() == per_doc));
        }
    }
    hashes.sort();
    hashes.dedup();
    assert_eq!(hashes.len(), 3, "a spec for each protocol");
}

#[test]
fn samples_show_what_was_asked_and_taken() {
    let lines = |run: &Run| -> Vec<Value> {
        let render = |prompt: &Prompt| MockEngine::new("mock").unwrap().render(prompt);
        let samples = samples_jsonl(&run.finished.tasks[0], &render).unwrap();
        samples.jsonl.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let run_logprobs = run(&["swag"], "mock", LetterLogprobs);
    for line in lines(&run_logprobs) {
        assert_eq!(line["arguments"]["gen_args_0"]["arg_1"], json!(["A", "B", "C"]));
        let logprobs: Vec<f64> =
            line["resps"][0][0].as_array().unwrap().iter().map(|x| x.as_str().unwrap().parse().unwrap()).collect();
        let best = (0..3).max_by(|a, b| logprobs[*a].total_cmp(&logprobs[*b])).unwrap();
        let label = ["A", "B", "C"][best];
        assert_eq!(line["filtered_resps"], json!([label]));
        assert_eq!(line["acc"], json!(if line["target"] == json!(best.to_string()) { 1.0 } else { 0.0 }));
        assert!(line.get("reasoning").is_none());
    }
    let bytes = samples_parquet(&run_logprobs.finished.tasks).unwrap();
    use polars::prelude::{ParquetReader, SerReader};
    let frame = ParquetReader::new(std::io::Cursor::new(bytes)).finish().unwrap();
    let logprobs = frame.column("logprobs").unwrap().list().unwrap();
    assert!(logprobs.amortized_iter().all(|list| list.unwrap().as_ref().len() == 3));
    // The mock writes words, and a word is no letter: an answer, and a wrong one.
    let run_text = run(&["swag"], "mock", LetterText);
    let lines = lines(&run_text);
    assert!(lines.iter().any(|line| line["filtered_resps"] == json!([null]) && line["acc"] == json!(0.0)));
    assert!(lines.iter().all(|line| line.get("unscored").is_none()));
    assert_eq!(run_text.finished.unscored, 0);
}

#[test]
fn what_has_no_letters_is_scored_as_it_stands() {
    let run = run(&["swag", "mass", "free"], "mock", LetterText);
    let filters: Vec<(&str, &str)> =
        run.finished.tasks.iter().map(|t| (t.task.name.as_str(), t.samples[0].filter.as_str())).collect();
    assert_eq!(filters, [("swag", "letter-text"), ("mass", "none"), ("free", "none")]);
    let mass = &run.finished.tasks[1];
    assert!(mass.items.iter().all(|a| a.item.requests.len() == 3));
    assert!(mass.samples.iter().all(|s| matches!(s.scores[0].1, Score::Value(_))));

    let (_dir, nodes) = nodes(&["swag", "mass", "free"]);
    let chat = Capabilities { scoring: Err("it cannot".into()), ..Capabilities::default() };
    let plan = plan_protocol(&chat, None, &nodes).unwrap();
    assert_eq!(plan.protocol, LetterLogprobs);
    assert_eq!(plan.impossible.iter().map(|(task, _)| task.as_str()).collect::<Vec<_>>(), ["mass"]);
}

#[test]
fn lost_documents_bound_the_figures() {
    let run = run(&["both"], "mock:fail=4", LetterLogprobs);
    let results = results(&run);
    let bounds = &results["fairmark"]["bounds"];
    for (name, estimates) in run
        .finished
        .tasks
        .iter()
        .map(|t| (&t.task.name, &t.result.estimates))
        .chain(run.finished.groups.iter().map(|g| (&g.name, &g.estimates)))
    {
        let [acc] = estimates.as_slice() else { panic!("{estimates:?}") };
        assert!(acc.unscored > 0 && acc.n > 0, "the seed loses some of them");
        let (low, high) = acc.bounds.unwrap();
        let value = acc.value.unwrap();
        assert!(low <= value && value <= high);
        let width = acc.unscored as f64 / (acc.n + acc.unscored) as f64;
        assert!((high - low - width).abs() < 1e-12);
        assert_eq!(bounds[name]["acc,letter-logprobs"], json!([low, high]));
    }
    let shown = table(&run);
    assert!(shown.contains("acc (letter-logprobs)"), "{shown}");
    let notes: Vec<&str> = shown.lines().filter(|line| line.starts_with("! acc (letter-logprobs) of ")).collect();
    assert_eq!(notes.len(), 3, "{shown}");
    assert!(notes.iter().all(|note| note.contains("unscored documents were all wrong or all right")), "{shown}");
}
