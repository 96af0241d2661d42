//! What is known about one server: its level, its pauses, its health.

use super::Limits;
use super::fault::{Fault, Kind};
use super::level::Level;
use super::retry::{LONG_WAIT, longest_backoff};
use std::time::Duration;
use tokio::time::Instant;

/// Failures in a row that take a server out, or as many as a call may have when that is less.
const FAILURES: u32 = 5;
/// The longest time between two looks at a server that is out.
const LONGEST_ABSENCE: Duration = Duration::from_secs(30);
/// How often the number of failures that take a server out doubles while it answers the control question and no call.
const MOST_TRUST: u32 = 10;
/// Denied calls in a row, with no success between, that end all asking.
const DENIALS: u32 = 10;
/// An answer is slow when it takes this share of the request timeout (one fourth) and so many times as long as the fastest.
const SLOW_SHARE: u32 = 4;
const SLOW_FACTOR: u32 = 3;

/// Whether a server is asked.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Health {
    Up,
    /// It failed several times in a row. From `until` on, one call goes to it as a probe.
    Down {
        since: Instant,
        until: Instant,
        probes: u32,
    },
    /// It denied so many calls that it is not asked again.
    Barred,
}

/// Room for a call at a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    None,
    /// So many more requests may be open.
    Free(usize),
    /// It is out, and it is time to look whether it is back.
    Probe,
}

/// A request that may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grant {
    pub server: usize,
    /// Of the level, when it was given.
    pub epoch: u64,
    pub is_probe: bool,
    /// It is out because it answered calls with what is no answer: that may lie in these calls.
    pub is_doubtful: bool,
}

#[derive(Debug)]
pub(super) struct Server {
    level: Level,
    in_flight: usize,
    /// The shortest time an answer took.
    fastest: Option<Duration>,
    paused_until: Option<Instant>,
    health: Health,
    /// Failures in a row, and the call of the last one.
    failures: u32,
    last_call: Option<u64>,
    denials: u32,
    /// Control questions that it answered since it last answered a call.
    trust: u32,
    is_probed: bool,
    /// The last failure, for messages.
    last_fault: Option<Fault>,
}

impl Server {
    pub fn new(limits: &Limits) -> Server {
        Server {
            level: Level::new(limits.max_concurrency),
            in_flight: 0,
            fastest: None,
            paused_until: None,
            health: Health::Up,
            failures: 0,
            last_call: None,
            denials: 0,
            trust: 0,
            is_probed: false,
            last_fault: None,
        }
    }

    pub fn level(&self) -> usize {
        if self.health == Health::Up { self.level.open() } else { 0 }
    }

    #[cfg(test)]
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    pub fn room(&self, now: Instant) -> Room {
        if self.paused_until.is_some_and(|until| until > now) {
            return Room::None;
        }
        match self.health {
            Health::Up => match self.level.open().saturating_sub(self.in_flight) {
                0 => Room::None,
                free => Room::Free(free),
            },
            Health::Down { until, .. } if until <= now && !self.is_probed => Room::Probe,
            Health::Down { .. } | Health::Barred => Room::None,
        }
    }

    /// When there may be room though nothing is answered until then.
    pub fn next_event(&self, now: Instant) -> Option<Instant> {
        let until = match self.health {
            Health::Barred => return None,
            Health::Down { until, .. } if !self.is_probed => Some(until),
            _ => None,
        };
        until.max(self.paused_until).filter(|at| *at > now)
    }

    /// Takes the room.
    pub fn take(&mut self, index: usize) -> Grant {
        self.in_flight += 1;
        let is_probe = self.health != Health::Up;
        self.is_probed |= is_probe;
        let is_doubtful = is_probe && self.last_fault.as_ref().is_some_and(|fault| fault.kind.is_answered());
        Grant { server: index, epoch: self.level.epoch(), is_probe, is_doubtful }
    }

    /// Gives the room back, whatever came of it.
    pub fn release(&mut self, grant: Grant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if grant.is_probe {
            self.is_probed = false;
        }
    }

