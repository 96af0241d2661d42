//! All that can go wrong with a server, and no sample is lost, doubled or changed.

use crate::place::{Journal, Place, question};
use crate::server::{Completions, Fault, Plan, Server, Setup};

/// Short enough that stalled answers do not hold a test up.
const TIMEOUT: [&str; 4] = ["--request-timeout", "1.5", "--cache", "off"];

#[test]
fn two_thousand_requests_under_all_faults_give_the_same_results() {
    let place = Place::new(400, 400);
    let server = Server::start(Setup::default());
    let other = Server::start(Setup::default());
    let tasks = "toy_choices,toy_words";
    place.run(&server.model(), tasks, "calm", &TIMEOUT).expect(0);
    server.forget();
    let plan = Plan { elsewhere: Some(format!("http://{}", other.address)), ..Plan::new(11, server.requests()) };
    server.change(|setup| setup.faults = Some(plan.clone()));
    let run = place.run(&server.model(), tasks, "stormy", &TIMEOUT).expect(0);
    place.assert_equal("calm", "stormy");
    Journal::read(&place.folder("stormy")).expect_each_once(2000);

    let log = server.log();
    for fault in plan.kinds.iter().chain([&Fault::Away]) {
        assert!(log.faults.contains_key(&format!("{fault:?}")), "{fault:?} did not happen: {:?}", log.faults);
    }
    assert!(log.faults.values().sum::<u32>() > 200, "{:?}", log.faults);
    // Elsewhere answered too.
    let elsewhere = other.log();
    let answered = |key: &str| {
        [&log, &elsewhere].iter().filter_map(|log| log.prompts.get(key)).map(|count| count.answered).sum::<u32>()
    };
    let ours: Vec<&String> = log.prompts.keys().filter(|key| key.contains("Question")).collect();
    assert_eq!(ours.len(), 2000);
    assert!(ours.iter().all(|key| answered(key) >= 1), "every prompt was answered");
    // Only what was on its way when the server went away, or came too late, was answered in vain.
    let in_vain = ours.iter().filter(|key| answered(key) > 1).count();
    assert!(in_vain < 150, "{in_vain} answers were asked for again");
    assert!(!run.stderr.contains("warning"), "{}", run.stderr);
}

#[test]
fn refusals_between_faults_are_the_same_refusals() {
    let place = Place::new(100, 100);
    let is_filtered = |prompt: &str| question(prompt).is_some_and(|number| number % 50 == 3);
    let server = Server::start(Setup { filtered: Some(is_filtered), ..Setup::default() });
    let tasks = "toy_choices,toy_words";
    place.run(&server.model(), tasks, "calm", &TIMEOUT).expect(3);
    let plan = Plan { per_mille: 150, storms: None, away: &[150], ..Plan::new(5, server.requests()) };
    server.change(|setup| setup.faults = Some(plan));
    place.run(&server.model(), tasks, "stormy", &TIMEOUT).expect(3);
    place.assert_equal("calm", "stormy");
    Journal::read(&place.folder("stormy")).expect_each_once(500);
}

#[test]
fn half_a_refusal_is_no_refusal() {
    let place = Place::new(0, 12);
    let is_filtered = |prompt: &str| question(prompt) == Some(10_003);
    let server = Server::start(Setup { filtered: Some(is_filtered), ..Setup::default() });
    place.run(&server.model(), "toy_words", "calm", &TIMEOUT).expect(3);
    let plan = Plan {
        kinds: &[Fault::HalfBody, Fault::Reset],
        per_mille: 1000,
        only: "Question 10003:",
        most_per_prompt: 2,
        storms: None,
        away: &[],
        ..Plan::new(2, server.requests())
    };
    server.change(|setup| setup.faults = Some(plan));
    place.run(&server.model(), "toy_words", "stormy", &TIMEOUT).expect(3);
    place.assert_equal("calm", "stormy");
}

#[test]
fn a_body_without_end_costs_a_document_and_nothing_else() {
    let place = Place::new(0, 12);
    let server = Server::start(Setup::default());
    let plan = Plan {
        kinds: &[Fault::Huge],
        per_mille: 1000,
        only: "Question 10003:",
        most_per_prompt: 100,
        away: &[],
        storms: None,
        ..Plan::new(1, 0)
    };
    server.change(|setup| setup.faults = Some(plan));
    let run = place.run(&server.model(), "toy_words", "out", &["--cache", "off", "--max-retries", "1"]).expect(3);
    assert!(run.stderr.contains("larger than"), "{}", run.stderr);
    assert!(run.stderr.contains("1 documents not scored"), "{}", run.stderr);
    Journal::read(&place.folder("out")).expect_each_once(12);
}

#[test]
fn a_server_that_is_not_there_is_an_error_before_the_run() {
    let place = Place::new(2, 0);
    let mut server = Server::start(Setup::default());
    let model = server.model();
    server.stop();
    let run = place.run(&model, "toy_choices", "out", &["--cache", "off", "--max-retries", "1"]).expect(2);
    assert!(run.stderr.contains("hint:") && run.stderr.contains(&server.address.to_string()), "{}", run.stderr);
    assert!(place.folders("out").is_empty());
}

#[test]
fn what_the_server_lists_is_no_model_of_ours() {
    let place = Place::new(2, 0);
    let server = Server::start(Setup {
        completions: Completions::Absent,
        chat: crate::server::Chat::Absent,
        ..Setup::default()
    });
    let run = place.run(&server.model(), "toy_choices", "out", &["--cache", "off", "--max-retries", "1"]).expect(2);
    assert!(run.stderr.contains("hint:"), "{}", run.stderr);
}
