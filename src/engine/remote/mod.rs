//! The engine that asks servers.

pub mod address;
pub mod transport;
pub mod wire;

use serde_json::{Map, Value};
use std::path::PathBuf;
use transport::Limits;

/// How servers are asked.
#[derive(Debug, Clone, Default)]
pub struct RemoteOptions {
    /// Folder, `tokenizer.json` or hub id of the model's tokenizer: prompts are sent as its token ids.
    pub tokenizer: Option<String>,
    pub limits: Limits,
    /// Merged into the body of every generation; decides answers.
    pub extra_body: Map<String, Value>,
    /// The model thinks before it answers: `None`, as far as its answers show.
    pub reasoning: Option<bool>,
    /// Tokens for thoughts, on top of a task's `max_gen_toks`.
    pub reasoning_tokens: usize,
    /// Stop before more tokens than this are spent.
    pub max_tokens_total: Option<u64>,
    /// Stop before more than this is paid, in the price table's currency.
    pub max_cost: Option<f64>,
    /// A price table over the built-in one.
    pub prices: Option<PathBuf>,
    pub cache: CacheMode,
    /// The response cache's file; `None`: the user's cache folder.
    pub cache_file: Option<PathBuf>,
}

/// What the response cache does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CacheMode {
    /// Answers are taken from it and put into it.
    #[default]
    On,
    Off,
    /// Answers are taken from it, new ones are not kept.
    Read,
    /// Everything is asked anew and replaces what it holds.
    Refresh,
}
