//! What is found out about endpoints, on toy servers.

use super::testing::{Scores, Server, Toy, open};
use crate::engine::{Engine, EngineOptions, Prompts};
use serde_json::json;

fn refused(toy: Toy, change: impl FnOnce(&mut EngineOptions)) -> String {
    Server::start(toy).open(change).err().expect("should be refused").to_string()
}

#[test]
fn an_endpoint_says_what_it_can() {
    let server = Server::start(Toy::default());
    let engine = server.open(|_| {}).unwrap();
    let capabilities = engine.capabilities();
    assert_eq!((capabilities.scoring, capabilities.choosing, capabilities.generation), (Ok(()), Ok(()), Ok(())));
    assert_eq!(capabilities.prompts, Prompts::TextOnly);
    let expected = format!(
        "compatible-completions at {}: scores prompts (by text offsets, else contexts alone), top 20 first tokens, generates, takes texts \
         only; window 64",
        server.url()
    );
    assert_eq!(engine.notices(), [expected]);
    let identity = engine.identity();
    assert_eq!((identity.engine.as_str(), identity.max_length), ("compatible-completions", Some(64)));
    let options = [&format!("servers={}", server.url()), "model=toy", "tokens=text offsets, else contexts alone"];
    assert_eq!((identity.label.as_str(), &identity.options[..]), ("toy", &options.map(String::from)[..]));
    assert!(server.count() < 12, "{} requests", server.count());
}

#[test]
fn scores_that_cannot_be_believed_are_refused() {
    for (scores, says) in [
        (Scores::Zeros, "are 0"),
        (Scores::GeneratedOnly, "generated tokens only"),
        (Scores::Drifting, "scores the same prompt"),
        (Scores::NoNull, "nothing stands before it"),
        (Scores::Refused, "echo is not supported"),
        (Scores::Blind, "two different continuations"),
    ] {
        let server = Server::start(Toy { scores, ..Toy::default() });
        let engine = server.open(|_| {}).unwrap();
        let reason = engine.capabilities().scoring.unwrap_err();
        assert!(reason.contains(says), "{scores:?}: {reason}");
        assert_eq!(engine.capabilities().choosing, Ok(()));
        assert!(engine.notices()[0].contains("does not score prompts"));
    }
    let server = Server::start(Toy { scores: Scores::Trembling, ..Toy::default() });
    let engine = server.open(|_| {}).unwrap();
    assert!(engine.capabilities().scoring.is_ok());
    assert!(engine.notices().iter().any(|notice| notice.contains("do not repeat exactly")), "{:?}", engine.notices());
}

#[test]
fn a_server_without_completions_is_asked_by_turns() {
    let server = Server::start(Toy { completions: false, ..Toy::default() });
    let engine = server.open(|_| {}).unwrap();
    let capabilities = engine.capabilities();
    assert_eq!((capabilities.prompts, capabilities.choosing), (Prompts::ChatOnly, Ok(())));
    assert!(capabilities.scoring.unwrap_err().contains("has no scores of prompts"));
    assert!(engine.identity().engine.ends_with("chat"));
    // Conversations are wanted, and completions have no template.
    let server = Server::start(Toy::default());
    let engine = server.open(|options| options.chat = true).unwrap();
    assert!(engine.identity().engine.ends_with("chat"));
    let reason = refused(Toy { chat: false, ..Toy::default() }, |options| options.chat = true);
    assert!(reason.contains("nobody knows the chat template"), "{reason}");
    let reason = refused(Toy { chat: false, completions: false, ..Toy::default() }, |_| {});
    assert!(reason.contains("cannot be asked") && reason.contains("404"), "{reason}");
}

#[test]
fn first_tokens_fall_back() {
    let server = Server::start(Toy { top: false, ..Toy::default() });
    assert_eq!(server.open(|_| {}).unwrap().capabilities().choosing, Ok(()), "by scores");
    let server = Server::start(Toy { top: false, completions: false, ..Toy::default() });
    let reason = server.open(|_| {}).unwrap().capabilities().choosing.unwrap_err();
    assert!(reason.contains("logprobs are not supported"), "{reason}");
    // A thought comes first.
    let server = Server::start(Toy { thought: "<think>well</think>", completions: false, ..Toy::default() });
    let reason = server.open(|_| {}).unwrap().capabilities().choosing.unwrap_err();
    assert!(reason.contains("thinks before it answers"), "{reason}");
}

