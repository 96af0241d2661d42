//! What OpenAI's formats and those made after them have in common: settings, choices, usage, listings, errors.

use super::field::{self, count, inner, malformed, member, text, whole, words};
use super::trouble::{self, Meaning};
use super::{Call, Reply, Sampling, WireError};
use crate::request::Usage;
use serde_json::{Map, Value, json};

/// How a format writes down how a text is written.
pub(super) struct Settings {
    /// Names of the limit of tokens, of models that answer at once and of models that think.
    pub max_tokens: (&'static str, &'static str),
    /// Most stop strings.
    pub max_stops: usize,
    pub seed: &'static str,
    /// What `top_k` takes for all tokens; `None`: the format has neither `top_k` nor `min_p`.
    pub no_top_k: Option<i64>,
    /// Settings that servers have on by themselves, switched off.
    pub fixed: &'static [(&'static str, f64)],
    /// Models that think take a temperature, too.
    pub reasoning_temperature: bool,
}

impl Settings {
    /// What every server takes.
    pub const PLAIN: Settings = Settings {
        max_tokens: ("max_tokens", "max_tokens"),
        max_stops: 4,
        seed: "seed",
        no_top_k: None,
        fixed: &[],
        reasoning_temperature: true,
    };

    /// Writes them into a body. An empty list of stop strings is left out: some servers fail on it.
    pub fn write(&self, body: &mut Map<String, Value>, sampling: &Sampling) {
        let name = if sampling.reasoning { self.max_tokens.1 } else { self.max_tokens.0 };
        body.insert(name.into(), json!(sampling.max_tokens));
        if !sampling.reasoning {
            let stops = stops(sampling, self.max_stops);
            if !stops.is_empty() {
                body.insert("stop".into(), json!(stops));
            }
        }
        self.write_greedy(body, sampling.reasoning, sampling.temperature);
        if sampling.temperature > 0.0 && self.takes_temperature(sampling.reasoning) {
            body.insert("top_p".into(), json!(sampling.top_p.unwrap_or(1.0)));
            if let Some(no_top_k) = self.no_top_k {
                let top_k = sampling.top_k.and_then(|k| i64::try_from(k).ok()).filter(|k| *k > 0);
                body.insert("top_k".into(), json!(top_k.unwrap_or(no_top_k)));
                body.insert("min_p".into(), json!(sampling.min_p.unwrap_or(0.0)));
            }
        }
        if let Some(seed) = sampling.seed.filter(|_| sampling.temperature > 0.0) {
            body.insert(self.seed.into(), json!(small_seed(seed)));
        }
    }

    /// Temperature, and what servers have on by themselves.
    pub fn write_greedy(&self, body: &mut Map<String, Value>, reasoning: bool, temperature: f64) {
        if self.takes_temperature(reasoning) {
            body.insert("temperature".into(), json!(temperature));
        }
        for (name, value) in self.fixed {
            body.insert((*name).into(), json!(value));
        }
    }

    fn takes_temperature(&self, reasoning: bool) -> bool {
        self.reasoning_temperature || !reasoning
    }

    /// Names of settings that there is no place for.
    pub fn leaves_out(&self, sampling: &Sampling) -> Vec<&'static str> {
        let mut out = Vec::new();
        if !self.takes_temperature(sampling.reasoning) {
            out.push("temperature");
            out.extend(sampling.top_p.map(|_| "top_p"));
        }
        if self.no_top_k.is_none() || !self.takes_temperature(sampling.reasoning) {
            out.extend(sampling.top_k.map(|_| "top_k"));
            out.extend(sampling.min_p.map(|_| "min_p"));
        }
        out
    }
}

/// As many stop strings as a format takes. Empty ones stop nothing.
pub(super) fn stops(sampling: &Sampling, most: usize) -> Vec<&str> {
    sampling.stops.iter().map(String::as_str).filter(|stop| !stop.is_empty()).take(most).collect()
}

/// A seed in the range that all servers take: 31 bits.
pub(super) fn small_seed(seed: u64) -> u64 {
    (seed ^ (seed >> 31) ^ (seed >> 62)) & 0x7fff_ffff
}

