//! Anthropic's messages (`POST messages`): the system turn apart, thoughts in blocks of their own.

use super::field::{self, count, malformed, member, text, words};
use super::openai;
use super::openai_chat::joined;
use super::trouble::{self, Meaning};
use super::{Ask, Call, Input, Reply, Sampling, Wire, WireError};
use crate::request::{Message, Role, Usage};
use serde_json::{Map, Value, json};

/// Most stop strings that are sent.
const MAX_STOPS: usize = 16;

/// The format.
pub struct Anthropic;

impl Wire for Anthropic {
    fn name(&self) -> &'static str {
        "anthropic"
    }

    fn call(&self, model: &str, ask: &Ask<'_>) -> Option<Call> {
        let (messages, sampling) = match ask {
            Ask::Generate(Input::Chat(messages), sampling) => (messages, sampling),
            Ask::Models => return Some(openai::models_call()),
            _ => return None,
        };
        let (system, turns) = turns(messages);
        let mut body = Map::from_iter([
            ("model".to_string(), json!(model)),
            ("max_tokens".to_string(), json!(sampling.max_tokens)),
            ("messages".to_string(), json!(turns)),
        ]);
        if !system.is_empty() {
            body.insert("system".into(), json!(system));
        }
        settings(&mut body, sampling);
        Some(Call { path: "messages".into(), body: Some(Value::Object(body)) })
    }

    fn reply(&self, ask: &Ask<'_>, body: &Value) -> Result<Reply, WireError> {
        match ask {
            Ask::Models => openai::models(body),
            Ask::Generate(..) => generated(body),
            _ => Err(malformed("this format only writes answers")),
        }
    }

    fn error_message(&self, body: &Value) -> Option<String> {
        field::error_message(body)
    }

    fn leaves_out(&self, sampling: &Sampling) -> Vec<&'static str> {
        let mut out = Vec::new();
        out.extend(sampling.reasoning.then_some("temperature"));
        out.extend(sampling.top_p.filter(|_| sampling.reasoning).map(|_| "top_p"));
        out.extend(sampling.top_k.filter(|_| sampling.reasoning).map(|_| "top_k"));
        out.extend(sampling.min_p.map(|_| "min_p"));
        out.extend(sampling.seed.filter(|_| sampling.temperature > 0.0).map(|_| "seed"));
        out
    }
}

/// System turns together, and the others (neighbours of one role are put together by the provider; empty turns it refuses).
fn turns(messages: &[Message]) -> (String, Vec<Value>) {
    let (system, others): (Vec<&Message>, Vec<&Message>) = messages.iter().partition(|turn| turn.role == Role::System);
    let system = system.iter().map(|turn| turn.content.as_str()).collect::<Vec<_>>().join("\n\n");
    let last = others.len().saturating_sub(1);
    let mut turns = Vec::with_capacity(others.len());
    for (place, turn) in others.iter().enumerate() {
        // The start of an answer must not end in white space.
        let opens = place == last && turn.role == Role::Assistant;
        let content = if opens { turn.content.trim_end() } else { turn.content.as_str() };
        if !content.is_empty() {
            turns.push(json!({"role": turn.role.as_str(), "content": content}));
        }
    }
    if turns.is_empty() {
        // A conversation of a system turn alone is a question.
        return (String::new(), vec![json!({"role": "user", "content": system})]);
    }
    (system, turns)
}

/// Models that think take neither temperature nor `top_k`; newer ones take temperature or `top_p`, not both.
fn settings(body: &mut Map<String, Value>, sampling: &Sampling) {
    if sampling.reasoning {
        return;
    }
    let stops: Vec<&str> =
        sampling.stops.iter().map(String::as_str).filter(|stop| !stop.trim().is_empty()).take(MAX_STOPS).collect();
    if !stops.is_empty() {
        body.insert("stop_sequences".into(), json!(stops));
    }
    match sampling.top_p.filter(|_| sampling.temperature == 1.0) {
        Some(top_p) => body.insert("top_p".into(), json!(top_p)),
        None => body.insert("temperature".into(), json!(sampling.temperature)),
    };
    if sampling.temperature > 0.0 {
        if let Some(top_p) = sampling.top_p {
            body.insert("top_p".into(), json!(top_p));
        }
        if let Some(top_k) = sampling.top_k.filter(|k| *k > 0) {
            body.insert("top_k".into(), json!(top_k));
        }
    }
}

fn generated(body: &Value) -> Result<Reply, WireError> {
    if text(body, "type") == Some("error") || member(body, "error").is_some() {
        let said = field::error_message(body).unwrap_or_else(|| "an error without a message".into());
        return Err(match trouble::meaning(body) {
            Meaning::Blocked => WireError::Refused(said),
            _ => WireError::Failed(said),
        });
    }
    let blocks = field::required_list(body, "content", "content")?;
    let cut_off = match text(body, "stop_reason") {
        Some(reason) if trouble::is_block(reason) => {
            let said = joined(blocks, "text", "text");
            let said = if said.trim().is_empty() {
                format!("stop_reason is `{}`", field::short(reason))
            } else {
                field::short(&said)
            };
            return Err(WireError::Refused(said));
        }
        Some("max_tokens" | "model_context_window_exceeded") => true,
        Some("tool_use") => return Err(WireError::NoAnswer("the model called a tool instead of answering".into())),
        Some("pause_turn") => return Err(WireError::Failed("stop_reason is `pause_turn`".into())),
        Some(_) => false,
        None => return Err(malformed("`stop_reason` is missing")),
    };
    if let Some(place) = blocks.iter().position(|block| words(block, "type").is_none()) {
        return Err(malformed(format!("`content[{place}].type` is missing")));
    }
    if let Some(place) = blocks.iter().position(|b| text(b, "type") == Some("text") && text(b, "text").is_none()) {
        return Err(malformed(format!("`content[{place}].text` is no text")));
    }
    let mut thoughts = joined(blocks, "thinking", "thinking");
    if thoughts.is_empty() && blocks.iter().any(|block| text(block, "type") == Some("redacted_thinking")) {
        thoughts = "(redacted)".to_string();
    }
    Ok(Reply::Text {
        text: joined(blocks, "text", "text"),
        reasoning: (!thoughts.is_empty()).then_some(thoughts),
        cut_off,
        usage: usage(body),
        model: field::model(body),
    })
}

/// `input_tokens` leaves out what a cache held or took.
fn usage(body: &Value) -> Usage {
    let Some(said) = member(body, "usage") else { return Usage::default() };
    let number = |key: &str| count(said, key).unwrap_or(0);
    let cached_tokens = number("cache_read_input_tokens");
    Usage {
        prompt_tokens: number("input_tokens") + cached_tokens + number("cache_creation_input_tokens"),
        completion_tokens: number("output_tokens"),
        truncated_tokens: 0,
        cached_tokens,
        reasoning_tokens: 0,
    }
}

#[cfg(test)]
#[path = "anthropic_tests.rs"]
mod tests;
