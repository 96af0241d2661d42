//! White space as Python's `str` sees it: Unicode white space and the four separators U+001C to U+001F.

/// `c.isspace()`.
pub fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// `text.strip()`.
pub fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// `len(re.split(r"\s+", text))`: stretches of white space plus one, so a blank at either end adds an empty word.
pub fn count_words(text: &str) -> usize {
    let mut gaps = 0;
    let mut in_gap = false;
    for c in text.chars() {
        let space = is_space(c);
        gaps += usize::from(space && !in_gap);
        in_gap = space;
    }
    gaps + 1
}

#[cfg(test)]
mod tests {
    //! Expected values: CPython 3.11.
    use super::*;

    #[test]
    fn strips_separators_too() {
        assert_eq!(strip("\u{1c} \u{a0}a b\u{85}\n"), "a b");
        assert_eq!(strip("\u{200b}a"), "\u{200b}a");
    }

    #[test]
    fn counts_words_as_a_split_does() {
        let cases = [("", 1), ("one", 1), ("one  two\nthree", 3), (" one ", 3), ("\u{1d}", 2), ("a\u{3000}b", 2)];
        for (text, words) in cases {
            assert_eq!(count_words(text), words, "{text:?}");
        }
    }
}
