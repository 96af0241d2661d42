//! Judges a solution by tests: a pass cannot be faked by what the solution prints, returns or kills.
//!
//! Comes in: a solution's code with its entry points, trusted tests, limits. Goes out: a verdict with its evidence.
//! Never: looks at exit codes or standard output for a pass, or takes a failure of the sandbox for a wrong solution.

mod canaries;
mod data;
mod one;
mod two;
mod verdict;

use super::open::Sandbox;
use super::outcome::{Limits, Usage};
use super::report::Report;
use crate::error::Result;
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

/// A sandbox that told right from wrong when it was opened.
pub struct Judge {
    sandbox: Sandbox,
}

impl Judge {
    /// Opens a judge after canaries: a right solution passes, and wrong ones that cheat do not.
    ///
    /// # Errors
    /// When a canary gets another verdict than it must: no verdict of this sandbox can be used.
    pub fn open(sandbox: Sandbox) -> Result<Judge> {
        let judge = Judge { sandbox };
        canaries::check(&judge)?;
        Ok(judge)
    }

    /// What the sandbox enforces.
    pub fn report(&self) -> &Report {
        self.sandbox.report()
    }

    /// The sandbox that the judge runs in.
    pub fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// Judges one solution. Blocks until a worker is free; may be called from many threads.
    pub fn run(&self, solution: &Solution, tests: &Tests, limits: &Limits, mode: Mode) -> Outcome {
        // One turn for both processes: with a turn each, judgements could wait for each other for ever.
        let _turn = self.sandbox.turn();
        match mode {
            Mode::TwoProcesses => two::judge(&self.sandbox, solution, tests, limits),
            Mode::OneProcess => one::judge(&self.sandbox, solution, tests, limits),
        }
    }

    /// The strongest mode in which the reference passes its own tests; `None` when it passes in neither.
    pub fn mode_for(&self, reference: &Solution, tests: &Tests, limits: &Limits) -> Option<Mode> {
        [Mode::TwoProcesses, Mode::OneProcess]
            .into_iter()
            .find(|&mode| self.run(reference, tests, limits, mode).verdict == Verdict::Passed)
    }
}
