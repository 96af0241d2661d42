//! What cannot be answered is a third state: listed, bounded, asked again when that makes sense.

use crate::place::{Place, question, results};
use crate::server::{Chat, Completions, Server, Setup};
use std::collections::BTreeSet;

const OFF: [&str; 2] = ["--cache", "off"];

/// Documents that the server was asked about.
fn questions(server: &Server) -> BTreeSet<usize> {
    server.log().prompts.keys().filter_map(|key| question(key)).collect()
}

#[test]
fn documents_that_fail_are_asked_again_and_no_others() {
    let place = Place::new(30, 30);
    let is_rejected = |prompt: &str| question(prompt).is_some_and(|number| number % 10 == 4);
    let server = Server::start(Setup { rejected: Some(is_rejected), ..Setup::default() });
    let run = place.run(&server.model(), "toy_choices,toy_words", "out", &OFF).expect(3);
    assert!(
        run.stderr.contains("6 documents not scored") && run.stderr.contains("cannot be answered"),
        "{}",
        run.stderr
    );
    // The rest was scored all the same, and figures say what they could have been.
    assert!(run.stdout.contains("toy_choices") && run.stdout.contains("toy_words"), "{}", run.stdout);
    assert!(run.stdout.contains("between"), "bounds:\n{}", run.stdout);
    assert!(!results(&place.folder("out"))["results"]["toy_choices"]["acc,none"].is_null());

    // Still so: the same documents are asked, and only they.
    server.forget();
    place.run(&server.model(), "toy_choices,toy_words", "out", &OFF).expect(3);
    assert_eq!(questions(&server), [4, 14, 24, 10_004, 10_014, 10_024].into());
    // Mended: they are asked once more, and the run is as if nothing had been.
    server.change(|setup| setup.rejected = None);
    server.forget();
    place.run(&server.model(), "toy_choices,toy_words", "out", &OFF).expect(0);
    assert_eq!(questions(&server), [4, 14, 24, 10_004, 10_014, 10_024].into());
    place.run(&server.model(), "toy_choices,toy_words", "whole", &OFF).expect(0);
    place.assert_equal("out", "whole");
}

#[test]
fn refusals_are_final_until_they_are_to_be_asked_again() {
    let place = Place::new(0, 30);
    let is_filtered = |prompt: &str| question(prompt).is_some_and(|number| number % 10 == 4);
    let server = Server::start(Setup { filtered: Some(is_filtered), ..Setup::default() });
    let run = place.run(&server.model(), "toy_words", "out", &OFF).expect(3);
    assert!(run.stderr.contains("3 documents not scored") && run.stdout.contains("refused"), "{}", run.stderr);
    assert!(run.stdout.contains("between"), "bounds:\n{}", run.stdout);
    server.change(|setup| setup.filtered = None);
    server.forget();
    place.run(&server.model(), "toy_words", "out", &OFF).expect(3);
    assert!(questions(&server).is_empty(), "refusals are not asked again by themselves");
    let again = [&OFF[..], &["--retry-refused"]].concat();
    place.run(&server.model(), "toy_words", "out", &again).expect(0);
    assert_eq!(questions(&server), [10_004, 10_014, 10_024].into());
    place.run(&server.model(), "toy_words", "whole", &OFF).expect(0);
    place.assert_equal("out", "whole");
}

#[test]
fn texts_cannot_be_scored_by_letters() {
    let place = Place::new(0, 5);
    let task = "task: toy_texts\ndataset_path: json\ndataset_kwargs:\n  data_files: {test: words.jsonl}\ntest_split: test\n\
                output_type: loglikelihood_rolling\ndoc_to_text: \"\"\ndoc_to_target: \"{{text}}\"\nmetric_list:\n  - metric: word_perplexity\n";
    std::fs::write(place.path().join("tasks/texts.yaml"), task).unwrap();
    let server = Server::start(Setup { completions: Completions::Absent, chat: Chat::TopLogprobs, ..Setup::default() });
    let run = place.run(&server.model(), "toy_words,toy_texts", "out", &OFF);
    assert!(matches!(run.code, Some(2 | 3)), "{}", run.stderr);
    assert!(run.stderr.contains("toy_texts") && run.stderr.contains("does not score prompts"), "{}", run.stderr);
    // A server that scores does them, if something stands before the first token.
    let server = Server::start(Setup { bos: true, ..Setup::default() });
    place.run(&server.model(), "toy_texts", "scored", &OFF).expect(0);
    assert!(results(&place.folder("scored"))["results"]["toy_texts"]["word_perplexity,none"].as_f64().unwrap() > 1.0);
    let server = Server::start(Setup::default());
    let run = place.run(&server.model(), "toy_texts", "unscored", &OFF).expect(3);
    assert!(run.stderr.contains("nothing stands before it"), "{}", run.stderr);
}
