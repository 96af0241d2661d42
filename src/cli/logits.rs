//! `fairmark logits`: base files of llama.cpp's perplexity tool.

use super::args::DTypeArg;
use super::downloads;
use super::interrupt::cancel_on_signal;
use super::precision::{Level, only};
use super::talk;
use crate::engine::local::{DeviceChoice, LocalEngine};
use crate::engine::{self, EngineOptions};
use crate::error::{Error, Result};
use crate::fidelity::BaseSummary;
use crate::runner::{compare_base, read_corpus, write_base};
use clap::{Args, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// What is done with a base file.
#[derive(Subcommand)]
pub enum LogitsVerb {
    /// Write a model's distributions over a text, as `llama-perplexity --kl-divergence-base` does.
    Write(WriteArgs),
    /// Hold a model against a base file, by llama.cpp's formulas: divergence, likeliest token, perplexity.
    Compare(CompareArgs),
}

/// Flags of `fairmark logits write`.
#[derive(Args)]
pub struct WriteArgs {
    /// The text, which is cut in whole windows.
    #[arg(long, value_name = "FILE")]
    corpus: PathBuf,

    /// The base file.
    #[arg(long, short, value_name = "FILE")]
    out: PathBuf,

    /// Tokens of a window; those after more than half of it are predicted.
    #[arg(long, default_value_t = 512, value_name = "TOKENS")]
    window: usize,

    #[command(flatten)]
    model: LoadArgs,
}

/// Flags of `fairmark logits compare`.
#[derive(Args)]
pub struct CompareArgs {
    /// The base file.
    #[arg(value_name = "BASE")]
    base: PathBuf,

    /// The text that the base file is of: its tokens are compared with those in the file.
    #[arg(long, value_name = "FILE")]
    corpus: Option<PathBuf>,

    /// Print JSON.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    model: LoadArgs,
}

/// The model and how it is loaded.
#[derive(Args)]
struct LoadArgs {
    /// A folder with a Hugging Face checkpoint, a `.gguf` file, a hub id (`org/name[@revision]`), or `demo`.
    #[arg(long, short, value_name = "MODEL")]
    model: String,

    /// Number format of weights and arithmetic.
    #[arg(long, value_enum, default_value_t = DTypeArg::Auto)]
    dtype: DTypeArg,

    /// Bring full-precision weights to this format on loading (`fairmark ls precisions`).
    #[arg(long, value_name = "FORMAT", value_parser = Level::parser(), ignore_case = true, hide_possible_values = true)]
    precision: Option<Level>,

    /// Where the model runs: `auto` (a GPU where this build and machine have one), `cpu`, `cuda:N`, `metal`.
    #[arg(long, default_value = "auto", value_name = "DEVICE", value_parser = str::parse::<DeviceChoice>)]
    device: DeviceChoice,

    /// Threads (default: all cores). Decides only the time.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,

    /// Never use the network: only local files and the hub's cache (also `HF_HUB_OFFLINE=1`).
    #[arg(long)]
    offline: bool,
}

impl LoadArgs {
    /// Loads the model.
    ///
    /// Errors: it is a server or a mock; it cannot be loaded.
    fn load(&self) -> Result<LocalEngine> {
        if engine::is_remote(&self.model) || engine::mock::is_mock(&self.model) {
            return Err(Error::input(format!("whole distributions cannot be had of {}", self.model))
                .key("--model")
                .hint("name a model that runs in this process: a folder, a .gguf file, a hub id or `demo`"));
        }
        let options = EngineOptions {
            dtype: self.dtype.into(),
            device: self.device,
            threads: self.threads.map_or(0, usize::from),
            offline: self.offline,
            on_download: Some(downloads::report),
            ..EngineOptions::default()
        };
        LocalEngine::load(&self.model, &only(self.precision.as_slice(), options)?)
    }
}

/// Writes a base file, or compares a model with one.
pub fn logits(verb: &LogitsVerb) -> Result<ExitCode> {
    let cancel = cancel_on_signal();
    match verb {
        LogitsVerb::Write(args) => {
            let text = read_corpus(&args.corpus)?;
            let engine = args.model.load()?;
            let windows = write_base(&engine, &text, args.window, &args.out, &cancel)?;
            let number = windows.tokens.len() / windows.window;
            talk::say(format_args!(
                "{}: {number} windows of {} tokens, {} predicted in each",
                args.out.display(),
                windows.window,
                windows.scored()
            ));
        }
        LogitsVerb::Compare(args) => {
            let text = args.corpus.as_deref().map(read_corpus).transpose()?;
            let engine = args.model.load()?;
            let (windows, positions) = compare_base(&engine, &args.base, text.as_deref(), &cancel)?;
            let Some(found) = BaseSummary::of(&positions) else {
                return Err(Error::input("less than two positions have finite distributions").file(&args.base));
            };
            if found.not_finite > 0 {
                let (odd, of) = (found.not_finite, positions.len());
                talk::warning(format_args!("{odd} of {of} positions are not finite and left out"));
            }
            if args.json {
                let text = serde_json::to_string_pretty(&found);
                talk::print_json(&text.map_err(|err| Error::input("cannot encode the figures").cause(err))?)?;
            } else {
                talk::print(&shown(&found, windows.tokens.len() / windows.window, windows.window))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The figures in lines.
fn shown(found: &BaseSummary, number: usize, window: usize) -> String {
    let lines = [
        ("positions", format!("{} ({number} windows of {window}, second halves)", found.positions)),
        ("KL mean", format!("{:.6} ± {:.6}", found.kl_mean, found.kl_mean_se)),
        ("KL min, median", format!("{:.6}, {:.6}", found.kl_min, found.kl_median)),
        ("KL 90, 99, 99.9 %", format!("{:.6}, {:.6}, {:.6}", found.kl_90, found.kl_99, found.kl_999)),
        ("KL max", format!("{:.6}", found.kl_max)),
        ("same top-1", format!("{:.3} ± {:.3} %", 100.0 * found.same_top, 100.0 * found.same_top_se)),
        ("Δp mean", format!("{:.4} ± {:.4} %", 100.0 * found.dp_mean, 100.0 * found.dp_mean_se)),
        ("Δp RMS", format!("{:.4} %", 100.0 * found.dp_rms)),
        ("perplexity, base", format!("{:.4}, {:.4}", found.perplexity, found.perplexity_base)),
        ("ln of their ratio", format!("{:.6} ± {:.6}", found.ln_ratio, found.ln_ratio_se)),
    ];
    let body: String = lines.iter().map(|(name, value)| format!("{name:<18}  {value}\n")).collect();
    format!(
        "{body}{}: rounded to 16 bits, by llama.cpp's formulas; errors take positions for independent\n",
        found.kind
    )
}
