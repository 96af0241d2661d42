//! What the harness itself costs when servers answer at once.
//!
//!     cargo bench --bench remote
//!     cargo bench --bench remote -- --requests 10000,50000,100000 --runs 3
//!
//! The real binary runs tasks of so many requests against the toy server of the tests: prompts, probe, requests, journal, scores, result
//! files. The server is one thread of this process, the harness a process of its own; `shared`: both on all cores, `apart`: the server's thread
//! on one core and the harness on the others (with `taskset`). First the server alone: a minimal load generator, 64 connections on one
//! thread. A rate is over the time between the server's first and last answer, probes included; `whole` is over the whole process. Memory
//! is read from `/proc` while it runs: as the first tenth of the requests is answered, as the last is, and its peak. A run keeps
//! documents and answers for scores and samples files; `engine` is a process that lets answers go, so that what grows there is the engine.

#[path = "../tests/server/mod.rs"]
mod server;

use comfy_table::{Table, presets};
use fairmark::engine::remote::CacheMode;
use fairmark::engine::{Cancel, EngineOptions, Update};
use fairmark::request::{Prompt, Request, RequestKind};
use server::{Server, Setup};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

type Failure = Box<dyn std::error::Error>;

/// Choices of a document.
const CHOICES: usize = 4;
/// Connections of the load generator, and requests in flight of the harness.
const CONNECTIONS: usize = 64;
/// Requests of the load generator.
const LOAD: usize = 100_000;

/// What makes this process one that only asks.
const ENGINE: &str = "--engine";

/// What is asked.
struct Work {
    name: &'static str,
    output_type: &'static str,
    protocol: &'static str,
    requests_per_doc: usize,
}

const LIKELIHOOD: Work =
    Work { name: "likelihood", output_type: "multiple_choice", protocol: "likelihood", requests_per_doc: CHOICES };
const OTHERS: &[Work] = &[
    Work { name: "letters", output_type: "multiple_choice", protocol: "letter-logprobs", requests_per_doc: 1 },
    Work { name: "texts", output_type: "generate_until", protocol: "auto", requests_per_doc: 1 },
];

struct Options {
    requests: Vec<usize>,
    runs: usize,
}

fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().collect();
    if let [_, flag, model, count] = words.as_slice()
        && flag == ENGINE
    {
        return answer(model, count.parse()?);
    }
    let options = options()?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("{cores} cores; prompts of about 150 characters, {CONNECTIONS} requests in flight at most\n");
    for _ in 0..options.runs {
        alone()?;
    }
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header([
        "work",
        "requests",
        "cores",
        "requests/s",
        "whole",
        "CPU (us each)",
        "server's CPU",
        "RSS at 10 %",
        "RSS at 100 %",
        "peak (MB)",
        "connections",
        "beside",
    ]);
    let places: &[bool] = if cores > 1 && has_taskset() { &[false, true] } else { &[false] };
    for count in &options.requests {
        for is_apart in places {
            for _ in 0..options.runs {
                eprintln!("{} {count} {}", LIKELIHOOD.name, if *is_apart { "apart" } else { "shared" });
                table.add_row(run(&LIKELIHOOD, *count, *is_apart)?);
            }
        }
    }
    for count in &options.requests {
        eprintln!("engine {count}");
        table.add_row(engine_only(*count)?);
    }
    for work in OTHERS {
        eprintln!("{}", work.name);
        for _ in 0..options.runs {
            table.add_row(run(work, options.requests.first().copied().unwrap_or(10_000), false)?);
        }
    }
    println!("\n{table}");
    Ok(())
}

fn options() -> Result<Options, Failure> {
    let mut options = Options { requests: vec![10_000, 50_000, 100_000], runs: 3 };
    // `cargo bench` adds `--bench`.
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        match word.as_str() {
            "--requests" => options.requests = value.split(',').map(str::parse).collect::<Result<_, _>>()?,
            "--runs" => options.runs = value.parse::<usize>()?.max(1),
            other => return Err(format!("unknown option {other}").into()),
        }
    }
    Ok(options)
}

fn has_taskset() -> bool {
    let found = Command::new("taskset").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    found.is_ok_and(|status| status.success())
}

fn fast() -> Server {
    Server::start(Setup { keeps_log: false, ..Setup::default() })
}

