//! The comparison table: notes, best figures, tables of their own.

use super::view::{Cell, Row, SideBySide, side_by_side, side_by_side_with};
use crate::compare::{Intervals, Stars};
use crate::estimate::Estimate;
use crate::record::{Group, Model, Node, Program, Run, Task, Writer};
use crate::run::{NotRun, Status};
use crate::stats::{Level, Method, Proportion};

fn cell(value: f64) -> Option<Cell> {
    Some(Cell {
        value: Some(value),
        stderr: None,
        interval: None,
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
    let found = SideBySide { models: vec!["a".into(), "b".into()], rows, ..SideBySide::default() }.notes();
    let [note] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((note.model.as_deref(), note.name.as_str(), note.value), (Some("b"), "t", 0.5));
    let alone = SideBySide { models: vec!["a".into()], rows: vec![row(vec![Some(lacking)])], ..SideBySide::default() };
    assert_eq!(alone.notes()[0].model, None);
}

/// A run of two tasks under a group with rows, which stands in another group beside a third task.
fn run(rows: serde_json::Value) -> Run {
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
    let task = |name: &str| Task {
        name: name.into(),
        alias: name.into(),
        num_fewshot: Some(2),
        effective: Some(7),
        estimates: vec![estimate("acc", "none", 0.1), estimate("em", "strict", 0.2), estimate("em", "loose", 0.3)],
        ..Task::default()
    };
    let group =
        |name: &str, alias: &str, rows| Group { name: name.into(), alias: alias.into(), rows, ..Group::default() };
    let node = |name: &str| Node::Task(name.into());
    let inner = Node::Group { name: "inner".into(), children: vec![node("a").into(), node("b").into()] };
    let outer = Node::Group { name: "outer".into(), children: vec![inner.into()] };
    Run {
        path: "out/m".into(),
        writer: Writer { program: Program::Fairmark, version: None },
        model: Model::default(),
        status: Status::Incomplete,
        repeatable: Some(true),
        started: None,
        tree: vec![outer, node("c")],
        tasks: vec![task("b"), task("c")],
        groups: vec![group("outer", "outer", serde_json::Value::Null), group("inner", "Inner", rows)],
        not_run: vec![NotRun { task: "a".into(), reason: "no python3".into() }],
        spec_sha256: None,
        usage: None,
    }
}

#[test]
fn stars_are_set_where_they_were_found() {
    let run = run(serde_json::json!([]));
    let key = |task: &str| (task.to_owned(), "acc".to_owned(), "none".to_owned());
    let stars = [(key("b"), vec![true, false]), (key("c"), vec![false, false])].into();
    let found = side_by_side(&[("m", &run), ("n", &run)], &stars);
    let row = |name: &str| found[0].rows.iter().find(|row| row.name == name && row.metric == "acc").unwrap();
    assert_eq!((best(&row("b").cells), best(&row("c").cells)), (vec![true, false], vec![false, false]));
    assert_eq!(found[0].starred, Some(true));
    assert_eq!(side_by_side(&[("m", &run)], &Stars::new())[0].starred, None);
}

#[test]
fn intervals_stand_in_place_of_errors_with_their_method_below() {
    let run = run(serde_json::json!([]));
    let (acc, loose) = (run.tasks[0].estimates[0].clone(), run.tasks[0].estimates[2].clone());
    let mut intervals = Intervals::new(Level::P95);
    let mut wilson = Proportion::new(7, 20).unwrap().wilson(Level::P95);
    wilson.cautions.push(crate::stats::Caution::FewClusters { clusters: 4 });
    intervals.put(1, "b", &acc, Ok(wilson.clone()));
    intervals.put(0, "c", &acc, Ok(wilson.clone()));
    intervals.put(0, "b", &loose, Err("the figure is no mean over documents".into()));
    let found = side_by_side_with(&[("m", &run), ("n", &run)], &Stars::new(), Some(&intervals));
    let row = |name: &str, metric: &str| {
        let rows = &found[0].rows;
        let start = rows.iter().position(|row| row.name == name).unwrap();
        rows[start..].iter().find(|row| row.metric == metric).unwrap().cells.clone()
    };
    let of = |cells: &[Option<Cell>]| cells.iter().map(|c| c.unwrap().interval).collect::<Vec<_>>();
    assert_eq!(of(&row("b", "acc")), [None, Some(wilson.interval)]);
    assert_eq!(of(&row("c", "acc")), [Some(wilson.interval), None]);
    assert_eq!(of(&row("b", "em (loose)")), [None, None]);
    let [head, method] = found[0].methods.as_slice() else { panic!("{:?}", found[0].methods) };
    assert_eq!(head, "[ ] 95 % intervals, by the methods:");
    let expected = "Wilson, scope population (further documents of this kind): acc of c, acc of b; it misleads ";
    assert_eq!(method, &format!("{expected}{}", Method::Wilson.row().misleads));
    let [none, few] = found[0].remarks.as_slice() else { panic!("{:?}", found[0].remarks) };
    assert_eq!(none, "m: em (loose) of b: no interval: the figure is no mean over documents; it stands alone");
    assert!(few.starts_with("m: acc of c, n: acc of b: only 4 clusters"), "{few}");
}

#[test]
fn a_group_with_rows_is_a_table_of_its_own() {
    let rows = serde_json::json!([
        {"row": "First", "task": "b", "metric": "em", "filter": "loose", "grade": "A"},
        {"row": "Second", "task": "b", "metric": "acc", "ideal": 50},
        {"row": "Third", "task": "a", "metric": "acc"},
    ]);
    let run = run(rows);
    let found = side_by_side(&[("m", &run)], &Stars::new());
    let [main, inner] = found.as_slice() else { panic!("{found:?}") };
    let names = |table: &SideBySide| -> Vec<(String, String)> {
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
    let run = run(serde_json::json!([]));
    let found = side_by_side(&[("m", &run)], &Stars::new());
    assert_eq!(found.len(), 1);
    let names: Vec<&str> = found[0].rows.iter().filter(|row| row.first).map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["outer", "Inner", "a", "b", "c"]);
}
