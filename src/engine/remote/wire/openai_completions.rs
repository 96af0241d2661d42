//! OpenAI's completions (`POST completions`), as vLLM, llama-cpp-python, SGLang, transformers and many others serve them, too.
//!
//! A prompt is scored with `echo` and `logprobs` (its tokens come back with their log-probabilities, and one token that follows), or with
//! vLLM's `prompt_logprobs`. One token is always asked for: with `max_tokens: 0` some servers write to the end of their context.

use super::align::align;
use super::field::{self, malformed, member};
use super::openai::{self, Settings};
use super::{Ask, Call, Input, Reply, Sampling, TokenScore, Wire, WireError, vllm};
use serde_json::{Map, Value, json};

/// How a prompt's log-probabilities are asked for.
#[derive(Clone, Copy, PartialEq)]
enum Scoring {
    Echo,
    PromptLogprobs,
}

/// The route that turns texts into token ids.
#[derive(Clone, Copy, PartialEq)]
enum TokenizeRoute {
    None,
    /// vLLM: `/tokenize`.
    Vllm,
    /// llama-cpp-python: `/extras/tokenize`, always with the beginning-of-sequence token.
    Extras,
}

/// A dialect of the format.
pub struct Completions {
    name: &'static str,
    settings: Settings,
    scoring: Scoring,
    /// Most likely tokens that may be asked for.
    max_top: usize,
    tokenize: TokenizeRoute,
}

const PLAIN: Completions = Completions {
    name: "openai-completions",
    settings: Settings::PLAIN,
    scoring: Scoring::Echo,
    max_top: 5,
    tokenize: TokenizeRoute::None,
};

/// OpenAI's own.
pub static OPENAI: Completions = PLAIN;

/// Any other server's: nothing is sent that is not OpenAI's.
pub static COMPATIBLE: Completions = Completions { name: "compatible-completions", max_top: 20, ..PLAIN };

/// vLLM's. It takes penalties from a model's `generation_config.json` unless they are given.
pub static VLLM: Completions = Completions {
    name: "vllm-completions",
    settings: Settings { no_top_k: Some(-1), fixed: &[("repetition_penalty", 1.0)], ..Settings::PLAIN },
    scoring: Scoring::PromptLogprobs,
    max_top: 20,
    tokenize: TokenizeRoute::Vllm,
};

/// llama-cpp-python's. It has a repeat penalty on by itself, also for greedy texts.
pub static LLAMA_CPP_PYTHON: Completions = Completions {
    name: "llama-cpp-python-completions",
    settings: Settings { no_top_k: Some(0), fixed: &[("repeat_penalty", 1.0)], ..Settings::PLAIN },
    scoring: Scoring::Echo,
    max_top: 20,
    tokenize: TokenizeRoute::Extras,
};

impl Completions {
    /// A body for a prompt; `None` for turns.
    fn body(&self, model: &str, input: &Input<'_>) -> Option<Map<String, Value>> {
        let prompt = match input {
            Input::Text(text) => json!(text),
            Input::Ids(ids) => json!(ids),
            Input::Chat(_) => return None,
        };
        Some(Map::from_iter([("model".to_string(), json!(model)), ("prompt".to_string(), prompt)]))
    }

    fn tokenize_call(&self, model: &str, text: &str, special: bool) -> Option<Call> {
        let (path, body) = match self.tokenize {
            TokenizeRoute::None => return None,
            TokenizeRoute::Vllm => {
                ("/tokenize", json!({"model": model, "prompt": text, "add_special_tokens": special}))
            }
            TokenizeRoute::Extras if special => ("/extras/tokenize", json!({"input": text})),
            TokenizeRoute::Extras => return None,
        };
        Some(Call { path: path.into(), body: Some(body) })
    }
}

