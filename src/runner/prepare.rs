//! Tasks and data to items: everything that can fail before weights are loaded.

use super::Event;
use crate::data::DataSource;
use crate::error::{Error, Result};
use crate::item::Item;
use crate::judge::Judges;
use crate::prompt::{PromptOptions, build, effective_fewshot};
use crate::python::json::sha256;
use crate::remark::Remark;
use crate::run::{FileSpec, TaskSpec};
use crate::score::{nodes_under, protocol_of, remarks_on_groups};
use crate::task::{MOST_REPEATS, Node, Task, tasks_under};
use serde_json::Value;
use std::sync::Arc;

/// How many documents of each task to evaluate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    Count(usize),
    /// Of the task's documents, above 0 and below 1; rounded up.
    Fraction(f64),
}

impl Limit {
    /// Reads `--limit`: below 1 a fraction, from 1 on a count (`1.0` is one document), as the reference does.
    pub fn new(number: f64) -> Result<Limit> {
        if number > 0.0 && number < 1.0 {
            Ok(Limit::Fraction(number))
        } else if number >= 1.0 && number.fract() == 0.0 && number < 1e15 {
            Ok(Limit::Count(number as usize))
        } else {
            Err(Error::input(format!("--limit {number} is neither a count nor a fraction"))
                .hint("write a whole number of documents (`--limit 50`) or a part below 1 (`--limit 0.1`)"))
        }
    }

    /// Documents to take of `n`.
    pub fn of(self, n: usize) -> usize {
        match self {
            Limit::Count(count) => count.min(n),
            Limit::Fraction(part) => ((n as f64 * part).ceil() as usize).min(n),
        }
    }
}

/// A task with its items.
pub struct PreparedTask {
    pub task: Arc<Task>,
    pub items: Vec<Item>,
    /// Documents in the evaluated split before the limit.
    pub original: usize,
    /// Shots in each prompt.
    pub num_fewshot: usize,
    pub spec: TaskSpec,
    /// Why nothing is asked: its answers could not be judged on this machine.
    pub not_run: Option<String>,
    /// What the user should know about the task, its data and its prompts.
    pub remarks: Vec<Remark>,
}

impl PreparedTask {
    /// The items that are asked: none of a task that is not run.
    pub fn asked(&self) -> &[Item] {
        if self.not_run.is_some() { &[] } else { &self.items }
    }
}

/// Everything that is to be asked.
pub struct Prepared {
    /// What was selected, with groups.
    pub nodes: Vec<Node>,
    /// The distinct tasks under `nodes`, in order.
    pub tasks: Vec<PreparedTask>,
    /// What the user should know about the groups.
    pub on_groups: Vec<Remark>,
}

impl Prepared {
    /// Requests over all tasks, repeats included.
    pub fn num_requests(&self) -> usize {
        self.tasks.iter().map(|t| num_requests(&t.task, t.asked())).sum()
    }

    /// What the user should know about tasks and groups.
    pub fn remarks(&self) -> Vec<Remark> {
        self.tasks.iter().flat_map(|t| &t.remarks).chain(&self.on_groups).cloned().collect()
    }

    /// Leaves out the tasks whose judge is missing.
    pub fn judged_by(mut self, judges: &Judges) -> Prepared {
        for t in &mut self.tasks {
            t.not_run = judges.missing(&t.task).map(Error::one_line);
        }
        self
    }
}

fn num_requests(task: &Task, items: &[Item]) -> usize {
    items.iter().map(|i| i.requests.len()).sum::<usize>() * task.repeats as usize
}

/// Reads the data of all selected tasks and builds their items. Multiple-choice tasks are put under the protocol that `options` name
/// first, where they can be: see [`nodes_under`].
pub fn prepare(
    nodes: Vec<Node>,
    source: &DataSource,
    options: &PromptOptions,
    limit: Option<Limit>,
    on_event: &mut dyn FnMut(Event),
) -> Result<Prepared> {
    let nodes = nodes_under(&nodes, options.choices);
    let mut tasks: Vec<PreparedTask> = Vec::new();
    for task in tasks_under(&nodes) {
        match tasks.iter().find(|t| t.task.name == task.name) {
            // The same benchmark reached by two ways is run once; two different ones must not share a name.
            Some(seen) if seen.task.config == task.config => continue,
            Some(_) => {
                return Err(Error::input(format!("task `{}` is selected twice with different settings", task.name))
                    .at(&task.origin.file, task.origin.line)
                    .hint("select one of them, or give one another name"));
            }
            None => tasks.push(prepare_task(task, source, options, limit)?),
        }
        if let Some(t) = tasks.last() {
            on_event(Event::TaskPrepared {
                task: t.task.name.clone(),
                docs: t.items.len(),
                requests: num_requests(&t.task, &t.items),
            });
        }
    }
    let on_groups = remarks_on_groups(&nodes);
    Ok(Prepared { nodes, tasks, on_groups })
}

fn prepare_task(
    task: &Arc<Task>,
    source: &DataSource,
    options: &PromptOptions,
    limit: Option<Limit>,
) -> Result<PreparedTask> {
    if task.unsafe_code && task.judge.is_none() {
        return Err(Error::input(format!(
            "task `{}` says `unsafe_code` and does not say how programs are judged",
            task.name
        ))
        .at(&task.origin.file, task.origin.line)
        .hint("give it a `judge` (docs/tasks.md), or drop `unsafe_code`"));
    }
    if task.repeats > MOST_REPEATS {
        return Err(Error::input(format!("{} answers to each document are more than {MOST_REPEATS}", task.repeats))
            .at(&task.origin.file, task.origin.line)
            .key("repeats")
            .context(format!("task {}", task.name))
            .hint("`repeats` in the task file or `--n-samples` says how many"));
    }
    let num_fewshot = effective_fewshot(task, options);
    let docs = source.task_docs(task, num_fewshot > 0).map_err(|err| located(err, task))?;
    let original = docs.docs.len();
    // A task that cannot be put under letters is asked as it stands.
    let choices = protocol_of(task);
    let options = PromptOptions { limit: limit.map(|l| l.of(original)), choices, ..options.clone() };
    let built = build(task, &docs, &options)?;
    let items = built.items;
    let mut keys = String::new();
    for request in items.iter().flat_map(|i| &i.requests) {
        keys.push_str(&request.key());
    }
    let spec = TaskSpec {
        name: task.name.clone(),
        version: task.version.clone(),
        requests_sha256: sha256(&keys),
        config_sha256: sha256(&Value::Object(task.config.clone()).to_string()),
        files: docs
            .files
            .iter()
            .map(|f| FileSpec { name: f.name.clone(), sha256: f.sha256.clone(), rows: f.rows })
            .collect(),
    };
    let remarks = task.remarks.iter().cloned().chain(built.remarks).collect();
    Ok(PreparedTask { task: task.clone(), items, original, num_fewshot, spec, not_run: None, remarks })
}

/// The task's place, where an error from its data names no file of its own.
fn located(err: Error, task: &Task) -> Error {
    let err = if err.place().file.is_some() { err } else { err.at(&task.origin.file, task.origin.line) };
    err.context(format!("task {}", task.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_is_a_count_or_a_fraction() {
        assert_eq!(Limit::new(1.0).unwrap(), Limit::Count(1));
        assert_eq!(Limit::new(50.0).unwrap().of(30), 30);
        assert_eq!(Limit::new(0.1).unwrap().of(11), 2);
        for bad in [0.0, -1.0, 1.5, f64::NAN, f64::INFINITY] {
            assert!(Limit::new(bad).is_err(), "{bad}");
        }
    }
}
