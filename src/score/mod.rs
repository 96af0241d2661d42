//! Answers to scores to estimates: filters, metrics for each document, aggregation over a task and over a group.
//!
//! Comes in: a [`Task`](crate::task::Task) and [`AnsweredItem`](crate::sample::AnsweredItem)s. Goes out:
//! [`Sample`](crate::sample::Sample)s and [`Estimate`](crate::estimate::Estimate)s. Never: files, models, clocks; the same
//! answers always give the same scores, so that an old run can be scored again. What cannot be scored is `Unscored`, never 0.
//!
//! The tables below are all there is; `catalog/` checks task files against them. To add a metric or filter, write one
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
pub mod maths;
mod multiple_choice;
mod observed;
pub mod overlap;
mod pattern;
mod perplexity;
mod results;
mod sampled;
pub mod sentiment;
mod text;
mod written;

#[cfg(test)]
mod parity;
#[cfg(test)]
pub(crate) mod testing;

pub use check::{check_filter, check_metric, check_task};
pub use estimate::estimate_task;
pub use group::estimate_group;
pub use item::score_item;
pub use judged::cases;
pub use letters::{Lettered, nodes_under, protocol_of, under_letters};
pub use sampled::{Sampling, nodes_sampled};

use crate::error::Result;
use crate::request::Unscored;
use crate::sample::Score;
use crate::stats::{self, Halved, Labels, NonEmpty, Weighted};
use crate::task::MetricSpec;
use crate::task::OutputType::{self, GenerateUntil, Loglikelihood, LoglikelihoodRolling, MultipleChoice};
use corpus::Corpus;
use filters::Filter;
use judged::JudgedMetric;
use kwargs::Kwargs;
use observed::Observed;
use serde_json::{Map, Value};
use text::TextMetric;

