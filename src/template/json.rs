//! Values as JSON text, as far as a template can pay for it.

use super::operators::{BYTES_PER_FUEL, PRINTED, affordable};
use super::value::{excerpt, to_json};
use crate::python::json::{Style, dumps_with};
use minijinja::value::Value;
use minijinja::{Error, ErrorKind, State};
use serde_json::Value as Json;

/// What a level of JSON is moved in by.
#[derive(Debug, Clone, Copy)]
pub struct Indent(usize);

/// How JSON is written: the arguments of `json.dumps`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Form<'a> {
    pub indent: Option<Indent>,
    pub ascii: bool,
    pub sort_keys: bool,
    pub separators: Option<(&'a str, &'a str)>,
}

impl Indent {
    /// Reads `indent=4` or, of blanks only, `indent="  "`; less than nothing is none.
    pub fn of(value: &Value) -> Result<Indent, Error> {
        let problem = || Error::new(ErrorKind::InvalidOperation, "tojson: `indent` is a number or blanks");
        match value.as_str() {
            Some(text) if text.chars().all(|c| c == ' ') => Ok(Indent(text.len())),
            Some(_) => Err(problem()),
            None => {
                let spaces = i64::try_from(value.clone()).map_err(|_| problem())?;
                Ok(Indent(usize::try_from(spaces.max(0)).map_err(|_| problem())?))
            }
        }
    }
}

/// A value as JSON text.
///
/// Errors: it holds what JSON does not know, or the text is longer than the template's fuel pays for.
pub fn written(state: &State<'_, '_>, value: &Value, form: &Form<'_>) -> Result<String, Error> {
    let most = affordable(state);
    // A value takes a byte at least, and many more while it is looked at.
    let json = to_json(value, most / PRINTED / 8 + 1).ok_or_else(|| unwritable(value))?;
    let Form { indent, ascii, sort_keys, separators } = *form;
    let blanks = indent.map_or(0, |Indent(spaces)| blanks(&json, spaces, 0));
    if blanks > most {
        state.consume_fuel(u64::MAX / BYTES_PER_FUEL)?;
    }
    state.consume_fuel(blanks as u64 / BYTES_PER_FUEL)?;
    Ok(dumps_with(&json, Style { indent: indent.map(|Indent(spaces)| spaces), ascii, sort_keys, separators }))
}

fn unwritable(value: &Value) -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("`{}` cannot be written as JSON", excerpt(value)))
}

/// Blanks at the beginnings of lines.
fn blanks(json: &Json, spaces: usize, depth: usize) -> usize {
    let inside = |items: &mut dyn Iterator<Item = &Json>| {
        let begin = spaces.saturating_mul(depth + 1);
        let items =
            items.fold(0usize, |sum, item| sum.saturating_add(begin).saturating_add(blanks(item, spaces, depth + 1)));
        items.saturating_add(spaces.saturating_mul(depth))
    };
    match json {
        Json::Array(items) => inside(&mut items.iter()),
        Json::Object(map) => inside(&mut map.values()),
        _ => 0,
    }
}
