//! HTTP to the servers of one model: how many requests at a time, how fast, how often again.
//!
//! Comes in: [`Call`]s. Goes out: what a decoder makes of the bodies. Never: prompts, scores, formats.
//!
//! A call waits in one queue for all servers (`queue`), goes to the one with the most room (`fleet`, `server`, `level`, `pace`), is sent
//! (`client`, `base`), and when that fails (`fault`, `text`) it waits for its next attempt (`retry`, `wait`). `attempt` puts them together.

mod attempt;
mod base;
mod client;
mod fault;
mod fleet;
mod level;
mod pace;
mod queue;
mod retry;
mod server;
mod text;
mod wait;

#[cfg(test)]
mod fleet_tests;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use super::wire::{Call, Wire, WireError};
use crate::engine::{Cancel, Delivery};
use crate::error::{Error, Result};
pub use base::{Base, Secret};
use client::Pool;
use fleet::Fleet;
use queue::Queue;
use serde_json::Value;
use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// How much may be asked of the servers. Nothing here decides an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Most requests at the same time, over all servers.
    pub max_concurrency: usize,
    pub requests_per_minute: Option<f64>,
    pub tokens_per_minute: Option<f64>,
    pub connect_timeout: Duration,
    /// From sending to the last byte of the answer.
    pub request_timeout: Duration,
    /// Attempts after the first. Being told to come later (429, 503) does not count; see `retry`.
    pub max_retries: u32,
    /// The first wait before another attempt; it doubles each time, with jitter.
    pub backoff: Duration,
    /// The longest wait, whatever a server asks for.
    pub max_wait: Duration,
    /// Most bytes of an answer.
    pub max_body: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_concurrency: 256,
            requests_per_minute: None,
            tokens_per_minute: None,
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(600),
            max_retries: 8,
            backoff: Duration::from_millis(500),
            max_wait: Duration::from_secs(120),
            max_body: 64 << 20,
        }
    }
}

impl Limits {
    fn check(&self) -> Result<()> {
        let rate = |value: Option<f64>| value.is_none_or(|value| value.is_finite() && value > 0.0);
        let problem = if self.max_concurrency == 0 {
            "at least one request must be allowed at a time"
        } else if !rate(self.requests_per_minute) || !rate(self.tokens_per_minute) {
            "a limit per minute must be above 0"
        } else if self.connect_timeout.is_zero() || self.request_timeout.is_zero() {
            "a timeout must be above 0"
        } else {
            return Ok(());
        };
        Err(Error::input(problem))
    }
}

/// Why a call has no answer.
#[derive(Debug)]
pub enum Failure {
    /// The model or its provider refused. Final.
    Refused(String),
    /// This call cannot be answered, or not after so many attempts: status, reason and the beginning of the body.
    Unanswered(String),
    /// The server does not take this call: the reason, and the body that may name a setting.
    Rejected(String, Option<Value>),
    /// Nothing can be answered any more: the key is wrong, the model is gone, all servers are down.
    Stopped(Error),
    /// The user asked to stop.
    Cancelled,
}

/// What happened so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traffic {
    pub sent: u64,
    pub retried: u64,
    /// Answers 429 and 503, and timeouts.
    pub throttled: u64,
    /// Requests that may be open at the moment.
    pub level: usize,
}

/// How large a call and its answer may be.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// An estimate of the tokens that the call takes, for `tokens_per_minute`.
    pub tokens: usize,
    /// Most bytes of the answer; [`Limits::max_body`] bounds it, too.
    pub body: usize,
}

impl Size {
    /// Of calls whose answers are small.
    pub fn tokens(tokens: usize) -> Size {
        Size { tokens, body: usize::MAX }
    }
}

/// A question that a healthy server can answer. It is asked when calls fail with what is no answer: do they, or does the server?
pub struct Control {
    pub call: Call,
    pub is_answer: Box<dyn Fn(&Value) -> bool + Send + Sync>,
}

/// What is waited for while nothing is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The last failure.
    pub why: String,
    /// So long nothing was answered.
    pub since: Duration,
    /// So long until a server is asked again, where that is known.
    pub left: Option<Duration>,
}

/// A connection pool to all servers of a model.
pub struct Transport {
    pool: Pool,
    queue: Queue,
    limits: Limits,
    control: OnceLock<Control>,
    /// Numbers for calls.
    calls: AtomicU64,
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("num_bases", &self.num_bases())
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Transport {
    /// Makes the pool; nothing is sent.
    pub fn new(bases: Vec<Base>, limits: Limits, wire: &'static dyn Wire) -> Result<Transport> {
        limits.check()?;
        if bases.is_empty() {
            return Err(Error::input("no server is named"));
        }
        let pool = Pool::new(&bases, &limits, wire)?;
        let fleet = Fleet::new(limits.clone(), pool.names(), pool.has_keys());
        Ok(Transport { pool, queue: Queue::new(fleet), limits, control: OnceLock::new(), calls: AtomicU64::new(0) })
    }

    /// Number of servers.
    pub fn num_bases(&self) -> usize {
        self.pool.len()
    }

    /// Names the control question, once.
    pub fn set_control(&self, control: Control) {
        let _ = self.control.set(control);
    }

    /// What is waited for, when nothing was answered for a while and failures are why.
    pub fn waiting(&self) -> Option<Waiting> {
        self.queue.waiting()
    }

    /// Answers so far that repeated a key, which was taken out of them.
    pub fn num_repeated(&self) -> u64 {
        self.pool.num_repeated()
    }

    /// Takes keys out of a text that was put together from parts of an answer.
    pub fn clean_text(&self, text: &mut String) {
        self.pool.clean_text(text);
    }

    /// Sends a call to whichever server is free and hands the body of its answer to `decode`; tries again what is worth it.
    ///
    /// When `cancel` is set, a call that waits ends at once (within a tenth of a second), one that is open is given some seconds more.
    pub async fn send<T>(
        &self,
        call: &Call,
        size: Size,
        cancel: &Cancel,
        decode: &(dyn Fn(&Value) -> Result<T, WireError> + Sync),
    ) -> Result<(T, Delivery), Failure> {
        self.answer(call, size, cancel, decode).await
    }

    /// The same to one server, for probes: fewer attempts, and an HTTP status that says the route is missing is told apart.
    pub async fn send_to<T>(
        &self,
        base: usize,
        call: &Call,
        size: Size,
        decode: &(dyn Fn(&Value) -> Result<T, WireError> + Sync),
    ) -> Result<T, ProbeFailure> {
        self.probe(base, call, size, decode).await
    }

    pub fn traffic(&self) -> Traffic {
        self.queue.traffic()
    }
}

/// Why a probe has no answer.
#[derive(Debug)]
pub enum ProbeFailure {
    /// The server has no such route or does not take such a body (400, 404, 405, 415, 422, 501): what it said, and the body that may name
    /// a setting.
    Missing(String, Option<Value>),
    /// The server answered, but not what the format promises.
    Malformed(String),
    /// Unauthorised, unknown model: the user can mend it.
    Failed(Error),
    /// Unreachable, busy, too slow: that may be another matter later, and says nothing about what the server can do.
    Unavailable(Error),
}
