//! Flags about judging: what model-written programs run in, how many answers a document gets.

use super::endpoints::EndpointArgs;
use crate::engine::EngineOptions;
use crate::engine::cache::CacheOptions;
use crate::error::Result;
use crate::judge::JudgeOptions;
use crate::sandbox::{Runner, Template};
use crate::score::Sampling;
use crate::toxicity::DEFAULT_SCORER;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// How answers are judged.
#[derive(Args, Clone)]
#[command(next_help_heading = "Judging")]
pub struct JudgeArgs {
    /// What model-written programs run in: fairmark's own sandbox (Linux), or an external program that must be installed. Where none can
    /// be had, code tasks are reported as not run.
    #[arg(long, value_enum, default_value_t = SandboxArg::Own, value_name = "SANDBOX")]
    pub sandbox: SandboxArg,

    /// Run model-written programs without any sandbox, with your rights on this machine. Only where the machine itself is disposable.
    #[arg(long, conflicts_with = "sandbox")]
    pub unsafe_code: bool,

    /// The Python that runs model-written programs (default: `python3` of the search path).
    #[arg(long, value_name = "FILE")]
    pub python: Option<PathBuf>,

    /// What says how toxic texts are: `linear` (built in), `hf:ORG/NAME` (a classifier), `perspective`, `openai-moderation`, or
    /// `judge:MODEL` (a language model under a fixed rubric); see `fairmark ls scorers`. Figures of different scorers are not comparable.
    #[arg(long, value_name = "SCORER", default_value = DEFAULT_SCORER)]
    pub toxicity_scorer: String,

    /// Answers to each document of generation tasks (default: the task's `repeats`). Sample with `--gen-kwargs
    /// do_sample=true,temperature=0.7`, or all are alike.
    #[arg(long, visible_alias = "repeats", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub n_samples: Option<u32>,

    /// The `k` of `pass@k`, for code tasks (default: the task's).
    #[arg(long, value_name = "K,...", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..))]
    pub pass_k: Vec<u64>,
}

impl JudgeArgs {
    /// Options for all judges of this command.
    pub fn judge_options(
        &self,
        endpoints: &EndpointArgs,
        workers: usize,
        engine: &EngineOptions,
    ) -> Result<JudgeOptions> {
        let runner = match (self.unsafe_code, self.sandbox) {
            (true, _) => Runner::Unsafe,
            (false, SandboxArg::Own) => Runner::Own,
            (false, external) => {
                let value = external.to_possible_value();
                let name = value.as_ref().map_or("", |value| value.get_name());
                Runner::External(Template::named(name)?)
            }
        };
        let cache =
            CacheOptions { mode: endpoints.cache.into(), file: endpoints.cache_file.clone(), retry_refused: false };
        Ok(JudgeOptions {
            runner,
            python: self.python.clone(),
            workers,
            cache,
            toxicity_scorer: self.toxicity_scorer.clone(),
            engine: engine.clone(),
        })
    }

    /// The flags of these that were given and are about judges.
    pub fn given(&self) -> Vec<&'static str> {
        let flags = [
            (self.sandbox != SandboxArg::Own, "--sandbox"),
            (self.unsafe_code, "--unsafe-code"),
            (self.python.is_some(), "--python"),
            (self.toxicity_scorer != DEFAULT_SCORER, "--toxicity-scorer"),
        ];
        flags.into_iter().filter(|(given, _)| *given).map(|(_, flag)| flag).collect()
    }

    /// How many answers documents get, and under what `k` they count.
    pub fn sampling(&self) -> Sampling {
        Sampling { num_samples: self.n_samples, pass_k: self.pass_k.clone() }
    }
}

/// `--sandbox`
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq)]
pub enum SandboxArg {
    /// Kernel layers that fairmark sets up itself: landlock, seccomp, limits, namespaces where they can be had.
    Own,
    /// Bubblewrap.
    Bwrap,
    /// gVisor.
    Runsc,
    /// A container of the installed Docker.
    Docker,
}
