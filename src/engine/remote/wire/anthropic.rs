//! Anthropic's `/messages`: generation only; there are no log-probabilities.

use super::body::{count, error_message, list, malformed, some_text, text};
use super::openai_completions::models;
use super::{Ask, Call, Input, Reply, Wire, WireError};
use crate::request::{Message, Role, Usage};
use serde_json::{Map, Value, json};

/// The format.
pub struct Anthropic;

impl Wire for Anthropic {
    fn name(&self) -> &'static str {
        "anthropic"
    }

    fn call(&self, model: &str, ask: &Ask<'_>) -> Option<Call> {
        let (messages, sampling) = match *ask {
            Ask::Generate(Input::Chat(messages), sampling) => (messages, sampling),
            Ask::Models => return Some(Call { path: "models".into(), body: None }),
            _ => return None,
        };
        let mut body = Map::new();
        body.insert("model".into(), json!(model));
        body.insert("max_tokens".into(), json!(sampling.max_tokens.max(1)));
        if let Some(system) = system(messages) {
            body.insert("system".into(), json!(system));
        }
        body.insert("messages".into(), turns(messages));
        if !sampling.reasoning {
            body.insert("temperature".into(), json!(sampling.temperature));
            // Stop sequences of white space alone are refused; they are looked for in the answer.
            let stops: Vec<&String> = sampling.stops.iter().filter(|stop| !stop.trim().is_empty()).collect();
            if !stops.is_empty() {
                body.insert("stop_sequences".into(), json!(stops));
            }
            if let Some(top_k) = sampling.top_k {
                body.insert("top_k".into(), json!(top_k));
            }
            // Newer models take either this or a temperature.
            if let Some(top_p) = sampling.top_p {
                body.insert("top_p".into(), json!(top_p));
                body.remove("temperature");
            }
        }
        Some(Call { path: "messages".into(), body: Some(Value::Object(body)) })
    }

    fn reply(&self, ask: &Ask<'_>, body: &Value) -> Result<Reply, WireError> {
        if text(body, &["type"]) == Some("error") {
            return Err(WireError::Failed(error_message(body).unwrap_or_default()));
        }
        if let Ask::Models = ask {
            return models(body);
        }
        let parts = list(body, &["content"])?;
        let stop = text(body, &["stop_reason"]).ok_or_else(|| malformed("no `stop_reason`"))?;
        if stop == "refusal" {
            return Err(WireError::Refused("the model refused".into()));
        }
        let of = |kind: &str, key: &str| -> Option<String> {
            let mut texts = parts.iter().filter(|part| text(part, &["type"]) == Some(kind)).peekable();
            texts.peek()?;
            Some(texts.filter_map(|part| text(part, &[key])).collect())
        };
        let thought = of("thinking", "thinking").or_else(|| of("redacted_thinking", "text"));
        Ok(Reply::Text {
            text: of("text", "text").unwrap_or_default(),
            reasoning: thought,
            cut_off: matches!(stop, "max_tokens" | "model_context_window_exceeded"),
            usage: usage(body),
            model: some_text(body, &["model"]),
        })
    }

    fn error_message(&self, body: &Value) -> Option<String> {
        error_message(body)
    }
}

/// System texts stand apart from the turns.
fn system(messages: &[Message]) -> Option<String> {
    let texts: Vec<&str> = messages
        .iter()
        .filter(|message| message.role == Role::System)
        .map(|message| message.content.as_str())
        .collect();
    if texts.is_empty() { None } else { Some(texts.join("\n\n")) }
}

/// User and assistant turns; a begun answer may not end in white space.
fn turns(messages: &[Message]) -> Value {
    let turns: Vec<&Message> = messages.iter().filter(|message| message.role != Role::System).collect();
    let last = turns.len().saturating_sub(1);
    let written = turns.iter().enumerate().map(|(index, message)| {
        let begun = index == last && message.role == Role::Assistant;
        let content = if begun { message.content.trim_end() } else { message.content.as_str() };
        json!({"role": message.role.as_str(), "content": content})
    });
    written.collect()
}

/// Tokens read from and written to the provider's cache are input as well, and are counted apart there.
fn usage(body: &Value) -> Usage {
    let of = |key: &str| count(body, &["usage", key]);
    let cached = of("cache_read_input_tokens");
    Usage {
        prompt_tokens: of("input_tokens") + cached + of("cache_creation_input_tokens"),
        completion_tokens: of("output_tokens"),
        cached_tokens: cached,
        ..Usage::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_stands_apart_and_a_begun_answer_ends_without_a_blank() {
        let messages = [(Role::System, "be brief"), (Role::User, "q"), (Role::Assistant, "The answer is ")]
            .map(|(role, content)| Message { role, content: content.into() });
        let sampling = super::super::testing::sampling();
        let body = Anthropic.call("m", &Ask::Generate(Input::Chat(&messages), &sampling)).unwrap().body.unwrap();
        assert_eq!(body["system"], "be brief");
        assert_eq!(
            body["messages"],
            json!([{"role": "user", "content": "q"}, {"role": "assistant", "content": "The answer is"}])
        );
        assert_eq!(body["stop_sequences"], json!(["END"]), "one of white space is refused there");
    }

    #[test]
    fn answers() {
        let sampling = super::super::testing::sampling();
        let ask = Ask::Generate(Input::Chat(&[]), &sampling);
        let body = json!({
            "model": "m", "stop_reason": "max_tokens",
            "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
            "usage": {"input_tokens": 5, "cache_read_input_tokens": 7, "output_tokens": 2},
        });
        let Ok(Reply::Text { text, reasoning, cut_off, usage, .. }) = Anthropic.reply(&ask, &body) else { panic!() };
        assert_eq!((text.as_str(), reasoning.as_deref(), cut_off), ("ab", Some("hm"), true));
        assert_eq!((usage.prompt_tokens, usage.cached_tokens), (12, 7));
        let refusal = json!({"content": [], "stop_reason": "refusal"});
        assert!(matches!(Anthropic.reply(&ask, &refusal), Err(WireError::Refused(_))));
        let overloaded = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
        assert_eq!(Anthropic.reply(&ask, &overloaded), Err(WireError::Failed("Overloaded".into())));
        assert!(matches!(Anthropic.reply(&ask, &json!({"content": []})), Err(WireError::Malformed(_))));
    }
}
