//! Hugging Face text-generation-inference by its own route, `/generate`: `decoder_input_details` gives the prompt's log-probabilities in
//! `details.prefill`. It does not say which tokens would have been likelier.

use super::field::{self, count, malformed, member, text, whole, words};
use super::openai::{small_seed, stops};
use super::openai_completions::lay;
use super::{Ask, Call, Input, Reply, Sampling, ServedModel, TokenScore, Wire, WireError};
use crate::request::Usage;
use serde_json::{Map, Value, json};

/// Most stop strings that servers take unless they are started otherwise.
const MAX_STOPS: usize = 4;

/// Most likely tokens that servers give unless they are started otherwise.
const MAX_TOP: usize = 5;

/// The format.
pub struct Tgi;

impl Wire for Tgi {
    fn name(&self) -> &'static str {
        "tgi"
    }

    fn call(&self, model: &str, ask: &Ask<'_>) -> Option<Call> {
        let (path, body) = match ask {
            Ask::Score(Input::Text(prompt)) => {
                let settings =
                    json!({"max_new_tokens": 1, "do_sample": false, "details": true, "decoder_input_details": true});
                ("/generate", json!({"inputs": prompt, "parameters": settings}))
            }
            Ask::FirstToken { input: Input::Text(prompt), top } => {
                let top = (*top).clamp(1, MAX_TOP);
                let settings = json!({"max_new_tokens": 1, "do_sample": false, "details": true, "top_n_tokens": top});
                ("/generate", json!({"inputs": prompt, "parameters": settings}))
            }
            Ask::Generate(Input::Text(prompt), sampling) => {
                ("/generate", json!({"inputs": prompt, "parameters": settings(sampling)}))
            }
            Ask::Tokenize { text, special } => ("/tokenize", json!({"inputs": text, "add_special_tokens": special})),
            Ask::ApplyTemplate(turns) => {
                let turns: Vec<Value> =
                    turns.iter().map(|turn| json!({"role": turn.role.as_str(), "content": turn.content})).collect();
                ("/chat_tokenize", json!({"model": model, "messages": turns}))
            }
            Ask::Models => return Some(Call { path: "/info".into(), body: None }),
            _ => return None,
        };
        Some(Call { path: path.into(), body: Some(body) })
    }

    fn reply(&self, ask: &Ask<'_>, body: &Value) -> Result<Reply, WireError> {
        if let Ask::Tokenize { .. } = ask {
            let list =
                body.as_array().map_or_else(|| field::required_list(body, "tokens", "tokens"), |list| Ok(list))?;
            return field::token_ids(list, "tokens");
        }
        let body = body.as_array().and_then(|list| list.first()).unwrap_or(body);
        if let Some(failure) = field::failure(body) {
            return Err(failure);
        }
        match ask {
            Ask::Score(Input::Text(prompt)) => score(prompt, body),
            Ask::Generate(..) => generated(body),
            Ask::FirstToken { .. } => first_token(body),
            Ask::ApplyTemplate(_) => field::required_text(body, "templated_text", "templated_text")
                .map(|prompt| Reply::Template(prompt.to_string())),
            Ask::Models => info(body),
            _ => Err(malformed("this format takes texts only")),
        }
    }

    fn error_message(&self, body: &Value) -> Option<String> {
        field::error_message(body)
    }

    fn leaves_out(&self, sampling: &Sampling) -> Vec<&'static str> {
        sampling.min_p.map(|_| "min_p").into_iter().collect()
    }
}

