//! Tensors: checkpoints on disk to forward passes.
//!
//! Comes in: a folder with a checkpoint. Goes out: hidden states and logits. Never: tasks, prompts, scores.

pub mod arch;
pub mod config;
pub mod decoder;
pub mod rope;
pub mod source;
pub mod tokenizer;
pub mod weights;

pub use arch::{ARCHES, ArchRow};
