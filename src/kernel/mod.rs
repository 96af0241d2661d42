//! The CPU kernels of the local engine: matrix products, attention and row functions on plain slices.
//! In: slices, packed matrices, keys and values. Out: slices. Never knows models, files or candle; runs on the caller's
//! current rayon pool.
//!
//! The order of every sum depends on the sequence itself (depth, absolute positions) and never on the number of rows,
//! their place in a batch, or the threads: the same input has the same bits however it is packed.

pub mod buffer;
mod grouped;
mod grouped_panels;
mod int8;
#[cfg(test)]
mod int8_tests;
pub mod isa;
pub mod lanes;
#[cfg(target_arch = "aarch64")]
mod lanes_neon;
mod lanes_portable;
#[cfg(target_arch = "x86_64")]
mod lanes_x86;
mod matrix;
mod multiply;
#[cfg(test)]
mod multiply_tests;
mod packed_rows;
mod peak;
pub mod tile;
mod tile_bf16;
mod tile_grouped;
mod tile_int8;
mod widen;

pub use buffer::{Buffer, Scratch, ScratchBuffer};
pub use grouped::{Codes, Grouped, Rounding};
pub use isa::Isa;
pub use matrix::{Arithmetic, Keep, PackedMatrix};
pub use multiply::{multiply, multiply_on};
pub use peak::{peak, peak_on};
