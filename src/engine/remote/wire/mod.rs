//! Wire formats: what is asked of a server, as the body that its route takes, and what the body of its answer says.
//!
//! One pure file for each; a row in [`super::address::ENDPOINTS`] names it. Nothing here sends, waits, retries or counts.

mod align;
pub mod anthropic;
mod field;
pub mod gemini;
pub mod llama_server;
mod openai;
pub mod openai_chat;
pub mod openai_completions;
pub mod openai_responses;
pub mod sglang;
pub mod tgi;
pub mod trouble;
mod vllm;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod hostile_tests;

use crate::request::{Message, Usage};
use serde_json::Value;

/// One thing asked of a server, in one HTTP request.
#[derive(Debug, Clone, Copy)]
pub enum Ask<'a> {
    /// Log-probabilities of all tokens of a prompt (and, where a route cannot do without, of one token that follows).
    Score(Input<'a>),
    /// A text that follows.
    Generate(Input<'a>, &'a Sampling),
    /// The `top` likeliest first tokens of an answer.
    FirstToken { input: Input<'a>, top: usize },
    /// Token ids of a text; `special`: with what the tokenizer puts before every text.
    Tokenize { text: &'a str, special: bool },
    /// Turns through the model's chat template, with the answer opened.
    ApplyTemplate(&'a [Message]),
    /// Which models the server has.
    Models,
}

/// What a model is shown.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    Text(&'a str),
    Ids(&'a [u32]),
    /// When the last turn is the assistant's, it is the start of the answer.
    Chat(&'a [Message]),
}

/// How a text is written.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    pub max_tokens: usize,
    /// Stop strings. A wire sends as many as its route takes; all of them are looked for again in the answer.
    pub stops: Vec<String>,
    /// 0: greedy.
    pub temperature: f64,
    pub top_p: Option<f64>,
    pub top_k: Option<usize>,
    pub min_p: Option<f64>,
    pub seed: Option<u64>,
    /// The model thinks before it answers (its routes take other names of settings, and no stop strings).
    pub reasoning: bool,
}

impl Sampling {
    /// Greedy decoding without stop strings, of so many tokens at most.
    pub fn greedy(max_tokens: usize) -> Sampling {
        Sampling {
            max_tokens,
            stops: Vec::new(),
            temperature: 0.0,
            top_p: None,
            top_k: None,
            min_p: None,
            seed: None,
            reasoning: false,
        }
    }
}

/// A request to a route.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Relative to the base URL, without a slash in front: `completions`. One that begins with a slash is relative to the host.
    pub path: String,
    /// `None`: a GET.
    pub body: Option<Value>,
}

/// What a server answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// One entry for each token of the prompt, and perhaps for tokens that follow it, which `generated` counts.
    Scores {
        tokens: Vec<TokenScore>,
        generated: usize,
        usage: Usage,
        model: Option<String>,
    },
    Text {
        text: String,
        reasoning: Option<String>,
        cut_off: bool,
        usage: Usage,
        model: Option<String>,
    },
    /// Texts of tokens and their log-probabilities, likeliest first.
    FirstToken {
        top: Vec<(String, f64)>,
        usage: Usage,
        model: Option<String>,
    },
    Tokens(Vec<u32>),
    Template(String),
    Models(Vec<ServedModel>),
}

/// A token of a prompt.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TokenScore {
    pub id: Option<u32>,
    pub text: Option<String>,
    /// Where the token begins in the prompt, in characters.
    pub offset: Option<usize>,
    /// Natural logarithm; `None` for a token that nothing stands before.
    pub logprob: Option<f64>,
    /// Whether it is the likeliest token at its place.
    pub is_greedy: Option<bool>,
}

/// A model as a server lists it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ServedModel {
    pub id: String,
    /// Context window, where the server says so.
    pub max_length: Option<usize>,
    /// Who serves it, as the listing says; [`super::address::by_owner`] knows servers by it.
    pub owned_by: Option<String>,
}

/// Why a body is no answer.
#[derive(Debug, Clone, PartialEq)]
pub enum WireError {
    /// The model or its provider refused: a content filter, a refusal by name. Final.
    Refused(String),
    /// There is no answer, and asking again would give none either: a call of a tool, tokens that are counted and not shown. Final.
    NoAnswer(String),
    /// The body does not say what the format promises: no choices, a field of another type. Worth another try.
    Malformed(String),
    /// The server says in a body of status 200 that it failed. Worth another try.
    Failed(String),
}

/// A wire format. Pure: equal asks give equal calls, equal bodies equal replies.
pub trait Wire: Sync {
    /// The name in identities and tables (`openai-chat`).
    fn name(&self) -> &'static str;

    /// The request for an ask; `None` when the format has no such route (or cannot take such an input).
    fn call(&self, model: &str, ask: &Ask<'_>) -> Option<Call>;

    /// What a body (of status 2xx) says, given what was asked.
    fn reply(&self, ask: &Ask<'_>, body: &Value) -> Result<Reply, WireError>;

    /// What the body of a refusal (status 4xx, 5xx) says, in the format's own error shape: a message for people.
    fn error_message(&self, body: &Value) -> Option<String>;

    /// Names of those settings that this format has no place for: the answers are written without them.
    fn leaves_out(&self, _sampling: &Sampling) -> Vec<&'static str> {
        Vec::new()
    }
}
