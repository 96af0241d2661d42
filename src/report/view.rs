//! The comparison table as data: models side by side, a row per task or group and metric.

use crate::estimate::Estimate;
use crate::runner::{Finished, NotRun};
use crate::task::{Group, Node};
use serde::Deserialize;

/// Models side by side.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Comparison {
    /// Of a table of its own: the group's name.
    pub title: Option<String>,
    pub models: Vec<String>,
    pub rows: Vec<Row>,
    /// Tasks that were not run, with the reason.
    pub not_run: Vec<NotRun>,
}

/// One metric of one task or group.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// 0 at the top, one more within each group.
    pub depth: usize,
    pub name: String,
    pub is_group: bool,
    /// First row of its task or group: name, shots and count are printed here only.
    pub first: bool,
    pub num_fewshot: Option<usize>,
    /// Documents evaluated.
    pub n: Option<usize>,
    /// Metric, with the filter's name where there is one: `exact_match (strict-match)`. Empty for groups without aggregates.
    pub metric: String,
    pub higher_is_better: Option<bool>,
    /// One per model; `None` where the model has no such figure.
    pub cells: Vec<Option<Cell>>,
}

/// One figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cell {
    /// `None`: nothing could be scored.
    pub value: Option<f64>,
    pub stderr: Option<f64>,
    /// Best of its row (several when equal); never set for a single model.
    pub best: bool,
    /// Documents without a score.
    pub unscored: usize,
    /// Those of them that were refused.
    pub refused: usize,
    /// Documents altogether.
    pub of: usize,
    /// Between what values the documents without a score leave it.
    pub bounds: Option<(f64, f64)>,
}

/// A figure that documents are missing from, to be said under the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    /// Only where there are several.
    pub model: Option<String>,
    pub name: String,
    pub metric: String,
    pub value: f64,
    pub cell: Cell,
}

impl Comparison {
    /// The figures that lack documents, in the order of the rows. Those without any value need no note.
    pub fn notes(&self) -> Vec<Note> {
        let several = self.models.len() > 1;
        let of_row = |row: &'_ Row| -> Vec<Note> {
            let cells = row.cells.iter().zip(&self.models);
            let short = cells.filter_map(|(cell, model)| {
                let cell = cell.filter(|cell| cell.unscored > 0)?;
                let model = several.then(|| model.clone());
                Some(Note { model, name: row.name.clone(), metric: row.metric.clone(), value: cell.value?, cell })
            });
            short.collect()
        };
        self.rows.iter().flat_map(of_row).collect()
    }
}

/// Puts finished runs of the same tasks side by side: one table for all that was selected, and one for each group that says which rows it
/// is shown as.
pub fn compare(runs: &[(&str, &Finished)]) -> Vec<Comparison> {
    let models: Vec<String> = runs.iter().map(|(label, _)| label.to_string()).collect();
    let (mut main, mut tables) = (Vec::new(), Vec::new());
    if let Some((_, first)) = runs.first() {
        for node in &first.nodes {
            add_tables(node, runs, &mut tables);
            add_node(node, 0, runs, &mut main);
        }
    }
    let mut comparisons = Vec::new();
    if !main.is_empty() {
        comparisons.push(Comparison { models: models.clone(), rows: main, ..Comparison::default() });
    }
    let titled = |(title, rows): (String, Vec<Row>)| Comparison {
        title: Some(title),
        models: models.clone(),
        rows,
        ..Comparison::default()
    };
    comparisons.extend(tables.into_iter().map(titled));
    if let Some(last) = comparisons.last_mut() {
        for task in runs.iter().flat_map(|(_, run)| &run.not_run) {
            if !last.not_run.contains(task) {
                last.not_run.push(task.clone());
            }
        }
    }
    comparisons
}

/// A row that a group is shown as: `metadata.rows`. What else stands with it is for `fairmark ls benchmarks`.
#[derive(Debug, Deserialize)]
struct ShownRow {
    row: String,
    task: String,
    metric: String,
    filter: Option<String>,
    /// The best value of a metric that is best neither high nor low, in per cent.
    ideal: Option<f64>,
}

