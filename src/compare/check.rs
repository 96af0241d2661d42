//! What two runs must have in common before their figures may stand side by side.

use crate::error::{Error, Result};
use crate::record::{Run, Task};
use crate::visible;
use serde_json::Value;

/// Differences that a message lists.
const NAMED: usize = 5;

/// The tasks of both, in the base's order; what is left out goes to `differs`.
pub(super) fn common_tasks<'a>(
    base: &'a Run,
    candidate: &'a Run,
    differs: &mut Vec<String>,
) -> Vec<(&'a Task, &'a Task)> {
    let alone = |one: &Run, other: &Run| -> Vec<String> {
        one.tasks.iter().filter(|task| other.task(&task.name).is_none()).map(|task| task.name.clone()).collect()
    };
    for (which, names) in [("base", alone(base, candidate)), ("candidate", alone(candidate, base))] {
        if !names.is_empty() {
            differs.push(format!("only the {which} has {}", visible::list(&names)));
        }
    }
    let mut common = Vec::new();
    for task in &base.tasks {
        let Some(other) = candidate.task(&task.name) else { continue };
        match difference((base, task), (candidate, other)) {
            Some(difference) => differs.push(difference),
            None => common.push((task, other)),
        }
    }
    common
}

/// An error that names what differs, unless `allowed`.
pub(super) fn refuse(differs: &[String], candidate: &Run, allowed: bool) -> Result<()> {
    if differs.is_empty() || allowed {
        return Ok(());
    }
    let said = differs.iter().take(NAMED).cloned().collect::<Vec<_>>().join("; ");
    let more = match differs.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    Err(Error::input(format!("the runs are not comparable: {said}{more}"))
        .file(&candidate.path)
        .hint("`--intersect` compares what both have, and says how much that is"))
}

/// What of a task's set-up differs.
fn difference((base_run, base): (&Run, &Task), (candidate_run, candidate): (&Run, &Task)) -> Option<String> {
    let name = &base.name;
    if let (Some(a), Some(b)) = (base.num_fewshot, candidate.num_fewshot)
        && a != b
    {
        return Some(format!("{name} has {a} shots in the base and {b} in the candidate"));
    }
    if let (Some(a), Some(b)) = (version(base), version(candidate))
        && a != b
    {
        return Some(format!("{name} is version {a} in the base and {b} in the candidate"));
    }
    // Harnesses spell the same settings differently: they are held together where one program wrote both.
    if base_run.writer.program != candidate_run.writer.program {
        return None;
    }
    let settings = ["filter_list", "metric_list", "output_type", "process_results", "scorers"];
    let differs = settings.iter().find(|key| {
        let (a, b) = (base.config.get(**key), candidate.config.get(**key));
        a.is_some() && b.is_some() && a != b
    })?;
    Some(format!("{name} has another `{differs}` in the candidate"))
}

/// A version that says something: `Yaml` and null stand for none.
fn version(task: &Task) -> Option<String> {
    match task.version.as_ref()? {
        Value::Null => None,
        Value::String(text) if text == "Yaml" => None,
        Value::Number(number) => number.as_f64().map(|number| number.to_string()),
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
