//! Routes and the bodies of their answers.

use super::faults::Fault;
use super::model::{self, Seen, Written};
use super::{Chat, Completions, Setup};
use serde_json::{Value, json};
use std::io::Write;

/// What stands before every text, where something does.
const BOS: &str = "<s>";

/// A request as routes see it.
pub struct Asked<'a> {
    pub path: &'a str,
    pub body: Value,
}

/// What is sent.
pub struct Answer {
    pub status: u16,
    pub kind: &'static str,
    /// Further headers, each with its line end.
    pub headers: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(status: u16, body: Vec<u8>) -> Answer {
        Answer { status, kind: "application/json", headers: String::new(), body }
    }

    pub fn value(status: u16, body: &Value) -> Answer {
        Answer::json(status, body.to_string().into_bytes())
    }

    pub fn error(status: u16, code: &str, message: &str) -> Answer {
        Answer::value(status, &json!({"error": {"message": message, "type": code, "code": code}}))
    }
}

/// The kind and the text of the prompt of a request, `None` for routes that take none.
pub fn prompt(asked: &Asked<'_>) -> Option<(&'static str, String)> {
    match asked.path {
        "/v1/completions" => {
            let prompt = match &asked.body["prompt"] {
                Value::String(text) => text.clone(),
                Value::Array(list) if list.iter().all(Value::is_u64) => {
                    model::text_of_ids(list.iter().filter_map(Value::as_u64).map(|id| id as u32))
                }
                list => list[0].as_str().unwrap_or_default().to_string(),
            };
            Some((if asked.body["echo"] == true { "score" } else { "generate" }, prompt))
        }
        "/v1/chat/completions" => {
            let turns = asked.body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
            let texts: Vec<&str> = turns.iter().filter_map(|turn| turn["content"].as_str()).collect();
            Some(("chat", texts.join("\n")))
        }
        _ => None,
    }
}

