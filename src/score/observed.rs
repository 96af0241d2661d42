//! What a metric sees of one document: the filtered answers with what a right answer is, checked and in one shape for each
//! output type.

use crate::item::{Item, Target};
use crate::request::Unscored;
use crate::task::OutputType;
use serde_json::Value;

/// The filtered answers to one document.
#[derive(Debug)]
pub enum Observed<'a> {
    Choices(Choices<'a>),
    /// Of a multiple-choice document under letters.
    Taken(Taken<'a>),
    Loglikelihood(Loglikelihood),
    Rolling(Rolling<'a>),
    Text(Text<'a>),
}

/// Log-likelihoods of the choices, at least one.
#[derive(Debug)]
pub struct Choices<'a> {
    pub logprobs: Vec<f64>,
    /// Whether greedy decoding gives the choice.
    pub greedy: Vec<bool>,
    /// Log-likelihoods without the question; empty unless `acc_mutual_info` asked for them. A request that failed here takes only that
    /// metric with it.
    pub unconditional: Result<Vec<f64>, Unscored>,
    pub texts: &'a [String],
    /// Indices of the right choices. One that is not among the choices is never chosen.
    pub gold: Gold<'a>,
}

/// Which choice was taken: the likeliest, or the one whose label was answered.
#[derive(Debug, Clone, Copy)]
pub struct Taken<'a> {
    /// `None`: the answer names none, or more than one, which is a wrong answer.
    pub index: Option<usize>,
    pub gold: Gold<'a>,
}

/// The right choices.
#[derive(Debug, Clone, Copy)]
pub enum Gold<'a> {
    One(i64),
    Any(&'a [i64]),
}

/// Log-likelihood of a single continuation.
#[derive(Debug)]
pub struct Loglikelihood {
    pub logprob: f64,
    pub greedy: bool,
}

/// Log-likelihood of a whole text.
#[derive(Debug)]
pub struct Rolling<'a> {
    pub logprob: f64,
    pub text: &'a str,
}

/// A generated answer after its filters.
#[derive(Debug)]
pub struct Text<'a> {
    /// A text; or what filters made of it: a number, a list, nothing.
    pub answer: &'a Value,
    pub target: &'a Target,
    /// The texts that indices in the target stand for; empty when the target is the answer itself.
    pub choices: &'a [String],
}

impl<'a> Observed<'a> {
    /// Reads the filtered answers (one for each request) of an item.
    pub fn new(
        output_type: OutputType,
        item: &'a Item,
        filtered: &'a [Result<Value, Unscored>],
    ) -> Result<Self, Unscored> {
        match output_type {
            OutputType::MultipleChoice if item.labels.is_empty() => Choices::new(item, filtered).map(Observed::Choices),
            OutputType::MultipleChoice => Taken::new(item, only(filtered)?).map(Observed::Taken),
            OutputType::Loglikelihood => {
                let (logprob, greedy) = pair(only(filtered)?)?;
                Ok(Observed::Loglikelihood(Loglikelihood { logprob, greedy }))
            }
            OutputType::LoglikelihoodRolling => {
                let Target::Text(text) = &item.target else {
                    return Err(Unscored::new("the target of a rolling log-likelihood must be the text itself"));
                };
                Ok(Observed::Rolling(Rolling { logprob: number(only(filtered)?)?, text }))
            }
            OutputType::GenerateUntil => {
                Ok(Observed::Text(Text { answer: only(filtered)?, target: &item.target, choices: &item.choices }))
            }
        }
    }
}

impl<'a> Choices<'a> {
    fn new(item: &'a Item, filtered: &[Result<Value, Unscored>]) -> Result<Self, Unscored> {
        let texts = item.choices.as_slice();
        if texts.is_empty() {
            return Err(Unscored::new("the document has no choices"));
        }
        if filtered.len() != texts.len() && filtered.len() != 2 * texts.len() {
            return Err(Unscored::new(format!("{} answers to {} choices", filtered.len(), texts.len())));
        }
        let answer = |value: &Result<Value, Unscored>| pair(value.as_ref().map_err(Unscored::clone)?);
        let (with, without) = filtered.split_at(texts.len());
        let (logprobs, greedy): (Vec<f64>, Vec<bool>) =
            with.iter().map(answer).collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
        let unconditional = without.iter().map(|value| Ok(answer(value)?.0)).collect();
        Ok(Choices { logprobs, greedy, unconditional, texts, gold: Gold::of(item)? })
    }

    /// Whether the choice at this index is right.
    pub fn is_right(&self, index: usize) -> bool {
        self.gold.has(index)
    }

    /// The single right choice, for metrics that need exactly one, and one that exists.
    pub fn single_gold(&self) -> Result<usize, Unscored> {
        let gold = match self.gold {
            Gold::One(gold) | Gold::Any(&[gold]) => gold,
            Gold::Any(_) => return Err(Unscored::new("the metric needs exactly one right choice")),
        };
        let index = usize::try_from(gold).ok().filter(|index| *index < self.texts.len());
        index.ok_or_else(|| Unscored::new("the right answer is not among the choices"))
    }
}

impl<'a> Taken<'a> {
    /// `answer` is one of the item's labels, or null: none of them.
    fn new(item: &'a Item, answer: &Value) -> Result<Self, Unscored> {
        let index = match answer {
            Value::Null => None,
            Value::String(label) => item.labels.iter().position(|known| known == label),
            other => return Err(Unscored::new(format!("expected the label of a choice, found {other}"))),
        };
        Ok(Taken { index, gold: Gold::of(item)? })
    }

    /// Whether the choice that was taken is right.
    pub fn is_right(&self) -> bool {
        self.index.is_some_and(|index| self.gold.has(index))
    }
}

impl<'a> Gold<'a> {
    fn of(item: &'a Item) -> Result<Self, Unscored> {
        match &item.target {
            Target::Index(index) => Ok(Gold::One(*index)),
            Target::Indices(indices) => Ok(Gold::Any(indices)),
            Target::Text(_) | Target::Texts(_) => {
                Err(Unscored::new("the target of a multiple-choice document must name a choice"))
            }
        }
    }

    /// Whether the choice at this index is right.
    fn has(self, index: usize) -> bool {
        let index = i64::try_from(index).unwrap_or(i64::MAX);
        match self {
            Gold::One(gold) => gold == index,
            Gold::Any(golds) => golds.contains(&index),
        }
    }
}

/// The answer of a document with one request.
fn only(filtered: &[Result<Value, Unscored>]) -> Result<&Value, Unscored> {
    match filtered {
        [value] => value.as_ref().map_err(Unscored::clone),
        values => Err(Unscored::new(format!("expected one request, found {}", values.len()))),
    }
}

/// `[logprob, is_greedy]`.
fn pair(value: &Value) -> Result<(f64, bool), Unscored> {
    match value.as_array().map(Vec::as_slice) {
        Some([logprob, Value::Bool(greedy)]) => Ok((number(logprob)?, *greedy)),
        _ => Err(Unscored::new(format!(
            "expected `[log-likelihood, is_greedy]`, found {value}: the filters must end with `take_first`"
        ))),
    }
}

/// A log-likelihood. JSON has no infinities: they come as null, like NaN, and cannot be scored.
fn number(value: &Value) -> Result<f64, Unscored> {
    match value {
        Value::Null => Err(Unscored::new("the log-likelihood is not a finite number")),
        value => value.as_f64().ok_or_else(|| Unscored::new(format!("expected a log-likelihood, found {value}"))),
    }
}
