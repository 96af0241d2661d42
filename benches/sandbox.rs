//! What a sandboxed program costs: trivial programs in each runner beside a plain `python3 -I -c pass`, and, with
//! `--humaneval FILE`, all reference solutions of HumanEval through the judge.
//!
//! Seconds are of processor time where it says so, of all processes together: the harness, its warmed interpreters and
//! the programs. That figure hardly depends on what else the machine does; the one by the clock does.

#[cfg(target_os = "linux")]
mod linux {
    use fairmark::error::{Error, Result};
    use fairmark::sandbox::judge::{Judge, Mode, Solution, Tests, Verdict};
    use fairmark::sandbox::{Ending, Limits, Program, Runner, Sandbox, Settings};
    use serde::Deserialize;
    use std::path::Path;
    use std::process::{Command, Stdio};
    use std::time::Instant;

    const ROUNDS: usize = 7;
    const PROGRAMS: usize = 60;

    /// Seconds: processor time and by the clock.
    #[derive(Clone, Copy)]
    struct Cost {
        cpu: f64,
        wall: f64,
    }

    /// One line of HumanEval's file.
    #[derive(Deserialize)]
    struct Problem {
        prompt: String,
        canonical_solution: String,
        test: String,
        entry_point: String,
    }

    pub fn main() -> Result<()> {
        let words: Vec<String> = std::env::args().skip(1).filter(|w| w != "--bench").collect();
        let sandbox = Sandbox::open(Settings::default())?;
        println!("{}", sandbox.report().summary());
        let python = sandbox.report().interpreter.clone();
        let own = rounds(PROGRAMS, || pass(&sandbox))?;
        show("own sandbox, `pass`", PROGRAMS, &own);
        let plain = Sandbox::open(Settings { runner: Runner::Unsafe, ..Settings::default() })?;
        show("unsafe runner, `pass`", PROGRAMS, &rounds(PROGRAMS, || pass(&plain))?);
        let bare = rounds(PROGRAMS, || bare(&python))?;
        show("python3 -I -c pass", PROGRAMS, &bare);
        println!(
            "a sandboxed program costs {:.2} of a plain start of Python (processor time, medians)",
            ratio(&own, &bare)
        );
        match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            [] => Ok(()),
            ["--humaneval", file] => humaneval(sandbox, Path::new(file)),
            _ => Err(Error::input("unknown arguments").hint("the only one is `--humaneval FILE`")),
        }
    }

    fn pass(sandbox: &Sandbox) -> Result<()> {
        let program = Program { code: "pass".to_owned(), files: Vec::new() };
        match sandbox.run(&program, &Limits::default()).ending {
            Ending::Exited(0) => Ok(()),
            ending => Err(Error::input(format!("a trivial program ended by {ending:?}"))),
        }
    }

    fn bare(python: &Path) -> Result<()> {
        let status = Command::new(python).args(["-I", "-c", "pass"]).stdin(Stdio::null()).status();
        status.map(drop).map_err(|e| Error::io("cannot start", python, e))
    }

    /// Cost of each round of so many calls.
    fn rounds(calls: usize, mut call: impl FnMut() -> Result<()>) -> Result<Vec<Cost>> {
        call()?;
        let mut costs = Vec::new();
        for _ in 0..ROUNDS {
            let (cpu, start) = (cpu_of_all(), Instant::now());
            for _ in 0..calls {
                call()?;
            }
            costs.push(Cost { cpu: cpu_of_all() - cpu, wall: start.elapsed().as_secs_f64() });
        }
        Ok(costs)
    }

    /// Processor seconds of this process and of all below it, those that have ended included.
    fn cpu_of_all() -> f64 {
        let stats: Vec<(u32, u32, f64)> = std::fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .filter_map(|entry| stat(entry.ok()?.file_name().to_str()?.parse().ok()?))
            .collect();
        let mut family = vec![std::process::id()];
        let mut sum = 0.0;
        while let Some(pid) = family.pop() {
            sum += stats.iter().filter(|(p, _, _)| *p == pid).map(|(_, _, cpu)| cpu).sum::<f64>();
            family.extend(stats.iter().filter(|(_, parent, _)| *parent == pid).map(|(child, _, _)| child));
        }
        sum
    }

    /// Number, parent, and processor seconds of a process with those of its children that were waited for.
    fn stat(pid: u32) -> Option<(u32, u32, f64)> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<&str> = text.rsplit(')').next()?.split_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse::<f64>().ok();
        // After the name: state, parent, ..., then utime, stime, cutime and cstime from the twelfth on.
        let ticks = number(11)? + number(12)? + number(13)? + number(14)?;
        // SAFETY: a plain question.
        let rate = unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64;
        Some((pid, fields.get(1)?.parse().ok()?, ticks / rate))
    }

    fn sorted(costs: &[Cost], value: impl Fn(&Cost) -> f64) -> Vec<f64> {
        let mut values: Vec<f64> = costs.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values
    }

    fn median(values: &[f64]) -> f64 {
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    }

    fn ratio(one: &[Cost], other: &[Cost]) -> f64 {
        median(&sorted(one, |c| c.cpu)) / median(&sorted(other, |c| c.cpu))
    }

    fn show(name: &str, calls: usize, costs: &[Cost]) {
        let calls = calls as f64;
        let line = |what: &str, values: Vec<f64>| {
            let [low, mid, high] = [values.first(), values.get(values.len() / 2), values.last()]
                .map(|v| v.copied().unwrap_or(f64::NAN) / calls * 1e3);
            println!(
                "{name:24} {what:9} ms each: min {low:7.2}  median {mid:7.2}  max {high:7.2}  ({:6.1} a second)",
                1e3 / mid
            );
        };
        line("processor", sorted(costs, |c| c.cpu));
        line("clock", sorted(costs, |c| c.wall));
    }

    /// All reference solutions of HumanEval; every one has to pass.
    fn humaneval(sandbox: Sandbox, file: &Path) -> Result<()> {
        let text = std::fs::read_to_string(file).map_err(|e| Error::io("cannot read", file, e))?;
        let judge = Judge::open(sandbox)?;
        let limits = Limits::default();
        let (cpu, start) = (cpu_of_all(), Instant::now());
        let (mut apart, mut together, mut failed) = (0, 0, Vec::new());
        for (index, line) in text.lines().filter(|line| !line.trim().is_empty()).enumerate() {
            let problem: Problem = serde_json::from_str(line)
                .map_err(|e| Error::input("no problem of HumanEval").at(file, index + 1).cause(e))?;
            let solution = Solution {
                code: format!("{}{}", problem.prompt, problem.canonical_solution),
                entry_points: vec![problem.entry_point.clone()],
            };
            let tests = Tests {
                prelude: problem.prompt.clone(),
                code: format!("{}\ncheck({})\n", problem.test, problem.entry_point),
            };
            let outcome = judge.run(&solution, &tests, &limits, Mode::TwoProcesses);
            if outcome.verdict == Verdict::Passed {
                apart += 1;
            } else if judge.run(&solution, &tests, &limits, Mode::OneProcess).verdict == Verdict::Passed {
                together += 1;
                println!("in one process only: {}", problem.entry_point);
            } else {
                failed.push(problem.entry_point);
            }
        }
        let (cpu, wall) = (cpu_of_all() - cpu, start.elapsed().as_secs_f64());
        println!(
            "HumanEval references: {apart} pass in two processes, {together} in one only, {} fail {failed:?}; \
             {cpu:.1} s of processor time, {wall:.1} s by the clock",
            failed.len()
        );
        Ok(())
    }
}

#[cfg(target_os = "linux")]
fn main() -> fairmark::error::Result<()> {
    linux::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("the sandbox works on Linux only");
}
