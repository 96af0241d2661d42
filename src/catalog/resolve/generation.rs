//! `generation_kwargs`: checked, completed with the reference's defaults, and kept in the order they were written.

use super::super::read::{self, Keys};
use crate::error::Result;
use crate::task::OutputType;
use crate::yaml::{Value, Yaml};
use serde_json::{Map, Value as Json, json};

/// What a generation setting takes.
#[derive(Clone, Copy)]
enum Takes {
    Texts,
    Flag,
    Number,
    Count,
}

/// The generation settings. Four names for the longest answer are one setting; the first of them wins.
const SETTINGS: &[(&str, Takes)] = &[
    ("until", Takes::Texts),
    ("do_sample", Takes::Flag),
    ("temperature", Takes::Number),
    ("top_p", Takes::Number),
    ("top_k", Takes::Count),
    ("min_p", Takes::Number),
    ("max_gen_toks", Takes::Count),
    ("max_new_tokens", Takes::Count),
    ("max_tokens", Takes::Count),
    ("max_completion_tokens", Takes::Count),
];

/// The reference's `max_gen_toks` when a task says nothing about generation.
const DEFAULT_MAX_GEN_TOKS: u32 = 256;

pub fn generation(keys: &Keys<'_>, output_type: OutputType, fewshot_delimiter: &str) -> Result<Map<String, Json>> {
    let mut settings = Map::new();
    let Some(yaml) = keys.get("generation_kwargs") else {
        if output_type == OutputType::GenerateUntil {
            settings.insert("temperature".into(), json!(0.0));
            settings.insert("do_sample".into(), json!(false));
            settings.insert("max_gen_toks".into(), json!(DEFAULT_MAX_GEN_TOKS));
            settings.insert("until".into(), json!([fewshot_delimiter]));
        }
        return Ok(settings);
    };
    for entry in Keys::of(yaml, "generation_kwargs", "`generation_kwargs`")?.entries() {
        let name = entry.key.key_text();
        settings.insert(name.clone(), setting(&entry.key, &name, &entry.value)?);
    }
    if !settings.contains_key("until") {
        settings.insert("until".into(), json!([fewshot_delimiter]));
    }
    Ok(settings)
}

fn setting(key: &Yaml, name: &str, yaml: &Yaml) -> Result<Json> {
    let Some((_, takes)) = SETTINGS.iter().find(|(known, _)| *known == name) else {
        let known: Vec<&str> = SETTINGS.iter().map(|(name, _)| *name).collect();
        return Err(read::unknown(key, &format!("generation setting `{name}` is not supported"), name, &known));
    };
    if yaml.value == Value::Null {
        return Ok(Json::Null);
    }
    match takes {
        Takes::Texts => read::texts(yaml, name).map(drop)?,
        Takes::Flag => read::flag(yaml, name).map(drop)?,
        Takes::Count => read::count(yaml, name).map(drop)?,
        Takes::Number => {
            let number = number(yaml, name)?;
            // The reference makes a float of the temperature and leaves the other numbers as they are.
            if name == "temperature" {
                return Ok(json!(number));
            }
        }
    }
    yaml.to_json(name)
}

fn number(yaml: &Yaml, name: &str) -> Result<f64> {
    match yaml.value {
        Value::Int(number) if number >= 0 => Ok(number as f64),
        Value::Float(number) if number >= 0.0 && number.is_finite() => Ok(number),
        _ => Err(read::wrong(yaml, name, "a number from 0")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{refused, task};

    const BASE: &str = "task: t\ndataset_path: a/b\ntest_split: test\ndoc_to_text: x\ndoc_to_target: y\n";

    fn written(text: &str) -> String {
        serde_json::to_string(&task(&format!("{BASE}{text}")).generation_kwargs).unwrap()
    }

    #[test]
    fn defaults_and_order_as_the_reference() {
        // Expected: `TaskConfig(...).generation_kwargs` of lm-eval 0.4.13.
        assert_eq!(written(""), r#"{"temperature":0.0,"do_sample":false,"max_gen_toks":256,"until":["\n\n"]}"#);
        let text = "generation_kwargs: {until: ['a'], do_sample: false, temperature: 0, top_p: 1}\n";
        assert_eq!(written(text), r#"{"until":["a"],"do_sample":false,"temperature":0.0,"top_p":1}"#);
        let text = "fewshot_delimiter: '#'\ngeneration_kwargs: {max_gen_toks: 8}\n";
        assert_eq!(written(text), r##"{"max_gen_toks":8,"until":["#"]}"##);
        assert_eq!(written("generation_kwargs: {until: []}\n"), r#"{"until":[]}"#);
        assert_eq!(written("generation_kwargs: {until: stop}\n"), r#"{"until":"stop"}"#);
        assert_eq!(written("output_type: loglikelihood\n"), "{}");
    }

    #[test]
    fn errors() {
        let cases = [
            ("generation_kwargs: {num_beams: 2}\n", "t.yaml:6: generation setting `num_beams` is not supported"),
            ("generation_kwargs: {untill: [a]}\n", "did you mean `until`?"),
            ("generation_kwargs: {until: [1]}\n", "`until` must be text, not the number 1"),
            ("generation_kwargs: {do_sample: 1}\n", "`do_sample` must be true or false"),
            ("generation_kwargs: {temperature: -1}\n", "`temperature` must be a number from 0"),
            (
                "generation_kwargs: {temperature: 1e-3}\n",
                "`temperature` must be a number from 0, not the text \"1e-3\"",
            ),
            ("generation_kwargs: 3\n", "`generation_kwargs` must be a mapping"),
        ];
        for (text, want) in cases {
            let err = refused(&format!("{BASE}{text}"));
            assert!(err.contains(want), "{text}: {err}");
        }
    }
}
