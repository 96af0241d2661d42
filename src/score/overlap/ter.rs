//! TER, the translation edit rate (Snover et al. 2006), equal to sacreBLEU 2 with its default settings.

use super::edit_distance::{Distances, Edit};
use crate::error::{Error, Result};
use crate::python::text::{rstrip, split};
use std::collections::HashMap;
use std::ops::AddAssign;

/// Longest block of words that is moved.
const MAX_BLOCK: usize = 10;
/// Farthest that a block is moved.
const MAX_DISTANCE: usize = 50;
/// No more moves than this are tried for one text.
const MAX_CANDIDATES: usize = 1000;

/// TER; `Ter::default()` is sacreBLEU's default, which ignores case and leaves punctuation at its words.
///
/// Edits (words inserted, deleted, replaced, and blocks of words moved, one edit each) per word of the reference, in per cent:
/// lower is better, and more than 100 is possible. The search for moves is greedy, so it is an upper bound. It misleads on long
/// free answers, where almost every word is an edit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ter {
    pub case_sensitive: bool,
}

/// What TER counts in a text; the counts of a corpus are the sums of those of its texts.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct TerCounts {
    /// Edits against the reference that needs the fewest.
    pub edits: u64,
    /// Words of a reference, on average.
    pub reference_len: f64,
}

impl TerCounts {
    /// The counts in a row. Rows add up to the row of a corpus.
    pub fn to_row(self) -> Vec<f64> {
        vec![self.edits as f64, self.reference_len]
    }

    /// The counts of a row, or of a sum of rows.
    pub fn from_row(row: &[f64]) -> Self {
        let at = |place: usize| row.get(place).copied().unwrap_or_default();
        TerCounts { edits: at(0) as u64, reference_len: at(1) }
    }

    /// Edits in per cent of the references' words; 100 where only the references are empty.
    pub fn score(&self) -> f64 {
        if self.reference_len > 0.0 {
            100.0 * (self.edits as f64 / self.reference_len)
        } else if self.edits > 0 {
            100.0
        } else {
            0.0
        }
    }
}

impl AddAssign for TerCounts {
    fn add_assign(&mut self, other: Self) {
        self.edits += other.edits;
        self.reference_len += other.reference_len;
    }
}

impl Ter {
    /// Counts of one text against its references, one at least.
    pub fn counts<R: AsRef<str>>(&self, hypothesis: &str, references: &[R]) -> Result<TerCounts> {
        let hypothesis = self.ready(hypothesis);
        let mut fewest: Option<u64> = None;
        let mut words = 0;
        for reference in references {
            let reference = self.ready(reference.as_ref());
            let mut vocabulary = HashMap::new();
            let ours = numbered(&hypothesis, &mut vocabulary);
            let theirs = numbered(&reference, &mut vocabulary);
            words += theirs.len();
            let edits = edits(ours, &theirs)?;
            fewest = Some(fewest.map_or(edits, |so_far| so_far.min(edits)));
        }
        match fewest {
            Some(edits) => Ok(TerCounts { edits, reference_len: words as f64 / references.len() as f64 }),
            None => {
                Err(Error::input("a text to score by TER has no reference")
                    .hint("give each text one reference or more"))
            }
        }
    }

    /// One text against its references.
    pub fn sentence<R: AsRef<str>>(&self, hypothesis: &str, references: &[R]) -> Result<f64> {
        Ok(self.counts(hypothesis, references)?.score())
    }

    /// A corpus: hypotheses with their references.
    pub fn corpus<H: AsRef<str>, R: AsRef<str>>(&self, segments: &[(H, Vec<R>)]) -> Result<f64> {
        let mut sum = TerCounts::default();
        for (hypothesis, references) in segments {
            sum += self.counts(hypothesis.as_ref(), references)?;
        }
        Ok(sum.score())
    }

    fn ready(&self, text: &str) -> String {
        let text = rstrip(text);
        if self.case_sensitive { text.to_owned() } else { text.to_lowercase() }
    }
}

fn numbered<'a>(text: &'a str, vocabulary: &mut HashMap<&'a str, u32>) -> Vec<u32> {
    let mut number = |word| {
        let next = vocabulary.len() as u32;
        *vocabulary.entry(word).or_insert(next)
    };
    split(text).map(&mut number).collect()
}

/// Edits that make the reference of the hypothesis: as long as a move of a block makes the edit distance smaller, the best move
/// is made.
fn edits(hypothesis: Vec<u32>, reference: &[u32]) -> Result<u64> {
    if reference.is_empty() {
        return Ok(hypothesis.len() as u64);
    }
    let mut moves = 0;
    let mut tried = 0;
    let mut distances = Distances::new(hypothesis, reference);
    loop {
        let best = best_move(&distances, reference, &mut tried)?;
        // At the limit the reference stops without making the move that it found last.
        match best {
            Some(found) if tried < MAX_CANDIDATES && found.gain > 0 => {
                distances = Distances::new(moved(distances.words(), &found), reference);
                moves += 1;
            }
            _ => return Ok(moves + distances.distance()),
        }
    }
}

