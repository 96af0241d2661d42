//! Reads what a task wants from a document: text, target, choices, prefix.

use crate::doc::Fields;
use crate::error::{Error, Result};
use crate::python::literal;
use crate::python::repr::{repr, to_str};
use crate::python::text::isdigit;
use crate::task::{Choices, Source, Task};
use crate::template::{Context, Templates};
use serde_json::Value;
use std::collections::HashSet;

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
                .hint(format!("columns: {}", crate::visible::list(&columns)))
        })
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
}

impl<'a> Reader<'a> {
    pub fn new(task: &Task, columns: &'a [String]) -> Self {
        Reader {
            templates: Templates::new(),
            columns: columns.iter().map(String::as_str).collect(),
            has_choices: task.prompt.doc_to_choice.is_some(),
        }
    }

    pub fn render(&self, row: &Row<'_>, template: &str, key: &str) -> Result<String> {
        self.templates.render_with(template, &row.context).map_err(|err| row.locate(err, key))
    }

    /// `doc_to_text`: a column's value, or a text, or (digits, with choices) a number.
    pub fn text(&self, row: &Row<'_>, source: &Source) -> Result<Value> {
        const KEY: &str = "doc_to_text";
        match source {
            Source::Int(number) => Ok(Value::from(*number)),
            Source::List(values) => Ok(Value::Array(values.clone())),
            Source::Text(column) if self.columns.contains(column.as_str()) => row.column(column, KEY),
            Source::Text(template) => {
                let text = self.render(row, template, KEY)?;
                self.number_or_text(row, text, KEY)
            }
        }
    }

    /// `doc_to_target`: as `doc_to_text`, and a text in square brackets is read as a Python list if it is one.
    pub fn target(&self, row: &Row<'_>, source: &Source) -> Result<Value> {
        const KEY: &str = "doc_to_target";
        match source {
            Source::Int(number) => Ok(Value::from(*number)),
            Source::List(values) => Ok(Value::Array(values.clone())),
            Source::Text(column) if self.columns.contains(column.as_str()) => row.column(column, KEY),
            Source::Text(template) => {
                let text = self.render(row, template, KEY)?;
                let bracketed = text.len() >= 2 && text.starts_with('[') && text.ends_with(']');
                match bracketed.then(|| literal::parse(&text)) {
                    Some(Ok(list)) => Ok(list),
                    Some(Err(_)) => Ok(Value::String(text)),
                    None => self.number_or_text(row, text, KEY),
                }
            }
        }
    }

    fn number_or_text(&self, row: &Row<'_>, text: String, key: &str) -> Result<Value> {
        match self.has_choices && isdigit(&text) {
            true => literal::parse(&text).map_err(|err| row.locate(err, key)),
            false => Ok(Value::String(text)),
        }
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
