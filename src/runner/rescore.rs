//! A finished run scored again: its recorded answers under filters and metrics as the task files say them now. Documents, prompts and
//! answers are those of the samples files, so that neither a model nor data are needed.

use super::{Prepared, PreparedTask};
use crate::data::TaskDocs;
use crate::doc::Doc;
use crate::engine::{Identity, Outcome};
use crate::error::{Error, Result};
use crate::item::Item;
use crate::prompt::{PromptOptions, build};
use crate::python::json::sha256;
use crate::read;
use crate::record::{Run, Task as RecordedTask};
use crate::request::{Answer, Finish, Prompt, Request, RequestKind, Response, Unscored};
use crate::run::TaskSpec;
use crate::score::{check_items, nodes_under, protocol_in, protocol_of, remarks_on_groups};
use crate::task::{ChoiceProtocol, FewshotSpec, Node, Task, tasks_under};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::Arc;

/// What an answered run is scored again with.
pub struct Rescored {
    pub prepared: Prepared,
    /// Answers by request key.
    pub answers: HashMap<String, Outcome>,
    /// The protocol of its multiple-choice tasks.
    pub protocol: ChoiceProtocol,
}

/// Makes the items of a recorded run anew, with its answers.
///
/// # Errors
/// A task is not in the run, or its samples are missing or damaged; a document no longer fits the task; the task asks something else now.
pub fn rescored(run: &Run, nodes: &[Node]) -> Result<Rescored> {
    let protocol = protocol(run);
    let nodes = nodes_under(nodes, protocol);
    let mut answers = HashMap::new();
    let mut tasks: Vec<PreparedTask> = Vec::new();
    for task in tasks_under(&nodes) {
        if tasks.iter().any(|known| known.task.name == task.name) {
            continue;
        }
        let recorded = run.task(&task.name).ok_or_else(|| {
            let err = Error::input(format!("this run has no task `{}`", task.name)).file(&run.path);
            let names: Vec<&str> = run.tasks.iter().map(|task| task.name.as_str()).collect();
            err.hint(format!("it has {}", crate::visible::list(&names)))
        })?;
        tasks.push(rescored_task((run, recorded), task, &mut answers)?);
    }
    let on_groups = remarks_on_groups(&nodes);
    Ok(Rescored { prepared: Prepared { nodes, tasks, on_groups }, answers, protocol })
}

/// The identity of who answered, with where the answers come from.
pub fn rescored_identity(run: &Run, answered_by: Option<Identity>) -> Identity {
    let plain = || Identity {
        engine: "recorded".to_owned(),
        name: run.model.name.clone().unwrap_or_else(|| run.model.label.clone()),
        label: run.model.label.clone(),
        architecture: None,
        num_parameters: run.model.num_parameters,
        dtype: None,
        storage: run.model.storage.clone(),
        model_bytes: run.model.bytes,
        revision: None,
        sha: None,
        max_length: None,
        bos_token: None,
        eos_token: None,
        pad_token: None,
        eot_token_id: None,
        chat_template: None,
        options: Vec::new(),
    };
    let mut identity = answered_by.unwrap_or_else(plain);
    let folder = run.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    identity.options.push(format!("answers_from={folder} by {}", run.writer));
    identity
}

/// The protocol that the run's tasks were put under: those that could not be are asked as they stand.
fn protocol(run: &Run) -> ChoiceProtocol {
    let put = run.tasks.iter().map(|task| protocol_in(&task.config));
    put.into_iter().find(|protocol| *protocol != ChoiceProtocol::Likelihood).unwrap_or_default()
}

