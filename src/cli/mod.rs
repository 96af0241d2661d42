//! The command line: one file per verb, no logic of its own.
//!
//! Comes in: arguments. Goes out: data on stdout, talk on stderr, an exit code (0 yes, 1 no, 2 cannot, 3 incomplete).

mod agreement;
mod args;
mod bytes;
mod cache;
mod compare;
mod completions;
mod cost;
mod demo;
mod downloads;
mod endpoints;
mod fault;
mod guide;
mod interrupt;
mod judging;
mod logits;
mod ls;
mod man;
mod power;
mod precision;
mod problems;
mod progress;
mod recorder;
mod report;
mod rescore;
mod run;
mod screen;
mod show;
mod talk;

use crate::error::{Error, Result};
use crate::kernel::{ISA_VARIABLE, Isa};
use crate::visible;
use clap::{CommandFactory, Parser, Subcommand};
use std::ffi::OsString;
use std::process::ExitCode;
use talk::print;

/// A benchmark and safety evaluation harness for language models.
#[derive(Parser)]
#[command(name = "fairmark", version, about, max_term_width = 100, after_help = guide::after_help())]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Show what fairmark does: the built-in model at several precisions on the built-in tasks, in one table.
    Demo(demo::DemoArgs),
    /// Evaluate models on tasks and print a table.
    Run(run::RunArgs),
    /// Render finished runs again: fairmark's, lm-evaluation-harness's, Inspect's. No model, no data, no network.
    Report(report::ReportArgs),
    /// Score recorded answers again, under filters and metrics as task files say them now. No model, no data.
    Rescore(Box<rescore::RescoreArgs>),
    /// What changed between runs over the same documents: paired differences, flips, a sentence for each.
    Compare(compare::CompareArgs),
    /// What a run of these tasks can see before it is made, and what it cannot.
    Power(power::PowerArgs),
    /// List what fairmark knows.
    Ls(ls::LsArgs),
    /// Show the exact prompt of a document: text, choices, token ids, what was cut.
    Show(show::ShowArgs),
    /// Base files of llama.cpp's perplexity tool: write one, or hold a model against one.
    #[command(subcommand)]
    Logits(logits::LogitsVerb),
    /// How well a toxicity scorer agrees with the scores that RealToxicityPrompts stores.
    ScorerAgreement(agreement::AgreementArgs),
    /// Look at the response cache, or take answers out of it.
    Cache(cache::CacheArgs),
    /// Print a script that completes verbs, flags and values in a shell.
    Completions(completions::CompletionsArgs),
    /// Print the manual page, or write all pages into a folder.
    Man(man::ManArgs),
}

/// Characters of an argument that a message about arguments repeats.
const REPEATED: usize = 300;

/// Reads the arguments, does the work, reports errors; returns the process exit code.
pub fn main() -> ExitCode {
    fault::guarded(command)
}

fn command() -> ExitCode {
    let cli = match parsed(std::env::args_os().collect()) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    match known_isa().and_then(|()| run_verb(cli.verb)) {
        Ok(code) => code,
        Err(error) => {
            talk::error(None, &error);
            ExitCode::from(error.kind().exit_code())
        }
    }
}

/// The arguments, or the exit code after help, a version or a complaint about them was shown.
fn parsed(words: Vec<OsString>) -> std::result::Result<Cli, ExitCode> {
    Cli::try_parse_from(&words).map_err(|err| {
        // A complaint repeats what was typed. The same words made harmless make the same complaint.
        let harmless = words.iter().map(|word| visible::excerpt(&word.to_string_lossy(), REPEATED));
        talk::usage(&Cli::try_parse_from(harmless).err(), &err);
        ExitCode::from(err.exit_code() as u8)
    })
}

/// Checks the variable that names an instruction set.
fn known_isa() -> Result<()> {
    Isa::asked_for().map(drop).map_err(|name| {
        let known: Vec<&str> = Isa::available().into_iter().map(Isa::name).collect();
        Error::input(format!("this processor has no instruction set `{name}`"))
            .key(ISA_VARIABLE)
            .hint(format!("it has {}; unset the variable to get the best", known.join(", ")))
    })
}

fn run_verb(verb: Verb) -> Result<ExitCode> {
    match verb {
        Verb::Demo(args) => demo::demo(&args),
        Verb::Run(args) => run::run(&args),
        Verb::Report(args) => report::report(&args),
        Verb::Rescore(args) => rescore::rescore(&args),
        Verb::Compare(args) => compare::compare_runs(&args),
        Verb::Power(args) => power::power(&args),
        Verb::Ls(args) => ls::ls(&args),
        Verb::Show(args) => show::show(&args),
        Verb::Logits(verb) => logits::logits(&verb),
        Verb::ScorerAgreement(args) => agreement::scorer_agreement(&args),
        Verb::Cache(args) => cache::cache(&args),
        Verb::Completions(args) => completions::completions(&args, Cli::command()),
        Verb::Man(args) => man::man(&args, Cli::command()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn flags_are_consistent() {
        super::Cli::command().debug_assert();
    }
}