#[test]
fn models_are_named_or_found() {
    let server = Server::start(Toy { models: vec!["toy", "other"], ..Toy::default() });
    let err = server.open(|_| {}).err().unwrap().to_string();
    assert!(err.contains("no model is named") && err.contains("`toy`, `other`"), "{err}");
    let err = open(&format!("{}#toys", server.url()), |_| {}).err().unwrap().to_string();
    assert!(err.contains("no model `toys`") && err.contains("did you mean `toy`?"), "{err}");
    let engine = open(&format!("{}#toy", server.url()), |_| {}).unwrap();
    assert_eq!(engine.client.model, "toy");
    // Not listed, but it is who it says.
    let server = Server::start(Toy { models: vec!["a", "b"], told: "hidden", ..Toy::default() });
    assert!(open(&format!("{}#hidden", server.url()), |_| {}).is_ok());
    let server = Server::start(Toy { told: "mine", ..Toy::default() });
    let engine = open(&format!("{}#mine", server.url()), |_| {}).unwrap();
    assert!(
        engine.notices().iter().any(|notice| notice.contains("lists only the model `toy`")),
        "{:?}",
        engine.notices()
    );
    let server = Server::start(Toy::default());
    assert!(open(&format!("{}#mine", server.url()), |_| {}).err().unwrap().to_string().contains("no model `mine`"));
    let server = Server::start(Toy { models: vec![], ..Toy::default() });
    let err = server.open(|_| {}).err().unwrap().to_string();
    assert!(err.contains("does not say which it has"), "{err}");
}

#[test]
fn a_busy_server_is_no_server_that_cannot() {
    // Whatever it is that is asked for while it is busy: nothing is concluded from that.
    for busy in 0..6 {
        let server = Server::hooked(Toy::default(), move |number, _, _| {
            (number >= busy).then(|| (503, json!({"error": {"message": "overloaded"}})))
        });
        let err = server.open(|options| options.remote.limits.max_retries = 1).err().unwrap().to_string();
        assert!(err.contains("overloaded"), "{busy}: {err}");
    }
}

#[test]
fn a_wrong_key_says_where_keys_come_from() {
    let server = Server::hooked(Toy::default(), |_, _, _| Some((401, json!({"error": {"message": "no such key"}}))));
    for model in ["", "#toy"] {
        let err = open(&format!("{}{model}", server.url()), |_| {}).err().unwrap().to_string();
        assert!(err.contains("no such key") && err.contains("FAIRMARK_API_KEY"), "{err}");
    }
}

#[test]
fn nobody_there_is_an_error_with_a_hint() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for model in ["", "#toy"] {
        let err = open(&format!("http://{port}/v1{model}"), |_| {}).err().unwrap().to_string();
        assert!(err.contains("cannot connect") && err.contains("hint:"), "{err}");
    }
}

#[test]
fn servers_of_a_fleet_must_be_alike() {
    let fleet = |toys: [Toy; 2]| {
        let servers = toys.map(Server::start);
        let name = format!("{},{}#toy", servers[0].url(), servers[1].url());
        open(&name, |_| {}).map(|engine| (engine.client.transport.num_bases(), engine.notices()))
    };
    assert_eq!(fleet([Toy::default(), Toy::default()]).unwrap().0, 2);
    for (other, says) in [
        (Toy { seed: 1, ..Toy::default() }, "it scores a prompt"),
        (Toy { told: "toy-2", ..Toy::default() }, "`toy-2`"),
        (Toy { scores: Scores::Zeros, ..Toy::default() }, "does not score prompts"),
    ] {
        let err = fleet([Toy::default(), other]).err().unwrap().to_string();
        assert!(err.contains("not like the first") && err.contains(says), "{err}");
    }
    let server = Server::start(Toy::default());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let engine = open(&format!("http://{port}/v1,{}#toy", server.url()), |_| {}).unwrap();
    assert_eq!(engine.client.transport.num_bases(), 1);
    assert!(engine.notices().iter().any(|notice| notice.contains("is left out")), "{:?}", engine.notices());
}

#[test]
fn what_decides_numbers_is_part_of_the_identity_and_nothing_else() {
    let server = Server::start(Toy::default());
    let identity =
        |change: &dyn Fn(&mut EngineOptions)| server.open(|options| change(options)).unwrap().identity().clone();
    let plain = identity(&|_| {});
    assert_eq!(plain, identity(&|o| (o.remote.limits.max_concurrency, o.remote.max_tokens_total) = (3, Some(9))));
    type Change = dyn Fn(&mut EngineOptions);
    let changes: [&Change; 3] = [
        &|o| drop(o.remote.extra_body.insert("top_a".into(), json!(1))),
        &|o| o.remote.reasoning = Some(false),
        &|o| o.remote.reasoning_tokens = 7,
    ];
    for change in changes {
        assert_ne!(plain.options, identity(change).options);
    }
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let refused = |change: &dyn Fn(&mut EngineOptions)| refused(Toy::default(), |options| change(options));
    assert!(refused(&|o| drop(o.remote.extra_body.insert("stream".into(), json!(true)))).contains("`stream`"));
    let far = open("http://192.0.2.1/v1#x", |_| {}).err().unwrap().to_string();
    assert!(far.contains("--offline forbids"), "{far}");
    assert!(refused(&|o| o.add_bos = Some(true)).contains("--tokenizer"));
    assert!(refused(&|o| o.remote.max_cost = Some(f64::NAN)).contains("--max-cost"));
    assert!(refused(&|o| o.remote.max_cost = Some(1.0)).contains("nobody knows what `toy` costs"));
}
