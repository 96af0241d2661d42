//! A task: the scores of its documents to a figure with its standard error, for each filter pipeline and metric.

use super::corpus::MOST_DRAWS;
use super::item::{metric_names, range, spec};
use super::kwargs::Kwargs;
use super::{Aggregate, AggregationRow, StderrRule, aggregation};
use crate::estimate::{Estimate, StderrMethod};
use crate::sample::{Sample, Score};
use crate::stats::{self, Average, Halved, Labels, NonEmpty, Weighted};
use crate::task::Task;

/// The aggregation of a metric that the task does not list (a result function may give more than it names).
const UNLISTED: &str = "mean";

/// The figures of a task, by filter pipeline and then by metric, in the reference's order.
///
/// Documents are taken in the order of their ids, whatever the order of `samples`: the bootstrap depends on it. Unscored
/// documents are counted and left out; those that a metric is not about are as if they were not there. `bootstrap_iters` 0 means no standard errors at all, as in the reference.
pub fn estimate_task(task: &Task, samples: &[Sample], bootstrap_iters: usize) -> Vec<Estimate> {
    let mut estimates = Vec::new();
    for pipeline in &task.filters {
        let mut under: Vec<&Sample> = samples.iter().filter(|sample| sample.filter == pipeline.name).collect();
        under.sort_by_key(|sample| sample.doc_id);
        for metric in metric_names(task) {
            let scores = under.iter().flat_map(|sample| &sample.scores).filter(|(name, _)| name == metric);
            let scores: Vec<&Score> = scores.map(|(_, score)| score).filter(|s| **s != Score::Inapplicable).collect();
            let spec = spec(task, metric);
            let row = aggregation(spec.map_or(UNLISTED, |spec| &spec.aggregation));
            let average = spec.and_then(|spec| Kwargs(&spec.kwargs).average().ok()).unwrap_or_default();
            let figure = row.map(|row| Figure::new(row, average, &scores, bootstrap_iters)).unwrap_or_default();
            let unscored = scores.len() - figure.n;
            let range = range(task, metric).filter(|_| unscored > 0 && row.is_some_and(|row| row.is_mean));
            estimates.push(Estimate {
                metric: metric.to_owned(),
                filter: pipeline.name.clone(),
                value: figure.value,
                stderr: figure.stderr,
                stderr_method: figure.method.filter(|_| figure.stderr.is_some()),
                n: figure.n,
                unscored,
                refused: scores.iter().filter(|score| matches!(score, Score::Unscored(u) if u.refused)).count(),
                bounds: range.and_then(|range| stats::mean_bounds(figure.value, figure.n, unscored, range)),
                higher_is_better: spec.and_then(|spec| spec.higher_is_better),
            });
        }
    }
    estimates
}

/// A statistic with its standard error over `n` scores.
#[derive(Default)]
struct Figure {
    value: Option<f64>,
    stderr: Option<f64>,
    method: Option<StderrMethod>,
    n: usize,
}

impl Figure {
    /// Aggregates the scores that are of the kind that the row takes.
    fn new(row: &AggregationRow, average: Average, scores: &[&Score], iters: usize) -> Self {
        match row.aggregate {
            Aggregate::Values(f) => {
                let xs: Vec<f64> = scores.iter().filter_map(|score| value(score)).collect();
                let mean = NonEmpty::new(&xs).and_then(stats::mean_stderr);
                Self::with(&xs, row.stderr, mean, iters, f)
            }
            Aggregate::Weighted(f) => {
                let xs: Vec<Weighted> = scores.iter().filter_map(|score| weighted(score)).collect();
                Self::with(&xs, row.stderr, None, iters, f)
            }
            Aggregate::Labels(f) => {
                let xs: Vec<Labels> = scores.iter().filter_map(|score| labels(score)).collect();
                Self::with(&xs, row.stderr, None, iters, f)
            }
            Aggregate::Averaged(f) => {
                let xs: Vec<Labels> = scores.iter().filter_map(|score| labels(score)).collect();
                Self::with(&xs, row.stderr, None, iters, |xs| f(xs, average))
            }
            Aggregate::Counts(corpus) => {
                let rows: Vec<&[f64]> = scores.iter().filter_map(|score| counts(score)).collect();
                Self::with(&rows, row.stderr, None, iters.min(MOST_DRAWS), |rows| corpus.figure(rows))
            }
            Aggregate::Halved(f) => {
                let xs: Vec<Halved> = scores.iter().filter_map(|score| halved(score)).collect();
                Self::with(&xs, row.stderr, None, iters, f)
            }
        }
    }

