//! A reference at chance: what changes there is no quality.

use crate::error::Result;
use crate::read;
use crate::record::{Line, Run, Samples, Task};
use crate::stats::{Clusters, Level, Observations, default_interval};
use serde::Serialize;

/// A task of choices on which the reference is not beyond chance.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AtChance {
    pub task: String,
    pub metric: String,
    /// Its score, over the documents that have one.
    pub score: f64,
    /// The mean of 1 over the number of choices.
    pub chance: f64,
    /// Ends of the score's 95 % interval; the lower one is not above chance.
    pub low: f64,
    pub high: f64,
}

/// The tasks of a run whose answers are choices, and whose first figure of right and wrong is not above chance by its interval. Where
/// several choices of a document are right, chance is more than is said here.
///
/// # Errors
/// A samples file is damaged.
pub(super) fn at_chance(run: &Run) -> Result<Vec<AtChance>> {
    let mut found = Vec::new();
    for task in run.tasks.iter().filter(|task| matches!(task.samples, Samples::Lines(_))) {
        found.extend(of_task(run, task)?);
    }
    Ok(found)
}

fn of_task(run: &Run, task: &Task) -> Result<Option<AtChance>> {
    let mut gathered = Gathered::default();
    read::samples(run, task, &mut |line| {
        gathered.add(&line, task);
        Ok(())
    })?;
    Ok(task.estimates.first().and_then(|first| gathered.at_chance(task, &first.filter)))
}

/// Documents under the first filter of a task.
#[derive(Default)]
struct Gathered {
    /// 1 over the number of choices; `None` once a document had none.
    chances: Vec<Option<f64>>,
    /// By metric, in the task's order.
    scores: Vec<(String, Vec<f64>)>,
    clusters: Vec<Option<String>>,
}

impl Gathered {
    fn add(&mut self, line: &Line, task: &Task) {
        let Some(first) = task.estimates.first() else { return };
        if line.filter.as_ref().is_some_and(|filter| *filter != first.filter) {
            return;
        }
        if self.scores.is_empty() {
            let of_filter = task.estimates.iter().filter(|estimate| estimate.filter == first.filter);
            self.scores = of_filter.map(|estimate| (estimate.metric.clone(), Vec::new())).collect();
        }
        self.chances.push(Some(line.choices.len()).filter(|n| *n > 1).map(|n| 1.0 / n as f64));
        self.clusters.push(line.cluster.clone());
        for (metric, scores) in &mut self.scores {
            scores.push(line.score(metric).unwrap_or(f64::NAN));
        }
    }

    fn at_chance(&self, task: &Task, filter: &str) -> Option<AtChance> {
        let chances: Vec<f64> = self.chances.iter().copied().collect::<Option<_>>()?;
        // Against this metric every choice is asked twice: with its question, and without.
        let twice = task.estimates.iter().any(|estimate| estimate.metric == "acc_mutual_info");
        let is_right_or_wrong =
            |scores: &[f64]| scores.iter().all(|score| score.is_nan() || *score == 0.0 || *score == 1.0);
        let higher = |metric: &str| {
            let is = |e: &&crate::estimate::Estimate| e.metric == metric && e.filter == filter;
            task.estimates.iter().find(is).is_some_and(|estimate| estimate.higher_is_better == Some(true))
        };
        let of = self.scores.iter().find(|(metric, scores)| higher(metric) && is_right_or_wrong(scores));
        let (metric, scores) = of?;
        let kept: Vec<usize> = (0..scores.len()).filter(|at| scores.get(*at).is_some_and(|s| !s.is_nan())).collect();
        let values: Vec<f64> = kept.iter().filter_map(|at| scores.get(*at)).copied().collect();
        let chance: f64 = kept.iter().filter_map(|at| chances.get(*at)).sum::<f64>() / kept.len() as f64;
        let chance = if twice { (2.0 * chance).min(1.0) } else { chance };
        let clusters: Option<Vec<&String>> = kept.iter().map(|at| self.clusters.get(*at)?.as_ref()).collect();
        let clusters = clusters.and_then(|keys| Clusters::new(keys).ok()).filter(|c| c.count() < kept.len());
        let observations = Observations::new(&values).ok()?;
        let observations = match &clusters {
            Some(clusters) => observations.clustered(clusters).ok()?,
            None => observations,
        };
        let estimate = default_interval(observations, Level::P95).ok()?;
        let (low, high) = (estimate.interval.low(), estimate.interval.high());
        let found =
            AtChance { task: task.name.clone(), metric: metric.clone(), score: estimate.value, chance, low, high };
        (low <= chance).then_some(found)
    }
}
