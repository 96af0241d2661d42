//! Two rows of logits to a divergence, and to what both say of the token that follows.
//!
//! All sums are in f64 in the order of the vocabulary, so that a row's figures depend on the two rows alone.

use super::Position;

/// Tokens that `kl_lower` tells apart; all others are one outcome.
const NAMED: usize = 64;

/// The likeliest tokens that are looked for among the other's likeliest.
const TOP: usize = 5;

/// Below this the series is right to the last bits.
const SMALL: f64 = 1.0 / 64.0;

/// Above this difference of logarithms e^x could overflow.
const LARGE: f64 = 700.0;

/// What two rows say. Logs are natural.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// KL(reference || candidate), nats; NaN where a logit of either row is not finite, +inf where the candidate excludes what the
    /// reference does not.
    pub kl: f64,
    /// NaN where the reference's row is not finite or the token is outside of it.
    pub reference_logprob: f64,
    /// The same of the candidate.
    pub candidate_logprob: f64,
    /// The reference's greatest probability.
    pub reference_top: f64,
    pub same_top: bool,
    pub top5: u8,
}

impl Measured {
    /// The position that this was found at, as one of a cluster.
    pub fn at(self, sequence: u32) -> Position {
        Position {
            sequence,
            kl: self.kl,
            reference_logprob: self.reference_logprob,
            candidate_logprob: self.candidate_logprob,
            reference_top: self.reference_top,
            same_top: self.same_top,
            top5: self.top5,
        }
    }
}

/// `kl`: over all of the vocabulary. Rows of logits, `[vocabulary]` each; `next`: the token that follows.
pub fn full(reference: &[f32], candidate: &[f32], next: u32) -> Measured {
    measured(reference, candidate, next, |p, q| {
        let outcomes = p.logits.iter().zip(&p.weights).zip(q.logits);
        outcomes.map(|((x, weight), y)| term(weight / p.sum, p.log_prob(*x), q.log_prob(*y))).sum()
    })
}

/// `kl_lower`: over the reference's 64 likeliest tokens and one outcome for all others. By the log-sum inequality (Cover and Thomas,
/// Elements of Information Theory, 2.7.1) never more than `kl` but for rounding.
pub fn lower(reference: &[f32], candidate: &[f32], next: u32) -> Measured {
    measured(reference, candidate, next, |p, q| {
        let mut named = likeliest(p.logits, NAMED);
        named.sort_unstable();
        let log_prob =
            |row: &Row<'_>, token: usize| row.logits.get(token).map_or(f64::NAN, |logit| row.log_prob(*logit));
        let outcome = |log_p: f64, log_q: f64| term(log_p.exp(), log_p, log_q);
        let sum: f64 = named.iter().map(|token| outcome(log_prob(p, *token), log_prob(q, *token))).sum();
        if named.len() >= p.logits.len() {
            return sum;
        }
        // Both rests are sums of what is left, not what is left of one: nothing cancels, and none is nought but by underflow.
        sum + outcome(p.log_rest(&named), q.log_rest(&named))
    })
}

fn measured(
    reference: &[f32],
    candidate: &[f32],
    next: u32,
    divergence: impl FnOnce(&Row<'_>, &Row<'_>) -> f64,
) -> Measured {
    let (p, q) = (Row::new(reference), Row::new(candidate));
    let comparable = p.is_finite && q.is_finite && reference.len() == candidate.len();
    let (kl, top5, same_top) = if comparable {
        let (top5, same_top) = likeliest_shared(reference, candidate);
        (divergence(&p, &q), top5, same_top)
    } else {
        (f64::NAN, 0, false)
    };
    Measured {
        kl,
        reference_logprob: p.of(next),
        candidate_logprob: q.of(next),
        reference_top: if p.is_finite { p.log_prob_f64(p.largest).exp() } else { f64::NAN },
        same_top,
        top5,
    }
}

/// How many of the reference's five likeliest tokens are among the candidate's, and whether both have the same first one. All must be finite.
pub(super) fn likeliest_shared(reference: &[f32], candidate: &[f32]) -> (u8, bool) {
    let (of_p, of_q) = (likeliest(reference, TOP), likeliest(candidate, TOP));
    let shared = of_p.iter().filter(|token| of_q.contains(token)).count();
    (shared as u8, of_p.first() == of_q.first())
}

/// A row of logits with what its logarithms of probabilities need.
pub(super) struct Row<'a> {
    logits: &'a [f32],
    pub(super) is_finite: bool,
    largest: f64,
    /// e^(logit - largest), `[vocabulary]`, their sum and its logarithm.
    weights: Vec<f64>,
    sum: f64,
    log_sum: f64,
}

