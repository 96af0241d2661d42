//! Runs the whole line: tasks and data to items, items to answers, answers to scores, all of it journalled.
//!
//! Comes in: selected tasks, a data source, an engine. Goes out: [`Event`]s while it works and a [`Finished`] run at the
//! end. Never: prints, or decides what a score means.

mod effect;
mod execute;
#[cfg(test)]
mod execute_tests;
mod folder;
mod journal;
mod judging;
#[cfg(test)]
mod judging_tests;
mod prepare;
mod protocol;
#[cfg(test)]
mod protocol_tests;
#[cfg(test)]
mod testing;

pub use effect::{Wishes, remarks_on_flags};
pub use execute::{Finished, FinishedTask, Means, NotRun, execute};
pub use folder::{RunFolder, check_writable};
pub use prepare::{Limit, Prepared, PreparedTask, prepare};
pub use protocol::{Plan, plan_protocol};

use crate::engine::Workload;

/// What happens during a run, for progress displays.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Data and prompts of a task are ready.
    TaskPrepared { task: String, docs: usize, requests: usize },
    /// Answering begins; `answered` of `total` distinct requests were in the journal already.
    Started { total: usize, answered: usize },
    /// The engine says what lies ahead of it.
    Planned(Workload),
    /// Tokens that the engine has computed, and altogether (at most, while texts are written).
    Computed { computed: usize, of: usize },
    /// One more answer is on disk.
    Answered { done: usize, total: usize, prompt_tokens: usize, completion_tokens: usize },
    /// A judge works; `done` of `total` distinct cases have a finding.
    Judging { judge: String, done: usize, total: usize },
    /// A judge has no more to do.
    Judged { judge: String, done: usize, total: usize },
    /// Answering is over, by itself or because it was cancelled.
    Ended { done: usize, total: usize },
}
