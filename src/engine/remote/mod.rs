//! The engine that asks servers.
//!
//! Comes in: requests, and the address of an endpoint. Goes out: answers, as far as the endpoint can give them. Never: guesses: what a
//! server cannot do is found out before the run (`probe`) and said.
//!
//! An address names a wire format (`address`, `wire`); `transport` brings bodies to the servers and back (`client`). Log-likelihoods are
//! in `score` and `spans`, texts and first tokens in `generate`; `answer` runs many requests at a time, within a `budget`.

mod accounts;
pub mod address;
mod answer;
mod budget;
mod client;
mod excerpt;
mod generate;
mod memo;
mod probe;
mod score;
mod spans;
mod tokens;
pub mod transport;
mod unwanted;
pub mod wire;

#[cfg(test)]
mod answer_tests;
#[cfg(test)]
mod probe_tests;
#[cfg(test)]
mod testing;

use super::{Cancel, Capabilities, Engine, EngineOptions, Identity, Inspection, Sink};
use crate::engine::tokens::{Chat, fit_pair};
use crate::error::{Error, Result};
use crate::remark::Remark;
use crate::request::{Prompt, Request, RequestKind, Response};
use crate::template::moment::Moment;
use address::Address;
use answer::Job;
use budget::Budget;
use client::{Client, Miss, Tally};
use memo::Memo;
use probe::{Facts, Turns};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use tokens::Tokens;
use tokio::runtime::{Builder, Runtime};
use transport::Limits;

/// Threads for connections.
const WORKERS: usize = 2;

/// Contexts whose number of tokens is kept, and conversations whose text is.
const KEPT: usize = 512;

/// Window of servers that name none.
const DEFAULT_MAX_LENGTH: usize = 2048;

/// Settings of a body that are the engine's own, with what to use in their place.
const RESERVED: &[(&str, &str)] = &[
    ("stream", "answers are taken whole"),
    ("n", "tasks have `repeats`"),
    ("best_of", "tasks have `repeats`"),
    ("echo", "prompts are scored where the endpoint can"),
    ("model", "name the model with --model ADDRESS#NAME"),
    ("prompt", "prompts come from tasks"),
    ("messages", "prompts come from tasks"),
    ("stop", "tasks have `until`"),
];

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
    /// Refusals in the cache are asked again.
    pub retry_refused: bool,
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

/// What decides how requests are answered.
pub(crate) struct Settings {
    pub reasoning: Option<bool>,
    pub reasoning_tokens: usize,
    pub max_concurrency: usize,
    /// Window that the user asks for.
    pub max_length: Option<usize>,
}

/// A model behind an address.
pub struct RemoteEngine {
    identity: Identity,
    runtime: Runtime,
    client: Client,
    facts: Facts,
    tokens: Option<Tokens>,
    settings: Settings,
    budget: Budget,
    /// Numbers of tokens of contexts that stand alone.
    lengths: Memo<usize>,
    /// Conversations as the server's template renders them.
    rendered: Memo<String>,
    load_seconds: f64,
    /// What to do about prompts that the server cuts.
    remedy: &'static str,
    /// Prompts that were sent as ids and counted by the server, and those of which it counted fewer.
    ids_counted: AtomicUsize,
    ids_lost: AtomicUsize,
    notices: Mutex<BTreeSet<String>>,
}

impl RemoteEngine {
    /// Looks whether the endpoint could be opened, without asking it: the address, the key, the options.
    pub fn check(model: &str, options: &EngineOptions) -> Result<()> {
        let address = address::parse(model, &|name| std::env::var(name).ok())?;
        check_options(&address, options)?;
        if let Some(model) = &address.model {
            budget::cost(model, &options.remote)?;
        }
        match &options.remote.tokenizer {
            Some(name) => Tokens::check(name, options),
            None => Ok(()),
        }
    }

    /// Finds out what the endpoint can do.
    pub fn open(model: &str, options: &EngineOptions) -> Result<RemoteEngine> {
        let address = address::parse(model, &|name| std::env::var(name).ok())?;
        RemoteEngine::open_at(&address, options)
    }

