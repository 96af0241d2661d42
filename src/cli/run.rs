//! `fairmark run`: models and tasks in, a table and a run folder out.

use super::args::{ModelArgs, TaskArgs};
use super::cost::{against_first, costs};
use super::interrupt::cancel_on_signal;
use super::judging::JudgeArgs;
use super::precision::Column;
use super::problems::{Heard, report_problems};
use super::progress::{Progress, Verbosity};
use super::recorder::{KindArg, Recorder};
use super::report::{Format, print_runs};
use super::screen::screen;
use super::talk;
use crate::catalog::Catalog;
use crate::compare::Options;
use crate::engine::local::show_bytes;
use crate::engine::{self, Engine};
use crate::error::{Error, ErrorKind, Result};
use crate::judge::{JudgeOptions, Judges};
use crate::price::PriceTable;
use crate::read;
use crate::record::Run;
use crate::remark::{Remark, Weight};
use crate::report::render_quantisation;
use crate::runner::{
    Distributions, Event, Job, Limit, Means, Prepared, Wishes, check_writable, prepare, remarks_on_flags,
};
use crate::score::nodes_sampled;
use crate::task::Node;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// Flags of `fairmark run`.
#[derive(Args)]
pub struct RunArgs {
    /// A folder with a Hugging Face checkpoint, a `.gguf` file, a hub id (`org/name[@revision]`), a server (`openai:gpt-4o-mini`,
    /// `http://127.0.0.1:8000/v1#my-model`; see `fairmark ls endpoints`), `demo` (the built-in model), or `mock`. Several give one
    /// table.
    #[arg(long, short, required = true, value_name = "MODEL")]
    model: Vec<String>,

    /// Tasks, groups, tags, globs (`mmlu_*`) or task files.
    #[arg(long, short, required = true, value_name = "TASK,...", value_delimiter = ',', value_parser = trimmed)]
    tasks: Vec<String>,

    /// Only the first N documents of each task, or a fraction of them (below 1).
    #[arg(long, value_name = "N|FRACTION")]
    limit: Option<f64>,

    /// Folder for run folders.
    #[arg(long, short, default_value = "reports", value_name = "DIR")]
    out: PathBuf,

    /// Forget what an earlier, equal run recorded and ask everything anew.
    #[arg(long)]
    fresh: bool,

    /// Ask again what a model or its provider refused to answer in an earlier session of this run.
    #[arg(long)]
    retry_refused: bool,

    /// Draws for bootstrapped standard errors; 0 leaves all standard errors out.
    #[arg(long, default_value_t = 100_000, value_name = "N")]
    bootstrap_iters: usize,

    /// Record what every other model, or precision, did to the next-token distributions of the first one, at all positions that are scored:
    /// their divergence over all of the vocabulary (`kl`), at a stored sample (`kl_sampled`), or a lower bound of it (`kl_lower`).
    #[arg(long, value_enum, value_name = "KIND", num_args = 0..=1, default_missing_value = "kl")]
    distributions: Option<KindArg>,

    /// A text of which every token is predicted as well, with `--distributions`.
    #[arg(long, value_name = "FILE", requires = "distributions")]
    corpus: Vec<PathBuf>,

    /// Tokens of the windows that a `--corpus` is cut into (default: 512, or what the model can see).
    #[arg(long, value_name = "TOKENS", requires = "corpus")]
    window: Option<usize>,

    /// Show where figures would lie over further documents of the same kind, with the methods below the table, in place of the reference's
    /// standard errors. Documents that a task calls alike (`metadata.cluster`) count as clusters.
    #[arg(long)]
    interval: bool,

    /// Print the table as Markdown.
    #[arg(long)]
    markdown: bool,

    /// Say nothing but the table, warnings and errors.
    #[arg(long, short, conflicts_with = "verbose")]
    quiet: bool,

    /// Say more.
    #[arg(long, short)]
    verbose: bool,

    #[command(flatten)]
    task: TaskArgs,

    #[command(flatten)]
    engine: ModelArgs,

    #[command(flatten)]
    judging: JudgeArgs,
}

/// A name without the white space that stands around it in a list.
fn trimmed(name: &str) -> std::result::Result<String, std::convert::Infallible> {
    Ok(name.trim().to_owned())
}

impl RunArgs {
    /// What may turn out to be without effect.
    fn wishes(&self) -> Wishes {
        Wishes {
            sampling: self.judging.sampling(),
            protocol: self.task.mc_protocol.into(),
            // Such a server may have to be asked for letters that it writes.
            may_write_letters: self.model.iter().any(|model| engine::is_remote(model)),
            judging: self.judging.given(),
        }
    }

    /// What is to be recorded of distributions.
    fn distributions(&self, prepared: &Prepared) -> Result<Option<Distributions>> {
        let Some(kind) = self.distributions else { return Ok(None) };
        Distributions::new(kind.into(), self.task.seed, prepared, &self.corpus, self.window).map(Some)
    }

