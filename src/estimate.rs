//! An estimate: a metric over a task or a group, with its uncertainty.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How a standard error was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StderrMethod {
    /// Sample standard deviation (n - 1) over the square root of n.
    Mean,
    /// Spread of the statistic over resampled sets.
    Bootstrap,
    /// Pooled over the tasks of a group by their sizes.
    Pooled,
    /// Of the unweighted mean over the tasks of a group.
    UnweightedMean,
}

/// A figure in JSON, which has no infinity: a number, the text `"Infinity"` or `"-Infinity"` (Python's `float`, JavaScript's `Number`
/// and Rust's `parse` read it), or null for no number.
pub fn figure_json(value: f64) -> Value {
    match value {
        f64::INFINITY => Value::from("Infinity"),
        f64::NEG_INFINITY => Value::from("-Infinity"),
        value => Value::from(value),
    }
}

/// A figure that [`figure_json`] wrote, or that Python did.
pub fn figure_of(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => match text.as_str() {
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        value => value.as_f64(),
    }
}

/// Figures in files, for serde.
pub mod figure {
    use super::{figure_json, figure_of};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use serde_json::Value;

    /// See [`figure_json`].
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        value.map_or(Value::Null, figure_json).serialize(serializer)
    }

    /// See [`figure_of`].
    ///
    /// # Errors
    /// Those of the deserializer.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
        Ok(figure_of(&Value::deserialize(deserializer)?))
    }
}

/// One metric of one task or group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    pub metric: String,
    /// Name of the filter pipeline (`none` unless the task names one).
    pub filter: String,
    /// `None` when nothing could be scored, or where the statistic does not exist (`n` tells). Infinite where it is beyond all numbers.
    #[serde(with = "figure")]
    pub value: Option<f64>,
    /// `None` where the reference has `N/A`.
    pub stderr: Option<f64>,
    pub stderr_method: Option<StderrMethod>,
    /// Documents that were scored.
    pub n: usize,
    /// Documents that were not scored.
    pub unscored: usize,
    /// Those of them that the model or its provider refused to answer.
    #[serde(default)]
    pub refused: usize,
    /// Where documents were not scored and the value is a mean of scores with a known range: the value if all of them had got the
    /// least score, and if all had got the greatest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounds: Option<(f64, f64)>,
    pub higher_is_better: Option<bool>,
}
