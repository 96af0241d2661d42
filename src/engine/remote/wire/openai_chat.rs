//! OpenAI's chat completions (`POST chat/completions`), and what others made of them: one dialect for each that wants other fields.

use super::field::{self, inner, malformed, member, words};
use super::openai::{self, Settings};
use super::{Ask, Call, Input, Reply, Sampling, Wire, WireError};
use crate::request::{Message, Role, Usage};
use serde_json::{Map, Value, json};

/// What becomes of an assistant's turn that stands last: the start of the answer.
#[derive(Clone, Copy, PartialEq)]
enum Opening {
    /// Nothing says that it is to be continued. Whatever the server does, an answer that repeats it loses it.
    Unmarked,
    /// The server continues it by itself.
    Continued,
    /// vLLM: `continue_final_message`, `add_generation_prompt: false`.
    ContinueFinal,
    /// SGLang: `continue_final_message`.
    ContinueOnly,
    /// Mistral, DeepSeek: `prefix: true` in the turn.
    Prefix,
}

/// A dialect of the format.
pub struct Chat {
    name: &'static str,
    settings: Settings,
    opening: Opening,
    /// Most likely first tokens that may be asked for; 0: none.
    max_top: usize,
    /// Models are listed at `models`.
    lists_models: bool,
}

const PLAIN: Chat = Chat {
    name: "compatible-chat",
    settings: Settings::PLAIN,
    opening: Opening::Unmarked,
    max_top: 20,
    lists_models: true,
};

/// Any server's: nothing is sent that only some know.
pub static COMPATIBLE: Chat = PLAIN;

/// OpenAI's own. Models that think take neither temperature nor stop strings.
pub static OPENAI: Chat = Chat {
    name: "openai-chat",
    settings: Settings {
        max_tokens: ("max_completion_tokens", "max_completion_tokens"),
        reasoning_temperature: false,
        ..Settings::PLAIN
    },
    ..PLAIN
};

/// Azure's deployments of OpenAI's models.
pub static AZURE: Chat = Chat {
    name: "azure-chat",
    settings: Settings {
        max_tokens: ("max_tokens", "max_completion_tokens"),
        reasoning_temperature: false,
        ..Settings::PLAIN
    },
    lists_models: false,
    ..PLAIN
};

/// OpenRouter's, which drops what a model does not take.
pub static OPENROUTER: Chat =
    Chat { name: "openrouter-chat", settings: Settings { no_top_k: Some(0), ..Settings::PLAIN }, ..PLAIN };

/// Mistral's: another name of the seed, no log-probabilities.
pub static MISTRAL: Chat = Chat {
    name: "mistral-chat",
    settings: Settings { seed: "random_seed", ..Settings::PLAIN },
    opening: Opening::Prefix,
    max_top: 0,
    ..PLAIN
};

/// DeepSeek's: turns can be continued at its `beta` address.
pub static DEEPSEEK: Chat = Chat { name: "deepseek-chat", opening: Opening::Prefix, ..PLAIN };

/// Fireworks': at most five likely tokens.
pub static FIREWORKS: Chat = Chat { name: "fireworks-chat", max_top: 5, ..PLAIN };

/// xAI's: at most eight likely tokens, no stop strings of models that think.
pub static XAI: Chat = Chat { name: "xai-chat", max_top: 8, ..PLAIN };

/// vLLM's. It takes penalties from a model's `generation_config.json` unless they are given.
pub static VLLM: Chat = Chat {
    name: "vllm-chat",
    settings: Settings { no_top_k: Some(-1), fixed: &[("repetition_penalty", 1.0)], ..Settings::PLAIN },
    opening: Opening::ContinueFinal,
    ..PLAIN
};

/// SGLang's.
pub static SGLANG: Chat = Chat {
    name: "sglang-chat",
    settings: Settings { no_top_k: Some(-1), fixed: &[("repetition_penalty", 1.0)], ..Settings::PLAIN },
    opening: Opening::ContinueOnly,
    ..PLAIN
};

/// llama.cpp's server. It continues an assistant's turn and repeats it in the answer.
pub static LLAMA_SERVER: Chat = Chat {
    name: "llama-server-chat",
    settings: Settings { no_top_k: Some(0), fixed: &[("repeat_penalty", 1.0)], ..Settings::PLAIN },
    ..PLAIN
};

