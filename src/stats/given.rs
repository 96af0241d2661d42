//! What comes in: finite numbers, at least two of them, with weights and clusters that fit; and how sure one wants to be.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;

use serde::{Serialize, Serializer};

use super::special;

/// Why there is no such figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Unfit {
    /// Fewer values, documents or clusters than the method needs.
    TooFew { what: &'static str, n: usize, least: usize },
    /// A value that is no finite number.
    NotFinite { at: usize },
    /// Two lists that belong together and differ in length.
    Lengths { values: usize, others: usize },
    /// A weight that is not positive and finite.
    Weight { at: usize },
    /// More of something than there is in all.
    Count { count: usize, n: usize },
    /// A number that had to lie strictly inside a range, by what it is.
    Outside { what: &'static str, value: f64, low: f64, high: f64 },
    /// A value that is neither 0 nor 1 where answers are right or wrong.
    NotBinary { at: usize },
    /// All values are alike, and the method lives on their spread.
    NoSpread,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unfit::TooFew { what, n, least } => write!(f, "{n} {what}, where at least {least} are needed"),
            Unfit::NotFinite { at } => write!(f, "value {} is no finite number", at + 1),
            Unfit::Lengths { values, others } => write!(f, "{values} values with {others} partners"),
            Unfit::Weight { at } => write!(f, "weight {} is not a positive number", at + 1),
            Unfit::Count { count, n } => write!(f, "{count} of only {n}"),
            Unfit::Outside { what, value, low, high } => write!(f, "{what} {value} is not between {low} and {high}"),
            Unfit::NotBinary { at } => write!(f, "value {} is neither 0 nor 1", at + 1),
            Unfit::NoSpread => write!(f, "all values are alike, so that their spread says nothing of further ones"),
        }
    }
}

impl std::error::Error for Unfit {}

/// `value` if it lies strictly between `low` and `high`.
pub(super) fn inside(what: &'static str, value: f64, low: f64, high: f64) -> Result<f64, Unfit> {
    if value > low && value < high { Ok(value) } else { Err(Unfit::Outside { what, value, low, high }) }
}

/// How often an interval holds the truth: the confidence of a two-sided interval, with half of the rest on each side.
///
/// Each end alone is a one-sided bound: the ends of a 90 % interval are bounds at α = 0.05.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Level(f64);

impl Level {
    pub const P90: Level = Level(0.90);
    pub const P95: Level = Level(0.95);
    pub const P99: Level = Level(0.99);

    /// # Errors
    /// Unless `confidence` lies strictly between 0 and 1.
    pub fn new(confidence: f64) -> Result<Level, Unfit> {
        inside("a confidence of", confidence, 0.0, 1.0).map(Level)
    }

    /// The level whose ends are one-sided bounds at `alpha`: `1 - 2·alpha`.
    ///
    /// # Errors
    /// Unless `alpha` lies strictly between 0 and 1/2.
    pub fn one_sided(alpha: f64) -> Result<Level, Unfit> {
        inside("an error rate of", alpha, 0.0, 0.5).map(|alpha| Level(1.0 - 2.0 * alpha))
    }

    /// The confidence, strictly between 0 and 1.
    pub fn confidence(self) -> f64 {
        self.0
    }

    /// What is left on each side.
    pub fn tail(self) -> f64 {
        (1.0 - self.0) / 2.0
    }

    /// The normal deviate that belongs to it: 1.96 for 95 %.
    pub fn z(self) -> f64 {
        -special::normal_quantile(self.tail())
    }

    /// Student's deviate with `freedom` degrees of freedom.
    pub(super) fn t(self, freedom: f64) -> f64 {
        special::student_deviate(self.tail(), freedom)
    }
}

impl Serialize for Level {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0)
    }
}

/// Which cluster each value belongs to: a template, a passage, a subject. At least two clusters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clusters {
    of: Vec<u32>,
    count: usize,
}

