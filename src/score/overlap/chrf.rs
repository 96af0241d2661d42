//! chrF (Popović 2015) and chrF++ (Popović 2017), equal to sacreBLEU 2.

use crate::error::{Error, Result};
use crate::python::text::split;
use std::collections::HashMap;
use std::hash::Hash;
use std::ops::AddAssign;

/// chrF with its settings; `Chrf::default()` is chrF2, [`Chrf::plus_plus`] chrF2++.
///
/// Precision and recall of character n-grams (white space left out) and word n-grams, averaged over the orders, as F-beta from
/// 0 to 100. It misleads between languages of different word lengths, and rewards shared letters: unrelated English texts
/// score about 15 to 20.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chrf {
    /// Longest character n-gram.
    pub char_order: usize,
    /// Longest word n-gram; 0 for chrF.
    pub word_order: usize,
    /// How much more recall weighs than precision.
    pub beta: u32,
    /// Whether both sides are put in lower case.
    pub lowercase: bool,
}

impl Default for Chrf {
    fn default() -> Self {
        Self { char_order: 6, word_order: 0, beta: 2, lowercase: false }
    }
}

/// N-grams of one order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct OrderCounts {
    /// Of the hypothesis; 0 where the reference is too short for this order.
    hypothesis: u64,
    reference: u64,
    matches: u64,
}

/// What chrF counts in a text, by order; the counts of a corpus are the sums of those of its texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChrfCounts(Vec<OrderCounts>);

impl ChrfCounts {
    /// The counts in a row: three for each order. Rows of equal orders add up to the row of a corpus.
    pub fn to_row(&self) -> Vec<f64> {
        let of = |order: &OrderCounts| [order.hypothesis, order.reference, order.matches].map(|count| count as f64);
        self.0.iter().flat_map(of).collect()
    }

    /// The counts of a row, or of a sum of rows.
    pub fn from_row(row: &[f64]) -> Self {
        let (orders, _) = row.as_chunks::<3>();
        let of = |counts: &[f64; 3]| {
            let [hypothesis, reference, matches] = counts.map(|count| count as u64);
            OrderCounts { hypothesis, reference, matches }
        };
        ChrfCounts(orders.iter().map(of).collect())
    }
}

impl Chrf {
    /// chrF++: with single words and pairs of words.
    pub fn plus_plus() -> Self {
        Self { word_order: 2, ..Self::default() }
    }

    /// Counts of one text against that reference, of one or more, that gives it the best score.
    pub fn counts<R: AsRef<str>>(&self, hypothesis: &str, references: &[R]) -> Result<ChrfCounts> {
        let mut best: Option<(f64, ChrfCounts)> = None;
        let hypothesis = self.ready(hypothesis);
        for reference in references {
            let counts = self.counts_of_one(&hypothesis, &self.ready(reference.as_ref()));
            let score = self.score(&counts);
            if best.as_ref().is_none_or(|(highest, _)| score > *highest) {
                best = Some((score, counts));
            }
        }
        best.map(|(_, counts)| counts).ok_or_else(|| {
            Error::input("a text to score by chrF has no reference").hint("give each text one reference or more")
        })
    }

    /// The score of counts, from 0 to 100. An order that either side is too short for is left out of the averages.
    pub fn score(&self, counts: &ChrfCounts) -> f64 {
        let (mut precision, mut recall, mut orders) = (0.0, 0.0, 0u32);
        for order in counts.0.iter().filter(|order| order.hypothesis > 0 && order.reference > 0) {
            precision += order.matches as f64 / order.hypothesis as f64;
            recall += order.matches as f64 / order.reference as f64;
            orders += 1;
        }
        if precision + recall == 0.0 {
            return 0.0;
        }
        let (precision, recall) = (precision / f64::from(orders), recall / f64::from(orders));
        let factor = f64::from(self.beta).powi(2);
        100.0 * ((1.0 + factor) * precision * recall / (factor * precision + recall))
    }

    /// One text against its references.
    pub fn sentence<R: AsRef<str>>(&self, hypothesis: &str, references: &[R]) -> Result<f64> {
        Ok(self.score(&self.counts(hypothesis, references)?))
    }

