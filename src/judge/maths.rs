//! The judge `math`: whether the answer of a worked solution is the right one, as formulas and not as texts.
//!
//! Texts that are equal after normalisation are decided at once, numbers and simple expressions by exact arithmetic, the rest by sympy in
//! the sandbox, where both can be had. Which of these decided stands with every finding (`tier`).

use super::workers::{Tell, Workers};
use super::{FindingSink, Judge, JudgeOptions, sandbox_settings};
use crate::engine::Cancel;
use crate::error::{Error, Result};
use crate::judgement::{Case, Finding, JudgeIdentity, Judgement};
use crate::maths::symbolic::{self, Pair, Run};
use crate::maths::{Tier, decide, exact, minerva_answer, minerva_gold, normalize_final_answer};
use crate::request::Unscored;
use crate::sandbox::{Ending, Layer, Limits, Packages, Program, Sandbox, Settings, ask_python};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::cell::RefCell;
use std::path::PathBuf;
use std::time::Duration;

/// Pairs that one process judges: importing sympy takes about as long as ten pairs do.
const BATCH: usize = 32;

/// The time of a pair, with some for what comes before and after it.
const PAIR_SECONDS: u64 = 9;
const START_SECONDS: u64 = 30;

/// How long a Python may take to import sympy, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(120);

/// The file that holds a batch.
const INPUT: &str = "pairs.jsonl";

/// Prints where sympy and what it needs lie. Run outside of the sandbox: it is the user's own Python, in isolated mode.
const QUESTION: &str = r#"
import json, os
import antlr4, mpmath, sympy, sympy.parsing.latex
from sympy.parsing.latex import parse_latex
parse_latex("1")
folders = {os.path.dirname(os.path.dirname(os.path.abspath(m.__file__))) for m in (antlr4, mpmath, sympy)}
print(json.dumps({"version": sympy.__version__, "folders": sorted(folders)}))
"#;

/// Opens the judge; without sympy or without a sandbox it goes as far as exact arithmetic does, and says so.
pub fn open(options: &JudgeOptions) -> Result<Box<dyn Judge>> {
    let symbolic = Symbolic::open(options);
    let name = match &symbolic {
        Ok(symbolic) => format!("text, exact, sympy {}", symbolic.version),
        Err(_) => "text, exact".to_owned(),
    };
    let identity = JudgeIdentity { judge: "math".into(), name, sha256: None, options: Vec::new() };
    Ok(Box::new(MathJudge { symbolic, identity }))
}

struct MathJudge {
    /// Or why it cannot be had.
    symbolic: Result<Symbolic>,
    identity: JudgeIdentity,
}

/// sympy in the sandbox.
struct Symbolic {
    sandbox: Sandbox,
    workers: usize,
    version: String,
    program: String,
}

#[derive(Deserialize)]
struct Installed {
    version: String,
    folders: Vec<PathBuf>,
}

/// An undecided pair of answers, and whose it is.
struct Open {
    index: usize,
    answer: String,
    gold: String,
}

impl Judge for MathJudge {
    fn identity(&self) -> &JudgeIdentity {
        &self.identity
    }

    fn judge(&self, cases: &[Case], cancel: &Cancel, sink: &mut FindingSink<'_>) -> Result<()> {
        let mut open = Vec::new();
        for (index, case) in cases.iter().enumerate() {
            match self.first_tiers(case) {
                Ok(finding) => sink(index, finding)?,
                Err((answer, gold)) => open.push(Open { index, answer, gold }),
            }
        }
        match &self.symbolic {
            Ok(symbolic) => symbolic.judge(&open, cancel, sink),
            Err(_) => open.iter().try_for_each(|pair| sink(pair.index, Ok(undecided(pair, None)))),
        }
    }

    fn environment(&self) -> Value {
        match &self.symbolic {
            Ok(symbolic) => json!({"sympy": symbolic.version, "sandbox": symbolic.sandbox.report()}),
            Err(err) => json!({"sympy": null, "reason": err.one_line()}),
        }
    }

    fn notices(&self) -> Vec<String> {
        match &self.symbolic {
            Ok(symbolic) => vec![format!("answers are compared by text, exactly, then by sympy {}", symbolic.version)],
            Err(err) => vec![format!(
                "answers are compared by text and exactly only, and what that leaves open counts as wrong: {}",
                err.one_line()
            )],
        }
    }
}

