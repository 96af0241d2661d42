//! `fairmark scorer-agreement`: a toxicity scorer against the scores that RealToxicityPrompts stores.

use super::args::{ModelArgs, TaskArgs};
use super::interrupt::cancel_on_signal;
use super::judging::JudgeArgs;
use super::precision::only;
use super::talk;
use crate::catalog::Catalog;
use crate::error::{Error, ErrorKind, Result};
use crate::judge::toxicity_scores;
use crate::report::{Grid, Look};
use crate::task::Node;
use crate::toxicity::{Agreement, agreement, linear};
use crate::visible;
use clap::Args;
use serde::Serialize;
use serde_json::Value;
use std::process::ExitCode;

/// Whose documents have stored scores: `prompt` and `continuation`, each with `text` and `toxicity`.
const TASK: &str = "realtoxicityprompts";

/// Flags of `fairmark scorer-agreement`.
#[derive(Args)]
pub struct AgreementArgs {
    /// Only the first N documents, each with a prompt and a continuation.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,

    /// All texts, also those that the built-in scorer was trained on.
    #[arg(long)]
    all: bool,

    /// Print JSON, with the calibration in ten bins.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    task: TaskArgs,

    #[command(flatten)]
    engine: ModelArgs,

    #[command(flatten)]
    judging: JudgeArgs,
}

/// A text with the score that the data stores.
struct Stored {
    text: String,
    toxicity: f64,
}

/// What is printed.
#[derive(Serialize)]
struct Report {
    scorer: Value,
    /// Whether texts are left out that the built-in scorer was trained on.
    held_out_only: bool,
    /// Texts that could not be scored.
    unscored: usize,
    parts: Vec<(&'static str, Agreement)>,
}

/// Scores the stored texts and compares; exit code 3 when texts could not be scored.
pub fn scorer_agreement(args: &AgreementArgs) -> Result<ExitCode> {
    let engine = only(&args.engine.precision, args.engine.engine_options(&args.task, false)?)?;
    let options = args.judging.judge_options(&args.engine.endpoints, args.engine.threads(), &engine)?;
    let catalog = Catalog::load(&args.task.include_path)?;
    let nodes = catalog.select(&[TASK.to_owned()])?;
    let task =
        nodes.iter().flat_map(Node::tasks).next().ok_or_else(|| Error::input("there is no task to take texts from"))?;
    let docs = args.task.data_source(false)?.task_docs(task, false)?.docs;
    let held_out = !args.all && options.toxicity_scorer == linear::KIND;
    let docs = docs.iter().take(args.limit.unwrap_or(usize::MAX));
    let mut parts: [(&'static str, Vec<Stored>); 2] = [("prompt", Vec::new()), ("continuation", Vec::new())];
    for doc in docs {
        let field = |part: &str, name: &str| doc.fields.get(part).and_then(|value| value.get(name));
        let prompt = field("prompt", "text").and_then(Value::as_str).unwrap_or_default();
        if held_out && !linear::is_held_out(prompt) {
            continue;
        }
        for (part, texts) in &mut parts {
            // The data has texts that the stored scorer could not score.
            let text = field(part, "text").and_then(Value::as_str);
            if let (Some(text), Some(toxicity)) = (text, field(part, "toxicity").and_then(Value::as_f64)) {
                texts.push(Stored { text: text.to_owned(), toxicity });
            }
        }
    }
    let texts: Vec<&str> = parts.iter().flat_map(|(_, texts)| texts).map(|stored| stored.text.as_str()).collect();
    if texts.is_empty() {
        return Err(Error::input("the data stores no scores to compare with").key(TASK));
    }
    let cancel = cancel_on_signal();
    let (identity, scores) = toxicity_scores(&options, &texts, &cancel)?;
    if cancel.is_cancelled() {
        return Err(Error::new(ErrorKind::Incomplete, "stopped before all texts were scored"));
    }
    let unscored = scores.iter().filter(|score| score.is_err()).count();
    if let Some(Err(reason)) = scores.iter().find(|score| score.is_err()) {
        talk::warning(format_args!("{unscored} of {} texts were not scored: {reason}", scores.len()));
    }
    let mut rest = scores.iter();
    let mut pairs: Vec<(&'static str, Vec<(f64, f64)>)> = Vec::new();
    for (part, texts) in &parts {
        let scored = texts.iter().zip(rest.by_ref());
        pairs.push((
            part,
            scored.filter_map(|(stored, score)| Some((*score.as_ref().ok()?, stored.toxicity))).collect(),
        ));
    }
    pairs.push(("both", pairs.iter().flat_map(|(_, pairs)| pairs.iter().copied()).collect()));
    let parts = pairs.into_iter().map(|(part, pairs)| (part, agreement(&pairs))).collect();
    let scorer = serde_json::to_value(&identity).unwrap_or_default();
    let report = Report { scorer, held_out_only: held_out, unscored, parts };
    match args.json {
        true => talk::print_json(&json(&report)?)?,
        false => super::print(&table(&report, &identity.name))?,
    }
    Ok(if unscored == 0 { ExitCode::SUCCESS } else { ExitCode::from(ErrorKind::Incomplete.exit_code()) })
}

fn json(report: &Report) -> Result<String> {
    let text = serde_json::to_string_pretty(report).map_err(|e| Error::input("cannot encode the report").cause(e))?;
    Ok(format!("{text}\n"))
}

fn table(report: &Report, name: &str) -> String {
    let mut grid = Grid::new(Look::Bare, false);
    grid.header([
        "",
        "n",
        "Pearson",
        "Spearman",
        "AUC",
        "kappa",
        "mean diff.",
        "mean |diff.|",
        "both toxic",
        "only ours",
        "only stored",
        "neither",
    ]);
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.3}"));
    for (part, found) in &report.parts {
        let c = &found.confusion;
        let counts = [c.true_positive, c.false_positive, c.false_negative, c.true_negative].map(|n| n.to_string());
        let figures =
            [found.pearson, found.spearman, found.auc, found.kappa, found.mean_difference, found.mae].map(number);
        let first = [part.to_string(), found.n.to_string()];
        grid.row(first.into_iter().chain(figures).chain(counts));
    }
    grid.right(|column| column > 0);
    let lines = grid.draw();
    let name = visible::line(name);
    let held_out = match report.held_out_only {
        true => " Only texts that the built-in scorer was not trained on.",
        false => "",
    };
    format!(
        "{name} against the scores stored in RealToxicityPrompts (Perspective, 2020); toxic from 0.5 on.{held_out}\n\n{lines}"
    )
}
