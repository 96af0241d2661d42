//! Requests to answers: many at a time, each handed on as soon as it is there.
//!
//! A few threads share the requests, in order. Each drives as many of them at a time as its share of the allowed concurrency needs; the
//! transport decides how many are really open. Answers go through a bounded channel to the thread that asked.

use super::RemoteEngine;
use super::accounts::{Sent, cut};
use super::budget::{Grant, Reserve};
use super::client::{Miss, Tally};
use super::probe::Turns;
use super::wire::{Ask, Reply};
use crate::engine::{Cancel, Delivery, Outcome, Sink, Update};
use crate::error::{Error, ErrorKind, Result};
use crate::remark::Remark;
use crate::request::{Answer, Prompt, Request, RequestKind, Response};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Answers that wait for whoever takes them down.
const QUEUE: usize = 256;

/// How often somebody looks whether the user wants to stop, and whether a budget has room again.
const TICK: Duration = Duration::from_millis(50);

/// Most threads that put requests into bodies and read answers.
const DRIVERS: usize = 4;

/// Open requests that a thread of its own is worth.
const REQUESTS_A_DRIVER: usize = 32;

/// Prompts that are watched while a run lasts, at least and at most.
const FEWEST_WATCHED: usize = 16;
const MOST_WATCHED: usize = 4096;

/// One request being answered.
pub struct Job<'a> {
    pub engine: &'a RemoteEngine,
    pub cancel: &'a Cancel,
    pub tally: Tally,
}

impl Job<'_> {
    pub async fn ask(&mut self, ask: &Ask<'_>) -> Result<Reply, Miss> {
        self.engine.client.ask(ask, self.cancel, &mut self.tally).await
    }

    /// A prompt as text, turns through the chat template.
    pub async fn rendered(&mut self, prompt: &Prompt) -> Result<String, Miss> {
        let turns = match prompt {
            Prompt::Text(text) => return Ok(text.clone()),
            Prompt::Chat(turns) => turns,
        };
        let engine = self.engine;
        match (engine.facts.turns, &engine.tokens) {
            (Some(Turns::Tokenizer), Some(tokens)) => {
                let (text, notice) = tokens.render(turns).map_err(Miss::unscored)?;
                notice.into_iter().for_each(|notice| engine.notice(notice));
                Ok(text)
            }
            (Some(Turns::Server), _) => {
                let key = serde_json::to_string(turns).unwrap_or_default();
                let mut job = Job { tally: Tally::default(), ..*self };
                let text = engine.rendered.get(&key, async {
                    match job.ask(&Ask::ApplyTemplate(turns)).await? {
                        Reply::Template(text) => Ok(text),
                        _ => Err(Miss::unscored("the server did not apply the chat template")),
                    }
                });
                text.await
            }
            (Some(Turns::Native), _) => {
                Err(Miss::unscored("conversations of a chat route have no text that could be scored"))
            }
            _ => Err(Miss::unscored("nobody knows the chat template: the endpoint takes texts only")),
        }
    }

    async fn response(&mut self, request: &Request) -> Result<Response, Miss> {
        let (answer, reasoning): (Answer, Option<String>) = match &request.kind {
            RequestKind::Loglikelihood { context, continuation } => {
                (self.loglikelihood(context, continuation).await?, None)
            }
            RequestKind::LoglikelihoodRolling { text } => (self.rolling(text).await?, None),
            RequestKind::Generate { context, decoding } => self.generate(request, context, decoding).await?,
            RequestKind::Choose { context, labels } => (self.choose(context, labels).await?, None),
        };
        Ok(Response { reasoning, ..Response::new(answer, self.tally.usage) })
    }
}

/// A request that was answered, or that could not be.
struct Done {
    index: usize,
    reserve: Reserve,
    tally: Tally,
    outcome: Result<Response, Miss>,
}

/// What the threads share.
struct Shared<'a> {
    engine: &'a RemoteEngine,
    requests: &'a [Request],
    next: AtomicUsize,
    answered: AtomicUsize,
    /// Set when no more requests are to be asked.
    stop: Cancel,
    end: Mutex<Option<End>>,
    /// Prompts by the server's account, until something is wrong with them or enough were seen.
    watch: Mutex<Watch>,
}

/// Prompts by the server's account.
#[derive(Default)]
struct Watch {
    sent: Vec<Sent>,
    is_said: bool,
    /// What nobody has heard yet.
    news: Option<Remark>,
}

/// Why not all requests are answered.
enum End {
    Failed(Error),
    Spent,
}

type Answered = (usize, Outcome, Delivery);

