//! The filters of letter protocols: which of a document's labels an answer means.
//!
//! [`named_label`] reads a text. The first of these rules that finds something decides:
//! 1. The whole answer is a label, whatever stands around it that is neither letter nor digit: `B`, `(B)`, `**B**.`
//! 2. `\boxed{...}`, the last one, with a label in it.
//! 3. A label after the word "answer" with nothing but words like "is", "the", "option" between: `Answer: B`, `The answer is (B)`. The
//!    last such place counts, since reasoning comes before its conclusion.
//! 4. The first label that stands alone. Not alone are a label within a word or number (`don't`, `A-level`, `3.5`) and `A` or `I` before
//!    a word in lower case, unless that word speaks about the choice (`A is right`).
//!
//! 5. With nothing of that: a label in the other case, where no other word can be meant: after "answer" as in rule 3, or after "option",
//!    "choice" or "letter" (`the answer is b.`, `option (c)`); or at the very beginning, before `.`, `)` or `:` (`b) the river`).
//!
//! Case does not matter in rules 1, 2 and 5, unless two labels differ in nothing else. An answer that names several (`A or B`, a box with
//! two, the list of options said again) names none.

use super::Filter;
use crate::error::Result;
use crate::item::Item;
use crate::label;
use crate::request::Unscored;
use crate::score::kwargs::Kwargs;
use serde_json::Value;
use std::borrow::Cow;
use std::ops::Range;

/// Words that may stand between "answer" and the label.
const FILLERS: &[&str] = &[
    "is",
    "was",
    "be",
    "would",
    "should",
    "must",
    "will",
    "the",
    "to",
    "this",
    "question",
    "correct",
    "right",
    "best",
    "final",
    "answer",
    "option",
    "choice",
    "letter",
    "therefore",
    "thus",
    "text",
    "textbf",
    "mathrm",
];

/// Words that make several labels of one answer.
const JOINERS: &[&str] = &["", "and", "or", "nor"];

/// Words after which `A` is a choice and not an article.
const ABOUT_CHOICES: &[&str] = &["is", "was", "because", "since", "as", "would", "seems", "and", "or", "nor", "but"];

/// The label that a text names, null where it names none or several: an answer, and a wrong one.
///
/// Misleads where a model explains before it decides and never says "answer": the first label that stands alone counts, even in "not A".
pub fn choice_letter(_: Kwargs<'_>) -> Result<Filter> {
    Ok(Box::new(|answers, item| {
        let labels = labels(item)?;
        answers.map(|answer| match answer {
            Value::String(text) => Ok(named_label(&text, &labels).and_then(|i| labels.get(i)).cloned().into()),
            other => Err(Unscored::new(format!("the filter `choice_letter` works on text, not on {other}"))),
        })
    }))
}

/// The label with the largest log-probability, the first of equals. Labels that the endpoint does not list take no part; when it lists
/// none of them there is no answer to score.
///
/// Misleads where all labels are unlikely: the model was about to say something else, and the rest decides.
pub fn likeliest_label(_: Kwargs<'_>) -> Result<Filter> {
    Ok(Box::new(|answers, item| {
        let labels = labels(item)?;
        answers.map(|answer| {
            let logprobs = answer.as_array().filter(|list| list.len() == labels.len()).ok_or_else(|| {
                Unscored::new(format!("expected a log-probability for each of {} labels, found {answer}", labels.len()))
            })?;
            let listed = logprobs.iter().zip(labels.iter()).filter_map(|(x, label)| Some((x.as_f64()?, label)));
            let best = listed.reduce(|best, next| if next.0 > best.0 { next } else { best });
            best.map(|(_, label)| Value::from(label.as_str()))
                .ok_or_else(|| Unscored::new("none of the labels is among the likeliest first tokens"))
        })
    }))
}

/// The labels of an item; letters where a task with choices asks for text.
fn labels(item: &Item) -> Result<Cow<'_, [String]>, Unscored> {
    if !item.labels.is_empty() {
        return Ok(Cow::Borrowed(&item.labels));
    }
    match label::letters(item.choices.len()) {
        Some(letters) if !letters.is_empty() => Ok(Cow::Owned(letters)),
        Some(_) => Err(Unscored::new("a label is wanted, and the document has no choices")),
        None => Err(Unscored::new(format!("there are no letters for {} choices", item.choices.len()))),
    }
}

