//! A call from its first attempt to its end.

use super::base::Target;
use super::fault::{Fault, Kind, kind_of};
use super::fleet::Want;
use super::queue::Slot;
use super::queue::TICK;
use super::retry::Tries;
use super::{Control, Failure, Limits, ProbeFailure, Size, Transport};
use crate::engine::remote::wire::{
    Call, WireError,
    trouble::{self, Meaning},
};
use crate::engine::{Cancel, Delivery};
use crate::error::{Error, ErrorKind};
use serde_json::Value;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// So long a request that is open may still be answered after the user asked to stop: what is paid for should be kept.
const GRACE: Duration = Duration::from_secs(5);
/// Attempts of a probe after the first, and how often it may be told to come later.
const PROBE_RETRIES: u32 = 2;
const PROBE_THROTTLES: u32 = 5;

/// A wait that a server asks for ends the session when it is so many times as long as the longest that is kept to.
const LONGEST_WAITS: u32 = 5;

/// What a decoder makes of a body.
pub(super) type Decode<'a, T> = &'a (dyn Fn(&Value) -> Result<T, WireError> + Sync);

/// Why an attempt has no result.
enum Miss {
    Fault(Fault),
    Cancelled,
}

impl Transport {
    /// See [`Transport::send`].
    pub(super) async fn answer<T>(
        &self,
        call: &Call,
        size: Size,
        cancel: &Cancel,
        decode: Decode<'_, T>,
    ) -> Result<(T, Delivery), Failure> {
        let mut want =
            Want { call: self.calls.fetch_add(1, Ordering::Relaxed), tokens: size.tokens, ..Want::default() };
        let mut tries = Tries::new(&self.limits);
        let mut retries = 0;
        loop {
            let slot = self.queue.room(want, cancel).await?;
            let server = slot.server();
            if let (true, Some(control)) = (slot.is_doubtful(), self.control.get()) {
                self.ask_control(slot, control, cancel).await?;
                continue;
            }
            let started = Instant::now();
            let fault = match self.attempt(server, (call, size.body), cancel, decode).await {
                Ok(value) => {
                    let took = started.elapsed();
                    slot.succeeded(took);
                    let latency_ms = u32::try_from(took.as_millis()).unwrap_or(u32::MAX);
                    return Ok((value, Delivery { latency_ms: Some(latency_ms), retries, cached: false }));
                }
                Err(Miss::Cancelled) => return Err(Failure::Cancelled),
                Err(Miss::Fault(fault)) => fault,
            };
            let is_free = slot.failed(&fault);
            let Some(wait) = tries.next(&fault, is_free) else { return Err(give_up(fault, retries)) };
            retries += 1;
            want = Want { is_retry: true, avoid: Some(server), ..want };
            nap(wait, cancel).await?;
        }
    }

    /// Asks a server that is out because of its answers what a healthy one can answer: its calls may be what it cannot digest.
    async fn ask_control(&self, slot: Slot<'_>, control: &Control, cancel: &Cancel) -> Result<(), Failure> {
        let decode = |body: &Value| match (control.is_answer)(body) {
            true => Ok(()),
            false => Err(WireError::Malformed("no answer to a test question".to_string())),
        };
        match self.attempt(slot.server(), (&control.call, usize::MAX), cancel, &decode).await {
            Ok(()) => slot.vouched(),
            Err(Miss::Cancelled) => return Err(Failure::Cancelled),
            Err(Miss::Fault(fault)) => {
                slot.failed(&fault);
            }
        }
        Ok(())
    }

