//! A rational expression: one polynomial over another.

use super::number::{binomial, factorial};
use super::polynomial::Polynomial;
use super::radical::rational_power;
use num_rational::BigRational;
use num_traits::{One, ToPrimitive};

/// `above / below`; `below` is never zero. Equal values may have different parts.
#[derive(Debug, Clone)]
pub(super) struct Value {
    above: Polynomial,
    below: Polynomial,
}

impl Value {
    fn whole(above: Polynomial) -> Self {
        Value { above, below: Polynomial::constant(BigRational::one()) }
    }

    pub(super) fn rational(x: BigRational) -> Self {
        Self::whole(Polynomial::constant(x))
    }

    pub(super) fn symbol(name: &str) -> Self {
        Self::whole(Polynomial::symbol(name))
    }

    fn over_one(&self) -> bool {
        self.below.as_rational().is_some_and(|x| x.is_one())
    }

    /// The value where it is a rational number.
    pub(super) fn as_rational(&self) -> Option<BigRational> {
        self.over_one().then(|| self.above.as_rational()).flatten()
    }

    /// Whether two are equal for all values of their symbols; `None` past the bounds.
    pub(super) fn equals(&self, other: &Self) -> Option<bool> {
        let difference = self.above.times(&other.below)?.plus(other.above.times(&self.below)?.negated())?;
        Some(difference.is_zero())
    }

    /// Whether a symbol stands to a power above 1 or in a denominator.
    pub(super) fn uses_square_of(&self, name: &str) -> bool {
        self.above.uses_square_of(name) || self.below.has_symbol(name)
    }

    pub(super) fn is_symbol(&self, name: &str) -> bool {
        self.equals(&Self::symbol(name)) == Some(true)
    }

    /// The value as a float at a fixed point.
    pub(super) fn sample(&self) -> Option<f64> {
        let value = self.above.sample()? / self.below.sample()?;
        value.is_finite().then_some(value)
    }

    pub(super) fn negated(self) -> Self {
        Value { above: self.above.negated(), below: self.below }
    }

    pub(super) fn plus(self, other: Self) -> Option<Self> {
        if self.below == other.below {
            return Some(Value { above: self.above.plus(other.above)?, below: self.below });
        }
        let above = self.above.times(&other.below)?.plus(other.above.times(&self.below)?)?;
        Some(Value { above, below: self.below.times(&other.below)? })
    }

    /// `None` for a zero factor: sympy at times fails to simplify such a product.
    pub(super) fn times(&self, other: &Self) -> Option<Self> {
        if self.above.is_zero() || other.above.is_zero() {
            return None;
        }
        self.product(other)
    }

    fn product(&self, other: &Self) -> Option<Self> {
        Some(Value { above: self.above.times(&other.above)?, below: self.below.times(&other.below)? })
    }

    /// `None` for zero.
    pub(super) fn inverted(&self) -> Option<Self> {
        if self.above.is_zero() {
            return None;
        }
        match self.above.inverted_term() {
            Some(inverse) => Some(Self::whole(inverse.times(&self.below)?)),
            None => Some(Value { above: self.below.clone(), below: self.above.clone() }),
        }
    }

    pub(super) fn over(&self, other: &Self) -> Option<Self> {
        self.product(&other.inverted()?)
    }

    /// `self^exponent` for a rational exponent; one that is no integer needs a positive rational base.
    pub(super) fn to_power(&self, exponent: &Self) -> Option<Self> {
        let exponent = exponent.as_rational()?;
        if !exponent.is_integer() {
            let (factor, radical) = rational_power(&self.as_rational()?, &exponent)?;
            return Some(Self::whole(Polynomial::term(factor, radical)));
        }
        let n = exponent.to_integer().to_i64()?;
        if n < 0 {
            return self.inverted()?.to_natural_power(n.checked_neg()?);
        }
        self.to_natural_power(n)
    }

    fn to_natural_power(&self, n: i64) -> Option<Self> {
        Some(Value { above: self.above.to_power(n)?, below: self.below.to_power(n)? })
    }

    /// `n!` of a small natural number.
    pub(super) fn factorial(&self) -> Option<Self> {
        factorial(&self.as_rational()?).map(Self::rational)
    }

    /// `n` choose `k` of small natural numbers.
    pub(super) fn choose(&self, k: &Self) -> Option<Self> {
        binomial(&self.as_rational()?, &k.as_rational()?).map(Self::rational)
    }
}