/// Answers requests; see [`crate::engine::Engine::answer`].
pub fn answer(engine: &RemoteEngine, requests: &[Request], cancel: &Cancel, sink: &mut Sink<'_>) -> Result<()> {
    let shared = Shared {
        engine,
        requests,
        next: AtomicUsize::new(0),
        answered: AtomicUsize::new(0),
        stop: Cancel::default(),
        end: Mutex::new(None),
        watch: Mutex::default(),
    };
    let concurrency = engine.settings.max_concurrency;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let drivers = cores.min(DRIVERS).min(concurrency / REQUESTS_A_DRIVER).max(1);
    // Requests that wait for their next attempt take no room in the transport.
    let width = (2 * concurrency).div_ceil(drivers);
    let (sender, receiver) = sync_channel(QUEUE);
    std::thread::scope(|scope| {
        for _ in 0..drivers {
            let (sender, shared) = (sender.clone(), &shared);
            scope.spawn(move || engine.runtime.block_on(shared.drive(width, sender)));
        }
        drop(sender);
        deliver(receiver, &shared, cancel, sink)
    })?;
    let end = shared.end.lock().unwrap_or_else(PoisonError::into_inner).take();
    match end {
        Some(_) if cancel.is_cancelled() => Ok(()),
        Some(End::Failed(err)) => Err(incomplete(err)),
        Some(End::Spent) => {
            let err = engine.budget.spent(shared.answered.load(Ordering::SeqCst), requests.len());
            engine.notice(err.message());
            Err(err)
        }
        None => Ok(()),
    }
}

/// Hands answers to the sink until all threads are done. An error of the sink ends it.
fn deliver(receiver: Receiver<Answered>, shared: &Shared<'_>, cancel: &Cancel, sink: &mut Sink<'_>) -> Result<()> {
    let mut tell = |update| sink(update).inspect_err(|_| shared.stop.cancel());
    loop {
        if cancel.is_cancelled() {
            shared.stop.cancel();
        }
        match receiver.recv_timeout(TICK) {
            Ok((index, outcome, delivery)) => tell(Update::Answered(index, outcome, delivery))?,
            Err(RecvTimeoutError::Timeout) => {
                if let Some(waiting) = shared.engine.client.transport.waiting() {
                    tell(Update::Waiting(waiting))?;
                }
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
        if let Some(remark) = shared.news() {
            tell(Update::Remark(remark))?;
        }
    }
}

/// A run that ended early can be continued.
fn incomplete(err: Error) -> Error {
    if err.kind() == ErrorKind::Incomplete {
        return err;
    }
    let hint = err.hint_text().map(str::to_string);
    let stopped = Error::new(ErrorKind::Incomplete, err.message());
    stopped.hint(hint.unwrap_or_else(|| "every answer so far is kept: the same command goes on".to_string()))
}

impl Shared<'_> {
    async fn drive(&self, width: usize, sender: SyncSender<Answered>) {
        let mut open = FuturesUnordered::new();
        // A request for which the budget has no room at the moment.
        let mut held: Option<usize> = None;
        loop {
            while open.len() < width && !self.is_over() {
                let Some(index) = held.take().or_else(|| self.next()) else { break };
                let Some(request) = self.requests.get(index) else { break };
                match self.engine.budget.reserve(request) {
                    Grant::Go(reserve) => open.push(self.one(index, request, reserve)),
                    Grant::Wait => {
                        held = Some(index);
                        break;
                    }
                    Grant::Spent => self.end(End::Spent),
                }
            }
            match open.next().await {
                Some(done) => {
                    if !self.hand_on(done, &sender) {
                        return;
                    }
                }
                None if held.is_some() && !self.is_over() => tokio::time::sleep(TICK).await,
                None => return,
            }
        }
    }

    fn next(&self) -> Option<usize> {
        Some(self.next.fetch_add(1, Ordering::Relaxed)).filter(|index| *index < self.requests.len())
    }

    fn is_over(&self) -> bool {
        self.stop.is_cancelled() || self.end.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn end(&self, end: End) {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(end);
    }

    async fn one(&self, index: usize, request: &Request, reserve: Reserve) -> Done {
        let mut job = Job { engine: self.engine, cancel: &self.stop, tally: Tally::default() };
        let outcome = job.response(request).await;
        Done { index, reserve, tally: job.tally, outcome }
    }

    /// Looks whether the server cuts prompts, so that a long run need not end before that is said.
    fn watch(&self, index: usize, outcome: &Outcome) {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let (Ok(response), Some(request)) = (outcome, self.requests.get(index)) else { return };
        let Some(sent) = Sent::of(request, response.usage.prompt_tokens).filter(|_| watch.sent.len() < MOST_WATCHED)
        else {
            return;
        };
        watch.sent.push(sent);
        if watch.sent.len().is_power_of_two() && watch.sent.len() >= FEWEST_WATCHED && !watch.is_said {
            let found = cut(&watch.sent);
            watch.is_said = found.is_some();
            let so_far = watch.sent.len();
            watch.news = found.map(|(what, touched)| {
                Remark::warning("", format!("{what} ({touched} of the first {so_far} prompts; {})", self.engine.remedy))
            });
        }
    }

    fn news(&self) -> Option<Remark> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner).news.take()
    }

    /// Says whether anybody still listens.
    fn hand_on(&self, done: Done, sender: &SyncSender<Answered>) -> bool {
        let Done { index, reserve, tally, outcome } = done;
        self.engine.budget.settle(reserve, &tally.usage);
        let outcome = match outcome {
            Ok(response) => Ok(response),
            Err(Miss::Unscored(reason)) => Err(reason),
            Err(Miss::Stopped(err)) => {
                self.end(End::Failed(err));
                return true;
            }
            Err(Miss::Cancelled) => return true,
        };
        self.watch(index, &outcome);
        self.answered.fetch_add(1, Ordering::SeqCst);
        sender.send((index, outcome, tally.delivery)).is_ok()
    }
}