impl Row<'_> {
    pub(super) fn new(logits: &[f32]) -> Row<'_> {
        let is_finite = !logits.is_empty() && logits.iter().all(|logit| logit.is_finite());
        let largest = logits.iter().fold(f64::NEG_INFINITY, |largest, logit| largest.max(f64::from(*logit)));
        let weights: Vec<f64> = logits.iter().map(|logit| (f64::from(*logit) - largest).exp()).collect();
        let sum: f64 = weights.iter().sum();
        Row { logits, is_finite, largest, weights, sum, log_sum: sum.ln() }
    }

    pub(super) fn log_prob(&self, logit: f32) -> f64 {
        self.log_prob_f64(f64::from(logit))
    }

    fn log_prob_f64(&self, logit: f64) -> f64 {
        (logit - self.largest) - self.log_sum
    }

    /// The log-probability of a token; NaN where there is none.
    pub(super) fn of(&self, token: u32) -> f64 {
        match self.logits.get(token as usize) {
            Some(logit) if self.is_finite => self.log_prob(*logit),
            _ => f64::NAN,
        }
    }

    /// The logarithm of the probability of all tokens but those in `without`, which is sorted.
    fn log_rest(&self, without: &[usize]) -> f64 {
        let mut without = without.iter().copied().peekable();
        let mut rest = Vec::with_capacity(self.logits.len());
        for (token, logit) in self.logits.iter().enumerate() {
            if without.next_if_eq(&token).is_none() {
                rest.push(f64::from(*logit));
            }
        }
        let largest = rest.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = rest.iter().map(|logit| (logit - largest).exp()).sum();
        self.log_prob_f64(largest) + sum.ln()
    }
}

/// One outcome's part of a divergence: p ln(p/q) - p + q. The last two add up to nothing over all outcomes, and with them no part is negative
/// and nothing cancels between parts.
fn term(p: f64, log_p: f64, log_q: f64) -> f64 {
    if p == 0.0 {
        return log_q.exp();
    }
    let more = log_q - log_p;
    if more > LARGE {
        return (log_q.exp() - p - p * more).max(0.0);
    }
    p * surplus(more)
}

/// e^x - 1 - x, which is never negative.
fn surplus(x: f64) -> f64 {
    if x.abs() < SMALL {
        // Taylor's series: the difference would lose what is left of small numbers.
        let rest = 1.0 / 24.0 + x * (1.0 / 120.0 + x * (1.0 / 720.0 + x / 5040.0));
        return x * x * (0.5 + x * (1.0 / 6.0 + x * rest));
    }
    x.exp_m1() - x
}

