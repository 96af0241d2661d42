//! BLEU (Papineni et al. 2002), equal to sacreBLEU 2 (Post 2018).

use super::tokenizer::{Tokenizer, words};
use crate::error::{Error, Result};
use crate::python::text::rstrip;
use std::collections::HashMap;
use std::ops::AddAssign;

/// N-grams of one to this many words count.
pub const ORDERS: usize = 4;

/// What stands in for a precision of 0 (Chen and Cherry 2014, methods 1 to 3).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Smoothing {
    /// The first order without a match counts as half a match, the next as a quarter, and so on; the default.
    #[default]
    Exponential,
    /// An order without a match counts as this many; sacreBLEU's default is 0.1.
    Floor(f64),
    /// So many are added to matches and n-grams of all orders but the first; sacreBLEU's default is 1.
    AddK(f64),
    /// Nothing: one order without a match makes the score 0.
    None,
}

/// BLEU with its settings; `Bleu::default()` is sacreBLEU's corpus default.
///
/// Geometric mean of the n-gram precisions, n to 4, times `exp(1 - r / h)` where the hypotheses (`h` words) are shorter than
/// the references (`r` words); from 0 to 100. It misleads on single sentences, which seldom share four words in a row, and
/// between scores with other tokenizers: report the tokenizer with it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Bleu {
    pub tokenizer: Tokenizer,
    pub smoothing: Smoothing,
    /// Whether both sides are put in lower case.
    pub lowercase: bool,
    /// Whether orders that are longer than the hypothesis are left out of the mean; for single sentences.
    pub effective_order: bool,
}

/// What BLEU counts in a text; the counts of a corpus are the sums of those of its texts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BleuCounts {
    /// Words of the hypothesis.
    pub hypothesis_len: u64,
    /// Words of the reference whose length is nearest.
    pub reference_len: u64,
    /// N-grams that a reference has too, by order.
    pub matches: [u64; ORDERS],
    /// N-grams of the hypothesis, by order.
    pub totals: [u64; ORDERS],
}

impl BleuCounts {
    /// The counts in a row: lengths, matches, totals. Rows add up to the row of a corpus.
    pub fn to_row(self) -> Vec<f64> {
        let lengths = [self.hypothesis_len, self.reference_len];
        lengths.iter().chain(&self.matches).chain(&self.totals).map(|count| *count as f64).collect()
    }

    /// The counts of a row, or of a sum of rows; a row of another length gives none.
    pub fn from_row(row: &[f64]) -> Self {
        let count = |place: usize| row.get(place).map_or(0, |count| *count as u64);
        let orders = |from: usize| std::array::from_fn(|order| count(from + order));
        BleuCounts { hypothesis_len: count(0), reference_len: count(1), matches: orders(2), totals: orders(2 + ORDERS) }
    }
}

/// A BLEU score and what it is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BleuScore {
    /// From 0 to 100.
    pub score: f64,
    /// By order, from 0 to 100, smoothed; all 0 when nothing matches.
    pub precisions: [f64; ORDERS],
    pub brevity_penalty: f64,
}

/// A text made ready for counting.
#[derive(Debug, Clone)]
pub struct Separated(String);

impl Bleu {
    /// The text, tokenised. Ready texts can be compared many times.
    pub fn ready(&self, text: &str) -> Separated {
        if self.lowercase {
            return Separated(self.tokenizer.separate(rstrip(&text.to_lowercase())));
        }
        Separated(self.tokenizer.separate(rstrip(text)))
    }

    /// Counts of one text against its references, one at least.
    pub fn counts<R: AsRef<str>>(&self, hypothesis: &str, references: &[R]) -> Result<BleuCounts> {
        let references: Vec<Separated> = references.iter().map(|r| self.ready(r.as_ref())).collect();
        counts_of(&self.ready(hypothesis), &references)
    }

