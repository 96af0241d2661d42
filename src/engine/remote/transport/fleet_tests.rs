//! Who takes the next call: with a clock of our own.

use super::Limits;
use super::fault::{Fault, Kind};
use super::fleet::{Fleet, Want};
use super::server::Grant;
use crate::error::ErrorKind;
use std::time::Duration;
use tokio::time::Instant;

fn limits() -> Limits {
    Limits { max_concurrency: 64, max_retries: 8, ..Limits::default() }
}

fn fleet(count: usize, limits: Limits) -> Fleet {
    Fleet::new(limits, (0..count).map(|i| format!("http://s{i}/")).collect(), true)
}

fn seconds(value: f64) -> Duration {
    Duration::from_secs_f64(value)
}

fn fault(kind: Kind) -> Fault {
    Fault::new(kind, format!("{kind:?}"))
}

fn take(fleet: &mut Fleet, call: u64, now: Instant) -> Option<Grant> {
    fleet.take(&Want { call, ..Want::default() }, now)
}

/// Every one of many calls fails so.
fn fail_all(fleet: &mut Fleet, kind: Kind, now: Instant) -> usize {
    let mut sent = 0;
    while let Some(grant) = take(fleet, 1000 + sent as u64, now) {
        fleet.failed(grant, 1000 + sent as u64, &fault(kind), now);
        sent += 1;
        assert!(sent < 1000);
    }
    sent
}

#[test]
fn calls_go_where_room_is() {
    let now = Instant::now();
    let mut fleet = fleet(2, limits());
    let taken: Vec<_> = (0..8).map(|call| take(&mut fleet, call, now).unwrap().server).collect();
    assert_eq!(taken, [0, 1, 0, 1, 0, 1, 0, 1]);
    assert_eq!(take(&mut fleet, 9, now), None, "four each, to begin with");
    assert_eq!(fleet.in_flight(), 8);
    assert_eq!(fleet.traffic().level, 8);
}

#[test]
fn no_more_than_allowed_over_all_servers() {
    let now = Instant::now();
    let mut fleet = fleet(3, Limits { max_concurrency: 5, ..limits() });
    assert_eq!((0..20).filter_map(|call| take(&mut fleet, call, now)).count(), 5);
    assert_eq!(fleet.traffic().level, 5);
}

#[test]
fn a_call_that_failed_goes_elsewhere_if_it_can() {
    let now = Instant::now();
    let mut fleet = fleet(2, limits());
    let avoid = |server| Want { avoid: Some(server), is_retry: true, ..Want::default() };
    assert_eq!(fleet.take(&avoid(0), now).unwrap().server, 1);
    assert_eq!(fleet.take(&avoid(0), now).unwrap().server, 1, "though the other has more room");
    while fleet.take(&avoid(0), now).is_some_and(|grant| grant.server == 1) {}
    assert!(fleet.in_flight() == 5, "then the one to avoid is better than none");
    assert_eq!(fleet.traffic().retried, 5);
    assert_eq!(fleet.take(&Want { only: Some(1), ..Want::default() }, now), None);
}

#[test]
fn a_long_wait_pauses_the_whole_server_and_no_other() {
    let now = Instant::now();
    let mut fleet = fleet(2, limits());
    let grant = take(&mut fleet, 1, now).unwrap();
    let other = 1 - grant.server;
    fleet.failed(grant, 1, &Fault { wait: Some(seconds(30.0)), ..fault(Kind::Throttled) }, now);
    for _ in 0..4 {
        assert_eq!(take(&mut fleet, 2, now).unwrap().server, other);
    }
    assert_eq!(take(&mut fleet, 2, now + seconds(29.9)), None);
    assert_eq!(fleet.next_event(now), Some(now + seconds(30.0)));
    assert_eq!(take(&mut fleet, 2, now + seconds(30.0)).unwrap().server, grant.server);
}

#[test]
fn pauses_are_no_longer_than_the_longest_wait_and_short_waits_pause_nobody() {
    let now = Instant::now();
    let mut fleet = fleet(1, Limits { max_wait: seconds(10.0), ..limits() });
    let grant = take(&mut fleet, 1, now).unwrap();
    fleet.failed(grant, 1, &Fault { wait: Some(seconds(1.0)), ..fault(Kind::Throttled) }, now);
    let grant = take(&mut fleet, 1, now).unwrap();
    fleet.failed(grant, 1, &Fault { wait: Some(seconds(86400.0)), ..fault(Kind::Throttled) }, now);
    assert_eq!(take(&mut fleet, 1, now + seconds(9.9)), None);
    assert!(take(&mut fleet, 1, now + seconds(10.0)).is_some());
}

