//! How often one call is tried, and the waits between.
//!
//! Asking again is safe: a call changes nothing at the server, and only one of its answers is ever used.
//!
//! Every call ends. Three bounds hold:
//! * **failures** (no connection, broken answers, timeouts): `max_retries` after the first;
//! * **throttling** (429, 503) does not eat into that, or a storm would lose documents that only had to wait. A call is given up after
//!   [`THROTTLES_PER_TRY`] times as many refusals, or when its own waits add up to [`LONGEST_THROTTLING`]: then it is not the crowd that is too
//!   much for the server but this call (larger than a minute's quota, for instance);
//! * **the whole model**: when all servers are down for longer than one call's retries would take, or nothing but refusals came for long
//!   ([`super::fleet`]), everything stops, to be resumed.

use super::Limits;
use super::fault::{Fault, Kind};
use std::time::Duration;

/// A call may be told to come later so many times as often as it may fail.
const THROTTLES_PER_TRY: u32 = 32;
/// A call's own waits after throttling, altogether.
const LONGEST_THROTTLING: Duration = Duration::from_secs(3600);
/// A whole body without an answer is asked for so many times again: what helps against a server's mishap helps soon, and nothing else does.
const EMPTY_RETRIES: u32 = 4;
/// Waits after throttling double so many times: the level does the rest, and nobody should sleep long after the storm.
const THROTTLE_DOUBLINGS: u32 = 6;
/// A wait that a server asks for pauses the whole server from here on; a shorter one only the call.
pub(super) const LONG_WAIT: Duration = Duration::from_secs(2);

/// The attempts of one call.
#[derive(Debug)]
pub(super) struct Tries<'a> {
    limits: &'a Limits,
    failures: u32,
    throttles: u32,
    empties: u32,
    waited: Duration,
}

impl<'a> Tries<'a> {
    pub fn new(limits: &'a Limits) -> Tries<'a> {
        Tries { limits, failures: 0, throttles: 0, empties: 0, waited: Duration::ZERO }
    }

    /// The wait before the next attempt; `None`: there is none.
    ///
    /// `is_free`: no server is alive, and the call only found that out once more. Then it is the fleet that decides when to stop, not the call.
    pub fn next(&mut self, fault: &Fault, is_free: bool) -> Option<Duration> {
        if !fault.kind.is_worth_another_try() {
            return None;
        }
        if fault.kind == Kind::Exhausted {
            // That server is asked no more; another one may take the call, or all is over.
            return Some(Duration::ZERO);
        }
        let asked = fault.wait.unwrap_or_default().min(self.limits.max_wait);
        if fault.kind == Kind::Empty {
            self.empties += 1;
            let is_last = self.empties > EMPTY_RETRIES.min(self.limits.max_retries);
            return (!is_last).then(|| asked.max(self.backoff(self.empties - 1)));
        }
        if fault.kind == Kind::Throttled {
            self.throttles += 1;
            let bound = self.limits.max_retries.saturating_add(1).saturating_mul(THROTTLES_PER_TRY);
            if self.throttles > bound || self.waited > LONGEST_THROTTLING {
                return None;
            }
            // After a long wait the call stands in the queue: another server may take it at once.
            let wait = if asked >= LONG_WAIT {
                Duration::ZERO
            } else {
                asked.max(self.backoff((self.throttles - 1).min(THROTTLE_DOUBLINGS)))
            };
            self.waited += wait;
            return Some(wait);
        }
        if is_free {
            return Some(Duration::ZERO);
        }
        self.failures += 1;
        if self.failures > self.limits.max_retries {
            return None;
        }
        Some(asked.max(self.backoff(self.failures - 1)))
    }

    /// Exponential, with full jitter: anything from nothing to the whole.
    fn backoff(&self, doublings: u32) -> Duration {
        longest_backoff(self.limits, doublings).mul_f64(fastrand::f64())
    }
}

/// The wait after so many doublings, before jitter.
pub(super) fn longest_backoff(limits: &Limits, doublings: u32) -> Duration {
    limits.backoff.saturating_mul(1u32.checked_shl(doublings).unwrap_or(u32::MAX)).min(limits.max_wait)
}

/// The waits of a call that uses all its retries, before jitter: so long all servers may be down.
pub(super) fn patience(limits: &Limits) -> Duration {
    // After 32 doublings every wait is the longest one.
    let growing = limits.max_retries.min(32);
    let sum = (0..growing).fold(Duration::ZERO, |sum, n| sum.saturating_add(longest_backoff(limits, n)));
    sum.saturating_add(longest_backoff(limits, growing).saturating_mul(limits.max_retries - growing))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits { max_retries: 3, ..Limits::default() }
    }

