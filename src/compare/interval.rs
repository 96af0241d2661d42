//! Intervals of the figures of finished runs: where they would lie over further documents of the same kind.
//!
//! A figure that is a mean of its documents' scores has the interval that [`default_interval`] takes, by clusters where the task has them;
//! a group's is put together from its tasks as the group weighs them. What is no mean (an F1, a perplexity, a correlation) keeps the
//! standard error that its writer gave it, and the reason is kept with it.

use super::group::weighting;
use super::row::{Share, not_a_mean};
use super::scores::{Scores, Together, scores_of};
use crate::error::Result;
use crate::estimate::Estimate;
use crate::record::{Run, Samples, Task};
use crate::stats::{IntervalEstimate, Level, Observations, Part, default_interval, group};
use std::collections::HashMap;

/// The interval of a figure, or why there is none.
pub type Found = std::result::Result<IntervalEstimate, String>;

/// The intervals of all figures of some runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Intervals {
    pub level: Level,
    /// By task or group, metric and filter; for each run, in their order, where it has the figure.
    figures: HashMap<(String, String, String), Vec<Option<Found>>>,
}

impl Intervals {
    /// None at all yet.
    pub fn new(level: Level) -> Intervals {
        Intervals { level, figures: HashMap::new() }
    }

    /// What was found for a figure of the run at a place.
    pub fn of(&self, run: usize, name: &str, estimate: &Estimate) -> Option<&Found> {
        let key = (name.to_owned(), estimate.metric.clone(), estimate.filter.clone());
        self.figures.get(&key)?.get(run)?.as_ref()
    }

    /// Keeps what was found for a figure of the run at a place.
    pub fn put(&mut self, run: usize, name: &str, estimate: &Estimate, found: Found) {
        let key = (name.to_owned(), estimate.metric.clone(), estimate.filter.clone());
        let of_runs = self.figures.entry(key).or_default();
        if of_runs.len() <= run {
            of_runs.resize(run + 1, None);
        }
        if let Some(place) = of_runs.get_mut(run) {
            *place = Some(found);
        }
    }
}

/// Reads the samples of all runs, a task at a time, and makes the intervals of their figures.
///
/// # Errors
/// Samples that are there are damaged. Those that are missing are no error: the figures have no interval then, which says so.
pub fn intervals(runs: &[&Run], level: Level) -> Result<Intervals> {
    let mut all = Intervals::new(level);
    for (place, run) in runs.iter().enumerate() {
        let mut shares = Vec::new();
        for task in &run.tasks {
            let columns = columns(run, task)?;
            for estimate in task.estimates.iter().filter(|estimate| estimate.value.is_some()) {
                let found = of_figure(&task.name, estimate, &columns, &mut shares, level);
                all.put(place, &task.name, estimate, found);
            }
        }
        for of_run in &run.groups {
            for estimate in of_run.estimates.iter().filter(|estimate| estimate.value.is_some()) {
                all.put(place, &of_run.name, estimate, of_group(run, &of_run.name, estimate, &shares, level));
            }
        }
    }
    Ok(all)
}

/// The scores of a task, by filter; none where its figures or its samples are missing.
fn columns(run: &Run, task: &Task) -> Result<Vec<Scores>> {
    match task.estimates.is_empty() || task.samples == Samples::Missing {
        true => Ok(Vec::new()),
        false => scores_of(run, task),
    }
}

/// The interval of a task's figure; what it adds to its groups goes to `shares`.
fn of_figure(task: &str, estimate: &Estimate, columns: &[Scores], shares: &mut Vec<Share>, level: Level) -> Found {
    if columns.is_empty() {
        return Err("the run has no samples of it".to_owned());
    }
    let column = columns.iter().find(|column| column.filter == estimate.filter);
    let scores = column.and_then(|column| column.metric(&estimate.metric));
    let (Some(column), Some(scores)) = (column, scores) else {
        return Err("the samples have no score of each document".to_owned());
    };
    if let Some(reason) = not_a_mean(Some(estimate), scores) {
        return Err(reason);
    }
    let scored: Vec<usize> = (0..scores.len()).filter(|at| scores.get(*at).is_some_and(|s| !s.is_nan())).collect();
    let values: Vec<f64> = scores.iter().copied().filter(|score| !score.is_nan()).collect();
    let unfit = |unfit: crate::stats::Unfit| unfit.to_string();
    let clusters = match column.together(scored.iter().copied()) {
        Together::One => return Err("all its documents are of one cluster".to_owned()),
        Together::Clusters(clusters) => Some(clusters),
        Together::Alone => None,
    };
    let mut observations = Observations::new(&values).map_err(unfit)?;
    if let Some(clusters) = &clusters {
        observations = observations.clustered(clusters).map_err(unfit)?;
    }
    let mean = observations.mean().map_err(unfit)?;
    shares.push(Share {
        task: task.to_owned(),
        metric: estimate.metric.clone(),
        filter: estimate.filter.clone(),
        base: mean,
        candidate: mean,
        part: Part::of(observations).map_err(unfit)?,
    });
    default_interval(observations, level).map_err(unfit)
}

