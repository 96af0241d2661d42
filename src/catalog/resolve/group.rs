//! `aggregate_metric_list`: how a group's figure comes from its tasks.

use super::super::read::{self, Keys};
use crate::error::{Result, suggestion};
use crate::score::metric_names;
use crate::task::{GroupMetric, Node, tasks_under};
use crate::yaml::{Value, Yaml};
use std::collections::HashSet;

/// The entries; a single mapping counts as a list of one.
pub fn group_metrics(yaml: &Yaml) -> Result<Vec<GroupMetric>> {
    let mut metrics: Vec<GroupMetric> = Vec::new();
    let items = match &yaml.value {
        Value::Map(_) => std::slice::from_ref(yaml),
        _ => read::list(yaml, "aggregate_metric_list")?,
    };
    for item in items {
        let metric = group_metric(item)?;
        let clash = |other: &GroupMetric| {
            other.metric == metric.metric
                && match (&other.filters, &metric.filters) {
                    (Some(a), Some(b)) => a.iter().any(|name| b.contains(name)),
                    _ => true,
                }
        };
        if metrics.iter().any(clash) {
            let message = format!("metric `{}` is aggregated twice in one group", metric.metric);
            return Err(item.error(message).hint("put the second average into a group of its own"));
        }
        metrics.push(metric);
    }
    Ok(metrics)
}

/// Checks that what a group aggregates is there: each metric, and each filter that it names, is one that a task under it has.
/// `metrics` were read from `yaml`.
pub fn check_aggregates(group: &str, yaml: &Yaml, metrics: &[GroupMetric], children: &[Node]) -> Result<()> {
    let items = match &yaml.value {
        Value::Seq(items) => items.as_slice(),
        _ => std::slice::from_ref(yaml),
    };
    let tasks = tasks_under(children);
    for (item, aggregate) in items.iter().zip(metrics) {
        let metric = aggregate.metric.as_str();
        let have: Vec<_> = tasks.iter().filter(|task| metric_names(task).any(|name| name == metric)).collect();
        if have.is_empty() {
            let message = format!("group `{group}` aggregates `{metric}`, which none of its tasks has");
            let known = distinct(tasks.iter().flat_map(|task| metric_names(task)));
            return Err(item.error(message).hint(suggestion("their metrics", metric, &known)));
        }
        for filter in aggregate.filters.iter().flatten() {
            let known = distinct(have.iter().flat_map(|task| task.filters.iter().map(|f| f.name.as_str())));
            if !known.contains(&filter.as_str()) {
                let message = format!(
                    "group `{group}` aggregates `{metric}` under the filter `{filter}`, which none of its tasks has"
                );
                return Err(item.error(message).hint(suggestion("their filters", filter, &known)));
            }
        }
    }
    Ok(())
}

fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = HashSet::new();
    names.filter(|name| seen.insert(*name)).collect()
}

fn group_metric(yaml: &Yaml) -> Result<GroupMetric> {
    let keys = Keys::of(yaml, "aggregate_metric_list", "an aggregate metric")?;
    keys.only(&["metric", "aggregation", "weight_by_size", "filter_list"])?;
    if let Some(aggregation) = keys.get("aggregation") {
        let name = read::text(aggregation, "aggregation")?;
        if name != "mean" {
            return Err(aggregation.error(format!("groups are aggregated by `mean`, not by `{name}`")));
        }
    }
    Ok(GroupMetric {
        metric: read::text(keys.need("metric", yaml)?, "metric")?.to_owned(),
        weight_by_size: keys.flag("weight_by_size")?.unwrap_or(true),
        filters: keys.texts("filter_list")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::sync::Arc;

    fn read(text: &str) -> Result<Vec<GroupMetric>> {
        group_metrics(&crate::yaml::parse(text, &Arc::from(Path::new("g.yaml"))).unwrap())
    }

    #[test]
    fn forms() {
        let metrics = read("- {metric: acc}\n- {metric: f1, weight_by_size: false, filter_list: a}\n").unwrap();
        assert!(metrics[0].weight_by_size && metrics[0].filters.is_none());
        assert!(!metrics[1].weight_by_size && metrics[1].filters == Some(vec!["a".into()]));
        assert_eq!(read("{metric: acc, aggregation: mean}").unwrap().len(), 1);
        assert_eq!(read("[{metric: acc, filter_list: [a]}, {metric: acc, filter_list: [b]}]").unwrap().len(), 2);
    }

    #[test]
    fn errors() {
        let cases = [
            ("- {metric: acc}\n- {metric: acc, weight_by_size: false}", "g.yaml:2: metric `acc` is aggregated twice"),
            ("- {metric: acc, weight_by_size: truez}", "`weight_by_size` must be true or false"),
            ("- {metric: acc, aggregation: median}", "groups are aggregated by `mean`"),
            ("- {metric: acc, weigh_by_size: true}", "did you mean `weight_by_size`?"),
            ("- {aggregation: mean}", "an aggregate metric needs `metric`"),
            ("- {metric: acc, aggregation: !function u.f}", "calls the Python function u.f"),
        ];
        for (text, want) in cases {
            let err = read(text).unwrap_err().to_string();
            assert!(err.contains(want), "{text}: {err}");
        }
    }
}
