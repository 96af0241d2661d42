//! What a run of some size can see, and how large a run must be to see something.
//!
//! `n = (z_{1-α/2} + z_{1-β})²·σ_d²/δ²` for a mean of differences with spread σ_d. For right and wrong answers `σ_d² = φ - δ²`, φ the share
//! of documents whose verdict changes: the same two points need 385 documents at φ = 2 % and 2,347 at 12 %. No figure here is worth
//! anything without its φ; it comes from an earlier pair of runs, or is said.
//!
//! Miettinen (1968), Biometrics 24, for pairs; Cohen (1988) for the rest. Misleads where flips are fewer than some ten (the normal
//! theory behind it), and where documents come in clusters: then it is too hopeful by the design effect.

use super::given::{Unfit, inside};
use super::special::{ln_gamma, normal_cdf, normal_quantile, root, student_deviate};

/// How often a test may cry wolf, and how often it must find what is there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Demand {
    alpha: f64,
    power: f64,
    sides: f64,
}

impl Demand {
    /// Two-sided α = 0.05, 80 % power.
    pub const USUAL: Demand = Demand { alpha: 0.05, power: 0.8, sides: 2.0 };

    /// A test that looks both ways.
    ///
    /// # Errors
    /// Unless `alpha` lies strictly between 0 and 1/2, and `power` strictly between 1/2 and 1.
    pub fn two_sided(alpha: f64, power: f64) -> Result<Demand, Unfit> {
        let alpha = inside("an error rate of", alpha, 0.0, 0.5)?;
        Ok(Demand { alpha, power: inside("a power of", power, 0.5, 1.0)?, sides: 2.0 })
    }

    /// A test that looks one way, as non-inferiority does.
    ///
    /// # Errors
    /// As [`Demand::two_sided`].
    pub fn one_sided(alpha: f64, power: f64) -> Result<Demand, Unfit> {
        Ok(Demand { sides: 1.0, ..Demand::two_sided(alpha, power)? })
    }

    pub(super) fn alpha(self) -> f64 {
        self.alpha
    }

    pub(super) fn power(self) -> f64 {
        self.power
    }

    /// How many errors a difference must be away: 2.80 as a rule.
    pub fn deviate(self) -> f64 {
        normal_quantile(self.power) - normal_quantile(self.alpha / self.sides)
    }
}

/// The documents that are needed to see a difference of `delta` between means, the differences having a spread of `sigma`. Not
/// rounded.
///
/// # Errors
/// Unless both are positive and finite.
pub fn documents_needed(sigma: f64, delta: f64, demand: Demand) -> Result<f64, Unfit> {
    let sigma = inside("a spread of", sigma, 0.0, f64::INFINITY)?;
    let delta = inside("a difference of", delta.abs(), 0.0, f64::INFINITY)?;
    Ok((demand.deviate() * sigma / delta).powi(2))
}

/// The same for Student's test, which must estimate the spread too: a few documents more. Not rounded.
///
/// # Errors
/// As [`documents_needed`]; when two documents are enough, or 10^9 are not.
pub fn documents_needed_by_t(sigma: f64, delta: f64, demand: Demand) -> Result<f64, Unfit> {
    let near = documents_needed(sigma, delta, demand)?;
    let near = inside("a number of documents of", near, 0.0, 1e9)?;
    let effect = delta.abs() / sigma;
    let lack = |n: f64| student_power(effect, n, demand) - demand.power;
    if lack(2.0) >= 0.0 {
        return Ok(2.0);
    }
    Ok(root(lack, 2.0, 2.0 * near + 20.0))
}

/// The chance that Student's test of `n` differences finds a mean of `effect` spreads.
///
/// `P(|T| > t)` of the noncentral t: `∫ Φ(±effect·√n - t·s) f(s) ds` over the spread `s` that the sample may have.
fn student_power(effect: f64, n: f64, demand: Demand) -> f64 {
    let freedom = n - 1.0;
    let critical = student_deviate(demand.alpha / demand.sides, freedom);
    let centre = effect * n.sqrt();
    // The density of the sample's spread over the true one: √(χ²_ν/ν).
    let log_scale = (freedom / 2.0) * (freedom / 2.0).ln() - ln_gamma(freedom / 2.0) + std::f64::consts::LN_2;
    let density = |s: f64| {
        if s <= 0.0 { 0.0 } else { (log_scale + (freedom - 1.0) * s.ln() - freedom * s * s / 2.0).exp() }
    };
    let both = demand.sides == 2.0;
    let found = |s: f64| {
        let far = if both { normal_cdf(-centre - critical * s) } else { 0.0 };
        (normal_cdf(centre - critical * s) + far) * density(s)
    };
    // The spread's own spread is about √(1/2ν): twelve of them on either side leave nothing out. Two degrees and fewer have a density
    // that does not vanish at 0, which the rule below handles with its many points.
    let reach = 12.0 / (2.0 * freedom).sqrt();
    simpson(found, (1.0 - reach).max(0.0), 1.0 + reach)
}

/// Simpson's rule with 4,000 steps.
fn simpson(f: impl Fn(f64) -> f64, low: f64, high: f64) -> f64 {
    const STEPS: u32 = 4_000;
    let step = (high - low) / f64::from(STEPS);
    let inner: f64 = (1..STEPS).map(|at| f64::from(2 + 2 * (at % 2)) * f(low + step * f64::from(at))).sum();
    (f(low) + inner + f(high)) * step / 3.0
}

