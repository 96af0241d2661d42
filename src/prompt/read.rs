//! Reads what a task wants from a document: text, target, choices, prefix.

use crate::doc::Fields;
use crate::error::{Error, Result, suggestion};
use crate::python::literal;
use crate::python::repr::{repr, to_str};
use crate::python::text::isdigit;
use crate::task::{Choices, PromptSpec, ReadTarget, Source, Task};
use crate::template::{Context, Rendered, Templates, Was, own_text};
use serde_json::Value;
use std::collections::HashSet;

const DOC_TO_TEXT: &str = "doc_to_text";
const DOC_TO_TARGET: &str = "doc_to_target";

/// What a source gives, before it is read.
enum Printed {
    /// Of a column or the task file.
    Value(Value),
    /// Of a template.
    Text(Rendered),
}

/// Whether a template writes a list by its own words: brackets in its text or in a text of an expression, or `tojson`. One that only
/// prints what is in the data does not.
fn writes_list(source: &Source) -> bool {
    let Source::Text(template) = source else { return false };
    let opens = |quote: &str| template.contains(&format!("{quote}["));
    own_text(template).contains('[') || opens("'") || opens("\"") || template.contains("tojson")
}

/// A document with its name for messages.
pub struct Row<'a> {
    fields: &'a Fields,
    context: Context,
    label: String,
}

impl<'a> Row<'a> {
    pub fn new(fields: &'a Fields, label: String) -> Self {
        Row { fields, context: Context::new(fields), label }
    }

    /// An error about a key of the task in this document: the key, then what is wrong.
    pub fn error(&self, key: &str, problem: impl std::fmt::Display) -> Error {
        self.locate(Error::input(format!("{key} {problem}")), key)
    }

    /// Puts document and key to an error from below, whose line is one within a template.
    pub fn locate(&self, err: Error, key: &str) -> Error {
        let place = match err.place().line {
            Some(line) if line > 1 => format!("{}, {key} line {line}", self.label),
            _ => format!("{}, {key}", self.label),
        };
        let located = Error::input(err.message()).key(place);
        match err.hint_text() {
            Some(hint) => located.hint(hint),
            None => located,
        }
    }

    /// The value as a text; anything else is an error.
    pub fn string(&self, value: &Value, key: &str) -> Result<String> {
        match value {
            Value::String(text) => Ok(text.clone()),
            other => Err(self
                .error(key, format!("gives {}, not a text", shown(other)))
                .hint("a template makes a text of any value: `{{ column }}`")),
        }
    }

    fn column(&self, name: &str, key: &str) -> Result<Value> {
        self.fields.get(name).cloned().ok_or_else(|| {
            let columns: Vec<&str> = self.fields.keys().map(String::as_str).collect();
            self.error(key, format!("wants the column `{name}`, which is not there"))
                .hint(suggestion("columns", name, &columns))
        })
    }
}

/// What digits mean that a task names as right, where there are choices: decided by all documents of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Digits {
    /// Indices.
    #[default]
    Index,
    /// Indices, because they are numbers; and yet each is the text of a choice, not always of the one at that place.
    Doubtful,
    /// Texts of choices: each is one of them, not always the one at that place.
    Text,
}

/// A right answer as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub value: Value,
    /// The reference reads a list or an index where this is a text.
    pub reread: bool,
    /// An index whose digits are the text of another choice.
    pub doubtful: bool,
}

impl From<Value> for Answer {
    fn from(value: Value) -> Self {
        Answer { value, reread: false, doubtful: false }
    }
}

/// A value as Python prints it, cut short.
pub fn shown(value: &Value) -> String {
    const SHOWN: usize = 80;
    let text = repr(value);
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("`{}...`", &text[..end]),
        None => format!("`{text}`"),
    }
}

/// Reads documents of one task.
pub struct Reader<'a> {
    templates: Templates,
    /// Of the evaluated documents: they decide what is a column's name and what a template, for shots as well.
    columns: HashSet<&'a str>,
    /// Digits are numbers where there are choices to count.
    has_choices: bool,
    pub digits: Digits,
}

