//! A run as it stands on disk, whoever wrote it: what reports, comparisons and gates are made of. Plain data.
//!
//! What a writer does not say is `None`: nothing is invented.

use crate::estimate::Estimate;
use crate::remark::Remark;
use crate::run::{NotRun, Status};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// A run: its figures, and where its samples are.
#[derive(Debug, Clone)]
pub struct Run {
    /// The folder or file it was read from.
    pub path: PathBuf,
    pub writer: Writer,
    pub model: Model,
    pub status: Status,
    /// Whether the same requests get the same answers again. `None` where nobody knows.
    pub repeatable: Option<bool>,
    /// Seconds since 1970.
    pub started: Option<f64>,
    /// What was selected, in order.
    pub tree: Vec<Node>,
    pub tasks: Vec<Task>,
    pub groups: Vec<Group>,
    /// Tasks that were selected and not run.
    pub not_run: Vec<NotRun>,
    /// SHA-256 of all that decides the numbers, where the writer has one.
    pub spec_sha256: Option<String>,
    /// Tokens and speed, where the writer kept them.
    pub usage: Option<Value>,
}

/// Which program wrote a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Program {
    Fairmark,
    LmEvaluationHarness,
    Inspect,
}

/// A program and its version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Writer {
    pub program: Program,
    pub version: Option<String>,
}

impl fmt::Display for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.program {
            Program::Fairmark => "fairmark",
            Program::LmEvaluationHarness => "lm-evaluation-harness",
            Program::Inspect => "Inspect",
        };
        match &self.version {
            Some(version) => write!(f, "{name} {version}"),
            None => write!(f, "{name} (version not said)"),
        }
    }
}

/// The model that was asked.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Model {
    /// As the user named it.
    pub name: Option<String>,
    /// For tables: the last part of a path or id.
    pub label: String,
    /// How the weights were stored: `bfloat16`, `nf4`, `q4_k`.
    pub storage: Option<String>,
    /// The format that the weights were to be quantised to on loading, where one was asked for.
    pub precision: Option<String>,
    /// Bytes of the weights as their format stores them: in the checkpoint, or what they would take in the format made on loading.
    pub bytes: Option<u64>,
    pub num_parameters: Option<u64>,
}

/// A task or a group of them, by name. A group that several others hold is one node: the ways to it may be without number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    Task(String),
    Group { name: String, children: Vec<Arc<Node>> },
}

/// A task of a run.
#[derive(Debug, Clone, Default)]
pub struct Task {
    pub name: String,
    /// The name for tables.
    pub alias: String,
    pub version: Option<Value>,
    pub num_fewshot: Option<usize>,
    /// Documents of the evaluated split.
    pub original: Option<usize>,
    /// Documents that were evaluated.
    pub effective: Option<usize>,
    pub estimates: Vec<Estimate>,
    /// Why documents were not scored, with their counts.
    pub unscored: Vec<(String, usize)>,
    /// Prompts that were cut from the left.
    pub truncated: usize,
    /// What the answers show besides scores.
    pub remarks: Vec<Remark>,
    /// Verdicts that a solution can fake, and all verdicts.
    pub one_process: Option<(usize, usize)>,
    /// The task as it was configured.
    pub config: Map<String, Value>,
    pub samples: Samples,
}

/// Where the samples of a task are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Samples {
    #[default]
    Missing,
    /// Lines of the reference's form.
    Lines(PathBuf),
    /// Entries of an Inspect log, in the order of its summaries.
    Inspect(PathBuf),
}

/// A group of a run.
#[derive(Debug, Clone, Default)]
pub struct Group {
    pub name: String,
    pub alias: String,
    pub estimates: Vec<Estimate>,
    /// Whether it has figures of its own, or only gathers.
    pub aggregates: bool,
    /// The rows that it is shown as in a table of its own (`metadata.rows`); null: none.
    pub rows: Value,
}

