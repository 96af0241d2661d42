//! Runs the whole line: tasks and data to items, items to answers, answers to scores, all of it journalled.
//!
//! Comes in: selected tasks, a data source, an engine. Goes out: [`Event`]s while it works and a run's folder at the end, with
//! everything in it. Never: prints, or decides what a score means.

mod base_file;
mod distributions;
mod effect;
mod environment;
mod execute;
#[cfg(test)]
mod execute_tests;
mod folder;
mod journal;
mod judging;
#[cfg(test)]
mod judging_tests;
mod model;
mod prepare;
mod protocol;
#[cfg(test)]
mod protocol_tests;
mod rescore;
#[cfg(test)]
mod testing;
mod write;

pub use base_file::{compare_base, write_base};
pub use distributions::{Distributions, Side, read_corpus};
pub use effect::{Wishes, remarks_on_flags};
pub use execute::{Finished, FinishedTask, Means, execute};
pub use folder::{RunFolder, check_writable};
pub use model::Job;
pub use prepare::{Limit, Prepared, PreparedTask, prepare};
pub use protocol::{Plan, plan_protocol};
pub use rescore::{Rescored, rescored, rescored_identity};

use crate::engine::Workload;
use crate::engine::remote::transport::Waiting;
use crate::remark::Remark;
use crate::usage::UsageReport;
use std::path::PathBuf;

/// What happens during a run, for progress displays.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Data and prompts of a task are ready.
    TaskPrepared { task: String, docs: usize, requests: usize },
    /// So many lines of the journal are no answers or judgements to what is asked: they are ignored, and it is asked again.
    Damaged { lines: usize },
    /// Answering begins; `answered` of `total` distinct requests were in the journal already.
    Started { total: usize, answered: usize },
    /// The engine says what lies ahead of it.
    Planned(Workload),
    /// Tokens that the engine has computed, and altogether (at most, while texts are written).
    Computed { computed: usize, of: usize },
    /// One more answer is on disk.
    Answered { done: usize, total: usize, prompt_tokens: usize, completion_tokens: usize },
    /// What answers show so far that the user should know at once.
    Remark(Remark),
    /// Nothing is answered at the moment, and why; told again and again as long as it is so.
    Waiting(Waiting),
    /// A judge works; `done` of `total` distinct cases have a finding.
    Judging { judge: String, done: usize, total: usize },
    /// A judge has no more to do.
    Judged { judge: String, done: usize, total: usize },
    /// Answering is over, by itself or because it was cancelled.
    Ended { done: usize, total: usize },
    /// Prompts are made and the model is there: so many requests, repeats included.
    Ready { requests: usize },
    /// Something to know about the model or its run, which may hold for others too.
    Note(String),
    /// What the user should know about the engine's work.
    Remarks(Vec<Remark>),
    /// The run's folder is there, with what an earlier session left in it.
    Opened { folder: PathBuf, recorded: usize, complete: bool },
    /// What the answers took.
    Used(Box<UsageReport>),
    /// Two models' distributions were held against each other at the positions of a source.
    Compared { source: String, positions: usize },
    /// The run is finished: everything is in its folder.
    Written { folder: PathBuf },
}
