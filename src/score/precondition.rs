//! Whether the documents of a task are such that its metrics mean something, found out before anything is asked.
//!
//! Every document is scored once with answers of our own: what stays unscored then is unscored for a reason in the data or the task file,
//! not in the model.

use super::item::{metric_names, scores_of, spec};
use super::kwargs::Kwargs;
use super::text::right_answers;
use super::{Aggregate, aggregation, metric};
use crate::error::{Error, Result};
use crate::item::{Item, Target};
use crate::remark::Remark;
use crate::request::{Answer, Finish, RequestKind, Response, Unscored, Usage};
use crate::sample::Score;
use crate::stats::Average;
use crate::task::{MetricSpec, OutputType, Task};

/// Metrics of written answers that need a right one to compare with.
const COMPARE: &[&str] = &["exact_match", "bleu", "chrf", "chrf++", "ter", "squad_em", "squad_f1"];

/// Checks the items of a task against its metrics. What only some documents lack is a remark: those stay unscored, or are wrong whatever
/// is answered.
///
/// Errors: a statistic over the labels of the whole set that does not fit them; a metric under which no document at all could be scored.
pub fn check_items(task: &Task, items: &[Item]) -> Result<Vec<Remark>> {
    if items.is_empty() || task.judge.is_some() {
        return Ok(Vec::new());
    }
    let mut remarks = Vec::new();
    for spec in task.metrics.iter().filter(|spec| task.process_results.is_none() && over_labels(spec)) {
        check_labels(spec, items).map_err(|err| err.key("metric"))?;
        remarks.extend(unlike_choices(task, spec, items));
    }
    let bytes_or_words =
        |spec: &MetricSpec| matches!(metric(&spec.name), Some(row) if row.gives == super::ScoreKind::Weighted);
    if let Some(spec) = task.metrics.iter().find(|spec| bytes_or_words(spec))
        && items.iter().all(|item| matches!(&item.target, Target::Text(text) if text.is_empty()))
    {
        return Err(Error::input(format!("the metric `{}` has nothing to go over: all texts are empty", spec.name)));
    }
    remarks.extend(without_right_answer(task, items));
    remarks.extend(unscorable(task, items)?);
    Ok(remarks)
}

/// Whether a metric is a statistic over the labels of the whole set.
fn over_labels(spec: &MetricSpec) -> bool {
    let aggregate = aggregation(&spec.aggregation).map(|row| row.aggregate);
    matches!(aggregate, Some(Aggregate::Labels(_) | Aggregate::Averaged(_)))
}

/// One right choice for each document, and for binary F1 no more than two choices.
fn check_labels(spec: &MetricSpec, items: &[Item]) -> Result<()> {
    let name = &spec.name;
    let several = |item: &&Item| matches!(&item.target, Target::Indices(golds) if golds.len() != 1);
    if let Some(item) = items.iter().find(several) {
        let message =
            format!("the metric `{name}` needs exactly one right choice; document {} has another number", item.doc.id);
        return Err(Error::input(message).hint("use `acc`, which takes any of them"));
    }
    let averaged = matches!(aggregation(&spec.aggregation).map(|row| row.aggregate), Some(Aggregate::Averaged(_)));
    let binary = averaged && Kwargs(&spec.kwargs).average()? == Average::Binary;
    if let Some(item) = items.iter().find(|item| binary && item.choices.len() > 2) {
        let message = format!(
            "`{name}` is the F1 of choice 1 of two, and document {} has {} choices",
            item.doc.id,
            item.choices.len()
        );
        let hint = "say how the F1 of several choices becomes one figure, as scikit-learn does: `average: macro`, `micro` or \
                    `weighted` beside `metric`";
        return Err(Error::input(message).hint(hint));
    }
    Ok(())
}

/// Labels are places among the choices: where the choices are others in every document, place 1 is no class.
fn unlike_choices(task: &Task, spec: &MetricSpec, items: &[Item]) -> Option<Remark> {
    let first = items.first()?;
    let others = items.iter().filter(|item| item.choices != first.choices).count();
    let text = format!(
        "`{}` takes places among the choices for classes, and the choices are not the same in all documents",
        spec.name
    );
    (others > 0).then(|| Remark::warning(&task.name, text).count(others, items.len(), "documents"))
}

