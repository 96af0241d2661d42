//! Gemini's `generateContent`: the model in the path, the system turn apart, answers in parts, blocks by reason.

use super::field::{self, count, inner, malformed, member, text, words};
use super::openai::{small_seed, stops};
use super::trouble::{self, Meaning};
use super::{Ask, Call, Input, Reply, Sampling, Wire, WireError};
use crate::request::{Message, Role, Usage};
use serde_json::{Map, Value, json};

/// Most stop strings.
const MAX_STOPS: usize = 5;

/// Most likely tokens that may be asked for.
const MAX_TOP: usize = 20;

/// The format.
pub struct Gemini;

impl Wire for Gemini {
    fn name(&self) -> &'static str {
        "gemini"
    }

    fn call(&self, model: &str, ask: &Ask<'_>) -> Option<Call> {
        let (input, config) = match ask {
            Ask::Generate(input, sampling) => (input, settings(sampling)),
            Ask::FirstToken { input, top } => {
                let top = (*top).clamp(1, MAX_TOP);
                (input, json!({"maxOutputTokens": 1, "temperature": 0, "responseLogprobs": true, "logprobs": top}))
            }
            Ask::Models => return Some(Call { path: "models?pageSize=1000".into(), body: None }),
            _ => return None,
        };
        let Input::Chat(messages) = input else { return None };
        let mut body = contents(messages);
        body.insert("generationConfig".into(), config);
        let model = model.strip_prefix("models/").unwrap_or(model);
        let folder = if model.contains('/') { "" } else { "models/" };
        let path = format!("{folder}{}:generateContent", in_path(model));
        Some(Call { path, body: Some(Value::Object(body)) })
    }

    fn reply(&self, ask: &Ask<'_>, body: &Value) -> Result<Reply, WireError> {
        match ask {
            Ask::Models => models(body),
            Ask::Generate(..) => generated(body),
            Ask::FirstToken { .. } => first_token(body),
            _ => Err(malformed("this format only writes answers")),
        }
    }

    fn error_message(&self, body: &Value) -> Option<String> {
        field::error_message(body)
    }

    fn leaves_out(&self, sampling: &Sampling) -> Vec<&'static str> {
        sampling.min_p.map(|_| "min_p").into_iter().collect()
    }
}

/// A model's name with everything escaped that would end a path.
fn in_path(model: &str) -> String {
    let mut path = String::with_capacity(model.len());
    for byte in model.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_./".contains(&byte) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    path
}

/// Turns, the system's apart. A conversation of a system turn alone is a question.
fn contents(messages: &[Message]) -> Map<String, Value> {
    let of_system = |turn: &&Message| turn.role == Role::System;
    let part = |turn: &Message| json!({"text": turn.content});
    let system: Vec<Value> = messages.iter().filter(of_system).map(part).collect();
    let turn = |turn: &Message| {
        let role = if turn.role == Role::Assistant { "model" } else { "user" };
        json!({"role": role, "parts": [part(turn)]})
    };
    let turns: Vec<Value> = messages.iter().filter(|turn| turn.role != Role::System).map(turn).collect();
    if turns.is_empty() {
        return Map::from_iter([("contents".to_string(), json!([{"role": "user", "parts": system}]))]);
    }
    let mut body = Map::from_iter([("contents".to_string(), json!(turns))]);
    if !system.is_empty() {
        body.insert("systemInstruction".into(), json!({"parts": system}));
    }
    body
}

fn settings(sampling: &Sampling) -> Value {
    let mut config = Map::new();
    config.insert("maxOutputTokens".into(), json!(sampling.max_tokens));
    config.insert("temperature".into(), json!(sampling.temperature));
    if sampling.temperature > 0.0 {
        let settings = [
            ("topP", Some(json!(sampling.top_p.unwrap_or(1.0)))),
            ("topK", sampling.top_k.filter(|k| *k > 0).map(|k| json!(k))),
            ("seed", sampling.seed.map(|seed| json!(small_seed(seed)))),
        ];
        config.extend(settings.into_iter().filter_map(|(name, value)| Some((name.to_string(), value?))));
    }
    if sampling.reasoning {
        config.insert("thinkingConfig".into(), json!({"includeThoughts": true}));
    } else {
        let stops = stops(sampling, MAX_STOPS);
        if !stops.is_empty() {
            config.insert("stopSequences".into(), json!(stops));
        }
    }
    Value::Object(config)
}

