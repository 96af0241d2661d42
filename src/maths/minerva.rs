//! minerva_math: where the answer stands in a generation and how it is normalised before sympy compares it, with the
//! outcomes of lm-evaluation-harness' `tasks/minerva_math/utils.py` (after appendix D of arXiv 2206.14858).
//!
//! The normalisation misleads at times: only what follows the last `=` is kept, and "a " or "an " go wherever they
//! stand, also inside a word before a space. Every pass is linear, so that a hostile text costs no more than its length.

use super::boxed::{BoxError, boxed_answer};
use super::hendrycks::replace;
use super::python_number::{is_decimal, is_word};
use crate::python::text::strip;

/// What the reference answers where a generation has no answer.
pub const INVALID_ANSWER: &str = "[invalidanswer]";

const HEAD: &str = "Final Answer: The final answer is";
const TAIL: &str = " I hope it is correct";
/// The reference appends this to every generation (stop sequences may have cut it off).
const APPENDED: &str = "I hope it is correct.";

const SUBSTITUTIONS: &[(&str, &str)] = &[
    ("an ", ""),
    ("a ", ""),
    (".$", "$"),
    ("\\$", ""),
    ("\\ ", ""),
    (" ", ""),
    ("mbox", "text"),
    (",\\text{and}", ","),
    ("\\text{and}", ","),
    ("\\text{m}", "\\text{}"),
];

/// Words that go, first where they stand alone and then wherever they are outside a LaTeX command.
const UNIT_WORDS: &[&str] = &["square", "ways", "integers", "dollars", "mph", "inches", "ft", "hours", "km", "units"];
const MORE_UNIT_WORDS: &[&str] = &[
    "sue",
    "points",
    "feet",
    "minutes",
    "digits",
    "cents",
    "degrees",
    "cm",
    "gm",
    "pounds",
    "meters",
    "meals",
    "edges",
    "students",
    "childrentickets",
    "multiples",
];
/// LaTeX that goes, after the words.
const REMOVED_LATEX: &[&str] = &[
    "\\text{s}",
    "\\text{.}",
    "\\text{\ns}",
    "\\text{}^2",
    "\\text{}^3",
    "\\text{\n}",
    "\\text{}",
    "\\mathrm{th}",
    "^\\circ",
    "^{\\circ}",
    "\\;",
    ",\\!",
    "{,}",
    "\"",
    "\\dots",
];

/// `get_unnormalized_answer`: the text between "Final Answer: The final answer is" and ". I hope it is correct." on one
/// line; [`INVALID_ANSWER`] where there is none. The full stops of the reference's pattern match any character.
pub fn minerva_answer(text: &str) -> String {
    let text = format!("{text}{APPENDED}");
    let mut rest = text.as_str();
    while let Some(head) = rest.find(HEAD) {
        let (line, after) = rest.split_at(rest.get(head..).and_then(|r| r.find('\n')).map_or(rest.len(), |n| head + n));
        if let Some(answer) = line.get(head + HEAD.len()..).and_then(answer_in_line) {
            return strip(answer).to_owned();
        }
        rest = after;
    }
    INVALID_ANSWER.to_owned()
}

/// The answer in the rest of a line after its first head; later heads see less of the line than the first.
fn answer_in_line(after: &str) -> Option<&str> {
    let first = after.chars().next()?.len_utf8();
    let mut from = first;
    loop {
        let tail = from + after.get(from..)?.find(TAIL)?;
        if after.get(tail + TAIL.len()..)?.is_empty() {
            return None;
        }
        let before = after.get(..tail)?;
        if let Some((last, _)) = before.char_indices().next_back() {
            return before.get(..last);
        }
        from = tail + 1;
    }
}

/// The normalised gold answer of a MATH solution.
pub fn minerva_gold(solution: &str) -> Result<String, BoxError> {
    boxed_answer(solution).map(|answer| normalize_final_answer(&answer))
}

