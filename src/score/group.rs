//! A group: the figures of its tasks to figures of its own.

use super::metric_names;
use crate::estimate::{Estimate, StderrMethod};
use crate::remark::Remark;
use crate::stats;
use crate::task::{Group, GroupMetric, Node, Task, groups_under, tasks_under};
use std::collections::{BTreeSet, HashSet};

/// The figures of a group over its leaf tasks (`leaves`: the estimates of each), in the order of `aggregates`.
///
/// A metric that some of the tasks lack is no figure of the group: [`remarks_on_groups`] says so. A task counts with the documents that were scored. When
/// one of the tasks that have the metric could not be scored at all, the group has no value; when one has no standard error,
/// neither has the group. Documents without a score bound a group as they bound its tasks, each task with all its documents. The
/// standard error fits the weighting: pooled for the mean over documents, `√(Σ se²) / k` for the
/// mean over tasks.
pub fn estimate_group(group: &Group, leaves: &[&[Estimate]]) -> Vec<Estimate> {
    let mut estimates = Vec::new();
    for aggregate in &group.aggregates {
        for filter in filters(aggregate, leaves) {
            let parts: Vec<&Estimate> =
                leaves.iter().filter_map(|leaf| find(leaf, &aggregate.metric, &filter)).collect();
            if !parts.is_empty() && parts.len() == leaves.len() {
                estimates.push(combine(aggregate, filter, &parts));
            }
        }
    }
    estimates
}

/// Notes on what groups are asked to aggregate and cannot, because some or all of their tasks lack it (under this protocol).
pub fn remarks_on_groups(nodes: &[Node]) -> Vec<Remark> {
    groups_under(nodes).into_iter().flat_map(|group| remarks_on(group)).collect()
}

fn remarks_on(group: &Group) -> Vec<Remark> {
    let mut tasks = tasks_under(&group.children);
    let mut seen = HashSet::new();
    tasks.retain(|task| seen.insert(task.name.as_str()));
    let mut remarks = Vec::new();
    for aggregate in &group.aggregates {
        let have: Vec<&Task> = tasks.iter().map(|task| &***task).filter(|task| has(task, &aggregate.metric)).collect();
        let named = aggregate.filters.clone().unwrap_or_else(|| {
            let all = have.iter().flat_map(|task| &task.filters).map(|pipeline| pipeline.name.clone());
            all.collect::<BTreeSet<_>>().into_iter().collect()
        });
        for filter in named {
            let under = have.iter().filter(|task| task.filters.iter().any(|pipeline| pipeline.name == filter)).count();
            if under < tasks.len() {
                let metric = &aggregate.metric;
                let metric = if filter == "none" { format!("`{metric}`") } else { format!("`{metric}` ({filter})") };
                let text = format!("no figure of the group for {metric}, which some of its tasks lack");
                remarks.push(Remark::note(group.name.as_str(), text).count(under, tasks.len(), "tasks have it"));
            }
        }
        if have.is_empty() && aggregate.filters.is_none() {
            let text = format!("no figure of the group for `{}`, which its tasks lack", aggregate.metric);
            remarks.push(Remark::note(group.name.as_str(), text));
        }
    }
    remarks
}

fn has(task: &Task, metric: &str) -> bool {
    metric_names(task).any(|name| name == metric)
}

fn find<'a>(leaf: &'a [Estimate], metric: &str, filter: &str) -> Option<&'a Estimate> {
    leaf.iter().find(|estimate| estimate.metric == metric && estimate.filter == filter)
}

/// The filters to aggregate: those the group names, else all that a task has for the metric, sorted.
fn filters(aggregate: &GroupMetric, leaves: &[&[Estimate]]) -> Vec<String> {
    if let Some(named) = &aggregate.filters {
        return named.clone();
    }
    let with_metric = leaves.iter().flat_map(|leaf| leaf.iter()).filter(|estimate| estimate.metric == aggregate.metric);
    let mut found: Vec<String> = with_metric.map(|estimate| estimate.filter.clone()).collect();
    found.sort_unstable();
    found.dedup();
    found
}