/// The listing of models, `GET models`.
pub(super) fn models_call() -> Call {
    Call { path: "models".into(), body: None }
}

/// A listing: `{"data": [{"id"}]}`, or the list alone.
pub(super) fn models(body: &Value) -> Result<Reply, WireError> {
    let list = match body {
        Value::Array(list) => list,
        _ => field::required_list(body, "data", "data").or_else(|e| field::failure(body).map_or(Err(e), Err))?,
    };
    let models = list.iter().filter_map(|entry| Some(field::served(entry, words(entry, "id")?))).collect();
    Ok(Reply::Models(models))
}

/// Tokens that a body says were used; what it does not say counts as 0.
pub(super) fn usage(body: &Value) -> Usage {
    let Some(said) = member(body, "usage") else { return Usage::default() };
    let number = |key: &str| count(said, key).unwrap_or(0);
    let prompt_tokens = number("prompt_tokens");
    let reasoning_tokens = inner(said, "completion_tokens_details", "reasoning_tokens")
        .or_else(|| member(said, "reasoning_tokens"))
        .and_then(whole)
        .map_or(0, |number| number as usize);
    let cached_tokens = inner(said, "prompt_tokens_details", "cached_tokens")
        .or_else(|| member(said, "prompt_cache_hit_tokens"))
        .or_else(|| member(said, "cached_tokens"))
        .and_then(whole)
        .map_or(0, |number| number as usize);
    let mut completion_tokens = number("completion_tokens");
    // Some leave thoughts out of the completion and put them into the total.
    if completion_tokens < reasoning_tokens
        || number("total_tokens") == prompt_tokens + completion_tokens + reasoning_tokens
    {
        completion_tokens += reasoning_tokens;
    }
    Usage { prompt_tokens, completion_tokens, truncated_tokens: 0, cached_tokens, reasoning_tokens }
}

/// The choice of index 0, unless the body or the choice says that there is none.
pub(super) fn choice(body: &Value) -> Result<&Value, WireError> {
    if let Some(failure) = failed(body) {
        return Err(failure);
    }
    let list = field::required_list(body, "choices", "choices")?;
    if list.is_empty() {
        return Err(blocked(body).unwrap_or_else(|| malformed("`choices` is empty")));
    }
    let choice = field::first_choice(list).ok_or_else(|| malformed("`choices` has no entry of index 0"))?;
    failed(choice).map_or(Ok(choice), Err)
}

/// An error in a body of status 200: a content filter's or any other.
fn failed(body: &Value) -> Option<WireError> {
    let failure = field::failure(body)?;
    let WireError::Failed(said) = &failure else { return Some(failure) };
    Some(if trouble::meaning(body) == Meaning::Blocked { WireError::Refused(said.clone()) } else { failure })
}

/// A block that stands beside an answer that is missing: Azure's results of filters, Gemini's feedback.
fn blocked(body: &Value) -> Option<WireError> {
    let filtered = |results: &Value| {
        let results = member(results, "content_filter_results")?.as_object()?;
        let is_filtered = |result: &Value| result.get("filtered") == Some(&Value::Bool(true));
        results.iter().find(|(_, result)| is_filtered(result)).map(|(name, _)| name.clone())
    };
    let by_azure = member(body, "prompt_filter_results").and_then(|list| list.as_array()?.iter().find_map(filtered));
    let by_gemini = ["promptFeedback", "prompt_feedback"].iter().find_map(|key| {
        let feedback = member(body, key)?;
        text(feedback, "blockReason").or_else(|| text(feedback, "block_reason"))
    });
    let reason = by_azure.as_deref().or(by_gemini)?;
    Some(WireError::Refused(format!("the prompt was blocked (`{}`)", field::short(reason))))
}

/// Reasons that an answer ends at its limit of tokens, and reasons that mean a break; with all others (`stop`, `eos`, none) it is whole.
const LIMITS: &[&str] = &["length", "max_tokens", "model_length", "max_output_tokens"];
const BREAKS: &[&str] = &["error", "abort", "insufficient_system_resource", "malformed_function_call"];

