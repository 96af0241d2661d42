//! The transport against servers that misbehave.

use super::testing::{
    Act, Seen, Server, answer, base, call, closed_port, decode, error, json_answer, limits, right, transport,
};
use super::{Control, Failure, Limits, Size, Transport};
use crate::engine::{Cancel, Delivery};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::json;
use std::sync::atomic::Ordering;
use std::time::Duration;

mod faults;
mod fleets;
mod probes;
mod redirects;

type Outcome = Result<(u64, Delivery), Failure>;

async fn send(transport: &Transport, n: u64) -> Outcome {
    transport.send(&call(n), Size::tokens(1), &Cancel::default(), &decode).await
}

/// All calls at once, as many in flight as there are.
async fn send_all(transport: &Transport, count: u64) -> Vec<(u64, Outcome)> {
    let mut all: FuturesUnordered<_> = (0..count).map(|n| async move { (n, send(transport, n).await) }).collect();
    let mut out = Vec::new();
    while let Some(done) = all.next().await {
        out.push(done);
    }
    out
}

fn assert_all_right(outcomes: &[(u64, Outcome)]) {
    for (n, outcome) in outcomes {
        match outcome {
            Ok((value, _)) => assert_eq!(value, n),
            Err(failure) => panic!("{n}: {failure:?}"),
        }
    }
}

