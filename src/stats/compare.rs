//! Two runs over the same documents: one row of a comparison, and who is best beyond noise.
//!
//! | scores | interval of the difference | p that decides |
//! |---|---|---|
//! | right or wrong | Tango | McNemar, mid-p |
//! | others, 30 documents or more | t of the differences | paired t |
//! | others, fewer | bootstrap-t of the differences | sign flips |
//! | in 30 clusters or more | clustered t; Tango with an effective n where flips are few | clustered t |
//! | in fewer clusters | bootstrap-t by clusters; Tango with an effective n where that has no end | sign flips of clusters |
//!
//! Documents are never taken as two independent samples: what both runs find hard would count as noise then, and hide what differs.

use serde::Serialize;

use super::bootstrap_t::bootstrap_t;
use super::flips::Flips;
use super::given::{Clusters, Level, Observations, Unfit, inside};
use super::interval::{Caution, Interval, IntervalEstimate, Scope, Test};
use super::method::Method;
use super::multiplicity::Correction;
use super::permutation::sign_flips;
use super::power::{Demand, detectable_gain};
use super::resample::Draws;
use super::student::{mean_error, student, student_test};
use super::tango::tango_effective;

/// Scores of two runs on the same documents in the same order.
#[derive(Debug, Clone)]
pub struct Paired<'a> {
    base: &'a [f64],
    candidate: &'a [f64],
    clusters: Option<&'a Clusters>,
    differences: Vec<f64>,
}

/// One row of a comparison: what a candidate gained or lost against its base.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    pub base: f64,
    pub candidate: f64,
    /// `candidate - base` over the same documents.
    pub difference: IntervalEstimate,
    /// The standard error of the difference over pairs (or clusters of them).
    pub stderr: f64,
    /// Where scores are right or wrong: documents that became right, and wrong.
    pub to_right: Option<usize>,
    pub to_wrong: Option<usize>,
    /// The p to decide by.
    pub test: Test,
    /// McNemar's exact p beside it, where scores are right or wrong and independent.
    pub exact: Option<Test>,
    /// How sure one may be that the candidate is better, where scores are right or wrong and independent.
    pub better: Option<f64>,
    /// The least difference that so many documents show in 80 % of cases, with as much changing as did here. `None` where nothing
    /// changed in clusters or in scores that are not right or wrong.
    pub detectable: Option<f64>,
}

impl<'a> Paired<'a> {
    /// # Errors
    /// When the lists differ in length, have fewer than two scores or one that is not finite; with clusters of another number.
    pub fn new(base: &'a [f64], candidate: &'a [f64], clusters: Option<&'a Clusters>) -> Result<Self, Unfit> {
        if base.len() != candidate.len() {
            return Err(Unfit::Lengths { values: base.len(), others: candidate.len() });
        }
        Observations::new(base)?;
        Observations::new(candidate)?;
        let differences: Vec<f64> = base.iter().zip(candidate).map(|(base, candidate)| candidate - base).collect();
        let differences_fit = Observations::new(&differences)?;
        if let Some(clusters) = clusters {
            differences_fit.clustered(clusters)?;
        }
        Ok(Paired { base, candidate, clusters, differences })
    }

