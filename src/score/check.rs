//! What can be wrong about metrics and filters in a task file, found at load and not after the answers are paid for.

use super::judged::is_judged;
use super::kwargs::Kwargs;
use super::{AGGREGATIONS, FILTERS, METRICS, Measure, MetricRow, PASS_AT_K, RESULT_FUNCTIONS, ResultRow, ScoreKind};
use super::{aggregation, filter, metric, result_function};
use crate::error::{Error, Result, suggestion};
use crate::task::{FilterStep, MetricSpec, Task};
use serde_json::{Map, Value};

/// Checks a filter: that it exists, has the arguments that it needs and no others, and that their values can be used.
pub fn check_filter(step: &FilterStep) -> Result<()> {
    if step.function == "custom" {
        return Err(Error::input("the filter `custom` calls Python, which is not run here")
            .key("function")
            .hint("use `regex`, `map` or another built-in filter"));
    }
    let names = || FILTERS.iter().map(|row| row.name);
    let row = filter(&step.function).ok_or_else(|| unknown("filter", &step.function, names()))?;
    check_names("filter", row.name, &step.kwargs, row.kwargs)?;
    if let Some(missing) = row.required.iter().find(|name| Kwargs(&step.kwargs).get(name).is_none()) {
        return Err(Error::input(format!("the filter `{}` needs `{missing}`", row.name)).key(*missing));
    }
    (row.build)(Kwargs(&step.kwargs)).map(drop)
}

/// Checks a metric's aggregation and, for a metric of the table, its arguments. (One that is not in the table may be given
/// by the task's result function: [`check_task`] knows.)
pub fn check_metric(spec: &MetricSpec) -> Result<()> {
    if aggregation(&spec.aggregation).is_none() {
        return Err(unknown("aggregation", &spec.aggregation, AGGREGATIONS.iter().map(|row| row.name)));
    }
    let Some(row) = metric(&spec.name) else { return Ok(()) };
    check_names("metric", row.name, &spec.kwargs, row.kwargs)?;
    Kwargs(&spec.kwargs).flag("judged")?;
    for measure in row.measures {
        match measure {
            Measure::Text(build) => build(Kwargs(&spec.kwargs)).map(drop)?,
            Measure::Judged { build, .. } => build(Kwargs(&spec.kwargs)).map(drop)?,
            _ => {}
        }
    }
    Ok(())
}

/// Checks all filters, metrics and the result function of a task, and that they fit its output type and one another.
pub fn check_task(task: &Task) -> Result<()> {
    for step in task.filters.iter().flat_map(|pipeline| &pipeline.steps) {
        check_filter(step)?;
    }
    let given = match &task.process_results {
        None => None,
        Some(spec) => {
            let names = || RESULT_FUNCTIONS.iter().map(|row| row.name);
            let row =
                result_function(&spec.function).ok_or_else(|| unknown("result function", &spec.function, names()))?;
            if let Some(missing) = row.args.iter().find(|name| !spec.args.iter().any(|(arg, _)| arg == *name)) {
                return Err(Error::input(format!("the result function `{}` needs `{missing}`", row.name)).key(*missing));
            }
            Some(row)
        }
    };
    for spec in &task.metrics {
        check_metric(spec)?;
        match given {
            Some(row) => check_given(spec, row)?,
            None => check_computed(spec, task)?,
        }
    }
    Ok(())
}

/// A metric must be one that the result function gives.
fn check_given(spec: &MetricSpec, row: &ResultRow) -> Result<()> {
    match row.metrics.iter().zip(row.gives).find(|(name, _)| **name == spec.name) {
        Some((_, gives)) => check_kind(spec, *gives),
        None => Err(unknown("metric of the result function", &spec.name, row.metrics.iter().copied())),
    }
}

/// A metric of the table must score this kind of task.
fn check_computed(spec: &MetricSpec, task: &Task) -> Result<()> {
    let row = metric(&spec.name).ok_or_else(|| unknown("metric", &spec.name, METRICS.iter().map(|row| row.name)))?;
    if !row.output_types.contains(&task.output_type) {
        let types: Vec<&str> = row.output_types.iter().map(|t| t.as_str()).collect();
        let output_type = task.output_type.as_str();
        return Err(Error::input(format!("the metric `{}` does not score `{output_type}` tasks", row.name))
            .key("metric")
            .hint(format!("it scores `{}`", types.join("` and `"))));
    }
    check_judge(spec, row, task)?;
    check_kind(spec, row.gives)
}

/// A metric that a judge's findings make needs that judge; `pass@k` also enough answers.
fn check_judge(spec: &MetricSpec, row: &MetricRow, task: &Task) -> Result<()> {
    let asked = row.measures.iter().find_map(|measure| match measure {
        Measure::Judged { judge, .. } => Some(*judge),
        _ => None,
    });
    let judge = task.judge.as_ref().map(|judge| judge.function.as_str());
    match asked {
        Some(needed) if judge != Some(needed) => {
            Err(Error::input(format!("the metric `{}` is made by the judge `{needed}`", spec.name))
                .key("metric")
                .hint(format!("add `judge: {{function: {needed}, ...}}` to the task")))
        }
        None if judge.is_none() && is_judged(Some(row), &spec.kwargs) => {
            Err(Error::input(format!("`judged: true` of the metric `{}` needs a `judge`", spec.name)).key("judged"))
        }
        _ => Ok(()),
    }?;
    let k = spec.kwargs.get("k").and_then(Value::as_u64).unwrap_or(1);
    if row.name == PASS_AT_K && k > u64::from(task.repeats) {
        let repeats = task.repeats;
        return Err(Error::input(format!("{} needs at least {k} answers to a document, not {repeats}", spec.name))
            .key("metric")
            .hint(format!("write `repeats: {k}`, or `--n-samples {k}` on the command line")));
    }
    Ok(())
}

