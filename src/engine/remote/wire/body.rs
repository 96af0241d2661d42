//! Reading untrusted bodies: every field is looked for, none is taken for granted.

use super::WireError;
use crate::request::Usage;
use serde_json::Value;

/// A body that lacks what the format promises.
pub fn malformed(what: impl Into<String>) -> WireError {
    WireError::Malformed(what.into())
}

/// The value at a path of keys; `Null` where there is none.
pub fn at<'a>(body: &'a Value, path: &[&str]) -> &'a Value {
    path.iter().fold(body, |value, key| value.get(key).unwrap_or(&Value::Null))
}

/// A text at a path.
pub fn text<'a>(body: &'a Value, path: &[&str]) -> Option<&'a str> {
    at(body, path).as_str()
}

/// A text that is not empty.
pub fn some_text(body: &Value, path: &[&str]) -> Option<String> {
    text(body, path).filter(|text| !text.is_empty()).map(str::to_string)
}

/// A count at a path; 0 where there is none or it makes no sense.
pub fn count(body: &Value, path: &[&str]) -> usize {
    let value = at(body, path);
    value.as_u64().or_else(|| value.as_f64().filter(|v| (0.0..1e15).contains(v)).map(|v| v as u64)).unwrap_or(0)
        as usize
}

/// A list at a path, or which one is missing.
pub fn list<'a>(body: &'a Value, path: &[&str]) -> Result<&'a [Value], WireError> {
    at(body, path).as_array().map(Vec::as_slice).ok_or_else(|| malformed(format!("no list `{}`", path.join("."))))
}

/// A log-probability: a finite number that is not above 0 (but for rounding); `None` for null.
pub fn logprob(value: &Value) -> Result<Option<f64>, WireError> {
    if value.is_null() {
        return Ok(None);
    }
    match value.as_f64() {
        Some(number) if number.is_finite() && number <= 1e-3 => Ok(Some(number.min(0.0))),
        _ => Err(malformed(format!("{value} is no log-probability"))),
    }
}

/// Token ids of a list.
pub fn ids(values: &[Value]) -> Result<Vec<u32>, WireError> {
    let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    values.iter().map(|value| id(value).ok_or_else(|| malformed(format!("{value} is no token id")))).collect()
}

/// `choices[index = 0]`: lists may be out of order, and an entry may stand twice.
pub fn first_choice(body: &Value) -> Result<&Value, WireError> {
    let choices = list(body, &["choices"])?;
    let is_first = |choice: &&Value| choice.get("index").is_none_or(|index| index.as_u64() == Some(0));
    choices.iter().find(is_first).ok_or_else(|| malformed(format!("{} choices, none of them the first", choices.len())))
}

/// `usage` as OpenAI's routes have it.
pub fn openai_usage(body: &Value) -> Usage {
    let usage = at(body, &["usage"]);
    Usage {
        prompt_tokens: count(usage, &["prompt_tokens"]),
        completion_tokens: count(usage, &["completion_tokens"]),
        truncated_tokens: 0,
        cached_tokens: count(usage, &["prompt_tokens_details", "cached_tokens"]),
        reasoning_tokens: count(usage, &["completion_tokens_details", "reasoning_tokens"]),
    }
}

/// The message of an error body in the shapes that servers use: `{error: {message}}`, `{error: text}`, `{message}`, `{detail}`.
pub fn error_message(body: &Value) -> Option<String> {
    let shapes: [&[&str]; 5] = [&["error", "message"], &["error"], &["message"], &["detail"], &["detail", "message"]];
    let found = shapes.iter().find_map(|path| some_text(body, path));
    found.or_else(|| body.get(0).and_then(|first| some_text(first, &["error", "message"])))
}

/// An error inside a body of status 200.
pub fn failed(body: &Value) -> Result<(), WireError> {
    match at(body, &["error"]) {
        Value::Null => Ok(()),
        _ => Err(WireError::Failed(error_message(body).unwrap_or_else(|| "the body holds an error".to_string()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn log_probabilities_are_checked() {
        assert_eq!(logprob(&json!(null)), Ok(None));
        assert_eq!(logprob(&json!(-1.5)), Ok(Some(-1.5)));
        assert_eq!(logprob(&json!(1e-7)), Ok(Some(0.0)));
        for bad in [json!("x"), json!(0.5), json!([])] {
            assert!(logprob(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn choices_may_come_in_any_order() {
        let body =
            json!({"choices": [{"index": 1, "text": "b"}, {"index": 0, "text": "a"}, {"index": 0, "text": "c"}]});
        assert_eq!(first_choice(&body).unwrap()["text"], "a");
        for bad in [json!({}), json!({"choices": []}), json!({"choices": [{"index": 3}]}), json!({"choices": {}})] {
            assert!(matches!(first_choice(&bad), Err(WireError::Malformed(_))), "{bad}");
        }
    }

    #[test]
    fn error_shapes() {
        for body in [
            json!({"error": {"message": "no"}}),
            json!({"error": "no"}),
            json!({"message": "no"}),
            json!({"detail": "no"}),
            json!([{"error": {"message": "no"}}]),
        ] {
            assert_eq!(error_message(&body).as_deref(), Some("no"), "{body}");
        }
        assert_eq!(error_message(&json!(7)), None);
    }
}
