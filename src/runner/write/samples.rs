//! The reference's `samples_<task>_<date>.jsonl`: one line per filter and document.

use crate::error::Result;
use crate::judgement::Finding;
use crate::python::{json, repr};
use crate::request::{Answer, Prompt, Request, RequestKind, Response, Unscored};
use crate::runner::FinishedTask;
use crate::sample::{AnsweredItem, Sample, Score};
use serde_json::{Map, Value, json as value};

/// A task's samples file.
pub struct TaskSamples {
    pub jsonl: String,
    /// SHA-256 over the hashes of document, prompt and target of every line: the reference's task hash.
    pub task_hash: String,
}

/// Writes the samples of a task. `render` gives prompts as the model saw them.
pub fn samples_jsonl(finished: &FinishedTask, render: &dyn Fn(&Prompt) -> Result<String>) -> Result<TaskSamples> {
    let mut jsonl = String::new();
    let mut hashes = String::new();
    for sample in &finished.samples {
        let Some(answered) = finished.answered(sample.doc_id) else { continue };
        let line = line(answered, sample, render)?;
        for key in ["doc_hash", "prompt_hash", "target_hash"] {
            hashes.push_str(line.get(key).and_then(Value::as_str).unwrap_or_default());
        }
        jsonl.push_str(&json::dumps(&Value::Object(line)));
        jsonl.push('\n');
    }
    Ok(TaskSamples { jsonl, task_hash: json::sha256(&hashes) })
}

fn line(
    answered: &AnsweredItem,
    sample: &Sample,
    render: &dyn Fn(&Prompt) -> Result<String>,
) -> Result<Map<String, Value>> {
    let item = &answered.item;
    let mut arguments = Map::new();
    let mut first_prompt = String::new();
    for (index, request) in item.requests.iter().enumerate() {
        let parts = arguments_of(request, render)?;
        if let (0, Some(prompt)) = (index, parts.first().and_then(Value::as_str)) {
            first_prompt = prompt.to_string();
        }
        let parts: Map<String, Value> =
            parts.into_iter().enumerate().map(|(j, part)| (format!("arg_{j}"), part)).collect();
        arguments.insert(format!("gen_args_{index}"), Value::Object(parts));
    }
    let target = repr::to_str(&item.target_written);
    let mut line = Map::new();
    line.insert("doc_id".into(), value!(sample.doc_id));
    line.insert("doc".into(), Value::Object(item.doc.fields.clone()));
    line.insert("target".into(), value!(target));
    line.insert("arguments".into(), Value::Object(arguments));
    line.insert("resps".into(), Value::Array(answered.responses.iter().map(|r| resps(r)).collect()));
    line.insert("filtered_resps".into(), strings(&Value::Array(sample.filtered.clone())));
    line.insert("filter".into(), value!(sample.filter));
    line.insert("metrics".into(), sample.scores.iter().map(|(name, _)| value!(name)).collect());
    line.insert("doc_hash".into(), value!(item.doc.hash()));
    line.insert("prompt_hash".into(), value!(json::sha256(&first_prompt)));
    line.insert("target_hash".into(), value!(json::sha256(&target)));
    for (name, score) in &sample.scores {
        line.insert(name.clone(), score.to_json());
    }
    if let Some(cluster) = &item.cluster {
        line.insert("cluster".into(), value!(cluster));
    }
    if !sample.findings.is_empty() {
        line.insert("judgements".into(), sample.findings.iter().map(judgement).collect());
    }
    if answered.responses.iter().flatten().flatten().any(|response| response.reasoning.is_some()) {
        line.insert("reasoning".into(), answered.responses.iter().map(|r| reasoning(r)).collect());
    }
    if let Some(unscored) = sample.scores.iter().find_map(|(_, s)| match s {
        Score::Unscored(unscored) => Some(unscored),
        _ => None,
    }) {
        line.insert("unscored".into(), value!(unscored.reason));
        if unscored.refused {
            line.insert("refused".into(), value!(true));
        }
    }
    Ok(line)
}

/// What a judge found about one answer: its value with all details, or why there is none.
fn judgement(finding: &Finding) -> Value {
    match finding {
        Ok(judgement) => {
            let mut found = Map::from_iter([("value".to_owned(), value!(judgement.value))]);
            found.extend(judgement.detail.clone());
            Value::Object(found)
        }
        Err(unscored) => value!({"unscored": unscored.reason}),
    }
}

/// What was thought before the answers of one request: a text or null for each repeat.
fn reasoning(responses: &[std::result::Result<Response, Unscored>]) -> Value {
    responses.iter().map(|response| value!(response.as_ref().ok().and_then(|r| r.reasoning.as_ref()))).collect()
}

