//! The engine that asks servers.
//!
//! Comes in: requests and the address of a model. Goes out: what servers answer, checked. Never: keys in anything that is written or
//! shown, numbers that a server did not really give.
//!
//! `address` reads what `--model` names, `probe` finds out what the servers can do, `wire` has one file for each format, `transport` sends.
//! `answer` makes calls of requests; `score`, `thinking` and `tokens` make answers of what comes back.

pub mod address;
mod answer;
mod budget;
mod probe;
mod score;
mod thinking;
mod tokens;
pub mod transport;
pub mod wire;

#[cfg(test)]
mod tests;

use super::tokens::Encoder;
use super::{
    Cancel, Capabilities, Delivery, Engine, EngineOptions, Identity, Inspection, Outcome, Prompts, Sink, Update,
};
use crate::error::{Error, ErrorKind, Result};
use crate::price::PriceTable;
use crate::request::{Message, Prompt, Request, RequestKind};
use address::Address;
use budget::Budget;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use probe::{Findings, probe};
use serde_json::{Map, Value};
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokens::LocalTokens;
use tokio::runtime::Runtime;
use transport::{Failure, Limits, Transport};
use wire::{Ask, Reply, Wire};

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
    /// Stop before more than this is paid, in US dollars.
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

/// Answers that wait for the journal, at most; servers wait when it is full.
const WAITING: usize = 1024;

/// Contexts whose token counts are remembered.
const CONTEXTS: usize = 4096;

/// A model on servers.
pub struct RemoteEngine {
    identity: Identity,
    wire: &'static dyn Wire,
    transport: Transport,
    findings: Findings,
    tokens: Option<LocalTokens>,
    options: RemoteOptions,
    budget: Budget,
    runtime: Runtime,
    /// Tokens of contexts that a continuation's first token straddles.
    context_tokens: Mutex<HashMap<String, usize>>,
    /// What the server's template made of conversations.
    rendered: Mutex<HashMap<Prompt, String>>,
    notices: Mutex<BTreeSet<String>>,
}

impl RemoteEngine {
    /// Looks whether the name, key and options make sense; nothing is sent.
    pub fn check(model: &str, options: &EngineOptions) -> Result<()> {
        if options.offline {
            return Err(Error::input(format!("`{model}` is a server, and --offline forbids to ask it")));
        }
        Address::parse(model, &|name| std::env::var(name).ok())?;
        let remote = &options.remote;
        let prices = PriceTable::load(remote.prices.as_deref())?;
        if remote.max_cost.is_some() && prices.rows().is_empty() {
            return Err(Error::input("--max-cost needs prices").hint("write some, and name the file with --prices"));
        }
        Ok(())
    }

