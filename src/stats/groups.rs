//! A group of tasks from its parts, each with its own error: over all documents (micro), or over the parts alike (macro).
//!
//! `SE = √Σ(n_k·se_k)² / Σn_k` and `SE = √Σse_k² / K`: the parts are strata, and only what varies within them is noise. Both speak of
//! further documents of these very parts. The reference's pooled error ([`super::pooled_stderr`]) agrees with micro where parts are
//! alike; mixing the spread between parts into it, as older versions did, made ± 0.11 of MMLU. Who asks about *other* parts (another set
//! of subjects) takes the parts as clusters instead.
//!
//! Cochran (1977), Sampling Techniques, 5.4; degrees of freedom by Satterthwaite (1946), Biometrics Bulletin 2. Misleads where parts
//! without any spread (all right, all wrong) add no error: it says how many there are.

use super::given::{Clusters, Level, Observations, Unfit};
use super::interval::{Caution, Interval, IntervalEstimate, Scope, Test};
use super::method::Method;
use super::special::student_tail;
use super::student::mean_error;

/// A part of a group: its mean and its error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part {
    value: f64,
    stderr: f64,
    documents: usize,
    freedom: f64,
    /// Clusters that its documents stand in, where they do.
    clusters: Option<usize>,
}

impl Part {
    /// The mean of independent documents with its error.
    ///
    /// # Errors
    /// With fewer than two documents, or figures that are not finite, or a negative error.
    pub fn new(value: f64, stderr: f64, documents: usize) -> Result<Part, Unfit> {
        if documents < 2 {
            return Err(Unfit::TooFew { what: "documents", n: documents, least: 2 });
        }
        if !value.is_finite() || !stderr.is_finite() || stderr < 0.0 {
            return Err(Unfit::NotFinite { at: 0 });
        }
        Ok(Part { value, stderr, documents, freedom: documents as f64 - 1.0, clusters: None })
    }

    /// The mean of observations, by clusters where there are such.
    ///
    /// # Errors
    /// When sums leave the range of numbers.
    pub fn of(observations: Observations<'_>) -> Result<Part, Unfit> {
        let error = mean_error(observations)?;
        let clusters = observations.clusters().map(Clusters::count);
        Ok(Part { freedom: error.freedom, clusters, ..Part::new(error.mean, error.stderr, observations.n())? })
    }
}

impl Part {
    /// How many documents it has.
    pub fn documents(&self) -> usize {
        self.documents
    }
}

/// How parts count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weighting {
    /// Each by its documents: the mean over all documents.
    Micro,
    /// All alike: the mean of the parts' means.
    Macro,
}

/// A group's mean with its error.
struct Whole {
    value: f64,
    variance: f64,
    /// Satterthwaite's degrees of freedom.
    freedom: f64,
    documents: usize,
}

fn whole(parts: &[Part], weighting: Weighting) -> Result<Whole, Unfit> {
    let documents: usize = parts.iter().map(|part| part.documents).sum();
    if parts.is_empty() {
        return Err(Unfit::TooFew { what: "parts", n: 0, least: 1 });
    }
    let share = |part: &Part| match weighting {
        Weighting::Micro => part.documents as f64 / documents as f64,
        Weighting::Macro => 1.0 / parts.len() as f64,
    };
    let variances = || parts.iter().map(|part| (share(part) * part.stderr).powi(2));
    let variance: f64 = variances().sum();
    if variance == 0.0 {
        return Err(Unfit::NoSpread);
    }
    let squares: f64 = parts.iter().zip(variances()).map(|(part, v)| v * v / part.freedom).sum();
    let value: f64 = parts.iter().map(|part| share(part) * part.value).sum();
    Ok(Whole { value, variance, freedom: variance * variance / squares, documents })
}

/// What to beware of in these parts.
fn cautions(parts: &[Part]) -> Vec<Caution> {
    let fewest = parts.iter().filter_map(|part| part.clusters).min().filter(|count| *count < Caution::CLUSTERS);
    let without = parts.iter().filter(|part| part.stderr == 0.0).count();
    let few = fewest.map(|clusters| Caution::FewClusters { clusters });
    let still = (without > 0).then_some(Caution::PartsWithoutSpread { parts: without });
    few.into_iter().chain(still).collect()
}

/// Two-sided test of "the group's mean is 0" over further documents of these parts: on differences, of "nothing changed".
///
/// # Errors
/// As [`group`].
pub fn group_test(parts: &[Part], weighting: Weighting) -> Result<Test, Unfit> {
    let Whole { value, variance, freedom, .. } = whole(parts, weighting)?;
    Ok(Test {
        p: (2.0 * student_tail(value.abs() / variance.sqrt(), freedom)).min(1.0),
        method: match weighting {
            Weighting::Micro => Method::Micro,
            Weighting::Macro => Method::Macro,
        },
        scope: Scope::Population,
        cautions: cautions(parts),
    })
}

