//! Requests answered by toy servers.

use super::RemoteEngine;
use super::testing::{Scores, Server, Toy, answers, generate, open, score};
use crate::engine::{Cancel, Engine, Outcome, Update};
use crate::error::{Error, ErrorKind};
use crate::model::Tokenizer;
use crate::model::testing::shared_model;
use crate::request::{Answer, Finish, Message, Prompt, Request, RequestKind, Role};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};

fn logprob(outcome: &Outcome) -> (f64, bool, usize) {
    match outcome.as_ref().unwrap().answer {
        Answer::Loglikelihood { logprob, is_greedy, num_tokens } => (logprob, is_greedy, num_tokens),
        ref other => panic!("{other:?}"),
    }
}

fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
}

fn written(outcome: &Outcome) -> (&str, Finish) {
    match &outcome.as_ref().unwrap().answer {
        Answer::Text { text, finish } => (text, *finish),
        other => panic!("{other:?}"),
    }
}

fn echoes(server: &Server) -> usize {
    server.seen.lock().unwrap().iter().filter(|(_, body)| body["echo"] == json!(true)).count()
}

/// Context, continuation, and the tokens of each.
type Case = (&'static str, &'static str, &'static [&'static str], &'static [&'static str]);

const PAIRS: &[Case] = &[
    ("One two", " three", &["One", " two"], &[" three"]),
    ("One two ", "three", &["One", " two"], &[" three"]),
    ("One two \n", "three.", &["One", " two"], &[" ", "\n", "three", "."]),
    ("Zwölf Boxkämpfer", " jagen Eva", &["Zwölf", " Boxkämpfer"], &[" jagen", " Eva"]),
    // A token straddles the border: what goes beyond the context's two tokens is the continuation.
    ("The quick", "er fox", &["The", " quicker"], &[" fox"]),
    ("The quick", "ly, yes", &["The", " quickly"], &[",", " yes"]),
    ("", "Once more", &[], &["Once", " more"]),
    (" ", "Once more", &[], &[" Once", " more"]),
];

#[test]
fn pairs_are_split_by_the_rules() {
    let toy = Toy::default();
    for (row, tokenize) in [("", false), ("llama-cpp-python:", true)] {
        let server = Server::start(Toy { tokenize, ..toy.clone() });
        let engine = open(&format!("{row}{}", server.url()), |_| {}).unwrap();
        let probes = echoes(&server);
        let requests: Vec<Request> =
            PAIRS.iter().map(|(context, continuation, ..)| score(context, continuation)).collect();
        for (outcome, (context, continuation, before, own)) in answers(&engine, &requests).iter().zip(PAIRS) {
            let (found, is_greedy, num_tokens) = logprob(outcome);
            let (expected, greedy) = toy.sum(before, own);
            assert!((found - expected).abs() < 1e-9, "{context:?} {continuation:?}: {found} is not {expected}");
            assert_eq!((is_greedy, num_tokens), (greedy, own.len()), "{context:?} {continuation:?}");
        }
        // The straddled context is scored alone once, for both of its continuations, or counted by the other route.
        assert_eq!(echoes(&server) - probes, PAIRS.len() + usize::from(!tokenize));
    }
}

#[test]
fn what_has_no_number_says_why() {
    let server = Server::start(Toy { bos: false, ..Toy::default() });
    let engine = server.open(|_| {}).unwrap();
    let requests = [score("", "Once more"), score("One", ""), score("One two", " three"), rolling("One two")];
    let answers = answers(&engine, &requests);
    let reason = |i: usize| answers[i].as_ref().unwrap_err().reason.clone();
    assert!(reason(0).contains("nothing stands before it") && reason(0).contains("--tokenizer"), "{}", reason(0));
    assert!(reason(1).contains("no token of its own"), "{}", reason(1));
    near(logprob(&answers[2]).0, Toy::default().sum(&["One", " two"], &[" three"]).0);
    assert!(reason(3).contains("nothing stands before it"), "{}", reason(3));
}

fn rolling(text: &str) -> Request {
    Request { kind: RequestKind::LoglikelihoodRolling { text: text.into() }, sample: 0, seed: 0 }
}

#[test]
fn whole_texts_are_scored_behind_what_the_server_puts_before_them() {
    let server = Server::start(Toy::default());
    let engine = server.open(|_| {}).unwrap();
    let answers = answers(&engine, &[rolling("One two three"), rolling("")]);
    let Answer::Rolling { logprob, num_tokens } = answers[0].as_ref().unwrap().answer else { panic!("rolling") };
    near(logprob, Toy::default().sum(&[], &["One", " two", " three"]).0);
    assert_eq!(num_tokens, 3);
    assert_eq!(answers[1].as_ref().unwrap().answer, Answer::Rolling { logprob: 0.0, num_tokens: 0 });
}

