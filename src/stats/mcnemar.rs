//! McNemar's test: could the flips each way be a fair coin's?
//!
//! Exact: `min(1, 2·P(X ≤ min(b, c)))` with X binomial (b + c, ½). McNemar (1947), Psychometrika 12. Mid-p takes only half of the chance
//! of what was seen: exact minus `P(X = min(b, c))`, and `1 - P(X = b)/2` where `b = c`. The exact one gives false alarms far more rarely than it says; Fagerland,
//! Lydersen and Laake (2013), BMC Medical Research Methodology 13, recommend mid-p: decide by it, print both.
//!
//! Neither says anything of size: they stand beside an interval, never alone. Both mislead where documents depend on each other.

use super::flips::Flips;
use super::interval::{Scope, Test};
use super::method::Method;
use super::special::{binomial_cdf, fair_mass};

impl Flips {
    /// The exact two-sided test. Without flips p is 1.
    pub fn mcnemar_exact(self) -> Test {
        self.test(self.exact(), Method::McNemarExact)
    }

    /// The mid-p test. Without flips p is 1: nothing speaks against "no difference".
    pub fn mcnemar_mid_p(self) -> Test {
        let (less, all) = self.least();
        // With as many flips each way both tails hold what was seen, and it counts half once (the authors' own supplement).
        let p = match (all, 2 * less == all) {
            (0, _) => 1.0,
            (_, true) => 1.0 - 0.5 * fair_mass(less, all),
            (_, false) => self.exact() - fair_mass(less, all),
        };
        self.test(p, Method::McNemarMidP)
    }

    fn least(self) -> (usize, usize) {
        (self.to_right().min(self.to_wrong()), self.to_right() + self.to_wrong())
    }

    fn exact(self) -> f64 {
        let (less, all) = self.least();
        if 2 * less == all { 1.0 } else { (2.0 * binomial_cdf(less, all, 0.5)).min(1.0) }
    }

    fn test(self, p: f64, method: Method) -> Test {
        Test { p: p.clamp(0.0, 1.0), method, scope: Scope::Population, cautions: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    //! Expected values: `mcnemar(exact=True)` of statsmodels 0.15.0, less scipy's binomial mass for mid-p (half of it of 1 where b = c).
    use super::super::golden::{count, golden, near, number, rows, within};
    use super::*;

    #[test]
    fn as_statsmodels() {
        for row in rows(&golden("pairs")) {
            let flips = Flips::new(count(&row["b"]), count(&row["c"]), count(&row["n"])).unwrap();
            near(flips.mcnemar_exact().p, number(&row["exact"]));
            near(flips.mcnemar_mid_p().p, number(&row["mid_p"]));
            near(flips.better(), number(&row["better"]));
        }
    }

    #[test]
    fn published_figures() {
        let published = [
            (12, 3, 0.0351562500, 0.0212707520),
            (0, 5, 0.0625, 0.03125),
            (6, 2, 0.2890625, 0.1796875),
            (31, 17, 0.0594633753, 0.0443841610),
        ];
        for (b, c, exact, mid_p) in published {
            let flips = Flips::new(b, c, 100).unwrap();
            within(flips.mcnemar_exact().p, exact, 1e-10);
            within(flips.mcnemar_mid_p().p, mid_p, 1e-10);
            near(flips.mcnemar_mid_p().p, flips.mirrored().mcnemar_mid_p().p);
            near(flips.better(), 1.0 - flips.mirrored().better());
        }
    }

    #[test]
    fn nothing_changed() {
        let still = Flips::new(0, 0, 10).unwrap();
        assert_eq!((still.mcnemar_exact().p, still.mcnemar_mid_p().p), (1.0, 1.0));
        near(still.better(), 0.5);
    }
}
