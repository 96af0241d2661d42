//! Rows of groups: the differences of their tasks, weighed as the group weighs them.

use super::row::{Row, Share};
use crate::estimate::Estimate;
use crate::record::{Node, Run};
use crate::stats::{self, Level, Part, Weighting, group, group_test};
use std::collections::{HashMap, HashSet};

/// The rows in the order of what was selected, groups before their tasks.
pub(super) fn with_groups(rows: Vec<Row>, runs: (&Run, &Run), shares: &[Share], level: Level) -> Vec<Row> {
    let mut by_task: HashMap<String, Vec<Row>> = HashMap::new();
    let mut order: Vec<String> = Vec::new();
    for row in rows {
        if !by_task.contains_key(&row.task) {
            order.push(row.task.clone());
        }
        by_task.entry(row.task.clone()).or_default().push(row);
    }
    let mut sorted = Vec::new();
    let mut entered = HashSet::new();
    for node in &runs.0.tree {
        add(node, runs, (shares, level), &mut by_task, (&mut entered, &mut sorted));
    }
    sorted.extend(order.into_iter().filter_map(|task| by_task.remove(&task)).flatten());
    sorted
}

fn add<'a>(
    node: &'a Node,
    runs: (&Run, &Run),
    with: (&[Share], Level),
    by_task: &mut HashMap<String, Vec<Row>>,
    (entered, sorted): (&mut HashSet<&'a str>, &mut Vec<Row>),
) {
    match node {
        Node::Task(name) => sorted.extend(by_task.remove(name).unwrap_or_default()),
        Node::Group { name, children } if entered.insert(name) => {
            sorted.extend(of_group(name, &node.tasks(), runs, with));
            children.iter().for_each(|child| add(child, runs, with, by_task, (entered, sorted)));
        }
        Node::Group { .. } => {}
    }
}

/// The rows of a group that both runs have figures of.
fn of_group(name: &str, tasks: &[&str], runs: (&Run, &Run), (shares, level): (&[Share], Level)) -> Vec<Row> {
    let (Some(base), Some(candidate)) = (runs.0.group(name), runs.1.group(name)) else { return Vec::new() };
    let row = |estimate: &Estimate| {
        let other = candidate.estimates.iter().find(|e| e.metric == estimate.metric && e.filter == estimate.filter)?;
        let is_share = |share: &&Share| {
            tasks.contains(&share.task.as_str()) && share.metric == estimate.metric && share.filter == estimate.filter
        };
        let of_group: Vec<&Share> = shares.iter().filter(is_share).collect();
        let mut row = Row {
            task: name.to_owned(),
            is_group: true,
            metric: estimate.metric.clone(),
            filter: estimate.filter.clone(),
            higher_is_better: estimate.higher_is_better.or(other.higher_is_better),
            base: estimate.value,
            candidate: other.value,
            n: of_group.iter().map(|share| share.part.documents()).sum(),
            unscored: 0,
            clusters: None,
            paired: None,
            unpaired: None,
            other_wrong: None,
            p_adjusted: None,
        };
        match paired((estimate, other), &of_group, tasks.len(), level) {
            Ok(paired) => row.paired = Some(paired),
            Err(reason) => row.unpaired = Some(reason),
        }
        Some(row)
    };
    base.estimates.iter().filter_map(row).collect()
}

fn paired(
    figures: (&Estimate, &Estimate),
    shares: &[&Share],
    tasks: usize,
    level: Level,
) -> Result<stats::Comparison, String> {
    if shares.len() < tasks {
        return Err("some of its tasks have no paired difference".to_owned());
    }
    let weighting = weighting(figures, shares).ok_or("it is no mean of its tasks' figures over these documents")?;
    let parts: Vec<Part> = shares.iter().map(|share| share.part).collect();
    let difference = group(&parts, weighting, level).map_err(|unfit| unfit.to_string())?;
    let test = group_test(&parts, weighting).map_err(|unfit| unfit.to_string())?;
    Ok(stats::Comparison {
        base: figures.0.value.unwrap_or_default(),
        candidate: figures.1.value.unwrap_or_default(),
        stderr: difference.stderr.unwrap_or_default(),
        detectable: difference.stderr.map(|stderr| stats::Demand::USUAL.deviate() * stderr),
        difference,
        to_right: None,
        to_wrong: None,
        test,
        exact: None,
        better: None,
    })
}

/// How a group weighs its tasks, by what comes to its figures in both runs: files do not say it.
pub(super) fn weighting((base, candidate): (&Estimate, &Estimate), shares: &[&Share]) -> Option<Weighting> {
    let (base, candidate) = (base.value?, candidate.value?);
    let documents: f64 = shares.iter().map(|share| share.part.documents() as f64).sum();
    let weighed = |weight: &dyn Fn(&Share) -> f64, figure: &dyn Fn(&Share) -> f64| -> f64 {
        shares.iter().map(|share| weight(share) * figure(share)).sum()
    };
    let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * b.abs().max(1.0);
    let micro = |share: &Share| share.part.documents() as f64 / documents;
    let alike = |_: &Share| 1.0 / shares.len() as f64;
    let gives = |weight: &dyn Fn(&Share) -> f64| {
        near(weighed(weight, &|share| share.base), base) && near(weighed(weight, &|share| share.candidate), candidate)
    };
    match (gives(&micro), gives(&alike)) {
        (true, _) => Some(Weighting::Micro),
        (false, true) => Some(Weighting::Macro),
        _ => None,
    }
}