#[test]
fn who_does_not_say_what_is_likeliest_is_let_write() {
    let server = Server::start(Toy { scores: Scores::NoTop, ..Toy::default() });
    let engine = server.open(|_| {}).unwrap();
    let greedy = Toy::default().words("One two", 2);
    let answers = answers(&engine, &[score("One two", &greedy), score("One two", " zebra")]);
    assert!(logprob(&answers[0]).1 && !logprob(&answers[1]).1);
}

#[test]
fn every_request_is_answered_once() {
    // One in seven fails at first, one in eleven is answered by another model, one in fifty refused.
    let asked = AtomicUsize::new(0);
    let server = Server::hooked(Toy::default(), move |number, _, body| {
        let prompt = body["prompt"].as_str().filter(|prompt| prompt.starts_with("item"))?;
        let item: usize = prompt.split(' ').nth(1)?.parse().ok()?;
        asked.fetch_add(1, Ordering::SeqCst);
        match (number, item) {
            (_, item) if item % 50 == 0 => {
                Some((200, json!({"model": "toy", "choices": [{"text": "", "finish_reason": "content_filter"}]})))
            }
            (number, _) if number % 7 == 0 => Some((500, json!({"error": {"message": "out of luck"}}))),
            (number, _) if number % 11 == 0 => {
                let (status, mut body) = (200, json!({"model": "another"}));
                body["choices"] = json!([{"text": "x", "finish_reason": "stop"}]);
                Some((status, body))
            }
            _ => None,
        }
    });
    let engine = server.open(|_| {}).unwrap();
    let requests: Vec<Request> = (0..2000).map(|i| generate(Prompt::Text(format!("item {i} x")), &[], 3)).collect();
    let toy = Toy::default();
    for (i, outcome) in answers(&engine, &requests).iter().enumerate() {
        match outcome {
            Err(reason) => assert!(i % 50 == 0 && reason.refused, "{i}: {reason:?}"),
            Ok(_) => assert_eq!(written(outcome).0, toy.words(&format!("item {i} x"), 3)),
        }
    }
}

fn many(count: usize) -> Vec<Request> {
    (0..count).map(|i| score(&format!("Question {i}"), " yes")).collect()
}

#[test]
fn cancelling_ends_it_and_what_is_open_is_still_delivered() {
    let server = Server::start(Toy::default());
    let engine = server.open(|_| {}).unwrap();
    let (cancel, mut answered) = (Cancel::default(), 0);
    let before = server.count();
    let mut sink = |update| {
        if let Update::Answered(_, outcome, _) = update {
            assert!(outcome.is_ok());
            answered += 1;
            cancel.cancel();
        }
        Ok(())
    };
    engine.answer(&many(20_000), &cancel, &mut sink).unwrap();
    assert!(answered < 20_000);
    assert_eq!(answered, server.count() - before, "all that was asked is delivered");
}

#[test]
fn a_full_disk_ends_it() {
    let server = Server::start(Toy::default());
    let engine = server.open(|_| {}).unwrap();
    let mut full = |_| Err(Error::input("the disk is full"));
    let err = engine.answer(&many(5_000), &Cancel::default(), &mut full).unwrap_err();
    assert_eq!(err.message(), "the disk is full");
    assert!(server.count() < 5_000);
}

#[test]
fn a_lost_key_stops_the_run_and_keeps_what_is_there() {
    let server = Server::hooked(Toy::default(), |number, _, _| {
        (number > 60).then(|| (401, json!({"error": {"message": "the key has expired"}})))
    });
    let engine = server.open(|options| options.remote.limits.max_concurrency = 4).unwrap();
    let mut answered = 0;
    let mut sink = |update| {
        answered += usize::from(matches!(update, Update::Answered(_, Ok(_), _)));
        Ok(())
    };
    let err = engine.answer(&many(500), &Cancel::default(), &mut sink).unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Incomplete);
    assert!(err.to_string().contains("the key has expired"), "{err}");
    assert!((20..=60).contains(&answered), "{answered}");
}

#[test]
fn budgets_end_it_before_they_are_exceeded() {
    let server = Server::start(Toy::default());
    let engine = server.open(|options| options.remote.max_tokens_total = Some(1000)).unwrap();
    let before = server.count();
    let (mut answered, mut spent) = (0, 0);
    let mut sink = |update| {
        if let Update::Answered(_, outcome, _) = update {
            let usage = outcome.unwrap().usage;
            spent += usage.prompt_tokens + usage.completion_tokens;
            answered += 1;
        }
        Ok(())
    };
    let err = engine.answer(&many(500), &Cancel::default(), &mut sink).unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Incomplete);
    assert!((900..=1000).contains(&spent), "{spent} tokens");
    assert!(err.to_string().contains(&format!("{answered} of 500")) && err.to_string().contains("--max-tokens-total"));
    assert_eq!(server.count() - before, answered);
    assert!(engine.notices().iter().any(|notice| notice.contains("are spent")));
}

