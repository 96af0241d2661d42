//! SGLang, by its own route `/generate`: prompts are scored with `return_logprob` from position 0.

use super::body::{at, count, error_message, failed, logprob, malformed, some_text, text};
use super::openai_completions::{models, sorted};
use super::{Ask, Call, Input, Reply, TokenScore, Wire, WireError};
use crate::request::Usage;
use serde_json::{Map, Value, json};

/// The format.
pub struct SgLang;

impl Wire for SgLang {
    fn name(&self) -> &'static str {
        "sglang"
    }

    fn call(&self, _model: &str, ask: &Ask<'_>) -> Option<Call> {
        let mut body = Map::new();
        let sampling = match *ask {
            Ask::Score(input) => {
                input_into(&mut body, input)?;
                body.insert("return_logprob".into(), json!(true));
                body.insert("return_text_in_logprobs".into(), json!(true));
                body.insert("logprob_start_len".into(), json!(0));
                body.insert("top_logprobs_num".into(), json!(1));
                json!({"max_new_tokens": 1, "temperature": 0})
            }
            Ask::FirstToken { input, top } => {
                input_into(&mut body, input)?;
                body.insert("return_logprob".into(), json!(true));
                body.insert("return_text_in_logprobs".into(), json!(true));
                body.insert("top_logprobs_num".into(), json!(top));
                json!({"max_new_tokens": 1, "temperature": 0})
            }
            Ask::Generate(input, sampling) => {
                input_into(&mut body, input)?;
                let mut map = Map::new();
                map.insert("max_new_tokens".into(), json!(sampling.max_tokens));
                map.insert("temperature".into(), json!(sampling.temperature));
                map.insert("stop".into(), json!(sampling.stops));
                let options = [
                    ("top_p", sampling.top_p.map(|v| json!(v))),
                    ("top_k", sampling.top_k.map(|v| json!(v))),
                    ("min_p", sampling.min_p.map(|v| json!(v))),
                    ("sampling_seed", sampling.seed.map(|v| json!(v & 0x7fff_ffff))),
                ];
                map.extend(options.into_iter().filter_map(|(key, value)| Some((key.to_string(), value?))));
                Value::Object(map)
            }
            Ask::Models => return Some(Call { path: "v1/models".into(), body: None }),
            Ask::Tokenize { .. } | Ask::ApplyTemplate(_) => return None,
        };
        body.insert("sampling_params".into(), sampling);
        Some(Call { path: "generate".into(), body: Some(Value::Object(body)) })
    }

    fn reply(&self, ask: &Ask<'_>, body: &Value) -> Result<Reply, WireError> {
        failed(body)?;
        if let Ask::Models = ask {
            return models(body);
        }
        let meta = at(body, &["meta_info"]);
        let usage = Usage {
            prompt_tokens: count(meta, &["prompt_tokens"]),
            completion_tokens: count(meta, &["completion_tokens"]),
            cached_tokens: count(meta, &["cached_tokens"]),
            ..Usage::default()
        };
        match ask {
            Ask::Score(_) => Ok(Reply::Scores { tokens: input_tokens(meta)?, generated: 0, usage, model: None }),
            Ask::FirstToken { .. } => {
                let first = at(meta, &["output_top_logprobs"]).get(0).and_then(Value::as_array);
                let first = first.ok_or_else(|| malformed("no first token in `output_top_logprobs`"))?;
                let mut top = Vec::new();
                for entry in first {
                    let (value, _, token) = triple(entry)?;
                    if let (Some(value), Some(token)) = (value, token) {
                        top.push((token, value));
                    }
                }
                Ok(Reply::FirstToken { top: sorted(top)?, usage, model: None })
            }
            _ => {
                let written = text(body, &["text"]).ok_or_else(|| malformed("no `text`"))?;
                let cut_off = text(meta, &["finish_reason", "type"]) == Some("length");
                Ok(Reply::Text {
                    text: written.to_string(),
                    reasoning: None,
                    cut_off,
                    usage,
                    model: some_text(body, &["model"]),
                })
            }
        }
    }

    fn error_message(&self, body: &Value) -> Option<String> {
        error_message(body)
    }
}

fn input_into(body: &mut Map<String, Value>, input: Input<'_>) -> Option<()> {
    match input {
        Input::Text(text) => body.insert("text".into(), json!(text)),
        Input::Ids(ids) => body.insert("input_ids".into(), json!(ids)),
        Input::Chat(_) => return None,
    };
    Some(())
}

/// `[logprob, id, text]`
fn triple(entry: &Value) -> Result<(Option<f64>, Option<u32>, Option<String>), WireError> {
    let part = |index: usize| entry.get(index).unwrap_or(&Value::Null);
    let id = part(1).as_u64().and_then(|id| u32::try_from(id).ok());
    Ok((logprob(part(0))?, id, part(2).as_str().map(str::to_string)))
}

fn input_tokens(meta: &Value) -> Result<Vec<TokenScore>, WireError> {
    let entries =
        at(meta, &["input_token_logprobs"]).as_array().ok_or_else(|| malformed("no `input_token_logprobs`"))?;
    let top = at(meta, &["input_top_logprobs"]).as_array();
    let mut tokens = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        let (value, id, text) = triple(entry)?;
        let best = top.and_then(|top| top.get(index)).and_then(|best| best.get(0)).and_then(|best| best.get(0));
        let is_greedy = value.zip(best.and_then(Value::as_f64)).map(|(own, best)| own >= best);
        tokens.push(TokenScore { id, text, offset: None, logprob: value, is_greedy });
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_are_scored() {
        let ask = Ask::Score(Input::Ids(&[1, 2]));
        assert_eq!(SgLang.call("", &ask).unwrap().body.unwrap()["input_ids"], json!([1, 2]));
        let body = json!({"text": "x", "meta_info": {"prompt_tokens": 2, "completion_tokens": 1,
            "input_token_logprobs": [[null, 1, "a"], [-0.5, 2, "b"]],
            "input_top_logprobs": [null, [[-0.5, 2, "b"]]]}});
        let Ok(Reply::Scores { tokens, .. }) = SgLang.reply(&ask, &body) else { panic!() };
        assert_eq!((tokens[0].logprob, tokens[1].logprob, tokens[1].is_greedy), (None, Some(-0.5), Some(true)));
        assert!(SgLang.reply(&ask, &json!({"meta_info": {}})).is_err());
    }
}
