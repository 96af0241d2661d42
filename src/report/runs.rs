//! Runs for other programs: CSV and JSON of all figures, unrounded.

use super::intervals::found;
use super::plain::Plain;
use crate::compare::{Found, Intervals};
use crate::error::Result;
use crate::estimate::Estimate;
use crate::record::{Run, Task};
use serde_json::{Value, json};

/// A line for each figure of each run; with intervals where they were made.
///
/// # Errors
/// The table cannot be written.
pub fn runs_csv(runs: &[(&str, &Run)], intervals: Option<&Intervals>) -> Result<String> {
    let mut rows: Vec<(&str, &str, Option<&Task>, &Estimate)> = Vec::new();
    let mut ranges: Vec<Option<&Found>> = Vec::new();
    for (place, (label, run)) in runs.iter().enumerate() {
        let tasks = run.tasks.iter().flat_map(|t| t.estimates.iter().map(move |e| (t.name.as_str(), Some(t), e)));
        let groups = run.groups.iter().flat_map(|g| g.estimates.iter().map(move |e| (g.name.as_str(), None, e)));
        for (name, task, estimate) in tasks.chain(groups) {
            rows.push((label, name, task, estimate));
            ranges.push(found(intervals, place, name, estimate));
        }
    }
    let direction = |estimate: &Estimate| match estimate.higher_is_better {
        Some(true) => "higher",
        Some(false) => "lower",
        None => "",
    };
    let table = Plain::default()
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
        .counts("shots", rows.iter().map(|(_, _, task, _)| task.and_then(|task| task.num_fewshot)));
    match intervals {
        None => table.csv(),
        Some(intervals) => with_intervals(table, &ranges, intervals.level.confidence()).csv(),
    }
}

/// The columns of intervals: ends, confidence, method, scope, units that were drawn independently, and what to beware of.
fn with_intervals(table: Plain, ranges: &[Option<&Found>], confidence: f64) -> Plain {
    let made = || ranges.iter().map(|range| range.and_then(|found| found.as_ref().ok()));
    let note = |range: &Option<&Found>| match range {
        None => String::new(),
        Some(Err(reason)) => format!("no interval: {reason}"),
        Some(Ok(found)) => found.cautions.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
    };
    table
        .numbers("interval_low", made().map(|found| found.map(|found| found.interval.low())))
        .numbers("interval_high", made().map(|found| found.map(|found| found.interval.high())))
        .numbers("confidence", made().map(|found| found.map(|_| confidence)))
        .texts("interval_method", made().map(|found| found.map_or("", |found| found.method.name())))
        .texts("scope", made().map(|found| found.map(|found| found.scope.to_string()).unwrap_or_default()))
        .counts("units", made().map(|found| found.map(|found| found.units)))
        .texts("interval_note", ranges.iter().map(note))
}

/// All that is known of the runs; with an `interval`, or a reason why there is `no_interval`, in each figure where they were made.
pub fn runs_json(runs: &[(&str, &Run)], intervals: Option<&Intervals>) -> Value {
    runs.iter().enumerate().map(|(place, (label, run))| run_json((place, label), run, intervals)).collect()
}

/// The figures of a task or group.
fn estimates(place: usize, name: &str, estimates: &[Estimate], intervals: Option<&Intervals>) -> Value {
    let one = |estimate: &Estimate| {
        let mut figure = json!(estimate);
        match (found(intervals, place, name, estimate), figure.as_object_mut()) {
            (Some(Ok(found)), Some(keys)) => keys.insert("interval".to_owned(), json!(found)),
            (Some(Err(reason)), Some(keys)) => keys.insert("no_interval".to_owned(), json!(reason)),
            _ => None,
        };
        figure
    };
    estimates.iter().map(one).collect()
}

fn run_json((place, label): (usize, &str), run: &Run, intervals: Option<&Intervals>) -> Value {
    let task = |task: &Task| {
        let unscored = task.unscored.iter().map(|(reason, n)| json!({"reason": reason, "documents": n}));
        json!({
            "name": task.name,
            "alias": task.alias,
            "version": task.version,
            "shots": task.num_fewshot,
            "documents": {"split": task.original, "evaluated": task.effective},
            "estimates": estimates(place, &task.name, &task.estimates, intervals),
            "unscored": unscored.collect::<Value>(),
            "truncated": task.truncated,
            "one_process": task.one_process.map(|(verdicts, of)| json!({"verdicts": verdicts, "of": of})),
        })
    };
    let groups = run.groups.iter().filter(|group| !group.estimates.is_empty());
    let groups = groups.map(
        |g| json!({"name": g.name, "alias": g.alias, "estimates": estimates(place, &g.name, &g.estimates, intervals)}),
    );
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
