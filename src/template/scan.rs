//! Reads the outer form of a template before minijinja does: line ends and string escapes as Python has them, the tags that
//! only chat templates know, the operands that Python treats in another way (`operands`), and the names that are used as filters,
//! tests and functions. What is too long for the parser, which goes as deep as an expression is long, is refused here.

use super::namespaces;
use super::operands::{Operands, Word};
use crate::error;
use crate::python::literal::unescape;
use minijinja::{Error, ErrorKind};

/// Bytes of a template's source. The longest published chat templates have some 20 KB.
pub const MAX_SOURCE: usize = 1 << 20;

/// Words and signs between a template's delimiters: each may be a level of its syntax tree. The longest published chat templates have
/// some 6,000.
pub const MAX_TOKENS: usize = 1 << 14;

/// Which reference reads the template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// The reference harness' Jinja2 environment.
    Task,
    /// transformers': knows `{% generation %}`, which marks the assistant's tokens and changes nothing else.
    Chat,
}

/// A template in minijinja's spelling, with the tokens between its delimiters.
#[derive(Debug)]
pub struct Scanned {
    pub source: String,
    pub tokens: Vec<Token>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub kind: TokenKind,
    /// The token as written; for a text, its value.
    pub text: String,
    /// From 1.
    pub line: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// `{{` or `{%`.
    Open,
    /// `}}` or `%}`.
    Close,
    Name,
    Text,
    /// A number's or operator's character.
    Other,
}

/// Why a template cannot be read, and where.
#[derive(Debug)]
pub struct Refused {
    pub problem: String,
    pub line: usize,
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Error {
        Error::new(ErrorKind::SyntaxError, format!("{} (line {})", refused.problem, refused.line))
    }
}

impl From<Refused> for error::Error {
    fn from(refused: Refused) -> error::Error {
        error::Error::input(format!("template: {}", refused.problem)).line(refused.line)
    }
}

/// Rewrites a template; the error is a bad string escape, or that the template is too long.
pub fn scan(source: &str, dialect: Dialect) -> Result<Scanned, Refused> {
    if source.len() > MAX_SOURCE {
        return Err(Refused { problem: format!("is longer than {MAX_SOURCE} bytes"), line: 1 });
    }
    let source = source.replace("\r\n", "\n").replace('\r', "\n");
    let mut scanner =
        Scanner { rest: &source, line: 1, dialect, out: String::with_capacity(source.len()), tokens: Vec::new() };
    while let Some(start) = scanner.next_delimiter() {
        scanner.copy(start);
        if scanner.rest.starts_with("{#") {
            let end = scanner.rest.find("#}").map_or(scanner.rest.len(), |end| end + 2);
            scanner.copy(end);
        } else if let Some(end) = raw_block(scanner.rest) {
            scanner.copy(end);
        } else {
            scanner.expression()?;
        }
    }
    scanner.copy(scanner.rest.len());
    namespaces::check(&scanner.tokens)?;
    Ok(Scanned { source: scanner.out, tokens: scanner.tokens })
}

struct Scanner<'a> {
    rest: &'a str,
    line: usize,
    dialect: Dialect,
    out: String,
    tokens: Vec<Token>,
}

