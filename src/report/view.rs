//! The comparison table as data: models side by side, a row per task or group and metric.

use crate::estimate::Estimate;
use crate::runner::Finished;
use crate::task::Node;

/// Models side by side.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    pub models: Vec<String>,
    pub rows: Vec<Row>,
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
}

/// Puts finished runs of the same tasks side by side.
pub fn compare(runs: &[(&str, &Finished)]) -> Comparison {
    let mut rows = Vec::new();
    if let Some((_, first)) = runs.first() {
        for node in &first.nodes {
            add_node(node, 0, runs, &mut rows);
        }
    }
    Comparison { models: runs.iter().map(|(label, _)| label.to_string()).collect(), rows }
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
            add_rows(template, &estimates, "(answers only)", rows);
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
            .map(|e| e.map(|e| Cell { value: e.value, stderr: e.stderr, best: false, unscored: e.unscored }))
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
        Some(Cell { value: Some(value), stderr: None, best: false, unscored: 0 })
    }

    fn best(cells: &[Option<Cell>]) -> Vec<bool> {
        cells.iter().map(|c| c.is_some_and(|c| c.best)).collect()
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
