//! What the answers to a task show that its scores do not: answers that name no letter, answers that are empty.

use super::protocol_of;
use crate::python::text::strip;
use crate::remark::Remark;
use crate::request::Answer;
use crate::sample::{AnsweredItem, Sample};
use crate::task::{ChoiceProtocol, OutputType, Task};
use serde_json::Value;

/// Remarks on all answers to a task, with counts.
pub fn remarks_on_answers(task: &Task, items: &[AnsweredItem], samples: &[Sample]) -> Vec<Remark> {
    [all_empty(task, items), without_letter(task, items, samples)].into_iter().flatten().collect()
}

/// Every answer is empty: scores of such a task say nothing about a model.
fn all_empty(task: &Task, items: &[AnsweredItem]) -> Option<Remark> {
    let answers =
        items.iter().flat_map(|item| item.responses.iter().flatten()).filter_map(|answer| answer.as_ref().ok());
    let mut texts = answers.filter_map(|response| match &response.answer {
        Answer::Text { text, .. } => Some(text),
        _ => None,
    });
    let first = texts.next()?;
    let mut count = 1;
    if !strip(first).is_empty() || !texts.by_ref().inspect(|_| count += 1).all(|text| strip(text).is_empty()) {
        return None;
    }
    let text = "all answers are empty; look at the prompts, at what ends an answer (`until`) and at how many tokens it may have";
    Some(Remark::warning(&task.name, text).count(count, count, "answers"))
}

/// Answers in which no letter was found, where one is asked for: they count as wrong.
fn without_letter(task: &Task, items: &[AnsweredItem], samples: &[Sample]) -> Option<Remark> {
    let reads = |step: &crate::task::FilterStep| step.function == "choice_letter";
    let pipeline = task.filters.iter().find(|pipeline| pipeline.steps.iter().any(reads))?;
    if task.output_type != OutputType::GenerateUntil && protocol_of(task) != ChoiceProtocol::LetterText {
        return None;
    }
    let answered = |sample: &&Sample| {
        let item = items.binary_search_by_key(&sample.doc_id, |answered| answered.item.doc.id).ok();
        item.and_then(|index| items.get(index)).is_some_and(|item| item.responses.iter().flatten().all(Result::is_ok))
    };
    let under = samples.iter().filter(|sample| sample.filter == pipeline.name).filter(answered);
    let (mut none, mut all) = (0, 0);
    for sample in under {
        all += 1;
        none += usize::from(!sample.filtered.is_empty() && sample.filtered.iter().all(Value::is_null));
    }
    let text = "answers that name no letter, or several, count as wrong";
    (none > 0).then(|| Remark::warning(&task.name, text).count(none, all, "answers"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::{Item, Target};
    use crate::request::Unscored;
    use crate::score::testing::{item, metric_spec, pipeline, task, text};
    use crate::score::{score_item, under_letters};
    use serde_json::json;

    fn answered(id: usize, answer: &str, labels: &[&str]) -> AnsweredItem {
        let mut item =
            Item { labels: labels.iter().map(|l| l.to_string()).collect(), target: Target::Index(0), ..item() };
        item.choices = item.labels.clone();
        item.doc.id = id;
        AnsweredItem { item, responses: vec![vec![Ok(text(answer))]] }
    }

    fn lines(task: &Task, items: &[AnsweredItem]) -> Vec<String> {
        let samples: Vec<Sample> = items.iter().flat_map(|item| score_item(task, item, &[])).collect();
        let remarks = remarks_on_answers(task, items, &samples);
        crate::remark::gather(&remarks).iter().map(|gathered| gathered.line()).collect()
    }

    #[test]
    fn answers_without_a_letter_are_counted() {
        let base = Task { metrics: vec![metric_spec("acc", "mean")], ..task(OutputType::MultipleChoice) };
        let task = under_letters(&base, ChoiceProtocol::LetterText).unwrap().task;
        let mut items: Vec<AnsweredItem> = ["A", "who knows", "B or A", "the answer is b."]
            .iter()
            .enumerate()
            .map(|(id, answer)| answered(id, answer, &["A", "B"]))
            .collect();
        let expected = "test: answers that name no letter, or several, count as wrong (2 of 4 answers)";
        assert_eq!(lines(&task, &items), [expected]);
        items[1].responses = vec![vec![Err(Unscored::new("lost"))]];
        assert_eq!(lines(&task, &items), [expected.replace("2 of 4", "1 of 3")]);
        assert!(lines(&task, &items[..1]).is_empty());
    }

    #[test]
    fn all_empty_is_said() {
        let task = Task { metrics: vec![metric_spec("exact_match", "mean")], ..task(OutputType::GenerateUntil) };
        let items = [answered(0, "", &[]), answered(1, " \n", &[])];
        assert!(lines(&task, &items)[0].ends_with("(2 of 2 answers)"));
        assert!(lines(&task, &[answered(0, "", &[]), answered(1, "x", &[])]).is_empty());
        let filters = vec![pipeline("none", &[json!({"function": "take_first"})])];
        assert!(lines(&Task { filters, ..task }, &[]).is_empty());
    }
}
