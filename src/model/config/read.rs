//! Reading JSON of a checkpoint key by key.
//!
//! Comes in: a JSON object that somebody else wrote. Goes out: numbers, words and lists, or an error that names the key. Never:
//! what a key means.
//!
//! A missing key and a key that is `null` are different things: transformers fills in the family's default for the first and
//! takes the second at its word.

use crate::error::{Error, Result};
use crate::file;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::path::Path;

/// No dimension of a real model comes near this; a larger one would overflow products of dimensions.
const LARGEST_DIMENSION: usize = 1 << 24;

/// No JSON of a checkpoint besides its tokenizer comes near this (indexes of the largest models have 10 MB); as values it may take
/// thirty times the memory.
const LARGEST_JSON: u64 = 16 << 20;

/// Reads a JSON file of a checkpoint; `None` when it is not there.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let bytes = match file::read(path, LARGEST_JSON) {
        Ok(bytes) => bytes,
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(err) => return Err(Error::io("cannot read", path, err)),
    };
    let text = std::str::from_utf8(&bytes).map_err(|e| Error::input("is not UTF-8 text").file(path).cause(e))?;
    serde_json::from_str(text)
        .map(Some)
        .map_err(|e| Error::input("is not what it should be").at(path, e.line()).cause(e))
}

/// A JSON object, with the names that a family has for common keys.
#[derive(Clone, Copy)]
pub struct Written<'a> {
    map: &'a Map<String, Value>,
    /// Common key, the family's own name for it. The family's own name wins where both are there.
    spellings: &'static [(&'static str, &'static str)],
}

/// What stands at a key.
enum Found<'a> {
    Nothing,
    Null,
    /// The value with the name that it was found under.
    Value(&'a str, &'a Value),
}

impl<'a> Written<'a> {
    pub fn new(map: &'a Map<String, Value>, spellings: &'static [(&'static str, &'static str)]) -> Written<'a> {
        Written { map, spellings }
    }

    fn find(&self, key: &'a str) -> Found<'a> {
        let own = self.spellings.iter().filter(|(common, _)| *common == key).map(|(_, own)| *own);
        match own.chain([key]).find_map(|name| self.map.get_key_value(name)) {
            None => Found::Nothing,
            Some((_, Value::Null)) => Found::Null,
            Some((name, value)) => Found::Value(name, value),
        }
    }

    /// The value of a key, unless it is missing or `null`.
    pub fn value(&self, key: &'a str) -> Option<&'a Value> {
        match self.find(key) {
            Found::Value(_, value) => Some(value),
            _ => None,
        }
    }

    /// Reads a key: the default when it is missing, nothing when it is `null`.
    fn read<T>(
        &self,
        key: &'a str,
        default: Option<T>,
        what: &str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>> {
        match self.find(key) {
            Found::Nothing => Ok(default),
            Found::Null => Ok(None),
            Found::Value(name, value) => read(value).map(Some).ok_or_else(|| wrong(name, value, what)),
        }
    }

    /// A whole number from 0.
    pub fn number(&self, key: &'a str, default: Option<usize>) -> Result<Option<usize>> {
        self.read(key, default, "a whole number from 0", |v| v.as_u64().and_then(|n| usize::try_from(n).ok()))
    }

    /// A size: at least 1, and no larger than any model's.
    pub fn size(&self, key: &'a str, default: Option<usize>) -> Result<Option<usize>> {
        let size = self.number(key, default)?;
        size.map(|size| within(key, size, LARGEST_DIMENSION)).transpose()
    }

    /// A size that must be known.
    pub fn known_size(&self, key: &'a str, default: Option<usize>) -> Result<usize> {
        self.size(key, default)?.ok_or_else(|| Error::input("is missing").key(key))
    }

    /// A finite number.
    pub fn real(&self, key: &'a str, default: Option<f64>) -> Result<Option<f64>> {
        self.read(key, default, "a number", |v| v.as_f64().filter(|x| x.is_finite()))
    }

    /// A finite number above 0 that stays one in f32.
    pub fn positive(&self, key: &'a str, default: Option<f64>) -> Result<Option<f64>> {
        let value = self.real(key, default)?;
        match value.filter(|x| !(*x as f32 > 0.0 && (*x as f32).is_finite())) {
            Some(x) => Err(Error::input(format!("needs a number above 0, not {x}")).key(key)),
            None => Ok(value),
        }
    }

    /// `true` or `false`; `null` is the default too.
    pub fn flag(&self, key: &'a str, default: bool) -> Result<bool> {
        Ok(self.read(key, None, "true or false", Value::as_bool)?.unwrap_or(default))
    }

    pub fn word(&self, key: &'a str) -> Result<Option<&'a str>> {
        self.read(key, None, "a text", Value::as_str)
    }

    /// A list of what `read` takes.
    pub fn list<T>(&self, key: &'a str, what: &str, read: impl Fn(&'a Value) -> Option<T>) -> Result<Option<Vec<T>>> {
        self.read(key, None, &format!("a list of {what}"), |v| v.as_array()?.iter().map(&read).collect())
    }

    /// One token id or a list of them: the default when the key is missing, none when it is `null`.
    pub fn token_ids(&self, key: &'a str, default: Option<u32>) -> Result<Vec<u32>> {
        let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
        let ids = self.read(key, default.map(|id| vec![id]), "a token id or a list of them", |v| match v {
            Value::Array(ids) => ids.iter().map(id).collect(),
            one => id(one).map(|id| vec![id]),
        })?;
        Ok(ids.unwrap_or_default())
    }

    /// An object, unless it is missing, `null` or empty.
    pub fn object(&self, key: &'a str) -> Result<Option<&'a Map<String, Value>>> {
        Ok(self.read(key, None, "an object", Value::as_object)?.filter(|map| !map.is_empty()))
    }
}

/// Refuses sizes that no model has.
pub fn within(key: &str, size: usize, largest: usize) -> Result<usize> {
    if (1..=largest).contains(&size) {
        return Ok(size);
    }
    Err(Error::input(format!("{size} is not a possible size")).key(key))
}

fn wrong(key: &str, value: &Value, what: &str) -> Error {
    // The value is somebody else's: it may be very long.
    let shown: String = value.to_string().chars().take(40).collect();
    Error::input(format!("should be {what}, not {shown}")).key(key)
}
