//! An engine without a model, for tests and dry runs: answers follow from a hash of the request.
//!
//! `mock` or `mock:key=value,...`: `seed=N` gives another "model"; `fail=N` leaves about one request in N unanswered;
//! `stop=N` behaves as if the user had interrupted after N answers.

use super::{Cancel, Engine, Identity, Inspection, Sink};
use crate::error::{Error, Result};
use crate::python::json::sha256;
use crate::request::{Answer, Finish, Prompt, Request, RequestKind, Response, Unscored, Usage};

/// Whether a model's name asks for the mock.
pub fn is_mock(model: &str) -> bool {
    model == "mock" || model.starts_with("mock:")
}

/// See the module's description.
pub struct MockEngine {
    identity: Identity,
    seed: u64,
    fail: Option<u64>,
    stop: Option<usize>,
}

impl MockEngine {
    /// Reads `mock[:key=value,...]`.
    pub fn new(model: &str) -> Result<MockEngine> {
        let mut engine = MockEngine { identity: identity(model, 0), seed: 0, fail: None, stop: None };
        let options = model.strip_prefix("mock:").unwrap_or_default();
        for option in options.split(',').filter(|o| !o.is_empty()) {
            let bad = || Error::input(format!("`{option}` is not an option of the mock")).hint("it knows seed=N, fail=N and stop=N");
            let (key, value) = option.split_once('=').ok_or_else(bad)?;
            let value: u64 = value.parse().map_err(|_| bad())?;
            match key {
                "seed" => engine.seed = value,
                "fail" if value > 0 => engine.fail = Some(value),
                "stop" => engine.stop = Some(value as usize),
                _ => return Err(bad()),
            }
        }
        engine.identity = identity(model, engine.seed);
        Ok(engine)
    }

    fn respond(&self, request: &Request) -> std::result::Result<Response, Unscored> {
        let key = request.key();
        let hash = sha256(&format!("{} {key}", self.seed));
        let bits = u64::from_str_radix(hash.get(..13).unwrap_or("0"), 16).unwrap_or(0); // 52 bits
        if self.fail.is_some_and(|n| bits % n == 0) {
            return Err(Unscored::new("the mock was told to fail"));
        }
        let unit = bits as f64 / (1u64 << 52) as f64;
        let tokens = |text: &str| text.split_whitespace().count().max(1);
        let (answer, completion_tokens) = match &request.kind {
            RequestKind::Loglikelihood { continuation, .. } => {
                let num_tokens = tokens(continuation);
                let logprob = -(num_tokens as f64) * (0.5 + 4.0 * unit);
                (Answer::Loglikelihood { logprob, is_greedy: unit < 0.1, num_tokens }, num_tokens)
            }
            RequestKind::LoglikelihoodRolling { text } => {
                let num_tokens = tokens(text);
                (Answer::Rolling { logprob: -(num_tokens as f64) * (2.0 + unit), num_tokens }, num_tokens)
            }
            RequestKind::Generate { .. } => {
                let number = bits % 100;
                let text = format!(" The answer is {number}.\n#### {number}");
                (Answer::Text { text, finish: Finish::Stop }, 5)
            }
        };
        Ok(Response { answer, usage: Usage { prompt_tokens: 1, completion_tokens, truncated_tokens: 0 } })
    }
}

fn identity(model: &str, seed: u64) -> Identity {
    Identity {
        engine: "mock".into(),
        name: model.to_string(),
        label: if seed == 0 { "mock".into() } else { format!("mock-{seed}") },
        architecture: None,
        num_parameters: None,
        dtype: None,
        revision: None,
        sha: Some(sha256(&format!("mock {seed}"))),
        max_length: None,
        bos_token: None,
        eos_token: None,
        pad_token: None,
        eot_token_id: None,
        chat_template: None,
        options: Vec::new(),
    }
}

impl Engine for MockEngine {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Turns one below the other, each with its role in front.
    fn render(&self, prompt: &Prompt) -> Result<String> {
        Ok(match prompt {
            Prompt::Text(text) => text.clone(),
            Prompt::Chat(messages) => {
                messages.iter().map(|m| format!("{}: {}\n", m.role.as_str(), m.content)).collect()
            }
        })
    }

    /// The mock has no tokens.
    fn inspect(&self, request: &Request) -> Result<Inspection> {
        let rendered = match &request.kind {
            RequestKind::Loglikelihood { context, .. } | RequestKind::Generate { context, .. } => self.render(context)?,
            RequestKind::LoglikelihoodRolling { text } => text.clone(),
        };
        Ok(Inspection { rendered, context_ids: vec![], continuation_ids: vec![], bos_count: 0, truncated_tokens: 0 })
    }

    fn answer(&self, requests: &[Request], cancel: &Cancel, sink: &mut Sink<'_>) -> Result<()> {
        for (index, request) in requests.iter().enumerate() {
            if cancel.is_cancelled() || self.stop == Some(index) {
                return Ok(());
            }
            sink(index, self.respond(request))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_checked() {
        assert!(is_mock("mock") && is_mock("mock:seed=2") && !is_mock("mockingbird"));
        assert!(MockEngine::new("mock:seed=2,fail=3,stop=4").is_ok());
        for bad in ["mock:sed=2", "mock:seed=x", "mock:fail=0"] {
            assert!(MockEngine::new(bad).is_err(), "{bad}");
        }
    }
}
