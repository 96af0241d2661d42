//! A polars frame to rows: every column becomes plain JSON values, as Python would show them.

use crate::error::{Error, Result};
use polars::prelude::{ChunkedArray, DataFrame, DataType, PolarsError, PolarsNumericType, Series, TimeUnit, TimeZone};
use serde_json::{Number, Value};

/// Runs polars code on a file's bytes: its errors and its panics (it has some on damaged files) become errors.
pub(super) fn guarded<T>(what: &str, run: impl FnOnce() -> Result<T, PolarsError>) -> Result<T> {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(err)) => Err(Error::input(what.to_string()).cause(err)),
        Err(_) => Err(Error::input(format!("{what}: its contents make no sense to the reader"))),
    }
}

/// The columns of a frame with their values, in order.
pub(super) fn columns(frame: &DataFrame) -> Result<Vec<(String, Vec<Value>)>> {
    frame
        .columns()
        .iter()
        .map(|column| {
            let name = column.name().to_string();
            let values = values(column.as_materialized_series(), &name)?;
            Ok((name, values))
        })
        .collect()
}

/// The values of one column; `path` names it in errors (`answer.aliases[]`).
fn values(series: &Series, path: &str) -> Result<Vec<Value>> {
    let unreadable = |err: PolarsError| Error::input(format!("column `{path}` cannot be read")).cause(err);
    Ok(match series.dtype() {
        DataType::Null => vec![Value::Null; series.len()],
        DataType::Boolean => series.bool().map_err(unreadable)?.iter().map(Value::from).collect(),
        DataType::Int8 => numbers(series.i8().map_err(unreadable)?, Number::from),
        DataType::Int16 => numbers(series.i16().map_err(unreadable)?, Number::from),
        DataType::Int32 => numbers(series.i32().map_err(unreadable)?, Number::from),
        DataType::Int64 => numbers(series.i64().map_err(unreadable)?, Number::from),
        DataType::UInt8 => numbers(series.u8().map_err(unreadable)?, Number::from),
        DataType::UInt16 => numbers(series.u16().map_err(unreadable)?, Number::from),
        DataType::UInt32 => numbers(series.u32().map_err(unreadable)?, Number::from),
        DataType::UInt64 => numbers(series.u64().map_err(unreadable)?, Number::from),
        // JSON has no NaN and no infinity: they become null.
        DataType::Float32 => series.f32().map_err(unreadable)?.iter().map(|v| Value::from(v.map(f64::from))).collect(),
        DataType::Float64 => series.f64().map_err(unreadable)?.iter().map(Value::from).collect(),
        DataType::String => series.str().map_err(unreadable)?.iter().map(Value::from).collect(),
        DataType::Date => {
            let days = series.to_physical_repr();
            days.i32().map_err(unreadable)?.iter().map(|d| d.map_or(Value::Null, |d| date(d.into()).into())).collect()
        }
        DataType::Datetime(unit, zone) => {
            let ticks = series.to_physical_repr();
            let offset = offset(zone.as_ref(), path)?;
            let ticks = ticks.i64().map_err(unreadable)?;
            ticks.iter().map(|t| t.map_or(Value::Null, |t| datetime(t, *unit, offset).into())).collect()
        }
        DataType::List(_) => lists(series, path)?,
        DataType::Struct(_) => structs(series, path)?,
        DataType::Binary | DataType::BinaryOffset => return Err(binary(path)),
        other => return Err(unsupported(path, &other.to_string())),
    })
}

/// Bytes are pictures or sounds in practice.
pub(super) fn binary(path: &str) -> Error {
    let err = Error::input(format!("column `{path}` holds binary data"));
    if path.ends_with(".bytes") || path.ends_with("bytes[]") {
        return err.hint("it looks like an image or audio column; multimodal tasks are not supported");
    }
    err.hint("only text, numbers, booleans, dates, lists and structs of them can be used; drop the column")
}

/// A type that has no place in a prompt.
pub(super) fn unsupported(path: &str, kind: &str) -> Error {
    Error::input(format!("column `{path}` has the type {kind}, which is not supported"))
        .hint("convert the column to text or numbers, or drop it")
}

fn numbers<T: PolarsNumericType>(column: &ChunkedArray<T>, number: impl Fn(T::Native) -> Number) -> Vec<Value> {
    column.iter().map(|v| v.map_or(Value::Null, |v| Value::Number(number(v)))).collect()
}

