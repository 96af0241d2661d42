//! OpenAI's `/completions`, as vLLM, llama.cpp, text-generation-inference and many others serve it too.
//!
//! Prompts are scored with `echo` and `logprobs`, which gives an entry for every token of the prompt and for those that follow. vLLM's
//! `prompt_logprobs` (a list of `{id: {logprob, rank, decoded_token}}`) is read where a server answers with it.

use super::body::{
    at, count, error_message, failed, first_choice, list, logprob, malformed, openai_usage, some_text, text,
};
use super::{Ask, Call, Input, Reply, Sampling, ServedModel, TokenScore, Wire, WireError};
use serde_json::{Map, Value, json};

/// Most stop strings and most first tokens that OpenAI's route takes.
const MAX_STOPS: usize = 4;
const MAX_TOP: usize = 5;

/// The format.
pub struct OpenAiCompletions {
    /// How prompts are asked to be scored.
    pub scoring: Scoring,
    /// First tokens that may be asked for.
    pub top: usize,
}

/// How a server is asked for the log-probabilities of a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scoring {
    /// `echo: true, logprobs: 1`
    Echo,
    /// `prompt_logprobs: 1` (vLLM, SGLang's OpenAI routes)
    PromptLogprobs,
}

/// As OpenAI has it.
pub static PLAIN: OpenAiCompletions = OpenAiCompletions { scoring: Scoring::Echo, top: MAX_TOP };
/// As vLLM has it.
pub static VLLM: OpenAiCompletions = OpenAiCompletions { scoring: Scoring::PromptLogprobs, top: 20 };

impl Wire for OpenAiCompletions {
    fn name(&self) -> &'static str {
        match self.scoring {
            Scoring::Echo => "openai-completions",
            Scoring::PromptLogprobs => "vllm-completions",
        }
    }

    fn call(&self, model: &str, ask: &Ask<'_>) -> Option<Call> {
        let mut body = Map::new();
        body.insert("model".into(), json!(model));
        match *ask {
            Ask::Score(input) => {
                body.insert("prompt".into(), prompt(input)?);
                // One token is written as well: not every server takes 0.
                body.insert("max_tokens".into(), json!(1));
                body.insert("temperature".into(), json!(0));
                match self.scoring {
                    Scoring::Echo => {
                        body.insert("echo".into(), json!(true));
                        body.insert("logprobs".into(), json!(1));
                    }
                    Scoring::PromptLogprobs => {
                        body.insert("prompt_logprobs".into(), json!(1));
                    }
                }
            }
            Ask::Generate(input, sampling) => {
                body.insert("prompt".into(), prompt(input)?);
                sampling_into(&mut body, sampling, "max_tokens");
            }
            Ask::FirstToken { input, top } => {
                body.insert("prompt".into(), prompt(input)?);
                body.insert("max_tokens".into(), json!(1));
                body.insert("temperature".into(), json!(0));
                body.insert("logprobs".into(), json!(top.min(self.top)));
            }
            Ask::Models => return Some(Call { path: "models".into(), body: None }),
            Ask::Tokenize { .. } | Ask::ApplyTemplate(_) => return None,
        }
        Some(Call { path: "completions".into(), body: Some(Value::Object(body)) })
    }

    fn reply(&self, ask: &Ask<'_>, body: &Value) -> Result<Reply, WireError> {
        failed(body)?;
        if let Ask::Models = ask {
            return models(body);
        }
        let choice = first_choice(body)?;
        refused(choice)?;
        let (usage, model) = (openai_usage(body), some_text(body, &["model"]));
        match ask {
            Ask::Score(input) => {
                let tokens = match prompt_logprobs(body, choice) {
                    Some(entries) => from_prompt_logprobs(entries)?,
                    None => from_echo(choice)?,
                };
                same_prompt(input, &tokens)?;
                let generated = usage.completion_tokens.min(tokens.len());
                // `prompt_logprobs` lists the prompt alone.
                let generated = if prompt_logprobs(body, choice).is_some() { 0 } else { generated };
                Ok(Reply::Scores { tokens, generated, usage, model })
            }
            Ask::FirstToken { .. } => Ok(Reply::FirstToken { top: first_token(choice)?, usage, model }),
            _ => Ok(Reply::Text {
                text: text(choice, &["text"]).ok_or_else(|| malformed("no text in the first choice"))?.to_string(),
                reasoning: some_text(choice, &["reasoning_content"]),
                cut_off: text(choice, &["finish_reason"]) == Some("length"),
                usage,
                model,
            }),
        }
    }

    fn error_message(&self, body: &Value) -> Option<String> {
        error_message(body)
    }

    fn is_content_filter(&self, status: u16, body: &Value) -> bool {
        is_content_filter(status, body)
    }
}

