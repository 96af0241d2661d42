//! All servers of a model: who takes the next call, and when nobody can any more. Pure: the time comes from outside.

use super::fault::{Fault, Kind, span};
use super::pace::Pace;
use super::retry::patience;
use super::server::{Grant, Room, Server};
use super::{Limits, Traffic, Waiting};
use crate::error::{Error, ErrorKind};
use std::time::Duration;
use tokio::time::Instant;

/// So long (or twice the request timeout) nothing but throttling may come before everything stops.
const DROUGHT: Duration = Duration::from_secs(15 * 60);

/// Longer than so many of the longest waits nothing is asked only when there is nothing to ask.
const IDLE_WAITS: u32 = 3;

/// So long nothing is answered before somebody hears what is waited for.
const SILENCE: Duration = Duration::from_secs(5);

/// What a call wants.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Want {
    /// Which call it is: numbers are not used twice.
    pub call: u64,
    /// Estimate, for the limit per minute.
    pub tokens: usize,
    /// It is not the call's first attempt.
    pub is_retry: bool,
    /// Where it just failed: another server is better, this one better than none.
    pub avoid: Option<usize>,
    /// No other server will do.
    pub only: Option<usize>,
}

/// Why nothing is asked any more.
#[derive(Debug, Clone)]
pub(super) struct Stop {
    kind: ErrorKind,
    message: String,
    hint: String,
}

impl Stop {
    pub fn to_error(&self) -> Error {
        Error::new(self.kind, self.message.clone()).hint(self.hint.clone())
    }
}

/// The servers and what is allowed over all of them.
#[derive(Debug)]
pub(super) struct Fleet {
    limits: Limits,
    servers: Vec<Server>,
    /// Base URLs, for messages.
    names: Vec<String>,
    has_keys: bool,
    pace: Pace,
    in_flight: usize,
    /// Where to look first, so that equal servers take turns.
    turn: usize,
    last_success: Option<Instant>,
    last_taken: Option<Instant>,
    /// The last failure since something was answered.
    last_trouble: Option<String>,
    stop: Option<Stop>,
    traffic: Traffic,
}

impl Fleet {
    pub fn new(limits: Limits, names: Vec<String>, has_keys: bool) -> Fleet {
        Fleet {
            servers: names.iter().map(|_| Server::new(&limits)).collect(),
            pace: Pace::new(limits.requests_per_minute, limits.tokens_per_minute),
            limits,
            names,
            has_keys,
            in_flight: 0,
            turn: 0,
            last_success: None,
            last_taken: None,
            last_trouble: None,
            stop: None,
            traffic: Traffic::default(),
        }
    }

    pub fn stop(&self) -> Option<&Stop> {
        self.stop.as_ref()
    }

    pub fn traffic(&self) -> Traffic {
        let level: usize = self.servers.iter().map(Server::level).sum();
        Traffic { level: level.min(self.limits.max_concurrency), ..self.traffic.clone() }
    }

    /// Room for a call, if there is any now.
    pub fn take(&mut self, want: &Want, now: Instant) -> Option<Grant> {
        if self.in_flight >= self.limits.max_concurrency || self.pace.ready_at().is_some_and(|ready| ready > now) {
            return None;
        }
        let index = self.pick(want, now)?;
        let grant = self.servers.get_mut(index)?.take(index);
        self.pace.take(want.tokens, now);
        self.in_flight += 1;
        self.turn = index + 1;
        // A pause in which nobody asked anything (another model had its turn) is no drought.
        let idle = self.limits.max_wait.saturating_mul(IDLE_WAITS);
        if self.last_taken.is_none_or(|last| now.saturating_duration_since(last) > idle) {
            self.last_success = Some(now);
        }
        self.last_taken = Some(now);
        self.traffic.sent += 1;
        self.traffic.retried += u64::from(want.is_retry);
        Some(grant)
    }

    /// The server with the most room; one that is to be looked at again comes first.
    fn pick(&self, want: &Want, now: Instant) -> Option<usize> {
        let count = self.servers.len();
        let mut best: Option<(usize, (bool, usize))> = None;
        for index in
            (0..count).map(|i| (self.turn + i) % count).filter(|index| want.only.is_none_or(|only| only == *index))
        {
            let room = match self.servers.get(index)?.room(now) {
                Room::None => continue,
                Room::Probe => usize::MAX,
                Room::Free(free) => free,
            };
            let rank = (want.avoid != Some(index), room);
            if best.is_none_or(|(_, other)| rank > other) {
                best = Some((index, rank));
            }
        }
        best.map(|(index, _)| index)
    }

    /// When [`Fleet::take`] may succeed though nothing is answered until then.
    pub fn next_event(&self, now: Instant) -> Option<Instant> {
        let pace = self.pace.ready_at().filter(|ready| *ready > now);
        self.servers.iter().filter_map(|server| server.next_event(now)).chain(pace).min()
    }