fn check_kind(spec: &MetricSpec, gives: ScoreKind) -> Result<()> {
    let takes = |row: &super::AggregationRow| row.aggregate.takes() == gives;
    if aggregation(&spec.aggregation).is_some_and(takes) {
        return Ok(());
    }
    let fitting: Vec<&str> = AGGREGATIONS.iter().filter(|row| takes(row)).map(|row| row.name).collect();
    Err(Error::input(format!("the metric `{}` cannot be aggregated by `{}`", spec.name, spec.aggregation))
        .key("aggregation")
        .hint(format!("use one of `{}`", fitting.join("`, `"))))
}

fn check_names(what: &str, name: &str, kwargs: &Map<String, Value>, known: &'static [&'static str]) -> Result<()> {
    match kwargs.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err(unknown(&format!("argument of the {what} `{name}`"), key, known.iter().copied()).key(key)),
    }
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Error {
    let err = Error::input(format!("unknown {what} `{name}`"));
    let known: Vec<&str> = known.collect();
    if known.is_empty() { err } else { err.hint(suggestion("known", name, &known)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::testing::{metric_spec, pipeline, task};
    use crate::task::{OutputType, ResultSpec};
    use serde_json::json;

    fn filter_error(step: Value) -> String {
        let pipeline = pipeline("none", &[step]);
        check_filter(&pipeline.steps[0]).unwrap_err().to_string()
    }

    #[test]
    fn filters_are_checked() {
        let good = pipeline("none", &[json!({"function": "regex", "regex_pattern": "(a)", "group_select": -1})]);
        assert!(check_filter(&good.steps[0]).is_ok());
        assert_eq!(
            filter_error(json!({"function": "take_frist"})),
            "unknown filter `take_frist`\n  hint: did you mean `take_first`?"
        );
        assert!(filter_error(json!({"function": "custom", "filter_fn": "f"})).contains("calls Python"));
        assert_eq!(filter_error(json!({"function": "take_first_k"})), "k: the filter `take_first_k` needs `k`");
        let err = filter_error(json!({"function": "regex", "regex_patern": "a"}));
        assert!(err.contains("did you mean `regex_pattern`?"), "{err}");
        let err = filter_error(json!({"function": "regex", "regex_pattern": "(a"}));
        assert!(err.starts_with("regex_pattern: regular expression `(a`: "), "{err}");
    }

    #[test]
    fn metrics_are_checked() {
        assert!(check_metric(&metric_spec("acc", "mean")).is_ok());
        let err = check_metric(&metric_spec("acc", "avg")).unwrap_err().to_string();
        assert!(err.starts_with("unknown aggregation `avg`\n  hint: known: ") && err.len() < 200, "{err}");
        let mut spec = metric_spec("exact_match", "mean");
        spec.kwargs.insert("ignore_case".into(), json!("yes"));
        assert!(check_metric(&spec).is_err());
        spec.kwargs.insert("ignore_case".into(), json!(true));
        assert!(check_metric(&spec).is_ok());
        spec.kwargs.insert("k".into(), json!(1));
        assert!(check_metric(&spec).is_err());
    }

    fn check(output_type: OutputType, metric: &str, aggregation: &str, function: Option<&str>) -> Result<()> {
        let args = vec![("labels".to_owned(), "{{labels}}".to_owned())];
        let process_results = function.map(|f| ResultSpec { function: f.into(), args });
        check_task(&Task { metrics: vec![metric_spec(metric, aggregation)], process_results, ..task(output_type) })
    }

    #[test]
    fn tasks_are_checked() {
        assert!(check(OutputType::MultipleChoice, "acc", "mean", None).is_ok());
        assert!(check(OutputType::MultipleChoice, "acc", "mean", Some("label_mass")).is_ok());
        for (output_type, metric, aggregation, function) in [
            (OutputType::GenerateUntil, "acc", "mean", None),
            (OutputType::MultipleChoice, "f1", "mean", None),
            (OutputType::MultipleChoice, "acc", "f1", Some("label_mass")),
            (OutputType::MultipleChoice, "acc", "difference", Some("winobias")),
            (OutputType::MultipleChoice, "pro_anti_gap", "mean", Some("winobias")),
            (OutputType::MultipleChoice, "acc_norm", "mean", Some("label_mass")),
            (OutputType::MultipleChoice, "acc", "mean", Some("label_masss")),
            (OutputType::MultipleChoice, "acc_nrom", "mean", None),
        ] {
            assert!(check(output_type, metric, aggregation, function).is_err(), "{metric} {aggregation}");
        }
    }
}
