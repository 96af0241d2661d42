//! `ast.literal_eval`: reads a Python literal without running anything.
//!
//! JSON has fewer kinds of values than Python, so tuples and sets become lists, and keys of dicts become strings (a number
//! or constant as `str` would write it). What JSON cannot hold is an error: bytes, complex numbers, integers beyond 64 bits,
//! lone surrogates, infinite floats. `\N{...}` is refused by name: it would need the table of all character names.

use super::repr::to_str;
use crate::error::{Error, Result};
use serde_json::{Map, Number, Value};

/// Nesting that CPython's own parser allows.
const MAX_DEPTH: usize = 200;

/// The value that `ast.literal_eval(text)` gives.
pub fn parse(text: &str) -> Result<Value> {
    let mut parser = Parser { chars: text.chars().collect(), at: 0, depth: 0 };
    parser.whole().map_err(|problem| {
        Error::input(format!("not a Python literal: {problem} at character {}: {}", parser.at + 1, excerpt(text))).hint(
            "a literal is a quoted string, a number, True, False, None, or a list, tuple, set or dict of literals",
        )
    })
}

/// The text that the body of a string literal (between its quotes, without prefix) stands for.
pub fn unescape(body: &str) -> Result<String, String> {
    let chars: Vec<char> = body.chars().collect();
    let mut out = String::with_capacity(body.len());
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        at += 1;
        match c {
            '\\' => unescape_one(&chars, &mut at, &mut out)?,
            c => out.push(c),
        }
    }
    Ok(out)
}

/// The beginning of a text, for messages.
fn excerpt(text: &str) -> String {
    format!("`{}`", crate::visible::excerpt(text, 80))
}

/// Reads what follows a backslash.
fn unescape_one(chars: &[char], at: &mut usize, out: &mut String) -> Result<(), String> {
    let Some(&c) = chars.get(*at) else { return Err("a backslash without anything after it".into()) };
    *at += 1;
    match c {
        '\n' => {}
        '\\' | '\'' | '"' => out.push(c),
        'a' => out.push('\u{7}'),
        'b' => out.push('\u{8}'),
        'f' => out.push('\u{c}'),
        'n' => out.push('\n'),
        'r' => out.push('\r'),
        't' => out.push('\t'),
        'v' => out.push('\u{b}'),
        '0'..='7' => {
            *at -= 1;
            let digits = chars[*at..].iter().take(3).take_while(|c| c.is_digit(8)).count();
            out.push(code_point(chars, at, digits, 8)?);
        }
        'x' => out.push(code_point(chars, at, 2, 16)?),
        'u' => out.push(code_point(chars, at, 4, 16)?),
        'U' => out.push(code_point(chars, at, 8, 16)?),
        'N' => return Err("`\\N{...}` is not supported (write the character itself)".into()),
        other => out.extend(['\\', other]),
    }
    Ok(())
}

/// Reads exactly `count` digits as a character.
fn code_point(chars: &[char], at: &mut usize, count: usize, radix: u32) -> Result<char, String> {
    let digits: String = chars.iter().skip(*at).take(count).collect();
    if digits.chars().count() < count || !digits.chars().all(|c| c.is_digit(radix)) {
        return Err(format!("an escape needs {count} digits"));
    }
    *at += count;
    let code = u32::from_str_radix(&digits, radix).map_err(|_| "an escape that is too large".to_string())?;
    char::from_u32(code).ok_or_else(|| format!("U+{code:04X} is no character"))
}

struct Parser {
    chars: Vec<char>,
    at: usize,
    /// Open brackets: inside them line ends are blanks.
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn looking_at(&self, text: &str) -> bool {
        text.chars().enumerate().all(|(i, c)| self.chars.get(self.at + i) == Some(&c))
    }

