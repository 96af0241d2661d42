//! The scores of one task of a run, document by document, as columns.

use crate::error::{Error, Result};
use crate::read;
use crate::record::{Line, Run, Task};
use crate::stats::Clusters;
use std::collections::HashMap;

/// The scores under one filter pipeline. Every column has an entry for each document, in the order of the samples.
#[derive(Debug, Clone, Default)]
pub(super) struct Scores {
    pub filter: String,
    /// What tells documents apart: the beginning of their SHA-256, or of that of their ids where the writer has no hashes.
    pub documents: Vec<u128>,
    /// Whether all documents have hashes.
    pub hashed: bool,
    pub ids: Ids,
    /// Hashes of prompts; 0 where the writer has none.
    pub prompts: Vec<u64>,
    /// What tells answers apart.
    pub answers: Vec<Option<u64>>,
    /// The cluster of each document, where all have one.
    pub clusters: Option<Vec<u32>>,
    /// Metrics with their scores; NaN where a document has none.
    pub metrics: Vec<(String, Vec<f64>)>,
}

/// How documents stand together.
pub(super) enum Together {
    /// Each for itself, as far as is known.
    Alone,
    Clusters(Clusters),
    /// All of one cluster: nothing says how documents of others would do.
    One,
}

/// How the documents of these clusters stand together.
pub(super) fn together(clusters: Option<Vec<u32>>) -> Together {
    let Some(of) = clusters.filter(|of| of.len() > 1) else { return Together::Alone };
    match Clusters::new(of.iter().copied()) {
        // Each document a cluster of its own says nothing.
        Ok(clusters) if clusters.count() == of.len() => Together::Alone,
        Ok(clusters) => Together::Clusters(clusters),
        Err(_) => Together::One,
    }
}

/// The ids of documents: numbers, and a few texts.
#[derive(Debug, Clone, Default)]
pub(super) struct Ids {
    numbers: Vec<u64>,
    texts: HashMap<usize, String>,
}

impl Ids {
    fn push(&mut self, id: &serde_json::Value) {
        let text = || id.as_str().map_or_else(|| id.to_string(), str::to_owned);
        match id.as_u64() {
            Some(number) => self.numbers.push(number),
            None => {
                self.texts.insert(self.numbers.len(), text());
                self.numbers.push(u64::MAX);
            }
        }
    }

    /// The id of the document at a place.
    pub(super) fn at(&self, index: usize) -> String {
        match self.texts.get(&index) {
            Some(text) => text.clone(),
            None => self.numbers.get(index).map(u64::to_string).unwrap_or_default(),
        }
    }

    /// A key for each, equal for equal ids.
    pub(super) fn keys(&self) -> Vec<u128> {
        (0..self.numbers.len()).map(|index| read::hash_of(&self.at(index))).collect()
    }
}

/// Names given numbers.
#[derive(Default)]
struct Names(HashMap<String, u32>);

impl Names {
    fn number(&mut self, name: String) -> u32 {
        let next = self.0.len() as u32;
        *self.0.entry(name).or_insert(next)
    }
}

/// Reads the scores of a task under all its filters.
///
/// # Errors
/// The run has no samples of the task; a line is damaged; several filters stand in one file without their names.
pub(super) fn scores_of(run: &Run, task: &Task) -> Result<Vec<Scores>> {
    let mut reading = Reading { metrics: metric_names(task), ..Reading::default() };
    read::samples(run, task, &mut |line| {
        reading.add(line);
        Ok(())
    })?;
    reading.finish(run, task)
}

/// Names of the task's metrics, each once.
fn metric_names(task: &Task) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for estimate in &task.estimates {
        if !names.contains(&estimate.metric) {
            names.push(estimate.metric.clone());
        }
    }
    names
}

#[derive(Default)]
struct Reading {
    metrics: Vec<String>,
    clusters: Names,
    all: Vec<(Option<String>, Scores)>,
}

impl Reading {
    fn add(&mut self, line: Line) {
        let index = self.all.iter().position(|(filter, _)| *filter == line.filter).unwrap_or_else(|| {
            let metrics = self.metrics.iter().map(|name| (name.clone(), Vec::new())).collect();
            let scores = Scores { metrics, hashed: true, clusters: Some(Vec::new()), ..Scores::default() };
            self.all.push((line.filter.clone(), scores));
            self.all.len() - 1
        });
        let Some((_, scores)) = self.all.get_mut(index) else { return };
        for (name, values) in &mut scores.metrics {
            values.push(line.score(name).unwrap_or(f64::NAN));
        }
        scores.documents.push(line.document);
        scores.hashed &= line.hashed;
        scores.ids.push(&line.doc_id);
        scores.prompts.push(line.prompt.unwrap_or(0));
        scores.answers.push(line.answer);
        scores.clusters = scores.clusters.take().zip(line.cluster).map(|(mut clusters, name)| {
            clusters.push(self.clusters.number(name));
            clusters
        });
    }

    fn finish(self, run: &Run, task: &Task) -> Result<Vec<Scores>> {
        let mut filters: Vec<&str> = task.estimates.iter().map(|estimate| estimate.filter.as_str()).collect();
        filters.sort_unstable();
        filters.dedup();
        let mut named = Vec::new();
        for (filter, mut scores) in self.all {
            // Where lines do not name their filter, the task must have one only.
            scores.filter = match (filter, filters.as_slice()) {
                (Some(filter), _) => filter,
                (None, [] | [_]) => filters.first().copied().unwrap_or("none").to_owned(),
                (None, several) => {
                    let message = format!(
                        "the samples of {} do not say which of the filters they are of ({})",
                        task.name,
                        several.join(", ")
                    );
                    let hint = "lm-evaluation-harness writes them from 0.4.7 on";
                    return Err(Error::input(message).file(&run.path).hint(hint));
                }
            };
            scores.metrics.retain(|(_, values)| values.iter().any(|value| !value.is_nan()));
            named.push(scores);
        }
        Ok(named)
    }
}

impl Scores {
    /// How the documents at these places stand together.
    pub(super) fn together(&self, places: impl Iterator<Item = usize>) -> Together {
        together(self.clusters.as_ref().and_then(|clusters| places.map(|at| clusters.get(at).copied()).collect()))
    }

    /// The scores under a metric.
    pub(super) fn metric(&self, name: &str) -> Option<&[f64]> {
        self.metrics.iter().find(|(known, _)| known == name).map(|(_, values)| values.as_slice())
    }
}
