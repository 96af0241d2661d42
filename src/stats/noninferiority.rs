//! "No worse than the base by more than a margin": passes when the lower bound of the difference lies above the margin.
//!
//! One half of two one-sided tests (`ttost_paired` of statsmodels): at α = 0.05 the bound is the lower end of a 90 % interval. Schuirmann
//! (1987), J. Pharmacokinetics and Biopharmaceutics 15. Misleads where the margin was chosen after looking, and where the base itself is
//! no better than chance: then nothing can be worse.

use super::given::{Unfit, inside};
use super::interval::IntervalEstimate;
use super::power::{Demand, documents_needed};
use super::verdict::Verdict;

/// How much worse is still as good.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Margin(f64);

impl Margin {
    /// In points of the score: 0.02 for two points.
    ///
    /// # Errors
    /// Unless positive and finite.
    pub fn points(points: f64) -> Result<Margin, Unfit> {
        inside("a margin of", points, 0.0, f64::INFINITY).map(Margin)
    }

    /// As a share of the base's score that must be kept ("99 % of the base"), in points of that score.
    ///
    /// # Errors
    /// Unless the share lies strictly between 0 and 1 and the base's score is positive.
    pub fn kept(share: f64, base: f64) -> Result<Margin, Unfit> {
        let share = inside("a share of", share, 0.0, 1.0)?;
        let base = inside("a base score of", base, 0.0, f64::INFINITY)?;
        Ok(Margin((1.0 - share) * base))
    }

    /// The margin in points.
    pub fn value(self) -> f64 {
        self.0
    }

    /// What the interval of `candidate - base` says: not inferior when it lies wholly above `-margin`, inferior when wholly below.
    pub fn judge(self, difference: &IntervalEstimate) -> Verdict {
        let interval = difference.interval;
        if interval.low() > -self.0 {
            Verdict::Pass
        } else if interval.high() < -self.0 {
            Verdict::Fail
        } else {
            Verdict::Inconclusive
        }
    }

    /// The documents that are needed to show it of a candidate that is as good, with differences of spread `sigma`: `(z+z)²σ²/m²`.
    ///
    /// `demand` should be one-sided.
    ///
    /// # Errors
    /// Unless `sigma` is positive.
    pub fn documents_needed(self, sigma: f64, demand: Demand) -> Result<f64, Unfit> {
        documents_needed(sigma, self.0, demand)
    }
}

#[cfg(test)]
mod tests {
    use super::super::flips::Flips;
    use super::super::given::Level;
    use super::*;

    #[test]
    fn the_lower_bound_decides() {
        // Tango's 90 % interval of 31 to right and 17 to wrong of 1,319 is 0.20 to 1.97 points.
        let better = Flips::new(31, 17, 1319).unwrap();
        let two = Margin::points(0.02).unwrap();
        assert_eq!(two.judge(&better.tango(Level::P90)), Verdict::Pass);
        assert_eq!(two.judge(&better.mirrored().tango(Level::P90)), Verdict::Pass);
        assert_eq!(Margin::points(0.01).unwrap().judge(&better.mirrored().tango(Level::P90)), Verdict::Inconclusive);
        assert_eq!(Margin::points(0.001).unwrap().judge(&better.mirrored().tango(Level::P90)), Verdict::Fail);
    }

    /// Published: σ 0.2, margin 0.02, α 0.05 one-sided, 90 % power.
    #[test]
    fn published_size() {
        let demand = Demand::one_sided(0.05, 0.9).unwrap();
        let n = Margin::points(0.02).unwrap().documents_needed(0.2, demand).unwrap();
        assert_eq!((n * 10.0).round() / 10.0, 856.4);
    }

    #[test]
    fn a_share_of_the_base_is_so_many_points() {
        assert!((Margin::kept(0.99, 0.7).unwrap().value() - 0.007).abs() < 1e-15);
        assert!(Margin::kept(1.0, 0.7).is_err() && Margin::kept(0.99, 0.0).is_err() && Margin::points(0.0).is_err());
    }
}
