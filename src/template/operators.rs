//! The functions behind the calls that [`super::operands`] puts into templates: what Python's operators do, and what values cost that
//! hold other values.

use super::operands::{EACH, HELD, MODULO, PAID};
use super::value::to_str_within;
use minijinja::value::{Rest, Tuple, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, UndefinedBehavior};

/// How deep values may hold each other. Documents cannot be so deep.
const MAX_DEPTH: usize = 150;

/// Values that one value may hold, those inside of them included.
const MAX_HELD: usize = 250_000;

/// Bytes of text that one value may hold.
const MAX_BYTES: usize = 256 << 20;

/// Bytes that a unit of the template's fuel pays for, as minijinja counts.
pub const BYTES_PER_FUEL: u64 = 64;

/// How many times dearer a byte is that is printed of a list or dict.
pub const PRINTED: usize = 32;

/// Values that are looked at for a unit of fuel.
const LOOKS_PER_FUEL: usize = 8;

/// Puts the functions into an environment.
pub fn add_to(env: &mut Environment<'static>) {
    env.add_function(MODULO, modulo);
    env.add_function(PAID, paid);
    env.add_function(HELD, held);
    env.add_function(EACH, each);
}

/// Whether a name is one of ours, which no template means.
pub fn is_own(name: &str) -> bool {
    [MODULO, PAID, HELD, EACH].contains(&name)
}

fn invalid(problem: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, problem.into())
}

/// Bytes that the template may still write.
pub fn affordable(state: &State<'_, '_>) -> usize {
    let remaining = state.fuel_levels().map_or(u64::MAX, |(_, remaining)| remaining);
    usize::try_from(remaining.saturating_mul(BYTES_PER_FUEL)).unwrap_or(usize::MAX)
}

/// Python's `str(value)`, as long as the template can pay for it. What values hold is dearer than a text that is there already.
pub fn text_of(state: &State<'_, '_>, value: &Value) -> Result<String, Error> {
    let most = affordable(state);
    let most = if value.as_str().is_some() { most } else { most / PRINTED };
    to_str_within(value, most).ok_or_else(|| Error::from(ErrorKind::OutOfFuel))
}

/// The right operand of a sum: a list pays for what the sum is longer.
fn paid(state: &State<'_, '_>, value: &Value) -> Result<Value, Error> {
    if matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable) {
        state.consume_fuel(1 + value.len().unwrap_or(0) as u64 / 2)?;
    }
    Ok(value.clone())
}

/// Several values are a tuple, as where a bracket is left out.
fn one(values: Rest<Value>) -> Value {
    match values.0.as_slice() {
        [value] => value.clone(),
        _ => Value::from(Tuple::from(values.0)),
    }
}

/// A value that holds others, if they are not too many, too long or too deep.
pub fn held(state: &State<'_, '_>, values: Rest<Value>) -> Result<Value, Error> {
    let value = one(values);
    check_held(state, &value)?;
    Ok(value)
}

/// Looks at all that a value holds.
pub fn check_held(state: &State<'_, '_>, value: &Value) -> Result<(), Error> {
    let mut count = Count { values: 0, bytes: 0 };
    count.add(value, 0)?;
    state.consume_fuel((count.values / LOOKS_PER_FUEL) as u64)
}

struct Count {
    values: usize,
    bytes: usize,
}

impl Count {
    fn add(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        self.values += 1;
        self.bytes = self.bytes.saturating_add(value.as_str().map_or(0, str::len));
        if depth > MAX_DEPTH {
            return Err(invalid(format!("values hold each other more than {MAX_DEPTH} deep")));
        }
        if self.values > MAX_HELD || self.bytes > MAX_BYTES {
            return Err(invalid(format!(
                "a value holds more than {MAX_HELD} values or {} MiB of text",
                MAX_BYTES >> 20
            )));
        }
        match value.kind() {
            ValueKind::Seq | ValueKind::Iterable => value.try_iter()?.try_for_each(|item| self.add(&item, depth + 1)),
            ValueKind::Map => value.try_iter()?.try_for_each(|key| {
                self.add(&key, depth + 1)?;
                self.add(&value.get_item(&key).unwrap_or_default(), depth + 1)
            }),
            _ => Ok(()),
        }
    }
}

/// What a loop goes through: Python refuses `None`.
fn each(values: Rest<Value>) -> Result<Value, Error> {
    let value = one(values);
    some(&value)?;
    Ok(value)
}

/// Refuses `None` where values are gone through, as Python does.
pub fn some(value: &Value) -> Result<(), Error> {
    if value.is_none() { Err(invalid("`none` cannot be gone through")) } else { Ok(()) }
}

