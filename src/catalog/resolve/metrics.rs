//! `metric_list` and `process_results`, checked against the tables of metrics, aggregations and result functions.

use super::super::read::{self, Keys};
use crate::error::{Result, suggestion};
use crate::score::{self, METRICS, MetricRow, PASS_AT_K, RESULT_FUNCTIONS, ResultRow};
use crate::task::{MetricSpec, OutputType, ResultSpec};
use crate::yaml::{Value, Yaml};
use serde_json::Map;

/// The metrics of a task that names none, as in the reference.
const DEFAULTS: &[(OutputType, &[&str])] = &[
    (OutputType::MultipleChoice, &["acc", "acc_norm"]),
    (OutputType::GenerateUntil, &["exact_match"]),
    (OutputType::Loglikelihood, &["perplexity", "acc"]),
    (OutputType::LoglikelihoodRolling, &["word_perplexity", "byte_perplexity", "bits_per_byte"]),
];

/// Metrics of the reference that are not in the table yet: refused as such rather than as unknown.
const REFERENCE_ONLY: &[&str] = &["acc_all"];

/// Keys of a metric that are not its arguments.
const OWN_KEYS: &[&str] = &["metric", "aggregation", "higher_is_better", "hf_evaluate"];

/// The metrics. An empty list is allowed: answers are recorded and nothing is scored.
pub fn metrics(keys: &Keys<'_>, output_type: OutputType, results: Option<&ResultSpec>) -> Result<Vec<MetricSpec>> {
    if let Some(yaml) = keys.get("metric_list") {
        let mut metrics: Vec<MetricSpec> = Vec::new();
        for item in read::list(yaml, "metric_list")? {
            for metric in members(metric(item, output_type, results)?, item)? {
                if metrics.iter().any(|other| other.name == metric.name) {
                    return Err(item.error(format!("metric `{}` stands twice in `metric_list`", metric.name)));
                }
                score::check_metric(&metric).map_err(|err| err.at(&item.file, item.line))?;
                metrics.push(metric);
            }
        }
        return Ok(metrics);
    }
    if let (Some(spec), Some(yaml)) = (results, keys.get("process_results")) {
        let err = yaml.error(format!("`process_results` gives {}: say in `metric_list` which count", given(spec)));
        return Err(err);
    }
    let names = DEFAULTS.iter().find(|(kind, _)| *kind == output_type).map_or(&[] as &[&str], |(_, names)| names);
    Ok(METRICS.iter().filter(|row| names.contains(&row.name)).map(plain).collect::<Vec<_>>()).map(|mut found| {
        // In the reference's order, not the table's.
        found.sort_by_key(|metric| names.iter().position(|name| *name == metric.name));
        found
    })
}

/// A metric with nothing said about it.
fn plain(row: &MetricRow) -> MetricSpec {
    MetricSpec {
        name: row.name.to_owned(),
        aggregation: row.default_aggregation.to_owned(),
        higher_is_better: Some(row.higher_is_better),
        kwargs: Map::new(),
    }
}

fn metric(yaml: &Yaml, output_type: OutputType, results: Option<&ResultSpec>) -> Result<MetricSpec> {
    let keys = Keys::of(yaml, "metric_list", "a metric")?;
    let at = keys.need("metric", yaml)?;
    let name = read::text(at, "metric")?;
    let hf_evaluate = keys.flag("hf_evaluate")?.unwrap_or(false);
    let row = score::metric(name);
    match results {
        Some(spec) => check_given(at, name, spec)?,
        None if hf_evaluate && name != "exact_match" => {
            return Err(at.error(format!("metric `{name}` of Hugging Face's `evaluate` is not supported yet")));
        }
        None => check_metric(at, name, row, output_type)?,
    }
    let mut spec = match row {
        Some(row) => plain(row),
        None => {
            MetricSpec { name: name.to_owned(), aggregation: String::new(), higher_is_better: None, kwargs: Map::new() }
        }
    };
    if let Some(name) = keys.text("aggregation")? {
        spec.aggregation = name.to_owned();
    }
    if spec.aggregation.is_empty() {
        return Err(at.error(format!("metric `{name}` needs `aggregation`")).hint("usually `aggregation: mean`"));
    }
    if let Some(flag) = keys.flag("higher_is_better")? {
        spec.higher_is_better = Some(flag);
    }
    for entry in keys.entries().iter().filter(|entry| !OWN_KEYS.contains(&entry.key.key_text().as_str())) {
        let key = entry.key.key_text();
        if results.is_some() {
            let message = format!("metric `{name}` comes from `process_results` and takes no argument `{key}`");
            return Err(read::unknown(&entry.key, &message, &key, OWN_KEYS));
        }
        spec.kwargs.insert(key.clone(), entry.value.to_json(&key)?);
    }
    spec.name = name.to_owned();
    if row.is_none_or(|row| row.name != PASS_AT_K) {
        score::check_metric(&spec).map_err(|err| keys.place(err, yaml))?;
    }
    Ok(spec)
}

