//! Products of roots of primes, in the one form each has.
//!
//! The products of powers of distinct primes with exponents in [0, 1) are linearly independent over the rationals
//! (A. S. Besicovitch, J. London Math. Soc. 15, 1940), so sums of them are equal where their coefficients are.

use super::number::{factors, integer, power};
use num_rational::{BigRational, Ratio};
use num_traits::{One, Signed, ToPrimitive, Zero};
use std::collections::BTreeMap;

/// Roots of a higher degree are not read.
const MAX_DEGREE: i64 = 12;

/// A product of `prime^exponent`, exponents in (0, 1).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Radical(BTreeMap<u64, Ratio<i64>>);

impl Radical {
    pub(super) fn is_one(&self) -> bool {
        self.0.is_empty()
    }

    /// The value as a float.
    pub(super) fn sample(&self) -> f64 {
        self.0.iter().map(|(p, e)| (*p as f64).powf(*e.numer() as f64 / *e.denom() as f64)).product()
    }

    /// The product of two, as a rational factor and a radical.
    pub(super) fn times(&self, other: &Radical) -> Option<(BigRational, Radical)> {
        let mut sum = self.0.clone();
        for (p, e) in &other.0 {
            *sum.entry(*p).or_insert_with(Ratio::zero) += e;
        }
        reduced(sum)
    }

    /// This to an integer power, as a rational factor and a radical.
    pub(super) fn to_power(&self, n: i64) -> Option<(BigRational, Radical)> {
        let n = Ratio::from_integer(n);
        reduced(self.0.iter().map(|(p, e)| (*p, e * n)).collect())
    }
}

/// `base^exponent` for a positive rational base, as a rational factor and a radical.
pub(super) fn rational_power(base: &BigRational, exponent: &BigRational) -> Option<(BigRational, Radical)> {
    if !base.is_positive() {
        return None;
    }
    let exponent = Ratio::new(exponent.numer().to_i64()?, exponent.denom().to_i64()?);
    if *exponent.denom() > MAX_DEGREE || exponent.numer().unsigned_abs() > 64 {
        return None;
    }
    let mut powers: BTreeMap<u64, Ratio<i64>> = BTreeMap::new();
    for (part, sign) in [(base.numer(), 1), (base.denom(), -1)] {
        for (p, count) in factors(part.magnitude())? {
            let e = exponent * Ratio::from_integer(i64::from(count) * sign);
            *powers.entry(p).or_insert_with(Ratio::zero) += e;
        }
    }
    reduced(powers)
}

/// Takes the whole powers out.
fn reduced(powers: BTreeMap<u64, Ratio<i64>>) -> Option<(BigRational, Radical)> {
    let mut factor = BigRational::one();
    let mut left = BTreeMap::new();
    for (p, e) in powers {
        let whole = e.floor();
        factor *= power(&integer(i64::try_from(p).ok()?), whole.to_integer())?;
        let part = e - whole;
        if !part.is_zero() {
            left.insert(p, part);
        }
    }
    Some((factor, Radical(left)))
}