fn combine(aggregate: &GroupMetric, filter: String, parts: &[&Estimate]) -> Estimate {
    let weight = |part: &Estimate| if aggregate.weight_by_size { part.n as f64 } else { 1.0 };
    let values: Option<Vec<(f64, f64)>> = parts.iter().map(|part| Some((part.value?, weight(part)))).collect();
    let value = values.and_then(|values| stats::weighted_mean(&values));
    let stderrs: Option<Vec<(f64, usize)>> = parts.iter().map(|part| Some((part.stderr?, part.n))).collect();
    let (stderr, method) = match stderrs {
        None => (None, StderrMethod::Pooled),
        Some(parts) if aggregate.weight_by_size => (stats::pooled_stderr(&parts), StderrMethod::Pooled),
        Some(parts) => {
            let stderrs: Vec<f64> = parts.into_iter().map(|(stderr, _)| stderr).collect();
            (stats::unweighted_mean_stderr(&stderrs), StderrMethod::UnweightedMean)
        }
    };
    let direction = parts.first().and_then(|part| part.higher_is_better);
    Estimate {
        metric: aggregate.metric.clone(),
        filter,
        value,
        stderr,
        stderr_method: stderr.map(|_| method),
        n: parts.iter().map(|part| part.n).sum(),
        unscored: parts.iter().map(|part| part.unscored).sum(),
        refused: parts.iter().map(|part| part.refused).sum(),
        bounds: bounds(aggregate, parts),
        higher_is_better: direction.filter(|_| parts.iter().all(|part| part.higher_is_better == direction)),
    }
}

/// The bounds of a mean of means; `None` when nothing is missing or a task with something missing has none.
fn bounds(aggregate: &GroupMetric, parts: &[&Estimate]) -> Option<(f64, f64)> {
    if parts.iter().all(|part| part.unscored == 0) {
        return None;
    }
    let weight = |part: &Estimate| if aggregate.weight_by_size { (part.n + part.unscored) as f64 } else { 1.0 };
    let of = |part: &Estimate| match part.unscored {
        0 => part.value.map(|value| (value, value)),
        _ => part.bounds,
    };
    let bounds: Vec<((f64, f64), f64)> =
        parts.iter().map(|part| Some((of(part)?, weight(part)))).collect::<Option<_>>()?;
    let mean = |end: fn(&(f64, f64)) -> f64| {
        let values: Vec<(f64, f64)> = bounds.iter().map(|(bounds, weight)| (end(bounds), *weight)).collect();
        stats::weighted_mean(&values)
    };
    Some((mean(|bounds| bounds.0)?, mean(|bounds| bounds.1)?))
}

#[cfg(test)]
mod tests {
    //! Expected values: `Group.aggregate` of lm_eval 0.4.13 on the same figures.
    use super::*;
    use crate::score::testing::{group, metric_spec, task};
    use crate::task::OutputType;
    use std::sync::Arc;

    fn leaf(metric: &str, filter: &str, value: f64, stderr: Option<f64>, n: usize) -> Estimate {
        Estimate {
            metric: metric.into(),
            filter: filter.into(),
            value: Some(value),
            stderr,
            stderr_method: stderr.map(|_| StderrMethod::Mean),
            n,
            unscored: 0,
            refused: 0,
            bounds: None,
            higher_is_better: Some(true),
        }
    }

    fn aggregate(weight_by_size: bool, filters: Option<&[&str]>) -> GroupMetric {
        let filters = filters.map(|names| names.iter().map(|name| name.to_string()).collect());
        GroupMetric { metric: "acc".into(), weight_by_size, filters }
    }

    const PARTS: [(f64, f64, usize); 3] = [(0.3, 0.05, 100), (0.5, 0.02, 400), (0.9, 0.11, 20)];

    fn three() -> Vec<Vec<Estimate>> {
        PARTS.iter().map(|&(value, stderr, n)| vec![leaf("acc", "none", value, Some(stderr), n)]).collect()
    }

    fn run(aggregates: Vec<GroupMetric>, leaves: &[Vec<Estimate>]) -> Vec<Estimate> {
        let leaves: Vec<&[Estimate]> = leaves.iter().map(Vec::as_slice).collect();
        estimate_group(&group(aggregates), &leaves)
    }

    #[test]
    fn the_error_fits_the_weighting() {
        let found = run(vec![aggregate(true, None), aggregate(false, None)], &three());
        let [micro, macro_] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((micro.value, micro.stderr), (Some(0.47692307692307695), Some(0.01861800112200292)));
        assert_eq!(micro.stderr_method, Some(StderrMethod::Pooled));
        assert_eq!((macro_.value, macro_.stderr), (Some(0.5666666666666668), Some(0.0408248290463863)));
        assert_eq!(macro_.stderr_method, Some(StderrMethod::UnweightedMean));
        assert_eq!((micro.n, macro_.n), (520, 520));
    }

