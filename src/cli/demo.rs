//! `fairmark demo`: the main job on what is built in, as one ordinary `fairmark run`.

use super::cost::against_first;
use super::run::{self, RunArgs};
use super::screen::screen;
use super::talk;
use crate::compare::Options;
use crate::error::{Error, Result};
use crate::record::Run;
use crate::report::render_against_base;
use clap::{Args, FromArgMatches};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Full precision, 8 bits and both kinds of 4 bits of bitsandbytes, and 4 bits of llama.cpp.
const PRECISIONS: &str = "bf16,int8,nf4,fp4,q4_0";

/// Flags of `fairmark demo`.
#[derive(Args)]
pub struct DemoArgs {
    /// Folder for run folders.
    #[arg(long, short, default_value = "reports", value_name = "DIR")]
    out: PathBuf,

    /// Forget what an earlier demo recorded and ask everything anew.
    #[arg(long)]
    fresh: bool,

    /// Only the first N documents of each task, or a fraction of them (below 1).
    #[arg(long, value_name = "N|FRACTION")]
    limit: Option<f64>,

    /// Formats of the weights; `fairmark ls precisions` lists them.
    #[arg(long, default_value = PRECISIONS, value_name = "FORMAT,...")]
    precision: String,

    /// Print the table as Markdown.
    #[arg(long)]
    markdown: bool,

    /// Say nothing but the table, warnings and errors.
    #[arg(long, short)]
    quiet: bool,
}

/// Runs the built-in model on the built-in tasks; exit code 3 when programs could not be run.
pub fn demo(args: &DemoArgs) -> Result<ExitCode> {
    let mut asked = ["--model", "demo", "--tasks", "demo", "--precision", &args.precision].map(str::to_string).to_vec();
    asked.extend(args.limit.into_iter().flat_map(|limit| ["--limit".to_string(), limit.to_string()]));
    if !args.quiet {
        talk::say(
            "the demo: 6 small tasks about an invented valley, a model trained for it, everything from this program",
        );
        talk::say(format_args!("the same as: fairmark run {}", asked.join(" ")));
    }
    let flags = [(args.fresh, "--fresh"), (args.markdown, "--markdown"), (args.quiet, "--quiet")];
    asked.extend(flags.iter().filter(|(given, _)| *given).map(|(_, flag)| flag.to_string()));
    let mut asked: Vec<OsString> = asked.into_iter().map(OsString::from).collect();
    asked.extend(["--out".into(), args.out.clone().into_os_string()]);
    let (runs, code) = run::run_all(&parsed(asked)?)?;
    print_against_first(&runs, args.markdown)?;
    if !args.quiet {
        next(&args.out).lines().for_each(talk::say);
    }
    Ok(code)
}

/// What each format costs against the first: a table, and a sentence a format.
fn print_against_first(runs: &[(String, Run)], markdown: bool) -> Result<()> {
    let found = against_first(runs, &Options::default())?;
    if found.is_empty() {
        return Ok(());
    }
    let (style, _) = screen(markdown);
    talk::print_styled(&format!("\n{}", render_against_base(&found, style)))
}

/// The flags of `fairmark run` that these arguments are.
fn parsed(arguments: Vec<OsString>) -> Result<RunArgs> {
    let command = RunArgs::augment_args(clap::Command::new("run").no_binary_name(true));
    let matches = command.try_get_matches_from(arguments);
    let args = matches.and_then(|matches| RunArgs::from_arg_matches(&matches));
    args.map_err(|err| {
        let text = err.to_string();
        let lines = text.trim_start_matches("error: ").lines().map(str::trim).filter(|line| !line.is_empty());
        Error::input(lines.collect::<Vec<_>>().join("; "))
    })
}

/// What to look at and what to do next, in commands that can be copied.
fn next(out: &Path) -> String {
    let program = std::env::args().next().filter(|name| !name.is_empty() && !name.contains(char::is_whitespace));
    let program = program.unwrap_or_else(|| "fairmark".to_string());
    let commands = [
        ("what exactly was asked", "show demo_sums --doc 3 --model demo"),
        ("a task with five shots", "run --model demo --tasks demo_facts --num-fewshot 5"),
        ("a real benchmark, a model of the hub", "run --model HuggingFaceTB/SmolLM2-135M --tasks arc_easy --limit 100"),
    ];
    let lines = commands.map(|(what, command)| format!("  {program} {command}    # {what}\n"));
    format!(
        "\nprompts, answers and scores are in {}, a folder for each column; try next:\n{}",
        out.display(),
        lines.concat()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_arguments_are_those_of_run() {
        let args = |text: &str| parsed(text.split(' ').map(OsString::from).collect());
        assert!(args(&format!("--model demo --tasks demo --precision {PRECISIONS}")).is_ok());
        let err = args("--model demo --tasks demo --precision int3").err().unwrap().to_string();
        assert!(err.contains("int3") && err.contains("--precision"), "{err}");
    }
}
