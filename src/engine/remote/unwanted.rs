//! Settings that a server does not take: a refusal that names one is an instruction. The setting is left out, or sent under the name that the
//! server wants, and the call is made again.

use super::wire::Call;
use crate::remark::Remark;
use serde_json::{Map, Value};
use std::sync::{PoisonError, RwLock};

/// What may be done about a setting.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Remedy {
    /// It goes under another name, which refusals name.
    Rename(&'static [&'static str]),
    /// Left out it changes no number, because of what follows.
    Harmless(&'static str),
    /// Left out it may change numbers, because of what follows.
    Telling(&'static str),
}

const LIMIT_NAMES: Remedy =
    Remedy::Rename(&["max_completion_tokens", "max_tokens", "max_output_tokens", "max_new_tokens"]);
const OWN_VALUE: Remedy = Remedy::Telling("the server's own value counts");
const STOPS: Remedy = Remedy::Harmless("texts are cut at stop strings here");
const DRAWN: Remedy = Remedy::Telling("the server's own counts (mostly 1), texts are drawn and may differ each time");
const SEED: Remedy = Remedy::Telling("what is drawn differs each time");

/// Settings that can be done without, or under another name.
const SETTINGS: &[(&str, Remedy)] = &[
    ("max_tokens", LIMIT_NAMES),
    ("max_completion_tokens", LIMIT_NAMES),
    ("max_new_tokens", LIMIT_NAMES),
    ("max_output_tokens", LIMIT_NAMES),
    ("stop", STOPS),
    ("stop_sequences", STOPS),
    ("stopSequences", STOPS),
    ("temperature", DRAWN),
    ("top_p", OWN_VALUE),
    ("topP", OWN_VALUE),
    ("top_k", OWN_VALUE),
    ("topK", OWN_VALUE),
    ("min_p", OWN_VALUE),
    ("seed", SEED),
    ("random_seed", SEED),
    ("sampling_seed", SEED),
    ("repetition_penalty", OWN_VALUE),
    ("repeat_penalty", OWN_VALUE),
    ("store", Remedy::Harmless("it decides no answer")),
    ("stream", Remedy::Harmless("it decides no answer")),
];

/// Words of refusals that mean a name, not a value that is out of bounds.
const PHRASES: &[&str] = &[
    "unsupported",
    "not supported",
    "does not support",
    "doesn't support",
    "do not support",
    "unrecognized",
    "unrecognised",
    "unknown",
    "not permitted",
    "extra_forbidden",
    "deprecated",
    "unexpected",
    "cannot find field",
    "not accepted",
    "not allowed",
];

/// Texts of a refusal that are read, and how deep.
const TEXTS: usize = 64;
const DEPTH: usize = 6;

/// Most settings that one call may lose.
pub const MOST: usize = 8;

/// One thing that was learnt.
#[derive(Debug, Clone, PartialEq)]
struct Change {
    name: &'static str,
    /// `None`: left out.
    instead: Option<&'static str>,
}

/// What was learnt about the settings of a server's calls.
#[derive(Debug, Default)]
pub struct Unwanted(RwLock<Vec<Change>>);

impl Unwanted {
    fn changes(&self) -> Vec<Change> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes a body by what was learnt. `own`: the user's settings, which stay.
    pub fn apply(&self, body: &mut Map<String, Value>, own: &Map<String, Value>) {
        for change in self.changes().iter().filter(|change| !own.contains_key(change.name)) {
            let Some(holder) = holder(body, change.name) else { continue };
            let value = holder.remove(change.name);
            if let (Some(instead), Some(value)) = (change.instead, value) {
                holder.insert(instead.to_string(), value);
            }
        }
    }

    /// The setting of a call that a refusal names, if something can be done about it.
    pub fn named(call: &Call, refusal: &Value, own: &Map<String, Value>) -> Option<&'static str> {
        find(call, refusal, own).map(|change| change.name)
    }

    /// Learns from the refusal of a call. Says whether the call would be another one now.
    pub fn learn(&self, call: &Call, refusal: &Value, own: &Map<String, Value>) -> bool {
        let Some(change) = find(call, refusal, own) else { return false };
        let mut changes = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if changes.contains(&change) {
            return true;
        }
        // What was renamed once is not renamed back.
        if changes.iter().any(|known| known.name == change.name || known.instead == Some(change.name)) {
            return false;
        }
        changes.push(change);
        true
    }

    /// Settings that are left out although they decide answers, for the identity.
    pub fn telling(&self) -> Vec<&'static str> {
        let is_telling = |change: &Change| matches!(remedy(change.name), Some(Remedy::Telling(_)));
        let mut names: Vec<_> = self.changes().iter().filter(|c| is_telling(c)).map(|change| change.name).collect();
        names.sort_unstable();
        names
    }

    /// What the user should know.
    pub fn remarks(&self, model: &str) -> Vec<Remark> {
        let remark = |change: &Change| match (change.instead, remedy(change.name)?) {
            (Some(instead), _) => {
                Some(Remark::note(model, format!("the server wants `{instead}` for `{}`: it gets that", change.name)))
            }
            (None, Remedy::Telling(why)) => Some(Remark::warning(
                model,
                format!(
                    "the server does not take `{}`: it is left out, and {why}; numbers may differ for it",
                    change.name
                ),
            )),
            (None, Remedy::Harmless(why)) => Some(Remark::note(
                model,
                format!("the server does not take `{}`: it is left out, which changes no number ({why})", change.name),
            )),
            (None, Remedy::Rename(_)) => None,
        };
        self.changes().iter().filter_map(remark).collect()
    }
}

