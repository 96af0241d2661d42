//! One document: its answers through every filter pipeline and every metric.

use super::filters::Answers;
use super::judged::{self, is_judged};
use super::kwargs::Kwargs;
use super::observed::Observed;
use super::{METRICS, Measure, filter, metric, multiple_choice, result_function};
use crate::item::Item;
use crate::judgement::Finding;
use crate::request::{Answer, Response, Unscored};
use crate::sample::{AnsweredItem, Sample, Score};
use crate::task::{FilterPipeline, MetricSpec, OutputType, Task};
use serde_json::{Map, Value, json};

impl Measure {
    /// The kind of task that it scores.
    pub fn output_type(self) -> OutputType {
        match self {
            Measure::Choices(_) | Measure::Taken(_) => OutputType::MultipleChoice,
            Measure::Loglikelihood(_) => OutputType::Loglikelihood,
            Measure::Rolling(_) => OutputType::LoglikelihoodRolling,
            Measure::Text(_) | Measure::Judged { .. } => OutputType::GenerateUntil,
        }
    }

    /// The score, if this is the measure for what was observed.
    fn of(self, observed: &Observed<'_>, kwargs: &Map<String, Value>) -> Option<Score> {
        Some(match (self, observed) {
            (Measure::Choices(measure), Observed::Choices(choices)) => measure(choices),
            (Measure::Taken(measure), Observed::Choices(choices)) => measure(&multiple_choice::likeliest(choices)),
            (Measure::Taken(measure), Observed::Taken(taken)) => measure(taken),
            (Measure::Loglikelihood(measure), Observed::Loglikelihood(answer)) => measure(answer),
            (Measure::Rolling(measure), Observed::Rolling(answer)) => measure(answer),
            (Measure::Text(build), Observed::Text(text)) => match build(Kwargs(kwargs)) {
                Ok(measure) => measure(text),
                Err(err) => Score::Unscored(Unscored::new(err.message())),
            },
            _ => return None,
        })
    }
}

/// Scores a document: one sample for each filter pipeline of the task, in the task's order.
///
/// When any of its requests has no answer, the document is unscored under every metric; answers that exist still pass the
/// filters, so that the samples file shows them.
///
/// `findings`: what the task's judge found about the cases of [`cases`], in the same order; empty for tasks without a judge.
pub fn score_item(task: &Task, answered: &AnsweredItem, findings: &[Vec<Finding>]) -> Vec<Sample> {
    let findings = findings.iter().map(Vec::as_slice).chain(std::iter::repeat(&[] as &[Finding]));
    task.filters.iter().zip(findings).map(|(pipeline, found)| score_under(task, answered, pipeline, found)).collect()
}

fn score_under(task: &Task, answered: &AnsweredItem, pipeline: &FilterPipeline, findings: &[Finding]) -> Sample {
    let item = &answered.item;
    let filtered = filtered(answered, pipeline);
    let failure = filtered.iter().find_map(|value| value.as_ref().err().cloned());
    let filtered: Vec<Value> = filtered.into_iter().map(Result::unwrap_or_default).collect();
    let observed = match failure {
        Some(unscored) => Err(unscored),
        None => Observed::new(task.output_type, item, &filtered),
    };
    let scores = match observed.and_then(|observed| scores(task, item, &observed, findings)) {
        Ok(scores) => scores,
        Err(unscored) => metric_names(task).map(|name| (name.to_owned(), Score::Unscored(unscored.clone()))).collect(),
    };
    Sample { doc_id: item.doc.id, filter: pipeline.name.clone(), filtered, findings: findings.to_vec(), scores }
}

/// The answers to each request of an item through a pipeline.
pub(super) fn filtered(answered: &AnsweredItem, pipeline: &FilterPipeline) -> Vec<Result<Value, Unscored>> {
    answered.responses.iter().map(|repeats| apply(pipeline, repeats, &answered.item)).collect()
}