    fn blanks(&mut self) {
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' | '\u{c}' => self.at += 1,
                '\n' | '\r' if self.depth > 0 => self.at += 1,
                '\\' if self.chars.get(self.at + 1) == Some(&'\n') => self.at += 2,
                '#' => {
                    while self.peek().is_some_and(|c| c != '\n') {
                        self.at += 1;
                    }
                }
                _ => return,
            }
        }
    }

    fn whole(&mut self) -> Result<Value, String> {
        if let Some(nul) = self.chars.iter().position(|c| *c == '\0') {
            self.at = nul;
            return Err("a NUL character".into());
        }
        self.depth = 1;
        self.blanks();
        self.depth = 0;
        let first = self.value()?;
        self.blanks();
        let value = match self.peek() {
            // A tuple needs no brackets at the top.
            Some(',') => {
                self.at += 1;
                let rest = self.items(None, Parser::value)?;
                Value::Array(std::iter::once(first).chain(rest.values).collect())
            }
            _ => first,
        };
        self.depth = 1;
        self.blanks();
        match self.peek() {
            None => Ok(value),
            Some(c) => Err(format!("unexpected `{c}`")),
        }
    }

    fn value(&mut self) -> Result<Value, String> {
        self.blanks();
        match self.peek() {
            None => Err("unexpected end".into()),
            Some('[') => Ok(Value::Array(self.bracketed(']', Parser::value)?.values)),
            Some('(') => {
                let mut items = self.bracketed(')', Parser::value)?;
                match (items.comma, items.values.len()) {
                    (false, 1) => Ok(items.values.remove(0)),
                    _ => Ok(Value::Array(items.values)),
                }
            }
            Some('{') => self.dict_or_set(),
            Some('+' | '-') => self.signed(),
            Some(c) if c.is_ascii_digit() || c == '.' => self.number(false),
            Some('\'' | '"') => self.strings(),
            Some(c) if c.is_alphabetic() || c == '_' => self.word(),
            Some(c) => Err(format!("unexpected `{c}`")),
        }
    }

    /// Values between brackets; `self` stands on the opening one.
    fn bracketed<T>(&mut self, close: char, read: fn(&mut Self) -> Result<T, String>) -> Result<ItemsOf<T>, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("more than {MAX_DEPTH} nested brackets"));
        }
        self.at += 1;
        let items = self.items(Some(close), read)?;
        self.depth -= 1;
        Ok(items)
    }

    /// Values with commas between them, up to the closing bracket or (`None`) the end.
    fn items<T>(
        &mut self,
        close: Option<char>,
        read: fn(&mut Self) -> Result<T, String>,
    ) -> Result<ItemsOf<T>, String> {
        let mut items = ItemsOf { values: Vec::new(), comma: true };
        loop {
            self.blanks();
            match self.peek() {
                None if close.is_none() => return Ok(items),
                None => return Err(format!("missing `{}`", close.unwrap_or(' '))),
                Some('\n' | '\r') if close.is_none() => return Ok(items),
                Some(c) if Some(c) == close => {
                    self.at += 1;
                    return Ok(items);
                }
                Some(c) if !items.comma => return Err(format!("expected a comma, found `{c}`")),
                Some(_) => {}
            }
            items.values.push(read(self)?);
            self.blanks();
            items.comma = self.peek() == Some(',');
            if items.comma {
                self.at += 1;
            }
        }
    }

    fn dict_or_set(&mut self) -> Result<Value, String> {
        let entries = self.bracketed('}', Parser::entry)?.values;
        if entries.iter().all(|(_, value)| value.is_none()) && !entries.is_empty() {
            return Ok(Value::Array(entries.into_iter().map(|(item, _)| item).collect()));
        }
        let mut map = Map::new();
        for (key, value) in entries {
            let value = value.ok_or("a dict entry without a value")?;
            if key.is_array() || key.is_object() {
                return Err("a list or dict as a key".into());
            }
            map.insert(to_str(&key), value);
        }
        Ok(Value::Object(map))
    }

    /// `key: value` of a dict or `value` of a set.
    fn entry(&mut self) -> Result<(Value, Option<Value>), String> {
        let key = self.value()?;
        self.blanks();
        if self.peek() != Some(':') {
            return Ok((key, None));
        }
        self.at += 1;
        Ok((key, Some(self.value()?)))
    }

    fn signed(&mut self) -> Result<Value, String> {
        let negative = self.peek() == Some('-');
        self.at += 1;
        self.blanks();
        match self.peek() {
            Some(c) if c.is_ascii_digit() || c == '.' => self.number(negative),
            _ => Err("a sign without a number".into()),
        }
    }

    fn number(&mut self, negative: bool) -> Result<Value, String> {
        let start = self.at;
        let radix = match self.chars.get(self.at + 1).filter(|_| self.peek() == Some('0')) {
            Some('x' | 'X') => 16,
            Some('o' | 'O') => 8,
            Some('b' | 'B') => 2,
            _ => 10,
        };
        while let Some(c) = self.peek() {
            let exponent_sign = radix == 10
                && matches!(c, '+' | '-')
                && matches!(self.chars.get(self.at.wrapping_sub(1)), Some('e' | 'E'));
            if !(c.is_ascii_alphanumeric() || c == '_' || c == '.' || exponent_sign) {
                break;
            }
            self.at += 1;
        }
        let written: String = self.chars[start..self.at].iter().collect();
        let number = number_value(&written, radix, negative);
        if number.is_err() {
            self.at = start;
        }
        number.map(Value::Number)
    }

    /// True, False, None, or the prefix of a string.
    fn word(&mut self) -> Result<Value, String> {
        let start = self.at;
        while self.peek().is_some_and(|c| c.is_alphanumeric() || c == '_') {
            self.at += 1;
        }
        let word: String = self.chars[start..self.at].iter().collect();
        if matches!(self.peek(), Some('\'' | '"')) && is_prefix(&word) {
            self.at = start;
            return self.strings();
        }
        match word.as_str() {
            "True" => Ok(Value::Bool(true)),
            "False" => Ok(Value::Bool(false)),
            "None" => Ok(Value::Null),
            "set" if self.looking_at("()") => {
                self.at += 2;
                Ok(Value::Array(Vec::new()))
            }
            _ => {
                self.at = start;
                Err(format!("the name `{word}`"))
            }
        }
    }

    /// One string literal, or several beside each other.
    fn strings(&mut self) -> Result<Value, String> {
        let mut text = self.string()?;
        loop {
            self.blanks();
            let start = self.at;
            let letters = self.chars[start..].iter().take(3).take_while(|c| c.is_ascii_alphabetic()).count();
            let prefix: String = self.chars[start..start + letters].iter().collect();
            let quoted = matches!(self.chars.get(start + letters), Some('\'' | '"'));
            if !quoted || !(letters == 0 || is_prefix(&prefix)) {
                return Ok(Value::String(text));
            }
            text.push_str(&self.string()?);
        }
    }

    fn string(&mut self) -> Result<String, String> {
        let mut raw = false;
        while let Some(c) = self.peek().filter(char::is_ascii_alphabetic) {
            match c.to_ascii_lowercase() {
                'r' => raw = true,
                'u' => {}
                'b' => return Err("bytes (take the prefix `b` away)".into()),
                _ => return Err("a formatted string (take the prefix `f` away)".into()),
            }
            self.at += 1;
        }
        let quote = self.peek().ok_or("unexpected end")?;
        let triple = [quote, quote, quote].iter().collect::<String>();
        let close = if self.looking_at(&triple) { triple } else { quote.to_string() };
        let start = self.at;
        self.at += close.len();
        let body_start = self.at;
        while !self.looking_at(&close) {
            match self.peek() {
                None => {
                    self.at = start;
                    return Err("a string without its closing quote".into());
                }
                Some('\n') if close.len() == 1 => return Err("a line end inside a string".into()),
                Some('\\') => self.at += 2,
                Some(_) => self.at += 1,
            }
        }
        let body: String = self.chars[body_start..self.at].iter().collect::<String>().replace("\r\n", "\n");
        self.at += close.len();
        if raw { Ok(body) } else { unescape(&body) }
    }
}