fn remedy(name: &str) -> Option<Remedy> {
    SETTINGS.iter().find(|(known, _)| *known == name).map(|(_, remedy)| *remedy)
}

/// The object in a body that holds a setting: the body itself, or one right below (`generationConfig`, `parameters`).
fn holder<'a>(body: &'a mut Map<String, Value>, name: &str) -> Option<&'a mut Map<String, Value>> {
    if body.contains_key(name) {
        return Some(body);
    }
    body.values_mut().filter_map(Value::as_object_mut).find(|inner| inner.contains_key(name))
}

fn find(call: &Call, refusal: &Value, own: &Map<String, Value>) -> Option<Change> {
    let mut body = call.body.as_ref()?.as_object()?.clone();
    let mut texts = Vec::new();
    read(refusal, &mut texts, DEPTH);
    let said = texts.join("\n").to_lowercase();
    if !PHRASES.iter().any(|phrase| said.contains(phrase)) {
        return None;
    }
    let parameter = parameter(refusal);
    let is_parameter = |name: &str| parameter.as_deref().is_some_and(|said| said.eq_ignore_ascii_case(name));
    let sent = SETTINGS.iter().filter(|(name, _)| !own.contains_key(*name) && holder(&mut body, name).is_some());
    let place =
        |name: &str| if is_parameter(name) { Some(0) } else { word(&said, &name.to_lowercase()).map(|at| at + 1) };
    let (_, name, remedy) =
        sent.filter_map(|(name, remedy)| Some((place(name)?, *name, *remedy))).min_by_key(|(at, ..)| *at)?;
    let instead = match remedy {
        Remedy::Rename(names) => {
            let mut others = names.iter().copied().filter(|other| *other != name);
            Some(others.clone().find(|other| word(&said, other).is_some()).or_else(|| others.next())?)
        }
        _ => None,
    };
    Some(Change { name, instead })
}

/// `error.param`, its last part.
fn parameter(refusal: &Value) -> Option<String> {
    let refusal = refusal.as_array().and_then(|list| list.first()).unwrap_or(refusal);
    let said = refusal.pointer("/error/param").or_else(|| refusal.get("param"))?.as_str()?;
    said.rsplit(['.', '/']).next().map(str::to_string)
}

/// All texts of a refusal, but for what it repeats of the request.
fn read(value: &Value, texts: &mut Vec<String>, depth: usize) {
    match value {
        Value::String(text) if texts.len() < TEXTS => texts.push(text.clone()),
        Value::Array(list) if depth > 0 => list.iter().take(TEXTS).for_each(|value| read(value, texts, depth - 1)),
        Value::Object(map) if depth > 0 => {
            map.iter().filter(|(key, _)| *key != "input").for_each(|(_, value)| read(value, texts, depth - 1));
        }
        _ => {}
    }
}

