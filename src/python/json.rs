//! `json.dumps` as CPython writes it, and the hash over it.

use super::repr::float_repr;
use serde_json::{Number, Value};
use sha2::{Digest, Sha256};
use std::borrow::Cow;

/// How `json.dumps` is called.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Style<'a> {
    /// `indent`: spaces for each level; `None` writes one line.
    pub indent: Option<usize>,
    /// `ensure_ascii`: everything beyond ASCII as `\uXXXX`.
    pub ascii: bool,
    /// `sort_keys`.
    pub sort_keys: bool,
    /// `separators`: what stands between items, and between a key and its value.
    pub separators: Option<(&'a str, &'a str)>,
}

impl<'a> Style<'a> {
    /// Between items; Python drops the blank where it breaks lines.
    fn between(&self) -> &'a str {
        self.separators.map_or(if self.indent.is_some() { "," } else { ", " }, |(items, _)| items)
    }

    fn after_key(&self) -> &'a str {
        self.separators.map_or(": ", |(_, key)| key)
    }
}

/// `json.dumps(value, ensure_ascii=False)`.
pub fn dumps(value: &Value) -> String {
    dumps_with(value, Style::default())
}

/// `json.dumps(value, indent=2, ensure_ascii=False)`.
pub fn dumps_indented(value: &Value) -> String {
    dumps_with(value, Style { indent: Some(2), ..Style::default() })
}

/// `json.dumps(value, ...)` in the given style.
pub fn dumps_with(value: &Value, style: Style<'_>) -> String {
    let mut out = String::new();
    write_value(&mut out, value, style, 0);
    out
}

/// SHA-256 of the UTF-8 bytes, in hexadecimal: `hashlib.sha256(text.encode()).hexdigest()`.
pub fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What Python's `json.dumps` writes for numbers that JSON does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Constant {
    NaN,
    Infinity,
    MinusInfinity,
}

/// The text with every `NaN`, `Infinity` and `-Infinity` outside strings replaced by JSON that `written` gives.
pub fn replace_constants<'t>(text: &'t str, written: impl Fn(Constant) -> &'t str) -> Cow<'t, str> {
    const WORDS: [(&str, Constant); 3] =
        [("NaN", Constant::NaN), ("Infinity", Constant::Infinity), ("-Infinity", Constant::MinusInfinity)];
    if !text.contains("NaN") && !text.contains("Infinity") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut in_string = false;
    let (mut at, mut copied) = (0, 0);
    while let Some(byte) = text.as_bytes().get(at) {
        match byte {
            b'\\' if in_string => at += 1,
            b'"' => in_string = !in_string,
            b'N' | b'I' | b'-' if !in_string => {
                let rest = text.get(at..).unwrap_or_default();
                if let Some((word, constant)) = WORDS.into_iter().find(|(word, _)| rest.starts_with(word)) {
                    out += text.get(copied..at).unwrap_or_default();
                    out += written(constant);
                    at += word.len();
                    copied = at;
                    continue;
                }
            }
            _ => {}
        }
        at += 1;
    }
    out += text.get(copied..).unwrap_or_default();
    Cow::Owned(out)
}

/// JSON as Python writes it, in standard JSON: null for `NaN`, texts for the infinities (see
/// [`figure_json`](crate::estimate::figure_json)).
pub fn standard(text: &str) -> Cow<'_, str> {
    replace_constants(text, |constant| match constant {
        Constant::NaN => "null",
        Constant::Infinity => "\"Infinity\"",
        Constant::MinusInfinity => "\"-Infinity\"",
    })
}

fn write_value(out: &mut String, value: &Value, style: Style<'_>, depth: usize) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => out.push_str(&number_text(number)),
        Value::String(text) => write_string(out, text, style.ascii),
        Value::Array(items) if items.is_empty() => out.push_str("[]"),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                write_break(out, style, depth + 1, i);
                write_value(out, item, style, depth + 1);
            }
            write_end(out, style, depth);
            out.push(']');
        }
        Value::Object(map) if map.is_empty() => out.push_str("{}"),
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            if style.sort_keys {
                entries.sort_by(|a, b| a.0.cmp(b.0));
            }
            out.push('{');
            for (i, (key, item)) in entries.into_iter().enumerate() {
                write_break(out, style, depth + 1, i);
                write_string(out, key, style.ascii);
                out.push_str(style.after_key());
                write_value(out, item, style, depth + 1);
            }
            write_end(out, style, depth);
            out.push('}');
        }
    }
}

/// What stands before element `i`.
fn write_break(out: &mut String, style: Style<'_>, depth: usize, i: usize) {
    out.push_str(if i > 0 { style.between() } else { "" });
    if let Some(indent) = style.indent {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', indent * depth));
    }
}

fn write_end(out: &mut String, style: Style<'_>, depth: usize) {
    if let Some(indent) = style.indent {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', indent * depth));
    }
}

/// An integer as it is, a float as `repr(float)`.
fn number_text(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() => float_repr(float),
        _ => number.to_string(),
    }
}

fn write_string(out: &mut String, text: &str, ascii: bool) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if (c as u32) < 0x20 => out.push_str(&format!("\\u{:04x}", c as u32)),
            c if ascii && !c.is_ascii() => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    //! Expected texts were printed by CPython 3.11.
    use super::*;
    use serde_json::json;

    #[test]
    fn one_line() {
        let value = json!({"a": [1, 2.0, 1e-5, 1e16, -0.0, 123456789012345680.0], "é\u{7f}": "\u{1}\"\\\u{2028}\n", "n": null,
                           "e": [], "o": {}, "t": true});
        let expected = r#"{"a": [1, 2.0, 1e-05, 1e+16, -0.0, 1.2345678901234568e+17], "é": "\u0001\"\\ \n", "n": null, "e": [], "o": {}, "t": true}"#
            .replace("\"é\"", "\"é\u{7f}\"")
            .replace("\\\\ \\n", "\\\\\u{2028}\\n");
        assert_eq!(dumps(&value), expected);
    }

    #[test]
    fn indented() {
        let value = json!({"a": [1, {"b": []}], "c": {}});
        assert_eq!(
            dumps_indented(&value),
            "{\n  \"a\": [\n    1,\n    {\n      \"b\": []\n    }\n  ],\n  \"c\": {}\n}"
        );
    }

    #[test]
    fn constants_of_python_are_replaced_outside_strings() {
        let text = r#"{"a": NaN, "NaN": [-Infinity, "x\"NaN", Infinity], "b": -1}"#;
        let value: Value = serde_json::from_str(&standard(text)).unwrap();
        assert_eq!(value, json!({"a": null, "NaN": ["-Infinity", "x\"NaN", "Infinity"], "b": -1}));
        assert!(matches!(standard(r#"{"a": 1}"#), Cow::Borrowed(_)));
    }

    #[test]
    fn ascii_and_sorted() {
        let style = Style { ascii: true, sort_keys: true, ..Style::default() };
        assert_eq!(dumps_with(&json!({"b": "é😀", "a": 1}), style), r#"{"a": 1, "b": "\u00e9\ud83d\ude00"}"#);
    }

    #[test]
    fn hash() {
        assert_eq!(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
