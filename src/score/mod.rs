//! Answers to scores to estimates: filters, metrics for each document, aggregation over a task and over a group.
//!
//! Comes in: a [`Task`](crate::task::Task) and [`AnsweredItem`](crate::sample::AnsweredItem)s. Goes out:
//! [`Sample`](crate::sample::Sample)s and [`Estimate`](crate::estimate::Estimate)s. Never: files, models, clocks; the same
//! answers always give the same scores, so that an old run can be scored again. What cannot be scored is `Unscored`, never 0.
//!
//! The tables in `tables/` are all there is; `catalog/` checks task files against them. To add a metric or filter, write one
//! function (formula, reference and when it misleads in its comment) and one row.

mod bias;
mod check;
mod corpus;
mod estimate;
mod filters;
mod group;
mod item;
mod judged;
mod kwargs;
mod letters;
mod multiple_choice;
mod observed;
mod outcome;
pub mod overlap;
mod pattern;
mod perplexity;
mod precondition;
mod results;
mod sampled;
pub mod sentiment;
mod tables;
mod text;
mod written;

#[cfg(test)]
mod parity;
#[cfg(test)]
pub(crate) mod testing;

pub use check::{check_filter, check_metric, check_task};
pub use estimate::estimate_task;
pub use group::{estimate_group, remarks_on_groups};
pub use item::{metric_names, score_item};
pub use judged::cases;
pub use letters::{Lettered, nodes_under, protocol_in, protocol_of, under_letters};
pub use outcome::remarks_on_answers;
pub use precondition::check_items;
pub use sampled::{Sampling, nodes_sampled};
pub use tables::{
    AGGREGATIONS, Aggregate, AggregationRow, FILTERS, FilterRow, METRICS, Measure, MetricRow, PASS_AT_K,
    RESULT_FUNCTIONS, ResultMeasure, ResultRow, ScoreKind, StderrRule, aggregation, family, filter, metric, pass_at,
    result_function,
};