/// `normalize_final_answer`: the form in which two answers are compared.
pub fn normalize_final_answer(answer: &str) -> String {
    let mut s = answer.rsplit('=').next().unwrap_or_default().to_owned();
    for word in words() {
        s = remove_standing_alone(s, word);
    }
    for (from, to) in SUBSTITUTIONS {
        replace(&mut s, from, to);
    }
    remove_listed(&mut s);
    s = keep_first_maths(&s);
    for open in ["\\text{", "\\textbf{", "\\overline{"] {
        s = unwrap_to_next_brace(s, open);
    }
    s = unwrap_to_last_brace(s, "\\boxed{");
    s = brace_frac(&s);
    s = brace_indexed_root(&s);
    s = brace_root(&s);
    replace(&mut s, "$", "");
    if has_thousands_commas(&s) {
        replace(&mut s, ",", "");
    }
    s
}

fn words() -> impl Iterator<Item = &'static str> {
    UNIT_WORDS.iter().chain(MORE_UNIT_WORDS).copied()
}

/// The reference's list in its order: `\ldots` stands between the two groups of words.
fn remove_listed(s: &mut String) {
    for word in UNIT_WORDS {
        remove_outside_commands(s, word);
    }
    replace(s, "\\ldots", "");
    for word in MORE_UNIT_WORDS {
        remove_outside_commands(s, word);
    }
    for latex in REMOVED_LATEX {
        replace(s, latex, "");
    }
}

/// `(?<!\\)\bword\b` to nothing.
fn remove_standing_alone(s: String, word: &str) -> String {
    if !s.contains(word) {
        return s;
    }
    let mut out = String::with_capacity(s.len());
    let mut copied = 0;
    for (at, _) in s.match_indices(word) {
        let before = s.get(..at).and_then(|before| before.chars().next_back());
        let after = s.get(at + word.len()..).and_then(|after| after.chars().next());
        if before.is_some_and(|c| c == '\\' || is_word(c)) || after.is_some_and(is_word) {
            continue;
        }
        out.push_str(s.get(copied..at).unwrap_or_default());
        copied = at + word.len();
    }
    out.push_str(s.get(copied..).unwrap_or_default());
    out
}

/// Removes `word` from the stretches between commands (`\` and ASCII letters).
fn remove_outside_commands(s: &mut String, word: &str) {
    if !s.contains(word) {
        return;
    }
    let mut out = String::with_capacity(s.len());
    let mut rest = s.as_str();
    while !rest.is_empty() {
        let (plain, command) = rest.split_at(next_command(rest).unwrap_or(rest.len()));
        out.push_str(&plain.replace(word, ""));
        let letters = command.bytes().skip(1).take_while(u8::is_ascii_alphabetic).count();
        let (command, after) = command.split_at(if command.is_empty() { 0 } else { letters + 1 });
        out.push_str(command);
        rest = after;
    }
    *s = out;
}

/// Where the next `\` with a letter after it is.
fn next_command(s: &str) -> Option<usize> {
    let bytes = s.as_bytes();
    (0..bytes.len().saturating_sub(1))
        .find(|&at| bytes.get(at) == Some(&b'\\') && bytes.get(at + 1).is_some_and(u8::is_ascii_alphabetic))
}

/// On every line with two `$`, what lies between the first two, with them.
fn keep_first_maths(s: &str) -> String {
    each_line(s, |line| {
        let (_, after) = line.split_once('$')?;
        let (inside, _) = after.split_once('$')?;
        Some(format!("${inside}$"))
    })
}

/// `open` ... `}` to what is inside, up to the next `}`, on one line.
fn unwrap_to_next_brace(s: String, open: &str) -> String {
    if !s.contains(open) {
        return s;
    }
    let mut out = String::with_capacity(s.len());
    let mut rest = s.as_str();
    while let Some((before, after)) = rest.split_once(open) {
        let Some((inside, end)) = after.find(['}', '\n']).map(|end| after.split_at(end)) else { break };
        out.push_str(before);
        if let Some(next) = end.strip_prefix('}') {
            out.push_str(inside);
            rest = next;
        } else {
            // Nothing closes on this line, for this one nor for those after it.
            out.push_str(open);
            out.push_str(inside);
            rest = end;
        }
    }
    out + rest
}

