//! `generation_kwargs` and the command line's `--gen-kwargs` to decoding parameters.

use crate::error::{Error, Result, nearest};
use crate::python::repr::repr;
use crate::request::Decoding;
use serde_json::{Map, Value};

/// Names for the most tokens to generate; the first that is given counts.
const MAX_TOKENS: &[&str] = &["max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens"];

/// Settings that are understood, besides [`MAX_TOKENS`] and [`NEUTRAL`].
const KNOWN: &[&str] = &["until", "do_sample", "temperature", "top_p", "top_k", "min_p"];

/// Settings that task files carry, understood only with the value that changes nothing.
const NEUTRAL: &[(&str, f64)] = &[("num_beams", 1.0), ("num_return_sequences", 1.0), ("repetition_penalty", 1.0)];

/// Whether settings name the most tokens to generate.
pub fn limits_tokens(settings: &Map<String, Value>) -> bool {
    MAX_TOKENS.iter().any(|name| settings.get(*name).is_some_and(|value| !value.is_null()))
}

/// Puts `overrides` over the task's settings and resolves them.
pub fn resolve(task: &Map<String, Value>, overrides: &Map<String, Value>) -> Result<Decoding> {
    let mut written = task.clone();
    for (name, value) in overrides {
        written.insert(name.clone(), value.clone());
    }
    for (name, value) in &written {
        check_known(name, value)?;
    }
    let temperature = number(&written, "temperature")?;
    let do_sample = match written.get("do_sample") {
        None | Some(Value::Null) => temperature.is_some_and(|temperature| temperature > 0.0),
        Some(Value::Bool(flag)) => *flag,
        Some(other) => return Err(wrong("do_sample", other, "true or false")),
    };
    // Without sampling the temperature does not matter; the reference sets it to 0.
    let temperature = if do_sample { temperature.unwrap_or(0.0) } else { 0.0 };
    if do_sample && temperature <= 0.0 {
        return Err(Error::input("do_sample is set, and the temperature is 0")
            .key("generation_kwargs")
            .hint("sampling needs a temperature above 0; greedy decoding is `do_sample: false`"));
    }
    Ok(Decoding {
        until: until(written.get("until"))?,
        max_gen_toks: max_gen_toks(&written)?,
        do_sample,
        temperature,
        top_p: number(&written, "top_p")?,
        top_k: count(&written, "top_k")?,
        min_p: number(&written, "min_p")?,
        written,
    })
}

fn check_known(name: &str, value: &Value) -> Result<()> {
    if KNOWN.contains(&name) || MAX_TOKENS.contains(&name) || value.is_null() {
        return Ok(());
    }
    let known = || KNOWN.iter().chain(MAX_TOKENS).copied();
    match NEUTRAL.iter().find(|(neutral, _)| *neutral == name) {
        Some((_, same)) if value.as_f64() == Some(*same) => Ok(()),
        Some((_, same)) => Err(Error::input(format!("{name} {} is not supported", repr(value)))
            .key("generation_kwargs")
            .hint(format!("only {same} is"))),
        None => Err(Error::input(format!("unknown setting `{name}`")).key("generation_kwargs").hint(
            match nearest(name, known()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("settings there are: {}", known().collect::<Vec<_>>().join(", ")),
            },
        )),
    }
}

fn wrong(name: &str, value: &Value, wanted: &str) -> Error {
    Error::input(format!("{name} is {}, not {wanted}", repr(value))).key("generation_kwargs")
}

fn until(value: Option<&Value>) -> Result<Vec<String>> {
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(stop)) => Ok(vec![stop.clone()]),
        Some(Value::Array(stops)) => {
            let texts = stops.iter().map(|stop| stop.as_str().map(str::to_owned));
            texts.collect::<Option<_>>().ok_or_else(|| wrong("until", &Value::Array(stops.clone()), "a list of texts"))
        }
        Some(other) => Err(wrong("until", other, "a text or a list of texts")),
    }
}

fn number(settings: &Map<String, Value>, name: &str) -> Result<Option<f64>> {
    match settings.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            value.as_f64().filter(|n| *n >= 0.0).map(Some).ok_or_else(|| wrong(name, value, "a number from 0 on"))
        }
    }
}

/// A whole number of at least 1; a float loses its fraction and a text is read, as `int()` does.
fn count(settings: &Map<String, Value>, name: &str) -> Result<Option<usize>> {
    let value = match settings.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value,
    };
    let whole = match value {
        Value::String(text) => text.trim().parse().ok(),
        value => value.as_u64().or_else(|| value.as_f64().filter(|n| *n >= 1.0).map(|n| n as u64)),
    };
    let positive = whole.and_then(|n: u64| usize::try_from(n).ok()).filter(|n| *n > 0);
    positive.map(Some).ok_or_else(|| wrong(name, value, "a whole number from 1 on"))
}

fn max_gen_toks(settings: &Map<String, Value>) -> Result<Option<usize>> {
    for name in MAX_TOKENS {
        if let Some(limit) = count(settings, name)? {
            return Ok(Some(limit));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn resolved(task: Value, overrides: Value) -> Result<Decoding> {
        resolve(task.as_object().unwrap(), overrides.as_object().unwrap())
    }

    #[test]
    fn overrides_and_aliases() {
        let task = json!({"until": ["\n"], "do_sample": false, "temperature": 0.0, "max_tokens": 5, "num_beams": 1});
        let decoding = resolved(task, json!({"max_new_tokens": "7", "until": "END"})).unwrap();
        assert_eq!((decoding.until, decoding.max_gen_toks), (vec!["END".to_string()], Some(7)));
        assert_eq!(
            Value::Object(decoding.written).to_string(),
            r#"{"until":"END","do_sample":false,"temperature":0.0,"max_tokens":5,"num_beams":1,"max_new_tokens":"7"}"#
        );
        assert_eq!(resolved(json!({"max_tokens": 5, "max_gen_toks": 3.9}), json!({})).unwrap().max_gen_toks, Some(3));
        assert_eq!(resolved(json!({}), json!({})).unwrap().max_gen_toks, None);
    }

    #[test]
    fn sampling() {
        let sampling = |settings: Value| resolved(settings, json!({})).map(|d| (d.do_sample, d.temperature));
        assert_eq!(sampling(json!({"temperature": 0.7})).unwrap(), (true, 0.7));
        assert_eq!(sampling(json!({"temperature": 0.7, "do_sample": false})).unwrap(), (false, 0.0));
        assert_eq!(sampling(json!({"temperature": 1, "do_sample": true})).unwrap(), (true, 1.0));
        assert_eq!(sampling(json!({})).unwrap(), (false, 0.0));
        assert!(sampling(json!({"do_sample": true, "temperature": 0.0})).is_err());
    }

    #[test]
    fn refusals_help() {
        let refused = |settings: Value| resolved(settings, json!({})).unwrap_err().to_string();
        assert!(refused(json!({"temprature": 1})).contains("did you mean `temperature`?"));
        assert!(refused(json!({"num_beams": 4})).contains("num_beams 4 is not supported"));
        assert!(refused(json!({"until": [1]})).contains("until is [1], not a list of texts"));
        assert!(refused(json!({"max_gen_toks": 0})).contains("whole number"));
        assert!(refused(json!({"top_p": "high"})).contains("top_p is 'high'"));
    }
}