/// The rows of a group; none where it has none, or where they are not to be read.
fn shown_rows(group: &Group) -> Vec<ShownRow> {
    group.metadata.get("rows").and_then(|rows| serde_json::from_value(rows.clone()).ok()).unwrap_or_default()
}

/// Whether all of a node stands in tables of its own.
fn stands_apart(node: &Node) -> bool {
    let Node::Group(group) = node else { return false };
    !shown_rows(group).is_empty()
        || group.aggregates.is_empty() && !group.children.is_empty() && group.children.iter().all(stands_apart)
}

/// The tables of the groups at and under a node that have rows.
fn add_tables(node: &Node, runs: &[(&str, &Finished)], tables: &mut Vec<(String, Vec<Row>)>) {
    let Node::Group(group) = node else { return };
    let shown = shown_rows(group);
    if shown.is_empty() {
        group.children.iter().for_each(|child| add_tables(child, runs, tables));
        return;
    }
    let rows = shown.iter().filter_map(|row| {
        let node = group.children.iter().find(|child| child.name() == row.task)?;
        Some(shown_row(row, node, runs))
    });
    tables.push((group.alias.clone().unwrap_or_else(|| group.name.clone()), rows.collect()));
}

/// The figure that a row names, of a task or of a group.
fn shown_row(shown: &ShownRow, node: &Node, runs: &[(&str, &Finished)]) -> Row {
    let (template, estimates) = figures(node, 0, runs);
    let is = |e: &&Estimate| e.metric == shown.metric && shown.filter.as_ref().is_none_or(|filter| e.filter == *filter);
    let found: Vec<Option<&Estimate>> = estimates.iter().map(|of_model| of_model.iter().find(is)).collect();
    let first = found.iter().flatten().next();
    let higher_is_better = first.and_then(|e| e.higher_is_better).filter(|_| shown.ideal.is_none());
    let mut cells: Vec<Option<Cell>> = found.iter().map(|e| e.map(cell)).collect();
    mark_best(&mut cells, higher_is_better);
    let metric = first.map_or("not run".to_owned(), |e| metric_name(e));
    let metric = shown.ideal.map_or(metric.clone(), |ideal| format!("{metric}, best at {ideal} %"));
    let n = first.map(|e| e.n + e.unscored);
    Row {
        name: shown.row.clone(),
        is_group: false,
        num_fewshot: shots(node, runs),
        n,
        metric,
        higher_is_better,
        cells,
        ..template
    }
}

/// Shots of all tasks of a node, where they are alike.
fn shots(node: &Node, runs: &[(&str, &Finished)]) -> Option<usize> {
    let tasks = node.tasks();
    let is_under = |name: &str| tasks.iter().any(|task| task.name == name);
    let mut found = runs.iter().flat_map(|(_, run)| &run.tasks).filter(|t| is_under(&t.task.name));
    let first = found.next()?.result.num_fewshot;
    found.all(|t| t.result.num_fewshot == first).then_some(first)
}

/// What all rows of a node have in common, and each model's figures.
fn figures<'a>(node: &Node, depth: usize, runs: &[(&str, &'a Finished)]) -> (Row, Vec<&'a [Estimate]>) {
    let template = Row {
        depth,
        name: String::new(),
        is_group: matches!(node, Node::Group(_)),
        first: true,
        num_fewshot: None,
        n: None,
        metric: String::new(),
        higher_is_better: None,
        cells: Vec::new(),
    };
    let name = |alias: &Option<String>| alias.clone().unwrap_or_else(|| node.name().to_owned());
    match node {
        Node::Task(task) => {
            let found: Vec<_> =
                runs.iter().map(|(_, run)| run.tasks.iter().find(|t| t.task.name == task.name)).collect();
            let estimates = found.iter().map(|t| t.map_or(&[][..], |t| &t.result.estimates)).collect();
            let first = found.iter().flatten().next();
            let num_fewshot = first.map(|t| t.result.num_fewshot);
            (Row { name: name(&task.alias), num_fewshot, n: first.map(|t| t.result.effective), ..template }, estimates)
        }
        Node::Group(group) => {
            let found: Vec<_> = runs.iter().map(|(_, run)| run.groups.iter().find(|g| g.name == group.name)).collect();
            let estimates: Vec<&[Estimate]> = found.iter().map(|g| g.map_or(&[][..], |g| &g.estimates)).collect();
            let n = estimates.iter().flat_map(|e| e.iter()).map(|e| e.n).next();
            (Row { name: name(&group.alias), n, ..template }, estimates)
        }
    }
}

