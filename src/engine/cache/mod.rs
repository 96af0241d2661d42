//! The response cache: answers of one run serve the next, in one SQLite file for all models, runs and processes.
//!
//! Comes in: another engine and its requests. Goes out: that engine's answers, those that stand in the file without asking. Never:
//! changes an answer, keeps a failure (a refusal is an answer of a kind), ends a run because the file fails it.

mod key;
mod place;
mod prune;
mod schema;
mod shelf;
mod store;
mod writer;

#[cfg(test)]
mod sharing_tests;
#[cfg(test)]
mod tests;

pub use key::{Hash, unhex};
pub use place::default_file;
pub use prune::{Found, ModelStats, Pruned, Selection, Stats, find, prune, stats};
pub use shelf::Shelf;
pub use store::{Entry, Model};

use super::remote::CacheMode;
use super::{Cancel, Capabilities, Delivery, Engine, Identity, Inspection, Outcome, Sink, Update};
use crate::error::Result;
use crate::remark::Remark;
use crate::request::{Prompt, Request, Response};
use crate::template::moment::Moment;
use key::{dated_hash, decode, encode, identity_hash};
use std::path::PathBuf;

/// Requests that are looked up at once.
const CHUNK: usize = 512;

/// What the cache does, and where.
#[derive(Debug, Clone, Default)]
pub struct CacheOptions {
    pub mode: CacheMode,
    /// `None`: [`default_file`].
    pub file: Option<PathBuf>,
    /// Ask again what was refused before.
    pub retry_refused: bool,
}

/// An engine whose answers are kept.
pub struct CachedEngine {
    inner: Box<dyn Engine>,
    retry_refused: bool,
    shelf: Shelf,
}

impl CachedEngine {
    /// Puts the cache before an engine; with [`CacheMode::Off`] it is the engine itself.
    ///
    /// Errors: those of [`Shelf::open`].
    pub fn wrap(inner: Box<dyn Engine>, options: &CacheOptions) -> Result<Box<dyn Engine>> {
        if options.mode == CacheMode::Off {
            return Ok(inner);
        }
        let file = options.file.clone().map_or_else(default_file, Ok);
        Ok(Box::new(CachedEngine::open(inner, options, file)?))
    }

    /// `file`: the named one, or the default.
    fn open(inner: Box<dyn Engine>, options: &CacheOptions, file: Result<PathBuf>) -> Result<CachedEngine> {
        let Identity { engine, name, label, .. } = inner.identity().clone();
        let model = Model { identity: identity_hash(inner.identity()), engine, name, label };
        let shelf = Shelf::open_at(model, options, file)?;
        Ok(CachedEngine { inner, retry_refused: options.retry_refused, shelf })
    }

    /// Answers what the file knows; gives the places of the other requests.
    fn look_up(&self, requests: &[Request], keys: &[Hash], cancel: &Cancel, sink: &mut Sink<'_>) -> Result<Vec<usize>> {
        let delivery = Delivery { latency_ms: None, retries: 0, cached: true };
        let mut misses = Vec::new();
        let mut first = 0;
        for (requests, keys) in requests.chunks(CHUNK).zip(keys.chunks(CHUNK)) {
            if cancel.is_cancelled() {
                break;
            }
            for (place, (request, text)) in (first..).zip(requests.iter().zip(self.shelf.find(keys))) {
                match text.and_then(|text| decode(&text, request)).filter(|outcome| self.counts(outcome)) {
                    Some(outcome) => sink(Update::Answered(place, outcome, delivery))?,
                    None => misses.push(place),
                }
            }
            first += requests.len();
        }
        Ok(misses)
    }

    fn counts(&self, outcome: &Outcome) -> bool {
        outcome.is_ok() || !self.retry_refused
    }

    /// Asks the engine behind the cache. `places`: where these requests stand for the sink; `keys`: at those places.
    fn ask(
        &self,
        requests: &[Request],
        places: &[usize],
        keys: &[Hash],
        cancel: &Cancel,
        sink: &mut Sink<'_>,
    ) -> Result<()> {
        let mut open = vec![true; requests.len()];
        let asked = self.inner.answer(requests, cancel, &mut |update| {
            let Update::Answered(index, outcome, delivery) = update else { return sink(update) };
            // What was never asked has no place.
            let (Some(open), Some(place)) = (open.get_mut(index), places.get(index)) else { return Ok(()) };
            let first = std::mem::take(open);
            if let (true, Some(key)) = (first, keys.get(*place)) {
                entry(*key, &outcome).into_iter().for_each(|entry| self.shelf.put(entry));
            }
            sink(Update::Answered(*place, outcome, delivery))
        });
        self.shelf.flush();
        asked
    }
}

/// An outcome as a row; `None`: it is not kept.
fn entry(key: Hash, outcome: &Outcome) -> Option<Entry> {
    let answer = encode(outcome)?;
    let usage = outcome.as_ref().map(|response| response.usage).unwrap_or_default();
    let (prompt_tokens, completion_tokens) = (usage.prompt_tokens, usage.completion_tokens);
    Some(Entry { key, at: 0, prompt_tokens, completion_tokens, refused: outcome.is_err(), answer })
}

impl Engine for CachedEngine {
    fn identity(&self) -> &Identity {
        self.inner.identity()
    }

    fn render(&self, prompt: &Prompt) -> Result<String> {
        self.inner.render(prompt)
    }

    fn inspect(&self, request: &Request) -> Result<Inspection> {
        self.inner.inspect(request)
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn answer(&self, requests: &[Request], cancel: &Cancel, sink: &mut Sink<'_>) -> Result<()> {
        if self.shelf.is_idle() {
            return self.inner.answer(requests, cancel, sink);
        }
        let date = self.inner.date();
        let keys: Vec<Hash> = requests.iter().map(|request| dated_hash(request, date)).collect();
        let misses = self.look_up(requests, &keys, cancel, sink)?;
        if misses.is_empty() || cancel.is_cancelled() {
            return Ok(());
        }
        if misses.len() == requests.len() {
            return self.ask(requests, &misses, &keys, cancel, sink);
        }
        let missed: Vec<Request> = misses.iter().filter_map(|place| requests.get(*place)).cloned().collect();
        self.ask(&missed, &misses, &keys, cancel, sink)
    }

    fn date(&self) -> Option<Moment> {
        self.inner.date()
    }

    fn set_date(&self, date: Moment) {
        self.inner.set_date(date);
    }

    fn load_seconds(&self) -> f64 {
        self.inner.load_seconds()
    }

    fn memory_bytes(&self) -> Option<u64> {
        self.inner.memory_bytes()
    }

    fn remarks(&self) -> Vec<Remark> {
        self.inner.remarks()
    }

    fn audit(&self, answers: &[(&Request, &Response)]) -> Vec<Remark> {
        self.inner.audit(answers)
    }

    fn notices(&self) -> Vec<String> {
        let mut notices = self.inner.notices();
        notices.extend(self.shelf.notices());
        notices
    }
}