fn rescored_task(
    (run, recorded): (&Run, &RecordedTask),
    task: &Arc<Task>,
    answers: &mut HashMap<String, Outcome>,
) -> Result<PreparedTask> {
    let samples = samples(run, recorded)?;
    let repeats = samples.iter().flat_map(|sample| sample.answers.iter().map(Vec::len)).max().unwrap_or(1).max(1);
    let task = Arc::new(Task { repeats: repeats as u32, ..(**task).clone() });
    let columns = samples.first().map(|sample| sample.doc.fields.keys().cloned().collect()).unwrap_or_default();
    let original = recorded.original.unwrap_or(samples.len());
    let docs = TaskDocs {
        docs: samples.iter().map(|sample| sample.doc.clone()).collect(),
        original,
        pool: None,
        pool_is_evaluated_split: false,
        columns,
        files: Vec::new(),
        remarks: Vec::new(),
    };
    // Shots stand in the recorded prompts.
    let fewshot = FewshotSpec { num: Some(0), samples: None, ..task.fewshot.clone() };
    let bare = Task { fewshot, ..(*task).clone() };
    let choices = protocol_of(&task);
    let options = PromptOptions { num_fewshot: Some(0), choices, ..PromptOptions::default() };
    let built = build(&bare, &docs, &options)?;
    let mut items = built.items;
    let mut keys = String::new();
    for (item, sample) in items.iter_mut().zip(&samples) {
        item.num_fewshot = recorded.num_fewshot.unwrap_or(0);
        sample
            .put_into(item, &task, answers)
            .map_err(|err| err.file(&run.path).context(format!("task {}, document {}", task.name, item.doc.id)))?;
        item.requests.iter().for_each(|request| keys.push_str(&request.key()));
    }
    let checked = check_items(&task, &items)?;
    let spec = TaskSpec {
        name: task.name.clone(),
        version: task.version.clone(),
        requests_sha256: sha256(&keys),
        config_sha256: sha256(&Value::Object(task.config.clone()).to_string()),
        files: Vec::new(),
    };
    let num_fewshot = recorded.num_fewshot.unwrap_or(0);
    Ok(PreparedTask { task, items, original, num_fewshot, spec, not_run: None, remarks: checked })
}

/// A document with what was asked and answered.
struct Recorded {
    doc: Doc,
    /// `[request][argument]`
    asked: Vec<Vec<Value>>,
    /// `[request][repeat]`
    answers: Vec<Vec<Value>>,
    thoughts: Vec<Vec<Option<String>>>,
    unscored: Option<Unscored>,
}

/// The samples of a task under its first filter pipeline: answers are the same under all.
fn samples(run: &Run, recorded: &RecordedTask) -> Result<Vec<Recorded>> {
    let mut samples: Vec<Recorded> = Vec::new();
    let mut first: Option<Option<String>> = None;
    read::written_samples(run, recorded, &mut |mut line| {
        let filter = line.get("filter").and_then(Value::as_str).map(str::to_owned);
        if *first.get_or_insert_with(|| filter.clone()) == filter {
            samples.push(Recorded::read(&mut line)?);
        }
        Ok(())
    })?;
    samples.sort_by_key(|sample| sample.doc.id);
    match samples.windows(2).find(|pair| pair[0].doc.id == pair[1].doc.id) {
        Some(pair) => Err(Error::input(format!("document {} of {} stands twice", pair[0].doc.id, recorded.name))
            .file(&run.path)
            .hint("the samples are not of one run")),
        None => Ok(samples),
    }
}

impl Recorded {
    fn read(line: &mut Map<String, Value>) -> Result<Recorded> {
        let wrong = |what: &str| Error::input(format!("this sample has no {what}"));
        let id = line.get("doc_id").and_then(Value::as_u64).ok_or_else(|| wrong("`doc_id` that is a number"))?;
        let Some(Value::Object(fields)) = line.remove("doc") else { return Err(wrong("`doc`")) };
        let Some(Value::Object(arguments)) = line.remove("arguments") else { return Err(wrong("`arguments`")) };
        let Some(Value::Array(answers)) = line.remove("resps") else { return Err(wrong("`resps`")) };
        let parts = |request: &Value| -> Option<Vec<Value>> {
            let request = request.as_object()?;
            (0..request.len()).map(|at| request.get(&format!("arg_{at}")).cloned()).collect()
        };
        let asked = (0..arguments.len()).map(|at| arguments.get(&format!("gen_args_{at}")).and_then(parts));
        let asked = asked.collect::<Option<_>>().ok_or_else(|| wrong("`arguments` of the usual form"))?;
        let repeats = |answers: Value| match answers {
            Value::Array(repeats) => repeats,
            one => vec![one],
        };
        let thought = |of: &Value| of.as_array().into_iter().flatten().map(|t| t.as_str().map(str::to_owned)).collect();
        let thoughts = line.get("reasoning").and_then(Value::as_array).into_iter().flatten().map(thought).collect();
        let refused = line.get("refused") == Some(&Value::Bool(true));
        let reason = line.get("unscored").and_then(Value::as_str);
        let unscored = reason.map(|why| if refused { Unscored::refused(why) } else { Unscored::new(why) });
        let answers = answers.into_iter().map(repeats).collect();
        Ok(Recorded { doc: Doc { id: id as usize, fields }, asked, answers, thoughts, unscored })
    }