impl MathJudge {
    /// The finding, where text or exact arithmetic decides; else the pair. Before sympy, arithmetic decides only what sympy would decide so.
    fn first_tiers(&self, case: &Case) -> std::result::Result<Finding, (String, String)> {
        let solution = case.args.get("solution").and_then(Value::as_str).unwrap_or_default();
        let gold = match minerva_gold(solution) {
            Ok(gold) => gold,
            Err(err) => return Ok(Err(Unscored::new(format!("the right answer cannot be read: {err}")))),
        };
        let answer = normalize_final_answer(&minerva_answer(&case.answer));
        let arithmetic = if self.symbolic.is_ok() { exact::scalar } else { exact };
        match decide(&answer, &gold, arithmetic) {
            Some((equal, tier)) => Ok(Ok(judgement(&answer, equal, tier, None))),
            None => Err((answer, gold)),
        }
    }
}

fn judgement(answer: &str, equal: bool, tier: Tier, reason: Option<String>) -> Judgement {
    let mut detail = Map::from_iter([("answer".to_owned(), json!(answer)), ("tier".to_owned(), json!(tier.name()))]);
    if let Some(reason) = reason {
        detail.insert("reason".into(), json!(reason));
    }
    Judgement { value: f64::from(u8::from(equal)), detail }
}

/// What nothing decides counts as wrong, as an answer that cannot be read does in the reference.
fn undecided(pair: &Open, reason: Option<String>) -> Judgement {
    judgement(&pair.answer, false, Tier::Undecided, reason)
}

impl Symbolic {
    fn open(options: &JudgeOptions) -> Result<Symbolic> {
        let python = options.python.clone().unwrap_or_else(|| PathBuf::from("python3"));
        let said = ask_python(&python, QUESTION, Packages::With, PATIENCE)
            .map_err(|e| Error::io("cannot start Python", &python, e))?;
        let [output, complaint] = said.ok_or_else(|| {
            Error::input(format!("this Python does not import sympy within {PATIENCE:?}")).file(&python)
        })?;
        let installed: Installed = serde_json::from_slice(&output).map_err(|_| {
            let said = String::from_utf8_lossy(&complaint);
            let last = said.lines().last().unwrap_or("it says nothing").to_owned();
            Error::input(format!("this Python has no sympy that reads LaTeX: {last}"))
                .file(&python)
                .hint("install `sympy` and `antlr4-python3-runtime==4.11` for it")
        })?;
        // The program is ours and only its input is not: it may keep a user id that can read the packages.
        let (reads, without) = (installed.folders.clone(), vec![Layer::UidDrop]);
        let settings = Settings { reads, without, ..sandbox_settings(options) };
        let workers = settings.workers;
        let sandbox = Sandbox::open(settings)?;
        let paths = json!(installed.folders);
        let program =
            format!("import sys\nsys.path.extend({paths})\nsys.argv[1:] = [{INPUT:?}]\n{}", symbolic::PROGRAM);
        Ok(Symbolic { sandbox, workers, version: installed.version, program })
    }

    fn judge(&self, open: &[Open], cancel: &Cancel, sink: &mut FindingSink<'_>) -> Result<()> {
        let batches: Vec<&[Open]> = open.chunks(BATCH).collect();
        let interrupt = || self.sandbox.interrupt();
        let workers = Workers { number: self.workers, interrupt: &interrupt, cancel };
        workers.share(&batches, |batch, tell| self.batch(batch, tell), sink)
    }

    /// Judges pairs in as many processes as it takes.
    fn batch(&self, open: &[Open], tell: &Tell<'_>) {
        let pairs: Vec<Pair> = open.iter().map(|pair| (pair.answer.clone(), pair.gold.clone())).collect();
        // Says nothing about the pair at which it happened: no finding, and so asked again.
        let failed = RefCell::new(None);
        let run = |pairs: &[Pair]| {
            let cpu = Duration::from_secs(PAIR_SECONDS * pairs.len() as u64 + START_SECONDS);
            let limits = Limits { cpu, wall: cpu * 3, output: 1 << 20, ..Limits::default() };
            let files = vec![(INPUT.to_owned(), symbolic::input(pairs).into_bytes())];
            let outcome = self.sandbox.run(&Program { code: self.program.clone(), files }, &limits);
            if let Ending::SandboxFailed(reason) = &outcome.ending {
                *failed.borrow_mut() = Some(reason.clone());
            }
            let broken_off = (outcome.ending != Ending::Exited(0)).then(|| format!("{:?}", outcome.ending));
            Run { output: outcome.stdout, broken_off }
        };
        symbolic::judge_all(&pairs, &run, &mut |index, verdict| {
            let Some(pair) = open.get(index) else { return false };
            let finding = match verdict {
                Ok(verdict) => Ok(judgement(&pair.answer, verdict.equal, Tier::Symbolic, verdict.reason)),
                Err(reason) => match failed.take() {
                    Some(failure) => Err(Unscored::new(format!("the sandbox failed: {failure}"))),
                    None => Ok(undecided(pair, Some(reason))),
                },
            };
            tell(pair.index, finding)
        });
    }
}
