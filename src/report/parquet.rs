//! All samples of a run as one Parquet table, with every per-choice figure, so that any score can be computed again.

use crate::error::{Error, Result};
use crate::item::Target;
use crate::python::{json, repr};
use crate::request::{Answer, Response};
use crate::runner::FinishedTask;
use crate::sample::Sample;
use crate::sample::{AnsweredItem, Score};
use polars::prelude::{Column, DataFrame, NamedFrom, ParquetWriter, Series};
use serde_json::Value;

/// The table's bytes. One row per task, filter and document:
/// `task, doc_id, filter, doc_hash, doc` (JSON), `target, gold` (indices), `choices, logprobs, is_greedy, num_tokens`
/// (lists over requests; `logprobs` over labels where those were asked for), `texts, filtered` (lists), `metrics, values` (lists), `unscored`.
pub fn samples_parquet(tasks: &[FinishedTask]) -> Result<Vec<u8>> {
    let mut rows = Rows::default();
    for finished in tasks {
        for sample in &finished.samples {
            let Some(answered) = finished.answered(sample.doc_id) else { continue };
            rows.add(&finished.task.name, answered, sample);
        }
    }
    rows.write()
}

#[derive(Default)]
struct Rows {
    task: Vec<String>,
    doc_id: Vec<u64>,
    filter: Vec<String>,
    doc_hash: Vec<String>,
    doc: Vec<String>,
    target: Vec<String>,
    gold: Vec<Series>,
    choices: Vec<Series>,
    logprobs: Vec<Series>,
    is_greedy: Vec<Series>,
    num_tokens: Vec<Series>,
    texts: Vec<Series>,
    filtered: Vec<Series>,
    metrics: Vec<Series>,
    values: Vec<Series>,
    unscored: Vec<Option<String>>,
}

impl Rows {
    fn add(&mut self, task: &str, answered: &AnsweredItem, sample: &Sample) {
        let item = &answered.item;
        self.task.push(task.to_string());
        self.doc_id.push(sample.doc_id as u64);
        self.filter.push(sample.filter.clone());
        self.doc_hash.push(item.doc.hash());
        self.doc.push(json::dumps(&Value::Object(item.doc.fields.clone())));
        self.target.push(repr::to_str(&item.target_written));
        self.gold.push(list(match &item.target {
            Target::Index(index) => vec![*index],
            Target::Indices(indices) => indices.clone(),
            Target::Text(_) | Target::Texts(_) => Vec::new(),
        }));
        self.choices.push(list(item.choices.clone()));
        let first = |part: fn(&Answer) -> Option<f64>| {
            answered.responses.iter().map(move |r| r.first().and_then(|r| answer(r).and_then(part))).collect::<Vec<_>>()
        };
        let only = answered.responses.first().filter(|_| answered.responses.len() == 1);
        self.logprobs.push(list(match only.and_then(|repeats| repeats.first()).and_then(answer) {
            // One request for one of the labels: a figure each.
            Some(Answer::Choice { logprobs }) => logprobs.clone(),
            _ => first(|a| match a {
                Answer::Loglikelihood { logprob, .. } | Answer::Rolling { logprob, .. } => Some(*logprob),
                Answer::Text { .. } | Answer::Choice { .. } => None,
            }),
        }));
        let greedy = answered.responses.iter().map(|r| match r.first().and_then(answer) {
            Some(Answer::Loglikelihood { is_greedy, .. }) => Some(*is_greedy),
            _ => None,
        });
        self.is_greedy.push(list(greedy.collect::<Vec<_>>()));
        let tokens = answered.responses.iter().map(|r| match r.first().and_then(answer) {
            Some(Answer::Loglikelihood { num_tokens, .. } | Answer::Rolling { num_tokens, .. }) => {
                Some(*num_tokens as u64)
            }
            _ => None,
        });
        self.num_tokens.push(list(tokens.collect::<Vec<_>>()));
        let texts = answered.responses.iter().flatten().map(|r| match answer(r) {
            Some(Answer::Text { text, .. }) => Some(text.clone()),
            _ => None,
        });
        self.texts.push(list(texts.collect::<Vec<_>>()));
        self.filtered.push(list(sample.filtered.iter().map(text_of).collect::<Vec<_>>()));
        self.metrics.push(list(sample.scores.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>()));
        self.values.push(list(sample.scores.iter().map(|(_, score)| number_of(score)).collect::<Vec<_>>()));
        self.unscored.push(sample.scores.iter().find_map(|(_, score)| match score {
            Score::Unscored(unscored) => Some(unscored.reason.clone()),
            _ => None,
        }));
    }

    fn write(self) -> Result<Vec<u8>> {
        fn column<T, V>(name: &str, values: V) -> Column
        where
            Series: NamedFrom<V, T>,
            T: ?Sized,
        {
            Series::new(name.into(), values).into()
        }
        let fail = |e| Error::input("cannot write the samples as Parquet").cause(e);
        let height = self.task.len();
        let columns = vec![
            column("task", self.task),
            column("doc_id", self.doc_id),
            column("filter", self.filter),
            column("doc_hash", self.doc_hash),
            column("doc", self.doc),
            column("target", self.target),
            column("gold", self.gold),
            column("choices", self.choices),
            column("logprobs", self.logprobs),
            column("is_greedy", self.is_greedy),
            column("num_tokens", self.num_tokens),
            column("texts", self.texts),
            column("filtered", self.filtered),
            column("metrics", self.metrics),
            column("values", self.values),
            column("unscored", self.unscored),
        ];
        let mut frame = DataFrame::new(height, columns).map_err(fail)?;
        let mut bytes = Vec::new();
        ParquetWriter::new(&mut bytes).finish(&mut frame).map_err(fail)?;
        Ok(bytes)
    }
}

fn list<T, V>(values: V) -> Series
where
    Series: NamedFrom<V, T>,
    T: ?Sized,
{
    Series::new("item".into(), values)
}

fn answer(response: &std::result::Result<Response, crate::request::Unscored>) -> Option<&Answer> {
    response.as_ref().ok().map(|r| &r.answer)
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => repr::to_str(other),
    }
}

/// The number of a score; `None` for pairs of labels and for documents without a score.
fn number_of(score: &Score) -> Option<f64> {
    match score {
        Score::Value(value) | Score::Weighted { value, .. } | Score::Halved { value, .. } => Some(*value),
        Score::Labels { .. } | Score::Counts(_) | Score::Inapplicable | Score::Unscored(_) => None,
    }
}
