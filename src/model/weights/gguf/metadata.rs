//! Values of a GGUF header by key, with the type that the reader expects.

use super::header::{self, DAMAGED, Header, Kind, Value, shown};
use crate::error::{Error, Result};
use crate::model::weights::bytes::Bytes;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The metadata of a file. Errors name the file and the key.
pub struct Metadata {
    file: PathBuf,
    bytes: Bytes,
    values: HashMap<String, Value>,
}

impl Metadata {
    pub(super) fn new(file: &Path, bytes: Bytes, header: &mut Header) -> Metadata {
        Metadata { file: file.to_path_buf(), bytes, values: std::mem::take(&mut header.values) }
    }

    /// The file that it was read from.
    pub fn file(&self) -> &Path {
        &self.file
    }

    pub fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// A text.
    pub fn text(&self, key: &str) -> Result<Option<&str>> {
        let Some(value) = self.values.get(key) else { return Ok(None) };
        let Value::Text(at) = value else { return Err(self.wrong(key, "a text")) };
        let bytes = self.bytes.get(at.clone()).unwrap_or_default();
        let text = std::str::from_utf8(bytes).map_err(|e| self.wrong(key, "UTF-8 text").cause(e))?;
        Ok(Some(text))
    }

    /// A whole number that is not negative.
    pub fn count(&self, key: &str) -> Result<Option<usize>> {
        match self.values.get(key) {
            None => Ok(None),
            Some(Value::Integer(value)) => {
                usize::try_from(*value).map(Some).map_err(|_| self.wrong(key, "a whole number of 0 or more"))
            }
            Some(_) => Err(self.wrong(key, "a whole number")),
        }
    }

    /// A finite number.
    pub fn number(&self, key: &str) -> Result<Option<f64>> {
        match self.values.get(key) {
            None => Ok(None),
            Some(Value::Float(value)) if value.is_finite() => Ok(Some(as_written(*value))),
            Some(Value::Integer(value)) => Ok(Some(*value as f64)),
            Some(_) => Err(self.wrong(key, "a finite number")),
        }
    }

    /// True or false.
    pub fn flag(&self, key: &str) -> Result<Option<bool>> {
        match self.values.get(key) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(_) => Err(self.wrong(key, "true or false")),
        }
    }

    /// A list of texts.
    pub fn texts(&self, key: &str) -> Result<Option<Vec<&str>>> {
        match self.values.get(key) {
            None => Ok(None),
            Some(Value::Array { kind: Kind::Text, count, bytes }) => {
                let bytes = self.bytes.get(bytes.clone()).unwrap_or_default();
                header::texts(*count, bytes).map(Some).map_err(|e| e.file(&self.file).key(shown(key)))
            }
            Some(_) => Err(self.wrong(key, "a list of texts")),
        }
    }

    /// A list of numbers.
    pub fn numbers(&self, key: &str) -> Result<Option<Vec<f64>>> {
        let Some(value) = self.values.get(key) else { return Ok(None) };
        let wrong = || self.wrong(key, "a list of numbers");
        let Value::Array { kind, bytes, .. } = value else { return Err(wrong()) };
        let values = kind.numbers(self.bytes.get(bytes.clone()).unwrap_or_default()).ok_or_else(wrong)?;
        let number = |value: Value| match value {
            Value::Float(value) => value,
            Value::Integer(value) => value as f64,
            _ => f64::from(u8::from(value == Value::Bool(true))),
        };
        Ok(Some(values.into_iter().map(number).collect()))
    }

    /// Is the value of the key a list?
    pub fn is_list(&self, key: &str) -> bool {
        matches!(self.values.get(key), Some(Value::Array { .. }))
    }

    /// An error about a key.
    pub fn error(&self, key: &str, message: impl Into<String>) -> Error {
        Error::input(message).file(&self.file).key(shown(key))
    }

    fn wrong(&self, key: &str, wanted: &str) -> Error {
        self.error(key, format!("is not {wanted}")).hint(DAMAGED)
    }
}

/// A number that went through f32 as it was written before: 0.00001, not 0.000009999999747378752.
pub(super) fn as_written(value: f64) -> f64 {
    let narrow = value as f32;
    if f64::from(narrow) == value { narrow.to_string().parse().unwrap_or(value) } else { value }
}