    /// `candidate - base` of each document.
    ///
    /// # Errors
    /// Never, for pairs that were made by [`Paired::new`].
    pub fn differences(&self) -> Result<Observations<'_>, Unfit> {
        let observations = Observations::new(&self.differences)?;
        match self.clusters {
            Some(clusters) => observations.clustered(clusters),
            None => Ok(observations),
        }
    }

    /// Who became right and who wrong; `None` where a score is neither 0 nor 1.
    pub fn flips(&self) -> Option<Flips> {
        let right = |scores: &[f64]| -> Option<Vec<bool>> {
            scores.iter().map(|score| (*score == 0.0 || *score == 1.0).then_some(*score == 1.0)).collect()
        };
        Flips::of(&right(self.base)?, &right(self.candidate)?).ok()
    }

    /// The whole row.
    ///
    /// # Errors
    /// When every score changed by the same amount, which says nothing of further documents, or sums leave the range of numbers.
    pub fn compare(&self, level: Level) -> Result<Comparison, Unfit> {
        let differences = self.differences()?;
        let error = mean_error(differences)?;
        let flips = self.flips();
        let independent = flips.filter(|_| self.clusters.is_none());
        Ok(Comparison {
            base: Observations::new(self.base)?.mean()?,
            candidate: Observations::new(self.candidate)?.mean()?,
            difference: self.interval(level)?,
            stderr: error.stderr,
            to_right: flips.map(Flips::to_right),
            to_wrong: flips.map(Flips::to_wrong),
            test: self.test()?,
            exact: independent.map(Flips::mcnemar_exact),
            better: independent.map(Flips::better),
            detectable: self.detectable(error.stderr)?,
        })
    }

    /// The interval of `candidate - base` over further documents of this kind.
    fn interval(&self, level: Level) -> Result<IntervalEstimate, Unfit> {
        let differences = self.differences()?;
        match (self.clusters, self.flips()) {
            (None, Some(flips)) => Ok(flips.tango(level)),
            (Some(clusters), Some(flips)) => of_clustered_flips(differences, clusters, flips, level),
            (_, None) if self.differences.iter().all(|difference| *difference == 0.0) => self.unchanged(level),
            (_, None) if few(differences) => match bootstrap_t(differences, level, Draws::USUAL) {
                // Too many resamples without any spread: what is left is normal theory, which says that it is out of place.
                Err(Unfit::NoSpread) => student(differences, level),
                estimate => estimate,
            },
            (_, None) => student(differences, level),
        }
    }

    /// No score changed: at most `z²/(n+z²)` of further documents would (the end of Wilson's interval of 0 of n), each by no more than
    /// scores differ at all. For scores of 0 and 1 it is Tango's interval.
    fn unchanged(&self, level: Level) -> Result<IntervalEstimate, Unfit> {
        let differences = self.differences()?;
        let n = self.clusters.map_or(self.base.len() as f64, Clusters::effective);
        let ends = |pick: fn(f64, f64) -> f64| self.base.iter().copied().reduce(pick).unwrap_or_default();
        let range = ends(f64::max) - ends(f64::min);
        let end = range * level.z().powi(2) / (n + level.z().powi(2));
        let interval = Interval::new(-end, end).filter(|interval| interval.width() > 0.0).ok_or(Unfit::NoSpread)?;
        Ok(IntervalEstimate {
            value: 0.0,
            stderr: Some(0.0),
            interval,
            level,
            method: Method::Unchanged,
            scope: Scope::Population,
            n: differences.n(),
            units: differences.units(),
            cautions: Vec::new(),
        })
    }

    /// The test to decide by. p is 1 where nothing changed.
    fn test(&self) -> Result<Test, Unfit> {
        let differences = self.differences()?;
        match (self.clusters, self.flips()) {
            (None, Some(flips)) => Ok(flips.mcnemar_mid_p()),
            _ if few(differences) => sign_flips(differences, Draws::USUAL),
            _ => match student_test(differences) {
                Err(Unfit::NoSpread) => sign_flips(differences, Draws::USUAL),
                test => test,
            },
        }
    }

    fn detectable(&self, stderr: f64) -> Result<Option<f64>, Unfit> {
        let n = self.base.len();
        match (self.clusters, self.flips()) {
            (None, Some(flips)) => {
                let gain = if flips.rate() > 0.0 { detectable_gain(flips.rate(), n, Demand::USUAL)? } else { None };
                // Where flips are that rare: the least number of them, all one way, whose mid-p of 2^-b is below α.
                Ok(gain.or(Some(-Demand::USUAL.alpha().log2().floor() / n as f64)))
            }
            _ => Ok((stderr > 0.0).then_some(Demand::USUAL.deviate() * stderr)),
        }
    }
}

/// Whether there are too few independent units for normal theory.
fn few(observations: Observations<'_>) -> bool {
    let least = if observations.clusters().is_some() { Caution::CLUSTERS } else { Caution::VALUES };
    observations.units() < least
}

