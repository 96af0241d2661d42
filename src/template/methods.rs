//! Methods of Python's strings, lists and dicts; what is not here comes from minijinja's own set.

use super::jinja2::{centred, padded, room};
use super::value::excerpt;
use crate::python::text;
use minijinja::value::{Kwargs, Value, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State, UndefinedBehavior};
use minijinja_contrib::pycompat::unknown_method_callback;

/// Answers `value.method(args)`.
pub fn call(state: &mut State<'_, '_>, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    let strict = state.undefined_behavior() == UndefinedBehavior::Strict;
    if strict && args.iter().any(Value::is_undefined) {
        return Err(Error::new(ErrorKind::UndefinedError, format!("an argument of `{method}` is undefined")));
    }
    let own = match value.kind() {
        ValueKind::String => string_method(value.as_str().unwrap_or_default(), method, args)?,
        ValueKind::Seq | ValueKind::Iterable | ValueKind::Map if method == "copy" => {
            let () = from_args(args)?;
            // Nothing can be changed in place: a value is its own copy.
            Some(value.clone())
        }
        ValueKind::Seq | ValueKind::Iterable => list_method(value, method, args)?,
        _ => None,
    };
    match own {
        Some(result) => Ok(result),
        None => unknown_method_callback(state, value, method, args),
    }
}

/// `None`: not a method that is answered here.
fn string_method(s: &str, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    Ok(Some(match method {
        "strip" | "lstrip" | "rstrip" => {
            let (chars,): (Option<&str>,) = from_args(args)?;
            Value::from(stripped(s, method, chars))
        }
        "split" | "rsplit" => split(s, method == "rsplit", args)?,
        "join" => {
            let (items,): (&Value,) = from_args(args)?;
            join(s, items)?
        }
        "capitalize" => {
            let () = from_args(args)?;
            Value::from(text::capitalize(s))
        }
        "isdigit" => {
            let () = from_args(args)?;
            Value::from(text::isdigit(s))
        }
        "startswith" | "endswith" => affixed(s, method == "startswith", args)?,
        "swapcase" => {
            let () = from_args(args)?;
            Value::from(swapped(s))
        }
        "casefold" => {
            let () = from_args(args)?;
            Value::from(s.to_lowercase().replace('\u{df}', "ss"))
        }
        "center" | "ljust" | "rjust" => justified(s, method, args)?,
        "expandtabs" => {
            let (width,): (Option<usize>,) = from_args(args)?;
            Value::from(expanded(s, width.unwrap_or(8))?)
        }
        "isdecimal" => {
            let () = from_args(args)?;
            // Digits that make decimal numbers: those that `isdigit` has without superscripts and circled ones.
            Value::from(
                !s.is_empty() && s.chars().all(|c| c.is_numeric() && text::isdigit(&c.to_string()) && !is_raised(c)),
            )
        }
        "istitle" => {
            let () = from_args(args)?;
            Value::from(is_title(s))
        }
        "isidentifier" => {
            let () = from_args(args)?;
            let begins = s.starts_with(|c: char| c.is_alphabetic() || c == '_');
            Value::from(begins && s.chars().all(|c| c.is_alphanumeric() || c == '_'))
        }
        "isspace" => {
            let () = from_args(args)?;
            Value::from(!s.is_empty() && s.chars().all(text::is_space))
        }
        "index" | "rindex" => {
            let (part,): (&str,) = from_args(args)?;
            let found = if method == "index" { s.find(part) } else { s.rfind(part) };
            let at = found.ok_or_else(|| invalid(format!("`{part}` is not in the text")))?;
            Value::from(text::len(s.get(..at).unwrap_or_default()))
        }
        "removeprefix" => {
            let (prefix,): (&str,) = from_args(args)?;
            Value::from(s.strip_prefix(prefix).unwrap_or(s))
        }
        "removesuffix" => {
            let (suffix,): (&str,) = from_args(args)?;
            Value::from(s.strip_suffix(suffix).unwrap_or(s))
        }
        "partition" | "rpartition" => partition(s, method == "rpartition", args)?,
        "zfill" => {
            let (width,): (usize,) = from_args(args)?;
            zfill(s, width)?
        }
        _ => return Ok(None),
    }))
}