/// Documents to which every answer is wrong.
fn without_right_answer(task: &Task, items: &[Item]) -> Option<Remark> {
    let compares = task.process_results.is_none()
        && task.output_type == OutputType::GenerateUntil
        && task.metrics.iter().any(|spec| COMPARE.contains(&spec.name.as_str()));
    let none = |item: &&Item| right_answers(&item.target, &item.choices).0.is_empty();
    let count = items.iter().filter(|item| compares && none(item)).count();
    let text = "there is no right answer to compare with: every answer is wrong, as in the reference";
    (count > 0).then(|| Remark::warning(&task.name, text).count(count, items.len(), "documents"))
}

/// Documents that no answer could give a score, under some pipeline and metric.
fn unscorable(task: &Task, items: &[Item]) -> Result<Option<Remark>> {
    let mut failures = 0;
    let mut first: Option<(usize, String, Unscored)> = None;
    for item in items {
        if let Some((metric, unscored)) = failure(task, item) {
            failures += 1;
            first.get_or_insert((item.doc.id, metric, unscored));
        }
    }
    let Some((doc, metric, Unscored { reason, .. })) = first else { return Ok(None) };
    if failures == items.len() {
        let message = format!("`{metric}` cannot be scored, whatever is answered: {reason} (document {doc})");
        return Err(Error::input(message).hint("nothing was asked; change the metric, the filters or the data"));
    }
    let text = format!("`{metric}` cannot be scored, whatever is answered: {reason}");
    Ok(Some(Remark::warning(&task.name, text).count(failures, items.len(), "documents")))
}

/// The metric and the reason, where none of our answers gives a document a score.
fn failure(task: &Task, item: &Item) -> Option<(String, Unscored)> {
    let answers = trials(task, item);
    for pipeline in &task.filters {
        let scored: Vec<Vec<(String, Score)>> = answers
            .iter()
            .map(|answer| {
                let responses: Vec<Vec<_>> =
                    item.requests.iter().map(|_| vec![Ok(answer.clone()); task.repeats.max(1) as usize]).collect();
                scores_of(task, item, &responses, pipeline, &[]).1
            })
            .collect();
        for name in metric_names(task).filter(|name| spec(task, name).is_some()) {
            let of = |scores: &Vec<(String, Score)>| {
                scores.iter().find(|(known, _)| known == name).map(|(_, score)| score.clone())
            };
            let mut found = scored.iter().filter_map(of);
            if let Some(Score::Unscored(reason)) = found.next()
                && found.all(|score| matches!(score, Score::Unscored(_)))
            {
                return Some((name.to_owned(), reason));
            }
        }
    }
    None
}

