//! Wrong solutions that want to pass: lies about equality, changed builtins, exceptions, early ends, peeping.

use super::cases::{self, Case};
use super::{Mode, Verdict, is_wrong, judge, limits, naive, run_case, solution, tests};

const EQUALITY: &str = include_str!("cases/equality.py");
const BUILTINS: &str = include_str!("cases/builtins.py");
const EXCEPTIONS: &str = include_str!("cases/exceptions.py");
const ENDS: &str = include_str!("cases/ends.py");
const PEEPING: &str = include_str!("cases/peeping.py");
const OBJECTS: &str = include_str!("cases/objects.py");

/// Every fake, in two processes: never a pass, never the sandbox's fault. Each is held to its control, where it has
/// one: what a sandbox forbids differs with the runner.
fn check(file: &str) {
    for case in cases::read(file) {
        if let Some(passes) = case.passes_elsewhere {
            assert_eq!(naive(&case.code, &case.tests), passes, "control of {}", case.name);
        }
        let outcome = run_case(&case, Mode::TwoProcesses);
        assert!(is_wrong(&outcome), "{}: {outcome:?}", case.name);
    }
}

#[test]
fn lies_about_equality_do_not_pass() {
    check(EQUALITY);
}

#[test]
fn changed_builtins_do_not_pass() {
    check(BUILTINS);
}

#[test]
fn exceptions_do_not_pass() {
    check(EXCEPTIONS);
}

#[test]
fn early_and_missing_ends_do_not_pass() {
    check(ENDS);
}

#[test]
fn objects_in_place_of_plain_data_do_not_pass() {
    check(OBJECTS);
}

#[test]
fn peeping_does_not_pass() {
    check(PEEPING);
}

/// One process cannot stop everything; what it promises to stop, it stops.
#[test]
fn one_process_stops_what_it_promises() {
    let promised = |case: &Case| case.name.contains("equals anything") || case.name.contains("liar inside");
    let lies = cases::read(EQUALITY).into_iter().filter(promised);
    let others = cases::read(BUILTINS).into_iter().chain(cases::read(ENDS));
    for case in lies.chain(others.filter(|case| !case.name.starts_with("a module is"))) {
        let outcome = run_case(&case, Mode::OneProcess);
        assert!(is_wrong(&outcome), "{}: {outcome:?}", case.name);
    }
}

/// The weaknesses that mark the mode: in one process a solution can read what it is compared with, and change modules.
#[test]
fn one_process_has_its_known_weaknesses() {
    let known = ["the heap", "a module is changed"];
    let all = cases::read(PEEPING).into_iter().chain(cases::read(BUILTINS));
    let found: Vec<Case> = all.filter(|case| known.contains(&case.name.as_str())).collect();
    assert_eq!(found.len(), known.len());
    for case in found {
        assert_eq!(run_case(&case, Mode::OneProcess).verdict, Verdict::Passed, "{}", case.name);
    }
}

/// Names that the tests use as their own stay theirs, whatever the solution calls its functions.
#[test]
fn the_tests_keep_their_helpers() {
    let with_prelude = |code: &str| {
        let mut given = tests("assert helper(square(3)) == 10\n");
        given.prelude = "def helper(x):\n    return x + 1\n\ndef square(x):\n    pass\n".to_owned();
        judge().run(&solution(code, &["square"]), &given, &limits(), Mode::TwoProcesses).verdict
    };
    assert_eq!(with_prelude("def square(x): return x * x\n"), Verdict::Passed);
    for wrong in [
        "def helper(x): return 10\ndef square(x): return 0\n",
        "class square:\n    def __init__(self, x): pass\n    def __add__(self, other): return 10\n",
        "def helper(x): return 10\n",
    ] {
        assert!(matches!(with_prelude(wrong), Verdict::Failed { .. }), "{wrong}");
    }
}