fn stripped<'a>(s: &'a str, method: &str, chars: Option<&str>) -> &'a str {
    let cut = |c: char| chars.map_or_else(|| text::is_space(c), |chars| chars.contains(c));
    match method {
        "lstrip" => s.trim_start_matches(cut),
        "rstrip" => s.trim_end_matches(cut),
        _ => s.trim_matches(cut),
    }
}

fn split(s: &str, from_right: bool, args: &[Value]) -> Result<Value, Error> {
    let (sep, max, kwargs): (Option<&str>, Option<i64>, Kwargs) = from_args(args)?;
    let sep = match sep {
        Some(sep) => Some(sep),
        None => kwargs.get::<Option<&str>>("sep")?,
    };
    let max = match max {
        Some(max) => Some(max),
        None => kwargs.get::<Option<i64>>("maxsplit")?,
    };
    kwargs.assert_all_used()?;
    let max = max.and_then(|max| usize::try_from(max).ok());
    let pieces = match (sep, max) {
        (Some(""), _) => return Err(invalid("an empty separator")),
        (None, _) => split_blanks(s, from_right, max.unwrap_or(usize::MAX)),
        (Some(sep), None) => s.split(sep).collect(),
        (Some(sep), Some(max)) if from_right => {
            let mut pieces: Vec<&str> = s.rsplitn(max.saturating_add(1), sep).collect();
            pieces.reverse();
            pieces
        }
        (Some(sep), Some(max)) => s.splitn(max.saturating_add(1), sep).collect(),
    };
    Ok(Value::from(pieces.into_iter().map(Value::from).collect::<Vec<_>>()))
}

/// `split(None, max)`: words, and after `max` of them the rest as it is.
fn split_blanks(s: &str, from_right: bool, max: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text::strip(s);
    while !rest.is_empty() {
        let gap = if from_right { rest.rfind(text::is_space) } else { rest.find(text::is_space) };
        let Some(gap) = gap.filter(|_| pieces.len() < max) else {
            // Only the outer end of the rest has been stripped by Python; the inner end never has blanks here.
            pieces.push(rest);
            break;
        };
        let after = gap + rest.get(gap..).and_then(|r| r.chars().next()).map_or(1, char::len_utf8);
        let (left, right) = (&rest[..gap], &rest[after..]);
        if from_right {
            pieces.push(right);
            rest = text::rstrip(left);
        } else {
            pieces.push(left);
            rest = text::lstrip(right);
        }
    }
    if from_right {
        pieces.reverse();
    }
    // With a limit Python keeps the blanks at the far end of the last piece.
    if let (Some(piece), true) = (if from_right { pieces.first_mut() } else { pieces.last_mut() }, max != usize::MAX) {
        let start = piece.as_ptr() as usize - s.as_ptr() as usize;
        *piece = match from_right {
            true => text::rstrip(&s[..start + piece.len()]),
            false => text::lstrip(&s[start..]),
        };
    }
    pieces
}

fn join(separator: &str, items: &Value) -> Result<Value, Error> {
    let mut out = String::new();
    for (i, item) in items.try_iter()?.enumerate() {
        let part =
            item.as_str().ok_or_else(|| invalid(format!("join: item {i} is `{}`, not a text", excerpt(&item))))?;
        if i > 0 {
            out.push_str(separator);
        }
        out.push_str(part);
    }
    Ok(Value::from(out))
}

fn partition(s: &str, from_right: bool, args: &[Value]) -> Result<Value, Error> {
    let (sep,): (&str,) = from_args(args)?;
    if sep.is_empty() {
        return Err(invalid("an empty separator"));
    }
    let found = if from_right { s.rsplit_once(sep) } else { s.split_once(sep) };
    Ok(Value::from(minijinja::value::Tuple::from(
        match found {
            Some((head, tail)) => [head, sep, tail],
            None if from_right => ["", "", s],
            None => [s, "", ""],
        }
        .map(Value::from),
    )))
}