fn add_node(node: &Node, depth: usize, runs: &[(&str, &Finished)], rows: &mut Vec<Row>) {
    if stands_apart(node) {
        return;
    }
    let (template, estimates) = figures(node, depth, runs);
    match node {
        Node::Task(task) => {
            let was_run = runs.iter().any(|(_, run)| run.tasks.iter().any(|t| t.task.name == task.name));
            add_rows(template, &estimates, if was_run { "(answers only)" } else { "not run" }, rows);
        }
        Node::Group(group) => {
            add_rows(template, &estimates, "", rows);
            for child in &group.children {
                add_node(child, depth + 1, runs, rows);
            }
        }
    }
}

/// One row per metric and filter that any model has; a single row saying `nothing` where none has any.
fn add_rows(template: Row, estimates: &[&[Estimate]], nothing: &str, rows: &mut Vec<Row>) {
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for estimate in estimates.iter().flat_map(|e| e.iter()) {
        let id = (estimate.metric.as_str(), estimate.filter.as_str());
        if seen.contains(&id) {
            continue;
        }
        let mut cells: Vec<Option<Cell>> = estimates
            .iter()
            .map(|of_model| of_model.iter().find(|e| (e.metric.as_str(), e.filter.as_str()) == id))
            .map(|e| e.map(cell))
            .collect();
        mark_best(&mut cells, estimate.higher_is_better);
        let metric = metric_name(estimate);
        let first = seen.is_empty();
        rows.push(Row { first, metric, higher_is_better: estimate.higher_is_better, cells, ..template.clone() });
        seen.push(id);
    }
    if seen.is_empty() {
        rows.push(Row { metric: nothing.to_string(), cells: vec![None; estimates.len()], ..template });
    }
}

/// `exact_match (strict-match)`
fn metric_name(estimate: &Estimate) -> String {
    match estimate.filter.as_str() {
        "none" => estimate.metric.clone(),
        filter => format!("{} ({filter})", estimate.metric),
    }
}

fn cell(e: &Estimate) -> Cell {
    Cell {
        value: e.value,
        stderr: e.stderr,
        best: false,
        unscored: e.unscored,
        refused: e.refused,
        of: e.n + e.unscored,
        bounds: e.bounds,
    }
}

/// Marks the best of at least two figures, when the metric has a direction.
fn mark_best(cells: &mut [Option<Cell>], higher_is_better: Option<bool>) {
    let Some(higher) = higher_is_better else { return };
    let values: Vec<f64> = cells.iter().flatten().filter_map(|c| c.value).collect();
    if values.len() < 2 || values.iter().all(|v| *v == values[0]) {
        return;
    }
    let best = values.into_iter().reduce(if higher { f64::max } else { f64::min });
    for cell in cells.iter_mut().flatten() {
        cell.best = cell.value.is_some() && cell.value == best;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(value: f64) -> Option<Cell> {
        Some(Cell { value: Some(value), stderr: None, best: false, unscored: 0, refused: 0, of: 9, bounds: None })
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
        let alone =
            Comparison { models: vec!["a".into()], rows: vec![row(vec![Some(lacking)])], ..Comparison::default() };
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
        use crate::run::TaskResult;
        use crate::runner::FinishedTask;
        use crate::score::testing::{group, task};
        use crate::task::{OutputType, Task};
        use std::sync::Arc;

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
        };
        let run = |task: &Arc<Task>| FinishedTask {
            task: task.clone(),
            items: Vec::new(),
            samples: Vec::new(),
            result: result(task),
        };
        let children = tasks[..2].iter().map(|task| Node::Task(task.clone())).collect();
        let metadata = serde_json::Map::from_iter([("rows".to_owned(), rows)]);
        let inner =
            Group { name: "inner".into(), alias: Some("Inner".into()), children, metadata, ..group(Vec::new()) };
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
        assert_eq!(
            names(inner),
            pairs(&[("First", "em (loose)"), ("Second", "acc, best at 50 %"), ("Third", "not run")])
        );
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
}
