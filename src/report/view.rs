//! The comparison table as data: models side by side, a row per task or group and metric.

use super::intervals::{below, found};
use crate::compare::{Intervals, Stars};
use crate::estimate::Estimate;
use crate::record::{Group, Node, Run, Task};
use crate::remark::{Gathered, Remark, gather};
use crate::run::NotRun;
use crate::stats::Interval;
use serde::Deserialize;
use std::collections::HashSet;

/// Models side by side.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SideBySide {
    /// Of a table of its own: the group's name.
    pub title: Option<String>,
    pub models: Vec<String>,
    pub rows: Vec<Row>,
    /// Tasks that were not run, with the reason.
    pub not_run: Vec<NotRun>,
    /// What the answers show besides scores, in lines.
    pub remarks: Vec<String>,
    /// Tasks with verdicts that a solution can fake.
    pub weak: Vec<Weak>,
    /// Whether any column is starred, where stars were looked for.
    pub starred: Option<bool>,
    /// What the intervals are, where there are such.
    pub methods: Vec<String>,
}

/// Verdicts on programs that shared a process with their tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weak {
    /// Only where there are several.
    pub model: Option<String>,
    pub task: String,
    pub verdicts: usize,
    pub of: usize,
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
    /// `None`: nothing could be scored, or (where documents were) there is no such statistic.
    pub value: Option<f64>,
    pub stderr: Option<f64>,
    /// Stands in place of the standard error.
    pub interval: Option<Interval>,
    /// No other column beats it, and it beats some: never set for a single model.
    pub best: bool,
    /// Documents without a score.
    pub unscored: usize,
    /// Those of them that were refused.
    pub refused: usize,
    /// Documents altogether.
    pub of: usize,
    /// Between what values the documents without a score leave it.
    pub bounds: Option<(f64, f64)>,
    /// Whether verdicts that a solution can fake are in it.
    pub weak: bool,
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

impl SideBySide {
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

    /// The figures that are beyond all numbers: model (where there are several), metric and row.
    pub fn infinite(&self) -> Vec<(Option<&str>, &str, &str)> {
        let several = self.models.len() > 1;
        let of_row = |row| {
            let Row { name, metric, cells, .. }: &Row = row;
            let infinite = |cell: &Option<Cell>| cell.is_some_and(|cell| cell.value.is_some_and(f64::is_infinite));
            let found = cells.iter().zip(&self.models).filter(move |(cell, _)| infinite(cell));
            found.map(move |(_, model)| (several.then_some(model.as_str()), metric.as_str(), name.as_str()))
        };
        self.rows.iter().flat_map(of_row).collect()
    }
}

/// Puts runs of the same tasks side by side: one table for all that was selected, and one for each group that says which rows it is
/// shown as. What was selected the first run says; what only others have follows.
pub fn side_by_side(runs: &[(&str, &Run)], stars: &Stars) -> Vec<SideBySide> {
    side_by_side_with(runs, stars, None)
}

/// The same; with intervals, figures that have one show it in place of their standard error.
pub fn side_by_side_with(runs: &[(&str, &Run)], stars: &Stars, intervals: Option<&Intervals>) -> Vec<SideBySide> {
    let models: Vec<String> = runs.iter().map(|(label, _)| label.to_string()).collect();
    let view = View { runs, stars, intervals };
    let nodes = view.nodes();
    let mut rows = Rows { view: &view, apart: view.apart(&nodes), shown: HashSet::new(), rows: Vec::new() };
    let (mut entered, mut tables) = (HashSet::new(), Vec::new());
    for node in &nodes {
        view.add_tables(node, &mut entered, &mut tables);
        rows.add_node(node, 0);
    }
    let main = rows.rows;
    let mut found = Vec::new();
    if !main.is_empty() {
        found.push(SideBySide { models: models.clone(), rows: main, ..SideBySide::default() });
    }
    let titled = |(title, rows): (String, Vec<Row>)| SideBySide {
        title: Some(title),
        models: models.clone(),
        rows,
        ..SideBySide::default()
    };
    found.extend(tables.into_iter().map(titled));
    if let Some(last) = found.last_mut() {
        last.weak = view.weak();
        for task in runs.iter().flat_map(|(_, run)| &run.not_run) {
            if !last.not_run.contains(task) {
                last.not_run.push(task.clone());
            }
        }
        last.remarks = gather(&view.remarks()).iter().map(Gathered::line).collect();
        if let Some(below) = intervals.map(|intervals| below(runs, intervals)) {
            last.methods = below.said;
            last.remarks.extend(below.warned);
        }
        last.starred = (runs.len() > 1 && !stars.is_empty()).then(|| stars.values().flatten().any(|star| *star));
    }
    found
}

