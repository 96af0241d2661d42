//! Filters that rewrite each answer.

use super::Filter;
use crate::error::Result;
use crate::python::text::strip;
use crate::request::Unscored;
use crate::score::kwargs::Kwargs;
use serde_json::Value;

/// Without white space at both ends (Python's `strip`). Reference: `WhitespaceFilter`.
pub fn remove_whitespace(_: Kwargs<'_>) -> Result<Filter> {
    Ok(Box::new(|answers, _| answers.map_text("remove_whitespace", |text| strip(text).to_owned())))
}

/// In lower case. Reference: `LowercaseFilter`.
pub fn lowercase(_: Kwargs<'_>) -> Result<Filter> {
    Ok(Box::new(|answers, _| answers.map_text("lowercase", str::to_lowercase)))
}

/// In upper case (`ß` becomes `SS`). Reference: `UppercaseFilter`.
pub fn uppercase(_: Kwargs<'_>) -> Result<Filter> {
    Ok(Box::new(|answers, _| answers.map_text("uppercase", str::to_uppercase)))
}

/// The value that `mapping_dict` has for the answer, else `default_value` (null unless given). Reference: `MapFilter`.
///
/// Misleads when answers differ from the keys in case or blanks: they all become the default.
pub fn map(kwargs: Kwargs<'_>) -> Result<Filter> {
    let mapping = kwargs.map("mapping_dict")?.cloned().unwrap_or_default();
    let default = kwargs.get("default_value").cloned().unwrap_or(Value::Null);
    Ok(Box::new(move |answers, _| {
        answers.map(|value| {
            let key = match value {
                Value::String(text) => text,
                Value::Number(number) => number.to_string(),
                other => {
                    return Err(Unscored::new(format!("the filter `map` looks up texts and numbers, not {other}")));
                }
            };
            Ok(mapping.get(&key).unwrap_or(&default).clone())
        })
    }))
}

#[cfg(test)]
mod tests {
    //! Expected values: the filters of lm_eval 0.4.13 on the same answers.
    use super::super::testing::{apply, apply_to};
    use super::super::{Answers, take_first};
    use super::*;
    use crate::score::testing::item;
    use serde_json::json;

    #[test]
    fn rewrites_text() {
        assert_eq!(apply(remove_whitespace, json!({}), json!(["\u{a0} a b \n", ""])), json!(["a b", ""]));
        assert_eq!(apply(lowercase, json!({}), json!(["ÀB", "ΟΔΟΣ"])), json!(["àb", "οδος"]));
        assert_eq!(apply(uppercase, json!({}), json!(["straße"])), json!(["STRASSE"]));
    }

    #[test]
    fn refuses_what_is_no_text() {
        let answers = Answers::Repeats(vec![json!([-1.0, true])]);
        let err = apply_to(lowercase, json!({}), answers, &item()).unwrap_err();
        assert_eq!(err.reason, "the filter `lowercase` works on text, not on [-1.0,true]");
    }

    #[test]
    fn maps_and_falls_back() {
        let kwargs = json!({"mapping_dict": {"A": 0, "B": 1}, "default_value": -1});
        assert_eq!(apply(map, kwargs.clone(), json!(["B", "A", "C"])), json!([1, 0, -1]));
        assert_eq!(apply(map, json!({"mapping_dict": {}}), json!(["C"])), json!([null]));
        // A text that was chosen already is looked up whole: regex, take_first, map, take_first (polemo2).
        let one = Answers::One(json!("[invalid]"));
        let mapped = apply_to(map, kwargs, one, &item()).unwrap();
        assert_eq!(apply_to(take_first, json!({}), Answers::One(mapped), &item()), Ok(json!(-1)));
    }
}
