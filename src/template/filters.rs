//! Filters that behave as Jinja2's where minijinja's do not.

use super::json::{self, Indent};
use super::operators::{some, text_of};
use super::sub::regex_replace;
use super::value::to_str;
use crate::python::text;
use minijinja::value::{Kwargs, Rest, Value, ValueOrKwargs, from_args};
use minijinja::{Environment, Error, ErrorKind, State};

/// The filters that tasks use, for "did you mean".
pub const COMMON: &[&str] = &[
    "abs",
    "batch",
    "bool",
    "capitalize",
    "center",
    "count",
    "d",
    "default",
    "dictsort",
    "e",
    "escape",
    "first",
    "float",
    "format",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "pprint",
    "regex_replace",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "safe",
    "select",
    "selectattr",
    "slice",
    "sort",
    "split",
    "string",
    "sum",
    "title",
    "tojson",
    "trim",
    "truncate",
    "unique",
    "upper",
    "wordcount",
];

/// The tests that tasks use, for "did you mean".
pub const COMMON_TESTS: &[&str] = &[
    "boolean",
    "callable",
    "defined",
    "divisibleby",
    "eq",
    "even",
    "false",
    "filter",
    "float",
    "ge",
    "gt",
    "in",
    "integer",
    "iterable",
    "le",
    "lower",
    "lt",
    "mapping",
    "ne",
    "none",
    "number",
    "odd",
    "sameas",
    "sequence",
    "string",
    "test",
    "true",
    "undefined",
    "upper",
];

/// Puts the filters into an environment.
pub fn add_to(env: &mut Environment<'static>) {
    env.add_filter("string", string);
    env.add_filter("join", join);
    env.add_filter("int", int);
    env.add_filter("float", float);
    env.add_filter("trim", trim);
    env.add_filter("capitalize", capitalize);
    env.add_filter("upper", |state: &State<'_, '_>, value: &Value| {
        string(state, value).map(|text| text.to_uppercase())
    });
    env.add_filter("lower", |state: &State<'_, '_>, value: &Value| {
        string(state, value).map(|text| text.to_lowercase())
    });
    env.add_filter("replace", replace);
    env.add_filter("tojson", html_json);
    env.add_filter("regex_replace", regex_replace);
}

pub fn refuse_undefined(state: &State<'_, '_>, value: &Value) -> Result<(), Error> {
    let strict = state.undefined_behavior() == minijinja::UndefinedBehavior::Strict;
    if strict && value.is_undefined() { Err(Error::from(ErrorKind::UndefinedError)) } else { Ok(()) }
}

/// `str(value)`; in a task's template an undefined name is an error.
pub fn string(state: &State<'_, '_>, value: &Value) -> Result<String, Error> {
    refuse_undefined(state, value)?;
    text_of(state, value)
}

/// `join(value, d="", attribute=None)`.
fn join(
    state: &State<'_, '_>,
    value: &Value,
    d: Option<&Value>,
    attribute: Option<&str>,
    kwargs: Kwargs,
) -> Result<String, Error> {
    refuse_undefined(state, value)?;
    let by_name: Option<Value> = kwargs.get("d")?;
    let separator = d.or(by_name.as_ref()).map(to_str).unwrap_or_default();
    let attribute = match attribute {
        Some(attribute) => Some(attribute),
        None => kwargs.get::<Option<&str>>("attribute")?,
    };
    kwargs.assert_all_used()?;
    some(value)?;
    let mut out = String::new();
    for (i, item) in value.try_iter()?.enumerate() {
        // Joining is quadratic in nothing, but a long separator repeats: pay for it as for any text.
        state.consume_fuel(1 + separator.len() as u64 / 64)?;
        let item = match attribute {
            Some(path) => path.split('.').try_fold(item, |inner, name| inner.get_attr(name))?,
            None => item,
        };
        refuse_undefined(state, &item)?;
        if i > 0 {
            out.push_str(&separator);
        }
        out.push_str(&text_of(state, &item)?);
    }
    Ok(out)
}

