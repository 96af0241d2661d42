//! Solution and tests in two processes; the parent carries the calls and believes neither shape nor order of answers.

use super::super::cell::Cell;
use super::super::open::{Driver, Sandbox};
use super::super::outcome::{Ending, Limits, ProgramOutcome, Usage};
use super::super::pipes::Lost;
use super::data::{Malformed, Reader, Writer};
use super::verdict::together;
use super::verdict::{
    Found, Secret, all_texts, exception, failed, for_solution, for_tests, greet, lost, never_ready, sandbox_error,
    secret, texts,
};
use super::{Manner, Mode, Outcome, Trial, Verdict};
use crate::error::Result;
use std::time::{Duration, Instant};

const SOLUTION: Driver = Driver {
    name: "judge-solution",
    source: concat!(
        include_str!("../driver/codec.py"),
        include_str!("../driver/decoder.py"),
        include_str!("../driver/solution.py")
    ),
};
const TESTS: Driver = Driver {
    name: "judge-tests",
    source: concat!(
        include_str!("../driver/codec.py"),
        include_str!("../driver/decoder.py"),
        include_str!("../driver/tests.py")
    ),
};

/// Judges in two processes.
pub(super) fn judge(sandbox: &Sandbox, trial: &Trial<'_>) -> Found {
    match start(sandbox, trial.limits) {
        Ok((left, right)) => {
            let mut pair = Pair::new(left, right, &trial.solution.entry_points, trial.limits.wall);
            let stop = pair.run(trial).unwrap_or_else(|stop| stop);
            pair.close(stop)
        }
        Err(e) => {
            let (verdict, usage) = (sandbox_error(e.to_string()), Usage::default());
            let outcome = Outcome { verdict, mode: Mode::TwoProcesses, unportable: None, usage };
            Found { outcome, shown: Vec::new(), lost: false }
        }
    }
}

fn start(sandbox: &Sandbox, limits: &Limits) -> Result<(Cell, Cell)> {
    Ok((sandbox.start(&SOLUTION, &for_solution(limits))?, sandbox.start(&TESTS, &for_tests(limits))?))
}

/// Why a trial is over.
enum Stop {
    Verdict(Verdict),
    /// All tests passed; what the solution showed of itself.
    Passed(Vec<String>),
    Unportable {
        what: String,
        trace: String,
    },
    /// A process was lost before it had seen any code.
    NeverReady {
        tests: bool,
    },
    SolutionLost {
        lost: Lost,
        doing: String,
    },
    TestsLost,
}

struct Pair<'a> {
    solution: Cell,
    tests: Cell,
    entry_points: &'a [String],
    secret: Secret,
    /// Time by the clock that the tests' process may still wait for the solution's.
    patience: Duration,
}