/// A block of words and where it goes; ordered by how good a move it is. On equal gain the longer block, then the earlier
/// block, then the earlier place.
#[derive(Clone, Copy)]
struct Move {
    gain: i64,
    start: usize,
    len: usize,
    target: usize,
}

impl Move {
    fn beats(&self, other: &Move) -> bool {
        let rank = |m: &Move| (m.gain, m.len, std::cmp::Reverse(m.start), std::cmp::Reverse(m.target));
        rank(self) > rank(other)
    }
}

fn best_move(distances: &Distances<'_>, reference: &[u32], tried: &mut usize) -> Result<Option<Move>> {
    let words = distances.words();
    let alignment = Alignment::of(&distances.trace()?);
    let before = distances.distance() as i64;
    let mut best: Option<Move> = None;
    for (start, place, len) in common_blocks(words, reference) {
        // Only words that are wrong where they are, and go where something is wrong, are moved.
        if !wrong(&alignment.hypothesis_wrong, start, len) || !wrong(&alignment.reference_wrong, place, len) {
            continue;
        }
        if alignment.after(place).is_some_and(|at| (start + 1..=start + len).contains(&at)) {
            continue;
        }
        let mut last = None;
        for target in (0..=len).map_while(|offset| alignment.target(place, offset)) {
            if last.replace(target) == Some(target) {
                continue;
            }
            let mut candidate = Move { gain: 0, start, len, target };
            candidate.gain = before - distances.distance_of(&moved(words, &candidate)) as i64;
            *tried += 1;
            if best.is_none_or(|best| candidate.beats(&best)) {
                best = Some(candidate);
            }
        }
        if *tried >= MAX_CANDIDATES {
            break;
        }
    }
    Ok(best)
}

/// Which words of the hypothesis stand where words of the reference should.
#[derive(Default)]
struct Alignment {
    /// For each word of the reference: how many words of the hypothesis are used up once it is made.
    after: Vec<usize>,
    reference_wrong: Vec<bool>,
    hypothesis_wrong: Vec<bool>,
}

impl Alignment {
    fn of(trace: &[Edit]) -> Self {
        let mut alignment = Self::default();
        for edit in trace {
            let wrong = *edit != Edit::Keep;
            if *edit != Edit::Insert {
                alignment.hypothesis_wrong.push(wrong);
            }
            if *edit != Edit::Delete {
                alignment.reference_wrong.push(wrong);
                alignment.after.push(alignment.hypothesis_wrong.len());
            }
        }
        alignment
    }

    fn after(&self, place: usize) -> Option<usize> {
        self.after.get(place).copied()
    }

    /// Where a block that belongs at `place` may go: before its place (offset 0), or after each of its words.
    fn target(&self, place: usize, offset: usize) -> Option<usize> {
        match (place + offset).checked_sub(1) {
            None => Some(0),
            Some(place) => self.after(place),
        }
    }
}

fn wrong(flags: &[bool], start: usize, len: usize) -> bool {
    flags.iter().skip(start).take(len).any(|wrong| *wrong)
}

/// All runs of words that both have, as (start, place in the reference, length), each run with all its beginnings.
fn common_blocks<'a>(words: &'a [u32], reference: &'a [u32]) -> impl Iterator<Item = (usize, usize, usize)> + 'a {
    (0..words.len()).flat_map(move |start| {
        let near = start.saturating_sub(MAX_DISTANCE)..reference.len().min(start + MAX_DISTANCE + 1);
        near.flat_map(move |place| {
            let ours = words.iter().skip(start);
            let same = ours.zip(reference.iter().skip(place)).take(MAX_BLOCK).take_while(|(a, b)| a == b).count();
            (1..=same).map(move |len| (start, place, len))
        })
    })
}

/// The words with one block moved.
fn moved(words: &[u32], block: &Move) -> Vec<u32> {
    let end = block.start + block.len;
    let taken = words.iter().skip(block.start).take(block.len);
    let rest = words.iter().take(block.start).chain(words.iter().skip(end));
    // Places up to the block's end count from where the block is; what follows has the block before it.
    let before = match block.target {
        target if target < block.start => target,
        target if target > end => target - block.len,
        target => target,
    };
    rest.clone().take(before).chain(taken).chain(rest.skip(before)).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::super::golden::{assert_near, translations};
    use super::*;

    #[test]
    fn equals_sacrebleu() {
        for (segments, golden) in translations() {
            for (case_sensitive, expected) in [false, true].into_iter().zip(golden.ter) {
                let ter = Ter { case_sensitive };
                assert_near(ter.corpus(&segments).unwrap(), expected, format!("{ter:?} of {segments:?}"));
            }
        }
    }

    #[test]
    fn a_moved_block_is_one_edit() {
        let counts = Ter::default().counts("four five six one two three", &["one two three four five six"]).unwrap();
        assert_eq!(counts, TerCounts { edits: 1, reference_len: 6.0 });
    }

    #[test]
    fn no_reference_is_an_error() {
        let none: [&str; 0] = [];
        assert!(Ter::default().sentence("a", &none).unwrap_err().to_string().contains("no reference"));
    }
}
