//! Big rationals within bounds, and the prime factors of small integers.

use num_bigint::{BigInt, BigUint};
use num_rational::BigRational;
use num_traits::{One, Signed, ToPrimitive, Zero};

/// Larger numerators and denominators end a computation.
pub(super) const MAX_BITS: u64 = 1024;
/// sympy takes factors out of a root as far as it finds them by trial division up to 2^15, so no factor above that may
/// come twice.
const MAX_RADICAND: u64 = 1_000_000_000;

/// The number if it is within the bounds.
pub(super) fn bounded(x: BigRational) -> Option<BigRational> {
    (x.numer().bits() <= MAX_BITS && x.denom().bits() <= MAX_BITS).then_some(x)
}

pub(super) fn integer(n: i64) -> BigRational {
    BigRational::from_integer(BigInt::from(n))
}

/// `x^n`; `None` for zero to a power that is not positive, and past the bounds.
pub(super) fn power(x: &BigRational, n: i64) -> Option<BigRational> {
    if x.is_zero() {
        return (n > 0).then(BigRational::zero);
    }
    let size = x.numer().bits().max(x.denom().bits());
    if !x.abs().is_one() && size.saturating_sub(1).saturating_mul(n.unsigned_abs()) > MAX_BITS {
        return None;
    }
    let odd = n % 2 != 0;
    if x.abs().is_one() {
        return Some(if x.is_negative() && odd { -BigRational::one() } else { BigRational::one() });
    }
    bounded(x.pow(i32::try_from(n).ok()?))
}

/// `n!` for n up to 100.
pub(super) fn factorial(n: &BigRational) -> Option<BigRational> {
    let n = small_natural(n, 100)?;
    Some(BigRational::from_integer((1..=n).map(BigInt::from).product()))
}

/// `n` choose `k` for 0 <= n <= 100 and k >= 0.
pub(super) fn binomial(n: &BigRational, k: &BigRational) -> Option<BigRational> {
    let (n, k) = (small_natural(n, 100)?, small_natural(k, 100)?);
    let mut value = BigInt::one();
    for i in 0..k {
        value = value * (BigInt::from(n) - BigInt::from(i)) / BigInt::from(i + 1);
    }
    Some(BigRational::from_integer(value))
}

/// A natural number up to `most`.
pub(super) fn small_natural(x: &BigRational, most: u64) -> Option<u64> {
    (x.is_integer() && !x.is_negative()).then(|| x.to_integer().to_u64()).flatten().filter(|n| *n <= most)
}

/// Prime factors with their exponents, for 1 <= n <= 10^9.
pub(super) fn factors(n: &BigUint) -> Option<Vec<(u64, u32)>> {
    let mut n = n.to_u64().filter(|n| (1..=MAX_RADICAND).contains(n))?;
    let mut found = Vec::new();
    let mut p = 2;
    while p * p <= n {
        let mut exponent = 0;
        while n.is_multiple_of(p) {
            n /= p;
            exponent += 1;
        }
        if exponent > 0 {
            found.push((p, exponent));
        }
        p += 1;
    }
    if n > 1 {
        found.push((n, 1));
    }
    Some(found)
}
