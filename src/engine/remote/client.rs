//! One wire format to the servers of one model: asks put into bodies, sent, and read.

use super::transport::{Failure, ProbeFailure, Size, Transport};
use super::unwanted::{MOST, Unwanted};
use super::wire::{Ask, Call, Input, Reply, Sampling, Wire, WireError};
use crate::engine::{Cancel, Delivery};
use crate::error::Error;
use crate::request::{Unscored, Usage};
use serde_json::{Map, Value};

/// Bytes of English that make a token, for limits per minute before anything is known.
const BYTES_PER_TOKEN: usize = 4;

/// No tokenizer in use has longer tokens (128 blanks), in bytes; an answer may have so many more.
const LONGEST_TOKEN: usize = 128;
const MORE: usize = 8 << 10;

/// Bytes of an answer's body besides its texts, and bytes of a listing.
const BODY: usize = 1 << 20;
const LISTING: usize = 16 << 20;
/// Bytes of a body for a byte of text (escaped), and for a byte or an id of a prompt that is scored: a token with its log-probability and
/// the likeliest one's.
const ESCAPED: usize = 8;
const SCORED: usize = 512;

/// Asks a model in one format.
pub struct Client {
    pub transport: Transport,
    pub wire: &'static dyn Wire,
    /// The model as requests name it.
    pub model: String,
    /// The model as answers name it, where they do. An answer of another model is none.
    pub told: Option<String>,
    /// Put into the body of everything that is written.
    pub extra_body: Map<String, Value>,
    /// Settings that the server has said it does not take.
    pub unwanted: Unwanted,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Miss {
    /// To this request; the run goes on.
    Unscored(Unscored),
    /// To any request.
    Stopped(Error),
    /// The user asked to stop.
    Cancelled,
}

impl Miss {
    pub fn unscored(reason: impl Into<String>) -> Miss {
        Miss::Unscored(Unscored::new(reason))
    }
}

impl From<Unscored> for Miss {
    fn from(reason: Unscored) -> Miss {
        Miss::Unscored(reason)
    }
}

impl From<Error> for Miss {
    fn from(err: Error) -> Miss {
        Miss::Stopped(err)
    }
}

impl From<Failure> for Miss {
    fn from(failure: Failure) -> Miss {
        match failure {
            Failure::Refused(reason) => Miss::Unscored(Unscored::refused(reason)),
            Failure::Unanswered(reason) | Failure::Rejected(reason, _) => Miss::unscored(reason),
            Failure::Stopped(err) => Miss::Stopped(err),
            Failure::Cancelled => Miss::Cancelled,
        }
    }
}

/// What all calls for one request took together.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    pub usage: Usage,
    pub delivery: Delivery,
}

impl Tally {
    pub fn add(&mut self, usage: Usage, delivery: Delivery) {
        self.usage.prompt_tokens += usage.prompt_tokens;
        self.usage.completion_tokens += usage.completion_tokens;
        self.usage.cached_tokens += usage.cached_tokens;
        self.usage.reasoning_tokens += usage.reasoning_tokens;
        self.delivery.retries += delivery.retries;
        if let Some(more) = delivery.latency_ms {
            self.delivery.latency_ms = Some(self.delivery.latency_ms.unwrap_or(0).saturating_add(more));
        }
    }
}

impl Client {
    /// The request for an ask; `None` when the format has none.
    pub fn call(&self, ask: &Ask<'_>) -> Option<Call> {
        let mut call = self.wire.call(&self.model, ask)?;
        if let (Ask::Generate(..) | Ask::FirstToken { .. }, Some(Value::Object(body))) = (ask, &mut call.body) {
            merge(body, &self.extra_body);
        }
        if let Some(Value::Object(body)) = &mut call.body {
            self.unwanted.apply(body, &self.extra_body);
        }
        Some(call)
    }

