//! The reference's own figures, digit for digit: what stands in its results files and in our task tables.
//!
//! Comes in: numbers, as a [`NonEmpty`] slice. Goes out: a number, or `None` where there is none (a standard deviation of
//! one value). These are kept as lm-evaluation-harness has them, with what it leaves out (no clusters, no intervals), because
//! tables must agree with its tables; what is meant as a claim comes from the families beside this folder.

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
