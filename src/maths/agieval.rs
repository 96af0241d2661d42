//! agieval_math: the answer parser and comparison of AGIEval (arXiv 2304.06364), with the outcomes of
//! lm-evaluation-harness' `tasks/agieval/utils.py`.
//!
//! It misleads where a generation goes on after its answer: without a box, the last line with two `$` decides, and
//! without those, whatever follows the last `=` or the last number.

use super::boxed::{last_braced, remove_braced};
use super::hendrycks::{Copy, equal_after};
use super::python_number::{is_decimal, is_word};

/// `parse_math_answer`: the answer in a generation or a gold text; `None` where there is none.
pub fn parse_math_answer(text: &str) -> Option<String> {
    if text.contains("\\boxed") {
        let inside = remove_braced(last_braced(text)?)?;
        return Some(after_last_equals(inside).to_owned());
    }
    match last_dollars(text).map(after_last_equals) {
        Some(answer) if !answer.is_empty() => Some(answer.to_owned()),
        _ => without_dollars(text).map(str::to_owned),
    }
}

/// `is_equiv`: the parsed answers are equal after the clean-up of hendrycks_math. Two texts without an answer are equal.
pub fn agieval_equal(a: &str, b: &str) -> bool {
    match (parse_math_answer(a), parse_math_answer(b)) {
        (Some(a), Some(b)) => equal_after(&a, &b, Copy::Agieval),
        (None, None) => true,
        _ => false,
    }
}

fn after_last_equals(s: &str) -> &str {
    match s.rsplit_once('=') {
        Some((_, after)) => after.trim_start_matches(' '),
        None => s,
    }
}

/// From the first to the last `$` of the last line that has two.
fn last_dollars(text: &str) -> Option<&str> {
    text.rsplit('\n').find_map(|line| {
        let (_, after) = line.split_once('$')?;
        after.rsplit_once('$').map(|(inside, _)| inside)
    })
}

/// What follows the last `=` (up to a literal `\n`), or the last number that no word character touches.
fn without_dollars(text: &str) -> Option<&str> {
    match text.rsplit_once('=') {
        Some((_, after)) => {
            let answer = after.trim_start_matches(' ').trim_end_matches('.');
            answer.split("\\n").next()
        }
        None => last_number(text),
    }
}

/// The last match of `\$?\d+(\.\d+)?(?![\w\d])`. A run of digits with a word character after it has no match in it; a
/// fraction that a word character follows falls back to the digits before the point.
fn last_number(text: &str) -> Option<&str> {
    let mut found = None;
    let mut at = 0;
    while let Some(begin) = text.get(at..).and_then(|rest| rest.find(is_decimal)).map(|skip| at + skip) {
        let whole = digits_end(text, begin);
        let point = text.get(whole..).is_some_and(|rest| rest.starts_with('.'));
        let fraction = if point { digits_end(text, whole + 1) } else { whole };
        let end = if fraction > whole + 1 && !word_at(text, fraction) { fraction } else { whole };
        if !word_at(text, end) {
            let dollar = begin > at && text.get(..begin).is_some_and(|before| before.ends_with('$'));
            found = text.get(begin - usize::from(dollar)..end);
        }
        at = end;
    }
    found
}

/// Where the digits that begin at `from` end.
fn digits_end(text: &str, from: usize) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    from + rest.find(|c: char| !is_decimal(c)).unwrap_or(rest.len())
}

fn word_at(text: &str, at: usize) -> bool {
    text.get(at..).and_then(|rest| rest.chars().next()).is_some_and(is_word)
}
