//! Multiple-choice tasks under letters: one request a document, for one of its labels. What the prompts look like is told in
//! [`options`](super::options).

use super::options::{self, Listed};
use super::read::{Reader, Row};
use super::turn::{ChatForm, Turn, qa_turns};
use super::{Builder, decoding, gold};
use crate::data::TaskDocs;
use crate::doc::Doc;
use crate::error::{Error, Result};
use crate::label;
use crate::python::repr::to_str;
use crate::request::{Decoding, Prompt, RequestKind};
use crate::task::{ChoiceProtocol, OutputType, PromptSpec, Task};
use serde_json::{Map, Value, json};

/// Tokens of a generated letter: enough for `The answer is **B**.` and its like.
const MAX_TOKENS: usize = 16;

/// How the choices of a task are put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// Each choice is a continuation whose likelihood counts.
    Continuations,
    /// The choices are labels that the question lists: the task's own prompt.
    OwnLabels,
    /// Below the question, under letters.
    Listed,
}

/// Decides it for a whole task: by all its documents, so that a limit changes nothing.
pub fn put(
    task: &Task,
    protocol: ChoiceProtocol,
    reader: &Reader<'_>,
    docs: &TaskDocs,
    multiple_inputs: bool,
) -> Result<Put> {
    let (Some(source), Some(first)) = (&task.prompt.doc_to_choice, docs.docs.first()) else {
        return Ok(Put::Continuations);
    };
    if protocol == ChoiceProtocol::Likelihood || task.output_type != OutputType::MultipleChoice {
        return Ok(Put::Continuations);
    }
    if multiple_inputs {
        return Ok(Put::Listed);
    }
    let row = |doc: &'_ Doc| format!("document {}", doc.id);
    let row_of_first = Row::new(&first.fields, row(first));
    let Some(labels) = label::own(&reader.choices(&row_of_first, source)?) else { return Ok(Put::Listed) };
    let question = to_str(&reader.question(&row_of_first, &task.prompt.doc_to_text)?);
    if !label::are_listed(&labels, &question) {
        return Ok(Put::Listed);
    }
    for doc in &docs.docs {
        let choices = reader.choices(&Row::new(&doc.fields, row(doc)), source)?;
        if label::own(&choices).is_none() {
            return Ok(Put::Listed);
        }
    }
    Ok(Put::OwnLabels)
}

/// How a letter is generated.
pub fn letter_decoding(task: &Task, overrides: &Map<String, Value>, chat: bool) -> Result<Decoding> {
    let mut settings = Map::new();
    // In a conversation the answer may begin with an empty line; and where the delimiter breaks the line, so does the answer.
    if !chat && !task.prompt.target_delimiter.contains('\n') {
        settings.insert("until".into(), json!(["\n"]));
    }
    if !decoding::limits_tokens(overrides) {
        settings.insert("max_gen_toks".into(), json!(MAX_TOKENS));
    }
    decoding::resolve(&settings, overrides)
}

