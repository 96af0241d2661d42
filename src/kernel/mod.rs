//! Arithmetic on slices. Stand-in of branch `gguf` until branch `kernel` is merged; that one wins.

mod matrix;

pub use matrix::{Codes, Grouped, Rounding};
