//! What an engine is asked and what it answers.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Who speaks a chat message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    System,
    User,
    Assistant,
}

impl Role {
    /// The name that chat templates and wire formats use.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        }
    }
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Message {
    pub role: Role,
    pub content: String,
}

/// What stands before the text that is scored or generated.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prompt {
    /// Text that goes to the tokenizer as it is.
    Text(String),
    /// Turns that the engine puts through the model's chat template. When the last message is the assistant's, it is the
    /// start of the answer (`gen_prefix`) and is continued; otherwise the template opens an assistant turn.
    Chat(Vec<Message>),
}

/// Decoding parameters, resolved from `generation_kwargs`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decoding {
    /// Stop strings; generation ends before the first of them. The model's end-of-sequence tokens always stop as well.
    pub until: Vec<String>,
    /// Most tokens to generate; `None` leaves the engine's default (256).
    pub max_gen_toks: Option<usize>,
    /// Sampling instead of greedy decoding.
    pub do_sample: bool,
    pub temperature: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_k: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_p: Option<f64>,
    /// The settings as the task wrote them, for the samples file.
    pub written: Map<String, Value>,
}

/// One question to an engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestKind {
    /// log P(continuation | context), and whether greedy decoding would have produced the continuation.
    Loglikelihood { context: Prompt, continuation: String },
    /// log P(text) over the whole text, in disjoint windows.
    LoglikelihoodRolling { text: String },
    /// Text that follows the context.
    Generate { context: Prompt, decoding: Decoding },
    /// How likely the answer is to begin with each of some short labels (`A`, `B`, ...), white space before them left out of account.
    Choose { context: Prompt, labels: Vec<String> },
}

/// A question with what tells repeated samples of it apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    pub kind: RequestKind,
    /// 0 for the first answer, 1.. for further samples of one prompt (`repeats`).
    pub sample: u32,
    /// Seed of sampled decoding; greedy answers do not depend on it.
    pub seed: u64,
}

impl Request {
    /// SHA-256 (hex) of all that decides the answer: prompt, continuation, decoding and, when it samples, seed and index.
    pub fn key(&self) -> String {
        let sampled = matches!(&self.kind, RequestKind::Generate { decoding, .. } if decoding.do_sample);
        let mut text = serde_json::to_string(&self.kind).unwrap_or_default();
        text.push_str(&format!("#{}", self.sample));
        if sampled {
            text.push_str(&format!("#{}", self.seed));
        }
        crate::python::json::sha256(&text)
    }
}

/// Why generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// A stop string or an end-of-sequence token.
    Stop,
    /// `max_gen_toks` or the context window.
    Length,
}

/// An engine's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Natural logarithm, summed over the continuation's tokens.
    Loglikelihood {
        logprob: f64,
        is_greedy: bool,
        num_tokens: usize,
    },
    /// Natural logarithm, summed over all tokens of the text.
    Rolling {
        logprob: f64,
        num_tokens: usize,
    },
    Text {
        text: String,
        finish: Finish,
    },
    /// For each label the natural logarithm of the probability that the answer begins with it; `None`: so unlikely that the endpoint
    /// does not list it.
    Choice {
        logprobs: Vec<Option<f64>>,
    },
}

/// Tokens that an answer took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the prompt that the model saw.
    pub prompt_tokens: usize,
    /// Tokens generated or scored.
    pub completion_tokens: usize,
    /// Tokens cut from the left because the window was too short.
    pub truncated_tokens: usize,
    /// Those of the prompt's tokens that the endpoint had in a cache of its own (and bills at another price).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cached_tokens: usize,
    /// Those of the generated tokens that were thought, not answer.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reasoning_tokens: usize,
}

impl Usage {
    /// Whether these can be counts of tokens, so that their sums are counts, too.
    pub fn is_possible(&self) -> bool {
        let Usage { prompt_tokens, completion_tokens, truncated_tokens, cached_tokens, reasoning_tokens } = *self;
        [prompt_tokens, completion_tokens, truncated_tokens, cached_tokens, reasoning_tokens]
            .iter()
            .all(|count| *count < TOO_MANY_TOKENS)
    }
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// An answer with its cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Response {
    pub answer: Answer,
    #[serde(default)]
    pub usage: Usage,
    /// What a reasoning model thought before it answered; never part of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
}

/// How far a sum of log-probabilities may lie above 0 by rounding.
const ROUNDING: f64 = 0.01;

/// Tokens that no answer takes.
const TOO_MANY_TOKENS: usize = 1 << 40;

