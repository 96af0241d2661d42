//! Between JSON, template values and Python's way of printing them.

use crate::python::repr::{float_repr, string_repr};
use minijinja::value::{Value, ValueKind};
use serde_json::{Map, Number, Value as Json};

/// Nesting beyond which printing gives up; documents cannot be so deep, but a namespace can hold itself.
const MAX_DEPTH: usize = 150;

/// A JSON value for a template.
pub fn from_json(json: &Json) -> Value {
    match json {
        Json::Null => Value::from(()),
        Json::Bool(flag) => Value::from(*flag),
        Json::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(int), _, _) => Value::from(int),
            (_, Some(int), _) => Value::from(int),
            (_, _, float) => Value::from(float.unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => Value::from(items.iter().map(from_json).collect::<Vec<_>>()),
        Json::Object(map) => Value::from_pairs(map.iter().map(|(key, item)| (key.as_str(), from_json(item)))),
    }
}

/// A template value as JSON; `None` when it holds what JSON does not (undefined, functions, endless nesting) or more than `most` values.
pub fn to_json(value: &Value, most: usize) -> Option<Json> {
    let mut left = most;
    json_at(value, 0, &mut left)
}

fn json_at(value: &Value, depth: usize, left: &mut usize) -> Option<Json> {
    *left = left.checked_sub(1)?;
    if depth > MAX_DEPTH {
        return None;
    }
    Some(match value.kind() {
        ValueKind::None => Json::Null,
        ValueKind::Bool => Json::Bool(value.is_true()),
        ValueKind::Number => Json::Number(number(value)?),
        ValueKind::String => Json::String(value.as_str()?.to_string()),
        ValueKind::Seq | ValueKind::Iterable => {
            Json::Array(value.try_iter().ok()?.map(|item| json_at(&item, depth + 1, left)).collect::<Option<_>>()?)
        }
        ValueKind::Map => {
            let mut map = Map::new();
            for key in value.try_iter().ok()? {
                map.insert(json_key(&key)?, json_at(&value.get_item(&key).ok()?, depth + 1, left)?);
            }
            Json::Object(map)
        }
        _ => return None,
    })
}

fn number(value: &Value) -> Option<Number> {
    if value.is_integer() {
        let int = i128::try_from(value.clone()).ok()?;
        return i64::try_from(int).map(Number::from).or_else(|_| u64::try_from(int).map(Number::from)).ok();
    }
    Number::from_f64(f64::try_from(value.clone()).ok()?)
}

/// Keys as `json.dumps` writes them.
fn json_key(key: &Value) -> Option<String> {
    match key.kind() {
        ValueKind::String => key.as_str().map(str::to_owned),
        ValueKind::None => Some("null".to_string()),
        ValueKind::Bool => Some(key.is_true().to_string()),
        ValueKind::Number => Some(to_str(key)),
        _ => None,
    }
}

/// Python's `str(value)`; nothing for an undefined value.
pub fn to_str(value: &Value) -> String {
    to_str_within(value, usize::MAX).unwrap_or_default()
}

/// The same, if it is no longer than `most` bytes.
pub fn to_str_within(value: &Value, most: usize) -> Option<String> {
    match value.as_str() {
        Some(text) => (text.len() <= most).then(|| text.to_string()),
        None if value.is_undefined() => Some(String::new()),
        None => {
            let mut repr = Repr { out: String::new(), most };
            repr.write(value, 0)?;
            (repr.out.len() <= most).then_some(repr.out)
        }
    }
}

/// The beginning of `str(value)`, for errors.
pub fn excerpt(value: &Value) -> String {
    /// Characters shown.
    const SHOWN: usize = 100;
    let mut repr = Repr { out: String::new(), most: 8 * SHOWN };
    match value.as_str() {
        // A character has four bytes at most.
        Some(text) => repr.out.extend(text.chars().take(SHOWN + 1)),
        None => drop(repr.write(value, 0)),
    }
    let shown: String = repr.out.chars().take(SHOWN).collect();
    if shown.len() < repr.out.len() { format!("{shown}...") } else { shown }
}

/// A text that grows to a limit.
struct Repr {
    out: String,
    most: usize,
}

impl Repr {
    /// `None`: it is too long.
    fn write(&mut self, value: &Value, depth: usize) -> Option<()> {
        if self.out.len() > self.most {
            return None;
        }
        if depth > MAX_DEPTH {
            self.out.push_str("...");
            return Some(());
        }
        match value.kind() {
            ValueKind::Undefined => self.out.push_str("Undefined"),
            ValueKind::String => self.out.push_str(&string_repr(value.as_str().unwrap_or_default())),
            ValueKind::Number if !value.is_integer() => {
                self.out.push_str(&f64::try_from(value.clone()).map_or_else(|_| value.to_string(), float_repr));
            }
            ValueKind::Seq | ValueKind::Iterable => self.sequence(value, depth)?,
            ValueKind::Map => {
                self.out.push('{');
                for (i, key) in value.try_iter().into_iter().flatten().enumerate() {
                    self.out.push_str(if i > 0 { ", " } else { "" });
                    self.write(&key, depth + 1)?;
                    self.out.push_str(": ");
                    self.write(&value.get_item(&key).unwrap_or_default(), depth + 1)?;
                }
                self.out.push('}');
            }
            // True, False, None and integers are written as Python writes them.
            _ => self.out.push_str(&value.to_string()),
        }
        Some(())
    }

    fn sequence(&mut self, value: &Value, depth: usize) -> Option<()> {
        let (open, close) = if value.is_tuple() { ('(', ')') } else { ('[', ']') };
        self.out.push(open);
        let mut count = 0;
        for item in value.try_iter().into_iter().flatten() {
            self.out.push_str(if count > 0 { ", " } else { "" });
            self.write(&item, depth + 1)?;
            count += 1;
        }
        if value.is_tuple() && count == 1 {
            self.out.push(',');
        }
        self.out.push(close);
        Some(())
    }
}
