//! The tables of the score wing: a row for each metric, filter, aggregation and result function. Nothing else registers anything.

mod aggregations;
mod filters;
mod metrics;
mod results;

pub use aggregations::{AGGREGATIONS, Aggregate, AggregationRow, StderrRule, aggregation};
pub use filters::{FILTERS, FilterRow, filter};
pub use metrics::{METRICS, Measure, MetricRow, PASS_AT_K, family, metric, pass_at};
pub use results::{RESULT_FUNCTIONS, ResultMeasure, ResultRow, result_function};

use super::corpus::Corpus;

/// What a metric's scores are, and so which aggregations they can go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScoreKind {
    Value,
    Weighted,
    Labels,
    Halved,
    Counts(Corpus),
}

/// The range of metrics that say right or wrong, or a share of it.
const UNIT: Option<(f64, f64)> = Some((0.0, 1.0));

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::OutputType;

    #[test]
    fn rows_agree_with_themselves() {
        for row in METRICS {
            let types: Vec<OutputType> = row.measures.iter().map(|measure| measure.output_type()).collect();
            assert_eq!(types, row.output_types, "{}", row.name);
            let aggregation = aggregation(row.default_aggregation).expect(row.name);
            assert_eq!(aggregation.aggregate.takes(), row.gives, "{}", row.name);
            assert!(row.range.is_none_or(|(least, greatest)| least < greatest), "{}", row.name);
        }
        for row in RESULT_FUNCTIONS {
            assert_eq!(row.metrics.len(), row.ranges.len(), "{}", row.name);
            assert_eq!(row.metrics.len(), row.gives.len(), "{}", row.name);
        }
        for row in FILTERS {
            assert!(row.required.iter().all(|name| row.kwargs.contains(name)), "{}", row.name);
        }
    }

    #[test]
    fn names_are_unique() {
        let tables: [Vec<&str>; 4] = [
            METRICS.iter().map(|row| row.name).collect(),
            FILTERS.iter().map(|row| row.name).collect(),
            AGGREGATIONS.iter().map(|row| row.name).collect(),
            RESULT_FUNCTIONS.iter().map(|row| row.name).collect(),
        ];
        for mut names in tables {
            let all = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), all);
        }
    }
}