impl Builder<'_> {
    /// The labels of a document; none where its choices are continuations.
    pub(super) fn labels(&self, row: &Row<'_>, choices: &[String]) -> Result<Vec<String>> {
        match self.form.put {
            Put::Continuations => Ok(Vec::new()),
            Put::OwnLabels => {
                label::own(choices).ok_or_else(|| row.error("doc_to_choice", "gives other labels than single letters"))
            }
            Put::Listed => letters(row, choices),
        }
    }

    /// The request for one of the labels.
    pub(super) fn label_kind(
        &self,
        doc: &Doc,
        row: &Row<'_>,
        target: &Value,
        choices: &[String],
        labels: &[String],
    ) -> Result<RequestKind> {
        let spec = &self.task.prompt;
        let prefix = self.reader.prefix(row, spec.gen_prefix.as_deref())?;
        let written = self.written(row, &spec.doc_to_text)?;
        let own = written.as_str().map(str::to_owned);
        let listed = self.listed(row, spec, &Given { written, target, choices, prefix: prefix.as_deref() })?;
        let question = match self.options.chat {
            true => options::with_instruction(&listed.question, &options::instruction(labels)),
            false => listed.question,
        };
        let own = own.as_deref().filter(|_| self.form.put == Put::OwnLabels);
        let mut turns = self.before(doc, row, own)?;
        turns.extend(qa_turns(&question, None, prefix.as_deref(), &listed.delimiter, ""));
        let context: Prompt = self.chat_form().prompt(turns);
        Ok(match &self.decoding {
            Some(decoding) => RequestKind::Generate { context, decoding: decoding.clone() },
            None => RequestKind::Choose { context, labels: labels.to_vec() },
        })
    }

    /// The turns of a shot whose options are listed: its answer is a letter.
    pub(super) fn listed_shot(
        &self,
        row: &Row<'_>,
        written: Value,
        target: &Value,
        choices: &[String],
        prefix: Option<&str>,
    ) -> Result<Vec<Turn>> {
        let spec = &self.task.fewshot.prompt;
        if choices.is_empty() {
            return Err(row.error("doc_to_choice", "gives a shot no choices to list"));
        }
        let letters = letters(row, choices)?;
        let right = match self.form.multiple_inputs {
            true => &written,
            false => target,
        };
        let answer = match right_index(row, choices, right)? {
            Some(index) => letters.get(index).cloned(),
            None => None,
        };
        let mut listed = self.listed(row, spec, &Given { written, target, choices, prefix })?;
        if self.chat_form() == ChatForm::Turns {
            listed.question.truncate(listed.question.trim_end().len());
        }
        Ok(qa_turns(&listed.question, answer.as_deref(), prefix, &listed.delimiter, &spec.fewshot_delimiter))
    }

    /// The question as it is put.
    fn listed(&self, row: &Row<'_>, spec: &PromptSpec, given: &Given<'_>) -> Result<Listed> {
        let Given { written, target, choices, prefix } = given;
        let delimiter = spec.target_delimiter.as_str();
        if self.form.put == Put::OwnLabels {
            let question = row.string(written, "doc_to_text")?;
            return Ok(Listed { question, delimiter: delimiter.to_owned() });
        }
        let (question, options) = match self.form.multiple_inputs {
            true => {
                let continuation = to_str(target);
                let whole = |context: &String| format!("{context}{delimiter}{continuation}");
                (options::NEUTRAL_QUESTION.to_owned(), choices.iter().map(whole).collect())
            }
            false => (row.string(written, "doc_to_text")?, choices.to_vec()),
        };
        let has_prefix = prefix.is_some_and(|prefix| !prefix.is_empty());
        Ok(options::list(&question, &options, &letters(row, choices)?, delimiter, has_prefix))
    }
}

/// What is known about a document when its question is written.
struct Given<'a> {
    /// `doc_to_text`.
    written: Value,
    target: &'a Value,
    choices: &'a [String],
    prefix: Option<&'a str>,
}

fn letters(row: &Row<'_>, choices: &[String]) -> Result<Vec<String>> {
    label::letters(choices.len()).ok_or_else(|| {
        row.error("doc_to_choice", format!("gives {} choices, and the alphabet has 26 letters", choices.len()))
            .hint("such a task can only be scored by likelihoods (`--mc-protocol likelihood`); leave it out here")
    })
}

/// The index of the choice that a shot's target means: an index, a choice's text, or the first of a list of such. `None`: a
/// shot without an answer.
fn right_index(row: &Row<'_>, choices: &[String], target: &Value) -> Result<Option<usize>> {
    if let Value::Array(targets) = target {
        return match targets.first() {
            Some(first) if !first.is_array() => right_index(row, choices, first),
            _ => Err(no_choice(row, target)),
        };
    }
    if gold::index(target).is_some() {
        // Checks the range; equal texts are still told apart below.
        gold::chosen(row, choices, target, "doc_to_target")?;
        let index = gold::index(target).unwrap_or_default();
        let index = if index < 0 { index + choices.len() as i64 } else { index };
        return Ok(usize::try_from(index).ok());
    }
    match target {
        Value::Null => Ok(None),
        Value::String(text) if text.is_empty() => Ok(None),
        Value::String(text) => {
            let place = choices.iter().position(|choice| choice == text);
            place.map(Some).ok_or_else(|| no_choice(row, target))
        }
        _ => Err(no_choice(row, target)),
    }
}

fn no_choice(row: &Row<'_>, target: &Value) -> Error {
    row.error("doc_to_target", format!("gives {}, which is not among the choices", super::read::shown(target))).hint(
        "under letters a shot shows the letter of its right choice: name it by its index from 0 or by exactly its text",
    )
}
