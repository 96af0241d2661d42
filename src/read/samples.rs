//! One line of a samples file of the reference's form. Of a line only what comparing needs is kept: prompts, documents and raw answers
//! are passed over while parsing.

use crate::record::Line;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fmt;

/// Metrics of a line at most.
const MOST_VALUES: usize = 1000;

/// What a line says.
#[derive(Debug, Default)]
pub(super) struct Written {
    line: Line,
    hash: Option<String>,
    prompt: Option<String>,
}

impl Written {
    /// The line with its keys.
    pub(super) fn into_line(self) -> Line {
        let Written { mut line, hash, prompt } = self;
        let half = |hash: &str| u128::from_str_radix(hash.get(..32)?, 16).ok();
        match hash.as_deref().and_then(half) {
            Some(document) => (line.document, line.hashed) = (document, true),
            None => line.document = hash_of(&line.doc_id.to_string()),
        }
        line.prompt = prompt.as_deref().and_then(|hash| u64::from_str_radix(hash.get(..16)?, 16).ok());
        line
    }
}

/// The first half of a text's SHA-256.
pub(crate) fn hash_of(text: &str) -> u128 {
    Sha256::digest(text.as_bytes()).iter().take(16).fold(0, |key, byte| (key << 8) | u128::from(*byte))
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Written, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Written;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sample: an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Written, A::Error> {
        let mut written = Written::default();
        let line = &mut written.line;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "doc_id" => line.doc_id = map.next_value()?,
                "doc_hash" => written.hash = map.next_value()?,
                "prompt_hash" => written.prompt = map.next_value()?,
                "filter" => line.filter = map.next_value()?,
                "filtered_resps" => (line.answer, line.choices) = answers(&map.next_value()?),
                "cluster" => line.cluster = map.next_value()?,
                "unscored" => line.unscored = map.next_value()?,
                "doc" | "target" | "target_hash" | "arguments" | "resps" | "metrics" | "judgements" | "reasoning"
                | "refused" => {
                    map.next_value::<IgnoredAny>()?;
                }
                _ if line.values.len() >= MOST_VALUES => {
                    map.next_value::<IgnoredAny>()?;
                }
                _ => {
                    line.values.insert(key, map.next_value()?);
                }
            }
        }
        Ok(written)
    }
}

/// Of choices with their log-likelihoods (`[["-1.5", "False"], ...]`) the likeliest, and all of them; of anything else what it says.
fn answers(filtered: &Value) -> (Option<u64>, Vec<f64>) {
    let likelihood = |choice: &Value| {
        let first = choice.as_array()?.first()?;
        first.as_f64().or_else(|| first.as_str()?.parse().ok())
    };
    let choices = filtered.as_array().filter(|choices| !choices.is_empty());
    let figures: Option<Vec<f64>> = choices.and_then(|choices| choices.iter().map(likelihood).collect());
    match figures {
        Some(figures) if figures.len() > 1 => {
            let best = figures.iter().enumerate().rev().max_by(|a, b| a.1.total_cmp(b.1));
            (best.map(|(index, _)| index as u64), figures)
        }
        figures if !filtered.is_null() => (Some(hash_of(&filtered.to_string()) as u64), figures.unwrap_or_default()),
        _ => (None, Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_line_is_read_without_what_is_long() {
        let hash = "0123456789abcdef0123456789abcdef0000000000000000ffffffffffffffff";
        let text = json!({"doc_id": 3, "doc": {"q": "x"}, "arguments": {"a": [1]}, "resps": [[["-1", "False"]]],
            "filtered_resps": [["-2.5", "False"], ["-0.5", "True"]], "filter": "none", "metrics": ["acc"],
            "doc_hash": hash, "prompt_hash": hash, "target_hash": "t", "acc": 1.0, "cluster": "c"});
        let line = serde_json::from_str::<Written>(&text.to_string()).unwrap().into_line();
        assert_eq!((&line.doc_id, line.answer, &line.choices), (&json!(3), Some(1), &vec![-2.5, -0.5]));
        assert_eq!((line.document, line.hashed), (0x0123456789abcdef0123456789abcdef, true));
        assert_eq!((line.prompt, line.cluster.as_deref()), (Some(0x0123456789abcdef), Some("c")));
        assert_eq!((line.score("acc"), line.values.len()), (Some(1.0), 1));
    }

    #[test]
    fn without_hashes_documents_are_known_by_their_ids() {
        let line = |text: &str| serde_json::from_str::<Written>(text).unwrap().into_line();
        let [a, b, c] = ["{\"doc_id\": 3}", "{\"doc_id\": 3, \"doc_hash\": null}", "{\"doc_id\": \"3\"}"].map(line);
        assert_eq!((a.document, a.hashed), (b.document, false));
        assert_ne!(a.document, c.document);
    }

    /// The first of equally likely choices, as `argmax` picks.
    #[test]
    fn answers_are_told_apart() {
        assert_eq!(answers(&json!([["-1", "False"], ["-1", "False"]])).0, Some(0));
        assert_eq!(answers(&json!([["nan", "False"], ["-1", "False"]])).1.len(), 2);
        assert_ne!(answers(&json!(["4"])).0, answers(&json!(["5"])).0);
        assert_eq!(answers(&Value::Null), (None, Vec::new()));
    }
}
