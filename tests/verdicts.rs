//! Verdicts: right solutions pass, and nothing that a wrong one does makes it pass.
//!
//! Every fake has a control: whether it passes where solution and tests are one program whose exit code counts.
//! Slow runs over whole data sets: `cargo test --release --test verdicts -- --ignored --nocapture`.
//! `FAIRMARK_RUNNER=unsafe` takes the runner without layers; `FAIRMARK_SHARED` names the folder of shared data.
#![cfg(unix)]

mod sandbox_here;

#[path = "verdicts/cases.rs"]
mod cases;
#[path = "verdicts/datasets.rs"]
mod datasets;
#[path = "verdicts/fakes.rs"]
mod fakes;
#[path = "verdicts/right.rs"]
mod right;
#[path = "verdicts/vanishing.rs"]
mod vanishing;
#[path = "verdicts/wire.rs"]
mod wire;

use fairmark::sandbox::judge::{Judge, Mode, Outcome, Solution, Tests, Verdict};
use fairmark::sandbox::{Ending, Limits, Program, Runner, Sandbox, Settings};
use std::sync::OnceLock;
use std::time::Duration;

/// The judge of all tests here: opening it has judged its canaries.
fn judge() -> &'static Judge {
    static JUDGE: OnceLock<Judge> = OnceLock::new();
    JUDGE.get_or_init(|| {
        sandbox_here::or_skip();
        let runner = match std::env::var("FAIRMARK_RUNNER").as_deref() {
            Ok("unsafe") => Runner::Unsafe,
            _ => Runner::Own,
        };
        let settings = Settings { workers: 2, runner, ..Settings::default() };
        Judge::open(Sandbox::open(settings).expect("a sandbox")).expect("canaries with the right verdicts")
    })
}

/// Short enough for tests that run into them; the clock leaves room for a busy machine.
fn limits() -> Limits {
    Limits { cpu: Duration::from_secs(2), wall: Duration::from_secs(12), memory: 256 << 20, ..Limits::default() }
}

fn solution(code: &str, entry_points: &[&str]) -> Solution {
    Solution { code: code.to_owned(), entry_points: entry_points.iter().map(|&name| name.to_owned()).collect() }
}

fn tests(code: &str) -> Tests {
    Tests { prelude: String::new(), code: code.to_owned() }
}

fn run(code: &str, entry_points: &[&str], test: &str, mode: Mode) -> Outcome {
    judge().run(&solution(code, entry_points), &tests(test), &limits(), mode)
}

fn run_case(case: &cases::Case, mode: Mode) -> Outcome {
    let solution = Solution { code: case.code.clone(), entry_points: case.entry_points.clone() };
    judge().run(&solution, &tests(&case.tests), &limits(), case.course(mode))
}

/// A verdict against the solution.
fn is_wrong(outcome: &Outcome) -> bool {
    matches!(outcome.verdict, Verdict::Failed { .. } | Verdict::TimedOut | Verdict::OutOfMemory)
}

/// Whether a program of solution and tests ends with exit code 0: what counts as a pass elsewhere.
fn naive(code: &str, test: &str) -> bool {
    let program = Program { code: format!("{code}\n{test}\n"), files: Vec::new() };
    judge().sandbox().run(&program, &limits()).ending == Ending::Exited(0)
}

