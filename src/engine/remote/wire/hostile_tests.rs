//! Bodies that no honest server sends: fields taken away or put in another's place. Nothing may panic, and what is read must make sense.

use super::testing::sampling;
use super::*;
use crate::engine::remote::address::WIRES;
use serde_json::json;

/// Answers that the formats take, with all their parts.
fn bodies() -> Vec<Value> {
    vec![
        json!({"model": "m", "choices": [{"text": "ab", "index": 0, "finish_reason": "stop", "message": {"content": "ab", "reasoning": "r"},
            "logprobs": {"tokens": ["a", "b"], "token_logprobs": [null, -0.5], "top_logprobs": [null, {"b": -0.5}],
            "content": [{"token": "b", "logprob": -0.5, "top_logprobs": [{"token": "b", "logprob": -0.5}]}]},
            "prompt_logprobs": [null, {"7": {"logprob": -1.0, "rank": 1, "decoded_token": "b"}}]}],
            "usage": {"prompt_tokens": 2, "completion_tokens": 1}}),
        json!({"output": [{"type": "message", "content": [{"type": "output_text", "text": "a", "logprobs": []}]}], "usage": {}}),
        json!({"content": [{"type": "text", "text": "a"}], "stop_reason": "end_turn", "usage": {"input_tokens": 1}}),
        json!({"candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP",
            "logprobsResult": {"topCandidates": [{"candidates": [{"token": "a", "logProbability": -0.1}]}]}}]}),
        json!({"content": "a", "tokens": [1, 2], "prompt": "p", "completion_probabilities": [{"top_logprobs": [{"token": "a", "logprob": -1.0}]}]}),
        json!([{"generated_text": "a", "details": {"prefill": [{"id": 1, "text": "a", "logprob": -1.0}], "generated_tokens": 1,
            "top_tokens": [[{"text": "a", "logprob": -1.0}]]}}]),
        json!({"text": "a", "meta_info": {"input_token_logprobs": [[-1.0, 1, "a"]], "input_top_logprobs": [[[-1.0, 1, "a"]]],
            "output_top_logprobs": [[[-1.0, 1, "a"]]]}}),
        json!({"data": [{"id": "a"}], "models": [{"name": "models/a"}]}),
    ]
}

/// What a field becomes.
fn substitutes() -> Vec<Value> {
    vec![
        json!(null),
        json!(-1),
        json!(1e300),
        json!("x"),
        json!([]),
        json!({}),
        json!([null]),
        json!(true),
        json!("\u{0}"),
    ]
}

/// Paths of all values inside.
fn paths(value: &Value, at: String, found: &mut Vec<String>) {
    found.push(at.clone());
    match value {
        Value::Object(map) => {
            map.iter().for_each(|(key, inner)| {
                paths(inner, format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), found)
            });
        }
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(index, inner)| paths(inner, format!("{at}/{index}"), found))
        }
        _ => {}
    }
}

#[test]
fn mutated_bodies_are_refused_or_make_sense() {
    let sampling = sampling();
    let asks = [
        Ask::Score(Input::Text("ab")),
        Ask::Generate(Input::Text("ab"), &sampling),
        Ask::FirstToken { input: Input::Text("ab"), top: 5 },
        Ask::Tokenize { text: "ab", special: true },
        Ask::ApplyTemplate(&[]),
        Ask::Models,
    ];
    let mut tried = 0;
    for body in bodies() {
        let mut all = Vec::new();
        paths(&body, String::new(), &mut all);
        for path in &all {
            for substitute in substitutes() {
                let mut mutated = body.clone();
                *mutated.pointer_mut(path).unwrap() = substitute;
                for wire in WIRES {
                    for ask in &asks {
                        check(wire.reply(ask, &mutated));
                        tried += 1;
                    }
                    let _ = (wire.error_message(&mutated), wire.is_content_filter(400, &mutated));
                }
            }
        }
    }
    assert!(tried > 10_000, "{tried}");
}

fn check(reply: Result<Reply, WireError>) {
    let sane = |logprob: f64| logprob.is_finite() && logprob <= 0.0;
    match reply {
        Ok(Reply::Scores { tokens, generated, .. }) => {
            assert!(generated <= tokens.len());
            assert!(tokens.iter().filter_map(|token| token.logprob).all(sane));
        }
        Ok(Reply::FirstToken { top, .. }) => assert!(!top.is_empty() && top.iter().all(|(_, logprob)| sane(*logprob))),
        _ => {}
    }
}