    /// The score of counts, of one text or of a corpus.
    pub fn score(&self, counts: &BleuCounts) -> BleuScore {
        let brevity_penalty = brevity_penalty(counts);
        if counts.matches == [0; ORDERS] {
            return BleuScore { score: 0.0, precisions: [0.0; ORDERS], brevity_penalty };
        }
        let (precisions, orders) = self.precisions(counts);
        // An order without matches takes the whole mean to 0; the number is sacreBLEU's stand-in for minus infinity.
        let ln = |p: &f64| if *p == 0.0 { -9_999_999_999.0 } else { p.ln() };
        let sum: f64 = precisions.iter().take(orders).map(ln).sum();
        BleuScore { score: brevity_penalty * (sum / orders as f64).exp(), precisions, brevity_penalty }
    }

    /// One text against its references. `effective_order` should be on.
    pub fn sentence<R: AsRef<str>>(&self, hypothesis: &str, references: &[R]) -> Result<BleuScore> {
        Ok(self.score(&self.counts(hypothesis, references)?))
    }

    /// A corpus: hypotheses with their references.
    pub fn corpus<H: AsRef<str>, R: AsRef<str>>(&self, segments: &[(H, Vec<R>)]) -> Result<BleuScore> {
        let mut sum = BleuCounts::default();
        for (hypothesis, references) in segments {
            sum += self.counts(hypothesis.as_ref(), references)?;
        }
        Ok(self.score(&sum))
    }

    /// Smoothed precisions, and how many orders the mean is over.
    fn precisions(&self, counts: &BleuCounts) -> ([f64; ORDERS], usize) {
        let mut precisions = [0.0; ORDERS];
        let mut orders = ORDERS;
        let mut halving = 1.0;
        for (n, (precision, (matches, total))) in
            precisions.iter_mut().zip(counts.matches.iter().zip(counts.totals)).enumerate()
        {
            let added = match self.smoothing {
                Smoothing::AddK(k) if n > 0 => k,
                _ => 0.0,
            };
            let (matches, total) = (*matches as f64 + added, total as f64 + added);
            if total == 0.0 {
                break;
            }
            if self.effective_order {
                orders = n + 1;
            }
            *precision = match self.smoothing {
                _ if matches != 0.0 => 100.0 * matches / total,
                Smoothing::Exponential => {
                    halving *= 2.0;
                    100.0 / (halving * total)
                }
                Smoothing::Floor(floor) => 100.0 * floor / total,
                Smoothing::AddK(_) | Smoothing::None => 0.0,
            };
        }
        (precisions, orders)
    }
}

fn brevity_penalty(counts: &BleuCounts) -> f64 {
    if counts.hypothesis_len >= counts.reference_len {
        1.0
    } else if counts.hypothesis_len == 0 {
        0.0
    } else {
        (1.0 - counts.reference_len as f64 / counts.hypothesis_len as f64).exp()
    }
}

/// Counts of ready texts: an n-gram matches as often as the reference that has it most often.
pub fn counts_of(hypothesis: &Separated, references: &[Separated]) -> Result<BleuCounts> {
    if references.is_empty() {
        return Err(
            Error::input("a text to score by BLEU has no reference").hint("give each text one reference or more")
        );
    }
    let mut vocabulary = HashMap::new();
    let hypothesis = numbered(&hypothesis.0, &mut vocabulary);
    // Occurrences of each n-gram: in the hypothesis, and the most in any one reference.
    let mut seen: HashMap<u128, (u64, u64)> = HashMap::new();
    let mut counts = BleuCounts { hypothesis_len: hypothesis.len() as u64, ..BleuCounts::default() };
    for (n, total) in (1..).zip(&mut counts.totals) {
        *total = (hypothesis.len() + 1).saturating_sub(n) as u64;
    }
    each_ngram(&hypothesis, |ngram| seen.entry(ngram).or_default().0 += 1);
    let mut lengths = Vec::with_capacity(references.len());
    for reference in references {
        let reference = numbered(&reference.0, &mut vocabulary);
        lengths.push(reference.len());
        let mut here: HashMap<u128, u64> = HashMap::new();
        each_ngram(&reference, |ngram| *here.entry(ngram).or_default() += 1);
        for (ngram, count) in here {
            if let Some((_, most)) = seen.get_mut(&ngram) {
                *most = count.max(*most);
            }
        }
    }
    for (ngram, (ours, theirs)) in &seen {
        if let Some(matches) = counts.matches.get_mut(order(*ngram) - 1) {
            *matches += ours.min(theirs);
        }
    }
    let nearest = lengths.into_iter().min_by_key(|len| (len.abs_diff(hypothesis.len()), *len));
    counts.reference_len = nearest.unwrap_or_default() as u64;
    Ok(counts)
}

