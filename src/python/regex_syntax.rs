//! Python's regular-expression syntax rewritten in that of `fancy_regex`.
//!
//! What looks alike differs: `$` (Python: also before a last newline), `\Z` (Python: the very end), `\w`, `\b` and `\s`
//! (Python: letters, digits and `_` without combining marks; white space with U+001C to U+001F), `[` in classes, `{` that
//! is no repetition, `\<`, `\h` and other escapes that Python does not have. Source: CPython 3.11 `Lib/re/_parser.py`.

use std::iter::Peekable;
use std::str::Chars;

/// The members of Python's `\w` and `\s`, for use between brackets.
const WORD: &str = r"\p{L}\p{N}_";
const SPACE: &str = r"\s\x1c-\x1f";
const ASCII_WORD: &str = "a-zA-Z0-9_";
const ASCII_SPACE: &str = r"\x20\t\n\r\x0b\x0c";

/// Flags that change how a pattern is read, inherited by inner groups.
#[derive(Debug, Clone, Copy, Default)]
struct Flags {
    ascii: bool,
    multiline: bool,
    verbose: bool,
}

struct Translator<'a> {
    source: &'a str,
    rest: Peekable<Chars<'a>>,
    out: String,
    flags: Flags,
    /// Flags to go back to at the end of each open group.
    outer: Vec<Flags>,
}

/// A backslash sequence.
enum Escape {
    /// One character.
    Literal(char),
    /// `\d`, `\s`, `\w` or their negation: members and whether they are excluded.
    Class { members: &'static str, negated: bool },
    /// Anything else, written out; not allowed in a class.
    Other(String),
}

/// Bytes of a pattern: what looks ahead in it takes time with the square of its length.
const LONGEST: usize = 20_000;

/// Rewrites `source`; the error says what is wrong with it.
pub fn translate(source: &str) -> Result<String, String> {
    if source.len() > LONGEST {
        return Err(format!("it is longer than {LONGEST} bytes"));
    }
    let mut translator = Translator {
        source,
        rest: source.chars().peekable(),
        out: String::new(),
        flags: Flags::default(),
        outer: Vec::new(),
    };
    while translator.step()? {}
    Ok(translator.out)
}

impl Translator<'_> {
    /// Rewrites the next piece; `false` at the end.
    fn step(&mut self) -> Result<bool, String> {
        let Some(c) = self.rest.next() else { return Ok(false) };
        match c {
            '\\' => match self.escape()? {
                Escape::Literal(c) => self.literal(c),
                Escape::Class { members, negated } => self.class_of(members, negated),
                Escape::Other(text) => self.out.push_str(&text),
            },
            '[' => self.class()?,
            '(' => self.open()?,
            ')' => {
                self.flags = self.outer.pop().unwrap_or(self.flags);
                self.out.push(')');
            }
            '$' if !self.flags.multiline => self.out.push_str(r"(?:(?=\n?\z))"),
            '{' => self.brace(),
            '|' | '*' | '+' | '?' | '.' | '^' | '$' => self.out.push(c),
            '#' if self.flags.verbose => while self.rest.next_if(|c| *c != '\n').is_some() {},
            c if self.flags.verbose && c.is_ascii_whitespace() => {}
            c => self.literal(c),
        }
        Ok(true)
    }

    fn literal(&mut self, c: char) {
        if r"\.+*?()|[]{}^$#".contains(c) {
            self.out.push('\\');
        }
        self.out.push(c);
    }

    fn class_of(&mut self, members: &str, negated: bool) {
        self.out.push_str(if negated { "[^" } else { "[" });
        self.out.push_str(members);
        self.out.push(']');
    }