/// llama-cpp-python's. It has a repeat penalty on by itself, also for greedy texts.
pub static LLAMA_CPP_PYTHON: Chat = Chat {
    name: "llama-cpp-python-chat",
    settings: Settings { no_top_k: Some(0), fixed: &[("repeat_penalty", 1.0)], ..Settings::PLAIN },
    ..PLAIN
};

/// Ollama's, which continues an assistant's turn.
pub static OLLAMA: Chat = Chat { name: "ollama-chat", opening: Opening::Continued, ..PLAIN };

impl Chat {
    /// A body for turns; `None` for texts and ids.
    fn body(&self, model: &str, input: &Input<'_>) -> Option<Map<String, Value>> {
        let Input::Chat(messages) = input else { return None };
        let mut turns: Vec<Value> =
            messages.iter().map(|turn| json!({"role": turn.role.as_str(), "content": turn.content})).collect();
        let mut fields = Map::new();
        if opening(messages).is_some() {
            match (self.opening, turns.last_mut()) {
                (Opening::Prefix, Some(last)) => last["prefix"] = json!(true),
                (Opening::ContinueFinal, _) => {
                    fields.insert("continue_final_message".into(), json!(true));
                    fields.insert("add_generation_prompt".into(), json!(false));
                }
                (Opening::ContinueOnly, _) => {
                    fields.insert("continue_final_message".into(), json!(true));
                }
                _ => {}
            }
        }
        let mut body = Map::from_iter([("model".to_string(), json!(model)), ("messages".to_string(), json!(turns))]);
        body.extend(fields);
        Some(body)
    }
}

/// The start of an answer that comes with the question.
pub(super) fn opening(messages: &[Message]) -> Option<&str> {
    messages.last().filter(|turn| turn.role == Role::Assistant).map(|turn| turn.content.as_str())
}

impl Wire for Chat {
    fn name(&self) -> &'static str {
        self.name
    }

    fn call(&self, model: &str, ask: &Ask<'_>) -> Option<Call> {
        let body = match ask {
            Ask::Generate(input, sampling) => {
                let mut body = self.body(model, input)?;
                self.settings.write(&mut body, sampling);
                body
            }
            Ask::FirstToken { input, top } if self.max_top > 0 => {
                let mut body = self.body(model, input)?;
                body.insert(self.settings.max_tokens.0.into(), json!(1));
                body.insert("temperature".into(), json!(0));
                body.insert("logprobs".into(), json!(true));
                body.insert("top_logprobs".into(), json!((*top).clamp(1, self.max_top)));
                body
            }
            Ask::Models if self.lists_models => return Some(openai::models_call()),
            _ => return None,
        };
        Some(Call { path: "chat/completions".into(), body: Some(Value::Object(body)) })
    }

    fn reply(&self, ask: &Ask<'_>, body: &Value) -> Result<Reply, WireError> {
        match ask {
            Ask::Models => openai::models(body),
            Ask::Generate(input, _) => self.generated(input, body),
            Ask::FirstToken { .. } => first_token(body),
            _ => Err(malformed("this format only writes answers")),
        }
    }

    fn error_message(&self, body: &Value) -> Option<String> {
        field::error_message(body)
    }

    fn leaves_out(&self, sampling: &Sampling) -> Vec<&'static str> {
        self.settings.leaves_out(sampling)
    }
}

impl Chat {
    fn generated(&self, input: &Input<'_>, body: &Value) -> Result<Reply, WireError> {
        let choice = openai::choice(body)?;
        let cut_off = openai::cut_off(choice)?;
        let message = message(choice)?;
        let (mut text, within) = content(message)?;
        let reasoning = thought_beside(message).or(within);
        if let (Input::Chat(turns), Opening::Unmarked) = (input, self.opening) {
            text = openai::behind_opening(&text, opening(turns)).to_string();
        }
        let usage = openai::usage(body);
        if text.is_empty() && reasoning.is_none() && !cut_off {
            silent(message, &usage)?;
        }
        Ok(Reply::Text { text, reasoning, cut_off, usage, model: field::model(body) })
    }
}