/// The spread of paired differences of right and wrong answers: `√(φ - D²)`, for a share φ of changed verdicts and a gain of D.
///
/// # Errors
/// Unless φ is a positive share and D no larger than φ: a gain needs as many flips.
pub fn flip_spread(rate: f64, difference: f64) -> Result<f64, Unfit> {
    if !(rate > 0.0 && rate <= 1.0) {
        return Err(Unfit::Outside { what: "a flip rate of", value: rate, low: 0.0, high: 1.0 });
    }
    if difference.abs() > rate || difference.is_nan() {
        return Err(Unfit::Outside { what: "a difference of", value: difference, low: -rate, high: rate });
    }
    Ok((rate - difference * difference).sqrt())
}

/// The pairs that are needed to see a gain of `delta` when a share `rate` of verdicts changes. Not rounded.
///
/// # Errors
/// As [`flip_spread`]; for a gain of nothing; where every change goes one way and all change, so that there is no spread.
pub fn pairs_needed(rate: f64, delta: f64, demand: Demand) -> Result<f64, Unfit> {
    documents_needed(flip_spread(rate, delta)?, delta, demand)
}

/// The documents a side that are needed to see `delta` between two independent sets with a share near `share`: `2p(1-p)(z+z)²/δ²`.
///
/// # Errors
/// Unless `share` lies strictly between 0 and 1 and `delta` is not 0.
pub fn unpaired_needed(share: f64, delta: f64, demand: Demand) -> Result<f64, Unfit> {
    let share = inside("a share of", share, 0.0, 1.0)?;
    documents_needed((2.0 * share * (1.0 - share)).sqrt(), delta, demand)
}

/// The least difference that `n` documents show, the differences having a spread of `sigma`.
///
/// # Errors
/// With fewer than two documents, or a spread that is not positive.
pub fn detectable(sigma: f64, n: usize, demand: Demand) -> Result<f64, Unfit> {
    if n < 2 {
        return Err(Unfit::TooFew { what: "documents", n, least: 2 });
    }
    Ok(demand.deviate() * inside("a spread of", sigma, 0.0, f64::INFINITY)? / (n as f64).sqrt())
}

/// The least gain that `n` pairs show when a share `rate` of verdicts changes: `δ = (z+z)√φ/√(n+(z+z)²)`, which solves
/// `n·δ² = (z+z)²(φ-δ²)`.
///
/// `None` when it would have to be larger than φ itself: even if every change went one way, so few documents would not show it.
///
/// # Errors
/// With fewer than two documents, or a rate that is no positive share.
pub fn detectable_gain(rate: f64, n: usize, demand: Demand) -> Result<Option<f64>, Unfit> {
    flip_spread(rate, 0.0)?;
    if n < 2 {
        return Err(Unfit::TooFew { what: "documents", n, least: 2 });
    }
    let deviate = demand.deviate();
    let gain = deviate * rate.sqrt() / (n as f64 + deviate * deviate).sqrt();
    Ok((gain <= rate).then_some(gain))
}

/// Flip rates for a table where none is known: 2, 5, 10, 20 %.
pub const FLIP_RATES: [f64; 4] = [0.02, 0.05, 0.1, 0.2];

#[cfg(test)]
mod tests {
    //! Expected values: `TTestPower().power` of statsmodels 0.15.0, solved for n, and scipy's normal quantiles.
    use super::super::golden::{golden, near, number, rows};
    use super::*;

    #[test]
    fn as_statsmodels() {
        for row in rows(&golden("sizes")) {
            let of = if number(&row["sides"]) == 2.0 { Demand::two_sided } else { Demand::one_sided };
            let demand = of(number(&row["alpha"]), number(&row["power"])).unwrap();
            let (sigma, delta) = (number(&row["sigma"]), number(&row["delta"]));
            near(documents_needed(sigma, delta, demand).unwrap() / number(&row["z"]), 1.0);
            near(documents_needed_by_t(sigma, delta, demand).unwrap() / number(&row["t"]), 1.0);
        }
    }

    #[test]
    fn published_figures() {
        let rounded = |n: f64, digits: i32| (n * 10f64.powi(digits)).round() / 10f64.powi(digits);
        assert_eq!(rounded(documents_needed(0.3, 0.02, Demand::USUAL).unwrap(), 1), 1766.0);
        assert_eq!(rounded(documents_needed_by_t(0.3, 0.02, Demand::USUAL).unwrap(), 1), 1767.9);
        assert_eq!(rounded(unpaired_needed(0.5, 0.02, Demand::USUAL).unwrap(), 0), 9811.0);
        for (rate, pairs) in [(0.02, 385.0), (0.04, 777.0), (0.12, 2347.0)] {
            assert_eq!(rounded(pairs_needed(rate, 0.02, Demand::USUAL).unwrap(), 0), pairs);
        }
    }

    #[test]
    fn what_can_be_seen_is_what_is_needed() {
        for rate in FLIP_RATES {
            let gain = detectable_gain(rate, 1319, Demand::USUAL).unwrap().unwrap();
            near(pairs_needed(rate, gain, Demand::USUAL).unwrap(), 1319.0);
        }
        near(documents_needed(0.3, detectable(0.3, 500, Demand::USUAL).unwrap(), Demand::USUAL).unwrap(), 500.0);
        // Of twenty documents 2 % are not even one.
        assert_eq!(detectable_gain(0.02, 20, Demand::USUAL), Ok(None));
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(Demand::two_sided(0.0, 0.8).is_err() && Demand::two_sided(0.05, 0.5).is_err());
        assert!(flip_spread(0.0, 0.0).is_err() && flip_spread(1.1, 0.0).is_err() && flip_spread(0.02, 0.03).is_err());
        assert!(
            documents_needed(0.0, 0.1, Demand::USUAL).is_err() && documents_needed(0.1, 0.0, Demand::USUAL).is_err()
        );
        assert!(pairs_needed(1.0, 1.0, Demand::USUAL).is_err());
        assert!(detectable_gain(0.1, 1, Demand::USUAL).is_err());
    }
}
