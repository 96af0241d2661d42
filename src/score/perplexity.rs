//! Metrics of log-likelihoods without choices: a continuation (LAMBADA) or a whole text (WikiText).

use super::observed::{Loglikelihood, Rolling};
use crate::python::text::split_whitespace;
use crate::sample::Score;

/// The continuation is what greedy decoding writes.
pub fn acc(answer: &Loglikelihood) -> Score {
    Score::Value(f64::from(u8::from(answer.greedy)))
}

/// The continuation's log-likelihood, which the aggregation turns into `exp(-mean)`.
///
/// Misleads across tokenizers that cut the continuation differently only where the cut changes its text; across targets
/// of different length it always does.
pub fn perplexity(answer: &Loglikelihood) -> Score {
    Score::Value(answer.logprob)
}

/// Log-likelihood with the number of words, `len(re.split(r"\s+", text))`.
///
/// Misleads for scripts without blanks between words.
pub fn per_word(answer: &Rolling<'_>) -> Score {
    Score::Weighted { value: answer.logprob, weight: split_whitespace(answer.text).len() as f64 }
}

/// Log-likelihood with the number of UTF-8 bytes; comparable across tokenizers.
pub fn per_byte(answer: &Rolling<'_>) -> Score {
    Score::Weighted { value: answer.logprob, weight: answer.text.len() as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weighs_by_words_and_bytes() {
        let answer = Rolling { logprob: -7.5, text: " дом  x" };
        assert_eq!(per_word(&answer), Score::Weighted { value: -7.5, weight: 3.0 });
        assert_eq!(per_byte(&answer), Score::Weighted { value: -7.5, weight: 10.0 });
    }
}
