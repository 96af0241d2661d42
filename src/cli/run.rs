//! `fairmark run`: models and tasks in, a table and a run folder out.

use super::args::{ModelArgs, TaskArgs};
use super::interrupt::cancel_on_signal;
use super::judging::JudgeArgs;
use super::precision::Column;
use super::progress::{Progress, Verbosity};
use super::screen::screen;
use crate::catalog::Catalog;
use crate::data::DataSource;
use crate::engine::local::show_bytes;
use crate::engine::{self, Cancel, Engine, EngineOptions, Identity, Prompts};
use crate::error::{Error, ErrorKind, Result};
use crate::judge::Judges;
use crate::price::PriceTable;
use crate::prompt::PromptOptions;
use crate::remark::Weight;
use crate::report::{JudgeReport, ResultsInput, compare, render_all, results_json, samples_jsonl, samples_parquet};
use crate::request::Prompt;
use crate::run::{Effort, Environment, Spec, Status};
use crate::runner::{
    Finished, Limit, Means, Prepared, RunFolder, Wishes, check_writable, execute, plan_protocol, prepare,
    remarks_on_flags,
};
use crate::score::nodes_sampled;
use crate::task::Node;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

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
    let talk = args.verbosity() > Verbosity::Quiet;
    let limit = args.limit.map(Limit::new).transpose()?;
    let options = args.task.prompt_options()?;
    let mut engine_options = args.engine.engine_options(&args.task, !talk)?;
    engine_options.remote.retry_refused = args.retry_refused;
    check_writable(&args.out)?;
    let asked = Column::all(&args.model, &args.engine.precision, &engine_options)?;
    for column in &asked {
        engine::check(&column.model, &column.options)?;
    }
    let catalog = Catalog::load(&args.task.include_path)?;
    for warning in catalog.warnings() {
        eprintln!("warning: {warning}");
    }
    let nodes = nodes_sampled(&catalog.select(&args.tasks)?, &args.judging.sampling())?;
    let judges = open_judges(&nodes, args, &engine_options)?;
    let source = args.task.data_source(!talk)?;
    let cancel = cancel_on_signal();
    // Prompts that cannot be made and servers that do not answer end the command before anything is asked or loaded.
    let mut progress = Progress::new("", args.verbosity());
    let prepared = prepare(nodes.clone(), &source, &options, limit, &mut |event| progress.event(&event))?;
    let on_flags = remarks_on_flags(&prepared.tasks, &options, &args.wishes());
    let mut remarks = [on_flags, prepared.remarks()].concat();
    remarks.retain(|remark| talk || remark.weight == Weight::Warning);
    super::say_remarks(&remarks);
    let mut engines = asked.iter().map(open_early).collect::<Result<Vec<_>>>()?;
    let ask = Ask { args, limit, nodes: &nodes, source: &source, judges: &judges, cancel: &cancel };
    let mut prepared = Some(prepared);
    let mut runs: Vec<(String, Finished)> = Vec::new();
    let mut stopped: Option<Error> = None;
    for (column, engine) in asked.iter().zip(&mut engines) {
        let engine = match engine.take() {
            Some(engine) => engine,
            None => engine::open(&column.model, &column.options)?,
        };
        let heading = column.heading(&engine.identity().label);
        match ask.run(engine.as_ref(), &heading, &options, prepared.take()) {
            Ok(finished) => runs.push((heading, finished)),
            // The other models are run all the same; what this one answered is kept.
            Err(err) if err.kind() == ErrorKind::Incomplete && !cancel.is_cancelled() && asked.len() > 1 => {
                eprintln!("error: {heading}: {err}");
                stopped = Some(err);
            }
            Err(err) => return Err(err),
        }
    }
    if let (Some(err), true) = (&stopped, runs.is_empty()) {
        return Ok(ExitCode::from(err.kind().exit_code()));
    }
    disambiguate(&mut runs, &asked);
    let columns: Vec<(&str, &Finished)> = runs.iter().map(|(label, run)| (label.as_str(), run)).collect();
    let (style, width) = screen(args.markdown);
    super::print(&render_all(&compare(&columns), style, width))?;
    Ok(stopped.map_or_else(|| report_problems(&runs), |err| ExitCode::from(err.kind().exit_code())))
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
fn disambiguate(runs: &mut [(String, Finished)], columns: &[Column]) {
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

/// What all models of a command are asked.
struct Ask<'a> {
    args: &'a RunArgs,
    limit: Option<Limit>,
    nodes: &'a [Node],
    source: &'a DataSource,
    judges: &'a Judges,
    cancel: &'a Cancel,
}