#[test]
fn texts_end_at_stops_and_thoughts_are_kept_apart() {
    let toy = Toy { thought: "<think>a\n\nb</think>", ..Toy::default() };
    let server = Server::start(toy.clone());
    let engine = server.open(|options| options.remote.reasoning_tokens = 10).unwrap();
    let words = toy.words("Tell", 14);
    let stop = words.split(' ').nth(3).unwrap();
    let request = generate(Prompt::Text("Tell".into()), &[stop, "\n\n"], 4);
    let answer = &answers(&engine, std::slice::from_ref(&request))[0];
    let expected = words.split_once(stop).unwrap().0.trim_start();
    assert_eq!(written(answer), (expected, Finish::Stop));
    assert_eq!(answer.as_ref().unwrap().reasoning.as_deref(), Some("a\n\nb"));
    let (_, body) = server.seen.lock().unwrap().last().unwrap().clone();
    assert_eq!(body["max_tokens"], json!(14));
    assert!(body.get("stop").is_none_or(Value::is_null), "a stop string could end the thought: {body}");
}

#[test]
fn a_thought_that_was_cut_off_is_no_answer() {
    let server = Server::start(Toy { thought: "<think>hm", ..Toy::default() });
    let engine = server.open(|_| {}).unwrap();
    let answer = &answers(&engine, &[generate(Prompt::Text("Tell".into()), &["x"], 4)])[0];
    let reason = &answer.as_ref().unwrap_err().reason;
    assert!(reason.contains("cut off after 4 tokens") && reason.contains("--reasoning-tokens"), "{reason}");
}

#[test]
fn a_thought_that_a_stop_string_ended_is_asked_for_again() {
    // It thinks at some prompts only, so that the probe does not see it.
    let server = Server::hooked(Toy::default(), |_, path, body| {
        let prompt = body["prompt"].as_str().filter(|prompt| path.ends_with("/completions") && *prompt == "Think")?;
        let text = if body["stop"].is_array() { "<think>one" } else { "<think>one\n\ntwo</think>\n\n42\n\nmore" };
        let _ = prompt;
        Some((200, json!({"model": "toy", "choices": [{"text": text, "finish_reason": "stop"}]})))
    });
    let engine = server.open(|_| {}).unwrap();
    let answer = &answers(&engine, &[generate(Prompt::Text("Think".into()), &["\n\n"], 4)])[0];
    assert_eq!(written(answer).0, "42");
}

fn choose(context: Prompt) -> Request {
    Request {
        kind: RequestKind::Choose { context, labels: vec!["A".into(), "B".into(), "C".into()] },
        sample: 0,
        seed: 0,
    }
}

fn choice(engine: &RemoteEngine, request: Request) -> Vec<Option<f64>> {
    match answers(engine, &[request]).remove(0).unwrap().answer {
        Answer::Choice { logprobs } => logprobs,
        other => panic!("{other:?}"),
    }
}

#[test]
fn labels_are_chosen_by_first_tokens_or_scores() {
    let server = Server::start(Toy::default());
    let engine = server.open(|_| {}).unwrap();
    let found = choice(&engine, choose(Prompt::Text("Which?".into())));
    near(found[0].unwrap(), ((-1.0f64).exp() + (-2.0f64).exp()).ln());
    assert_eq!(found[1..], [Some(-1.5), None]);
    let turns = Prompt::Chat(vec![Message { role: Role::User, content: "Which?".into() }]);
    let engine = server.open(|options| options.chat = true).unwrap();
    assert_eq!(choice(&engine, choose(turns)), [Some(-1.5), Some(-0.5), None]);
    let toy = Toy { top: false, ..Toy::default() };
    let engine = Server::start(toy.clone());
    let engine = engine.open(|_| {}).map(|opened| (opened, engine)).unwrap();
    let found = choice(&engine.0, choose(Prompt::Text("Which?".into())));
    let sum = |label: &str| toy.sum(&["Which", "?"], &[label]).0.exp();
    near(found[0].unwrap(), (sum("A") + sum(" A")).ln());
}

#[test]
fn settings_of_the_user_go_into_bodies_of_texts() {
    let server = Server::start(Toy::default());
    let engine = server.open(|options| drop(options.remote.extra_body.insert("top_a".into(), json!(0.2)))).unwrap();
    let turns = Prompt::Text("Tell".into());
    answers(&engine, &[generate(turns, &[], 2), score("One", " two")]);
    let seen = server.seen.lock().unwrap();
    let last: Vec<&Value> = seen.iter().rev().take(2).map(|(_, body)| body).collect();
    for body in last {
        assert_eq!(body.get("top_a").is_some(), body["echo"] != json!(true), "{body}");
    }
}