fn of_clustered_flips(
    differences: Observations<'_>,
    clusters: &Clusters,
    flips: Flips,
    level: Level,
) -> Result<IntervalEstimate, Unfit> {
    let estimate = match few(differences) {
        true => bootstrap_t(differences, level, Draws::USUAL),
        false if flips.to_right().min(flips.to_wrong()) < Caution::OF_EITHER => Err(Unfit::NoSpread),
        false => student(differences, level),
    };
    match estimate {
        Err(Unfit::NoSpread) => tango_effective(differences, clusters, level),
        estimate => estimate,
    }
}

/// Which of several runs over the same documents no other one beats: those that may bear a star. `None` when none is beaten, because
/// then a star would only say who was lucky.
///
/// A run is beaten by one that is better on these documents with a p, by Holm over all pairs of runs, of at most `alpha`. `higher` says
/// whether more is better. Columns that are not starred are worse than *some* column beyond noise; starred ones need not be alike.
///
/// # Errors
/// As [`Paired::new`]; unless `alpha` lies strictly between 0 and 1.
pub fn undefeated(
    columns: &[&[f64]],
    clusters: Option<&Clusters>,
    higher: bool,
    alpha: f64,
) -> Result<Option<Vec<bool>>, Unfit> {
    let mut beaten = Vec::new();
    for (second, candidate) in columns.iter().enumerate() {
        for (first, base) in columns.iter().enumerate().take(second) {
            let paired = Paired::new(base, candidate, clusters)?;
            let gained = paired.differences()?.mean()?;
            beaten.push(Beaten { loser: if (gained > 0.0) == higher { first } else { second }, p: paired.test()?.p });
        }
    }
    undefeated_of(columns.len(), &beaten, alpha)
}

/// Which of two runs is the worse, and the p of the difference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Beaten {
    pub loser: usize,
    pub p: f64,
}

/// The same from tests of all pairs, whatever they are of.
///
/// # Errors
/// Unless `alpha` lies strictly between 0 and 1, and every p between 0 and 1.
pub fn undefeated_of(columns: usize, pairs: &[Beaten], alpha: f64) -> Result<Option<Vec<bool>>, Unfit> {
    let alpha = inside("an error rate of", alpha, 0.0, 1.0)?;
    let ps: Vec<f64> = pairs.iter().map(|pair| pair.p).collect();
    let adjusted = Correction::Holm.adjust(&ps)?;
    let mut starred = vec![true; columns];
    for (pair, _) in pairs.iter().zip(adjusted).filter(|(_, p)| *p <= alpha) {
        starred.iter_mut().skip(pair.loser).take(1).for_each(|star| *star = false);
    }
    Ok(starred.contains(&false).then_some(starred))
}

#[cfg(test)]
mod tests {
    use super::super::golden::{near, within};
    use super::*;

    /// Scores of `n` documents: the base right on the first `base`; of them `to_wrong` become wrong, and `to_right` of the others right.
    fn answers(n: usize, base: usize, to_right: usize, to_wrong: usize) -> (Vec<f64>, Vec<f64>) {
        let right = |at: usize| at < base;
        let after = |at: usize| if at < base { at >= to_wrong } else { at < base + to_right };
        ((0..n).map(|at| f64::from(right(at))).collect(), (0..n).map(|at| f64::from(after(at))).collect())
    }

    /// The example that the package errorbars prints of two COPA runs: n = 20, Δ -.2000, paired SE .1376, t's p .1625, exact p .2891.
    #[test]
    fn the_published_example() {
        let (base, candidate) = answers(20, 14, 2, 6);
        let paired = Paired::new(&base, &candidate, None).unwrap();
        let row = paired.compare(Level::P95).unwrap();
        near(row.difference.value, -0.2);
        within(row.stderr, 0.1376, 5e-5);
        within(row.exact.unwrap().p, 0.2891, 5e-5);
        within(student_test(paired.differences().unwrap()).unwrap().p, 0.1625, 5e-5);
        near(row.test.p, 0.1796875);
        assert_eq!((row.to_right, row.to_wrong, row.test.method), (Some(2), Some(6), Method::McNemarMidP));
        near(row.candidate - row.base, -0.2);
    }