impl Ask<'_> {
    /// Asks one model, called `label`. `prepared`: what was made with `options`, if it is still there.
    fn run(
        &self,
        engine: &dyn Engine,
        label: &str,
        options: &PromptOptions,
        prepared: Option<Prepared>,
    ) -> Result<Finished> {
        let talk = self.args.verbosity() > Verbosity::Quiet;
        let mut progress = Progress::new(label, self.args.verbosity());
        let suited = self.suited(engine, label, options)?;
        let prepared = match prepared {
            Some(prepared) if suited == *options => prepared,
            _ => {
                let nodes = self.nodes.to_vec();
                prepare(nodes, self.source, &suited, self.limit, &mut |event| progress.event(&event))?
            }
        };
        let prepared = prepared.judged_by(self.judges);
        if talk {
            eprintln!("{label}: {}", loaded(engine));
            eprintln!("{label}: {} requests", prepared.num_requests());
        }
        // What a probe found out is said before the work, what the work brought up after it.
        let known = engine.notices();
        known.iter().for_each(|notice| eprintln!("note: {label}: {notice}"));
        let means = Means { engine, judges: self.judges, cancel: self.cancel };
        let finished = run_one(self.args, &suited, &means, prepared, &mut progress);
        for notice in engine.notices().iter().filter(|notice| !known.contains(notice)) {
            eprintln!("note: {label}: {notice}");
        }
        finished
    }

    /// The prompts that this engine can take, with what the user should know about that.
    fn suited(&self, engine: &dyn Engine, label: &str, options: &PromptOptions) -> Result<PromptOptions> {
        let capabilities = engine.capabilities();
        let plan = plan_protocol(&capabilities, self.args.task.mc_protocol.into(), self.nodes)?;
        for note in plan.messages() {
            eprintln!("note: {label}: {note}");
        }
        let mut suited = PromptOptions { choices: plan.protocol, ..options.clone() };
        if capabilities.prompts == Prompts::ChatOnly && !options.chat {
            eprintln!("note: {label}: a chat endpoint: prompts are sent as turns");
            suited.chat = true;
        }
        Ok(suited)
    }
}

/// One model: run folder, answers, result files.
fn run_one(
    args: &RunArgs,
    options: &PromptOptions,
    means: &Means<'_>,
    prepared: Prepared,
    progress: &mut Progress,
) -> Result<Finished> {
    let started = Instant::now();
    let engine = means.engine;
    let talk = args.verbosity() > Verbosity::Quiet;
    let spec = spec(args, options, means, &prepared);
    let effort = Effort { threads: args.engine.threads(), kv_memory: args.engine.kv_memory };
    let mut folder = RunFolder::open(&args.out, spec, effort, environment(), args.fresh)?;
    if talk && folder.num_recorded() > 0 {
        let state = if folder.is_complete() { "this run is finished" } else { "continuing an interrupted run" };
        eprintln!("{state}: {} answers are in {}", folder.num_recorded(), folder.path.display());
    }
    if folder.num_damaged() > 0 {
        eprintln!("warning: {} damaged journal lines are ignored and asked again", folder.num_damaged());
    }
    if args.retry_refused {
        folder.forget_refusals();
    }
    let iters = args.bootstrap_iters;
    let finished = execute(prepared, means, &mut folder, iters, &mut |event| progress.event(&event));
    report_usage(args, engine.identity(), &folder, progress.label())?;
    let finished =
        finished.map_err(|err| if err.kind() == ErrorKind::Incomplete { err.file(&folder.path) } else { err })?;
    if finished.missing > 0 {
        return Err(Error::new(
            ErrorKind::Incomplete,
            format!("stopped with {} answers or judgements to go", finished.missing),
        )
        .file(&folder.path)
        .hint("what was answered is kept; run the same command again to continue"));
    }
    write_outputs(&mut folder, &finished, means, started.elapsed().as_secs_f64())?;
    if talk {
        eprintln!("{}: run folder {}", progress.label(), folder.path.display());
    }
    Ok(finished)
}

/// Writes what the run took so far, and says it where servers were asked.
fn report_usage(args: &RunArgs, identity: &Identity, folder: &RunFolder, label: &str) -> Result<()> {
    let talk = args.verbosity() > Verbosity::Quiet;
    let prices = PriceTable::load(args.engine.endpoints.prices.as_deref())?;
    let model = identity.options.iter().find_map(|option| option.strip_prefix("model=")).unwrap_or(&identity.name);
    let report = folder.totals().report(prices.price(model).as_ref());
    let text = serde_json::to_string_pretty(&report).map_err(|e| Error::input("cannot encode the usage").cause(e))?;
    folder.write_file("usage.json", format!("{text}\n").as_bytes())?;
    if talk && (report.latency_ms.is_some() || report.from_cache > 0) {
        eprintln!("{label}: {}", report.line());
    }
    Ok(())
}

