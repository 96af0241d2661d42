//! Answers requests.
//!
//! Comes in: [`Request`]s. Goes out: [`Response`]s, each as soon as it exists. Never: gold answers, metrics, tasks.

use crate::error::Result;
use crate::hub::DownloadEvent;
use crate::model::Precision;
use crate::remark::Remark;
use crate::request::{Prompt, Request, Response, Unscored};
use crate::template::moment::Moment;
use cache::{CacheOptions, CachedEngine};
use local::{Activations, DTypeChoice, DeviceChoice, LocalEngine, SystemFallback};
use remote::RemoteEngine;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub mod cache;
pub mod local;
pub mod mock;
pub mod recorded;
pub mod remote;
mod thinking;
pub mod tokens;

/// Who answers: all that decides an engine's numbers apart from the request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// Kind of engine: `local`, `mock`, ...
    pub engine: String,
    /// The model as the user named it.
    pub name: String,
    /// Name for tables: the last part of a path or id.
    pub label: String,
    /// `architectures[0]` or the like.
    pub architecture: Option<String>,
    pub num_parameters: Option<u64>,
    /// Number format of weights and arithmetic (`float32`, `bfloat16`, `float16`).
    pub dtype: Option<String>,
    /// How the weights are stored (`bfloat16`, `nf4`, `q4_k`, ...), as the checkpoint has them or as they were made on loading.
    pub storage: Option<String>,
    /// Bytes of the weights as they are stored.
    pub model_bytes: Option<u64>,
    /// Revision asked for.
    pub revision: Option<String>,
    /// Hash of weights, tokenizer and configuration (or the hub's commit).
    pub sha: Option<String>,
    /// Context window in tokens.
    pub max_length: Option<usize>,
    pub bos_token: Option<String>,
    pub eos_token: Option<String>,
    pub pad_token: Option<String>,
    pub eot_token_id: Option<u32>,
    /// Chat template source, if the model has one.
    pub chat_template: Option<String>,
    /// Options of the engine that change numbers (system fallback, ...), as `key=value`.
    pub options: Vec<String>,
}

/// What an engine makes of a request before it answers, for `fairmark show`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inspection {
    /// The prompt as text, chat template applied.
    pub rendered: String,
    /// Token ids of the context.
    pub context_ids: Vec<u32>,
    /// Token ids of the continuation (empty for generation).
    pub continuation_ids: Vec<u32>,
    /// How many beginning-of-sequence tokens stand at the front.
    pub bos_count: usize,
    /// Tokens that will be cut from the left.
    pub truncated_tokens: usize,
}

/// Set when the user asks to stop; engines look at it between pieces of work.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    pub fn cancel(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// How engines are opened.
#[derive(Debug, Clone, Default)]
pub struct EngineOptions {
    pub dtype: DTypeChoice,
    /// Quantise the weights on loading: the name of a storage format.
    pub precision: Option<Precision>,
    pub device: DeviceChoice,
    /// What happens to activations before they meet quantised weights.
    pub activations: Activations,
    pub system_fallback: SystemFallback,
    /// Context window in tokens; `None`: the model's.
    pub max_length: Option<usize>,
    /// Force the beginning-of-sequence token; `None`: as the tokenizer's files say.
    pub add_bos: Option<bool>,
    /// Never use the network.
    pub offline: bool,
    /// Called while a hub model is fetched.
    pub on_download: Option<fn(DownloadEvent<'_>)>,
    /// Prompts will be conversations: the model must have a chat template.
    pub chat: bool,
    /// Settings for the chat template, by name: `enable_thinking` and its like.
    pub chat_template_args: Map<String, Value>,
    /// The date that chat templates print; `None`: today's.
    pub date: Option<Moment>,
    /// Threads to use, 0: all cores. Decides only the time.
    pub threads: usize,
    /// Bytes for keys and values; `None`: a share of the free memory. Decides only the time.
    pub kv_memory: Option<usize>,
    /// How servers are asked.
    pub remote: remote::RemoteOptions,
}

/// Whether a model's name means servers, which are opened without loading anything.
pub fn is_remote(model: &str) -> bool {
    remote::address::is_remote(model)
}

/// Looks whether a model can be opened, without loading weights or asking servers.
pub fn check(model: &str, options: &EngineOptions) -> Result<()> {
    match model {
        _ if mock::is_mock(model) => mock::MockEngine::new(model).map(drop),
        _ if is_remote(model) => RemoteEngine::check(model, options),
        _ => LocalEngine::check(model, options),
    }
}

/// Opens the engine that a model's name asks for: `mock[:...]`, servers (behind the response cache), else a local checkpoint (folder, file or hub id).
pub fn open(model: &str, options: &EngineOptions) -> Result<Box<dyn Engine>> {
    Ok(match model {
        _ if mock::is_mock(model) => Box::new(mock::MockEngine::new(model)?),
        _ if is_remote(model) => {
            let remote::RemoteOptions { cache, cache_file, retry_refused, .. } = &options.remote;
            let cache = CacheOptions { mode: *cache, file: cache_file.clone(), retry_refused: *retry_refused };
            CachedEngine::wrap(Box::new(RemoteEngine::open(model, options)?), &cache)?
        }
        _ => Box::new(LocalEngine::load(model, options)?),
    })
}

/// An answer, or why there is none.
pub type Outcome = std::result::Result<Response, Unscored>;

/// What lies ahead of an engine that runs a model itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workload {
    /// Tokens that the requests feed to the model, each request for itself.
    pub requested_tokens: usize,
    /// Tokens that have to be computed: what requests have in common once.
    pub unique_tokens: usize,
    /// Positions whose logits are needed.
    pub scored_positions: usize,
    /// Tokens to be written, at most.
    pub written_tokens: usize,
}

