//! Bodies as the services document them, and a server that answers with them.

use super::super::options::Options;
use super::*;
use crate::engine::remote::transport::Secret;
use crate::engine::remote::transport::testing::{Act, Server, error, json_answer};
use serde_json::json;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// An answer in the form of the documentation of `comments:analyze`.
fn analysis(score: f64) -> Value {
    json!({
        "attributeScores": { "TOXICITY": {
            "spanScores": [{ "begin": 0, "end": 5, "score": { "value": score, "type": "PROBABILITY" } }],
            "summaryScore": { "value": score, "type": "PROBABILITY" }
        } },
        "languages": ["en"], "detectedLanguages": ["en"]
    })
}

/// An answer in the form of the documentation of `/v1/moderations`.
fn moderated() -> Value {
    json!({ "id": "modr-1", "model": "omni-moderation-latest", "results": [{
        "flagged": false,
        "categories": { "hate": false, "harassment": false },
        "category_scores": {
            "sexual": 0.9, "hate": 0.02, "hate/threatening": 0.01, "harassment": 0.25, "harassment/threatening": 0.3,
            "violence": 0.28, "violence/graphic": 0.125, "self-harm": 0.8
        }
    }] })
}

fn base(server: &Server) -> Base {
    let headers = vec![("authorization".to_string(), Secret::new("Bearer canary-key"))];
    Base { headers, query: vec![("key".to_string(), "canary-query".to_string())], ..server.base() }
}

/// A server on a runtime of its own, so that the scorer can block.
fn served(handler: impl Fn(&Value, usize) -> Act + Send + Sync + 'static) -> (Runtime, Server) {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = runtime.block_on(Server::start(move |seen| handler(&seen.body, seen.index)));
    (runtime, server)
}

fn scores(scorer: &dyn Scorer, texts: &[&str]) -> Vec<Score> {
    let mut scores = vec![Err("untold".to_string()); texts.len()];
    scorer.score(texts, &|| false, &mut |index, score| scores[index] = score).unwrap();
    scores
}

fn perspective(rest: &str, server: &Server) -> Box<dyn Scorer> {
    let settings = Options::parse(rest, &["attribute", "language", "rpm"]).unwrap();
    perspective::scorer(&settings, base(server)).unwrap()
}

fn moderation(rest: &str, server: &Server) -> Box<dyn Scorer> {
    moderation::scorer(&Options::parse(rest, &["category", "rpm"]).unwrap(), "", base(server)).unwrap()
}

#[test]
fn perspective_is_asked_as_documented() {
    let (_runtime, server) = served(|body, _| match body["comment"]["text"].as_str() {
        Some("mild") => Act::Say(json_answer(200, &analysis(0.25))),
        Some("odd") => error(400, "Attribute TOXICITY does not support request languages: xx"),
        _ => Act::Say(json_answer(200, &analysis(1.5))),
    });
    let scorer = perspective("#rpm=6000", &server);
    let long = "x".repeat(20_481);
    let found = scores(scorer.as_ref(), &["mild", "odd", "", long.as_str(), "too much"]);
    assert_eq!(found[0], Ok(0.25));
    let reason = |index: usize| found[index].clone().unwrap_err();
    assert!(reason(1).contains("does not support") && !reason(1).contains("canary"), "{}", reason(1));
    assert!(reason(2).contains("empty") && reason(3).contains("20481") && reason(4).contains("no probability"));
    let seen = server.seen();
    assert_eq!(seen.len(), 3, "what the service does not take is not sent");
    let mild = seen.iter().find(|seen| seen.body["comment"]["text"] == "mild").unwrap();
    assert!(mild.head.starts_with("POST /v1/comments:analyze?key=canary-query "), "{}", mild.head);
    let expected = json!({
        "comment": { "text": "mild" }, "requestedAttributes": { "TOXICITY": {} }, "languages": ["en"], "doNotStore": true
    });
    assert_eq!(mild.body, expected);
    assert_eq!((scorer.identity().kind.as_str(), scorer.identity().label.as_str()), ("perspective", "TOXICITY"));
}

#[test]
fn answers_that_say_nothing_are_errors() {
    let service = |text: &str| -> Box<dyn Service> {
        match text {
            "perspective" => Box::new(perspective::Perspective::default()),
            _ => Box::new(moderation::Moderation::default()),
        }
    };
    for body in [
        json!(null),
        json!({}),
        json!({ "attributeScores": {} }),
        json!({ "attributeScores": { "TOXICITY": { "summaryScore": { "value": "0.1" } } } }),
        json!({ "attributeScores": { "TOXICITY": { "summaryScore": { "value": 0.1, "type": "STD_DEV_SCORE" } } } }),
    ] {
        assert!(matches!(service("perspective").score(&body), Err(WireError::Malformed(_))), "{body}");
    }
    for body in [
        json!({ "results": [] }),
        json!({ "results": [{ "category_scores": { "sexual": 0.1 } }] }),
        json!({ "results": [{ "category_scores": { "hate": null } }] }),
    ] {
        assert!(matches!(service("moderation").score(&body), Err(WireError::Malformed(_))), "{body}");
    }
}

