//! Measures of social bias, as result functions: which answer was taken says whether it follows a stereotype.
//!
//! All of them are scores of single documents that an ordinary mean makes into the published figure, so that every figure has
//! a number of documents and a standard error. A document that a figure is not about is [`Score::Inapplicable`] for it.

mod bbq;
mod crows_pairs;
mod winobias;

pub use bbq::{GIVES, METRICS, RANGES, bbq};
pub use crows_pairs::{crows_pairs, crows_pairs_directed};
pub use winobias::winobias;

use super::multiple_choice;
use super::observed::{Observed, Taken};
use crate::request::Unscored;
use crate::sample::Score;
use serde_json::{Map, Value};

/// Evaluated arguments of a result function.
#[derive(Clone, Copy)]
struct Args<'a> {
    function: &'static str,
    values: &'a Map<String, Value>,
}

impl<'a> Args<'a> {
    fn flag(self, name: &str) -> Result<bool, Unscored> {
        self.read(name, "True or False", Value::as_bool)
    }

    fn text(self, name: &str) -> Result<&'a str, Unscored> {
        self.read(name, "a text", Value::as_str)
    }

    /// Whether the list of indices `name` has this one. `None`, no choice, is in no list.
    fn lists(self, name: &str, index: Option<usize>) -> Result<bool, Unscored> {
        let list = self.read(name, "a list of indices", Value::as_array)?;
        let numbers: Option<Vec<u64>> = list.iter().map(Value::as_u64).collect();
        let numbers = numbers.ok_or_else(|| self.wrong(name, "a list of indices"))?;
        Ok(index.is_some_and(|index| numbers.iter().any(|number| usize::try_from(*number) == Ok(index))))
    }

    fn read<T>(self, name: &str, wanted: &str, read: impl Fn(&'a Value) -> Option<T>) -> Result<T, Unscored> {
        self.values.get(name).and_then(read).ok_or_else(|| self.wrong(name, wanted))
    }

    fn wrong(self, name: &str, wanted: &str) -> Unscored {
        Unscored::new(format!("`{}` needs `{name}`, {wanted}", self.function))
    }
}

/// The choice that was taken: the likeliest, or the one whose letter was answered.
fn taken<'a>(function: &str, observed: &Observed<'a>) -> Result<Taken<'a>, Unscored> {
    match observed {
        Observed::Choices(choices) => Ok(multiple_choice::likeliest(choices)),
        Observed::Taken(taken) => Ok(*taken),
        _ => Err(Unscored::new(format!("`{function}` needs a multiple-choice task"))),
    }
}

/// 1 or 0.
fn one_if(condition: bool) -> Score {
    Score::Value(f64::from(u8::from(condition)))
}

/// The score where the document is one that the figure is about.
fn only_if(condition: bool, score: Score) -> Score {
    if condition { score } else { Score::Inapplicable }
}

#[cfg(test)]
mod testing {
    use super::super::observed::{Choices, Gold, Observed, Taken};

    /// What was observed when these log-likelihoods came back; the first choice is right.
    pub fn choices<'a>(logprobs: &[f64], texts: &'a [String]) -> Observed<'a> {
        let greedy = vec![false; logprobs.len()];
        Observed::Choices(Choices {
            logprobs: logprobs.to_vec(),
            greedy,
            unconditional: Ok(Vec::new()),
            texts,
            gold: Gold::One(0),
        })
    }

    /// What was observed when this choice, or none, was named.
    pub fn named(index: Option<usize>, gold: i64) -> Observed<'static> {
        Observed::Taken(Taken { index, gold: Gold::One(gold) })
    }

    /// Texts of as many choices.
    pub fn texts(count: usize) -> Vec<String> {
        (0..count).map(|i| format!("choice {i}")).collect()
    }
}
