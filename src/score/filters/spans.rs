//! The filter that brings lists of named entities into one form.

use super::Filter;
use crate::error::Result;
use crate::python::text::strip;
use crate::request::Unscored;
use crate::score::kwargs::Kwargs;
use crate::score::pattern::Pattern;
use serde_json::Value;
use std::sync::Arc;

/// Words that models use for a label, in the order in which they are replaced.
const LABELS: &[(&str, &str)] = &[
    ("person", "PER"),
    ("location", "LOC"),
    ("organization", "ORG"),
    ("counties", "LOC"),
    ("places", "LOC"),
    ("people", "PER"),
    ("persons", "PER"),
    ("company", "ORG"),
    ("country", "LOC"),
    ("continent", "LOC"),
    ("time", "DATE"),
    ("date", "DATE"),
    ("per", "PER"),
    ("loc", "LOC"),
    ("org", "ORG"),
];

const ENTITIES: &str = r"\b(PER|LOC|ORG|DATE):\s*([^$]+)";

/// Named entities as `label: value $ label: value`, labels unified (`people` is `per`), `none` left out.
/// Reference: `SPANFilter`.
///
/// Misleads when an entity holds a comma: it is split.
pub fn format_span(_: Kwargs<'_>) -> Result<Filter> {
    let labels: Vec<(Arc<Pattern>, &str)> = LABELS
        .iter()
        .map(|(word, label)| Ok((Pattern::cached(&format!(r"\b{word}\s*:"))?, *label)))
        .collect::<Result<_>>()?;
    let entities = Pattern::cached(ENTITIES)?;
    Ok(Box::new(move |answers, _| {
        answers.map(|answer| match answer {
            Value::String(text) => spans(&unify(&text, &labels)?, &entities).map(Value::from),
            other => Err(Unscored::new(format!("the filter `format_span` works on text, not on {other}"))),
        })
    }))
}

/// Lower case, label words replaced, `$$` made `$`, none at the end.
fn unify(text: &str, labels: &[(Arc<Pattern>, &str)]) -> Result<String, Unscored> {
    let mut text = text.to_lowercase();
    for (word, label) in labels {
        text = word.replace_in(&text, &format!("{label}:"))?;
    }
    Ok(text.replace("$$", "$").trim_end_matches('$').to_owned())
}

fn spans(text: &str, entities: &Pattern) -> Result<String, Unscored> {
    let lines = text.replace('\n', "$");
    let mut found = Vec::new();
    for groups in entities.find_all(strip(&lines))? {
        let mut groups = groups.into_iter();
        let (Some(label), Some(values)) = (groups.next(), groups.next()) else { continue };
        for value in values.split(',').map(strip).filter(|value| value.to_lowercase() != "none") {
            found.push(format!("{}: {value}", label.to_lowercase()));
        }
    }
    Ok(found.join(" $ "))
}

#[cfg(test)]
mod tests {
    //! Expected values: `SPANFilter` of lm_eval 0.4.13 on the same answers.
    use super::super::testing::apply;
    use super::*;
    use serde_json::json;

    #[test]
    fn unifies_entities() {
        let answers = json!([
            "PERSON: Ada Lovelace $$ Location : Nairobi, Kenya$$ ",
            "People: none\nDate: 3 May\nCompany: Acme",
            "nothing here",
            "time: LOC: x"
        ]);
        let expected =
            json!(["per: ada lovelace $ loc: nairobi $ loc: kenya", "date: 3 may $ org: acme", "", "date: LOC: x"]);
        assert_eq!(apply(format_span, json!({}), answers), expected);
    }
}