/// The answer to a request; `twist`: a fault that lies in what it says.
pub fn answer(
    setup: &Setup,
    asked: &Asked<'_>,
    prompt: Option<&(&'static str, String)>,
    twist: Option<Fault>,
) -> Answer {
    if let Some((_, text)) = prompt {
        if setup.filtered.is_some_and(|picks| picks(text)) {
            return Answer::error(400, "content_filter", "the content filter stopped this prompt");
        }
        if setup.rejected.is_some_and(|picks| picks(text)) {
            return Answer::error(400, "invalid_request_error", "this prompt cannot be answered");
        }
    }
    let missing = || Answer::error(404, "not_found", &format!("no route {}", asked.path));
    match (asked.path, prompt) {
        ("/v1/models", _) if setup.hides_models => Answer::error(503, "overloaded", "ask later"),
        ("/v1/models", _) => Answer::value(
            200,
            &json!({"object": "list", "data": [{"id": setup.model, "object": "model", "max_model_len": 4096}]}),
        ),
        ("/v1/completions", Some((_, text))) if setup.completions != Completions::Absent => {
            completion(setup, &asked.body, text, twist)
        }
        ("/v1/chat/completions", Some((_, text))) if setup.chat != Chat::Absent => {
            chat(setup, &asked.body, text, twist)
        }
        ("/tokenize" | "/v1/tokenize", _) if setup.tokenize => {
            let text = ["prompt", "content"].iter().find_map(|key| asked.body[*key].as_str()).unwrap_or_default();
            let ids: Vec<u32> = model::tokens(text).into_iter().map(model::id).collect();
            Answer::value(200, &json!({"count": ids.len(), "max_model_len": 4096, "tokens": ids}))
        }
        ("/apply-template", _) if setup.template => {
            let turns = asked.body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
            let text = |key: &str, turn: &Value| turn[key].as_str().unwrap_or_default().to_string();
            let turns: String =
                turns.iter().map(|turn| format!("<{}>{}\n", text("role", turn), text("content", turn))).collect();
            Answer::value(200, &json!({"prompt": format!("{turns}<assistant>")}))
        }
        _ => missing(),
    }
}

/// The name that a model answers under, and the hash from which it begins.
fn speaker(setup: &Setup, twist: Option<Fault>) -> (&'static str, Seen) {
    let name = if twist == Some(Fault::OtherModel) { "another-model" } else { setup.model };
    (name, Seen::nothing(name))
}

fn stops(body: &Value) -> Vec<&str> {
    match &body["stop"] {
        Value::String(stop) => vec![stop],
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn max_tokens(body: &Value) -> usize {
    let key = ["max_completion_tokens", "max_tokens"].iter().find_map(|key| body[*key].as_u64());
    key.unwrap_or(16) as usize
}

/// A choice as JSON, put where the twist wants it.
fn choices(out: &mut Vec<u8>, twist: Option<Fault>, wrong: &str, choice: impl Fn(&mut Vec<u8>)) {
    out.extend(b"\"choices\":[");
    match twist {
        Some(Fault::EmptyChoices) => {}
        Some(Fault::WrongOrder) => {
            let _ = write!(out, "{{\"index\":1,{wrong},\"finish_reason\":\"length\"}},");
            choice(out);
            out.push(b',');
            choice(out);
        }
        _ => choice(out),
    }
    out.extend(b"],");
}

fn usage(out: &mut Vec<u8>, prompt: usize, completion: usize, thought: usize) {
    let total = prompt + completion;
    let _ = write!(
        out,
        "\"usage\":{{\"prompt_tokens\":{prompt},\"completion_tokens\":{completion},\"total_tokens\":{total}"
    );
    if thought > 0 {
        let _ = write!(out, ",\"completion_tokens_details\":{{\"reasoning_tokens\":{thought}}}");
    }
    out.extend(b"}}");
}

fn quote(out: &mut Vec<u8>, text: &str) {
    let _ = serde_json::to_writer(out, text);
}

fn list<T>(out: &mut Vec<u8>, items: impl Iterator<Item = T>, mut item: impl FnMut(&mut Vec<u8>, T)) {
    out.push(b'[');
    for (index, it) in items.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        item(out, it);
    }
    out.push(b']');
}

/// One token with log-probability as routes list it.
struct Listed<'a> {
    token: &'a str,
    logprob: Option<f64>,
    top: Vec<(&'a str, f64)>,
}

fn completion(setup: &Setup, body: &Value, prompt: &str, twist: Option<Fault>) -> Answer {
    let (name, start) = speaker(setup, twist);
    let has_logprobs = body["logprobs"].as_u64().filter(|_| setup.completions != Completions::NoLogprobs);
    let echoes = body["echo"] == true && setup.completions != Completions::GeneratedOnly;
    let other: String;
    let shown = if twist == Some(Fault::OtherPrompt) {
        other = format!("Question of somebody else, {} bytes long", prompt.len());
        &other
    } else {
        prompt
    };
    let seen = start.then(shown);
    let first = model::first_tokens(shown, seen);
    let written = model::write(seen, &first, max_tokens(body), &stops(body));
    let mut listed = Vec::new();
    if echoes {
        listed = echoed(setup, start, shown);
    }
    let num_prompt = if echoes { listed.len() } else { model::tokens(shown).len() };
    listed.extend(generated(&written, &first, has_logprobs));
    match twist {
        Some(Fault::NullLogprobs) => listed.iter_mut().for_each(|entry| entry.logprob = None),
        Some(Fault::NanLogprobs) => listed.iter_mut().for_each(|entry| entry.logprob = Some(f64::NAN)),
        _ => {}
    }
    let mut out = Vec::with_capacity(256 + 96 * listed.len());
    let _ = write!(out, "{{\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":1,\"model\":\"{name}\",");
    choices(&mut out, twist, "\"text\":\"zebra\",\"logprobs\":null", |out| {
        out.extend(b"{\"index\":0,\"text\":");
        let bos = if setup.bos { BOS } else { "" };
        let text = if echoes { format!("{bos}{shown}{}", written.text) } else { written.text.clone() };
        quote(out, &text);
        out.extend(b",\"logprobs\":");
        if has_logprobs.is_some() {
            completion_logprobs(out, &listed);
        } else {
            out.extend(b"null");
        }
        let _ = write!(out, ",\"finish_reason\":\"{}\"}}", if written.is_cut_off { "length" } else { "stop" });
    });
    usage(&mut out, num_prompt, written.tokens.len(), 0);
    Answer::json(200, out)
}

/// The tokens of a prompt.
fn echoed<'a>(setup: &Setup, start: Seen, prompt: &'a str) -> Vec<Listed<'a>> {
    let mut seen = start;
    let entry = |(index, token): (usize, &'a str)| {
        let (logprob, best) = (seen.logprob(token), (seen.best(), seen.logprob(seen.best())));
        seen = seen.then(token);
        match setup.completions {
            Completions::Zeros => Listed { token, logprob: Some(0.0), top: Vec::new() },
            Completions::Nulls => Listed { token, logprob: None, top: Vec::new() },
            _ if index == 0 && !setup.bos => Listed { token, logprob: None, top: Vec::new() },
            _ => Listed { token, logprob: Some(logprob), top: vec![best] },
        }
    };
    let bos = setup.bos.then_some(Listed { token: BOS, logprob: None, top: Vec::new() });
    bos.into_iter().chain(model::tokens(prompt).into_iter().enumerate().map(entry)).collect()
}

/// The tokens of an answer.
fn generated<'a>(
    written: &'a Written,
    first: &'a [(&'static str, f64)],
    top: Option<u64>,
) -> impl Iterator<Item = Listed<'a>> {
    let count = top.unwrap_or(0) as usize;
    written.tokens.iter().enumerate().map(move |(index, (token, logprob))| {
        let top = match index {
            0 => first.iter().take(count).copied().collect(),
            _ => vec![(*token, *logprob)],
        };
        Listed { token, logprob: Some(*logprob), top }
    })
}

