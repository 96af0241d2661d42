//! Tokens of LaTeX answers: the part of `parse_latex`'s lexer that the exact tier understands. Anything else ends the
//! reading.

/// A token; space and sizing commands are gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// A digit; `spaced` where white space stands before it (sympy reads `2 3` as 23).
    Digit {
        digit: char,
        spaced: bool,
    },
    Comma,
    Dot,
    /// A Latin letter.
    Letter(char),
    /// A Greek letter by its name.
    Greek(&'static str),
    Plus,
    Minus,
    Times,
    Divide,
    Caret,
    Underscore,
    Bang,
    /// `(` or `{` or `[`.
    Open(char),
    /// `)` or `}` or `]`.
    Close(char),
    Frac,
    Sqrt,
    Binom,
}

/// More tokens are not read.
const MAX_TOKENS: usize = 512;

const GREEK: &[&str] = &[
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "varepsilon",
    "zeta",
    "eta",
    "theta",
    "vartheta",
    "kappa",
    "lambda",
    "mu",
    "nu",
    "xi",
    "pi",
    "rho",
    "sigma",
    "tau",
    "phi",
    "varphi",
    "chi",
    "psi",
    "omega",
    "Gamma",
    "Delta",
    "Theta",
    "Lambda",
    "Xi",
    "Pi",
    "Sigma",
    "Phi",
    "Psi",
    "Omega",
];

/// The tokens of a text; `None` where there is something that is not understood.
pub(super) fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut found = Vec::new();
    let mut rest = text.trim_matches([' ', '\t', '\n', '\r']);
    let mut spaced = false;
    while let Some(c) = rest.chars().next() {
        if found.len() >= MAX_TOKENS {
            return None;
        }
        let after = rest.get(c.len_utf8()..)?;
        let (token, next) = match c {
            ' ' | '\t' | '\n' | '\r' => (None, after),
            '\\' => command(after)?,
            'd' if begins_differential(after) => return None,
            _ => (Some(character(c, spaced)?), after),
        };
        spaced = matches!(c, ' ' | '\t' | '\n' | '\r');
        found.extend(token);
        rest = next;
    }
    Some(found)
}

/// sympy reads `dx` and `d\theta` as one differential.
fn begins_differential(after: &str) -> bool {
    after.trim_start_matches([' ', '\t', '\n', '\r']).starts_with(|c: char| c.is_ascii_alphabetic() || c == '\\')
}

fn character(c: char, spaced: bool) -> Option<Token> {
    Some(match c {
        '0'..='9' => Token::Digit { digit: c, spaced },
        ',' => Token::Comma,
        '.' => Token::Dot,
        'a'..='z' | 'A'..='Z' => Token::Letter(c),
        '+' => Token::Plus,
        '-' => Token::Minus,
        '*' => Token::Times,
        '/' => Token::Divide,
        '^' => Token::Caret,
        '_' => Token::Underscore,
        '!' => Token::Bang,
        '(' | '{' | '[' => Token::Open(c),
        ')' | '}' | ']' => Token::Close(c),
        _ => return None,
    })
}

/// The token of a command (none for spaces and sizes), and what follows it.
fn command(after: &str) -> Option<(Option<Token>, &str)> {
    if let Some(next) = after.strip_prefix([',', ':', ';', '!']) {
        return Some((None, next));
    }
    let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
    let (name, next) = after.split_at_checked(letters)?;
    let token = match name {
        "left" | "right" if next.starts_with('|') => return None,
        "left" | "right" | "quad" | "qquad" => None,
        "cdot" | "times" => Some(Token::Times),
        "div" => Some(Token::Divide),
        "frac" | "dfrac" | "tfrac" => Some(Token::Frac),
        "sqrt" => Some(Token::Sqrt),
        "binom" | "dbinom" | "tbinom" => Some(Token::Binom),
        _ => Some(Token::Greek(GREEK.iter().find(|greek| **greek == name)?)),
    };
    Some((token, next))
}