    fn fault(kind: Kind) -> Fault {
        Fault::new(kind, "x")
    }

    #[test]
    fn failures_are_bounded_and_waits_grow() {
        let limits = limits();
        for _ in 0..100 {
            let mut tries = Tries::new(&limits);
            for n in 0..3 {
                let wait = tries.next(&fault(Kind::Broken), false).unwrap();
                assert!(wait <= Duration::from_millis(500 << n), "{wait:?}");
            }
            assert_eq!(tries.next(&fault(Kind::Broken), false), None);
        }
    }

    #[test]
    fn final_failures_are_final() {
        let limits = limits();
        for kind in [Kind::Denied, Kind::Rejected, Kind::Refused] {
            assert_eq!(Tries::new(&limits).next(&fault(kind), false), None);
        }
    }

    #[test]
    fn answers_without_an_answer_end_soon() {
        let limits = Limits { max_retries: 8, ..limits() };
        let mut tries = Tries::new(&limits);
        assert_eq!(std::iter::from_fn(|| tries.next(&fault(Kind::Empty), false)).count(), 4);
        assert!(tries.next(&fault(Kind::Broken), false).is_some(), "other failures are counted apart");
        assert_eq!(tries.next(&fault(Kind::Exhausted), false), Some(Duration::ZERO));
    }

    #[test]
    fn throttling_has_a_budget_of_its_own() {
        let limits = Limits { backoff: Duration::from_millis(1), ..limits() };
        let mut tries = Tries::new(&limits);
        let count = std::iter::from_fn(|| tries.next(&fault(Kind::Throttled), false)).count();
        assert_eq!(count, 4 * 32);
        let mut tries = Tries::new(&limits);
        for _ in 0..100 {
            tries.next(&fault(Kind::Throttled), false).unwrap();
        }
        assert!(tries.next(&fault(Kind::Broken), false).is_some(), "failures were not used up");
    }

    #[test]
    fn throttling_ends_by_time_too() {
        let limits = Limits { max_retries: 1000, backoff: Duration::from_secs(60), ..limits() };
        let mut tries = Tries::new(&limits);
        let count = std::iter::from_fn(|| tries.next(&fault(Kind::Throttled), false)).count();
        assert!((30..2000).contains(&count), "{count}");
    }

    #[test]
    fn what_the_server_asks_for_is_a_lower_bound_up_to_the_longest_wait() {
        let limits = Limits { max_wait: Duration::from_secs(5), ..limits() };
        let mut tries = Tries::new(&limits);
        let ask = |kind, seconds: f64| Fault { wait: Some(Duration::from_secs_f64(seconds)), ..fault(kind) };
        assert!(tries.next(&ask(Kind::Throttled, 1.5), false).unwrap() >= Duration::from_millis(1500));
        assert_eq!(
            tries.next(&ask(Kind::Throttled, 60.0), false),
            Some(Duration::ZERO),
            "the server is paused instead"
        );
        assert_eq!(tries.next(&ask(Kind::Broken, 60.0), false), Some(Duration::from_secs(5)));
    }

    #[test]
    fn while_all_servers_are_down_nothing_is_counted() {
        let limits = limits();
        let mut tries = Tries::new(&limits);
        for _ in 0..100 {
            assert_eq!(tries.next(&fault(Kind::Unreachable), true), Some(Duration::ZERO));
        }
        assert!(tries.next(&fault(Kind::Unreachable), false).is_some());
    }

    #[test]
    fn patience_is_the_sum_of_the_waits() {
        assert_eq!(patience(&limits()), Duration::from_millis(500 + 1000 + 2000));
        assert_eq!(patience(&Limits { max_retries: 0, ..limits() }), Duration::ZERO);
        let long = patience(&Limits { max_retries: 100, ..limits() });
        assert!(long < Duration::from_secs(120 * 100));
        assert_eq!(longest_backoff(&limits(), 4_000_000), Duration::from_secs(120));
        assert!(patience(&Limits { max_retries: u32::MAX, ..limits() }) > long);
    }
}
