//! Short answers against right ones, after normalising both: exact match and F1 of SQuAD, TriviaQA and NQ-open.

use super::tokenizer::{is_letter, is_number};
use crate::error::{Error, Result};
use crate::python::text::split;
use std::collections::HashMap;
use unicode_normalization::UnicodeNormalization;

/// Whose rules decide what may differ. All put text in lower case, drop the words a, an, the, and squeeze white space.
///
/// All mislead outside of English, and where the answer stands in a sentence: exact match is then 0 and F1 low.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerRules {
    /// `evaluate-v1.1.py` of SQuAD: ASCII punctuation vanishes.
    SquadV1,
    /// `evaluate-v2.0.py` of SQuAD: as 1.1, but an answer may be empty (the question has none) and then matches the empty
    /// answer only, with an F1 of 1.
    SquadV2,
    /// `triviaqa_evaluation.py`: ASCII punctuation and ‘ ’ ´ ` become blanks.
    TriviaQa,
    /// Open Natural Questions (ORQA, DPR): as SQuAD 1.1 after canonical decomposition (NFD). Accents stay, as characters of
    /// their own, and end a word: `thé` loses its `the`.
    NqOpen,
}

/// How an answer agrees with the right answer that it agrees with best.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Agreement {
    pub exact: bool,
    /// Harmonic mean of precision and recall of words, from 0 to 1.
    pub f1: f64,
}

impl AnswerRules {
    /// The text with everything gone that may differ.
    pub fn normalise(self, text: &str) -> String {
        let lower = match self {
            Self::NqOpen => text.nfd().collect::<String>().to_lowercase(),
            _ => text.to_lowercase(),
        };
        let plain: String = match self {
            Self::TriviaQa => lower.chars().map(|c| if is_trivia_punctuation(c) { ' ' } else { c }).collect(),
            _ => lower.chars().filter(|c| !c.is_ascii_punctuation()).collect(),
        };
        let without = without_articles(&plain);
        split(&without).collect::<Vec<_>>().join(" ")
    }

    /// Whether two answers are the same.
    pub fn exact(self, answer: &str, right: &str) -> bool {
        self.normalise(answer) == self.normalise(right)
    }

    /// Overlap of two answers in words.
    pub fn f1(self, answer: &str, right: &str) -> f64 {
        self.f1_of(&self.normalise(answer), &self.normalise(right))
    }

    /// An answer against all right ones; the two scores may come from different ones. For SQuAD 2 no right answer means that the
    /// question has none; for the others it is an error.
    pub fn best<R: AsRef<str>>(self, answer: &str, right: &[R]) -> Result<Agreement> {
        let answer = self.normalise(answer);
        let mut right: Vec<String> = right.iter().map(|right| self.normalise(right.as_ref())).collect();
        if self == Self::SquadV2 {
            right.retain(|right| !right.is_empty());
            if right.is_empty() {
                right.push(String::new());
            }
        }
        let agreements = right.iter().map(|right| (answer == *right, self.f1_of(&answer, right)));
        agreements
            .reduce(|best, next| (best.0 || next.0, best.1.max(next.1)))
            .map(|(exact, f1)| Agreement { exact, f1 })
            .ok_or_else(|| Error::input("a question has no right answer").hint("give it one or more"))
    }

    fn f1_of(self, answer: &str, right: &str) -> f64 {
        let (ours, theirs): (Vec<&str>, Vec<&str>) = (split(answer).collect(), split(right).collect());
        if self == Self::SquadV2 && (ours.is_empty() || theirs.is_empty()) {
            return f64::from(u8::from(ours == theirs));
        }
        let mut left: HashMap<&str, usize> = HashMap::new();
        for word in &theirs {
            *left.entry(word).or_default() += 1;
        }
        let mut same = 0;
        for word in &ours {
            if let Some(count) = left.get_mut(word).filter(|count| **count > 0) {
                *count -= 1;
                same += 1;
            }
        }
        if same == 0 {
            return 0.0;
        }
        let precision = f64::from(same) / ours.len() as f64;
        let recall = f64::from(same) / theirs.len() as f64;
        2.0 * precision * recall / (precision + recall)
    }
}

fn is_trivia_punctuation(c: char) -> bool {
    c.is_ascii_punctuation() || matches!(c, '‘' | '’' | '´')
}

/// A blank for each article: each run of word characters of Python's `re` that is one. Combining marks are no word characters
/// there.
fn without_articles(text: &str) -> String {
    let is_word = |c: char| c == '_' || is_letter(c) || is_number(c);
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        out.push_str(if matches!(word, "a" | "an" | "the") { " " } else { word });
        let next = after.find(is_word).unwrap_or(after.len());
        let (between, after) = after.split_at(next);
        out.push_str(between);
        rest = after;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::golden::{assert_near, read};
    use super::*;

    type Row = (String, Vec<String>, (String, bool, f64), (String, bool, f64), (String, bool, f64), (bool, f64));

    #[test]
    fn equals_the_published_definitions() {
        let rows: Vec<Row> = read("answers");
        assert!(rows.len() >= 250);
        for (answer, right, squad, trivia, nq, squad2) in &rows {
            let rules = [AnswerRules::SquadV1, AnswerRules::TriviaQa, AnswerRules::NqOpen];
            for (rules, (normal, exact, f1)) in rules.iter().zip([squad, trivia, nq]) {
                assert_eq!(rules.normalise(answer), *normal, "{rules:?} of {answer:?}");
                let best = rules.best(answer, right).unwrap();
                assert_eq!(best.exact, *exact, "{rules:?} of {answer:?}, {right:?}");
                assert_near(best.f1, *f1, format!("{rules:?} of {answer:?}, {right:?}"));
            }
            let best = AnswerRules::SquadV2.best(answer, right).unwrap();
            assert_eq!(best.exact, squad2.0, "{answer:?}, {right:?}");
            assert_near(best.f1, squad2.1, format!("{answer:?}, {right:?}"));
        }
    }

    #[test]
    fn an_unanswerable_question_wants_an_empty_answer() {
        let none: [&str; 0] = [];
        assert_eq!(AnswerRules::SquadV2.best("", &none).unwrap(), Agreement { exact: true, f1: 1.0 });
        assert_eq!(AnswerRules::SquadV2.best("Paris", &none).unwrap(), Agreement { exact: false, f1: 0.0 });
        assert!(AnswerRules::SquadV1.best("Paris", &none).unwrap_err().to_string().contains("no right answer"));
    }
}
