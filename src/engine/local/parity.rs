//! Held to the reference: every log-likelihood and text that lm-evaluation-harness 0.4.13 gave (HF backend, transformers 5.23,
//! torch 2.15, CPU, float32) for the prompts in its own samples files.

use super::{LocalEngine, LocalOptions};
use crate::engine::{Cancel, Engine};
use crate::model::testing::shared;
use crate::request::{Answer, Decoding, Prompt, Request, RequestKind, Response, Unscored};
use flate2::read::GzDecoder;
use serde_json::Value;
use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// Requests of a samples file with what the reference answered.
fn cases(file: &Path) -> Vec<(Request, Value)> {
    let mut cases = Vec::new();
    let mut seen = HashSet::new();
    for line in BufReader::new(GzDecoder::new(File::open(file).unwrap())).lines() {
        let sample: Value = serde_json::from_str(&line.unwrap()).unwrap();
        // One line for each filter; the answers are the same.
        if !seen.insert(sample["doc_id"].as_u64()) {
            continue;
        }
        let answers = sample["resps"].as_array().unwrap();
        for (arguments, answers) in sample["arguments"].as_array().unwrap().iter().zip(answers) {
            cases.push((request(&arguments[0], &arguments[1]), answers[0].clone()));
        }
    }
    cases
}

fn request(context: &Value, argument: &Value) -> Request {
    let context = Prompt::Text(context.as_str().unwrap().to_string());
    let kind = match argument {
        Value::String(continuation) => RequestKind::Loglikelihood { context, continuation: continuation.clone() },
        settings => RequestKind::Generate {
            context,
            decoding: Decoding {
                until: serde_json::from_value(settings["until"].clone()).unwrap(),
                max_gen_toks: settings["max_gen_toks"].as_u64().map(|n| n as usize),
                do_sample: settings["do_sample"].as_bool().unwrap(),
                temperature: 0.0,
                top_p: None,
                top_k: None,
                min_p: None,
                written: Default::default(),
            },
        },
    };
    Request { kind, sample: 0, seed: 0 }
}

fn compare(name: &str, found: &Result<Response, Unscored>, expected: &Value) {
    match &found.as_ref().unwrap().answer {
        Answer::Loglikelihood { logprob, is_greedy, .. } => {
            let value = expected[0].as_f64().unwrap();
            assert!((logprob - value).abs() <= 1e-3 + 1e-4 * value.abs(), "{name}: {logprob} is not {value}");
            assert_eq!(*is_greedy, expected[1].as_bool().unwrap(), "{name}: {value}");
        }
        Answer::Text { text, .. } => assert_eq!(text, expected.as_str().unwrap(), "{name}"),
        other => panic!("{name}: {other:?}"),
    }
}

fn hold(model: &str) {
    let Some(shared) = shared() else { return };
    let options = LocalOptions {
        model: shared.join("models").join(model).display().to_string(),
        offline: true,
        ..LocalOptions::default()
    };
    let engine = LocalEngine::load(&options).unwrap();
    let files = std::fs::read_dir(shared.join("parity").join(model)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|e| e == "gz")).collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let (requests, expected): (Vec<Request>, Vec<Value>) = cases(&file).into_iter().unzip();
        let mut answered = 0;
        let mut sink = |index: usize, outcome| {
            compare(&format!("{}, request {index}", file.display()), &outcome, &expected[index]);
            answered += 1;
            Ok(())
        };
        engine.answer(&requests, &Cancel::default(), &mut sink).unwrap();
        assert_eq!(answered, requests.len());
    }
}

#[test]
fn stories260k_answers_as_the_reference() {
    hold("stories260K");
}

#[test]
fn tiny_gemma_answers_as_the_reference() {
    hold("tiny-gemma");
}

#[test]
fn tiny_llama_answers_as_the_reference() {
    hold("tiny-llama");
}
