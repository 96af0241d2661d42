//! What a change of a model did to its next-token distributions.
//!
//! Comes in: positions at which two models' distributions were held against each other. Goes out: [`Summary`], plain data. Never: models, tasks,
//! tables.

mod kind;
mod mean;
mod percentile;
mod position;
mod summary;
#[cfg(test)]
pub(crate) mod testing;

pub use mean::{Mean, finite_or_infinite};
pub use percentile::{Tail, percentile};
pub use position::{Header, Kind, Position};
pub use summary::{Confidence, Perplexity, Shift, Summary, Total, Worst, totals};