#[test]
fn moderation_takes_the_highest_of_its_categories() {
    let (_runtime, server) = served(|_, _| Act::Say(json_answer(200, &moderated())));
    assert_eq!(scores(moderation("", &server).as_ref(), &["a"]), [Ok(0.3)]);
    assert_eq!(scores(moderation("#category=sexual", &server).as_ref(), &["a"]), [Ok(0.9)]);
    assert_eq!(scores(moderation("#category=hate+harassment", &server).as_ref(), &["a"]), [Ok(0.25)]);
    let found = scores(moderation("#category=spam", &server).as_ref(), &["a", ""]);
    assert!(found[0].clone().unwrap_err().contains("no category `spam`") && found[1].is_err());
    let seen = server.seen();
    assert!(seen[0].head.starts_with("POST /v1/moderations?"), "{}", seen[0].head);
    assert_eq!(seen[0].body, json!({ "model": "omni-moderation-latest", "input": "a" }));
    assert!(seen[0].head.to_lowercase().contains("authorization: bearer canary-key"));
}

#[test]
fn busy_servers_are_asked_again() {
    let (_runtime, server) = served(|body, index| match (body["input"].as_str(), index) {
        (Some("busy"), 0) => Act::Say(crate::engine::remote::transport::testing::answer(429, "retry-after: 0\r\n", "")),
        _ => Act::Say(json_answer(200, &moderated())),
    });
    assert_eq!(scores(moderation("", &server).as_ref(), &["busy"]), [Ok(0.3)]);
    assert_eq!(server.count(), 2);
}

#[test]
fn a_wrong_key_ends_it() {
    let (_runtime, server) = served(|_, _| error(401, "bad key canary-key"));
    let texts = vec!["a"; 200];
    let told = Mutex::new(Vec::new());
    let scorer = moderation("", &server);
    let err = scorer.score(&texts, &|| false, &mut |_, score| told.lock().unwrap().push(score)).unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Incomplete);
    assert!(!err.to_string().contains("canary-key"), "{err}");
    let told = told.lock().unwrap();
    assert!(told.iter().all(Result::is_err) && told.len() < 200, "no score is made up");
}

#[test]
fn a_user_who_stops_gets_what_there_is() {
    let (_runtime, server) = served(|_, _| Act::Say(json_answer(200, &moderated())));
    let told = AtomicUsize::new(0);
    let scorer = moderation("", &server);
    let texts = vec!["a"; 2000];
    let cancelled = || told.load(Ordering::SeqCst) >= 3;
    let mut sink = |_, _| {
        told.fetch_add(1, Ordering::SeqCst);
    };
    scorer.score(&texts, &cancelled, &mut sink).unwrap();
    let told = told.load(Ordering::SeqCst);
    assert!((3..2000).contains(&told), "{told}");
}

#[test]
fn services_need_keys_and_a_network() {
    let hub = crate::hub::Hub::from_env(true).unwrap();
    let offline = crate::toxicity::OpenOptions { hub: &hub, env: &|_| Some("key".to_string()) };
    for address in ["perspective", "openai-moderation"] {
        let err = crate::toxicity::open(address, &offline).err().unwrap().to_string();
        assert!(err.contains("network"), "{err}");
    }
    let home = tempfile::tempdir().unwrap();
    let config =
        crate::hub::HubConfig::from_vars(&|name| (name == "HF_HOME").then(|| home.path().display().to_string()));
    let hub = crate::hub::Hub::new(config.unwrap());
    let online = crate::toxicity::OpenOptions { hub: &hub, env: &|_| None };
    for (address, said) in [
        ("perspective", "PERSPECTIVE_API_KEY"),
        ("openai-moderation", "OPENAI_API_KEY"),
        ("openai-moderation:x@nonsense", "is not an address"),
        ("perspective:other", "nothing that Perspective"),
        ("perspective#atribute=X", "did you mean `attribute`"),
    ] {
        let err = crate::toxicity::open(address, &online).err().unwrap().to_string();
        assert!(err.contains(said), "{address}: {err}");
    }
    let own = crate::toxicity::open("openai-moderation:mine@http://me:canary@localhost:1/v1", &online).unwrap();
    assert_eq!((own.identity().name.as_str(), own.identity().options["server"].as_str()), ("mine", "localhost:1/v1"));
}

/// A key goes to the address that it belongs to.
#[test]
fn keys_stay_with_their_servers() {
    let (_runtime, server) = served(|_, _| Act::Say(json_answer(200, &moderated())));
    let home = tempfile::tempdir().unwrap();
    let config =
        crate::hub::HubConfig::from_vars(&|name| (name == "HF_HOME").then(|| home.path().display().to_string()));
    let hub = crate::hub::Hub::new(config.unwrap());
    let address = format!("http://{}/v1", server.address);
    let base_url = address.clone();
    let env = |name: &str| match name {
        "OPENAI_API_KEY" => Some("canary-openai\n".to_string()),
        "FAIRMARK_API_KEY" => Some("canary-own".to_string()),
        "OPENAI_BASE_URL" => Some(base_url.clone()),
        _ => None,
    };
    let options = crate::toxicity::OpenOptions { hub: &hub, env: &env };
    for (scorer, key) in [
        (format!("openai-moderation:m@{address}"), "bearer canary-own"),
        ("openai-moderation:m".to_string(), "bearer canary-openai"),
    ] {
        scores(crate::toxicity::open(&scorer, &options).unwrap().as_ref(), &["a"]);
        let head = server.seen().last().unwrap().head.to_lowercase();
        let sent: Vec<&str> = head.lines().filter(|line| line.contains("canary")).collect();
        assert_eq!(sent, [format!("authorization: {key}")], "{scorer}");
    }
}
