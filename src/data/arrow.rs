//! Arrow's arrays to plain JSON values, as Python would show them.

use super::budget::{Budget, CELL};
use super::clock;
use crate::error::{Error, Result};
use polars_arrow::array::{
    Array, BooleanArray, FixedSizeBinaryArray, ListArray, PrimitiveArray, StructArray, Utf8ViewArray,
};
use polars_arrow::datatypes::{ArrowDataType, TimeUnit};
use polars_arrow::types::NativeType;
use serde_json::{Map, Number, Value};

/// Where values go, besides into rows.
pub(super) struct Sink<'a> {
    pub budget: &'a Budget,
    /// Is told of rows with numbers that JSON cannot hold.
    pub odd: &'a mut dyn FnMut(usize),
}

/// The values of a column; `path` names it in errors (`answer.aliases[]`).
///
/// Errors: a type that the plan does not ask for; values beyond the budget.
pub(super) fn values(array: &dyn Array, path: &str, sink: &mut Sink<'_>) -> Result<Vec<Value>> {
    use ArrowDataType as T;
    Ok(match array.dtype() {
        T::Null => vec![Value::Null; array.len()],
        T::Boolean => of::<BooleanArray>(array, path)?.iter().map(Value::from).collect(),
        T::Int8 => numbers::<i8>(array, path, Number::from)?,
        T::Int16 => numbers::<i16>(array, path, Number::from)?,
        T::Int32 => numbers::<i32>(array, path, Number::from)?,
        T::Int64 => numbers::<i64>(array, path, Number::from)?,
        T::UInt8 => numbers::<u8>(array, path, Number::from)?,
        T::UInt16 => numbers::<u16>(array, path, Number::from)?,
        T::UInt32 => numbers::<u32>(array, path, Number::from)?,
        T::UInt64 => numbers::<u64>(array, path, Number::from)?,
        T::Float32 => floats(primitive::<f32>(array, path)?.iter().map(|v| v.copied().map(f64::from)), sink),
        T::Float64 => floats(primitive::<f64>(array, path)?.iter().map(|v| v.copied()), sink),
        // Half floats, as the plan asks for them.
        T::FixedSizeBinary(2) => {
            let half = |bytes: &[u8]| Some(f64::from(half::f16::from_le_bytes(bytes.try_into().ok()?)));
            floats(of::<FixedSizeBinaryArray>(array, path)?.iter().map(|bytes| bytes.and_then(half)), sink)
        }
        T::Utf8View => texts(of::<Utf8ViewArray>(array, path)?, path, sink)?,
        T::Date32 => shown::<i32>(array, path, |days| clock::date(days.into()))?,
        T::Date64 => shown::<i64>(array, path, |millis| clock::date(millis.div_euclid(86_400_000)))?,
        T::Timestamp(unit, zone) => {
            let zone = zone.as_ref().map(|zone| zone.as_str());
            let offset =
                clock::offset(zone).map_err(|zone| unreadable(path, &format!("datetime in the time zone {zone}")))?;
            let unit = per_second(*unit);
            shown::<i64>(array, path, |ticks| clock::datetime(ticks, unit, offset))?
        }
        T::Time32(unit) => shown::<i32>(array, path, |ticks| clock::time(ticks.into(), per_second(*unit)))?,
        T::Time64(unit) => shown::<i64>(array, path, |ticks| clock::time(ticks, per_second(*unit)))?,
        T::Duration(unit) => shown::<i64>(array, path, |ticks| clock::timedelta(ticks, per_second(*unit)))?,
        T::Decimal(_, scale) => shown::<i128>(array, path, |digits| clock::decimal(digits, *scale))?,
        T::LargeList(_) => lists(of::<ListArray<i64>>(array, path)?, path, sink)?,
        T::Struct(fields) => structs(of::<StructArray>(array, path)?, fields, path, sink)?,
        other => return Err(unreadable(path, &format!("{other:?}"))),
    })
}

fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Nanosecond => 1_000_000_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Millisecond => 1000,
        TimeUnit::Second => 1,
    }
}

fn unreadable(path: &str, kind: &str) -> Error {
    Error::input(format!("column `{path}` has the type {kind}, which cannot be read"))
        .hint("convert the column to text or numbers, or drop it")
}

