//! The judge `code`: answers that are Python programs, under the tests of their document.

use super::workers::{Tell, Workers};
use super::{FindingSink, Judge, JudgeOptions, sandbox_settings, secret};
use crate::engine::Cancel;
use crate::error::{Error, Result};
use crate::judgement::{Case, Finding, JudgeIdentity, Judgement};
use crate::request::Unscored;
use crate::sandbox::judge::{self, Course, Solution, Tests, Verdict};
use crate::sandbox::{Limits, Sandbox};
use fancy_regex::Regex;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// Version of the rules by which verdicts are found; it stands in the key of every finding.
const RULES: &str = "verdicts=2";

/// Processor time of a solution in seconds, where the task names none.
const CPU_SECONDS: u64 = 10;

/// Checks `cpu_seconds` and `memory_mib` where they are numbers and not templates.
pub fn check(args: &[(String, String)]) -> Result<()> {
    let numbers = args.iter().filter(|(_, text)| !text.contains('{'));
    limits(&numbers.map(|(key, text)| (key.clone(), Value::String(text.clone()))).collect()).map(drop)
}

/// The limits that a document's arguments ask for. Wall time is three times the processor time and ten seconds: on a busy machine a
/// program gets its share late.
fn limits(args: &Map<String, Value>) -> Result<Limits> {
    let number = |key: &str, least: u64, most: u64| match args.get(key).and_then(Value::as_str) {
        None => Ok(None),
        Some(text) => text.trim().parse().ok().filter(|n| (least..=most).contains(n)).map(Some).ok_or_else(|| {
            Error::input(format!("`{key}` must be a whole number from {least} to {most}, not `{text}`")).key(key)
        }),
    };
    let cpu = number("cpu_seconds", 1, 3600)?.unwrap_or(CPU_SECONDS);
    let default = Limits::default();
    let memory = number("memory_mib", 16, 1 << 16)?.map_or(default.memory, |mib: u64| mib << 20);
    Ok(Limits { cpu: Duration::from_secs(cpu), wall: Duration::from_secs(3 * cpu + 10), memory, ..default })
}

/// Opens the sandbox and shows by canaries that right programs pass in it and wrong ones do not.
pub fn open(options: &JudgeOptions) -> Result<Box<dyn Judge>> {
    let settings = sandbox_settings(options);
    let workers = settings.workers;
    let (secret, complaint) = secret::of(&options.cache);
    let judge = judge::Judge::open(Sandbox::open(settings)?)?.with_secret(secret);
    let report = judge.report();
    let identity = JudgeIdentity {
        judge: "code".into(),
        name: format!("python {}", report.python),
        sha256: None,
        options: vec![RULES.into()],
    };
    Ok(Box::new(CodeJudge { judge, identity, workers, courses: Mutex::default(), complaint }))
}

/// How solutions are judged after their reference was, found once.
type CourseCell = std::sync::Arc<OnceLock<Option<Course>>>;

struct CodeJudge {
    judge: judge::Judge,
    identity: JudgeIdentity,
    workers: usize,
    courses: Mutex<HashMap<String, CourseCell>>,
    /// What is to be said of the secret.
    complaint: Option<String>,
}

impl Judge for CodeJudge {
    fn identity(&self) -> &JudgeIdentity {
        &self.identity
    }

    fn judge(&self, cases: &[Case], cancel: &Cancel, sink: &mut FindingSink<'_>) -> Result<()> {
        let cases: Vec<(usize, &Case)> = cases.iter().enumerate().collect();
        let interrupt = || self.judge.sandbox().interrupt();
        let workers = Workers { number: self.workers, interrupt: &interrupt, cancel };
        let work = |(index, case): &(usize, &Case), tell: &Tell<'_>| {
            tell(*index, self.finding(case));
        };
        workers.share(&cases, work, sink)
    }

    fn environment(&self) -> Value {
        serde_json::to_value(self.judge.report()).unwrap_or_default()
    }

    fn notices(&self) -> Vec<String> {
        let sandbox = format!("programs run in: {}", self.judge.report().summary());
        std::iter::once(sandbox).chain(self.complaint.clone()).collect()
    }
}

