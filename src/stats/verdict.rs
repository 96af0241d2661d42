//! Decisions: an interval against a threshold, several of them together, and how many documents would decide.
//!
//! An interval that lies wholly on one side decides; one that holds the threshold does not, and neither answer would be honest. Each
//! end of an interval at level `1 - 2α` is a bound at α. "All pass" is an intersection-union claim: each at α, no correction (Berger
//! 1982, Technometrics 24). "Something failed" is a claim about many: Holm over the tests.

use serde::Serialize;

use super::flips::Flips;
use super::given::{Level, Unfit};
use super::interval::Interval;
use super::multiplicity::Correction;
use super::proportion::Proportion;
use super::student::MeanError;
use super::tango::Pairs;

/// What an interval says of a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Pass,
    Inconclusive,
    Fail,
}

impl Verdict {
    /// "At least `floor`": equality passes, so that what is exactly at the floor passes where there is no noise.
    pub fn at_least(interval: Interval, floor: f64) -> Verdict {
        if interval.low() >= floor {
            Verdict::Pass
        } else if interval.high() < floor {
            Verdict::Fail
        } else {
            Verdict::Inconclusive
        }
    }

    /// "At most `ceiling`": equality passes.
    pub fn at_most(interval: Interval, ceiling: f64) -> Verdict {
        Verdict::at_least(interval.mirrored(), -ceiling)
    }

    /// All must pass: fails when one does, else is undecided when one is. The chance that all pass though one should not is at most
    /// each one's α.
    pub fn all(verdicts: impl IntoIterator<Item = Verdict>) -> Verdict {
        verdicts.into_iter().max().unwrap_or(Verdict::Pass)
    }
}

/// Which of several gates have failed when "something failed" shall be wrong with a chance of at most `alpha`: Holm over the p of "at
/// or above the threshold" ([`super::Tails::below`]).
///
/// # Errors
/// When a p is not in [0, 1].
pub fn failures(ps: &[f64], alpha: f64) -> Result<Vec<bool>, Unfit> {
    Ok(Correction::Holm.adjust(ps)?.into_iter().map(|p| p <= alpha).collect())
}

/// How many values would decide against `threshold`, were the truth what was seen. `None` where it lies on the threshold itself.
pub trait Deciding {
    /// The least number of values whose interval at `level` leaves `threshold` out.
    fn decides(&self, threshold: f64, level: Level) -> Option<u64>;
}

impl Deciding for Proportion {
    fn decides(&self, threshold: f64, level: Level) -> Option<u64> {
        let z = level.z();
        // Wilson's interval leaves out what the score test refuses: |p̂-p0| > z√(p0(1-p0)/n).
        whole((z / (self.value() - threshold)).powi(2) * threshold * (1.0 - threshold))
    }
}

impl Deciding for Flips {
    fn decides(&self, threshold: f64, level: Level) -> Option<u64> {
        if self.difference() == threshold {
            return None;
        }
        let outside = |n: u64| {
            let (low, high) = Pairs::of(*self).scaled(n as f64).ends(level.z());
            threshold < low || threshold > high
        };
        least(outside)
    }
}

impl Deciding for MeanError {
    fn decides(&self, threshold: f64, level: Level) -> Option<u64> {
        let spread = self.stderr * (self.freedom + 1.0).sqrt();
        let gap = (self.mean - threshold).abs();
        if gap == 0.0 {
            return None;
        }
        least(|n| n >= 2 && level.t(n as f64 - 1.0) * spread / (n as f64).sqrt() < gap)
    }
}

/// The next whole number, two at least.
fn whole(n: f64) -> Option<u64> {
    (n < 1e15).then(|| (n.floor() as u64 + 1).max(2))
}

/// The least number from 2 on that `decides`, which larger ones do as well. `None` above 10^12.
fn least(decides: impl Fn(u64) -> bool) -> Option<u64> {
    let mut high = 2;
    while !decides(high) {
        high *= 2;
        if high > 1_000_000_000_000 {
            return None;
        }
    }
    let mut low = high / 2;
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if decides(middle) { high = middle } else { low = middle }
    }
    Some(high)
}

#[cfg(test)]
mod tests {
    use super::super::given::Observations;
    use super::super::student::{mean_error, student};
    use super::*;

    fn interval(low: f64, high: f64) -> Interval {
        Interval::new(low, high).unwrap()
    }

    #[test]
    fn a_whole_interval_decides() {
        let cases = [(0.70, 0.75, Verdict::Pass), (0.60, 0.6999, Verdict::Fail), (0.69, 0.71, Verdict::Inconclusive)];
        for (low, high, verdict) in cases {
            assert_eq!(Verdict::at_least(interval(low, high), 0.70), verdict);
            assert_eq!(Verdict::at_most(interval(-high, -low), -0.70), verdict);
        }
        // Without noise equality passes.
        assert_eq!(Verdict::at_least(interval(0.7, 0.7), 0.7), Verdict::Pass);
        assert_eq!(Verdict::at_most(interval(0.7, 0.7), 0.7), Verdict::Pass);
    }

    #[test]
    fn one_failure_is_not_hidden() {
        use Verdict::{Fail, Inconclusive, Pass};
        assert_eq!(Verdict::all([Pass, Inconclusive, Fail]), Fail);
        assert_eq!(Verdict::all([Pass, Inconclusive]), Inconclusive);
        assert_eq!(Verdict::all([Pass, Pass]), Pass);
        assert_eq!(failures(&[0.01, 0.04, 0.03], 0.05).unwrap(), [true, false, false]);
    }

    #[test]
    fn so_many_would_decide_and_one_less_would_not() {
        let level = Level::P95;
        let seen = Proportion::new(730, 1000).unwrap();
        let n = seen.decides(0.70, level).unwrap() as usize;
        // Of n answers as many right ones as before, up to a whole answer.
        let share =
            |n: usize| Proportion::new((0.73 * n as f64).round() as usize, n).unwrap().wilson(level).interval.low();
        assert!(share(n + 40) > 0.70 && share(n - 40) < 0.70, "{n}");
        assert_eq!(seen.decides(0.73, level), None);

        let flips = Flips::new(31, 17, 1319).unwrap();
        let n = flips.decides(-0.005, level).unwrap();
        let low = |n: u64| Pairs::of(flips).scaled(n as f64).ends(level.z()).0;
        assert!(low(n) > -0.005 && low(n - 1) <= -0.005, "{n}");
        assert_eq!(flips.decides(flips.difference(), level), None);

        let values: Vec<f64> = (0..40).map(|at| f64::from(at % 7)).collect();
        let observations = Observations::new(&values).unwrap();
        let error = mean_error(observations).unwrap();
        assert_eq!(error.decides(error.mean, level), None);
        let end = student(observations, level).unwrap().interval.low();
        assert!(error.decides(end - 1e-9, level).unwrap() <= 40 && error.decides(end + 1e-9, level).unwrap() > 40);
    }
}