/// `top_p` must be below 1 here, `top_k` above 0.
fn settings(sampling: &Sampling) -> Value {
    let samples = sampling.temperature > 0.0;
    let mut settings = Map::from_iter([
        ("max_new_tokens".to_string(), json!(sampling.max_tokens)),
        ("do_sample".to_string(), json!(samples)),
        ("details".to_string(), json!(true)),
        ("return_full_text".to_string(), json!(false)),
    ]);
    if samples {
        let drawn = [
            ("temperature", Some(json!(sampling.temperature))),
            ("top_p", sampling.top_p.filter(|p| *p > 0.0 && *p < 1.0).map(|p| json!(p))),
            ("top_k", sampling.top_k.filter(|k| *k > 0).map(|k| json!(k))),
            ("seed", sampling.seed.map(|seed| json!(small_seed(seed)))),
        ];
        settings.extend(drawn.into_iter().filter_map(|(name, value)| Some((name.to_string(), value?))));
    }
    let stops = stops(sampling, MAX_STOPS);
    if !sampling.reasoning && !stops.is_empty() {
        settings.insert("stop".into(), json!(stops));
    }
    Value::Object(settings)
}

fn details(body: &Value) -> Result<&Value, WireError> {
    member(body, "details").ok_or_else(|| malformed("`details` is missing"))
}

/// The prompt is counted only where its tokens come back.
fn usage(details: &Value) -> Usage {
    let prefill = member(details, "prefill").and_then(Value::as_array);
    Usage {
        prompt_tokens: prefill.map_or(0, Vec::len),
        completion_tokens: count(details, "generated_tokens").unwrap_or(0),
        ..Usage::default()
    }
}

fn generated(body: &Value) -> Result<Reply, WireError> {
    let text = field::required_text(body, "generated_text", "generated_text")?.to_string();
    let details = details(body)?;
    let cut_off = field::required_text(details, "finish_reason", "details.finish_reason")? == "length";
    Ok(Reply::Text { text, reasoning: None, cut_off, usage: usage(details), model: None })
}

fn score(prompt: &str, body: &Value) -> Result<Reply, WireError> {
    let details = details(body)?;
    let list = field::required_list(details, "prefill", "details.prefill")?;
    if list.is_empty() {
        return Err(malformed(
            "`details.prefill` is empty: this server keeps the prompt's log-probabilities to itself",
        ));
    }
    let mut tokens = Vec::with_capacity(list.len());
    for (place, entry) in list.iter().enumerate() {
        let text = field::required_text(entry, "text", &format!("details.prefill[{place}].text"))?;
        let logprob = match member(entry, "logprob") {
            None if place == 0 => None,
            None => return Err(malformed(format!("`details.prefill[{place}].logprob` is missing"))),
            Some(value) => Some(field::logprob(value, || format!("details.prefill[{place}].logprob"))?),
        };
        let id = member(entry, "id").and_then(whole);
        tokens.push(TokenScore { id, text: Some(text.to_string()), offset: None, logprob, is_greedy: None });
    }
    lay(prompt, &mut tokens, Some(0))?;
    Ok(Reply::Scores { tokens, generated: 0, usage: usage(details), model: None })
}

fn first_token(body: &Value) -> Result<Reply, WireError> {
    let details = details(body)?;
    let steps = field::required_list(details, "top_tokens", "details.top_tokens")?;
    let first = steps.first().and_then(Value::as_array).filter(|first| !first.is_empty());
    let first = first.ok_or_else(|| malformed("`details.top_tokens[0]` is missing"))?;
    let mut top = Vec::with_capacity(first.len());
    for (place, entry) in first.iter().enumerate() {
        let at = |key: &str| format!("details.top_tokens[0][{place}].{key}");
        let text = field::required_text(entry, "text", &at("text"))?;
        let logprob = field::logprob(entry.get("logprob").unwrap_or(&Value::Null), || at("logprob"))?;
        top.push((text.to_string(), logprob));
    }
    Ok(Reply::FirstToken { top: field::likeliest_first(top), usage: usage(details), model: None })
}

/// `GET /info` is of the one model that the server has.
fn info(body: &Value) -> Result<Reply, WireError> {
    let id = words(body, "model_id").ok_or_else(|| malformed("`model_id` is missing"))?;
    let max_length = count(body, "max_total_tokens").filter(|length| *length > 0);
    let owned_by = text(body, "router").map(str::to_string);
    Ok(Reply::Models(vec![ServedModel { id: id.to_string(), max_length, owned_by }]))
}

#[cfg(test)]
#[path = "tgi_tests.rs"]
mod tests;