/// The reference's request arguments: `[context, continuation]`, `[text]` or `[context, generation settings]`. Ours: `[context,
/// labels]`.
fn arguments_of(request: &Request, render: &dyn Fn(&Prompt) -> Result<String>) -> Result<Vec<Value>> {
    Ok(match &request.kind {
        RequestKind::Loglikelihood { context, continuation } => vec![value!(render(context)?), value!(continuation)],
        RequestKind::LoglikelihoodRolling { text } => vec![value!(text)],
        RequestKind::Generate { context, decoding } => {
            vec![value!(render(context)?), Value::Object(decoding.written.clone())]
        }
        RequestKind::Choose { context, labels } => vec![value!(render(context)?), value!(labels)],
    })
}

/// The answers of one request: `[["-1.5", "False"]]`, `["-1.5"]` or `["text"]`, a list with an entry per repeat. Of labels: a
/// log-probability each, null where the endpoint lists none.
fn resps(responses: &[std::result::Result<Response, Unscored>]) -> Value {
    responses
        .iter()
        .map(|response| match response.as_ref().map(|r| &r.answer) {
            Ok(Answer::Loglikelihood { logprob, is_greedy, .. }) => strings(&value!([logprob, is_greedy])),
            Ok(Answer::Rolling { logprob, .. }) => strings(&value!(logprob)),
            Ok(Answer::Text { text, .. }) => value!(text),
            Ok(Answer::Choice { logprobs }) => strings(&value!(logprobs)),
            Err(_) => Value::Null,
        })
        .collect()
}

/// Every leaf as Python's `str` would print it, as the reference stores answers. A missing answer stays null.
fn strings(v: &Value) -> Value {
    match v {
        Value::Array(parts) => parts.iter().map(strings).collect(),
        Value::Null => Value::Null,
        leaf => value!(repr::to_str(leaf)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doc::Doc;
    use crate::item::{Item, Target};

    #[test]
    fn answers_are_stored_as_python_strings() {
        let answer = Answer::Loglikelihood { logprob: -64.77802276611328, is_greedy: false, num_tokens: 3 };
        let good = Ok(Response::new(answer, Default::default()));
        assert_eq!(resps(&[good, Err(Unscored::new("x"))]), value!([["-64.77802276611328", "False"], null]));
        let labels = Response::new(Answer::Choice { logprobs: vec![Some(-0.5), None] }, Default::default());
        assert_eq!(resps(&[Ok(labels)]), value!([["-0.5", null]]));
    }

    fn text(text: &str) -> Response {
        let answer = Answer::Text { text: text.into(), finish: crate::request::Finish::Stop };
        Response::new(answer, Default::default())
    }

    fn line_of(outcome: std::result::Result<Response, Unscored>) -> Map<String, Value> {
        let item = Item {
            doc: Doc { id: 0, fields: Map::new() },
            requests: Vec::new(),
            choices: Vec::new(),
            labels: Vec::new(),
            target: Target::Text("x".into()),
            cluster: Some("valley 3".into()),
            target_written: value!("x"),
            result_args: Map::new(),
            judge_args: Default::default(),
            num_fewshot: 0,
        };
        let score = match &outcome {
            Ok(_) => Score::Value(1.0),
            Err(unscored) => Score::Unscored(unscored.clone()),
        };
        let scores = vec![("acc".to_string(), score)];
        let sample = Sample { doc_id: 0, filter: "none".into(), filtered: Vec::new(), findings: Vec::new(), scores };
        line(&AnsweredItem { item, responses: vec![vec![outcome]] }, &sample, &|_| Ok(String::new())).unwrap()
    }

    #[test]
    fn thoughts_and_refusals_are_shown_where_there_are_any() {
        let plain = line_of(Ok(text("x")));
        assert_eq!((&plain["cluster"], &plain["acc"]), (&value!("valley 3"), &value!(1.0)));
        assert!(!plain.contains_key("reasoning") && !plain.contains_key("unscored") && !plain.contains_key("refused"));
        let thought = line_of(Ok(Response { reasoning: Some("hm".into()), ..text("x") }));
        assert_eq!((&thought["reasoning"], &thought["resps"]), (&value!([["hm"]]), &value!([["x"]])));
        let refused = line_of(Err(Unscored::refused("a content filter")));
        assert_eq!((&refused["unscored"], &refused["refused"]), (&value!("a content filter"), &value!(true)));
        assert!(!line_of(Err(Unscored::new("lost"))).contains_key("refused"));
    }
}
