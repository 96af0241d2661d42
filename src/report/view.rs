//! The comparison table as data: models side by side, a row per task or group and metric.

use crate::estimate::Estimate;
use crate::runner::{Finished, NotRun};
use crate::task::{Group, Node, groups_under};
use serde::Deserialize;
use std::collections::HashSet;
use std::sync::Arc;

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
    /// First row of its task or group: name and shots are printed here only.
    pub first: bool,
    pub num_fewshot: Option<usize>,
    /// Documents evaluated; `None` where the row above says it.
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
        let mut rows = Rows { runs, apart: apart(&first.nodes), shown: HashSet::new(), rows: Vec::new() };
        let mut entered = HashSet::new();
        for node in &first.nodes {
            add_tables(node, runs, &mut entered, &mut tables);
            rows.add_node(node, 0);
        }
        main = rows.rows;
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

/// The groups of which all stands in tables of its own.
fn apart(nodes: &[Node]) -> HashSet<*const Group> {
    let mut apart: HashSet<*const Group> = HashSet::new();
    for group in groups_under(nodes) {
        let is_apart = |node: &Node| matches!(node, Node::Group(inner) if apart.contains(&Arc::as_ptr(inner)));
        let only_gathers = group.aggregates.is_empty() && !group.children.is_empty();
        if !shown_rows(group).is_empty() || only_gathers && group.children.iter().all(is_apart) {
            apart.insert(Arc::as_ptr(group));
        }
    }
    apart
}

/// The tables of the groups at and under a node that have rows, each once.
fn add_tables<'a>(
    node: &'a Node,
    runs: &[(&str, &Finished)],
    entered: &mut HashSet<&'a str>,
    tables: &mut Vec<(String, Vec<Row>)>,
) {
    let Node::Group(group) = node else { return };
    if !entered.insert(&group.name) {
        return;
    }
    let shown = shown_rows(group);
    if shown.is_empty() {
        group.children.iter().for_each(|child| add_tables(child, runs, entered, tables));
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
            (Row { name: name(&group.alias), ..template }, estimates)
        }
    }
}

/// The rows of the table in the making.
struct Rows<'a> {
    runs: &'a [(&'a str, &'a Finished)],
    apart: HashSet<*const Group>,
    /// Groups whose tasks are shown; where such a group comes again, it comes without them.
    shown: HashSet<&'a str>,
    rows: Vec<Row>,
}

impl<'a> Rows<'a> {
    fn add_node(&mut self, node: &'a Node, depth: usize) {
        match node {
            Node::Task(task) => {
                let (template, estimates) = figures(node, depth, self.runs);
                let was_run = self.runs.iter().any(|(_, run)| run.tasks.iter().any(|t| t.task.name == task.name));
                add_rows(template, &estimates, if was_run { "(answers only)" } else { "not run" }, &mut self.rows);
            }
            Node::Group(group) if self.apart.contains(&Arc::as_ptr(group)) => {}
            Node::Group(group) => {
                let (template, estimates) = figures(node, depth, self.runs);
                add_rows(template, &estimates, "", &mut self.rows);
                if self.shown.insert(&group.name) {
                    group.children.iter().for_each(|child| self.add_node(child, depth + 1));
                }
            }
        }
    }
}

/// One row per metric and filter that any model has; a single row saying `nothing` where none has any.
fn add_rows(template: Row, estimates: &[&[Estimate]], nothing: &str, rows: &mut Vec<Row>) {
    let mut seen: Vec<(&str, &str)> = Vec::new();
    let mut last_n = None;
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
        // A group's number of documents is that of the tasks that have the metric, and said where it changes.
        let n = match (template.is_group, first) {
            (true, _) => Some(estimate.n).filter(|n| first || last_n != Some(*n)),
            (false, true) => template.n,
            (false, false) => None,
        };
        last_n = Some(estimate.n);
        rows.push(Row { first, n, metric, higher_is_better: estimate.higher_is_better, cells, ..template.clone() });
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
pub(super) fn mark_best(cells: &mut [Option<Cell>], higher_is_better: Option<bool>) {
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
