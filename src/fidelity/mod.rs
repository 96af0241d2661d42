//! What a change of a model did to its next-token distributions.
//!
//! Comes in: rows of logits of two models at the same positions. Goes out: a [`Position`] for each, on disk beside the run, and read again;
//! and what they come to ([`Summary`], plain data). Never: models, tasks, tables.

mod base_summary;
mod code;
mod kind;
pub mod logits_file;
mod mean;
mod measure;
mod percentile;
mod position;
mod read;
mod summary;
mod table;
#[cfg(test)]
pub(crate) mod testing;
mod write;

pub use base_summary::BaseSummary;
pub use code::{CodedReader, CodedWriter};
pub use mean::{Mean, finite_or_infinite};
pub use measure::{Measured, full, lower};
pub use percentile::{Tail, percentile};
pub use position::{Header, Kind, Position};
pub use read::{headers, positions};
pub use summary::{Confidence, Perplexity, Shift, Summary, Total, Worst, totals};
pub use write::{names, write};

/// Version of the files.
pub const FORMAT_VERSION: u32 = 1;
