//! Opening, reporting and comparing runs of a million samples.
//!
//!     cargo bench --bench runs
//!     cargo bench --bench runs -- --samples 100000,1000000 --runs 3
//!
//! Makes two runs in the reference's form (one task, a line of about 600 bytes a sample, as a short multiple-choice task has), then times
//! the real binary on them: wall-clock seconds, and the peak of its resident memory as the system counts it.

use comfy_table::{Table, presets};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().collect();
    let after = |flag: &str| words.iter().position(|word| word == flag).and_then(|at| words.get(at + 1)).cloned();
    let samples = after("--samples").unwrap_or_else(|| "1000000".into());
    let samples: Vec<usize> = samples.split(',').map(str::parse).collect::<Result<_, _>>()?;
    let runs: usize = after("--runs").map_or(Ok(3), |text| text.parse())?;
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(["samples a run", "files, MB", "command", "seconds (best, worst)", "peak memory, MB"]);
    for n in samples {
        let folder = tempfile::tempdir()?;
        let mut bytes = 0;
        for (name, seed) in [("a", 1), ("b", 2)] {
            bytes += write_run(&folder.path().join(name), n, seed)?;
        }
        let commands: [&[&str]; 3] = [&["report", "a"], &["report", "a", "b"], &["compare", "a", "b"]];
        for command in commands {
            let measured: Vec<(f64, u64)> =
                (0..runs).map(|_| measure(folder.path(), command)).collect::<Result<_, _>>()?;
            let best = measured.iter().map(|m| m.0).fold(f64::MAX, f64::min);
            let worst = measured.iter().map(|m| m.0).fold(0.0, f64::max);
            let memory = measured.iter().map(|m| m.1).max().unwrap_or(0);
            table.add_row([
                n.to_string(),
                (bytes / 1_000_000).to_string(),
                command.join(" "),
                format!("{best:.2}, {worst:.2}"),
                (memory / 1000).to_string(),
            ]);
        }
    }
    println!("{table}");
    Ok(())
}

/// A run of one task with so many samples; bytes written.
fn write_run(folder: &Path, n: usize, seed: u64) -> Result<u64, Failure> {
    std::fs::create_dir_all(folder)?;
    let mut random = fastrand::Rng::with_seed(seed);
    let file = std::fs::File::create(folder.join("samples_big_2026-01-01T00-00-00.000000.jsonl"))?;
    let mut lines = BufWriter::new(file);
    let (mut right, filler) = (0, "a sentence of some words that stands for the question of a document ".repeat(3));
    for doc in 0..n {
        let is_right = random.u64(0..100) < 60 + seed;
        right += u64::from(is_right);
        let hash: String = (0..4)
            .map(|part| format!("{:016x}", (doc as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15 + part)))
            .collect();
        writeln!(
            lines,
            "{{\"doc_id\": {doc}, \"doc\": {{\"q\": \"{filler}\", \"a\": 1}}, \"target\": \"1\", \"arguments\": {{\"gen_args_0\": {{\"arg_0\": \
             \"{filler}\", \"arg_1\": \" x\"}}}}, \"resps\": [[[\"-{0}.25\", \"False\"]], [[\"-{1}.5\", \"True\"]]], \"filtered_resps\": \
             [[\"-{0}.25\", \"False\"], [\"-{1}.5\", \"True\"]], \"filter\": \"none\", \"metrics\": [\"acc\", \"acc_norm\"], \"doc_hash\": \
             \"{hash}\", \"prompt_hash\": \"{hash}\", \"target_hash\": \"{hash}\", \"acc\": {2:.1}, \"acc_norm\": {2:.1}}}",
            random.u64(1..90),
            random.u64(1..90),
            f64::from(u8::from(is_right)),
        )?;
    }
    lines.flush()?;
    let acc = right as f64 / n as f64;
    let results = format!(
        "{{\"results\": {{\"big\": {{\"alias\": \"big\", \"acc,none\": {acc}, \"acc_stderr,none\": 0.001, \"acc_norm,none\": {acc}, \
         \"acc_norm_stderr,none\": 0.001}}}}, \"group_subtasks\": {{\"big\": []}}, \"configs\": {{}}, \"versions\": {{\"big\": 1}}, \"n-shot\": \
         {{\"big\": 0}}, \"higher_is_better\": {{\"big\": {{\"acc\": true, \"acc_norm\": true}}}}, \"n-samples\": {{\"big\": {{\"original\": {n}, \
         \"effective\": {n}}}}}, \"model_name\": \"m{seed}\", \"lm_eval_version\": \"0.4.13\"}}"
    );
    std::fs::write(folder.join("results_2026-01-01T00-00-00.000000.json"), results)?;
    Ok(std::fs::metadata(folder.join("samples_big_2026-01-01T00-00-00.000000.jsonl"))?.len())
}

/// Seconds, and the peak of resident memory in kilobytes.
fn measure(folder: &Path, arguments: &[&str]) -> Result<(f64, u64), Failure> {
    let started = Instant::now();
    let mut command = Command::new(env!("CARGO_BIN_EXE_fairmark"));
    let child = command.current_dir(folder).args(arguments).stdout(Stdio::null()).stderr(Stdio::inherit()).spawn()?;
    let mut status = 0;
    // SAFETY: zeros are a valid `rusage`, and `wait4` writes to both.
    let (pid, usage) = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        (libc::wait4(child.id() as i32, &raw mut status, 0, &raw mut usage), usage)
    };
    if pid < 0 || status != 0 {
        return Err(format!("{arguments:?} ended with {status}").into());
    }
    Ok((started.elapsed().as_secs_f64(), usage.ru_maxrss as u64))
}
