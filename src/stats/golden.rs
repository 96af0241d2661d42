//! For tests: what scipy, statsmodels and numpy say (`tests/fixtures/stats/make.py`), and how near is near enough.

use serde_json::Value;

use super::interval::Interval;

/// One part of the golden file.
pub(super) fn golden(part: &str) -> Value {
    let text = include_str!("../../tests/fixtures/stats/golden.json");
    serde_json::from_str::<Value>(text).unwrap()[part].clone()
}

/// The rows of a part.
pub(super) fn rows(part: &Value) -> Vec<Value> {
    part.as_array().unwrap().clone()
}

pub(super) fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

pub(super) fn count(value: &Value) -> usize {
    usize::try_from(value.as_u64().unwrap()).unwrap()
}

pub(super) fn numbers(value: &Value) -> Vec<f64> {
    rows(value).iter().map(number).collect()
}

/// Equal to 1e-9, relative to numbers above 1.
#[track_caller]
pub(super) fn near(got: f64, expected: f64) {
    within(got, expected, 1e-9);
}

#[track_caller]
pub(super) fn within(got: f64, expected: f64, tolerance: f64) {
    assert!((got - expected).abs() <= tolerance * expected.abs().max(1.0), "{got} instead of {expected}");
}

/// Both ends equal to 1e-9.
#[track_caller]
pub(super) fn ends(interval: Interval, expected: &Value) {
    let expected = numbers(expected);
    near(interval.low(), expected[0]);
    near(interval.high(), expected[1]);
}
