//! An evaluation item: a document, what is asked about it, and what a right answer is.

use crate::doc::Doc;
use crate::request::Request;
use serde_json::{Map, Value};
use std::sync::Arc;

/// The right answer of a document.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// Index into the choices.
    Index(i64),
    /// Several right choices; any of them counts.
    Indices(Vec<i64>),
    Text(String),
    /// Several right texts; any of them counts.
    Texts(Vec<String>),
}

/// A document with its requests, ready for an engine.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    pub doc: Doc,
    /// Multiple choice: one per choice (or per context for several inputs), then, for `acc_mutual_info`, as many
    /// unconditional ones; by letters exactly one. Otherwise exactly one. Each stands for `repeats` requests with `sample` 0, 1, ...
    pub requests: Vec<Request>,
    /// The answer texts, without delimiter; empty unless the task has choices.
    pub choices: Vec<String>,
    /// The labels under which the choices are put when they are asked for by letters, one for each; otherwise empty.
    pub labels: Vec<String>,
    pub target: Target,
    /// Documents of one cluster are alike (a passage, a template), so that their scores are not independent.
    pub cluster: Option<String>,
    /// `doc_to_target` as the reference evaluates it (int, str or list), for the samples file.
    pub target_written: Value,
    /// The evaluated arguments of the task's `process_results` function.
    pub result_args: Map<String, Value>,
    /// The rendered arguments of the task's `judge`.
    pub judge_args: Arc<Map<String, Value>>,
    /// Shots actually put into the prompt.
    pub num_fewshot: usize,
}
