//! Limits that pass and limits that do not: a full minute is waited for, an empty account ends the run.

use crate::place::{Journal, Place};
use crate::server::{Chat, Completions, Quirk, Server, Setup, Told};
use serde_json::{Value, json};
use std::io::BufRead;
use std::time::{Duration, Instant};

const OFF: [&str; 2] = ["--cache", "off"];

type Answer = Option<(u16, String, Value)>;

/// Answers some prompts, the rest only when that is changed.
fn server(quirk: Quirk) -> Server {
    let setup = Setup { completions: Completions::Absent, chat: Chat::Plain, says: Some("red"), ..Setup::default() };
    Server::start(Setup { quirk: Some(quirk), ..setup })
}

/// After so many answers.
fn is_late(told: &Told<'_>) -> bool {
    told.answered >= 10 && !told.prompt.is_empty()
}

#[test]
fn an_empty_account_ends_the_run_at_once_and_the_run_can_be_continued() {
    let quirks: [(Quirk, &str); 6] = [
        (
            |told| {
                let error = json!({"message": "You exceeded your current quota", "type": "insufficient_quota", "code": "insufficient_quota"});
                is_late(told).then(|| (429, String::new(), json!({ "error": error })))
            },
            "no credit left",
        ),
        (
            |told| {
                let details =
                    json!([{"violations": [{"quotaId": "GenerateRequestsPerDayPerProject"}]}, {"retryDelay": "37s"}]);
                let error = json!({"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "m", "details": details});
                is_late(told).then(|| (429, String::new(), json!([{ "error": error }])))
            },
            "no credit left",
        ),
        (
            |told| is_late(told).then(|| (402, String::new(), json!({"error": {"message": "pay first"}}))),
            "no credit left",
        ),
        (
            |told| {
                let error = json!({"message": "Your credit balance is too low", "type": "invalid_request_error"});
                is_late(told).then(|| (400, String::new(), json!({ "error": error })))
            },
            "no credit left",
        ),
        (
            |told| {
                let error = json!({"message": "requests per day", "code": "rate_limit_exceeded"});
                is_late(told).then(|| (429, "Retry-After: 10740\r\n".to_string(), json!({ "error": error })))
            },
            "come back in 2 h 59 min",
        ),
        (
            |told| {
                is_late(told).then(|| {
                    (200, String::new(), json!({"error": {"message": "billing", "code": "billing_not_active"}}))
                })
            },
            "no credit left",
        ),
    ];
    for (quirk, says) in quirks {
        let place = Place::new(0, 40);
        let server = server(quirk);
        let begun = Instant::now();
        let more = [&OFF[..], &["--max-concurrency", "4"]].concat();
        let run = place.run(&server.model(), "toy_words", "out", &more).expect(3);
        assert!(begun.elapsed() < Duration::from_secs(10), "at once");
        assert!(run.stderr.contains(says) && run.stderr.contains("the same command goes on"), "{says}: {}", run.stderr);
        let kept = Journal::read(&place.folder("out")).answered.len();
        assert!((5..40).contains(&kept), "{kept}");
        server.change(|setup| setup.quirk = None);
        place.run(&server.model(), "toy_words", "out", &more).expect(0);
        Journal::read(&place.folder("out")).expect_each_once(40);
    }
}

#[test]
fn an_account_that_is_empty_from_the_start_says_so() {
    let place = Place::new(0, 5);
    let server = server(|told| {
        let error = json!({"message": "You exceeded your current quota", "code": "insufficient_quota"});
        (!told.prompt.is_empty()).then(|| (429, String::new(), json!({ "error": error })))
    });
    let run = place.run(&server.model(), "toy_words", "out", &OFF).expect(3);
    assert!(
        run.stderr.contains("no credit left") && run.stderr.contains("exceeded your current quota"),
        "{}",
        run.stderr
    );
    assert!(server.requests() < 8, "{} requests", server.requests());
}

#[test]
fn a_rate_limit_in_a_body_of_status_200_is_one() {
    let place = Place::new(0, 30);
    // Every other request, in two shapes.
    let server = server(|told| {
        static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let count = if told.prompt.is_empty() { 0 } else { COUNT.fetch_add(1, std::sync::atomic::Ordering::SeqCst) };
        let error = json!({"message": "Rate limit exceeded: free-models-per-min", "code": 429});
        match (told.answered > 5, count % 4) {
            (true, 1) => Some((200, String::new(), json!({"error": error, "user_id": "u"}))),
            (true, 3) => {
                let choices = json!([{"message": {"content": null}, "finish_reason": null}]);
                Some((200, String::new(), json!({"error": error, "choices": choices})))
            }
            _ => None,
        }
    });
    let more = [&OFF[..], &["--max-retries", "1"]].concat();
    place.run(&server.model(), "toy_words", "out", &more).expect(0);
    Journal::read(&place.folder("out")).expect_each_once(30);
}

#[test]
fn a_log_says_what_is_waited_for() {
    fn busy(told: &Told<'_>) -> Answer {
        let error = json!({"message": "come back later", "code": "rate_limit_exceeded"});
        is_late(told).then(|| (429, "Retry-After: 20\r\n".to_string(), json!({ "error": error })))
    }
    let place = Place::new(0, 30);
    let server = server(busy);
    let mut command =
        place.command(&server.model(), "toy_words", "out", &[&OFF[..], &["--max-concurrency", "2"]].concat());
    let mut child = command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    // However slow the machine is, the line comes while the server is busy.
    let mut lines = std::io::BufReader::new(child.stderr.take().unwrap()).lines();
    let mut said = String::new();
    for line in lines.by_ref().map_while(std::io::Result::ok) {
        said.push_str(&line);
        said.push('\n');
        if line.contains("waiting for ") {
            break;
        }
    }
    server.change(|setup| setup.quirk = None);
    // It need not be waited for any longer.
    let _ = child.kill();
    let _ = child.wait();
    assert!(said.contains("waiting for ") && said.contains("come back later"), "{said}");
    assert!(said.contains("asked again in"), "{said}");
}