/// What a bracketed list of values turned out to be.
struct ItemsOf<T> {
    values: Vec<T>,
    /// No value yet, or a comma after the last: `(1,)` is a tuple, `(1)` is not.
    comma: bool,
}

fn is_prefix(word: &str) -> bool {
    matches!(word.to_ascii_lowercase().as_str(), "r" | "u" | "b" | "f" | "br" | "rb" | "fr" | "rf")
}

/// A number as Python writes it: underscores between digits, no leading zeros.
fn number_value(written: &str, radix: u32, negative: bool) -> Result<Number, String> {
    let misplaced = written.ends_with('_')
        || written.contains("__")
        || written.split('_').skip(1).any(|part| !part.starts_with(|c: char| c.is_ascii_hexdigit()))
        || written.split('_').rev().skip(1).any(|part| !part.ends_with(|c: char| c.is_ascii_alphanumeric()));
    if misplaced {
        return Err(format!("`{written}` is no number"));
    }
    let digits = written.replace('_', "");
    let is_float = radix == 10 && digits.contains(['.', 'e', 'E']);
    if is_float {
        let starts_well = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
        let value: f64 = digits.parse().map_err(|_| format!("`{written}` is no number"))?;
        let value = if negative { -value } else { value };
        return Number::from_f64(value)
            .filter(|_| starts_well && digits != ".")
            .ok_or_else(|| format!("`{written}` is no finite number"));
    }
    let body = if radix == 10 { digits.as_str() } else { digits.get(2..).unwrap_or_default() };
    if body.is_empty() || !body.chars().all(|c| c.is_digit(radix)) {
        return Err(format!("`{written}` is no number"));
    }
    if radix == 10 && body.starts_with('0') && body.chars().any(|c| c != '0') {
        return Err("leading zeros in an integer".into());
    }
    let too_large = || format!("the integer `{written}` does not fit in 64 bits");
    let value = i128::from_str_radix(body, radix).map_err(|_| too_large())?;
    let value = if negative { -value } else { value };
    i64::try_from(value).map(Number::from).or_else(|_| u64::try_from(value).map(Number::from)).map_err(|_| too_large())
}