/// `int(value, default=0, base=10)`: the default for what is no number, never an error.
fn int(
    state: &State<'_, '_>,
    value: &Value,
    default: Option<Value>,
    base: Option<u32>,
    kwargs: Kwargs,
) -> Result<Value, Error> {
    let default = match default {
        Some(default) => default,
        None => kwargs.get::<Option<Value>>("default")?.unwrap_or_else(|| Value::from(0)),
    };
    counted(value)?;
    let stripped = value.as_str().map(text::strip);
    let endless = match stripped {
        Some(s) => s.parse::<f64>().is_ok_and(|float| !float.is_finite()),
        None => f64::try_from(value.clone()).is_ok_and(|float| !float.is_finite()),
    };
    if endless {
        return Ok(default);
    }
    // Python reads underscores between digits.
    let value =
        stripped.map_or_else(|| value.clone(), |s| if grouped(s) { s.replace('_', "").into() } else { s.into() });
    minijinja::filters::int(state, &value, Some(default), base, kwargs)
}

/// Whether every underscore stands between two digits.
fn grouped(s: &str) -> bool {
    s.contains('_')
        && s.trim_start_matches(['+', '-']).split('_').all(|part| part.starts_with(|c: char| c.is_ascii_alphanumeric()))
}

/// Undefined names are no numbers, not even where they are empty texts.
fn counted(value: &Value) -> Result<(), Error> {
    if value.is_undefined() { Err(Error::from(ErrorKind::UndefinedError)) } else { Ok(()) }
}

/// `float(value, default=0.0)`.
fn float(state: &State<'_, '_>, value: &Value, default: Option<Value>, kwargs: Kwargs) -> Result<Value, Error> {
    let default = match default {
        Some(default) => default,
        None => kwargs.get::<Option<Value>>("default")?.unwrap_or_else(|| Value::from(0.0)),
    };
    counted(value)?;
    let value = value.as_str().map(text::strip).map_or_else(|| value.clone(), Value::from);
    minijinja::filters::float(state, &value, Some(default), kwargs)
}

fn trim(state: &State<'_, '_>, value: &Value, chars: Option<&str>) -> Result<String, Error> {
    let text = string(state, value)?;
    Ok(match chars {
        Some(chars) => text.trim_matches(|c| chars.contains(c)),
        None => text::strip(&text),
    }
    .to_string())
}

fn capitalize(state: &State<'_, '_>, value: &Value) -> Result<String, Error> {
    Ok(text::capitalize(&string(state, value)?))
}

/// `replace(s, old, new, count=None)`.
fn replace(
    state: &State<'_, '_>,
    value: &Value,
    old: &Value,
    new: &Value,
    rest: Rest<ValueOrKwargs>,
) -> Result<String, Error> {
    let rest = rest.into_values();
    let (count, kwargs): (Option<i64>, Kwargs) = from_args(&rest)?;
    let count = match count {
        Some(count) => Some(count),
        None => kwargs.get::<Option<i64>>("count")?,
    };
    kwargs.assert_all_used()?;
    let (text, old, new) = (string(state, value)?, string(state, old)?, string(state, new)?);
    let most = count.and_then(|count| usize::try_from(count).ok()).unwrap_or(usize::MAX);
    // The result may be much longer than the text: pay for it before it is made.
    let matches = text.matches(&old).count().min(most);
    state.consume_fuel((matches as u64).saturating_mul(new.len() as u64) / 64)?;
    Ok(text.replacen(&old, &new, most))
}

/// Jinja2's own `tojson`: sorted keys, ASCII only, safe inside HTML.
fn html_json(state: &State<'_, '_>, value: &Value, indent: Option<&Value>) -> Result<String, Error> {
    refuse_undefined(state, value)?;
    let indent = indent.filter(|indent| !indent.is_none()).map(Indent::of).transpose()?;
    let text = json::written(state, value, &json::Form { indent, ascii: true, sort_keys: true, separators: None })?;
    Ok(text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026").replace('\'', "\\u0027"))
}