/// `a % b`: formats texts, else the remainder with the sign of the divisor.
fn modulo(state: &mut State<'_, '_>, a: &Value, b: &Value) -> Result<Value, Error> {
    let lenient = state.undefined_behavior() == UndefinedBehavior::Lenient;
    // Even where undefined names are nothing, Jinja2 does not count with them.
    if a.is_undefined() || (b.is_undefined() && !(lenient && a.as_str().is_some())) {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    if let Some(format) = a.as_str() {
        return formatted(state, format, b);
    }
    if let (Some(a), Some(b)) = (integer(a), integer(b)) {
        if b == 0 {
            return Err(invalid("modulo by zero"));
        }
        let rest = a.checked_rem(b).unwrap_or(0);
        return Ok(Value::from(if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest }));
    }
    match (number(a), number(b)) {
        (Some(_), Some(0.0)) => Err(invalid("modulo by zero")),
        (Some(a), Some(b)) => {
            let rest = a % b;
            Ok(Value::from(if rest != 0.0 && (rest < 0.0) != (b < 0.0) { rest + b } else { rest }))
        }
        _ => Err(invalid(format!("`%` between {} and {}", a.kind(), b.kind()))),
    }
}

fn integer(value: &Value) -> Option<i128> {
    let is_whole = value.kind() == ValueKind::Bool || value.is_integer();
    is_whole.then(|| i128::try_from(value.clone()).ok()).flatten()
}

fn number(value: &Value) -> Option<f64> {
    match integer(value) {
        Some(whole) => Some(whole as f64),
        None if value.kind() == ValueKind::Number => f64::try_from(value.clone()).ok(),
        None => None,
    }
}

/// `"%s" % value`: a tuple has the values, a dict those of names.
fn formatted(state: &mut State<'_, '_>, format: &str, values: &Value) -> Result<Value, Error> {
    let listed: Vec<Value> = if values.is_tuple() { values.try_iter()?.collect() } else { vec![values.clone()] };
    let (mut out, mut rest, mut taken, mut by_name) = (String::new(), format, 0, false);
    let mut next = || {
        taken += 1;
        listed.get(taken - 1).cloned().ok_or_else(|| invalid("`%`: the text has more places than there are values"))
    };
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        let (name, after) = match after.strip_prefix('(').and_then(|after| after.split_once(')')) {
            Some((name, after)) => (Some(name), after),
            None => (None, after),
        };
        let conversion = after.trim_start_matches(|c: char| "#0- +.123456789*".contains(c));
        let mut spec = after.get(..after.len() - conversion.len()).unwrap_or_default().to_string();
        while spec.contains('*') {
            spec = spec.replacen('*', &text_of(state, &next()?)?, 1);
        }
        let value = match name {
            Some(name) => {
                by_name = true;
                values.get_item(&Value::from(name)).ok().filter(|value| !value.is_undefined())
            }
            None => Some(next()?),
        };
        let value = value.ok_or_else(|| invalid("`%`: the dict has no such key"))?;
        let kind = conversion.chars().next().ok_or_else(|| invalid("`%`: the text ends in a place"))?;
        out.push_str(&place(state, &spec, kind, &value)?);
        rest = conversion.get(kind.len_utf8()..).unwrap_or_default();
    }
    out.push_str(rest);
    let is_left_alone = values.kind() == ValueKind::Map || by_name;
    if taken < listed.len() && !is_left_alone {
        return Err(invalid("`%`: the text has fewer places than there are values"));
    }
    Ok(Value::from(out))
}

/// One place of a text, with Python's conversions: `%d` takes the whole part of a number, `%r` writes values as literals.
fn place(state: &mut State<'_, '_>, spec: &str, kind: char, value: &Value) -> Result<String, Error> {
    let (kind, value) = match kind {
        'd' | 'i' | 'u' => match (integer(value), number(value)) {
            (None, Some(float)) if float.is_finite() => ('d', Value::from(float.trunc() as i128)),
            _ => ('d', value.clone()),
        },
        's' => ('s', Value::from(text_of(state, value)?)),
        'r' => {
            // What a list writes for its one item.
            let listed = text_of(state, &Value::from(vec![value.clone()]))?;
            ('s', Value::from(listed.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(&listed)))
        }
        kind => (kind, value.clone()),
    };
    let made = state.apply_filter("format", &[Value::from(format!("%{spec}{kind}")), value])?;
    let made = text_of(state, &made)?;
    // It is copied some times on its way.
    state.consume_fuel(made.len() as u64 / 8)?;
    Ok(made)
}
