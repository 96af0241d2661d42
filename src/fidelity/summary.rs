//! All positions of a source, or of several, in a few figures. Each position counts the same; errors are over sequences.
//!
//! Definitions are llama.cpp's (`tools/perplexity/perplexity.cpp`) where it has the figure: percentiles, Δp and its root mean square, the
//! ratio of perplexities. Its errors take tokens as independent; ours do not. KL by the reference's confidence is exllamav3's
//! (`eval/qbench.py`): the mean is made of positions where the reference itself is undecided.

use super::Position;
use super::mean::{Mean, finite_or_infinite};
use super::percentile::{Tail, percentile};
use crate::estimate::figure;
use crate::stats::{Clusters, Interval};
use serde::Serialize;

/// Where the bins of the reference's confidence begin and end; the last one has both its ends.
const CONFIDENCE: [(f64, f64); 5] = [(0.0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 0.95), (0.95, 1.0)];

/// Of how many positions the worst one is singled out.
const WORST: usize = 100;

/// Tokens that [`Position::top5`] is about, at most.
const TOP: usize = 5;

/// What positions came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Positions that the figures are about.
    pub positions: usize,
    pub sequences: usize,
    /// Positions that are left out: a row of logits was not finite.
    pub not_finite: usize,
    /// Positions whose KL is infinite: the candidate excludes what the reference does not.
    pub infinite: usize,
    /// KL(reference || candidate), nats. Infinite where a position's is.
    pub kl: Mean,
    #[serde(serialize_with = "finite_or_infinite")]
    pub median: f64,
    pub p90: Tail,
    pub p99: Tail,
    pub p99_9: Tail,
    #[serde(serialize_with = "finite_or_infinite")]
    pub max: f64,
    /// `None` of fewer than 100 positions, where their sum is not positive or not finite.
    pub worst: Option<Worst>,
    /// KL by the reference's greatest probability, from 0 to 1.
    pub by_confidence: Vec<Confidence>,
    /// Share of positions with the same likeliest token.
    pub same_top: Mean,
    /// Share of the reference's five likeliest tokens that are among the candidate's five.
    pub top5_recall: Mean,
    pub shift: Shift,
    pub perplexity: Perplexity,
}

/// What the worst 1 % of positions carry of all KL.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Worst {
    /// How many positions that is, rounded up.
    pub positions: usize,
    /// Above 1 where rounding made other positions negative.
    pub share: f64,
}

/// KL where the reference's greatest probability lies in `low..high`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Confidence {
    pub low: f64,
    pub high: f64,
    pub positions: usize,
    /// `None` without positions.
    pub kl: Option<Mean>,
}

/// How the probability of the following token changed: Δp, candidate − reference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Shift {
    pub mean: Mean,
    /// `√mean(Δp²)`.
    pub rms: f64,
    /// `SE(mean Δp²)/(2·rms)`, 0 where nothing changed.
    pub rms_stderr: Option<f64>,
}

/// Perplexities of the text that follows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Perplexity {
    #[serde(serialize_with = "finite_or_infinite")]
    pub reference: f64,
    #[serde(serialize_with = "finite_or_infinite")]
    pub candidate: f64,
    /// ln(candidate/reference): the mean of the paired differences, so that what both have in common is no error. `None` where both
    /// exclude a token that follows.
    pub log_ratio: Option<Mean>,
    #[serde(serialize_with = "figure::serialize")]
    pub ratio: Option<f64>,
    /// By the delta method: `ratio·SE(ln ratio)`.
    #[serde(serialize_with = "figure::serialize")]
    pub ratio_stderr: Option<f64>,
    /// The ends of the interval of ln ratio, exponentiated.
    pub ratio_interval: Option<Interval>,
    /// Pearson's, of both log-probabilities over positions. `None` without spread or with infinities.
    pub correlation: Option<f64>,
}

impl Summary {
    /// The figures of all positions of some sources, each a list of its own; sequences of two lists are never the same. `vocabulary`: tokens
    /// of a distribution. `None` where no position is finite.
    pub fn of(sources: &[&[Position]], vocabulary: usize) -> Option<Summary> {
        let all = || sources.iter().enumerate().flat_map(|(at, list)| list.iter().map(move |position| (at, position)));
        let kept: Vec<(usize, &Position)> = all().filter(|(_, position)| is_finite(position)).collect();
        let not_finite = all().count() - kept.len();
        let numbers = |of: &dyn Fn(&Position) -> f64| kept.iter().map(|(_, p)| of(p)).collect::<Vec<f64>>();
        let clusters = clusters(&kept);
        let mean = |values: &[f64]| Mean::over(values, clusters.as_ref());
        let kl = numbers(&|p| p.kl);
        let mut sorted = kl.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let top = vocabulary.clamp(1, TOP) as f64;
        Some(Summary {
            positions: kept.len(),
            sequences: clusters.as_ref().map_or(1, Clusters::count),
            not_finite,
            infinite: kl.iter().filter(|kl| kl.is_infinite()).count(),
            kl: mean(&kl)?,
            median: percentile(&sorted, 500)?,
            p90: Tail::of(&sorted, 900)?,
            p99: Tail::of(&sorted, 990)?,
            p99_9: Tail::of(&sorted, 999)?,
            max: *sorted.last()?,
            worst: worst(&sorted),
            by_confidence: by_confidence(&kept),
            same_top: mean(&numbers(&|p| f64::from(u8::from(p.same_top))))?,
            top5_recall: mean(&numbers(&|p| (f64::from(p.top5) / top).min(1.0)))?,
            shift: shift(&numbers(&|p| p.candidate_logprob.exp() - p.reference_logprob.exp()), clusters.as_ref())?,
            perplexity: perplexity(&kept, clusters.as_ref())?,
        })
    }
}

