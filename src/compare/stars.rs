//! Which columns of a table are best beyond noise.

use super::group::weighting;
use super::pair::pair;
use super::row::{Share, not_a_mean};
use super::scores::{Scores, Together, scores_of};
use crate::estimate::Estimate;
use crate::record::Run;
use crate::stats::{self, Beaten, Clusters, Observations, Paired, Part, group, group_test, undefeated, undefeated_of};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use std::collections::HashMap;

/// Error rate of all tests of one row.
const ALPHA: f64 = 0.05;

/// Figure, by task or group, metric and filter, to which of the runs no other one beats; none where all are alike.
pub type Stars = HashMap<(String, String, String), Vec<bool>>;

/// The scores of one figure in all runs, over the documents that all have scored, in one order.
struct Figure {
    task: String,
    metric: String,
    filter: String,
    scores: Vec<Vec<f64>>,
    clusters: Option<Clusters>,
}

impl Figure {
    /// What the difference of two runs adds to its groups.
    fn share(&self, first: usize, second: usize) -> Option<Share> {
        let (base, candidate) = (self.scores.get(first)?, self.scores.get(second)?);
        Some(Share {
            task: self.task.clone(),
            metric: self.metric.clone(),
            filter: self.filter.clone(),
            base: Observations::new(base).ok()?.mean().ok()?,
            candidate: Observations::new(candidate).ok()?.mean().ok()?,
            part: Part::of(Paired::new(base, candidate, self.clusters.as_ref()).ok()?.differences().ok()?).ok()?,
        })
    }
}

/// The stars of runs over the same documents. Figures of which the runs have no paired scores have none.
pub fn stars(runs: &[&Run]) -> Stars {
    let mut stars = Stars::new();
    let Some((first, others)) = runs.split_first().filter(|(_, others)| !others.is_empty()) else { return stars };
    let mut figures: Vec<Figure> = Vec::new();
    for task in &first.tasks {
        let Some(columns) = columns(first, others, &task.name) else { continue };
        for estimate in &task.estimates {
            let Some((scores, clusters)) = aligned(&columns, runs, &task.name, estimate) else { continue };
            let key = (task.name.clone(), estimate.metric.clone(), estimate.filter.clone());
            if let Some(higher) = estimate.higher_is_better {
                let slices: Vec<&[f64]> = scores.iter().map(Vec::as_slice).collect();
                if let Ok(found) = undefeated(&slices, clusters.as_ref(), higher, ALPHA) {
                    stars.insert(key.clone(), found.unwrap_or_else(|| vec![false; runs.len()]));
                }
            }
            figures.push(Figure { task: key.0, metric: key.1, filter: key.2, scores, clusters });
        }
    }
    for group in &first.groups {
        for estimate in &group.estimates {
            if let Some(found) = of_group(runs, (&group.name, estimate), &figures) {
                stars.insert((group.name.clone(), estimate.metric.clone(), estimate.filter.clone()), found);
            }
        }
    }
    stars
}

/// The scores of a task in all runs; `None` where one has none.
fn columns(first: &Run, others: &[&Run], task: &str) -> Option<Vec<Vec<Scores>>> {
    let of = |run: &&Run| scores_of(run, run.task(task)?).ok();
    let runs: Vec<&Run> = std::iter::once(first).chain(others.iter().copied()).collect();
    runs.par_iter().map(of).collect()
}

/// The scores of a figure in all runs with the clusters of their documents. `None` unless all have the same documents and the figure is a mean of their scores.
fn aligned(
    columns: &[Vec<Scores>],
    runs: &[&Run],
    task: &str,
    estimate: &Estimate,
) -> Option<(Vec<Vec<f64>>, Option<Clusters>)> {
    let under = |scores: &Vec<Scores>| scores.iter().position(|scores| scores.filter == estimate.filter);
    let columns: Vec<&Scores> = columns.iter().map(|scores| scores.get(under(scores)?)).collect::<Option<_>>()?;
    let first = columns.first()?;
    let mut values = Vec::new();
    for (column, run) in columns.iter().zip(runs) {
        let pairing = pair(&first.documents, &column.documents);
        let figure = run.task(task)?.estimates.iter();
        let figure = figure.clone().find(|e| e.metric == estimate.metric && e.filter == estimate.filter)?;
        let scores = column.metric(&estimate.metric)?;
        if !pairing.is_whole() || not_a_mean(Some(figure), scores).is_some() {
            return None;
        }
        values.push(pairing.pairs.iter().map(|(_, at)| scores.get(*at).copied()).collect::<Option<Vec<f64>>>()?);
    }
    let kept: Vec<usize> =
        (0..first.documents.len()).filter(|at| values.iter().all(|column| !column[*at].is_nan())).collect();
    let values = values.iter().map(|column| kept.iter().map(|at| column[*at]).collect()).collect();
    let clusters = match first.together(kept.into_iter()) {
        Together::Clusters(clusters) => Some(clusters),
        Together::Alone => None,
        // Of other clusters nothing is known, so that nobody is the best.
        Together::One => return None,
    };
    Some((values, clusters))
}

/// The stars of a group's figure, from the differences of its tasks.
fn of_group(runs: &[&Run], (name, estimate): (&str, &Estimate), figures: &[Figure]) -> Option<Vec<bool>> {
    let higher = estimate.higher_is_better?;
    let figure = |run: &Run| {
        let estimates = run.group(name)?.estimates.iter();
        estimates.clone().find(|e| e.metric == estimate.metric && e.filter == estimate.filter).cloned()
    };
    let estimates: Vec<Estimate> = runs.iter().map(|run| figure(run)).collect::<Option<_>>()?;
    let node = runs.first()?.tree.iter().find_map(|node| node.find(name))?;
    let tasks = node.tasks();
    let is = |figure: &Figure, task: &str| {
        figure.task == task && figure.metric == estimate.metric && figure.filter == estimate.filter
    };
    let of_task = |task: &&str| figures.iter().find(|figure| is(figure, task));
    let of_tasks: Vec<&Figure> = tasks.iter().map(of_task).collect::<Option<_>>()?;
    let mut beaten = Vec::new();
    for second in 0..runs.len() {
        for first in 0..second {
            let of_pair: Vec<Share> =
                of_tasks.iter().map(|figure| figure.share(first, second)).collect::<Option<_>>()?;
            let borrowed: Vec<&Share> = of_pair.iter().collect();
            let weighting = weighting((estimates.get(first)?, estimates.get(second)?), &borrowed)?;
            let parts: Vec<Part> = of_pair.iter().map(|share| share.part).collect();
            let p = match group_test(&parts, weighting) {
                Ok(test) => test.p,
                Err(stats::Unfit::NoSpread) => 1.0,
                Err(_) => return None,
            };
            let gained = group(&parts, weighting, stats::Level::P95).map_or(0.0, |difference| difference.value);
            beaten.push(Beaten { loser: if (gained > 0.0) == higher { first } else { second }, p });
        }
    }
    undefeated_of(runs.len(), &beaten, ALPHA).ok().map(|found| found.unwrap_or_else(|| vec![false; runs.len()]))
}
