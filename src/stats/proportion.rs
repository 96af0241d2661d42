//! The share of right answers, when each is right or wrong: Wilson, Clopper-Pearson, Beta, Jeffreys.
//!
//! Wilson is the default: exact coverage is 93 to 98 % from 50 answers on and 94 to 96 % from 500 on (`reports/coverage.md`). The
//! normal interval `p ± z√(p(1-p)/n)` is not offered: at p = 0 or 1 it has no width at all, and at n = 50 it covers 81 % for some p.

use super::given::{Clusters, Level, Observations, Unfit, inside};
use super::interval::{Caution, Interval, IntervalEstimate, Scope, Tails};
use super::method::Method;
use super::special::{beta_quantile, normal_cdf};
use super::student::clustered_variance;

/// Right answers among answers, two at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proportion {
    successes: usize,
    n: usize,
}

impl Proportion {
    /// # Errors
    /// With fewer than two answers, or more right ones than answers.
    pub fn new(successes: usize, n: usize) -> Result<Proportion, Unfit> {
        if n < 2 {
            return Err(Unfit::TooFew { what: "answers", n, least: 2 });
        }
        if successes > n {
            return Err(Unfit::Count { count: successes, n });
        }
        Ok(Proportion { successes, n })
    }

    pub fn successes(self) -> usize {
        self.successes
    }

    pub fn failures(self) -> usize {
        self.n - self.successes
    }

    pub fn n(self) -> usize {
        self.n
    }

    /// The share of right ones.
    pub fn value(self) -> f64 {
        self.successes as f64 / self.n as f64
    }

    /// Wilson's score interval: all `p` that a score test at this level does not refuse.
    ///
    /// `(p̂ + z²/2n ± z√(p̂(1-p̂)/n + z²/4n²)) / (1 + z²/n)`. Wilson (1927), JASA 22. Misleads where answers depend on each other; and
    /// where p is within a few answers of 0 or 1 it covers a little less than it says.
    pub fn wilson(self, level: Level) -> IntervalEstimate {
        let (low, high) = wilson_ends(self.value(), self.n as f64, level.z());
        self.estimate(low, high, level, Method::Wilson)
    }

    /// The interval of Clopper and Pearson (1934), Biometrika 26: never covers less than it says, whatever p is.
    ///
    /// From the `α/2` quantile of Beta(k, n-k+1) to the `1-α/2` quantile of Beta(k+1, n-k). The price is length: it mostly covers 97 %
    /// or more where 95 % were asked for.
    pub fn clopper_pearson(self, level: Level) -> IntervalEstimate {
        let (right, wrong, tail) = (self.successes as f64, self.failures() as f64, level.tail());
        let low = if self.successes == 0 { 0.0 } else { beta_quantile(tail, right, wrong + 1.0) };
        let high = if self.failures() == 0 { 1.0 } else { beta_quantile(1.0 - tail, right + 1.0, wrong) };
        self.estimate(low, high, level, Method::ClopperPearson)
    }

    /// The middle of the posterior under a flat prior, Beta(1+k, 1+n-k): p lies in it with this probability, if all p were alike before.
    ///
    /// Bowyer, Aitchison and Ivanova (2025), arXiv 2503.01747. Covers the truth as often as it says only on average over p; the value
    /// that goes with it is still `k/n`, which lies outside at `k = 0` and `k = n`.
    pub fn beta(self, level: Level) -> IntervalEstimate {
        let (low, high) = self.posterior(1.0, level);
        self.estimate(low, high, level, Method::Beta)
    }

    /// The middle of the posterior under Jeffreys' prior, Beta(½+k, ½+n-k), reaching to 0 at `k = 0` and to 1 at `k = n`.
    ///
    /// Brown, Cai and DasGupta (2001), Statistical Science 16. Misleads for p near 0 or 1 in small sets: 88 % where 95 % were asked for.
    pub fn jeffreys(self, level: Level) -> IntervalEstimate {
        let (low, high) = self.posterior(0.5, level);
        let low = if self.successes == 0 { 0.0 } else { low };
        let high = if self.failures() == 0 { 1.0 } else { high };
        self.estimate(low, high, level, Method::Jeffreys)
    }