    /// An answer that took so long, before its room is given back.
    ///
    /// Many servers never say that it is too much: they let requests wait, until these run out of time. So answers that came slowly, and much
    /// more slowly than others did, do not raise the level.
    pub fn succeeded(&mut self, took: Duration, limits: &Limits) {
        let fastest = self.fastest.map_or(took, |fastest| fastest.min(took));
        self.fastest = Some(fastest);
        if took < limits.request_timeout / SLOW_SHARE || took < fastest * SLOW_FACTOR {
            self.level.grow(self.in_flight);
        }
        self.denials = 0;
        self.trust = 0;
        self.is_alive();
    }

    /// It answered the control question: what it cannot answer are the calls, not the server's fault. So that it is not asked ever again,
    /// more of them must fail before it is the next time.
    pub fn vouched(&mut self) {
        self.trust += 1;
        self.is_alive();
    }

    /// Whether it answers the control question and nothing else.
    pub fn is_doubtful(&self) -> bool {
        self.trust > 0
    }

    /// It answered something: it is not down.
    fn is_alive(&mut self) {
        self.failures = 0;
        self.last_call = None;
        if matches!(self.health, Health::Down { .. }) {
            self.health = Health::Up;
            self.level.restart();
        }
    }

    /// A failure of a call, after its room was given back.
    pub fn failed(&mut self, grant: Grant, call: u64, fault: &Fault, limits: &Limits, now: Instant) {
        if fault.kind.cuts_level() && self.is_up() {
            self.level.cut(grant.epoch);
        }
        if let Some(wait) = fault.wait.filter(|wait| *wait >= LONG_WAIT) {
            self.paused_until = self.paused_until.max(Some(now + wait.min(limits.max_wait)));
        }
        if fault.kind.is_failure_of_server() {
            self.failed_itself(grant, call, fault, limits, now);
            return;
        }
        self.is_alive();
        match fault.kind {
            Kind::Denied => {
                self.denials += 1;
                if self.denials >= DENIALS {
                    self.health = Health::Barred;
                }
                self.last_fault = Some(fault.clone());
            }
            Kind::Exhausted => {
                self.health = Health::Barred;
                self.last_fault = Some(fault.clone());
            }
            Kind::Rejected | Kind::Refused => self.denials = 0,
            _ => {}
        }
    }

    fn failed_itself(&mut self, grant: Grant, call: u64, fault: &Fault, limits: &Limits, now: Instant) {
        self.last_fault = Some(fault.clone());
        // One call that a server cannot digest does not speak against the server, however often it is tried.
        if fault.kind == Kind::Unreachable || self.last_call != Some(call) {
            self.failures = self.failures.saturating_add(1);
            self.last_call = Some(call);
        }
        if !fault.kind.is_answered() {
            self.trust = 0;
        }
        let most = FAILURES.min(limits.max_retries.saturating_add(1)) << self.trust.min(MOST_TRUST);
        let absence = |probes| longest_backoff(limits, probes).min(LONGEST_ABSENCE);
        match self.health {
            Health::Up if self.failures >= most => {
                self.health = Health::Down { since: now, until: now + absence(0), probes: 0 };
            }
            Health::Down { since, probes, .. } if grant.is_probe => {
                let probes = probes.saturating_add(1);
                self.health = Health::Down { since, until: now + absence(probes), probes };
            }
            _ => {}
        }
    }

    /// Since when it is out; `None`: it is not, or it is barred.
    pub fn down_since(&self) -> Option<Instant> {
        match self.health {
            Health::Down { since, .. } => Some(since),
            _ => None,
        }
    }

    pub fn is_up(&self) -> bool {
        self.health == Health::Up
    }

    pub fn is_barred(&self) -> bool {
        self.health == Health::Barred
    }

    pub fn last_fault(&self) -> Option<&Fault> {
        self.last_fault.as_ref()
    }
}
