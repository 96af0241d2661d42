//! What is valid and cannot have been meant, found while a task's prompts are made.

use super::read::{Answer, Reader};
use crate::error::nearest;
use crate::remark::Remark;
use crate::task::{Choices, PromptSpec, Source, Task};
use crate::template::own_text;
use serde_json::Value;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

/// Counts over the documents of a task.
#[derive(Debug, Default)]
pub struct Oddities {
    /// Prompts whose shots show the document that is asked about.
    pub own_shots: usize,
    /// Answers that are a text here and a list or an index for the reference.
    lists: usize,
    digits: usize,
    /// Indices that are the text of another choice.
    doubtful: usize,
    /// Of the question, the choices and what is scored: of the first document, and whether another one differs.
    first: Option<u64>,
    differ: bool,
}

impl Oddities {
    /// Takes in how a right answer was read.
    pub fn answer(&mut self, answer: &Answer) {
        let is_list = answer.value.as_str().is_some_and(|text| text.starts_with('['));
        self.lists += usize::from(answer.reread && is_list);
        self.digits += usize::from(answer.reread && !is_list);
        self.doubtful += usize::from(answer.doubtful);
    }

    /// Takes in what a document asks, without its shots.
    pub fn asked(&mut self, question: &Value, choices: &[String], continuation: Option<&Value>) {
        let mut hasher = DefaultHasher::new();
        question.to_string().hash(&mut hasher);
        choices.hash(&mut hasher);
        continuation.map(Value::to_string).hash(&mut hasher);
        let found = hasher.finish();
        self.differ |= self.first.is_some_and(|first| first != found);
        self.first.get_or_insert(found);
    }

    /// All of it in words; `docs` documents were looked at.
    pub fn remarks(&self, task: &Task, reader: &Reader<'_>, docs: usize) -> Vec<Remark> {
        let mut remarks = Vec::new();
        let mut warn = |touched: usize, what: &'static str, text: String| {
            if touched > 0 {
                remarks.push(Remark::warning(task.name.as_str(), text).count(touched, docs, what));
            }
        };
        warn(
            self.own_shots,
            "prompts",
            "shots show the document that is asked about, with its answer; lm-evaluation-harness makes the same prompts; \
             `exclude_evaluated: true` in `fewshot_config`, or `--exclude-evaluated`, keeps it out"
                .to_owned(),
        );
        warn(
            self.lists,
            "documents",
            "the right answer is a text in square brackets and is compared as that text; lm-evaluation-harness reads it as a list of \
             answers; `read_target: literal` does so here, `read_target: text` says that it is a text"
                .to_owned(),
        );
        warn(
            self.digits,
            "documents",
            "the right answer is a text of digits that is one of the choices and names that choice; lm-evaluation-harness takes it for an \
             index; `read_target: literal` does so here, `read_target: text` says that it is a text"
                .to_owned(),
        );
        warn(
            self.doubtful,
            "documents",
            "the right answer is a number and names the choice at that place, counted from 0; another choice is that very number; \
             `read_target: text` takes the choice that reads so"
                .to_owned(),
        );
        for (key, problem) in written_oddly(task, reader) {
            warn(docs, "documents", format!("`{key}`: {problem}"));
        }
        if docs > 1 && !self.differ {
            warn(
                docs,
                "documents",
                "all documents ask the very same: no column that differs stands in the prompt".into(),
            );
        }
        remarks
    }
}

/// Keys of the task file whose text names columns in a way that prints none.
fn written_oddly(task: &Task, reader: &Reader<'_>) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut look = |key: String, source: &str, may_be_column: bool| {
        if may_be_column && reader.is_column(source) {
            return;
        }
        let names = braced(source).into_iter().filter(|name| reader.is_column(name));
        found.extend(names.map(|name| {
            let problem = format!("`{{{name}}}` in single braces prints no column: did you mean `{{{{{name}}}}}`?");
            (key.clone(), problem)
        }));
        if may_be_column && let Some(near) = misspelt_column(source, reader) {
            found
                .push((key, format!("`{source}` is no column and stands as it is: did you mean the column `{near}`?")));
        }
    };
    look("description".into(), &task.description, false);
    let (own, shots) = (&task.prompt, &task.fewshot.prompt);
    for (before, spec, other) in [("", own, None), ("fewshot_config.", shots, Some(own))] {
        for (key, text, may_be_column) in texts(spec) {
            let is_inherited = other.is_some_and(|other| texts(other).iter().any(|(k, t, _)| *k == key && *t == text));
            if !is_inherited {
                look(format!("{before}{key}"), text, may_be_column);
            }
        }
    }
    found
}

/// The templates of a prompt with their keys, and whether each may be the name of a column.
fn texts(spec: &PromptSpec) -> Vec<(&'static str, &str, bool)> {
    let mut texts = Vec::new();
    for (key, source) in [("doc_to_text", &spec.doc_to_text), ("doc_to_target", &spec.doc_to_target)] {
        if let Source::Text(text) = source {
            texts.push((key, text.as_str(), true));
        }
    }
    match &spec.doc_to_choice {
        Some(Choices::Text(text)) => texts.push(("doc_to_choice", text, true)),
        Some(Choices::List(list)) => texts.extend(list.iter().map(|text| ("doc_to_choice", text.as_str(), false))),
        None => {}
    }
    texts.extend(spec.gen_prefix.as_deref().map(|text| ("gen_prefix", text, true)));
    texts
}

/// The names in single braces of a template's own text, each once.
fn braced(template: &str) -> Vec<String> {
    let text = own_text(template);
    let mut names: Vec<String> = Vec::new();
    for piece in text.split('{').skip(1) {
        let Some((name, _)) = piece.split_once('}') else { continue };
        let name = name.trim();
        if is_word(name) && !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// The column that a lone word nearly is.
fn misspelt_column<'a>(source: &str, reader: &'a Reader<'_>) -> Option<&'a str> {
    let mut columns: Vec<&str> = reader.columns().collect();
    columns.sort_unstable();
    is_word(source).then(|| nearest(source, columns)).flatten()
}

fn is_word(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_numeric())
        && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_single_braces() {
        assert_eq!(
            braced("Premise: {premise}\n{ hypothesis } {{premise}} {% if a %}{x}{% endif %} {1} {a b} {premise}"),
            ["premise", "hypothesis", "x"]
        );
        assert!(braced("{{ {'a': 1}['a'] }} \\boxed{}").is_empty());
    }
}