fn lists(series: &Series, path: &str) -> Result<Vec<Value>> {
    let unreadable = |err: PolarsError| Error::input(format!("column `{path}` cannot be read")).cause(err);
    let column = series.list().map_err(unreadable)?.rechunk();
    let array = column.downcast_as_array();
    // The offsets point into the whole inner array, which is converted once.
    let mut inner = values(&column.get_inner(), &format!("{path}[]"))?;
    let is_null = |row: usize| array.validity().is_some_and(|bits| !bits.get_bit(row));
    let mut rows = Vec::with_capacity(array.len());
    for (row, bounds) in array.offsets().as_slice().windows(2).enumerate() {
        if is_null(row) {
            rows.push(Value::Null);
            continue;
        }
        let (start, end) = (bounds[0] as usize, bounds[1] as usize);
        let slots = inner.get_mut(start..end).ok_or_else(|| Error::input(format!("column `{path}` is damaged")))?;
        rows.push(Value::Array(slots.iter_mut().map(Value::take).collect()));
    }
    Ok(rows)
}

fn structs(series: &Series, path: &str) -> Result<Vec<Value>> {
    let unreadable = |err: PolarsError| Error::input(format!("column `{path}` cannot be read")).cause(err);
    let fields = series.struct_().map_err(unreadable)?.fields_as_series();
    let mut rows = vec![serde_json::Map::new(); series.len()];
    for field in &fields {
        let name = field.name().to_string();
        for (row, value) in rows.iter_mut().zip(values(field, &format!("{path}.{name}"))?) {
            row.insert(name.clone(), value);
        }
    }
    let present = series.is_not_null();
    let rows = rows.into_iter().zip(present.iter());
    Ok(rows.map(|(row, there)| if there == Some(true) { Value::Object(row) } else { Value::Null }).collect())
}

/// Seconds east of UTC of a column's time zone; `None` for local times. Named zones other than UTC need tables that are not carried.
fn offset(zone: Option<&TimeZone>, path: &str) -> Result<Option<i64>> {
    let Some(zone) = zone else { return Ok(None) };
    let name = zone.as_str();
    if matches!(name, "UTC" | "Etc/UTC" | "GMT" | "Z") {
        return Ok(Some(0));
    }
    fixed_offset(name).map(Some).ok_or_else(|| unsupported(path, &format!("datetime in the time zone {name}")))
}

/// `+02:00` in seconds.
fn fixed_offset(name: &str) -> Option<i64> {
    let sign = match name.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = name.get(1..)?.split_once(':')?;
    Some(sign * (hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60))
}

/// `2020-02-29` for a number of days since 1970 (Howard Hinnant's `civil_from_days`, public domain).
fn date(days: i64) -> String {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// As Python's `str(datetime)` shows it: `2020-02-29 10:00:00[.000001][+00:00]`.
fn datetime(ticks: i64, unit: TimeUnit, offset: Option<i64>) -> String {
    let per_second = match unit {
        TimeUnit::Nanoseconds => 1_000_000_000,
        TimeUnit::Microseconds => 1_000_000,
        TimeUnit::Milliseconds => 1000,
    };
    let seconds = ticks.div_euclid(per_second) + offset.unwrap_or(0);
    let micros = ticks.rem_euclid(per_second) * 1_000_000 / per_second;
    let of_day = seconds.rem_euclid(86_400);
    let mut text = date(seconds.div_euclid(86_400));
    text += &format!(" {:02}:{:02}:{:02}", of_day / 3600, of_day / 60 % 60, of_day % 60);
    if micros != 0 {
        text += &format!(".{micros:06}");
    }
    if let Some(east) = offset {
        let sign = if east < 0 { '-' } else { '+' };
        text += &format!("{sign}{:02}:{:02}", east.abs() / 3600, east.abs() / 60 % 60);
    }
    text
}

#[cfg(test)]
mod tests {
    //! Expected texts printed by CPython 3.11's `datetime`.
    use super::*;

    #[test]
    fn dates_and_times() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(18_321), "2020-02-29");
        assert_eq!(date(-1), "1969-12-31");
        assert_eq!(datetime(1_582_970_400_000_001, TimeUnit::Microseconds, None), "2020-02-29 10:00:00.000001");
        assert_eq!(datetime(-1, TimeUnit::Milliseconds, Some(0)), "1969-12-31 23:59:59.999000+00:00");
        assert_eq!(datetime(0, TimeUnit::Nanoseconds, fixed_offset("-03:30")), "1969-12-31 20:30:00-03:30");
    }

    #[test]
    fn a_panic_becomes_an_error() {
        let err = guarded::<()>("cannot read", || panic!("inner")).unwrap_err();
        assert!(err.to_string().contains("cannot read"), "{err}");
    }
}