    fn open_at(address: &Address, options: &EngineOptions) -> Result<RemoteEngine> {
        let started = Instant::now();
        check_options(address, options)?;
        let tokens = options.remote.tokenizer.as_ref().map(|name| Tokens::load(name, options)).transpose()?;
        let runtime =
            Builder::new_multi_thread().worker_threads(WORKERS).enable_all().thread_name("fairmark-net").build();
        let runtime = runtime.map_err(|e| Error::input("cannot start threads").cause(e))?;
        let found =
            runtime.block_on(probe::probe(address, options, tokens.as_ref())).map_err(|err| keyed(err, address))?;
        let cost = budget::cost(&found.client.model, &options.remote)?;
        let settings = Settings {
            reasoning: options.remote.reasoning,
            reasoning_tokens: options.remote.reasoning_tokens,
            max_concurrency: options.remote.limits.max_concurrency,
            max_length: options.max_length,
        };
        let mut notices: BTreeSet<String> = found.notices.into_iter().collect();
        notices.insert(found.description);
        if options.max_length.is_some() && !found.facts.ids {
            notices.insert(
                "--max-length cuts nothing here: the server gets texts, not token ids (see --tokenizer)".to_string(),
            );
        }
        let chat = tokens.as_ref().and_then(Tokens::chat).filter(|_| found.facts.turns == Some(Turns::Tokenizer));
        match chat {
            Some(chat) => notices.extend(chat.notices().iter().cloned()),
            None if !options.chat_template_args.is_empty() || options.date.is_some() => {
                let flags = "the server renders conversations: --chat-template-args and --date change nothing";
                let instead =
                    r#"many servers take --extra-body '{"chat_template_kwargs": {"enable_thinking": false}}'"#;
                notices.insert(format!("{flags} ({instead})"));
            }
            None => {}
        }
        if let Some(told) = found.client.told.as_deref().filter(|told| !address::is_alias(told, &found.client.model)) {
            let (told, model) = (excerpt::excerpt(told), excerpt::excerpt(&found.client.model));
            notices.insert(format!("asked for the model `{model}`, the server says that its answers are of `{told}`"));
        }
        if let Some(control) = probe::control(&found.client, &found.facts) {
            found.client.transport.set_control(control);
        }
        let remedy = accounts::remedy(&format!("{} {}", address.row.name, found.client.wire.name()));
        Ok(RemoteEngine {
            identity: identity(address, &found.client, &found.facts, tokens.as_ref(), options),
            runtime,
            client: found.client,
            facts: found.facts,
            tokens,
            settings,
            budget: Budget::new(&options.remote, cost),
            lengths: Memo::new(KEPT),
            rendered: Memo::new(KEPT),
            load_seconds: started.elapsed().as_secs_f64(),
            remedy,
            ids_counted: AtomicUsize::new(0),
            ids_lost: AtomicUsize::new(0),
            notices: Mutex::new(notices),
        })
    }

    /// Tokens that a model is fed to score what follows them: one less than are sent, as the last is only predicted; and a server may
    /// want room for one that it writes.
    fn window(&self) -> usize {
        let served = self.facts.max_length.map(|most| most.saturating_sub(2));
        served.into_iter().chain(self.settings.max_length).min().unwrap_or(DEFAULT_MAX_LENGTH).max(1)
    }

    /// Tokens that a prompt and its answer have together.
    fn room(&self) -> usize {
        self.facts.max_length.into_iter().chain(self.settings.max_length).min().unwrap_or(DEFAULT_MAX_LENGTH)
    }

    fn notice(&self, notice: impl Into<String>) {
        self.notices.lock().unwrap_or_else(PoisonError::into_inner).insert(notice.into());
    }

    /// Runs something that asks the server, for whoever waits.
    fn now<T>(&self, work: impl AsyncFnOnce(&mut Job<'_>) -> std::result::Result<T, Miss>) -> Result<T> {
        let cancel = Cancel::default();
        let mut job = Job { engine: self, cancel: &cancel, tally: Tally::default() };
        self.runtime.block_on(work(&mut job)).map_err(|miss| match miss {
            Miss::Unscored(reason) => Error::input(reason.reason),
            Miss::Stopped(err) => err,
            Miss::Cancelled => Error::input("stopped"),
        })
    }

    /// The chat template that renders conversations here, if that is not the server's affair.
    fn chat(&self) -> Option<&Chat> {
        self.tokens.as_ref().and_then(Tokens::chat).filter(|_| self.facts.turns == Some(Turns::Tokenizer))
    }

    /// Ids of a text, as far as anybody can tell: the tokenizer, or the server's tokenize route.
    fn ids(&self, text: &str) -> Result<Vec<u32>> {
        match (&self.tokens, &self.facts.scoring) {
            (Some(tokens), _) => tokens.encoder()?.text(text),
            (None, Ok(scoring)) if scoring.tokenize.is_some() => self.now(async |job| job.server_ids(text).await),
            _ => Ok(Vec::new()),
        }
    }
}

impl Engine for RemoteEngine {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn capabilities(&self) -> Capabilities {
        self.facts.capabilities()
    }

