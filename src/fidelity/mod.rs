//! What a change of a model did to its next-token distributions.
//!
//! Comes in: rows of logits of two models at the same positions. Goes out: a [`Position`] for each, on disk beside the run, and read again.
//! Never: models, tasks, tables.

mod base_summary;
mod code;
pub mod logits_file;
mod measure;
mod position;
mod read;
mod table;
mod write;

pub use base_summary::BaseSummary;
pub use code::{CodedReader, CodedWriter};
pub use measure::{Measured, full, lower};
pub use position::{Header, Kind, Position};
pub use read::{headers, positions};
pub use write::{names, write};

/// Version of the files.
pub const FORMAT_VERSION: u32 = 1;