#[test]
fn a_server_that_fails_is_taken_out_and_looked_at_again() {
    let mut now = Instant::now();
    let mut fleet = fleet(1, limits());
    assert_eq!(fail_all(&mut fleet, Kind::Broken, now), 5, "out after five in a row");
    let mut waits = Vec::new();
    for call in 0..4 {
        let event = fleet.next_event(now).unwrap();
        waits.push((event - now).as_secs_f64());
        now = event;
        let grant = take(&mut fleet, call, now).unwrap();
        assert!(grant.is_probe);
        assert_eq!(take(&mut fleet, 99, now), None, "one probe at a time");
        fleet.failed(grant, call, &fault(Kind::Torn), now);
    }
    assert_eq!(waits, [0.5, 1.0, 2.0, 4.0]);
    now = fleet.next_event(now).unwrap();
    let grant = take(&mut fleet, 5, now).unwrap();
    fleet.succeeded(grant, seconds(0.01), now);
    assert_eq!((0..9).filter_map(|call| take(&mut fleet, call, now)).count(), 4, "it is back, and begins low");
    assert!(fleet.stop().is_none());
}

#[test]
fn failures_with_successes_between_take_nobody_out() {
    let now = Instant::now();
    let mut fleet = fleet(1, limits());
    for call in 0..100 {
        let grant = take(&mut fleet, call, now).unwrap();
        if call % 5 == 4 {
            fleet.succeeded(grant, seconds(0.01), now);
        } else {
            fleet.failed(grant, call, &fault(Kind::Broken), now);
        }
    }
    assert_eq!(fleet.traffic().sent, 100);
}

#[test]
fn one_call_that_a_server_cannot_digest_takes_nobody_out() {
    let now = Instant::now();
    let mut fleet = fleet(1, limits());
    for _ in 0..50 {
        let grant = take(&mut fleet, 7, now).unwrap();
        assert!(!fleet.failed(grant, 7, &fault(Kind::Torn), now), "and it counts against the call");
    }
    assert!(fleet.stop().is_none());
}

#[test]
fn the_others_take_over_from_one_that_is_out() {
    let now = Instant::now();
    let mut fleet = fleet(2, limits());
    for call in 0..5 {
        let grant = fleet.take(&Want { call, only: Some(0), ..Want::default() }, now).unwrap();
        assert!(!fleet.failed(grant, call, &fault(Kind::Unreachable), now));
    }
    for call in 0..4 {
        assert_eq!(take(&mut fleet, call, now).unwrap().server, 1);
    }
    assert_eq!(take(&mut fleet, 4, now), None);
    let probe = take(&mut fleet, 4, now + seconds(0.5)).unwrap();
    assert_eq!((probe.server, probe.is_probe), (0, true));
}

#[test]
fn when_all_are_down_for_longer_than_retries_take_everything_stops() {
    let start = Instant::now();
    let mut now = start;
    let mut fleet = fleet(2, limits());
    fail_all(&mut fleet, Kind::Unreachable, now);
    let mut call = 0;
    while fleet.stop().is_none() {
        now = fleet.next_event(now).unwrap();
        while let Some(grant) = take(&mut fleet, call, now) {
            let is_free = fleet.failed(grant, call, &fault(Kind::Unreachable), now);
            assert!(is_free, "the call is not to blame");
            call += 1;
        }
        assert!(call < 1000);
    }
    let lasted = (now - start).as_secs_f64();
    assert!((127.0..160.0).contains(&lasted), "{lasted}");
    let err = fleet.stop().unwrap().to_error();
    assert_eq!(err.kind(), ErrorKind::Incomplete);
    assert!(err.to_string().contains("http://s0/ does not answer: Unreachable; http://s1/ does not answer"), "{err}");
}

#[test]
fn without_retries_the_end_comes_at_once() {
    let now = Instant::now();
    let mut fleet = fleet(1, Limits { max_retries: 0, ..limits() });
    let grant = take(&mut fleet, 1, now).unwrap();
    fleet.failed(grant, 1, &fault(Kind::Unreachable), now);
    assert!(fleet.stop().is_some());
}

#[test]
fn ten_denied_calls_in_a_row_stop_everything() {
    let now = Instant::now();
    let mut fleet = fleet(1, limits());
    let denied = Fault { status: Some(401), ..fault(Kind::Denied) };
    for call in 0..9 {
        let grant = take(&mut fleet, call, now).unwrap();
        fleet.failed(grant, call, &denied, now);
    }
    let grant = take(&mut fleet, 9, now).unwrap();
    fleet.succeeded(grant, seconds(0.01), now);
    for call in 0..10 {
        assert!(fleet.stop().is_none());
        let grant = take(&mut fleet, call, now).unwrap();
        fleet.failed(grant, call, &denied, now);
    }
    let err = fleet.stop().unwrap().to_error();
    assert_eq!(err.kind(), ErrorKind::Input);
    assert!(err.hint_text().unwrap().contains("environment variable"), "{err}");
}

#[test]
fn a_server_that_denies_everything_leaves_the_rest_to_the_others() {
    let now = Instant::now();
    let mut fleet = fleet(2, limits());
    for call in 0..10 {
        let grant = fleet.take(&Want { call, only: Some(0), ..Want::default() }, now).unwrap();
        fleet.failed(grant, call, &fault(Kind::Denied), now);
    }
    assert!(fleet.stop().is_none());
    let servers: Vec<_> = std::iter::from_fn(|| take(&mut fleet, 11, now)).map(|grant| grant.server).collect();
    assert_eq!(servers, [1; 4]);
}

