//! The functions behind the calls that [`super::operands`] puts into templates: what Python's operators do, and what values cost that
//! hold other values.

use super::operands::{EACH, HELD, MODULO, PAID};
use super::value::to_str_within;
use minijinja::value::{Kwargs, Rest, Tuple, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, UndefinedBehavior};

/// How deep values may hold each other. Documents cannot be so deep.
const MAX_DEPTH: usize = 150;

/// Values that one value may hold, those inside of them included.
const MAX_HELD: usize = 1_000_000;

/// Bytes of text that one value may hold.
const MAX_BYTES: usize = 256 << 20;

/// Bytes that a unit of the template's fuel pays for, as minijinja counts.
pub const BYTES_PER_FUEL: u64 = 64;

/// Values that are looked at for a unit of fuel.
const LOOKS_PER_FUEL: usize = 32;

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

/// Python's `str(value)`, as long as the template can pay for it.
pub fn text_of(state: &State<'_, '_>, value: &Value) -> Result<String, Error> {
    to_str_within(value, affordable(state)).ok_or_else(|| Error::from(ErrorKind::OutOfFuel))
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
    if value.is_none() { Err(invalid("`none` cannot be gone through")) } else { Ok(value) }
}

/// `a % b`: formats texts, else the remainder with the sign of the divisor.
fn modulo(state: &mut State<'_, '_>, a: &Value, b: &Value) -> Result<Value, Error> {
    let lenient = state.undefined_behavior() == UndefinedBehavior::Lenient;
    // Even where undefined names are nothing, Jinja2 does not count with them.
    if a.is_undefined() || (b.is_undefined() && !(lenient && a.as_str().is_some())) {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    if let Some(format) = a.as_str() {
        return formatted(state, a, format, b);
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
fn formatted(state: &mut State<'_, '_>, text: &Value, format: &str, values: &Value) -> Result<Value, Error> {
    let mut args = vec![text.clone()];
    let is_named = values.kind() == ValueKind::Map;
    if values.is_tuple() {
        args.extend(values.try_iter()?);
    } else if is_named && format.contains("%(") {
        let pair = |key: Value| Some((key.as_str()?.to_string(), values.get_item(&key).ok()?));
        args.push(Kwargs::from_iter(values.try_iter()?.filter_map(pair)).into());
    } else {
        args.push(values.clone());
    }
    let taken = args.len() - 1;
    let wanted = placeholders(format);
    if (!is_named && taken > wanted) || (taken < wanted && !format.contains("%(")) {
        return Err(invalid(format!("`%`: the text has {wanted} places for {taken} values")));
    }
    if wanted == 0 {
        // A dict that nothing asks for is left alone.
        args.truncate(1);
    }
    state.apply_filter("format", &args)
}

/// Values that a format asks for.
fn placeholders(format: &str) -> usize {
    let mut count = 0;
    let mut rest = format;
    while let Some((_, after)) = rest.split_once('%') {
        let conversion = after.trim_start_matches(|c: char| "#0- +.123456789*".contains(c));
        let flags = after.get(..after.len() - conversion.len()).unwrap_or_default();
        count += flags.matches('*').count() + usize::from(!conversion.starts_with('%'));
        rest = if conversion.starts_with('%') { conversion.get(1..).unwrap_or_default() } else { conversion };
    }
    count
}
