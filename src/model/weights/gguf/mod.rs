//! GGUF, the format of llama.cpp: metadata and tensors in one file, or in numbered parts.

pub mod blocks;

pub use blocks::{GgmlType, decode};