    fn with<T: Copy + Sync>(
        xs: &[T],
        rule: StderrRule,
        mean_stderr: Option<f64>,
        iters: usize,
        statistic: impl Fn(NonEmpty<'_, T>) -> Option<f64> + Sync,
    ) -> Self {
        let Some(sample) = NonEmpty::new(xs) else { return Figure::default() };
        let (stderr, method) = match rule {
            _ if iters == 0 || xs.len() < 2 => (None, None),
            StderrRule::Mean => (mean_stderr, Some(StderrMethod::Mean)),
            StderrRule::Bootstrap => {
                (stats::bootstrap_stderr(sample, iters, &statistic), Some(StderrMethod::Bootstrap))
            }
            StderrRule::None => (None, None),
        };
        // A figure may be too large for a number (a perplexity), and is then infinite; what is no number at all is no figure.
        let value = statistic(sample).filter(|x| !x.is_nan());
        Figure { value, stderr: stderr.filter(|x| x.is_finite()), method, n: xs.len() }
    }
}

fn value(score: &Score) -> Option<f64> {
    if let Score::Value(value) = score { Some(*value) } else { None }
}

fn weighted(score: &Score) -> Option<Weighted> {
    if let Score::Weighted { value, weight } = *score { Some(Weighted { value, weight }) } else { None }
}

fn labels(score: &Score) -> Option<Labels> {
    if let Score::Labels { gold, predicted } = *score { Some(Labels { gold, predicted }) } else { None }
}

fn counts(score: &Score) -> Option<&[f64]> {
    if let Score::Counts(row) = score { Some(row) } else { None }
}

fn halved(score: &Score) -> Option<Halved> {
    if let Score::Halved { value, first } = *score { Some(Halved { value, first }) } else { None }
}

#[cfg(test)]
mod tests {
    //! Expected values: `lm_eval.api.metrics` 0.4.13 on the same numbers (see `stats/`).
    use super::*;
    use crate::request::Unscored;
    use crate::score::testing::{metric_spec, pipeline, sample, task};
    use crate::task::OutputType;
    use serde_json::json;

    fn only(estimates: Vec<Estimate>) -> Estimate {
        assert_eq!(estimates.len(), 1, "{estimates:?}");
        estimates.into_iter().next().unwrap()
    }

    fn estimate(output_type: OutputType, metric: &str, aggregation: &str, scores: &[Score], iters: usize) -> Estimate {
        let task = Task { metrics: vec![metric_spec(metric, aggregation)], ..task(output_type) };
        let samples: Vec<Sample> = scores.iter().enumerate().map(|(id, s)| sample(id, "none", metric, s)).collect();
        only(estimate_task(&task, &samples, iters))
    }

    #[test]
    fn mean_with_its_standard_error_leaves_the_unscored_out() {
        let lost = Score::Unscored(Unscored::new("lost"));
        let scores = [Score::Value(1.0), lost, Score::Value(0.0), Score::Value(1.0), Score::Value(1.0)];
        let found = estimate(OutputType::MultipleChoice, "acc", "mean", &scores, 1000);
        assert_eq!((found.value, found.stderr), (Some(0.75), Some(0.25)));
        assert_eq!((found.n, found.unscored), (4, 1));
        assert_eq!(found.stderr_method, Some(StderrMethod::Mean));
        assert_eq!((found.bounds, found.refused), (Some((0.6, 0.8)), 0));
    }

    #[test]
    fn unscored_documents_bound_means_of_known_range() {
        let lost = Score::Unscored(Unscored::new("lost"));
        let refused = Score::Unscored(Unscored::refused("a content filter"));
        let of = |metric, aggregation, scores: &[Score]| {
            let found = estimate(OutputType::MultipleChoice, metric, aggregation, scores, 0);
            (found.bounds, found.unscored, found.refused)
        };
        let scores = [Score::Value(0.5), lost.clone(), Score::Value(1.0), refused.clone()];
        assert_eq!(of("acc", "mean", &scores), (Some((0.375, 0.875)), 2, 1));
        assert_eq!(of("brier_score", "brier_score", &scores), (Some((0.375, 1.375)), 2, 1));
        assert_eq!(of("acc", "median", &scores), (None, 2, 1));
        assert_eq!(of("acc", "mean", &[lost, refused]), (Some((0.0, 1.0)), 2, 1));
        assert_eq!(of("acc", "mean", &[Score::Value(0.5)]), (None, 0, 0));
        let labels = [Score::Labels { gold: 1, predicted: 1 }, Score::Unscored(Unscored::new("lost"))];
        assert_eq!(of("f1", "f1", &labels), (None, 1, 0));
    }

    #[test]
    fn no_error_from_one_document_or_without_iterations() {
        let one = estimate(OutputType::MultipleChoice, "acc", "mean", &[Score::Value(1.0)], 1000);
        assert_eq!((one.value, one.stderr, one.stderr_method), (Some(1.0), None, None));
        let two = estimate(OutputType::MultipleChoice, "acc", "mean", &[Score::Value(1.0), Score::Value(0.0)], 0);
        assert_eq!((two.value, two.stderr), (Some(0.5), None));
        let lost = Score::Unscored(Unscored::new("lost"));
        let none = estimate(OutputType::MultipleChoice, "acc", "mean", &[lost], 1000);
        assert_eq!((none.value, none.stderr, none.n, none.unscored), (None, None, 0, 1));
    }