impl<'a> Pair<'a> {
    fn new(solution: Cell, tests: Cell, entry_points: &'a [String], patience: Duration) -> Pair<'a> {
        Pair { solution, tests, entry_points, secret: secret(), patience }
    }

    /// Loads the solution, then carries calls until there is a verdict. Both arms are ends.
    fn run(&mut self, trial: &Trial<'_>) -> Result<Stop, Stop> {
        let (solution, tests) = (trial.solution, trial.tests);
        greet(&mut self.solution).map_err(|_| Stop::NeverReady { tests: false })?;
        greet(&mut self.tests).map_err(|_| Stop::NeverReady { tests: true })?;
        let load = Writer::tuple(2).text(&solution.code).texts(self.entry_points).done();
        let reply = self.ask(&load, || "while it was loaded".to_owned())?;
        let rows = match reply.split_first() {
            Some((b'r', rows)) => rows,
            Some((b'b', facts)) => {
                let [kind, reason, trace] = texts(facts).map_err(malformed)?;
                return Ok(Stop::Verdict(exception_of(&kind, reason, trace)));
            }
            _ => return Err(malformed("no list of entry points")),
        };
        let mut reader = Reader::new(rows, Vec::new());
        (0..2).try_for_each(|_| reader.value()).and_then(|()| reader.end()).map_err(malformed)?;
        let begin = Writer::tuple(9).bytes(&self.secret).bytes(&trial.seed).text(&tests.prelude).text(&tests.code);
        let begin = manner(begin.texts(self.entry_points).bytes(rows), trial.manner).done();
        self.tests.send(&begin).map_err(|_| Stop::TestsLost)?;
        loop {
            let frame = self.tests.recv().map_err(|_| Stop::TestsLost)?;
            if let Some(stop) = self.carry(&frame)? {
                return Ok(stop);
            }
        }
    }

    /// One frame of the tests: a call, which is answered, or the end.
    fn carry(&mut self, frame: &[u8]) -> Result<Option<Stop>, Stop> {
        // It is trusted and did nothing of the kind with the reference: what it was given made it do so.
        let broken = |why: Malformed| {
            Stop::Verdict(failed(format!("what the solution gave made the tests' process send {why}")))
        };
        match frame.first() {
            Some(b'c' | b'g' | b's' | b'x' | b'o') => {
                let (head, values) = frame.split_at_checked(9).ok_or_else(|| broken("too short a call"))?;
                let mut reader = Reader::new(values, Vec::new());
                (0..3).try_for_each(|_| reader.value()).map_err(broken)?;
                let containers = reader.end().map_err(broken)?;
                let reply = self.ask_for(head, frame)?;
                check_reply(head, &reply, containers).map_err(malformed)?;
                self.tests.send(&reply).map_err(|_| Stop::TestsLost)?;
                Ok(None)
            }
            Some(kind) => {
                let facts = frame.get(1..).and_then(|rest| rest.strip_prefix(&self.secret));
                let facts = facts.ok_or_else(|| broken("a verdict without the secret"))?;
                conclusion(*kind, facts).map(Some).map_err(broken)
            }
            None => Err(broken("an empty frame")),
        }
    }

    fn ask_for(&mut self, head: &[u8], frame: &[u8]) -> Result<Vec<u8>, Stop> {
        let target = head.get(5..9).and_then(|n| n.try_into().ok()).map(u32::from_le_bytes);
        let name = target.and_then(|n| self.entry_points.get(n as usize));
        let name = name.map_or_else(|| "one of its objects".to_owned(), |name| format!("`{name}`"));
        self.ask(frame, || format!("during a call of {name}"))
    }

    fn ask(&mut self, frame: &[u8], doing: impl Fn() -> String) -> Result<Vec<u8>, Stop> {
        let asked = Instant::now();
        self.solution.expect_within(self.patience);
        let reply = self.solution.send(frame).and_then(|()| self.solution.recv());
        let reply = reply.map_err(|lost| Stop::SolutionLost { lost, doing: doing() })?;
        match self.patience.checked_sub(asked.elapsed()) {
            Some(left) => self.patience = left,
            None => return Err(Stop::Verdict(Verdict::TimedOut)),
        }
        Ok(reply)
    }

    /// Ends both processes and decides.
    fn close(self, stop: Stop) -> Found {
        let (solution, tests) = (self.solution.finish(), self.tests.finish());
        let usage = together(solution.usage, tests.usage);
        let (mut shown, mut gone) = (Vec::new(), false);
        let (verdict, unportable) = match stop {
            Stop::Verdict(verdict) => (verdict, None),
            Stop::Passed(words) => {
                shown = words;
                (Verdict::Passed, None)
            }
            Stop::Unportable { what, trace } => {
                let reason = format!("cannot cross between processes: {what}");
                (Verdict::Failed { reason, trace }, Some(what))
            }
            Stop::NeverReady { tests: late } => (never_ready(if late { &tests } else { &solution }), None),
            Stop::SolutionLost { lost: why, doing } => {
                gone = matches!(solution.ending, Ending::SandboxFailed(_));
                (lost(&why, &solution, &doing), None)
            }
            Stop::TestsLost => {
                let verdict = tests_lost(&tests);
                gone = matches!(verdict, Verdict::SandboxError { .. });
                (verdict, None)
            }
        };
        Found { outcome: Outcome { verdict, mode: Mode::TwoProcesses, unportable, usage }, shown, lost: gone }
    }
}

/// What the tests' process is told of the reference.
fn manner(begin: Writer, manner: Manner<'_>) -> Writer {
    let nothing: &[&str] = &[];
    match manner {
        Manner::Shows => begin.text("shows").texts(nothing).texts(nothing),
        Manner::Alone => begin.text("alone").texts(nothing).texts(nothing),
        Manner::Follows(shown) => {
            let kinds: Vec<&str> = shown.kinds.iter().map(|kind| kind.word()).collect();
            begin.text("follows").texts(&kinds).texts(&shown.givers)
        }
    }
}

/// The tests are trusted and pass with a right solution: if they run over or end early, then because of what they were
/// given. Else a wrong solution could choose not to be counted.
fn tests_lost(tests: &ProgramOutcome) -> Verdict {
    match &tests.ending {
        Ending::TimedOut => Verdict::TimedOut,
        Ending::OutOfMemory => Verdict::OutOfMemory,
        Ending::SandboxFailed(reason) => sandbox_error(reason.clone()),
        // Somebody outside ended it.
        Ending::Signalled(libc::SIGKILL) => sandbox_error("the tests' process was killed"),
        ending => failed(format!("the tests' process ended without a verdict ({ending:?})")),
    }
}

fn malformed(why: Malformed) -> Stop {
    Stop::Verdict(failed(format!("the solution's process broke the protocol: {why}")))
}

fn exception_of(kind: &str, reason: String, trace: String) -> Verdict {
    if kind == "MemoryError" { Verdict::OutOfMemory } else { Verdict::Failed { reason, trace } }
}

/// The last frame of the tests, behind the secret.
fn conclusion(kind: u8, facts: &[u8]) -> Result<Stop, Malformed> {
    match kind {
        b'P' => all_texts(facts).map(Stop::Passed),
        b'F' => exception(facts).map(Stop::Verdict),
        b'U' => texts(facts).map(|[what, trace]| Stop::Unportable { what, trace }),
        b'B' => texts(facts).map(|[why, _trace]| Stop::Verdict(sandbox_error(format!("the tests are broken: {why}")))),
        _ => Err("an unknown frame"),
    }
}

/// Whether a reply has the form that the call allows; `containers` are the tags of the call's own.
fn check_reply(call: &[u8], reply: &[u8], containers: Vec<u8>) -> Result<(), Malformed> {
    let (head, values) = reply.split_at_checked(5).ok_or("too short a reply")?;
    if head.get(1..5) != call.get(1..5) {
        return Err("a reply to another call");
    }
    let known = containers.len();
    let mut reader = Reader::new(values, containers);
    match head.first() {
        Some(b'm') if call.first() == Some(&b'g') && values.is_empty() => return Ok(()),
        Some(b'u') if values.len() <= 200 => return Ok(()),
        Some(b'v') => reader.value()?,
        Some(b'e') => {
            reader.value()?;
            reader.value()?;
        }
        _ => return Err("an unknown reply"),
    }
    reader.changes(known)?;
    reader.end().map(drop)
}
