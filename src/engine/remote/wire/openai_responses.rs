//! OpenAI's `/responses`: generation, thoughts apart from the answer, and the likeliest first tokens.

use super::body::{at, count, error_message, failed, list, malformed, some_text, text};
use super::openai_chat::messages_json;
use super::openai_completions::{chat_first_token, is_content_filter, models};
use super::{Ask, Call, Input, Reply, Wire, WireError};
use crate::request::Usage;
use serde_json::{Map, Value, json};

/// Most first tokens that the route gives, and fewest output tokens that it takes.
const MAX_TOP: usize = 20;
const MIN_OUTPUT: usize = 16;

/// The format.
pub struct OpenAiResponses;

impl Wire for OpenAiResponses {
    fn name(&self) -> &'static str {
        "openai-responses"
    }

    fn call(&self, model: &str, ask: &Ask<'_>) -> Option<Call> {
        let mut body = Map::new();
        body.insert("model".into(), json!(model));
        body.insert("store".into(), json!(false));
        // Some servers stream unless told otherwise.
        body.insert("stream".into(), json!(false));
        match *ask {
            Ask::Generate(Input::Chat(messages), sampling) => {
                body.insert("input".into(), messages_json(messages));
                body.insert("max_output_tokens".into(), json!(sampling.max_tokens.max(MIN_OUTPUT)));
                if !sampling.reasoning {
                    body.insert("temperature".into(), json!(sampling.temperature));
                    if let Some(top_p) = sampling.top_p {
                        body.insert("top_p".into(), json!(top_p));
                    }
                }
            }
            Ask::FirstToken { input: Input::Chat(messages), top } => {
                body.insert("input".into(), messages_json(messages));
                body.insert("max_output_tokens".into(), json!(MIN_OUTPUT));
                body.insert("temperature".into(), json!(0));
                body.insert("include".into(), json!(["message.output_text.logprobs"]));
                body.insert("top_logprobs".into(), json!(top.min(MAX_TOP)));
            }
            Ask::Models => return Some(Call { path: "models".into(), body: None }),
            _ => return None,
        }
        Some(Call { path: "responses".into(), body: Some(Value::Object(body)) })
    }

    fn reply(&self, ask: &Ask<'_>, body: &Value) -> Result<Reply, WireError> {
        failed(body)?;
        if let Ask::Models = ask {
            return models(body);
        }
        let reason = text(body, &["incomplete_details", "reason"]);
        if reason == Some("content_filter") {
            return Err(WireError::Refused("stopped by the provider's content filter".into()));
        }
        let (usage, model) = (usage(body), some_text(body, &["model"]));
        let output = list(body, &["output"])?;
        let parts = |kind: &str, inner: &str| -> Vec<&Value> {
            let of_kind = output.iter().filter(|item| text(item, &["type"]) == Some(kind));
            of_kind.filter_map(|item| at(item, &[inner]).as_array()).flatten().collect()
        };
        let content = parts("message", "content");
        if let Some(refusal) = content.iter().find_map(|part| some_text(part, &["refusal"])) {
            return Err(WireError::Refused(refusal));
        }
        if let Ask::FirstToken { .. } = ask {
            let first = content.iter().find(|part| at(part, &["logprobs"]).is_array());
            let first = first.ok_or_else(|| malformed("no `logprobs` in the output"))?;
            let logprobs = json!({"content": at(first, &["logprobs"])});
            return Ok(Reply::FirstToken { top: chat_first_token(&logprobs)?, usage, model });
        }
        let written: String = content.iter().filter_map(|part| text(part, &["text"])).collect();
        let thought: String = parts("reasoning", "summary").iter().filter_map(|part| text(part, &["text"])).collect();
        let has_thought = output.iter().any(|item| text(item, &["type"]) == Some("reasoning"));
        let cut_off = reason == Some("max_output_tokens");
        if content.is_empty() && !cut_off {
            return Err(malformed("no message in `output`"));
        }
        Ok(Reply::Text { text: written, reasoning: has_thought.then_some(thought), cut_off, usage, model })
    }

    fn error_message(&self, body: &Value) -> Option<String> {
        error_message(body)
    }

    fn is_content_filter(&self, status: u16, body: &Value) -> bool {
        is_content_filter(status, body)
    }
}

fn usage(body: &Value) -> Usage {
    let usage = at(body, &["usage"]);
    Usage {
        prompt_tokens: count(usage, &["input_tokens"]),
        completion_tokens: count(usage, &["output_tokens"]),
        truncated_tokens: 0,
        cached_tokens: count(usage, &["input_tokens_details", "cached_tokens"]),
        reasoning_tokens: count(usage, &["output_tokens_details", "reasoning_tokens"]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASK: Ask<'static> = Ask::FirstToken { input: Input::Chat(&[]), top: 5 };

    #[test]
    fn thought_and_answer_are_told_apart() {
        let sampling = super::super::testing::sampling();
        let ask = Ask::Generate(Input::Chat(&[]), &sampling);
        let body = json!({
            "model": "m", "status": "completed", "error": null, "incomplete_details": null,
            "output": [
                {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "B"}]},
            ],
            "usage": {"input_tokens": 3, "output_tokens": 9, "output_tokens_details": {"reasoning_tokens": 8}},
        });
        let Ok(Reply::Text { text, reasoning, cut_off, usage, .. }) = OpenAiResponses.reply(&ask, &body) else {
            panic!()
        };
        assert_eq!((text.as_str(), reasoning.as_deref(), cut_off), ("B", Some("hm"), false));
        assert_eq!((usage.prompt_tokens, usage.completion_tokens, usage.reasoning_tokens), (3, 9, 8));
        let cut = json!({"output": [{"type": "reasoning", "summary": []}], "incomplete_details": {"reason": "max_output_tokens"}});
        let Ok(Reply::Text { reasoning, cut_off, .. }) = OpenAiResponses.reply(&ask, &cut) else { panic!() };
        assert_eq!((reasoning.as_deref(), cut_off), (Some(""), true));
        let refused = json!({"output": [{"type": "message", "content": [{"type": "refusal", "refusal": "no"}]}]});
        assert!(matches!(OpenAiResponses.reply(&ask, &refused), Err(WireError::Refused(_))));
        assert!(matches!(OpenAiResponses.reply(&ask, &json!({"output": []})), Err(WireError::Malformed(_))));
    }

    #[test]
    fn first_tokens() {
        let body = json!({"output": [{"type": "message", "content": [{"type": "output_text", "text": "B", "logprobs": [
            {"token": "B", "logprob": -0.1, "top_logprobs": [{"token": "B", "logprob": -0.1}, {"token": "C", "logprob": -3}]}
        ]}]}]});
        let Ok(Reply::FirstToken { top, .. }) = OpenAiResponses.reply(&ASK, &body) else { panic!() };
        assert_eq!(top[1], ("C".to_string(), -3.0));
        assert_eq!(OpenAiResponses.call("m", &ASK).unwrap().body.unwrap()["top_logprobs"], 5);
    }
}
