//! What goes out: a value with its interval, or a test's p, each with the question that it answers and what to beware of.

use std::fmt;

use serde::Serialize;

use super::given::Level;
use super::method::Method;

/// Which question a figure answers. The same numbers have another error for each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// How was it on these documents? What was seen is the answer.
    Documents,
    /// How would it be if the same documents were asked again? Only answers vary.
    Reruns,
    /// How would it be on further documents of this kind? Documents vary, and with them everything.
    Population,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Scope::Documents => "documents",
            Scope::Reruns => "reruns",
            Scope::Population => "population",
        })
    }
}

/// Two finite ends in order.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    low: f64,
    high: f64,
}

impl Interval {
    /// `None` unless both ends are finite and in order.
    pub fn new(low: f64, high: f64) -> Option<Interval> {
        (low.is_finite() && high.is_finite() && low <= high).then_some(Interval { low, high })
    }

    /// Of two ends that the method makes finite, in whatever order rounding left them.
    pub(super) fn spanning(low: f64, high: f64) -> Interval {
        debug_assert!(low.is_finite() && high.is_finite(), "{low} to {high}");
        Interval { low: low.min(high), high: high.max(low) }
    }

    pub fn low(self) -> f64 {
        self.low
    }

    pub fn high(self) -> f64 {
        self.high
    }

    pub fn width(self) -> f64 {
        self.high - self.low
    }

    pub fn contains(self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// The interval of the negated figure: what `candidate - base` becomes when the two change places.
    pub fn mirrored(self) -> Interval {
        Interval { low: -self.high, high: -self.low }
    }

    /// The least interval that holds both.
    pub fn hull(self, other: Interval) -> Interval {
        Interval { low: self.low.min(other.low), high: self.high.max(other.high) }
    }
}

/// What a reader must know to trust a figure no further than it goes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Caution {
    /// Errors made of a few clusters can be far too small.
    FewClusters { clusters: usize },
    /// Too few values for the normal theory behind the method.
    FewValues { n: usize },
    /// Too few successes or failures for the normal theory behind the method.
    FewOfEither { successes: f64, failures: f64 },
    /// The claim is about further clusters, not about further values of these.
    OtherClusters { clusters: usize },
    /// All values are alike: each cluster was taken for one value.
    ClustersAsValues { clusters: usize },
    /// Parts without any spread of their own add no error.
    PartsWithoutSpread { parts: usize },
}

impl fmt::Display for Caution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Caution::FewClusters { clusters } => {
                write!(
                    f,
                    "only {clusters} clusters: an error made of fewer than {} can be far too small",
                    Caution::CLUSTERS
                )
            }
            Caution::FewValues { n } => {
                write!(f, "only {n} values: below {} the normal theory behind it does not hold", Caution::VALUES)
            }
            Caution::FewOfEither { successes, failures } => write!(
                f,
                "{successes} successes and {failures} failures: with fewer than {} of either the normal theory behind it does not hold",
                Caution::OF_EITHER
            ),
            Caution::OtherClusters { clusters } => {
                write!(f, "speaks of clusters like these {clusters}, not of further documents of the same ones")
            }
            Caution::ClustersAsValues { clusters } => {
                write!(f, "all answers are alike: each of the {clusters} clusters counts as one answer")
            }
            Caution::PartsWithoutSpread { parts } => {
                write!(f, "{parts} parts have equal scores only and add no error, so that the whole is too small")
            }
        }
    }
}

impl Caution {
    /// Fewer clusters than this are warned of (Cameron and Miller 2015 speak of 20 to 50).
    pub const CLUSTERS: usize = 30;
    /// Fewer values than this are no matter for normal theory.
    pub const VALUES: usize = 30;
    /// Fewer successes or failures than this neither.
    pub const OF_EITHER: usize = 5;
}

/// A value with its interval.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IntervalEstimate {
    pub value: f64,
    /// `None` where the method has none (an interval that is no multiple of an error).
    pub stderr: Option<f64>,
    pub interval: Interval,
    pub level: Level,
    pub method: Method,
    pub scope: Scope,
    /// Values (or pairs) that went in.
    pub n: usize,
    /// Units that were drawn independently: clusters where there are such, else `n`.
    pub units: usize,
    pub cautions: Vec<Caution>,
}

impl IntervalEstimate {
    /// What was seen, as the answer about these very documents: no noise, no width.
    ///
    /// Right for an engine that gives the same answers every time. `None` unless the value is finite.
    pub fn of_these_documents(value: f64, n: usize) -> Option<IntervalEstimate> {
        Some(IntervalEstimate {
            value,
            stderr: None,
            interval: Interval::new(value, value)?,
            level: Level::P95,
            method: Method::Counted,
            scope: Scope::Documents,
            n,
            units: n,
            cautions: Vec::new(),
        })
    }
}

/// How likely data at least as far from "no difference" are, were there none. Never shown without an interval.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Test {
    /// Two-sided, in [0, 1].
    pub p: f64,
    pub method: Method,
    pub scope: Scope,
    pub cautions: Vec<Caution>,
}

/// The two one-sided tests of one threshold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Tails {
    /// How likely data at least as high are, were the truth at the threshold or below: small speaks for "above".
    pub above: f64,
    /// How likely data at least as low are, were the truth at the threshold or above: small speaks for "below".
    pub below: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_finite_and_in_order() {
        assert!(Interval::new(1.0, 0.0).is_none());
        assert!(Interval::new(f64::NAN, 0.0).is_none());
        assert!(Interval::new(0.0, f64::INFINITY).is_none());
        let interval = Interval::new(-1.0, 3.0).unwrap();
        assert_eq!((interval.mirrored().low(), interval.mirrored().high()), (-3.0, 1.0));
        assert_eq!(interval.width(), 4.0);
        assert!(interval.contains(3.0) && !interval.contains(3.1));
        assert_eq!(interval.hull(interval.mirrored()), Interval::new(-3.0, 3.0).unwrap());
    }

    #[test]
    fn these_documents_have_no_noise() {
        let seen = IntervalEstimate::of_these_documents(0.75, 4).unwrap();
        assert_eq!((seen.scope, seen.interval.width()), (Scope::Documents, 0.0));
        assert!(IntervalEstimate::of_these_documents(f64::NAN, 4).is_none());
    }
}
