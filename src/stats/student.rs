//! Means with Student's interval: of independent values, of weighted ones, and of values in clusters (CR1).
//!
//! One formula for all: `Var = G/(G-1) · Σ_g (Σ_{i in g} w_i(x_i - x̄))² / (Σw)²`, with `G - 1` degrees of freedom. Clusters of one
//! value make it `s²/n` with `n - 1`. It is `OLS(...).fit(cov_type='cluster')` of statsmodels (`WLS` with weights) and Inspect's
//! clustered error. Miller (2024), arXiv 2411.00640, leaves the factor G/(G-1) out: his error is smaller by `√((G-1)/G)`.
//!
//! Liang and Zeger (1986), Biometrika 73; Cameron and Miller (2015), J. Human Resources 50. Misleads with few or very unequal clusters,
//! where it is far too small: of 12 values in 4 clusters it can be a third of the error without clusters. Below 30 clusters it says so,
//! and [`super::default_interval`] takes the bootstrap-t instead.

use super::given::{Level, Observations, Unfit};
use super::interval::{Caution, Interval, IntervalEstimate, Scope, Tails, Test};
use super::method::Method;
use super::special::student_tail;

/// The mean and its error, with the degrees of freedom.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeanError {
    pub mean: f64,
    pub stderr: f64,
    pub freedom: f64,
}

/// The mean with its error over independent units: CR1, which without clusters is `s/√n`.
///
/// # Errors
/// When sums leave the range of numbers.
pub fn mean_error(observations: Observations<'_>) -> Result<MeanError, Unfit> {
    let mean = observations.mean()?;
    let variance = clustered_variance(observations, mean);
    if !variance.is_finite() {
        return Err(Unfit::NotFinite { at: 0 });
    }
    // Equal values whose sum is rounded lie a little beside their mean: that is no spread.
    let largest = observations.values().iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
    let stderr = if variance.sqrt() <= 1e-14 * largest { 0.0 } else { variance.sqrt() };
    Ok(MeanError { mean, stderr, freedom: observations.units() as f64 - 1.0 })
}

/// The variance of the mean around `mean`.
pub(super) fn clustered_variance(observations: Observations<'_>, mean: f64) -> f64 {
    let totals = observations.totals(mean);
    let weight: f64 = totals.iter().map(|total| total.weight).sum();
    let squares: f64 = totals.iter().map(|total| total.sum * total.sum).sum();
    let units = totals.len() as f64;
    units / (units - 1.0) * squares / (weight * weight)
}

/// The mean with `± t·SE`.
///
/// # Errors
/// When all values are alike: the interval would have no width, which is not certainty; when sums leave the range of numbers.
pub fn student(observations: Observations<'_>, level: Level) -> Result<IntervalEstimate, Unfit> {
    let error = mean_error(observations)?;
    if error.stderr == 0.0 {
        return Err(Unfit::NoSpread);
    }
    let half = level.t(error.freedom) * error.stderr;
    let interval = Interval::new(error.mean - half, error.mean + half).ok_or(Unfit::NotFinite { at: 0 })?;
    Ok(IntervalEstimate {
        value: error.mean,
        stderr: Some(error.stderr),
        interval,
        level,
        method: if observations.clusters().is_some() { Method::Cr1 } else { Method::Student },
        scope: Scope::Population,
        n: observations.n(),
        units: observations.units(),
        cautions: normal_theory(observations),
    })
}

/// What speaks against normal theory in these values, and what clusters make of the claim.
pub(super) fn normal_theory(observations: Observations<'_>) -> Vec<Caution> {
    let mut cautions = Vec::new();
    match observations.clusters() {
        Some(clusters) => {
            cautions.push(Caution::OtherClusters { clusters: clusters.count() });
            if clusters.count() < Caution::CLUSTERS {
                cautions.push(Caution::FewClusters { clusters: clusters.count() });
            }
        }
        None if observations.n() < Caution::VALUES => cautions.push(Caution::FewValues { n: observations.n() }),
        None => {}
    }
    if let Ok(successes) = observations.successes() {
        let failures = observations.n() - successes;
        if successes.min(failures) < Caution::OF_EITHER {
            cautions.push(Caution::FewOfEither { successes: successes as f64, failures: failures as f64 });
        }
    }
    cautions
}