/// The index of the label that a text names, by the rules above.
pub fn named_label(text: &str, labels: &[String]) -> Option<usize> {
    if let Some(index) = whole(text, labels) {
        return Some(index);
    }
    let found = boxed(text, labels).or_else(|| after_cue(text, text, labels, &CUES[..1]));
    match found.unwrap_or_else(|| first(text, labels)) {
        Found::One(index) => Some(index),
        Found::Several => None,
        Found::None => match other_case(text, labels) {
            Found::One(index) => Some(index),
            Found::None | Found::Several => None,
        },
    }
}

/// Words that a label may follow; the first is that of rule 3.
const CUES: &[&str] = &["answer", "option", "choice", "letter"];

/// What a rule found.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Found {
    One(usize),
    None,
    Several,
}

/// A label at a place of a text.
struct Named {
    index: usize,
    at: Range<usize>,
}

/// Rule 1.
fn whole(text: &str, labels: &[String]) -> Option<usize> {
    let text = bare(text);
    let exact = labels.iter().position(|label| label == text);
    exact.or_else(|| {
        let mut alike =
            (0..labels.len()).filter(|i| labels.get(*i).is_some_and(|l| l.to_lowercase() == text.to_lowercase()));
        alike.next().filter(|_| alike.next().is_none())
    })
}

/// Without what stands around letters and digits.
fn bare(text: &str) -> &str {
    text.trim_matches(|c: char| !c.is_alphanumeric())
}

/// Rule 2. A box without a label (the answer's value, say) decides nothing.
fn boxed(text: &str, labels: &[String]) -> Option<Found> {
    const BOX: &str = "\\boxed{";
    let start = text.rfind(BOX)? + BOX.len();
    let mut depth = 1;
    let closes = |(_, c): &(usize, char)| {
        depth += match c {
            '{' => 1,
            '}' => -1,
            _ => 0,
        };
        depth == 0
    };
    let inside = text.get(start..)?;
    let end = inside.char_indices().find(closes).map_or(inside.len(), |(end, _)| end);
    let inside = inside.get(..end)?;
    let named = alone(inside, labels);
    let Some(first) = named.first().map(|n| n.index) else { return whole(inside, labels).map(Found::One) };
    Some(if named.iter().all(|n| n.index == first) { Found::One(first) } else { Found::Several })
}

/// Rule 3, and the first part of rule 5: the last label that follows a cue with nothing but fillers between. `text` is where labels are
/// looked for, `shown` the same text as it was written.
fn after_cue(shown: &str, text: &str, labels: &[String], cues: &[&str]) -> Option<Found> {
    let named = alone(text, labels);
    // ASCII lower case keeps all places.
    let lower = shown.to_ascii_lowercase();
    let mut places: Vec<usize> =
        cues.iter().flat_map(|cue| lower.match_indices(cue).map(|(at, _)| at + cue.len())).collect();
    places.sort_unstable();
    let mut last = None;
    for from in places {
        let Some(next) = named.iter().position(|n| n.at.start >= from) else { continue };
        let Some(Named { index, at }) = named.get(next) else { continue };
        let words = lower.get(from..at.start).unwrap_or_default().split(|c: char| !c.is_alphanumeric());
        if words.filter(|word| !word.is_empty()).all(|word| FILLERS.contains(&word)) {
            let joined = is_joined(text, &named, next);
            last = Some(if joined { Found::Several } else { Found::One(*index) });
        }
    }
    last
}

