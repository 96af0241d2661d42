//! Reading fields of bodies that nobody vouches for: a missing one, one of another type and an absurd number are told apart from an answer.

use super::{Reply, ServedModel, WireError};
use crate::engine::remote::excerpt::excerpt;
use serde_json::Value;

/// How far above 0 rounding may lift a log-probability.
const ROUNDING: f64 = 1e-3;

/// A body that does not say what the format promises.
pub(super) fn malformed(message: impl Into<String>) -> WireError {
    WireError::Malformed(message.into())
}

/// A field of an object; `null` is as good as none.
pub(super) fn member<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    value.get(key).filter(|value| !value.is_null())
}

/// A field of a field.
pub(super) fn inner<'a>(value: &'a Value, outer: &str, key: &str) -> Option<&'a Value> {
    member(member(value, outer)?, key)
}

/// A field that is a text.
pub(super) fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    member(value, key)?.as_str()
}

/// A field that is a text with something in it.
pub(super) fn words<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    text(value, key).filter(|text| !text.trim().is_empty())
}

/// A field that must be a text; `name` is its place in the body.
pub(super) fn required_text<'a>(value: &'a Value, key: &str, name: &str) -> Result<&'a str, WireError> {
    match member(value, key) {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(malformed(format!("`{name}` is no text"))),
        None => Err(malformed(format!("`{name}` is missing"))),
    }
}

/// A field that must be a list; `name` is its place in the body.
pub(super) fn required_list<'a>(value: &'a Value, key: &str, name: &str) -> Result<&'a [Value], WireError> {
    match member(value, key) {
        Some(Value::Array(list)) => Ok(list),
        Some(_) => Err(malformed(format!("`{name}` is no list"))),
        None => Err(malformed(format!("`{name}` is missing"))),
    }
}

/// A number of tokens or the like: whole, not negative, below 2^32.
pub(super) fn whole(value: &Value) -> Option<u32> {
    if let Some(number) = value.as_u64() {
        return u32::try_from(number).ok();
    }
    let number = value.as_f64()?;
    (number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number)).then_some(number as u32)
}

/// A field that is a number of tokens or the like.
pub(super) fn count(value: &Value, key: &str) -> Option<usize> {
    whole(member(value, key)?).map(|number| number as usize)
}

/// A natural logarithm of a probability; `name` is its place in the body.
pub(super) fn logprob(value: &Value, name: impl Fn() -> String) -> Result<f64, WireError> {
    match value.as_f64() {
        Some(number) if number.is_finite() && number <= ROUNDING => Ok(number.min(0.0)),
        Some(number) => Err(malformed(format!("`{}` is {number}, which is no log-probability", name()))),
        None => Err(malformed(format!("`{}` is no number", name()))),
    }
}

/// The entry of index 0 of a list whose entries may be numbered, come in any order, doubled, or with others.
pub(super) fn first_choice(list: &[Value]) -> Option<&Value> {
    list.iter().enumerate().find_map(|(place, entry)| {
        let index = match member(entry, "index") {
            Some(index) => whole(index),
            None => u32::try_from(place).ok(),
        };
        (entry.is_object() && index == Some(0)).then_some(entry)
    })
}

/// Token ids, as a reply.
pub(super) fn token_ids(list: &[Value], name: &str) -> Result<Reply, WireError> {
    let ids: Option<Vec<u32>> = list.iter().map(|id| whole(member(id, "id").unwrap_or(id))).collect();
    ids.map(Reply::Tokens).ok_or_else(|| malformed(format!("`{name}` has entries that are no token ids")))
}

/// Texts with log-probabilities, likeliest first; equal ones stay in their order.
pub(super) fn likeliest_first(mut top: Vec<(String, f64)>) -> Vec<(String, f64)> {
    top.sort_by(|a, b| b.1.total_cmp(&a.1));
    top
}

/// The model that a body names.
pub(super) fn model(body: &Value) -> Option<String> {
    words(body, "model").map(str::to_string)
}

/// The beginning of what a server said, on one line: its line breaks are blanks.
pub(super) fn short(text: &str) -> String {
    excerpt(&text.split_whitespace().take(200).collect::<Vec<_>>().join(" "))
}

