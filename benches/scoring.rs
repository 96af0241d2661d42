//! How fast the local engine scores prompts, and where the time goes.
//!
//!     cargo bench --bench scoring
//!     cargo bench --bench scoring -- --dtype bfloat16 --work mmlu --runs 5
//!
//! A Llama of the shape of SmolLM-135M with random weights answers the requests of real benchmarks: HellaSwag (100 documents, no
//! shots), MMLU (2 subjects of 50 documents, 5 shots) and GSM8K (20 documents, 5 shots, 64 tokens written). `--model` takes any other
//! model, GGUF files too. Real data and a tokenizer must be at hand (`--data-dir`, `--tokenizer`;
//! by default `../shared`). Each number format runs in a process of its own, so that its peak memory is its own. The ceiling is what a loop of
//! fused multiply-adds on registers reaches on as many threads in the same process, before and after; a share is arithmetic
//! done by wall time, divided by the better ceiling.

mod checkpoint;

use comfy_table::{Table, presets};
use fairmark::catalog::Catalog;
use fairmark::data::{DataOptions, DataSource};
use fairmark::engine::{self, Cancel, EngineOptions, Update};
use fairmark::kernel::{Arithmetic, peak};
use fairmark::model::{DTypeChoice, DeviceChoice, profile};
use fairmark::prompt::PromptOptions;
use fairmark::request::Request;
use fairmark::runner::{Limit, prepare};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

type Failure = Box<dyn std::error::Error>;

/// What is asked.
struct Work {
    name: &'static str,
    tasks: &'static [&'static str],
    shots: usize,
    /// Documents of each task.
    limit: usize,
}

const WORKS: &[Work] = &[
    Work { name: "hellaswag", tasks: &["hellaswag"], shots: 0, limit: 100 },
    Work { name: "mmlu", tasks: &["mmlu_abstract_algebra", "mmlu_anatomy"], shots: 5, limit: 50 },
    Work { name: "gsm8k", tasks: &["gsm8k"], shots: 5, limit: 20 },
];

/// Tokens of a written answer, at most.
const NEW_TOKENS: usize = 64;

struct Options {
    data_dir: PathBuf,
    tokenizer: PathBuf,
    model: Option<PathBuf>,
    dtype: Option<String>,
    work: Option<String>,
    runs: usize,
    threads: usize,
}

fn main() -> Result<(), Failure> {
    let options = options()?;
    for path in [&options.data_dir, &options.tokenizer] {
        if !path.is_dir() {
            eprintln!("skipped: {} is not there (choose with --data-dir and --tokenizer)", path.display());
            return Ok(());
        }
    }
    let scratch = tempfile::tempdir()?;
    let model = match &options.model {
        Some(model) => model.clone(),
        None => {
            checkpoint::write(scratch.path(), &options.tokenizer)?;
            scratch.path().to_path_buf()
        }
    };
    match &options.dtype {
        Some(dtype) => measure(&options, &model, dtype),
        None => ["float32", "bfloat16"].iter().try_for_each(|dtype| alone(&options, &model, dtype)),
    }
}

/// Measures one number format in a process of its own.
fn alone(options: &Options, model: &Path, dtype: &str) -> Result<(), Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--model").arg(model).args(["--dtype", dtype]);
    command.arg("--data-dir").arg(&options.data_dir).arg("--tokenizer").arg(&options.tokenizer);
    command.args(["--runs", &options.runs.to_string(), "--threads", &options.threads.to_string()]);
    command.args(options.work.iter().flat_map(|work| ["--work", work]));
    if command.status()?.success() { Ok(()) } else { Err("a measurement failed".into()) }
}

fn options() -> Result<Options, Failure> {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let mut options = Options {
        data_dir: shared.join("datasets"),
        tokenizer: shared.join("tokenizers/llama2"),
        model: None,
        dtype: None,
        work: None,
        runs: 3,
        threads: std::thread::available_parallelism().map_or(1, usize::from),
    };
    // `cargo bench` adds `--bench`.
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        match word.as_str() {
            "--data-dir" => options.data_dir = value.into(),
            "--tokenizer" => options.tokenizer = value.into(),
            "--model" => options.model = Some(value.into()),
            "--dtype" => options.dtype = Some(value),
            "--work" => options.work = Some(value),
            "--runs" => options.runs = value.parse()?,
            "--threads" => options.threads = value.parse()?,
            other => return Err(format!("unknown option {other}").into()),
        }
    }
    Ok(options)
}

