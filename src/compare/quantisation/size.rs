//! How large a format is, and how fast it ran.

use crate::record::Run;
use serde::Serialize;
use serde_json::Value;

/// The size and the speed of one run's model. What the run does not say is `None`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Size {
    pub format: String,
    /// The format of the weights.
    pub storage: Option<String>,
    /// Bytes of all weights as the format stores them: what a file of them holds.
    pub stored_bytes: Option<u64>,
    /// Bytes of the weights in memory on the machine of the run: packed matrices and the embedding.
    pub memory_bytes: Option<u64>,
    pub num_parameters: Option<u64>,
    /// Those bytes over all parameters, in bits: scales, and what stayed unquantised, are in it.
    pub bits_per_weight: Option<f64>,
    /// Prompts and texts together, in the last session of the run.
    pub tokens_per_second: Option<f64>,
}

impl Size {
    pub(super) fn of(label: &str, run: &Run) -> Size {
        let model = &run.model;
        let bits = |bytes: u64, parameters: u64| 8.0 * bytes as f64 / parameters as f64;
        let counted = model.bytes.zip(model.num_parameters).filter(|(_, parameters)| *parameters > 0);
        let speed = run.usage.as_ref().and_then(|usage| usage.pointer("/session/tokens_per_second"));
        Size {
            format: label.to_owned(),
            storage: model.storage.clone(),
            stored_bytes: model.bytes,
            memory_bytes: run.usage.as_ref().and_then(|usage| usage.get("memory_bytes")?.as_u64()),
            num_parameters: model.num_parameters,
            bits_per_weight: counted.map(|(bytes, parameters)| bits(bytes, parameters)),
            tokens_per_second: speed.and_then(Value::as_f64).filter(|speed| speed.is_finite() && *speed > 0.0),
        }
    }
}
