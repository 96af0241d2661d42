//! Keys come from the environment and go to their server, and nowhere else: not into files, not onto the terminal.

use crate::place::{Place, Run};
use crate::server::{Chat, Completions, Plan, Server, Setup, Told};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

const KEY: &str = "CANARY-7f3a-for-any-address";
const PROVIDER_KEY: &str = "CANARY-91bc-of-the-provider";

fn with_keys(mut command: Command) -> Run {
    command.env("FAIRMARK_API_KEY", KEY).env("OPENAI_API_KEY", PROVIDER_KEY).env("ANTHROPIC_API_KEY", PROVIDER_KEY);
    let run = Run::of(command.output().unwrap());
    assert!(!run.stdout.contains("CANARY") && !run.stderr.contains("CANARY"), "{}\n{}", run.stdout, run.stderr);
    run
}

/// Fails when any file under the folder has a key in it, whatever kind of file it is.
fn assert_no_keys(folder: &Path) -> usize {
    let mut files = 0;
    for path in std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
        if path.is_dir() {
            files += assert_no_keys(&path);
        } else {
            let bytes = std::fs::read(&path).unwrap();
            assert!(!bytes.windows(6).any(|w| w == b"CANARY"), "a key stands in {}", path.display());
            files += 1;
        }
    }
    files
}

#[test]
fn keys_reach_their_server_and_nothing_else() {
    let place = Place::new(30, 30);
    let server = Server::start(Setup::default());
    let other = Server::start(Setup::default());
    let plan = Plan {
        elsewhere: Some(format!("http://{}", other.address)),
        per_mille: 300,
        storms: None,
        away: &[70],
        ..Plan::new(3, 0)
    };
    server.change(|setup| setup.faults = Some(plan));
    let flags = ["--verbose", "--request-timeout", "1", "--cache-file", "answers.sqlite"];
    with_keys(place.command(&server.model(), "toy_choices,toy_words", "out", &flags)).expect(0);
    assert!(server.log().saw(KEY), "the server got the key");
    assert!(!server.log().saw(PROVIDER_KEY), "an address on the command line does not get a provider's key");
    assert!(other.log().mentions("Question"), "redirects were followed");
    assert!(!other.log().saw("CANARY"), "and the key stayed behind");
    assert!(place.path().join("answers.sqlite").exists());
    assert!(assert_no_keys(place.path()) > 8);
}

#[test]
fn a_server_that_repeats_the_key_does_not_get_it_onto_the_terminal() {
    let place = Place::new(5, 5);
    let server = Server::start(Setup { denies: true, ..Setup::default() });
    let flags = ["--verbose", "--cache-file", "answers.sqlite"];
    let run = with_keys(place.command(&server.model(), "toy_choices,toy_words", "out", &flags)).expect(2);
    assert!(run.stderr.contains("401"), "{}", run.stderr);
    assert!(server.log().saw(KEY));
    assert_no_keys(place.path());
}

#[test]
fn a_key_that_is_withdrawn_stops_the_run_and_is_not_shown() {
    let place = Place::new(100, 100);
    let server = Server::start(Setup { delay: std::time::Duration::from_millis(3), ..Setup::default() });
    let mut command = place.command(&server.model(), "toy_choices,toy_words", "out", &["--cache", "off"]);
    command.env("FAIRMARK_API_KEY", KEY).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    while server.answered() < 60 && child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    server.change(|setup| setup.denies = true);
    let run = Run::of(child.wait_with_output().unwrap());
    assert!(matches!(run.code, Some(2 | 3)), "{:?} {}", run.code, run.stderr);
    assert!(run.stderr.contains("401") && !run.stderr.contains("CANARY"), "{}", run.stderr);
    assert_no_keys(place.path());
    // With the key back in force, the same command goes on.
    server.change(|setup| setup.denies = false);
    with_keys(place.command(&server.model(), "toy_choices,toy_words", "out", &["--cache", "off"])).expect(0);
    assert_no_keys(place.path());
}

/// The key as the name of the model, in the answer, in parts of it, and in a thought.
fn repeats(told: &Told<'_>) -> Option<(u16, String, Value)> {
    let key = told.head.lines().find(|line| line.to_ascii_lowercase().starts_with("authorization"))?;
    let key = key.split_once(": ").map_or("", |(_, key)| key.trim());
    if told.prompt.is_empty() {
        return Some((200, String::new(), json!({"data": [{"id": key}, {"id": "toy"}]})));
    }
    let (first, second) = key.split_at(key.len() / 2);
    let parts = json!([{"type": "text", "text": format!("{key} and {first}")}, {"type": "text", "text": second}]);
    let message = json!({"content": parts, "reasoning_content": format!("hm, {key}")});
    Some((200, String::new(), json!({"model": key, "choices": [{"message": message, "finish_reason": "stop"}]})))
}

#[test]
fn a_server_that_answers_with_the_key_does_not_get_it_into_files() {
    let place = Place::new(0, 5);
    let server = Server::start(Setup {
        completions: Completions::Absent,
        chat: Chat::Plain,
        quirk: Some(repeats),
        ..Setup::default()
    });
    let flags = ["--verbose", "--cache-file", "answers.sqlite"];
    let run = with_keys(place.command(&server.model(), "toy_words", "out", &flags)).expect(0);
    assert!(server.log().saw(KEY));
    assert!(run.stderr.contains("repeated the key in"), "{}", run.stderr);
    let samples = place.outputs("out");
    let samples = samples.iter().find(|(name, _)| name.starts_with("samples_toy")).unwrap().1;
    assert!(String::from_utf8_lossy(samples).contains("(secret) and (secret)"), "what was taken out is marked");
    assert!(assert_no_keys(place.path()) > 8);
    // The model that it lists first is the key; with that one it goes on under another name.
    with_keys(place.command(&server.url(), "toy_words", "listed", &flags));
    assert_no_keys(place.path());
}

#[test]
fn a_killed_run_leaves_no_key_behind() {
    let place = Place::new(100, 10);
    let server = Server::start(Setup { delay: std::time::Duration::from_millis(3), ..Setup::default() });
    let mut command =
        place.command(&server.model(), "toy_words,toy_choices", "out", &["--cache-file", "answers.sqlite"]);
    command.env("FAIRMARK_API_KEY", KEY).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let mut child = command.spawn().unwrap();
    while server.answered() < 100 && child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let _ = child.kill();
    let _ = child.wait();
    assert!(server.log().saw(KEY));
    // The write-ahead log of the cache is one of the files.
    assert!(place.path().join("answers.sqlite-wal").exists());
    assert_no_keys(place.path());
}

#[test]
fn a_server_that_has_moved_is_followed_without_the_key() {
    let place = Place::new(5, 5);
    let new = Server::start(Setup::default());
    let old = Server::start(Setup { redirect: Some(format!("http://{}", new.address)), ..Setup::default() });
    with_keys(place.command(&old.model(), "toy_choices,toy_words", "out", &["--cache", "off"])).expect(0);
    assert!(old.log().saw(KEY));
    assert!(new.log().mentions("Question") && !new.log().saw("CANARY"));
}

#[test]
fn a_provider_s_key_goes_where_its_own_variable_points() {
    let place = Place::new(0, 5);
    let server = Server::start(Setup::default());
    let mut command = place.command("openai:toy", "toy_words", "out", &["--cache", "off"]);
    command.env("OPENAI_BASE_URL", server.url());
    with_keys(command).expect(0);
    assert!(server.log().saw(PROVIDER_KEY) && !server.log().saw(KEY));
    assert_no_keys(place.path());
}
