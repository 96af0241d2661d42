//! What kind of collection an answer is, by its brackets, commas and commands.

use super::parse::parse;

/// An answer taken apart one level deep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape<'a> {
    Single(&'a str),
    /// `(a,b)`, `[a,b)` and so on; a point or an interval.
    Tuple {
        ends: (char, char),
        entries: Vec<&'a str>,
    },
    /// `\{a,b\}`.
    Set(Vec<&'a str>),
    /// `a,b` without brackets.
    List(Vec<&'a str>),
    /// Parts with `\cup` between them.
    Union(Vec<&'a str>),
    Matrix {
        fence: &'static str,
        rows: Vec<Vec<&'a str>>,
    },
}

const MATRICES: &[&str] = &["pmatrix", "bmatrix", "matrix"];

impl<'a> Shape<'a> {
    /// `None` where brackets do not match up.
    pub(super) fn of(text: &'a str) -> Option<Self> {
        let text = text.trim();
        if let Some(matrix) = matrix(text) {
            return Some(matrix);
        }
        let parts = split(text, "\\cup")?;
        if parts.len() > 1 {
            return Some(Shape::Union(parts));
        }
        if split(text, ",")?.len() > 1 {
            return Some(if parse(text).is_some() { Shape::Single(text) } else { Shape::List(split(text, ",")?) });
        }
        let inside = text.strip_prefix("\\{").and_then(|rest| rest.strip_suffix("\\}"));
        if let Some(entries) = inside.and_then(|inside| split(inside, ",")) {
            return Some(Shape::Set(entries));
        }
        let ends = (text.chars().next(), text.chars().next_back());
        if let (Some(open @ ('(' | '[')), Some(close @ (')' | ']'))) = ends {
            let entries = text.get(1..text.len() - 1).and_then(|inside| split(inside, ","));
            if let Some(entries) = entries.filter(|entries| entries.len() > 1) {
                return Some(Shape::Tuple { ends: (open, close), entries });
            }
        }
        Some(Shape::Single(text))
    }
}

fn matrix(text: &str) -> Option<Shape<'_>> {
    let fence = MATRICES.iter().find(|name| text.starts_with(&format!("\\begin{{{name}}}")))?;
    let inside = text.get("\\begin{}".len() + fence.len()..)?.strip_suffix(&format!("\\end{{{fence}}}"))?;
    if inside.contains("\\begin") || inside.contains("\\end") {
        return None;
    }
    let rows = rows(inside.trim()).into_iter().map(|row| row.split('&').map(str::trim).collect()).collect();
    Some(Shape::Matrix { fence, rows })
}

/// The rows between `\\`. minerva's normalisation makes `\` and a number of `\\`, a space and a number. A break at the
/// end begins no row.
fn rows(inside: &str) -> Vec<&str> {
    let bytes = inside.as_bytes();
    let (mut rows, mut from, mut at) = (Vec::new(), 0, 0);
    while let Some(byte) = bytes.get(at) {
        let width = match (byte, bytes.get(at + 1)) {
            (b'\\', Some(b'\\')) => 2,
            (b'\\', Some(b'0'..=b'9' | b'-')) => 1,
            _ => 0,
        };
        if width > 0 {
            rows.extend(inside.get(from..at));
            from = at + width;
        }
        at += width.max(1);
    }
    rows.extend(inside.get(from..).filter(|last| !last.trim().is_empty()));
    rows
}

/// The parts between `separator`s outside of all brackets; `None` where a bracket closes that was not opened, or stays
/// open. Any closing bracket closes any open one, as intervals have it.
fn split<'a>(text: &'a str, separator: &str) -> Option<Vec<&'a str>> {
    let bytes = text.as_bytes();
    let (mut parts, mut from, mut at, mut depth) = (Vec::new(), 0, 0, 0_usize);
    while let Some(byte) = bytes.get(at) {
        if depth == 0 && bytes.get(at..).is_some_and(|rest| rest.starts_with(separator.as_bytes())) {
            parts.push(text.get(from..at)?);
            at += separator.len();
            from = at;
            continue;
        }
        // `\{` and `\}` are brackets, other escaped bytes are none.
        let escaped = *byte == b'\\' && bytes.get(at + 1).is_some_and(|next| !next.is_ascii_alphabetic());
        match if escaped { bytes.get(at + 1)? } else { byte } {
            b'{' => depth += 1,
            b'}' => depth = depth.checked_sub(1)?,
            b'(' | b'[' if !escaped => depth += 1,
            b')' | b']' if !escaped => depth = depth.checked_sub(1)?,
            _ => {}
        }
        at += if escaped { 2 } else { 1 };
    }
    parts.push(text.get(from..)?);
    (depth == 0).then_some(parts)
}

/// Whether a comma between entries might group thousands (`(1,234)`).
pub(super) fn is_ambiguous(shape: &Shape<'_>) -> bool {
    let (Shape::Tuple { entries, .. } | Shape::Set(entries) | Shape::List(entries)) = shape else { return false };
    entries.windows(2).any(|pair| {
        let [a, b] = pair else { return false };
        let a = a.trim();
        let a = a.strip_prefix('-').unwrap_or(a);
        let digits = |s: &str| s.bytes().all(|byte| byte.is_ascii_digit());
        let b: &str = b.split('.').next().unwrap_or_default();
        digits(a) && digits(b) && (1..=3).contains(&a.len()) && b.len() == 3 && !a.starts_with('0')
    })
}
