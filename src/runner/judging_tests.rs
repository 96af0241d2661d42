//! Whole runs of a task with a judge: one that stops, one that fails, one that is missing.

use super::testing::{folder, spec};
use super::{Finished, Means, execute, prepare};
use crate::catalog::Catalog;
use crate::data::{DataOptions, DataSource};
use crate::engine::Cancel;
use crate::engine::mock::MockEngine;
use crate::error::Error;
use crate::judge::testing::Lengths;
use crate::judge::{Judge, Judges};
use crate::prompt::PromptOptions;
use crate::run::NotRun;
use serde_json::json;
use std::rc::Rc;

const DOCS: usize = 10;

/// Task, data and scripted answers: `a`, `aa`, ... of the documents in turn.
struct Bench {
    dir: tempfile::TempDir,
    out: tempfile::TempDir,
}

impl Bench {
    fn new(answers: impl Fn(usize) -> String) -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, lines: Vec<String>| std::fs::write(dir.path().join(name), lines.join("\n")).unwrap();
        write("data.jsonl", (0..DOCS).map(|i| json!({"q": format!("question {i}.")}).to_string()).collect());
        let texts = |i: usize| json!({"contains": format!("question {i}."), "texts": [answers(i)]}).to_string();
        write("texts.jsonl", (0..DOCS).map(texts).collect());
        let base = "dataset_path: json\ndataset_kwargs:\n  data_files:\n    test: data.jsonl\ntest_split: test\ndoc_to_text: '{{q}}'\n\
                    doc_to_target: x\n";
        let judged = "task: judged\njudge: {function: code, tests: a, reference: b}\nmetric_list: [{metric: exact_match, judged: true}]\n";
        write("judged.yaml", vec![format!("{judged}{base}")]);
        write("plain.yaml", vec![format!("task: plain\n{base}")]);
        let group =
            "group: both\ntask: [judged, plain]\naggregate_metric_list: [{metric: exact_match, aggregation: mean}]\n";
        write("both.yaml", vec![group.to_owned()]);
        Bench { dir, out: tempfile::tempdir().unwrap() }
    }

    fn session(&self, judges: &Judges) -> Finished {
        let nodes = Catalog::load(&[self.dir.path().to_path_buf()]).unwrap().select(&["both".to_string()]).unwrap();
        let source = DataSource::open(DataOptions { offline: true, ..DataOptions::default() }).unwrap();
        let prepared = prepare(nodes, &source, &PromptOptions::default(), None, &mut |_| {}).unwrap().judged_by(judges);
        let engine = MockEngine::new(&format!("mock:texts={}", self.dir.path().join("texts.jsonl").display())).unwrap();
        let mut folder = folder(self.out.path(), spec(&engine, &prepared));
        let cancel = Cancel::default();
        let means = Means { engine: &engine, judges, cancel: &cancel };
        execute(prepared, &means, &mut folder, 0, &mut |_| {}).unwrap()
    }
}

fn judges(judge: Lengths) -> Judges {
    Judges::code(Ok(Box::new(judge) as Box<dyn Judge>))
}

fn value(finished: &Finished, task: &str) -> Option<f64> {
    let task = finished.tasks.iter().find(|t| t.task.name == task).unwrap();
    task.result.estimates[0].value
}

#[test]
fn what_was_judged_is_not_judged_again() {
    let bench = Bench::new(|i| "a".repeat(i + 1));
    let stopped = bench.session(&judges(Lengths { stop: Some(4), ..Lengths::new("x") }));
    assert_eq!((stopped.missing, stopped.tasks.len()), (6, 0));
    let judge = Lengths::new("x");
    let asked = Rc::clone(&judge.asked);
    let finished = bench.session(&judges(judge));
    assert_eq!(asked.get(), 6, "four findings are in the journal");
    assert_eq!(value(&finished, "judged"), Some(5.5), "the mean of 1 to 10");
    assert!(finished.is_whole());
    let judge = Lengths::new("another version");
    let asked = Rc::clone(&judge.asked);
    bench.session(&judges(judge));
    assert_eq!(asked.get(), 10, "findings of another judge do not count");
}

#[test]
fn a_failing_judge_leaves_documents_unscored() {
    let bench = Bench::new(|i| if i < 3 { format!("failure {i}") } else { "four".to_owned() });
    let judge = Lengths::new("x");
    let asked = Rc::clone(&judge.asked);
    let finished = bench.session(&judges(judge));
    assert_eq!(asked.get(), 4, "equal cases are asked once");
    assert_eq!((finished.unscored, value(&finished, "judged")), (3, Some(4.0)));
    let result = &finished.tasks[0].result;
    assert_eq!(result.unscored, [("the scorer is away".to_owned(), 3)]);
    assert!(!finished.is_whole());
    let judge = Lengths::new("x");
    let asked = Rc::clone(&judge.asked);
    bench.session(&judges(judge));
    assert_eq!(asked.get(), 3, "failures are asked again");
}

#[test]
fn without_its_judge_a_task_is_not_run() {
    let bench = Bench::new(|_| "x".to_owned());
    let finished = bench.session(&Judges::code(Err(Error::input("no python3").hint("install it"))));
    let reason = "no python3; hint: install it".to_owned();
    assert_eq!(finished.not_run, [NotRun { task: "judged".into(), reason }]);
    assert_eq!((finished.tasks.len(), finished.missing, finished.unscored), (1, 0, 0));
    assert_eq!(value(&finished, "plain"), Some(1.0));
    assert!(finished.groups[0].estimates.is_empty(), "a group's figure needs all of its tasks");
    assert!(!finished.is_whole());
    let finished = bench.session(&judges(Lengths::new("x")));
    assert!(finished.is_whole(), "the same run goes on");
    assert_eq!(finished.groups[0].estimates.len(), 1);
}

#[test]
fn a_judgement_that_the_judge_cannot_have_given_is_asked_again() {
    let bench = Bench::new(|i| "a".repeat(i + 1));
    bench.session(&judges(Lengths::new("x")));
    let folder = std::fs::read_dir(bench.out.path()).unwrap().next().unwrap().unwrap().path();
    let journal = folder.join("journal.jsonl");
    let text = std::fs::read_to_string(&journal).unwrap();
    let changed = text.replace(r#""judgement":{"value":5.0}"#, r#""judgement":{"value":5000.0}"#);
    assert_ne!(changed, text);
    std::fs::write(&journal, changed.replace(r#""judgement":{"value":6.0}"#, r#""judgement":{"value":-6.0}"#)).unwrap();
    let judge = Lengths::new("x");
    let asked = Rc::clone(&judge.asked);
    let finished = bench.session(&judges(judge));
    assert_eq!((asked.get(), value(&finished, "judged")), (2, Some(5.5)));
}