    fn word(&self) -> &'static str {
        if self.flags.ascii { ASCII_WORD } else { WORD }
    }

    fn space(&self) -> &'static str {
        if self.flags.ascii { ASCII_SPACE } else { SPACE }
    }

    /// What follows a backslash, outside a class or (for literals and class escapes) inside one.
    fn escape(&mut self) -> Result<Escape, String> {
        let c = self.rest.next().ok_or("bad escape (end of pattern)")?;
        let class = |members, negated| Ok(Escape::Class { members, negated });
        match c {
            'd' | 'D' => class(if self.flags.ascii { "0-9" } else { r"\d" }, c == 'D'),
            's' | 'S' => class(self.space(), c == 'S'),
            'w' | 'W' => class(self.word(), c == 'W'),
            'A' => Ok(Escape::Other(r"\A".into())),
            'Z' => Ok(Escape::Other(r"\z".into())),
            'b' | 'B' => Ok(Escape::Other(self.boundary(c == 'B'))),
            '1'..='9' => self.reference(c),
            '0' => Ok(Escape::Literal(self.octal(0, 2)?)),
            _ => self.plain_escape(c).map(Escape::Literal),
        }
    }

    /// Escapes for one character, the same inside and outside classes.
    fn plain_escape(&mut self, c: char) -> Result<char, String> {
        Ok(match c {
            'a' => '\x07',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0b',
            'x' => self.hex(2)?,
            'u' => self.hex(4)?,
            'U' => self.hex(8)?,
            c if c.is_ascii_alphabetic() => return Err(format!("bad escape \\{c}")),
            c => c,
        })
    }

    /// `\b`, or `\B` when negated, over Python's word characters.
    fn boundary(&self, negated: bool) -> String {
        let word = self.word();
        let (first, second) = if negated { ('=', '!') } else { ('!', '=') };
        format!("(?:(?<=[{word}])(?{first}[{word}])|(?<![{word}])(?{second}[{word}]))")
    }

    /// A group number of one or two digits, or three octal digits.
    fn reference(&mut self, first: char) -> Result<Escape, String> {
        let mut digits = String::from(first);
        digits.extend(self.rest.next_if(char::is_ascii_digit));
        let octal = digits.len() == 2 && first <= '3' && digits.chars().all(|c| c.is_digit(8));
        if octal && self.rest.peek().is_some_and(|c| c.is_digit(8)) {
            let high = u32::from_str_radix(&digits, 8).map_err(|err| err.to_string())?;
            return Ok(Escape::Literal(self.octal(high, 1)?));
        }
        Ok(Escape::Other(format!("(?:\\{digits})")))
    }

    /// Up to `most` further octal digits after the ones that gave `value`.
    fn octal(&mut self, mut value: u32, most: usize) -> Result<char, String> {
        for _ in 0..most {
            match self.rest.next_if(|c| c.is_digit(8)).and_then(|c| c.to_digit(8)) {
                Some(digit) => value = value * 8 + digit,
                None => break,
            }
        }
        char::from_u32(value).ok_or_else(|| format!("bad octal escape \\{value:o}"))
    }

    /// Exactly `count` hexadecimal digits.
    fn hex(&mut self, count: usize) -> Result<char, String> {
        let digits: String = (0..count).map_while(|_| self.rest.next_if(char::is_ascii_hexdigit)).collect();
        if digits.len() < count {
            return Err(format!("incomplete escape: {count} hexadecimal digits are needed"));
        }
        u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32).ok_or_else(|| format!("bad character {digits}"))
    }

    /// `{m,n}` if it is a repetition, else a literal brace.
    fn brace(&mut self) {
        let mut ahead = self.rest.clone();
        let body: String = ahead.by_ref().take_while(|c| *c != '}').take(20).collect();
        let closed = self.remaining(&ahead).ends_with('}');
        let (low, high) = body.split_once(',').map_or((body.as_str(), None), |(low, high)| (low, Some(high)));
        let number = |text: &str| text.chars().all(|c| c.is_ascii_digit());
        if !closed || body.is_empty() || !number(low) || !high.is_none_or(number) {
            return self.out.push_str(r"\{");
        }
        self.rest = ahead;
        let low = if low.is_empty() { "0" } else { low };
        match high {
            None => self.out.push_str(&format!("{{{low}}}")),
            Some(high) => self.out.push_str(&format!("{{{low},{high}}}")),
        }
    }

    /// The source up to where `ahead` stands.
    fn remaining(&self, ahead: &Peekable<Chars<'_>>) -> &str {
        let left: usize = ahead.clone().map(char::len_utf8).sum();
        self.source.get(..self.source.len() - left).unwrap_or_default()
    }

    /// A character class; its opening bracket has been read.
    fn class(&mut self) -> Result<(), String> {
        self.out.push('[');
        if self.rest.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        let mut first = true;
        loop {
            let c = self.rest.next().ok_or("unterminated character set")?;
            if c == ']' && !first {
                break;
            }
            first = false;
            let Some(low) = self.class_member(c)? else { continue };
            push_member(&mut self.out, low);
            self.class_range()?;
        }
        self.out.push(']');
        Ok(())
    }

    /// The upper end of a range, if one follows.
    fn class_range(&mut self) -> Result<(), String> {
        let mut ahead = self.rest.clone();
        if ahead.next() != Some('-') || ahead.peek().is_none_or(|c| *c == ']') {
            return Ok(());
        }
        self.rest.next();
        let high = self.rest.next().ok_or("unterminated character set")?;
        self.out.push('-');
        let high = self.class_member(high)?.ok_or("bad character range: it ends in a class")?;
        push_member(&mut self.out, high);
        Ok(())
    }

    /// The character that `c` stands for in a class, or `None` when it was a class escape, which is written out.
    fn class_member(&mut self, c: char) -> Result<Option<char>, String> {
        if c != '\\' {
            return Ok(Some(c));
        }
        match self.rest.peek() {
            Some('b') => {
                self.rest.next();
                return Ok(Some('\x08'));
            }
            Some('1'..='7') => return self.octal(0, 3).map(Some),
            _ => {}
        }
        match self.escape()? {
            Escape::Literal(c) => Ok(Some(c)),
            Escape::Class { members, negated: false } => {
                self.out.push_str(members);
                Ok(None)
            }
            Escape::Class { members, negated: true } => {
                self.class_of(members, true);
                Ok(None)
            }
            Escape::Other(_) => Err("bad escape in a character set".into()),
        }
    }

    /// A group; its opening parenthesis has been read.
    fn open(&mut self) -> Result<(), String> {
        if self.rest.next_if_eq(&'?').is_none() {
            if self.rest.peek() == Some(&'*') {
                return Err("nothing to repeat".into());
            }
            return self.enter("(");
        }
        let c = self.rest.next().ok_or("unexpected end of pattern")?;
        match c {
            ':' => self.enter("(?:"),
            '=' => self.enter("(?="),
            '!' => self.enter("(?!"),
            '>' => self.enter("(?>"),
            '<' => match self.rest.next() {
                Some('=') => self.enter("(?<="),
                Some('!') => self.enter("(?<!"),
                _ => Err("unknown extension ?<".into()),
            },
            'P' => self.named(),
            '(' => {
                let condition = self.until(')')?;
                let number = condition.chars().all(|c| c.is_ascii_digit());
                self.enter(&if number { format!("(?({condition})") } else { format!("(?(<{condition}>)") })
            }
            '#' => self.until(')').map(drop),
            c => self.set_flags(c),
        }
    }

    /// Writes the start of a group whose end will restore the flags.
    fn enter(&mut self, start: &str) -> Result<(), String> {
        self.outer.push(self.flags);
        self.out.push_str(start);
        Ok(())
    }

    /// `(?P<name>` and `(?P=name)`.
    fn named(&mut self) -> Result<(), String> {
        match self.rest.next() {
            Some('<') => {
                let name = self.until('>')?;
                self.enter(&format!("(?P<{name}>"))
            }
            Some('=') => {
                let name = self.until(')')?;
                self.out.push_str(&format!("(?P={name})"));
                Ok(())
            }
            _ => Err("unknown extension ?P".into()),
        }
    }

    /// The text up to `end`, which is taken too.
    fn until(&mut self, end: char) -> Result<String, String> {
        let mut text = String::new();
        loop {
            match self.rest.next() {
                Some(c) if c == end => return Ok(text),
                Some(c) => text.push(c),
                None => return Err(format!("missing {end}")),
            }
        }
    }

    /// `(?flags)` at the start of the pattern, or `(?flags-flags:...)`; `first` has been read.
    fn set_flags(&mut self, first: char) -> Result<(), String> {
        let at_start = self.out.is_empty();
        let (mut inner, mut written, mut on) = (self.flags, String::from("(?"), true);
        let mut next = Some(first);
        loop {
            let c = next.ok_or("missing -, : or )")?;
            match c {
                'i' | 's' => written.push(c),
                'm' => {
                    inner.multiline = on;
                    written.push(c);
                }
                'a' if on => inner.ascii = true,
                'u' if on => inner.ascii = false,
                'x' => inner.verbose = on,
                '-' if on => {
                    on = false;
                    written.push('-');
                }
                ':' => {
                    self.enter(&format!("{}:", written.trim_end_matches('-')))?;
                    self.flags = inner;
                    return Ok(());
                }
                ')' if on && at_start => {
                    self.flags = inner;
                    if written.len() > 2 {
                        self.out.push_str(&format!("{written})"));
                    }
                    return Ok(());
                }
                ')' => return Err("global flags not at the start of the expression".into()),
                c => return Err(format!("unknown extension or flag ?{c}")),
            }
            next = self.rest.next();
        }
    }
}

