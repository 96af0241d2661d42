//! A run: one model on some tasks, on disk. `Spec` decides the numbers, `Effort` only the time.

use crate::engine::Identity;
use crate::estimate::Estimate;
use crate::judgement::JudgeIdentity;
use crate::remark::Remark;
use crate::template::moment::Moment;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Version of the run folder's layout; a folder of another version is refused. 2: specs have the date that chat templates print, and
/// local models the instruction set. 3: the results file has everything that a report needs.
pub const FORMAT_VERSION: u32 = 3;

/// How an engine's options name the format that weights are quantised to on loading.
pub const PRECISION_OPTION: &str = "precision=";

/// How an engine's options name the instruction set.
pub const ISA_OPTION: &str = "isa=";

/// All that decides the numbers of a run. Equal specs in equal environments give equal bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    pub model: Identity,
    pub tasks: Vec<TaskSpec>,
    /// The names on the command line, in order: they decide groups and rows.
    pub selected: Vec<String>,
    pub num_fewshot: Option<usize>,
    /// As written: a count, or a fraction below 1.
    pub limit: Option<f64>,
    /// Seed of sampled decoding.
    pub seed: u64,
    /// Seed of the few-shot draw.
    pub fewshot_seed: u64,
    pub apply_chat_template: bool,
    pub fewshot_as_multiturn: Option<bool>,
    pub system_instruction: Option<String>,
    pub gen_kwargs: Map<String, Value>,
    pub bootstrap_iters: usize,
    /// Judges that the user chooses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub judges: Vec<JudgeIdentity>,
    /// The date that the chat template prints; `None` where it prints none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<PrintedDate>,
}

/// A date in prompts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrintedDate {
    pub at: Moment,
    /// The user named it. Else it is the day on which the run began, and a run that is continued keeps it.
    pub chosen: bool,
}

/// A task as it was run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskSpec {
    pub name: String,
    pub version: Option<Value>,
    /// SHA-256 over the keys of all requests, in order: prompts, choices, shots and decoding.
    pub requests_sha256: String,
    /// SHA-256 of the merged task file: metrics and filters included.
    pub config_sha256: String,
    pub files: Vec<FileSpec>,
}

/// A data file as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSpec {
    /// File name or hub path, without the folder it lies in.
    pub name: String,
    pub sha256: String,
    pub rows: usize,
}

impl Spec {
    /// SHA-256 (hex) of the spec.
    pub fn sha256(&self) -> String {
        crate::python::json::sha256(&serde_json::to_string(self).unwrap_or_default())
    }

    /// What its folder is found by: the hash of all that the command says. A date that nobody chose is another one tomorrow, and the
    /// same command must find its run again.
    pub fn address(&self) -> String {
        let date = self.date.filter(|date| date.chosen);
        Spec { date, ..self.clone() }.sha256()
    }

    /// The instruction set of the engine's arithmetic, where its bits depend on one.
    pub fn isa(&self) -> Option<&str> {
        self.model.options.iter().find_map(|option| option.strip_prefix(ISA_OPTION))
    }

    /// Whether another spec is the same but for the instruction set.
    pub fn is_same_elsewhere(&self, other: &Spec) -> bool {
        let without = |spec: &Spec| {
            let mut spec = spec.clone();
            spec.model.options.retain(|option| !option.starts_with(ISA_OPTION));
            spec.address()
        };
        self.isa() != other.isa() && without(self) == without(other)
    }
}

/// What decides only the time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effort {
    /// Threads the engine may use.
    pub threads: usize,
    /// Bytes for keys and values, where the user named a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kv_memory: Option<usize>,
}

/// Where and when a run was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    pub fairmark_version: String,
    pub os: String,
    pub arch: String,
    pub cpus: usize,
    /// Start of the run, UTC, ISO 8601 with microseconds: `2026-11-24T02:05:33.123456`.
    pub started: String,
    /// The same in seconds since 1970.
    pub started_unix: f64,
}

/// State of a run folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Answers are missing; the same command continues.
    Incomplete,
    Complete,
}

/// `run.json` in a run folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    pub format_version: u32,
    pub status: Status,
    pub spec_sha256: String,
    pub spec: Spec,
    pub effort: Effort,
    pub environment: Environment,
}

/// The figures of one task in a run.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskResult {
    pub name: String,
    /// Documents in the evaluated split.
    pub original: usize,
    /// Documents evaluated.
    pub effective: usize,
    /// Shots in the prompts.
    pub num_fewshot: usize,
    pub estimates: Vec<Estimate>,
    /// Reasons why documents were not scored, with their counts, commonest first.
    pub unscored: Vec<(String, usize)>,
    /// Prompts that were cut from the left.
    pub truncated: usize,
    /// What the answers show besides scores.
    pub remarks: Vec<Remark>,
}

/// A task of which nothing was asked, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotRun {
    pub task: String,
    pub reason: String,
}

/// The figures of one group in a run.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupResult {
    pub name: String,
    pub estimates: Vec<Estimate>,
}