    fn posterior(self, prior: f64, level: Level) -> (f64, f64) {
        let (right, wrong) = (prior + self.successes as f64, prior + self.failures() as f64);
        (beta_quantile(level.tail(), right, wrong), beta_quantile(1.0 - level.tail(), right, wrong))
    }

    /// Score tests of `p ≤ at` and `p ≥ at`, which refuse exactly where an end of Wilson's interval passes `at`.
    ///
    /// # Errors
    /// Unless `at` lies strictly between 0 and 1.
    pub fn tails(self, at: f64) -> Result<Tails, Unfit> {
        let at = inside("a share of", at, 0.0, 1.0)?;
        let z = (self.value() - at) / (at * (1.0 - at) / self.n as f64).sqrt();
        Ok(Tails { above: normal_cdf(-z), below: normal_cdf(z) })
    }

    fn estimate(self, low: f64, high: f64, level: Level, method: Method) -> IntervalEstimate {
        IntervalEstimate {
            value: self.value(),
            stderr: None,
            interval: Interval::spanning(low, high),
            level,
            method,
            scope: Scope::Population,
            n: self.n,
            units: self.n,
            cautions: Vec::new(),
        }
    }
}

/// The ends of Wilson's interval for a share of `n` answers, which need not be whole ones.
fn wilson_ends(share: f64, n: f64, z: f64) -> (f64, f64) {
    let square = z * z;
    let scale = 1.0 + square / n;
    let centre = (share + square / (2.0 * n)) / scale;
    let half = z * (share * (1.0 - share) / n + square / (4.0 * n * n)).sqrt() / scale;
    // Where all answers are alike the interval ends at the share itself; rounding must not move it past.
    let low = if share == 0.0 { 0.0 } else { centre - half };
    let high = if share == 1.0 { 1.0 } else { centre + half };
    (low.max(0.0), high.min(1.0))
}

/// Wilson's interval for right and wrong answers in clusters: with as many answers as would have the clustered error if they were
/// independent, and Student's deviate of G-1 degrees for z.
///
/// `n_e = p(1-p) / Var_CR1`, at most n; where all answers are alike, Kish's `n² / Σ n_g²`, as if each cluster had one answer.
/// Franco, Little, Louis and Slud (2019), J. Survey Statistics and Methodology 7; Korn and Graubard (1998). Has a width where all are
/// right or all wrong, which the clustered t has not. Misleads with few clusters, as everything made of them.
///
/// # Errors
/// When a value is neither 0 nor 1.
pub fn wilson_effective(
    observations: Observations<'_>,
    clusters: &Clusters,
    level: Level,
) -> Result<IntervalEstimate, Unfit> {
    let observations = observations.clustered(clusters)?;
    let (n, count) = (observations.n(), clusters.count());
    let successes = observations.successes()?;
    let share = Proportion::new(successes, n)?.value();
    let variance = clustered_variance(observations, share);
    let mut cautions = vec![Caution::OtherClusters { clusters: count }];
    let effective = if successes == 0 || successes == n {
        cautions.push(Caution::ClustersAsValues { clusters: count });
        clusters.effective()
    } else {
        (share * (1.0 - share) / variance).clamp(1.0, n as f64)
    };
    if count < Caution::CLUSTERS {
        cautions.push(Caution::FewClusters { clusters: count });
    }
    let (low, high) = wilson_ends(share, effective, level.t(count as f64 - 1.0));
    Ok(IntervalEstimate {
        value: share,
        stderr: Some(variance.sqrt()),
        interval: Interval::spanning(low, high),
        level,
        method: Method::WilsonEffective,
        scope: Scope::Population,
        n,
        units: count,
        cautions,
    })
}