/// The tokens of the greatest logits, greatest first; of equal ones the first. All must be finite.
fn likeliest(logits: &[f32], most: usize) -> Vec<usize> {
    let mut found: Vec<usize> = Vec::with_capacity(most + 1);
    for (token, logit) in logits.iter().enumerate() {
        let full = found.len() >= most;
        if full && found.last().is_some_and(|last| logits[*last] >= *logit) {
            continue;
        }
        let place = found.partition_point(|other| logits[*other] >= *logit);
        found.insert(place, token);
        found.truncate(most);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of some size from a small generator.
    fn row(seed: u64, len: usize) -> Vec<f32> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / 16_777_216.0 * 20.0 - 10.0
        };
        (0..len).map(|_| next()).collect()
    }

    /// The sum as the textbooks have it.
    fn plain(p: &[f32], q: &[f32]) -> f64 {
        let log = |row: &[f32]| {
            let sum: f64 = row.iter().map(|x| f64::from(*x).exp()).sum();
            row.iter().map(|x| f64::from(*x) - sum.ln()).collect::<Vec<_>>()
        };
        log(p).iter().zip(log(q)).map(|(p, q)| p.exp() * (p - q)).sum()
    }

    #[test]
    fn a_row_against_itself_is_exactly_nothing() {
        for len in [1, 2, 5, 64, 65, 1000] {
            let p = row(len as u64, len);
            for found in [full(&p, &p, 0), lower(&p, &p, 0)] {
                assert_eq!((found.kl, found.same_top, found.top5 as usize), (0.0, true, len.min(5)));
                assert_eq!(found.reference_logprob, found.candidate_logprob);
            }
        }
    }

    #[test]
    fn the_divergence_of_two_and_three_outcomes() {
        // p = (3/4, 1/4), q = (1/2, 1/2): 3/4 ln 3/2 + 1/4 ln 1/2.
        let found = full(&[3f32.ln(), 0.0], &[0.0, 0.0], 1);
        let expected = 0.75 * 1.5f64.ln() + 0.25 * 0.5f64.ln();
        assert!((found.kl - expected).abs() < 1e-7, "{}", found.kl);
        assert!((found.reference_logprob - 0.25f64.ln()).abs() < 1e-7);
        assert_eq!(found.candidate_logprob, 0.5f64.ln());
        assert!((found.reference_top - 0.75).abs() < 1e-7);
    }

    #[test]
    fn the_careful_sum_is_the_plain_one() {
        for seed in 1..50 {
            let (p, q) = (row(seed, 300), row(seed + 100, 300));
            let found = full(&p, &q, 7).kl;
            assert!((found - plain(&p, &q)).abs() < 1e-12 * found.max(1.0), "{found}");
            let near: Vec<f32> = p.iter().zip(&q).map(|(p, q)| p + q * 1e-5).collect();
            let found = full(&p, &near, 7).kl;
            assert!(found > 0.0 && (found - plain(&p, &near)).abs() < 1e-13, "{found}");
        }
    }

    #[test]
    fn the_bound_is_below_and_all_of_it_where_nothing_is_left() {
        for seed in 1..50 {
            let (p, q) = (row(seed, 300), row(seed + 100, 300));
            let (all, bound) = (full(&p, &q, 7), lower(&p, &q, 7));
            assert!(bound.kl > 0.0 && bound.kl < all.kl, "{} {}", bound.kl, all.kl);
            assert_eq!(Measured { kl: 0.0, ..all }, Measured { kl: 0.0, ..bound });
            let (all, bound) = (full(&p[..64], &q[..64], 7), lower(&p[..64], &q[..64], 7));
            assert!((all.kl - bound.kl).abs() < 1e-13);
        }
    }

    // 66 outcomes: two of the rest, as one.
    #[test]
    fn the_rest_is_one_outcome() {
        let mut p = vec![0.0f32; 66];
        (p[64], p[65]) = (-1.0, -2.0);
        let mut q = vec![0.0f32; 66];
        (q[64], q[65]) = (-3.0, 0.5);
        let merged = |row: &[f32]| {
            let rest = (f64::from(row[64]).exp() + f64::from(row[65]).exp()).ln();
            let mut logs: Vec<f64> = row[..64].iter().map(|x| f64::from(*x)).collect();
            logs.push(rest);
            let sum: f64 = logs.iter().map(|x| x.exp()).sum();
            logs.into_iter().map(|x| x - sum.ln()).collect::<Vec<_>>()
        };
        let expected: f64 = merged(&p).iter().zip(merged(&q)).map(|(p, q)| p.exp() * (p - q)).sum();
        assert!((lower(&p, &q, 0).kl - expected).abs() < 1e-14);
    }

    #[test]
    fn far_apart_is_finite_and_not_finite_is_no_number() {
        let (p, q) = ([0.0, 5000.0, -5000.0], [5000.0, -5000.0, 0.0]);
        assert!((full(&p, &q, 0).kl - 10_000.0).abs() < 1e-9);
        assert!((full(&q, &p, 0).kl - 5_000.0).abs() < 1e-9);
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let odd = [0.0, bad, 1.0];
            for (found, own) in [(full(&p, &odd, 0), true), (lower(&odd, &p, 0), false)] {
                assert!(found.kl.is_nan() && !found.same_top && found.top5 == 0);
                assert_eq!((found.reference_logprob.is_nan(), found.candidate_logprob.is_nan()), (!own, own));
            }
        }
        assert!(full(&p, &p[..2], 0).kl.is_nan(), "rows of two vocabularies");
        assert!(full(&p, &p, 3).reference_logprob.is_nan());
        assert!(full(&[], &[], 0).kl.is_nan());
    }

    #[test]
    fn the_surplus_is_the_same_on_both_sides_of_the_series() {
        // Decimal of Python with 40 digits: x.exp() - 1 - x.
        for (x, expected) in [
            (1e-8, 5.000000016666667e-17),
            (0.015, 1.1306461571897928e-4),
            (-0.015, 1.1193960306266148e-4),
            (0.5, 0.14872127070012815),
            (-3.0, 2.049787068367864),
        ] {
            assert!((surplus(x) - expected).abs() <= 1e-14 * expected.max(1e-4) + 1e-24, "{x}: {}", surplus(x));
        }
        let step = f64::EPSILON;
        for edge in [SMALL, -SMALL] {
            let (inside, outside) = (surplus(edge * (1.0 - step)), surplus(edge * (1.0 + step)));
            assert!((inside - outside).abs() < 1e-12 * inside, "{inside} {outside}");
        }
    }

    #[test]
    fn the_first_of_equals_is_likeliest() {
        assert_eq!(likeliest(&[1.0, 3.0, 3.0, 2.0, 3.0], 4), [1, 2, 4, 3]);
        let found = full(&[1.0, 1.0, 0.0], &[1.0, 1.0, 0.0], 0);
        assert!(found.same_top);
        let found = full(&[9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0], &[3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0], 0);
        assert_eq!((found.same_top, found.top5), (false, 3));
    }
}
