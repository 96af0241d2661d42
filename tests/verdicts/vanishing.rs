//! Wrong solutions that want not to be counted: whatever a solution does to its process, to the tests' or to the sandbox is its failure.

use super::cases::{self, Case};
use super::{Judge, Mode, Sandbox, Settings, Verdict, is_wrong, judge, limits, sandbox_here, solution, tests};
use fairmark::sandbox::judge::Outcome;
use fairmark::sandbox::{Layer, Limits};

const VANISHING: &str = include_str!("cases/vanishing.py");

/// A case with or without what makes it wrong, after itself as its reference.
fn run(judge: &Judge, case: &Case, wrong: bool, mode: Mode) -> Outcome {
    let names: Vec<&str> = case.entry_points.iter().map(String::as_str).collect();
    let code = |wrong: &str| solution(&format!("WRONG = {wrong}\n{}", case.code), &names);
    // Some fill what they are given: little of it.
    let limits = Limits { file_size: 1 << 20, ..limits() };
    let course = judge.course_for(&code("False"), &tests(&case.tests), &limits);
    let mut course = course.unwrap_or_else(|| panic!("control of {}", case.name));
    assert_eq!(course.mode, Mode::TwoProcesses, "{}", case.name);
    course.mode = mode;
    judge.run(&code(if wrong { "True" } else { "False" }), &tests(&case.tests), &limits, course)
}

fn check(judge: &Judge, mode: Mode) {
    for case in cases::read(VANISHING) {
        let control = run(judge, &case, false, mode);
        assert_eq!(control.verdict, Verdict::Passed, "control of {}: {control:?}", case.name);
        let outcome = run(judge, &case, true, mode);
        assert!(is_wrong(&outcome), "{}: {outcome:?}", case.name);
    }
}

#[test]
fn nobody_vanishes_from_two_processes() {
    check(judge(), Mode::TwoProcesses);
}

/// Where scratch directories are folders that the warmed interpreter watches, as in most containers.
#[test]
fn nobody_vanishes_without_namespaces() {
    sandbox_here::or_skip();
    let settings = Settings { without: vec![Layer::Namespaces], workers: 2, ..Settings::default() };
    check(&Judge::open(Sandbox::open(settings).expect("a sandbox")).expect("canaries"), Mode::TwoProcesses);
}

/// The watcher of a scratch directory does not follow its links, and whoever leads it astray has failed.
#[test]
fn a_program_cannot_lead_its_watcher_out() {
    sandbox_here::or_skip();
    let settings = Settings { without: vec![Layer::Namespaces], ..Settings::default() };
    let judge = Judge::open(Sandbox::open(settings).expect("a sandbox")).expect("canaries");
    let flipping = "import os, threading, time
def square(x):
    for i in range(1000): os.mkdir('d%d' % i)
    def flip():
        while True:
            for i in range(1000):
                try:
                    os.rename('d%d' % i, 'e'); os.symlink('/', 'd%d' % i)
                except OSError: pass
            for i in range(1000):
                try:
                    os.unlink('d%d' % i); os.mkdir('d%d' % i)
                except OSError: pass
            try: os.rmdir('e')
            except OSError: pass
    threading.Thread(target=flip, daemon=True).start()
    time.sleep(1)
    os._exit(1)
";
    for _ in 0..4 {
        let outcome = judge.run(&solution(flipping, &["square"]), &tests("square(3)\n"), &limits(), Mode::TwoProcesses);
        assert!(is_wrong(&outcome), "{outcome:?}");
        assert!(outcome.usage.wall < 10.0, "{outcome:?}");
    }
}
