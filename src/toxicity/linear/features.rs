//! What a linear model counts in a text. Defined here to the last character, so that any program can compute the same.
//!
//! The text is lower-cased (Unicode, full mapping). Of it are taken:
//! - words: longest runs of word characters, which are `0-9`, `a-z` and everything from U+00C0 on but U+00D7, U+00F7, U+2000-U+206F and
//!   U+3000-U+303F. N-grams of words are joined by one space and have `w` in front.
//! - pieces: the text is cut at white space (Unicode's White_Space); of each part the first 64 characters are kept and a space is put at
//!   both ends. N-grams of its characters have `c` in front.
//!
//! Each n-gram, as UTF-8, is hashed by FNV-1a (64 bits); its bucket is the lower bits of the hash with its upper half folded in (xor). A
//! text is the set of its buckets: how often one comes does not count. Its value at each is 1/sqrt(number of buckets), so that long texts
//! weigh what short ones do.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Characters that are kept of a part between white space.
const LONGEST_PART: usize = 64;

/// Lengths of n-grams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Features {
    /// N-grams of words: shortest and longest; `[0, 0]` for none.
    pub words: [usize; 2],
    /// N-grams of characters in a part, with its spaces.
    pub chars: [usize; 2],
}

impl Features {
    /// Whether the lengths are possible.
    pub fn is_valid(&self) -> bool {
        let range =
            |[low, high]: [usize; 2], most| (low == 0 && high == 0) || (low >= 1 && low <= high && high <= most);
        range(self.words, 8) && range(self.chars, LONGEST_PART) && (self.words[1] > 0 || self.chars[1] > 0)
    }

    /// The buckets of a text, in rising order. `buckets`: how many there are, a power of two.
    pub fn buckets(&self, text: &str, buckets: usize) -> BTreeSet<usize> {
        let text = text.to_lowercase();
        let mut found = BTreeSet::new();
        let mut add = |gram: &[u8], kind: u8| {
            let hash = fnv1a_from(fnv1a(&[kind]), gram);
            found.insert((hash ^ (hash >> 32)) as usize & (buckets - 1));
        };
        let words: Vec<&str> = text.split(|c| !is_word(c)).filter(|word| !word.is_empty()).collect();
        for n in lengths(self.words) {
            words.windows(n).for_each(|gram| add(gram.join(" ").as_bytes(), b'w'));
        }
        for part in text.split_whitespace() {
            let padded: Vec<char> = [' '].into_iter().chain(part.chars().take(LONGEST_PART)).chain([' ']).collect();
            for n in lengths(self.chars) {
                padded.windows(n).for_each(|gram| add(gram.iter().collect::<String>().as_bytes(), b'c'));
            }
        }
        found
    }
}

/// The lengths from shortest to longest; none for zeros.
fn lengths([low, high]: [usize; 2]) -> impl Iterator<Item = usize> {
    (low..=high).filter(|n| *n > 0)
}

fn is_word(c: char) -> bool {
    match c {
        '0'..='9' | 'a'..='z' => true,
        '\u{d7}' | '\u{f7}' | '\u{2000}'..='\u{206f}' | '\u{3000}'..='\u{303f}' => false,
        c => c >= '\u{c0}',
    }
}

/// FNV-1a, 64 bits.
pub fn fnv1a(bytes: &[u8]) -> u64 {
    fnv1a_from(0xcbf2_9ce4_8422_2325, bytes)
}

fn fnv1a_from(state: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(state, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Test vectors of the authors of FNV (draft-eastlake-fnv): the empty string, `a`, `foobar`.
    #[test]
    fn hash_is_fnv1a() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn grams_are_counted_once() {
        let features = Features { words: [1, 2], chars: [3, 3] };
        let bucket = |gram: &str| {
            let hash = fnv1a(gram.as_bytes());
            (hash ^ (hash >> 32)) as usize & 0xffff
        };
        let expected: BTreeSet<usize> =
            ["wab", "wc", "wab c", "wc ab", "c ab", "cab ", "c c ", "c c!", "cc! "].map(bucket).into();
        // ` c!` and `c! ` for `C!`; ` c ` does not come.
        let expected = &expected - &[bucket("c c ")].into();
        assert_eq!(features.buckets("Ab C!\u{3000}aB", 1 << 16), expected);
        assert!(features.buckets("", 1 << 16).is_empty() && features.buckets(" \u{a0}\n", 1 << 16).is_empty());
    }

    #[test]
    fn impossible_lengths_are_refused() {
        let valid = |words, chars| Features { words, chars }.is_valid();
        assert!(valid([1, 2], [3, 5]) && valid([0, 0], [3, 5]) && valid([1, 1], [0, 0]));
        for (words, chars) in [([0, 0], [0, 0]), ([2, 1], [3, 5]), ([0, 2], [3, 5]), ([1, 2], [3, usize::MAX])] {
            assert!(!valid(words, chars), "{words:?} {chars:?}");
        }
    }
}
