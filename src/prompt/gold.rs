//! The right answer of a document, and the answer that a shot shows.

use super::read::{Digits, Reader, Row, shown};
use crate::doc::Doc;
use crate::error::{Error, Result};
use crate::item::Target;
use crate::python::repr::to_str;
use crate::task::{OutputType, Task};
use serde_json::Value;

/// What digits mean in a task, by all its documents, so that a limit changes nothing. One document whose digits are no choice's text
/// shows that they are indices; most tasks end at the first.
pub fn digits(task: &Task, reader: &Reader<'_>, docs: &[Doc]) -> Digits {
    let Some(source) = &task.prompt.doc_to_choice else { return Digits::Index };
    let (mut is_number, mut differs) = (false, false);
    for doc in docs {
        let row = Row::new(&doc.fields, String::new());
        let found = reader.digits_of(&row, &task.prompt.doc_to_target);
        let (Ok(found), Ok(choices)) = (found, reader.choices(&row, source)) else { return Digits::Index };
        let Some((digits, by_itself)) = found else { continue };
        let Some(place) = choices.iter().position(|choice| *choice == digits) else { return Digits::Index };
        is_number |= by_itself;
        differs |= digits.parse() != Ok(place);
    }
    match (differs, is_number) {
        (false, _) => Digits::Index,
        (true, true) => Digits::Doubtful,
        (true, false) => Digits::Text,
    }
}

/// What is known about a document when its right answer is looked up.
pub struct Question<'a> {
    pub task: &'a Task,
    pub row: &'a Row<'a>,
    /// What the task names as right: an index, a text or a list.
    pub written: &'a Value,
    pub choices: &'a [String],
    /// Document 0 had a list.
    pub multiple_targets: bool,
}

/// The right answer as metrics want it.
pub fn resolve(question: &Question<'_>) -> Result<Target> {
    let target = match question.task.output_type {
        OutputType::MultipleChoice => choice_target(question),
        OutputType::GenerateUntil => text_target(question),
        OutputType::Loglikelihood | OutputType::LoglikelihoodRolling => Ok(Target::Text(to_str(question.written))),
    };
    match (target, &question.task.process_results) {
        // A task with its own scoring need not name a right answer that the built-in metrics understand.
        (Err(_), Some(_)) => Ok(Target::Text(to_str(question.written))),
        (target, _) => target,
    }
}

/// A Python `int`: a whole number or a truth value.
pub fn index(value: &Value) -> Option<i64> {
    match value {
        Value::Bool(flag) => Some(i64::from(*flag)),
        Value::Number(number) => number.as_i64(),
        _ => None,
    }
}

/// `choices[index]`, where -1 is the last one.
pub fn chosen(row: &Row<'_>, choices: &[String], value: &Value, key: &str) -> Result<String> {
    let index =
        index(value).ok_or_else(|| row.error(key, format!("gives {}, not the index of a choice", shown(value))))?;
    let place = if index < 0 { index + choices.len() as i64 } else { index };
    usize::try_from(place)
        .ok()
        .and_then(|place| choices.get(place))
        .cloned()
        .ok_or_else(|| out_of_range(row, index, choices, key))
}

fn out_of_range(row: &Row<'_>, index: i64, choices: &[String], key: &str) -> Error {
    row.error(key, format!("gives the index {index}, and there are {} choices", choices.len()))
        .hint(
            "indices count from 0: a label that counts from 1 needs `{{ label - 1 }}`; rows whose answer is hidden (-1) can be left out \
             with a `keep` step in `process_docs`; a number that is the text of a choice and no index needs `read_target: text`",
        )
}

fn choice_target(question: &Question<'_>) -> Result<Target> {
    let row = question.row;
    let list_expected = |what: &str| {
        row.error("doc_to_target", what)
            .hint("document 0 decides for the whole task whether there are several right answers")
    };
    match question.written {
        Value::Array(_) if !question.multiple_targets => Err(list_expected("gives a list, unlike in document 0")),
        Value::Array(golds) => {
            let indices = golds.iter().map(|gold| {
                let index = index(gold)
                    .ok_or_else(|| row.error("doc_to_target", format!("lists {}, not an index", shown(gold))));
                in_range(row, index?, question.choices)
            });
            Ok(Target::Indices(indices.collect::<Result<_>>()?))
        }
        _ if question.multiple_targets => Err(list_expected("gives no list, unlike in document 0")),
        Value::String(text) => {
            let place = question.choices.iter().position(|choice| choice == text).ok_or_else(|| {
                row.error("doc_to_target", format!("gives {}, which is not among the choices", shown(question.written)))
                    .hint("the right choice is named by its index from 0 or by exactly its text")
            });
            Ok(Target::Index(place? as i64))
        }
        other => match index(other) {
            Some(gold) => Ok(Target::Index(in_range(row, gold, question.choices)?)),
            None => Err(row
                .error("doc_to_target", format!("gives {}, neither an index nor a text", shown(other)))
                .hint("the right choice is named by its index from 0 or by its text")),
        },
    }
}

/// A right answer that is no choice is an error: the reference counts such documents as wrong, whatever the model says.
fn in_range(row: &Row<'_>, index: i64, choices: &[String]) -> Result<i64> {
    if (0..choices.len() as i64).contains(&index) {
        Ok(index)
    } else {
        Err(out_of_range(row, index, choices, "doc_to_target"))
    }
}

fn text_target(question: &Question<'_>) -> Result<Target> {
    if question.task.prompt.doc_to_choice.is_some() {
        if let Value::String(text) = question.written
            && question.choices.contains(text)
        {
            return Ok(Target::Text(text.clone()));
        }
        return chosen(question.row, question.choices, question.written, "doc_to_target").map(Target::Text);
    }
    Ok(match (question.multiple_targets, question.written) {
        (true, Value::Array(golds)) => Target::Texts(golds.iter().map(to_str).collect()),
        // A lone answer among lists is a list of one. (The reference takes such a text for a list of its characters.)
        (true, gold) => Target::Texts(vec![to_str(gold)]),
        (false, gold) => Target::Text(to_str(gold)),
    })
}

/// The answer that a shot shows; `None` when the target is empty.
pub fn answer(row: &Row<'_>, choices: &[String], target: &Value) -> Result<Option<String>> {
    match target {
        Value::Null => Ok(None),
        Value::String(text) if text.is_empty() => Ok(None),
        target if !choices.is_empty() && index(target).is_some() => {
            chosen(row, choices, target, "doc_to_target").map(Some)
        }
        Value::Array(targets) => match targets.first() {
            // Of several right choices the first is shown.
            Some(first) if !first.is_array() => answer(row, choices, first),
            Some(first) => row.string(first, "doc_to_target").map(Some),
            None => Err(row.error("doc_to_target", "gives an empty list, and a shot needs an answer")),
        },
        other => row.string(other, "doc_to_target").map(Some),
    }
}
