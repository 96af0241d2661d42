//! llama.cpp's `llama-server`, by its own routes: `/completion`, `/tokenize`, `/apply-template`.
//!
//! It gives log-probabilities of tokens that it writes, never of the prompt's.

use super::body::{at, count, error_message, failed, ids, list, logprob, malformed, some_text, text};
use super::openai_chat::messages_json;
use super::openai_completions::{models, sorted};
use super::{Ask, Call, Input, Reply, Wire, WireError};
use crate::request::Usage;
use serde_json::{Map, Value, json};

/// The format.
pub struct LlamaServer;

impl Wire for LlamaServer {
    fn name(&self) -> &'static str {
        "llama-server"
    }

    fn call(&self, _model: &str, ask: &Ask<'_>) -> Option<Call> {
        let mut body = Map::new();
        let path = match *ask {
            Ask::Generate(input, sampling) => {
                body.insert("prompt".into(), prompt(input)?);
                body.insert("n_predict".into(), json!(sampling.max_tokens));
                body.insert("temperature".into(), json!(sampling.temperature));
                body.insert("stop".into(), json!(sampling.stops));
                // The server's own defaults would cut the distribution.
                body.insert("top_k".into(), json!(sampling.top_k.unwrap_or(0)));
                body.insert("top_p".into(), json!(sampling.top_p.unwrap_or(1.0)));
                body.insert("min_p".into(), json!(sampling.min_p.unwrap_or(0.0)));
                if let Some(seed) = sampling.seed {
                    body.insert("seed".into(), json!(seed & 0xffff_fffe));
                }
                "completion"
            }
            Ask::FirstToken { input, top } => {
                body.insert("prompt".into(), prompt(input)?);
                body.insert("n_predict".into(), json!(1));
                body.insert("temperature".into(), json!(0));
                body.insert("n_probs".into(), json!(top));
                "completion"
            }
            Ask::Tokenize { text, special } => {
                body.insert("content".into(), json!(text));
                body.insert("add_special".into(), json!(special));
                "tokenize"
            }
            Ask::ApplyTemplate(messages) => {
                body.insert("messages".into(), messages_json(messages));
                "apply-template"
            }
            Ask::Models => return Some(Call { path: "v1/models".into(), body: None }),
            Ask::Score(_) => return None,
        };
        Some(Call { path: path.into(), body: Some(Value::Object(body)) })
    }

    fn reply(&self, ask: &Ask<'_>, body: &Value) -> Result<Reply, WireError> {
        failed(body)?;
        match ask {
            Ask::Models => return models(body),
            Ask::Tokenize { .. } => return Ok(Reply::Tokens(ids(list(body, &["tokens"])?)?)),
            Ask::ApplyTemplate(_) => {
                let prompt = text(body, &["prompt"]).ok_or_else(|| malformed("no `prompt`"))?;
                return Ok(Reply::Template(prompt.to_string()));
            }
            _ => {}
        }
        let usage = Usage {
            prompt_tokens: count(body, &["tokens_evaluated"]),
            completion_tokens: count(body, &["tokens_predicted"]),
            // A sign of its context shift, not of how much was cut.
            truncated_tokens: usize::from(at(body, &["truncated"]).as_bool() == Some(true)),
            cached_tokens: count(body, &["timings", "cache_n"]),
            reasoning_tokens: 0,
        };
        let model = some_text(body, &["model"]);
        if let Ask::FirstToken { .. } = ask {
            let places = list(body, &["completion_probabilities"])?;
            let first = places.first().ok_or_else(|| malformed("no first token in `completion_probabilities`"))?;
            let mut top = Vec::new();
            for entry in list(first, &["top_logprobs"])? {
                if let (Some(token), Some(value)) = (text(entry, &["token"]), logprob(at(entry, &["logprob"]))?) {
                    top.push((token.to_string(), value));
                }
            }
            return Ok(Reply::FirstToken { top: sorted(top)?, usage, model });
        }
        let written = text(body, &["content"]).ok_or_else(|| malformed("no `content`"))?;
        let cut_off = text(body, &["stop_type"]) == Some("limit");
        Ok(Reply::Text { text: written.to_string(), reasoning: None, cut_off, usage, model })
    }

    fn error_message(&self, body: &Value) -> Option<String> {
        error_message(body)
    }
}

fn prompt(input: Input<'_>) -> Option<Value> {
    match input {
        Input::Text(text) => Some(json!(text)),
        Input::Ids(ids) => Some(json!(ids)),
        Input::Chat(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Bodies in the shape that llama.cpp's server gave for a small Llama (build of November 2026), shortened.
    #[test]
    fn routes() {
        let tokenize = Ask::Tokenize { text: "Once upon a time", special: true };
        let call = LlamaServer.call("", &tokenize).unwrap();
        assert_eq!(call.body, Some(json!({"content": "Once upon a time", "add_special": true})));
        let reply = LlamaServer.reply(&tokenize, &json!({"tokens": [1, 403, 407, 261, 378]}));
        assert_eq!(reply, Ok(Reply::Tokens(vec![1, 403, 407, 261, 378])));
        let template = LlamaServer.reply(&Ask::ApplyTemplate(&[]), &json!({"prompt": "<|im_start|>user\nHi"}));
        assert_eq!(template, Ok(Reply::Template("<|im_start|>user\nHi".into())));
        assert!(LlamaServer.call("", &Ask::Score(Input::Text("x"))).is_none());
        assert!(LlamaServer.reply(&tokenize, &json!({"tokens": [-1]})).is_err());
    }

    #[test]
    fn answers() {
        let sampling = super::super::testing::sampling();
        let ask = Ask::Generate(Input::Text("Once"), &sampling);
        let body = json!({"content": ", there", "model": "m.gguf", "tokens_predicted": 2, "tokens_evaluated": 5,
            "truncated": false, "stop_type": "limit", "timings": {"cache_n": 4}});
        let Ok(Reply::Text { text, cut_off, usage, .. }) = LlamaServer.reply(&ask, &body) else { panic!() };
        assert_eq!((text.as_str(), cut_off, usage.prompt_tokens, usage.cached_tokens), (", there", true, 5, 4));
        let first = Ask::FirstToken { input: Input::Text("Once"), top: 2 };
        let body = json!({"content": ",", "completion_probabilities": [{"id": 432, "token": ",", "logprob": -0.03, "top_logprobs": [
            {"id": 432, "token": ",", "logprob": -0.03}, {"id": 430, "token": ".", "logprob": -4.5}]}]});
        let Ok(Reply::FirstToken { top, .. }) = LlamaServer.reply(&first, &body) else { panic!() };
        assert_eq!(top, [(",".to_string(), -0.03), (".".to_string(), -4.5)]);
        assert!(LlamaServer.reply(&first, &json!({"content": ","})).is_err());
    }
}