impl Wire for Completions {
    fn name(&self) -> &'static str {
        self.name
    }

    fn call(&self, model: &str, ask: &Ask<'_>) -> Option<Call> {
        let mut body = match ask {
            Ask::Score(input) | Ask::Generate(input, _) | Ask::FirstToken { input, .. } => self.body(model, input)?,
            Ask::Tokenize { text, special } => return self.tokenize_call(model, text, *special),
            Ask::Models => return Some(openai::models_call()),
            Ask::ApplyTemplate(_) => return None,
        };
        match ask {
            Ask::Generate(_, sampling) => self.settings.write(&mut body, sampling),
            Ask::FirstToken { top, .. } => {
                one_token(&mut body);
                body.insert("logprobs".into(), json!((*top).clamp(1, self.max_top)));
            }
            _ if self.scoring == Scoring::PromptLogprobs => {
                one_token(&mut body);
                body.insert("prompt_logprobs".into(), json!(1));
            }
            _ => {
                one_token(&mut body);
                body.insert("echo".into(), json!(true));
                body.insert("logprobs".into(), json!(1));
            }
        }
        Some(Call { path: "completions".into(), body: Some(Value::Object(body)) })
    }

    fn reply(&self, ask: &Ask<'_>, body: &Value) -> Result<Reply, WireError> {
        match ask {
            Ask::Models => openai::models(body),
            Ask::Tokenize { .. } => field::token_ids(field::required_list(body, "tokens", "tokens")?, "tokens"),
            Ask::ApplyTemplate(_) => Err(malformed("this format has no templates")),
            Ask::Score(input) => score(input, body),
            Ask::Generate(..) => generated(body),
            Ask::FirstToken { .. } => first_token(body),
        }
    }

    fn error_message(&self, body: &Value) -> Option<String> {
        field::error_message(body)
    }

    fn leaves_out(&self, sampling: &Sampling) -> Vec<&'static str> {
        self.settings.leaves_out(sampling)
    }
}

fn one_token(body: &mut Map<String, Value>) {
    body.insert("max_tokens".into(), json!(1));
    body.insert("temperature".into(), json!(0));
}

fn generated(body: &Value) -> Result<Reply, WireError> {
    let choice = openai::choice(body)?;
    let cut_off = openai::cut_off(choice)?;
    let text = field::required_text(choice, "text", "choices[0].text")?.to_string();
    Ok(Reply::Text { text, reasoning: None, cut_off, usage: openai::usage(body), model: field::model(body) })
}

fn first_token(body: &Value) -> Result<Reply, WireError> {
    let choice = openai::choice(body)?;
    let logprobs = member(choice, "logprobs").ok_or_else(|| malformed("`choices[0].logprobs` is missing"))?;
    let top = match member(logprobs, "content") {
        Some(Value::Array(content)) => openai::first_of_content(content, "choices[0].logprobs.content")?,
        _ => {
            let list = field::required_list(logprobs, "top_logprobs", "choices[0].logprobs.top_logprobs")?;
            let first = list.first().and_then(Value::as_object).filter(|first| !first.is_empty());
            let first = first.ok_or_else(|| malformed("`choices[0].logprobs.top_logprobs[0]` is missing"))?;
            let mut top = Vec::with_capacity(first.len());
            for (token, value) in first {
                let name = || format!("choices[0].logprobs.top_logprobs[0].{}", field::short(token));
                top.push((token.clone(), field::logprob(value, name)?));
            }
            field::likeliest_first(top)
        }
    };
    Ok(Reply::FirstToken { top, usage: openai::usage(body), model: field::model(body) })
}

