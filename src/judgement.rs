//! A case and what a judge finds about it: for answers that no comparison of texts can score.

use crate::python::json::sha256;
use crate::request::Unscored;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// One filtered answer of a document, with what its judge must know.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    pub answer: String,
    /// The evaluated templates of the task's `judge` (see [`crate::task::JudgeSpec`]).
    pub args: Arc<Map<String, Value>>,
}

impl Case {
    /// SHA-256 (hex) of the judge's identity and all of the case: equal cases get one finding.
    pub fn key(&self, judge: &JudgeIdentity) -> String {
        let parts = json!({"judge": judge, "answer": self.answer, "args": &*self.args});
        sha256(&parts.to_string())
    }
}

/// Who judges: all that decides its findings apart from the case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JudgeIdentity {
    /// A row of the table of judges.
    pub judge: String,
    /// The scorer, interpreter or program that it works with, with its version.
    pub name: String,
    /// SHA-256 of what decides its findings (weights, rubric, ...), where there is such a thing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Options that decide findings, as `key=value`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

/// What a judge found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// In the judge's range: 1 or 0 for passed or failed, a probability, ...
    pub value: f64,
    /// How it came to that: verdict, trace, tier, ...
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub detail: Map<String, Value>,
}

impl Judgement {
    /// Whether solution and tests shared a process, in which a determined solution can fake its verdict (docs/security.md).
    pub fn in_one_process(&self) -> bool {
        self.detail.get("mode").and_then(Value::as_str) == Some("one-process")
    }
}

/// A judgement, or why there is none. A judge's failure is never a value.
pub type Finding = Result<Judgement, Unscored>;
