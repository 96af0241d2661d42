//! One sample of a log: of all that an entry holds only the scores and what says which document it is.

use super::digest::Digest;
use super::value::{LONGEST_NAME, Value};
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use std::fmt;

/// Scorers of a sample at most.
const MOST_SCORES: usize = 1000;

/// A document in one epoch.
#[derive(Debug)]
pub(super) struct Sample {
    /// A number or a text.
    pub id: serde_json::Value,
    pub epoch: u64,
    /// A hash of input, choices and target.
    pub document: u128,
    pub scores: Vec<(String, Score)>,
    /// Whether it ended in an error.
    pub failed: bool,
}

/// What a scorer said.
#[derive(Debug)]
pub(super) struct Score {
    pub value: Value,
    /// A hash of the answer that it found.
    pub answer: Option<u64>,
}

impl Sample {
    /// What a scorer said.
    pub(super) fn score(&self, scorer: &str) -> Option<&Score> {
        self.scores.iter().find(|(name, _)| name == scorer).map(|(_, score)| score)
    }
}

impl<'de> Deserialize<'de> for Sample {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Sample, D::Error> {
        deserializer.deserialize_map(Samples)
    }
}

struct Samples;

impl<'de> Visitor<'de> for Samples {
    type Value = Sample;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sample: an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Sample, A::Error> {
        let (mut id, mut epoch, mut scores, mut failed) = (None, None, Vec::new(), false);
        let mut says = [Digest::default(); 3];
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "id" => id = Some(map.next_value::<Id>()?.0),
                "epoch" => epoch = Some(map.next_value()?),
                "input" => says[0] = map.next_value()?,
                "choices" => says[1] = map.next_value::<Option<Digest>>()?.unwrap_or_default(),
                "target" => says[2] = map.next_value()?,
                "scores" => scores = map.next_value::<Option<Scores>>()?.map(|scores| scores.0).unwrap_or_default(),
                "error" => failed = map.next_value::<Option<IgnoredAny>>()?.is_some(),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Sample {
            id: id.ok_or_else(|| A::Error::missing_field("id"))?,
            epoch: epoch.ok_or_else(|| A::Error::missing_field("epoch"))?,
            document: Digest::together(&says),
            scores,
            failed,
        })
    }
}

/// A number or a text that is not long.
struct Id(serde_json::Value);

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Id, D::Error> {
        struct Ids;
        impl Visitor<'_> for Ids {
            type Value = Id;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an id: a number or a text")
            }
            fn visit_u64<E: Error>(self, id: u64) -> Result<Id, E> {
                Ok(Id(id.into()))
            }
            fn visit_i64<E: Error>(self, id: i64) -> Result<Id, E> {
                Ok(Id(id.into()))
            }
            fn visit_str<E: Error>(self, id: &str) -> Result<Id, E> {
                match id.len() <= LONGEST_NAME {
                    true => Ok(Id(id.into())),
                    false => Err(E::custom(format!("an id of {} bytes", id.len()))),
                }
            }
        }
        deserializer.deserialize_any(Ids)
    }
}

struct Scores(Vec<(String, Score)>);

impl<'de> Deserialize<'de> for Scores {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Scores, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Scores;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("scores by their scorers")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scores, A::Error> {
                let mut scores = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    let score = map.next_value()?;
                    if scores.len() >= MOST_SCORES || name.len() > LONGEST_NAME {
                        let said = format!("a sample with more than {MOST_SCORES} scores, or with a long name of one");
                        return Err(A::Error::custom(said));
                    }
                    scores.push((name, score));
                }
                Ok(Scores(scores))
            }
        }
        deserializer.deserialize_map(All)
    }
}

impl<'de> Deserialize<'de> for Score {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Score, D::Error> {
        struct One;
        impl<'de> Visitor<'de> for One {
            type Value = Score;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a score: an object with a value")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Score, A::Error> {
                let (mut value, mut answer) = (None, None);
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "value" => value = Some(map.next_value()?),
                        "answer" => answer = map.next_value::<Option<Digest>>()?.map(Digest::short),
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(Score { value: value.ok_or_else(|| A::Error::missing_field("value"))?, answer })
            }
        }
        deserializer.deserialize_map(One)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_read_without_what_is_long() {
        let text = r#"{"id": "a", "epoch": 1, "input": "q", "target": "t", "choices": null, "events": [[[]]], "error": null,
            "scores": {"m": {"value": "C", "answer": "x", "history": []}, "n": {"value": null}}}"#;
        let sample: Sample = serde_json::from_str(text).unwrap();
        assert_eq!((sample.id.as_str(), sample.epoch, sample.failed), (Some("a"), 1, false));
        assert_eq!(sample.score("m").unwrap().value, Value::Number(1.0));
        assert_eq!(sample.score("n").unwrap().value, Value::None);
        assert!(sample.score("m").unwrap().answer.is_some() && sample.score("x").is_none());
        let other = text.replace("\"choices\": null", "\"choices\": [\"t\"]");
        assert_ne!(serde_json::from_str::<Sample>(&other).unwrap().document, sample.document);
        let without = text.replace("\"choices\": null, ", "");
        assert_eq!(serde_json::from_str::<Sample>(&without).unwrap().document, sample.document);
    }

    #[test]
    fn what_is_no_sample_is_refused() {
        let long = format!("{{\"id\": {:?}, \"epoch\": 1}}", "x".repeat(5000));
        for bad in ["[]", "{}", r#"{"id": 1.5, "epoch": 1}"#, r#"{"id": 1, "epoch": "x"}"#, &long] {
            assert!(serde_json::from_str::<Sample>(bad).is_err(), "{bad}");
        }
    }
}
