//! SGLang by its own route, `/generate`: log-probabilities of the prompt with `logprob_start_len: 0`.
//!
//! Texts of tokens are asked for only where the prompt is a text: some versions put all of them into one entry, which shows in the count.

use super::field::{self, count, malformed, member, text};
use super::openai::{self, Settings};
use super::openai_completions::lay;
use super::{Ask, Call, Input, Reply, Sampling, TokenScore, Wire, WireError};
use crate::request::Usage;
use serde_json::{Map, Value, json};

/// Most likely tokens that are asked for.
const MAX_TOP: usize = 1000;

/// Names of settings here.
const SETTINGS: Settings = Settings {
    max_tokens: ("max_new_tokens", "max_new_tokens"),
    max_stops: usize::MAX,
    seed: "sampling_seed",
    no_top_k: Some(-1),
    fixed: &[("repetition_penalty", 1.0)],
    reasoning_temperature: true,
};

/// The format.
pub struct SgLang;

impl Wire for SgLang {
    fn name(&self) -> &'static str {
        "sglang"
    }

    fn call(&self, model: &str, ask: &Ask<'_>) -> Option<Call> {
        let (input, settings, probabilities) = match ask {
            Ask::Score(input) => (input, one_token(), Some((0, 1, matches!(input, Input::Text(_))))),
            Ask::FirstToken { input, top } => (input, one_token(), Some((-1, (*top).clamp(1, MAX_TOP), true))),
            Ask::Generate(input, sampling) => {
                let mut settings = Map::new();
                SETTINGS.write(&mut settings, sampling);
                (input, settings, None)
            }
            Ask::Tokenize { text, special } => {
                let body = json!({"model": model, "prompt": text, "add_special_tokens": special});
                return Some(Call { path: "/tokenize".into(), body: Some(body) });
            }
            Ask::Models => return Some(openai::models_call()),
            Ask::ApplyTemplate(_) => return None,
        };
        let mut body = match input {
            Input::Text(text) => Map::from_iter([("text".to_string(), json!(text))]),
            Input::Ids(ids) => Map::from_iter([("input_ids".to_string(), json!(ids))]),
            Input::Chat(_) => return None,
        };
        body.insert("sampling_params".into(), Value::Object(settings));
        if let Some((start, top, texts)) = probabilities {
            body.insert("return_logprob".into(), json!(true));
            body.insert("logprob_start_len".into(), json!(start));
            body.insert("top_logprobs_num".into(), json!(top));
            body.insert("return_text_in_logprobs".into(), json!(texts));
        }
        Some(Call { path: "/generate".into(), body: Some(Value::Object(body)) })
    }

    fn reply(&self, ask: &Ask<'_>, body: &Value) -> Result<Reply, WireError> {
        match ask {
            Ask::Models => openai::models(body),
            Ask::Tokenize { .. } => field::token_ids(field::required_list(body, "tokens", "tokens")?, "tokens"),
            Ask::ApplyTemplate(_) => Err(malformed("this format has no templates")),
            Ask::Score(input) => score(input, one(body)?),
            Ask::Generate(..) => generated(one(body)?),
            Ask::FirstToken { .. } => first_token(one(body)?),
        }
    }

    fn error_message(&self, body: &Value) -> Option<String> {
        field::error_message(body)
    }

    fn leaves_out(&self, sampling: &Sampling) -> Vec<&'static str> {
        SETTINGS.leaves_out(sampling)
    }
}

fn one_token() -> Map<String, Value> {
    Map::from_iter([("max_new_tokens".to_string(), json!(1)), ("temperature".to_string(), json!(0))])
}

/// The answer, perhaps as the first of a list.
fn one(body: &Value) -> Result<&Value, WireError> {
    let body = body.as_array().and_then(|list| list.first()).unwrap_or(body);
    field::failure(body).map_or(Ok(body), Err)
}

fn meta(body: &Value) -> Result<&Value, WireError> {
    let meta = member(body, "meta_info").ok_or_else(|| malformed("`meta_info` is missing"))?;
    match member(meta, "finish_reason").filter(|reason| text(reason, "type") == Some("abort")) {
        Some(reason) => Err(WireError::Failed(field::short(field::words(reason, "message").unwrap_or("aborted")))),
        None => Ok(meta),
    }
}

fn usage(meta: &Value) -> Usage {
    let number = |key: &str| count(meta, key).unwrap_or(0);
    Usage {
        prompt_tokens: number("prompt_tokens"),
        completion_tokens: number("completion_tokens"),
        truncated_tokens: 0,
        cached_tokens: number("cached_tokens"),
        reasoning_tokens: 0,
    }
}