fn write_outputs(folder: &mut RunFolder, finished: &Finished, means: &Means<'_>, seconds: f64) -> Result<()> {
    let engine = means.engine;
    let date = folder.header.environment.started.replace(':', "-");
    let render = |prompt: &Prompt| engine.render(prompt);
    let mut hashes = Vec::new();
    for task in &finished.tasks {
        let samples = samples_jsonl(task, &render)?;
        folder.write_file(&format!("samples_{}_{date}.jsonl", task.task.name), samples.jsonl.as_bytes())?;
        hashes.push((task.task.name.clone(), samples.task_hash));
    }
    folder.write_file("samples.parquet", &samples_parquet(&finished.tasks)?)?;
    let load_seconds = engine.load_seconds();
    let judges = judges_of(finished, means);
    let input = ResultsInput { header: &folder.header, finished, task_hashes: &hashes, judges, seconds, load_seconds };
    folder.write_file(&format!("results_{date}.json"), results_json(&input).as_bytes())?;
    // With documents unscored or tasks not run, the same command asks for them again.
    folder.set_status(if finished.is_whole() { Status::Complete } else { Status::Incomplete })
}

/// Who judged the tasks of a run, and how.
fn judges_of(finished: &Finished, means: &Means<'_>) -> Vec<JudgeReport> {
    let used = |name: &str| finished.tasks.iter().any(|t| t.task.judge.as_ref().is_some_and(|j| j.function == name));
    let judges = means.judges.all().filter(|(row, _)| used(row.name));
    judges
        .map(|(_, judge)| JudgeReport { identity: judge.identity().clone(), environment: judge.environment() })
        .collect()
}

/// Opens the judges that tasks need, before any model is loaded.
///
/// Errors: no task of the command could be run.
fn open_judges(nodes: &[Node], args: &RunArgs, options: &EngineOptions) -> Result<Judges> {
    let talk = args.verbosity() > Verbosity::Quiet;
    let judges = Judges::open(nodes, &args.judging.judge_options(&args.engine, options)?);
    let tasks: Vec<_> = nodes.iter().flat_map(Node::tasks).collect();
    let missing: Vec<_> = tasks.iter().filter_map(|task| Some((task, judges.missing(task)?))).collect();
    if let (Some((task, err)), true) = (missing.first(), missing.len() == tasks.len()) {
        return Err(Error::input(format!("no task can be run: {}: {}", task.name, err.one_line())));
    }
    for (task, err) in &missing {
        eprintln!("warning: {} is not run: {}", task.name, err.one_line());
    }
    for (_, judge) in judges.all().filter(|_| talk) {
        judge.notices().iter().for_each(|notice| eprintln!("{}: {notice}", judge.identity().judge));
    }
    Ok(judges)
}

fn spec(args: &RunArgs, options: &PromptOptions, means: &Means<'_>, prepared: &Prepared) -> Spec {
    Spec {
        model: means.engine.identity().clone(),
        tasks: prepared.tasks.iter().map(|t| t.spec.clone()).collect(),
        selected: args.tasks.clone(),
        num_fewshot: options.num_fewshot,
        limit: args.limit,
        seed: options.seed,
        fewshot_seed: options.fewshot_seed,
        apply_chat_template: options.chat,
        fewshot_as_multiturn: options.fewshot_as_multiturn,
        system_instruction: options.system_instruction.clone(),
        gen_kwargs: options.gen_kwargs.clone(),
        bootstrap_iters: args.bootstrap_iters,
        judges: means.judges.all().filter(|(row, _)| row.chosen).map(|(_, judge)| judge.identity().clone()).collect(),
    }
}

fn environment() -> Environment {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let utc = chrono::DateTime::from_timestamp_micros(now.as_micros() as i64).unwrap_or_default();
    Environment {
        fairmark_version: env!("CARGO_PKG_VERSION").to_string(),
        os: std::env::consts::OS.to_string(),
        arch: std::env::consts::ARCH.to_string(),
        cpus: std::thread::available_parallelism().map_or(1, usize::from),
        started: utc.format("%Y-%m-%dT%H:%M:%S%.6f").to_string(),
        started_unix: now.as_secs_f64(),
    }
}

/// Says on stderr what the table cannot: prompts that were cut, documents without a score.
fn report_problems(runs: &[(String, Finished)]) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for (label, run) in runs {
        let cut: usize = run.tasks.iter().map(|t| t.result.truncated).sum();
        if cut > 0 {
            let tasks: Vec<String> = (run.tasks.iter().filter(|t| t.result.truncated > 0))
                .map(|t| format!("{} {}", t.task.name, t.result.truncated))
                .collect();
            eprintln!(
                "note: {label}: {cut} prompts were longer than the window and cut from the left ({})",
                tasks.join(", ")
            );
        }
        if !run.not_run.is_empty() {
            code = ExitCode::from(ErrorKind::Incomplete.exit_code());
        }
        for task in &run.tasks {
            for (reason, n) in &task.result.unscored {
                eprintln!("warning: {label}: {}: {n} documents not scored: {reason}", task.task.name);
                code = ExitCode::from(ErrorKind::Incomplete.exit_code());
            }
        }
    }
    code
}