/// Rule 5, of labels that are the same but for their case in no other.
fn other_case(text: &str, labels: &[String]) -> Found {
    let folded: Vec<String> = labels.iter().map(|label| label.to_ascii_lowercase()).collect();
    if (1..folded.len()).any(|i| folded.get(..i).is_some_and(|before| before.contains(&folded[i]))) {
        return Found::None;
    }
    let lower = text.to_ascii_lowercase();
    if let Some(found) = after_cue(text, &lower, &folded, CUES) {
        return found;
    }
    let named = alone(&lower, &folded);
    let start = lower.len() - lower.trim_start_matches(|c: char| !c.is_alphanumeric()).len();
    let Some(first) = named.first().filter(|n| n.at.start == start) else { return Found::None };
    let mut after = lower.get(first.at.end..).unwrap_or_default().chars();
    let closed = matches!(after.next(), Some('.' | ')' | ':')) && after.next().is_none_or(char::is_whitespace);
    let again = named.iter().any(|n| n.index != first.index && opens_line(&lower, n));
    if closed && !again { Found::One(first.index) } else { Found::None }
}

/// Whether a label stands at the beginning of a line as the name of an option.
fn opens_line(text: &str, named: &Named) -> bool {
    let before = text.get(..named.at.start).unwrap_or_default();
    let after = text.get(named.at.end..).unwrap_or_default();
    let alone = before.rsplit('\n').next().is_none_or(|line| !line.contains(char::is_alphanumeric));
    alone && after.starts_with(['.', ')', ':'])
}

/// Rule 4.
fn first(text: &str, labels: &[String]) -> Found {
    let named = alone(text, labels);
    let mut options: Vec<usize> = named.iter().filter(|n| opens_line(text, n)).map(|n| n.index).collect();
    options.dedup();
    match named.first() {
        Some(n) if options.len() < 2 && !is_joined(text, &named, 0) => Found::One(n.index),
        Some(_) => Found::Several,
        None => Found::None,
    }
}

/// Whether the named label and the next, another one, are one answer.
fn is_joined(text: &str, named: &[Named], place: usize) -> bool {
    let (Some(here), Some(next)) = (named.get(place), named.get(place + 1)) else { return false };
    let between = text.get(here.at.end..next.at.start).unwrap_or_default();
    here.index != next.index && !between.contains('\n') && JOINERS.contains(&bare(between).to_lowercase().as_str())
}

/// The labels that stand alone, in the order of the text.
fn alone(text: &str, labels: &[String]) -> Vec<Named> {
    let mut found: Vec<Named> = Vec::new();
    for (index, label) in labels.iter().enumerate().filter(|(_, label)| !label.is_empty()) {
        let places = text.match_indices(label.as_str()).map(|(at, _)| at..at + label.len());
        found.extend(places.filter(|at| stands_alone(text, label, at)).map(|at| Named { index, at }));
    }
    found.sort_by_key(|named| named.at.start);
    found
}

fn stands_alone(text: &str, label: &str, at: &Range<usize>) -> bool {
    let before = text.get(..at.start).unwrap_or_default();
    let after = text.get(at.end..).unwrap_or_default();
    let (Some(first), Some(last)) = (label.chars().next(), label.chars().next_back()) else { return false };
    let mut left = before.chars().rev();
    let mut right = after.chars();
    let (left, left2, right, right2) = (left.next(), left.next(), right.next(), right.next());
    let bound = |near: Option<char>, far: Option<char>, own: char| match near {
        Some(c) if is_word(c, own) => true,
        Some('-' | '\'' | '’') => far.is_some_and(|c| is_word(c, own)),
        Some('.' | ',') => own.is_ascii_digit() && far.is_some_and(|c| c.is_ascii_digit()),
        _ => false,
    };
    let negative = first.is_ascii_digit() && left == Some('-');
    !bound(left, left2, first) && !bound(right, right2, last) && !negative && !is_article(label, after)
}

/// Whether a character makes one word with another. Scripts without blanks between words do not, with those that have them.
fn is_word(c: char, own: char) -> bool {
    const FIRST_CJK: char = '\u{2e80}';
    c.is_alphanumeric() && (c >= FIRST_CJK) == (own >= FIRST_CJK)
}

/// `A` or `I` that is a word of the sentence.
fn is_article(label: &str, after: &str) -> bool {
    let Some(rest) = after.strip_prefix(' ').filter(|_| matches!(label, "A" | "I" | "a" | "i")) else { return false };
    let word: &str = rest.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    word.starts_with(char::is_lowercase) && !ABOUT_CHOICES.contains(&word)
}
