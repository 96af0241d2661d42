//! Runs for other programs: CSV and JSON of all figures, unrounded.

use super::plain::Plain;
use crate::error::Result;
use crate::estimate::Estimate;
use crate::record::{Run, Task};
use serde_json::{Value, json};

/// A line for each figure of each run.
///
/// # Errors
/// The table cannot be written.
pub fn runs_csv(runs: &[(&str, &Run)]) -> Result<String> {
    let mut rows: Vec<(&str, &str, Option<&Task>, &Estimate)> = Vec::new();
    for (label, run) in runs {
        let tasks = run.tasks.iter().flat_map(|t| t.estimates.iter().map(move |e| (t.name.as_str(), Some(t), e)));
        let groups = run.groups.iter().flat_map(|g| g.estimates.iter().map(move |e| (g.name.as_str(), None, e)));
        rows.extend(tasks.chain(groups).map(|(name, task, estimate)| (*label, name, task, estimate)));
    }
    let direction = |estimate: &Estimate| match estimate.higher_is_better {
        Some(true) => "higher",
        Some(false) => "lower",
        None => "",
    };
    Plain::default()
        .texts("run", rows.iter().map(|(label, ..)| label))
        .texts("task", rows.iter().map(|(_, name, ..)| name))
        .texts("kind", rows.iter().map(|(_, _, task, _)| if task.is_some() { "task" } else { "group" }))
        .texts("metric", rows.iter().map(|(.., e)| &e.metric))
        .texts("filter", rows.iter().map(|(.., e)| &e.filter))
        .texts("better", rows.iter().map(|(.., e)| direction(e)))
        .numbers("value", rows.iter().map(|(.., e)| e.value))
        .numbers("stderr", rows.iter().map(|(.., e)| e.stderr))
        .counts("n", rows.iter().map(|(.., e)| Some(e.n)))
        .counts("unscored", rows.iter().map(|(.., e)| Some(e.unscored)))
        .counts("shots", rows.iter().map(|(_, _, task, _)| task.and_then(|task| task.num_fewshot)))
        .csv()
}

/// All that is known of the runs.
pub fn runs_json(runs: &[(&str, &Run)]) -> Value {
    runs.iter().map(|(label, run)| run_json(label, run)).collect()
}

fn run_json(label: &str, run: &Run) -> Value {
    let task = |task: &Task| {
        let unscored = task.unscored.iter().map(|(reason, n)| json!({"reason": reason, "documents": n}));
        json!({
            "name": task.name,
            "alias": task.alias,
            "version": task.version,
            "shots": task.num_fewshot,
            "documents": {"split": task.original, "evaluated": task.effective},
            "estimates": task.estimates,
            "unscored": unscored.collect::<Value>(),
            "truncated": task.truncated,
            "one_process": task.one_process.map(|(verdicts, of)| json!({"verdicts": verdicts, "of": of})),
        })
    };
    let groups = run.groups.iter().filter(|group| !group.estimates.is_empty());
    let groups = groups.map(|g| json!({"name": g.name, "alias": g.alias, "estimates": g.estimates}));
    json!({
        "label": label,
        "path": run.path.to_string_lossy(),
        "writer": run.writer,
        "model": run.model,
        "status": run.status,
        "repeatable": run.repeatable,
        "started": run.started,
        "tasks": run.tasks.iter().map(task).collect::<Value>(),
        "groups": groups.collect::<Value>(),
        "not_run": run.not_run,
    })
}
