//! An engine without weights, for tests and for trying out tasks: its answers are made of a hash of the request.
//!
//! `mock` and `mock:seed=1,fail=3,stop=100` name it on the command line:
//! - `seed`: other answers (default 0);
//! - `fail`: every n-th request (by its hash, so always the same ones) cannot be answered;
//! - `texts`: a JSON-lines file of `{"contains": "...", "texts": ["...", ...]}`: what is written after a prompt that contains that text,
//!   sample by sample (the last line that fits counts);
//! - `stop`: cancels itself after so many answers, as a user's interrupt would.

use super::tokens::cut_at_stops;
use super::{Cancel, Delivery, Engine, Identity, Inspection, Sink, Update};
use crate::error::{Error, Result, nearest};
use crate::file;
use crate::python::json::sha256;
use crate::request::{Answer, Finish, Message, Prompt, Request, RequestKind, Response, Unscored, Usage};
use serde::Deserialize;

/// Words of generated answers.
const WORDS: &[&str] = &["the", "a", "cat", "river", "is", "was", "seven", "blue", "42", "under", "yes", "no"];

/// The options of the model's name.
const OPTIONS: &[&str] = &["seed", "fail", "texts", "stop"];

/// Tokens of a mock: one for four characters, begun ones included.
const CHARS_PER_TOKEN: usize = 4;

/// Bytes of a file of scripted answers.
const LONGEST: u64 = 1 << 30;

/// Whether a model's name means the mock.
pub fn is_mock(model: &str) -> bool {
    model == "mock" || model.starts_with("mock:")
}

/// The engine.
pub struct MockEngine {
    identity: Identity,
    seed: u64,
    fail: Option<u64>,
    texts: Vec<Scripted>,
    stop: Option<usize>,
}

/// Answers to prompts that contain a text.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scripted {
    contains: String,
    texts: Vec<String>,
}

/// Reads a file of scripted answers, and its hash.
fn scripted(path: &str) -> Result<(Vec<Scripted>, String)> {
    let text = file::read_to_string(path.as_ref(), LONGEST)
        .map_err(|e| Error::io("cannot read scripted answers", path.as_ref(), e))?;
    let line = |(index, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|e| {
            Error::input("this line is no scripted answer")
                .at(path, index + 1)
                .cause(e)
                .hint("write it like `{\"contains\": \"part of a prompt\", \"texts\": [\"an answer\"]}`")
        })
    };
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    Ok((lines.map(line).collect::<Result<_>>()?, sha256(&text)))
}

impl MockEngine {
    /// Reads a name such as `mock` or `mock:seed=1,fail=10`.
    pub fn new(model: &str) -> Result<MockEngine> {
        let written = model.strip_prefix("mock").unwrap_or(model).trim_start_matches(':');
        let (mut seed, mut fail, mut stop) = (0, None, None);
        let (mut texts, mut sha) = (Vec::new(), None);
        for option in written.split(',').filter(|option| !option.is_empty()) {
            let (key, value) = option.split_once('=').unwrap_or((option, ""));
            if key == "texts" {
                let (read, hash) = scripted(value)?;
                (texts, sha) = (read, Some(hash));
                continue;
            }
            let number: u64 = value.parse().map_err(|_| {
                Error::input(format!("`{model}`: {key} needs a number")).hint("write it like `mock:seed=1,fail=10`")
            })?;
            match key {
                "seed" => seed = number,
                "fail" => fail = Some(number.max(1)),
                "stop" => stop = Some(number as usize),
                _ => {
                    let known = format!("it knows {}", OPTIONS.join(", "));
                    let hint =
                        nearest(key, OPTIONS.iter().copied()).map_or(known, |near| format!("did you mean `{near}`?"));
                    return Err(Error::input(format!("`{model}`: the mock has no option `{key}`")).hint(hint));
                }
            }
        }
        Ok(MockEngine { identity: identity(model, seed, fail, sha), seed, fail, texts, stop })
    }

    /// A number below 1 that depends on the seed, the request and the purpose.
    fn draw(&self, key: &str, purpose: &str) -> f64 {
        let bits = sha256(&format!("{}#{key}#{purpose}", self.seed));
        let bits = bits.get(..13).and_then(|hex| u64::from_str_radix(hex, 16).ok()).unwrap_or(0);
        bits as f64 / (1u64 << 52) as f64
    }