/// Answers that any model could give: of likelihoods one, of texts none and the right one.
fn trials(task: &Task, item: &Item) -> Vec<Response> {
    let response = |answer: Answer| Response::new(answer, Usage::default());
    let text = |text: &str| response(Answer::Text { text: text.to_owned(), finish: Finish::Stop });
    match (task.output_type, item.requests.first().map(|request| &request.kind)) {
        (_, Some(RequestKind::Generate { .. })) => {
            let right = right_answers(&item.target, &item.choices).0;
            let label = item.labels.first().map(String::as_str);
            vec![text(label.or(right.first().map(|text| &**text)).unwrap_or("1")), text("")]
        }
        (OutputType::LoglikelihoodRolling, _) => vec![response(Answer::Rolling { logprob: -1.0, num_tokens: 1 })],
        (OutputType::MultipleChoice, _) if !item.labels.is_empty() => {
            vec![response(Answer::Choice { logprobs: vec![Some(-1.0); item.labels.len()] })]
        }
        _ => vec![response(Answer::Loglikelihood { logprob: -1.0, is_greedy: false, num_tokens: 1 })],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{Decoding, Prompt, Request};
    use crate::score::testing::{item, metric_spec, pipeline, task};
    use crate::task::ResultSpec;
    use serde_json::json;

    fn decoding() -> Decoding {
        Decoding {
            until: Vec::new(),
            max_gen_toks: None,
            do_sample: false,
            temperature: 0.0,
            top_p: None,
            top_k: None,
            min_p: None,
            written: Default::default(),
        }
    }

    fn request() -> Request {
        let kind = RequestKind::Loglikelihood { context: Prompt::Text("q".into()), continuation: " a".into() };
        Request { kind, sample: 0, seed: 0 }
    }

    fn choices(id: usize, texts: &[&str], target: Target) -> Item {
        let mut item = item();
        item.doc.id = id;
        item.requests = texts.iter().map(|_| request()).collect();
        Item { choices: texts.iter().map(|text| text.to_string()).collect(), target, ..item }
    }

    fn check(metric: &str, average: Option<&str>, items: &[Item]) -> std::result::Result<Vec<String>, String> {
        let mut spec = metric_spec(metric, super::metric(metric).unwrap().default_aggregation);
        spec.kwargs.extend(average.map(|average| ("average".to_owned(), json!(average))));
        let task = Task { metrics: vec![spec], ..task(OutputType::MultipleChoice) };
        let remarks = check_items(&task, items).map_err(|err| err.to_string())?;
        Ok(crate::remark::gather(&remarks).iter().map(|gathered| gathered.line()).collect())
    }

    #[test]
    fn binary_f1_wants_two_choices() {
        let three = [choices(0, &["a", "b"], Target::Index(1)), choices(7, &["a", "b", "c"], Target::Index(1))];
        let err = check("f1", None, &three).unwrap_err();
        assert!(err.contains("document 7 has 3 choices") && err.contains("`average: macro`"), "{err}");
        let same = [choices(0, &["a", "b", "c"], Target::Index(1))];
        for average in ["macro", "micro", "weighted"] {
            assert_eq!(check("f1", Some(average), &same), Ok(Vec::new()));
        }
        assert_eq!(check("mcc", None, &same), Ok(Vec::new()));
        let unlike = check("f1", Some("macro"), &three).unwrap();
        assert!(unlike[0].contains("not the same in all documents (1 of 2 documents)"), "{unlike:?}");
    }

    #[test]
    fn labels_want_one_right_choice() {
        let several = [choices(3, &["a", "b"], Target::Indices(vec![0, 1]))];
        assert!(check("mcc", None, &several).unwrap_err().contains("document 3"));
        assert!(check("brier_score", None, &several).unwrap_err().contains("exactly one right choice (document 3)"));
        let some = [choices(0, &["a", "b"], Target::Index(0)), several[0].clone()];
        let warned = check("likelihood", None, &some).unwrap();
        assert!(warned[0].contains("exactly one right choice (1 of 2 documents)"), "{warned:?}");
        assert_eq!(check("acc", None, &several), Ok(Vec::new()));
    }

    #[test]
    fn result_functions_are_tried() {
        let args = vec![("labels".to_owned(), "{{labels}}".to_owned())];
        let process_results = Some(ResultSpec { function: "label_mass".into(), args });
        let task =
            Task { process_results, metrics: vec![metric_spec("acc", "mean")], ..task(OutputType::MultipleChoice) };
        let mut item = choices(0, &["a", "b"], Target::Index(0));
        item.result_args.insert("labels".into(), json!([1, 0]));
        assert!(check_items(&task, std::slice::from_ref(&item)).unwrap().is_empty());
        item.result_args.insert("labels".into(), json!([1]));
        let err = check_items(&task, &[item]).unwrap_err().to_string();
        assert!(err.contains("1 labels for 2 choices (document 0)"), "{err}");
    }

    #[test]
    fn texts_without_anything_to_compare() {
        let written = |target: Target, filters: &[serde_json::Value], metric: &str| {
            let kind = RequestKind::Generate { context: Prompt::Text("q".into()), decoding: decoding() };
            let requests = vec![Request { kind, sample: 0, seed: 0 }];
            let aggregation = super::metric(metric).unwrap().default_aggregation;
            let metrics = vec![metric_spec(metric, aggregation)];
            let task = Task { metrics, filters: vec![pipeline("none", filters)], ..task(OutputType::GenerateUntil) };
            let remarks = check_items(&task, &[Item { target, requests, ..item() }]).map_err(|err| err.to_string())?;
            Ok::<_, String>(remarks.into_iter().map(|remark| remark.text).collect::<Vec<_>>())
        };
        let first = [json!({"function": "take_first"})];
        assert!(written(Target::Text("x".into()), &first, "bleu").unwrap().is_empty());
        assert!(written(Target::Texts(Vec::new()), &first, "exact_match").unwrap()[0].contains("no right answer"));
        assert!(written(Target::Texts(Vec::new()), &first, "bleu").unwrap_err().contains("cannot be scored"));
        assert!(written(Target::Text("x".into()), &[], "bleu").unwrap_err().contains("take_first"));
    }
}
