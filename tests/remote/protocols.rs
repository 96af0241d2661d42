//! What a server can do decides how choices are put, and that is said wherever the numbers stand.

use crate::place::{Place, figures, results};
use crate::server::{Chat, Completions, Server, Setup};
use serde_json::Value;

const OFF: [&str; 2] = ["--cache", "off"];

fn spec(folder: &std::path::Path) -> Value {
    let header: Value = serde_json::from_slice(&std::fs::read(folder.join("run.json")).unwrap()).unwrap();
    header["spec"].clone()
}

#[test]
fn who_scores_prompts_gets_likelihoods() {
    let place = Place::new(8, 0);
    let server = Server::start(Setup::default());
    let run = place.run(&server.model(), "toy_choices", "out", &OFF).expect(0);
    assert!(!run.stdout.contains("letter"), "{}", run.stdout);
    let folder = place.folder("out");
    assert!(figures(&folder, "toy_choices").contains(&"acc,none".to_string()));
    // Every document's choices were scored, each as a text of its own.
    assert_eq!(server.log().of_kind("score").filter(|text| text.contains("Question")).count(), 32);
}

#[test]
fn who_scores_answers_only_is_not_believed() {
    for completions in [Completions::GeneratedOnly, Completions::Zeros, Completions::Nulls] {
        let place = Place::new(8, 0);
        let server = Server::start(Setup { completions, chat: Chat::Absent, ..Setup::default() });
        let refuse = [&OFF[..], &["--mc-protocol", "likelihood"]].concat();
        let run = place.run(&server.model(), "toy_choices", "likelihood", &refuse).expect(2);
        let says_why = ["log-prob", "logprob"].iter().any(|word| run.stderr.contains(word));
        assert!(says_why && run.stderr.contains("hint:"), "{completions:?}: {}", run.stderr);
        assert!(place.folders("likelihood").is_empty(), "nothing is left behind");

        let run = place.run(&server.model(), "toy_choices", "auto", &OFF).expect(0);
        assert!(run.stdout.contains("acc (letter-logprobs)"), "{completions:?}: {}", run.stdout);
        assert!(run.stderr.contains("letter-logprobs"), "{}", run.stderr);
        let names = figures(&place.folder("auto"), "toy_choices");
        assert!(names.contains(&"acc,letter-logprobs".to_string()), "{names:?}");
        assert!(!names.iter().any(|name| name.ends_with(",none")), "{names:?}");
    }
}

#[test]
fn protocols_are_told_apart_in_hashes_and_tables() {
    let place = Place::new(8, 0);
    let server = Server::start(Setup::default());
    let mut seen: Vec<(String, String, String)> = Vec::new();
    for protocol in ["likelihood", "letter-logprobs", "letter-text"] {
        let flags = [&OFF[..], &["--mc-protocol", protocol]].concat();
        let run = place.run(&server.model(), "toy_choices", protocol, &flags).expect(0);
        let name = if protocol == "likelihood" { "none" } else { protocol };
        let folder = place.folder(protocol);
        assert!(
            figures(&folder, "toy_choices").contains(&format!("acc,{name}")),
            "{:?}",
            figures(&folder, "toy_choices")
        );
        assert_eq!(run.stdout.contains(&format!("({protocol})")), protocol != "likelihood", "{}", run.stdout);
        let hash = results(&folder)["task_hashes"]["toy_choices"].to_string();
        seen.push((
            folder.file_name().unwrap().to_string_lossy().into_owned(),
            hash,
            spec(&folder)["tasks"].to_string(),
        ));
    }
    // The reference's hash is over prompts and targets: both letter protocols ask the same.
    assert!(seen[0].1 != seen[1].1 && seen[0].1 != seen[2].1, "{seen:?}");
    for (at, one) in seen.iter().enumerate() {
        for two in &seen[at + 1..] {
            assert!(one.0 != two.0 && one.2 != two.2, "{one:?}\n{two:?}");
        }
    }
}