#[cfg(test)]
mod tests {
    //! Expected values are those of CPython 3.11's `ast.literal_eval`.
    use super::*;
    use serde_json::json;

    #[test]
    fn values() {
        for (text, expected) in [
            ("1", json!(1)),
            (" -1 ", json!(-1)),
            ("+ 1", json!(1)),
            ("00", json!(0)),
            ("1_000", json!(1000)),
            ("0x_ff", json!(255)),
            ("0o17", json!(15)),
            ("0b101", json!(5)),
            ("1.", json!(1.0)),
            (".5", json!(0.5)),
            ("1e3", json!(1000.0)),
            ("-1.5e-3", json!(-0.0015)),
            ("1_0.0_1", json!(10.01)),
            ("18446744073709551615", json!(18446744073709551615u64)),
            ("True", json!(true)),
            ("[None, False]", json!([null, false])),
            ("()", json!([])),
            ("(1)", json!(1)),
            ("(1,)", json!([1])),
            ("1, 2", json!([1, 2])),
            ("1,", json!([1])),
            ("{}", json!({})),
            ("{1, 2}", json!([1, 2])),
            ("set()", json!([])),
            ("{'a': [1], 2: (3,), None: 4,}", json!({"a": [1], "2": [3], "None": 4})),
            ("[\n 'a',\n 'b'  # comment\n]\n", json!(["a", "b"])),
            ("\n[1]", json!([1])),
        ] {
            assert_eq!(parse(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn strings() {
        for (text, expected) in [
            (r#"'a'"#, "a"),
            (r#""it's""#, "it's"),
            (r#"'it\'s'"#, "it's"),
            (r#"'a' "b" r'\n'"#, "ab\\n"),
            ("('a'\n 'b')", "ab"),
            (r#"'''a'b''c'''"#, "a'b''c"),
            ("'''a\nb'''", "a\nb"),
            (r#"u'\x41\u00e9\U0001F600\101\0'"#, "Aé😀A\0"),
            (r#"'\a\b\f\n\r\t\v\\\d\/'"#, "\u{7}\u{8}\u{c}\n\r\t\u{b}\\\\d\\/"),
            ("'a\\\nb'", "ab"),
            (r#"r'\''"#, "\\'"),
            (r#"''"#, ""),
            (r#"'' 'a'"#, "a"),
        ] {
            assert_eq!(parse(text).unwrap(), json!(expected), "{text}");
        }
    }

    #[test]
    fn refusals() {
        for text in [
            "",
            "a",
            "[1",
            "[1 2]",
            "[,]",
            "1 2",
            "'a",
            "'a\nb'",
            "012",
            "1__0",
            "1_",
            "_1",
            "0x",
            "--1",
            "- a",
            "b'x'",
            "f'x'",
            "1j",
            "'\\x4'",
            "'\\N{BULLET}'",
            "'\\ud83d'",
            "{[1]: 2}",
            "{1: 2, 3}",
            "1 + 2",
            "foo()",
            "1e999",
            "99999999999999999999999",
            "'a'\n'b'",
            "\"\0\"",
            ".",
            "1.2.3",
            "\\",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        let message = parse("['a', b]").unwrap_err().to_string();
        assert!(message.starts_with("not a Python literal: the name `b` at character 7: `['a', b]`"), "{message}");
        assert!(parse("'\\N{BULLET}'").unwrap_err().message().contains("\\N"));
    }

    #[test]
    fn depth() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(parse(&nested(MAX_DEPTH)).is_ok());
        assert!(parse(&nested(100_000)).is_err());
    }
}
