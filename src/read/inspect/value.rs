//! The value of a score as a number, as Inspect's `value_to_float` makes it.
//!
//! Source: inspect_ai 0.3.285, `scorer/_metric.py`.

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// Keys of a score at most, and bytes of their names.
const MOST_KEYS: usize = 1000;
pub(super) const LONGEST_NAME: usize = 4096;

/// What a score's value says.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// Not scored: NaN, or none.
    None,
    Number(f64),
    /// By key, each a number or not scored.
    Keys(Vec<(String, Option<f64>)>),
    /// A list: it has no number of its own.
    List,
}

impl Value {
    /// The number of the whole, or under a key.
    pub(super) fn number(&self, key: Option<&str>) -> Option<f64> {
        match (self, key) {
            (Value::Number(number), None) => Some(*number),
            (Value::Keys(keys), Some(key)) => keys.iter().find(|(name, _)| name == key)?.1,
            _ => None,
        }
    }
}

/// `C`, `P`, `I` and `N` (correct, partial, incorrect, no answer), yes and no, numbers in text. Anything else counts 0, as it does in
/// Inspect's own figures.
fn of_text(text: &str) -> f64 {
    match text {
        "C" => return 1.0,
        "P" => return 0.5,
        "I" | "N" => return 0.0,
        _ => {}
    }
    match text.to_lowercase().as_str() {
        "yes" | "true" => 1.0,
        "no" | "false" => 0.0,
        other => python_float(other).unwrap_or(0.0),
    }
}

/// `float(text)` of a finite number: blanks around it and single underscores between digits are allowed.
fn python_float(text: &str) -> Option<f64> {
    let text = text.trim();
    let digit = |at: Option<usize>| at.and_then(|at| text.as_bytes().get(at)).is_some_and(u8::is_ascii_digit);
    let between = |(at, _): (usize, &str)| digit(at.checked_sub(1)) && digit(Some(at + 1));
    if !text.match_indices('_').all(between) {
        return None;
    }
    text.replace('_', "").parse().ok().filter(|number: &f64| number.is_finite())
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(Values)
    }
}

struct Values;

impl<'de> Visitor<'de> for Values {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value of a score")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::None)
    }

    fn visit_bool<E: Error>(self, right: bool) -> Result<Value, E> {
        Ok(Value::Number(f64::from(u8::from(right))))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number as f64))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number as f64))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        Ok(if number.is_finite() { Value::Number(number) } else { Value::None })
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Number(of_text(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::List)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut keys = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            let value: Value = map.next_value()?;
            if keys.len() >= MOST_KEYS || key.len() > LONGEST_NAME {
                return Err(A::Error::custom(format!("a score of more than {MOST_KEYS} keys, or with a long one")));
            }
            keys.push((key, value.number(None)));
        }
        Ok(Value::Keys(keys))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of inspect_ai 0.3.285: `[value_to_float()(v) for v in ...]`.
    #[test]
    fn values_are_numbers_as_inspect_has_them() {
        let cases = [
            ("C", 1.0),
            ("I", 0.0),
            ("P", 0.5),
            ("N", 0.0),
            ("c", 0.0),
            ("Yes", 1.0),
            ("FALSE", 0.0),
            ("no", 0.0),
            ("0.75", 0.75),
            ("-1e1", -10.0),
            (" 7 ", 7.0),
            ("1_000", 1000.0),
            ("1__0", 0.0),
            ("inf", 0.0),
            ("nan", 0.0),
            ("maybe", 0.0),
            ("", 0.0),
        ];
        for (text, number) in cases {
            assert_eq!(of_text(text), number, "{text:?}");
        }
    }

    #[test]
    fn values_of_all_kinds() {
        let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(value("true"), Value::Number(1.0));
        assert_eq!(value("-3"), Value::Number(-3.0));
        assert_eq!(value("null"), Value::None);
        assert_eq!(value("[1, [2]]"), Value::List);
        let keys = value(r#"{"a": "C", "b": null, "c": [1]}"#);
        assert_eq!(keys.number(Some("a")), Some(1.0));
        assert_eq!((keys.number(Some("b")), keys.number(Some("c")), keys.number(None)), (None, None, None));
    }
}
