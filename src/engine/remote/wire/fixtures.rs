//! Bodies of servers in `tests/fixtures/remote/<wire>/*.json`, each with what was asked, the request it makes, and what it means.
//!
//! With `FAIRMARK_BLESS=1` in the environment the tests write requests and meanings anew: look at the difference before keeping it.

use super::trouble::{self, Meaning};
use super::{Ask, Input, Reply, Sampling, TokenScore, Wire, WireError};
use crate::engine::remote::address::{ENDPOINTS, OPENAI_COMPATIBLE};
use crate::request::Message;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The model of all fixtures.
pub const MODEL: &str = "stories";

/// A file.
pub struct Fixture {
    pub path: PathBuf,
    pub content: Value,
}

/// What is asked, owning its texts.
pub enum Question {
    Score(Prompt),
    Generate(Prompt, Sampling),
    FirstToken(Prompt, usize),
    Tokenize(String, bool),
    ApplyTemplate(Vec<Message>),
    Models,
}

pub enum Prompt {
    Text(String),
    Ids(Vec<u32>),
    Chat(Vec<Message>),
}

impl Prompt {
    fn read(value: &Value) -> Prompt {
        if let Some(text) = value.get("text") {
            return Prompt::Text(text.as_str().unwrap().to_string());
        }
        match value.get("ids") {
            Some(ids) => Prompt::Ids(serde_json::from_value(ids.clone()).unwrap()),
            None => Prompt::Chat(serde_json::from_value(value["chat"].clone()).unwrap()),
        }
    }

    pub fn input(&self) -> Input<'_> {
        match self {
            Prompt::Text(text) => Input::Text(text),
            Prompt::Ids(ids) => Input::Ids(ids),
            Prompt::Chat(turns) => Input::Chat(turns),
        }
    }
}

impl Question {
    fn read(ask: &Value) -> Question {
        let fields = ask.as_object().unwrap();
        match fields.keys().next().map(String::as_str) {
            Some("score") => Question::Score(Prompt::read(&ask["score"])),
            Some("generate") => Question::Generate(Prompt::read(&ask["generate"]), sampling(&ask["sampling"])),
            Some("first_token") => {
                Question::FirstToken(Prompt::read(&ask["first_token"]), ask["top"].as_u64().unwrap() as usize)
            }
            Some("tokenize") => {
                Question::Tokenize(ask["tokenize"].as_str().unwrap().to_string(), ask["special"].as_bool().unwrap())
            }
            Some("apply_template") => {
                Question::ApplyTemplate(serde_json::from_value(ask["apply_template"].clone()).unwrap())
            }
            Some("models") => Question::Models,
            other => panic!("no ask {other:?}"),
        }
    }

    pub fn ask(&self) -> Ask<'_> {
        match self {
            Question::Score(prompt) => Ask::Score(prompt.input()),
            Question::Generate(prompt, sampling) => Ask::Generate(prompt.input(), sampling),
            Question::FirstToken(prompt, top) => Ask::FirstToken { input: prompt.input(), top: *top },
            Question::Tokenize(text, special) => Ask::Tokenize { text, special: *special },
            Question::ApplyTemplate(turns) => Ask::ApplyTemplate(turns),
            Question::Models => Ask::Models,
        }
    }
}

/// Greedy, 16 tokens, unless a fixture says otherwise.
pub fn greedy() -> Sampling {
    Sampling::greedy(16)
}

/// Everything set.
pub fn sampled() -> Sampling {
    let stops = ["\n", "", "a", "b", "c", "d", "e"].map(String::from).to_vec();
    Sampling {
        stops,
        temperature: 0.5,
        top_p: Some(0.9),
        top_k: Some(7),
        min_p: Some(0.1),
        seed: Some(1234),
        ..greedy()
    }
}

fn sampling(value: &Value) -> Sampling {
    let strings = |key: &str| value.get(key).map_or_else(Vec::new, |v| serde_json::from_value(v.clone()).unwrap());
    Sampling {
        max_tokens: value.get("max_tokens").map_or(16, |v| v.as_u64().unwrap() as usize),
        stops: strings("stops"),
        temperature: value.get("temperature").map_or(0.0, |v| v.as_f64().unwrap()),
        seed: value.get("seed").and_then(Value::as_u64),
        reasoning: value.get("reasoning") == Some(&json!(true)),
        ..greedy()
    }
}