/// The message of a choice, unless the model refuses in it.
fn message(choice: &Value) -> Result<&Value, WireError> {
    let message = member(choice, "message").ok_or_else(|| malformed("`choices[0].message` is missing"))?;
    match words(message, "refusal") {
        Some(said) => Err(WireError::Refused(field::short(said))),
        None => Ok(message),
    }
}

/// The text of a message, and a thought that stands beside it. `null`: none was written; parts are put together.
fn content(message: &Value) -> Result<(String, Option<String>), WireError> {
    match message.get("content") {
        Some(Value::String(text)) => Ok((text.clone(), None)),
        Some(Value::Null) => Ok((String::new(), None)),
        Some(Value::Array(parts)) => Ok((joined(parts, "text", "text"), thought(parts))),
        Some(_) => Err(malformed("`choices[0].message.content` is no text")),
        None if thought_beside(message).is_some() || calls_tool(message) => Ok((String::new(), None)),
        None => Err(malformed("`choices[0].message.content` is missing")),
    }
}

/// Fields of thoughts.
const THOUGHTS: &[&str] = &["reasoning_content", "reasoning", "thinking", "thought", "thoughts"];

/// The thought in a field of its own; OpenRouter has a list of its parts.
fn thought_beside(message: &Value) -> Option<String> {
    let field = THOUGHTS.iter().find_map(|key| words(message, key)).map(str::to_string);
    field.or_else(|| {
        let parts = member(message, "reasoning_details")?.as_array()?.iter();
        let text: String = parts.filter_map(|part| words(part, "text").or_else(|| words(part, "summary"))).collect();
        (!text.is_empty()).then_some(text)
    })
}

fn calls_tool(message: &Value) -> bool {
    let has_calls = member(message, "tool_calls").and_then(Value::as_array).is_some_and(|calls| !calls.is_empty());
    has_calls || member(message, "function_call").is_some()
}

/// Nothing was written: that may be an answer, but not where a tool is called, or where tokens are counted that nobody can see.
fn silent(message: &Value, usage: &Usage) -> Result<(), WireError> {
    if calls_tool(message) {
        return Err(WireError::NoAnswer("the model called a tool instead of answering".into()));
    }
    let is_null = message.get("content") == Some(&Value::Null);
    if is_null && usage.completion_tokens > 1 && usage.reasoning_tokens == 0 {
        return Err(WireError::NoAnswer(format!(
            "the server counts {} tokens that were written and shows none (`content` is null): does its reasoning parser take \
             everything for a thought?",
            usage.completion_tokens
        )));
    }
    Ok(())
}

/// Texts of those parts of a list that are of a type, one after the other.
pub(super) fn joined(parts: &[Value], kind: &str, key: &str) -> String {
    parts
        .iter()
        .filter(|part| field::text(part, "type") == Some(kind))
        .filter_map(|part| field::text(part, key))
        .collect()
}

/// Mistral's parts of thoughts: `{"type": "thinking", "thinking": [{"type": "text", "text": "..."}]}`.
fn thought(parts: &[Value]) -> Option<String> {
    let thoughts = parts.iter().filter(|part| field::text(part, "type") == Some("thinking"));
    let text: String = thoughts
        .filter_map(|part| match member(part, "thinking")? {
            Value::String(text) => Some(text.clone()),
            Value::Array(parts) => Some(joined(parts, "text", "text")),
            _ => None,
        })
        .collect();
    (!text.is_empty()).then_some(text)
}

fn first_token(body: &Value) -> Result<Reply, WireError> {
    let choice = openai::choice(body)?;
    // The limit of one token always cuts off; refusals and breaks still count.
    openai::cut_off(choice)?;
    let message = message(choice)?;
    if thought_beside(message).is_some() {
        return Err(WireError::NoAnswer("the first token is a thought's, not the answer's".into()));
    }
    let content = inner(choice, "logprobs", "content")
        .ok_or_else(|| malformed("`choices[0].logprobs.content` is missing"))?
        .as_array()
        .ok_or_else(|| malformed("`choices[0].logprobs.content` is no list"))?;
    let top = openai::first_of_content(content, "choices[0].logprobs.content")?;
    Ok(Reply::FirstToken { top, usage: openai::usage(body), model: field::model(body) })
}

#[cfg(test)]
#[path = "openai_chat_tests.rs"]
mod tests;