    fn render(&self, prompt: &Prompt) -> Result<String> {
        match (prompt, self.facts.turns) {
            (Prompt::Text(text), _) => Ok(text.clone()),
            (Prompt::Chat(turns), Some(Turns::Native)) => {
                // The template is the server's affair.
                let turn = |turn: &crate::request::Message| format!("<{}>{}", turn.role.as_str(), turn.content);
                Ok(turns.iter().map(turn).collect::<Vec<_>>().join("\n"))
            }
            _ => self.now(async |job| job.rendered(prompt).await),
        }
    }

    fn date(&self) -> Option<Moment> {
        self.chat().and_then(Chat::date)
    }

    fn set_date(&self, date: Moment) {
        self.chat().into_iter().for_each(|chat| chat.set_date(date));
    }

    fn inspect(&self, request: &Request) -> Result<Inspection> {
        let (rendered, continuation) = match &request.kind {
            RequestKind::Loglikelihood { context, continuation } => (self.render(context)?, Some(continuation)),
            RequestKind::LoglikelihoodRolling { text } => (text.clone(), None),
            RequestKind::Generate { context, .. } | RequestKind::Choose { context, .. } => {
                (self.render(context)?, None)
            }
        };
        let (context_ids, continuation_ids) = match (continuation, &self.tokens) {
            (Some(continuation), Some(tokens)) => {
                let encoder = tokens.encoder()?;
                let pair = encoder.pair(&encoder.context(rendered.clone())?, continuation)?;
                let pair = pair.map_err(|reason| Error::input(reason.reason))?;
                let cut = fit_pair(&pair, self.window()).map_or(0, |(_, cut)| cut);
                let bos_count = encoder.bos_count(&pair.context);
                let (context_ids, continuation_ids) = (pair.context, pair.continuation);
                return Ok(Inspection { rendered, context_ids, continuation_ids, bos_count, truncated_tokens: cut });
            }
            (Some(continuation), None) => {
                let context = self.ids(crate::python::text::rstrip(&rendered))?;
                let whole = self.ids(&format!("{rendered}{continuation}"))?;
                let own = whole.get(context.len()..).unwrap_or_default().to_vec();
                (context, own)
            }
            (None, _) => (self.ids(&rendered)?, Vec::new()),
        };
        let bos_count = match &self.tokens {
            Some(tokens) => tokens.encoder()?.bos_count(&context_ids),
            None => self.facts.scoring.as_ref().map_or(0, |scoring| scoring.leading.min(context_ids.len())),
        };
        Ok(Inspection { rendered, context_ids, continuation_ids, bos_count, truncated_tokens: 0 })
    }

    fn answer(&self, requests: &[Request], cancel: &Cancel, sink: &mut Sink<'_>) -> Result<()> {
        answer::answer(self, requests, cancel, sink)
    }

    fn load_seconds(&self) -> f64 {
        self.load_seconds
    }

    fn remarks(&self) -> Vec<Remark> {
        let label = &self.identity.label;
        let mut remarks = self.client.unwanted.remarks(label);
        if self.client.transport.num_repeated() > 0 {
            let text = "the server repeated the key in its answers; it was taken out, and `(secret)` stands there";
            remarks.push(Remark::warning(label, text));
        }
        let lost = self.ids_lost.load(Ordering::Relaxed);
        if lost > 0 {
            let text = format!("the server counts fewer tokens than were sent: it cuts prompts ({})", self.remedy);
            remarks.push(Remark::warning(label, text).count(lost, self.ids_counted.load(Ordering::Relaxed), "prompts"));
        }
        remarks
    }

    fn audit(&self, answers: &[(&Request, &Response)]) -> Vec<Remark> {
        accounts::audit(answers, &self.identity.label, self.remedy, self.settings.reasoning_tokens)
    }

