//! File patterns: `*` within a folder, `**` over folders, `?`, `[0-9]`, `[!x]`, `{a,b}`.

/// One piece of a pattern.
#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Char(char),
    /// `?`
    One,
    /// `[a-z]`
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    /// `*`
    Star,
    /// `**/`: any number of folders, also none.
    Folders,
    /// `**` elsewhere: anything.
    All,
}

/// A pattern that can be held against paths.
#[derive(Debug, Clone)]
pub struct PathPattern(Vec<Vec<Piece>>);

impl PathPattern {
    /// Reads a pattern; every text is one.
    pub fn new(pattern: &str) -> Self {
        let pattern = pattern.strip_prefix("./").unwrap_or(pattern);
        PathPattern(alternatives(pattern).iter().map(|one| pieces(one)).collect())
    }

    /// Whether a path (with `/`) fits. Quadratic at worst, whatever the pattern.
    pub fn matches(&self, path: &str) -> bool {
        let path: Vec<char> = path.chars().collect();
        self.0.iter().any(|pieces| fits(pieces, &path))
    }
}

/// Whether a name is a pattern at all.
pub fn is_path_pattern(name: &str) -> bool {
    name.contains(['*', '?', '[', '{'])
}

/// `a{b,c}d` to `abd`, `acd`; at most 64 of them, braces do not nest.
fn alternatives(pattern: &str) -> Vec<String> {
    let mut done = Vec::new();
    let mut open = vec![pattern.to_string()];
    while let Some(one) = open.pop() {
        let braces = one.find('{').and_then(|from| Some((from, from + one.get(from..)?.find('}')?)));
        match braces {
            Some((from, to)) if open.len() + done.len() < 64 => {
                let (head, tail) = (&one[..from], &one[to + 1..]);
                open.extend(one[from + 1..to].split(',').rev().map(|choice| format!("{head}{choice}{tail}")));
            }
            _ => done.push(one),
        }
    }
    done
}

fn pieces(pattern: &str) -> Vec<Piece> {
    let chars: Vec<char> = pattern.chars().collect();
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(c) = chars.get(at) {
        let rest = &chars[at..];
        let (piece, used) = match (c, rest) {
            ('*', ['*', '*', '/', ..]) => (Piece::Folders, 3),
            ('*', ['*', '*', ..]) => (Piece::All, 2),
            ('*', _) => (Piece::Star, 1),
            ('?', _) => (Piece::One, 1),
            ('[', _) => class(rest).unwrap_or((Piece::Char('['), 1)),
            (c, _) => (Piece::Char(*c), 1),
        };
        out.push(piece);
        at += used;
    }
    out
}

/// A class at the start of `chars`, and its length.
fn class(chars: &[char]) -> Option<(Piece, usize)> {
    let negated = matches!(chars.get(1), Some('!' | '^'));
    let first = 1 + usize::from(negated);
    let end = (first + 1..chars.len()).find(|i| chars.get(*i) == Some(&']'))?;
    let inner = chars.get(first..end)?;
    let mut ranges = Vec::new();
    let mut at = 0;
    while let Some(low) = inner.get(at) {
        match (inner.get(at + 1), inner.get(at + 2)) {
            (Some('-'), Some(high)) => {
                ranges.push((*low, *high));
                at += 3;
            }
            _ => {
                ranges.push((*low, *low));
                at += 1;
            }
        }
    }
    Some((Piece::Class { negated, ranges }, end + 1))
}

/// Goes through the pattern with the set of places in the path that the pieces so far can reach.
fn fits(pieces: &[Piece], path: &[char]) -> bool {
    let mut reached = vec![false; path.len() + 1];
    reached[0] = true;
    for piece in pieces {
        let mut next = vec![false; path.len() + 1];
        let mut reached_before = false;
        for at in 0..=path.len() {
            let here = path.get(at).copied();
            match piece {
                Piece::Star => {
                    next[at] |= reached[at] || (at > 0 && next[at - 1] && path[at - 1] != '/');
                }
                Piece::All => next[at] |= reached[at] || (at > 0 && next[at - 1]),
                Piece::Folders => {
                    next[at] |= reached[at] || (reached_before && path[at - 1] == '/');
                }
                Piece::Char(c) if reached[at] && here == Some(*c) => next[at + 1] = true,
                Piece::One if reached[at] && here.is_some_and(|c| c != '/') => next[at + 1] = true,
                Piece::Class { negated, ranges } if reached[at] => {
                    let within = |c: char| ranges.iter().any(|(low, high)| (*low..=*high).contains(&c));
                    if here.is_some_and(|c| c != '/' && within(c) != *negated) {
                        next[at + 1] = true;
                    }
                }
                _ => {}
            }
            reached_before |= reached[at];
        }
        reached = next;
    }
    reached[path.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, path, fits) in [
            ("data/train-*.parquet", "data/train-00000-of-00001.parquet", true),
            ("data/train-*.parquet", "data/x/train-0.parquet", false),
            ("**/*.parquet", "a.parquet", true),
            ("**/*.parquet", "x/y/a.parquet", true),
            ("data/**", "data/x/y.csv", true),
            ("data/**", "data2/x", false),
            ("*.json", "a.jsonl", false),
            ("test-[0-9][0-9].csv", "test-42.csv", true),
            ("test-[!0-9].csv", "test-4.csv", false),
            ("x?.csv", "xy.csv", true),
            ("{a,b}/*.csv", "b/1.csv", true),
            ("{a,b}/*.csv", "c/1.csv", false),
            ("./a.csv", "a.csv", true),
            ("[", "[", true),
        ] {
            assert_eq!(PathPattern::new(pattern).matches(path), fits, "{pattern} {path}");
        }
        assert!(!PathPattern::new(&"*a".repeat(40)).matches(&"a".repeat(2000).replace("aaaa", "aaab")));
    }
}
