//! ROUGE (Lin 2004), equal to the package `rouge_score` 0.1.2.

use super::lcs::{lcs_len, lcs_places};
use super::porter::stem;
use crate::error::{Error, Result};
use std::collections::{BTreeSet, HashMap};

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// `rouge1` to `rouge9`: n-grams of so many words.
    Ngram(usize),
    /// `rougeL`: the longest common subsequence of the whole texts.
    Lcs,
    /// `rougeLsum`: for each sentence of the reference, the union of its longest common subsequences with those of the
    /// answer. Sentences are lines.
    LcsSum,
}

impl Variant {
    /// The variant with `rouge_score`'s name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "rougeL" => Some(Self::Lcs),
            "rougeLsum" => Some(Self::LcsSum),
            _ => match name.strip_prefix("rouge")?.as_bytes() {
                [digit @ b'1'..=b'9'] => Some(Self::Ngram(usize::from(digit - b'0'))),
                _ => None,
            },
        }
    }
}

/// Overlap with a reference, each from 0 to 1.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RougeScore {
    /// The part of the answer that the reference has.
    pub precision: f64,
    /// The part of the reference that the answer has.
    pub recall: f64,
    /// Their harmonic mean.
    pub fmeasure: f64,
}

impl RougeScore {
    fn of(hits: usize, answer: usize, reference: usize) -> Self {
        let precision = hits as f64 / answer as f64;
        let recall = hits as f64 / reference as f64;
        let sum = precision + recall;
        let fmeasure = if sum > 0.0 { 2.0 * precision * recall / sum } else { 0.0 };
        Self { precision, recall, fmeasure }
    }
}

/// ROUGE with its setting.
///
/// It misleads outside of languages in the letters a to z: all other characters, accented letters too, are left out, so that two
/// Chinese texts score 0. Recall grows with the length of the answer; compare f-measures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rouge {
    /// Whether words of more than three letters are cut to their stems.
    pub stem: bool,
}

/// A text in words, as a whole and by lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words {
    all: Vec<String>,
    lines: Vec<Vec<String>>,
}

impl Rouge {
    /// The text in words. Ready texts can be compared many times.
    pub fn ready(&self, text: &str) -> Words {
        let lines = text.split('\n').filter(|line| !line.is_empty()).map(|line| self.words(line)).collect();
        Words { all: self.words(text), lines }
    }

    /// One answer against one reference.
    pub fn score(&self, variant: Variant, reference: &str, answer: &str) -> RougeScore {
        compare(variant, &self.ready(reference), &self.ready(answer))
    }

    /// One answer against that reference, of one or more, that gives the highest f-measure.
    pub fn best<R: AsRef<str>>(&self, variant: Variant, references: &[R], answer: &str) -> Result<RougeScore> {
        let answer = self.ready(answer);
        let scores = references.iter().map(|r| compare(variant, &self.ready(r.as_ref()), &answer));
        scores
            .reduce(|best, score| if score.fmeasure > best.fmeasure { score } else { best })
            .ok_or_else(|| Error::input("an answer to score by ROUGE has no reference").hint("give it one or more"))
    }

    /// Runs of ASCII letters and digits in lower case.
    fn words(&self, text: &str) -> Vec<String> {
        let lower = text.to_lowercase();
        let words = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        let stemmed = words.map(|word| if self.stem && word.len() > 3 { stem(word) } else { word.to_owned() });
        stemmed.filter(|word| !word.is_empty()).collect()
    }
}

/// The overlap of two ready texts.
pub fn compare(variant: Variant, reference: &Words, answer: &Words) -> RougeScore {
    match variant {
        Variant::Ngram(n) => ngram_overlap(&reference.all, &answer.all, n),
        Variant::Lcs => lcs_overlap(&reference.all, &answer.all),
        Variant::LcsSum => lcs_sum_overlap(&reference.lines, &answer.lines),
    }
}

