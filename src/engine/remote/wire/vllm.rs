//! vLLM's `prompt_logprobs`: for each token of the prompt (`null` for the first) a map from token ids to `{logprob, rank, decoded_token}`,
//! with the token itself and the likeliest ones.

use super::field::{self, malformed, member};
use super::{TokenScore, WireError};
use serde_json::Value;

/// What each token of the prompt scored. `ids`: the prompt's, where they are known.
pub(super) fn prompt_scores(list: &[Value], ids: Option<&[u32]>, name: &str) -> Result<Vec<TokenScore>, WireError> {
    if let Some(ids) = ids.filter(|ids| ids.len() != list.len()) {
        let (got, sent) = (list.len(), ids.len());
        return Err(malformed(format!("answered another prompt: `{name}` has {got} entries for {sent} tokens")));
    }
    let mut scores = Vec::with_capacity(list.len());
    for (place, entry) in list.iter().enumerate() {
        let id = ids.and_then(|ids| ids.get(place).copied());
        scores.push(match entry {
            Value::Null if place == 0 => TokenScore { id, ..TokenScore::default() },
            Value::Object(_) => score(entry, id, &format!("{name}[{place}]"))?,
            Value::Null => return Err(malformed(format!("`{name}[{place}]` is missing"))),
            _ => return Err(malformed(format!("`{name}[{place}]` is no map"))),
        });
    }
    Ok(scores)
}

/// The prompt's own token in the map of one place. Without its id: the one of two that is not the likeliest, or the only one.
fn score(entry: &Value, id: Option<u32>, name: &str) -> Result<TokenScore, WireError> {
    let listed = entry.as_object().into_iter().flatten();
    let (key, own) = match id {
        Some(id) => {
            let key = id.to_string();
            let own = member(entry, &key)
                .ok_or_else(|| malformed(format!("answered another prompt: `{name}` has no token {id}")))?;
            (key, own)
        }
        None => {
            let unlikely = listed.clone().take(2).find(|(_, value)| rank(value).is_some_and(|rank| rank != 1));
            let (key, own) =
                unlikely.or_else(|| listed.clone().next()).ok_or_else(|| malformed(format!("`{name}` is empty")))?;
            (key.clone(), own)
        }
    };
    let logprob = |value: &Value, key: &str| {
        field::logprob(value.get("logprob").unwrap_or(&Value::Null), || format!("{name}.{key}.logprob"))
    };
    let own_logprob = logprob(own, &key)?;
    let mut best = own_logprob;
    for (key, value) in listed {
        best = best.max(logprob(value, key)?);
    }
    Ok(TokenScore {
        id: id.or_else(|| key.parse().ok()),
        text: field::text(own, "decoded_token").map(str::to_string),
        offset: None,
        logprob: Some(own_logprob),
        is_greedy: Some(rank(own).map_or(own_logprob >= best, |rank| rank == 1)),
    })
}

fn rank(value: &Value) -> Option<u32> {
    member(value, "rank").and_then(field::whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(list: Value, ids: Option<&[u32]>) -> Result<Vec<TokenScore>, WireError> {
        prompt_scores(list.as_array().unwrap(), ids, "p")
    }

    #[test]
    fn the_prompts_own_token_is_found() {
        let list = json!([null,
            {"5": {"logprob": -2.0, "rank": 7, "decoded_token": " a"}, "9": {"logprob": -0.5, "rank": 1, "decoded_token": " b"}},
            {"9": {"logprob": -0.5, "rank": 1, "decoded_token": " b"}}]);
        for ids in [None, Some([1, 5, 9].as_slice())] {
            let scores = read(list.clone(), ids).unwrap();
            assert_eq!(scores[0].logprob, None);
            assert_eq!((scores[1].id, scores[1].logprob, scores[1].is_greedy), (Some(5), Some(-2.0), Some(false)));
            assert_eq!((scores[2].id, scores[2].logprob, scores[2].is_greedy), (Some(9), Some(-0.5), Some(true)));
            assert_eq!(scores[2].text.as_deref(), Some(" b"));
        }
        // keys in another order
        let list = json!([null, {"9": {"logprob": -0.5, "rank": 1}, "5": {"logprob": -2.0, "rank": 7}}]);
        assert_eq!(read(list, None).unwrap()[1].id, Some(5));
    }

    #[test]
    fn other_prompts_and_odd_entries_are_errors_that_name_the_place() {
        let entry = json!({"5": {"logprob": -2.0, "rank": 7}});
        for (list, ids, said) in [
            (json!([null, entry]), Some([1, 6].as_slice()), "answered another prompt: `p[1]` has no token 6"),
            (json!([null, entry]), Some([1].as_slice()), "answered another prompt: `p` has 2 entries for 1 tokens"),
            (json!([null, null]), None, "`p[1]` is missing"),
            (json!([null, {}]), None, "`p[1]` is empty"),
            (json!([null, 3]), None, "`p[1]` is no map"),
            (json!([null, {"5": {"logprob": "x"}}]), None, "`p[1].5.logprob` is no number"),
        ] {
            assert_eq!(read(list, ids), Err(malformed(said)));
        }
    }
}
