//! `fairmark compare`: what changed between finished runs.

use super::cost::costs;
use super::report::{Format, FormatArgs, labelled, print_json};
use super::screen::screen;
use super::talk;
use crate::compare::quantisation::Quantisation;
use crate::compare::{Comparison, Options, compare};
use crate::error::{Error, Result};
use crate::read;
use crate::record::Run;
use crate::report::{comparisons_csv, quantisation_csv, render_comparisons, render_matrix, render_quantisation};
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;

/// Flags of `fairmark compare`.
#[derive(Args)]
pub struct CompareArgs {
    /// The run that the others are held against: a run folder, a folder or results file of lm-evaluation-harness (with --log_samples), or
    /// a log of Inspect.
    #[arg(value_name = "BASE")]
    base: PathBuf,

    /// Runs that are compared with it, each in a table of its own.
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,

    /// Compare what both runs have, and say what is left out, instead of refusing runs that differ in tasks, documents, shots, filters,
    /// metrics or task versions.
    #[arg(long)]
    intersect: bool,

    /// Every run against every other, in a matrix for each figure.
    #[arg(long, conflicts_with = "csv")]
    all_pairs: bool,

    #[command(flatten)]
    format: FormatArgs,
}

/// Prints a table for each run, or a matrix for each figure.
pub fn compare_runs(args: &CompareArgs) -> Result<ExitCode> {
    let paths = std::iter::once(&args.base).chain(&args.runs);
    let runs = labelled(paths.map(|path| read::open_finished(path)).collect::<Result<_>>()?);
    let options = Options { intersect: args.intersect, ..Options::default() };
    let bases = if args.all_pairs { runs.len() } else { 1 };
    let mut found: Vec<Comparison> = Vec::new();
    for (at, base) in runs.iter().enumerate().take(bases) {
        for candidate in runs.iter().skip(at + 1) {
            found.push(compare(named(base), named(candidate), &options)?);
        }
    }
    let format = Format::from(args.format);
    let (style, width) = screen(format == Format::Markdown);
    let labels: Vec<&str> = runs.iter().map(|(label, _)| label.as_str()).collect();
    let costs = if args.all_pairs { None } else { costs(&runs, &found)? };
    match format {
        Format::Json => print_json(&Found { comparisons: &found, quantisation: costs.as_ref() })?,
        Format::Csv => {
            let costs = costs.as_ref().map(quantisation_csv).transpose()?;
            let costs = costs.map(|costs| format!("\n{costs}")).unwrap_or_default();
            talk::print(&format!("{}{costs}", comparisons_csv(&found)?))?;
        }
        _ if args.all_pairs => talk::print_styled(&render_matrix(&labels, &found, style))?,
        _ => {
            let costs = costs.map(|costs| format!("\n{}", render_quantisation(&costs, style, width)));
            let comparisons = render_comparisons(&found, style, width);
            talk::print_styled(&format!("{comparisons}{}", costs.unwrap_or_default()))?;
        }
    }
    if found.is_empty() {
        return Err(Error::input("there is nothing to compare"));
    }
    Ok(ExitCode::SUCCESS)
}

/// What is printed as JSON.
#[derive(Serialize)]
struct Found<'a> {
    comparisons: &'a [Comparison],
    /// Where the runs have distributions.
    quantisation: Option<&'a Quantisation>,
}

fn named((label, run): &(String, Run)) -> (&str, &Run) {
    (label, run)
}
