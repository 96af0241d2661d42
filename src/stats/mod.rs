//! The statistics that estimates are made of: means and their errors, bootstrap, label statistics, perplexities, pooling.
//!
//! Comes in: numbers, as a [`NonEmpty`] slice. Goes out: a number, or `None` where there is none (a standard deviation of
//! one value). Never: documents, tasks or samples. The ground floor of the house: nothing here imports another wing except
//! CPython's generator, which the bootstrap needs to give the reference's draws.

mod bootstrap;
mod halves;
mod labels;
mod mean;
mod nonempty;
mod perplexity;
mod pooled;

pub use bootstrap::bootstrap_stderr;
pub use halves::{Halved, difference};
pub use labels::{AVERAGES, Average, Labels, NO_LABEL, f1, matthews_corrcoef};
pub use mean::{mean, mean_stderr, median, nanmean, sample_stddev};
pub use nonempty::NonEmpty;
pub use perplexity::{Weighted, bits_per_byte, perplexity, weighted_perplexity};
pub use pooled::{mean_bounds, pooled_stderr, unweighted_mean_stderr, weighted_mean};