#[test]
fn a_chat_endpoint_is_asked_with_turns() {
    for (chat, protocol) in [(Chat::TopLogprobs, "letter-logprobs"), (Chat::Plain, "letter-text")] {
        let place = Place::new(8, 8);
        let server = Server::start(Setup { completions: Completions::Absent, chat, ..Setup::default() });
        let run = place.run(&server.model(), "toy_choices,toy_words", "out", &OFF).expect(0);
        assert!(run.stdout.contains(&format!("acc ({protocol})")), "{chat:?}: {}", run.stdout);
        assert!(run.stderr.contains("turns"), "{}", run.stderr);
        let folder = place.folder("out");
        assert_eq!(spec(&folder)["apply_chat_template"], true);
        let names = figures(&folder, "toy_choices");
        assert!(names.contains(&format!("acc,{protocol}")) && !names.contains(&"acc,none".to_string()), "{names:?}");
    }
}

#[test]
fn local_models_stand_beside_servers() {
    let place = Place::new(10, 10);
    let server = Server::start(Setup::default());
    let letters =
        Server::start(Setup { model: "letters", completions: Completions::GeneratedOnly, ..Setup::default() });
    let letters_model = letters.model();
    let flags = [&OFF[..], &["--model", "mock", "--model", &letters_model]].concat();
    let run = place.run(&server.model(), "toy_choices,toy_words", "out", &flags).expect(0);
    let header = run.stdout.lines().find(|line| line.contains("Metric")).unwrap();
    for label in ["toy", "mock", "letters"] {
        assert!(header.contains(label), "{header}");
    }
    // The row of another protocol is a row of its own.
    assert!(run.stdout.contains("acc (letter-logprobs)"), "{}", run.stdout);
    assert_eq!(place.folders("out").len(), 3);
}

#[test]
fn thoughts_are_kept_apart() {
    for chat in [Chat::ThinkTags, Chat::ThinkField] {
        let place = Place::new(0, 40);
        let server = Server::start(Setup { completions: Completions::Absent, chat, ..Setup::default() });
        let run = place.run(&server.model(), "toy_words", "out", &OFF).expect(3);
        // Every seventh thought does not end in time: no answer, and no wrong answer either.
        assert!(run.stderr.contains("documents not scored"), "{}", run.stderr);
        let read = |out: &str| {
            let folder = place.folder(out);
            let samples = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path());
            let samples = samples.filter(|p| p.extension().is_some_and(|e| e == "jsonl"));
            let samples = samples.filter(|p| p.file_name().unwrap().to_string_lossy().starts_with("samples_"));
            let text = std::fs::read_to_string(samples.max().unwrap()).unwrap();
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
        };
        let said = |samples: &[Value]| samples.iter().map(|s| s["resps"].to_string()).collect::<String>();
        let texts = said(&read("out"));
        assert!(!texts.contains("think") && !texts.contains("easy") && !texts.contains("long time"), "{texts}");
        // With room to think, all of them are answered.
        let room = [&OFF[..], &["--reasoning-tokens", "500"]].concat();
        place.run(&server.model(), "toy_words", "roomy", &room).expect(0);
        let texts = said(&read("roomy"));
        assert!(!texts.contains("think") && !texts.contains("easy") && !texts.contains("long time"), "{texts}");
    }
}

#[test]
fn tokens_of_the_server_give_the_numbers_of_its_offsets() {
    let place = Place::new(10, 10);
    let server = Server::start(Setup::default());
    place.run(&server.model(), "toy_choices,toy_words", "offsets", &OFF).expect(0);
    server.change(|setup| setup.tokenize = true);
    place.run(&server.model(), "toy_choices,toy_words", "tokenized", &OFF).expect(0);
    let accuracy = |out: &str| results(&place.folder(out))["results"].to_string();
    assert_eq!(accuracy("offsets"), accuracy("tokenized"));
}
