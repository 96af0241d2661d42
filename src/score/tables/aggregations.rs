//! All aggregations: from the scores of documents to the figure of a task.

use super::ScoreKind;
use crate::score::corpus::Corpus;
use crate::stats::{self, Average, Halved, Labels, NonEmpty, Weighted};

/// A statistic over the scores of a task. `None` where it does not exist.
#[derive(Clone, Copy)]
pub enum Aggregate {
    Values(fn(NonEmpty<'_, f64>) -> Option<f64>),
    Weighted(fn(NonEmpty<'_, Weighted>) -> Option<f64>),
    Labels(fn(NonEmpty<'_, Labels>) -> Option<f64>),
    /// The metric's argument `average` says how the labels are put together.
    Averaged(fn(NonEmpty<'_, Labels>, Average) -> Option<f64>),
    Halved(fn(NonEmpty<'_, Halved>) -> Option<f64>),
    Counts(Corpus),
}

impl Aggregate {
    /// The scores that it takes.
    pub fn takes(self) -> ScoreKind {
        match self {
            Aggregate::Values(_) => ScoreKind::Value,
            Aggregate::Weighted(_) => ScoreKind::Weighted,
            Aggregate::Labels(_) | Aggregate::Averaged(_) => ScoreKind::Labels,
            Aggregate::Halved(_) => ScoreKind::Halved,
            Aggregate::Counts(corpus) => ScoreKind::Counts(corpus),
        }
    }
}

/// How an aggregation's standard error is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StderrRule {
    /// `s / √n`.
    Mean,
    Bootstrap,
    /// The reference gives none.
    None,
}

/// An aggregation.
pub struct AggregationRow {
    pub name: &'static str,
    pub doc: &'static str,
    pub aggregate: Aggregate,
    pub stderr: StderrRule,
    /// The plain mean of the scores, so that the range of what is missing bounds it.
    pub is_mean: bool,
}

/// The reference's mark for "not scored".
const BYPASSED: f64 = 999.0;

/// All aggregations.
pub const AGGREGATIONS: &[AggregationRow] = &[
    AggregationRow {
        name: "mean",
        doc: "arithmetic mean",
        aggregate: Aggregate::Values(|xs| Some(stats::mean(xs))),
        stderr: StderrRule::Mean,
        is_mean: true,
    },
    AggregationRow {
        name: "nanmean",
        doc: "arithmetic mean of the scores that are numbers",
        aggregate: Aggregate::Values(stats::nanmean),
        stderr: StderrRule::Bootstrap,
        is_mean: false,
    },
    AggregationRow {
        name: "median",
        doc: "median, the upper one of two",
        aggregate: Aggregate::Values(|xs| Some(stats::median(xs))),
        stderr: StderrRule::Bootstrap,
        is_mean: false,
    },
    AggregationRow {
        name: "perplexity",
        doc: "exp of minus the mean",
        aggregate: Aggregate::Values(|xs| Some(stats::perplexity(xs))),
        stderr: StderrRule::Bootstrap,
        is_mean: false,
    },
    AggregationRow {
        name: "weighted_perplexity",
        doc: "exp of minus the sum over the sum of weights",
        aggregate: Aggregate::Weighted(|xs| Some(stats::weighted_perplexity(xs))),
        stderr: StderrRule::None,
        is_mean: false,
    },
    AggregationRow {
        name: "bits_per_byte",
        doc: "minus the sum over the sum of bytes, in bits",
        aggregate: Aggregate::Weighted(|xs| Some(stats::bits_per_byte(xs))),
        stderr: StderrRule::None,
        is_mean: false,
    },
    AggregationRow {
        name: "f1",
        doc: "F1 of label 1, or of all labels by the metric's `average`",
        aggregate: Aggregate::Averaged(|xs, average| Some(stats::f1(xs, average))),
        stderr: StderrRule::Bootstrap,
        is_mean: false,
    },
    AggregationRow {
        name: "matthews_corrcoef",
        doc: "Matthews correlation",
        aggregate: Aggregate::Labels(|xs| Some(stats::matthews_corrcoef(xs))),
        stderr: StderrRule::Bootstrap,
        is_mean: false,
    },
    AggregationRow {
        name: "brier_score",
        doc: "mean of the documents' Brier scores",
        aggregate: Aggregate::Values(|xs| Some(stats::mean(xs))),
        stderr: StderrRule::None,
        is_mean: true,
    },
    AggregationRow {
        name: "difference",
        doc: "mean over the first half of the set minus mean over the second",
        aggregate: Aggregate::Halved(stats::difference),
        stderr: StderrRule::Bootstrap,
        is_mean: false,
    },
    corpus_aggregation("bleu", "BLEU, sacreBLEU's defaults (0 to 100)", Corpus::Bleu),
    corpus_aggregation("chrf", "chrF, sacreBLEU's defaults (0 to 100)", Corpus::Chrf),
    corpus_aggregation("chrf++", "chrF with words, sacreBLEU's defaults (0 to 100)", Corpus::ChrfPlusPlus),
    corpus_aggregation("ter", "TER, sacreBLEU's defaults (per cent)", Corpus::Ter),
    AggregationRow {
        name: "bypass",
        doc: "999, whatever the scores",
        aggregate: Aggregate::Values(|_| Some(BYPASSED)),
        stderr: StderrRule::None,
        is_mean: false,
    },
];

/// The aggregation of such a metric.
const fn corpus_aggregation(name: &'static str, doc: &'static str, corpus: Corpus) -> AggregationRow {
    AggregationRow { name, doc, aggregate: Aggregate::Counts(corpus), stderr: StderrRule::Bootstrap, is_mean: false }
}

/// The aggregation of this name.
pub fn aggregation(name: &str) -> Option<&'static AggregationRow> {
    AGGREGATIONS.iter().find(|row| row.name == name)
}