/// The group's mean with its interval over further documents of these parts.
///
/// # Errors
/// Without parts, and when none of them has any spread.
pub fn group(parts: &[Part], weighting: Weighting, level: Level) -> Result<IntervalEstimate, Unfit> {
    let Whole { value, variance, freedom, documents } = whole(parts, weighting)?;
    let half = level.t(freedom) * variance.sqrt();
    Ok(IntervalEstimate {
        value,
        stderr: Some(variance.sqrt()),
        interval: Interval::new(value - half, value + half).ok_or(Unfit::NotFinite { at: 0 })?,
        level,
        method: match weighting {
            Weighting::Micro => Method::Micro,
            Weighting::Macro => Method::Macro,
        },
        scope: Scope::Population,
        n: documents,
        units: documents,
        cautions: cautions(parts),
    })
}

#[cfg(test)]
mod tests {
    use super::super::golden::{ends, golden, near, number, numbers};
    use super::*;

    /// Two parts alike: half of Welch's interval for the difference to the negated second one (`scipy.stats.ttest_ind`).
    #[test]
    fn two_parts_as_welch() {
        let golden = golden("groups");
        let (x, y) = (numbers(&golden["x"]), numbers(&golden["y"]));
        let parts = [&x, &y].map(|values| Part::of(Observations::new(values).unwrap()).unwrap());
        ends(group(&parts, Weighting::Macro, Level::P95).unwrap().interval, &golden["macro"]);
        let micro = group(&parts, Weighting::Micro, Level::P95).unwrap();
        near(micro.stderr.unwrap(), number(&golden["micro_stderr"]));
        near(micro.value, x.iter().chain(&y).sum::<f64>() / 39.0);
        // The interval at the level of the test's p ends at 0.
        let parts = parts.map(|part| Part { value: part.value - 0.9 * x[0], ..part });
        for weighting in [Weighting::Micro, Weighting::Macro] {
            let p = group_test(&parts, weighting).unwrap().p;
            let interval = group(&parts, weighting, Level::new(1.0 - p).unwrap()).unwrap().interval;
            let nearest = interval.low().abs().min(interval.high().abs());
            assert!(nearest < 1e-9 * interval.width().max(1.0), "{p} {interval:?}");
        }
    }

    /// By hand, and the reference's unweighted error: √(0.05² + 0.02² + 0.11²)/3.
    #[test]
    fn each_part_its_own_error() {
        let parts = [(0.3, 0.05, 100), (0.5, 0.02, 400), (0.9, 0.11, 20)];
        let parts = parts.map(|(value, stderr, n)| Part::new(value, stderr, n).unwrap());
        near(group(&parts, Weighting::Macro, Level::P95).unwrap().stderr.unwrap(), 0.0408248290463863);
        let micro = (5.0f64.powi(2) + 8.0f64.powi(2) + 2.2f64.powi(2)).sqrt() / 520.0;
        near(group(&parts, Weighting::Micro, Level::P95).unwrap().stderr.unwrap(), micro);
    }

    #[test]
    fn parts_without_spread_are_named() {
        let parts = [Part::new(1.0, 0.0, 50).unwrap(), Part::new(0.5, 0.05, 100).unwrap()];
        let estimate = group(&parts, Weighting::Macro, Level::P95).unwrap();
        assert_eq!(estimate.cautions, [Caution::PartsWithoutSpread { parts: 1 }]);
        assert_eq!(group(&parts[..1], Weighting::Macro, Level::P95).unwrap_err(), Unfit::NoSpread);
        assert!(group(&[], Weighting::Micro, Level::P95).is_err());
        let clusters = Clusters::new([0, 0, 1, 1, 2, 2]).unwrap();
        let values = [1.0, 0.0, 1.0, 1.0, 0.0, 0.0];
        let clustered = Part::of(Observations::new(&values).unwrap().clustered(&clusters).unwrap()).unwrap();
        let estimate = group(&[clustered, parts[1]], Weighting::Macro, Level::P95).unwrap();
        assert_eq!(estimate.cautions, [Caution::FewClusters { clusters: 3 }]);
        assert!(
            Part::new(0.5, -0.1, 10).is_err()
                && Part::new(0.5, f64::NAN, 10).is_err()
                && Part::new(0.5, 0.1, 1).is_err()
        );
    }
}
