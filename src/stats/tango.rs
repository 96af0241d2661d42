//! The difference of two shares over the same documents: Tango's score interval, and Bonett and Price's.
//!
//! Tango's interval holds every Δ that a score test does not refuse: `|b - c - nΔ| = z√(n(2q̂ + Δ(1-Δ)))`, with q̂ the likeliest share of
//! flips to wrong given Δ: `q̂ = (√(B²-4AC) - B)/2A`, `A = 2n`, `B = -b-c+(2n-b+c)Δ`, `C = -cΔ(1-Δ)`. Without flips it is `±z²/(n+z²)`: "no
//! answer changed" is not "no difference". Tango (1998), Statistics in Medicine 17.
//!
//! Bonett and Price (2012), J. Educational and Behavioral Statistics 37: the normal interval with one flip more each way. Both mislead
//! where documents depend on each other; Bonett-Price is also too long where flips are rare.

use super::flips::Flips;
use super::given::{Clusters, Level, Observations, Unfit, inside};
use super::interval::{Caution, Interval, IntervalEstimate, Scope, Tails};
use super::method::Method;
use super::special::{normal_cdf, root};
use super::student::clustered_variance;

impl Flips {
    /// Tango's score interval of what the candidate gained, `(b - c)/n`.
    pub fn tango(self, level: Level) -> IntervalEstimate {
        let (low, high) = Pairs::of(self).ends(level.z());
        self.estimate(low, high, level, Method::Tango)
    }

    /// Score tests of "gained at most `at`" and "gained at least `at`", which refuse exactly where an end of Tango's interval passes `at`.
    ///
    /// # Errors
    /// Unless `at` lies strictly between -1 and 1.
    pub fn tails(self, at: f64) -> Result<Tails, Unfit> {
        let pairs = Pairs::of(self);
        let at = inside("a difference of", at, -1.0, 1.0)?;
        let (distance, error) = (pairs.distance(at), pairs.error(at));
        // At 0 without flips both are 0: what was seen is what was supposed.
        let z = if distance == 0.0 { 0.0 } else { distance / error };
        Ok(Tails { above: normal_cdf(-z), below: normal_cdf(z) })
    }

    /// Bonett and Price's interval: `(b'-c')/n' ± z√((b'+c'-(b'-c')²/n')/n'²)` with one flip more each way and two documents more.
    pub fn bonett_price(self, level: Level) -> IntervalEstimate {
        let (b, c, n) = (self.to_right() as f64 + 1.0, self.to_wrong() as f64 + 1.0, self.n() as f64 + 2.0);
        let centre = (b - c) / n;
        let half = level.z() * ((b + c - (b - c) * (b - c) / n) / (n * n)).sqrt();
        self.estimate((centre - half).max(-1.0), (centre + half).min(1.0), level, Method::BonettPrice)
    }

    fn estimate(self, low: f64, high: f64, level: Level, method: Method) -> IntervalEstimate {
        IntervalEstimate {
            value: self.difference(),
            stderr: None,
            interval: Interval::spanning(low, high),
            level,
            method,
            scope: Scope::Population,
            n: self.n(),
            units: self.n(),
            cautions: Vec::new(),
        }
    }
}

/// Flips each way of `n` pairs, which need not be whole ones.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pairs {
    pub b: f64,
    pub c: f64,
    pub n: f64,
}

impl Pairs {
    pub(super) fn of(flips: Flips) -> Pairs {
        Pairs { b: flips.to_right() as f64, c: flips.to_wrong() as f64, n: flips.n() as f64 }
    }

    /// The same rates in `n` pairs.
    pub(super) fn scaled(self, n: f64) -> Pairs {
        Pairs { b: self.b * n / self.n, c: self.c * n / self.n, n }
    }

    fn distance(self, delta: f64) -> f64 {
        self.b - self.c - self.n * delta
    }

    /// The error of the distance if the truth is `delta`.
    fn error(self, delta: f64) -> f64 {
        let Pairs { b, c, n } = self;
        let (two_a, linear, free) = (2.0 * (2.0 * n), -b - c + (2.0 * n - b + c) * delta, -c * delta * (1.0 - delta));
        let under = (linear * linear - 2.0 * two_a * free).max(0.0).sqrt();
        // The root with its digits: the difference of two near ones is taken the other way round.
        let q = if linear > 0.0 { -2.0 * free / (under + linear) } else { (under - linear) / two_a };
        let q = if q.is_finite() { q } else { 0.0 };
        (n * (2.0 * q + delta * (1.0 - delta))).max(0.0).sqrt()
    }

    /// Where the distance is `z` errors on either side.
    pub(super) fn ends(self, z: f64) -> (f64, f64) {
        let Pairs { b, c, n } = self;
        if b + c == 0.0 {
            let end = z * z / (n + z * z);
            return (-end, end);
        }
        // Where all changed one way distance and error are both nothing at the middle itself, which is no end: beside it they are not.
        let middle = match (b - c) / n {
            middle if middle.abs() == 1.0 => middle * (1.0 - 1e-12),
            middle => middle,
        };
        let low = root(|delta| self.distance(delta) - z * self.error(delta), -1.0, middle);
        let high = root(|delta| self.distance(delta) + z * self.error(delta), middle, 1.0);
        (low, high)
    }
}

