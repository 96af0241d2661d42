//! The reference's one extra filter: Python's `re.sub`.

use crate::python::regex_syntax::translate;
use fancy_regex::{Captures, Regex, RegexBuilder};
use minijinja::value::{Kwargs, Rest, Value, ValueOrKwargs, from_args};
use minijinja::{Error, ErrorKind, State};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// Steps after which a search is given up: Python would go on, perhaps for hours.
const BACKTRACK_LIMIT: usize = 1_000_000;

/// `regex_replace(string, pattern, repl, count=0)`.
pub fn regex_replace(
    state: &State<'_, '_>,
    text: &str,
    pattern: &str,
    rest: Rest<ValueOrKwargs>,
) -> Result<Value, Error> {
    let rest = rest.into_values();
    let (repl, count, kwargs): (&str, Option<usize>, Kwargs) = from_args(&rest)?;
    let count = match count {
        Some(count) => count,
        None => kwargs.get::<Option<usize>>("count")?.unwrap_or(0),
    };
    kwargs.assert_all_used()?;
    let regex = compiled(pattern).map_err(invalid)?;
    let parts = replacement(repl, &regex).map_err(|problem| invalid(format!("replacement `{repl}`: {problem}")))?;
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    let mut at = 0;
    let mut done = 0;
    while at <= text.len() && (count == 0 || done < count) {
        state.consume_fuel(1)?;
        let found = regex.captures_from_pos(text, at).map_err(|err| invalid(format!("pattern `{pattern}`: {err}")))?;
        let Some((captures, whole)) = found.and_then(|c| c.get(0).map(|whole| (c, whole.range()))) else { break };
        out.push_str(text.get(copied..whole.start).unwrap_or_default());
        expand(&mut out, &parts, &captures);
        state.consume_fuel(repl.len() as u64 / 64)?;
        copied = whole.end;
        done += 1;
        // As in Python, an empty match may follow a match directly, but not an empty one.
        at = match whole.is_empty() {
            false => whole.end,
            true => whole.end + text.get(whole.end..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8),
        };
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    Ok(Value::from(out))
}

fn invalid(problem: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, problem)
}

/// The compiled pattern, kept for the next document.
fn compiled(pattern: &str) -> Result<Arc<Regex>, String> {
    static COMPILED: LazyLock<Mutex<HashMap<String, Arc<Regex>>>> = LazyLock::new(Mutex::default);
    if let Some(regex) = COMPILED.lock().unwrap_or_else(PoisonError::into_inner).get(pattern) {
        return Ok(Arc::clone(regex));
    }
    let bad = |problem: String| format!("pattern `{pattern}`: {problem}");
    let regex = RegexBuilder::new(&translate(pattern).map_err(bad)?)
        .backtrack_limit(BACKTRACK_LIMIT)
        .build()
        .map_err(|err| bad(err.to_string()))?;
    let regex = Arc::new(regex);
    COMPILED.lock().unwrap_or_else(PoisonError::into_inner).insert(pattern.to_string(), Arc::clone(&regex));
    Ok(regex)
}

/// A piece of a replacement.
#[derive(Debug, PartialEq)]
enum Part {
    Text(String),
    Group(usize),
}

fn expand(out: &mut String, parts: &[Part], captures: &Captures<'_, str>) {
    for part in parts {
        match part {
            Part::Text(text) => out.push_str(text),
            Part::Group(group) => out.push_str(captures.get(*group).map_or("", |m| m.as_str())),
        }
    }
}

/// Reads a replacement as CPython's `re._parser.parse_template` does.
fn replacement(source: &str, regex: &Regex) -> Result<Vec<Part>, String> {
    let chars: Vec<char> = source.chars().collect();
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        at += 1;
        if c != '\\' {
            text.push(c);
            continue;
        }
        let group = match chars.get(at).copied() {
            None => return Err("a backslash at the end".to_string()),
            Some('g') => Some(named_group(&chars, &mut at, regex)?),
            Some(digit @ '0'..='9') => match octal(&chars, at, digit)? {
                Some((c, length)) => {
                    text.push(c);
                    at += length;
                    None
                }
                None => {
                    let length = if chars.get(at + 1).is_some_and(char::is_ascii_digit) { 2 } else { 1 };
                    let number: String = chars[at..at + length].iter().collect();
                    at += length;
                    Some(number.parse().map_err(|_| format!("no group `{number}`"))?)
                }
            },
            Some(c) => {
                at += 1;
                push_escape(&mut text, c)?;
                None
            }
        };
        if let Some(group) = group {
            if group >= regex.captures_len() {
                return Err(format!("the pattern has no group {group}"));
            }
            if !text.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut text)));
            }
            parts.push(Part::Group(group));
        }
    }
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
    Ok(parts)
}

/// `<name>` or `<number>` after `\g`; `at` stands on the `g`.
fn named_group(chars: &[char], at: &mut usize, regex: &Regex) -> Result<usize, String> {
    let inside = chars.get(*at + 1..).unwrap_or_default();
    let end = inside.iter().position(|c| *c == '>').filter(|_| inside.first() == Some(&'<'));
    let end = end.ok_or("`\\g` without `<name>`")?;
    let name: String = inside[1..end].iter().collect();
    *at += end + 2;
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    regex
        .capture_names()
        .position(|known| known == Some(&name))
        .ok_or_else(|| format!("the pattern has no group `{name}`"))
}

/// An octal escape at `at` (which holds `first`) and its length: `\0`, `\0d`, `\0dd` or three octal digits.
fn octal(chars: &[char], at: usize, first: char) -> Result<Option<(char, usize)>, String> {
    let digits: String = chars[at..].iter().take(3).take_while(|c| c.is_digit(8)).collect();
    if first != '0' && digits.len() < 3 {
        return Ok(None);
    }
    let code = u32::from_str_radix(&digits, 8).unwrap_or(0);
    if code > 0o377 {
        return Err(format!("the octal escape `\\{digits}` is too large"));
    }
    Ok(char::from_u32(code).map(|c| (c, digits.len())))
}

/// The character an escape stands for; Python refuses unknown letters and keeps the backslash of everything else.
fn push_escape(text: &mut String, c: char) -> Result<(), String> {
    match c {
        'a' => text.push('\u{7}'),
        'b' => text.push('\u{8}'),
        'f' => text.push('\u{c}'),
        'n' => text.push('\n'),
        'r' => text.push('\r'),
        't' => text.push('\t'),
        'v' => text.push('\u{b}'),
        '\\' => text.push('\\'),
        c if c.is_ascii_alphabetic() => return Err(format!("bad escape `\\{c}`")),
        c => text.extend(['\\', c]),
    }
    Ok(())
}