    fn respond(&self, request: &Request) -> std::result::Result<Response, Unscored> {
        let key = request.key();
        if self.fail.is_some_and(|n| (self.draw(&key, "fail") * n as f64) < 1.0) {
            return Err(Unscored::new("the mock was told to fail"));
        }
        let (prompt, completion) = lengths(request);
        // Between -0.2 and -3.2 a token, as language models give.
        let logprob = -(completion as f64) * (0.2 + 3.0 * self.draw(&key, "logprob"));
        let answer = match &request.kind {
            RequestKind::Loglikelihood { .. } => {
                Answer::Loglikelihood { logprob, is_greedy: self.draw(&key, "greedy") < 0.25, num_tokens: completion }
            }
            RequestKind::LoglikelihoodRolling { .. } => Answer::Rolling { logprob, num_tokens: completion },
            RequestKind::Generate { decoding, .. } => {
                let text = self
                    .scripted(request)
                    .unwrap_or_else(|| self.words(&key, decoding.max_gen_toks.unwrap_or(completion).min(completion)));
                Answer::Text { text: cut_at_stops(&text, &decoding.until).to_string(), finish: Finish::Stop }
            }
            RequestKind::Choose { labels, .. } => {
                let logprob = |label: &String| Some(-3.0 * self.draw(&key, label));
                Answer::Choice { logprobs: labels.iter().map(logprob).collect() }
            }
        };
        let usage = Usage { prompt_tokens: prompt, completion_tokens: completion, ..Usage::default() };
        Ok(Response::new(answer, usage))
    }

    /// What the file has for this prompt and sample.
    fn scripted(&self, request: &Request) -> Option<String> {
        let RequestKind::Generate { context, .. } = &request.kind else { return None };
        let prompt = rendered(context);
        let found = self.texts.iter().rev().find(|scripted| prompt.contains(&scripted.contains))?;
        let count = found.texts.len().max(1);
        found.texts.get(request.sample as usize % count).cloned()
    }

    fn words(&self, key: &str, most: usize) -> String {
        let count = (1.0 + self.draw(key, "count") * most as f64) as usize;
        let word = |i: usize| {
            let index = (self.draw(key, &format!("word {i}")) * WORDS.len() as f64) as usize;
            WORDS.get(index).copied().unwrap_or_default()
        };
        (0..count.min(most)).map(word).collect::<Vec<_>>().join(" ")
    }
}

/// Tokens of prompt and completion.
fn lengths(request: &Request) -> (usize, usize) {
    let tokens = |text: &str| text.chars().count().div_ceil(CHARS_PER_TOKEN);
    match &request.kind {
        RequestKind::Loglikelihood { context, continuation } => {
            (tokens(&rendered(context)), tokens(continuation).max(1))
        }
        RequestKind::LoglikelihoodRolling { text } => (1, tokens(text)),
        RequestKind::Generate { context, .. } => (tokens(&rendered(context)), 5),
        RequestKind::Choose { context, .. } => (tokens(&rendered(context)), 1),
    }
}

/// Turns with the role before each, and the answer's beginning last.
fn rendered(prompt: &Prompt) -> String {
    match prompt {
        Prompt::Text(text) => text.clone(),
        Prompt::Chat(messages) => {
            let turn = |m: &Message| format!("<{}>{}", m.role.as_str(), m.content);
            messages.iter().map(turn).collect::<Vec<_>>().join("\n")
        }
    }
}

fn identity(model: &str, seed: u64, fail: Option<u64>, sha: Option<String>) -> Identity {
    let mut options = vec![format!("seed={seed}")];
    options.extend(fail.map(|n| format!("fail={n}")));
    Identity {
        engine: "mock".to_string(),
        // `stop` decides when it ends, not what it answers: a stopped run is continued by the same engine without it.
        name: if sha.is_some() {
            format!("mock:{},texts", options.join(","))
        } else if options.len() == 1 && seed == 0 {
            "mock".to_string()
        } else {
            format!("mock:{}", options.join(","))
        },
        label: if sha.is_some() { "mock:texts".to_string() } else { model.to_string() },
        architecture: None,
        num_parameters: None,
        dtype: None,
        storage: None,
        model_bytes: None,
        revision: None,
        sha,
        max_length: None,
        bos_token: None,
        eos_token: None,
        pad_token: None,
        eot_token_id: None,
        chat_template: None,
        options,
    }
}

impl Engine for MockEngine {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn render(&self, prompt: &Prompt) -> Result<String> {
        Ok(rendered(prompt))
    }

    /// The mock has no tokenizer: ids are the characters' code points.
    fn inspect(&self, request: &Request) -> Result<Inspection> {
        let ids = |text: &str| text.chars().map(u32::from).collect();
        let (rendered, continuation) = match &request.kind {
            RequestKind::Loglikelihood { context, continuation } => (rendered(context), ids(continuation)),
            RequestKind::LoglikelihoodRolling { text } => (String::new(), ids(text)),
            RequestKind::Generate { context, .. } | RequestKind::Choose { context, .. } => {
                (rendered(context), Vec::new())
            }
        };
        Ok(Inspection {
            context_ids: ids(&rendered),
            rendered,
            continuation_ids: continuation,
            bos_count: 0,
            truncated_tokens: 0,
        })
    }

