//! Reference solutions of HumanEval and MBPP, and wrong ones made of them. Needs the shared data; skipped without.

use super::{Mode, Solution, Tests, Verdict, judge};
use fairmark::sandbox::Limits;
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Takes seconds of processor time (28 on slow machines), where others take milliseconds.
const SLOW: &str = "mbpp/123";

struct Problem {
    id: String,
    solution: Solution,
    tests: Tests,
}

/// The rows of a data set, or nothing with a word about it.
fn rows(name: &str) -> Vec<Value> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let shared = std::env::var_os("FAIRMARK_SHARED").map_or(beside, PathBuf::from);
    let path = shared.join("datasets").join(name).join("test.jsonl");
    match std::fs::read_to_string(&path) {
        Ok(text) => text.lines().map(|line| serde_json::from_str(line).expect("json")).collect(),
        Err(_) => {
            crate::sandbox_here::say(&format!("skipped: no {} (set FAIRMARK_SHARED)", path.display()));
            Vec::new()
        }
    }
}

fn text(row: &Value, key: &str) -> String {
    row[key].as_str().expect("a text").replace("\r\n", "\n")
}

fn humaneval() -> Vec<Problem> {
    let problem = |row: Value| {
        let (prompt, entry_point) = (text(&row, "prompt"), text(&row, "entry_point"));
        Problem {
            id: text(&row, "task_id"),
            tests: Tests { code: format!("{}\ncheck({entry_point})", text(&row, "test")), prelude: prompt.clone() },
            solution: Solution { code: prompt + &text(&row, "canonical_solution"), entry_points: vec![entry_point] },
        }
    };
    rows("humaneval").into_iter().map(problem).collect()
}

fn mbpp() -> Vec<Problem> {
    let problem = |row: Value| {
        let code = text(&row, "code");
        let asserts = row["test_list"].as_array().expect("a list").iter().map(|t| t.as_str().expect("a text"));
        let tests = [text(&row, "test_setup_code")].into_iter().chain(asserts.map(str::to_owned));
        let tests = tests.collect::<Vec<_>>().join("\n");
        let entry_points = defined(&code).into_iter().filter(|name| mentions(&tests, name)).collect();
        Problem {
            id: format!("mbpp/{}", row["task_id"]),
            solution: Solution { code, entry_points },
            tests: Tests { prelude: String::new(), code: tests },
        }
    };
    rows("mbpp").into_iter().map(problem).collect()
}

/// Names of the top-level functions and classes of the code, each once.
fn defined(code: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for line in code.lines() {
        let Some(rest) = line.strip_prefix("def ").or_else(|| line.strip_prefix("class ")) else { continue };
        let name: String = rest.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Whether the name stands in the code as a word.
fn mentions(code: &str, name: &str) -> bool {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == name)
}

fn limits(id: &str) -> Limits {
    let cpu = Duration::from_secs(if id == SLOW { 120 } else { 10 });
    Limits { cpu, wall: cpu * 5, ..Limits::default() }
}

/// The same code, with a wrong ending: the entry points are wrapped so that no answer can be right.
///
/// A fresh object equals nothing, and these tests look at answers only, so no wrong one is right by accident.
fn wrong(problem: &Problem) -> Vec<(&'static str, Solution)> {
    let wraps = [
        ("a fresh object", "lambda *a, **k: object()"),
        ("an exception", "lambda *a, **k: {}['wrong']"),
        ("an early exit", "lambda *a, **k: __import__('os')._exit(0)"),
        ("a lie", "lambda *a, **k: type('L', (int,), {'__eq__': lambda s, o: True, '__ne__': lambda s, o: False})()"),
        ("an altered answer", "(lambda f: lambda *a, **k: ('altered', f(*a, **k)))({name})"),
        ("a quiet exit", "lambda *a, **k: __import__('sys').exit(0)"),
    ];
    let made = wraps.iter().map(|(what, wrap)| {
        let mut solution = problem.solution.clone();
        for name in &problem.solution.entry_points {
            solution.code += &format!("\n{name} = {}\n", wrap.replace("{name}", name));
        }
        (*what, solution)
    });
    made.collect()
}

/// Judges on two threads; gives what has another verdict than a pass, and prints the cost.
fn passes(what: &str, jobs: &[(String, Solution, Tests)], mode: Mode) -> Vec<String> {
    let (next, passed, cpu) = (AtomicUsize::new(0), Mutex::new(Vec::new()), Mutex::new(0.0));
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((id, solution, tests)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let limits = limits(id.split(' ').next().unwrap_or_default());
                    let outcome = judge().run(solution, tests, &limits, mode);
                    *cpu.lock().expect("no panic") += outcome.usage.cpu;
                    match outcome.verdict {
                        Verdict::Passed => passed.lock().expect("no panic").push(id.clone()),
                        Verdict::SandboxError { reason } => panic!("{id}: {reason}"),
                        _ => (),
                    }
                }
            });
        }
    });
    let (passed, cpu) = (passed.into_inner().expect("no panic"), cpu.into_inner().expect("no panic"));
    let wall = start.elapsed().as_secs_f64();
    println!("{what}, {mode:?}: {} of {} pass, {cpu:.1} s of processor time, {wall:.1} s", passed.len(), jobs.len());
    passed
}