/// Runs with what is starred, and their intervals.
struct View<'a> {
    runs: &'a [(&'a str, &'a Run)],
    stars: &'a Stars,
    intervals: Option<&'a Intervals>,
}

impl<'a> View<'a> {
    /// What was selected, by all runs, each name once.
    fn nodes(&self) -> Vec<&'a Node> {
        let mut seen = HashSet::new();
        let all = self.runs.iter().flat_map(|(_, run)| &run.tree);
        let mut nodes: Vec<&Node> = Vec::new();
        for node in all {
            // A task that stands in a group of another run's is not shown beside it.
            if seen.insert(node.name()) {
                nodes.push(node);
                if let Node::Group { .. } = node {
                    seen.extend(node.tasks());
                }
            }
        }
        nodes
    }

    fn group(&self, name: &str) -> Option<&'a Group> {
        self.runs.iter().find_map(|(_, run)| run.group(name))
    }

    /// The remarks on the answers to all tasks; of several models, each with its name.
    fn remarks(&self) -> Vec<Remark> {
        let named = |label: &str, remark: &Remark| match (&remark.subject, self.runs.len()) {
            (Some(subject), 2..) => Remark { subject: Some(format!("{label}: {subject}")), ..remark.clone() },
            _ => remark.clone(),
        };
        let of_run = |(label, run): &(&str, &Run)| {
            run.tasks.iter().flat_map(|t| &t.remarks).map(|remark| named(label, remark)).collect::<Vec<_>>()
        };
        self.runs.iter().flat_map(of_run).collect()
    }

    /// The rows of a group; none where it has none, or where they are not to be read.
    fn shown_rows(&self, name: &str) -> Vec<ShownRow> {
        let rows = self.group(name).map(|group| group.rows.clone());
        rows.and_then(|rows| serde_json::from_value(rows).ok()).unwrap_or_default()
    }

    /// The groups of which all stands in tables of its own.
    fn apart(&self, nodes: &[&'a Node]) -> HashSet<&'a str> {
        let (mut apart, mut entered) = (HashSet::new(), HashSet::new());
        nodes.iter().for_each(|node| self.find_apart(node, &mut entered, &mut apart));
        apart
    }

    fn find_apart(&self, node: &'a Node, entered: &mut HashSet<&'a str>, apart: &mut HashSet<&'a str>) {
        let Node::Group { name, children } = node else { return };
        if !entered.insert(name) {
            return;
        }
        children.iter().for_each(|child| self.find_apart(child, entered, apart));
        let only_gathers = !self.group(name).is_some_and(|group| group.aggregates) && !children.is_empty();
        if !self.shown_rows(name).is_empty()
            || only_gathers && children.iter().all(|child| apart.contains(child.name()))
        {
            apart.insert(name);
        }
    }

    /// The tables of the groups at and under a node that have rows, each once.
    fn add_tables(&self, node: &'a Node, entered: &mut HashSet<&'a str>, tables: &mut Vec<(String, Vec<Row>)>) {
        let Node::Group { name, children } = node else { return };
        if !entered.insert(name) {
            return;
        }
        let shown = self.shown_rows(name);
        if shown.is_empty() {
            children.iter().for_each(|child| self.add_tables(child, entered, tables));
            return;
        }
        let rows = shown.iter().filter_map(|row| {
            let node = children.iter().find(|child| child.name() == row.task)?;
            let mut row = [self.shown_row(row, node)];
            self.mark_weak(node, &mut row);
            let [row] = row;
            Some(row)
        });
        let title = self.group(name).map_or(name, |group| &group.alias);
        tables.push((title.clone(), rows.collect()));
    }

    /// The figure that a row names, of a task or of a group.
    fn shown_row(&self, shown: &ShownRow, node: &'a Node) -> Row {
        let (template, estimates) = self.figures(node, 0);
        let is =
            |e: &&Estimate| e.metric == shown.metric && shown.filter.as_ref().is_none_or(|filter| e.filter == *filter);
        let found: Vec<Option<&Estimate>> = estimates.iter().map(|of_model| of_model.iter().find(is)).collect();
        let first = found.iter().flatten().next();
        let higher_is_better = first.and_then(|e| e.higher_is_better).filter(|_| shown.ideal.is_none());
        let mut cells: Vec<Option<Cell>> = found.iter().map(|e| e.map(cell)).collect();
        self.add_intervals(&mut cells, node.name(), first.copied());
        if let (Some(first), true) = (first, higher_is_better.is_some()) {
            self.mark_best(&mut cells, node.name(), first);
        }
        let metric = first.map_or("not run".to_owned(), |e| metric_name(e));
        let metric = shown.ideal.map_or(metric.clone(), |ideal| format!("{metric}, best at {ideal} %"));
        let n = first.map(|e| e.n + e.unscored);
        Row {
            name: shown.row.clone(),
            is_group: false,
            num_fewshot: self.shots(node),
            n,
            metric,
            higher_is_better,
            cells,
            ..template
        }
    }

    /// Shots of all tasks of a node, where they are alike.
    fn shots(&self, node: &Node) -> Option<usize> {
        let tasks = node.tasks();
        let all = self.runs.iter().flat_map(|(_, run)| tasks.iter().filter_map(|name| run.task(name)));
        let mut found = all.map(|task| task.num_fewshot);
        let first = found.next()??;
        found.all(|shots| shots == Some(first)).then_some(first)
    }

    /// What all rows of a node have in common, and each model's figures.
    fn figures(&self, node: &Node, depth: usize) -> (Row, Vec<&'a [Estimate]>) {
        let template = Row {
            depth,
            name: node.name().to_owned(),
            is_group: matches!(node, Node::Group { .. }),
            first: true,
            num_fewshot: None,
            n: None,
            metric: String::new(),
            higher_is_better: None,
            cells: Vec::new(),
        };
        match node {
            Node::Task(name) => {
                let found: Vec<Option<&Task>> = self.runs.iter().map(|(_, run)| run.task(name)).collect();
                let estimates = found.iter().map(|t| t.map_or(&[][..], |t| &t.estimates)).collect();
                let Some(first) = found.iter().flatten().next() else { return (template, estimates) };
                let num_fewshot = first.num_fewshot;
                (Row { name: first.alias.clone(), num_fewshot, n: first.effective, ..template }, estimates)
            }
            Node::Group { name, .. } => {
                let found: Vec<Option<&Group>> = self.runs.iter().map(|(_, run)| run.group(name)).collect();
                let estimates = found.iter().map(|g| g.map_or(&[][..], |g| &g.estimates)).collect();
                let alias = found.iter().flatten().next().map(|group| group.alias.clone());
                (Row { name: alias.unwrap_or(template.name.clone()), ..template }, estimates)
            }
        }
    }

    /// Marks the figures of a node that hold verdicts from one process.
    fn mark_weak(&self, node: &Node, rows: &mut [Row]) {
        let tasks = node.tasks();
        for (model, (_, run)) in self.runs.iter().enumerate() {
            let weak = tasks.iter().filter_map(|name| run.task(name)).any(|task| task.one_process.is_some());
            let cells = rows.iter_mut().filter_map(|row| row.cells.get_mut(model)?.as_mut());
            cells.for_each(|cell| cell.weak = weak);
        }
    }

    /// The verdicts from one process, by model and task.
    fn weak(&self) -> Vec<Weak> {
        let of_run = |(label, run): &(&str, &Run)| -> Vec<Weak> {
            let model = (self.runs.len() > 1).then(|| label.to_string());
            let of_task = |t: &Task| {
                let (verdicts, of) = t.one_process?;
                Some(Weak { model: model.clone(), task: t.name.clone(), verdicts, of })
            };
            run.tasks.iter().filter_map(of_task).collect()
        };
        self.runs.iter().flat_map(of_run).collect()
    }

    /// Gives the figures of a row their intervals.
    fn add_intervals(&self, cells: &mut [Option<Cell>], name: &str, estimate: Option<&Estimate>) {
        let Some(estimate) = estimate else { return };
        for (run, cell) in cells.iter_mut().enumerate() {
            let interval = found(self.intervals, run, name, estimate).and_then(|found| found.as_ref().ok());
            cell.iter_mut().for_each(|cell| cell.interval = interval.map(|found| found.interval));
        }
    }

    /// Marks the figures that no other one beats.
    fn mark_best(&self, cells: &mut [Option<Cell>], name: &str, estimate: &Estimate) {
        let key = (name.to_owned(), estimate.metric.clone(), estimate.filter.clone());
        for (cell, best) in cells.iter_mut().zip(self.stars.get(&key).into_iter().flatten()) {
            cell.iter_mut().for_each(|cell| cell.best = *best);
        }
    }

    /// One row per metric and filter that any model has; a single row saying `nothing` where none has any.
    fn add_rows(&self, (node, depth): (&'a Node, usize), nothing: &str, rows: &mut Vec<Row>) {
        let (template, estimates) = self.figures(node, depth);
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
            self.mark_best(&mut cells, node.name(), estimate);
            self.add_intervals(&mut cells, node.name(), Some(estimate));
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

/// The rows of the table in the making.
struct Rows<'a> {
    view: &'a View<'a>,
    apart: HashSet<&'a str>,
    /// Groups whose tasks are shown; where such a group comes again, it comes without them.
    shown: HashSet<&'a str>,
    rows: Vec<Row>,
}

impl<'a> Rows<'a> {
    fn add_node(&mut self, node: &'a Node, depth: usize) {
        let before = self.rows.len();
        match node {
            Node::Task(name) => {
                let runs = self.view.runs;
                let unfinished = runs.iter().any(|(_, run)| run.is_unfinished() && run.task(name).is_some());
                let was_run = runs.iter().any(|(_, run)| run.task(name).is_some());
                let nothing = match (was_run, unfinished) {
                    (_, true) => "(not finished)",
                    (true, false) => "(answers only)",
                    (false, false) => "not run",
                };
                self.view.add_rows((node, depth), nothing, &mut self.rows);
                self.view.mark_weak(node, &mut self.rows[before..]);
            }
            Node::Group { name, .. } if self.apart.contains(name.as_str()) => {}
            Node::Group { name, children } => {
                self.view.add_rows((node, depth), "", &mut self.rows);
                self.view.mark_weak(node, &mut self.rows[before..]);
                if self.shown.insert(name) {
                    children.iter().for_each(|child| self.add_node(child, depth + 1));
                }
            }
        }
    }
}

/// `exact_match (strict-match)`
pub(super) fn metric_name(estimate: &Estimate) -> String {
    named(&estimate.metric, &estimate.filter)
}

/// `exact_match (strict-match)`
pub(super) fn named(metric: &str, filter: &str) -> String {
    match filter {
        "none" => metric.to_owned(),
        filter => format!("{metric} ({filter})"),
    }
}

fn cell(e: &Estimate) -> Cell {
    Cell {
        value: e.value,
        stderr: e.stderr,
        interval: None,
        best: false,
        unscored: e.unscored,
        refused: e.refused,
        of: e.n + e.unscored,
        bounds: e.bounds,
        weak: false,
    }
}