/// How an answer came: nothing that decides numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// From the first byte sent to the last one read of the attempt that succeeded, in milliseconds; `None` where nothing was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u32>,
    /// Attempts that failed before.
    #[serde(default)]
    pub retries: u32,
    /// It stood in the response cache: nothing was asked, nothing is paid.
    #[serde(default)]
    pub cached: bool,
}

/// What kinds of requests an engine can answer; the reasons say why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// `Loglikelihood` and `LoglikelihoodRolling`.
    pub scoring: std::result::Result<(), String>,
    /// `Choose`.
    pub choosing: std::result::Result<(), String>,
    /// `Generate`.
    pub generation: std::result::Result<(), String>,
    /// Which prompts it takes.
    pub prompts: Prompts,
}

/// Which prompts an engine takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prompts {
    /// Texts, and turns.
    Any,
    /// Turns only: a chat endpoint.
    ChatOnly,
    /// Texts only: nobody knows the chat template.
    TextOnly,
}

impl Default for Capabilities {
    /// All of it.
    fn default() -> Self {
        Capabilities { scoring: Ok(()), choosing: Ok(()), generation: Ok(()), prompts: Prompts::Any }
    }
}

/// What an engine has to tell while it answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Update {
    /// What lies ahead. Engines that cannot know leave it out.
    Planned(Workload),
    /// Tokens computed so far, and altogether (at most, while texts are written).
    Computed { computed: usize, of: usize },
    /// The answer to the request at an index, and how it came.
    Answered(usize, Outcome, Delivery),
    /// What answers show so far that the user should know at once.
    Remark(Remark),
    /// Nothing is answered at the moment, and why; told again and again as long as it is so.
    Waiting(remote::transport::Waiting),
}

/// Receives what an engine tells. An error stops the engine.
pub type Sink<'a> = dyn FnMut(Update) -> Result<()> + 'a;

/// Something that answers requests.
pub trait Engine {
    fn identity(&self) -> &Identity;

    /// The prompt as the model sees it: text unchanged, turns through the chat template.
    fn render(&self, prompt: &Prompt) -> Result<String>;

    /// Tokens of a request.
    fn inspect(&self, request: &Request) -> Result<Inspection>;

    /// The date that prompts print, if they print one: it decides answers.
    fn date(&self) -> Option<Moment> {
        None
    }

    /// Says which date prompts print: that of the run which is continued.
    fn set_date(&self, _date: Moment) {}

    /// What it can answer.
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    /// Answers all requests, in whatever order suits, pushing each answer to `sink` as soon as it exists. When `cancel`
    /// is set, returns early (`Ok`) with the rest unanswered.
    fn answer(&self, requests: &[Request], cancel: &Cancel, sink: &mut Sink<'_>) -> Result<()>;

    /// Bytes of the weights in memory, where they are in ours.
    fn memory_bytes(&self) -> Option<u64> {
        None
    }

    /// Seconds that opening it took.
    fn load_seconds(&self) -> f64 {
        0.0
    }

    /// The engine itself, where it runs a model in this process: whole distributions can be had of it.
    fn local(&self) -> Option<&LocalEngine> {
        None
    }

    /// What the work brought up so far that the user should know, with its weight.
    fn remarks(&self) -> Vec<Remark> {
        Vec::new()
    }

    /// What all answers of a run show when they are looked at together, those of earlier sessions included.
    fn audit(&self, _answers: &[(&Request, &Response)]) -> Vec<Remark> {
        Vec::new()
    }

    /// Things the user should know (a system turn folded away, a missing generation config), each once.
    fn notices(&self) -> Vec<String> {
        Vec::new()
    }
}
