//! A toy language model behind OpenAI's routes, for tests: what it says is a hash of what stands before.
//!
//! A token is a word with the blank before it, or any other character.

use super::RemoteEngine;
use super::address;
use super::transport::testing::read;
use crate::engine::{Cancel, Engine, EngineOptions, Outcome, Update};
use crate::error::Result;
use crate::request::{Decoding, Prompt, Request, RequestKind};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

/// How the toy scores prompts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scores {
    Right,
    Zeros,
    GeneratedOnly,
    Drifting,
    /// A little.
    Trembling,
    NoNull,
    Refused,
    /// It does not look at the end of prompts.
    Blind,
    /// Without top log-probabilities.
    NoTop,
}

#[derive(Debug, Clone)]
pub struct Toy {
    pub scores: Scores,
    pub seed: u64,
    pub models: Vec<&'static str>,
    /// The name in answers.
    pub told: &'static str,
    /// Shows a token before every text.
    pub bos: bool,
    pub completions: bool,
    pub chat: bool,
    /// Takes texts for prompts.
    pub texts: bool,
    /// Takes token ids for prompts: their numbers are the tokens' texts.
    pub ids: bool,
    /// Lists first tokens.
    pub top: bool,
    /// The `extras/tokenize` route.
    pub tokenize: bool,
    /// Put before every text that is written.
    pub thought: &'static str,
}

impl Default for Toy {
    fn default() -> Toy {
        Toy {
            scores: Scores::Right,
            seed: 0,
            models: vec!["toy"],
            told: "toy",
            bos: true,
            completions: true,
            chat: true,
            texts: true,
            ids: false,
            top: true,
            tokenize: false,
            thought: "",
        }
    }
}

/// What a hook sees of a request: its number, path and body. An answer of its own replaces the toy's.
pub type Hook = dyn Fn(usize, &str, &Value) -> Option<(u16, Value)> + Send + Sync;

/// A running server.
pub struct Server {
    pub address: SocketAddr,
    pub seen: Arc<Mutex<Vec<(String, Value)>>>,
    _runtime: Runtime,
}

pub fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    for c in text.chars() {
        let joins = tokens.last().is_some_and(|last: &String| {
            c.is_alphanumeric() && last.chars().last().is_some_and(|before| before.is_alphanumeric() || before == ' ')
        });
        match tokens.last_mut() {
            Some(last) if joins => last.push(c),
            _ => tokens.push(c.to_string()),
        }
    }
    tokens
}