fn generated(body: &Value) -> Result<Reply, WireError> {
    let meta = meta(body)?;
    let text = field::required_text(body, "text", "text")?.to_string();
    let reason = member(meta, "finish_reason").ok_or_else(|| malformed("`meta_info.finish_reason` is missing"))?;
    let cut_off = field::text(reason, "type").or(reason.as_str()) == Some("length");
    Ok(Reply::Text { text, reasoning: None, cut_off, usage: usage(meta), model: None })
}

/// `[logprob, id, text]`.
struct Entry<'a> {
    logprob: Option<f64>,
    id: u32,
    text: Option<&'a str>,
}

fn entry<'a>(value: &'a Value, name: impl Fn() -> String) -> Result<Entry<'a>, WireError> {
    let Some([logprob, id, rest @ ..]) = value.as_array().map(Vec::as_slice) else {
        return Err(malformed(format!("`{}` is no triple", name())));
    };
    let logprob = match logprob {
        Value::Null => None,
        value => Some(field::logprob(value, || format!("{}[0]", name()))?),
    };
    let id = field::whole(id).ok_or_else(|| malformed(format!("`{}[1]` is no token id", name())))?;
    Ok(Entry { logprob, id, text: rest.first().and_then(Value::as_str) })
}

fn score(input: &Input<'_>, body: &Value) -> Result<Reply, WireError> {
    let meta = meta(body)?;
    let name = "meta_info.input_token_logprobs";
    let list = field::required_list(meta, "input_token_logprobs", name)?;
    let sent = if let Input::Ids(ids) = input { Some(ids.len()) } else { count(meta, "prompt_tokens") };
    if let Some(sent) = sent.filter(|sent| *sent != list.len()) {
        let got = list.len();
        return Err(malformed(format!("answered another prompt: `{name}` has {got} entries for {sent} tokens")));
    }
    let tops = member(meta, "input_top_logprobs").and_then(Value::as_array).filter(|tops| tops.len() == list.len());
    let mut tokens = Vec::with_capacity(list.len());
    for (place, value) in list.iter().enumerate() {
        let at = || format!("{name}[{place}]");
        let entry = entry(value, at)?;
        if entry.logprob.is_none() && place > 0 {
            return Err(malformed(format!("`{}[0]` is missing", at())));
        }
        if let Input::Ids(ids) = input
            && ids.get(place) != Some(&entry.id)
        {
            return Err(malformed(format!("answered another prompt: `{}` is of token {}", at(), entry.id)));
        }
        let top = tops.and_then(|tops| tops.get(place)).and_then(Value::as_array);
        tokens.push(TokenScore {
            id: Some(entry.id),
            text: entry.text.map(str::to_string),
            offset: None,
            logprob: entry.logprob,
            is_greedy: entry.logprob.and_then(|own| is_best(own, top?)),
        });
    }
    if let Input::Text(prompt) = input {
        lay(prompt, &mut tokens, Some(0))?;
    }
    Ok(Reply::Scores { tokens, generated: 0, usage: usage(meta), model: None })
}

/// Whether none of the likeliest is likelier; `None` when none is readable.
fn is_best(own: f64, top: &[Value]) -> Option<bool> {
    let best = top
        .iter()
        .filter_map(|entry| entry.get(0)?.as_f64())
        .fold(None, |best: Option<f64>, value| Some(best.map_or(value, |best| best.max(value))))?;
    Some(own >= best.min(0.0))
}

fn first_token(body: &Value) -> Result<Reply, WireError> {
    let meta = meta(body)?;
    let name = "meta_info.output_top_logprobs";
    let steps = field::required_list(meta, "output_top_logprobs", name)?;
    let first = steps.first().and_then(Value::as_array).filter(|first| !first.is_empty());
    let first = first.ok_or_else(|| malformed(format!("`{name}[0]` is missing")))?;
    let mut top = Vec::with_capacity(first.len());
    for (place, value) in first.iter().enumerate() {
        let at = || format!("{name}[0][{place}]");
        let entry = entry(value, at)?;
        let logprob = entry.logprob.ok_or_else(|| malformed(format!("`{}[0]` is missing", at())))?;
        let text = entry.text.ok_or_else(|| malformed(format!("`{}[2]` is no text", at())))?;
        top.push((text.to_string(), logprob));
    }
    Ok(Reply::FirstToken { top: field::likeliest_first(top), usage: usage(meta), model: None })
}

#[cfg(test)]
#[path = "sglang_tests.rs"]
mod tests;
