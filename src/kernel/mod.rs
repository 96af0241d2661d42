//! The CPU kernels of the local engine: matrix products, attention and row functions on plain slices.
//! In: slices, packed matrices, keys and values. Out: slices. Never knows models, files or candle; runs on the caller's
//! current rayon pool.
//!
//! The order of every sum depends on the sequence itself (depth, absolute positions) and never on the number of rows,
//! their place in a batch, or the threads: the same input has the same bits however it is packed.

mod activation;
mod attention;
#[cfg(target_arch = "x86_64")]
mod attention_dots;
mod attention_memory;
mod attention_softmax;
mod attention_task;
#[cfg(test)]
mod attention_tests;
mod attention_widen;
pub mod buffer;
mod exp;
mod grouped;
mod grouped_panels;
mod int8;
#[cfg(test)]
mod int8_tests;
pub mod isa;
mod kv;
pub mod lanes;
#[cfg(target_arch = "aarch64")]
mod lanes_neon;
mod lanes_portable;
#[cfg(target_arch = "x86_64")]
mod lanes_x86;
mod logprob;
mod matrix;
mod multiply;
#[cfg(test)]
mod multiply_tests;
mod norm;
mod packed_rows;
mod peak;
mod rotary;
mod rows;
pub mod tile;
mod tile_bf16;
mod tile_grouped;
mod tile_int8;
mod widen;

pub use activation::{Activation, activate, gated};
pub use attention::{AttentionSpec, Stretch, attention, attention_on};
pub use buffer::{Buffer, Scratch, ScratchBuffer};
pub use grouped::{Codes, Grouped, Rounding};
pub use isa::{ISA_VARIABLE, Isa};
pub use kv::{KvBlock, KvFormat, KvShape};
pub use logprob::{HeadSpec, RowScore, log_probs, logits};
pub use matrix::{Arithmetic, Keep, PackedMatrix};
pub use multiply::{multiply, multiply_on};
pub use norm::{add_rms_norm, layer_norm, rms_norm, rms_norm_parts};
pub use peak::{peak, peak_on};
pub use rotary::{Turned, rotate};
pub use rows::{add, add_bias, add_scaled, scale};
