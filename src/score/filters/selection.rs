//! Filters that choose among the repeats of one request.

use super::{Answers, Filter};
use crate::error::{Error, Result};
use crate::request::Unscored;
use crate::score::kwargs::Kwargs;
use serde_json::Value;

/// The first answer; the others are dropped. Reference: `TakeFirstFilter`.
///
/// Misleads with sampled decoding: one draw stands for the model.
pub fn take_first(_: Kwargs<'_>) -> Result<Filter> {
    Ok(Box::new(|answers, _| match answers {
        Answers::One(value) => Ok(Answers::One(value)),
        Answers::Repeats(values) => match values.into_iter().next() {
            Some(first) => Ok(Answers::One(first)),
            None => Err(Unscored::new("there is no answer to take the first of")),
        },
    }))
}

/// The first `k` answers. Reference: `TakeKFilter`.
///
/// Too few repeats are an error, not a shorter list.
pub fn take_first_k(kwargs: Kwargs<'_>) -> Result<Filter> {
    let k = kwargs.integer("k")?.ok_or_else(|| Error::input("`take_first_k` needs `k`").key("k"))?;
    let k = usize::try_from(k)
        .ok()
        .filter(|k| *k > 0)
        .ok_or_else(|| Error::input(format!("`k` must be at least 1, not {k}")).key("k"))?;
    Ok(Box::new(move |answers, _| {
        let Answers::Repeats(mut values) = answers else {
            return Err(Unscored::new("the filter `take_first_k` needs the repeats, and one was chosen already"));
        };
        if values.len() < k {
            return Err(Unscored::new(format!("the filter `take_first_k` needs {k} repeats, not {}", values.len())));
        }
        values.truncate(k);
        Ok(Answers::Repeats(values))
    }))
}

/// The answer that occurs most often, as a list of one; of equals the one seen first. Reference: `MajorityVoteFilter`;
/// Wang et al. (2022), "Self-consistency improves chain of thought reasoning".
///
/// Misleads when many answers fall back to one text (`[invalid]`): it takes part in the vote.
pub fn majority_vote(_: Kwargs<'_>) -> Result<Filter> {
    Ok(Box::new(|answers, _| {
        let Answers::Repeats(values) = answers else {
            return Err(Unscored::new("the filter `majority_vote` needs the repeats, and one was chosen already"));
        };
        let mut counts: Vec<(Value, usize)> = Vec::new();
        for value in values {
            match counts.iter_mut().find(|(known, _)| *known == value) {
                Some((_, count)) => *count += 1,
                None => counts.push((value, 1)),
            }
        }
        let most = counts.iter().map(|(_, count)| *count).max().unwrap_or_default();
        let winner = counts.into_iter().find(|(_, count)| *count == most).map(|(value, _)| value);
        winner.map(|value| Answers::Repeats(vec![value])).ok_or_else(|| Unscored::new("there is no answer to vote on"))
    }))
}

/// Does nothing. The reference names this filter and its `path`, but its body is empty.
pub fn decontaminate(_: Kwargs<'_>) -> Result<Filter> {
    Ok(Box::new(|answers, _| Ok(answers)))
}

#[cfg(test)]
mod tests {
    //! Expected values: the filters of lm_eval 0.4.13 on the same answers.
    use super::super::testing::{apply, apply_to};
    use super::*;
    use crate::score::testing::item;
    use serde_json::json;

    #[test]
    fn takes_the_first_answer_of_any_kind() {
        assert_eq!(apply(take_first, json!({}), json!(["a", "b"])), json!("a"));
        assert_eq!(apply(take_first, json!({}), json!([[-1.5, false]])), json!([-1.5, false]));
        let chosen = Answers::One(json!("text"));
        assert_eq!(apply_to(take_first, json!({}), chosen, &item()), Ok(json!("text")));
    }

    #[test]
    fn takes_k_or_refuses() {
        assert_eq!(apply(take_first_k, json!({"k": 2}), json!(["a", "b", "c"])), json!(["a", "b"]));
        let few = apply_to(take_first_k, json!({"k": 2}), Answers::Repeats(vec![json!("a")]), &item());
        assert_eq!(few.unwrap_err().reason, "the filter `take_first_k` needs 2 repeats, not 1");
        for bad in [json!({}), json!({"k": 0}), json!({"k": "2"})] {
            assert!(take_first_k(Kwargs(bad.as_object().unwrap())).is_err(), "{bad}");
        }
    }

    #[test]
    fn votes_with_ties_to_the_first_seen() {
        assert_eq!(apply(majority_vote, json!({}), json!(["b", "a", "a", "b", "c"])), json!(["b"]));
        assert_eq!(apply(majority_vote, json!({}), json!(["b", "a", "a"])), json!(["a"]));
    }
}