/// What one document came to under one filter pipeline.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Line {
    /// As written: a number, or a text of other harnesses.
    pub doc_id: Value,
    /// The first half of the SHA-256 of the document; of its id where the writer has no hashes.
    pub document: u128,
    /// Whether the writer has hashes of documents.
    pub hashed: bool,
    /// A hash of the first prompt, where the writer has one.
    pub prompt: Option<u64>,
    /// The filter pipeline; `None` where the writer does not say (before 0.4.5).
    pub filter: Option<String>,
    /// What tells one filtered answer from another: the likeliest choice, or the answer itself.
    pub answer: Option<u64>,
    /// Log-likelihoods of the choices, where the answers are such.
    pub choices: Vec<f64>,
    /// Metrics, or other keys, with what was written.
    pub values: HashMap<String, Value>,
    /// The cluster that the document belongs to.
    pub cluster: Option<String>,
    /// Why the document has no score.
    pub unscored: Option<String>,
}

impl Line {
    /// The score under a metric: a number, or a truth value. `None` for pairs, texts and what was not scored.
    pub fn score(&self, metric: &str) -> Option<f64> {
        let value = self.values.get(metric)?;
        value.as_f64().or_else(|| value.as_bool().map(|right| f64::from(u8::from(right)))).filter(|v| v.is_finite())
    }
}

impl Run {
    /// The task of that name.
    pub fn task(&self, name: &str) -> Option<&Task> {
        self.tasks.iter().find(|task| task.name == name)
    }

    /// The group of that name.
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name)
    }

    /// Whether nothing is known of its end.
    pub fn is_unfinished(&self) -> bool {
        self.status == Status::Incomplete && self.is_whole()
    }

    /// Whether every task was run and every document has its scores, as far as the writer says.
    pub fn is_whole(&self) -> bool {
        self.not_run.is_empty() && self.tasks.iter().all(|task| task.unscored.is_empty())
    }
}

impl Node {
    pub fn name(&self) -> &str {
        match self {
            Node::Task(name) | Node::Group { name, .. } => name,
        }
    }

    /// The node of that name at or under this one.
    pub fn find(&self, wanted: &str) -> Option<&Node> {
        let (mut open, mut entered) = (vec![self], HashSet::new());
        while let Some(node) = open.pop() {
            match node {
                _ if node.name() == wanted => return Some(node),
                Node::Group { name, children } if entered.insert(name) => {
                    open.extend(children.iter().rev().map(|c| &**c))
                }
                _ => {}
            }
        }
        None
    }

    /// The groups at and under this node, each once, parents first.
    pub fn groups(&self) -> Vec<&Node> {
        let (mut open, mut entered, mut found) = (vec![self], HashSet::new(), Vec::new());
        while let Some(node) = open.pop() {
            if let Node::Group { name, children } = node
                && entered.insert(name)
            {
                found.push(node);
                open.extend(children.iter().rev().map(|child| &**child));
            }
        }
        found
    }

    /// The tasks at or under this node, in order; one that stands twice comes once.
    pub fn tasks(&self) -> Vec<&str> {
        let (mut open, mut seen, mut found) = (vec![self], HashSet::new(), Vec::new());
        while let Some(node) = open.pop() {
            match node {
                Node::Task(name) if seen.insert((false, name.as_str())) => found.push(name.as_str()),
                Node::Group { name, children } if seen.insert((true, name)) => {
                    open.extend(children.iter().rev().map(|child| &**child));
                }
                _ => {}
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn scores_are_numbers_and_truth_values() {
        let values = [("acc", json!(1.0)), ("right", json!(true)), ("f1", json!([1, 0])), ("ppl", json!("Infinity"))];
        let line = Line { values: values.map(|(k, v)| (k.to_owned(), v)).into(), ..Line::default() };
        assert_eq!((line.score("acc"), line.score("right")), (Some(1.0), Some(1.0)));
        assert_eq!((line.score("f1"), line.score("ppl"), line.score("none")), (None, None, None));
    }

    #[test]
    fn tasks_under_a_node_come_once() {
        let task = |name: &str| Node::Task(name.into());
        let inner = Node::Group { name: "g".into(), children: vec![task("a").into(), task("b").into()] };
        let outer = Node::Group { name: "o".into(), children: vec![task("b").into(), inner.into()] };
        assert_eq!(outer.tasks(), ["b", "a"]);
        assert_eq!(outer.find("g").map(Node::name), Some("g"));
        assert!(outer.find("c").is_none());
        // 2^60 ways to one task.
        let mut node = Arc::new(task("a"));
        for level in 0..60 {
            node = Arc::new(Node::Group { name: format!("g{level}"), children: vec![node.clone(), node] });
        }
        assert_eq!((node.tasks(), node.find("b")), (vec!["a"], None));
    }
}
