//! OpenAI's `/chat/completions`: what most providers and local servers speak. Texts are generated, and the likeliest first tokens of an
//! answer can be asked for; prompts cannot be scored.

use super::body::{at, error_message, failed, first_choice, malformed, openai_usage, some_text, text};
use super::openai_completions::{chat_first_token, is_content_filter, models, refused, sampling_into};
use super::{Ask, Call, Input, Reply, Wire, WireError};
use crate::request::{Message, Role};
use serde_json::{Map, Value, json};

/// Most first tokens that the route gives.
const MAX_TOP: usize = 20;

/// The format, with what servers differ in.
pub struct OpenAiChat {
    /// How the bound on the answer's length is called: OpenAI's newer models refuse `max_tokens`.
    pub max_tokens: &'static str,
    /// A beginning of the answer is continued with these settings (vLLM, SGLang, llama.cpp); without them it goes as a turn of the
    /// assistant, which servers treat each in their own way.
    pub continues: bool,
}

/// OpenAI and Azure.
pub static OPENAI: OpenAiChat = OpenAiChat { max_tokens: "max_completion_tokens", continues: false };
/// Everybody else.
pub static COMPATIBLE: OpenAiChat = OpenAiChat { max_tokens: "max_tokens", continues: false };
/// vLLM and SGLang.
pub static VLLM: OpenAiChat = OpenAiChat { max_tokens: "max_tokens", continues: true };

impl Wire for OpenAiChat {
    fn name(&self) -> &'static str {
        "openai-chat"
    }

    fn call(&self, model: &str, ask: &Ask<'_>) -> Option<Call> {
        let mut body = Map::new();
        body.insert("model".into(), json!(model));
        match *ask {
            Ask::Generate(Input::Chat(messages), sampling) => {
                self.messages_into(&mut body, messages);
                sampling_into(&mut body, sampling, self.max_tokens);
            }
            Ask::FirstToken { input: Input::Chat(messages), top } => {
                self.messages_into(&mut body, messages);
                body.insert(self.max_tokens.into(), json!(1));
                body.insert("temperature".into(), json!(0));
                body.insert("logprobs".into(), json!(true));
                body.insert("top_logprobs".into(), json!(top.min(MAX_TOP)));
            }
            Ask::Models => return Some(Call { path: "models".into(), body: None }),
            _ => return None,
        }
        Some(Call { path: "chat/completions".into(), body: Some(Value::Object(body)) })
    }

    fn reply(&self, ask: &Ask<'_>, body: &Value) -> Result<Reply, WireError> {
        failed(body)?;
        if let Ask::Models = ask {
            return models(body);
        }
        let choice = first_choice(body)?;
        refused(choice)?;
        let message = at(choice, &["message"]);
        if let Some(refusal) = some_text(message, &["refusal"]) {
            return Err(WireError::Refused(refusal));
        }
        let (usage, model) = (openai_usage(body), some_text(body, &["model"]));
        if let Ask::FirstToken { .. } = ask {
            return Ok(Reply::FirstToken { top: chat_first_token(at(choice, &["logprobs"]))?, usage, model });
        }
        let reasoning = some_text(message, &["reasoning_content"]).or_else(|| some_text(message, &["reasoning"]));
        let content = content(at(message, &["content"]));
        if content.is_none() && reasoning.is_none() && !message.is_object() {
            return Err(malformed("no message in the first choice"));
        }
        let cut_off = matches!(text(choice, &["finish_reason"]), Some("length" | "max_tokens"));
        Ok(Reply::Text { text: content.unwrap_or_default(), reasoning, cut_off, usage, model })
    }

    fn error_message(&self, body: &Value) -> Option<String> {
        error_message(body)
    }

    fn is_content_filter(&self, status: u16, body: &Value) -> bool {
        is_content_filter(status, body)
    }
}

impl OpenAiChat {
    fn messages_into(&self, body: &mut Map<String, Value>, messages: &[Message]) {
        body.insert("messages".into(), messages_json(messages));
        if self.continues && messages.last().is_some_and(|last| last.role == Role::Assistant) {
            body.insert("continue_final_message".into(), json!(true));
            body.insert("add_generation_prompt".into(), json!(false));
        }
    }
}

/// Turns as `[{role, content}]`.
pub fn messages_json(messages: &[Message]) -> Value {
    messages.iter().map(|message| json!({"role": message.role.as_str(), "content": message.content})).collect()
}

