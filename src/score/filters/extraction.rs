//! Filters that find the answer inside a longer text.

use super::Filter;
use crate::error::Result;
use crate::python::text::strip;
use crate::request::Unscored;
use crate::score::kwargs::Kwargs;
use crate::score::pattern::{Groups, Pattern};
use serde_json::Value;

/// The pattern that the reference searches for unless the task gives one: GSM8K's answer line.
pub(super) const DEFAULT_PATTERN: &str = r"#### (\-?[0-9\.\,]+)";
const DEFAULT_FALLBACK: &str = "[invalid]";
const TAGGED: &str = r"\('([^']*)', '([^']*)'\)";

/// A search for one match among all of a text.
pub(super) struct Search {
    pub pattern: std::sync::Arc<Pattern>,
    /// Which match, from the front or (negative) from the back.
    pub group_select: i64,
    /// The answer when nothing was found.
    pub fallback: Value,
    /// Leave white space at the ends of what was found out, as the reference does.
    strip: bool,
}

impl Search {
    pub fn read(kwargs: Kwargs<'_>) -> Result<Self> {
        Ok(Search {
            pattern: kwargs.pattern("regex_pattern", DEFAULT_PATTERN)?,
            group_select: kwargs.integer("group_select")?.unwrap_or(0),
            fallback: kwargs.0.get("fallback").cloned().unwrap_or_else(|| Value::from(DEFAULT_FALLBACK)),
            strip: kwargs.flag_or("strip", true)?,
        })
    }

    /// What was found, as the answer.
    pub fn found(&self, text: &str) -> Value {
        Value::from(if self.strip { strip(text) } else { text })
    }
}

/// The match at a Python index; `None` when there are not that many.
pub(super) fn select(mut found: Vec<Groups>, index: i64) -> Option<Groups> {
    let at = if index < 0 { i64::try_from(found.len()).ok()? + index } else { index };
    let at = usize::try_from(at).ok().filter(|at| *at < found.len())?;
    Some(found.swap_remove(at))
}

/// The text of a match: the group, or the first non-empty one of several. `None` when all of several are empty.
pub(super) fn first_group(groups: Groups) -> Option<String> {
    let several = groups.len() > 1;
    groups.into_iter().find(|group| !several || !group.is_empty())
}

/// What a pattern finds: all matches are listed (`re.findall`), `group_select` picks one, the first non-empty group counts,
/// stripped (unless `strip: false`, which is ours). `fallback` where there is no such match. Reference: `RegexFilter`.
///
/// A `group_select` beyond the matches gives the fallback (the reference stops with an error). Misleads when the pattern
/// also matches numbers of the question or the reasoning: look at the samples of a "flexible" pipeline.
pub fn regex(kwargs: Kwargs<'_>) -> Result<Filter> {
    let search = Search::read(kwargs)?;
    Ok(Box::new(move |answers, _| {
        answers.map(|answer| {
            let found = search.pattern.find_all(answer.as_str().unwrap_or_default())?;
            let chosen = select(found, search.group_select).and_then(first_group);
            Ok(chosen.map_or_else(|| search.fallback.clone(), |text| search.found(&text)))
        })
    }))
}

/// The tags of a list of `('token', 'TAG')` pairs; `fallback` (`["invalid"]`) where there is none. Reference: `POSFilter`,
/// whose `regex_pattern` and `group_select` have no effect either.
pub fn regex_pos(kwargs: Kwargs<'_>) -> Result<Filter> {
    kwargs.pattern("regex_pattern", TAGGED)?;
    let tagged = Pattern::cached(TAGGED)?;
    let fallback = kwargs.get("fallback").cloned().unwrap_or_else(|| serde_json::json!(["invalid"]));
    Ok(Box::new(move |answers, _| {
        answers.map(|answer| {
            let Value::String(text) = answer else {
                return Err(Unscored::new(format!("the filter `regex_pos` works on text, not on {answer}")));
            };
            let tags: Vec<Value> = tagged
                .find_all(&text)?
                .into_iter()
                .filter_map(|pair| pair.into_iter().nth(1).map(Value::from))
                .collect();
            Ok(if tags.is_empty() { fallback.clone() } else { Value::Array(tags) })
        })
    }))
}

#[cfg(test)]
mod tests {
    //! Expected values: `RegexFilter` and `POSFilter` of lm_eval 0.4.13 on the same answers.
    use super::super::testing::apply;
    use super::*;
    use serde_json::json;

    #[test]
    fn regex_as_in_gsm8k() {
        let strict = json!({"regex_pattern": r"The answer is (\-?[0-9\.\,]+)."});
        let answers = json!(["The answer is 1,234. Yes.", "nothing"]);
        assert_eq!(apply(regex, strict, answers), json!(["1,234.", "[invalid]"]));
        let flexible = json!({"regex_pattern": "(-?[$0-9.,]{2,})|(-?[0-9]+)", "group_select": -1});
        let answers = json!(["It is $18.50, or 7", "12 of 9", "a."]);
        assert_eq!(apply(regex, flexible, answers), json!(["7", "9", "[invalid]"]));
        assert_eq!(apply(regex, json!({}), json!(["#### -3\n#### 4"])), json!(["-3"]));
    }

    #[test]
    fn regex_strips_and_falls_back() {
        assert_eq!(apply(regex, json!({"regex_pattern": "( .)"}), json!(["a b"])), json!(["b"]));
        assert_eq!(apply(regex, json!({"regex_pattern": "(a*)(b*)", "fallback": "?"}), json!(["c"])), json!(["?"]));
        assert_eq!(apply(regex, json!({"regex_pattern": "(a*)"}), json!(["c"])), json!([""]));
        assert_eq!(apply(regex, json!({"fallback": null}), json!(["c"])), json!([null]));
        assert_eq!(apply(regex, json!({"regex_pattern": "a", "group_select": 3}), json!(["a"])), json!(["[invalid]"]));
        assert_eq!(apply(regex, json!({}), json!([[-1.0, true]])), json!(["[invalid]"]));
    }

    #[test]
    fn white_space_can_be_kept() {
        let keep = json!({"regex_pattern": "code:((?s:.*))", "strip": false});
        assert_eq!(apply(regex, keep, json!(["code:\n    return 1\n"])), json!(["\n    return 1\n"]));
    }

    #[test]
    fn regex_pos_reads_the_tags() {
        let answers = json!(["[('Mo', 'NOUN'), ('n', 'VERB')]", "none"]);
        assert_eq!(apply(regex_pos, json!({}), answers), json!([["NOUN", "VERB"], ["invalid"]]));
    }

    #[test]
    fn bad_arguments_are_refused() {
        for bad in [json!({"regex_pattern": "(a"}), json!({"group_select": "x"}), json!({"regex_pattern": 3})] {
            assert!(regex(Kwargs(bad.as_object().unwrap())).is_err(), "{bad}");
        }
    }
}