/// Whether an answer was cut off at its limit of tokens; refusals and breaks are errors, with a message or without. OpenRouter gives the
/// provider's own reason beside its own.
pub(super) fn cut_off(choice: &Value) -> Result<bool, WireError> {
    let reasons = ["finish_reason", "native_finish_reason"].iter().filter_map(|key| Some((*key, text(choice, key)?)));
    if let Some((key, reason)) = reasons.clone().find(|(_, reason)| trouble::is_block(reason)) {
        return Err(WireError::Refused(format!("{key} is `{}`", field::short(reason))));
    }
    let Some(reason) = text(choice, "finish_reason") else { return Ok(false) };
    let is_one = |list: &[&str]| list.iter().any(|name| reason.eq_ignore_ascii_case(name));
    match is_one(BREAKS) {
        true => Err(WireError::Failed(format!("finish_reason is `{}`", field::short(reason)))),
        false => Ok(is_one(LIMITS)),
    }
}

/// `top_logprobs` of the first token of `logprobs.content`, as chat routes have it (and llama.cpp's completions).
pub(super) fn first_of_content(content: &[Value], name: &str) -> Result<Vec<(String, f64)>, WireError> {
    let first = content.first().ok_or_else(|| malformed(format!("`{name}` is empty")))?;
    let list = field::required_list(first, "top_logprobs", &format!("{name}[0].top_logprobs"))?;
    let mut top = Vec::with_capacity(list.len() + 1);
    for (place, entry) in list.iter().chain([first]).enumerate() {
        let at = |key: &str| match place == list.len() {
            true => format!("{name}[0].{key}"),
            false => format!("{name}[0].top_logprobs[{place}].{key}"),
        };
        let token = field::required_text(entry, "token", &at("token"))?;
        let logprob = field::logprob(entry.get("logprob").unwrap_or(&Value::Null), || at("logprob"))?;
        // The chosen token is listed among the likeliest, or it is one more.
        if place < list.len() || !top.iter().any(|(listed, _)| listed == token) {
            top.push((token.to_string(), logprob));
        }
    }
    Ok(field::likeliest_first(top))
}

/// A text without the start of an answer that was given with the question: some servers repeat it.
pub(super) fn behind_opening<'a>(text: &'a str, opening: Option<&str>) -> &'a str {
    opening.filter(|opening| !opening.trim().is_empty()).and_then(|opening| text.strip_prefix(opening)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thoughts_are_counted_once() {
        let usage = |said: Value| usage(&json!({ "usage": said }));
        let apart = usage(json!({"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 17,
            "completion_tokens_details": {"reasoning_tokens": 10}}));
        assert_eq!((apart.completion_tokens, apart.reasoning_tokens), (12, 10));
        let within = usage(json!({"prompt_tokens": 5, "completion_tokens": 12, "total_tokens": 17,
            "completion_tokens_details": {"reasoning_tokens": 10}, "prompt_tokens_details": {"cached_tokens": 4}}));
        assert_eq!((within.completion_tokens, within.reasoning_tokens, within.cached_tokens), (12, 10, 4));
        assert_eq!(usage(json!({"prompt_tokens": -5, "completion_tokens": "2"})), Usage::default());
        assert_eq!(super::usage(&json!({})), Usage::default());
    }

    #[test]
    fn seeds_fit_31_bits_and_small_ones_stay() {
        assert_eq!(small_seed(1234), 1234);
        assert_ne!(small_seed(1 << 40), small_seed(1 << 41));
        assert!(small_seed(u64::MAX) < 1 << 31);
    }

    #[test]
    fn listings_name_windows_and_owners() {
        let body = json!({"data": [{"id": "a", "max_model_len": 4096, "owned_by": "vllm"}, {"id": "b", "meta": {"n_ctx": 512}}, {"id": ""}, 3]});
        let Ok(Reply::Models(models)) = models(&body) else { panic!("no models") };
        assert_eq!(models.len(), 2);
        assert_eq!((models[0].max_length, models[0].owned_by.as_deref()), (Some(4096), Some("vllm")));
        assert_eq!(models[1].max_length, Some(512));
        assert!(matches!(super::models(&json!({"error": {"message": "no"}})), Err(WireError::Failed(_))));
        assert!(matches!(super::models(&json!([{"id": "a"}])), Ok(Reply::Models(list)) if list.len() == 1));
    }
}