    /// Refuses models whose distributions nobody gives out.
    fn check_distributions(&self) -> Result<()> {
        let is_local = |model: &&String| !engine::is_remote(model) && !engine::mock::is_mock(model);
        match self.model.iter().find(|model| self.distributions.is_some() && !is_local(model)) {
            Some(model) => Err(Error::input(format!("whole distributions cannot be had of {model}"))
                .key("--distributions")
                .hint("they need models that run in this process: folders, .gguf files, hub ids or `demo`")),
            None => Ok(()),
        }
    }

    fn verbosity(&self) -> Verbosity {
        match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (_, true) => Verbosity::Verbose,
            _ => Verbosity::Normal,
        }
    }
}

/// Runs every model; exit code 3 when documents could not be scored.
pub fn run(args: &RunArgs) -> Result<ExitCode> {
    run_all(args).map(|(_, code)| code)
}

/// Runs every model and prints the table; the finished runs with their headings, and the exit code.
pub(super) fn run_all(args: &RunArgs) -> Result<(Vec<(String, Run)>, ExitCode)> {
    let talk = args.verbosity() > Verbosity::Quiet;
    let limit = args.limit.map(|written| Limit::new(written).map(|limit| (limit, written))).transpose()?;
    args.check_distributions()?;
    let options = args.task.prompt_options()?;
    let mut engine_options = args.engine.engine_options(&args.task, !talk)?;
    engine_options.remote.retry_refused = args.retry_refused;
    let prices = PriceTable::load(args.engine.endpoints.prices.as_deref())?;
    check_writable(&args.out)?;
    let mut asked = Column::all(&args.model, &args.engine.precision, &engine_options)?;
    for column in &asked {
        engine::check(&column.model, &column.options)?;
    }
    let catalog = Catalog::load(&args.task.include_path)?;
    talk::warnings(&catalog.warnings());
    let nodes = nodes_sampled(&catalog.select(&args.tasks)?, &args.judging.sampling())?;
    let judge_options = args.judging.judge_options(&args.engine.endpoints, args.engine.threads(), &engine_options)?;
    let judges = open_judges(&nodes, &judge_options, args.verbosity())?;
    let source = args.task.data_source(!talk)?;
    let cancel = cancel_on_signal();
    // Prompts that cannot be made and servers that do not answer end the command before anything is asked or loaded.
    let mut progress = Progress::new("", args.verbosity());
    let only_limit = limit.map(|(limit, _)| limit);
    let prepared = prepare(nodes.clone(), &source, &options, only_limit, &mut |event| progress.event(&event))?;
    let on_flags = remarks_on_flags(&prepared.tasks, &options, &args.wishes());
    let mut remarks = [on_flags, prepared.remarks()].concat();
    remarks.retain(|remark| talk || remark.weight == Weight::Warning);
    talk::remarks(&remarks);
    let mut recorder = args.distributions(&prepared)?.map(Recorder::new);
    let mut engines = asked.iter().map(open_early).collect::<Result<Vec<_>>>()?;
    let job = Job {
        selected: &args.tasks,
        nodes: &nodes,
        source: &source,
        options: &options,
        protocol: args.task.mc_protocol.into(),
        limit,
        bootstrap_iters: args.bootstrap_iters,
        date_chosen: args.task.date.is_some(),
        out: &args.out,
        threads: args.engine.threads(),
        kv_memory: args.engine.kv_memory,
        fresh: args.fresh,
        retry_refused: args.retry_refused,
        prices: &prices,
    };
    let mut heard = Heard::default();
    let mut prepared = Some(prepared);
    let mut runs: Vec<(String, Run)> = Vec::new();
    let mut stopped: Option<Error> = None;
    let several = asked.len() > 1;
    for (column, engine) in asked.iter_mut().zip(&mut engines) {
        let engine = match engine.take() {
            Some(engine) => engine,
            None => engine::open(&column.model, &column.options)?,
        };
        column.storage = engine.identity().storage.clone();
        let heading = column.heading(&engine.identity().label);
        if let Some(recorder) = &recorder {
            recorder.admit(engine.as_ref(), &heading, &cancel)?;
        }
        let means = Means { engine: engine.as_ref(), judges: &judges, cancel: &cancel };
        let mut shown = Shown::new(&heading, args.verbosity(), engine.as_ref(), &mut heard);
        let mut folder = job.run(&means, prepared.take(), &mut |event| shown.event(event));
        if let (Some(recorder), Ok(path)) = (&mut recorder, &folder) {
            let recorded = recorder.record((engine.as_ref(), path, &heading), &cancel, &mut |event| shown.event(event));
            folder = recorded.and(folder);
        }
        match &mut recorder {
            Some(recorder) => recorder.keep(engine, &folder, heading.clone()),
            None => drop(engine),
        }
        match folder.and_then(|folder| read::open(&folder)) {
            Ok(run) => runs.push((heading, run)),
            // The other models are run all the same; what this one answered is kept.
            Err(err) if err.kind() == ErrorKind::Incomplete && !cancel.is_cancelled() && several => {
                talk::error(Some(&heading), &err);
                stopped = Some(err);
            }
            Err(err) => return Err(err),
        }
    }
    if let (Some(err), true) = (&stopped, runs.is_empty()) {
        return Ok((runs, ExitCode::from(err.kind().exit_code())));
    }
    drop(heard);
    disambiguate(&mut runs, &asked);
    print_runs(&runs, Format::of(args.markdown), args.interval)?;
    if args.distributions.is_some() {
        print_costs(&runs, args.markdown)?;
    }
    let code = stopped.map_or_else(|| report_problems(&runs), |err| ExitCode::from(err.kind().exit_code()));
    Ok((runs, code))
}

