//! `fairmark report`: runs from disk, rendered again.

use super::problems::report_problems;
use super::screen::screen;
use super::talk;
use crate::compare::{intervals, stars};
use crate::error::{Error, Result};
use crate::read;
use crate::record::{Program, Run};
use crate::report::{render_all, runs_csv, runs_json, side_by_side_with};
use crate::stats::Level;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// How tables are printed.
#[derive(Args, Debug, Clone, Copy, Default)]
pub struct FormatArgs {
    /// Print tables as Markdown.
    #[arg(long, conflicts_with_all = ["csv", "json"])]
    markdown: bool,

    /// Print the rows as CSV, unrounded.
    #[arg(long, conflicts_with = "json")]
    csv: bool,

    /// Print everything unrounded as JSON.
    #[arg(long)]
    json: bool,
}

/// What is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Table,
    Markdown,
    Csv,
    Json,
}

impl Format {
    /// Tables, perhaps as Markdown.
    pub fn of(markdown: bool) -> Format {
        if markdown { Format::Markdown } else { Format::Table }
    }
}

impl From<FormatArgs> for Format {
    fn from(args: FormatArgs) -> Format {
        match args {
            FormatArgs { json: true, .. } => Format::Json,
            FormatArgs { csv: true, .. } => Format::Csv,
            FormatArgs { markdown, .. } => Format::of(markdown),
        }
    }
}

/// Flags of `fairmark report`.
#[derive(Args)]
pub struct ReportArgs {
    /// Run folders as `fairmark run` prints them, folders or results files of lm-evaluation-harness, logs of Inspect (`.eval`). Several
    /// stand side by side.
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,

    /// Show where figures would lie over further documents of the same kind, with the methods below the table, in place of the reference's
    /// standard errors. Documents that a task calls alike (`metadata.cluster`) count as clusters.
    #[arg(long)]
    interval: bool,

    #[command(flatten)]
    format: FormatArgs,
}

/// Prints the runs; exit code 3 when one is not finished, or lacks scores.
pub fn report(args: &ReportArgs) -> Result<ExitCode> {
    let runs = args.runs.iter().map(|path| read::open(path)).collect::<Result<Vec<_>>>()?;
    let runs = labelled(runs);
    print_runs(&runs, args.format.into(), args.interval)?;
    for (label, run) in runs.iter().filter(|(_, run)| run.is_unfinished()) {
        let how = match run.writer.program {
            Program::Inspect => "`inspect eval-retry` goes on with it",
            _ => "its command goes on where it stopped",
        };
        talk::warning(format_args!("{label}: {} is not finished: {how}", run.path.display()));
    }
    let unfinished = runs.iter().any(|(_, run)| run.is_unfinished());
    let code = report_problems(&runs);
    Ok(if unfinished { ExitCode::from(crate::error::ErrorKind::Incomplete.exit_code()) } else { code })
}

/// Prints runs side by side, perhaps with intervals.
///
/// # Errors
/// Samples that intervals are made of are damaged; stdout is closed.
pub fn print_runs(runs: &[(String, Run)], format: Format, interval: bool) -> Result<()> {
    let columns: Vec<(&str, &Run)> = runs.iter().map(|(label, run)| (label.as_str(), run)).collect();
    let only: Vec<&Run> = runs.iter().map(|(_, run)| run).collect();
    let intervals = interval.then(|| intervals(&only, Level::P95)).transpose()?;
    let intervals = intervals.as_ref();
    match format {
        Format::Json => print_json(&runs_json(&columns, intervals)),
        Format::Csv => talk::print(&runs_csv(&columns, intervals)?),
        Format::Table | Format::Markdown => {
            let (style, width) = screen(format == Format::Markdown);
            talk::print_styled(&render_all(&side_by_side_with(&columns, &stars(&only), intervals), style, width))
        }
    }
}

/// Prints a value as indented JSON.
pub fn print_json<T: serde::Serialize>(value: &T) -> Result<()> {
    let text =
        serde_json::to_string_pretty(value).map_err(|err| Error::input("cannot write this as JSON").cause(err))?;
    talk::print_json(&format!("{text}\n"))
}

/// Names for the runs: the model's; with the format of its weights where that is not enough, and with the folder's where that is not.
pub fn labelled(runs: Vec<Run>) -> Vec<(String, Run)> {
    let short = |run: &Run| run.model.label.clone();
    let stored = |run: &Run| match &run.model.storage {
        Some(storage) => format!("{} {storage}", run.model.label),
        None => run.model.label.clone(),
    };
    let folder = |run: &Run| {
        let path = if run.path.is_dir() { run.path.as_path() } else { run.path.parent().unwrap_or(&run.path) };
        let path = if run.path.extension().is_some_and(|end| end == "eval") { run.path.as_path() } else { path };
        path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
    };
    let whole = |run: &Run| run.path.display().to_string();
    let ways: [&dyn Fn(&Run) -> String; 4] = [&short, &stored, &folder, &whole];
    let labels = |way: &dyn Fn(&Run) -> String| runs.iter().map(way).collect::<Vec<String>>();
    let distinct = |labels: &[String]| labels.iter().collect::<std::collections::HashSet<_>>().len() == labels.len();
    let found = ways.iter().map(|way| labels(*way)).find(|labels| distinct(labels));
    // The same run given twice.
    let found = found.unwrap_or_else(|| (1..=runs.len()).map(|at| format!("run {at}")).collect());
    found.into_iter().zip(runs).collect()
}