fn number(out: &mut Vec<u8>, value: Option<f64>) {
    let _ = match value {
        Some(value) => write!(out, "{value}"),
        None => write!(out, "null"),
    };
}

fn completion_logprobs(out: &mut Vec<u8>, listed: &[Listed<'_>]) {
    out.extend(b"{\"tokens\":");
    list(out, listed.iter(), |out, entry| quote(out, entry.token));
    out.extend(b",\"token_logprobs\":");
    list(out, listed.iter(), |out, entry| number(out, entry.logprob));
    out.extend(b",\"top_logprobs\":");
    list(out, listed.iter(), |out, entry| match (entry.logprob, entry.top.is_empty()) {
        (Some(own), false) => {
            out.push(b'{');
            let is_listed = entry.top.iter().any(|(token, _)| *token == entry.token);
            let own = (!is_listed).then_some((entry.token, own));
            for (index, (token, logprob)) in entry.top.iter().copied().chain(own).enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                quote(out, token);
                let _ = write!(out, ":{logprob}");
            }
            out.push(b'}');
        }
        _ => out.extend(b"null"),
    });
    out.extend(b",\"text_offset\":");
    let mut offset = 0;
    list(out, listed.iter(), |out, entry| {
        let _ = write!(out, "{offset}");
        offset += entry.token.chars().count();
    });
    out.push(b'}');
}

/// A thought: mostly short, for every seventh prompt longer than it may write.
fn thought(seen: Seen) -> (&'static str, usize) {
    if seen.mixed(9).is_multiple_of(7) {
        ("Let me think about that for a very long time", 120)
    } else {
        ("That is easy", 8)
    }
}

fn chat(setup: &Setup, body: &Value, prompt: &str, twist: Option<Fault>) -> Answer {
    let (name, start) = speaker(setup, twist);
    let seen = start.then(prompt);
    let mut room = max_tokens(body);
    let thinks = matches!(setup.chat, Chat::ThinkTags | Chat::ThinkField);
    let (thought, spent) = if thinks { thought(seen) } else { ("", 0) };
    let is_lost = thinks && spent >= room;
    let spent = spent.min(room);
    room -= spent;
    let first = model::first_tokens(prompt, seen);
    let written = if is_lost { None } else { Some(model::write(seen, &first, room, &stops(body))) };
    let text = setup.says.unwrap_or(written.as_ref().map_or("", |written| &written.text));
    let content = match (setup.chat, is_lost) {
        (Chat::ThinkTags, true) => format!("<think>{thought}"),
        (Chat::ThinkTags, false) => format!("<think>{thought}</think>\n\n{text}"),
        _ => text.to_string(),
    };
    let finish = if written.as_ref().is_none_or(|written| written.is_cut_off) { "length" } else { "stop" };
    let top = body["top_logprobs"].as_u64().unwrap_or(0) as usize;
    let has_logprobs = setup.chat == Chat::TopLogprobs && body["logprobs"] == true;
    let mut out = Vec::with_capacity(512);
    let _ = write!(out, "{{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"{name}\",");
    choices(&mut out, twist, "\"message\":{\"role\":\"assistant\",\"content\":\"zebra\"}", |out| {
        out.extend(b"{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":");
        quote(out, &content);
        if setup.chat == Chat::ThinkField {
            out.extend(b",\"reasoning_content\":");
            quote(out, thought);
        }
        out.extend(b"},\"logprobs\":");
        match written.as_ref().filter(|_| has_logprobs) {
            Some(written) => {
                chat_logprobs(out, &generated(written, &first, Some(top as u64)).collect::<Vec<_>>(), twist);
            }
            None => out.extend(b"null"),
        }
        let _ = write!(out, ",\"finish_reason\":\"{finish}\"}}");
    });
    let completion = spent + written.as_ref().map_or(0, |written| written.tokens.len());
    usage(&mut out, model::tokens(prompt).len(), completion, spent);
    Answer::json(200, out)
}

fn chat_logprobs(out: &mut Vec<u8>, listed: &[Listed<'_>], twist: Option<Fault>) {
    let value = |own: f64| match twist {
        Some(Fault::NullLogprobs) => None,
        Some(Fault::NanLogprobs) => Some(f64::NAN),
        _ => Some(own),
    };
    let token = |out: &mut Vec<u8>, token: &str, logprob: f64| {
        out.extend(b"{\"token\":");
        quote(out, token);
        out.extend(b",\"logprob\":");
        number(out, value(logprob));
        out.extend(b",\"bytes\":null");
    };
    out.extend(b"{\"content\":");
    list(out, listed.iter(), |out, entry| {
        token(out, entry.token, entry.logprob.unwrap_or(0.0));
        out.extend(b",\"top_logprobs\":");
        list(out, entry.top.iter(), |out, (text, logprob)| {
            token(out, text, *logprob);
            out.push(b'}');
        });
        out.push(b'}');
    });
    out.push(b'}');
}