/// Two-sided t test of "the mean is 0": on differences it is `scipy.stats.ttest_rel`.
///
/// # Errors
/// As [`student`].
pub fn student_test(observations: Observations<'_>) -> Result<Test, Unfit> {
    let tails = student_tails(observations, 0.0)?;
    Ok(Test {
        p: (2.0 * tails.above.min(tails.below)).min(1.0),
        method: Method::PairedT,
        scope: Scope::Population,
        cautions: normal_theory(observations),
    })
}

/// One-sided t tests of "the mean is at most `at`" and "the mean is at least `at`".
///
/// # Errors
/// As [`student`].
pub fn student_tails(observations: Observations<'_>, at: f64) -> Result<Tails, Unfit> {
    let error = mean_error(observations)?;
    if error.stderr == 0.0 {
        return Err(Unfit::NoSpread);
    }
    let t = (error.mean - at) / error.stderr;
    Ok(Tails { above: student_tail(t, error.freedom), below: student_tail(-t, error.freedom) })
}

#[cfg(test)]
mod tests {
    //! Expected values: `WLS(...).fit(cov_type='cluster', use_t=True)` of statsmodels 0.15.0, `scipy.stats.ttest_rel`, `ttost_paired`.
    use super::super::given::Clusters;
    use super::super::golden::{ends, golden, near, number, numbers, rows, within};
    use super::*;

    #[test]
    fn clusters_and_weights_as_statsmodels() {
        for row in rows(&golden("clusters")) {
            let (x, keys) = (numbers(&row["x"]), rows(&row["g"]));
            let clusters = Clusters::new(keys.iter().map(|key| key.as_u64())).unwrap();
            let mut observations = Observations::new(&x).unwrap().clustered(&clusters).unwrap();
            let weights = if row["weights"].is_null() { Vec::new() } else { numbers(&row["weights"]) };
            if !weights.is_empty() {
                observations = observations.weighted(&weights).unwrap();
            }
            let estimate = student(observations, Level::P95).unwrap();
            near(estimate.value, number(&row["mean"]));
            near(estimate.stderr.unwrap(), number(&row["stderr"]));
            ends(estimate.interval, &row["interval"]);
            near(student_test(observations).unwrap().p, number(&row["p"]));
            assert_eq!(estimate.method, Method::Cr1);
            assert!(estimate.cautions.contains(&Caution::FewClusters { clusters: clusters.count() }));
        }
    }

    /// The published example: 12 answers in 4 clusters; without clusters the error is three times as large.
    #[test]
    fn few_clusters_can_shrink_it() {
        let x = [1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0];
        let clusters = Clusters::new([0, 0, 0, 1, 1, 2, 2, 2, 2, 3, 3, 3]).unwrap();
        let independent = Observations::new(&x).unwrap();
        within(mean_error(independent.clustered(&clusters).unwrap()).unwrap().stderr, 0.04536092116, 1e-11);
        within(mean_error(independent).unwrap().stderr, 0.14213381, 1e-8);
    }

    #[test]
    fn differences_as_scipy() {
        for row in rows(&golden("independent")) {
            let d = numbers(&row["d"]);
            let observations = Observations::new(&d).unwrap();
            let estimate = student(observations, Level::P95).unwrap();
            near(estimate.stderr.unwrap(), number(&row["stderr"]));
            ends(estimate.interval, &row["interval"]);
            near(student_test(observations).unwrap().p, number(&row["p"]));
            let tails = student_tails(observations, 0.0).unwrap();
            near(tails.above, number(&row["above"]));
            near(tails.below, number(&row["below"]));
            near(student_tails(observations, -0.25).unwrap().above, number(&row["above_margin"]));
        }
    }

    #[test]
    fn clusters_of_one_change_nothing() {
        let x = [0.3, 1.5, -2.0, 0.0, 4.5];
        let clusters = Clusters::new(0..5).unwrap();
        let plain = Observations::new(&x).unwrap();
        assert_eq!(mean_error(plain), mean_error(plain.clustered(&clusters).unwrap()));
        let weights = [2.0; 5];
        let weighted = mean_error(plain.weighted(&weights).unwrap()).unwrap();
        within(weighted.stderr, mean_error(plain).unwrap().stderr, 1e-14);
    }

    #[test]
    fn no_spread_is_no_certainty() {
        for value in [0.25, 0.1, 1e9 / 7.0] {
            let alike = [value; 41];
            let alike = Observations::new(&alike).unwrap();
            assert_eq!(student(alike, Level::P95).unwrap_err(), Unfit::NoSpread);
            assert_eq!(student_test(alike).unwrap_err(), Unfit::NoSpread);
        }
    }
}
