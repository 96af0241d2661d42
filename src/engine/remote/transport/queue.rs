//! Calls waiting for room: one queue for all servers, first come, first served.
//!
//! A call never belongs to a server before it is sent, so nothing has to be moved when a server goes away: the others take from the same queue.

use super::fault::Fault;
use super::fleet::{Fleet, Want};
use super::server::Grant;
use super::{Failure, Traffic, Waiting};
use crate::engine::Cancel;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How often those who wait look whether the user wants to stop.
pub(super) const TICK: Duration = Duration::from_millis(100);

/// Where calls wait.
#[derive(Debug)]
pub(super) struct Queue {
    line: Mutex<Line>,
}

#[derive(Debug)]
struct Line {
    fleet: Fleet,
    waiting: VecDeque<Arc<Ticket>>,
}

/// A place in the queue.
#[derive(Debug)]
struct Ticket {
    want: Want,
    grant: OnceLock<Grant>,
    wake: Notify,
}

impl Line {
    /// Gives room to those in front, as long as there is some.
    fn serve(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let now = Instant::now();
        let mut served = false;
        while let Some(first) = self.waiting.front() {
            let Some(grant) = self.fleet.take(&first.want, now) else { break };
            let _ = first.grant.set(grant);
            first.wake.notify_one();
            self.waiting.pop_front();
            served = true;
        }
        // Whoever is in front now has to watch the clock for all.
        if let Some(first) = self.waiting.front().filter(|_| served && self.fleet.next_event(now).is_some()) {
            first.wake.notify_one();
        }
    }

    /// All who wait hear that it is over.
    fn announce_stop(&self) {
        if self.fleet.stop().is_some() {
            self.waiting.iter().for_each(|ticket| ticket.wake.notify_one());
        }
    }
}

impl Queue {
    pub fn new(fleet: Fleet) -> Queue {
        Queue { line: Mutex::new(Line { fleet, waiting: VecDeque::new() }) }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn traffic(&self) -> Traffic {
        self.line().fleet.traffic()
    }

    /// See [`Fleet::waiting`].
    pub fn waiting(&self) -> Option<Waiting> {
        self.line().fleet.waiting(Instant::now())
    }

    /// Waits for room at a server.
    pub async fn room(&self, want: Want, cancel: &Cancel) -> Result<Slot<'_>, Failure> {
        let ticket = {
            let mut line = self.line();
            look_for_end(&line, cancel)?;
            if line.waiting.is_empty()
                && let Some(grant) = line.fleet.take(&want, Instant::now())
            {
                return Ok(Slot { queue: self, grant, call: want.call, is_open: true });
            }
            let ticket = Arc::new(Ticket { want, grant: OnceLock::new(), wake: Notify::new() });
            line.waiting.push_back(Arc::clone(&ticket));
            ticket
        };
        let mut place = Place { queue: self, ticket, is_left: false };
        loop {
            let nap = {
                let mut line = self.line();
                line.serve();
                if let Some(grant) = place.ticket.grant.get() {
                    place.is_left = true;
                    return Ok(Slot { queue: self, grant: *grant, call: want.call, is_open: true });
                }
                look_for_end(&line, cancel)?;
                place.nap(&line)
            };
            // What wakes it does not matter: it looks again.
            let _ = tokio::time::timeout(nap, place.ticket.wake.notified()).await;
        }
    }
}

/// The reasons to wait no longer.
fn look_for_end(line: &Line, cancel: &Cancel) -> Result<(), Failure> {
    if cancel.is_cancelled() {
        return Err(Failure::Cancelled);
    }
    match line.fleet.stop() {
        Some(stop) => Err(Failure::Stopped(stop.to_error())),
        None => Ok(()),
    }
}

/// Somebody who waits, and who may go away at any time.
struct Place<'a> {
    queue: &'a Queue,
    ticket: Arc<Ticket>,
    is_left: bool,
}

impl Place<'_> {
    /// How long to wait without being woken.
    fn nap(&self, line: &Line) -> Duration {
        if line.waiting.front().is_none_or(|first| !Arc::ptr_eq(first, &self.ticket)) {
            return TICK;
        }
        let now = Instant::now();
        line.fleet.next_event(now).map_or(TICK, |event| (event - now).min(TICK))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if self.is_left {
            return;
        }
        let mut line = self.queue.line();
        match self.ticket.grant.get() {
            Some(grant) => line.fleet.release(*grant),
            None => line.waiting.retain(|other| !Arc::ptr_eq(other, &self.ticket)),
        }
        line.serve();
    }
}

/// Room for one request. Dropped, it is given back as if nothing had been sent.
pub(super) struct Slot<'a> {
    queue: &'a Queue,
    grant: Grant,
    call: u64,
    is_open: bool,
}

impl Slot<'_> {
    pub fn server(&self) -> usize {
        self.grant.server
    }

    /// The server is out because of what it answered, and this is a look whether it is back.
    pub fn is_doubtful(&self) -> bool {
        self.grant.is_doubtful
    }

    /// The server answered the control question.
    pub fn vouched(mut self) {
        self.is_open = false;
        let mut line = self.queue.line();
        line.fleet.vouched(self.grant);
        line.serve();
    }

    /// The request was answered, after so long.
    pub fn succeeded(mut self, took: Duration) {
        self.is_open = false;
        let mut line = self.queue.line();
        line.fleet.succeeded(self.grant, took, Instant::now());
        line.serve();
    }

    /// The request failed. Says whether that does not count against the call ([`Fleet::failed`]).
    pub fn failed(mut self, fault: &Fault) -> bool {
        self.is_open = false;
        let mut line = self.queue.line();
        let is_free = line.fleet.failed(self.grant, self.call, fault, Instant::now());
        line.announce_stop();
        line.serve();
        is_free
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        if self.is_open {
            let mut line = self.queue.line();
            line.fleet.release(self.grant);
            line.serve();
        }
    }
}
