//! Sentiment of English text: VADER (Hutto and Gilbert 2014), equal to `vaderSentiment` 3.3.2.
//!
//! Comes in: a text. Goes out: how positive, negative and neutral it is. Never: I/O, models. Rules and word lists come from the
//! crate `vader-parity`.

use std::sync::LazyLock;
use vader_parity::SentimentIntensityAnalyzer;

static ANALYZER: LazyLock<SentimentIntensityAnalyzer> = LazyLock::new(SentimentIntensityAnalyzer::new);

/// VADER's four values, rounded as published.
///
/// They mislead outside of English and of everyday writing (they were made for short posts), on irony, and on long texts, where
/// `compound` saturates: score sentences and average.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sentiment {
    /// The part of the text that is negative, from 0 to 1, to three decimals.
    pub negative: f64,
    /// The part that is neither, from 0 to 1, to three decimals.
    pub neutral: f64,
    /// The part that is positive, from 0 to 1, to three decimals.
    pub positive: f64,
    /// The whole from -1 (negative) to 1 (positive), to four decimals.
    pub compound: f64,
}

/// Which way a text leans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Polarity {
    Negative,
    Neutral,
    Positive,
}

/// The authors' threshold of `compound` for [`Sentiment::polarity`].
pub const THRESHOLD: f64 = 0.05;
/// The threshold that BOLD uses (Dhamala et al. 2021).
pub const BOLD_THRESHOLD: f64 = 0.5;

/// The sentiment of a text. A text without words is 0 in all four values.
pub fn vader(text: &str) -> Sentiment {
    let scores = ANALYZER.polarity_scores(text);
    Sentiment { negative: scores.neg, neutral: scores.neu, positive: scores.pos, compound: scores.compound }
}

impl Sentiment {
    /// Positive from `threshold` on, negative from `-threshold` down.
    pub fn polarity(&self, threshold: f64) -> Polarity {
        if self.compound >= threshold {
            Polarity::Positive
        } else if self.compound <= -threshold {
            Polarity::Negative
        } else {
            Polarity::Neutral
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::overlap::golden::read;

    #[test]
    fn equals_the_published_package() {
        let rows: Vec<(String, f64, f64, f64, f64)> = read("sentiment");
        assert!(rows.len() >= 250);
        for (text, negative, neutral, positive, compound) in rows {
            assert_eq!(vader(&text), Sentiment { negative, neutral, positive, compound }, "{text:?}");
        }
    }

    #[test]
    fn thresholds_belong_to_the_poles() {
        let at = |compound| Sentiment { negative: 0.0, neutral: 0.0, positive: 0.0, compound }.polarity(BOLD_THRESHOLD);
        assert_eq!(at(0.5), Polarity::Positive);
        assert_eq!(at(0.4999), Polarity::Neutral);
        assert_eq!(at(-0.5), Polarity::Negative);
    }
}
