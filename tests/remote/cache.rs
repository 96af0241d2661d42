//! The response cache, from run to run and from process to process.

use crate::place::{Place, Run};
use crate::server::{Server, Setup};
use std::process::Stdio;
use std::time::Duration;

const TASKS: &str = "toy_choices,toy_words";
const FILE: [&str; 2] = ["--cache-file", "answers.sqlite"];

/// Requests of the run for prompts of the tasks.
fn asked(server: &Server) -> u32 {
    let log = server.log();
    log.prompts.iter().filter(|(key, _)| key.contains("Question")).map(|(_, count)| count.asked).sum()
}

fn run(place: &Place, server: &Server, out: &str, mode: &str) -> u32 {
    server.forget();
    place.run(&server.model(), TASKS, out, &[&FILE[..], &["--cache", mode]].concat()).expect(0);
    asked(server)
}

#[test]
fn a_second_run_folder_is_served_from_the_cache() {
    let place = Place::new(20, 20);
    let server = Server::start(Setup::default());
    assert_eq!(run(&place, &server, "first", "on"), 100);
    assert_eq!(run(&place, &server, "second", "on"), 0, "all of it is in the cache");
    place.assert_equal("first", "second");
    assert_eq!(run(&place, &server, "read", "read"), 0);
    assert_eq!(run(&place, &server, "off", "off"), 100);
    assert_eq!(run(&place, &server, "refresh", "refresh"), 100);
    assert_eq!(run(&place, &server, "after", "on"), 0);
    for out in ["read", "off", "refresh", "after"] {
        place.assert_equal("first", out);
    }
}

#[test]
fn reading_keeps_nothing() {
    let place = Place::new(5, 5);
    let server = Server::start(Setup::default());
    assert_eq!(run(&place, &server, "first", "read"), 25);
    assert_eq!(run(&place, &server, "second", "read"), 25);
    assert_eq!(run(&place, &server, "third", "on"), 25);
    assert_eq!(run(&place, &server, "fourth", "read"), 0);
}

#[test]
fn effort_is_no_part_of_what_is_kept() {
    let place = Place::new(5, 5);
    let server = Server::start(Setup::default());
    assert_eq!(run(&place, &server, "first", "on"), 25);
    server.forget();
    let more = ["--max-concurrency", "2", "--request-timeout", "7", "--max-retries", "1", "--rpm", "100000"];
    place.run(&server.model(), TASKS, "second", &[&FILE[..], &more].concat()).expect(0);
    assert_eq!(asked(&server), 0);
    // Settings that decide answers are: generations are asked anew.
    server.forget();
    place
        .run(&server.model(), "toy_words", "third", &[&FILE[..], &["--gen-kwargs", "max_gen_toks=3"]].concat())
        .expect(0);
    assert_eq!(asked(&server), 5);
}

#[test]
fn two_processes_share_it() {
    let place = Place::new(40, 40);
    let server = Server::start(Setup { delay: Duration::from_millis(2), ..Setup::default() });
    let children: Vec<_> = ["left", "right"]
        .into_iter()
        .map(|out| {
            let mut command = place.command(&server.model(), TASKS, out, &FILE);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in children {
        Run::of(child.wait_with_output().unwrap()).expect(0);
    }
    assert!((200..=400).contains(&asked(&server)), "{}", asked(&server));
    place.assert_equal("left", "right");
    assert_eq!(run(&place, &server, "third", "on"), 0);
    place.assert_equal("left", "third");
}

#[test]
fn a_killed_run_has_its_answers_in_the_cache_too() {
    let place = Place::new(40, 5);
    let server = Server::start(Setup { delay: Duration::from_millis(5), ..Setup::default() });
    let mut child = place.command(&server.model(), TASKS, "killed", &FILE).stderr(Stdio::null()).spawn().unwrap();
    while server.answered() < 60 && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let _ = child.kill();
    let _ = child.wait();
    // What was on its way when it was killed still reaches the server: it is not the next run's.
    let mut before = usize::MAX;
    while before != server.requests() as usize {
        before = server.requests() as usize;
        std::thread::sleep(Duration::from_millis(200));
    }
    // The file survives; what it has is right.
    assert!(run(&place, &server, "other", "on") <= 165);
    assert_eq!(run(&place, &server, "third", "off"), 165);
    place.assert_equal("other", "third");
}