    /// Probes the servers.
    pub fn open(name: &str, options: &EngineOptions) -> Result<RemoteEngine> {
        RemoteEngine::check(name, options)?;
        let address = Address::parse(name, &|name| std::env::var(name).ok())?;
        let remote = options.remote.clone();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|e| Error::input("cannot start the network's threads").cause(e))?;
        let tokens = remote.tokenizer.as_deref().map(|name| LocalTokens::load(name, options)).transpose()?;
        let (wire, transport, findings) = runtime.block_on(choose_wire(&address, options, tokens.as_ref()))?;
        let price = PriceTable::load(remote.prices.as_deref())?.price(&findings.model);
        if remote.max_cost.is_some() && price.is_none() {
            return Err(Error::input(format!("--max-cost: nobody knows what `{}` costs", findings.model))
                .hint("put a row for it into a file and name that with --prices, or use --max-tokens-total"));
        }
        let max_length = options.max_length.or(findings.max_length).or(tokens.as_ref().and_then(|t| t.max_length));
        let identity = identity(&address, wire, &findings, tokens.as_ref(), options, max_length);
        let engine = RemoteEngine {
            budget: Budget::new(remote.max_tokens_total, remote.max_cost, price),
            identity,
            wire,
            transport,
            findings,
            tokens,
            options: remote,
            runtime,
            context_tokens: Mutex::new(HashMap::new()),
            rendered: Mutex::new(HashMap::new()),
            notices: Mutex::new(BTreeSet::new()),
        };
        engine.notice(engine.findings.describe(engine.wire.name(), engine.tokens_by()));
        address.notices.iter().for_each(|notice| engine.notice(notice.clone()));
        if engine.findings.scores.is_ok() && !engine.findings.knows_greedy {
            engine.notice(
                "the server does not say which token is the likeliest at its place: `is_greedy` is false everywhere, and the acc of \
                 `loglikelihood` tasks is too low"
                    .to_string(),
            );
        }
        Ok(engine)
    }

    /// Whether prompts go as token ids.
    fn sends_ids(&self) -> bool {
        self.tokens.is_some() && self.findings.takes_ids
    }

    /// How context and continuation are told apart.
    fn tokens_by(&self) -> &'static str {
        tokens_by(self.tokens.as_ref(), &self.findings)
    }

    fn encoder(&self) -> Option<Result<Encoder<'_>>> {
        self.tokens.as_ref().filter(|_| self.findings.takes_ids).map(LocalTokens::encoder)
    }

    fn notice(&self, notice: String) {
        lock(&self.notices).insert(notice);
    }

    /// Whether turns must become a text before they are sent.
    fn renders(&self) -> bool {
        self.findings.takes_text
    }

    /// Asks until everything is answered, the user or the budget says stop, or nothing can be answered any more.
    async fn drive(
        &self,
        requests: &[Request],
        stop: &AtomicBool,
        cancel: &Cancel,
        out: SyncSender<(usize, Outcome, Delivery)>,
    ) -> Result<()> {
        let mut open = FuturesUnordered::new();
        let mut next = requests.iter().enumerate().peekable();
        let mut stopped = None;
        loop {
            while open.len() < self.options.limits.max_concurrency
                && stopped.is_none()
                && !stop.load(Ordering::Relaxed)
                && !cancel.is_cancelled()
                && let Some((_, request)) = next.peek()
            {
                let estimate = self.estimate(request);
                if !self.budget.reserve(estimate) {
                    break;
                }
                let Some((index, request)) = next.next() else { break };
                open.push(async move { (index, estimate, self.answer_one(request, cancel).await) });
            }
            let Some((index, estimate, answered)) = open.next().await else { break };
            let usage = answered.as_ref().map(|(outcome, _)| outcome.as_ref().map(|r| r.usage).unwrap_or_default());
            self.budget.spend(estimate, usage.unwrap_or_default());
            match answered {
                // Nobody listens any more: the sink failed.
                Ok((outcome, delivery)) => {
                    if out.send((index, outcome, delivery)).is_err() {
                        stop.store(true, Ordering::Relaxed);
                    }
                }
                Err(Failure::Stopped(err)) => stopped = Some(err),
                Err(_) => {}
            }
        }
        match stopped {
            Some(err) => Err(Error::new(ErrorKind::Incomplete, err.message().to_string()).hint(
                err.hint_text()
                    .unwrap_or("what was answered is kept; run the same command again to continue")
                    .to_string(),
            )),
            None => Ok(()),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn tokens_by(tokens: Option<&LocalTokens>, findings: &Findings) -> &'static str {
    match tokens {
        Some(_) if findings.takes_ids => "ids",
        _ if findings.tokenizes => "the server's tokenizer",
        _ => "their texts",
    }
}

/// The best of the formats that the servers speak.
async fn choose_wire(
    address: &Address,
    options: &EngineOptions,
    tokens: Option<&LocalTokens>,
) -> Result<(&'static dyn Wire, Transport, Findings)> {
    let ids = match tokens {
        Some(tokens) => Some(tokens.encoder()?.text("The quick brown fox")?),
        None => None,
    };
    let mut found = Vec::new();
    let mut refused = Vec::new();
    for wire in address.row.wires {
        let reasoning = options.remote.reasoning == Some(true);
        match probe(address, *wire, &options.remote.limits, ids.as_deref(), reasoning).await? {
            Ok((transport, findings)) => found.push((*wire, transport, findings)),
            Err(said) => refused.push(format!("{}: {said}", wire.name())),
        }
    }
    let has_template = |findings: &Findings| tokens.is_some_and(|t| t.chat.is_some()) || findings.applies_template;
    let rank = |findings: &Findings| -> u8 {
        let fits = if options.chat { !findings.takes_text || has_template(findings) } else { findings.takes_text };
        match (fits, findings.scores.is_ok(), findings.generates.is_ok()) {
            (true, true, _) => 3,
            // A chat route applies the template itself.
            (true, false, true) if options.chat && !findings.takes_text => 2,
            (true, false, true) => 1,
            _ => 0,
        }
    };
    // Of equals the first: formats stand in order of preference.
    let best = found.iter().map(|(_, _, findings)| rank(findings)).max();
    if options.chat && best == Some(0) {
        return Err(Error::input(format!("`{}` takes texts only, and nobody knows the chat template", address.name))
            .hint("name the model's tokenizer with --tokenizer, use a chat route (`openai-chat:URL#MODEL`), or leave out --apply-chat-template"));
    }
    let place = found.iter().position(|(_, _, findings)| Some(rank(findings)) == best);
    match place {
        Some(place) => Ok(found.swap_remove(place)),
        None => Err(Error::input(format!("`{}` cannot be asked: {}", address.name, refused.join("; ")))
            .hint("check the address (does it need `/v1`?), the model's name and the server's log")),
    }
}

fn identity(
    address: &Address,
    wire: &'static dyn Wire,
    findings: &Findings,
    tokens: Option<&LocalTokens>,
    options: &EngineOptions,
    max_length: Option<usize>,
) -> Identity {
    let remote = &options.remote;
    let mut written: Vec<String> = address.bases.iter().map(|base| format!("url={}", base.url)).collect();
    written.sort();
    written.push(format!("model={}", findings.model));
    written.push(format!("tokens={}", tokens_by(tokens, findings)));
    written.extend(tokens.map(|tokens| format!("tokenizer={}", tokens.sha)));
    written.extend(options.add_bos.map(|add_bos| format!("add_bos_token={add_bos}")));
    if !remote.extra_body.is_empty() {
        written.push(format!("extra_body={}", Value::Object(remote.extra_body.clone())));
    }
    written.extend(remote.reasoning.map(|reasoning| format!("reasoning={reasoning}")));
    if remote.reasoning_tokens > 0 {
        written.push(format!("reasoning_tokens={}", remote.reasoning_tokens));
    }
    let text = |token: Option<&crate::model::SpecialToken>| token.map(|token| token.text.clone());
    Identity {
        engine: wire.name().to_string(),
        name: address.name.clone(),
        label: address.label(&findings.model),
        architecture: None,
        num_parameters: None,
        dtype: None,
        storage: None,
        model_bytes: None,
        revision: None,
        sha: None,
        max_length,
        bos_token: text(tokens.and_then(|t| t.tokenizer.bos.as_ref())),
        eos_token: text(tokens.and_then(|t| t.tokenizer.eos.as_ref())),
        pad_token: text(tokens.and_then(|t| t.tokenizer.pad.as_ref())),
        eot_token_id: None,
        chat_template: tokens.and_then(|t| t.chat_template.clone()),
        options: written,
    }
}

impl Engine for RemoteEngine {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn render(&self, prompt: &Prompt) -> Result<String> {
        match prompt {
            Prompt::Text(text) => Ok(text.clone()),
            Prompt::Chat(messages) if self.renders() => {
                self.runtime.block_on(self.rendered_turns(messages)).map_err(Error::input)
            }
            // The server's template is not known: the turns as they are sent.
            Prompt::Chat(messages) => {
                let turn = |message: &Message| format!("<{}>{}", message.role.as_str(), message.content);
                Ok(messages.iter().map(turn).collect::<Vec<_>>().join("\n"))
            }
        }
    }

    fn inspect(&self, request: &Request) -> Result<Inspection> {
        let (context, continuation) = match &request.kind {
            RequestKind::Loglikelihood { context, continuation } => {
                (self.render(context)?, Some(continuation.as_str()))
            }
            RequestKind::LoglikelihoodRolling { text } => (text.clone(), None),
            RequestKind::Generate { context, .. } | RequestKind::Choose { context, .. } => {
                (self.render(context)?, None)
            }
        };
        let mut inspection = Inspection {
            rendered: context.clone(),
            context_ids: Vec::new(),
            continuation_ids: Vec::new(),
            bos_count: 0,
            truncated_tokens: 0,
        };
        let Some(encoder) = self.encoder() else { return Ok(inspection) };
        let encoder = encoder?;
        match continuation {
            Some(continuation) => {
                let pair = encoder.pair(&encoder.context(context)?, continuation)?;
                let pair = pair.map_err(|reason| Error::input(reason.reason))?;
                (inspection.context_ids, inspection.continuation_ids) = (pair.context, pair.continuation);
            }
            None => inspection.context_ids = encoder.prompt(&context)?,
        }
        inspection.bos_count = encoder.bos_count(&inspection.context_ids);
        Ok(inspection)
    }

    fn capabilities(&self) -> Capabilities {
        let at = |said: &String| format!("{} at {}: {said}", self.wire.name(), self.identity.name);
        let findings = &self.findings;
        Capabilities {
            scoring: findings.scores.as_ref().map(|_| ()).map_err(at),
            choosing: findings.first_tokens.as_ref().map(|_| ()).map_err(at),
            generation: findings.generates.as_ref().map(|_| ()).map_err(at),
            prompts: if findings.takes_text { Prompts::Any } else { Prompts::ChatOnly },
        }
    }

    fn answer(&self, requests: &[Request], cancel: &Cancel, sink: &mut Sink<'_>) -> Result<()> {
        let (out, answers) = sync_channel(WAITING);
        let stop = AtomicBool::new(false);
        let mut sunk = Ok(());
        let driven = std::thread::scope(|scope| {
            let driver = scope.spawn(|| self.runtime.block_on(self.drive(requests, &stop, cancel, out)));
            for (index, outcome, delivery) in answers {
                if sunk.is_ok() {
                    sunk = sink(Update::Answered(index, outcome, delivery));
                    if sunk.is_err() {
                        stop.store(true, Ordering::Relaxed);
                    }
                }
            }
            driver.join().unwrap_or_else(|_| Err(Error::input("the network's thread ended unexpectedly")))
        });
        if let Some(notice) = self.budget.notice() {
            self.notice(notice);
        }
        sunk.and(driven)
    }

    fn notices(&self) -> Vec<String> {
        lock(&self.notices).iter().cloned().collect()
    }
}

impl RemoteEngine {
    /// Turns through the model's template: the tokenizer's own, else the server's.
    async fn rendered_turns(&self, messages: &[Message]) -> std::result::Result<String, String> {
        if let Some(chat) = self.tokens.as_ref().and_then(|tokens| tokens.chat.as_ref()) {
            let rendered = chat.render(messages)?;
            if let Some(notice) = rendered.notice {
                self.notice(notice.to_string());
            }
            return Ok(rendered.text);
        }
        let key = Prompt::Chat(messages.to_vec());
        if let Some(text) = lock(&self.rendered).get(&key) {
            return Ok(text.clone());
        }
        let ask = Ask::ApplyTemplate(messages);
        let call = self.wire.call(&self.findings.model, &ask).ok_or("nobody knows the model's chat template")?;
        let decode = |body: &Value| self.wire.reply(&ask, body);
        match self.transport.send(&call, 0, &Cancel::default(), &decode).await {
            Ok((Reply::Template(text), _)) => {
                lock(&self.rendered).insert(key, text.clone());
                Ok(text)
            }
            Ok(_) => Err("the server's template route answers with something else".to_string()),
            Err(failure) => Err(said(failure)),
        }
    }
}

/// What a failure says.
fn said(failure: Failure) -> String {
    match failure {
        Failure::Refused(said) | Failure::Unanswered(said) => said,
        Failure::Stopped(err) => err.message().to_string(),
        Failure::Cancelled => "cancelled".to_string(),
    }
}