/// Tango's interval for documents in clusters: with as many pairs as would have the clustered error if they were independent, and
/// Student's deviate of G-1 degrees for z.
///
/// `n_e = (φ - D²) / Var_CR1`, at most n; without flips Kish's `n² / Σ n_g²`. The design effect as in [`super::wilson_effective`]. Misleads
/// with few clusters.
///
/// # Errors
/// When a difference is none of -1, 0, 1.
pub fn tango_effective(
    differences: Observations<'_>,
    clusters: &Clusters,
    level: Level,
) -> Result<IntervalEstimate, Unfit> {
    let differences = differences.clustered(clusters)?;
    let values = differences.values();
    if let Some(at) = values.iter().position(|value| ![-1.0, 0.0, 1.0].contains(value)) {
        return Err(Unfit::NotBinary { at });
    }
    let count = |of: f64| values.iter().filter(|value| **value == of).count();
    let flips = Flips::new(count(1.0), count(-1.0), values.len())?;
    let difference = flips.difference();
    let variance = clustered_variance(differences, difference);
    let mut cautions = vec![Caution::OtherClusters { clusters: clusters.count() }];
    let alike = flips.rate() - difference * difference;
    let effective = if alike == 0.0 {
        cautions.push(Caution::ClustersAsValues { clusters: clusters.count() });
        clusters.effective()
    } else {
        (alike / variance).clamp(1.0, flips.n() as f64)
    };
    if clusters.count() < Caution::CLUSTERS {
        cautions.push(Caution::FewClusters { clusters: clusters.count() });
    }
    let (low, high) = Pairs::of(flips).scaled(effective).ends(level.t(clusters.count() as f64 - 1.0));
    Ok(IntervalEstimate {
        stderr: Some(variance.sqrt()),
        units: clusters.count(),
        cautions,
        ..flips.estimate(low, high, level, Method::TangoEffective)
    })
}

#[cfg(test)]
mod tests {
    //! Expected values: Tango (1998) for (1, 7, 21); the golden file, where the restricted likelihood is maximised numerically.
    use super::super::golden::{count, ends, golden, near, numbers, rows, within};
    use super::*;

    fn flips(b: usize, c: usize, n: usize) -> Flips {
        Flips::new(b, c, n).unwrap()
    }

    #[test]
    fn as_the_likelihood_has_it() {
        for row in rows(&golden("pairs")) {
            let flips = flips(count(&row["b"]), count(&row["c"]), count(&row["n"]));
            for (level, name) in [(Level::P95, "tango"), (Level::P90, "tango90")] {
                let (interval, expected) = (flips.tango(level).interval, numbers(&row[name]));
                within(interval.low(), expected[0], 1e-8);
                within(interval.high(), expected[1], 1e-8);
            }
            let (interval, expected) = (flips.bonett_price(Level::P95).interval, numbers(&row["bonett_price"]));
            near(interval.low(), expected[0].max(-1.0));
            near(interval.high(), expected[1].min(1.0));
        }
    }

    #[test]
    fn published_figures() {
        let published = [
            (flips(1, 7, 21), -0.51723227, -0.02600303),
            (flips(2, 3, 20), -0.29229651, 0.19461929),
            (flips(31, 17, 1319), 0.00033200, 0.02159631),
        ];
        for (flips, low, high) in published {
            let interval = flips.tango(Level::P95).interval;
            within(interval.low(), low, 1e-7);
            within(interval.high(), high, 1e-7);
        }
        let interval = flips(31, 17, 1319).bonett_price(Level::P95).interval;
        within(interval.low(), 0.00012229, 1e-8);
        within(interval.high(), 0.02107378, 1e-8);
    }

    #[test]
    fn no_flips_are_no_certainty() {
        let interval = flips(0, 0, 1319).tango(Level::P95).interval;
        let square = Level::P95.z().powi(2);
        near(interval.high(), square / (1319.0 + square));
        near(interval.low(), -interval.high());
        within(interval.high(), 0.0029, 1e-5);
    }

    #[test]
    fn changing_places_mirrors_it() {
        for (b, c, n) in [(1, 7, 21), (0, 5, 30), (20, 0, 20), (3, 3, 9), (400, 350, 100_000)] {
            let (there, back) = (flips(b, c, n), flips(b, c, n).mirrored());
            for method in [Flips::tango, Flips::bonett_price] {
                let mirrored = method(back, Level::P95).interval.mirrored();
                within(method(there, Level::P95).interval.low(), mirrored.low(), 1e-12);
                within(method(there, Level::P95).interval.high(), mirrored.high(), 1e-12);
            }
        }
    }

    #[test]
    fn tails_refuse_where_the_interval_ends() {
        let interval = flips(31, 17, 1319).tango(Level::P95).interval;
        near(flips(31, 17, 1319).tails(interval.low()).unwrap().above, 0.025);
        near(flips(31, 17, 1319).tails(interval.high()).unwrap().below, 0.025);
        assert_eq!(flips(0, 0, 50).tails(0.0).unwrap(), Tails { above: 0.5, below: 0.5 });
        assert!(flips(0, 0, 50).tails(1.0).is_err());
    }

    #[test]
    fn clusters_widen_it() {
        let golden = golden("effective");
        let (d, keys) = (numbers(&golden["d"]), rows(&golden["g"]));
        let clusters = Clusters::new(keys.iter().map(|key| key.as_u64())).unwrap();
        let estimate = tango_effective(Observations::new(&d).unwrap(), &clusters, Level::P95).unwrap();
        let expected = numbers(&golden["tango"]);
        within(estimate.interval.low(), expected[0], 1e-8);
        within(estimate.interval.high(), expected[1], 1e-8);
        ends(estimate.interval.mirrored().mirrored(), &golden["tango"]);
        let still = tango_effective(Observations::new(&[0.0; 16]).unwrap(), &clusters, Level::P95).unwrap();
        assert!(still.interval.high() > 0.5 && still.cautions.contains(&Caution::ClustersAsValues { clusters: 4 }));
        let half = [0.5; 16];
        assert!(tango_effective(Observations::new(&half).unwrap(), &clusters, Level::P95).is_err());
    }
}
