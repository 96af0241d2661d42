//! Budgets, rates and fleets.

use crate::place::{Journal, Place, Run};
use crate::server::{Server, Setup};
use std::process::Stdio;
use std::time::{Duration, Instant};

const OFF: [&str; 2] = ["--cache", "off"];
const TASKS: &str = "toy_choices,toy_words";

#[test]
fn a_budget_of_tokens_stops_cleanly_and_is_resumed() {
    let place = Place::new(100, 0);
    let server = Server::start(Setup { delay: Duration::from_millis(1), ..Setup::default() });
    place.run(&server.model(), "toy_choices", "whole", &OFF).expect(0);
    let flags = [&OFF[..], &["--max-tokens-total", "5000"]].concat();
    let mut before = 0;
    let mut runs = 0;
    loop {
        let run = place.run(&server.model(), "toy_choices", "out", &flags);
        let answered = Journal::read(&place.folder("out")).answered.len();
        assert!(answered > before, "each run gets on");
        runs += 1;
        if run.code == Some(0) {
            break;
        }
        let run = run.expect(3);
        assert!(run.stderr.contains("budget") && run.stderr.contains("hint:"), "{}", run.stderr);
        assert!(answered < 400 && runs < 30);
        before = answered;
    }
    assert!(runs > 2, "{runs}");
    Journal::read(&place.folder("out")).expect_each_once(400);
    place.assert_equal("whole", "out");
}

#[test]
fn requests_per_minute_are_kept_to() {
    let place = Place::new(0, 40);
    let server = Server::start(Setup::default());
    let begun = Instant::now();
    let flags = [&OFF[..], &["--rpm", "900"]].concat();
    place.run(&server.model(), "toy_words", "out", &flags).expect(0);
    let (took, asked) = (begun.elapsed().as_secs_f64(), server.requests() as f64);
    // 15 in a second, and a second's worth ahead for the probes and for the run.
    assert!(asked <= 15.0 * (took + 2.0) + 1.0, "{asked} requests in {took:.2} s");
}

#[test]
fn a_fleet_survives_the_death_of_a_server() {
    let place = Place::new(150, 50);
    let slow = Setup { delay: Duration::from_millis(2), ..Setup::default() };
    let (first, mut second) = (Server::start(slow.clone()), Server::start(slow));
    let model = format!("{},{}#toy", first.url(), second.url());
    place.run(&model, TASKS, "whole", &OFF).expect(0);
    assert!(first.log().mentions("Question") && second.log().mentions("Question"), "both work");
    let before = second.answered();
    let mut command = place.command(&model, TASKS, "out", &OFF);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while second.answered() < before + 100 && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    second.stop();
    Run::of(child.wait_with_output().unwrap()).expect(0);
    Journal::read(&place.folder("out")).expect_each_once(650);
    place.assert_equal("whole", "out");
}

#[test]
fn one_connection_pool_serves_a_run() {
    let place = Place::new(200, 0);
    let server = Server::start(Setup::default());
    place.run(&server.model(), "toy_choices", "out", &[&OFF[..], &["--max-concurrency", "8"]].concat()).expect(0);
    assert!(server.requests() >= 800);
    // Eight, some for probes, and now and then one that is opened while another is about to be free.
    assert!(server.connections() <= 40, "{} connections", server.connections());
}