    /// A corpus: hypotheses with their references.
    pub fn corpus<H: AsRef<str>, R: AsRef<str>>(&self, segments: &[(H, Vec<R>)]) -> Result<f64> {
        let mut sum = ChrfCounts::default();
        for (hypothesis, references) in segments {
            sum += self.counts(hypothesis.as_ref(), references)?;
        }
        Ok(self.score(&sum))
    }

    fn ready(&self, text: &str) -> Ready {
        let text = if self.lowercase { text.to_lowercase() } else { text.to_owned() };
        let words = if self.word_order > 0 { words(&text) } else { Vec::new() };
        Ready { characters: split(&text).collect(), words }
    }

    fn counts_of_one(&self, hypothesis: &Ready, reference: &Ready) -> ChrfCounts {
        let characters = (hypothesis.bounds(), reference.bounds());
        let of_characters = (1..=self.char_order)
            .map(|n| count(hypothesis.characters_of(&characters.0, n), reference.characters_of(&characters.1, n)));
        let of_words = (1..=self.word_order).map(|n| count(hypothesis.words.windows(n), reference.words.windows(n)));
        ChrfCounts(of_characters.chain(of_words).collect())
    }
}

/// A text made ready for counting: without white space, and in words.
struct Ready {
    characters: String,
    words: Vec<String>,
}

impl Ready {
    /// Where characters begin, and the end.
    fn bounds(&self) -> Vec<usize> {
        self.characters.char_indices().map(|(at, _)| at).chain([self.characters.len()]).collect()
    }

    /// All runs of `n` characters.
    fn characters_of<'a>(&'a self, bounds: &'a [usize], n: usize) -> impl Iterator<Item = &'a str> {
        bounds.iter().zip(bounds.iter().skip(n)).filter_map(|(start, end)| self.characters.get(*start..*end))
    }
}

fn count<T: Hash + Eq>(hypothesis: impl Iterator<Item = T>, reference: impl Iterator<Item = T>) -> OrderCounts {
    let mut seen: HashMap<T, (u64, u64)> = HashMap::new();
    let mut counts = OrderCounts::default();
    for ngram in hypothesis {
        seen.entry(ngram).or_default().0 += 1;
        counts.hypothesis += 1;
    }
    for ngram in reference {
        seen.entry(ngram).or_default().1 += 1;
        counts.reference += 1;
    }
    counts.matches = seen.values().map(|(ours, theirs)| ours.min(theirs)).sum();
    if counts.reference == 0 {
        counts.hypothesis = 0;
    }
    counts
}

/// Words with one ASCII punctuation character cut off their end, or else their start; chrF++ cuts `(hi)` in `(hi` and `)`.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for word in split(text) {
        let ends = |c: &char| c.is_ascii_punctuation() && word.len() > 1;
        if let Some(last) = word.chars().next_back().filter(ends) {
            words.push(word.strip_suffix(last).unwrap_or_default().to_owned());
            words.push(last.to_string());
        } else if let Some(first) = word.chars().next().filter(ends) {
            words.push(first.to_string());
            words.push(word.chars().skip(1).collect());
        } else {
            words.push(word.to_owned());
        }
    }
    words
}

impl AddAssign for ChrfCounts {
    fn add_assign(&mut self, other: Self) {
        let orders = self.0.len().max(other.0.len());
        self.0.resize(orders, OrderCounts::default());
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            mine.hypothesis += theirs.hypothesis;
            mine.reference += theirs.reference;
            mine.matches += theirs.matches;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden::{assert_near, translations};
    use super::*;

    #[test]
    fn equals_sacrebleu() {
        for (segments, golden) in translations() {
            for (chrf, expected) in [Chrf::default(), Chrf::plus_plus()].iter().zip(golden.chrf) {
                assert_near(chrf.corpus(&segments).unwrap(), expected, format!("{chrf:?} of {segments:?}"));
            }
        }
    }

    #[test]
    fn lowercase_folds_both_sides() {
        let folded = Chrf { lowercase: true, ..Chrf::default() };
        assert_eq!(folded.sentence("ABC DEF", &["abc def"]).unwrap(), 100.0);
        assert_eq!(Chrf::default().sentence("ABC DEF", &["abc def"]).unwrap(), 0.0);
    }

    #[test]
    fn no_reference_is_an_error() {
        let none: [&str; 0] = [];
        assert!(Chrf::default().sentence("a", &none).unwrap_err().to_string().contains("no reference"));
    }
}
