//! Flags about servers: how they are asked, what may be spent, what the response cache does.

use crate::engine::remote::transport::Limits;
use crate::engine::remote::{CacheMode, RemoteOptions};
use crate::error::{Error, Result};
use clap::{Args, ValueEnum};
use serde_json::{Map, Value};
use std::path::PathBuf;
use std::time::Duration;

/// How servers are asked.
#[derive(Args, Clone)]
#[command(next_help_heading = "Endpoints")]
pub struct EndpointArgs {
    /// The model's tokenizer (folder, `tokenizer.json` or hub id): prompts are sent as its token ids, which splits context and
    /// continuation exactly as a local run does.
    #[arg(long, value_name = "DIR|FILE|ID")]
    pub tokenizer: Option<String>,

    /// Most requests at the same time; how many there really are follows from how the server takes them.
    #[arg(long, default_value_t = 64, value_name = "N")]
    pub max_concurrency: usize,

    /// Requests per minute, at most.
    #[arg(long, value_name = "N", value_parser = positive)]
    pub rpm: Option<f64>,

    /// Tokens per minute, at most (estimated before, from the text's length).
    #[arg(long, value_name = "N", value_parser = positive)]
    pub tpm: Option<f64>,

    /// Seconds that an answer may take.
    #[arg(long, default_value_t = 600.0, value_name = "SECONDS", value_parser = positive)]
    pub request_timeout: f64,

    /// Seconds that a connection may take.
    #[arg(long, default_value_t = 10.0, value_name = "SECONDS", value_parser = positive)]
    pub connect_timeout: f64,

    /// Further attempts after one that failed.
    #[arg(long, default_value_t = 8, value_name = "N")]
    pub max_retries: u32,

    /// Seconds to wait before the second attempt; the wait doubles with every further one.
    #[arg(long, default_value_t = 0.5, value_name = "SECONDS", value_parser = positive)]
    pub retry_wait: f64,

    /// Settings for the body of every generation, as a JSON object: `{"reasoning_effort": "low"}`. They decide answers.
    #[arg(long, value_name = "JSON", value_parser = json_object)]
    pub extra_body: Option<Map<String, Value>>,

    /// Whether the model thinks before it answers: `auto` (as far as its answers show), `on` (no stop strings and no temperature are
    /// sent), `off` (the text is taken as it comes).
    #[arg(long, value_enum, default_value_t = ReasoningArg::Auto)]
    pub reasoning: ReasoningArg,

    /// Tokens for thoughts, on top of a task's `max_gen_toks`.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub reasoning_tokens: usize,

    /// Stop before this command spends more tokens than this on a model; the same command goes on later.
    #[arg(long, value_name = "N")]
    pub max_tokens_total: Option<u64>,

    /// Stop before this command pays more than this for a model (US dollars, `fairmark ls prices`); the same command goes on later.
    #[arg(long, value_name = "USD", value_parser = positive)]
    pub max_cost: Option<f64>,

    /// A price table over the built-in one.
    #[arg(long, value_name = "FILE")]
    pub prices: Option<PathBuf>,

    /// The response cache: take answers from it and keep new ones (`on`), neither (`off`), take but keep nothing (`read`), ask
    /// everything anew and keep that (`refresh`).
    #[arg(long, value_enum, default_value_t = CacheArg::On)]
    pub cache: CacheArg,

    /// File of the response cache (default: `responses.sqlite` in the user's cache folder; see `fairmark cache`).
    #[arg(long, value_name = "FILE")]
    pub cache_file: Option<PathBuf>,
}

impl EndpointArgs {
    /// Options for remote engines.
    pub fn remote_options(&self) -> Result<RemoteOptions> {
        if self.max_concurrency == 0 {
            return Err(Error::input("--max-concurrency 0 lets nothing be asked"));
        }
        let seconds = |value: f64, flag: &str| {
            Duration::try_from_secs_f64(value).map_err(|e| Error::input(format!("{flag} {value}")).cause(e))
        };
        Ok(RemoteOptions {
            tokenizer: self.tokenizer.clone(),
            limits: Limits {
                max_concurrency: self.max_concurrency,
                requests_per_minute: self.rpm,
                tokens_per_minute: self.tpm,
                connect_timeout: seconds(self.connect_timeout, "--connect-timeout")?,
                request_timeout: seconds(self.request_timeout, "--request-timeout")?,
                max_retries: self.max_retries,
                backoff: seconds(self.retry_wait, "--retry-wait")?,
                ..Limits::default()
            },
            extra_body: self.extra_body.clone().unwrap_or_default(),
            reasoning: self.reasoning.into(),
            reasoning_tokens: self.reasoning_tokens,
            max_tokens_total: self.max_tokens_total,
            max_cost: self.max_cost,
            prices: self.prices.clone(),
            cache: self.cache.into(),
            cache_file: self.cache_file.clone(),
            retry_refused: false,
        })
    }
}

/// `--reasoning`
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq)]
pub enum ReasoningArg {
    Auto,
    On,
    Off,
}

impl From<ReasoningArg> for Option<bool> {
    fn from(arg: ReasoningArg) -> Self {
        match arg {
            ReasoningArg::Auto => None,
            ReasoningArg::On => Some(true),
            ReasoningArg::Off => Some(false),
        }
    }
}

/// `--cache`
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq)]
pub enum CacheArg {
    On,
    Off,
    Read,
    Refresh,
}

impl From<CacheArg> for CacheMode {
    fn from(arg: CacheArg) -> Self {
        match arg {
            CacheArg::On => CacheMode::On,
            CacheArg::Off => CacheMode::Off,
            CacheArg::Read => CacheMode::Read,
            CacheArg::Refresh => CacheMode::Refresh,
        }
    }
}

fn positive(text: &str) -> std::result::Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_string())?;
    if number > 0.0 && number.is_finite() { Ok(number) } else { Err("must be above 0".to_string()) }
}

fn json_object(text: &str) -> std::result::Result<Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|e| format!("not a JSON object: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_objects() {
        assert_eq!(positive("2.5"), Ok(2.5));
        for bad in ["0", "-1", "inf", "NaN", "x"] {
            assert!(positive(bad).is_err(), "{bad}");
        }
        assert_eq!(json_object(r#"{"a": 1}"#).unwrap().len(), 1);
        assert!(json_object("[1]").unwrap_err().contains("not a JSON object"));
    }
}
