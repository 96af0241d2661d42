//! Python regular expressions with Python's meaning: compiled once, with `findall` and `sub("")`.
//!
//! Known differences from `re`: case folding follows Unicode's simple folding; after an empty match the search goes on one
//! character further, so of `(|a)` on `a` the second, longer match at the same place is not seen.

use crate::error::{Error, Result};
use crate::python::regex_syntax::translate;
use crate::request::Unscored;
use fancy_regex::{Captures, Regex, RegexBuilder};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// Steps after which a search is given up: Python would go on, perhaps for hours.
const BACKTRACK_LIMIT: usize = 10_000_000;

/// A compiled pattern.
#[derive(Debug)]
pub struct Pattern {
    regex: Regex,
}

/// One match of `findall`: the groups' texts (empty where a group took no part), or the whole match without groups.
pub type Groups = Vec<String>;

impl Pattern {
    /// Compiles a Python pattern.
    pub fn new(source: &str) -> Result<Self> {
        let refuse = |reason: String| {
            Error::input(format!("regular expression `{source}`: {reason}"))
                .hint("write it in the syntax of Python's `re`; in YAML single quotes keep backslashes as they are")
        };
        let translated = translate(source).map_err(refuse)?;
        let regex = RegexBuilder::new(&translated)
            .backtrack_limit(BACKTRACK_LIMIT)
            .build()
            .map_err(|err| refuse(err.to_string().lines().collect::<Vec<_>>().join(" ")))?;
        Ok(Pattern { regex })
    }

    /// The pattern for `source`, compiled at the first call.
    pub fn cached(source: &str) -> Result<Arc<Self>> {
        static COMPILED: LazyLock<Mutex<HashMap<String, Arc<Pattern>>>> = LazyLock::new(Mutex::default);
        if let Some(known) = COMPILED.lock().unwrap_or_else(PoisonError::into_inner).get(source) {
            return Ok(Arc::clone(known));
        }
        let pattern = Arc::new(Pattern::new(source)?);
        COMPILED.lock().unwrap_or_else(PoisonError::into_inner).insert(source.to_owned(), Arc::clone(&pattern));
        Ok(pattern)
    }

    /// Every character of Unicode's punctuation categories, which Python's syntax cannot name.
    pub fn unicode_punctuation() -> Result<Self> {
        let regex =
            Regex::new(r"\p{P}").map_err(|err| Error::input("the punctuation categories are missing").cause(err))?;
        Ok(Pattern { regex })
    }

    /// `re.escape`: the source of a pattern that matches `text`.
    pub fn escape(text: &str) -> String {
        let mut source = String::with_capacity(text.len());
        for c in text.chars() {
            if "()[]{}?*+-|^$\\.&~# \t\n\r\x0b\x0c".contains(c) {
                source.push('\\');
            }
            source.push(c);
        }
        source
    }

    /// `re.findall`. Two groups or more are what Python gives as a tuple.
    pub fn find_all(&self, text: &str) -> Result<Vec<Groups>, Unscored> {
        let groups = self.regex.captures_len();
        let wanted = if groups > 1 { 1..groups } else { 0..1 };
        self.matches(text, |found| {
            wanted.clone().map(|group| found.get(group).map_or_else(String::new, |m| m.as_str().to_owned())).collect()
        })
    }

    /// `re.sub(pattern, "", text)`.
    pub fn remove_from(&self, text: &str) -> Result<String, Unscored> {
        self.replace_in(text, "")
    }

    /// `re.sub(pattern, with, text)` for a replacement without backslashes.
    pub fn replace_in(&self, text: &str, with: &str) -> Result<String, Unscored> {
        let ranges = self.matches(text, |found| found.get(0).map(|whole| whole.range()).unwrap_or_default())?;
        let mut kept = String::with_capacity(text.len());
        let mut from = 0;
        for range in ranges {
            kept.push_str(text.get(from..range.start).unwrap_or_default());
            kept.push_str(with);
            from = range.end;
        }
        kept.push_str(text.get(from..).unwrap_or_default());
        Ok(kept)
    }

    /// Walks over all matches as Python 3.7 and later do: an empty match may follow a match directly, but not an empty one.
    fn matches<T>(&self, text: &str, mut take: impl FnMut(&Captures<'_, str>) -> T) -> Result<Vec<T>, Unscored> {
        let mut found = Vec::new();
        let mut at = 0;
        while at <= text.len() {
            let next = self.regex.captures_from_pos(text, at).map_err(|err| {
                Unscored::new(format!("the regular expression `{}` gave up: {err}", self.regex.as_str()))
            })?;
            let Some(captures) = next else { break };
            let Some(whole) = captures.get(0) else { break };
            found.push(take(&captures));
            at = if whole.end() > whole.start() { whole.end() } else { after_char(text, whole.end()) };
        }
        Ok(found)
    }
}

/// The position after the character that starts at `at`.
fn after_char(text: &str, at: usize) -> usize {
    at + text.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8)
}

#[cfg(test)]
mod tests {
    //! Expected values: CPython 3.11 `re.findall` and `re.sub`.
    use super::*;

    fn find(pattern: &str, text: &str) -> Vec<Vec<String>> {
        Pattern::new(pattern).unwrap().find_all(text).unwrap()
    }

    fn remove(pattern: &str, text: &str) -> String {
        Pattern::new(pattern).unwrap().remove_from(text).unwrap()
    }

    #[test]
    fn findall_gives_match_group_or_tuple() {
        assert_eq!(find("a.", "abacad"), [["ab"], ["ac"], ["ad"]]);
        assert_eq!(find("a(.)", "abac"), [["b"], ["c"]]);
        assert_eq!(find("(-?[$0-9.,]{2,})|(-?[0-9]+)", "I paid $1,234.5 for 7."), [["$1,234.5", ""], ["7.", ""]]);
        assert_eq!(find("(a)(b)?", "aab"), [["a", ""], ["a", "b"]]);
    }

    #[test]
    fn empty_matches_as_python() {
        assert_eq!(find("a*", "baac"), [[""], ["aa"], [""], [""]]);
        assert_eq!(find("", "é"), [[""], [""]]);
        assert_eq!(remove("x*", "axb"), "ab");
    }

    #[test]
    fn dollar_stands_before_a_last_newline() {
        assert_eq!(remove(r"\.$", "18.\n"), "18\n");
        assert_eq!(remove(r"\.$", "18.\n\n"), "18.\n\n");
        assert_eq!(find(r"(?m)\w$", "a\nb\n"), [["a"], ["b"]]);
        assert_eq!(find(r"a\Z", "a\n"), Vec::<Vec<String>>::new());
    }

    #[test]
    fn escaped_text_matches_itself() {
        let odd = "a.b*[c]\\ {1}#~&-\n\"'<é>";
        assert_eq!(find(&Pattern::escape(odd), odd), [[odd]]);
    }

    #[test]
    fn removes_up_to_the_last_marker() {
        assert_eq!(remove("(?s).*#### ", "one\n#### 1\n#### 18"), "18");
    }

    #[test]
    fn gives_up_instead_of_hanging() {
        let err = Pattern::new(r"(a|aa)+(?=b)(?!c)\1$").unwrap().find_all(&"a".repeat(64)).unwrap_err();
        assert!(err.reason.contains("gave up"), "{}", err.reason);
    }

    #[test]
    fn a_bad_pattern_is_an_error_with_the_pattern() {
        let err = Pattern::new("(a").unwrap_err();
        assert!(err.to_string().starts_with("regular expression `(a`: "), "{err}");
        assert!(err.hint_text().is_some());
    }
}