    /// Asks whichever server is free.
    pub async fn ask(&self, ask: &Ask<'_>, cancel: &Cancel, tally: &mut Tally) -> Result<Reply, Miss> {
        let read = |body: &Value| self.read(ask, body);
        for _ in 0..MOST {
            let call = self.call(ask);
            let call = call.ok_or_else(|| Miss::unscored(format!("`{}` has no route for this", self.wire.name())))?;
            match self.transport.send(&call, size(ask), cancel, &read).await {
                Ok((mut reply, delivery)) => {
                    self.clean(&mut reply);
                    tally.add(usage(&reply), delivery);
                    return Ok(reply);
                }
                Err(Failure::Rejected(_, Some(body))) if self.unwanted.learn(&call, &body, &self.extra_body) => {}
                Err(failure) => return Err(failure.into()),
            }
        }
        Err(Miss::unscored("the server refuses one setting after the other"))
    }

    /// Texts that were put together from parts of a body, whose keys show only now.
    fn clean(&self, reply: &mut Reply) {
        if let Reply::Text { text, reasoning, .. } = reply {
            self.transport.clean_text(text);
            reasoning.iter_mut().for_each(|thought| self.transport.clean_text(thought));
        }
    }

    /// Asks one server, for probes; `None` when the format has no such route.
    pub async fn ask_base(&self, base: usize, ask: &Ask<'_>) -> Option<Result<Reply, ProbeFailure>> {
        let mut call = self.call(ask)?;
        for _ in 0..MOST {
            match self.transport.send_to(base, &call, size(ask), &|body: &Value| self.read(ask, body)).await {
                Err(ProbeFailure::Missing(_, Some(body)))
                    if !self.is_thoughtless(ask, &call, &body)
                        && self.unwanted.learn(&call, &body, &self.extra_body) =>
                {
                    call = self.call(ask)?;
                }
                Ok(mut reply) => {
                    self.clean(&mut reply);
                    return Some(Ok(reply));
                }
                failed => return Some(failed),
            }
        }
        Some(Err(ProbeFailure::Missing("the server refuses one setting after the other".to_string(), None)))
    }

    /// Whether a setting that is refused would not be sent to a model that thinks: perhaps it does.
    fn is_thoughtless(&self, ask: &Ask<'_>, call: &Call, refusal: &Value) -> bool {
        let Ask::Generate(input, sampling) = ask else { return false };
        let Some(name) = Unwanted::named(call, refusal, &self.extra_body).filter(|_| !sampling.reasoning) else {
            return false;
        };
        let thinking = Sampling { reasoning: true, ..(*sampling).clone() };
        let body = self.call(&Ask::Generate(*input, &thinking)).and_then(|call| call.body);
        body.is_some_and(|body| body.get(name).is_none())
    }

    fn read(&self, ask: &Ask<'_>, body: &Value) -> Result<Reply, WireError> {
        let reply = self.wire.reply(ask, body)?;
        match (model(&reply), &self.told) {
            (Some(said), Some(told)) if said != told => {
                Err(WireError::Malformed(format!("the answer is of the model `{said}`, not of `{told}`")))
            }
            _ => without_gaps(reply),
        }
    }
}

/// Scores of all tokens of a prompt but the first.
fn without_gaps(reply: Reply) -> Result<Reply, WireError> {
    let Reply::Scores { tokens, generated, .. } = &reply else { return Ok(reply) };
    let own = tokens.iter().take(tokens.len().saturating_sub(*generated)).skip(1);
    match own.enumerate().find(|(_, token)| token.logprob.is_none()) {
        Some((index, _)) => {
            Err(WireError::Malformed(format!("token {} of the prompt has no log-probability", index + 2)))
        }
        None => Ok(reply),
    }
}

/// Puts settings into a body; objects are put together, everything else is replaced.
fn merge(body: &mut Map<String, Value>, extra: &Map<String, Value>) {
    for (key, value) in extra {
        match (body.get_mut(key), value) {
            (Some(Value::Object(inner)), Value::Object(more)) => merge(inner, more),
            _ => {
                body.insert(key.clone(), value.clone());
            }
        }
    }
}

