//! Judges answers that no comparison of texts can score: runs programs, asks classifiers, compares formulas.
//!
//! Comes in: [`Case`]s. Goes out: [`Finding`]s, each as soon as it exists. Never: knows benchmarks, aggregates, makes a value of a
//! failure. What a judge needs (an interpreter, a sandbox, weights) is opened before a model is loaded; where it is missing, the tasks
//! that need it are not run, and the run says why.

mod code;
mod kept;
mod maths;
mod secret;
#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;
mod toxicity;
mod workers;

use crate::engine::cache::CacheOptions;
use crate::engine::{Cancel, EngineOptions};
use crate::error::{Error, Result, nearest};
use crate::judgement::{Case, Finding, JudgeIdentity, Judgement};
use crate::sandbox::{Runner, Settings};
use crate::task::{JudgeSpec, Node, Task};
use kept::KeptJudge;
use serde_json::Value;
use std::path::PathBuf;

/// Takes findings by the index of their case.
pub type FindingSink<'a> = dyn FnMut(usize, Finding) -> Result<()> + 'a;

/// Judges cases.
pub trait Judge {
    fn identity(&self) -> &JudgeIdentity;

    /// Judges all cases, in whatever order suits, and hands over every finding as soon as it exists. When `cancel` is set it stops, and
    /// the rest has no finding.
    ///
    /// Errors: those of `sink`, and what makes all further judging senseless.
    fn judge(&self, cases: &[Case], cancel: &Cancel, sink: &mut FindingSink<'_>) -> Result<()>;

    /// How it works on this machine, for the results file; null: nothing to tell.
    fn environment(&self) -> Value {
        Value::Null
    }

    /// What the user should know before it works.
    fn notices(&self) -> Vec<String> {
        Vec::new()
    }
}

/// How judges are opened.
#[derive(Debug, Clone)]
pub struct JudgeOptions {
    /// What programs are run in.
    pub runner: Runner,
    /// Python; `None`: `python3` of the search path.
    pub python: Option<PathBuf>,
    /// Programs at a time, 0: one for each core.
    pub workers: usize,
    /// The response cache, which keeps findings as well.
    pub cache: CacheOptions,
    /// The address of the toxicity scorer.
    pub toxicity_scorer: String,
    /// For judges that are language models, and for what is fetched.
    pub engine: EngineOptions,
}

/// What a judge with nothing but texts for arguments checks: nothing.
fn any(_: &[(String, String)]) -> Result<()> {
    Ok(())
}

/// A judge.
pub struct JudgeRow {
    pub name: &'static str,
    /// Arguments: templates over the document.
    pub args: &'static [&'static str],
    pub required: &'static [&'static str],
    /// The least and greatest value that it gives.
    pub range: (f64, f64),
    /// Whether the user chooses who judges, so that it stands in the run's spec.
    pub chosen: bool,
    pub doc: &'static str,
    /// Checks arguments that are no templates.
    pub check: fn(&[(String, String)]) -> Result<()>,
    pub open: fn(&JudgeOptions) -> Result<Box<dyn Judge>>,
}

impl JudgeRow {
    /// Whether this judge can have found that: a journal or cache that says otherwise was rewritten. Judges that the user does not choose
    /// say yes or no.
    pub fn could_find(&self, judgement: &Judgement) -> bool {
        let (least, most) = self.range;
        let value = judgement.value;
        let in_range = (least..=most).contains(&value) && (self.chosen || value == least || value == most);
        match judgement.detail.get("verdict") {
            // Programs pass or do not.
            Some(verdict) => in_range && value == f64::from(u8::from(verdict == "passed")),
            None => in_range && (self.chosen || self.name != "code"),
        }
    }
}

/// All judges.
pub const JUDGES: &[JudgeRow] = &[
    JudgeRow {
        name: "code",
        args: &["prefix", "prelude", "tests", "reference", "entry_points", "cpu_seconds", "memory_mib"],
        required: &["tests", "reference"],
        range: (0.0, 1.0),
        chosen: false,
        doc: "runs prefix and answer as a Python program under the tests, in a sandbox; 1 when all pass",
        check: code::check,
        open: code::open,
    },
    JudgeRow {
        name: "math",
        args: &["solution"],
        required: &["solution"],
        range: (0.0, 1.0),
        chosen: false,
        doc: "compares the final answer with that of a solution: by text, exactly, by sympy; 1 when they are equal",
        check: any,
        open: maths::open,
    },
    JudgeRow {
        name: "toxicity",
        args: &["prefix"],
        required: &[],
        range: (0.0, 1.0),
        chosen: true,
        doc: "how toxic the answer (after `prefix`) is, by the scorer that `--toxicity-scorer` names",
        check: any,
        open: toxicity::open,
    },
];

