//! OpenAI's responses (`POST responses`): no stop strings, at least 16 tokens, nothing kept by the provider.

use super::field::{self, count, inner, malformed, member, text, whole, words};
use super::openai;
use super::openai_chat::{joined, opening};
use super::trouble::{self, Meaning};
use super::{Ask, Call, Input, Reply, Sampling, Wire, WireError};
use crate::request::Usage;
use serde_json::{Map, Value, json};

/// The fewest tokens that may be asked for.
const FEWEST_TOKENS: usize = 16;

/// Most likely tokens that may be asked for.
const MAX_TOP: usize = 20;

/// The format.
pub struct Responses;

impl Wire for Responses {
    fn name(&self) -> &'static str {
        "openai-responses"
    }

    fn call(&self, model: &str, ask: &Ask<'_>) -> Option<Call> {
        let body = match ask {
            Ask::Generate(input, sampling) => {
                let mut body = body(model, input, sampling.max_tokens)?;
                if !sampling.reasoning {
                    body.insert("temperature".into(), json!(sampling.temperature));
                    if let Some(top_p) = sampling.top_p.filter(|_| sampling.temperature > 0.0) {
                        body.insert("top_p".into(), json!(top_p));
                    }
                }
                body
            }
            Ask::FirstToken { input, top } => {
                let mut body = body(model, input, FEWEST_TOKENS)?;
                body.insert("temperature".into(), json!(0));
                body.insert("top_logprobs".into(), json!((*top).clamp(1, MAX_TOP)));
                body.insert("include".into(), json!(["message.output_text.logprobs"]));
                body
            }
            Ask::Models => return Some(openai::models_call()),
            _ => return None,
        };
        Some(Call { path: "responses".into(), body: Some(Value::Object(body)) })
    }

    fn reply(&self, ask: &Ask<'_>, body: &Value) -> Result<Reply, WireError> {
        match ask {
            Ask::Models => openai::models(body),
            Ask::Generate(input, sampling) => generated(input, sampling, body),
            Ask::FirstToken { .. } => first_token(body),
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
        out.extend(sampling.top_k.map(|_| "top_k"));
        out.extend(sampling.min_p.map(|_| "min_p"));
        out.extend(sampling.seed.filter(|_| sampling.temperature > 0.0).map(|_| "seed"));
        out
    }
}

fn body(model: &str, input: &Input<'_>, max_tokens: usize) -> Option<Map<String, Value>> {
    let Input::Chat(messages) = input else { return None };
    let turns: Vec<Value> =
        messages.iter().map(|turn| json!({"role": turn.role.as_str(), "content": turn.content})).collect();
    Some(Map::from_iter([
        ("model".to_string(), json!(model)),
        ("input".to_string(), json!(turns)),
        ("max_output_tokens".to_string(), json!(max_tokens.max(FEWEST_TOKENS))),
        // Some servers stream unless they are told not to.
        ("stream".to_string(), json!(false)),
        ("store".to_string(), json!(false)),
    ]))
}

/// The parts of all messages of the output, and the thoughts.
struct Output {
    parts: Vec<Value>,
    reasoning: Option<String>,
}

fn output(body: &Value) -> Result<Output, WireError> {
    if let Some(failure) = failed(body) {
        return Err(failure);
    }
    let items = field::required_list(body, "output", "output")?;
    let is_cut_off = reason(body) == Some("max_output_tokens");
    let (mut parts, mut thoughts, mut messages, mut has_thought) = (Vec::new(), String::new(), 0, false);
    for (place, item) in items.iter().enumerate() {
        match text(item, "type") {
            Some("message") => {
                messages += 1;
                parts.extend_from_slice(field::required_list(item, "content", &format!("output[{place}].content"))?);
            }
            Some("function_call" | "custom_tool_call") if !is_cut_off => {
                return Err(WireError::NoAnswer("the model called a tool instead of answering".into()));
            }
            Some("reasoning") => {
                has_thought = true;
                for (list, kind) in [("content", "reasoning_text"), ("summary", "summary_text")] {
                    let list = member(item, list).and_then(Value::as_array);
                    thoughts.extend(list.map(|list| joined(list, kind, "text")));
                }
            }
            _ => {}
        }
    }
    if let Some(said) = parts.iter().find_map(|part| words(part, "refusal")) {
        return Err(WireError::Refused(field::short(said)));
    }
    // A thought alone is looked at by who knows what was asked.
    if messages == 0 && !is_cut_off && !has_thought {
        return Err(malformed("`output` has no message"));
    }
    if messages == 0 && thoughts.is_empty() && has_thought && !is_cut_off {
        thoughts = "(not shown)".to_string();
    }
    Ok(Output { parts, reasoning: (!thoughts.is_empty()).then_some(thoughts) })
}

fn reason(body: &Value) -> Option<&str> {
    text(member(body, "incomplete_details")?, "reason")
}

fn failed(body: &Value) -> Option<WireError> {
    if let Some(reason) = reason(body).filter(|reason| trouble::is_block(reason)) {
        return Some(WireError::Refused(format!("incomplete_details.reason is `{}`", field::short(reason))));
    }
    let status = text(body, "status").filter(|status| matches!(*status, "failed" | "cancelled"));
    let failure =
        field::failure(body).or_else(|| status.map(|status| WireError::Failed(format!("status is `{status}`"))))?;
    Some(match failure {
        WireError::Failed(said) if trouble::meaning(body) == Meaning::Blocked => WireError::Refused(said),
        other => other,
    })
}

fn generated(input: &Input<'_>, sampling: &Sampling, body: &Value) -> Result<Reply, WireError> {
    let output = output(body)?;
    let usage = usage(body);
    // Some servers call an answer completed that ends at the limit.
    let asked = sampling.max_tokens.max(FEWEST_TOKENS);
    let cut_off = text(body, "status") == Some("incomplete") || usage.completion_tokens >= asked;
    let text = joined(&output.parts, "output_text", "text");
    let opened = if let Input::Chat(turns) = input { opening(turns) } else { None };
    let text = openai::behind_opening(&text, opened).to_string();
    Ok(Reply::Text { text, reasoning: output.reasoning, cut_off, usage, model: field::model(body) })
}

fn first_token(body: &Value) -> Result<Reply, WireError> {
    let output = output(body)?;
    let part = output.parts.iter().find(|part| text(part, "type") == Some("output_text"));
    let part = part.ok_or_else(|| malformed("`output[0].content` has no text"))?;
    let name = "output[0].content[0].logprobs";
    let top = openai::first_of_content(field::required_list(part, "logprobs", name)?, name)?;
    Ok(Reply::FirstToken { top, usage: usage(body), model: field::model(body) })
}

fn usage(body: &Value) -> Usage {
    let Some(said) = member(body, "usage") else { return Usage::default() };
    let detail = |outer: &str, key: &str| inner(said, outer, key).and_then(whole).map_or(0, |number| number as usize);
    Usage {
        prompt_tokens: count(said, "input_tokens").unwrap_or(0),
        completion_tokens: count(said, "output_tokens").unwrap_or(0),
        truncated_tokens: 0,
        cached_tokens: detail("input_tokens_details", "cached_tokens"),
        reasoning_tokens: detail("output_tokens_details", "reasoning_tokens"),
    }
}

#[cfg(test)]
#[path = "openai_responses_tests.rs"]
mod tests;