/// `pass@k` with `k: [1, 10]` stands for `pass@1` and `pass@10`; any other metric for itself.
fn members(spec: MetricSpec, at: &Yaml) -> Result<Vec<MetricSpec>> {
    if let Some((_, k)) = score::family(&spec.name) {
        return Ok(vec![score::pass_at(k, &spec)]);
    }
    if spec.name != PASS_AT_K {
        return Ok(vec![spec]);
    }
    let ks: Option<Vec<u64>> = match spec.kwargs.get("k") {
        None => Some(vec![1]),
        Some(serde_json::Value::Array(ks)) => ks.iter().map(serde_json::Value::as_u64).collect(),
        Some(k) => k.as_u64().map(|k| vec![k]),
    };
    let ks = ks.filter(|ks| !ks.is_empty() && !ks.contains(&0));
    let ks = ks.ok_or_else(|| at.error("`k` of `pass@k` must be a number from 1, or a list of such"))?;
    Ok(ks.into_iter().map(|k| score::pass_at(k, &spec)).collect())
}

fn check_metric(at: &Yaml, name: &str, row: Option<&MetricRow>, output_type: OutputType) -> Result<()> {
    let Some(row) = row else {
        if REFERENCE_ONLY.contains(&name) {
            return Err(at.error(format!("metric `{name}` is not supported yet")));
        }
        let known: Vec<&str> = METRICS.iter().map(|row| row.name).collect();
        return Err(read::unknown(at, &format!("unknown metric `{name}`"), name, &known));
    };
    if row.output_types.contains(&output_type) {
        return Ok(());
    }
    let fitting: Vec<&str> = row.output_types.iter().map(|kind| kind.as_str()).collect();
    let message = format!("metric `{name}` does not go with `output_type: {}`", output_type.as_str());
    Err(at.error(message).hint(format!("it goes with {}", fitting.join(", "))))
}

fn check_given(at: &Yaml, name: &str, spec: &ResultSpec) -> Result<()> {
    let metrics =
        RESULT_FUNCTIONS.iter().find(|row| row.name == spec.function).map_or(&[] as &[&str], |row| row.metrics);
    if metrics.contains(&name) {
        return Ok(());
    }
    let message = format!("`process_results` ({}) does not give the metric `{name}`", spec.function);
    Err(at.error(message).hint(suggestion("it gives", name, metrics)))
}

fn given(spec: &ResultSpec) -> String {
    let row = RESULT_FUNCTIONS.iter().find(|row| row.name == spec.function);
    row.map_or_else(String::new, |row| row.metrics.join(", "))
}

/// `process_results: {function: name, <argument>: <template>}`.
pub fn process_results(yaml: &Yaml) -> Result<ResultSpec> {
    if !matches!(yaml.value, Value::Map(_)) {
        return Err(read::wrong(yaml, "process_results", "a mapping with `function` and its arguments"));
    }
    let keys = Keys::of(yaml, "process_results", "`process_results`")?;
    let at = keys.need("function", yaml)?;
    let name = read::text(at, "function")?;
    let Some(row) = RESULT_FUNCTIONS.iter().find(|row| row.name == name) else {
        let known: Vec<&str> = RESULT_FUNCTIONS.iter().map(|row| row.name).collect();
        return Err(read::unknown(at, &format!("unknown result function `{name}`"), name, &known));
    };
    let args = arguments(&keys, yaml, row)?;
    Ok(ResultSpec { function: name.to_owned(), args })
}