/// The answers to one request through a pipeline.
fn apply(pipeline: &FilterPipeline, repeats: &[Result<Response, Unscored>], item: &Item) -> Result<Value, Unscored> {
    let values = repeats.iter().map(|response| response.as_ref().map(as_written).map_err(Unscored::clone));
    let mut answers = Answers::Repeats(values.collect::<Result<_, _>>()?);
    for step in &pipeline.steps {
        let row =
            filter(&step.function).ok_or_else(|| Unscored::new(format!("there is no filter `{}`", step.function)))?;
        let filter = (row.build)(Kwargs(&step.kwargs)).map_err(|err| Unscored::new(err.message()))?;
        answers = filter(answers, item)?;
    }
    Ok(answers.into_value())
}

/// An answer as filters and the samples file see it.
fn as_written(response: &Response) -> Value {
    match &response.answer {
        Answer::Loglikelihood { logprob, is_greedy, .. } => json!([logprob, is_greedy]),
        Answer::Rolling { logprob, .. } => json!(logprob),
        Answer::Text { text, .. } => json!(text),
        Answer::Choice { logprobs } => json!(logprobs),
    }
}

fn scores(
    task: &Task,
    item: &Item,
    observed: &Observed<'_>,
    findings: &[Finding],
) -> Result<Vec<(String, Score)>, Unscored> {
    let Some(spec) = &task.process_results else {
        let score = |name| (String::from(name), score(task, name, observed, findings));
        return Ok(metric_names(task).map(score).collect());
    };
    let row = result_function(&spec.function)
        .ok_or_else(|| Unscored::new(format!("there is no result function `{}`", spec.function)))?;
    let scores = (row.measure)(observed, &item.result_args)?;
    Ok(row.metrics.iter().map(|name| (*name).to_owned()).zip(scores).collect())
}

fn score(task: &Task, name: &str, observed: &Observed<'_>, findings: &[Finding]) -> Score {
    let none = Map::new();
    let kwargs = spec(task, name).map_or(&none, |spec| &spec.kwargs);
    let row = metric(name);
    if is_judged(row, kwargs) {
        return judged::score(row, kwargs, findings);
    }
    let measured = row.into_iter().flat_map(|row| row.measures).find_map(|m| m.of(observed, kwargs));
    measured.unwrap_or_else(|| {
        let output_type = task.output_type.as_str();
        Score::Unscored(Unscored::new(format!("the metric `{name}` does not score `{output_type}` tasks")))
    })
}

/// The entry of `metric_list` for a metric; of several the last counts.
pub(super) fn spec<'a>(task: &'a Task, name: &str) -> Option<&'a MetricSpec> {
    task.metrics.iter().rev().find(|spec| spec.name == name)
}

/// The range of a metric's scores under a task, where there is one.
pub(super) fn range(task: &Task, name: &str) -> Option<(f64, f64)> {
    match task.process_results.as_ref().and_then(|spec| result_function(&spec.function)) {
        Some(row) => {
            row.metrics.iter().zip(row.ranges).find(|(given, _)| **given == name).and_then(|(_, range)| *range)
        }
        None => metric(name).and_then(|row| row.range),
    }
}

