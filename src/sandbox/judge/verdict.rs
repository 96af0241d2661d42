//! From the ends of processes to verdicts, for both modes.

use super::super::cell::Cell;
use super::super::outcome::{Ending, Limits, ProgramOutcome, Usage};
use super::super::pipes::Lost;
use super::data::{Malformed, Reader};
use super::{Outcome, Verdict};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Most characters of a reason and of a trace.
const MOST: usize = 1000;
/// What the tests' process may use on top, so that it never ends before the solution's.
const ALLOWANCE: Duration = Duration::from_secs(30);

/// Bytes that a process must send back to pass.
pub(super) type Secret = [u8; 16];

/// A judgement with what only the judge looks at.
pub(super) struct Found {
    pub outcome: Outcome,
    /// What a solution that passed showed of itself, in its own words: a kind for each entry point, then what gives objects.
    pub shown: Vec<String>,
    /// Whether the sandbox was lost while it ran the solution.
    pub lost: bool,
}

/// A secret that cannot be guessed: keyed hashes under keys from the operating system.
pub(super) fn secret() -> Secret {
    let half = || RandomState::new().hash_one(0u8).to_le_bytes();
    let mut secret = [0; 16];
    secret[..8].copy_from_slice(&half());
    secret[8..].copy_from_slice(&half());
    secret
}

/// What the solution's process may use beside another one for the tests. Its clock also runs while the tests think:
/// they may take as long as the solution may.
pub(super) fn for_solution(limits: &Limits) -> Limits {
    Limits { wall: limits.wall.saturating_mul(2), ..*limits }
}

/// What the process of the tests may use.
pub(super) fn for_tests(limits: &Limits) -> Limits {
    Limits {
        cpu: limits.cpu.saturating_add(ALLOWANCE),
        wall: limits.wall.saturating_mul(2).saturating_add(ALLOWANCE),
        memory: limits.memory.max(1 << 30),
        ..*limits
    }
}

/// A wrong solution, with the reason.
pub(super) fn failed(reason: impl Into<String>) -> Verdict {
    Verdict::Failed { reason: reason.into(), trace: String::new() }
}

pub(super) fn sandbox_error(reason: impl Into<String>) -> Verdict {
    Verdict::SandboxError { reason: reason.into() }
}

/// What a driver says about an exception: its type, the reason and the trace.
pub(super) fn exception(facts: &[u8]) -> Result<Verdict, Malformed> {
    let [kind, reason, trace] = texts(facts)?;
    if kind == "MemoryError" { Ok(Verdict::OutOfMemory) } else { Ok(Verdict::Failed { reason, trace }) }
}

/// A tuple of exactly `N` texts.
pub(super) fn texts<const N: usize>(bytes: &[u8]) -> Result<[String; N], Malformed> {
    all_texts(bytes)?.try_into().map_err(|_| "another number of texts")
}

/// A tuple of texts.
pub(super) fn all_texts(bytes: &[u8]) -> Result<Vec<String>, Malformed> {
    let mut reader = Reader::new(bytes, Vec::new());
    let texts = reader.texts(MOST)?;
    reader.end()?;
    Ok(texts)
}

/// A process that runs the solution is lost while it was `doing` something: whose fault is it?
pub(super) fn lost(lost: &Lost, outcome: &ProgramOutcome, doing: &str) -> Verdict {
    if matches!(lost, Lost::TooLong) {
        return failed(format!("the solution sent more than 16 MiB {doing}"));
    }
    match &outcome.ending {
        Ending::TimedOut => Verdict::TimedOut,
        Ending::OutOfMemory => Verdict::OutOfMemory,
        Ending::OutOfDisk => failed(format!("the solution wrote more files than it may {doing}")),
        Ending::SandboxFailed(reason) => sandbox_error(reason.clone()),
        Ending::Exited(code) => failed(format!("the solution ended its process (exit code {code}) {doing}")),
        Ending::Signalled(signal) => failed(format!("the solution's process ended by signal {signal} {doing}")),
    }
}

/// Waits until the driver is ready, before it has seen any code: what goes wrong until then is the sandbox's fault.
pub(super) fn greet(cell: &mut Cell) -> Result<(), Lost> {
    match cell.recv()?.as_slice() {
        b"h" => Ok(()),
        _ => Err(Lost::Closed),
    }
}

/// A process that never became ready.
pub(super) fn never_ready(outcome: &ProgramOutcome) -> Verdict {
    let last = outcome.stderr.lines().next_back().unwrap_or_default();
    sandbox_error(format!("the driver did not start ({:?}) {last}", outcome.ending).trim_end().to_owned())
}

/// What several processes used that ran at the same time.
pub(super) fn together(a: Usage, b: Usage) -> Usage {
    Usage { cpu: a.cpu + b.cpu, wall: a.wall.max(b.wall), memory: a.memory.saturating_add(b.memory) }
}
