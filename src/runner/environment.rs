//! Where and when a run is made.

use crate::run::Environment;
use std::time::{SystemTime, UNIX_EPOCH};

/// This machine, now.
pub(super) fn environment() -> Environment {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let utc = chrono::DateTime::from_timestamp_micros(now.as_micros() as i64).unwrap_or_default();
    Environment {
        fairmark_version: env!("CARGO_PKG_VERSION").to_string(),
        os: std::env::consts::OS.to_string(),
        arch: std::env::consts::ARCH.to_string(),
        cpus: std::thread::available_parallelism().map_or(1, usize::from),
        started: utc.format("%Y-%m-%dT%H:%M:%S%.6f").to_string(),
        started_unix: now.as_secs_f64(),
    }
}