impl CodeJudge {
    fn finding(&self, case: &Case) -> Finding {
        let text = |name: &str| case.args.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let limits = limits(&case.args).map_err(|err| Unscored::new(err.message()))?;
        let tests = Tests { prelude: text("prelude"), code: text("tests") };
        let reference = text("reference");
        let entry_points = match text("entry_points") {
            names if names.trim().is_empty() => mentioned(&reference, &tests.code),
            names => names.split([',', ' ', '\n']).filter(|name| !name.is_empty()).map(str::to_owned).collect(),
        };
        if entry_points.is_empty() {
            return Err(Unscored::new("the tests call nothing that the reference solution defines"));
        }
        let reference = Solution { code: reference, entry_points: entry_points.clone() };
        let Some(course) = self.course(&reference, &tests, &limits) else {
            return Err(Unscored::new("the reference solution does not pass its own tests here"));
        };
        let solution = Solution { code: text("prefix") + &case.answer, entry_points };
        let outcome = self.judge.run(&solution, &tests, &limits, course);
        let mut detail = Map::new();
        let (value, verdict, reason) = match outcome.verdict {
            Verdict::Passed => (1.0, "passed", None),
            Verdict::Failed { reason, trace } => {
                if !trace.is_empty() {
                    detail.insert("trace".into(), json!(trace));
                }
                (0.0, "failed", Some(reason))
            }
            Verdict::TimedOut => (0.0, "timed out", None),
            Verdict::OutOfMemory => (0.0, "out of memory", None),
            Verdict::SandboxError { reason } => return Err(Unscored::new(format!("the sandbox failed: {reason}"))),
        };
        detail.insert("verdict".into(), json!(verdict));
        if let Some(reason) = reason {
            detail.insert("reason".into(), json!(reason));
        }
        detail.insert("mode".into(), serde_json::to_value(outcome.mode).unwrap_or_default());
        Ok(Judgement { value, detail })
    }

    /// Found by running the reference, once for all answers to one document; others wait meanwhile.
    fn course(&self, reference: &Solution, tests: &Tests, limits: &Limits) -> Option<Course> {
        let key = format!("{}\0{}\0{}\0{limits:?}", reference.code, tests.prelude, tests.code);
        let cell = self.courses.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default().clone();
        cell.get_or_init(|| self.judge.course_for(reference, tests, limits)).clone()
    }
}

/// Names that the reference defines at its top level and the tests mention, in the order of the reference.
fn mentioned(reference: &str, tests: &str) -> Vec<String> {
    static DEFINED: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(?m)^(?:async[ \t]+def|def|class)[ \t]+(\w+)|^(\w+)[ \t]*=[ \t]*lambda\b").ok());
    static NAME: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\b[^\W\d]\w*\b").ok());
    let (Some(defined), Some(name)) = (&*DEFINED, &*NAME) else { return Vec::new() };
    let called: Vec<&str> = name.find_iter(tests).flatten().map(|found| found.as_str()).collect();
    let mut names: Vec<String> = Vec::new();
    for captures in defined.captures_iter(reference).flatten() {
        if let Some(found) = captures.get(1).or_else(|| captures.get(2)) {
            let found = found.as_str();
            if called.contains(&found) && !names.iter().any(|known| known == found) {
                names.push(found.to_owned());
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entry_points_are_what_the_tests_mention() {
        let reference = "import re\r\nLIMIT = 3\ntwice = lambda x: 2 * x\ndef helper(x):\n    def inner(): pass\ndef solve(a):\n    solve2 = 1\nclass Pair: pass\n";
        assert_eq!(mentioned(reference, "assert solve(Pair(1, 2)) == [3]\nassert solve(1)"), ["solve", "Pair"]);
        assert_eq!(mentioned(reference, "assert inner() == twice(LIMIT)"), ["twice"]);
        assert!(mentioned(reference, "assert resolve(1)").is_empty());
    }

    #[test]
    fn limits_are_checked() {
        let pair = |key: &str, value: &str| vec![(key.to_owned(), value.to_owned())];
        let args = json!({"cpu_seconds": " 60\n", "memory_mib": "64"}).as_object().cloned().unwrap();
        let found = limits(&args).unwrap();
        assert_eq!((found.cpu, found.memory), (Duration::from_secs(60), 64 << 20));
        assert!(found.wall > found.cpu);
        for (key, bad) in [("cpu_seconds", "0"), ("cpu_seconds", "nine"), ("memory_mib", "1.5")] {
            let err = check(&pair(key, bad)).unwrap_err().to_string();
            assert!(err.contains("must be a whole number from"), "{err}");
        }
        assert!(check(&pair("cpu_seconds", "{{60 if slow else 10}}")).is_ok(), "found with the document");
    }
}
