//! Killed again and again: the same bytes in the end, and nothing that was written down is asked again.

use crate::place::{Journal, Place};
use crate::server::{Plan, Server, Setup};
use std::collections::HashSet;
use std::process::Stdio;
use std::time::Duration;

const KILLS: u64 = 20;
const TASKS: &str = "toy_choices,toy_words";
const FLAGS: [&str; 4] = ["--request-timeout", "1.5", "--cache", "off"];

#[test]
fn a_run_killed_at_twenty_moments_ends_with_the_same_bytes() {
    let place = Place::new(400, 400);
    let server = Server::start(Setup::default());
    let other = Server::start(Setup::default());
    place.run(&server.model(), TASKS, "whole", &FLAGS).expect(0);
    let plan = Plan {
        elsewhere: Some(format!("http://{}", other.address)),
        storms: Some(700),
        per_mille: 60,
        away: &[900],
        ..Plan::new(23, server.requests())
    };
    server.change(|setup| setup.faults = Some(plan));
    let mut random = fastrand::Rng::with_seed(20);
    let mut kills = 0;
    let mut started = None;
    while kills < KILLS {
        let recorded: HashSet<String> = place
            .folders("killed")
            .first()
            .map(|f| Journal::read(f).answered.into_iter().collect())
            .unwrap_or_default();
        server.forget();
        other.forget();
        let until = server.answered() + random.u64(1..95);
        let mut command = place.command(&server.model(), TASKS, "killed", &FLAGS);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while server.answered() < until && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_micros(200));
        }
        std::thread::sleep(Duration::from_micros(random.u64(..3000)));
        let _ = child.kill();
        let status = child.wait().unwrap();
        assert_asked_none_of(&recorded, &server);
        assert_asked_none_of(&recorded, &other);
        assert!(!status.success(), "the run ended before kill {kills}");
        kills += 1;
        assert!(place.folders("killed").len() <= 1, "one command, one run");
        // A kill during the probe leaves no run yet.
        if let Some(header) = started_at(&place) {
            assert_eq!(*started.get_or_insert(header.clone()), header, "the run keeps its start");
        }
    }
    let recorded: HashSet<String> = Journal::read(&place.folder("killed")).answered.into_iter().collect();
    server.forget();
    place.run(&server.model(), TASKS, "killed", &FLAGS).expect(0);
    assert_asked_none_of(&recorded, &server);
    Journal::read(&place.folder("killed")).expect_each_once(2000);
    assert_eq!(started, started_at(&place));
    place.assert_equal("whole", "killed");

    // Finished: nothing is asked any more.
    server.forget();
    let run = place.run(&server.model(), TASKS, "killed", &FLAGS).expect(0);
    assert!(run.stderr.contains("this run is finished"), "{}", run.stderr);
    assert!(!server.log().mentions("Question"), "a finished run asks nothing");
}

#[test]
fn a_server_that_is_busy_for_a_moment_does_not_begin_another_run() {
    let place = Place::new(40, 10);
    let server = Server::start(Setup::default());
    let budget = [&FLAGS[..], &["--max-tokens-total", "1000"]].concat();
    place.run(&server.model(), TASKS, "out", &budget).expect(3);
    // The list of models, from which the window is known, is not to be had; then it is again.
    server.change(|setup| setup.hides_models = true);
    place.run(&server.model(), TASKS, "out", &[&FLAGS[..], &["--max-retries", "1"]].concat());
    server.change(|setup| setup.hides_models = false);
    place.run(&server.model(), TASKS, "out", &FLAGS).expect(0);
    assert_eq!(place.folders("out").len(), 1, "the same command has the same run folder");
    Journal::read(&place.folder("out")).expect_each_once(170);
}

fn started_at(place: &Place) -> Option<String> {
    let header = std::fs::read(place.folders("killed").first()?.join("run.json")).ok()?;
    let value: serde_json::Value = serde_json::from_slice(&header).unwrap();
    value["environment"]["started"].as_str().map(str::to_string)
}

fn assert_asked_none_of(recorded: &HashSet<String>, server: &Server) {
    let log = server.log();
    let again: Vec<&String> = log.prompts.keys().filter(|key| recorded.contains(*key)).collect();
    assert!(again.is_empty(), "{} journalled requests were asked again: {:?}", again.len(), again.first());
}
