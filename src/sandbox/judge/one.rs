//! Solution and tests in one process, for data that cannot cross. Marked in the outcome: see `docs/security.md` for
//! what this cannot promise.

use super::super::cell::Cell;
use super::super::open::{Driver, Sandbox};
use super::super::outcome::{Ending, Usage};
use super::super::pipes::Lost;
use super::data::Writer;
use super::verdict::{Found, all_texts, exception, failed, greet, lost, never_ready, sandbox_error, secret, texts};
use super::{Manner, Mode, Outcome, Trial, Verdict};

const SINGLE: Driver = Driver {
    name: "judge-single",
    source: concat!(
        include_str!("../driver/codec.py"),
        include_str!("../driver/decoder.py"),
        include_str!("../driver/single.py")
    ),
};

/// Judges in one process.
pub(super) fn judge(sandbox: &Sandbox, trial: &Trial<'_>) -> Found {
    let (verdict, usage, shown, lost) = match sandbox.start(&SINGLE, trial.limits) {
        Ok(cell) => run(cell, trial),
        Err(e) => (sandbox_error(e.to_string()), Usage::default(), Vec::new(), false),
    };
    Found { outcome: Outcome { verdict, mode: Mode::OneProcess, unportable: None, usage }, shown, lost }
}

fn run(mut cell: Cell, trial: &Trial<'_>) -> (Verdict, Usage, Vec<String>, bool) {
    if greet(&mut cell).is_err() {
        let outcome = cell.finish();
        return (never_ready(&outcome), outcome.usage, Vec::new(), false);
    }
    let mut shown = Vec::new();
    let said = converse(&mut cell, trial, &mut shown);
    let outcome = cell.finish();
    let gone = matches!(outcome.ending, Ending::SandboxFailed(_));
    match said {
        Ok(verdict) => (verdict, outcome.usage, shown, false),
        Err(why) => (lost(&why, &outcome, "before all tests ran"), outcome.usage, shown, gone),
    }
}

fn converse(cell: &mut Cell, trial: &Trial<'_>, shown: &mut Vec<String>) -> Result<Verdict, Lost> {
    let Trial { solution, tests, seed, manner, .. } = trial;
    let load = Writer::tuple(5).text(&solution.code).texts(&solution.entry_points);
    let kinds: Vec<&str> = match manner {
        Manner::Follows(reference) => reference.kinds.iter().map(|kind| kind.word()).collect(),
        Manner::Shows | Manner::Alone => Vec::new(),
    };
    cell.send(&load.text(&tests.prelude).text(&tests.code).texts(&kinds).done())?;
    let protocol = || failed("the solution's process broke the protocol");
    // Only before the solution has run can a word about broken tests be believed.
    let said = cell.recv()?;
    match said.split_first() {
        Some((b'L', [])) => (),
        Some((b'B', facts)) => {
            let broken = |[why, _trace]: [String; 2]| sandbox_error(format!("the tests are broken: {why}"));
            return Ok(texts(facts).map_or_else(|_| sandbox_error("the driver broke the protocol"), broken));
        }
        _ => return Ok(sandbox_error("the driver broke the protocol")),
    }
    let said = cell.recv()?;
    match said.split_first() {
        Some((b'K', words)) => match all_texts(words) {
            Ok(words) => *shown = words,
            Err(_) => return Ok(protocol()),
        },
        Some((b'F', facts)) => return Ok(exception(facts).unwrap_or_else(|_| protocol())),
        _ => return Ok(protocol()),
    }
    cell.send(seed)?;
    let said = cell.recv()?;
    match said.split_first() {
        Some((b'D', [])) => {
            // The secret is not in the process before all tests ran.
            let secret = secret();
            cell.send(&secret)?;
            let echo = cell.recv()?;
            let passed = echo.split_first().is_some_and(|(kind, rest)| *kind == b'P' && rest == secret);
            Ok(if passed { Verdict::Passed } else { protocol() })
        }
        Some((b'F', facts)) => Ok(exception(facts).unwrap_or_else(|_| protocol())),
        _ => Ok(protocol()),
    }
}
