//! The comparison table: notes, best figures, tables of their own.

use super::view::{Cell, Comparison, Row, compare, mark_best};
use crate::estimate::Estimate;
use crate::run::TaskResult;
use crate::runner::{Finished, FinishedTask, NotRun};
use crate::score::testing::{group, task};
use crate::task::{Group, Node, OutputType, Task};
use std::sync::Arc;

fn cell(value: f64) -> Option<Cell> {
    Some(Cell {
        value: Some(value),
        stderr: None,
        best: false,
        unscored: 0,
        refused: 0,
        of: 9,
        bounds: None,
        weak: false,
    })
}

fn best(cells: &[Option<Cell>]) -> Vec<bool> {
    cells.iter().map(|c| c.is_some_and(|c| c.best)).collect()
}

#[test]
fn notes_are_about_figures_that_lack_documents() {
    let lacking = Cell { unscored: 2, ..cell(0.5).unwrap() };
    let row = |cells| Row {
        depth: 0,
        name: "t".into(),
        is_group: false,
        first: true,
        num_fewshot: None,
        n: None,
        metric: "acc".into(),
        higher_is_better: None,
        cells,
    };
    let nothing = Cell { value: None, ..lacking };
    let rows = vec![row(vec![cell(0.1), Some(lacking)]), row(vec![Some(nothing), None])];
    let found = Comparison { models: vec!["a".into(), "b".into()], rows, ..Comparison::default() }.notes();
    let [note] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((note.model.as_deref(), note.name.as_str(), note.value), (Some("b"), "t", 0.5));
    let alone = Comparison { models: vec!["a".into()], rows: vec![row(vec![Some(lacking)])], ..Comparison::default() };
    assert_eq!(alone.notes()[0].model, None);
}

#[test]
fn best_follows_the_direction_and_needs_a_difference() {
    let mut cells = [cell(0.1), cell(0.3), None, cell(0.3)];
    mark_best(&mut cells, Some(true));
    assert_eq!(best(&cells), [false, true, false, true]);
    let mut cells = [cell(0.1), cell(0.3)];
    mark_best(&mut cells, Some(false));
    assert_eq!(best(&cells), [true, false]);
    for (mut cells, direction) in [([cell(0.1), cell(0.3)], None), ([cell(0.2), cell(0.2)], Some(true))] {
        mark_best(&mut cells, direction);
        assert_eq!(best(&cells), [false, false]);
    }
}

/// A finished run of two tasks under a group with rows, which stands in another group beside a third task.
fn finished(rows: serde_json::Value) -> Finished {
    let named = |name: &str| Arc::new(Task { name: name.into(), ..task(OutputType::GenerateUntil) });
    let estimate = |metric: &str, filter: &str, value: f64| Estimate {
        metric: metric.into(),
        filter: filter.into(),
        value: Some(value),
        stderr: None,
        stderr_method: None,
        n: 7,
        unscored: 0,
        refused: 0,
        bounds: None,
        higher_is_better: Some(true),
    };
    let tasks = ["a", "b", "c"].map(named);
    let result = |task: &Arc<Task>| TaskResult {
        name: task.name.clone(),
        original: 9,
        effective: 7,
        num_fewshot: 2,
        estimates: vec![estimate("acc", "none", 0.1), estimate("em", "strict", 0.2), estimate("em", "loose", 0.3)],
        unscored: Vec::new(),
        truncated: 0,
        remarks: Vec::new(),
    };
    let run = |task: &Arc<Task>| FinishedTask {
        task: task.clone(),
        items: Vec::new(),
        samples: Vec::new(),
        result: result(task),
    };
    let children = tasks[..2].iter().map(|task| Node::Task(task.clone())).collect();
    let metadata = serde_json::Map::from_iter([("rows".to_owned(), rows)]);
    let inner = Group { name: "inner".into(), alias: Some("Inner".into()), children, metadata, ..group(Vec::new()) };
    let outer = Group { name: "outer".into(), children: vec![Node::Group(Arc::new(inner))], ..group(Vec::new()) };
    Finished {
        nodes: vec![Node::Group(Arc::new(outer)), Node::Task(tasks[2].clone())],
        tasks: tasks[1..].iter().map(run).collect(),
        not_run: vec![NotRun { task: "a".into(), reason: "no python3".into() }],
        groups: Vec::new(),
        missing: 0,
        unscored: 0,
    }
}

#[test]
fn a_group_with_rows_is_a_table_of_its_own() {
    let rows = serde_json::json!([
        {"row": "First", "task": "b", "metric": "em", "filter": "loose", "grade": "A"},
        {"row": "Second", "task": "b", "metric": "acc", "ideal": 50},
        {"row": "Third", "task": "a", "metric": "acc"},
    ]);
    let run = finished(rows);
    let found = compare(&[("m", &run)]);
    let [main, inner] = found.as_slice() else { panic!("{found:?}") };
    let names = |table: &Comparison| -> Vec<(String, String)> {
        table.rows.iter().map(|row| (row.name.clone(), row.metric.clone())).collect()
    };
    let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect()
    };
    assert_eq!(names(main), pairs(&[("c", "acc"), ("c", "em (strict)"), ("c", "em (loose)")]));
    assert_eq!(inner.title.as_deref(), Some("Inner"));
    assert_eq!(names(inner), pairs(&[("First", "em (loose)"), ("Second", "acc, best at 50 %"), ("Third", "not run")]));
    assert_eq!((inner.rows[0].higher_is_better, inner.rows[1].higher_is_better), (Some(true), None));
    assert_eq!(inner.rows[0].cells[0].unwrap().value, Some(0.3));
    assert_eq!((inner.rows[0].n, inner.rows[0].num_fewshot), (Some(7), Some(2)));
    assert_eq!((main.not_run.len(), inner.not_run.len()), (0, 1));
}

#[test]
fn without_rows_a_group_stands_in_the_table() {
    let run = finished(serde_json::json!([]));
    let found = compare(&[("m", &run)]);
    assert_eq!(found.len(), 1);
    let names: Vec<&str> = found[0].rows.iter().filter(|row| row.first).map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["outer", "Inner", "a", "b", "c"]);
}
