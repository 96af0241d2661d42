//! Statistics that say what they mean.
//!
//! Comes in: values, their weights and clusters ([`Observations`]), counts ([`Proportion`], [`Flips`]), all of which cannot hold
//! nonsense. Goes out: a value with its interval, its method and the question it answers ([`IntervalEstimate`], [`Scope`]), or a p
//! ([`Test`]); [`Unfit`] says why there is none. [`METHODS`] has a row for each method: formula, source, when it misleads. Never:
//! documents, tasks or samples.
//!
//! | question | functions |
//! |---|---|
//! | how good, on further documents? | [`default_interval`]; [`Proportion::wilson`], [`student`], [`bootstrap_t`], [`bca_mean`] |
//! | any other statistic | [`bootstrap_interval`] |
//! | how good, asked again? | [`Repeats::reruns`] |
//! | how good, over several tasks? | [`group`] |
//! | better or worse than the base? | [`Paired::compare`]; [`Flips`], [`sign_flips`], [`undefeated`] |
//! | good enough? | [`Verdict`], [`Margin`], [`failures`], [`Deciding`] |
//! | how low may the next run fall? | [`calibrate`] |
//! | how many documents? | [`documents_needed`], [`detectable_gain`] |
//! | what of documents without a score? | [`bounds`], [`filled`] |
//!
//! `reference/` has the reference harness's own figures, which task tables show. The ground floor of the house: nothing here imports
//! another wing except CPython's generator, which gives the reference's draws and ours.

mod bca;
mod better;
mod bootstrap_t;
mod calibrate;
mod choose;
mod compare;
mod flips;
mod given;
#[cfg(test)]
mod golden;
mod groups;
mod incomplete_beta;
mod interval;
mod mcnemar;
mod method;
mod multiplicity;
mod noninferiority;
mod permutation;
mod power;
mod proportion;
mod reference;
mod repeats;
mod resample;
mod special;
mod student;
mod tango;
mod unscored;
mod verdict;

pub use bca::{bca, bca_mean, bootstrap_interval};
pub use bootstrap_t::bootstrap_t;
pub use calibrate::{Calibration, calibrate};
pub use choose::default_interval;
pub use compare::{Beaten, Comparison, Paired, undefeated, undefeated_of};
pub use flips::Flips;
pub use given::{Clusters, Level, Observations, Unfit};
pub use groups::{Part, Weighting, group, group_test};
pub use interval::{Caution, Interval, IntervalEstimate, Scope, Tails, Test};
pub use method::{METHODS, Method, Row};
pub use multiplicity::Correction;
pub use noninferiority::Margin;
pub use permutation::sign_flips;
pub use power::{
    Demand, FLIP_RATES, detectable, detectable_gain, documents_needed, documents_needed_by_t, flip_spread,
    pairs_needed, unpaired_needed,
};
pub use proportion::{Proportion, wilson_effective};
pub use reference::{
    AVERAGES, Average, Halved, Labels, NO_LABEL, NonEmpty, Weighted, bits_per_byte, bootstrap_stderr, difference, f1,
    matthews_corrcoef, mean, mean_bounds, mean_stderr, median, nanmean, perplexity, pooled_stderr, sample_stddev,
    unweighted_mean_stderr, weighted_mean, weighted_perplexity,
};
pub use repeats::{Repeats, Spread};
pub use resample::Draws;
pub use student::{MeanError, mean_error, student, student_tails, student_test};
pub use tango::tango_effective;
pub use unscored::{bounds, filled};
pub use verdict::{Deciding, Verdict, failures};