/// Whether it belongs into the figures; an infinite KL does.
fn is_finite(p: &Position) -> bool {
    // A probability of 0 has the logarithm -∞; one above 1 is none.
    let is_log = |log: f64| !log.is_nan() && log != f64::INFINITY;
    !p.kl.is_nan()
        && p.kl != f64::NEG_INFINITY
        && is_log(p.reference_logprob)
        && is_log(p.candidate_logprob)
        && p.reference_top.is_finite()
}

/// `None` for one sequence.
fn clusters(kept: &[(usize, &Position)]) -> Option<Clusters> {
    Clusters::new(kept.iter().map(|(source, position)| (*source, position.sequence))).ok()
}

fn worst(sorted: &[f64]) -> Option<Worst> {
    let positions = sorted.len().div_ceil(WORST);
    let total: f64 = sorted.iter().sum();
    if sorted.len() < WORST || !(total > 0.0 && total.is_finite()) {
        return None;
    }
    let carried: f64 = sorted.iter().rev().take(positions).sum();
    Some(Worst { positions, share: carried / total })
}

fn by_confidence(kept: &[(usize, &Position)]) -> Vec<Confidence> {
    let last = CONFIDENCE.len() - 1;
    let bin = |(at, (low, high)): (usize, (f64, f64))| {
        // What rounding puts beside 0 and 1 belongs to the outer bins.
        let is_in = |top: f64| (at == 0 || top >= low) && (at == last || top < high);
        let of: Vec<(usize, &Position)> = kept.iter().filter(|(_, p)| is_in(p.reference_top)).copied().collect();
        let kl: Vec<f64> = of.iter().map(|(_, p)| p.kl).collect();
        Confidence { low, high, positions: of.len(), kl: Mean::over(&kl, clusters(&of).as_ref()) }
    };
    CONFIDENCE.into_iter().enumerate().map(bin).collect()
}

fn shift(changes: &[f64], clusters: Option<&Clusters>) -> Option<Shift> {
    let squares: Vec<f64> = changes.iter().map(|change| change * change).collect();
    let square = Mean::over(&squares, clusters)?;
    let rms = square.value.sqrt();
    let halved = |stderr: f64| if rms > 0.0 { 0.5 / rms * stderr } else { 0.0 };
    Some(Shift { mean: Mean::over(changes, clusters)?, rms, rms_stderr: square.stderr.map(halved) })
}

fn perplexity(kept: &[(usize, &Position)], clusters: Option<&Clusters>) -> Option<Perplexity> {
    let numbers = |of: &dyn Fn(&Position) -> f64| kept.iter().map(|(_, p)| of(p)).collect::<Vec<f64>>();
    let (reference, candidate) = (numbers(&|p| p.reference_logprob), numbers(&|p| p.candidate_logprob));
    let of = |logs: &[f64]| Mean::over(logs, None).map(|mean| (-mean.value).exp());
    let log_ratio = Mean::over(&numbers(&|p| p.reference_logprob - p.candidate_logprob), clusters);
    let ratio = log_ratio.as_ref().map(|mean| mean.value.exp());
    let stderr = log_ratio.as_ref().and_then(|mean| mean.stderr);
    let ends = log_ratio.as_ref().and_then(|mean| mean.interval);
    Some(Perplexity {
        reference: of(&reference)?,
        candidate: of(&candidate)?,
        ratio,
        ratio_stderr: ratio.zip(stderr).map(|(ratio, stderr)| ratio * stderr),
        ratio_interval: ends.and_then(|ends| Interval::new(ends.low().exp(), ends.high().exp())),
        correlation: correlation(&reference, &candidate),
        log_ratio,
    })
}

/// Pearson's, in two passes.
fn correlation(x: &[f64], y: &[f64]) -> Option<f64> {
    let n = x.len() as f64;
    let centred = |values: &[f64]| {
        let mean = values.iter().sum::<f64>() / n;
        values.iter().map(|value| value - mean).collect::<Vec<f64>>()
    };
    let (x, y) = (centred(x), centred(y));
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let correlation = product(&x, &y) / (product(&x, &x) * product(&y, &y)).sqrt();
    correlation.is_finite().then_some(correlation.clamp(-1.0, 1.0))
}

/// The KL of one sequence, summed: what a paired test over sequences needs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Total {
    pub positions: usize,
    pub kl: f64,
}

/// The sums of all sequences of some sources, in the order in which they appear. `None` unless every position is finite: sums without
/// some positions cannot be held against those of another candidate.
pub fn totals(sources: &[&[Position]]) -> Option<Vec<Total>> {
    let mut totals: Vec<Total> = Vec::new();
    for list in sources {
        let mut known = std::collections::HashMap::new();
        for position in *list {
            if !(is_finite(position) && position.kl.is_finite()) {
                return None;
            }
            let at = *known.entry(position.sequence).or_insert(totals.len());
            if at == totals.len() {
                totals.push(Total { positions: 0, kl: 0.0 });
            }
            let total = totals.get_mut(at)?;
            (total.positions, total.kl) = (total.positions + 1, total.kl + position.kl);
        }
    }
    Some(totals)
}

#[cfg(test)]
#[path = "summary_tests.rs"]
mod tests;