/// The longest text that so many tokens can be, and some thousand bytes more.
pub fn longest_text(tokens: usize) -> usize {
    tokens.saturating_mul(LONGEST_TOKEN).saturating_add(MORE)
}

/// How large a call and its answer may be.
fn size(ask: &Ask<'_>) -> Size {
    let more = match ask {
        Ask::Generate(input, sampling) => {
            longest_text(sampling.max_tokens).saturating_add(bytes(input)).saturating_mul(ESCAPED)
        }
        Ask::FirstToken { input, .. } => bytes(input).saturating_mul(ESCAPED),
        Ask::Score(input) => bytes(input).saturating_mul(SCORED),
        Ask::Tokenize { text, .. } => text.len().saturating_mul(ESCAPED * 8),
        Ask::ApplyTemplate(turns) => bytes(&Input::Chat(turns)).saturating_mul(ESCAPED),
        Ask::Models => LISTING,
    };
    Size { tokens: estimate(ask), body: BODY.saturating_add(more) }
}

fn bytes(input: &Input<'_>) -> usize {
    match input {
        Input::Text(text) => text.len(),
        Input::Ids(ids) => ids.len().saturating_mul(BYTES_PER_TOKEN),
        Input::Chat(turns) => turns.iter().map(|turn| turn.content.len() + 16).sum(),
    }
}

/// Tokens that a call may take.
pub fn estimate(ask: &Ask<'_>) -> usize {
    match ask {
        Ask::Score(input) | Ask::FirstToken { input, .. } => input_tokens(input) + 1,
        Ask::Generate(input, sampling) => input_tokens(input) + sampling.max_tokens,
        Ask::Tokenize { .. } | Ask::ApplyTemplate(_) | Ask::Models => 0,
    }
}

fn input_tokens(input: &Input<'_>) -> usize {
    match input {
        Input::Text(text) => text.len() / BYTES_PER_TOKEN,
        Input::Ids(ids) => ids.len(),
        Input::Chat(turns) => turns.iter().map(|turn| turn.content.len() / BYTES_PER_TOKEN + 4).sum(),
    }
}

/// The model that a reply says it is of.
pub fn model(reply: &Reply) -> Option<&str> {
    match reply {
        Reply::Scores { model, .. } | Reply::Text { model, .. } | Reply::FirstToken { model, .. } => model.as_deref(),
        Reply::Tokens(_) | Reply::Template(_) | Reply::Models(_) => None,
    }
}

/// What a reply took; counted where the server does not.
fn usage(reply: &Reply) -> Usage {
    match reply {
        Reply::Scores { tokens, generated, usage, .. } if usage.prompt_tokens == 0 => {
            Usage { prompt_tokens: tokens.len().saturating_sub(*generated), completion_tokens: *generated, ..*usage }
        }
        Reply::Scores { usage, .. } | Reply::Text { usage, .. } | Reply::FirstToken { usage, .. } => *usage,
        Reply::Tokens(_) | Reply::Template(_) | Reply::Models(_) => Usage::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn objects_are_put_together() {
        let Value::Object(mut body) = json!({"a": {"x": 1, "y": 2}, "b": 1}) else { panic!() };
        let Value::Object(extra) = json!({"a": {"y": 3, "z": 4}, "b": {"c": 1}, "d": 5}) else { panic!() };
        merge(&mut body, &extra);
        assert_eq!(Value::Object(body), json!({"a": {"x": 1, "y": 3, "z": 4}, "b": {"c": 1}, "d": 5}));
    }

    #[test]
    fn calls_of_one_request_are_added_up() {
        let mut tally = Tally::default();
        let usage = Usage { prompt_tokens: 3, completion_tokens: 1, ..Usage::default() };
        tally.add(usage, Delivery { latency_ms: Some(5), retries: 1, cached: false });
        tally.add(usage, Delivery { latency_ms: Some(7), retries: 0, cached: false });
        assert_eq!((tally.usage.prompt_tokens, tally.usage.completion_tokens), (6, 2));
        assert_eq!(tally.delivery, Delivery { latency_ms: Some(12), retries: 1, cached: false });
    }
}
