//! The tokenizers of BLEU, as sacreBLEU 2 has them.

use crate::python::text::split;
use unicode_general_category::{GeneralCategory, get_general_category};

/// How a line is cut into words before n-grams are counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tokenizer {
    /// `13a`, the default: what mteval-v13a does for western languages (WMT).
    #[default]
    Mteval13a,
    /// `intl`: punctuation and symbols of all scripts, as mteval-v14 does with `--international`.
    International,
    /// `char`: each character but white space is a word.
    Characters,
    /// `none`: the text is cut at white space only; for text that is tokenised already.
    WhiteSpace,
}

impl Tokenizer {
    /// The tokenizer with sacreBLEU's name: `13a`, `intl`, `char` or `none`.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "13a" => Some(Self::Mteval13a),
            "intl" => Some(Self::International),
            "char" => Some(Self::Characters),
            "none" => Some(Self::WhiteSpace),
            _ => None,
        }
    }

    /// The line with white space (of any kind and number) between its words. The line must have lost its trailing white
    /// space: a full stop before it would be cut off otherwise.
    pub fn separate(self, line: &str) -> String {
        match self {
            Self::Mteval13a => mteval_13a(line),
            Self::International => international(line),
            Self::Characters => line.chars().flat_map(|c| [c, ' ']).collect(),
            Self::WhiteSpace => line.to_owned(),
        }
    }
}

/// The words of a separated line.
pub fn words(separated: &str) -> Vec<&str> {
    split(separated).collect()
}

fn mteval_13a(line: &str) -> String {
    let line = line.replace("<skipped>", "").replace("-\n", "").replace('\n', " ");
    let line = unescape(line);
    let line = surround(&format!(" {line} "), is_ascii_symbol);
    let is_mark = |c: char| matches!(c, '.' | ',');
    let line = pairs(&line, |a, b| !a.is_ascii_digit() && is_mark(b), Cut::AroundSecond);
    let line = pairs(&line, |a, b| is_mark(a) && !b.is_ascii_digit(), Cut::AroundFirst);
    pairs(&line, |a, b| a.is_ascii_digit() && b == '-', Cut::AroundSecond)
}

fn unescape(line: String) -> String {
    if !line.contains('&') {
        return line;
    }
    line.replace("&quot;", "\"").replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">")
}

/// ASCII punctuation but apostrophe, comma, hyphen and full stop, and the blank.
fn is_ascii_symbol(c: char) -> bool {
    matches!(c, ' '..='&' | '('..='+' | '/' | ':'..='@' | '['..='`' | '{'..='~')
}

fn international(line: &str) -> String {
    let line = pairs(line, |a, b| !is_number(a) && is_punctuation(b), Cut::AroundSecond);
    let line = pairs(&line, |a, b| is_punctuation(a) && !is_number(b), Cut::AroundFirst);
    surround(&line, is_symbol)
}

/// Which of two characters gets blanks around it.
#[derive(Clone, Copy)]
enum Cut {
    AroundFirst,
    AroundSecond,
}

/// Cuts at each pair that is wanted. Pairs do not overlap, the leftmost comes first: a character that closed one pair does not
/// open the next, as with a regular expression's substitution.
fn pairs(line: &str, wanted: impl Fn(char, char) -> bool, cut: Cut) -> String {
    let mut out = String::with_capacity(line.len() + line.len() / 2);
    let mut rest = line.chars().peekable();
    while let Some(a) = rest.next() {
        match rest.next_if(|b| wanted(a, *b)) {
            None => out.push(a),
            Some(b) => match cut {
                Cut::AroundFirst => out.extend([' ', a, ' ', b]),
                Cut::AroundSecond => out.extend([a, ' ', b, ' ']),
            },
        }
    }
    out
}

/// Blanks on both sides of each character that is wanted.
fn surround(line: &str, wanted: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(line.len() + line.len() / 2);
    for c in line.chars() {
        if wanted(c) { out.extend([' ', c, ' ']) } else { out.push(c) }
    }
    out
}

/// General category P.
fn is_punctuation(c: char) -> bool {
    use GeneralCategory as G;
    matches!(
        get_general_category(c),
        G::ConnectorPunctuation
            | G::DashPunctuation
            | G::OpenPunctuation
            | G::ClosePunctuation
            | G::InitialPunctuation
            | G::FinalPunctuation
            | G::OtherPunctuation
    )
}

/// General category S.
fn is_symbol(c: char) -> bool {
    use GeneralCategory as G;
    matches!(get_general_category(c), G::MathSymbol | G::CurrencySymbol | G::ModifierSymbol | G::OtherSymbol)
}

/// General category N.
pub(super) fn is_number(c: char) -> bool {
    use GeneralCategory as G;
    matches!(get_general_category(c), G::DecimalNumber | G::LetterNumber | G::OtherNumber)
}

/// General category L.
pub(super) fn is_letter(c: char) -> bool {
    use GeneralCategory as G;
    matches!(
        get_general_category(c),
        G::UppercaseLetter | G::LowercaseLetter | G::TitlecaseLetter | G::ModifierLetter | G::OtherLetter
    )
}