impl Clusters {
    /// One key a value, equal for values of one cluster.
    ///
    /// # Errors
    /// With fewer than two different keys.
    pub fn new<K: Eq + Hash>(keys: impl IntoIterator<Item = K>) -> Result<Clusters, Unfit> {
        let mut known: HashMap<K, u32> = HashMap::new();
        let of = keys.into_iter().map(|key| {
            let next = known.len() as u32;
            *known.entry(key).or_insert(next)
        });
        let of: Vec<u32> = of.collect();
        let count = known.len();
        if count < 2 {
            return Err(Unfit::TooFew { what: "clusters", n: count, least: 2 });
        }
        Ok(Clusters { of, count })
    }

    /// How many clusters there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// How many values they were made for.
    pub fn values(&self) -> usize {
        self.of.len()
    }

    /// The cluster of each value, numbered from 0 in the order of first appearance.
    pub fn of(&self) -> &[u32] {
        &self.of
    }

    /// How many values each cluster has.
    pub fn sizes(&self) -> Vec<usize> {
        let mut sizes = vec![0; self.count];
        for cluster in &self.of {
            sizes[*cluster as usize] += 1;
        }
        sizes
    }

    /// As many equal clusters as would say as much as these if all values of a cluster were copies of one: `n² / Σ n_g²` (Kish 1965).
    pub fn effective(&self) -> f64 {
        let squares: f64 = self.sizes().iter().map(|size| (*size as f64).powi(2)).sum();
        (self.of.len() as f64).powi(2) / squares
    }
}

/// Finite numbers, at least two, each with a weight and a cluster where there are such.
#[derive(Debug, Clone, Copy)]
pub struct Observations<'a> {
    values: &'a [f64],
    weights: Option<&'a [f64]>,
    clusters: Option<&'a Clusters>,
}

impl<'a> Observations<'a> {
    /// Independent values of equal weight.
    ///
    /// # Errors
    /// With fewer than two values, or one that is not finite.
    pub fn new(values: &'a [f64]) -> Result<Self, Unfit> {
        if values.len() < 2 {
            return Err(Unfit::TooFew { what: "values", n: values.len(), least: 2 });
        }
        match values.iter().position(|value| !value.is_finite()) {
            Some(at) => Err(Unfit::NotFinite { at }),
            None => Ok(Observations { values, weights: None, clusters: None }),
        }
    }

    /// The same values, of which each counts `weights` times: tokens of a text, documents of a group.
    ///
    /// # Errors
    /// With another number of weights than values, or a weight that is not positive and finite.
    pub fn weighted(self, weights: &'a [f64]) -> Result<Self, Unfit> {
        self.fits(weights.len())?;
        match weights.iter().position(|weight| !(weight.is_finite() && *weight > 0.0)) {
            Some(at) => Err(Unfit::Weight { at }),
            None => Ok(Observations { weights: Some(weights), ..self }),
        }
    }

    /// The same values, drawn by whole clusters.
    ///
    /// # Errors
    /// With clusters of another number of values.
    pub fn clustered(self, clusters: &'a Clusters) -> Result<Self, Unfit> {
        self.fits(clusters.of.len())?;
        Ok(Observations { clusters: Some(clusters), ..self })
    }

    fn fits(&self, others: usize) -> Result<(), Unfit> {
        let values = self.values.len();
        if values == others { Ok(()) } else { Err(Unfit::Lengths { values, others }) }
    }

