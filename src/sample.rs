//! A sample: an item with its answers, filtered and scored.

use crate::estimate::figure_json;
use crate::item::Item;
use crate::judgement::Finding;
use crate::request::{Response, Unscored};
use serde_json::{Value, json};

/// What a metric found about one document.
#[derive(Debug, Clone, PartialEq)]
pub enum Score {
    /// A number that is averaged (or otherwise aggregated) over documents.
    Value(f64),
    /// A sum with its weight: a log-likelihood with its words or bytes.
    Weighted { value: f64, weight: f64 },
    /// Gold and predicted label, for metrics over the whole set (`f1`, `mcc`).
    Labels { gold: i64, predicted: i64 },
    /// A number with the half of the set that its document belongs to, for metrics that compare the two.
    Halved { value: f64, first: bool },
    /// Counts that add up over the documents, for metrics of whole texts (`bleu`, `chrf`, `ter`).
    Counts(Vec<f64>),
    /// The metric is about other documents: one for an ambiguous context, say, of a document that has none. Neither counted nor missing.
    Inapplicable,
    /// No value, and why.
    Unscored(Unscored),
}

impl Score {
    /// The score as the samples file has it: a number, `[value, weight]`, `[gold, predicted]`, `[value, in the first half]`,
    /// or null. An infinite number is a text: see [`figure_json`].
    pub fn to_json(&self) -> Value {
        match self {
            Score::Value(value) => figure_json(*value),
            Score::Weighted { value, weight } => json!([value, weight]),
            Score::Labels { gold, predicted } => json!([gold, predicted]),
            Score::Halved { value, first } => json!([value, first]),
            Score::Counts(row) => json!(row),
            Score::Inapplicable | Score::Unscored(_) => Value::Null,
        }
    }
}

/// An answer (or why there is none) to each request of an item.
#[derive(Debug, Clone, PartialEq)]
pub struct AnsweredItem {
    pub item: Item,
    /// `[request][repeat]`
    pub responses: Vec<Vec<Result<Response, Unscored>>>,
}

/// The scores of one document under one filter pipeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    pub doc_id: usize,
    /// Name of the filter pipeline.
    pub filter: String,
    /// The reference's `filtered_resps`: per request a text, a list of texts, or `[logprob, is_greedy]`.
    pub filtered: Vec<Value>,
    /// What the task's judge found, for each repeat; empty for tasks without a judge.
    pub findings: Vec<Finding>,
    /// Metric name and score, in the task's order.
    pub scores: Vec<(String, Score)>,
}