/// What a refusal says, in any of the shapes that servers use: `{"error": {"message"}}`, `{"error": "..."}`, `{"message"}`, `{"detail"}`
/// (a text or FastAPI's list), each perhaps as the only entry of a list.
pub(super) fn error_message(body: &Value) -> Option<String> {
    let body = body.as_array().and_then(|list| list.first()).unwrap_or(body);
    let error = member(body, "error");
    let said = error
        .and_then(|error| words(error, "message").or_else(|| error.as_str()))
        .or_else(|| words(body, "message"))
        .or_else(|| words(body, "detail"))
        .or_else(|| detail(body))
        .or_else(|| error.and_then(|error| words(error, "type").or_else(|| words(error, "code"))))
        .filter(|said| !said.trim().is_empty())?;
    Some(short(said))
}

/// FastAPI's `{"detail": [{"loc": [...], "msg": "..."}]}`.
fn detail(body: &Value) -> Option<&str> {
    words(member(body, "detail")?.as_array()?.first()?, "msg")
}

/// What a body of status 200 says when it is an error after all.
pub(super) fn failure(body: &Value) -> Option<WireError> {
    let is_error = member(body, "error").is_some() || text(body, "object") == Some("error");
    is_error.then(|| WireError::Failed(error_message(body).unwrap_or_else(|| "an error without a message".into())))
}

/// Where listings keep the context window, the most telling first.
const MAX_LENGTH: &[&str] =
    &["max_model_len", "context_length", "context_window", "max_context_length", "max_input_tokens", "inputTokenLimit"];

/// A model of a listing.
pub(super) fn served(entry: &Value, id: &str) -> ServedModel {
    let meta = member(entry, "meta").and_then(|meta| count(meta, "n_ctx"));
    ServedModel {
        id: id.to_string(),
        max_length: meta.or_else(|| MAX_LENGTH.iter().find_map(|key| count(entry, key))).filter(|length| *length > 0),
        owned_by: words(entry, "owned_by").map(str::to_string),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_are_whole_and_in_bounds_or_none() {
        assert_eq!(count(&json!({"n": 3}), "n"), Some(3));
        assert_eq!(count(&json!({"n": 3.0}), "n"), Some(3));
        for odd in [json!(-1), json!(1.5), json!("3"), json!(null), json!(1e300), json!(u64::MAX), json!([3])] {
            assert_eq!(count(&json!({ "n": odd.clone() }), "n"), None, "{odd}");
        }
    }

    #[test]
    fn log_probabilities_are_finite_and_not_positive() {
        let read = |value| logprob(&value, || "x".into());
        assert_eq!(read(json!(-1.5)), Ok(-1.5));
        assert_eq!(read(json!(1e-7)), Ok(0.0));
        assert_eq!(read(json!(0.5)), Err(malformed("`x` is 0.5, which is no log-probability")));
        assert_eq!(read(json!("-1.5")), Err(malformed("`x` is no number")));
    }

    #[test]
    fn index_0_is_found_wherever_it_stands() {
        let list = [json!({"index": 1, "t": "b"}), json!({"index": 0, "t": "a"}), json!({"index": 0, "t": "c"})];
        assert_eq!(first_choice(&list).and_then(|c| text(c, "t")), Some("a"));
        assert_eq!(first_choice(&[json!({"t": "a"})]).and_then(|c| text(c, "t")), Some("a"));
        assert_eq!(first_choice(&[json!({"index": 1})]), None);
        assert_eq!(first_choice(&[json!("a")]), None);
        assert_eq!(first_choice(&[]), None);
    }

    #[test]
    fn messages_of_all_shapes_are_found() {
        for (body, said) in [
            (json!({"error": {"message": "no", "type": "t"}}), Some("no")),
            (json!({"error": "no"}), Some("no")),
            (json!({"error": {"type": "overloaded_error"}}), Some("overloaded_error")),
            (json!([{"error": {"code": 400, "message": "no", "status": "INVALID_ARGUMENT"}}]), Some("no")),
            (json!({"object": "error", "message": "no"}), Some("no")),
            (json!({"detail": "no"}), Some("no")),
            (json!({"detail": [{"loc": ["body"], "msg": "no"}]}), Some("no")),
            (json!({"error": {}}), None),
            (json!("no"), None),
            (json!(null), None),
        ] {
            assert_eq!(error_message(&body).as_deref(), said, "{body}");
        }
        let long = error_message(&json!({"error": "é\n".repeat(500)})).unwrap_or_default();
        assert_eq!(long.chars().count(), 203);
        assert!(!long.contains('\n'));
    }
}
