//! The statistics that estimates are made of.
//!
//! `reference/` has the reference harness's own figures: means and their errors, bootstrap, label statistics, perplexities,
//! pooling. Never: documents, tasks or samples. The ground floor of the house: nothing here imports another wing except
//! CPython's generator, which the bootstrap needs to give the reference's draws.

mod reference;

pub use reference::{
    Halved, Labels, NonEmpty, Weighted, bits_per_byte, bootstrap_stderr, difference, f1, matthews_corrcoef, mean,
    mean_bounds, mean_stderr, median, nanmean, perplexity, pooled_stderr, sample_stddev, unweighted_mean_stderr,
    weighted_mean, weighted_perplexity,
};