fn hash(seed: u64, parts: &[String]) -> u64 {
    let mut state = seed ^ 0x9e37_79b9_7f4a_7c15;
    for byte in parts.iter().flat_map(|part| part.bytes().chain([0xff])) {
        state = (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        state ^= state >> 29;
    }
    state
}

impl Toy {
    /// The log-probability of the token at an index, and whether it is the likeliest.
    pub fn score(&self, parts: &[String], index: usize) -> (f64, bool) {
        let hash = hash(self.seed, &parts[..=index]);
        (-(0.125 + (hash % 4096) as f64 / 1024.0), hash.is_multiple_of(3))
    }

    /// What a continuation scores behind a context.
    pub fn sum(&self, context: &[&str], continuation: &[&str]) -> (f64, bool) {
        let parts: Vec<String> = context.iter().chain(continuation).map(|part| part.to_string()).collect();
        let scores: Vec<(f64, bool)> = (context.len()..parts.len()).map(|i| self.score(&parts, i)).collect();
        (scores.iter().map(|(logprob, _)| logprob).sum(), scores.iter().all(|(_, greedy)| *greedy))
    }

    /// Words that follow a text.
    pub fn words(&self, text: &str, count: usize) -> String {
        const WORDS: [&str; 6] = ["sun", "moon", "tree", "river", "cat", "dog"];
        let word = |i: usize| WORDS[(hash(self.seed, &[text.to_string(), i.to_string()]) % 6) as usize];
        (0..count).map(|i| format!(" {}", word(i))).collect()
    }

    fn answer(&self, path: &str, body: &Value, number: usize) -> (u16, Value) {
        match path.trim_start_matches("/v1") {
            "/models" => {
                let model = |id: &&str| json!({"id": id, "object": "model", "max_model_len": 64});
                (200, json!({"object": "list", "data": self.models.iter().map(model).collect::<Vec<_>>()}))
            }
            "/extras/tokenize" if self.tokenize => {
                let count = tokens(body["input"].as_str().unwrap()).len() + usize::from(self.bos);
                (200, json!({"tokens": (0..count).collect::<Vec<_>>()}))
            }
            "/completions" if self.completions => self.complete(body, number),
            "/chat/completions" if self.chat => self.chat(body),
            _ => (404, json!({"error": {"message": "Not Found"}})),
        }
    }

    fn complete(&self, body: &Value, number: usize) -> (u16, Value) {
        let prompt = &body["prompt"].to_string();
        let (mut parts, bos) = match &body["prompt"] {
            Value::String(text) if self.texts => (tokens(text), usize::from(self.bos)),
            Value::Array(ids) if self.ids => (ids.iter().map(Value::to_string).collect(), 0),
            _ => return (422, json!({"error": {"message": "this is no prompt"}})),
        };
        let prompt = body["prompt"].as_str().unwrap_or(prompt);
        let usage = |prompt: usize, written: usize| json!({"prompt_tokens": prompt, "completion_tokens": written});
        let choice = |text: &str, logprobs: Value| json!({"text": text, "index": 0, "finish_reason": "length", "logprobs": logprobs});
        let whole = |choice: Value, written: usize, parts: usize| {
            (200, json!({"model": self.told, "choices": [choice], "usage": usage(parts + bos, written)}))
        };
        if body["echo"] != json!(true) {
            if body.get("logprobs").is_some_and(|n| !n.is_null()) {
                if !self.top {
                    return (400, json!({"error": {"message": "logprobs are not supported"}}));
                }
                let top = json!({" A": -1.0, "A": -2.0, " B": -1.5, " the": -2.5});
                return whole(
                    choice(" A", json!({"tokens": [" A"], "token_logprobs": [-1.0], "top_logprobs": [top]})),
                    1,
                    parts.len(),
                );
            }
            let most = body["max_tokens"].as_u64().unwrap() as usize;
            let text = format!("{}{}", self.thought, self.words(prompt, most));
            return whole(choice(&text, Value::Null), most, parts.len());
        }
        if self.scores == Scores::Refused {
            return (400, json!({"error": {"message": "echo is not supported"}}));
        }
        let count = parts.len();
        parts.push(".".to_string());
        let score = |index: usize| match self.scores {
            Scores::Zeros => (0.0, true),
            Scores::Blind => (-1.0, true),
            Scores::Drifting => (self.score(&parts, index).0 * (1.0 + number as f64 * 0.01), true),
            Scores::Trembling => (self.score(&parts, index).0 * (1.0 + number as f64 * 1e-5), true),
            _ => self.score(&parts, index),
        };
        let mut scored: Vec<(f64, bool)> = (0..parts.len()).map(score).collect();
        // What it writes itself is the likeliest.
        scored[count].1 = true;
        let mut logprobs: Vec<Value> = scored.iter().map(|(logprob, _)| json!(logprob)).collect();
        let top = |(part, (logprob, greedy)): (&String, &(f64, bool))| match greedy {
            true => json!({ part: logprob }),
            false => json!({ part: logprob, "\u{1}other": logprob / 2.0 }),
        };
        let mut tops: Vec<Value> = parts.iter().zip(&scored).map(top).collect();
        if bos == 1 {
            parts.insert(0, "<s>".to_string());
            logprobs.insert(0, Value::Null);
            tops.insert(0, Value::Null);
        } else {
            logprobs[0] = Value::Null;
            tops[0] = Value::Null;
        }
        match self.scores {
            Scores::NoNull => logprobs[0] = json!(-0.5),
            Scores::NoTop => tops.clear(),
            Scores::GeneratedOnly => {
                let last = parts.len() - 1;
                parts.drain(..last);
                logprobs.drain(..last);
                tops.drain(..last);
            }
            _ => {}
        }
        let tops = if tops.is_empty() { Value::Null } else { json!(tops) };
        let logprobs = json!({"tokens": parts, "token_logprobs": logprobs, "top_logprobs": tops});
        whole(choice(&format!("{prompt}."), logprobs), 1, count)
    }

    fn chat(&self, body: &Value) -> (u16, Value) {
        let prompt = body["messages"].to_string();
        let most = body.get("max_tokens").or(body.get("max_completion_tokens")).and_then(Value::as_u64).unwrap_or(1);
        let text = format!("{}{}", self.thought, self.words(&prompt, most as usize));
        let mut choice = json!({"message": {"role": "assistant", "content": text}, "finish_reason": "length"});
        if body["logprobs"] == json!(true) {
            if !self.top {
                return (400, json!({"error": {"message": "logprobs are not supported"}}));
            }
            let top = json!([{"token": "B", "logprob": -0.5}, {"token": "A", "logprob": -1.5}, {"token": "I", "logprob": -3.0}]);
            choice["logprobs"] = json!({"content": [{"token": "B", "logprob": -0.5, "top_logprobs": top}]});
        }
        (
            200,
            json!({"model": self.told, "choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": most}}),
        )
    }
}