/// The candidate of index 0 and whether it was cut off.
fn candidate(body: &Value) -> Result<(&Value, bool), WireError> {
    match field::failure(body) {
        Some(WireError::Failed(said)) if trouble::meaning(body) == Meaning::Blocked => {
            return Err(WireError::Refused(said));
        }
        Some(failure) => return Err(failure),
        None => {}
    }
    if let Some(reason) = inner(body, "promptFeedback", "blockReason") {
        return Err(WireError::Refused(format!(
            "promptFeedback.blockReason is `{}`",
            field::short(reason.as_str().unwrap_or("?"))
        )));
    }
    let list = field::required_list(body, "candidates", "candidates")?;
    if list.is_empty() {
        return Err(malformed("`candidates` is empty"));
    }
    let candidate = field::first_choice(list).ok_or_else(|| malformed("`candidates` has no entry of index 0"))?;
    match text(candidate, "finishReason") {
        Some(reason) if trouble::is_block(reason) => {
            Err(WireError::Refused(format!("finishReason is `{}`", field::short(reason))))
        }
        Some("STOP") => Ok((candidate, false)),
        Some("MAX_TOKENS") => Ok((candidate, true)),
        Some(reason) => Err(WireError::Failed(format!("finishReason is `{}`", field::short(reason)))),
        None => Err(malformed("`candidates[0].finishReason` is missing")),
    }
}

fn generated(body: &Value) -> Result<Reply, WireError> {
    let (candidate, cut_off) = candidate(body)?;
    let parts: &[Value] = match inner(candidate, "content", "parts") {
        Some(Value::Array(parts)) => parts,
        Some(_) => return Err(malformed("`candidates[0].content.parts` is no list")),
        // Nothing was written: all tokens went into thoughts, or the answer is empty.
        None if member(candidate, "content").is_some() || cut_off => &[],
        None => return Err(malformed("`candidates[0].content` is missing")),
    };
    let of = |thought: bool| -> String {
        let is_thought = |part: &&Value| (member(part, "thought") == Some(&Value::Bool(true))) == thought;
        parts.iter().filter(is_thought).filter_map(|part| text(part, "text")).collect()
    };
    let thoughts = of(true);
    Ok(Reply::Text {
        text: of(false),
        reasoning: (!thoughts.is_empty()).then_some(thoughts),
        cut_off,
        usage: usage(body),
        model: model(body),
    })
}

fn first_token(body: &Value) -> Result<Reply, WireError> {
    let (candidate, _) = candidate(body)?;
    let name = "candidates[0].logprobsResult.topCandidates";
    let steps =
        inner(candidate, "logprobsResult", "topCandidates").ok_or_else(|| malformed(format!("`{name}` is missing")))?;
    let first =
        steps.as_array().and_then(|steps| steps.first()).ok_or_else(|| malformed(format!("`{name}` is empty")))?;
    let list = field::required_list(first, "candidates", &format!("{name}[0].candidates"))?;
    let mut top = Vec::with_capacity(list.len());
    for (place, entry) in list.iter().enumerate() {
        let at = |key: &str| format!("{name}[0].candidates[{place}].{key}");
        let token = field::required_text(entry, "token", &at("token"))?;
        // A number of 0 is left out of bodies of this kind.
        let logprob =
            entry.get("logProbability").map_or(Ok(0.0), |value| field::logprob(value, || at("logProbability")))?;
        top.push((token.to_string(), logprob));
    }
    if top.is_empty() {
        return Err(malformed(format!("`{name}[0].candidates` is empty")));
    }
    Ok(Reply::FirstToken { top: field::likeliest_first(top), usage: usage(body), model: model(body) })
}

fn model(body: &Value) -> Option<String> {
    words(body, "modelVersion").map(str::to_string)
}

fn models(body: &Value) -> Result<Reply, WireError> {
    let list = field::required_list(body, "models", "models")?;
    let served = list.iter().filter_map(|entry| {
        let name = words(entry, "name")?;
        Some(field::served(entry, name.strip_prefix("models/").unwrap_or(name)))
    });
    Ok(Reply::Models(served.collect()))
}

fn usage(body: &Value) -> Usage {
    let Some(said) = member(body, "usageMetadata") else { return Usage::default() };
    let number = |key: &str| count(said, key).unwrap_or(0);
    let reasoning_tokens = number("thoughtsTokenCount");
    Usage {
        prompt_tokens: number("promptTokenCount"),
        completion_tokens: number("candidatesTokenCount") + reasoning_tokens,
        truncated_tokens: 0,
        cached_tokens: number("cachedContentTokenCount"),
        reasoning_tokens,
    }
}

#[cfg(test)]
#[path = "gemini_tests.rs"]
mod tests;