/// Where a word stands in a text by itself.
fn word(text: &str, word: &str) -> Option<usize> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices(word).map(|(at, _)| at).find(|at| {
        let before = text[..*at].chars().next_back();
        let behind = text[*at + word.len()..].chars().next();
        !before.is_some_and(is_part) && !behind.is_some_and(is_part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn call(body: Value) -> Call {
        Call { path: "x".into(), body: Some(body) }
    }

    /// What is left of a body after a refusal.
    fn after(body: Value, refusal: Value) -> Option<Value> {
        let unwanted = Unwanted::default();
        let call = call(body.clone());
        unwanted.learn(&call, &refusal, &Map::new()).then(|| {
            let Value::Object(mut body) = body else { panic!() };
            unwanted.apply(&mut body, &Map::new());
            Value::Object(body)
        })
    }

    #[test]
    fn refusals_that_name_a_setting_are_instructions() {
        let sent = || json!({"max_tokens": 8, "temperature": 0.0, "stop": ["a"], "seed": 1, "min_p": 0.0});
        let error = |message: &str, param: Value| json!({"error": {"message": message, "param": param, "code": "unsupported_parameter"}});
        let without = |name: &str| {
            let mut body = sent();
            body.as_object_mut().unwrap().remove(name);
            Some(body)
        };
        let renamed =
            Some(json!({"max_completion_tokens": 8, "temperature": 0.0, "stop": ["a"], "seed": 1, "min_p": 0.0}));
        for (refusal, expected) in [
            (
                error(
                    "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
                    json!("max_tokens"),
                ),
                renamed.clone(),
            ),
            (
                error(
                    "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
                    Value::Null,
                ),
                renamed,
            ),
            (
                error(
                    "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) value is supported.",
                    json!("temperature"),
                ),
                without("temperature"),
            ),
            (json!({"error": {"message": "Argument not supported on this model: stop"}}), without("stop")),
            (json!({"error": {"message": "property 'seed' is unsupported"}}), without("seed")),
            (
                json!({"detail": [{"type": "extra_forbidden", "loc": ["body", "min_p"], "msg": "Extra inputs are not permitted", "input": {"stop": 1}}]}),
                without("min_p"),
            ),
            (json!({"message": "Unrecognized request argument supplied: min_p"}), without("min_p")),
            (
                json!({"error": {"message": "max_tokens is too large: 9000. This model supports at most 4096", "param": "max_tokens", "code": "invalid_value"}}),
                None,
            ),
            (error("Unsupported parameter: 'logprobs'", json!("logprobs")), None),
            (json!({"error": {"message": "the messages are not allowed here"}}), None),
        ] {
            assert_eq!(after(sent(), refusal.clone()), expected, "{refusal}");
        }
        let nested = json!({"generationConfig": {"topK": 3, "temperature": 1}});
        let said = json!([{"error": {"message": "Invalid JSON payload received. Unknown name \"topK\" at 'generation_config': Cannot find field."}}]);
        assert_eq!(after(nested, said), Some(json!({"generationConfig": {"temperature": 1}})));
    }

    #[test]
    fn what_the_user_sets_stays_and_nothing_turns_in_circles() {
        let unwanted = Unwanted::default();
        let refusal =
            |name: &str| json!({"error": {"message": format!("Unsupported parameter: '{name}'"), "param": name}});
        let Value::Object(own) = json!({"temperature": 0.5}) else { panic!() };
        assert!(!unwanted.learn(&call(json!({"temperature": 0.5})), &refusal("temperature"), &own));
        let before = call(json!({"max_tokens": 1}));
        assert!(unwanted.learn(&before, &refusal("max_tokens"), &own));
        assert!(unwanted.learn(&before, &refusal("max_tokens"), &own), "another call was refused at the same time");
        assert!(!unwanted.learn(&call(json!({"max_completion_tokens": 1})), &refusal("max_completion_tokens"), &own));
        assert!(unwanted.telling().is_empty());
        assert!(unwanted.learn(&call(json!({"temperature": 0})), &refusal("temperature"), &Map::new()));
        assert_eq!(unwanted.telling(), ["temperature"]);
        let lines: Vec<String> = unwanted.remarks("m").iter().map(|remark| remark.text.clone()).collect();
        assert!(lines[0].contains("`max_completion_tokens`") && lines[1].contains("numbers may differ"), "{lines:?}");
    }
}
