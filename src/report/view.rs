//! The comparison table as data: models side by side, a row per task or group and metric.

use crate::estimate::Estimate;
use crate::runner::{Finished, NotRun};
use crate::task::Node;

/// Models side by side.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
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

/// Puts finished runs of the same tasks side by side.
pub fn compare(runs: &[(&str, &Finished)]) -> Comparison {
    let mut rows = Vec::new();
    if let Some((_, first)) = runs.first() {
        for node in &first.nodes {
            add_node(node, 0, runs, &mut rows);
        }
    }
    let mut not_run: Vec<NotRun> = Vec::new();
    for task in runs.iter().flat_map(|(_, run)| &run.not_run) {
        if !not_run.contains(task) {
            not_run.push(task.clone());
        }
    }
    Comparison { models: runs.iter().map(|(label, _)| label.to_string()).collect(), rows, not_run }
}

fn add_node(node: &Node, depth: usize, runs: &[(&str, &Finished)], rows: &mut Vec<Row>) {
    match node {
        Node::Task(task) => {
            let found: Vec<_> =
                runs.iter().map(|(_, run)| run.tasks.iter().find(|t| t.task.name == task.name)).collect();
            let estimates = found.iter().map(|t| t.map_or(&[][..], |t| &t.result.estimates)).collect::<Vec<_>>();
            let first = found.iter().flatten().next();
            let template = Row {
                depth,
                name: task.alias.clone().unwrap_or_else(|| task.name.clone()),
                is_group: false,
                first: true,
                num_fewshot: first.map(|t| t.result.num_fewshot),
                n: first.map(|t| t.result.effective),
                metric: String::new(),
                higher_is_better: None,
                cells: Vec::new(),
            };
            let nothing = if first.is_none() { "not run" } else { "(answers only)" };
            add_rows(template, &estimates, nothing, rows);
        }
        Node::Group(group) => {
            let found: Vec<_> = runs.iter().map(|(_, run)| run.groups.iter().find(|g| g.name == group.name)).collect();
            let estimates = found.iter().map(|g| g.map_or(&[][..], |g| &g.estimates)).collect::<Vec<_>>();
            let template = Row {
                depth,
                name: group.alias.clone().unwrap_or_else(|| group.name.clone()),
                is_group: true,
                first: true,
                num_fewshot: None,
                n: estimates.iter().flat_map(|e| e.iter()).map(|e| e.n).next(),
                metric: String::new(),
                higher_is_better: None,
                cells: Vec::new(),
            };
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
        let metric = match estimate.filter.as_str() {
            "none" => estimate.metric.clone(),
            filter => format!("{} ({filter})", estimate.metric),
        };
        let first = seen.is_empty();
        rows.push(Row { first, metric, higher_is_better: estimate.higher_is_better, cells, ..template.clone() });
        seen.push(id);
    }
    if seen.is_empty() {
        rows.push(Row { metric: nothing.to_string(), cells: vec![None; estimates.len()], ..template });
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
        let found = Comparison { models: vec!["a".into(), "b".into()], rows, not_run: Vec::new() }.notes();
        let [note] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((note.model.as_deref(), note.name.as_str(), note.value), (Some("b"), "t", 0.5));
        let alone = Comparison { models: vec!["a".into()], rows: vec![row(vec![Some(lacking)])], not_run: Vec::new() };
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
}
