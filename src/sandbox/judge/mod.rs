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
pub use super::verdicts::{Course, Kind, Mode, Outcome, Shown, Solution, Tests, Verdict};
use crate::error::Result;
use sha2::{Digest, Sha256};
use verdict::{Found, failed, secret};

/// A sandbox that told right from wrong when it was opened.
pub struct Judge {
    sandbox: Sandbox,
    /// Decides, with the tests, what random numbers those draw. No solution's process ever has it.
    secret: [u8; 32],
}

/// One judgement: what meets, under what limits, how.
#[derive(Clone, Copy)]
struct Trial<'a> {
    solution: &'a Solution,
    tests: &'a Tests,
    limits: &'a Limits,
    seed: [u8; 32],
    manner: Manner<'a>,
}

/// Who is judged.
#[derive(Clone, Copy)]
enum Manner<'a> {
    /// The reference, which shows the way.
    Shows,
    /// A solution, which follows it.
    Follows(&'a Shown),
    /// A solution of whose reference nothing is known.
    Alone,
}

impl Judge {
    /// Opens a judge after canaries: a right solution passes, and wrong ones that cheat do not.
    ///
    /// # Errors
    /// When a canary gets another verdict than it must: no verdict of this sandbox can be used.
    pub fn open(sandbox: Sandbox) -> Result<Judge> {
        let (one, other) = (secret(), secret());
        let judge = Judge { sandbox, secret: std::array::from_fn(|i| if i < 16 { one[i] } else { other[i - 16] }) };
        canaries::check(&judge)?;
        Ok(judge)
    }

    /// Has tests draw the same random numbers as under any other judge with this secret.
    pub fn with_secret(self, secret: [u8; 32]) -> Judge {
        Judge { secret, ..self }
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
    pub fn run(&self, solution: &Solution, tests: &Tests, limits: &Limits, course: impl Into<Course>) -> Outcome {
        let Course { mode, reference } = course.into();
        let manner = reference.as_ref().map_or(Manner::Alone, Manner::Follows);
        self.judge(&self.trial(solution, tests, limits, manner), mode).outcome
    }

    /// The strongest mode in which the reference passes its own tests, and what it shows of itself there; `None` when it passes in neither.
    pub fn course_for(&self, reference: &Solution, tests: &Tests, limits: &Limits) -> Option<Course> {
        let trial = self.trial(reference, tests, limits, Manner::Shows);
        [Mode::TwoProcesses, Mode::OneProcess].into_iter().find_map(|mode| {
            let Found { outcome, shown, .. } = self.judge(&trial, mode);
            let passed = outcome.verdict == Verdict::Passed;
            passed.then(|| Course { mode, reference: shown_by(reference, &shown) })
        })
    }

    fn trial<'a>(&self, solution: &'a Solution, tests: &'a Tests, limits: &'a Limits, manner: Manner<'a>) -> Trial<'a> {
        let mut hash = Sha256::new();
        for part in [self.secret.as_slice(), tests.prelude.as_bytes(), tests.code.as_bytes()] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Trial { solution, tests, limits, seed: hash.finalize().into(), manner }
    }

    fn judge(&self, trial: &Trial<'_>, mode: Mode) -> Found {
        // One turn for both processes: with a turn each, judgements could wait for each other for ever.
        let _turn = self.sandbox.turn();
        let first = self.once(trial, mode);
        if !self.counts_again(&first) {
            return first;
        }
        // Was it chance, or can this solution do that to the sandbox? Else it could choose not to be counted.
        let mut second = self.once(trial, mode);
        if self.counts_again(&second) && canaries::passes(self, mode) {
            let reason = "twice the solution's run ended its sandbox, in which a right one passes";
            second.outcome.verdict = failed(reason);
        }
        second
    }

    /// Whether the sandbox was lost while the solution ran in it.
    fn counts_again(&self, found: &Found) -> bool {
        found.lost && !self.sandbox.is_interrupted()
    }

    fn once(&self, trial: &Trial<'_>, mode: Mode) -> Found {
        match mode {
            Mode::TwoProcesses => two::judge(&self.sandbox, trial),
            Mode::OneProcess => one::judge(&self.sandbox, trial),
        }
    }
}

/// A reference's own words: a kind for each entry point, then what gives objects.
fn shown_by(reference: &Solution, words: &[String]) -> Option<Shown> {
    let (kinds, givers) = words.split_at_checked(reference.entry_points.len())?;
    let kinds = kinds.iter().map(|word| Kind::of(word)).collect::<Option<_>>()?;
    Some(Shown { kinds, givers: givers.to_vec() })
}