    fn answer(&self, requests: &[Request], cancel: &Cancel, sink: &mut Sink<'_>) -> Result<()> {
        for (index, request) in requests.iter().enumerate() {
            if self.stop == Some(index) {
                cancel.cancel();
            }
            if cancel.is_cancelled() {
                break;
            }
            sink(Update::Answered(index, self.respond(request), Delivery::default()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Decoding;

    fn requests() -> Vec<Request> {
        let decoding = Decoding {
            until: vec!["zebra".into()],
            max_gen_toks: Some(3),
            do_sample: false,
            temperature: 0.0,
            top_p: None,
            top_k: None,
            min_p: None,
            written: Default::default(),
        };
        let context = |i: usize| Prompt::Text(format!("prompt {i}"));
        let kind = |i: usize| match i % 3 {
            0 => RequestKind::Loglikelihood { context: context(i), continuation: " an answer".into() },
            1 => RequestKind::LoglikelihoodRolling { text: format!("a text {i}") },
            _ => RequestKind::Generate { context: context(i), decoding: decoding.clone() },
        };
        (0..60).map(|i| Request { kind: kind(i), sample: 0, seed: 0 }).collect()
    }

    fn answers(model: &str, requests: &[Request]) -> Vec<std::result::Result<Response, Unscored>> {
        let engine = MockEngine::new(model).unwrap();
        let mut answers = Vec::new();
        let mut sink = |update| {
            let Update::Answered(_, outcome, _) = update else { panic!("{update:?}") };
            answers.push(outcome);
            Ok(())
        };
        engine.answer(requests, &Cancel::default(), &mut sink).unwrap();
        answers
    }

    #[test]
    fn answers_depend_on_request_and_seed_only() {
        let requests = requests();
        let first = answers("mock", &requests);
        assert_eq!(first, answers("mock:seed=0", &requests));
        assert_ne!(first, answers("mock:seed=1", &requests));
        assert_eq!(first[7..], answers("mock", &requests[7..]));
        for answer in first {
            match answer.unwrap().answer {
                Answer::Loglikelihood { logprob, .. } | Answer::Rolling { logprob, .. } => assert!(logprob < 0.0),
                Answer::Text { text, .. } => assert!((1..=3).contains(&text.split(' ').count()), "{text:?}"),
                Answer::Choice { .. } => panic!("nobody asked for a label"),
            }
        }
    }

    #[test]
    fn fails_and_stops_as_told() {
        let requests = requests();
        let failed = answers("mock:fail=4", &requests).iter().filter(|a| a.is_err()).count();
        assert!((5..30).contains(&failed), "{failed} of 60");
        assert_eq!(answers("mock:stop=7", &requests).len(), 7);
        let name = |model| MockEngine::new(model).unwrap().identity.name;
        assert_eq!((name("mock:stop=7").as_str(), name("mock:seed=2,stop=7").as_str()), ("mock", "mock:seed=2"));
    }

    #[test]
    fn scripted_answers_go_by_prompt_and_sample() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("texts.jsonl");
        let lines = "{\"contains\": \"prompt\", \"texts\": [\"x\"]}\n\n{\"contains\": \"prompt 5\", \"texts\": [\"a zebra\", \"b\"]}\n";
        std::fs::write(&file, lines).unwrap();
        let model = format!("mock:texts={}", file.display());
        let asked: Vec<Request> =
            requests().into_iter().filter(|r| matches!(r.kind, RequestKind::Generate { .. })).collect();
        let again = Request { sample: 1, ..asked[1].clone() };
        let written = |requests: &[Request]| -> Vec<String> {
            let text = |answer: std::result::Result<Response, Unscored>| match answer.unwrap().answer {
                Answer::Text { text, .. } => text,
                other => panic!("{other:?}"),
            };
            answers(&model, requests).into_iter().map(text).collect()
        };
        assert_eq!(written(&[asked[0].clone(), asked[1].clone(), again]), ["x", "a ", "b"]);
        std::fs::write(&file, "{\"contains\": 1}\n").unwrap();
        let err = MockEngine::new(&model).err().unwrap().to_string();
        assert!(err.contains("texts.jsonl:1: this line is no scripted answer"), "{err}");
    }

    #[test]
    fn reads_its_name() {
        assert!(is_mock("mock") && is_mock("mock:seed=1") && !is_mock("mockery"));
        let refusal = |model: &str| MockEngine::new(model).err().unwrap().to_string();
        assert!(refusal("mock:sed=1").contains("did you mean `seed`"));
        assert!(refusal("mock:seed=x").contains("needs a number"));
    }
}