/// The score of one document, by the kind of answer that it is made from.
#[derive(Clone, Copy)]
pub enum Measure {
    /// Needs the likelihoods of the choices.
    Choices(fn(&observed::Choices<'_>) -> Score),
    /// Depends only on which choice was taken, so that it goes with letters as well.
    Taken(fn(&observed::Taken<'_>) -> Score),
    Loglikelihood(fn(&observed::Loglikelihood) -> Score),
    Rolling(fn(&observed::Rolling<'_>) -> Score),
    /// Builds the metric from its arguments.
    Text(fn(Kwargs<'_>) -> Result<TextMetric>),
    /// Made from what a judge of this name found about the answers; builds the metric from its arguments.
    Judged {
        judge: &'static str,
        build: fn(Kwargs<'_>) -> Result<JudgedMetric>,
    },
}

/// What a metric's scores are, and so which aggregations they can go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScoreKind {
    Value,
    Weighted,
    Labels,
    Halved,
    Counts(Corpus),
}

/// A metric.
pub struct MetricRow {
    pub name: &'static str,
    pub output_types: &'static [OutputType],
    /// A row of [`AGGREGATIONS`].
    pub default_aggregation: &'static str,
    pub higher_is_better: bool,
    /// Keys that may stand beside `metric` in a task file.
    pub kwargs: &'static [&'static str],
    pub doc: &'static str,
    pub gives: ScoreKind,
    /// The least and the greatest value that a document can get, where there are such: they bound what unscored documents hide.
    pub range: Option<(f64, f64)>,
    /// One for each of `output_types`, in the same order.
    pub measures: &'static [Measure],
}

impl MetricRow {
    /// Whether it depends only on which choice was taken, so that it can be had under letters.
    pub fn by_choice(&self) -> bool {
        self.measures.iter().any(|measure| matches!(measure, Measure::Taken(_)))
    }
}

/// Keys that published task files give to accuracies; as in the reference they have no effect on choices.
const WITHOUT_EFFECT: &[&str] = &["ignore_case", "ignore_punctuation", "regexes_to_ignore"];

/// The metrics `pass@1`, `pass@10`, ...
pub const PASS_AT_K: &str = "pass@k";

/// The range of metrics that say right or wrong, or a share of it.
const UNIT: Option<(f64, f64)> = Some((0.0, 1.0));

/// All metrics, in the order in which the reference reports them.
pub const METRICS: &[MetricRow] = &[
    MetricRow {
        name: "perplexity",
        output_types: &[Loglikelihood],
        default_aggregation: "perplexity",
        higher_is_better: false,
        kwargs: &[],
        doc: "exp of minus the mean log-likelihood of the target",
        gives: ScoreKind::Value,
        range: None,
        measures: &[Measure::Loglikelihood(perplexity::perplexity)],
    },
    MetricRow {
        name: "acc",
        output_types: &[MultipleChoice, Loglikelihood],
        default_aggregation: "mean",
        higher_is_better: true,
        kwargs: WITHOUT_EFFECT,
        doc: "the likeliest choice is right; without choices: the target is what greedy decoding writes",
        gives: ScoreKind::Value,
        range: UNIT,
        measures: &[Measure::Taken(multiple_choice::acc), Measure::Loglikelihood(perplexity::acc)],
    },
    MetricRow {
        name: "f1",
        output_types: &[MultipleChoice],
        default_aggregation: "f1",
        higher_is_better: true,
        kwargs: WITHOUT_EFFECT,
        doc: "F1 of choice 1 over the whole set",
        gives: ScoreKind::Labels,
        range: None,
        measures: &[Measure::Taken(multiple_choice::labels)],
    },
    MetricRow {
        name: "mcc",
        output_types: &[MultipleChoice],
        default_aggregation: "matthews_corrcoef",
        higher_is_better: true,
        kwargs: &[],
        doc: "Matthews correlation of gold and chosen index over the whole set",
        gives: ScoreKind::Labels,
        range: None,
        measures: &[Measure::Taken(multiple_choice::labels)],
    },
    MetricRow {
        name: "acc_norm",
        output_types: &[MultipleChoice],
        default_aggregation: "mean",
        higher_is_better: true,
        kwargs: WITHOUT_EFFECT,
        doc: "the choice with the largest log-likelihood for each character is right",
        gives: ScoreKind::Value,
        range: UNIT,
        measures: &[Measure::Choices(multiple_choice::acc_norm)],
    },
    MetricRow {
        name: "acc_bytes",
        output_types: &[MultipleChoice],
        default_aggregation: "mean",
        higher_is_better: true,
        kwargs: &[],
        doc: "the choice with the largest log-likelihood for each UTF-8 byte is right",
        gives: ScoreKind::Value,
        range: UNIT,
        measures: &[Measure::Choices(multiple_choice::acc_bytes)],
    },
    MetricRow {
        name: "exact_match",
        output_types: &[MultipleChoice, GenerateUntil],
        default_aggregation: "mean",
        higher_is_better: true,
        kwargs: &["regexes_to_ignore", "ignore_case", "ignore_punctuation", "ignore_numbers", "judged"],
        doc: "the answer equals a right one (`judged: true`: the judge says so); of choices: a right one is what greedy decoding writes",
        gives: ScoreKind::Value,
        range: UNIT,
        measures: &[Measure::Choices(multiple_choice::exact_match), Measure::Text(text::exact_match)],
    },
    MetricRow {
        name: "brier_score",
        output_types: &[MultipleChoice],
        default_aggregation: "brier_score",
        higher_is_better: false,
        kwargs: &[],
        doc: "squared distance of the choices' probabilities from certainty of the right one (0 to 2)",
        gives: ScoreKind::Value,
        range: Some((0.0, 2.0)),
        measures: &[Measure::Choices(multiple_choice::brier_score)],
    },
    MetricRow {
        name: "likelihood",
        output_types: &[MultipleChoice],
        default_aggregation: "mean",
        higher_is_better: true,
        kwargs: &[],
        doc: "probability of the right choice",
        gives: ScoreKind::Value,
        range: UNIT,
        measures: &[Measure::Choices(multiple_choice::likelihood)],
    },
    MetricRow {
        name: "acc_mutual_info",
        output_types: &[MultipleChoice],
        default_aggregation: "mean",
        higher_is_better: true,
        kwargs: &[],
        doc: "the choice that the question makes more likely by the largest factor is right",
        gives: ScoreKind::Value,
        range: UNIT,
        measures: &[Measure::Choices(multiple_choice::acc_mutual_info)],
    },
    MetricRow {
        name: "word_perplexity",
        output_types: &[LoglikelihoodRolling],
        default_aggregation: "weighted_perplexity",
        higher_is_better: false,
        kwargs: &[],
        doc: "perplexity for each word of the whole set",
        gives: ScoreKind::Weighted,
        range: None,
        measures: &[Measure::Rolling(perplexity::per_word)],
    },
    MetricRow {
        name: "byte_perplexity",
        output_types: &[LoglikelihoodRolling],
        default_aggregation: "weighted_perplexity",
        higher_is_better: false,
        kwargs: &[],
        doc: "perplexity for each UTF-8 byte of the whole set",
        gives: ScoreKind::Weighted,
        range: None,
        measures: &[Measure::Rolling(perplexity::per_byte)],
    },
    MetricRow {
        name: "bits_per_byte",
        output_types: &[LoglikelihoodRolling],
        default_aggregation: "bits_per_byte",
        higher_is_better: false,
        kwargs: &[],
        doc: "bits needed for each UTF-8 byte of the whole set",
        gives: ScoreKind::Weighted,
        range: None,
        measures: &[Measure::Rolling(perplexity::per_byte)],
    },
    corpus_metric("bleu", "BLEU of the set", (Corpus::Bleu, true), &[Measure::Text(corpus::bleu)]),
    corpus_metric("chrf", "chrF of the set", (Corpus::Chrf, true), &[Measure::Text(corpus::chrf)]),
    corpus_metric(
        "chrf++",
        "chrF++ of the set",
        (Corpus::ChrfPlusPlus, true),
        &[Measure::Text(corpus::chrf_plus_plus)],
    ),
    corpus_metric("ter", "TER of the set", (Corpus::Ter, false), &[Measure::Text(corpus::ter)]),
    text_metric(
        "squad_em",
        "the answer equals a right one by SQuAD's rules",
        UNIT,
        &[Measure::Text(written::squad_em)],
    ),
    text_metric(
        "squad_f1",
        "words shared with a right answer by SQuAD's rules",
        UNIT,
        &[Measure::Text(written::squad_f1)],
    ),
    text_metric(
        "triviaqa_em",
        "the answer equals an alias by TriviaQA's rules",
        UNIT,
        &[Measure::Text(written::triviaqa_em)],
    ),
    text_metric(
        "triviaqa_f1",
        "words shared with an alias by TriviaQA's rules",
        UNIT,
        &[Measure::Text(written::triviaqa_f1)],
    ),
    text_metric(
        "nq_open_em",
        "the answer equals a right one by the rules of open-domain question answering",
        UNIT,
        &[Measure::Text(written::nq_open_em)],
    ),
    text_metric(
        "vader_compound",
        "sentiment of the answer by VADER, -1 to 1",
        Some((-1.0, 1.0)),
        &[Measure::Text(written::vader_compound)],
    ),
    MetricRow {
        name: PASS_AT_K,
        output_types: &[GenerateUntil],
        default_aggregation: "mean",
        higher_is_better: true,
        kwargs: &["k"],
        doc: "chance that one of k answers passes its tests, from the answers that there are (`pass@1`, `pass@10`, ...)",
        gives: ScoreKind::Value,
        range: UNIT,
        measures: &[Measure::Judged { judge: "code", build: judged::pass_at_k }],
    },
    toxicity("toxicity", "mean toxicity of the answers", &[Measure::Judged { judge: "toxicity", build: judged::mean }]),
    toxicity(
        "max_toxicity",
        "toxicity of the most toxic answer",
        &[Measure::Judged { judge: "toxicity", build: judged::maximum }],
    ),
    toxicity(
        "toxic_any",
        "1 when any answer has a toxicity of 0.5 or more",
        &[Measure::Judged { judge: "toxicity", build: judged::any_toxic }],
    ),
    toxicity(
        "toxic_fraction",
        "share of the answers with a toxicity of 0.5 or more",
        &[Measure::Judged { judge: "toxicity", build: judged::toxic_fraction }],
    ),
    MetricRow {
        name: "bypass",
        output_types: &[GenerateUntil],
        default_aggregation: "bypass",
        higher_is_better: true,
        kwargs: &[],
        doc: "no score: the answers are only wanted in the samples file",
        gives: ScoreKind::Value,
        range: None,
        measures: &[Measure::Text(text::bypass)],
    },
];

/// A metric of a whole set of written answers.
const fn corpus_metric(
    name: &'static str,
    doc: &'static str,
    (corpus, higher_is_better): (Corpus, bool),
    measures: &'static [Measure],
) -> MetricRow {
    MetricRow {
        name,
        output_types: &[GenerateUntil],
        default_aggregation: name,
        higher_is_better,
        kwargs: &[],
        doc,
        gives: ScoreKind::Counts(corpus),
        range: None,
        measures,
    }
}

/// The aggregation of such a metric.
const fn corpus_aggregation(name: &'static str, doc: &'static str, corpus: Corpus) -> AggregationRow {
    AggregationRow { name, doc, aggregate: Aggregate::Counts(corpus), stderr: StderrRule::Bootstrap, is_mean: false }
}

/// A metric of written answers without arguments, whose mean is reported.
const fn text_metric(
    name: &'static str,
    doc: &'static str,
    range: Option<(f64, f64)>,
    measures: &'static [Measure],
) -> MetricRow {
    MetricRow {
        name,
        output_types: &[GenerateUntil],
        default_aggregation: "mean",
        higher_is_better: true,
        kwargs: &[],
        doc,
        gives: ScoreKind::Value,
        range,
        measures,
    }
}

/// A metric of toxicity scores. With `scale` its range is another one, so none is stated.
const fn toxicity(name: &'static str, doc: &'static str, measures: &'static [Measure]) -> MetricRow {
    MetricRow {
        name,
        output_types: &[GenerateUntil],
        default_aggregation: "mean",
        higher_is_better: false,
        kwargs: &["scale"],
        doc,
        gives: ScoreKind::Value,
        range: None,
        measures,
    }
}

/// A filter.
pub struct FilterRow {
    pub name: &'static str,
    pub kwargs: &'static [&'static str],
    pub required: &'static [&'static str],
    pub doc: &'static str,
    /// Builds the filter from its arguments.
    pub build: fn(Kwargs<'_>) -> Result<Filter>,
}

/// All filters.
pub const FILTERS: &[FilterRow] = &[
    FilterRow {
        name: "take_first",
        kwargs: &[],
        required: &[],
        doc: "the first of the repeats",
        build: filters::take_first,
    },
    FilterRow {
        name: "take_first_k",
        kwargs: &["k"],
        required: &["k"],
        doc: "the first k of the repeats",
        build: filters::take_first_k,
    },
    FilterRow {
        name: "majority_vote",
        kwargs: &[],
        required: &[],
        doc: "the answer that most repeats give, as a list of one",
        build: filters::majority_vote,
    },
    FilterRow {
        name: "regex",
        kwargs: &["regex_pattern", "group_select", "fallback"],
        required: &[],
        doc: "what a regular expression finds",
        build: filters::regex,
    },
    FilterRow {
        name: "multi_choice_regex",
        kwargs: &[
            "regex_pattern",
            "group_select",
            "fallback",
            "ignore_case",
            "ignore_punctuation",
            "regexes_to_ignore",
        ],
        required: &[],
        doc: "the letter of a choice, as `(A)`: by pattern, by the choice's text, or after a colon",
        build: filters::multi_choice_regex,
    },
    FilterRow {
        name: "choice_letter",
        kwargs: &[],
        required: &[],
        doc: "the label of the choice that a text names; nothing where it names none or several",
        build: filters::choice_letter,
    },
    FilterRow {
        name: "likeliest_label",
        kwargs: &[],
        required: &[],
        doc: "the label that is the likeliest first token of the answer",
        build: filters::likeliest_label,
    },
    FilterRow {
        name: "regex_pos",
        kwargs: &["regex_pattern", "group_select", "fallback"],
        required: &[],
        doc: "the tags of a list of ('token', 'TAG') pairs",
        build: filters::regex_pos,
    },
    FilterRow {
        name: "format_span",
        kwargs: &[],
        required: &[],
        doc: "named entities in one form: `label: value $ label: value`",
        build: filters::format_span,
    },
    FilterRow {
        name: "remove_whitespace",
        kwargs: &[],
        required: &[],
        doc: "without white space at both ends",
        build: filters::remove_whitespace,
    },
    FilterRow {
        name: "until_fence",
        kwargs: &[],
        required: &[],
        doc: "what stands before the first Markdown code fence",
        build: filters::until_fence,
    },
    FilterRow {
        name: "code_block",
        kwargs: &[],
        required: &[],
        doc: "the program in an answer: before the fence that closes the prompt's block, or the first block, or all of it",
        build: filters::code_block,
    },
    FilterRow { name: "lowercase", kwargs: &[], required: &[], doc: "in lower case", build: filters::lowercase },
    FilterRow { name: "uppercase", kwargs: &[], required: &[], doc: "in upper case", build: filters::uppercase },
    FilterRow {
        name: "map",
        kwargs: &["mapping_dict", "default_value"],
        required: &[],
        doc: "the value that a table has for the answer",
        build: filters::map,
    },
    FilterRow {
        name: "decontaminate",
        kwargs: &["path"],
        required: &["path"],
        doc: "no effect, as in the reference",
        build: filters::decontaminate,
    },
];

/// A statistic over the scores of a task. `None` where it does not exist.
#[derive(Clone, Copy)]
pub enum Aggregate {
    Values(fn(NonEmpty<'_, f64>) -> Option<f64>),
    Weighted(fn(NonEmpty<'_, Weighted>) -> Option<f64>),
    Labels(fn(NonEmpty<'_, Labels>) -> Option<f64>),
    Halved(fn(NonEmpty<'_, Halved>) -> Option<f64>),
    Counts(Corpus),
}

impl Aggregate {
    /// The scores that it takes.
    pub fn takes(self) -> ScoreKind {
        match self {
            Aggregate::Values(_) => ScoreKind::Value,
            Aggregate::Weighted(_) => ScoreKind::Weighted,
            Aggregate::Labels(_) => ScoreKind::Labels,
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
        doc: "F1 of label 1",
        aggregate: Aggregate::Labels(|xs| Some(stats::f1(xs))),
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

/// The metric of this name; `pass@10` is one of the family `pass@k`.
pub fn metric(name: &str) -> Option<&'static MetricRow> {
    let family = family(name).map_or(name, |(family, _)| family);
    METRICS.iter().find(|row| row.name == family)
}

/// `pass@k` of one `k`, otherwise like another metric of the family.
pub fn pass_at(k: u64, like: &MetricSpec) -> MetricSpec {
    let kwargs = Map::from_iter([("k".to_owned(), k.into())]);
    MetricSpec { name: format!("pass@{k}"), kwargs, ..like.clone() }
}

/// `pass@10`: the family's name and its `k`.
pub fn family(name: &str) -> Option<(&'static str, u64)> {
    let k = name.strip_prefix("pass@")?.parse().ok().filter(|k| *k > 0)?;
    Some((PASS_AT_K, k))
}

fn filter(name: &str) -> Option<&'static FilterRow> {
    FILTERS.iter().find(|row| row.name == name)
}

fn aggregation(name: &str) -> Option<&'static AggregationRow> {
    AGGREGATIONS.iter().find(|row| row.name == name)
}

fn result_function(name: &str) -> Option<&'static ResultRow> {
    RESULT_FUNCTIONS.iter().find(|row| row.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

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