fn of<'a, A: Array>(array: &'a dyn Array, path: &str) -> Result<&'a A> {
    array.as_any().downcast_ref().ok_or_else(|| Error::input(format!("column `{path}` is damaged")))
}

fn primitive<'a, T: NativeType>(array: &'a dyn Array, path: &str) -> Result<&'a PrimitiveArray<T>> {
    of(array, path)
}

fn numbers<T: NativeType>(array: &dyn Array, path: &str, number: impl Fn(T) -> Number) -> Result<Vec<Value>> {
    let array = primitive::<T>(array, path)?;
    Ok(array.iter().map(|v| v.map_or(Value::Null, |v| Value::Number(number(*v)))).collect())
}

fn shown<T: NativeType>(array: &dyn Array, path: &str, show: impl Fn(T) -> String) -> Result<Vec<Value>> {
    let array = primitive::<T>(array, path)?;
    Ok(array.iter().map(|v| v.map_or(Value::Null, |v| Value::String(show(*v)))).collect())
}

/// JSON has no NaN and no infinity: they become null, and are told of.
fn floats(values: impl Iterator<Item = Option<f64>>, sink: &mut Sink<'_>) -> Vec<Value> {
    let value = |(row, value): (usize, Option<f64>)| {
        if value.is_some_and(|value| !value.is_finite()) {
            (sink.odd)(row);
        }
        Value::from(value)
    };
    values.enumerate().map(value).collect()
}

fn texts(array: &Utf8ViewArray, path: &str, sink: &mut Sink<'_>) -> Result<Vec<Value>> {
    let mut values = Vec::with_capacity(array.len());
    // A dictionary can make many long texts of a small file.
    for text in array.iter() {
        sink.budget.take(text.map_or(0, str::len) as u64, &format!("column `{path}`"))?;
        values.push(Value::from(text));
    }
    Ok(values)
}

fn lists(array: &ListArray<i64>, path: &str, sink: &mut Sink<'_>) -> Result<Vec<Value>> {
    let offsets = array.offsets().as_slice();
    let inner = array.values();
    sink.budget.take((inner.len() as u64).saturating_mul(CELL), &format!("column `{path}`"))?;
    // The offsets point into the whole inner array, which is converted once. The row of an odd number is that of its list.
    let outer = &mut sink.odd;
    let mut odd = |at: usize| outer(offsets.partition_point(|offset| *offset as usize <= at).saturating_sub(1));
    let mut inner = values(inner.as_ref(), &format!("{path}[]"), &mut Sink { budget: sink.budget, odd: &mut odd })?;
    let is_null = |row: usize| array.validity().is_some_and(|bits| !bits.get_bit(row));
    let mut rows = Vec::with_capacity(array.len());
    for (row, bounds) in offsets.windows(2).enumerate() {
        if is_null(row) {
            rows.push(Value::Null);
            continue;
        }
        let slots = inner.get_mut(bounds[0] as usize..bounds[1] as usize);
        let slots = slots.ok_or_else(|| Error::input(format!("column `{path}` is damaged")))?;
        rows.push(Value::Array(slots.iter_mut().map(Value::take).collect()));
    }
    Ok(rows)
}

fn structs(
    array: &StructArray,
    fields: &[polars_arrow::datatypes::Field],
    path: &str,
    sink: &mut Sink<'_>,
) -> Result<Vec<Value>> {
    sink.budget.take_table(array.len(), fields.iter().map(|field| field.name.len() as u64))?;
    let mut rows = vec![Map::new(); array.len()];
    for (field, column) in fields.iter().zip(array.values()) {
        let name = field.name.to_string();
        for (row, value) in rows.iter_mut().zip(values(column.as_ref(), &format!("{path}.{name}"), sink)?) {
            row.insert(name.clone(), value);
        }
    }
    let is_null = |row: usize| array.validity().is_some_and(|bits| !bits.get_bit(row));
    let rows = rows.into_iter().enumerate();
    Ok(rows.map(|(at, row)| if is_null(at) { Value::Null } else { Value::Object(row) }).collect())
}