    #[test]
    fn a_run_compared_with_itself() {
        let (base, _) = answers(1319, 900, 0, 0);
        let row = Paired::new(&base, &base, None).unwrap().compare(Level::P95).unwrap();
        let end = Level::P95.z().powi(2) / (1319.0 + Level::P95.z().powi(2));
        near(row.difference.interval.high(), end);
        near(row.difference.interval.low(), -end);
        assert_eq!((row.difference.value, row.to_right, row.to_wrong, row.test.p), (0.0, Some(0), Some(0), 1.0));
        // Five flips one way are the least that p < 0.05 takes.
        near(row.detectable.unwrap(), 5.0 / 1319.0);

        let scores: Vec<f64> = (0..1319).map(|at| f64::from(at % 7) / 3.0).collect();
        let row = Paired::new(&scores, &scores, None).unwrap().compare(Level::P95).unwrap();
        near(row.difference.interval.high(), 2.0 * end);
        assert_eq!((row.difference.method, row.test.p, row.detectable), (Method::Unchanged, 1.0, None));
    }

    #[test]
    fn changing_places_mirrors_the_row() {
        let scores = |shift: usize| -> Vec<f64> { (0..90).map(|at| ((at * 37 + shift) % 11) as f64 / 10.0).collect() };
        let clusters = Clusters::new((0..90).map(|at| at % 45)).unwrap();
        let (base, candidate) = answers(90, 50, 12, 9);
        for clusters in [None, Some(&clusters)] {
            for (base, candidate) in [(&base, &candidate), (&scores(0), &scores(3))] {
                let row = |a, b| Paired::new(a, b, clusters).unwrap().compare(Level::P95).unwrap();
                let (there, back) = (row(base, candidate), row(candidate, base));
                near(there.difference.interval.low(), -back.difference.interval.high());
                near(there.difference.interval.high(), -back.difference.interval.low());
                near(there.test.p, back.test.p);
                assert_eq!((there.to_right, there.to_wrong), (back.to_wrong, back.to_right));
                assert_eq!(there.detectable, back.detectable);
            }
        }
    }

    #[test]
    fn few_clusters_take_sign_flips_and_bootstrap() {
        let (base, candidate) = answers(90, 50, 12, 9);
        let clusters = Clusters::new((0..90).map(|at| at / 10)).unwrap();
        let row = Paired::new(&base, &candidate, Some(&clusters)).unwrap().compare(Level::P95).unwrap();
        assert_eq!((row.test.method, row.exact, row.better), (Method::SignFlipsExact, None, None));
        assert!(row.difference.cautions.contains(&Caution::FewClusters { clusters: 9 }));
        let still = Paired::new(&base, &base, Some(&clusters)).unwrap().compare(Level::P95).unwrap();
        assert_eq!((still.difference.method, still.test.p), (Method::TangoEffective, 1.0));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(Paired::new(&[1.0, 0.0], &[1.0], None).is_err());
        assert!(Paired::new(&[1.0], &[1.0], None).is_err());
        assert!(Paired::new(&[1.0, f64::NAN], &[1.0, 0.0], None).is_err());
        // Each score 0.1 higher: no spread, no claim.
        let (low, high) = ([0.25; 40], [0.5; 40]);
        assert_eq!(Paired::new(&low, &high, None).unwrap().compare(Level::P95).unwrap_err(), Unfit::NoSpread);
    }

    #[test]
    fn stars_are_beyond_noise() {
        let (base, little) = answers(160, 105, 6, 2);
        let (_, worse) = answers(160, 105, 0, 40);
        assert_eq!(undefeated(&[&base, &little], None, true, 0.05), Ok(None));
        let stars = |higher| undefeated(&[&base, &worse, &little], None, higher, 0.05).unwrap();
        assert_eq!(stars(true), Some(vec![true, false, true]));
        // Where less is better, the one with the fewest wins alone.
        assert_eq!(stars(false), Some(vec![false, true, false]));
        assert_eq!(undefeated(&[&base], None, true, 0.05), Ok(None));
        assert!(undefeated(&[&base, &worse[..2]], None, true, 0.05).is_err());
    }
}
