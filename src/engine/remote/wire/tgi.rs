//! Hugging Face's text-generation-inference, by its own route `/generate`: prompts are scored with `decoder_input_details`.

use super::body::{at, count, error_message, failed, ids, list, logprob, malformed, some_text, text};
use super::openai_completions::sorted;
use super::{Ask, Call, Input, Reply, ServedModel, TokenScore, Wire, WireError};
use crate::request::Usage;
use serde_json::{Map, Value, json};

/// Most stop strings and most first tokens that the route takes by default.
const MAX_STOPS: usize = 4;
const MAX_TOP: usize = 5;

/// The format.
pub struct Tgi;

impl Wire for Tgi {
    fn name(&self) -> &'static str {
        "tgi"
    }

    fn call(&self, _model: &str, ask: &Ask<'_>) -> Option<Call> {
        let mut parameters = Map::new();
        parameters.insert("details".into(), json!(true));
        parameters.insert("do_sample".into(), json!(false));
        let input = match *ask {
            Ask::Score(input) => {
                parameters.insert("max_new_tokens".into(), json!(1));
                parameters.insert("decoder_input_details".into(), json!(true));
                input
            }
            Ask::FirstToken { input, top } => {
                parameters.insert("max_new_tokens".into(), json!(1));
                parameters.insert("top_n_tokens".into(), json!(top.min(MAX_TOP)));
                input
            }
            Ask::Generate(input, sampling) => {
                parameters.insert("max_new_tokens".into(), json!(sampling.max_tokens));
                let stops: Vec<&String> =
                    sampling.stops.iter().filter(|stop| !stop.is_empty()).take(MAX_STOPS).collect();
                parameters.insert("stop".into(), json!(stops));
                if sampling.temperature > 0.0 {
                    parameters.insert("do_sample".into(), json!(true));
                    parameters.insert("temperature".into(), json!(sampling.temperature));
                    let options = [
                        // It takes values below 1 only.
                        ("top_p", sampling.top_p.filter(|p| *p < 1.0).map(|v| json!(v))),
                        ("top_k", sampling.top_k.map(|v| json!(v))),
                        ("seed", sampling.seed.map(|v| json!(v))),
                    ];
                    parameters.extend(options.into_iter().filter_map(|(key, value)| Some((key.to_string(), value?))));
                }
                input
            }
            Ask::Tokenize { text, special } => {
                let body = json!({"inputs": text, "add_special_tokens": special});
                return Some(Call { path: "tokenize".into(), body: Some(body) });
            }
            Ask::Models => return Some(Call { path: "info".into(), body: None }),
            Ask::ApplyTemplate(_) => return None,
        };
        let Input::Text(text) = input else { return None };
        Some(Call { path: "generate".into(), body: Some(json!({"inputs": text, "parameters": parameters})) })
    }

    fn reply(&self, ask: &Ask<'_>, body: &Value) -> Result<Reply, WireError> {
        failed(body)?;
        match ask {
            Ask::Models => {
                let id = some_text(body, &["model_id"]).ok_or_else(|| malformed("no `model_id`"))?;
                let length = count(body, &["max_total_tokens"]);
                return Ok(Reply::Models(vec![ServedModel { id, max_length: Some(length).filter(|l| *l > 0) }]));
            }
            Ask::Tokenize { .. } => {
                let tokens = body.as_array().ok_or_else(|| malformed("no list of tokens"))?;
                let found: Vec<Value> = tokens.iter().map(|token| at(token, &["id"]).clone()).collect();
                return Ok(Reply::Tokens(ids(&found)?));
            }
            _ => {}
        }
        let body = if body.is_array() { body.get(0).unwrap_or(body) } else { body };
        let details = at(body, &["details"]);
        let prefill = at(details, &["prefill"]).as_array().map(Vec::as_slice).unwrap_or_default();
        let usage = Usage {
            prompt_tokens: prefill.len(),
            completion_tokens: count(details, &["generated_tokens"]),
            ..Usage::default()
        };
        match ask {
            Ask::Score(_) => {
                let token = |entry: &Value| {
                    Ok(TokenScore {
                        id: at(entry, &["id"]).as_u64().and_then(|id| u32::try_from(id).ok()),
                        text: text(entry, &["text"]).map(str::to_string),
                        offset: None,
                        logprob: logprob(at(entry, &["logprob"]))?,
                        is_greedy: None,
                    })
                };
                let tokens = prefill.iter().map(token).collect::<Result<_, WireError>>()?;
                Ok(Reply::Scores { tokens, generated: 0, usage, model: None })
            }
            Ask::FirstToken { .. } => {
                let places = list(details, &["top_tokens"])?;
                let first = places
                    .first()
                    .and_then(Value::as_array)
                    .ok_or_else(|| malformed("no first token in `top_tokens`"))?;
                let mut top = Vec::new();
                for entry in first {
                    if let (Some(token), Some(value)) = (text(entry, &["text"]), logprob(at(entry, &["logprob"]))?) {
                        top.push((token.to_string(), value));
                    }
                }
                Ok(Reply::FirstToken { top: sorted(top)?, usage, model: None })
            }
            _ => {
                let written = text(body, &["generated_text"]).ok_or_else(|| malformed("no `generated_text`"))?;
                let cut_off = text(details, &["finish_reason"]) == Some("length");
                Ok(Reply::Text { text: written.to_string(), reasoning: None, cut_off, usage, model: None })
            }
        }
    }

    fn error_message(&self, body: &Value) -> Option<String> {
        error_message(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_are_scored() {
        let ask = Ask::Score(Input::Text("My name"));
        let call = Tgi.call("", &ask).unwrap();
        assert_eq!(call.body.unwrap()["parameters"]["decoder_input_details"], true);
        let body = json!({"generated_text": " is", "details": {"finish_reason": "length", "generated_tokens": 1, "prefill": [
            {"id": 1, "text": "<s>", "logprob": null}, {"id": 9, "text": "My", "logprob": -2.5}, {"id": 8, "text": " name", "logprob": -1.5}]}});
        let Ok(Reply::Scores { tokens, generated, .. }) = Tgi.reply(&ask, &body) else { panic!() };
        assert_eq!((tokens.len(), generated, tokens[2].logprob, tokens[0].logprob), (3, 0, Some(-1.5), None));
        let tokenize = Ask::Tokenize { text: "x", special: false };
        assert_eq!(Tgi.reply(&tokenize, &json!([{"id": 3}, {"id": 4}])), Ok(Reply::Tokens(vec![3, 4])));
        assert!(Tgi.reply(&tokenize, &json!([{"ix": 3}])).is_err());
    }

    #[test]
    fn texts() {
        let sampling = super::super::testing::sampling();
        let ask = Ask::Generate(Input::Text("a"), &sampling);
        let body = json!([{"generated_text": "b", "details": {"finish_reason": "eos_token", "generated_tokens": 1}}]);
        let Ok(Reply::Text { text, cut_off, .. }) = Tgi.reply(&ask, &body) else { panic!() };
        assert_eq!((text.as_str(), cut_off), ("b", false));
        assert!(matches!(Tgi.reply(&ask, &json!({"error": "overloaded"})), Err(WireError::Failed(_))));
        assert!(matches!(Tgi.reply(&ask, &json!({})), Err(WireError::Malformed(_))));
    }
}