    /// Gives an item the recorded prompts, and notes the answers to them.
    fn put_into(&self, item: &mut Item, task: &Task, answers: &mut HashMap<String, Outcome>) -> Result<()> {
        if self.asked.len() != item.requests.len() || self.answers.len() != item.requests.len() {
            let (theirs, ours) = (self.asked.len(), item.requests.len());
            return Err(Error::input(format!("{theirs} requests were recorded, and the task makes {ours} now"))
                .hint("filters and metrics can be changed after a run; what is asked cannot"));
        }
        for (at, request) in item.requests.iter_mut().enumerate() {
            let parts = self.asked.get(at).map(Vec::as_slice).unwrap_or_default();
            request.kind = self.asked_kind(&request.kind, parts)?;
            let recorded = self.answers.get(at).map(Vec::as_slice).unwrap_or_default();
            for (repeat, answer) in recorded.iter().enumerate().take(task.repeats as usize) {
                let thought = self.thoughts.get(at).and_then(|of| of.get(repeat)).cloned().flatten();
                let outcome = self.outcome(&request.kind, answer, thought)?;
                answers.insert(Request { sample: repeat as u32, ..request.clone() }.key(), outcome);
            }
        }
        Ok(())
    }

    /// What was asked, as it was recorded.
    fn asked_kind(&self, now: &RequestKind, parts: &[Value]) -> Result<RequestKind> {
        let text = |at: usize| {
            let text = parts.get(at).and_then(Value::as_str).map(str::to_owned);
            text.ok_or_else(|| Error::input("what was asked is of another kind than what the task asks now"))
        };
        Ok(match now {
            RequestKind::Loglikelihood { .. } => {
                RequestKind::Loglikelihood { context: Prompt::Text(text(0)?), continuation: text(1)? }
            }
            RequestKind::LoglikelihoodRolling { .. } => RequestKind::LoglikelihoodRolling { text: text(0)? },
            RequestKind::Generate { decoding, .. } => {
                RequestKind::Generate { context: Prompt::Text(text(0)?), decoding: decoding.clone() }
            }
            RequestKind::Choose { labels, .. } => {
                RequestKind::Choose { context: Prompt::Text(text(0)?), labels: labels.clone() }
            }
        })
    }

    fn outcome(&self, kind: &RequestKind, written: &Value, thought: Option<String>) -> Result<Outcome> {
        let Some(answer) = answer(kind, written) else {
            if written.is_null() {
                return Ok(Err(self.unscored.clone().unwrap_or_else(|| Unscored::new("no answer was recorded"))));
            }
            return Err(Error::input("an answer is of another kind than what was asked"));
        };
        let response = Response { reasoning: thought, ..Response::new(answer, Default::default()) };
        match response.fits(kind) {
            true => Ok(Ok(response)),
            false => Err(Error::input("an answer is no log-probability, or of another kind than what was asked")),
        }
    }
}

/// An answer as samples files have it: leaves as Python's `str` prints them. Tokens of continuations are not recorded.
fn answer(kind: &RequestKind, written: &Value) -> Option<Answer> {
    let number = |value: &Value| value.as_f64().or_else(|| value.as_str()?.parse().ok());
    let flag = |value: &Value| value.as_bool().or_else(|| Some(value.as_str()? == "True"));
    Some(match kind {
        RequestKind::Loglikelihood { .. } => {
            let [logprob, is_greedy] = written.as_array()?.as_slice() else { return None };
            Answer::Loglikelihood { logprob: number(logprob)?, is_greedy: flag(is_greedy)?, num_tokens: 0 }
        }
        RequestKind::LoglikelihoodRolling { .. } => {
            let value = written.as_array().and_then(|values| values.first()).unwrap_or(written);
            Answer::Rolling { logprob: number(value)?, num_tokens: 0 }
        }
        RequestKind::Generate { .. } => Answer::Text { text: written.as_str()?.to_owned(), finish: Finish::Stop },
        RequestKind::Choose { .. } => Answer::Choice { logprobs: written.as_array()?.iter().map(number).collect() },
    })
}