    /// Gives room back of which nothing is to be learnt.
    pub fn release(&mut self, grant: Grant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(server) = self.servers.get_mut(grant.server) {
            server.release(grant);
        }
    }

    pub fn succeeded(&mut self, grant: Grant, took: Duration, now: Instant) {
        if let Some(server) = self.servers.get_mut(grant.server) {
            server.succeeded(took, &self.limits);
        }
        self.last_success = Some(now);
        self.last_trouble = None;
        self.release(grant);
    }

    /// A server that was out answered the control question.
    pub fn vouched(&mut self, grant: Grant) {
        self.release(grant);
        if let Some(server) = self.servers.get_mut(grant.server) {
            server.vouched();
        }
    }

    /// What is waited for, when nothing was answered for a while and failures are why.
    pub fn waiting(&self, now: Instant) -> Option<Waiting> {
        let since = now.saturating_duration_since(self.last_success?);
        let why = self.last_trouble.clone().filter(|_| since >= SILENCE && self.stop.is_none())?;
        let left = self.servers.iter().filter_map(|server| server.next_event(now)).min();
        Some(Waiting { why, since, left: left.map(|at| at.saturating_duration_since(now)) })
    }

    /// Learns from a failure. Says whether it does not count against the call: no server is alive, and it could not be reached either.
    pub fn failed(&mut self, grant: Grant, call: u64, fault: &Fault, now: Instant) -> bool {
        self.release(grant);
        self.traffic.throttled += u64::from(matches!(fault.kind, Kind::Throttled | Kind::Timeout));
        let Some(server) = self.servers.get_mut(grant.server) else { return false };
        server.failed(grant, call, fault, &self.limits, now);
        let is_doubtful = fault.kind.is_answered() && server.is_doubtful();
        if matches!(fault.kind, Kind::Rejected | Kind::Refused) {
            self.last_success = Some(now);
            self.last_trouble = None;
        } else {
            self.last_trouble = Some(fault.message.clone());
        }
        let is_dead = !self.servers.iter().any(Server::is_up);
        // While a server is out, only what it is asked to see whether it is back says that it is not.
        let is_word = grant.is_probe || !fault.kind.is_answered();
        if is_dead && is_word {
            self.consider_death(now);
        } else if fault.kind == Kind::Throttled || is_doubtful {
            self.consider_drought(fault, now);
        }
        is_dead && fault.kind == Kind::Unreachable
    }

    /// Stops when no server will answer again, or not soon enough.
    fn consider_death(&mut self, now: Instant) {
        if self.servers.iter().all(Server::is_barred) {
            let key = if self.has_keys { "" } else { " (no key is sent: is its environment variable set?)" };
            let mut faults = self.servers.iter().filter_map(Server::last_fault);
            if let Some(fault) = faults.clone().find(|fault| fault.kind == Kind::Exhausted) {
                let hint = fault.hint().to_string();
                self.set_stop(ErrorKind::Incomplete, "answers no more", hint);
                return;
            }
            let hint = faults.next().map_or("", Fault::hint);
            self.set_stop(ErrorKind::Input, "refuses every call", format!("{hint}{key}"));
            return;
        }
        // They are all down since the last of them is.
        let since = self.servers.iter().filter_map(Server::down_since).max();
        if since.is_some_and(|since| now.saturating_duration_since(since) >= patience(&self.limits)) {
            let hint = "when the server is up again, the same command goes on where it stopped; --max-retries makes it wait longer";
            self.set_stop(ErrorKind::Incomplete, "does not answer", hint.to_string());
        }
    }

    /// Stops when there was nothing but throttling for long.
    fn consider_drought(&mut self, fault: &Fault, now: Instant) {
        let longest = DROUGHT.max(self.limits.request_timeout.saturating_mul(2));
        let waited = self.last_success.map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        if waited >= longest && self.stop.is_none() {
            let message = format!("nothing was answered for {}: {}", span(waited), fault.message);
            let hint = match fault.kind {
                Kind::Throttled => {
                    "the quota may be used up; the same command goes on later where it stopped. --rpm, --tpm and --max-concurrency ask for less"
                }
                _ => {
                    "the server answers a test question and none of these prompts: look at its log; the same command goes on where it stopped"
                }
            };
            self.stop = Some(Stop { kind: ErrorKind::Incomplete, message, hint: hint.to_string() });
        }
    }

    fn set_stop(&mut self, kind: ErrorKind, what: &str, hint: String) {
        if self.stop.is_some() {
            return;
        }
        let told = self.names.iter().zip(&self.servers).map(|(name, server)| {
            let reason = server.last_fault().map_or("", |fault| fault.message.as_str());
            format!("{name} {what}: {reason}")
        });
        self.stop = Some(Stop { kind, message: told.collect::<Vec<_>>().join("; "), hint });
    }

    /// Requests that are open.
    #[cfg(test)]
    pub fn in_flight(&self) -> usize {
        debug_assert_eq!(self.in_flight, self.servers.iter().map(Server::in_flight).sum::<usize>());
        self.in_flight
    }
}