impl Scanner<'_> {
    fn next_delimiter(&self) -> Option<usize> {
        self.rest
            .match_indices('{')
            .map(|(at, _)| at)
            .find(|at| matches!(self.rest.as_bytes().get(at + 1), Some(b'{' | b'%' | b'#')))
    }

    /// Moves over `length` bytes, without or with copying them.
    fn skip(&mut self, length: usize) {
        let (passed, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.line += passed.matches('\n').count();
        self.rest = rest;
    }

    fn copy(&mut self, length: usize) {
        self.out.push_str(self.rest.get(..length).unwrap_or(self.rest));
        self.skip(length);
    }

    fn token(&mut self, kind: TokenKind, text: &str) {
        self.tokens.push(Token { kind, text: text.to_string(), line: self.line });
    }

    /// What stands between delimiters; the scanner is on the opening one.
    fn expression(&mut self) -> Result<(), Refused> {
        let close = if self.rest.starts_with("{{") { "}}" } else { "%}" };
        self.token(TokenKind::Open, if close == "}}" { "{{" } else { "{%" });
        self.copy(2);
        let mut operands = Operands::new(self.out.len());
        while let Some(c) = self.rest.chars().next() {
            // As in Jinja2, `}}` inside braces does not end the expression.
            if operands.is_outside() && self.ends(close) {
                operands.end(&mut self.out);
                if !self.rest.starts_with(close) {
                    self.token(TokenKind::Other, &c.to_string());
                    self.copy(1);
                }
                self.token(TokenKind::Close, close);
                self.copy(2);
                return Ok(());
            }
            match c {
                '\'' | '"' => {
                    self.text(c)?;
                    operands.operand();
                }
                c if c.is_alphabetic() || c == '_' => self.name(&mut operands),
                c if c.is_ascii_digit() => {
                    self.number();
                    operands.operand();
                }
                c if c.is_whitespace() => self.copy(c.len_utf8()),
                c => self.sign(c, &mut operands),
            }
            if self.tokens.len() > MAX_TOKENS {
                let problem = format!("has more than {MAX_TOKENS} words and signs");
                return Err(Refused { problem, line: self.line });
            }
        }
        operands.end(&mut self.out);
        Ok(())
    }

    /// Whether the tag ends here, perhaps with a sign for white space.
    fn ends(&self, close: &str) -> bool {
        let rest = self.rest.strip_prefix(['-', '+']).unwrap_or(self.rest);
        self.rest.starts_with(close) || rest.starts_with(close)
    }

    fn sign(&mut self, c: char, operands: &mut Operands) {
        let doubled = matches!(c, '*' | '/') && self.rest.get(1..).is_some_and(|rest| rest.starts_with(c));
        let length = if doubled { 2 } else { c.len_utf8() };
        for _ in 0..if doubled { 2 } else { 1 } {
            self.token(TokenKind::Other, &c.to_string());
        }
        let sign = self.rest.get(..length).unwrap_or_default().to_string();
        operands.sign(&sign, &mut self.out);
        self.skip(length);
    }

    /// A number, with the sign of its exponent.
    fn number(&mut self) {
        let digits = |s: &str| s.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(s.len());
        let tail = |at: usize| self.rest.get(at..).unwrap_or_default();
        let mut length = digits(self.rest);
        if tail(length).strip_prefix('.').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) {
            length += 1 + digits(tail(length + 1));
        }
        let written = self.rest.get(..length).unwrap_or_default();
        let is_exponent = written.ends_with(['e', 'E']) && !written.starts_with("0x") && !written.starts_with("0X");
        if is_exponent
            && tail(length).strip_prefix(['-', '+']).is_some_and(|s| s.starts_with(|c: char| c.is_ascii_digit()))
        {
            length += 1 + digits(tail(length + 1));
        }
        let number = self.rest.get(..length).unwrap_or_default().to_string();
        self.token(TokenKind::Other, &number);
        self.copy(length);
    }

    fn name(&mut self, operands: &mut Operands) {
        let length = self.rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(self.rest.len());
        let name = self.rest[..length].to_string();
        let first = self.tokens.last().is_some_and(|t| t.kind == TokenKind::Open && t.text == "{%")
            || matches!(self.tokens.as_slice(), [.., open, sign]
                if open.text == "{%" && open.kind == TokenKind::Open && matches!(sign.text.as_str(), "-" | "+"));
        self.token(TokenKind::Name, &name);
        match (self.dialect, name.as_str()) {
            (Dialect::Chat, "generation") if first => self.replace(length, "if true"),
            (Dialect::Chat, "endgeneration") if first => self.replace(length, "endif"),
            _ => {
                let after = self.tokens.iter().rev().nth(1).map_or("", |before| match before.kind {
                    TokenKind::Text => "",
                    _ => before.text.as_str(),
                });
                let word = Word { name: &name, after, first };
                operands.word(&word, &mut self.out, &name);
                self.skip(length);
            }
        }
    }

    fn replace(&mut self, length: usize, with: &str) {
        self.out.push_str(with);
        self.skip(length);
    }

    /// A string literal: its escapes are read as Python reads them and written so that minijinja reads the same.
    fn text(&mut self, quote: char) -> Result<(), Refused> {
        let mut escaped = false;
        let end = self.rest.char_indices().skip(1).find(|(_, c)| match (escaped, *c) {
            (false, '\\') => {
                escaped = true;
                false
            }
            (false, c) => c == quote,
            (true, _) => {
                escaped = false;
                false
            }
        });
        let Some((end, _)) = end else {
            // minijinja says what is wrong with a text that does not end.
            self.copy(self.rest.len());
            return Ok(());
        };
        let body = &self.rest[1..end];
        if !body.contains('\\') {
            self.token(TokenKind::Text, body);
            self.copy(end + 1);
            return Ok(());
        }
        let value = unescape(body).map_err(|problem| Refused { problem, line: self.line })?;
        self.token(TokenKind::Text, &value);
        self.out.push('"');
        for c in value.chars() {
            match c {
                '\\' => self.out.push_str("\\\\"),
                '"' => self.out.push_str("\\\""),
                c => self.out.push(c),
            }
        }
        self.out.push('"');
        self.skip(end + 1);
        Ok(())
    }
}