/// `str.startswith(prefix, start=0, end=None)` and its like; of a tuple any may fit.
fn affixed(s: &str, at_start: bool, args: &[Value]) -> Result<Value, Error> {
    let (affix, start, end): (&Value, Option<i64>, Option<i64>) = from_args(args)?;
    let length = text::len(s) as i64;
    let place = |at: i64| if at < 0 { (length + at).max(0) } else { at.min(length) } as usize;
    let (start, end) = (place(start.unwrap_or(0)), place(end.unwrap_or(length)));
    let part: String = s.chars().take(end).skip(start).collect();
    let fits = |affix: &Value| {
        let affix = affix.as_str().ok_or_else(|| invalid("only texts stand at the beginning or end of a text"))?;
        Ok::<_, Error>(if at_start { part.starts_with(affix) } else { part.ends_with(affix) })
    };
    let affixes = if affix.is_tuple() { affix.try_iter()?.collect() } else { vec![affix.clone()] };
    for affix in &affixes {
        if fits(affix)? {
            return Ok(Value::from(start <= end));
        }
    }
    Ok(Value::from(false))
}

fn swapped(s: &str) -> String {
    let swap =
        |c: char| if c.is_uppercase() { c.to_lowercase().collect::<String>() } else { c.to_uppercase().collect() };
    s.chars().map(swap).collect()
}

fn is_raised(c: char) -> bool {
    matches!(c, '\u{b2}' | '\u{b3}' | '\u{b9}' | '\u{2070}'..='\u{2089}' | '\u{2460}'..='\u{24ff}' | '\u{2776}'..='\u{2793}')
}

/// Words begin with capitals and go on without.
fn is_title(s: &str) -> bool {
    let (mut in_word, mut any) = (false, false);
    for c in s.chars() {
        let fits = if c.is_uppercase() { !in_word } else { !c.is_lowercase() || in_word };
        if !fits {
            return false;
        }
        in_word = c.is_uppercase() || c.is_lowercase();
        any |= in_word;
    }
    any
}

fn justified(s: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let (width, fill): (usize, Option<&str>) = from_args(args)?;
    let mut fill = fill.unwrap_or(" ").chars();
    let (Some(fill), None) = (fill.next(), fill.next()) else {
        return Err(invalid("the text is filled up with exactly one character"));
    };
    Ok(Value::from(match method {
        "center" => centred(s, width, fill)?,
        "ljust" => padded(s, 0, room(s, width)?, fill),
        _ => padded(s, room(s, width)?, 0, fill),
    }))
}

/// Tabs as blanks to the next column that is a multiple of `width`.
fn expanded(s: &str, width: usize) -> Result<String, Error> {
    room("", width.saturating_mul(s.matches('\t').count()))?;
    let (mut out, mut column) = (String::new(), 0);
    for c in s.chars() {
        match c {
            '\t' => {
                let blanks = if width == 0 { 0 } else { width - column % width };
                out.extend(std::iter::repeat_n(' ', blanks));
                column += blanks;
            }
            c => {
                out.push(c);
                column = if matches!(c, '\n' | '\r') { 0 } else { column + 1 };
            }
        }
    }
    Ok(out)
}

fn zfill(s: &str, width: usize) -> Result<Value, Error> {
    const WIDEST: usize = 10_000;
    if width > WIDEST {
        return Err(invalid(format!("zfill: more than {WIDEST} characters")));
    }
    let zeros = "0".repeat(width.saturating_sub(text::len(s)));
    Ok(Value::from(match s.strip_prefix(['+', '-']) {
        Some(digits) => format!("{}{zeros}{digits}", &s[..1]),
        None => format!("{zeros}{s}"),
    }))
}

fn list_method(list: &Value, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    if method != "index" {
        return Ok(None);
    }
    let (wanted, start): (&Value, Option<usize>) = from_args(args)?;
    let found = list.try_iter()?.skip(start.unwrap_or(0)).position(|item| item == *wanted);
    match found {
        Some(at) => Ok(Some(Value::from(at + start.unwrap_or(0)))),
        None => Err(invalid(format!("`{}` is not in the list {}", excerpt(wanted), excerpt(list)))),
    }
}

fn invalid(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, what.into())
}
