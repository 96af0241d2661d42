//! Answers of several entries: tuples, intervals, sets, lists, unions and matrices, entry by entry. sympy's
//! `parse_latex` reads none of them in full.

use super::parse::parse;
use super::shape::{Shape, is_ambiguous};
use super::{MAX_BYTES, scalar};

/// Collections nest no deeper than this, and have no more entries.
const MAX_DEPTH: usize = 4;
const MAX_ENTRIES: usize = 16;
/// Entries in any order are all compared with each other, so many long ones are not.
const MAX_COMPARED_BYTES: usize = 2048;

/// Whether two answers are the same, by exact arithmetic on all of their entries; `None` where that is not known. See
/// the module for where this is stricter or looser than the reference.
pub fn exact(a: &str, b: &str) -> Option<bool> {
    if a.len() > MAX_BYTES || b.len() > MAX_BYTES {
        return None;
    }
    let (a, b) = (cleaned(a), cleaned(b));
    let ((left_a, a), (left_b, b)) = (without_left_side(&a), without_left_side(&b));
    if left_a.is_some() && left_b.is_some() && left_a != left_b {
        return None;
    }
    entry(a, b, 0)
}

/// Sizing commands and thin spaces go, and `$` around the whole.
fn cleaned(text: &str) -> String {
    let mut s = without_command(text, "\\left");
    s = without_command(&s, "\\right");
    for space in ["\\!", "\\,", "\\;", "\\:"] {
        s = s.replace(space, "");
    }
    s = s.replace("{,}", ",");
    let s = s.trim();
    let inside = s.strip_prefix('$').and_then(|s| s.strip_suffix('$')).filter(|s| !s.ends_with('\\'));
    inside.unwrap_or(s).trim().to_owned()
}

/// Removes a command that no letter follows (`\left` but not `\leftarrow`).
fn without_command(s: &str, command: &str) -> String {
    let mut out = String::with_capacity(s.len());
    for (number, part) in s.split(command).enumerate() {
        if number > 0 && part.starts_with(|c: char| c.is_ascii_alphabetic()) {
            out.push_str(command);
        }
        out.push_str(part);
    }
    out
}

/// `x = 5` to `x` and `5`: one equals sign with one letter before it.
fn without_left_side(s: &str) -> (Option<char>, &str) {
    if let Some((left, right)) = s.split_once('=').filter(|(_, right)| !right.contains('=')) {
        let mut letters = left.trim().chars();
        if let (Some(letter), None) = (letters.next().filter(char::is_ascii_alphabetic), letters.next()) {
            return (Some(letter), right.trim());
        }
    }
    (None, s)
}

fn entry(a: &str, b: &str, depth: usize) -> Option<bool> {
    if depth > MAX_DEPTH {
        return None;
    }
    let (x, y) = (Shape::of(a)?, Shape::of(b)?);
    if is_ambiguous(&x) || is_ambiguous(&y) {
        return None;
    }
    match (&x, &y) {
        (Shape::Single(a), Shape::Single(b)) => single(a, b, depth > 0),
        (Shape::Tuple { ends: e, entries: a }, Shape::Tuple { ends: f, entries: b }) => {
            if e == f {
                in_order(a, b, depth)
            } else {
                Some(false)
            }
        }
        (Shape::Matrix { fence: e, rows: a }, Shape::Matrix { fence: f, rows: b }) => {
            if e != f {
                None
            } else {
                rows(a, b, depth)
            }
        }
        (Shape::Set(a), Shape::Set(b)) => in_any_order(a, b, depth),
        (Shape::List(a), Shape::List(b)) => match in_order(a, b, depth) {
            Some(true) => Some(true),
            // Solutions may come in any order, coordinates may not: another order is left open.
            _ => in_any_order(a, b, depth).filter(|same| !same),
        },
        // Overlapping parts can make one union of another.
        (Shape::Union(a), Shape::Union(b)) => in_any_order(a, b, depth).filter(|same| *same),
        (Shape::Tuple { .. }, Shape::Single(one)) | (Shape::Single(one), Shape::Tuple { .. }) => {
            parse(one)?.value.as_rational().map(|_| false)
        }
        _ => None,
    }
}