    fn notices(&self) -> Vec<String> {
        self.notices.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

fn check_options(address: &Address, options: &EngineOptions) -> Result<()> {
    if options.offline && !address.bases.iter().all(|base| address::is_loopback(&base.url)) {
        return Err(Error::input(format!("`{}` is on the network, and --offline forbids that", address.name))
            .hint("leave out --offline; servers on this machine may be asked with it"));
    }
    for (key, instead) in RESERVED {
        if options.remote.extra_body.contains_key(*key) {
            return Err(Error::input(format!("--extra-body cannot set `{key}`")).hint(*instead));
        }
    }
    if options.add_bos.is_some() && options.remote.tokenizer.is_none() {
        return Err(Error::input("whether a beginning-of-sequence token stands before prompts is up to the server")
            .hint("name the model's tokenizer (--tokenizer) to send token ids"));
    }
    let cost = options.remote.max_cost;
    if cost.is_some_and(|most| !most.is_finite() || most < 0.0) {
        return Err(Error::input("--max-cost must be a number from 0 on"));
    }
    Ok(())
}

/// An error about a key says where keys come from.
fn keyed(err: Error, address: &Address) -> Error {
    let is_denied = ["HTTP 401", "HTTP 403"].iter().any(|status| err.message().contains(status));
    if !is_denied || address.key_hint.is_empty() {
        return err;
    }
    Error::new(err.kind(), err.message()).hint(address.key_hint.clone())
}

/// Who answers: all that decides numbers, and nothing that decides only the time.
fn identity(
    address: &Address,
    client: &Client,
    facts: &Facts,
    tokens: Option<&Tokens>,
    options: &EngineOptions,
) -> Identity {
    let remote = &options.remote;
    let mut bases: Vec<String> = address.bases.iter().map(probe::shown).collect();
    bases.sort();
    let mut written = vec![format!("servers={}", bases.join(" ")), format!("model={}", client.model)];
    // An alias (`gpt-x`) means another model at another time (`gpt-x-2024-08-06`).
    written.extend(client.told.iter().filter(|told| **told != client.model).map(|told| format!("answers_as={told}")));
    written.push(format!("tokens={}", facts.split(tokens.is_some())));
    written.extend(tokens.map(|tokens| format!("tokenizer={}", tokens.fingerprint)));
    written.extend(options.add_bos.map(|add_bos| format!("add_bos_token={add_bos}")));
    if !remote.extra_body.is_empty() {
        written.push(format!("extra_body={}", Value::Object(remote.extra_body.clone())));
    }
    // Settings that decide answers and that the server does not take.
    let without = client.unwanted.telling().join(",");
    written.extend((!without.is_empty()).then(|| format!("without={without}")));
    written.extend(remote.reasoning.map(|reasoning| format!("reasoning={reasoning}")));
    if remote.reasoning_tokens > 0 {
        written.push(format!("reasoning_tokens={}", remote.reasoning_tokens));
    }
    if facts.turns == Some(Turns::Tokenizer) {
        written.push(format!("system_fallback={}", options.system_fallback.as_str()));
        if !options.chat_template_args.is_empty() {
            written.push(format!("chat_template_args={}", Value::Object(options.chat_template_args.clone())));
        }
    }
    let text = |token: fn(&crate::model::Tokenizer) -> &Option<crate::model::SpecialToken>| {
        tokens.and_then(|tokens| token(&tokens.tokenizer).as_ref()).map(|token| token.text.clone())
    };
    Identity {
        engine: client.wire.name().to_string(),
        name: address.name.clone(),
        label: match &address.model {
            Some(_) => address.label.clone(),
            None => client.model.rsplit(['/', '\\']).next().unwrap_or(&client.model).to_string(),
        },
        architecture: None,
        num_parameters: None,
        dtype: None,
        storage: None,
        model_bytes: None,
        revision: None,
        sha: None,
        max_length: facts.max_length.into_iter().chain(options.max_length).min(),
        bos_token: text(|tokenizer| &tokenizer.bos),
        eos_token: text(|tokenizer| &tokenizer.eos),
        pad_token: text(|tokenizer| &tokenizer.pad),
        eot_token_id: tokens.and_then(|tokens| tokens.tokenizer.eos.as_ref()).map(|eos| eos.id),
        chat_template: tokens.filter(|tokens| tokens.has_chat()).and_then(|tokens| tokens.template.clone()),
        options: written,
    }
}
