//! llama.cpp's server by its own routes: `/completion`, `/tokenize`, `/apply-template`.
//!
//! It gives log-probabilities of generated tokens only, so there is no `Score`. Those of the first token are of the whole vocabulary and
//! before any sampling (`post_sampling_probs` is off).

use super::field::{self, count, malformed, member, text, whole};
use super::openai::{self, small_seed, stops};
use super::{Ask, Call, Input, Reply, Sampling, Wire, WireError};
use crate::request::Usage;
use serde_json::{Map, Value, json};

/// Most likely tokens that are asked for.
const MAX_TOP: usize = 1000;

/// The format.
pub struct LlamaServer;

impl Wire for LlamaServer {
    fn name(&self) -> &'static str {
        "llama-server"
    }

    fn call(&self, _model: &str, ask: &Ask<'_>) -> Option<Call> {
        let (path, body) = match ask {
            Ask::Score(_) => return None,
            Ask::Generate(input, sampling) => ("/completion", generate(prompt(input)?, sampling)),
            Ask::FirstToken { input, top } => (
                "/completion",
                json!({"prompt": prompt(input)?, "n_predict": 1, "temperature": 0, "repeat_penalty": 1.0,
                    "n_probs": (*top).clamp(1, MAX_TOP), "post_sampling_probs": false}),
            ),
            Ask::Tokenize { text, special } => ("/tokenize", json!({"content": text, "add_special": special})),
            Ask::ApplyTemplate(turns) => {
                let turns: Vec<Value> =
                    turns.iter().map(|turn| json!({"role": turn.role.as_str(), "content": turn.content})).collect();
                ("/apply-template", json!({ "messages": turns }))
            }
            Ask::Models => return Some(Call { path: "/v1/models".into(), body: None }),
        };
        Some(Call { path: path.into(), body: Some(body) })
    }

    fn reply(&self, ask: &Ask<'_>, body: &Value) -> Result<Reply, WireError> {
        if let Some(failure) = field::failure(body) {
            return Err(failure);
        }
        match ask {
            Ask::Models => openai::models(body),
            Ask::Tokenize { .. } => field::token_ids(field::required_list(body, "tokens", "tokens")?, "tokens"),
            Ask::ApplyTemplate(_) => {
                field::required_text(body, "prompt", "prompt").map(|prompt| Reply::Template(prompt.to_string()))
            }
            Ask::Generate(..) => generated(body),
            Ask::FirstToken { .. } => first_token(body),
            Ask::Score(_) => Err(malformed("this format scores no prompts")),
        }
    }

    fn error_message(&self, body: &Value) -> Option<String> {
        field::error_message(body)
    }
}

fn prompt(input: &Input<'_>) -> Option<Value> {
    match input {
        Input::Text(text) => Some(json!(text)),
        Input::Ids(ids) => Some(json!(ids)),
        Input::Chat(_) => None,
    }
}

/// Samplers that the server has on by itself are switched off unless the task asks for them.
fn generate(prompt: Value, sampling: &Sampling) -> Value {
    let mut body = Map::from_iter([
        ("prompt".to_string(), prompt),
        ("n_predict".to_string(), json!(sampling.max_tokens)),
        ("temperature".to_string(), json!(sampling.temperature)),
        ("repeat_penalty".to_string(), json!(1.0)),
    ]);
    if sampling.temperature > 0.0 {
        body.insert("top_k".into(), json!(sampling.top_k.unwrap_or(0)));
        body.insert("top_p".into(), json!(sampling.top_p.unwrap_or(1.0)));
        body.insert("min_p".into(), json!(sampling.min_p.unwrap_or(0.0)));
        if let Some(seed) = sampling.seed {
            body.insert("seed".into(), json!(small_seed(seed)));
        }
    }
    let stops = stops(sampling, usize::MAX);
    if !sampling.reasoning && !stops.is_empty() {
        body.insert("stop".into(), json!(stops));
    }
    Value::Object(body)
}

fn generated(body: &Value) -> Result<Reply, WireError> {
    let content = field::required_text(body, "content", "content")?.to_string();
    let cut_off = match text(body, "stop_type") {
        Some(kind) => kind == "limit",
        // Older servers have a flag for each kind.
        None => match member(body, "stopped_limit") {
            Some(Value::Bool(limit)) => *limit,
            _ => return Err(malformed("`stop_type` is missing")),
        },
    };
    Ok(Reply::Text { text: content, reasoning: None, cut_off, usage: usage(body), model: field::model(body) })
}

fn first_token(body: &Value) -> Result<Reply, WireError> {
    let name = "completion_probabilities";
    let list = field::required_list(body, name, name)?;
    let top = openai::first_of_content(list, name)?;
    Ok(Reply::FirstToken { top, usage: usage(body), model: field::model(body) })
}

fn usage(body: &Value) -> Usage {
    let cached = member(body, "timings").and_then(|timings| member(timings, "cache_n")).and_then(whole);
    Usage {
        prompt_tokens: count(body, "tokens_evaluated").unwrap_or(0),
        completion_tokens: count(body, "tokens_predicted").unwrap_or(0),
        truncated_tokens: 0,
        cached_tokens: cached.map_or(0, |number| number as usize),
        reasoning_tokens: 0,
    }
}

#[cfg(test)]
#[path = "llama_server_tests.rs"]
mod tests;
