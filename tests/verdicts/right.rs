//! Right solutions, whose data or manners are hard for two processes: all pass.

use super::{Mode, Outcome, Verdict, cases, judge, limits, run, solution, tests};

const RIGHT: &str = include_str!("cases/right.py");

#[test]
fn right_solutions_pass_in_two_processes() {
    for case in cases::read(RIGHT) {
        let outcome = run_right(&case, "");
        assert_eq!(outcome.verdict, Verdict::Passed, "{}: {outcome:?}", case.name);
    }
}

/// A right solution, its own reference, under its tests and more.
fn run_right(case: &cases::Case, more: &str) -> Outcome {
    let names: Vec<&str> = case.entry_points.iter().map(String::as_str).collect();
    let solution = solution(&case.code, &names);
    let course = judge().course_for(&solution, &tests(&case.tests), &limits());
    let course = course.unwrap_or_else(|| panic!("{} does not pass", case.name));
    assert_eq!(course.mode, Mode::TwoProcesses, "{}", case.name);
    judge().run(&solution, &tests(&format!("{}{more}", case.tests)), &limits(), course)
}

#[test]
fn right_solutions_pass_in_one_process() {
    for case in cases::read(RIGHT) {
        let outcome = run_alone(&case);
        assert_eq!(outcome.verdict, Verdict::Passed, "{}: {outcome:?}", case.name);
    }
}

fn run_alone(case: &cases::Case) -> Outcome {
    let names: Vec<&str> = case.entry_points.iter().map(String::as_str).collect();
    judge().run(&solution(&case.code, &names), &tests(&case.tests), &limits(), Mode::OneProcess)
}

/// The same tests can fail: their last line is followed by an assertion that does not hold.
#[test]
fn their_tests_run_to_the_end() {
    for case in cases::read(RIGHT) {
        let outcome = run_right(&case, "\nassert 1 + 1 == 3, 'the end'\n");
        let at_the_end = matches!(&outcome.verdict, Verdict::Failed { reason, .. } if reason.ends_with("the end"));
        assert!(at_the_end, "{}: {outcome:?}", case.name);
    }
}

/// Cost of a call between two processes. A figure, not a gate: machines differ.
#[test]
#[ignore = "prints a figure"]
fn call_cost() {
    let calls = 20_000;
    let test = format!("for i in range({calls}): assert f([i, 2, 3], 'abc') == i + 5\n");
    let outcome = run("def f(a, s):\n    return sum(a)\n", &["f"], &test, Mode::TwoProcesses);
    assert_eq!(outcome.verdict, Verdict::Passed);
    let micros = |seconds: f64| seconds * 1e6 / f64::from(calls);
    let (wall, cpu) = (micros(outcome.usage.wall), micros(outcome.usage.cpu));
    println!("a call takes {wall:.0} us by the clock, {cpu:.0} us of processor time");
}