    #[test]
    fn a_missing_error_or_value_is_missing_in_the_group() {
        let mut leaves = three();
        leaves[1][0].stderr = None;
        let found = run(vec![aggregate(true, None)], &leaves);
        assert_eq!((found[0].value, found[0].stderr), (Some(0.47692307692307695), None));
        leaves[1][0] = Estimate { value: None, n: 0, unscored: 400, ..leaves[1][0].clone() };
        let found = run(vec![aggregate(true, None)], &leaves);
        assert_eq!((found[0].value, found[0].n, found[0].unscored), (None, 120, 400));
    }

    #[test]
    fn bounds_follow_the_weighting() {
        let whole = leaf("acc", "none", 0.5, None, 10);
        let part = Estimate {
            n: 20,
            unscored: 10,
            refused: 3,
            bounds: Some((0.2, 0.6)),
            ..leaf("acc", "none", 0.3, None, 20)
        };
        let leaves = vec![vec![whole.clone()], vec![part.clone()]];
        let found = run(vec![aggregate(true, None), aggregate(false, None)], &leaves);
        let close = |bounds: Option<(f64, f64)>, expected: (f64, f64)| {
            let (low, high) = bounds.unwrap();
            assert!((low - expected.0).abs() < 1e-12 && (high - expected.1).abs() < 1e-12, "{bounds:?}");
        };
        // By documents (10·0.5 + 30·0.2) / 40 and (10·0.5 + 30·0.6) / 40; by tasks the plain means.
        close(found[0].bounds, (0.275, 0.575));
        close(found[1].bounds, (0.35, 0.55));
        assert_eq!((found[0].unscored, found[0].refused), (10, 3));
        let none = Estimate { value: None, n: 0, unscored: 30, bounds: Some((0.0, 1.0)), ..part.clone() };
        let found = run(vec![aggregate(false, None)], &[vec![whole.clone()], vec![none]]);
        assert_eq!(found[0].value, None);
        close(found[0].bounds, (0.25, 0.75));
        let unknown = Estimate { bounds: None, ..part };
        assert_eq!(run(vec![aggregate(true, None)], &[vec![whole.clone()], vec![unknown]])[0].bounds, None);
        assert_eq!(run(vec![aggregate(true, None)], &[vec![whole]])[0].bounds, None);
    }

    #[test]
    fn filters_are_found_or_named() {
        let leaves = vec![
            vec![leaf("acc", "z", 0.5, None, 2), leaf("acc", "a", 0.25, None, 2), leaf("acc_norm", "b", 0.0, None, 2)],
            vec![leaf("acc", "a", 0.75, None, 2), leaf("f1", "a", 1.0, None, 2)],
        ];
        let names = |found: Vec<Estimate>| -> Vec<(String, Option<f64>)> {
            found.into_iter().map(|e| (e.filter, e.value)).collect()
        };
        // `z` is a filter of the first task only: its figure is not the group's. (The reference gives 0.5 for it.)
        let found = names(run(vec![aggregate(false, None)], &leaves));
        assert_eq!(found, [("a".to_owned(), Some(0.5))]);
        assert!(run(vec![aggregate(false, Some(&["z", "none"]))], &leaves).is_empty());
    }

    #[test]
    fn what_some_tasks_lack_is_said() {
        let task = |name: &str, metrics: &[&str]| {
            let metrics = metrics.iter().map(|name| metric_spec(name, "mean")).collect();
            Node::Task(Arc::new(Task { name: name.into(), metrics, ..task(OutputType::MultipleChoice) }))
        };
        let of = |metric: &str| GroupMetric { metric: metric.into(), weight_by_size: true, filters: None };
        let mut mixed = group(vec![of("acc"), of("acc_norm"), of("f1")]);
        mixed.children = vec![task("a", &["acc", "acc_norm"]), task("b", &["acc"])];
        let remarks = remarks_on_groups(&[Node::Group(Arc::new(mixed))]);
        let texts: Vec<_> = remarks.iter().map(|remark| (remark.text.as_str(), remark.count.clone())).collect();
        assert_eq!(
            texts,
            [
                (
                    "no figure of the group for `acc_norm`, which some of its tasks lack",
                    Some((1, 2, "tasks have it".into()))
                ),
                ("no figure of the group for `f1`, which its tasks lack", None),
            ]
        );
    }
}
