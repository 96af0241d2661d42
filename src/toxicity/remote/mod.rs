//! Services that score texts: Perspective, and moderation endpoints of OpenAI's form.
//!
//! `perspective` and `moderation` are pure: what is sent, what an answer says. Here it is sent, by the transport of remote engines: so many
//! requests at a time, again after 429 and 5xx with waits that double or as `Retry-After` says, without keys in messages. Texts leave this
//! machine.

mod moderation;
mod perspective;
#[cfg(test)]
mod tests;

pub use moderation::open as open_moderation;
pub use perspective::open as open_perspective;

use super::scorer::{Score, ScoreSink, Scorer, ScorerIdentity, checked};
use crate::engine::Cancel;
use crate::engine::remote::transport::{Base, Control, Failure, Limits, Size, Transport};
use crate::engine::remote::wire::{Call, WireError, gemini::Gemini};
use crate::error::{Error, ErrorKind, Result};
use futures_util::stream::{self, StreamExt};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// How often a scorer looks whether the user wants to stop.
const TICK: Duration = Duration::from_millis(100);

/// From sending to the last byte of an answer: scorers answer in seconds.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Bytes of an answer: some scores.
const LARGEST: usize = 4 << 20;

/// What every service can score: asked when texts fail, to tell their fault from the service's.
const CONTROL: &str = "Good morning.";

/// A service, without sending.
pub trait Service: Send + Sync {
    /// The request for a text, or why the service takes no such text.
    fn call(&self, text: &str) -> Result<Call, String>;

    /// The score in an answer of status 2xx.
    fn score(&self, body: &Value) -> Result<f64, WireError>;
}

/// A service as a scorer.
pub struct RemoteScorer {
    identity: ScorerIdentity,
    service: Arc<dyn Service>,
    transport: Transport,
    max_concurrency: usize,
    runtime: Runtime,
}

/// How a text ended.
enum End {
    Scored(Score),
    Stopped(Error),
    Cancelled,
}

impl RemoteScorer {
    /// Nothing is sent yet.
    pub fn new(
        identity: ScorerIdentity,
        service: Arc<dyn Service>,
        base: Base,
        limits: Limits,
    ) -> Result<RemoteScorer> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().thread_name("fairmark-net").build();
        let runtime = runtime.map_err(|e| Error::input("cannot start threads").cause(e))?;
        let max_concurrency = limits.max_concurrency;
        // Both services say what went wrong as Gemini does: `{"error": {"message": ...}}`.
        let transport = Transport::new(vec![base], limits, &Gemini)?;
        if let Ok(call) = service.call(CONTROL) {
            let asked = Arc::clone(&service);
            transport.set_control(Control { call, is_answer: Box::new(move |body| asked.score(body).is_ok()) });
        }
        Ok(RemoteScorer { identity, service, transport, max_concurrency, runtime })
    }

    async fn ask(&self, index: usize, text: &str, cancel: &Cancel) -> (usize, End) {
        let call = match self.service.call(text) {
            Ok(call) => call,
            Err(reason) => return (index, End::Scored(Err(reason))),
        };
        let answer =
            self.transport.send(&call, Size::tokens(0), cancel, &|body: &Value| self.service.score(body)).await;
        let end = match answer {
            Ok((score, _)) => End::Scored(checked(score)),
            Err(Failure::Refused(reason) | Failure::Unanswered(reason) | Failure::Rejected(reason, _)) => {
                End::Scored(Err(reason))
            }
            Err(Failure::Stopped(err)) => End::Stopped(err),
            Err(Failure::Cancelled) => End::Cancelled,
        };
        (index, end)
    }
}

impl Scorer for RemoteScorer {
    fn identity(&self) -> &ScorerIdentity {
        &self.identity
    }

    fn score(&self, texts: &[&str], cancelled: &dyn Fn() -> bool, sink: &mut ScoreSink<'_>) -> Result<()> {
        let cancel = Cancel::default();
        self.runtime.block_on(async {
            let asked = texts.iter().enumerate().map(|(index, text)| self.ask(index, text, &cancel));
            let mut asked = std::pin::pin!(stream::iter(asked).buffer_unordered(2 * self.max_concurrency));
            loop {
                if cancelled() {
                    cancel.cancel();
                }
                // What is dropped by the timeout is only the waiting.
                match tokio::time::timeout(TICK, asked.next()).await {
                    Err(_) => {}
                    Ok(None) => return Ok(()),
                    Ok(Some((index, End::Scored(score)))) => sink(index, score),
                    Ok(Some((_, End::Cancelled))) => return Ok(()),
                    Ok(Some((_, End::Stopped(err)))) => return Err(incomplete(err)),
                }
            }
        })
    }
}

/// The scores so far stand, and the rest can be asked for later.
fn incomplete(err: Error) -> Error {
    Error::new(ErrorKind::Incomplete, "the scorer cannot be asked any more").cause(err)
}

/// A key from the environment, with the line break at its end that files have left off.
fn key(env: &dyn Fn(&str) -> Option<String>, name: &str) -> Option<String> {
    env(name).map(|key| key.trim().to_string()).filter(|key| !key.is_empty())
}

/// An error where the network may not be used.
fn check_online(is_offline: bool, kind: &str) -> Result<()> {
    match is_offline {
        true => Err(Error::input(format!("the scorer `{kind}` is a service, and the network may not be used"))
            .hint("use `linear` or `hf:FOLDER`, or leave --offline out")),
        false => Ok(()),
    }
}

/// Limits for a service; `rpm`: requests a minute.
fn limits(max_concurrency: usize, rpm: Option<f64>) -> Limits {
    Limits {
        max_concurrency,
        requests_per_minute: rpm,
        request_timeout: TIMEOUT,
        max_body: LARGEST,
        ..Limits::default()
    }
}