fn ngram_overlap(reference: &[String], answer: &[String], n: usize) -> RougeScore {
    // `windows` does not take 0.
    let n = n.max(1);
    let mut left: HashMap<&[String], usize> = HashMap::new();
    for ngram in reference.windows(n) {
        *left.entry(ngram).or_default() += 1;
    }
    let mut hits = 0;
    for ngram in answer.windows(n) {
        if let Some(count) = left.get_mut(ngram).filter(|count| **count > 0) {
            *count -= 1;
            hits += 1;
        }
    }
    let grams = |words: &[String]| (words.len() + 1).saturating_sub(n).max(1);
    RougeScore::of(hits, grams(answer), grams(reference))
}

fn lcs_overlap(reference: &[String], answer: &[String]) -> RougeScore {
    if reference.is_empty() || answer.is_empty() {
        return RougeScore::default();
    }
    RougeScore::of(lcs_len(reference, answer), answer.len(), reference.len())
}

/// Each word counts at most as often as either text has it.
fn lcs_sum_overlap(reference: &[Vec<String>], answer: &[Vec<String>]) -> RougeScore {
    let (mut ours, mut theirs) = (counts(answer), counts(reference));
    let words = |lines: &[Vec<String>]| lines.iter().map(Vec::len).sum::<usize>();
    if words(reference) == 0 || words(answer) == 0 {
        return RougeScore::default();
    }
    let mut hits = 0;
    for line in reference {
        let union: BTreeSet<usize> = answer.iter().flat_map(|candidate| lcs_places(line, candidate)).collect();
        for word in union.into_iter().filter_map(|place| line.get(place)) {
            if let (Some(our), Some(their)) = (ours.get_mut(word.as_str()), theirs.get_mut(word.as_str()))
                && *our > 0
                && *their > 0
            {
                hits += 1;
                *our -= 1;
                *their -= 1;
            }
        }
    }
    RougeScore::of(hits, words(answer), words(reference))
}

fn counts(lines: &[Vec<String>]) -> HashMap<&str, usize> {
    let mut counts = HashMap::new();
    for word in lines.iter().flatten() {
        *counts.entry(word.as_str()).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::super::golden::{Segments, assert_near, read};
    use super::*;

    fn assert_equal(ours: RougeScore, reference: &[f64], what: &str) {
        assert_near(ours.precision, reference[0], format!("precision, {what}"));
        assert_near(ours.recall, reference[1], format!("recall, {what}"));
        assert_near(ours.fmeasure, reference[2], format!("f-measure, {what}"));
    }

    #[test]
    fn equals_rouge_score() {
        let segments: Segments = read("pairs");
        let rows: Vec<Vec<Vec<f64>>> = read("rouge");
        assert_eq!(rows.len(), 2 * segments.len());
        let mut rows = rows.iter();
        for stem in [false, true] {
            let rouge = Rouge { stem };
            for (answer, references) in &segments {
                let row = rows.next().unwrap();
                for (name, expected) in ["rouge1", "rouge2", "rouge3", "rougeL", "rougeLsum"].iter().zip(row) {
                    let score = rouge.score(Variant::named(name).unwrap(), &references[0], answer);
                    assert_equal(score, expected, &format!("{name}, stem {stem}, {answer:?}, {references:?}"));
                }
                let best = rouge.best(Variant::LcsSum, references, answer).unwrap();
                assert_equal(best, &row[5], &format!("best, stem {stem}, {answer:?}, {references:?}"));
            }
        }
    }

    #[test]
    fn names() {
        assert_eq!(Variant::named("rouge9"), Some(Variant::Ngram(9)));
        for wrong in ["rouge0", "rouge10", "rouge", "rougeX", "bleu"] {
            assert_eq!(Variant::named(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn no_reference_is_an_error() {
        let none: [&str; 0] = [];
        assert!(Rouge::default().best(Variant::Lcs, &none, "a").unwrap_err().to_string().contains("no reference"));
    }
}
