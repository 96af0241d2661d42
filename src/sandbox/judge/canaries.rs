//! Solutions with a known verdict, judged before any other: a sandbox that gets one wrong cannot be used.

use super::super::outcome::Limits;
use super::{Judge, Manner, Mode, Outcome, Solution, Tests, Verdict};
use crate::error::{Error, Result};
use std::time::Duration;

const TESTS: &str = "assert square(3) == 9\nassert square(-4) == 16\n";

/// What it does, its code, whether it must pass.
const CANARIES: [(&str, &str, bool); 4] = [
    ("a right solution", "def square(x):\n    return x * x\n", true),
    ("a wrong answer", "def square(x):\n    return x + x\n", false),
    ("an early exit", "import os\n\ndef square(x):\n    os._exit(0)\n", false),
    (
        "an answer that equals anything",
        "class Any(int):\n    def __eq__(self, other):\n        return True\n\n\ndef square(x):\n    return Any()\n",
        false,
    ),
];

/// Judges all canaries in both modes.
///
/// # Errors
/// When one gets another verdict than it must.
pub(super) fn check(judge: &Judge) -> Result<()> {
    let limits = limits();
    let tests = Tests { prelude: String::new(), code: TESTS.to_owned() };
    for mode in [Mode::TwoProcesses, Mode::OneProcess] {
        for (what, code, passes) in CANARIES {
            let solution = Solution { code: code.to_owned(), entry_points: vec!["square".to_owned()] };
            let outcome = judge.run(&solution, &tests, &limits, mode);
            if !expected(&outcome, passes) {
                return Err(Error::input(format!("the sandbox judges {what} as {:?} ({mode:?})", outcome.verdict))
                    .hint("verdicts of this sandbox cannot be used: try another runner or interpreter"));
            }
        }
    }
    Ok(())
}

/// Whether a right solution passes now. For whoever has a turn.
pub(super) fn passes(judge: &Judge, mode: Mode) -> bool {
    let limits = limits();
    let tests = Tests { prelude: String::new(), code: TESTS.to_owned() };
    let [(_, code, _), ..] = CANARIES;
    let solution = Solution { code: code.to_owned(), entry_points: vec!["square".to_owned()] };
    let trial = judge.trial(&solution, &tests, &limits, Manner::Alone);
    judge.once(&trial, mode).outcome.verdict == Verdict::Passed
}

fn limits() -> Limits {
    Limits { cpu: Duration::from_secs(10), wall: Duration::from_secs(60), ..Limits::default() }
}

fn expected(outcome: &Outcome, passes: bool) -> bool {
    match outcome.verdict {
        Verdict::Passed => passes,
        Verdict::Failed { .. } => !passes,
        _ => false,
    }
}