/// The server under a minimal load generator.
fn alone() -> Result<(), Failure> {
    let server = fast();
    let prompt = format!("Question 1: {}\nAnswer: copper lantern", "meadow winter ".repeat(8));
    let body = format!(
        r#"{{"model":"toy","prompt":{},"max_tokens":1,"temperature":0,"echo":true,"logprobs":1}}"#,
        serde_json::to_string(&prompt)?
    );
    let request = format!(
        "POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    // Every connection has one request under way.
    let mut streams: Vec<TcpStream> = (0..CONNECTIONS).map(|_| connect(server.address)).collect::<Result<_, _>>()?;
    let started = Instant::now();
    let mut buffer = vec![0; 1 << 16];
    for stream in &mut streams {
        stream.write_all(request.as_bytes())?;
    }
    for _ in 0..LOAD / CONNECTIONS {
        for stream in &mut streams {
            read_answer(stream, &mut buffer)?;
            stream.write_all(request.as_bytes())?;
        }
    }
    let (wall, count) = (started.elapsed(), server.answered() as f64);
    println!(
        "server alone, one thread, load from another: {:.0} requests/s, {:.1} us of its processor time each",
        count / wall.as_secs_f64(),
        server.cpu().as_secs_f64() * 1e6 / count
    );
    Ok(())
}

fn connect(address: SocketAddr) -> Result<TcpStream, Failure> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Reads one answer of known length.
fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<(), Failure> {
    let mut held = 0;
    let mut whole = usize::MAX;
    while held < whole {
        held += match stream.read(&mut buffer[held..])? {
            0 => return Err("the server closed a connection".into()),
            read => read,
        };
        if whole == usize::MAX
            && let Some(end) = buffer[..held].windows(4).position(|four| four == b"\r\n\r\n")
        {
            let head = std::str::from_utf8(&buffer[..end])?;
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            whole = end + 4 + length.ok_or("no content-length")?.parse::<usize>()?;
        }
    }
    Ok(())
}

/// Writes a task of so many requests into a folder.
fn write_task(folder: &Path, work: &Work, requests: usize) -> Result<(), Failure> {
    let choices = match work.output_type {
        "multiple_choice" => "doc_to_choice: \"{{choices}}\"\n",
        _ => "generation_kwargs: {until: [\"\\n\"], max_gen_toks: 16}\nmetric_list:\n  - metric: exact_match\n",
    };
    let yaml = format!(
        "task: bench_{}\ndataset_path: json\ndataset_kwargs:\n  data_files: {{test: rows.jsonl}}\ntest_split: test\noutput_type: {}\n\
         doc_to_text: \"Question {{{{id}}}}: {{{{text}}}}\\nAnswer:\"\ndoc_to_target: answer\n{choices}",
        work.name, work.output_type
    );
    std::fs::write(folder.join("task.yaml"), yaml)?;
    let mut rows = std::io::BufWriter::new(std::fs::File::create(folder.join("rows.jsonl"))?);
    for id in 0..requests / work.requests_per_doc {
        let text = format!("meadow {} winter {} ", id % 97, id % 89).repeat(6);
        let choices: Vec<String> = (0..CHOICES).map(|n| format!("\"lantern copper {n}\"")).collect();
        writeln!(
            rows,
            "{{\"id\": {id}, \"text\": \"{text}\", \"choices\": [{}], \"answer\": {}}}",
            choices.join(", "),
            id % CHOICES
        )?;
    }
    Ok(rows.flush()?)
}

/// One run of the binary; a row of the table.
fn run(work: &Work, requests: usize, is_apart: bool) -> Result<Vec<String>, Failure> {
    let folder = tempfile::tempdir()?;
    write_task(folder.path(), work, requests)?;
    let server = fast();
    let mut command = if is_apart {
        pin(server.thread_id.ok_or("threads have no numbers here")?)?;
        let last = std::thread::available_parallelism()?.get() - 1;
        let mut command = Command::new("taskset");
        command.args(["-c", &format!("1-{last}"), env!("CARGO_BIN_EXE_fairmark")]);
        command
    } else {
        Command::new(env!("CARGO_BIN_EXE_fairmark"))
    };
    command.current_dir(folder.path()).env("HF_HUB_OFFLINE", "1");
    command.args([
        "run",
        "--model",
        &server.model(),
        "--tasks",
        &format!("bench_{}", work.name),
        "--include-path",
        ".",
    ]);
    command.args(["--out", "out", "--cache", "off", "--bootstrap-iters", "0", "--mc-protocol", work.protocol]);
    command.args(["--max-concurrency", &CONNECTIONS.to_string()]);
    let place = if is_apart { "apart" } else { "shared" };
    watch([work.name.to_string(), requests.to_string(), place.to_string()], command, &server, requests)
}

/// One run of the engine without a run around it.
fn engine_only(requests: usize) -> Result<Vec<String>, Failure> {
    let server = fast();
    let mut command = Command::new(std::env::current_exe()?);
    command.args([ENGINE, &server.model(), &requests.to_string()]);
    watch(["engine".to_string(), requests.to_string(), "shared".to_string()], command, &server, requests)
}

/// Asks so many requests and lets the answers go.
fn answer(model: &str, count: usize) -> Result<(), Failure> {
    let mut options = EngineOptions::default();
    options.remote.cache = CacheMode::Off;
    options.remote.limits.max_concurrency = CONNECTIONS;
    let engine = fairmark::engine::open(model, &options)?;
    let request = |n: usize| {
        let text = format!("Question {}: {}\nAnswer:", n / CHOICES, format!("meadow {} winter ", n % 97).repeat(8));
        let continuation = format!(" lantern copper {}", n % CHOICES);
        let kind = RequestKind::Loglikelihood { context: Prompt::Text(text), continuation };
        Request { kind, sample: 0, seed: 0 }
    };
    let requests: Vec<Request> = (0..count).map(request).collect();
    let mut answered = 0;
    engine.answer(&requests, &Cancel::default(), &mut |update| {
        answered += usize::from(matches!(update, Update::Answered(_, Ok(_), _)));
        Ok(())
    })?;
    if answered == count { Ok(()) } else { Err(format!("{answered} of {count} answers").into()) }
}

/// Runs a command to its end; the figures of its row.
fn watch(names: [String; 3], mut command: Command, server: &Server, requests: usize) -> Result<Vec<String>, Failure> {
    let (before, server_before) = (children_cpu(), server.cpu());
    let started = Instant::now();
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let process = format!("/proc/{}/status", child.id());
    let (mut early, mut late, mut peak) = (0.0, 0.0, 0.0_f64);
    while child.try_wait()?.is_none() {
        let (now, most) = (memory(&process, "VmRSS"), memory(&process, "VmHWM"));
        peak = peak.max(most);
        let answered = server.answered() as usize;
        if early == 0.0 && answered * 10 >= requests {
            early = now;
        }
        if late == 0.0 && answered >= requests {
            late = now;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let wall = started.elapsed().as_secs_f64();
    let output = child.wait_with_output()?;
    if !output.status.success() {
        return Err(format!("the run failed: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let each = |time: Duration| format!("{:.0}", time.as_secs_f64() * 1e6 / requests as f64);
    let rate = |seconds: f64| format!("{:.0}", requests as f64 / seconds);
    let megabytes = |value: f64| format!("{value:.0}");
    let mut row = names.to_vec();
    row.extend([
        rate(server.span().as_secs_f64()),
        rate(wall),
        each(children_cpu() - before),
        each(server.cpu() - server_before),
        megabytes(early),
        megabytes(late),
        megabytes(peak),
        server.connections().to_string(),
        beside(server, requests),
    ]);
    Ok(row)
}

/// Requests beyond one for each: probes, and retries if there are any.
fn beside(server: &Server, requests: usize) -> String {
    (server.requests() as i64 - requests as i64).to_string()
}

/// Puts the server's thread on the first core.
fn pin(thread: u64) -> Result<(), Failure> {
    let status = Command::new("taskset").args(["-p", "-c", "0", &thread.to_string()]).stdout(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err("taskset failed".into()) }
}

/// Processor time of processes that have ended, to a hundredth of a second.
fn children_cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The second field is a name in brackets; of the others the 14th and 15th after it are meant.
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    Duration::from_millis(10 * (ticks(13) + ticks(14)))
}

/// A line of a process's status, in MB; 0 where there is none.
fn memory(process: &str, line: &str) -> f64 {
    let status = std::fs::read_to_string(process).unwrap_or_default();
    let found = status.lines().find(|l| l.starts_with(line));
    found.and_then(|l| l.split_whitespace().nth(1)?.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}