#[test]
fn nothing_but_throttling_ends_after_long() {
    let mut now = Instant::now();
    let mut fleet = fleet(1, Limits { request_timeout: seconds(60.0), ..limits() });
    let mut minutes = 0;
    while fleet.stop().is_none() {
        let grant = take(&mut fleet, 1, now).unwrap();
        fleet.failed(grant, 1, &fault(Kind::Throttled), now);
        now += seconds(60.0);
        minutes += 1;
        assert!(minutes < 100);
    }
    assert_eq!(minutes, 16);
    assert_eq!(fleet.stop().unwrap().to_error().kind(), ErrorKind::Incomplete);
    assert_eq!(fleet.traffic().throttled, 16);
}

#[test]
fn the_pace_holds_calls_back() {
    let now = Instant::now();
    let mut fleet = fleet(1, Limits { requests_per_minute: Some(30.0), ..limits() });
    assert!(take(&mut fleet, 1, now).is_some());
    assert!(take(&mut fleet, 2, now).is_none());
    assert_eq!(fleet.next_event(now), Some(now + seconds(2.0)));
    assert!(take(&mut fleet, 2, now + seconds(2.0)).is_some());
}

#[test]
fn a_server_that_lets_requests_wait_is_not_given_ever_more() {
    // One request at a time, ten seconds each: the n-th of those that are open takes n times as long.
    let mut now = Instant::now();
    let mut fleet = fleet(1, Limits { max_concurrency: 256, request_timeout: seconds(600.0), ..limits() });
    let mut open = std::collections::VecDeque::new();
    for call in 0..2000 {
        while let Some(grant) = take(&mut fleet, call, now) {
            open.push_back((grant, now));
        }
        now += seconds(10.0);
        let (grant, since) = open.pop_front().unwrap();
        fleet.succeeded(grant, now - since, now);
    }
    assert!((14..=30).contains(&fleet.traffic().level), "{:?}", fleet.traffic());
}

#[test]
fn a_server_that_is_slow_by_itself_gets_as_much_as_any_other() {
    let mut now = Instant::now();
    let mut fleet = fleet(1, Limits { max_concurrency: 64, request_timeout: seconds(600.0), ..limits() });
    for _ in 0..15 {
        let open: Vec<_> = std::iter::from_fn(|| take(&mut fleet, 1, now)).collect();
        now += seconds(300.0);
        open.into_iter().for_each(|grant| fleet.succeeded(grant, seconds(300.0), now));
    }
    assert_eq!(fleet.traffic().level, 64);
}

#[test]
fn a_pause_is_no_drought() {
    let now = Instant::now();
    let mut fleet = fleet(1, limits());
    let grant = take(&mut fleet, 1, now).unwrap();
    fleet.succeeded(grant, seconds(0.01), now);
    let later = now + seconds(7200.0);
    let grant = take(&mut fleet, 2, later).unwrap();
    fleet.failed(grant, 2, &fault(Kind::Throttled), later);
    assert!(fleet.stop().is_none() && fleet.waiting(later).is_none());
}

#[test]
fn what_is_waited_for_is_known_after_some_seconds() {
    let now = Instant::now();
    let mut fleet = fleet(1, limits());
    let grant = take(&mut fleet, 1, now).unwrap();
    fleet.failed(grant, 1, &Fault { wait: Some(seconds(30.0)), ..fault(Kind::Throttled) }, now);
    assert_eq!(fleet.waiting(now + seconds(4.0)), None);
    let waiting = fleet.waiting(now + seconds(6.0)).unwrap();
    assert_eq!((waiting.why.as_str(), waiting.since, waiting.left), ("Throttled", seconds(6.0), Some(seconds(24.0))));
    let grant = take(&mut fleet, 1, now + seconds(31.0)).unwrap();
    fleet.succeeded(grant, seconds(0.1), now + seconds(32.0));
    assert_eq!(fleet.waiting(now + seconds(60.0)), None);
}

#[test]
fn a_server_that_answers_the_control_question_is_asked_it_ever_more_seldom() {
    let mut now = Instant::now();
    let mut fleet = fleet(1, limits());
    let mut sent = Vec::new();
    for _ in 0..4 {
        sent.push(fail_all(&mut fleet, Kind::Empty, now));
        now = fleet.next_event(now).unwrap();
        let grant = take(&mut fleet, 7, now).unwrap();
        assert!(grant.is_doubtful);
        fleet.vouched(grant);
    }
    assert_eq!(sent, [5, 10, 20, 40]);
    assert!(fleet.stop().is_none());
    let grant = take(&mut fleet, 8, now).unwrap();
    fleet.succeeded(grant, seconds(0.1), now);
    assert_eq!(fail_all(&mut fleet, Kind::Broken, now), 5, "an answer begins it anew");
}