fn score(input: &Input<'_>, body: &Value) -> Result<Reply, WireError> {
    let choice = openai::choice(body)?;
    let listed = member(choice, "prompt_logprobs").or_else(|| member(body, "prompt_logprobs"));
    let (mut tokens, generated) = match listed {
        Some(Value::Array(list)) => {
            let ids = if let Input::Ids(ids) = input { Some(*ids) } else { None };
            (vllm::prompt_scores(list, ids, "choices[0].prompt_logprobs")?, Some(0))
        }
        Some(_) => return Err(malformed("`choices[0].prompt_logprobs` is no list")),
        None => (echoed(choice)?, member(body, "usage").and_then(|usage| field::count(usage, "completion_tokens"))),
    };
    let echo = listed.is_none();
    let generated = match input {
        Input::Text(prompt) => lay(prompt, &mut tokens, generated)?,
        Input::Ids(ids) if echo => count_behind(ids.len(), tokens.len())?,
        _ => 0,
    };
    if echo && generated == 0 && field::text(choice, "finish_reason") == Some("length") {
        return Err(malformed(
            "`choices[0].logprobs.tokens` lacks the token that was generated: its log-probabilities may be those of other tokens",
        ));
    }
    Ok(Reply::Scores { tokens, generated, usage: openai::usage(body), model: field::model(body) })
}

/// Writes offsets into tokens; gives the number of tokens that follow the prompt.
pub(super) fn lay(prompt: &str, tokens: &mut [TokenScore], generated: Option<usize>) -> Result<usize, WireError> {
    let texts: Vec<Option<&str>> = tokens.iter().map(|token| token.text.as_deref()).collect();
    let found = align(prompt, &texts, generated)?;
    for (token, offset) in tokens.iter_mut().zip(found.offsets) {
        token.offset = offset;
    }
    Ok(found.generated)
}

/// How many of the echoed tokens follow the `sent` ones: none or one.
fn count_behind(sent: usize, echoed: usize) -> Result<usize, WireError> {
    echoed.checked_sub(sent).filter(|behind| *behind <= 1).ok_or_else(|| {
        malformed(format!(
            "answered another prompt: `choices[0].logprobs.tokens` has {echoed} entries for {sent} tokens"
        ))
    })
}

/// The lists of `logprobs`, side by side.
fn echoed(choice: &Value) -> Result<Vec<TokenScore>, WireError> {
    let logprobs = member(choice, "logprobs").ok_or_else(|| malformed("`choices[0].logprobs` is missing"))?;
    let texts = field::required_list(logprobs, "tokens", "choices[0].logprobs.tokens")?;
    let values = field::required_list(logprobs, "token_logprobs", "choices[0].logprobs.token_logprobs")?;
    same_length(texts.len(), values.len(), "token_logprobs")?;
    let tops = match member(logprobs, "top_logprobs") {
        Some(Value::Array(tops)) => {
            same_length(texts.len(), tops.len(), "top_logprobs")?;
            Some(tops)
        }
        Some(_) => return Err(malformed("`choices[0].logprobs.top_logprobs` is no list")),
        None => None,
    };
    let mut tokens = Vec::with_capacity(texts.len());
    for (place, (text, value)) in texts.iter().zip(values).enumerate() {
        let text =
            text.as_str().ok_or_else(|| malformed(format!("`choices[0].logprobs.tokens[{place}]` is no text")))?;
        let name = || format!("choices[0].logprobs.token_logprobs[{place}]");
        let logprob = match value {
            Value::Null if place == 0 => None,
            value => Some(field::logprob(value, name)?),
        };
        let is_greedy = match (logprob, tops.and_then(|tops| tops.get(place))) {
            (Some(logprob), Some(Value::Object(top))) if !top.is_empty() => Some(is_best(logprob, top, place)?),
            _ => None,
        };
        tokens.push(TokenScore { id: None, text: Some(text.to_string()), offset: None, logprob, is_greedy });
    }
    Ok(tokens)
}

fn same_length(tokens: usize, others: usize, name: &str) -> Result<(), WireError> {
    if tokens == others {
        return Ok(());
    }
    Err(malformed(format!("`choices[0].logprobs.{name}` has {others} entries for {tokens} tokens")))
}

/// Whether no token at its place is likelier.
fn is_best(logprob: f64, top: &Map<String, Value>, place: usize) -> Result<bool, WireError> {
    for (token, value) in top {
        let name = || format!("choices[0].logprobs.top_logprobs[{place}].{}", field::short(token));
        if field::logprob(value, name)? > logprob {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
#[path = "openai_completions_tests.rs"]
mod tests;