/// The reason of a failure; panics on another verdict.
fn reason(outcome: Outcome) -> String {
    match outcome.verdict {
        Verdict::Failed { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_failure_says_where_and_why() {
    let outcome = run("def f(x):\n    return x\n", &["f"], "y = 3\nassert f(2) == y, 'two'\n", Mode::TwoProcesses);
    let expected =
        Verdict::Failed { reason: "AssertionError: two".into(), trace: "tests.py:2: assert f(2) == y, 'two'".into() };
    assert_eq!(outcome.verdict, expected);
    assert_eq!(outcome.unportable, None);
    assert!(outcome.usage.cpu > 0.0 && outcome.usage.wall > 0.0);
    for mode in [Mode::TwoProcesses, Mode::OneProcess] {
        let said = reason(run("def f(x)\n", &["f"], "f(1)\n", mode));
        assert!(said.starts_with("SyntaxError"), "{said}");
        let said = reason(run("def g(x):\n    pass\n", &["f"], "f(1)\n", mode));
        assert_eq!(said, "NameError: the solution does not define `f`");
        let said = reason(run("1 / 0\n", &["f"], "f(1)\n", mode));
        assert_eq!(said, "ZeroDivisionError: division by zero");
        let said = reason(run("import os\ndef f(x):\n    os._exit(3)\n", &["f"], "f(1)\n", mode));
        assert!(said.starts_with("the solution ended its process (exit code 3)"), "{said}");
    }
}

#[test]
fn limits_have_verdicts_of_their_own() {
    let short = Limits { cpu: Duration::from_secs(1), wall: Duration::from_secs(4), ..limits() };
    for mode in [Mode::TwoProcesses, Mode::OneProcess] {
        let verdict =
            |code: &str| judge().run(&solution(code, &["f"]), &tests("assert f() == 1\n"), &short, mode).verdict;
        assert_eq!(verdict("def f():\n    while True: pass\n"), Verdict::TimedOut, "{mode:?}");
        assert_eq!(verdict("import time\ndef f():\n    time.sleep(1000)\n"), Verdict::TimedOut, "{mode:?}");
        let hog = "def f():\n    x = []\n    while True: x.append(bytearray(1 << 24))\n";
        assert_eq!(verdict(hog), Verdict::OutOfMemory, "{mode:?}");
        assert_eq!(verdict("while True: pass\n"), Verdict::TimedOut, "{mode:?}");
    }
}

/// Its clock has room for the tests, but nobody waits for the solution longer than asked.
#[test]
fn a_silent_solution_is_waited_for_no_longer_than_asked() {
    let short = Limits { wall: Duration::from_secs(6), ..limits() };
    for code in [
        "import time\ndef f():\n    time.sleep(1000)\n",
        "import os, signal\ndef f():\n    os.kill(os.getpid(), signal.SIGSTOP)\n",
    ] {
        let outcome = judge().run(&solution(code, &["f"]), &tests("f()\n"), &short, Mode::TwoProcesses);
        assert_eq!(outcome.verdict, Verdict::TimedOut);
        assert!(outcome.usage.wall < 11.0, "{outcome:?}");
    }
}

/// Tests that end their own process have found nothing out.
#[test]
fn tests_that_end_early_are_no_pass() {
    let outcome = run("def f():\n    return 1\n", &["f"], "import os\nos._exit(f() - 1)\n", Mode::TwoProcesses);
    assert!(reason(outcome).starts_with("the tests' process ended without a verdict"));
}

#[test]
fn broken_tests_are_no_failure_of_the_solution() {
    for mode in [Mode::TwoProcesses, Mode::OneProcess] {
        let outcome = run("def f():\n    return 1\n", &["f"], "assert f( == 1\n", mode);
        assert!(matches!(outcome.verdict, Verdict::SandboxError { .. }), "{outcome:?}");
    }
    let tests = Tests { prelude: "1 / 0\n".into(), code: "assert f() == 1\n".into() };
    let outcome = judge().run(&solution("def f():\n    return 1\n", &["f"]), &tests, &limits(), Mode::TwoProcesses);
    assert!(matches!(outcome.verdict, Verdict::SandboxError { .. }), "{outcome:?}");
}

#[test]
fn slow_tests_are_not_the_solutions_fault() {
    let short = Limits { cpu: Duration::from_secs(1), wall: Duration::from_secs(60), ..limits() };
    let slow = "import time\nt = time.process_time()\nwhile time.process_time() - t < 1.5: pass\nassert f() == 1\n";
    let outcome = judge().run(&solution("def f():\n    return 1\n", &["f"]), &tests(slow), &short, Mode::TwoProcesses);
    assert_eq!(outcome.verdict, Verdict::Passed);
}

#[test]
fn the_mode_is_the_strongest_in_which_the_reference_passes() {
    let course = |code: &str, test: &str| judge().course_for(&solution(code, &["f"]), &tests(test), &limits());
    let mode = |code: &str, test: &str| course(code, test).map(|course| course.mode);
    assert_eq!(mode("def f(x):\n    return x + 1\n", "assert f(1) == 2\n"), Some(Mode::TwoProcesses));
    // A function as an argument cannot cross.
    let apply = "def f(g, x):\n    return g(x)\n";
    assert_eq!(mode(apply, "assert f(lambda x: x * 2, 4) == 8\n"), Some(Mode::OneProcess));
    assert_eq!(mode("def f(x):\n    return x\n", "assert f(1) == 2\n"), None);
    let outcome = run(apply, &["f"], "assert f(lambda x: x * 2, 4) == 8\n", Mode::TwoProcesses);
    assert_eq!(outcome.unportable.as_deref(), Some("an argument: an object of type function"));
    assert_eq!(run(apply, &["f"], "assert f(lambda x: x * 2, 4) == 8\n", Mode::OneProcess).mode, Mode::OneProcess);
}

#[test]
fn outcomes_have_a_stable_form() {
    let outcome = Outcome {
        verdict: Verdict::Failed { reason: "r".into(), trace: "t".into() },
        mode: Mode::OneProcess,
        unportable: None,
        usage: Default::default(),
    };
    let json = serde_json::to_value(&outcome).expect("json");
    assert_eq!(json["verdict"]["failed"]["reason"], "r");
    assert_eq!(json["mode"], "one-process");
    assert_eq!(serde_json::to_value(Mode::TwoProcesses).expect("json"), "two-processes");
    assert_eq!(serde_json::from_value::<Outcome>(json).expect("an outcome"), outcome);
}

/// A solution draws the same numbers every time, and hashes are the tests' own; what tests draw, it cannot know.
#[test]
fn randomness_is_fixed_and_not_foretold() {
    let code = "import random\nfirst = random.random()\ndef f(x=None):\n    return first, hash('a')\n";
    // random.Random(0).random() in CPython.
    let known = "assert f() == (0.8444218515250481, hash('a'))\n";
    for mode in [Mode::TwoProcesses, Mode::OneProcess] {
        assert_eq!(run(code, &["f"], known, mode).verdict, Verdict::Passed, "{mode:?}");
    }
    let foretelling = "import random\ng = random.Random(0)\ndef f(x):\n    return g.random()\n";
    let test = "import random\nx = random.random()\nassert f(x + 1) == x\n";
    for mode in [Mode::TwoProcesses, Mode::OneProcess] {
        assert_eq!(reason(run(foretelling, &["f"], test, mode)), "AssertionError", "{mode:?}");
    }
}

/// The same secret and tests give the same numbers; other tests or another secret give others.
#[test]
fn what_tests_draw_hangs_on_the_secret_and_the_tests() {
    let drawn = |judge: &Judge, test: &str| {
        let test = format!("import random\n{test}assert False, random.random()\n");
        let outcome = judge.run(&solution("def f(): pass\n", &["f"]), &tests(&test), &limits(), Mode::TwoProcesses);
        reason(outcome)
    };
    let judge_with = |secret: u8| {
        sandbox_here::or_skip();
        Judge::open(Sandbox::open(Settings::default()).expect("a sandbox")).expect("canaries").with_secret([secret; 32])
    };
    let (one, two) = (judge_with(1), judge_with(2));
    assert_eq!(drawn(&one, ""), drawn(&one, ""));
    assert_eq!(drawn(&one, ""), drawn(&judge_with(1), ""));
    assert_ne!(drawn(&one, ""), drawn(&two, ""));
    assert_ne!(drawn(&one, ""), drawn(&one, "pass\n"));
}
