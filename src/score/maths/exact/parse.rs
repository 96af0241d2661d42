//! Reads an answer as sympy's `parse_latex` does (grammar `LaTeX.g4` of sympy 1.13) straight into its value. What the
//! grammar would read only in part, or in a way that a reader would not expect, is not read at all.

use super::MAX_BYTES;
use super::number::integer;
use super::token::{Token, tokens};
use super::value::Value;
use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::ToPrimitive;

/// Groups nest no deeper than this.
const MAX_DEPTH: usize = 32;
/// Numbers have no more digits than this; decimals, which sympy rounds to 53 bits up to there, no more than 15.
const MAX_DIGITS: usize = 200;
const MAX_DECIMAL_DIGITS: usize = 15;
/// A run of this many letters is a word rather than a product.
const WORD: usize = 3;

/// Decimals in an answer, which sympy turns into binary floats.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Decimals {
    pub(super) any: bool,
    /// The answer is one decimal, perhaps with signs.
    pub(super) alone: bool,
    /// Some decimal is no short binary fraction, or was divided by or raised to a power.
    pub(super) inexact: bool,
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

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    depth: usize,
    decimals: Decimals,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn take(&mut self, token: &Token) -> bool {
        let found = self.peek() == Some(token);
        self.at += usize::from(found);
        found
    }

    fn need(&mut self, token: &Token) -> Option<()> {
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
            if self.take(&Token::Plus) {
                value = value.plus(self.product()?)?;
            } else if self.take(&Token::Minus) {
                value = value.plus(self.product()?.negated())?;
            } else {
                self.depth -= 1;
                return Some(value);
            }
        }
    }

    /// mp: from left to right, explicit signs only; `1/2x` is `1/(2x)`.
    fn product(&mut self) -> Option<Value> {
        let mut value = self.signed()?;
        loop {
            if self.take(&Token::Times) {
                value = value.times(&self.signed()?)?;
            } else if self.take(&Token::Divide) {
                let before = self.at;
                let divisor = self.signed()?;
                self.note_inexact(before);
                value = value.over(&divisor)?;
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
            value = value.to_power(&exponent)?;
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
                let from = self.at;
                let below = self.fraction_part()?;
                self.note_inexact(from);
                above.over(&below)
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

    /// A letter, perhaps with a lower index. Before `(` it is a function to sympy.
    fn symbol(&mut self, mut name: String) -> Option<Value> {
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
    fn number(&mut self) -> Option<Value> {
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

    /// Decimals read since `from` were divided by or raised to a power.
    fn note_inexact(&mut self, from: usize) {
        let decimal = self.tokens.get(from..self.at).is_some_and(|read| read.contains(&Token::Dot));
        self.decimals.inexact |= decimal;
    }
}
