//! Reads an answer as sympy's `parse_latex` does (grammar `LaTeX.g4` of sympy 1.13) straight into its value. What the
//! grammar would read only in part, or in a way that a reader would not expect, is not read at all.

use super::MAX_BYTES;
use super::number::integer;
use super::token::{Token, tokens};
use super::value::Value;
use num_traits::Signed;

/// Groups nest no deeper than this.
const MAX_DEPTH: usize = 32;
/// A run of this many letters is a word rather than a product.
const WORD: usize = 3;

/// What rounding there is where decimals occur, which sympy turns into binary floats.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Decimals {
    pub(super) any: bool,
    /// The answer is one decimal, perhaps with signs.
    pub(super) alone: bool,
    /// Some decimal is no short binary fraction or was raised to a power, or something was divided by a number that is
    /// no power of two.
    pub(super) inexact: bool,
    /// Something was added or subtracted.
    pub(super) sums: bool,
}

/// What an answer says.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    pub(super) value: Value,
    pub(super) decimals: Decimals,
    /// A run of letters that is more likely a word than a product.
    pub(super) has_word: bool,
}

/// Reads a whole answer; `None` where that is not possible.
pub(super) fn parse(text: &str) -> Option<Reading> {
    if text.len() > MAX_BYTES {
        return None;
    }
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, at: 0, depth: 0, decimals: Decimals::default() };
    let value = parser.sum()?;
    if parser.at != tokens.len() {
        return None;
    }
    let mut decimals = parser.decimals;
    decimals.alone = tokens
        .iter()
        .all(|t| matches!(t, Token::Digit { .. } | Token::Dot | Token::Comma | Token::Minus | Token::Plus))
        && tokens
            .iter()
            .skip_while(|t| matches!(t, Token::Minus | Token::Plus))
            .all(|t| *t != Token::Minus && *t != Token::Plus);
    let has_word = tokens
        .chunk_by(|a, b| is_letter(a) == is_letter(b))
        .any(|run| run.len() >= WORD && run.first().is_some_and(is_letter));
    Some(Reading { value, decimals, has_word })
}

fn is_letter(token: &Token) -> bool {
    matches!(token, Token::Letter(_))
}

/// A factor in a product without signs (`2x\sqrt{3}`).
struct Factor {
    value: Value,
    has_symbols: bool,
    /// Only digits.
    is_number: bool,
    /// A `\frac`.
    is_frac: bool,
}

pub(super) struct Parser<'a> {
    pub(super) tokens: &'a [Token],
    pub(super) at: usize,
    depth: usize,
    pub(super) decimals: Decimals,
}

