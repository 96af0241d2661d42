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
use super::outcome::Limits;
use super::report::Report;
pub use super::verdicts::{Mode, Outcome, Solution, Tests, Verdict};
use crate::error::Result;

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