    pub fn values(&self) -> &'a [f64] {
        self.values
    }

    pub fn clusters(&self) -> Option<&'a Clusters> {
        self.clusters
    }

    /// How many values there are.
    pub fn n(&self) -> usize {
        self.values.len()
    }

    /// How many units were drawn independently: clusters, or values where there are none.
    pub fn units(&self) -> usize {
        self.clusters.map_or(self.values.len(), Clusters::count)
    }

    /// Whether all values count the same.
    pub fn unweighted(&self) -> bool {
        self.weights.is_none()
    }

    /// How many values are 1 when all are 0 or 1.
    ///
    /// # Errors
    /// Names the first value that is neither.
    pub fn successes(&self) -> Result<usize, Unfit> {
        match self.values.iter().position(|value| *value != 0.0 && *value != 1.0) {
            Some(at) => Err(Unfit::NotBinary { at }),
            None => Ok(self.values.iter().filter(|value| **value == 1.0).count()),
        }
    }

    pub(super) fn weight(&self, at: usize) -> f64 {
        self.weights.map_or(1.0, |weights| weights[at])
    }

    /// The weighted mean.
    ///
    /// # Errors
    /// When the sums leave the range of numbers.
    pub fn mean(&self) -> Result<f64, Unfit> {
        let total: f64 = (0..self.n()).map(|at| self.weight(at)).sum();
        let sum: f64 = self.values.iter().enumerate().map(|(at, value)| self.weight(at) * value).sum();
        let mean = sum / total;
        if mean.is_finite() { Ok(mean) } else { Err(Unfit::NotFinite { at: 0 }) }
    }

    /// What each independent unit adds: its weight, and the sum of its weighted differences from `centre`.
    ///
    /// Differences are summed, not values, so that nothing is lost where values are large and close together.
    pub(super) fn totals(&self, centre: f64) -> Vec<Total> {
        let one = |at: usize| Total { weight: self.weight(at), sum: self.weight(at) * (self.values[at] - centre) };
        let Some(clusters) = self.clusters else {
            return (0..self.n()).map(one).collect();
        };
        let mut totals = vec![Total { weight: 0.0, sum: 0.0 }; clusters.count];
        for (at, cluster) in clusters.of.iter().enumerate() {
            let (total, value) = (&mut totals[*cluster as usize], one(at));
            total.weight += value.weight;
            total.sum += value.sum;
        }
        totals
    }
}

/// An independent unit's weight and weighted sum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Total {
    pub weight: f64,
    pub sum: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(Observations::new(&[1.0]).unwrap_err(), Unfit::TooFew { what: "values", n: 1, least: 2 });
        assert_eq!(Observations::new(&[1.0, f64::NAN]).unwrap_err(), Unfit::NotFinite { at: 1 });
        assert_eq!(Observations::new(&[f64::INFINITY, 0.0]).unwrap_err(), Unfit::NotFinite { at: 0 });
        let two = Observations::new(&[0.0, 1.0]).unwrap();
        assert_eq!(two.weighted(&[1.0]).unwrap_err(), Unfit::Lengths { values: 2, others: 1 });
        for weight in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(two.weighted(&[1.0, weight]).unwrap_err(), Unfit::Weight { at: 1 });
        }
        assert_eq!(Clusters::new(["a", "a"]).unwrap_err(), Unfit::TooFew { what: "clusters", n: 1, least: 2 });
        let three = Clusters::new([1, 2, 1]).unwrap();
        assert_eq!(two.clustered(&three).unwrap_err(), Unfit::Lengths { values: 2, others: 3 });
        assert!(Observations::new(&[f64::MAX, f64::MAX]).unwrap().mean().is_err());
        for confidence in [0.0, 1.0, -0.5, 95.0, f64::NAN] {
            assert!(Level::new(confidence).is_err());
        }
        assert!(Level::one_sided(0.5).is_err());
        assert_eq!(Level::one_sided(0.05).unwrap(), Level::P90);
    }

    #[test]
    fn clusters_are_numbered_as_they_come() {
        let clusters = Clusters::new(["b", "a", "b", "c"]).unwrap();
        assert_eq!((clusters.of(), clusters.count()), (&[0, 1, 0, 2][..], 3));
        assert_eq!(clusters.sizes(), [2, 1, 1]);
        assert_eq!(clusters.effective(), 16.0 / 6.0);
        assert_eq!(Clusters::new([7, 8, 8, 7]).unwrap().effective(), 2.0);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let said = [
            (Unfit::TooFew { what: "clusters", n: 1, least: 2 }, "1 clusters, where at least 2 are needed"),
            (Unfit::NotFinite { at: 0 }, "value 1 is no finite number"),
            (
                Unfit::Outside { what: "a confidence of", value: 95.0, low: 0.0, high: 1.0 },
                "a confidence of 95 is not between 0 and 1",
            ),
        ];
        for (unfit, text) in said {
            assert_eq!(unfit.to_string(), text);
        }
    }
}