fn arguments(keys: &Keys<'_>, yaml: &Yaml, row: &ResultRow) -> Result<Vec<(String, String)>> {
    let mut args = Vec::new();
    for entry in keys.entries().iter().filter(|entry| entry.key.key_text() != "function") {
        let key = entry.key.key_text();
        if !row.args.contains(&key.as_str()) {
            let message = format!("result function `{}` has no argument `{key}`", row.name);
            return Err(read::unknown(&entry.key, &message, &key, row.args));
        }
        args.push((key.clone(), read::template(&entry.value, &key)?));
    }
    match row.args.iter().find(|name| !args.iter().any(|(key, _)| key == **name)) {
        Some(missing) => Err(yaml.error(format!("result function `{}` needs `{missing}`", row.name))),
        None => Ok(args),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{refused, task};

    const BASE: &str =
        "task: t\ndataset_path: a/b\ntest_split: test\ndoc_to_text: x\ndoc_to_target: y\ndoc_to_choice: [a, b]\n";

    fn names(text: &str) -> Vec<String> {
        task(&format!("{BASE}{text}")).metrics.into_iter().map(|metric| metric.name).collect()
    }

    #[test]
    fn defaults_by_output_type() {
        assert_eq!(names(""), ["exact_match"]);
        assert_eq!(names("output_type: multiple_choice\n"), ["acc", "acc_norm"]);
        assert_eq!(names("output_type: loglikelihood\n"), ["perplexity", "acc"]);
        assert_eq!(
            names("output_type: loglikelihood_rolling\n"),
            ["word_perplexity", "byte_perplexity", "bits_per_byte"]
        );
        assert!(names("metric_list: []\n").is_empty());
    }

    #[test]
    fn a_metric_with_arguments() {
        let text = "metric_list:\n- {metric: exact_match, ignore_case: true, regexes_to_ignore: [',']}\n";
        let metrics = task(&format!("{BASE}{text}")).metrics;
        assert_eq!((metrics[0].aggregation.as_str(), metrics[0].higher_is_better), ("mean", Some(true)));
        assert_eq!(
            serde_json::to_string(&metrics[0].kwargs).unwrap(),
            r#"{"ignore_case":true,"regexes_to_ignore":[","]}"#
        );
    }

    #[test]
    fn a_result_function() {
        let text = "output_type: multiple_choice\nprocess_results: {function: label_mass, labels: '{{l}}'}\n";
        let spec = task(&format!("{BASE}{text}metric_list: [{{metric: acc}}]\n")).process_results.unwrap();
        assert_eq!((spec.function.as_str(), spec.args), ("label_mass", vec![("labels".into(), "{{l}}".into())]));
        assert!(refused(&format!("{BASE}{text}")).contains("say in `metric_list`"));
        let err = refused(&format!("{BASE}{text}metric_list: [{{metric: f1}}]\n"));
        assert!(err.contains("t.yaml:9: `process_results` (label_mass) does not give the metric `f1`"), "{err}");
    }

    #[test]
    fn errors() {
        let cases = [
            ("metric_list: [{metric: exact_mach}]\n", "t.yaml:7: unknown metric `exact_mach`"),
            ("metric_list: [{metric: exact_mach}]\n", "did you mean `exact_match`?"),
            ("metric_list: [{metric: acc_norm}]\n", "does not go with `output_type: generate_until`"),
            ("metric_list: [{metric: rouge, hf_evaluate: true}]\n", "`evaluate` is not supported yet"),
            ("metric_list: [{metric: exact_match, ignore_cse: true}]\n", "did you mean `ignore_case`?"),
            ("metric_list: [{metric: exact_match, aggregation: men}]\n", "unknown aggregation `men`"),
            ("metric_list: [{metric: exact_match, aggregation: !function u.f}]\n", "calls the Python function u.f"),
            ("metric_list: [{metric: !function u.f}]\n", "calls the Python function u.f"),
            ("metric_list: [{aggregation: mean}]\n", "a metric needs `metric`"),
            ("metric_list: [{metric: exact_match}, {metric: exact_match}]\n", "stands twice"),
            ("process_results: {function: lable_mass}\n", "did you mean `label_mass`?"),
            ("process_results: {function: label_mass}\n", "needs `labels`"),
            ("process_results: !function u.f\n", "`process_results` calls the Python function u.f"),
        ];
        for (text, want) in cases {
            let err = refused(&format!("{BASE}{text}"));
            assert!(err.contains(want), "{text}: {err}");
        }
    }
}