/// The metrics of a task in the order in which the reference reports them: what the result function gives; for generation
/// the order of `metric_list`; otherwise that of [`METRICS`], and after them whatever the table does not have.
pub fn metric_names(task: &Task) -> impl Iterator<Item = &str> {
    let mut names: Vec<&str> = Vec::new();
    let mut add = |name| {
        if !names.contains(&name) {
            names.push(name);
        }
    };
    if let Some(row) = task.process_results.as_ref().and_then(|spec| result_function(&spec.function)) {
        row.metrics.iter().copied().for_each(&mut add);
    } else {
        if task.output_type != OutputType::GenerateUntil {
            METRICS.iter().map(|row| row.name).filter(|name| spec(task, name).is_some()).for_each(&mut add);
        }
        task.metrics.iter().map(|spec| spec.name.as_str()).for_each(&mut add);
    }
    names.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::Target;
    use crate::score::testing::{greedy, item, metric_spec, pipeline, task, text};
    use crate::score::under_letters;
    use crate::task::{ChoiceProtocol, ResultSpec};

    fn choices(responses: Vec<Vec<Result<Response, Unscored>>>) -> AnsweredItem {
        let item = Item { choices: vec!["a".into(), "bb".into()], target: Target::Index(1), ..item() };
        AnsweredItem { item, responses }
    }

    #[test]
    fn reports_in_the_order_of_the_reference() {
        let metrics = ["acc_norm", "brier_score", "acc", "acc"].map(|name| metric_spec(name, "mean"));
        let task = Task { metrics: metrics.to_vec(), ..task(OutputType::MultipleChoice) };
        let answered = choices(vec![vec![Ok(greedy(-3.0, false))], vec![Ok(greedy(-4.0, true))]]);
        let samples = score_item(&task, &answered, &[]);
        let [sample] = samples.as_slice() else { panic!("{samples:?}") };
        assert_eq!(sample.filtered, [json!([-3.0, false]), json!([-4.0, true])]);
        let names: Vec<&str> = sample.scores.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["acc", "acc_norm", "brier_score"]);
        assert_eq!(sample.scores[0].1, Score::Value(0.0));
        assert_eq!(sample.scores[1].1, Score::Value(1.0));
    }

    #[test]
    fn a_missing_answer_is_unscored_and_the_others_are_shown() {
        let task = Task { metrics: vec![metric_spec("acc", "mean")], ..task(OutputType::MultipleChoice) };
        let lost = Unscored::new("too long");
        let answered = choices(vec![vec![Ok(greedy(-3.0, false))], vec![Err(lost.clone())]]);
        let samples = score_item(&task, &answered, &[]);
        assert_eq!(samples[0].scores, [("acc".to_owned(), Score::Unscored(lost))]);
        assert_eq!(samples[0].filtered, [json!([-3.0, false]), Value::Null]);
    }

    #[test]
    fn one_sample_for_each_pipeline() {
        let metrics = vec![metric_spec("exact_match", "mean")];
        let regex = json!({"function": "regex", "regex_pattern": "is (\\w)"});
        let first = json!({"function": "take_first"});
        let filters = vec![
            pipeline("first", &[regex.clone(), first.clone()]),
            pipeline("majority", &[regex, json!({"function": "majority_vote"}), first]),
            pipeline("all", &[]),
        ];
        let task = Task { metrics, filters, ..task(OutputType::GenerateUntil) };
        let item = Item { target: Target::Text("b".into()), ..item() };
        let responses = vec![["is a", "is b", "is b"].map(|answer| Ok(text(answer))).to_vec()];
        let samples = score_item(&task, &AnsweredItem { item, responses }, &[]);
        let found: Vec<_> = samples.iter().map(|s| (s.filter.as_str(), &s.filtered[0], &s.scores[0].1)).collect();
        assert_eq!(found[0], ("first", &json!("a"), &Score::Value(0.0)));
        assert_eq!(found[1], ("majority", &json!("b"), &Score::Value(1.0)));
        assert_eq!(found[2], ("all", &json!(["is a", "is b", "is b"]), &Score::Value(0.0)));
    }

    #[test]
    fn a_result_function_takes_the_place_of_the_metrics() {
        let process_results = Some(ResultSpec { function: "label_mass".into(), args: Vec::new() });
        let metrics = vec![metric_spec("acc", "mean")];
        let task = Task { metrics, process_results, ..task(OutputType::MultipleChoice) };
        let mut answered = choices(vec![vec![Ok(greedy(-1.0, false))], vec![Ok(greedy(-1.0, false))]]);
        let unscored = score_item(&task, &answered, &[]);
        assert!(matches!(&unscored[0].scores[..], [(name, Score::Unscored(_))] if name == "acc"));
        answered.item.result_args.insert("labels".into(), json!([0, 1]));
        let samples = score_item(&task, &answered, &[]);
        assert_eq!(samples[0].scores, [("acc".to_owned(), Score::Value(0.5))]);
    }

    #[test]
    fn a_label_is_scored_under_both_letter_protocols() {
        let base = Task {
            metrics: ["acc", "acc_norm", "mcc"].map(|name| metric_spec(name, "mean")).to_vec(),
            ..task(OutputType::MultipleChoice)
        };
        let labels = ["A", "B"].map(str::to_owned).to_vec();
        let item = Item { choices: vec!["a".into(), "bb".into()], labels, target: Target::Index(1), ..item() };
        let choice = |logprobs: [Option<f64>; 2]| {
            Response::new(Answer::Choice { logprobs: logprobs.to_vec() }, Default::default())
        };
        let score = |protocol, response: Response| {
            let task = under_letters(&base, protocol).unwrap().task;
            let samples =
                score_item(&task, &AnsweredItem { item: item.clone(), responses: vec![vec![Ok(response)]] }, &[]);
            let [sample] = <[Sample; 1]>::try_from(samples).unwrap();
            assert_eq!(sample.filter, protocol.as_str());
            let scores: Vec<Score> = sample.scores.into_iter().map(|(_, score)| score).collect();
            (sample.filtered, scores)
        };
        let taken = |label: &str, hit: f64, predicted: i64| {
            (vec![json!(label)], vec![Score::Value(hit), Score::Labels { gold: 1, predicted }])
        };
        let logprobs = ChoiceProtocol::LetterLogprobs;
        assert_eq!(score(logprobs, choice([Some(-2.0), Some(-0.5)])), taken("B", 1.0, 1));
        assert_eq!(score(logprobs, choice([Some(-2.0), None])), taken("A", 0.0, 0));
        let (filtered, scores) = score(logprobs, choice([None, None]));
        assert_eq!(filtered, [Value::Null]);
        assert!(
            scores.iter().all(|s| matches!(s, Score::Unscored(u) if u.reason.contains("none of the labels"))),
            "{scores:?}"
        );
        let words = ChoiceProtocol::LetterText;
        assert_eq!(score(words, text(" (B).")), taken("B", 1.0, 1));
        assert_eq!(score(words, text("A")), taken("A", 0.0, 0));
        let wrong = vec![Score::Value(0.0), Score::Labels { gold: 1, predicted: -1 }];
        assert_eq!(score(words, text("who knows")), (vec![Value::Null], wrong));
    }

    #[test]
    fn a_log_likelihood_that_is_no_number_is_unscored() {
        let task = Task { metrics: vec![metric_spec("acc", "mean")], ..task(OutputType::MultipleChoice) };
        let answered = choices(vec![vec![Ok(greedy(f64::NAN, false))], vec![Ok(greedy(-4.0, true))]]);
        assert!(matches!(score_item(&task, &answered, &[])[0].scores[0].1, Score::Unscored(_)));
    }

    #[test]
    fn other_output_types() {
        let metrics = ["acc", "perplexity"].map(|name| metric_spec(name, "mean")).to_vec();
        let likelihood = Task { metrics, ..task(OutputType::Loglikelihood) };
        let answered = AnsweredItem { item: item(), responses: vec![vec![Ok(greedy(-2.5, true))]] };
        let samples = score_item(&likelihood, &answered, &[]);
        let expected = [("perplexity".to_owned(), Score::Value(-2.5)), ("acc".to_owned(), Score::Value(1.0))];
        assert_eq!(samples[0].scores, expected);

        let metrics = vec![metric_spec("word_perplexity", "weighted_perplexity")];
        let rolling = Task { metrics, ..task(OutputType::LoglikelihoodRolling) };
        let item = Item { target: Target::Text("two words".into()), ..item() };
        let answer = Response::new(Answer::Rolling { logprob: -9.0, num_tokens: 4 }, Default::default());
        let samples = score_item(&rolling, &AnsweredItem { item, responses: vec![vec![Ok(answer)]] }, &[]);
        assert_eq!(samples[0].filtered, [json!(-9.0)]);
        assert_eq!(samples[0].scores[0].1, Score::Weighted { value: -9.0, weight: 2.0 });
    }
}
