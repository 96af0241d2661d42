//! The filter that finds which lettered choice a text means.

use super::Filter;
use super::extraction::{Search, first_group, select};
use crate::error::Result;
use crate::item::Item;
use crate::python::text::strip;
use crate::request::Unscored;
use crate::score::kwargs::Kwargs;
use crate::score::pattern::Pattern;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

/// What is left out before choice texts are compared.
struct Ignore {
    patterns: Vec<Arc<Pattern>>,
    case: bool,
    punctuation: Option<Pattern>,
}

impl Ignore {
    fn read(kwargs: Kwargs<'_>) -> Result<Self> {
        let punctuation = if kwargs.flag("ignore_punctuation")? { Some(Pattern::unicode_punctuation()?) } else { None };
        Ok(Ignore { patterns: kwargs.patterns("regexes_to_ignore")?, case: kwargs.flag("ignore_case")?, punctuation })
    }

    fn clean(&self, text: &str) -> Result<String, Unscored> {
        let mut text = text.to_owned();
        for pattern in &self.patterns {
            text = pattern.remove_from(&text)?;
        }
        if self.case {
            text = text.to_lowercase();
        }
        if let Some(punctuation) = &self.punctuation {
            text = punctuation.remove_from(&text)?;
        }
        Ok(text)
    }
}

/// The letter of the choice that the answer means, as `(A)`. Three searches, the first that finds something wins: the
/// pattern; the text of a choice (longest first; after `regexes_to_ignore`, `ignore_case`, `ignore_punctuation`), told as
/// its letter; a letter after a colon. Otherwise `fallback`. Reference: `MultiChoiceRegexFilter`.
///
/// The choices are the document's `choices` field, else the task's. Misleads when a choice is a common word: its first
/// mention in the reasoning counts, even in "not ...".
pub fn multi_choice_regex(kwargs: Kwargs<'_>) -> Result<Filter> {
    let search = Search::read(kwargs)?;
    let ignore = Ignore::read(kwargs)?;
    Ok(Box::new(move |answers, item| {
        let choices = Lettered::new(&choices(item)?, &ignore)?;
        answers.map(|answer| {
            let text = answer.as_str().unwrap_or_default();
            let find = |pattern: &Pattern, text: &str| -> Result<String, Unscored> {
                let found = select(pattern.find_all(text)?, search.group_select).and_then(first_group);
                Ok(found.map(|found| strip(&found).to_owned()).unwrap_or_default())
            };
            let mut letter = find(&search.pattern, text)?;
            if letter.is_empty() {
                let found = find(&choices.by_text, &ignore.clean(text)?)?;
                letter = choices.letters.get(&found).cloned().unwrap_or(found);
            }
            if letter.is_empty() {
                let found = find(&choices.by_letter, text)?;
                letter = if found.is_empty() { found } else { format!("({found})") };
            }
            Ok(if letter.is_empty() { search.fallback.clone() } else { Value::from(letter) })
        })
    }))
}

/// The choices of one document with their letters.
struct Lettered {
    /// Any choice text.
    by_text: Pattern,
    /// A letter after a colon.
    by_letter: Pattern,
    letters: HashMap<String, String>,
}

impl Lettered {
    fn new(choices: &[String], ignore: &Ignore) -> Result<Self, Unscored> {
        let texts: Vec<String> = choices.iter().map(|c| ignore.clean(strip(c))).collect::<Result<_, _>>()?;
        let names: Vec<char> = (0u32..).map_while(|i| char::from_u32(u32::from('A') + i)).take(texts.len()).collect();
        let letters = texts.iter().cloned().zip(names.iter().map(|name| format!("({name})"))).collect();
        let mut branches: Vec<String> = texts.iter().map(|text| Pattern::escape(text)).collect();
        branches.sort_by_key(|branch| std::cmp::Reverse(branch.chars().count()));
        let names: Vec<String> = names.iter().map(|name| Pattern::escape(&name.to_string())).collect();
        let compile = |source: String| Pattern::new(&source).map_err(|err| Unscored::new(err.message()));
        Ok(Lettered {
            by_text: compile(branches.join("|"))?,
            by_letter: compile(format!(r":[\s]*({})", names.join("|")))?,
            letters,
        })
    }
}

/// The texts that the letters stand for.
fn choices(item: &Item) -> Result<Vec<String>, Unscored> {
    let column = item.doc.fields.get("choices").and_then(Value::as_array);
    let texts = column.and_then(|list| list.iter().map(|c| c.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>());
    match texts {
        Some(texts) => Ok(texts),
        None if !item.choices.is_empty() => Ok(item.choices.clone()),
        None => Err(Unscored::new("the filter `multi_choice_regex` needs a document with a list `choices`")),
    }
}

#[cfg(test)]
mod tests {
    //! Expected values: `MultiChoiceRegexFilter` of lm_eval 0.4.13 on the same answers and documents.
    use super::super::Answers;
    use super::super::testing::apply_to;
    use super::*;
    use crate::score::testing::item;
    use serde_json::json;

    fn letters(kwargs: Value, choices: Value, answers: &[&str]) -> Value {
        let mut item = item();
        item.doc.fields.insert("choices".into(), choices);
        let answers = Answers::Repeats(answers.iter().map(|a| Value::from(*a)).collect());
        apply_to(multi_choice_regex, kwargs, answers, &item).unwrap()
    }

    #[test]
    fn three_searches_in_turn() {
        let kwargs = json!({"regex_pattern": r"(\([A-Z]\))", "ignore_case": true, "ignore_punctuation": true});
        let choices = json!(["Guilty", "Guilty of Romance", "Don't"]);
        let answers = ["It is (B).", "guilty OF romance!", "«dont»", "Answer: C", "answer:B", "no idea"];
        assert_eq!(letters(kwargs, choices, &answers), json!(["(B)", "(B)", "(C)", "(C)", "(B)", "[invalid]"]));
    }

    #[test]
    fn the_last_mention_with_group_select() {
        let kwargs = json!({"regex_pattern": r"(\([A-Z]\))", "group_select": -1, "regexes_to_ignore": ["the "]});
        let choices = json!(["the cat", "the dog"]);
        assert_eq!(letters(kwargs, choices, &["(A) or (B)", "the cat, no: the dog"]), json!(["(B)", "(B)"]));
    }

    #[test]
    fn choices_with_special_characters_and_none() {
        let choices = json!(["a+b?", "[x]"]);
        assert_eq!(letters(json!({}), choices, &["is [x]", "a+b?"]), json!(["(B)", "(A)"]));
        assert_eq!(letters(json!({"fallback": "?"}), json!([]), &["x: "]), json!(["?"]));
    }

    #[test]
    fn needs_choices() {
        let answers = Answers::Repeats(vec![json!("A")]);
        assert!(apply_to(multi_choice_regex, json!({}), answers, &item()).is_err());
    }
}
