//! hendrycks_math: string comparison after the clean-up of the MATH authors (arXiv 2103.03874), with the outcomes of
//! lm-evaluation-harness' `tasks/hendrycks_math/utils.py`, its exceptions included.
//!
//! The clean-up is known to mislead: `0.5` becomes a fraction but `0.25` does not, `2/4` is not `1/2`, units are only
//! cut where `\text{ ` begins them, and an answer on which it raises is compared raw.

use super::python_number::{Int, parse_int};

/// The clean-up raised: an index or an assertion of the reference failed, so the raw texts decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raised;

/// Which copy of the clean-up; they differ in what `_fix_a_slash_b` catches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copy {
    /// hendrycks_math: a part of `a/b` that is no integer raises.
    Hendrycks,
    /// agieval: such an `a/b` stays as it is.
    Agieval,
}

/// The answer in a generation: what lies between its first and its last `$`, all of it where there are fewer than two.
pub fn hendrycks_answer(text: &str) -> &str {
    match (text.find('$'), text.rfind('$')) {
        (Some(first), Some(last)) if first < last => text.get(first + 1..last).unwrap_or(text),
        _ => text,
    }
}

/// `is_equiv`: equal after [`strip_string`]; equal as they are where that raises for either.
pub fn hendrycks_equal(a: &str, b: &str) -> bool {
    equal_after(a, b, Copy::Hendrycks)
}

pub(super) fn equal_after(a: &str, b: &str, copy: Copy) -> bool {
    match (strip_string(a, copy), strip_string(b, copy)) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    }
}

/// `strip_string`: the clean-up. `Err` where the reference raises.
pub fn strip_string(text: &str, copy: Copy) -> Result<String, Raised> {
    let mut s = text.to_owned();
    for (from, to) in [
        ("\n", ""),
        ("\\!", ""),
        ("\\\\", "\\"),
        ("tfrac", "frac"),
        ("dfrac", "frac"),
        ("\\left", ""),
        ("\\right", ""),
        ("^{\\circ}", ""),
        ("^\\circ", ""),
        ("\\$", ""),
    ] {
        replace(&mut s, from, to);
    }
    s = remove_right_units(s)?;
    for (from, to) in [("\\%", ""), (" .", " 0."), ("{.", "{0.")] {
        replace(&mut s, from, to);
    }
    if s.is_empty() {
        return Ok(s);
    }
    if s.starts_with('.') {
        s.insert(0, '0');
    }
    s = drop_short_left_side(s);
    s = fix_sqrt(s)?;
    replace(&mut s, " ", "");
    s = fix_fracs(s)?;
    if s == "0.5" {
        s = "\\frac{1}{2}".to_owned();
    }
    fix_a_slash_b(s, copy)
}

/// `str.replace`, without a copy where there is nothing to replace.
pub(super) fn replace(s: &mut String, from: &str, to: &str) {
    if s.contains(from) {
        *s = s.replace(from, to);
    }
}

/// Cuts a unit that begins with `\text{ `; two of them raise.
fn remove_right_units(s: String) -> Result<String, Raised> {
    let mut parts = s.split("\\text{ ");
    let first = parts.next().unwrap_or_default();
    match (parts.next(), parts.next()) {
        (None, _) => Ok(s),
        (Some(_), None) => Ok(first.to_owned()),
        _ => Err(Raised),
    }
}

/// `k = 5` to ` 5`: one equals sign with at most two characters before it.
fn drop_short_left_side(s: String) -> String {
    match s.split_once('=') {
        Some((left, right)) if !right.contains('=') && left.chars().count() <= 2 => right.to_owned(),
        _ => s,
    }
}

/// `\sqrt3` to `\sqrt{3}`; a `\sqrt` with nothing after it raises.
fn fix_sqrt(s: String) -> Result<String, Raised> {
    if !s.contains("\\sqrt") {
        return Ok(s);
    }
    let mut parts = s.split("\\sqrt");
    let mut fixed = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        fixed.push_str("\\sqrt");
        let mut chars = part.chars();
        match chars.next().ok_or(Raised)? {
            '{' => fixed.push_str(part),
            first => {
                fixed.extend(['{', first, '}']);
                fixed.push_str(chars.as_str());
            }
        }
    }
    Ok(fixed)
}

/// `\frac12` to `\frac{1}{2}`, `\frac1{72}` to `\frac{1}{72}`. Nothing after a `\frac` raises; one character after it
/// leaves the whole text as it was.
fn fix_fracs(s: String) -> Result<String, Raised> {
    let mut parts = s.split("\\frac");
    let mut fixed = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        fixed.push_str("\\frac");
        let mut chars = part.chars();
        let above = chars.next().ok_or(Raised)?;
        if above == '{' {
            fixed.push_str(part);
            continue;
        }
        let Some(below) = chars.next() else { return Ok(s) };
        fixed.extend(['{', above, '}']);
        match below {
            '{' => fixed.push('{'),
            _ => fixed.extend(['{', below, '}']),
        }
        fixed.push_str(chars.as_str());
    }
    Ok(fixed)
}

/// `a/b` of two integers in plain form to `\frac{a}{b}`.
fn fix_a_slash_b(s: String, copy: Copy) -> Result<String, Raised> {
    let Some((above, below)) = s.split_once('/').filter(|(_, below)| !below.contains('/')) else { return Ok(s) };
    match (parse_int(above), parse_int(below)) {
        (Int::Plain, Int::Plain) => Ok(format!("\\frac{{{above}}}{{{below}}}")),
        (Int::No, _) | (_, Int::No) if copy == Copy::Hendrycks => Err(Raised),
        _ => Ok(s),
    }
}