impl Server {
    pub fn start(toy: Toy) -> Server {
        Server::hooked(toy, |_, _, _| None)
    }

    pub fn hooked(
        toy: Toy,
        hook: impl Fn(usize, &str, &Value) -> Option<(u16, Value)> + Send + Sync + 'static,
    ) -> Server {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<(String, Value)>>> = Arc::default();
        let (kept, toy, hook): (_, _, Arc<Hook>) = (Arc::clone(&seen), Arc::new(toy), Arc::new(hook));
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&toy), Arc::clone(&hook), Arc::clone(&kept)));
            }
        });
        Server { address, seen, _runtime: runtime }
    }

    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Requests so far.
    pub fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    pub fn open(&self, change: impl FnOnce(&mut EngineOptions)) -> Result<RemoteEngine> {
        open(&self.url(), change)
    }
}

/// Opens a model's name, with limits that do not keep tests waiting and without the user's environment.
pub fn open(name: &str, change: impl FnOnce(&mut EngineOptions)) -> Result<RemoteEngine> {
    let mut options = EngineOptions { offline: true, ..EngineOptions::default() };
    options.remote.limits.backoff = Duration::from_millis(1);
    options.remote.limits.max_wait = Duration::from_millis(20);
    options.remote.limits.max_concurrency = 64;
    change(&mut options);
    RemoteEngine::open_at(&address::parse(name, &|_| None)?, &options)
}

async fn serve(mut stream: TcpStream, toy: Arc<Toy>, hook: Arc<Hook>, seen: Arc<Mutex<Vec<(String, Value)>>>) {
    let _ = stream.set_nodelay(true);
    let mut buffer = Vec::new();
    while let Some((head, body)) = read(&mut stream, &mut buffer).await {
        let path = head.split(' ').nth(1).unwrap_or_default().to_string();
        let number = {
            let mut seen = seen.lock().unwrap();
            seen.push((path.clone(), body.clone()));
            seen.len() - 1
        };
        let (status, said) = hook(number, &path, &body).unwrap_or_else(|| toy.answer(&path, &body, number));
        let said = said.to_string();
        let head = format!(
            "HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{said}",
            said.len()
        );
        if stream.write_all(head.as_bytes()).await.is_err() {
            return;
        }
    }
}

pub fn score(context: &str, continuation: &str) -> Request {
    let kind = RequestKind::Loglikelihood { context: Prompt::Text(context.into()), continuation: continuation.into() };
    Request { kind, sample: 0, seed: 0 }
}

pub fn generate(context: Prompt, until: &[&str], max_gen_toks: usize) -> Request {
    let decoding = Decoding {
        until: until.iter().map(|s| s.to_string()).collect(),
        max_gen_toks: Some(max_gen_toks),
        do_sample: false,
        temperature: 0.0,
        top_p: None,
        top_k: None,
        min_p: None,
        written: Default::default(),
    };
    Request { kind: RequestKind::Generate { context, decoding }, sample: 0, seed: 0 }
}

/// All answers, each of which must come once.
pub fn answers(engine: &RemoteEngine, requests: &[Request]) -> Vec<Outcome> {
    let mut answers = vec![None; requests.len()];
    let mut sink = |update| {
        if let Update::Answered(index, outcome, _) = update {
            assert!(answers[index].replace(outcome).is_none(), "request {index} is answered twice");
        }
        Ok(())
    };
    engine.answer(requests, &Cancel::default(), &mut sink).unwrap();
    answers.into_iter().map(Option::unwrap).collect()
}
