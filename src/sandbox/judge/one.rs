//! Solution and tests in one process, for data that cannot cross. Marked in the outcome: see `docs/security.md` for
//! what this cannot promise.

use super::super::cell::Cell;
use super::super::open::{Driver, Sandbox};
use super::super::outcome::{Limits, Usage};
use super::super::pipes::Lost;
use super::data::Writer;
use super::verdict::{exception, failed, greet, lost, never_ready, sandbox_error, secret, texts};
use super::{Mode, Outcome, Solution, Tests, Verdict};

const SINGLE: Driver = Driver {
    name: "judge-single",
    source: concat!(
        include_str!("../driver/codec.py"),
        include_str!("../driver/decoder.py"),
        include_str!("../driver/single.py")
    ),
};

/// Judges in one process.
pub(super) fn judge(sandbox: &Sandbox, solution: &Solution, tests: &Tests, limits: &Limits) -> Outcome {
    let (verdict, usage) = match sandbox.start(&SINGLE, limits) {
        Ok(cell) => run(cell, solution, tests),
        Err(e) => (sandbox_error(e.to_string()), Usage::default()),
    };
    Outcome { verdict, mode: Mode::OneProcess, unportable: None, usage }
}

fn run(mut cell: Cell, solution: &Solution, tests: &Tests) -> (Verdict, Usage) {
    if greet(&mut cell).is_err() {
        let outcome = cell.finish();
        return (never_ready(&outcome), outcome.usage);
    }
    let said = converse(&mut cell, solution, tests);
    let outcome = cell.finish();
    let verdict = match said {
        Ok(verdict) => verdict,
        Err(why) => lost(&why, &outcome, "before all tests ran"),
    };
    (verdict, outcome.usage)
}

fn converse(cell: &mut Cell, solution: &Solution, tests: &Tests) -> Result<Verdict, Lost> {
    let load = Writer::tuple(4).text(&solution.code).texts(&solution.entry_points);
    cell.send(&load.text(&tests.prelude).text(&tests.code).done())?;
    let protocol = |_| failed("the solution's process broke the protocol");
    // Only before the solution has run can a word about broken tests be believed.
    let said = cell.recv()?;
    match said.split_first() {
        Some((b'L', [])) => (),
        Some((b'B', facts)) => {
            let broken = |[why, _trace]: [String; 2]| sandbox_error(format!("the tests are broken: {why}"));
            return Ok(texts(facts).map_or_else(protocol, broken));
        }
        _ => return Ok(sandbox_error("the driver broke the protocol")),
    }
    let said = cell.recv()?;
    match said.split_first() {
        Some((b'D', [])) => {
            // The secret is not in the process before all tests ran.
            let secret = secret();
            cell.send(&secret)?;
            let echo = cell.recv()?;
            let passed = echo.split_first().is_some_and(|(kind, rest)| *kind == b'P' && rest == secret);
            Ok(if passed { Verdict::Passed } else { failed("the solution's process broke the protocol") })
        }
        Some((b'F', facts)) => Ok(exception(facts).unwrap_or_else(protocol)),
        _ => Ok(failed("the solution's process broke the protocol")),
    }
}