impl Fixture {
    pub fn question(&self) -> Question {
        Question::read(&self.content["ask"])
    }

    /// The wire that the file names.
    pub fn wire(&self) -> &'static dyn Wire {
        let name = self.content["wire"].as_str().unwrap();
        let mut wires = ENDPOINTS.iter().chain([&OPENAI_COMPATIBLE]).flat_map(|row| row.wires);
        *wires.find(|wire| wire.name() == name).unwrap_or_else(|| panic!("{:?}: no wire `{name}`", self.path))
    }

    pub fn body(&self) -> &Value {
        &self.content["body"]
    }

    pub fn is_answer(&self) -> bool {
        self.content["status"] == json!(200)
    }
}

/// All of them, in order.
pub fn all() -> Vec<Fixture> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/remote");
    let mut paths: Vec<PathBuf> = Vec::new();
    for folder in std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        paths.extend(std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    }
    paths.sort();
    let read = |path: PathBuf| {
        let content = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        Fixture { path, content }
    };
    paths.into_iter().map(read).collect()
}

/// A reply as a fixture has it.
pub fn meaning(reply: &Result<Reply, WireError>) -> Value {
    let usage = |usage: &crate::request::Usage| {
        json!([usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens, usage.reasoning_tokens])
    };
    match reply {
        Ok(Reply::Scores { tokens, generated, usage: u, model }) => {
            let token = |t: &TokenScore| json!([t.id, t.text, t.offset, t.logprob, t.is_greedy]);
            let tokens: Vec<Value> = tokens.iter().map(token).collect();
            json!({"scores": tokens, "generated": generated, "usage": usage(u), "model": model})
        }
        Ok(Reply::Text { text, reasoning, cut_off, usage: u, model }) => {
            json!({"text": text, "reasoning": reasoning, "cut_off": cut_off, "usage": usage(u), "model": model})
        }
        Ok(Reply::FirstToken { top, usage: u, model }) => {
            json!({"top": top, "usage": usage(u), "model": model})
        }
        Ok(Reply::Tokens(ids)) => json!({ "tokens": ids }),
        Ok(Reply::Template(text)) => json!({ "template": text }),
        Ok(Reply::Models(models)) => {
            let models: Vec<Value> = models.iter().map(|m| json!([m.id, m.max_length, m.owned_by])).collect();
            json!({ "models": models })
        }
        Err(WireError::NoAnswer(said)) => json!({"no_answer": said}),
        Err(WireError::Refused(said)) => json!({ "refused": said }),
        Err(WireError::Malformed(said)) => json!({ "malformed": said }),
        Err(WireError::Failed(said)) => json!({ "failed": said }),
    }
}

#[test]
fn every_fixture_asks_and_means_what_it_says() {
    let bless = std::env::var_os("FAIRMARK_BLESS").is_some();
    let fixtures = all();
    assert!(fixtures.len() >= 40, "{}", fixtures.len());
    for mut fixture in fixtures {
        let (question, wire) = (fixture.question(), fixture.wire());
        let call = wire.call(MODEL, &question.ask()).map(|call| json!({"path": call.path, "body": call.body}));
        let call = call.unwrap_or(Value::Null);
        let meaning = if fixture.is_answer() {
            meaning(&wire.reply(&question.ask(), fixture.body()))
        } else {
            let status = fixture.content["status"].as_u64().unwrap() as u16;
            let is_filter = (400..500).contains(&status) && trouble::meaning(fixture.body()) == Meaning::Blocked;
            json!({"says": wire.error_message(fixture.body()), "content_filter": is_filter})
        };
        if bless {
            fixture.content["call"] = call;
            fixture.content["means"] = meaning;
            std::fs::write(&fixture.path, serde_json::to_string_pretty(&fixture.content).unwrap() + "\n").unwrap();
            continue;
        }
        assert_eq!(fixture.content["call"], call, "{:?}", fixture.path);
        assert_eq!(fixture.content["means"], meaning, "{:?}", fixture.path);
        assert!(fixture.content["source"].is_string(), "{:?}", fixture.path);
    }
}