#[test]
fn turns_need_a_route_or_a_template() {
    let server = Server::start(Toy::default());
    let engine = server.open(|_| {}).unwrap();
    let turns = Prompt::Chat(vec![Message { role: Role::User, content: "Hi".into() }]);
    let answer = answers(&engine, &[generate(turns.clone(), &[], 2)]).remove(0);
    assert!(answer.unwrap_err().reason.contains("chat template"));
    let engine = server.open(|options| options.chat = true).unwrap();
    assert!(engine.render(&turns).unwrap().contains("<user>Hi"));
    assert!(answers(&engine, &[generate(turns, &[], 2)])[0].is_ok());
    let answer = answers(&engine, &[generate(Prompt::Text("Hi".into()), &[], 2)]).remove(0);
    assert!(answer.unwrap_err().reason.contains("conversations only"));
}

/// A server that takes ids only, and the tokenizer of a small checkpoint.
fn by_ids() -> Option<(Server, RemoteEngine, Tokenizer, Toy)> {
    let model = shared_model("stories260K")?;
    let toy = Toy { texts: false, ids: true, ..Toy::default() };
    let server = Server::start(toy.clone());
    let engine = server.open(|options| options.remote.tokenizer = Some(model.display().to_string())).unwrap();
    Some((server, engine, Tokenizer::alone(&model).unwrap(), toy))
}

fn sum_of_ids(toy: &Toy, ids: &[u32], first: usize) -> f64 {
    let parts: Vec<String> = ids.iter().map(u32::to_string).collect();
    (first..parts.len()).map(|index| toy.score(&parts, index).0).sum()
}

#[test]
fn with_a_tokenizer_ids_are_sent_and_cut_to_the_window() {
    let Some((server, engine, tokenizer, toy)) = by_ids() else { return };
    assert!(engine.identity().options.iter().any(|option| option == "tokens=ids"), "{:?}", engine.identity());
    let long = "Once upon a time there was a little girl. ".repeat(20);
    let requests =
        [score("Once upon a time", " there was"), score("", " there was"), score(&long, " there was"), rolling(&long)];
    let answers = answers(&engine, &requests);
    for (outcome, ids) in answers.iter().zip([&[1, 403, 407, 261, 378, 383, 286][..], &[1, 410, 383, 286]]) {
        let own = logprob(outcome).2;
        near(logprob(outcome).0, sum_of_ids(&toy, ids, ids.len() - own));
    }
    // The window is 64 tokens, one of which the server may want to write.
    let whole = tokenizer.encode(&format!("{long} there was"), true).unwrap();
    let seen = &whole[whole.len() - 63..];
    // White space at the context's end is the continuation's.
    let (found, _, own) = logprob(&answers[2]);
    assert!(own > 2);
    near(found, sum_of_ids(&toy, seen, 63 - own));
    assert_eq!(answers[2].as_ref().unwrap().usage.truncated_tokens, whole.len() - 63);
    let tokens = tokenizer.encode(&long, true).unwrap();
    let Answer::Rolling { num_tokens, .. } = answers[3].as_ref().unwrap().answer else { panic!("rolling") };
    assert_eq!(num_tokens, tokens.len());
    let longest = |body: &Value| body["prompt"].as_array().map_or(0, Vec::len);
    assert!(server.seen.lock().unwrap().iter().all(|(_, body)| longest(body) <= 63));
    let inspection = engine.inspect(&requests[0]).unwrap();
    assert_eq!(
        (inspection.context_ids.len(), inspection.continuation_ids, inspection.bos_count),
        (5, vec![383, 286], 1)
    );
}

#[test]
fn prompts_of_texts_are_ids_as_well() {
    let Some((server, engine, tokenizer, _)) = by_ids() else { return };
    let long = "Once upon a time there was a little girl. ".repeat(20);
    let answers = answers(&engine, &[generate(Prompt::Text(long.clone()), &[], 10)]);
    let sent = server.seen.lock().unwrap().last().unwrap().1["prompt"].clone();
    let whole = tokenizer.encode(&long, true).unwrap();
    assert_eq!(sent, json!(whole[whole.len() - 54..]));
    assert_eq!(answers[0].as_ref().unwrap().usage.truncated_tokens, whole.len() - 54);
}

#[test]
fn another_models_tokenizer_is_noticed() {
    let Some(model) = shared_model("stories260K") else { return };
    let server = Server::start(Toy { ids: true, ..Toy::default() });
    let err = server.open(|options| options.remote.tokenizer = Some(model.display().to_string())).err().unwrap();
    assert!(err.to_string().contains("not the tokenizer of the server's model"), "{err}");
}