/// The length of the `{% raw %}...{% endraw %}` that the text starts with.
fn raw_block(text: &str) -> Option<usize> {
    let body = tag(text, "raw")?;
    let mut at = body;
    while let Some(next) = text.get(at..)?.find("{%") {
        at += next;
        if let Some(length) = tag(text.get(at..)?, "endraw") {
            return Some(at + length);
        }
        at += 2;
    }
    Some(text.len())
}

/// The length of the tag `{% name %}` that the text starts with.
fn tag(text: &str, name: &str) -> Option<usize> {
    let inner = text.strip_prefix("{%")?;
    let inner = inner.strip_prefix(['-', '+']).unwrap_or(inner).trim_start().strip_prefix(name)?.trim_start();
    let rest = inner.strip_prefix(['-', '+']).unwrap_or(inner).strip_prefix("%}")?;
    Some(text.len() - rest.len())
}

/// A name that must be known for a template to work.
#[derive(Debug, PartialEq, Eq)]
pub struct Use<'a> {
    pub kind: UseKind,
    pub name: &'a str,
    pub line: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UseKind {
    Filter,
    Test,
    Function,
}

impl UseKind {
    pub fn as_str(self) -> &'static str {
        match self {
            UseKind::Filter => "filter",
            UseKind::Test => "test",
            UseKind::Function => "function",
        }
    }
}

/// Words before a bracket that call nothing.
const KEYWORDS: &[&str] =
    &["and", "elif", "else", "for", "if", "in", "is", "not", "or", "recursive", "set", "with", "call"];

/// The filters, tests and functions that a template uses.
pub fn uses(tokens: &[Token]) -> Vec<Use<'_>> {
    let mut found = Vec::new();
    for (i, token) in tokens.iter().enumerate() {
        let before = |n: usize| i.checked_sub(n).and_then(|at| tokens.get(at)).map_or("", |t| t.text.as_str());
        let after = tokens.get(i + 1).map_or("", |t| t.text.as_str());
        let opens_block = before(2) == "{%" || (before(3) == "{%" && matches!(before(2), "-" | "+"));
        let kind = match token.kind {
            TokenKind::Name if before(1) == "|" || (before(1) == "filter" && opens_block) => UseKind::Filter,
            TokenKind::Name if is_word(tokens, i, 1, "is") && token.text != "not" => UseKind::Test,
            TokenKind::Name if is_word(tokens, i, 1, "not") && is_word(tokens, i, 2, "is") => UseKind::Test,
            // `map("upper")`, `select("odd")`: a filter or test by its name.
            TokenKind::Text if before(1) == "(" && before(3) == "|" && matches!(after, ")" | ",") => match before(2) {
                "map" => UseKind::Filter,
                "select" | "reject" => UseKind::Test,
                _ => continue,
            },
            TokenKind::Name
                if after == "("
                    && before(1) != "."
                    && !matches!(before(1), "macro" | "block")
                    && !KEYWORDS.contains(&token.text.as_str()) =>
            {
                UseKind::Function
            }
            _ => continue,
        };
        found.push(Use { kind, name: &token.text, line: token.line });
    }
    found
}

/// Whether the token `back` places before `at` is that word (and no text or attribute).
fn is_word(tokens: &[Token], at: usize, back: usize, word: &str) -> bool {
    let Some(index) = at.checked_sub(back) else { return false };
    let attribute =
        index.checked_sub(1).and_then(|i| tokens.get(i)).is_some_and(|t| t.text == "." && t.kind == TokenKind::Other);
    tokens.get(index).is_some_and(|t| t.kind == TokenKind::Name && t.text == word) && !attribute
}