impl Parser<'_> {
    pub(super) fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    pub(super) fn take(&mut self, token: &Token) -> bool {
        let found = self.peek() == Some(token);
        self.at += usize::from(found);
        found
    }

    pub(super) fn need(&mut self, token: &Token) -> Option<()> {
        self.take(token).then_some(())
    }

    /// additive: products with plus and minus between them.
    fn sum(&mut self) -> Option<Value> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let mut value = self.product()?;
        loop {
            let next = if self.take(&Token::Plus) {
                self.product()?
            } else if self.take(&Token::Minus) {
                self.product()?.negated()
            } else {
                self.depth -= 1;
                return Some(value);
            };
            self.decimals.sums = true;
            value = value.plus(next)?;
        }
    }

    /// mp: from left to right, explicit signs only; `1/2x` is `1/(2x)`.
    fn product(&mut self) -> Option<Value> {
        let mut value = self.signed()?;
        loop {
            if self.take(&Token::Times) {
                value = value.times(&self.signed()?)?;
            } else if self.take(&Token::Divide) {
                let divisor = self.signed()?;
                value = self.quotient(&value, &divisor)?;
            } else {
                return Some(value);
            }
        }
    }

    /// unary: signs before factors that stand side by side.
    fn signed(&mut self) -> Option<Value> {
        let mut negative = false;
        loop {
            if self.take(&Token::Minus) {
                negative = !negative;
            } else if !self.take(&Token::Plus) {
                break;
            }
        }
        let value = self.side_by_side()?;
        Some(if negative { value.negated() } else { value })
    }

    fn side_by_side(&mut self) -> Option<Value> {
        let mut factors = vec![self.factor()?];
        while self.begins_factor() {
            factors.push(self.factor()?);
        }
        let ambiguous = factors.windows(2).any(|pair| match pair {
            // A mixed number to a reader, a product to sympy.
            [a, b] => a.is_number && (b.is_frac || b.is_number),
            _ => false,
        }) || factors.windows(3).any(|three| match three {
            // sympy takes an x between two numbers for a times sign.
            [a, x, b] => !a.has_symbols && !b.has_symbols && x.value.is_symbol("x"),
            _ => false,
        });
        if ambiguous {
            return None;
        }
        let mut factors = factors.into_iter();
        let first = factors.next()?.value;
        factors.try_fold(first, |product, factor| product.times(&factor.value))
    }

    fn begins_factor(&self) -> bool {
        matches!(
            self.peek(),
            Some(
                Token::Digit { .. }
                    | Token::Letter(_)
                    | Token::Greek(_)
                    | Token::Open('(' | '{')
                    | Token::Frac
                    | Token::Sqrt
                    | Token::Binom
            )
        )
    }

    /// postfix: a power, perhaps with one `!`.
    fn factor(&mut self) -> Option<Factor> {
        let from = self.at;
        let is_number = matches!(self.peek(), Some(Token::Digit { .. }));
        let is_frac = self.peek() == Some(&Token::Frac);
        let base = self.base()?;
        let mut value = base;
        if self.take(&Token::Caret) {
            let exponent = if self.take(&Token::Open('{')) { self.group('}')? } else { self.atom()? };
            self.note_inexact(from);
            value = match exponent.as_rational() {
                Some(n) if n.is_negative() => {
                    let power = value.to_power(&exponent.negated())?;
                    self.quotient(&Value::rational(integer(1)), &power)?
                }
                _ => value.to_power(&exponent)?,
            };
        }
        if self.take(&Token::Bang) {
            self.note_inexact(from);
            value = value.factorial()?;
        }
        // A second power or factorial and a lower index are left to sympy.
        if matches!(self.peek(), Some(Token::Caret | Token::Bang | Token::Underscore)) {
            return None;
        }
        let read = self.tokens.get(from..self.at)?;
        let has_symbols = read.iter().any(|t| matches!(t, Token::Letter(_) | Token::Greek(_)));
        Some(Factor { value, has_symbols, is_number, is_frac })
    }

    fn base(&mut self) -> Option<Value> {
        match self.peek()? {
            Token::Open('(') => {
                self.at += 1;
                self.group(')')
            }
            Token::Open('{') => {
                self.at += 1;
                self.group('}')
            }
            Token::Sqrt => {
                self.at += 1;
                self.root()
            }
            _ => self.atom(),
        }
    }

    fn group(&mut self, close: char) -> Option<Value> {
        let value = self.sum()?;
        self.need(&Token::Close(close))?;
        Some(value)
    }

    fn braced(&mut self) -> Option<Value> {
        self.need(&Token::Open('{'))?;
        self.group('}')
    }

    fn root(&mut self) -> Option<Value> {
        let from = self.at;
        let degree = if self.take(&Token::Open('[')) { self.group(']')? } else { Value::rational(integer(2)) };
        let radicand = self.braced()?;
        self.note_inexact(from);
        radicand.to_power(&degree.inverted()?)
    }

    fn atom(&mut self) -> Option<Value> {
        match self.peek()?.clone() {
            Token::Digit { .. } => self.number(),
            Token::Letter(c) => self.symbol(c.to_string()),
            Token::Greek(name) => self.symbol(name.to_owned()),
            Token::Frac => {
                self.at += 1;
                let above = self.fraction_part()?;
                let below = self.fraction_part()?;
                self.quotient(&above, &below)
            }
            Token::Binom => {
                self.at += 1;
                let n = self.braced()?;
                n.choose(&self.braced()?)
            }
            _ => None,
        }
    }

    /// `{...}` or one digit.
    fn fraction_part(&mut self) -> Option<Value> {
        match self.peek()? {
            Token::Digit { digit, .. } => {
                let digit = digit.to_digit(10)?;
                self.at += 1;
                Some(Value::rational(integer(i64::from(digit))))
            }
            _ => self.braced(),
        }
    }

    fn quotient(&mut self, above: &Value, below: &Value) -> Option<Value> {
        let halves = below.as_rational().is_some_and(|x| x.is_integer() && x.numer().magnitude().count_ones() == 1);
        self.decimals.inexact |= !halves;
        above.over(below)
    }

    /// Decimals read since `from` were raised to a power.
    fn note_inexact(&mut self, from: usize) {
        let decimal = self.tokens.get(from..self.at).is_some_and(|read| read.contains(&Token::Dot));
        self.decimals.inexact |= decimal;
    }
}
