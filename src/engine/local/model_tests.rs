//! Schedules over real models: the reference's numbers, and the same bits however the work is cut.

use super::decode::Texts;
use super::schedule::Settings;
use super::schedule_tests::{AMPLE, Dice, Job, Outcome, answers, answers_with, jobs};
use crate::error::Result;
use crate::model::testing::{fixture, shared_model};
use crate::model::{LoadOptions, Model};
use crate::request::Answer;
use serde_json::Value;
use std::path::Path;

fn load(dir: &Path) -> Model {
    Model::load(dir, &LoadOptions::default()).unwrap()
}

#[test]
fn answers_are_the_same_bits_however_the_work_is_cut() {
    for (name, seed) in [("llama", 1), ("gemma", 2)] {
        let model = load(&fixture(name));
        let dice = &mut Dice(seed);
        let mut jobs = jobs(dice, 40, 50);
        let expected: Vec<Outcome> =
            jobs.iter().map(|job| answers(&model, std::slice::from_ref(job), AMPLE, 1).remove(0)).collect();
        let mut order: Vec<usize> = (0..jobs.len()).collect();
        for round in 0..6 {
            for at in (1..jobs.len()).rev() {
                let to = dice.roll(at + 1);
                jobs.swap(at, to);
                order.swap(at, to);
            }
            let settings = Settings {
                pass_tokens: [16, 64, 1024][dice.roll(3)],
                texts: 1 + dice.roll(8),
                text_tokens: 1 + dice.roll(4),
                kv_memory: [0, model.kv_bytes(100), model.kv_bytes(1000), 1 << 30][dice.roll(4)],
            };
            let split = dice.roll(jobs.len());
            let threads = 1 + dice.roll(4);
            let mut found = answers(&model, &jobs[..split], settings, threads);
            found.extend(answers(&model, &jobs[split..], settings, threads));
            for (found, at) in found.iter().zip(&order) {
                assert_eq!(found, &expected[*at], "{name}, round {round}: {settings:?}");
            }
        }
    }
}

fn reference(dir: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(dir.join("reference.json")).unwrap()).unwrap()
}

fn ids(value: &Value) -> Vec<u32> {
    serde_json::from_value(value.clone()).unwrap()
}

// reference.json: transformers in f32.
#[test]
fn log_probabilities_equal_the_reference() {
    for name in ["stories260K", "llama2xs-279K"] {
        let Some(dir) = shared_model(name) else { return };
        let model = load(&dir);
        for scored in reference(&dir)["scored"].as_array().unwrap() {
            let ids = ids(&scored["ids"]);
            // The whole, and each token on its own.
            let mut jobs = vec![Job::Score { ids: ids.clone(), targets: ids.len() - 1 }];
            jobs.extend((1..ids.len()).map(|end| Job::Score { ids: ids[..=end].to_vec(), targets: 1 }));
            let scores = answers(&model, &jobs, AMPLE, 2).into_iter().map(|outcome| match outcome {
                Outcome::Score(score) => score,
                Outcome::Text(_) => panic!("a score"),
            });
            let scores: Vec<_> = scores.collect();
            let (whole, parts) = scores.split_first().unwrap();
            assert!((whole.logprob - scored["sum_logprob"].as_f64().unwrap()).abs() < 1e-3, "{name}: {whole:?}");
            assert_eq!(whole.is_greedy, scored["is_greedy"].as_bool().unwrap());
            for (part, expected) in parts.iter().zip(scored["token_logprobs"].as_array().unwrap()) {
                assert!((part.logprob - expected.as_f64().unwrap()).abs() < 1e-4, "{name}");
            }
            let sum: f64 = parts.iter().map(|part| part.logprob).sum();
            assert_eq!(sum.to_bits(), whole.logprob.to_bits(), "{name}: the whole is the sum of its tokens");
        }
    }
}

/// Ids, so that they can be compared.
fn show(ids: &[u32], _: bool) -> Result<String> {
    Ok(ids.iter().map(u32::to_string).collect::<Vec<_>>().join(" "))
}

// reference.json: greedy ids of transformers in f32.
#[test]
fn greedy_text_equals_the_reference() {
    for name in ["stories260K", "llama2xs-279K"] {
        let Some(dir) = shared_model(name) else { return };
        let model = load(&dir);
        let eos = model.config.eos_token_ids.clone();
        let reference = reference(&dir);
        let greedy = reference["greedy"].as_array().unwrap();
        let jobs: Vec<Job> = greedy
            .iter()
            .map(|case| Job::Write {
                ids: ids(&case["prompt_ids"]),
                most: ids(&case["new_ids"]).len(),
                draws: false,
                sample: 0,
            })
            .collect();
        let found = answers_with(Texts { decode: &show, eos: &eos }, &model, &jobs, AMPLE, 2);
        for (found, case) in found.into_iter().zip(greedy) {
            let new: Vec<u32> = ids(&case["new_ids"]).into_iter().filter(|id| !eos.contains(id)).collect();
            let Outcome::Text(response) = found else { panic!("a text") };
            let Answer::Text { text, .. } = response.answer else { panic!("a text") };
            assert_eq!(text, show(&new, true).unwrap(), "{name}");
        }
    }
}