#[cfg(test)]
mod tests {
    //! Expected values: `proportion_confint` of statsmodels 0.15.0 and scipy's `beta.interval`, in the golden file and, as published
    //! figures of the same functions, below.
    use super::super::golden::{count, ends, golden, near, number, rows, within};
    use super::*;

    fn proportion(k: usize, n: usize) -> Proportion {
        Proportion::new(k, n).unwrap()
    }

    #[test]
    fn all_as_statsmodels() {
        for row in rows(&golden("proportions")) {
            let (proportion, level) =
                (proportion(count(&row["k"]), count(&row["n"])), Level::new(number(&row["level"])).unwrap());
            ends(proportion.wilson(level).interval, &row["wilson"]);
            ends(proportion.clopper_pearson(level).interval, &row["clopper_pearson"]);
            ends(proportion.beta(level).interval, &row["beta"]);
            if !row["jeffreys"].is_null() {
                ends(proportion.jeffreys(level).interval, &row["jeffreys"]);
            }
        }
    }

    #[test]
    fn published_figures() {
        let near_ends = |estimate: IntervalEstimate, low: f64, high: f64| {
            within(estimate.interval.low(), low, 1e-10);
            within(estimate.interval.high(), high, 1e-10);
        };
        near_ends(proportion(7, 20).wilson(Level::P95), 0.1811918241, 0.5671457233);
        near_ends(proportion(7, 20).clopper_pearson(Level::P95), 0.1539092048, 0.5921885345);
        near_ends(proportion(7, 20).jeffreys(Level::P95), 0.1722762136, 0.5677660938);
        near_ends(proportion(0, 20).wilson(Level::P95), 0.0, 0.1611251581);
        near_ends(proportion(3, 164).wilson(Level::P95), 0.0062403472, 0.0523950990);
        near_ends(proportion(931, 1319).wilson(Level::P95), 0.6806777309, 0.7298022978);
    }

    #[test]
    fn all_alike_still_has_a_width() {
        for method in [Proportion::wilson, Proportion::clopper_pearson, Proportion::beta, Proportion::jeffreys] {
            let (none, all) = (method(proportion(0, 30), Level::P95), method(proportion(30, 30), Level::P95));
            assert!(none.interval.width() > 0.05 && none.interval.low() >= 0.0);
            within(none.interval.high(), 1.0 - all.interval.low(), 1e-12);
        }
        assert!(Proportion::new(0, 1).is_err());
        assert!(Proportion::new(3, 2).is_err());
    }

    #[test]
    fn tails_refuse_where_the_interval_ends() {
        let seen = proportion(31, 50);
        let interval = seen.wilson(Level::P95).interval;
        near(seen.tails(interval.low()).unwrap().above, 0.025);
        near(seen.tails(interval.high()).unwrap().below, 0.025);
        assert!(seen.tails(0.0).is_err());
    }

    #[test]
    fn clusters_widen_it() {
        let x = [1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0];
        let clusters = Clusters::new([0, 0, 0, 1, 1, 2, 2, 2, 2, 3, 3, 3]).unwrap();
        let observations = Observations::new(&x).unwrap();
        let estimate = wilson_effective(observations, &clusters, Level::P95).unwrap();
        ends(estimate.interval, &golden("effective")["wilson"]);
        assert_eq!((estimate.n, estimate.units, estimate.method), (12, 4, Method::WilsonEffective));
        // All right: four clusters are taken for 3.789 answers, by their sizes.
        let right = wilson_effective(Observations::new(&[1.0; 12]).unwrap(), &clusters, Level::P95).unwrap();
        assert!(right.interval.low() < 0.35 && right.cautions.contains(&Caution::ClustersAsValues { clusters: 4 }));
        let half = Observations::new(&[0.5; 12]).unwrap();
        assert_eq!(wilson_effective(half, &clusters, Level::P95).unwrap_err(), Unfit::NotBinary { at: 0 });
    }
}
