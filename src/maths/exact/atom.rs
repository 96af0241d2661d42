//! Reads numbers and symbols, the atoms of the grammar.

use super::parse::Parser;
use super::token::Token;
use super::value::Value;
use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::ToPrimitive;

/// Numbers have no more digits than this; decimals, which sympy rounds to 53 bits up to there, no more than 15.
const MAX_DIGITS: usize = 200;
const MAX_DECIMAL_DIGITS: usize = 15;

impl Parser<'_> {
    /// A letter, perhaps with a lower index. Before `(` it is a function to sympy.
    pub(super) fn symbol(&mut self, mut name: String) -> Option<Value> {
        self.at += 1;
        if self.take(&Token::Underscore) {
            name.push('_');
            name.push_str(&self.index()?);
        }
        if self.peek() == Some(&Token::Open('(')) {
            return None;
        }
        Some(Value::symbol(&name))
    }

    /// A lower index: digits or one letter, perhaps in braces.
    fn index(&mut self) -> Option<String> {
        let braced = self.take(&Token::Open('{'));
        let mut index = String::new();
        if let Some(Token::Letter(c)) = self.peek() {
            index.push(*c);
            self.at += 1;
        } else {
            self.digits(&mut index)?;
        }
        if braced {
            self.need(&Token::Close('}'))?;
        }
        (!index.is_empty() && (index == "0" || !index.starts_with('0'))).then_some(index)
    }

    /// Appends the digits that come next; `None` where white space parts them.
    fn digits(&mut self, into: &mut String) -> Option<usize> {
        let mut count = 0;
        while let Some(Token::Digit { digit, spaced }) = self.peek() {
            if (*spaced && count > 0) || into.len() >= MAX_DIGITS {
                return None;
            }
            into.push(*digit);
            count += 1;
            self.at += 1;
        }
        Some(count)
    }

    /// number: digits, with commas that can only group thousands, perhaps a point and more digits.
    pub(super) fn number(&mut self) -> Option<Value> {
        let mut text = String::new();
        let first = self.digits(&mut text)?;
        let mut groups = 1;
        while self.take(&Token::Comma) {
            groups += 1;
            if self.digits(&mut text)? != 3 {
                return None;
            }
        }
        // sympy refuses 007.
        let leading_zero = text.len() > 1 && text.starts_with('0');
        if leading_zero || (groups > 1 && first > 3) {
            return None;
        }
        let decimals = if self.take(&Token::Dot) { self.digits(&mut text).filter(|n| *n > 0)? } else { 0 };
        let value = BigRational::new(text.parse::<BigInt>().ok()?, BigInt::from(10).pow(u32::try_from(decimals).ok()?));
        if decimals > 0 {
            if text.len() > MAX_DECIMAL_DIGITS {
                return None;
            }
            self.decimals.any = true;
            // A binary fraction that leaves room for products.
            let short = value.denom().to_u64().is_some_and(|d| d.is_power_of_two() && d <= 1024);
            self.decimals.inexact |= !short || value.numer().bits() > 16;
        }
        Some(Value::rational(value))
    }
}
