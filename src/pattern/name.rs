//! Shell patterns over names: `*`, `?`, `[abc]`, `[a-z]`, `[!abc]`, as Python's `fnmatch` reads them.

/// Whether a text is a pattern rather than a name.
pub fn is_name_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// Whether `name` matches `pattern` as a whole. Time is at most the product of the lengths.
pub fn matches_name(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut p, mut n) = (0, 0);
    // Where to go on after the last star if what follows it fails.
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        if pattern.get(p) == Some(&'*') {
            retry = Some((p + 1, n));
            p += 1;
            continue;
        }
        match one(&pattern[p..], name[n]) {
            Some(used) => (p, n) = (p + used, n + 1),
            None => match retry {
                Some((after, at)) => {
                    retry = Some((after, at + 1));
                    (p, n) = (after, at + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// How many pattern characters match this one character; `None` if they do not.
fn one(pattern: &[char], c: char) -> Option<usize> {
    match pattern.first()? {
        '?' => Some(1),
        '[' => {
            let negated = pattern.get(1) == Some(&'!');
            let start = if negated { 2 } else { 1 };
            // A `]` that comes first is one of the set; without an end, `[` is itself.
            let Some(length) = pattern.iter().skip(start + 1).position(|p| *p == ']') else {
                return (c == '[').then_some(1);
            };
            let set = pattern.get(start..start + 1 + length)?;
            (in_set(set, c) != negated).then_some(start + length + 2)
        }
        literal => (*literal == c).then_some(1),
    }
}

fn in_set(set: &[char], c: char) -> bool {
    let mut rest = set;
    while let [first, tail @ ..] = rest {
        rest = match tail {
            ['-', last, after @ ..] => {
                if (*first..=*last).contains(&c) {
                    return true;
                }
                after
            }
            _ if *first == c => return true,
            _ => tail,
        };
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_fnmatch() {
        // Expected: `fnmatch.fnmatchcase` of CPython 3.11.
        let cases = [
            ("mmlu_*", "mmlu_anatomy", true),
            ("mmlu_*", "mmlu", false),
            ("*", "", true),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b", "xxaxxbxx", false),
            ("arc_?asy", "arc_easy", true),
            ("?", "", false),
            ("[ab]x", "bx", true),
            ("[!ab]x", "bx", false),
            ("[a-c]x", "cx", true),
            ("[]]x", "]x", true),
            ("[x", "[x", true),
            ("[!]]", "a", true),
            ("a", "ab", false),
            ("", "", true),
            ("é*", "été", true),
        ];
        for (pattern, name, want) in cases {
            assert_eq!(matches_name(pattern, name), want, "{pattern} {name}");
        }
        assert!(!matches_name(&"*a".repeat(30), &"a".repeat(29)));
    }
}
