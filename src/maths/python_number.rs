//! Python's view of characters and numbers where the reference's outcome hangs on it: `\w`, `\d` and `int()`.

use crate::python::text::is_space;
use fancy_regex::Regex;
use std::sync::LazyLock;

static LETTER_OR_NUMBER: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\A[\p{L}\p{N}]\z").ok());
static DECIMAL: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\A\p{Nd}\z").ok());

fn is_in(class: &LazyLock<Option<Regex>>, c: char) -> bool {
    class.as_ref().is_some_and(|class| class.is_match(c.encode_utf8(&mut [0; 4])).unwrap_or(false))
}

/// `\w` of Python's `re`: letters and numbers of every script and `_`, but no combining marks (Rust's `\w` has them).
pub(super) fn is_word(c: char) -> bool {
    if c.is_ascii() {
        c.is_ascii_alphanumeric() || c == '_'
    } else {
        c.is_alphanumeric() && is_in(&LETTER_OR_NUMBER, c)
    }
}

/// `\d` of Python's `re`: decimal digits of every script.
pub(super) fn is_decimal(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_digit() } else { c.is_numeric() && is_in(&DECIMAL, c) }
}

/// What `int(text)` makes of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Int {
    /// An integer that prints as the text it was read from.
    Plain,
    /// An integer that prints otherwise (`+5`, `007`, `1_000`, ` 5`, digits of another script).
    Other,
    /// `ValueError`.
    No,
}

/// CPython 3.11 and later refuse longer numbers (`sys.set_int_max_str_digits`).
const MAX_DIGITS: usize = 4300;

/// Reads `text` as `int()` does.
pub(super) fn parse_int(text: &str) -> Int {
    let trimmed = if text.is_ascii() {
        text.trim_matches([' ', '\t', '\n', '\r', '\u{b}', '\u{c}'])
    } else {
        text.trim_matches(is_space)
    };
    let digits = trimmed.strip_prefix(['+', '-']).unwrap_or(trimmed);
    let mut count = 0_usize;
    let mut after_digit = false;
    for c in digits.chars() {
        match c {
            '_' if after_digit => after_digit = false,
            c if is_decimal(c) => {
                count += 1;
                after_digit = true;
            }
            _ => return Int::No,
        }
    }
    if !after_digit || count > MAX_DIGITS {
        return Int::No;
    }
    let plain = digits.len() == count
        && text.len() == trimmed.len()
        && !text.starts_with('+')
        && (text == "0" || !digits.starts_with('0'));
    if plain { Int::Plain } else { Int::Other }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn int_is_pythons() {
        // Asked of CPython 3.11: int(s) raises or not, and str(int(s)) == s.
        for text in ["0", "5", "-5", "120"] {
            assert_eq!(parse_int(text), Int::Plain, "{text:?}");
        }
        for text in ["+5", "007", "1_000", "\t5", "-0", "00", "\u{663}", "\u{a0}5"] {
            assert_eq!(parse_int(text), Int::Other, "{text:?}");
        }
        for text in ["", "-", "x", "1_", "_1", "1__0", "1.0", "- 5", "--5", "\u{b2}", &"1".repeat(4301)] {
            assert_eq!(parse_int(text), Int::No, "{text:?}");
        }
    }

    #[test]
    fn word_characters_are_pythons() {
        // Asked of CPython 3.11: re.fullmatch(r"\w", c).
        for c in ['a', '_', '7', '\u{b2}', '\u{e9}', '\u{bd}', '\u{2160}', '\u{4e00}'] {
            assert!(is_word(c), "{c:?}");
        }
        for c in ['-', '\u{301}', '\u{24b6}', '\u{b0}', '$'] {
            assert!(!is_word(c), "{c:?}");
        }
    }
}