/// The words as numbers from 1; equal words have equal numbers.
fn numbered<'a>(text: &'a str, vocabulary: &mut HashMap<&'a str, u32>) -> Vec<u32> {
    let mut number = |word| {
        let next = vocabulary.len() as u32 + 1;
        *vocabulary.entry(word).or_insert(next)
    };
    words(text).into_iter().map(&mut number).collect()
}

/// Gives each n-gram of each order as one number: its words, 32 bits each, the first one lowest. Words are not 0, so n-grams of
/// different orders differ.
fn each_ngram(words: &[u32], mut give: impl FnMut(u128)) {
    for start in 0..words.len() {
        let mut ngram = 0u128;
        for (place, word) in words.iter().skip(start).take(ORDERS).enumerate() {
            ngram |= u128::from(*word) << (32 * place);
            give(ngram);
        }
    }
}

/// How many words an n-gram's number holds.
fn order(ngram: u128) -> usize {
    (128 - ngram.leading_zeros() as usize).div_ceil(32).max(1)
}

impl AddAssign for BleuCounts {
    fn add_assign(&mut self, other: Self) {
        self.hypothesis_len += other.hypothesis_len;
        self.reference_len += other.reference_len;
        for (mine, theirs) in self.matches.iter_mut().zip(other.matches) {
            *mine += theirs;
        }
        for (mine, theirs) in self.totals.iter_mut().zip(other.totals) {
            *mine += theirs;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden::{assert_near, translations};
    use super::*;

    /// The settings of `BLEU` in `make.py`, in its order.
    fn settings() -> Vec<Bleu> {
        let with = |tokenizer| Bleu { tokenizer: Tokenizer::named(tokenizer).unwrap(), ..Bleu::default() };
        let smooth = |smoothing| Bleu { smoothing, ..Bleu::default() };
        vec![
            with("13a"),
            with("intl"),
            with("none"),
            with("char"),
            smooth(Smoothing::Floor(0.1)),
            smooth(Smoothing::Floor(0.5)),
            smooth(Smoothing::AddK(1.0)),
            smooth(Smoothing::AddK(0.25)),
            smooth(Smoothing::None),
            Bleu { effective_order: true, ..Bleu::default() },
            Bleu { effective_order: true, lowercase: true, ..with("intl") },
        ]
    }

    #[test]
    fn equals_sacrebleu() {
        for (segments, golden) in translations() {
            assert_eq!(golden.bleu.len(), settings().len());
            for (bleu, expected) in settings().iter().zip(golden.bleu) {
                let score = bleu.corpus(&segments).unwrap();
                assert_near(score.score, expected, format!("{bleu:?} of {segments:?}"));
            }
        }
    }

    #[test]
    fn parts_of_a_score() {
        // By hand: "the cat sat" against "the cat sat down": 3 of 3, 2 of 2 and 1 of 1 match; exp(1 - 4/3).
        let score = Bleu { effective_order: true, ..Bleu::default() }.sentence("the cat sat", &["the cat sat down"]);
        let score = score.unwrap();
        assert_eq!(score.precisions, [100.0, 100.0, 100.0, 0.0]);
        assert_near(score.brevity_penalty, (-1.0f64 / 3.0).exp(), "brevity penalty");
        assert_near(score.score, 100.0 * (-1.0f64 / 3.0).exp(), "score");
    }

    #[test]
    fn no_reference_is_an_error() {
        let none: [&str; 0] = [];
        assert!(Bleu::default().sentence("a", &none).unwrap_err().to_string().contains("no reference"));
    }
}