/// `open` ... `}` to what is inside, up to the last `}` of the line.
fn unwrap_to_last_brace(s: String, open: &str) -> String {
    if !s.contains(open) {
        return s;
    }
    each_line(&s, |line| {
        let (before, after) = line.split_once(open)?;
        let (inside, after) = after.rsplit_once('}')?;
        Some(format!("{before}{inside}{after}"))
    })
}

/// Applies `change` to every line; `None` keeps it.
fn each_line(s: &str, change: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(s.len());
    for (number, line) in s.split('\n').enumerate() {
        if number > 0 {
            out.push('\n');
        }
        match change(line) {
            Some(changed) => out.push_str(&changed),
            None => out.push_str(line),
        }
    }
    out
}

/// `frac` and two characters to `frac{.}{.}`, unless the first is `{`.
fn brace_frac(s: &str) -> String {
    rewrite_after(s, "frac", |after| {
        let mut chars = after.chars();
        let above = chars.next().filter(|c| *c != '{')?;
        let below = chars.next().filter(|c| *c != '\n')?;
        Some((format!("{{{above}}}{{{below}}}"), chars.as_str()))
    })
}

/// `sqrt[3]8` to `sqrt[3]{8}`.
fn brace_indexed_root(s: &str) -> String {
    if !s.contains("sqrt[") {
        return s.to_owned();
    }
    // Where the nearest `]` of a suffix is, so that many open indices cost one search.
    let mut known: Option<usize> = None;
    rewrite_after(s, "sqrt", |after| {
        let from = s.len() - after.len();
        let inside = after.strip_prefix('[')?;
        if known.is_none_or(|close| close <= from) {
            known = Some(inside.find(']').map_or(usize::MAX, |close| from + 1 + close));
        }
        let close = known.filter(|close| *close < s.len())?;
        let index = s.get(from..=close)?;
        let mut chars = s.get(close + 1..)?.chars();
        let radicand = chars.next().filter(|c| is_word(*c))?;
        Some((format!("{index}{{{radicand}}}"), chars.as_str()))
    })
}

/// `sqrt2` to `sqrt{2}`.
fn brace_root(s: &str) -> String {
    rewrite_after(s, "sqrt", |after| {
        let mut chars = after.chars();
        let radicand = chars.next().filter(|c| *c != '[' && *c != '{')?;
        Some((format!("{{{radicand}}}"), chars.as_str()))
    })
}

/// Copies `s`; after each `name`, `change` may give what to write and where to go on.
fn rewrite_after<'a>(s: &'a str, name: &str, mut change: impl FnMut(&'a str) -> Option<(String, &'a str)>) -> String {
    let mut out = String::with_capacity(s.len());
    let mut rest = s;
    while let Some(at) = rest.find(name) {
        let (before, after) = rest.split_at(at + name.len());
        out.push_str(before);
        rest = after;
        if let Some((written, next)) = change(after) {
            out.push_str(&written);
            rest = next;
        }
    }
    out + rest
}

/// `-?\d{1,3}(,\d{3})+`: commas that can only group thousands.
fn has_thousands_commas(s: &str) -> bool {
    let mut groups = s.strip_prefix('-').unwrap_or(s).split(',');
    let digits = |group: &str, least: usize| {
        let mut count = 0;
        group.chars().all(|c| {
            count += 1;
            count <= 3 && is_decimal(c)
        }) && count >= least
    };
    let first = groups.next().is_some_and(|group| digits(group, 1));
    let mut more = 0;
    first
        && groups.all(|group| {
            more += 1;
            digits(group, 3)
        })
        && more > 0
}