/// The interval of a group's figure, from those of its tasks.
fn of_group(run: &Run, name: &str, estimate: &Estimate, shares: &[Share], level: Level) -> Found {
    let node = run.tree.iter().find_map(|node| node.find(name)).ok_or("its tasks are not known")?;
    let tasks = node.tasks();
    let is_of = |share: &&Share| {
        tasks.contains(&share.task.as_str()) && share.metric == estimate.metric && share.filter == estimate.filter
    };
    let of_tasks: Vec<&Share> = shares.iter().filter(is_of).collect();
    if of_tasks.is_empty() {
        return Err("none of its tasks has a mean over documents".to_owned());
    }
    let weighting = weighting((estimate, estimate), &of_tasks).ok_or("it is no mean of its tasks' figures")?;
    let parts: Vec<Part> = of_tasks.iter().map(|share| share.part).collect();
    group(&parts, weighting, level).map_err(|unfit| unfit.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{Caution, Method};
    use serde_json::json;
    use std::io::Write;

    fn estimate(metric: &str, value: f64, n: usize) -> Estimate {
        Estimate {
            metric: metric.into(),
            filter: "none".into(),
            value: Some(value),
            stderr: Some(0.1),
            stderr_method: None,
            n,
            unscored: 0,
            refused: 0,
            bounds: None,
            higher_is_better: Some(true),
        }
    }

    /// A run of tasks `a` and `b` in a group, with the scores of each and the number of its clusters, in the reference's files.
    fn run(folder: &std::path::Path, tasks: [(&str, &[f64], Option<usize>); 2], group: f64) -> Run {
        let mut results = json!({"g": {"acc,none": group, "acc_stderr,none": 0.1}});
        let mut documents = json!({});
        for (name, scores, clusters) in tasks {
            let mut file = std::fs::File::create(folder.join(format!("samples_{name}_x.jsonl"))).unwrap();
            for (at, score) in scores.iter().enumerate() {
                let mut line = json!({"doc_id": at, "filter": "none", "acc": score, "f1": [1, 0]});
                if let Some(count) = clusters {
                    line["cluster"] = json!(format!("passage {}", at % count));
                }
                writeln!(file, "{line}").unwrap();
            }
            let mean = scores.iter().sum::<f64>() / scores.len() as f64;
            results[name] = json!({"acc,none": mean, "acc_stderr,none": 0.1, "f1,none": 0.3, "f1_stderr,none": 0.1});
            documents[name] = json!({"original": scores.len(), "effective": scores.len()});
        }
        let whole = json!({"results": results, "groups": {"g": results["g"]}, "group_subtasks": {"g": ["a", "b"]},
            "n-samples": documents, "configs": {}, "versions": {}, "n-shot": {}, "lm_eval_version": "0.4.13"});
        let file = folder.join("results_x.json");
        std::fs::write(&file, whole.to_string()).unwrap();
        crate::read::open(&file).unwrap()
    }

    fn scores(n: usize, right: usize) -> Vec<f64> {
        (0..n).map(|at| f64::from(at < right)).collect()
    }

    /// Wilson's ends for 7 of 20 by statsmodels (jobs.md A.1.2, `tests/fixtures/stats`).
    #[test]
    fn a_task_has_its_default_interval_and_a_group_that_of_its_parts() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (scores(20, 7), scores(80, 60));
        let run = run(folder.path(), [("a", &a, None), ("b", &b, None)], 67.0 / 100.0);
        let found = intervals(&[&run], Level::P95).unwrap();
        let of = |name: &str, metric: &str| found.of(0, name, &estimate(metric, 0.0, 0)).unwrap().clone();
        let wilson = of("a", "acc").unwrap();
        assert_eq!(wilson.method, Method::Wilson);
        assert!(
            (wilson.interval.low() - 0.1811918241).abs() < 1e-9 && (wilson.interval.high() - 0.5671457233).abs() < 1e-9
        );
        assert_eq!(of("a", "f1").unwrap_err(), "the samples have no score of each document");
        let whole = of("g", "acc").unwrap();
        assert_eq!((whole.method, whole.n), (Method::Micro, 100));
        // √(20²·.35·.65/19 + 80²·.75·.25/79)/100
        let error = (400.0 * 0.35 * 0.65 / 19.0 + 6400.0 * 0.75 * 0.25 / 79.0_f64).sqrt() / 100.0;
        assert!((whole.stderr.unwrap() - error).abs() < 1e-12);
        assert!(found.of(1, "a", &estimate("acc", 0.0, 0)).is_none());
    }

    #[test]
    fn clusters_are_used_and_few_of_them_are_warned_of() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (scores(120, 70), scores(80, 60));
        let run = run(folder.path(), [("a", &a, Some(6)), ("b", &b, Some(1))], (70.0 / 120.0 + 0.75) / 2.0);
        let found = intervals(&[&run], Level::P95).unwrap();
        let of = |name: &str| found.of(0, name, &estimate("acc", 0.0, 0)).unwrap().clone();
        let few = of("a").unwrap();
        assert_eq!((few.units, few.n), (6, 120));
        assert!(few.cautions.contains(&Caution::FewClusters { clusters: 6 }), "{:?}", few.cautions);
        // One cluster says nothing of another one, and is not taken for independent documents.
        assert_eq!(of("b").unwrap_err(), "all its documents are of one cluster");
        assert_eq!(of("g").unwrap_err(), "it is no mean of its tasks' figures");
    }

    #[test]
    fn without_samples_there_is_a_reason_and_with_damaged_ones_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let a = scores(20, 7);
        let mut run = run(folder.path(), [("a", &a, None), ("b", &a, None)], 0.35);
        run.tasks[0].samples = Samples::Missing;
        let found = intervals(&[&run], Level::P95).unwrap();
        let of = |name: &str| found.of(0, name, &estimate("acc", 0.0, 0)).unwrap().clone();
        assert_eq!(of("a").unwrap_err(), "the run has no samples of it");
        assert!(of("b").is_ok());
        std::fs::write(folder.path().join("samples_b_x.jsonl"), "{\"doc_id\": 0, \"acc\"\n").unwrap();
        let err = intervals(&[&run], Level::P95).unwrap_err().to_string();
        assert!(err.contains("samples_b_x.jsonl"), "{err}");
    }
}