fn measure(options: &Options, model: &Path, dtype: &str) -> Result<(), Failure> {
    let (choice, arithmetic) = match dtype {
        "float32" => (DTypeChoice::F32, Arithmetic::F32),
        "bfloat16" => (DTypeChoice::Bf16, Arithmetic::Bf16),
        other => return Err(format!("--dtype {other} is neither float32 nor bfloat16").into()),
    };
    let engine_options = EngineOptions {
        dtype: choice,
        device: DeviceChoice::Cpu,
        offline: true,
        threads: options.threads,
        ..EngineOptions::default()
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(options.threads).build()?;
    let loading = Instant::now();
    let engine = engine::open(&model.display().to_string(), &engine_options)?;
    println!(
        "\n{dtype}, {} threads; loaded in {:.2} s, {:.0} MB in memory",
        options.threads,
        loading.elapsed().as_secs_f64(),
        memory("VmRSS")
    );
    for work in WORKS {
        if options.work.as_deref().is_some_and(|name| name != work.name) {
            continue;
        }
        let requests = requests(options, work)?;
        let before = pool.install(|| peak(arithmetic));
        let mut best: Option<(Duration, Vec<_>)> = None;
        for _ in 0..options.runs.max(1) {
            profile::take();
            let started = Instant::now();
            engine.answer(&requests, &Cancel::default(), &mut |update| match update {
                Update::Answered(_, Err(unscored), _) => Err(fairmark::error::Error::input(unscored.reason)),
                _ => Ok(()),
            })?;
            let wall = started.elapsed();
            let spent = profile::take();
            if best.as_ref().is_none_or(|(least, _)| wall < *least) {
                best = Some((wall, spent));
            }
        }
        let ceiling = before.max(pool.install(|| peak(arithmetic)));
        if let Some((wall, spent)) = best {
            report(work.name, requests.len(), wall, &spent, ceiling);
        }
    }
    println!("peak memory of the process: {:.0} MB", memory("VmHWM"));
    Ok(())
}

fn requests(options: &Options, work: &Work) -> Result<Vec<Request>, Failure> {
    let names: Vec<String> = work.tasks.iter().map(|task| task.to_string()).collect();
    let nodes = Catalog::load(&[])?.select(&names)?;
    let data = DataOptions { data_dir: Some(options.data_dir.clone()), offline: true, ..DataOptions::default() };
    let gen_kwargs = [("max_gen_toks".to_string(), NEW_TOKENS.into())].into_iter().collect();
    let prompts = PromptOptions { num_fewshot: Some(work.shots), gen_kwargs, ..PromptOptions::default() };
    let prepared = prepare(nodes, &DataSource::open(data)?, &prompts, Some(Limit::Count(work.limit)), &mut |_| ())?;
    Ok(prepared.tasks.iter().flat_map(|task| &task.items).flat_map(|item| item.requests.clone()).collect())
}

fn report(
    name: &str,
    requests: usize,
    wall: Duration,
    spent: &[(profile::Kind, &'static str, profile::Spent)],
    ceiling: f64,
) {
    let seconds = wall.as_secs_f64();
    let flops: u64 = spent.iter().map(|(_, _, spent)| spent.flops).sum();
    let rate = flops as f64 / seconds / 1e9;
    println!(
        "\n{name}: {requests} requests, {:.2} TFLOP in {seconds:.2} s: {rate:.0} GFLOP/s of {ceiling:.0}, {:.1} %",
        flops as f64 / 1e12,
        100.0 * rate / ceiling,
    );
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(["kind", "seconds", "of wall", "GFLOP/s", "of ceiling"]);
    let mut rest = wall;
    for (_, kind, spent) in spent {
        rest = rest.saturating_sub(spent.time);
        let time = spent.time.as_secs_f64();
        let rate = spent.flops as f64 / time.max(1e-9) / 1e9;
        let (rate, share) = match spent.flops {
            0 => (String::new(), String::new()),
            _ => (format!("{rate:.0}"), format!("{:.1} %", 100.0 * rate / ceiling)),
        };
        table.add_row([
            kind.to_string(),
            format!("{time:.3}"),
            format!("{:.1} %", 100.0 * time / seconds),
            rate,
            share,
        ]);
    }
    let rest = rest.as_secs_f64();
    let rest =
        ["tokenizing, planning, the rest".into(), format!("{rest:.3}"), format!("{:.1} %", 100.0 * rest / seconds)];
    table.add_row(rest);
    println!("{table}");
}

/// A line of the process's status, in MB; 0 where there is none.
fn memory(line: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let found = status.lines().find(|l| l.starts_with(line));
    found.and_then(|l| l.split_whitespace().nth(1)?.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}
