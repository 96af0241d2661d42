//! Typed reading of YAML values: each reader names the key, what it wants and what it found.

use super::config::find;
use crate::error::{Error, Result, suggestion};
use crate::yaml::{Entry, Value, Yaml};

/// The keys of one mapping.
#[derive(Clone, Copy)]
pub struct Keys<'a> {
    entries: &'a [Entry],
    /// What the mapping is, for messages: `a metric`.
    what: &'static str,
}

impl<'a> Keys<'a> {
    pub fn new(entries: &'a [Entry], what: &'static str) -> Self {
        Keys { entries, what }
    }

    /// The keys of a value that must be a mapping.
    pub fn of(yaml: &'a Yaml, key: &str, what: &'static str) -> Result<Self> {
        match &yaml.value {
            Value::Map(entries) => Ok(Keys { entries, what }),
            _ => Err(wrong(yaml, key, "a mapping")),
        }
    }

    pub fn entries(&self) -> &'a [Entry] {
        self.entries
    }

    /// The value of a key; absent and null are the same.
    pub fn get(&self, key: &str) -> Option<&'a Yaml> {
        find(self.entries, key).filter(|yaml| yaml.value != Value::Null)
    }

    /// The value of a key that must be there.
    pub fn need(&self, key: &str, at: &Yaml) -> Result<&'a Yaml> {
        self.get(key).ok_or_else(|| at.error(format!("{} needs `{key}`", self.what)))
    }

    pub fn text(&self, key: &str) -> Result<Option<&'a str>> {
        self.get(key).map(|yaml| text(yaml, key)).transpose()
    }

    pub fn flag(&self, key: &str) -> Result<Option<bool>> {
        self.get(key).map(|yaml| flag(yaml, key)).transpose()
    }

    pub fn count(&self, key: &str) -> Result<Option<usize>> {
        self.get(key).map(|yaml| count(yaml, key)).transpose()
    }

    pub fn texts(&self, key: &str) -> Result<Option<Vec<String>>> {
        self.get(key).map(|yaml| texts(yaml, key)).transpose()
    }

    /// Gives an error of another wing its place: the key that it names, if that stands here, else `at`.
    pub fn place(&self, err: Error, at: &Yaml) -> Error {
        let named = err.place().key.clone();
        let entry = named.and_then(|key| self.entries.iter().find(|entry| entry.key.key_text() == key));
        let yaml = entry.map_or(at, |entry| &entry.key);
        err.at(&yaml.file, yaml.line)
    }

    /// Refuses keys that are not in the list.
    pub fn only(&self, known: &[&str]) -> Result<()> {
        for entry in self.entries {
            let name = entry.key.key_text();
            if !matches!(entry.key.value, Value::Str(_)) || !known.contains(&name.as_str()) {
                return Err(unknown(&entry.key, &format!("unknown key `{name}` in {}", self.what), &name, known));
            }
        }
        Ok(())
    }
}

/// An error about a word that is not one of those known, with the nearest of them or a handful.
pub fn unknown(at: &Yaml, message: &str, word: &str, known: &[&str]) -> Error {
    let err = at.error(message);
    if known.is_empty() { err } else { err.hint(suggestion("known here", word, known)) }
}

/// A value of the wrong type; a Python function is refused as such.
pub fn wrong(yaml: &Yaml, key: &str, wanted: &str) -> Error {
    if let Some(refused) = yaml.refused(key) {
        return refused;
    }
    let err = yaml.error(format!("`{key}` must be {wanted}, not {}", yaml.describe()));
    match yaml.value {
        Value::Bool(_) if wanted.contains("text") => {
            err.hint("yes, no, on and off are booleans in YAML 1.1: put text in quotes")
        }
        Value::Int(_) | Value::Float(_) if wanted.contains("text") => err.hint("put text in quotes"),
        _ => err,
    }
}

pub fn text<'a>(yaml: &'a Yaml, key: &str) -> Result<&'a str> {
    match &yaml.value {
        Value::Str(text) => Ok(text),
        _ => Err(wrong(yaml, key, "text")),
    }
}

pub fn flag(yaml: &Yaml, key: &str) -> Result<bool> {
    match yaml.value {
        Value::Bool(flag) => Ok(flag),
        _ => Err(wrong(yaml, key, "true or false")),
    }
}

pub fn count(yaml: &Yaml, key: &str) -> Result<usize> {
    match yaml.value {
        Value::Int(number) => usize::try_from(number).map_err(|_| wrong(yaml, key, "a number from 0")),
        _ => Err(wrong(yaml, key, "a whole number from 0")),
    }
}

pub fn list<'a>(yaml: &'a Yaml, key: &str) -> Result<&'a [Yaml]> {
    match &yaml.value {
        Value::Seq(items) => Ok(items),
        _ => Err(wrong(yaml, key, "a list")),
    }
}

/// A text, or a list of texts.
pub fn texts(yaml: &Yaml, key: &str) -> Result<Vec<String>> {
    match &yaml.value {
        Value::Str(text) => Ok(vec![text.clone()]),
        Value::Seq(items) => items.iter().map(|item| Ok(text(item, key)?.to_owned())).collect(),
        _ => Err(wrong(yaml, key, "a text or a list of texts")),
    }
}

/// A text that must be a valid template.
pub fn template(yaml: &Yaml, key: &str) -> Result<String> {
    let source = text(yaml, key)?;
    crate::template::check(source).map_err(|err| {
        // The template's own lines are not the file's.
        let within = match err.place().line {
            Some(line) if source.contains('\n') => format!(" (line {line} of the template)"),
            _ => String::new(),
        };
        let outer = yaml.error(format!("`{key}` is no valid template: {}{within}", err.message()));
        match err.hint_text() {
            Some(hint) => outer.hint(hint),
            None => outer,
        }
    })?;
    Ok(source.to_owned())
}
