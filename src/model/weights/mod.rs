//! Weights on disk: one file per storage format.

mod safetensors;

pub use safetensors::{Weights, files};