fn message(outcome: Outcome) -> String {
    match outcome {
        Err(Failure::Unanswered(message) | Failure::Refused(message) | Failure::Rejected(message, _)) => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn sending_is_fit_for_tasks() {
    fn is_send<T: Send>(_: T) {}
    fn is_sync<T: Send + Sync>() {}
    is_sync::<Transport>();
    fn check(transport: &Transport) {
        is_send(send(transport, 1));
    }
    let _ = check;
}

#[tokio::test]
async fn a_call_is_answered() {
    let server = Server::start(right).await;
    let transport = transport(&[&server], limits());
    let (value, delivery) = send(&transport, 7).await.unwrap();
    assert_eq!((value, delivery.retries, delivery.cached), (7, 0, false));
    assert!(delivery.latency_ms.is_some());
    let seen = &server.seen()[0];
    assert!(seen.head.starts_with("POST /v1/completions?api-version=1&key=canary-query HTTP/1.1"), "{}", seen.head);
    assert!(
        seen.head.contains("authorization: Bearer canary-key") && seen.head.contains("content-type: application/json"),
        "{}",
        seen.head
    );
    assert_eq!(seen.body, json!({ "n": 7, "prompt": "x" }));
    let traffic = transport.traffic();
    assert_eq!((traffic.sent, traffic.retried, traffic.throttled), (1, 0, 0));
}

#[tokio::test]
async fn a_get_has_no_body() {
    let server = Server::start(right).await;
    let transport = transport(&[&server], limits());
    let get = super::Call { path: "/models".into(), body: None };
    let _ = transport.send(&get, Size::tokens(0), &Cancel::default(), &decode).await;
    assert!(server.seen()[0].head.starts_with("GET /models?"), "{}", server.seen()[0].head);
}

#[tokio::test]
async fn user_and_password_of_an_address_are_sent_and_not_shown() {
    let server = Server::start(|_| error(400, "your bWU6c2VjcmV0 will not do")).await;
    let mut base = base(&format!("http://me:secret@{}/", server.address));
    base.headers.clear();
    let transport = Transport::new(vec![base], limits(), &super::testing::TestWire).unwrap();
    let message = message(send(&transport, 1).await);
    assert!(server.seen()[0].head.contains("authorization: Basic bWU6c2VjcmV0"), "{}", server.seen()[0].head);
    assert!(
        !message.contains("secret@") && !message.contains("bWU6") && message.contains("your (secret) will not do"),
        "{message}"
    );
}

#[tokio::test]
async fn connections_are_used_again() {
    let server = Server::start(right).await;
    let transport = transport(&[&server], limits());
    for n in 0..100 {
        send(&transport, n).await.unwrap();
    }
    assert_eq!(server.counts.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_level_rises_to_the_cap_and_no_further() {
    let server =
        Server::start(|seen| Act::Later(Duration::from_millis(3), json_answer(200, &json!({ "n": seen.n() })))).await;
    let transport = transport(&[&server], Limits { max_concurrency: 100, ..limits() });
    assert_all_right(&send_all(&transport, 1500).await);
    assert_eq!(transport.traffic().level, 100);
    let most = server.counts.most_open.load(Ordering::SeqCst);
    assert!((60..=100).contains(&most), "{most}");
    let connections = server.counts.connections.load(Ordering::SeqCst);
    // The pool opens a new one now and then though one is about to be free.
    assert!(connections <= 200, "{connections}");
}

/// The answers 429 when more than so many requests are open.
#[tokio::test]
async fn the_level_finds_what_a_server_bears() {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    let open = Arc::new(AtomicUsize::new(0));
    let server = Server::start(move |seen| {
        let n = seen.n();
        if open.fetch_add(1, Ordering::SeqCst) >= 16 {
            open.fetch_sub(1, Ordering::SeqCst);
            return error(429, "too many");
        }
        let open = Arc::clone(&open);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(2)).await;
            open.fetch_sub(1, Ordering::SeqCst);
        });
        Act::Later(Duration::from_millis(2), json_answer(200, &json!({ "n": n })))
    })
    .await;
    let transport = transport(&[&server], limits());
    assert_all_right(&send_all(&transport, 2000).await);
    let traffic = transport.traffic();
    assert!(traffic.throttled > 0 && traffic.throttled < 1000, "{traffic:?}");
    assert_eq!(traffic.sent, 2000 + traffic.retried);
    assert!(traffic.level <= 40, "{traffic:?}");
}

#[tokio::test]
async fn waiting_calls_end_at_once_when_the_user_stops() {
    let server = Server::start(|_| Act::Later(Duration::from_millis(400), json_answer(200, &json!({ "n": 0 })))).await;
    let transport = transport(&[&server], Limits { max_concurrency: 1, ..limits() });
    let cancel = Cancel::default();
    let first = call(0);
    let others: Vec<_> = (1..50).map(call).collect();
    let open = transport.send(&first, Size::tokens(1), &cancel, &decode);
    let mut waiting: FuturesUnordered<_> =
        others.iter().map(|call| transport.send(call, Size::tokens(1), &cancel, &decode)).collect();
    let stop = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        cancel.cancel();
        let mut count = 0;
        while let Some(outcome) = waiting.next().await {
            assert!(matches!(outcome, Err(Failure::Cancelled)));
            count += 1;
        }
        count
    };
    let (open, count) = tokio::join!(open, stop);
    assert_eq!(count, 49);
    assert_eq!(open.unwrap().0, 0, "what was open was let finish");
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn backing_off_ends_when_the_user_stops() {
    let server = Server::start(|_| error(500, "no")).await;
    let slow = Duration::from_secs(3600);
    let transport = transport(&[&server], Limits { backoff: slow, max_wait: slow, ..limits() });
    let cancel = Cancel::default();
    let one = call(1);
    let stop = async {
        while server.count() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        cancel.cancel();
    };
    let (outcome, ()) = tokio::join!(transport.send(&one, Size::tokens(1), &cancel, &decode), stop);
    assert!(matches!(outcome, Err(Failure::Cancelled)));
}

#[tokio::test]
async fn a_call_that_is_dropped_gives_its_room_back() {
    let server = Server::start(|seen| if seen.index < 2 { Act::Hang } else { right(seen) }).await;
    let transport = transport(&[&server], Limits { max_concurrency: 2, ..limits() });
    {
        let (one, two, three) = (call(1), call(2), call(3));
        let cancel = Cancel::default();
        let all = async {
            tokio::join!(
                transport.send(&one, Size::tokens(1), &cancel, &decode),
                transport.send(&two, Size::tokens(1), &cancel, &decode),
                transport.send(&three, Size::tokens(1), &cancel, &decode)
            )
        };
        let _ = tokio::time::timeout(Duration::from_millis(50), all).await;
    }
    assert_all_right(&send_all(&transport, 10).await);
}

#[test]
fn senseless_limits_are_refused() {
    let new = |limits| Transport::new(vec![base("http://localhost/")], limits, &super::testing::TestWire).map(|_| ());
    assert!(new(limits()).is_ok());
    for limits in [
        Limits { max_concurrency: 0, ..limits() },
        Limits { requests_per_minute: Some(0.0), ..limits() },
        Limits { tokens_per_minute: Some(f64::NAN), ..limits() },
        Limits { request_timeout: Duration::ZERO, ..limits() },
    ] {
        assert!(new(limits.clone()).is_err(), "{limits:?}");
    }
    assert!(Transport::new(Vec::new(), limits(), &super::testing::TestWire).is_err());
}