/// The provider's filter, in the codes of OpenAI and Azure.
pub fn is_content_filter(status: u16, body: &Value) -> bool {
    let code = text(body, &["error", "code"]).or_else(|| text(body, &["error", "innererror", "code"]));
    status == 400
        && matches!(code, Some("content_filter" | "content_policy_violation" | "ResponsibleAIPolicyViolation"))
}

fn prompt(input: Input<'_>) -> Option<Value> {
    match input {
        Input::Text(text) => Some(json!(text)),
        Input::Ids(ids) => Some(json!(ids)),
        Input::Chat(_) => None,
    }
}

/// Decoding settings as OpenAI's routes name them.
pub fn sampling_into(body: &mut Map<String, Value>, sampling: &Sampling, max_tokens: &str) {
    body.insert(max_tokens.into(), json!(sampling.max_tokens));
    if sampling.reasoning {
        return;
    }
    body.insert("temperature".into(), json!(sampling.temperature));
    let stops: Vec<&String> = sampling.stops.iter().filter(|stop| !stop.is_empty()).take(MAX_STOPS).collect();
    if !stops.is_empty() {
        body.insert("stop".into(), json!(stops));
    }
    let mut add = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(key.into(), value);
        }
    };
    add("top_p", sampling.top_p.map(|v| json!(v)));
    add("top_k", sampling.top_k.map(|v| json!(v)));
    add("min_p", sampling.min_p.map(|v| json!(v)));
    add("seed", sampling.seed.map(|v| json!(v)));
}

/// A list of models.
pub fn models(body: &Value) -> Result<Reply, WireError> {
    let entries = list(body, &["data"]).or_else(|_| list(body, &["models"]))?;
    let served = entries.iter().filter_map(|entry| {
        let id = some_text(entry, &["id"]).or_else(|| some_text(entry, &["name"]))?;
        let lengths = [
            count(entry, &["max_model_len"]),
            count(entry, &["context_length"]),
            count(entry, &["meta", "n_ctx"]),
            count(entry, &["inputTokenLimit"]),
        ];
        Some(ServedModel { id, max_length: lengths.into_iter().find(|length| *length > 0) })
    });
    Ok(Reply::Models(served.collect()))
}

/// A refusal that stands in a choice.
pub fn refused(choice: &Value) -> Result<(), WireError> {
    match text(choice, &["finish_reason"]) {
        Some("content_filter") => Err(WireError::Refused("stopped by the provider's content filter".into())),
        Some("error") => Err(WireError::Failed("the server stopped with an error".into())),
        _ => Ok(()),
    }
}

fn prompt_logprobs<'a>(body: &'a Value, choice: &'a Value) -> Option<&'a Vec<Value>> {
    let entries = at(choice, &["prompt_logprobs"]).as_array().or_else(|| at(body, &["prompt_logprobs"]).as_array());
    entries.filter(|entries| !entries.is_empty())
}

/// vLLM's form: the prompt's own token stands first in each entry, the likeliest ones after it.
fn from_prompt_logprobs(entries: &[Value]) -> Result<Vec<TokenScore>, WireError> {
    let token = |entry: &Value| {
        let Some(map) = entry.as_object() else { return Ok(TokenScore::default()) };
        let (id, own) = map.iter().next().ok_or_else(|| malformed("an empty entry in `prompt_logprobs`"))?;
        Ok(TokenScore {
            id: id.parse().ok(),
            text: some_text(own, &["decoded_token"]),
            offset: None,
            logprob: logprob(at(own, &["logprob"]))?,
            is_greedy: at(own, &["rank"]).as_u64().map(|rank| rank == 1),
        })
    };
    entries.iter().map(token).collect()
}

