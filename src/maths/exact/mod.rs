//! The exact tier: arithmetic that decides without sympy whether two LaTeX answers are the same value, or says that it
//! does not know.
//!
//! Two strengths. [`scalar`] reads what sympy's `parse_latex` (1.13, antlr) reads, as it reads it (letters are symbols,
//! `\pi`, `e` and `i` included), and never contradicts `simplify(a - b) == 0`. [`exact`] also judges what `parse_latex`
//! refuses or reads in part, where the reference counts every answer that is not the same text as wrong:
//!
//! * looser: tuples, intervals, sets, unions and matrices, entry by entry; `50\%` and `0.5`; `\$5` and `5`; `x=5` and
//!   `5`; `12_{5}` and `12_5`;
//! * stricter: sympy reads `2,3` as `2` and `12_5` as `12`, and so takes `2,3` and `2,5` for equal; we compare all
//!   entries, and numerals with their bases.
//!
//! Reference means lm-evaluation-harness' minerva_math. Agreement was measured with `PYTHONHASHSEED` fixed, see
//! [`super::symbolic::PROGRAM`].
//!
//! What is left open on purpose: `3\frac{1}{2}` (three and a half to a reader, a product to sympy), `(1,234)` (a pair or
//! a number), decimals that are equal but for rounding, words (`even`), and whatever is past the bounds below.

mod atom;
mod collection;
mod number;
mod parse;
mod polynomial;
mod radical;
mod shape;
mod token;
mod value;

pub use collection::exact;

use parse::{Reading, parse};

/// Longer answers are not read.
pub(super) const MAX_BYTES: usize = 2048;
/// How far two values with decimals must lie apart, relative to their size, to be called different: far more than
/// sympy's 53-bit rounding.
const CLEAR_GAP: f64 = 1e-9;

/// Whether two answers are one value, by exact arithmetic; `None` where that is not known. Rational numbers, radicals of
/// positive rationals, and rational expressions in letters with such coefficients are decided.
pub fn scalar(a: &str, b: &str) -> Option<bool> {
    compare(&parse(a)?, &parse(b)?)
}

fn compare(a: &Reading, b: &Reading) -> Option<bool> {
    let same = a.value.equals(&b.value)?;
    if a.decimals.any || b.decimals.any {
        return with_decimals(a, b, same);
    }
    if same {
        // sympy reads "no" and "on" as the same product.
        return (!a.has_word && !b.has_word).then_some(true);
    }
    // `i` is a symbol to sympy; with i^2 = -1 these might still be equal.
    let i_matters = a.value.uses_square_of("i") || b.value.uses_square_of("i");
    (!i_matters).then_some(false)
}

/// sympy computes with binary floats where a decimal occurs. Equal is only said where that cannot round: a decimal alone
/// against a number that is no sum, or binary fractions all the way.
fn with_decimals(a: &Reading, b: &Reading, same: bool) -> Option<bool> {
    if same {
        let plain = |side: &Reading| side.decimals.alone || !(side.decimals.any || side.decimals.sums);
        let exact = |side: &Reading| !side.decimals.inexact;
        let sure = (plain(a) && plain(b)) || (exact(a) && exact(b));
        return (sure && !a.has_word && !b.has_word).then_some(true);
    }
    let (x, y) = (a.value.sample()?, b.value.sample()?);
    ((x - y).abs() > CLEAR_GAP * x.abs().max(y.abs()).max(f64::MIN_POSITIVE)).then_some(false)
}
