//! All result functions: named functions that give a document's scores in place of the metrics' own.

use super::{ScoreKind, UNIT};
use crate::request::Unscored;
use crate::sample::Score;
use crate::score::observed::Observed;
use crate::score::{bias, results, written};
use serde_json::{Map, Value};

/// Scores of one document from its filtered answers and the evaluated arguments of the function.
pub type ResultMeasure = fn(&Observed<'_>, &Map<String, Value>) -> Result<Vec<Score>, Unscored>;

/// A named function that gives a document's scores, in place of the metrics' own.
pub struct ResultRow {
    pub name: &'static str,
    /// Arguments that the task file must give.
    pub args: &'static [&'static str],
    /// The metrics that it gives, in order.
    pub metrics: &'static [&'static str],
    /// What each of `metrics` is.
    pub gives: &'static [ScoreKind],
    /// The range of each of `metrics`, as in [`MetricRow::range`].
    pub ranges: &'static [Option<(f64, f64)>],
    /// Whether it depends only on which choice was taken, so that it can be had under letters.
    pub by_choice: bool,
    pub doc: &'static str,
    /// One score for each of `metrics`.
    pub measure: ResultMeasure,
}

/// All result functions.
pub const RESULT_FUNCTIONS: &[ResultRow] = &[
    ResultRow {
        name: "label_mass",
        args: &["labels"],
        metrics: &["acc"],
        gives: &[ScoreKind::Value],
        ranges: &[UNIT],
        by_choice: false,
        doc: "share of probability on the choices with label 1",
        measure: results::label_mass,
    },
    ResultRow {
        name: "bbq",
        args: &["unknown", "right", "biased", "disambiguated", "category"],
        metrics: &bias::METRICS,
        gives: &bias::GIVES,
        ranges: &bias::RANGES,
        by_choice: true,
        doc: "accuracy and bias in ambiguous and disambiguated contexts, as in BBQ",
        measure: bias::bbq,
    },
    ResultRow {
        name: "crows_pairs",
        args: &[],
        metrics: &["likelihood_diff", "pct_stereotype"],
        gives: &[ScoreKind::Value; 2],
        ranges: &[None, UNIT],
        by_choice: false,
        doc: "the first of two sentences is likelier than the second, and by how much",
        measure: bias::crows_pairs,
    },
    ResultRow {
        name: "crows_pairs_directed",
        args: &["direction"],
        metrics: &["likelihood_diff", "pct_stereotype", "pct_stereotype_stereo", "pct_stereotype_antistereo"],
        gives: &[ScoreKind::Value; 4],
        ranges: &[None, UNIT, None, None],
        by_choice: false,
        doc: "the same, and apart for pairs of each direction",
        measure: bias::crows_pairs_directed,
    },
    ResultRow {
        name: "winobias",
        args: &["pro"],
        metrics: &["acc", "acc_pro", "acc_anti", "pro_anti_gap"],
        gives: &[ScoreKind::Value, ScoreKind::Value, ScoreKind::Value, ScoreKind::Halved],
        ranges: &[UNIT, None, None, None],
        by_choice: true,
        doc: "accuracy apart for stereotyping and anti-stereotyping sentences, and their difference",
        measure: bias::winobias,
    },
    ResultRow {
        name: "truthfulqa_gen",
        args: &["true_answers", "false_answers"],
        metrics: written::TRUTHFULQA_GIVES,
        gives: &[ScoreKind::Value; 12],
        ranges: &[None, UNIT, None, None, UNIT, None, None, UNIT, None, None, UNIT, None],
        by_choice: false,
        doc: "BLEU and ROUGE of a written answer against true and false references",
        measure: written::truthfulqa_gen,
    },
    ResultRow {
        name: "hendrycks_math",
        args: &["solution"],
        metrics: &["exact_match"],
        gives: &[ScoreKind::Value],
        ranges: &[UNIT],
        by_choice: false,
        doc: "the formula of the answer equals the boxed answer of a solution, after MATH's clean-up",
        measure: written::hendrycks_math,
    },
    ResultRow {
        name: "agieval_math",
        args: &["answer"],
        metrics: &["acc"],
        gives: &[ScoreKind::Value],
        ranges: &[UNIT],
        by_choice: false,
        doc: "the last formula of the answer equals the right one, after MATH's clean-up",
        measure: written::agieval_math,
    },
];

/// The result function of this name.
pub fn result_function(name: &str) -> Option<&'static ResultRow> {
    RESULT_FUNCTIONS.iter().find(|row| row.name == name)
}