/// Writes one member of a class so that nothing about it is special.
fn push_member(out: &mut String, c: char) {
    if c.is_ascii() && !c.is_ascii_alphanumeric() {
        out.push_str(&format!("\\x{:02X}", u32::from(c)));
    } else {
        out.push(c);
    }
}

#[cfg(test)]
mod tests {
    //! Expected values: what CPython 3.11 `re.findall` gives for the whole match.
    use super::*;
    use fancy_regex::Regex;

    fn first(pattern: &str, text: &str) -> Option<String> {
        let translated = translate(pattern).unwrap();
        let regex = Regex::new(&translated).unwrap_or_else(|err| panic!("{pattern} -> {translated}: {err}"));
        regex.find(text).unwrap().map(|m| m.as_str().to_owned())
    }

    #[test]
    fn means_what_python_means() {
        let cases = [
            (r"[[(\]]+", "a[(]b", "[(]"),
            (r"[]a]+", "b]a]", "]a]"),
            (r"[^]a]+", "]ab-", "b-"),
            (r"[a&&b~~-]+", "x&&~-b", "&&~-b"),
            (r"[\w-]+", "!a-b", "a-b"),
            (r"[^\W\d]+", "12ab3", "ab"),
            (r"[\S]+", "\x1ca b", "a"),
            (r"[+--]+", "a+,-.", "+,-"),
            (r"x{,2}y", "xxxy", "xxy"),
            (r"x{}", "ax{}", "x{}"),
            (r"x{a}", "x{a}", "x{a}"),
            (r"{", "a{", "{"),
            (r"\w+", "कि", "क"),
            (r"\bi\b", "ai i", "i"),
            (r"\<a\>", "<a>", "<a>"),
            (r"\x41\u0042\U00000043\101\07?", "ABCA", "ABCA"),
            (
                r"(?x) a b  # comment
                c [ ]",
                "abc ",
                "abc ",
            ),
            (r"(?i)abc", "xABC", "ABC"),
            (r"a(?i:b)c", "abC aBc", "aBc"),
            (r"(?a)\w+", "éa", "a"),
            (r"(?P<q>['\x22]).*?(?P=q)", "a 'b' c", "'b'"),
            (r"(a)?(?(1)b|c)", "xc", "c"),
            (r"a++b", "aaab", "aaab"),
            (r"(?>a|ab)c", "abc ac", "ac"),
            (r"a(?#note)b", "ab", "ab"),
            (r"(?<=\$)\d+", "€1 $23", "23"),
            (r"(.)\1", "abba", "bb"),
            (r"a.c", "a\nc abc", "abc"),
            (r"(?s)a.c", "a\nc", "a\nc"),
            (r"#\ #", "# #", "# #"),
            (r"[\b]", "a\x08", "\x08"),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(first(pattern, text).as_deref(), Some(expected), "{pattern}");
        }
    }

    #[test]
    fn refuses_what_python_refuses() {
        for pattern in [r"\h", r"a\", "[a", "(?<name>a)", "(*a)", "a(?i)b", r"\x4", r"[a-\d]", "(?#a", "(?q)", r"\p{L}"]
        {
            assert!(translate(pattern).is_err(), "{pattern}");
        }
        for pattern in ["(a", "a)", "*a", r"(a)\2", "[b-a]"] {
            assert!(Regex::new(&translate(pattern).unwrap()).is_err(), "{pattern}");
        }
    }
}