/// `logprobs` of a choice with `echo`: one entry for every token, prompt first.
fn from_echo(choice: &Value) -> Result<Vec<TokenScore>, WireError> {
    let logprobs = at(choice, &["logprobs"]);
    if logprobs.is_null() {
        return Err(malformed("it gives no log-probabilities (`echo` and `logprobs` are ignored)"));
    }
    if at(logprobs, &["content"]).is_array() {
        // llama.cpp's form: written tokens only, whatever `echo` says.
        return Err(malformed("it gives log-probabilities of the tokens that it writes only (`echo` is ignored)"));
    }
    let values = list(logprobs, &["token_logprobs"])?;
    let texts = list(logprobs, &["tokens"])?;
    if texts.len() != values.len() {
        return Err(malformed(format!("{} tokens and {} token_logprobs", texts.len(), values.len())));
    }
    let top = at(logprobs, &["top_logprobs"]).as_array().filter(|top| top.len() == values.len());
    let mut offset = 0;
    let mut tokens = Vec::with_capacity(values.len());
    for (index, (value, own)) in values.iter().zip(texts).enumerate() {
        let own = own.as_str().ok_or_else(|| malformed("a token that is no text"))?;
        let own_logprob = logprob(value)?;
        let best = top.and_then(|top| top.get(index)).and_then(Value::as_object);
        tokens.push(TokenScore {
            id: None,
            text: Some(own.to_string()),
            // Counted from the texts: servers' `text_offset`s count bytes or characters, with or without the first token.
            offset: Some(offset),
            logprob: own_logprob,
            is_greedy: best.and_then(|best| is_best(own_logprob?, best)),
        });
        offset += own.chars().count();
    }
    Ok(tokens)
}

/// Whether a log-probability is the highest of a place; `None` where the place lists none.
fn is_best(own: f64, best: &Map<String, Value>) -> Option<bool> {
    let highest = best.values().filter_map(Value::as_f64).reduce(f64::max)?;
    Some(own >= highest)
}

/// The likeliest first tokens.
fn first_token(choice: &Value) -> Result<Vec<(String, f64)>, WireError> {
    let logprobs = at(choice, &["logprobs"]);
    if at(logprobs, &["content"]).is_array() {
        return chat_first_token(logprobs);
    }
    let places = list(logprobs, &["top_logprobs"])?;
    let first = places.first().and_then(Value::as_object).ok_or_else(|| malformed("no likeliest first tokens"))?;
    let mut top = Vec::new();
    for (token, value) in first {
        if let Some(logprob) = logprob(value)? {
            top.push((token.clone(), logprob));
        }
    }
    sorted(top)
}

/// The same in the form of chat routes.
pub fn chat_first_token(logprobs: &Value) -> Result<Vec<(String, f64)>, WireError> {
    let first = list(logprobs, &["content"])?.first().ok_or_else(|| malformed("no first token in `logprobs`"))?;
    let mut top = Vec::new();
    for entry in list(first, &["top_logprobs"])? {
        if let (Some(token), Some(logprob)) = (text(entry, &["token"]), logprob(at(entry, &["logprob"]))?) {
            top.push((token.to_string(), logprob));
        }
    }
    sorted(top)
}

/// Likeliest first; an empty list is no answer.
pub fn sorted(mut top: Vec<(String, f64)>) -> Result<Vec<(String, f64)>, WireError> {
    if top.is_empty() {
        return Err(malformed("an empty list of likeliest tokens"));
    }
    top.sort_by(|a, b| b.1.total_cmp(&a.1));
    Ok(top)
}

/// An answer to another prompt is no answer: the echoed text must begin with ours (after a BOS token that some servers show, and apart
/// from white space at the front, which some tokenizers swallow).
fn same_prompt(input: &Input<'_>, tokens: &[TokenScore]) -> Result<(), WireError> {
    let Input::Text(prompt) = input else { return Ok(()) };
    let echoed: Option<String> = tokens.iter().map(|token| token.text.as_deref()).collect();
    // Bytes of a character are listed as empty or broken texts by some servers.
    let is_whole = tokens.iter().skip(1).all(|token| token.text.as_deref() != Some(""));
    let Some(echoed) = echoed.filter(|echoed| is_whole && !echoed.contains('\u{fffd}')) else {
        return Ok(());
    };
    let prompt = prompt.trim_start();
    let trimmed = echoed.trim_start();
    let after_bos =
        tokens.first().and_then(|first| first.text.as_deref()).map_or("", |bos| echoed.get(bos.len()..).unwrap_or(""));
    // Tokens may be listed in pieces that do not spell the text (byte tokens, sentencepiece marks): only plain texts are compared.
    let plain = |text: &str| !text.contains(['▁', 'Ġ', 'Ċ']) && !text.contains("<0x");
    if !plain(&echoed) || trimmed.starts_with(prompt) || after_bos.trim_start().starts_with(prompt) {
        return Ok(());
    }
    Err(malformed("the server answered another prompt"))
}

#[cfg(test)]
#[path = "openai_completions_tests.rs"]
mod tests;
