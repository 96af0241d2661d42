//! Answers that are none.

use super::*;
use crate::engine::remote::wire::WireError;

type Named = (&'static str, fn() -> Act);

/// What may go wrong once, and is tried again.
fn passing_faults() -> Vec<Named> {
    vec![
        ("408", || error(408, "x")),
        ("409", || error(409, "x")),
        ("425", || error(425, "x")),
        ("429", || error(429, "x")),
        ("500", || error(500, "x")),
        ("502", || Act::Say(answer(502, "content-type: text/html\r\n", "<html>bad gateway</html>"))),
        ("503", || error(503, "x")),
        ("529", || error(529, "x")),
        ("closed without a word", || Act::SayAndClose(Vec::new())),
        ("reset", || Act::SayAndReset(Vec::new())),
        ("half a head", || Act::SayAndClose(b"HTTP/1.1 200 OK\r\ncontent-le".to_vec())),
        ("half a body", || {
            Act::SayAndClose(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"n\":".to_vec(),
            )
        }),
        ("reset in the body", || {
            Act::SayAndReset(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"n\":".to_vec(),
            )
        }),
        ("half a chunk", || {
            Act::SayAndClose(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n20\r\n{\"n\":"
                    .to_vec(),
            )
        }),
        ("no http", || Act::SayAndClose(b"SSH-2.0-OpenSSH_9.6\r\n".to_vec())),
        ("no json", || Act::Say(answer(200, "content-type: application/json\r\n", "{\"n\": 1"))),
        ("json twice", || Act::Say(answer(200, "content-type: application/json\r\n", "{\"n\": 1}{\"n\": 1}"))),
        ("html", || Act::Say(answer(200, "content-type: text/html\r\n", "<!doctype html>"))),
        ("json that says it is text", || Act::Say(answer(200, "content-type: text/plain\r\n", "{\"n\": 1}"))),
        ("nothing", || Act::Say(answer(204, "", ""))),
        ("another format", || Act::Say(json_answer(200, &json!({ "m": 1 })))),
        ("a failure of status 200", || Act::Say(json_answer(200, &json!({ "failed": "overloaded" })))),
    ]
}

#[tokio::test]
async fn passing_faults_are_tried_again() {
    for (name, act) in passing_faults() {
        let server = Server::start(move |seen| if seen.index == 0 { act() } else { right(seen) }).await;
        let transport = transport(&[&server], limits());
        match send(&transport, 1).await {
            Ok((value, delivery)) => assert_eq!((value, delivery.retries), (1, 1), "{name}"),
            Err(failure) => panic!("{name}: {failure:?}"),
        }
        assert_eq!(transport.traffic().retried, 1, "{name}");
    }
}

#[tokio::test]
async fn lasting_faults_end() {
    for (name, act) in passing_faults() {
        let server = Server::start(move |_| act()).await;
        let transport = transport(&[&server], Limits { max_retries: 1, ..limits() });
        let message = message(send(&transport, 1).await);
        let expected = if matches!(name, "429" | "503" | "529") { 65 } else { 2 };
        assert_eq!(server.count(), expected, "{name}: {message}");
        assert!(message.contains(&server.address.to_string()) && !message.contains("canary"), "{name}: {message}");
        assert!(message.contains("attempts)"), "{name}: {message}");
    }
}

#[tokio::test]
async fn final_faults_are_not_tried_again() {
    for status in [300, 303, 400, 401, 403, 404, 413, 422, 451, 501] {
        let server = Server::start(move |_| error(status, "no, sorry")).await;
        let message = message(send(&transport(&[&server], limits()), 1).await);
        assert_eq!(server.count(), 1, "{message}");
        assert!(
            message.starts_with(&format!("HTTP {status} from http://{}/v1/completions", server.address))
                && message.ends_with(": no, sorry"),
            "{message}"
        );
    }
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let filtered = json_answer(400, &json!({ "error": { "code": "content_filter", "message": "filtered" } }));
    let server = Server::start(move |seen| {
        if seen.n() == 0 {
            Act::Say(filtered.clone())
        } else {
            Act::Say(json_answer(200, &json!({ "refused": "I cannot" })))
        }
    })
    .await;
    let transport = transport(&[&server], limits());
    assert!(matches!(send(&transport, 0).await, Err(Failure::Refused(message)) if message.ends_with("filtered")));
    assert!(matches!(send(&transport, 1).await, Err(Failure::Refused(message)) if message == "I cannot"));
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn error_pages_are_shown_in_part_and_on_one_line() {
    let page = format!("<html>\n\u{1b}[31m{}", "é".repeat(5000));
    let server = Server::start(move |_| Act::Say(answer(404, "content-type: text/html\r\n", &page))).await;
    let message = message(send(&transport(&[&server], limits()), 1).await);
    assert!(message.contains("HTTP 404") && message.contains("<html>\\n\\u{1b}[31mé"), "{message}");
    assert!(!message.contains(char::is_control));
    assert!(message.chars().count() < 320, "{message}");
}

#[tokio::test]
async fn bodies_are_bounded() {
    let announced =
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99999999999\r\n\r\n{".to_vec();
    let chunk = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n{}",
        format!("8000\r\n{}\r\n", " ".repeat(0x8000)).repeat(40)
    );
    for bytes in [announced, chunk.into_bytes()] {
        let server = Server::start(move |_| Act::Say(bytes.clone())).await;
        let message = message(send(&transport(&[&server], limits()), 1).await);
        assert!(message.contains("larger than 1048576 bytes"), "{message}");
        assert_eq!(server.count(), 1);
    }
    // A refusal without end is cut off and shown.
    let endless = format!(
        "HTTP/1.1 400 Bad\r\ntransfer-encoding: chunked\r\n\r\n{}",
        format!("8000\r\n{}\r\n", &"no ".repeat(0x8000 / 3 + 1)[..0x8000]).repeat(40)
    );
    let server = Server::start(move |_| Act::Say(endless.clone().into_bytes())).await;
    let message = message(send(&transport(&[&server], limits()), 1).await);
    assert!(message.contains("no no no"), "{message}");
}

#[tokio::test]
async fn deep_json_is_an_error() {
    let deep = "[".repeat(200_000);
    let server = Server::start(move |_| Act::Say(answer(200, "content-type: application/json\r\n", &deep))).await;
    let message = message(send(&transport(&[&server], Limits { max_retries: 0, ..limits() }), 1).await);
    assert!(message.contains("not JSON"), "{message}");
}

#[tokio::test]
async fn servers_that_never_end_run_out_of_time() {
    let acts: [fn() -> Act; 2] = [|| Act::Hang, || Act::Trickle(b"HTTP/1.1 200 OK\r\n".to_vec())];
    for act in acts {
        let server = Server::start(move |_| act()).await;
        let transport =
            transport(&[&server], Limits { request_timeout: Duration::from_millis(60), max_retries: 1, ..limits() });
        let message = message(send(&transport, 1).await);
        assert!(message.contains("no answer within 0.06 s") || message.contains("connection broke"), "{message}");
        assert_eq!(server.count(), 2);
    }
}

/// One more answer than was asked for, in the same packet: nobody may take it for the answer to the next request.
#[tokio::test]
async fn answers_that_come_twice_do_not_shift_those_that_follow() {
    let twice = |seen: &Seen| {
        let once = json_answer(200, &json!({ "n": seen.n() }));
        Act::Say([once.clone(), once].concat())
    };
    let server = Server::start(twice).await;
    let transport = transport(&[&server], limits());
    for n in 0..200 {
        assert_eq!(send(&transport, n).await.unwrap().0, n);
    }
    assert_all_right(&send_all(&transport, 1000).await);
    assert!(server.counts.connections.load(Ordering::SeqCst) > 100, "such connections are given up");
}

/// The same, a little later, while the connection is idle.
#[tokio::test]
async fn answers_that_nobody_asked_for_close_idle_connections() {
    let server = Server::start(|seen| {
        let once = json_answer(200, &json!({ "n": seen.n() }));
        Act::SayTwice(once.clone(), Duration::from_millis(2), once)
    })
    .await;
    let transport = transport(&[&server], limits());
    for n in 0..20 {
        assert_eq!(send(&transport, n).await.unwrap().0, n);
        while server.counts.unasked.load(Ordering::SeqCst) as u64 <= n {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

#[tokio::test]
async fn a_storm_of_refusals_loses_nothing() {
    let server = Server::start(|seen| if seen.index % 10 < 7 { error(429, "later") } else { right(seen) }).await;
    let transport = transport(&[&server], Limits { max_retries: 1, ..limits() });
    let outcomes = send_all(&transport, 300).await;
    assert_eq!(outcomes.len(), 300);
    assert_all_right(&outcomes);
}

#[tokio::test]
async fn a_mixture_of_faults_loses_and_doubles_nothing() {
    let server = Server::start(|seen| {
        let faults = passing_faults();
        match fastrand::usize(..5) {
            0 => faults[fastrand::usize(..faults.len())].1(),
            _ => right(seen),
        }
    })
    .await;
    let transport = transport(&[&server], Limits { max_retries: 12, ..limits() });
    let outcomes = send_all(&transport, 2000).await;
    // Two of the faults carry an answer's number in another shape; none may be taken for an answer.
    assert_eq!(outcomes.len(), 2000);
    assert_all_right(&outcomes);
    let retries: u64 = outcomes
        .iter()
        .filter_map(|(_, outcome)| outcome.as_ref().ok())
        .map(|(_, delivery)| u64::from(delivery.retries))
        .sum();
    let traffic = transport.traffic();
    assert_eq!(retries, traffic.retried);
    assert_eq!(traffic.sent, 2000 + retries);
}

#[tokio::test]
async fn secrets_that_a_server_repeats_are_not_shown() {
    let server = Server::start(|seen| error(401, &format!("bad request: {}", seen.head))).await;
    let transport = transport(&[&server], limits());
    let message = message(send(&transport, 1).await);
    assert!(message.contains("(secret)") && !message.contains("canary"), "{message}");
    let server =
        Server::start(|_| Act::Say(json_answer(200, &json!({ "failed": "key canary-key is over quota" })))).await;
    let transport = super::transport(&[&server], Limits { max_retries: 0, ..limits() });
    let message = super::message(send(&transport, 1).await);
    assert!(!message.contains("canary"), "{message}");
    assert!(!format!("{transport:?}").contains("canary"));
}

#[tokio::test]
async fn calls_that_always_fail_do_not_take_a_server_down_that_answers_others() {
    let acts: [fn() -> Act; 3] = [
        || error(500, "the tokenizer has a bug"),
        || Act::Say(json_answer(200, &json!({ "m": 1 }))),
        || Act::Say(answer(200, "content-type: application/json\r\n", "{")),
    ];
    for act in acts {
        // All of the second half, so that nothing is answered between them.
        let server = Server::start(move |seen| if (50..90).contains(&seen.n()) { act() } else { right(seen) }).await;
        let transport = transport(&[&server], Limits { max_retries: 3, ..limits() });
        transport.set_control(Control { call: call(1000), is_answer: Box::new(|body| decode(body).is_ok()) });
        for (n, outcome) in send_all(&transport, 90).await {
            match outcome {
                Ok((value, _)) => assert!(value == n && n < 50),
                Err(Failure::Unanswered(message)) => assert!(n >= 50 && message.contains("attempts"), "{n}: {message}"),
                Err(other) => panic!("{n}: {other:?}"),
            }
        }
        let controls = server.seen().iter().filter(|seen| seen.n() == 1000).count();
        assert!((1..20).contains(&controls), "{controls}");
    }
}

#[tokio::test]
async fn a_server_that_fails_the_control_question_is_down() {
    let server = Server::start(|seen| if seen.index < 3 { right(seen) } else { error(500, "gone") }).await;
    let transport = transport(&[&server], limits());
    transport.set_control(Control { call: call(1000), is_answer: Box::new(|body| decode(body).is_ok()) });
    let outcomes = send_all(&transport, 30).await;
    assert!(outcomes.iter().any(|(_, outcome)| matches!(outcome, Err(Failure::Stopped(_)))), "{outcomes:?}");
}

#[tokio::test]
async fn an_empty_account_ends_everything_at_once_unless_another_server_has_one() {
    let empty = |_: &Seen| {
        Act::Say(json_answer(429, &json!({ "error": { "code": "insufficient_quota", "message": "check your plan" } })))
    };
    let server = Server::start(empty).await;
    let alone = transport(&[&server], limits());
    for (_, outcome) in send_all(&alone, 30).await {
        let Err(Failure::Stopped(err)) = outcome else { panic!("{outcome:?}") };
        assert_eq!(err.kind(), crate::error::ErrorKind::Incomplete);
        assert!(err.to_string().contains("check your plan") && err.to_string().contains("no credit left"), "{err}");
    }
    assert!(server.count() <= 4, "{}", server.count());
    let (first, second) = (Server::start(empty).await, Server::start(right).await);
    let both = transport(&[&first, &second], limits());
    assert_all_right(&send_all(&both, 30).await);
    assert!(first.count() <= 4, "{}", first.count());
}

#[tokio::test]
async fn errors_in_bodies_of_status_200_mean_what_their_own_status_means() {
    let body = |code: u64| json!({ "failed": "no", "error": { "code": code, "message": "no" } });
    let server =
        Server::start(move |seen| if seen.index < 20 { Act::Say(json_answer(200, &body(429))) } else { right(seen) });
    let server = server.await;
    let busy = transport(&[&server], Limits { max_retries: 1, ..limits() });
    assert_eq!(send(&busy, 1).await.unwrap().1.retries, 20, "throttling does not use up retries");
    for (code, times) in [(400, 1), (401, 1), (502, 2), (503, 65)] {
        let server = Server::start(move |_| Act::Say(json_answer(200, &body(code)))).await;
        let transport = transport(&[&server], Limits { max_retries: 1, ..limits() });
        assert!(send(&transport, 1).await.is_err());
        assert_eq!(server.count(), times, "{code}");
    }
}

#[tokio::test]
async fn answers_are_no_longer_than_their_call_allows_and_hold_no_key() {
    let server = Server::start(|seen| {
        let long = if seen.n() == 1 { " ".repeat(5000) } else { String::new() };
        Act::Say(json_answer(
            200,
            &json!({ "n": seen.n(), "canary-query": ["canary-query", "x canary-query"], "x": long }),
        ))
    })
    .await;
    let transport = transport(&[&server], limits());
    let small = Size { tokens: 1, body: 1000 };
    let cancel = Cancel::default();
    let outcome = transport.send(&call(1), small, &cancel, &decode).await;
    assert!(message(outcome).contains("larger than 1000 bytes"));
    let read = |body: &serde_json::Value| -> Result<String, WireError> { Ok(body.to_string()) };
    let said = transport.send(&call(2), small, &cancel, &read).await.unwrap().0;
    assert!(!said.contains("canary") && said.matches("(secret)").count() == 3, "{said}");
    assert_eq!(transport.num_repeated(), 1);
}
