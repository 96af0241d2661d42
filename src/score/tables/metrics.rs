//! All metrics of documents.

use super::{ScoreKind, UNIT};
use crate::error::Result;
use crate::sample::Score;
use crate::score::corpus::{self, Corpus};
use crate::score::judged::{self, JudgedMetric};
use crate::score::kwargs::Kwargs;
use crate::score::observed;
use crate::score::text::{self, TextMetric};
use crate::score::{multiple_choice, perplexity, written};
use crate::task::MetricSpec;
use crate::task::OutputType::{self, GenerateUntil, Loglikelihood, LoglikelihoodRolling, MultipleChoice};
use serde_json::Map;

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
        kwargs: &["ignore_case", "ignore_punctuation", "regexes_to_ignore", "average"],
        doc: "F1 over the whole set: of choice 1 of two, or `average: macro`, `micro` or `weighted` over any number",
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