/// The sandbox that the options ask for.
fn sandbox_settings(options: &JudgeOptions) -> Settings {
    let workers = match options.workers {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        workers => workers,
    };
    Settings { workers, interpreter: options.python.clone(), runner: options.runner.clone(), ..Settings::default() }
}

/// Scores texts by the toxicity scorer that the options name: who scored, and a score or a reason for each text.
pub fn toxicity_scores(
    options: &JudgeOptions,
    texts: &[&str],
    cancel: &Cancel,
) -> Result<(JudgeIdentity, Vec<std::result::Result<f64, String>>)> {
    let judge = toxicity::open(options)?;
    let case = |text: &&str| Case { answer: text.to_string(), args: Default::default() };
    let cases: Vec<Case> = texts.iter().map(case).collect();
    let mut scores = vec![Err("not scored".to_owned()); cases.len()];
    judge.judge(&cases, cancel, &mut |index, finding| {
        if let Some(slot) = scores.get_mut(index) {
            *slot = finding.map(|judgement| judgement.value).map_err(|unscored| unscored.reason);
        }
        Ok(())
    })?;
    Ok((judge.identity().clone(), scores))
}

/// The scorer that is a language model, as `fairmark ls scorers` lists it: form and description.
pub const LLM_SCORER: [&str; 2] =
    ["judge:MODEL", "a language model, as `--model` takes it, under a fixed rubric: texts are shown to it"];

/// The judge of this name.
pub fn judge(name: &str) -> Option<&'static JudgeRow> {
    JUDGES.iter().find(|row| row.name == name)
}

/// Checks that a task's judge exists, has the arguments that it needs and no others, and that their values can be used.
pub fn check_spec(spec: &JudgeSpec) -> Result<()> {
    let names = || JUDGES.iter().map(|row| row.name);
    let row = judge(&spec.function).ok_or_else(|| unknown("judge", &spec.function, names()))?;
    for (key, known) in spec.args.iter().map(|(key, _)| (key, row.args)) {
        if !known.contains(&key.as_str()) {
            return Err(unknown(&format!("argument of the judge `{}`", row.name), key, known.iter().copied()));
        }
    }
    if let Some(missing) = row.required.iter().find(|name| !spec.args.iter().any(|(key, _)| key == *name)) {
        return Err(Error::input(format!("the judge `{}` needs `{missing}`", row.name)).key(*missing));
    }
    (row.check)(&spec.args)
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str> + Clone) -> Error {
    let err = Error::input(format!("unknown {what} `{name}`"));
    match nearest(name, known.clone()) {
        Some(near) => err.hint(format!("did you mean `{near}`?")),
        None => err.hint(format!("known: {}", known.collect::<Vec<_>>().join(", "))),
    }
}

/// The judges that some tasks need, each open or with the reason why it is not.
#[derive(Default)]
pub struct Judges(Vec<(&'static JudgeRow, Result<Box<dyn Judge>>)>);

impl Judges {
    /// Opens what the tasks under `nodes` need. A judge that cannot be opened is no error here: see [`Judges::missing`].
    pub fn open(nodes: &[Node], options: &JudgeOptions) -> Judges {
        let tasks: Vec<_> = nodes.iter().flat_map(Node::tasks).collect();
        let needed = |row: &&JudgeRow| tasks.iter().any(|task| needs(task, row));
        let open = |row: &JudgeRow| (row.open)(options).and_then(|judge| KeptJudge::wrap(judge, &options.cache));
        Judges(JUDGES.iter().filter(needed).map(|row| (row, open(row))).collect())
    }

    /// The judge of a task, where it has one and that is open.
    pub fn of(&self, task: &Task) -> Option<&dyn Judge> {
        let (_, judge) = self.0.iter().find(|(row, _)| needs(task, row))?;
        judge.as_ref().ok().map(Box::as_ref)
    }

    /// Why a task cannot be judged.
    pub fn missing(&self, task: &Task) -> Option<&Error> {
        let (_, judge) = self.0.iter().find(|(row, _)| needs(task, row))?;
        judge.as_ref().err()
    }

    /// Those that are open.
    pub fn all(&self) -> impl Iterator<Item = (&'static JudgeRow, &dyn Judge)> {
        self.0.iter().filter_map(|(row, judge)| Some((*row, judge.as_ref().ok()?.as_ref())))
    }
}

fn needs(task: &Task, row: &JudgeRow) -> bool {
    task.judge.as_ref().is_some_and(|spec| spec.function == row.name)
}