    #[test]
    fn labels_are_bootstrapped_in_document_order() {
        let gold = [0, 1, 1, 0, 1, 0, 0, 1, 1, 1, 0, 1];
        let predicted = [0, 1, 0, 0, 1, 1, 0, 1, 1, 0, 0, 1];
        let task = Task { metrics: vec![metric_spec("mcc", "matthews_corrcoef")], ..task(OutputType::MultipleChoice) };
        let labels = gold.iter().zip(predicted).map(|(&gold, predicted)| Score::Labels { gold, predicted });
        let mut samples: Vec<Sample> = labels.enumerate().map(|(id, s)| sample(id, "none", "mcc", &s)).collect();
        samples.reverse();
        let found = only(estimate_task(&task, &samples, 50));
        assert_eq!((found.value, found.stderr), (Some(0.50709255283711), Some(0.2865567055136876)));
        assert_eq!(found.stderr_method, Some(StderrMethod::Bootstrap));
    }

    #[test]
    fn a_metric_is_silent_about_documents_that_it_is_not_about() {
        let none = Score::Inapplicable;
        let lost = Score::Unscored(Unscored::new("lost"));
        let scores = [Score::Value(1.0), none.clone(), Score::Value(0.0), none.clone(), lost];
        let found = estimate(OutputType::MultipleChoice, "acc", "mean", &scores, 0);
        assert_eq!((found.value, found.n, found.unscored), (Some(0.5), 2, 1));
        let found = estimate(OutputType::MultipleChoice, "acc", "mean", &[none.clone(), none], 0);
        assert_eq!((found.value, found.n, found.unscored), (None, 0, 0));
    }

    #[test]
    fn halves_are_compared() {
        let halved = [(1.0, true), (0.0, true), (0.0, false), (0.0, false)];
        let scores = halved.map(|(value, first)| Score::Halved { value, first });
        let found = estimate(OutputType::MultipleChoice, "gap", "difference", &scores, 0);
        assert_eq!((found.value, found.n), (Some(0.5), 4));
    }

    #[test]
    fn weighted_figures_have_no_error() {
        let scores = [(-12.5, 3.0), (-100.25, 41.0), (-3.125, 1.0)];
        let scores = scores.map(|(value, weight)| Score::Weighted { value, weight });
        let found = estimate(OutputType::LoglikelihoodRolling, "bits_per_byte", "bits_per_byte", &scores, 1000);
        assert_eq!((found.value, found.stderr, found.stderr_method), (Some(3.714939730289081), None, None));
    }

    #[test]
    fn a_figure_beyond_all_numbers_is_infinite() {
        let scores = [Score::Value(-800.0), Score::Value(-900.0)];
        let found = estimate(OutputType::Loglikelihood, "perplexity", "perplexity", &scores, 100);
        assert_eq!((found.value, found.stderr, found.n, found.unscored), (Some(f64::INFINITY), None, 2, 0));
        let one = [Score::Weighted { value: -4000.0, weight: 1.0 }];
        let found = estimate(OutputType::LoglikelihoodRolling, "word_perplexity", "weighted_perplexity", &one, 100);
        assert_eq!(found.value, Some(f64::INFINITY));
    }

    /// `sklearn.metrics.f1_score` 1.7 with each `average` on the same labels.
    #[test]
    fn f1_by_average() {
        let gold = [0, 1, 2, 2, 1, 0, 2, 1, 1, 2];
        let predicted = [0, 2, 2, 2, 1, 1, 0, 1, 1, 0];
        let labels = gold.iter().zip(predicted).map(|(&gold, predicted)| Score::Labels { gold, predicted });
        let samples: Vec<Sample> = labels.enumerate().map(|(id, s)| sample(id, "none", "f1", &s)).collect();
        for (average, expected) in
            [("macro", 0.573_809_523_809_523_8), ("micro", 0.6), ("weighted", 0.608_571_428_571_428_5)]
        {
            let mut spec = metric_spec("f1", "f1");
            spec.kwargs.insert("average".into(), json!(average));
            let task = Task { metrics: vec![spec], ..task(OutputType::MultipleChoice) };
            let found = only(estimate_task(&task, &samples, 10)).value.unwrap();
            assert!((found - expected).abs() < 1e-15, "{average}: {found}");
        }
    }

    #[test]
    fn bypass_is_999() {
        let found = estimate(OutputType::GenerateUntil, "bypass", "bypass", &[Score::Value(f64::NAN)], 1000);
        assert_eq!((found.value, found.stderr, found.n), (Some(999.0), None, 1));
    }

    #[test]
    fn filters_come_before_metrics() {
        let first = json!({"function": "take_first"});
        let filters = vec![pipeline("a", std::slice::from_ref(&first)), pipeline("b", &[first])];
        let metrics = vec![metric_spec("exact_match", "mean"), metric_spec("bypass", "bypass")];
        let task = Task { metrics, filters, ..task(OutputType::GenerateUntil) };
        let names: Vec<String> =
            estimate_task(&task, &[], 10).iter().map(|e| format!("{},{}", e.metric, e.filter)).collect();
        assert_eq!(names, ["exact_match,a", "bypass,a", "exact_match,b", "bypass,b"]);
    }
}
