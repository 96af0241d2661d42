//! Methods of Python's `str` where Rust's own differ.

use super::unicode::{DIGITS, TITLE};

/// `len(s)`: code points.
pub fn len(s: &str) -> usize {
    s.chars().count()
}

/// `c.isspace()`, which is also `\s` of `re`: Unicode whitespace and the four separators U+001C to U+001F.
pub fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// `s.strip()`.
pub fn strip(s: &str) -> &str {
    s.trim_matches(is_space)
}

/// `s.lstrip()`.
pub fn lstrip(s: &str) -> &str {
    s.trim_start_matches(is_space)
}

/// `s.rstrip()`.
pub fn rstrip(s: &str) -> &str {
    s.trim_end_matches(is_space)
}

/// `s[:1].isspace()`.
pub fn starts_with_space(s: &str) -> bool {
    s.chars().next().is_some_and(is_space)
}

/// `s[-1:].isspace()`.
pub fn ends_with_space(s: &str) -> bool {
    s.chars().next_back().is_some_and(is_space)
}

/// `s.split()`: the words between runs of whitespace.
pub fn split(s: &str) -> impl Iterator<Item = &str> {
    s.split(is_space).filter(|word| !word.is_empty())
}

/// `re.split(r"\s+", s)`: unlike `split`, whitespace at an end leaves an empty piece there.
pub fn split_whitespace(s: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = s;
    while let Some(start) = rest.find(is_space) {
        pieces.push(&rest[..start]);
        rest = lstrip(&rest[start..]);
    }
    pieces.push(rest);
    pieces
}

/// `s.isdigit()`: not empty, and all digits of some script or superscripts and the like.
pub fn isdigit(s: &str) -> bool {
    !s.is_empty() && s.chars().all(|c| c.is_ascii_digit() || (!c.is_ascii() && in_ranges(DIGITS, c)))
}

/// `s.capitalize()`: the first character in title case, the rest in lower case.
pub fn capitalize(s: &str) -> String {
    let Some(first) = s.chars().next() else { return String::new() };
    let lower = s.to_lowercase();
    // The whole is lowered (a final sigma depends on its neighbours), then the first character's part is replaced.
    let first_lower: usize = first.to_lowercase().map(char::len_utf8).sum();
    let rest = lower.get(first_lower..).unwrap_or_default();
    match TITLE.binary_search_by_key(&first, |(c, _)| *c) {
        Ok(i) => format!("{}{rest}", TITLE[i].1),
        Err(_) => format!("{}{rest}", first.to_uppercase()),
    }
}

/// Whether a sorted table of ranges (both ends included) holds `c`.
pub fn in_ranges(table: &[(u32, u32)], c: char) -> bool {
    let c = c as u32;
    let after = table.partition_point(|(start, _)| *start <= c);
    after.checked_sub(1).and_then(|i| table.get(i)).is_some_and(|(_, end)| c <= *end)
}

#[cfg(test)]
mod tests {
    //! Expected values were printed by CPython 3.11.
    use super::*;

    #[test]
    fn whitespace() {
        assert_eq!(strip("\u{1c}\u{a0} a b\u{2003}\u{85}\n"), "a b");
        assert_eq!(rstrip("a\u{200b}"), "a\u{200b}");
        assert_eq!(split(" a\u{1f}b  c ").collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(split_whitespace(" a  b "), ["", "a", "b", ""]);
        assert_eq!(split_whitespace(""), [""]);
        assert_eq!(split_whitespace("a"), ["a"]);
        assert_eq!(len("é😀a"), 3);
    }

    #[test]
    fn digits() {
        for yes in ["0", "012", "²", "१२", "①", "９"] {
            assert!(isdigit(yes), "{yes}");
        }
        for no in ["", "-1", "1.0", "½", "Ⅷ", "一", "1 "] {
            assert!(!isdigit(no), "{no}");
        }
    }

    #[test]
    fn capitals() {
        for (given, expected) in [
            ("", ""),
            ("hELLO wORLD", "Hello world"),
            ("ßA", "Ssa"),
            ("ﬁNE", "Fine"),
            ("ǆabc", "ǅabc"),
            ("ΑΣ", "Ας"),
            ("Σ", "Σ"),
            ("İI", "İi"),
            ("ა", "ა"),
            ("ŉb", "ʼNb"),
            ("1ABC", "1abc"),
        ] {
            assert_eq!(capitalize(given), expected, "{given}");
        }
    }
}