impl Answer {
    /// Whether it is of the request's kind, with a figure for each label, and its figures are logarithms of probabilities.
    fn fits(&self, kind: &RequestKind) -> bool {
        let is = |logprob: &f64| logprob.is_finite() && *logprob <= ROUNDING;
        match (self, kind) {
            (Answer::Loglikelihood { logprob, num_tokens, .. }, RequestKind::Loglikelihood { .. })
            | (Answer::Rolling { logprob, num_tokens }, RequestKind::LoglikelihoodRolling { .. }) => {
                is(logprob) && *num_tokens < TOO_MANY_TOKENS
            }
            (Answer::Text { .. }, RequestKind::Generate { .. }) => true,
            (Answer::Choice { logprobs }, RequestKind::Choose { labels, .. }) => {
                logprobs.len() == labels.len() && logprobs.iter().flatten().all(is)
            }
            _ => false,
        }
    }
}

impl Response {
    /// Whether this, read from a file that others may have written, can be an answer to a request of that kind.
    pub fn fits(&self, kind: &RequestKind) -> bool {
        self.answer.fits(kind) && self.usage.is_possible()
    }

    /// An answer without a thought.
    pub fn new(answer: Answer, usage: Usage) -> Response {
        Response { answer, usage, reasoning: None }
    }
}

/// A request that could not be answered, or a sample that could not be scored: never a silent zero.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unscored {
    pub reason: String,
    /// The model or its provider refused (a content filter, a refusal by name): that is an answer of a kind, and it is not asked again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub refused: bool,
}

impl Unscored {
    pub fn new(reason: impl Into<String>) -> Self {
        Unscored { reason: reason.into(), refused: false }
    }

    /// What the model or its provider refused to answer.
    pub fn refused(reason: impl Into<String>) -> Self {
        Unscored { reason: reason.into(), refused: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generate(do_sample: bool, sample: u32, seed: u64) -> Request {
        let decoding = Decoding {
            until: vec!["\n".into()],
            max_gen_toks: Some(8),
            do_sample,
            temperature: 0.0,
            top_p: None,
            top_k: None,
            min_p: None,
            written: Map::new(),
        };
        Request { kind: RequestKind::Generate { context: Prompt::Text("a".into()), decoding }, sample, seed }
    }

    #[test]
    fn key_ignores_the_seed_of_greedy_decoding_only() {
        assert_eq!(generate(false, 0, 1).key(), generate(false, 0, 2).key());
        assert_ne!(generate(true, 0, 1).key(), generate(true, 0, 2).key());
        assert_ne!(generate(true, 0, 1).key(), generate(true, 1, 1).key());
    }

    #[test]
    fn an_answer_fits_its_request_or_is_none() {
        let likelihood = |logprob| Answer::Loglikelihood { logprob, is_greedy: true, num_tokens: 1 };
        let context = || Prompt::Text("a".into());
        let scored = RequestKind::Loglikelihood { context: context(), continuation: "b".into() };
        let rolling = RequestKind::LoglikelihoodRolling { text: "a".into() };
        let chosen = RequestKind::Choose { context: context(), labels: vec!["A".into(), "B".into()] };
        let text = || Answer::Text { text: "x".into(), finish: Finish::Stop };
        let choice = |logprobs: &[Option<f64>]| Answer::Choice { logprobs: logprobs.to_vec() };
        let fits = |answer: Answer, kind: &RequestKind| Response::new(answer, Usage::default()).fits(kind);
        assert!(fits(likelihood(-0.0), &scored) && fits(likelihood(1e-9), &scored));
        for wrong in [likelihood(0.5), likelihood(f64::NAN), likelihood(f64::NEG_INFINITY), text(), choice(&[None])] {
            assert!(!fits(wrong.clone(), &scored), "{wrong:?}");
        }
        assert!(fits(Answer::Rolling { logprob: -1.0, num_tokens: 3 }, &rolling) && !fits(likelihood(-1.0), &rolling));
        assert!(fits(choice(&[None, Some(-1.0)]), &chosen));
        for wrong in [choice(&[None]), choice(&[Some(1.0), None]), choice(&[None, None, None]), text()] {
            assert!(!fits(wrong.clone(), &chosen), "{wrong:?}");
        }
        assert!(fits(text(), &generate(false, 0, 0).kind));
        let usage = Usage { completion_tokens: usize::MAX, ..Usage::default() };
        assert!(!Response::new(text(), usage).fits(&generate(false, 0, 0).kind));
    }
}