/// Two entries that are no collections. Infinity only counts inside of one: on its own sympy has no verdict on it.
fn single(a: &str, b: &str, inside: bool) -> Option<bool> {
    match (infinity(a), infinity(b)) {
        (Some(x), Some(y)) => return inside.then_some(x == y),
        (Some(_), None) => return parse(b)?.value.as_rational().filter(|_| inside).map(|_| false),
        (None, Some(_)) => return parse(a)?.value.as_rational().filter(|_| inside).map(|_| false),
        (None, None) => {}
    }
    let ((a, unit_a), (b, unit_b)) = (without_unit(a), without_unit(b));
    match (unit_a, unit_b) {
        (x, y) if x == y => scalar(a, b),
        (Unit::Percent, Unit::None) => percent(a, b),
        (Unit::None, Unit::Percent) => percent(b, a),
        _ => None,
    }
}

/// `50\%` is 0.5; whether it may be called 50 is left open.
fn percent(hundredths: &str, plain: &str) -> Option<bool> {
    let (hundredths, plain) = (parse(hundredths)?, parse(plain)?);
    let (n, x) = (hundredths.value.as_rational()?, plain.value.as_rational()?);
    if n == x { None } else { Some(n == x * super::number::integer(100)) }
}

fn infinity(s: &str) -> Option<bool> {
    match s.trim() {
        "\\infty" | "+\\infty" => Some(true),
        "-\\infty" => Some(false),
        _ => None,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    None,
    Percent,
    Degrees,
    /// A numeral in another base than ten (`204_5`), of which sympy reads the digits only.
    Base(u32),
}

/// A dollar sign before and a percent sign, a degree sign or a base after an entry.
fn without_unit(s: &str) -> (&str, Unit) {
    let s = s.trim();
    let s = s.strip_prefix("\\$").unwrap_or(s);
    for (sign, unit) in
        [("\\%", Unit::Percent), ("%", Unit::Percent), ("^\\circ", Unit::Degrees), ("^{\\circ}", Unit::Degrees)]
    {
        if let Some(number) = s.strip_suffix(sign) {
            return (number, unit);
        }
    }
    if let Some((digits, base)) = s.split_once('_') {
        let base = base.strip_prefix('{').and_then(|base| base.strip_suffix('}')).unwrap_or(base);
        if let (true, Ok(base)) = (digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-'), base.parse()) {
            return (digits, Unit::Base(base));
        }
    }
    (s, Unit::None)
}

/// All equal: true. Some different, or another number of entries: false.
fn in_order(a: &[&str], b: &[&str], depth: usize) -> Option<bool> {
    if a.len() > MAX_ENTRIES || b.len() > MAX_ENTRIES {
        return None;
    }
    if a.len() != b.len() {
        return Some(false);
    }
    let verdicts: Vec<_> = a.iter().zip(b).map(|(a, b)| entry(a, b, depth + 1)).collect();
    if verdicts.contains(&Some(false)) {
        return Some(false);
    }
    verdicts.iter().all(Option::is_some).then_some(true)
}

fn rows(a: &[Vec<&str>], b: &[Vec<&str>], depth: usize) -> Option<bool> {
    if a.len() != b.len() || a.iter().zip(b).any(|(a, b)| a.len() != b.len()) {
        return Some(false);
    }
    in_order(&a.concat(), &b.concat(), depth)
}

/// Each entry has its equal on the other side: true. Some entry differs from all on the other side: false.
fn in_any_order(a: &[&str], b: &[&str], depth: usize) -> Option<bool> {
    let bytes = |entries: &[&str]| entries.iter().map(|entry| entry.len()).sum::<usize>();
    if a.len() > MAX_ENTRIES || b.len() > MAX_ENTRIES || bytes(a) * b.len() + bytes(b) * a.len() > MAX_COMPARED_BYTES {
        return None;
    }
    let table: Vec<Vec<_>> = a.iter().map(|a| b.iter().map(|b| entry(a, b, depth + 1)).collect()).collect();
    let column = |j: usize| table.iter().map(move |row| row.get(j).copied().flatten());
    let alone = table.iter().any(|row| row.iter().all(|verdict| *verdict == Some(false)))
        || (0..b.len()).any(|j| column(j).all(|verdict| verdict == Some(false)));
    if alone {
        return Some(false);
    }
    let matched = table.iter().all(|row| row.contains(&Some(true)))
        && (0..b.len()).all(|j| column(j).any(|verdict| verdict == Some(true)));
    // With as many entries on both sides a repeated one would need another to be missing.
    (matched && a.len() == b.len()).then_some(true)
}
