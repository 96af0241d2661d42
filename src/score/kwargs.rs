//! Reads the arguments that a task file gives to a filter or metric.

use super::pattern::Pattern;
use crate::error::{Error, Result};
use crate::stats::{AVERAGES, Average};
use serde_json::{Map, Value};
use std::sync::Arc;

/// Arguments by name, with their types checked as they are read.
#[derive(Clone, Copy)]
pub struct Kwargs<'a>(pub &'a Map<String, Value>);

impl<'a> Kwargs<'a> {
    /// The value, unless it is missing or null.
    pub fn get(self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    pub fn text(self, name: &str) -> Result<Option<&'a str>> {
        self.typed(name, "text", Value::as_str)
    }

    pub fn integer(self, name: &str) -> Result<Option<i64>> {
        self.typed(name, "a whole number", Value::as_i64)
    }

    /// `false` when missing.
    pub fn flag(self, name: &str) -> Result<bool> {
        self.flag_or(name, false)
    }

    pub fn flag_or(self, name: &str, default: bool) -> Result<bool> {
        Ok(self.typed(name, "true or false", Value::as_bool)?.unwrap_or(default))
    }

    pub fn map(self, name: &str) -> Result<Option<&'a Map<String, Value>>> {
        self.typed(name, "a mapping", Value::as_object)
    }

    /// How `f1` puts labels together; binary when missing.
    pub fn average(self) -> Result<Average> {
        let Some(name) = self.text("average")? else { return Ok(Average::default()) };
        AVERAGES.iter().find(|(known, _)| *known == name).map(|(_, average)| *average).ok_or_else(|| {
            let known: Vec<&str> = AVERAGES.iter().map(|(known, _)| *known).collect();
            Error::input(format!("`average` cannot be `{name}`"))
                .key("average")
                .hint(format!("one of {}", known.join(", ")))
        })
    }

    /// A pattern, or the default one.
    pub fn pattern(self, name: &str, default: &str) -> Result<Arc<Pattern>> {
        Pattern::cached(self.text(name)?.unwrap_or(default)).map_err(|err| err.key(name))
    }

    /// A list of patterns; none when missing.
    pub fn patterns(self, name: &str) -> Result<Vec<Arc<Pattern>>> {
        let list = self.typed(name, "a list of regular expressions", Value::as_array)?;
        list.into_iter()
            .flatten()
            .map(|item| match item.as_str() {
                Some(source) => Pattern::cached(source).map_err(|err| err.key(name)),
                None => Err(wrong(name, "a list of regular expressions", item)),
            })
            .collect()
    }

    fn typed<T>(self, name: &str, wanted: &str, read: impl Fn(&'a Value) -> Option<T>) -> Result<Option<T>> {
        self.get(name).map(|value| read(value).ok_or_else(|| wrong(name, wanted, value))).transpose()
    }
}

fn wrong(name: &str, wanted: &str, value: &Value) -> Error {
    Error::input(format!("`{name}` must be {wanted}, not {value}")).key(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_types_are_named() {
        let map = serde_json::json!({"k": "8", "flag": 1, "list": [","], "bad": [1], "none": null});
        let kwargs = Kwargs(map.as_object().unwrap());
        let err = kwargs.integer("k").unwrap_err();
        assert_eq!(err.to_string(), "k: `k` must be a whole number, not \"8\"");
        assert!(kwargs.flag("flag").is_err());
        assert_eq!(kwargs.patterns("list").unwrap().len(), 1);
        assert!(kwargs.patterns("bad").is_err());
        assert_eq!(kwargs.text("none").unwrap(), None);
        assert!(!kwargs.flag("missing").unwrap());
    }
}