fn references(problems: &[Problem]) -> Vec<(String, Solution, Tests)> {
    problems.iter().map(|p| (p.id.clone(), p.solution.clone(), p.tests.clone())).collect()
}

fn mutants(problems: &[Problem]) -> Vec<(String, Solution, Tests)> {
    let of = |p: &Problem| {
        let made = wrong(p).into_iter();
        made.map(|(what, solution)| (format!("{} {what}", p.id), solution, p.tests.clone())).collect::<Vec<_>>()
    };
    problems.iter().flat_map(of).collect()
}

/// What did not pass.
fn missing(jobs: &[(String, Solution, Tests)], passed: &[String]) -> Vec<String> {
    jobs.iter().map(|(id, ..)| id.clone()).filter(|id| !passed.contains(id)).collect()
}

/// Every `step`th problem, and those that are odd: helpers of the prompt, objects as arguments, counters.
fn some(step: usize) -> Vec<Problem> {
    let odd = ["HumanEval/32", "HumanEval/38", "HumanEval/50", "mbpp/367", "mbpp/40", "mbpp/88"];
    let all = humaneval().into_iter().chain(mbpp()).enumerate();
    let chosen = all.filter(|(n, p)| (n % step == 0 || odd.contains(&p.id.as_str())) && p.id != SLOW);
    chosen.map(|(_, p)| p).collect()
}

#[test]
fn some_references_pass_and_some_mutants_do_not() {
    let (right, wrong) = (references(&some(12)), mutants(&some(60)));
    assert_eq!(missing(&right, &passes("some references", &right, Mode::TwoProcesses)), Vec::<String>::new());
    assert_eq!(passes("some mutants", &wrong, Mode::TwoProcesses), Vec::<String>::new());
}

#[test]
#[ignore = "half a minute: all references"]
fn all_references_pass() {
    for (what, problems) in [("HumanEval", humaneval()), ("MBPP without 123", mbpp())] {
        let right = references(&problems);
        let right: Vec<_> = right.into_iter().filter(|(id, ..)| id != SLOW).collect();
        for mode in [Mode::TwoProcesses, Mode::OneProcess] {
            assert_eq!(missing(&right, &passes(what, &right, mode)), Vec::<String>::new());
        }
    }
}

#[test]
#[ignore = "seconds to half a minute: one reference"]
fn the_slow_reference_passes() {
    let slow: Vec<_> = references(&mbpp()).into_iter().filter(|(id, ..)| id == SLOW).collect();
    assert_eq!(missing(&slow, &passes("MBPP 123", &slow, Mode::TwoProcesses)), Vec::<String>::new());
}

#[test]
#[ignore = "minutes: six wrong solutions for each problem"]
fn no_mutant_passes() {
    let problems: Vec<_> = humaneval().into_iter().chain(mbpp()).filter(|p| p.id != SLOW).collect();
    assert_eq!(passes("all mutants", &mutants(&problems), Mode::TwoProcesses), Vec::<String>::new());
}

/// One-process mode stops the same mutants: their lies are of the kinds that it can tell.
#[test]
#[ignore = "minutes: six wrong solutions for each problem"]
fn no_mutant_passes_in_one_process() {
    let problems: Vec<_> = humaneval().into_iter().chain(mbpp()).filter(|p| p.id != SLOW).collect();
    assert_eq!(passes("all mutants", &mutants(&problems), Mode::OneProcess), Vec::<String>::new());
}