impl<'a> Reader<'a> {
    pub fn new(task: &Task, columns: &'a [String]) -> Self {
        Reader {
            templates: Templates::new(),
            columns: columns.iter().map(String::as_str).collect(),
            has_choices: task.prompt.doc_to_choice.is_some(),
            digits: Digits::Index,
        }
    }

    /// Whether a source is the name of a column.
    pub fn is_column(&self, source: &str) -> bool {
        self.columns.contains(source)
    }

    /// The columns of the evaluated documents.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().copied()
    }

    pub fn render(&self, row: &Row<'_>, template: &str, key: &str) -> Result<String> {
        self.templates.render_with(template, &row.context).map_err(|err| row.locate(err, key))
    }

    /// A column's value as Python prints it, or a template's text.
    pub fn column_or_template(&self, row: &Row<'_>, source: &str, key: &str) -> Result<String> {
        match self.is_column(source) {
            true => row.column(source, key).map(|value| to_str(&value)),
            false => self.render(row, source, key),
        }
    }

    /// `doc_to_text` as a question: a column's value, or a text.
    pub fn question(&self, row: &Row<'_>, source: &Source) -> Result<Value> {
        match source {
            Source::Text(template) if !self.is_column(template) => {
                self.render(row, template, DOC_TO_TEXT).map(Value::String)
            }
            other => self.text(row, other),
        }
    }

    /// `doc_to_text` as the reference reads it: a column's value, or a text, or (digits, with choices) a number.
    pub fn text(&self, row: &Row<'_>, source: &Source) -> Result<Value> {
        match source {
            Source::Int(number) => Ok(Value::from(*number)),
            Source::List(values) => Ok(Value::Array(values.clone())),
            Source::Text(column) if self.is_column(column) => row.column(column, DOC_TO_TEXT),
            Source::Text(template) => {
                let text = self.render(row, template, DOC_TO_TEXT)?;
                match self.has_choices && isdigit(&text) {
                    true => literal::parse(&text).map_err(|err| row.locate(err, DOC_TO_TEXT)),
                    false => Ok(Value::String(text)),
                }
            }
        }
    }

    /// Whether `doc_to_text` is a number by itself, and not a text that happens to be all digits.
    pub fn is_number(&self, row: &Row<'_>, source: &Source) -> Result<bool> {
        match source {
            Source::Text(template) if !self.is_column(template) => {
                Ok(self.rendered(row, template, DOC_TO_TEXT)?.was == Was::Number)
            }
            _ => Ok(true),
        }
    }

    fn rendered(&self, row: &Row<'_>, template: &str, key: &str) -> Result<Rendered> {
        self.templates.render_traced(template, &row.context).map_err(|err| row.locate(err, key))
    }

    /// `doc_to_target`: a column's value or what a template prints, read by `how`.
    pub fn target(&self, row: &Row<'_>, spec: &PromptSpec, how: ReadTarget, choices: &[String]) -> Result<Answer> {
        let printed = match self.printed(row, &spec.doc_to_target)? {
            Printed::Value(value) if how == ReadTarget::Text && (value.is_number() || value.is_boolean()) => {
                return Ok(Value::String(to_str(&value)).into());
            }
            Printed::Value(value) => {
                let doubtful = value.as_i64().is_some_and(|n| self.is_doubtful(&to_str(&value), n, choices));
                return Ok(Answer { doubtful, ..value.into() });
            }
            Printed::Text(printed) => printed,
        };
        if how == ReadTarget::Text {
            return Ok(Value::String(printed.text).into());
        }
        let text = printed.text.as_str();
        if text.len() >= 2 && text.starts_with('[') && text.ends_with(']') {
            let meant = how == ReadTarget::Literal || printed.was == Was::List || writes_list(&spec.doc_to_target);
            return Ok(match (literal::parse(text), meant) {
                (Ok(list), true) => list.into(),
                (Ok(_), false) => Answer { reread: true, ..Value::String(printed.text).into() },
                (Err(_), _) => Value::String(printed.text).into(),
            });
        }
        if !self.has_choices || !isdigit(text) {
            return Ok(Value::String(printed.text).into());
        }
        let number = literal::parse(text).map_err(|err| row.locate(err, DOC_TO_TARGET));
        let place = choices.iter().position(|choice| choice == text);
        match (how, self.digits, place) {
            (ReadTarget::Auto, Digits::Text, Some(place)) => match number {
                // The same choice either way: the index is what the reference writes.
                Ok(number) if number.as_u64() == Some(place as u64) => Ok(number.into()),
                _ => Ok(Answer { reread: true, ..Value::String(printed.text).into() }),
            },
            _ => number.map(|number| {
                let doubtful = number.as_i64().is_some_and(|n| self.is_doubtful(text, n, choices));
                Answer { doubtful, ..number.into() }
            }),
        }
    }

    fn is_doubtful(&self, text: &str, index: i64, choices: &[String]) -> bool {
        let place = choices.iter().position(|choice| choice == text);
        self.digits == Digits::Doubtful && place.is_some_and(|place| i64::try_from(place) != Ok(index))
    }

    fn printed(&self, row: &Row<'_>, source: &Source) -> Result<Printed> {
        match source {
            Source::Int(number) => Ok(Printed::Value(Value::from(*number))),
            Source::List(values) => Ok(Printed::Value(Value::Array(values.clone()))),
            Source::Text(column) if self.is_column(column) => row.column(column, DOC_TO_TARGET).map(Printed::Value),
            Source::Text(template) => self.rendered(row, template, DOC_TO_TARGET).map(Printed::Text),
        }
    }

    /// The digits that a document names as right, and whether they are a number by themselves; `None` where there are none to be read.
    pub fn digits_of(&self, row: &Row<'_>, source: &Source) -> Result<Option<(String, bool)>> {
        Ok(match self.printed(row, source)? {
            Printed::Value(Value::Number(number)) => Some((number.to_string(), true)),
            Printed::Value(_) => None,
            Printed::Text(printed) => isdigit(&printed.text).then_some((printed.text, printed.was == Was::Number)),
        })
    }

    /// `doc_to_choice`: at least one text; numbers and the like are written as Python writes them.
    pub fn choices(&self, row: &Row<'_>, source: &Choices) -> Result<Vec<String>> {
        const KEY: &str = "doc_to_choice";
        let value = match source {
            Choices::List(list) => return self.some_choices(row, list.clone()),
            Choices::Text(column) if self.columns.contains(column.as_str()) => row.column(column, KEY)?,
            Choices::Text(template) => {
                let text = self.render(row, template, KEY)?;
                literal::parse(&text).map_err(|err| row.locate(err, KEY))?
            }
        };
        match value {
            Value::Array(items) => self.some_choices(row, items.iter().map(to_str).collect()),
            other => Err(row
                .error(KEY, format!("gives {}, not a list", shown(&other)))
                .hint("name a column that holds a list, or write a template that prints one: `{{ [a, b] }}`")),
        }
    }

    fn some_choices(&self, row: &Row<'_>, choices: Vec<String>) -> Result<Vec<String>> {
        match choices.is_empty() {
            true => Err(row.error("doc_to_choice", "gives an empty list")),
            false => Ok(choices),
        }
    }

    /// A column of this very document, else a template; nothing for None.
    pub fn field_or_template(&self, row: &Row<'_>, source: &str, key: &str) -> Result<String> {
        match row.fields.get(source) {
            _ if source.is_empty() => Ok(String::new()),
            Some(Value::Null) => Ok(String::new()),
            Some(value) => row.string(value, key),
            None => self.render(row, source, key),
        }
    }

    /// The start of a shot's answer.
    pub fn shot_prefix(&self, row: &Row<'_>, source: Option<&str>) -> Result<Option<String>> {
        source.map(|source| self.field_or_template(row, source, "gen_prefix")).transpose()
    }

    /// The start of the evaluated document's answer.
    pub fn prefix(&self, row: &Row<'_>, source: Option<&str>) -> Result<Option<String>> {
        const KEY: &str = "gen_prefix";
        match source {
            None => Ok(None),
            Some(column) if self.columns.contains(column) => match row.column(column, KEY)? {
                Value::Null => Ok(None),
                value => row.string(&value, KEY).map(Some),
            },
            Some(template) => self.render(row, template, KEY).map(Some),
        }
    }
}
