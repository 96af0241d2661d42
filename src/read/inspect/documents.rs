//! Samples to documents: the epochs of a document averaged first (A document that was asked twice is one document), a line for each scorer.

use super::header::Column;
use super::sample::Sample;
use crate::error::{Error, Result};
use crate::read::samples::hash_of;
use crate::record::Line;
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// Why a document has no score.
const FAILED: &str = "the sample ended in an error";
const UNSCORED: &str = "the scorer gave no score";

/// The documents of a log.
pub(super) struct Documents {
    columns: Vec<Column>,
    epochs: u64,
    /// Samples that were seen, by id and epoch.
    seen: HashSet<u128>,
    /// Where a document stands, by its id.
    known: HashMap<u128, usize>,
    gathered: Vec<Gathered>,
}

/// A document with what its epochs came to so far.
struct Gathered {
    id: Value,
    document: u128,
    failed: bool,
    /// Sum and count of the scores, by column.
    sums: Vec<(f64, u32)>,
}

impl Documents {
    pub(super) fn new(columns: Vec<Column>, epochs: u64) -> Self {
        Documents { columns, epochs, seen: HashSet::new(), known: HashMap::new(), gathered: Vec::new() }
    }

    /// Takes a sample; where each document has one only it is visited at once.
    ///
    /// # Errors
    /// It stands twice, or an epoch asked something else than another; those of `visit`.
    pub(super) fn add(&mut self, sample: Sample, visit: &mut dyn FnMut(Line) -> Result<()>) -> Result<()> {
        let id = sample.id.to_string();
        if !self.seen.insert(hash_of(&format!("{} {id}", sample.epoch))) {
            let message = format!("document {id} stands twice in this log (epoch {})", sample.epoch);
            return Err(Error::input(message).hint("take another copy of the log"));
        }
        if self.epochs <= 1 && sample.epoch != 1 {
            let message = format!("document {id} has an epoch {}, and the log says that there is one", sample.epoch);
            return Err(Error::input(message));
        }
        if self.epochs <= 1 {
            return self.columns.iter().try_for_each(|column| visit(column.line(&sample)));
        }
        let next = self.gathered.len();
        let at = *self.known.entry(hash_of(&id)).or_insert(next);
        if at == next {
            self.gathered.push(Gathered {
                id: sample.id.clone(),
                document: sample.document,
                failed: false,
                sums: vec![(0.0, 0); self.columns.len()],
            });
        }
        let Some(gathered) = self.gathered.get_mut(at) else { return Ok(()) };
        if gathered.document != sample.document {
            return Err(Error::input(format!("document {id} is another one in epoch {}", sample.epoch)));
        }
        gathered.failed |= sample.failed;
        for (column, sum) in self.columns.iter().zip(&mut gathered.sums) {
            if let Some(score) = column.score(&sample) {
                *sum = (sum.0 + score, sum.1 + 1);
            }
        }
        Ok(())
    }

    /// Visits the documents of several epochs, in the order of their first samples.
    pub(super) fn finish(self, visit: &mut dyn FnMut(Line) -> Result<()>) -> Result<()> {
        for document in self.gathered {
            for (column, (sum, count)) in self.columns.iter().zip(&document.sums) {
                let score = (*count > 0).then(|| sum / f64::from(*count));
                let unscored = if document.failed { FAILED } else { UNSCORED };
                visit(Line {
                    doc_id: document.id.clone(),
                    document: document.document,
                    hashed: true,
                    filter: Some(column.filter.clone()),
                    values: column.values(score),
                    unscored: score.is_none().then(|| unscored.to_owned()),
                    ..Line::default()
                })?;
            }
        }
        Ok(())
    }
}

impl Column {
    /// The score of a sample in this column.
    fn score(&self, sample: &Sample) -> Option<f64> {
        sample.score(&self.scorer)?.value.number(self.key.as_deref())
    }

    /// The same number under the name of each metric that may be a mean of it.
    fn values(&self, score: Option<f64>) -> HashMap<String, Value> {
        let Some(score) = score.filter(|_| self.averages) else { return HashMap::new() };
        self.metrics.iter().map(|metric| (metric.clone(), Value::from(score))).collect()
    }

    fn line(&self, sample: &Sample) -> Line {
        let score = self.score(sample);
        let unscored = if sample.failed { FAILED } else { UNSCORED };
        Line {
            doc_id: sample.id.clone(),
            document: sample.document,
            hashed: true,
            filter: Some(self.filter.clone()),
            answer: sample.score(&self.scorer).and_then(|score| score.answer),
            values: self.values(score),
            unscored: score.is_none().then(|| unscored.to_owned()),
            ..Line::default()
        }
    }
}
