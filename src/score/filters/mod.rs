//! Filters: what is made of an answer before it is scored.
//!
//! A pipeline starts with the answers to one request (one for each repeat) and passes them from step to step. A text or a
//! list of texts comes out; `[logprob, is_greedy]` passes through unread. Where the reference, after `take_first`, goes on
//! with the single characters of the text, the steps here go on with the text.

mod extraction;
mod fence;
mod letter;
#[cfg(test)]
mod letter_tests;
mod multi_choice;
mod selection;
mod spans;
mod transformation;

pub use extraction::{regex, regex_pos};
pub use fence::{code_block, until_fence};
pub use letter::{choice_letter, likeliest_label};
pub use multi_choice::multi_choice_regex;
pub use selection::{decontaminate, majority_vote, take_first, take_first_k};
pub use spans::format_span;
pub use transformation::{lowercase, map, remove_whitespace, uppercase};

use crate::item::Item;
use crate::request::Unscored;
use serde_json::Value;

/// What stands between two steps of a pipeline.
#[derive(Debug, Clone, PartialEq)]
pub enum Answers {
    /// One answer for each repeat.
    Repeats(Vec<Value>),
    /// The answer that was chosen.
    One(Value),
}

impl Answers {
    /// The answers as the samples file has them.
    pub fn into_value(self) -> Value {
        match self {
            Answers::Repeats(values) => Value::Array(values),
            Answers::One(value) => value,
        }
    }

    /// Changes each answer.
    fn map(self, change: impl Fn(Value) -> Result<Value, Unscored>) -> Result<Self, Unscored> {
        Ok(match self {
            Answers::Repeats(values) => Answers::Repeats(values.into_iter().map(change).collect::<Result<_, _>>()?),
            Answers::One(value) => Answers::One(change(value)?),
        })
    }

    /// Changes each answer, which must be a text.
    fn map_text(self, filter: &str, change: impl Fn(&str) -> String) -> Result<Self, Unscored> {
        self.map(|value| match value {
            Value::String(text) => Ok(Value::String(change(&text))),
            other => Err(Unscored::new(format!("the filter `{filter}` works on text, not on {other}"))),
        })
    }
}

/// A filter with its arguments, ready to be applied to the answers of one request of an item.
pub type Filter = Box<dyn Fn(Answers, &Item) -> Result<Answers, Unscored> + Send + Sync>;

#[cfg(test)]
pub(super) mod testing {
    //! Applies one filter to answers, for the tests beside each filter.
    use super::*;
    use crate::score::kwargs::Kwargs;
    use crate::score::testing::item;

    pub type Build = fn(Kwargs<'_>) -> crate::error::Result<Filter>;

    pub fn apply_to(build: Build, kwargs: Value, answers: Answers, item: &Item) -> Result<Value, Unscored> {
        let map = kwargs.as_object().cloned().unwrap_or_default();
        build(Kwargs(&map)).unwrap()(answers, item).map(Answers::into_value)
    }

    pub fn apply(build: Build, kwargs: Value, answers: Value) -> Value {
        let repeats = Answers::Repeats(answers.as_array().cloned().unwrap_or_default());
        apply_to(build, kwargs, repeats, &item()).unwrap()
    }
}
