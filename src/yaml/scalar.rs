//! What a plain YAML scalar means to PyYAML, which reads YAML 1.1: `yes` is a boolean, `010` is eight, `1e3` is text.
//!
//! The reference reads its task files with PyYAML, so `1.0` and `no` must mean here what they mean there. Timestamps stay
//! text: nothing in a task is a date.

use super::Value;

/// The value of a plain (unquoted, untagged) scalar; `None` for an integer too large for 64 bits.
pub fn resolve(text: &str) -> Option<Value> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Some(Value::Null),
        _ => {}
    }
    if let Some(flag) = boolean(text) {
        return Some(Value::Bool(flag));
    }
    // Only these can begin a number; all other text is done.
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.')) {
        return Some(Value::Str(text.to_owned()));
    }
    if let Some(number) = float(text) {
        return Some(Value::Float(number));
    }
    match integer(text) {
        Integer::Value(number) => Some(Value::Int(number)),
        Integer::TooLarge => None,
        Integer::None => Some(Value::Str(text.to_owned())),
    }
}

/// A YAML 1.1 boolean: one of three spellings each of yes, no, true, false, on and off.
pub fn boolean(text: &str) -> Option<bool> {
    match text {
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Some(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

/// What a text is as an integer.
#[derive(Debug, PartialEq)]
pub enum Integer {
    Value(i64),
    TooLarge,
    None,
}

/// A YAML 1.1 integer: decimal, `0b`, `0` (octal), `0x`, or base 60 (`1:30`), with `_` anywhere after the first digit.
pub fn integer(text: &str) -> Integer {
    let (negative, digits) = sign(text);
    let parsed = if let Some(bits) = digits.strip_prefix("0b") {
        radix(bits, 2)
    } else if let Some(hex) = digits.strip_prefix("0x") {
        radix(hex, 16)
    } else if digits == "0" {
        Integer::Value(0)
    } else if let Some(octal) = digits.strip_prefix('0') {
        radix(octal, 8)
    } else if digits.contains(':') {
        sexagesimal(digits)
    } else {
        radix(digits, 10)
    };
    match parsed {
        Integer::Value(value) if negative => Integer::Value(-value),
        other => other,
    }
}

/// A YAML 1.1 float: it has a point, and an exponent only with a sign (`1.0e+3`, never `1e3` or `1.0e3`).
pub fn float(text: &str) -> Option<f64> {
    let (negative, body) = sign(text);
    let value = match body {
        ".inf" | ".Inf" | ".INF" => f64::INFINITY,
        ".nan" | ".NaN" | ".NAN" if body.len() == text.len() => f64::NAN,
        _ if body.contains(':') => sexagesimal_float(body)?,
        // A float that begins with the point takes no sign in YAML 1.1.
        _ if body.starts_with('.') && body.len() != text.len() => return None,
        _ => decimal(body)?,
    };
    Some(if negative { -value } else { value })
}

fn sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

/// Digits of one base; `_` is allowed, but decimal digits may not begin with it.
fn radix(digits: &str, base: u32) -> Integer {
    let fits = |c: char| c == '_' || c.is_digit(base);
    if digits.is_empty() || !digits.chars().all(fits) || (base == 10 && digits.starts_with('_')) {
        return Integer::None;
    }
    let plain: String = digits.chars().filter(|c| *c != '_').collect();
    if plain.is_empty() {
        // `0_` is zero; `0b_` and `0x_` match PyYAML's pattern and then fail in its constructor: text is kinder.
        return if base == 8 { Integer::Value(0) } else { Integer::None };
    }
    i64::from_str_radix(&plain, base).map_or(Integer::TooLarge, Integer::Value)
}

/// The base-60 groups after the first: one or two digits below 60.
fn is_group(part: &str) -> bool {
    let bytes = part.as_bytes();
    bytes.iter().all(u8::is_ascii_digit) && (bytes.len() == 1 || (bytes.len() == 2 && bytes[0] < b'6'))
}

fn sexagesimal(digits: &str) -> Integer {
    let mut parts = digits.split(':');
    let first = parts.next().unwrap_or_default();
    let Integer::Value(mut value) = radix(first, 10) else { return Integer::None };
    for part in parts {
        if !is_group(part) {
            return Integer::None;
        }
        let group = part.parse().unwrap_or(0);
        match value.checked_mul(60).and_then(|v| v.checked_add(group)) {
            Some(next) => value = next,
            None => return Integer::TooLarge,
        }
    }
    Integer::Value(value)
}

fn sexagesimal_float(body: &str) -> Option<f64> {
    let (whole, fraction) = body.split_once('.')?;
    if !fraction.bytes().all(|b| b.is_ascii_digit() || b == b'_') || !whole.contains(':') {
        return None;
    }
    let mut parts = whole.split(':');
    let first = parts.next()?;
    if !starts_with_digit(first) || !first.bytes().all(|b| b.is_ascii_digit() || b == b'_') {
        return None;
    }
    let mut value: f64 = without_underscores(first).parse().ok()?;
    for part in parts {
        if !is_group(part) {
            return None;
        }
        value = value * 60.0 + part.parse::<f64>().ok()?;
    }
    let fraction: f64 = format!("0.{}", without_underscores(fraction)).parse().ok()?;
    Some(value + fraction)
}

/// `[0-9][0-9_]*\.[0-9_]*([eE][-+][0-9]+)?` or `\.[0-9][0-9_]*([eE][-+][0-9]+)?`.
fn decimal(body: &str) -> Option<f64> {
    let (mantissa, exponent) = match body.find(['e', 'E']) {
        Some(at) => (&body[..at], Some(&body[at + 1..])),
        None => (body, None),
    };
    if let Some(exponent) = exponent {
        let digits = exponent.strip_prefix(['-', '+'])?;
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
    }
    let (whole, fraction) = mantissa.split_once('.')?;
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    if !digits(whole)
        || !digits(fraction)
        || !(starts_with_digit(whole) || whole.is_empty() && starts_with_digit(fraction))
    {
        return None;
    }
    without_underscores(body).parse().ok()
}

fn starts_with_digit(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

fn without_underscores(text: &str) -> String {
    text.chars().filter(|c| *c != '_').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_what_pyyaml_says() {
        // Expected: `yaml.safe_load(text)` of PyYAML 6.0.3.
        let same_text = [
            "1e3",
            "1E5",
            "1.0e3",
            "08",
            "09.",
            "0o17",
            "1__x",
            "_1",
            "-_1",
            "+.5",
            "-.5",
            ".",
            "..",
            "-",
            "+",
            "yEs",
            "y",
            "n",
            "None",
            "nUll",
            "0b12",
            "0xg",
            "1:60",
            "1:2:x",
            "12e+3",
            "+.nan",
            ".e+3",
            "1.2.3",
            "v1.0",
            "2001-01-01",
            ".inF",
            "- 1",
            "1 000",
            "١",
        ];
        for text in same_text {
            let want = if text == "09." { Value::Float(9.0) } else { Value::Str(text.into()) };
            assert_eq!(resolve(text), Some(want), "{text}");
        }
        let numbers = [
            ("0", 0),
            ("-0", 0),
            ("1_000", 1000),
            ("1__0", 10),
            ("5_", 5),
            ("010", 8),
            ("-010", -8),
            ("0_7", 7),
            ("0_", 0),
            ("0b101", 5),
            ("0b1_0", 2),
            ("0xFf", 255),
            ("-0x10", -16),
            ("+12", 12),
            ("1:30", 90),
            ("1:2:3", 3723),
            ("-1:30", -90),
        ];
        for (text, value) in numbers {
            assert_eq!(resolve(text), Some(Value::Int(value)), "{text}");
        }
        let floats = [
            ("1.0", 1.0),
            ("1.", 1.0),
            (".5", 0.5),
            ("1.0e+3", 1000.0),
            ("1.e-2", 0.01),
            ("-1.5E+1", -15.0),
            ("1_0.5_0", 10.5),
            ("00.5", 0.5),
            ("1:30.5", 90.5),
            ("-.inf", f64::NEG_INFINITY),
            ("+.INF", f64::INFINITY),
        ];
        for (text, value) in floats {
            assert_eq!(resolve(text), Some(Value::Float(value)), "{text}");
        }
        for text in ["yes", "On", "TRUE"] {
            assert_eq!(resolve(text), Some(Value::Bool(true)), "{text}");
        }
        for text in ["no", "Off", "FALSE"] {
            assert_eq!(resolve(text), Some(Value::Bool(false)), "{text}");
        }
        for text in ["", "~", "null", "NULL"] {
            assert_eq!(resolve(text), Some(Value::Null), "{text}");
        }
        assert!(matches!(resolve(".NaN"), Some(Value::Float(x)) if x.is_nan()));
        assert_eq!(resolve("99999999999999999999"), None);
    }
}
