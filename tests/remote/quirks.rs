//! What providers say in words of their own: thoughts instead of answers, blocks, settings they do not take, prompts they cut, texts
//! without end.

use crate::place::{Journal, Place, question, results};
use crate::server::{Chat, Completions, Quirk, Server, Setup, Told};
use serde_json::{Value, json};

const OFF: [&str; 2] = ["--cache", "off"];

type Answer = Option<(u16, String, Value)>;

fn chat(quirk: Quirk) -> Server {
    Server::start(Setup {
        completions: Completions::Absent,
        chat: Chat::Plain,
        says: Some("red"),
        quirk: Some(quirk),
        ..Setup::default()
    })
}

/// An answer of status 200 with one choice.
fn choice(choice: Value, prompt_tokens: usize, completion_tokens: usize) -> Answer {
    let usage = json!({"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens});
    Some((200, String::new(), json!({"model": "toy", "choices": [choice], "usage": usage})))
}

/// Every third document.
fn is_hard(told: &Told<'_>) -> bool {
    question(told.prompt).is_some_and(|number| number % 3 == 0)
}

#[test]
fn a_thought_without_an_answer_is_not_wrong_but_no_answer() {
    let quirks: [(Quirk, &str); 5] = [
        (
            |told| {
                let message = json!({"content": null, "reasoning_content": "The answer is red"});
                is_hard(told).then(|| choice(json!({"message": message, "finish_reason": "stop"}), 9, 5))?
            },
            "thought's field",
        ),
        (
            |told| {
                let message = json!({"content": " \n", "reasoning": "The answer is red"});
                is_hard(told).then(|| choice(json!({"message": message, "finish_reason": "stop"}), 9, 5))?
            },
            "thought's field",
        ),
        (
            |told| {
                let message = json!({"content": "<think>The answer is red</think>\n"});
                is_hard(told).then(|| choice(json!({"message": message, "finish_reason": "stop"}), 9, 5))?
            },
            "no answer behind it",
        ),
        (
            |told| {
                let message = json!({"content": null});
                is_hard(told).then(|| choice(json!({"message": message, "finish_reason": "stop"}), 9, 5))?
            },
            "shows none",
        ),
        (
            |told| {
                let message = json!({"content": null, "tool_calls": [{"id": "1"}]});
                is_hard(told).then(|| choice(json!({"message": message, "finish_reason": "tool_calls"}), 9, 5))?
            },
            "called a tool",
        ),
    ];
    for (quirk, says) in quirks {
        let place = Place::new(0, 9);
        let server = chat(quirk);
        let run = place.run(&server.model(), "toy_words", "out", &OFF).expect(3);
        assert!(run.stderr.contains("3 documents not scored") && run.stderr.contains(says), "{}", run.stderr);
        let figure = results(&place.folder("out"))["results"]["toy_words"]["exact_match,none"].as_f64();
        assert_eq!(figure, Some(1.0), "{says}");
    }
}

#[test]
fn an_answer_behind_a_thought_in_its_field_is_not_lost_to_a_line_break() {
    let place = Place::new(0, 3);
    let server = chat(|_| {
        let message = json!({"content": "\n\nred", "reasoning_content": "hm"});
        choice(json!({"message": message, "finish_reason": "stop"}), 9, 5)
    });
    place.run(&server.model(), "toy_words", "out", &OFF).expect(0);
    assert_eq!(results(&place.folder("out"))["results"]["toy_words"]["exact_match,none"], json!(1.0));
}

#[test]
fn every_spelling_of_a_block_is_a_refusal() {
    let quirks: [Quirk; 6] = [
        |told| is_hard(told).then(|| choice(json!({"finish_reason": "content_filter: PROHIBITED_CONTENT"}), 9, 0))?,
        |told| {
            let choice =
                choice(json!({"message": {"content": ""}, "finish_reason": "content_filter: RECITATION"}), 9, 0);
            is_hard(told).then_some(choice)?
        },
        |told| is_hard(told).then(|| choice(json!({"message": {"content": null}, "finish_reason": "SPII"}), 9, 0))?,
        |told| {
            let it = json!({"message": {"content": "x"}, "finish_reason": "stop", "native_finish_reason": "SAFETY"});
            is_hard(told).then(|| choice(it, 9, 0))?
        },
        |told| {
            let body = json!({"choices": [], "prompt_filter_results": [{"content_filter_results": {"hate": {"filtered": true}}}]});
            is_hard(told).then(|| (200, String::new(), body))
        },
        |told| {
            let body = json!({"error": {"message": "litellm.ContentPolicyViolationError: flagged", "code": "400"}});
            is_hard(told).then(|| (400, String::new(), body))
        },
    ];
    for (index, quirk) in quirks.into_iter().enumerate() {
        let place = Place::new(0, 9);
        let server = chat(quirk);
        let run = place.run(&server.model(), "toy_words", "out", &OFF).expect(3);
        assert!(run.stdout.contains("all of them refused"), "{index}: {}\n{}", run.stdout, run.stderr);
        assert_eq!(results(&place.folder("out"))["results"]["toy_words"]["exact_match,none"], json!(1.0), "{index}");
    }
}

/// Prompts that nothing can be made of, all at the end: they take neither the server nor the run down.
#[test]
fn prompts_that_always_fail_do_not_take_the_run_down() {
    fn is_last(told: &Told<'_>) -> bool {
        question(told.prompt).is_some_and(|number| number >= 10_020)
    }
    let quirks: [Quirk; 4] = [
        |told| is_last(told).then(|| (200, String::new(), json!({"choices": []}))),
        |told| {
            is_last(told).then(|| choice(json!({"message": {"role": "assistant"}, "finish_reason": "stop"}), 9, 0))?
        },
        |told| is_last(told).then(|| (500, String::new(), json!({"error": {"message": "the tokenizer has a bug"}}))),
        |told| is_last(told).then(|| (200, String::new(), json!("nothing"))),
    ];
    for (index, quirk) in quirks.into_iter().enumerate() {
        let place = Place::new(0, 40);
        let server = chat(quirk);
        let more = [&OFF[..], &["--max-retries", "3"]].concat();
        let run = place.run(&server.model(), "toy_words", "out", &more).expect(3);
        assert!(run.stderr.contains("20 documents not scored"), "{index}: {}", run.stderr);
        assert!(run.stdout.contains("between"), "a table with bounds: {}", run.stdout);
        Journal::read(&place.folder("out")).expect_each_once(40);
    }
}

#[test]
fn prompts_that_the_server_cuts_are_warned_of() {
    let place = Place::new(0, 9);
    let rows: String = (0..9)
        .map(|id| {
            format!("{{\"id\": {}, \"text\": \"{}\", \"answer\": \"red\"}}\n", 10_000 + id, "and so on ".repeat(8 * id))
        })
        .collect();
    std::fs::write(place.path().join("tasks/words.jsonl"), rows).unwrap();
    let server = chat(|told| {
        let tokens = (told.prompt.len() / 4 + 8).min(100);
        choice(json!({"message": {"content": "red"}, "finish_reason": "stop"}), tokens, 1)
    });
    let warned = |run: crate::place::Run| {
        let line = run.stderr.lines().find(|line| line.starts_with("warning") && line.contains("it cuts them"));
        let line = line.unwrap_or_else(|| panic!("no warning: {}", run.stderr)).to_string();
        assert!(line.contains("100 tokens") && line.contains("of 9 prompts"), "{line}");
        line
    };
    let model = format!("ollama:{}", server.model());
    let first = warned(place.run(&model, "toy_words", "out", &OFF).expect(0));
    assert!(first.contains("OLLAMA_CONTEXT_LENGTH"), "{first}");
    // All answers are in the journal now: the warning stays true.
    assert_eq!(warned(place.run(&model, "toy_words", "out", &OFF).expect(0)), first);
    // With honest counts there is none.
    server.change(|setup| setup.quirk = None);
    let run = place.run(&server.model(), "toy_words", "honest", &OFF).expect(0);
    assert!(!run.stderr.contains("cuts them"), "{}", run.stderr);
}

#[test]
fn settings_that_a_server_does_not_take_are_learnt_from_its_refusals() {
    fn picky(told: &Told<'_>) -> Answer {
        if told.prompt.is_empty() {
            return None;
        }
        let refused = |name: &str, said: &str| {
            let error = json!({"message": said, "type": "invalid_request_error", "param": name, "code": "unsupported_parameter"});
            Some((400, String::new(), json!({ "error": error })))
        };
        match told.body {
            body if body.get("max_tokens").is_some() => {
                refused("max_tokens", "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
            }
            body if body["temperature"] == json!(0.0) => {
                refused("temperature", "Unsupported value: 'temperature' does not support 0 with this model.")
            }
            body if body.get("stop").is_some() => refused("stop", "Unsupported parameter: 'stop'."),
            _ => choice(json!({"message": {"content": "red\nand more"}, "finish_reason": "stop"}), 9, 4),
        }
    }
    let place = Place::new(0, 12);
    let server = chat(picky);
    let run = place.run(&server.model(), "toy_words", "out", &OFF).expect(0);
    assert_eq!(
        results(&place.folder("out"))["results"]["toy_words"]["exact_match,none"],
        json!(1.0),
        "cut at the stop string"
    );
    let says = |start: &str, what: &str| run.stderr.lines().any(|line| line.starts_with(start) && line.contains(what));
    assert!(says("note", "`max_completion_tokens` for `max_tokens`"), "{}", run.stderr);
    assert!(says("warning", "does not take `temperature`"), "{}", run.stderr);
    assert!(says("note", "does not take `stop`"), "{}", run.stderr);
    let header = std::fs::read_to_string(place.folder("out").join("run.json")).unwrap();
    assert!(header.contains("without=temperature") && !header.contains("without=stop"), "{header}");
    // What the user sets is not left out.
    let more = [&OFF[..], &["--extra-body", "{\"temperature\": 0.0}"]].concat();
    let run = place.run(&server.model(), "toy_words", "own", &more).expect(2);
    assert!(run.stderr.contains("temperature"), "{}", run.stderr);
}

#[test]
fn answers_without_end_are_no_answers() {
    let place = Place::new(0, 12);
    let server = chat(|told| {
        let long = "x".repeat(match question(told.prompt)? {
            10_003 => 40_000,
            10_004 => 3_000_000,
            _ => return None,
        });
        choice(json!({"message": {"content": long}, "finish_reason": "stop"}), 9, 4)
    });
    let run = place.run(&server.model(), "toy_words", "out", &["--cache-file", "answers.sqlite"]).expect(3);
    assert!(run.stderr.contains("40000 bytes where 24 tokens were asked for"), "{}", run.stderr);
    assert!(run.stderr.contains("the body is larger than"), "{}", run.stderr);
    let size = |path: std::path::PathBuf| std::fs::metadata(path).unwrap().len();
    assert!(size(place.folder("out").join("journal.jsonl")) < 40_000);
    Journal::read(&place.folder("out")).expect_each_once(12);
}
