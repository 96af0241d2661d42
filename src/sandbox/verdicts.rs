//! Solutions, tests and verdicts: the judge's nouns. Plain data.

use super::outcome::Usage;
use serde::{Deserialize, Serialize};

/// Code to be judged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Solution {
    pub code: String,
    /// Functions, classes or values of the code that the tests name.
    pub entry_points: Vec<String>,
}

/// Trusted code that raises an exception where the solution is wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tests {
    /// Runs before the tests in their namespace; entry points then hide what it defines under their names.
    pub prelude: String,
    pub code: String,
}

/// How solution and tests meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// In two processes that exchange plain data. The tests never run the solution's code.
    TwoProcesses,
    /// In one process: for tests whose arguments or results are no plain data. A determined solution can cheat.
    OneProcess,
}

/// What a judgement came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every statement of the tests ran, and none raised.
    Passed,
    Failed {
        /// Type of the exception and its message, or what the solution did instead of answering.
        reason: String,
        /// The lines that failed, outermost first; may be empty.
        trace: String,
    },
    TimedOut,
    OutOfMemory,
    /// Says nothing about the solution.
    SandboxError {
        reason: String,
    },
}

/// A verdict with its evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    pub verdict: Verdict,
    pub mode: Mode,
    /// What could not cross between two processes, where that decided the verdict.
    pub unportable: Option<String>,
    /// Of all processes together.
    pub usage: Usage,
}
