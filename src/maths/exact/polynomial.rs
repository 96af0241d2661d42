//! Sums of monomials: a rational coefficient, a radical and integer powers (also negative ones) of symbols.

use super::number::{bounded, power};
use super::radical::Radical;
use num_rational::BigRational;
use num_traits::{One, ToPrimitive, Zero};
use std::collections::BTreeMap;

/// More terms end a computation; so does a product of two sums with more pairs of terms.
const MAX_TERMS: usize = 64;
const MAX_PRODUCTS: usize = 512;
/// More products of terms in a whole computation end it: some milliseconds.
const MAX_WORK: usize = 1000;
/// Higher powers of a symbol are not read.
const MAX_POWER: i64 = 10_000;
/// Sums are not raised to higher powers than this.
const MAX_SUM_POWER: i64 = 8;

/// A radical times powers of symbols.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Monomial {
    symbols: BTreeMap<String, i64>,
    radical: Radical,
}

/// A sum in its one form: no coefficient is zero.
#[derive(Debug, Clone, Default)]
pub(super) struct Polynomial {
    terms: BTreeMap<Monomial, BigRational>,
    /// Products of terms made on the way here, all operands' included.
    work: usize,
}

impl PartialEq for Polynomial {
    fn eq(&self, other: &Self) -> bool {
        self.terms == other.terms
    }
}

impl Polynomial {
    pub(super) fn constant(x: BigRational) -> Self {
        Self::term(x, Radical::default())
    }

    pub(super) fn term(coefficient: BigRational, radical: Radical) -> Self {
        let mut sum = Self::default();
        sum.put(Monomial { symbols: BTreeMap::new(), radical }, coefficient);
        sum
    }

    pub(super) fn symbol(name: &str) -> Self {
        let symbols = BTreeMap::from([(name.to_owned(), 1)]);
        let mut sum = Self::default();
        sum.put(Monomial { symbols, radical: Radical::default() }, BigRational::one());
        sum
    }

    pub(super) fn is_zero(&self) -> bool {
        self.terms.is_empty()
    }

    /// The value where it is a rational number.
    pub(super) fn as_rational(&self) -> Option<BigRational> {
        match self.single() {
            None => self.is_zero().then(BigRational::zero),
            Some((m, c)) => (m.symbols.is_empty() && m.radical.is_one()).then(|| c.clone()),
        }
    }

    /// Whether `name` stands in some term to a power other than 0 and 1.
    pub(super) fn uses_square_of(&self, name: &str) -> bool {
        self.terms.keys().any(|m| m.symbols.get(name).is_some_and(|n| *n != 1))
    }

    pub(super) fn has_symbol(&self, name: &str) -> bool {
        self.terms.keys().any(|m| m.symbols.contains_key(name))
    }

    fn single(&self) -> Option<(&Monomial, &BigRational)> {
        let mut terms = self.terms.iter();
        terms.next().filter(|_| terms.next().is_none())
    }

    fn put(&mut self, m: Monomial, c: BigRational) {
        let sum = self.terms.entry(m.clone()).or_insert_with(BigRational::zero);
        *sum += c;
        if sum.is_zero() {
            self.terms.remove(&m);
        }
    }

    fn within_bounds(self) -> Option<Self> {
        let fine = self.work <= MAX_WORK
            && self.terms.len() <= MAX_TERMS
            && self.terms.values().all(|c| bounded(c.clone()).is_some());
        fine.then_some(self)
    }

    pub(super) fn negated(mut self) -> Self {
        self.terms.values_mut().for_each(|c| *c = -c.clone());
        self
    }

    pub(super) fn plus(mut self, other: Self) -> Option<Self> {
        self.work += other.work + 1;
        other.terms.into_iter().for_each(|(m, c)| self.put(m, c));
        self.within_bounds()
    }

    pub(super) fn times(&self, other: &Self) -> Option<Self> {
        let products = self.terms.len() * other.terms.len();
        let mut product = Self { work: self.work + other.work + products, ..Self::default() };
        if products > MAX_PRODUCTS || product.work > MAX_WORK {
            return None;
        }
        for (a, x) in &self.terms {
            for (b, y) in &other.terms {
                let (factor, radical) = a.radical.times(&b.radical)?;
                let mut symbols = a.symbols.clone();
                for (name, n) in &b.symbols {
                    add_power(&mut symbols, name, *n)?;
                }
                product.put(Monomial { symbols, radical }, x * y * factor);
            }
        }
        product.within_bounds()
    }

    /// This to an integer power; a sum of several terms only to a small natural one, zero only to a positive one.
    pub(super) fn to_power(&self, n: i64) -> Option<Self> {
        if let Some((m, c)) = self.single() {
            let (factor, radical) = m.radical.to_power(n)?;
            let mut symbols = BTreeMap::new();
            for (name, e) in &m.symbols {
                add_power(&mut symbols, name, e.checked_mul(n)?)?;
            }
            let mut result = Self { work: self.work + 1, ..Self::default() };
            result.put(Monomial { symbols, radical }, power(c, n)? * factor);
            return result.within_bounds();
        }
        if self.is_zero() {
            return (n > 0).then(Self::default);
        }
        if !(0..=MAX_SUM_POWER).contains(&n) {
            return None;
        }
        (0..n).try_fold(Self::constant(BigRational::one()), |product, _| product.times(self))
    }

    /// Its inverse where it has one term.
    pub(super) fn inverted_term(&self) -> Option<Self> {
        self.single()?;
        self.to_power(-1)
    }

    /// The value as a float at a fixed point, positive and different for each symbol.
    pub(super) fn sample(&self) -> Option<f64> {
        let at = |name: &str| {
            let mixed = name.bytes().fold(7_u32, |h, byte| h.wrapping_mul(31).wrapping_add(u32::from(byte)));
            1.0 + f64::from(mixed % 997) / 1000.0
        };
        let value = self.terms.iter().try_fold(0.0, |sum, (m, c)| {
            let symbols: f64 =
                m.symbols.iter().map(|(name, n)| at(name).powi(i32::try_from(*n).unwrap_or(i32::MAX))).product();
            Some(sum + c.to_f64()? * m.radical.sample() * symbols)
        })?;
        value.is_finite().then_some(value)
    }
}

fn add_power(symbols: &mut BTreeMap<String, i64>, name: &str, n: i64) -> Option<()> {
    let power = symbols.entry(name.to_owned()).or_insert(0);
    *power += n;
    let sum = *power;
    if sum == 0 {
        symbols.remove(name);
    }
    (sum.abs() <= MAX_POWER).then_some(())
}