    /// See [`Transport::send_to`]. A server's refusals of probes say nothing about its health: they are what probes are for.
    pub(super) async fn probe<T>(
        &self,
        base: usize,
        call: &Call,
        size: Size,
        decode: Decode<'_, T>,
    ) -> Result<T, ProbeFailure> {
        if base >= self.num_bases() {
            return Err(ProbeFailure::Failed(Error::input(format!("there is no server {base}"))));
        }
        let limits = Limits { max_retries: self.limits.max_retries.min(PROBE_RETRIES), ..self.limits.clone() };
        let cancel = Cancel::default();
        let mut want = Want { call: self.calls.fetch_add(1, Ordering::Relaxed), only: Some(base), ..Want::default() };
        let mut tries = Tries::new(&limits);
        let mut throttles = 0;
        loop {
            let slot =
                self.queue.room(want, &cancel).await.map_err(|failure| ProbeFailure::Failed(error_of(failure)))?;
            let started = Instant::now();
            let fault = match self.attempt(base, (call, size.body), &cancel, decode).await {
                Ok(value) => {
                    slot.succeeded(started.elapsed());
                    return Ok(value);
                }
                Err(Miss::Cancelled) => return Err(ProbeFailure::Failed(error_of(Failure::Cancelled))),
                Err(Miss::Fault(fault)) => fault,
            };
            drop(slot);
            throttles += u32::from(fault.kind == Kind::Throttled);
            // A probe that timed out once has taken long enough.
            let is_last = matches!(fault.kind, Kind::Timeout | Kind::Exhausted)
                || throttles > self.limits.max_retries.min(PROBE_THROTTLES);
            let Some(wait) = tries.next(&fault, false).filter(|_| !is_last) else {
                return Err(self.judge_probe(base, fault));
            };
            // Nobody else pauses this server.
            sleep(wait.max(fault.wait.unwrap_or_default().min(limits.max_wait))).await;
            want.is_retry = true;
        }
    }

    fn judge_probe(&self, base: usize, fault: Fault) -> ProbeFailure {
        let has_key = self.pool.target(base).is_none_or(|target| target.has_key);
        if fault.is_missing_model() {
            return ProbeFailure::Failed(Error::input(fault.message).hint("check the model's name"));
        }
        match (fault.kind, fault.status) {
            (Kind::Denied, Some(404 | 405 | 410)) | (Kind::Rejected, _) => {
                ProbeFailure::Missing(fault.message, fault.body)
            }
            (Kind::Broken | Kind::Empty | Kind::Refused, _) if !matches!(fault.status, Some(502)) => {
                ProbeFailure::Malformed(fault.message)
            }
            (Kind::Denied, Some(401 | 403)) if !has_key => ProbeFailure::Failed(
                Error::input(fault.message).hint("no key is sent: set the environment variable that holds it"),
            ),
            (Kind::Denied, _) => {
                let hint = fault.hint();
                ProbeFailure::Failed(Error::input(fault.message).hint(hint))
            }
            (Kind::Exhausted, _) => {
                let hint = fault.hint();
                ProbeFailure::Unavailable(Error::new(ErrorKind::Incomplete, fault.message).hint(hint))
            }
            (Kind::Unreachable, _) => ProbeFailure::Unavailable(
                Error::input(fault.message).hint("is the server running, and is this its address?"),
            ),
            _ => ProbeFailure::Unavailable(Error::input(fault.message).hint("try again later")),
        }
    }

    /// One request and what its answer says.
    async fn attempt<T>(
        &self,
        server: usize,
        call: (&Call, usize),
        cancel: &Cancel,
        decode: Decode<'_, T>,
    ) -> Result<T, Miss> {
        let longest = self.limits.max_wait.saturating_mul(LONGEST_WAITS);
        let tried = self.try_once(server, call, cancel, decode).await;
        tried.map_err(|miss| match miss {
            Miss::Fault(fault) => Miss::Fault(fault.within(longest)),
            Miss::Cancelled => Miss::Cancelled,
        })
    }

    async fn try_once<T>(
        &self,
        server: usize,
        (call, most): (&Call, usize),
        cancel: &Cancel,
        decode: Decode<'_, T>,
    ) -> Result<T, Miss> {
        let Some(target) = self.pool.target(server) else {
            return Err(Miss::Fault(Fault::new(Kind::Rejected, format!("there is no server {server}"))));
        };
        let body = match watched(self.pool.ask(target, call, most), self.limits.request_timeout, GRACE, cancel).await {
            Watched::Done(Ok(body)) => body,
            Watched::Done(Err(fault)) => return Err(Miss::Fault(fault)),
            Watched::Cancelled => return Err(Miss::Cancelled),
            Watched::TimedOut => {
                let message =
                    format!("no answer within {} s from {}", self.limits.request_timeout.as_secs_f64(), target.shown());
                return Err(Miss::Fault(Fault::new(Kind::Timeout, message)));
            }
        };
        decode(&body).map_err(|err| Miss::Fault(undecoded(target, err, &body)))
    }
}