/// A text, or a list of parts with texts.
fn content(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) => Some(parts.iter().filter_map(|part| text(part, &["text"])).collect()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Sampling;
    use super::*;

    fn turns(roles: &[Role]) -> Vec<Message> {
        roles.iter().map(|role| Message { role: *role, content: role.as_str().to_uppercase() }).collect()
    }

    fn sampling() -> Sampling {
        Sampling {
            max_tokens: 7,
            stops: ["a", "", "b", "c", "d", "e"].map(String::from).to_vec(),
            temperature: 0.0,
            top_p: Some(0.9),
            top_k: None,
            min_p: None,
            seed: Some(3),
            reasoning: false,
        }
    }

    #[test]
    fn generation() {
        let messages = turns(&[Role::System, Role::User]);
        let sampling = sampling();
        let call = OPENAI.call("m", &Ask::Generate(Input::Chat(&messages), &sampling)).unwrap();
        let expected = json!({
            "model": "m",
            "messages": [{"role": "system", "content": "SYSTEM"}, {"role": "user", "content": "USER"}],
            "max_completion_tokens": 7, "temperature": 0.0, "stop": ["a", "b", "c", "d"], "top_p": 0.9, "seed": 3,
        });
        assert_eq!((call.path.as_str(), call.body), ("chat/completions", Some(expected)));
        let thinking = Sampling { reasoning: true, ..sampling };
        let call = COMPATIBLE.call("m", &Ask::Generate(Input::Chat(&messages), &thinking)).unwrap();
        let body = call.body.unwrap();
        assert_eq!(body["max_tokens"], 7);
        assert!(body.get("stop").is_none() && body.get("temperature").is_none(), "{body}");
        assert!(OPENAI.call("m", &Ask::Score(Input::Text("x"))).is_none(), "chat routes score no prompts");
    }

    #[test]
    fn a_begun_answer_is_continued_where_servers_can() {
        let messages = turns(&[Role::User, Role::Assistant]);
        let sampling = sampling();
        let ask = Ask::Generate(Input::Chat(&messages), &sampling);
        assert_eq!(VLLM.call("m", &ask).unwrap().body.unwrap()["continue_final_message"], true);
        assert!(COMPATIBLE.call("m", &ask).unwrap().body.unwrap().get("continue_final_message").is_none());
    }

    #[test]
    fn answers() {
        let sampling = sampling();
        let ask = Ask::Generate(Input::Chat(&[]), &sampling);
        let body = json!({
            "model": "m-2", "choices": [{"index": 0, "finish_reason": "length",
                "message": {"role": "assistant", "content": "hi", "reasoning_content": "hm"}}],
            "usage": {"prompt_tokens": 5, "completion_tokens": 4, "completion_tokens_details": {"reasoning_tokens": 2}},
        });
        let Ok(Reply::Text { text, reasoning, cut_off, usage, model }) = COMPATIBLE.reply(&ask, &body) else {
            panic!()
        };
        assert_eq!((text.as_str(), reasoning.as_deref(), cut_off), ("hi", Some("hm"), true));
        assert_eq!((usage.prompt_tokens, usage.completion_tokens, usage.reasoning_tokens), (5, 4, 2));
        assert_eq!(model.as_deref(), Some("m-2"));
        let refusals = [
            json!({"choices": [{"index": 0, "finish_reason": "content_filter", "message": {"content": ""}}]}),
            json!({"choices": [{"index": 0, "finish_reason": "stop", "message": {"refusal": "I cannot"}}]}),
        ];
        for body in refusals {
            assert!(matches!(COMPATIBLE.reply(&ask, &body), Err(WireError::Refused(_))), "{body}");
        }
        for body in [json!({}), json!({"choices": []}), json!({"choices": [{"index": 0}]}), json!("x"), json!(null)] {
            assert!(matches!(COMPATIBLE.reply(&ask, &body), Err(WireError::Malformed(_))), "{body}");
        }
        assert!(matches!(COMPATIBLE.reply(&ask, &json!({"error": {"message": "busy"}})), Err(WireError::Failed(_))));
    }

    #[test]
    fn first_tokens() {
        let ask = Ask::FirstToken { input: Input::Chat(&[]), top: 30 };
        let call = COMPATIBLE.call("m", &ask).unwrap().body.unwrap();
        assert_eq!((call["top_logprobs"].as_u64(), call["max_tokens"].as_u64()), (Some(20), Some(1)));
        let body = json!({"choices": [{"index": 0, "message": {"content": "B"}, "finish_reason": "length", "logprobs": {"content": [
            {"token": "B", "logprob": -0.5, "top_logprobs": [{"token": "A", "logprob": -1.0}, {"token": "B", "logprob": -0.5}]}
        ]}}]});
        let Ok(Reply::FirstToken { top, .. }) = COMPATIBLE.reply(&ask, &body) else { panic!() };
        assert_eq!(top, [("B".to_string(), -0.5), ("A".to_string(), -1.0)]);
        let without = json!({"choices": [{"index": 0, "message": {"content": "B"}, "logprobs": null}]});
        assert!(matches!(COMPATIBLE.reply(&ask, &without), Err(WireError::Malformed(_))));
    }
}
