//! What CPython does, bit for bit: random numbers, `repr`, literals, string methods, JSON.
//!
//! Comes in: plain values. Goes out: the same bytes CPython 3 would give. Never: anything about benchmarks.

pub mod json;
pub mod literal;
pub mod random;
pub mod regex_syntax;
pub mod repr;
pub mod text;
pub mod unicode;
