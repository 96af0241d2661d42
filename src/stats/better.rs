//! How sure one may be that the candidate is better, in closed form.

use super::flips::Flips;
use super::special::beta_cdf;

impl Flips {
    /// `P(candidate better | data) = 1 - I_½(b+1, c+1)`: with a flat prior over the four cells of the pair (both right, one of them, none),
    /// the share of gained among changed documents is Beta(b+1, c+1), and "better" means that it is above one half.
    ///
    /// Closed form of the paired comparison in Bowyer, Aitchison and Ivanova (2025), arXiv 2503.01747, who draw from a prior instead. One
    /// half without flips. Says nothing of how much better; misleads where documents depend on each other, and where "better" was not in
    /// doubt before (the prior gives both sides the same chance).
    pub fn better(self) -> f64 {
        beta_cdf(0.5, self.to_wrong() as f64 + 1.0, self.to_right() as f64 + 1.0)
    }
}