/// What every model, or format of one, costs against the first.
fn print_costs(runs: &[(String, Run)], markdown: bool) -> Result<()> {
    let comparisons = against_first(runs, &Options::default())?;
    let Some(found) = costs(runs, &comparisons)? else { return Ok(()) };
    let (style, width) = screen(markdown);
    talk::print_styled(&format!("\n{}", render_quantisation(&found, style, width)))
}

/// Shows the events of one model's run.
pub(super) struct Shown<'a> {
    progress: Progress,
    engine: &'a dyn Engine,
    heard: &'a mut Heard,
    talk: bool,
}

impl<'a> Shown<'a> {
    pub(super) fn new(label: &str, verbosity: Verbosity, engine: &'a dyn Engine, heard: &'a mut Heard) -> Shown<'a> {
        Shown { progress: Progress::new(label, verbosity), engine, heard, talk: verbosity > Verbosity::Quiet }
    }

    /// Says what there is to say of an event.
    pub(super) fn event(&mut self, event: Event) {
        let label = self.progress.label();
        match event {
            Event::Note(note) => self.heard.note(label, &note),
            Event::Remarks(remarks) => talk::remarks(&about(label, &remarks)),
            Event::Ready { requests } if self.talk => {
                talk::say(format_args!("{label}: {}", loaded(self.engine)));
                talk::say(format_args!("{label}: {requests} requests"));
            }
            Event::Opened { folder, recorded, complete } if self.talk && recorded > 0 => {
                let state = if complete { "this run is finished" } else { "continuing an interrupted run" };
                talk::say(format_args!("{state}: {recorded} answers are in {}", folder.display()));
            }
            Event::Used(usage) if self.talk && (usage.latency_ms.is_some() || usage.from_cache > 0) => {
                talk::say(format_args!("{label}: {}", usage.line()));
            }
            Event::Compared { source, positions } if self.talk => {
                talk::say(format_args!("{label}: distributions at {positions} positions of {source}"));
            }
            Event::Written { folder } if self.talk => {
                talk::say(format_args!("{label}: run folder {}", folder.display()));
            }
            event => self.progress.event(&event),
        }
    }
}

/// What was loaded, and how long it took.
fn loaded(engine: &dyn Engine) -> String {
    let identity = engine.identity();
    let format = identity.storage.as_ref().or(identity.dtype.as_ref());
    let size = identity.model_bytes.map(|bytes| show_bytes(bytes as usize));
    let seconds = Some(engine.load_seconds()).filter(|seconds| *seconds > 0.0);
    let parts = [format.cloned(), size, seconds.map(|seconds| format!("loaded in {seconds:.1} s"))];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { identity.engine.clone() } else { parts.join(", ") }
}

/// Two models of one label (`a/model`, `b/model`) get their full names.
fn disambiguate(runs: &mut [(String, Run)], columns: &[Column]) {
    let labels: Vec<String> = runs.iter().map(|(label, _)| label.clone()).collect();
    for ((label, _), column) in runs.iter_mut().zip(columns) {
        if labels.iter().filter(|l| *l == label).count() > 1 {
            *label = column.heading(&column.model);
        }
    }
}

/// Opens servers; local models are loaded one by one when it is their turn.
fn open_early(column: &Column) -> Result<Option<Box<dyn Engine>>> {
    engine::is_remote(&column.model).then(|| engine::open(&column.model, &column.options)).transpose()
}

/// Remarks of an engine under the name that its column has.
fn about(label: &str, remarks: &[Remark]) -> Vec<Remark> {
    remarks.iter().map(|remark| Remark { subject: Some(label.to_string()), ..remark.clone() }).collect()
}

/// Opens the judges that tasks need, before any model is loaded.
///
/// Errors: no task of the command could be run.
pub(super) fn open_judges(nodes: &[Node], options: &JudgeOptions, verbosity: Verbosity) -> Result<Judges> {
    let talk = verbosity > Verbosity::Quiet;
    let judges = Judges::open(nodes, options);
    let tasks: Vec<_> = nodes.iter().flat_map(Node::tasks).collect();
    let missing: Vec<_> = tasks.iter().filter_map(|task| Some((task, judges.missing(task)?))).collect();
    if let (Some((task, err)), true) = (missing.first(), missing.len() == tasks.len()) {
        return Err(Error::input(format!("no task can be run: {}: {}", task.name, err.one_line())));
    }
    for (task, err) in &missing {
        talk::warning(format_args!("{} is not run: {}", task.name, err.one_line()));
    }
    for (_, judge) in judges.all().filter(|_| talk) {
        let name = &judge.identity().judge;
        judge.notices().iter().for_each(|notice| talk::say(format_args!("{name}: {notice}")));
    }
    Ok(judges)
}
