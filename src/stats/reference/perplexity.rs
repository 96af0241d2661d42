//! Perplexities: log-likelihoods turned into "how many equally likely choices".

use super::NonEmpty;
use super::mean::{mean, sum};

/// A log-likelihood with what it is spread over: words or bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weighted {
    pub value: f64,
    pub weight: f64,
}

/// `exp(-mean)` of one log-likelihood a document.
///
/// Misleads across tokenizers and lengths: a document counts once, however long its target is.
pub fn perplexity(xs: NonEmpty<'_, f64>) -> f64 {
    (-mean(xs)).exp()
}

/// `exp(-Σ log-likelihood / Σ weight)`: perplexity for each word or byte of the whole set. Long documents weigh more.
pub fn weighted_perplexity(xs: NonEmpty<'_, Weighted>) -> f64 {
    (-rate(xs)).exp()
}

/// `-Σ log-likelihood / Σ bytes / ln 2`: bits for each byte, comparable across tokenizers.
pub fn bits_per_byte(xs: NonEmpty<'_, Weighted>) -> f64 {
    -rate(xs) / std::f64::consts::LN_2
}

/// Sum of the values over sum of the weights.
fn rate(xs: NonEmpty<'_, Weighted>) -> f64 {
    sum(xs.iter().map(|x| x.value)) / sum(xs.iter().map(|x| x.weight))
}

#[cfg(test)]
mod tests {
    //! Expected values: `lm_eval.api.metrics` 0.4.13.
    use super::*;

    #[test]
    fn reference_values() {
        let xs = [(-12.5, 3.0), (-100.25, 41.0), (-3.125, 1.0)].map(|(value, weight)| Weighted { value, weight });
        let xs = NonEmpty::new(&xs).unwrap();
        assert_eq!(weighted_perplexity(xs), 13.131317158490017);
        assert_eq!(bits_per_byte(xs), 3.714939730289081);
        assert_eq!(perplexity(NonEmpty::new(&[0.0, 0.0]).unwrap()), 1.0);
    }
}