/// What a decoder's complaint means.
fn undecoded(target: &Target, err: WireError, body: &Value) -> Fault {
    let say = |problem: &str| {
        let body = target.secrets.excerpt(&body.to_string());
        format!("HTTP 200 from {}: {}: {body}", target.shown(), target.secrets.excerpt(problem))
    };
    match err {
        WireError::Refused(reason) => Fault::new(Kind::Refused, target.secrets.excerpt(&reason)),
        WireError::NoAnswer(reason) => {
            Fault { status: Some(200), ..Fault::new(Kind::Rejected, target.secrets.excerpt(&reason)) }
        }
        WireError::Malformed(problem) => Fault { status: Some(200), ..Fault::new(Kind::Empty, say(&problem)) },
        // An error in a body of status 200 means what it would have meant with the status that it names.
        WireError::Failed(problem) => {
            let meaning = trouble::meaning(body);
            // Without a status of its own, what it says decides.
            let status = trouble::status(body).unwrap_or(if meaning == Meaning::Exhausted { 402 } else { 500 });
            let kind = kind_of(status, meaning);
            let body_of = (kind == Kind::Rejected).then(|| body.clone());
            Fault { status: Some(200), wait: trouble::wait(body), body: body_of, ..Fault::new(kind, say(&problem)) }
        }
    }
}

/// The end of a call that failed for good. What a server does not take is said alike however often it failed before: the reason stands in
/// results, and those are the same bytes with and without passing faults.
fn give_up(fault: Fault, retries: u32) -> Failure {
    match fault.kind {
        Kind::Refused => Failure::Refused(fault.message),
        Kind::Rejected => Failure::Rejected(fault.message, fault.body),
        kind if retries > 0 && kind.is_worth_another_try() => {
            Failure::Unanswered(format!("{} (after {} attempts)", fault.message, retries + 1))
        }
        _ => Failure::Unanswered(fault.message),
    }
}

fn error_of(failure: Failure) -> Error {
    match failure {
        Failure::Stopped(err) => err,
        Failure::Refused(message) | Failure::Unanswered(message) | Failure::Rejected(message, _) => {
            Error::input(message)
        }
        Failure::Cancelled => Error::input("interrupted"),
    }
}

/// Waits, unless the user asks to stop.
async fn nap(wait: Duration, cancel: &Cancel) -> Result<(), Failure> {
    let until = Instant::now() + wait;
    loop {
        if cancel.is_cancelled() {
            return Err(Failure::Cancelled);
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        sleep(left.min(TICK)).await;
    }
}

/// What became of something that was watched.
enum Watched<T> {
    Done(T),
    TimedOut,
    Cancelled,
}

/// Lets something run until its time is over, or until some seconds after the user asked to stop.
async fn watched<T>(work: impl Future<Output = T>, time: Duration, grace: Duration, cancel: &Cancel) -> Watched<T> {
    let mut work = pin!(work);
    let started = Instant::now();
    let deadline = started + time;
    let mut leave_at: Option<Instant> = None;
    loop {
        let next = (Instant::now() + TICK).min(deadline);
        if let Ok(done) = timeout_at(next, work.as_mut()).await {
            return Watched::Done(done);
        }
        let now = Instant::now();
        if now >= deadline {
            return Watched::TimedOut;
        }
        if cancel.is_cancelled() && now >= *leave_at.get_or_insert(now + grace) {
            return Watched::Cancelled;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_open_when_the_user_stops_is_left_after_a_grace() {
        let cancel = Cancel::default();
        cancel.cancel();
        let grace = Duration::from_millis(1);
        let never = watched(std::future::pending::<()>(), Duration::from_secs(600), grace, &cancel).await;
        assert!(matches!(never, Watched::Cancelled));
        let soon = watched(sleep(Duration::from_millis(150)), Duration::from_secs(600), GRACE, &cancel).await;
        assert!(matches!(soon, Watched::Done(())));
    }

    #[tokio::test]
    async fn time_is_bounded() {
        let never = watched(std::future::pending::<()>(), Duration::from_millis(5), GRACE, &Cancel::default()).await;
        assert!(matches!(never, Watched::TimedOut));
    }

    #[tokio::test]
    async fn a_cancelled_nap_ends() {
        let cancel = Cancel::default();
        cancel.cancel();
        assert!(matches!(nap(Duration::from_secs(3600), &cancel).await, Err(Failure::Cancelled)));
    }
}
