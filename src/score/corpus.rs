//! Metrics of a whole set whose documents give counts that add up: BLEU, chrF, TER.

use super::kwargs::Kwargs;
use super::observed::Text;
use super::overlap::bleu::{Bleu, BleuCounts};
use super::overlap::chrf::{Chrf, ChrfCounts};
use super::overlap::ter::{Ter, TerCounts};
use super::text::{TextMetric, right_answers};
use crate::error::Result;
use crate::request::Unscored;
use crate::sample::Score;
use crate::stats::NonEmpty;
use serde_json::Value;

/// A measure of a set, with sacreBLEU's default settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Corpus {
    Bleu,
    Chrf,
    ChrfPlusPlus,
    Ter,
}

/// Draws for standard errors, at most: as in the reference, because each draw scores the whole set.
pub const MOST_DRAWS: usize = 100;

impl Corpus {
    /// The counts of one document.
    fn counts<R: AsRef<str>>(self, answer: &str, references: &[R]) -> Result<Vec<f64>> {
        Ok(match self {
            Corpus::Bleu => Bleu::default().counts(answer, references)?.to_row(),
            Corpus::Chrf => Chrf::default().counts(answer, references)?.to_row(),
            Corpus::ChrfPlusPlus => Chrf::plus_plus().counts(answer, references)?.to_row(),
            Corpus::Ter => Ter::default().counts(answer, references)?.to_row(),
        })
    }

    /// The score of the summed counts of documents; 0 to 100, TER also above.
    pub fn figure(self, rows: NonEmpty<'_, &[f64]>) -> Option<f64> {
        let mut sum = vec![0.0; rows.first()?.len()];
        for row in rows.iter() {
            sum.iter_mut().zip(row.iter()).for_each(|(sum, count)| *sum += count);
        }
        Some(match self {
            Corpus::Bleu => Bleu::default().score(&BleuCounts::from_row(&sum)).score,
            Corpus::Chrf => Chrf::default().score(&ChrfCounts::from_row(&sum)),
            Corpus::ChrfPlusPlus => Chrf::plus_plus().score(&ChrfCounts::from_row(&sum)),
            Corpus::Ter => TerCounts::from_row(&sum).score(),
        })
    }

    fn metric(self) -> TextMetric {
        Box::new(move |text: &Text<'_>| {
            let Value::String(answer) = text.answer else {
                return Score::Unscored(Unscored::new(
                    "expected one written answer: let the filters end with `take_first`",
                ));
            };
            let (references, _) = right_answers(text.target, text.choices);
            match self.counts(answer, &references) {
                Ok(row) => Score::Counts(row),
                Err(err) => Score::Unscored(Unscored::new(err.message())),
            }
        })
    }
}

/// BLEU of the set: geometric mean of n-gram precisions with a brevity penalty, tokenizer 13a. Papineni et al. (2002), Post (2018).
///
/// Misleads between tokenizers and on few or short texts.
pub fn bleu(_: Kwargs<'_>) -> Result<TextMetric> {
    Ok(Corpus::Bleu.metric())
}

/// chrF of the set: F2 of character n-grams up to 6. Popović (2015).
///
/// Misleads between languages of different word lengths.
pub fn chrf(_: Kwargs<'_>) -> Result<TextMetric> {
    Ok(Corpus::Chrf.metric())
}

/// chrF++ of the set: chrF with words and pairs of words. Popović (2017).
///
/// Misleads as chrF does.
pub fn chrf_plus_plus(_: Kwargs<'_>) -> Result<TextMetric> {
    Ok(Corpus::ChrfPlusPlus.metric())
}

/// TER of the set: edits for each word of the references, in per cent. Snover et al. (2006).
///
/// Misleads on free answers, where almost every word is an edit.
pub fn ter(_: Kwargs<'_>) -> Result<TextMetric> {
    Ok(Corpus::Ter.metric())
}

#[cfg(test)]
mod tests {
    //! Expected values: `corpus_bleu`, `corpus_chrf` and `corpus_ter` of sacrebleu 2.6.0 on the same pairs.
    use super::*;
    use crate::item::Target;
    use serde_json::{Map, json};

    const PAIRS: [(&str, &str); 4] = [
        ("the cat sat on the mat.", "The cat sat on a mat."),
        ("It rains, and nobody has an umbrella", "It is raining and nobody brought an umbrella."),
        ("seven boats", "seven small boats lie in the harbour"),
        ("", "an answer"),
    ];

    fn figure(build: fn(Kwargs<'_>) -> Result<TextMetric>, corpus: Corpus) -> f64 {
        let metric = build(Kwargs(&Map::new())).unwrap();
        let score = |(answer, right): (&str, &str)| {
            let target = Target::Text(right.into());
            match metric(&Text { answer: &json!(answer), target: &target, choices: &[] }) {
                Score::Counts(row) => row,
                other => panic!("{other:?}"),
            }
        };
        let rows: Vec<Vec<f64>> = PAIRS.into_iter().map(score).collect();
        let rows: Vec<&[f64]> = rows.iter().map(Vec::as_slice).collect();
        corpus.figure(NonEmpty::new(&rows).unwrap()).unwrap()
    }

    #[test]
    fn sums_of_counts_are_scored() {
        for (found, expected) in [
            (figure(bleu, Corpus::Bleu), BLEU),
            (figure(chrf, Corpus::Chrf), CHRF),
            (figure(chrf_plus_plus, Corpus::ChrfPlusPlus), CHRF_PLUS_PLUS),
            (figure(ter, Corpus::Ter), TER),
        ] {
            assert!((found - expected).abs() < 1e-9, "{found} {expected}");
        }
    }

    const BLEU: f64 = 11.799222803095082;
    const CHRF: f64 = 39.38046180141709;
    const CHRF_PLUS_PLUS: f64 = 39.14111335013183;
    const TER: f64 = 52.17391304347826;
}
