//! Wrong solutions that talk to the judge themselves: forged, broken and late frames, closed and searched descriptors,
//! and a driver that they rewrite from within.

use super::{Mode, Outcome, Verdict, cases, is_wrong, judge, limits, run, solution, tests};
use fairmark::sandbox::Limits;
use std::time::Duration;

const TALKERS: &str = include_str!("cases/talkers.py");

/// Put before each: frames by hand, and the driver's own variables by name.
const KIT: &str = "
import os, sys, struct, threading, time, gc
def frame(data): return struct.pack('<I', len(data)) + data
def say(data):
    try: os.write(4, data)
    except OSError: pass
def serve(answer):
    rest = b''
    while True:
        rest += os.read(3, 65536)
        while len(rest) >= 4 and len(rest) >= 4 + struct.unpack('<I', rest[:4])[0]:
            end = 4 + struct.unpack('<I', rest[:4])[0]
            say(frame(b'v' + rest[5:9] + answer + b'i' + bytes(8)))
            rest = rest[end:]
def drivers(name):
    f = sys._getframe(1)
    while f:
        for scope in (f.f_locals, f.f_globals):
            if name in scope: return scope[name]
        f = f.f_back
";

/// A case behind the kit. Some go silent, so the clock is short.
fn talk(case: &cases::Case, mode: Mode) -> Outcome {
    let names: Vec<&str> = case.entry_points.iter().map(String::as_str).collect();
    let short = Limits { wall: Duration::from_secs(4), ..limits() };
    judge().run(&solution(&format!("{KIT}{}", case.code), &names), &tests(&case.tests), &short, case.course(mode))
}

/// What these say is not a verdict.
#[test]
fn talkers_do_not_pass() {
    for case in cases::read(TALKERS) {
        let outcome = talk(&case, Mode::TwoProcesses);
        assert!(is_wrong(&outcome), "{}: {outcome:?}", case.name);
    }
}

/// In one process, too, they would have to know the protocol of that mode: one does, and shows what the mode is worth.
#[test]
fn talkers_do_not_pass_in_one_process() {
    for case in cases::read(TALKERS) {
        let outcome = talk(&case, Mode::OneProcess);
        let knows = case.name == "a forged end of one-process mode";
        assert_eq!(outcome.verdict == Verdict::Passed, knows, "{}: {outcome:?}", case.name);
        assert!(knows || is_wrong(&outcome), "{}: {outcome:?}", case.name);
    }
}

/// The kit is no fault of its own: with it, a right solution passes, even one that leaves a stray thread.
#[test]
fn a_right_solution_passes_with_the_same_kit() {
    for extra in ["", "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"] {
        let code = format!("{KIT}{extra}def square(x): return x * x\n");
        let test = "assert square(3) == 9\nassert square(-4) == 16\n";
        assert_eq!(run(&code, &["square"], test, Mode::TwoProcesses).verdict, Verdict::Passed);
    }
}

/// A solution may answer calls without the driver: what it answers is compared all the same.
#[test]
fn a_solution_that_serves_itself_is_compared_like_any_other() {
    let rows = "row = b'tv\\3\\0\\0\\0s' + frame(b'square') + b's' + frame(b'function') + b'N'\n\
                say(frame(b'rlv\\1\\0\\0\\0' + row + b'lv\\1\\0\\0\\0N'))\n";
    let served = |answer: i64| format!("{KIT}{rows}serve(b'i' + struct.pack('<q', {answer}))\n");
    let verdict = |answer| run(&served(answer), &["square"], "assert square(3) == 9\n", Mode::TwoProcesses).verdict;
    assert_eq!(verdict(9), Verdict::Passed);
    assert!(matches!(verdict(8), Verdict::Failed { .. }));
}
