//! HTTP to the servers of one model: how many requests at a time, how fast, how often again.
//!
//! Comes in: [`Call`]s. Goes out: what a decoder makes of the bodies. Never: prompts, scores, formats.

use super::wire::{Call, Wire, WireError};
use crate::engine::{Cancel, Delivery};
use crate::error::{Error, Result};
use reqwest::Url;
use serde_json::Value;
use std::fmt;
use std::time::Duration;

/// A key or token. It is sent and never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text itself, for the header that carries it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(set)")
    }
}

/// A server of the model.
#[derive(Debug, Clone, PartialEq)]
pub struct Base {
    /// With a slash at the end: routes are joined to it.
    pub url: Url,
    /// Headers of every request, authorisation included: name and value.
    pub headers: Vec<(String, Secret)>,
    /// Parameters put behind every address (`api-version=...`).
    pub query: Vec<(String, String)>,
}

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
    /// Attempts after the first.
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

/// Why a call has no answer.
#[derive(Debug)]
pub enum Failure {
    /// The model or its provider refused. Final.
    Refused(String),
    /// This call cannot be answered, or not after so many attempts: status, reason and the beginning of the body.
    Unanswered(String),
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

/// A connection pool to all servers of a model.
pub struct Transport {
    // replaced by the transport's author
    _private: (),
}

impl Transport {
    /// Makes the pool; nothing is sent.
    pub fn new(bases: Vec<Base>, limits: Limits, wire: &'static dyn Wire) -> Result<Transport> {
        let _ = (bases, limits, wire);
        Err(Error::input("not built"))
    }

    /// Number of servers.
    pub fn num_bases(&self) -> usize {
        0
    }

    /// Sends a call to whichever server is free and hands the body of its answer to `decode`; tries again what is worth it. `tokens`: an
    /// estimate of what the call takes, for `tokens_per_minute`.
    pub async fn send<T>(
        &self,
        call: &Call,
        tokens: usize,
        cancel: &Cancel,
        decode: &(dyn Fn(&Value) -> Result<T, WireError> + Sync),
    ) -> Result<(T, Delivery), Failure> {
        let _ = (call, tokens, cancel, decode);
        Err(Failure::Cancelled)
    }

    /// The same to one server, for probes: fewer attempts, and an HTTP status that says the route is missing is told apart.
    pub async fn send_to<T>(
        &self,
        base: usize,
        call: &Call,
        decode: &(dyn Fn(&Value) -> Result<T, WireError> + Sync),
    ) -> Result<T, ProbeFailure> {
        let _ = (base, call, decode);
        Err(ProbeFailure::Missing(String::new()))
    }

    pub fn traffic(&self) -> Traffic {
        Traffic::default()
    }
}

/// Why a probe has no answer.
#[derive(Debug)]
pub enum ProbeFailure {
    /// The server has no such route or does not take such a body (400, 404, 405, 415, 422, 501): what it said.
    Missing(String),
    /// The server answered, but not what the format promises.
    Malformed(String),
    /// Unreachable, unauthorised, unknown model: the user can mend it.
    Failed(Error),
}
