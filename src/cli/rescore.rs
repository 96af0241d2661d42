//! `fairmark rescore`: recorded answers under changed filters and metrics, as a run of its own.

use super::endpoints::EndpointArgs;
use super::interrupt::cancel_on_signal;
use super::judging::JudgeArgs;
use super::problems::{Heard, report_problems};
use super::progress::Verbosity;
use super::report::{Format, print_runs};
use super::run::{Shown, open_judges};
use super::talk;
use crate::catalog::Catalog;
use crate::data::{DataOptions, DataSource};
use crate::engine::EngineOptions;
use crate::engine::recorded::RecordedEngine;
use crate::error::Result;
use crate::price::PriceTable;
use crate::prompt::PromptOptions;
use crate::read;
use crate::runner::{Job, Means, check_writable, rescored, rescored_identity};
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// Flags of `fairmark rescore`.
#[derive(Args)]
pub struct RescoreArgs {
    /// The run whose answers are scored again: a run folder, or a folder or results file of lm-evaluation-harness (with --log_samples).
    #[arg(value_name = "RUN")]
    run: PathBuf,

    /// Folders with task files, which override the built-in ones of their names.
    #[arg(long, value_name = "DIR")]
    include_path: Vec<PathBuf>,

    /// Score only these tasks or groups of the run.
    #[arg(long, short, value_name = "TASK,...", value_delimiter = ',')]
    tasks: Vec<String>,

    /// Folder for the new run's folder.
    #[arg(long, short, default_value = "reports", value_name = "DIR")]
    out: PathBuf,

    /// Forget what an earlier, equal rescoring left.
    #[arg(long)]
    fresh: bool,

    /// Draws for bootstrapped standard errors; 0 leaves all standard errors out.
    #[arg(long, default_value_t = 100_000, value_name = "N")]
    bootstrap_iters: usize,

    /// Print the table as Markdown.
    #[arg(long)]
    markdown: bool,

    /// Say nothing but the table, warnings and errors.
    #[arg(long, short)]
    quiet: bool,

    #[command(flatten)]
    judging: JudgeArgs,

    #[command(flatten)]
    endpoints: EndpointArgs,
}

/// Scores a run again; exit code 3 when documents could not be scored.
pub fn rescore(args: &RescoreArgs) -> Result<ExitCode> {
    let verbosity = if args.quiet { Verbosity::Quiet } else { Verbosity::Normal };
    let run = read::open_finished(&args.run)?;
    check_writable(&args.out)?;
    let catalog = Catalog::load(&args.include_path)?;
    talk::warnings(&catalog.warnings());
    let selected = match args.tasks.as_slice() {
        [] => run.tree.iter().map(|node| node.name().to_owned()).collect(),
        named => named.to_vec(),
    };
    let nodes = catalog.select(&selected)?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let judge_options = args.judging.judge_options(&args.endpoints, threads, &EngineOptions::default())?;
    let judges = open_judges(&nodes, &judge_options, verbosity)?;
    let recorded = rescored(&run, &nodes)?;
    talk::remarks(&recorded.prepared.remarks());
    let identity = rescored_identity(&run, read::identity(&run)?);
    let label = identity.label.clone();
    let engine = RecordedEngine::new(identity, recorded.answers);
    let (cancel, prices) = (cancel_on_signal(), PriceTable::load(args.endpoints.prices.as_deref())?);
    let options = PromptOptions { choices: recorded.protocol, ..PromptOptions::default() };
    let job = Job {
        selected: &selected,
        nodes: &nodes,
        source: &DataSource::open(DataOptions { offline: true, ..DataOptions::default() })?,
        options: &options,
        protocol: Some(recorded.protocol),
        limit: None,
        bootstrap_iters: args.bootstrap_iters,
        date_chosen: false,
        out: &args.out,
        threads: 1,
        kv_memory: None,
        fresh: args.fresh,
        retry_refused: false,
        prices: &prices,
    };
    let means = Means { engine: &engine, judges: &judges, cancel: &cancel };
    let mut heard = Heard::default();
    let mut shown = Shown::new(&label, verbosity, &engine, &mut heard);
    let folder = job.run(&means, Some(recorded.prepared), &mut |event| shown.event(event))?;
    let runs = [(label, read::open(&folder)?)];
    print_runs(&runs, Format::of(args.markdown), false)?;
    Ok(report_problems(&runs))
}
