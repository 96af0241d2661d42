//! Metrics of multiple choice: which choice has the largest log-likelihood, and how sure the model is.
//!
//! Reference: `process_results` in `lm_eval/api/task.py`. Of equal values the first counts. Several right choices: any.

use super::observed::{Choices, Gold, Taken};
use crate::request::Unscored;
use crate::sample::Score;
use crate::stats::NO_LABEL;

/// The index of the largest value, the first of equals; a NaN beats all numbers (numpy's `argmax`).
fn argmax(values: impl IntoIterator<Item = f64>) -> usize {
    let mut best: Option<(usize, f64)> = None;
    for (index, value) in values.into_iter().enumerate() {
        let better = best.is_none_or(|(_, top)| value > top || (value.is_nan() && !top.is_nan()));
        if better {
            best = Some((index, value));
        }
    }
    best.map_or(0, |(index, _)| index)
}

/// The choice with the largest log-likelihood.
pub fn likeliest<'a>(choices: &Choices<'a>) -> Taken<'a> {
    Taken { index: Some(argmax(choices.logprobs.iter().copied())), gold: choices.gold }
}

/// 1 when the choice with the largest of these values is right.
fn hit(choices: &Choices<'_>, values: impl IntoIterator<Item = f64>) -> Score {
    Score::Value(f64::from(u8::from(choices.is_right(argmax(values)))))
}

/// Log-likelihoods divided by a length of the choice.
fn per_length(choices: &Choices<'_>, length: fn(&str) -> usize) -> impl Iterator<Item = f64> {
    choices.logprobs.iter().zip(choices.texts).map(move |(logprob, text)| logprob / length(text) as f64)
}

/// The choice that was taken is right: `argmax_i log P(c_i | q)`, or under letters the one whose label was answered.
///
/// Misleads when choices differ in length: a sum over more tokens is lower, so short choices win. Under letters it also
/// measures whether the model knows what to do with a list of options.
pub fn acc(taken: &Taken<'_>) -> Score {
    Score::Value(f64::from(u8::from(taken.is_right())))
}

/// `argmax_i log P(c_i | q) / |c_i|` is right, `|c|` in code points without the delimiter (Brown et al. 2020, by tokens;
/// by characters in the reference).
///
/// Misleads for scripts that take several tokens a character, and for choices of one letter, where it equals `acc`.
pub fn acc_norm(choices: &Choices<'_>) -> Score {
    hit(choices, per_length(choices, |text| text.chars().count()))
}

/// `argmax_i log P(c_i | q) / bytes(c_i)` is right, bytes in UTF-8.
///
/// Misleads where choices mix scripts: a Cyrillic letter counts two bytes, a Chinese character three.
pub fn acc_bytes(choices: &Choices<'_>) -> Score {
    hit(choices, per_length(choices, str::len))
}

/// `argmax_i (log P(c_i | q) - log P(c_i))` is right: the choice that the question makes more likely (Holtzman et al. 2021,
/// "Surface form competition").
///
/// Misleads for choices that are nearly impossible alone: a small rise from next to nothing wins.
pub fn acc_mutual_info(choices: &Choices<'_>) -> Score {
    let unconditional = match &choices.unconditional {
        Ok(logprobs) if logprobs.len() == choices.logprobs.len() => logprobs,
        Ok(_) => {
            return Score::Unscored(Unscored::new(
                "`acc_mutual_info` needs the choices' log-likelihoods without the question",
            ));
        }
        Err(unscored) => return Score::Unscored(unscored.clone()),
    };
    hit(choices, choices.logprobs.iter().zip(unconditional).map(|(with, without)| with - without))
}

/// A right choice is what greedy decoding would have written.
///
/// Misleads when the model would say the same in other words: far stricter than `acc`.
pub fn exact_match(choices: &Choices<'_>) -> Score {
    let greedy = choices.greedy.iter().enumerate().any(|(index, greedy)| *greedy && choices.is_right(index));
    Score::Value(f64::from(u8::from(greedy)))
}

/// Gold and predicted index, for `f1` and `mcc` over the whole set. Needs one right choice; one that is not among the
/// choices is a label of its own, and so is no answer.
pub fn labels(taken: &Taken<'_>) -> Score {
    let gold = match taken.gold {
        Gold::One(gold) | Gold::Any(&[gold]) => gold,
        Gold::Any(_) => return Score::Unscored(Unscored::new("`f1` and `mcc` need exactly one right choice")),
    };
    let predicted = taken.index.map_or(NO_LABEL, |index| i64::try_from(index).unwrap_or(i64::MAX));
    Score::Labels { gold, predicted }
}

/// `Σ_i (p_i - [i is gold])²` with `p` the softmax of the log-likelihoods; 0 is best, 2 worst (Brier 1950).
///
/// Misleads when choices differ in length: `p` is then sharp for a reason that has nothing to do with confidence.
pub fn brier_score(choices: &Choices<'_>) -> Score {
    let gold = match choices.single_gold() {
        Ok(gold) => gold,
        Err(unscored) => return Score::Unscored(unscored),
    };
    let distance = |(index, p): (usize, f64)| (p - f64::from(u8::from(index == gold))).powi(2);
    Score::Value(softmax(&choices.logprobs).into_iter().enumerate().map(distance).sum())
}

/// `P(gold | q)`, not normalised over the choices. (The reference hands gold and log-likelihoods on to a custom
/// aggregation; this is their plain reading.)
///
/// Misleads for long answers, whose probability vanishes.
pub fn likelihood(choices: &Choices<'_>) -> Score {
    match choices.single_gold() {
        Ok(gold) => Score::Value(choices.logprobs.get(gold).map_or(0.0, |logprob| logprob.exp())),
        Err(unscored) => Score::Unscored(unscored),
    }
}

/// `exp(x_i) / Σ exp(x_j)`, shifted by the maximum so that nothing underflows to 0/0.
fn softmax(logprobs: &[f64]) -> Vec<f64> {
    let top = logprobs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let exps: Vec<f64> = logprobs.iter().map(|x| (x - top).exp()).collect();
    let total: f64 = exps.iter().sum();
    exps.into_iter().map(|e| e / total).collect()
}

#[cfg(test)]
mod tests {
    //! Expected values: `ConfigurableTask.process_results` and `brier_score` of lm_eval 0.4.13 on the same numbers.
    use super::*;

    fn choices<'a>(logprobs: &[f64], texts: &'a [String], gold: Gold<'a>) -> Choices<'a> {
        Choices {
            logprobs: logprobs.to_vec(),
            greedy: logprobs.iter().map(|l| *l > -1.0).collect(),
            unconditional: Ok(Vec::new()),
            texts,
            gold,
        }
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|t| t.to_string()).collect()
    }

    /// What the reference makes of a gold answer that is no choice. (Prompts refuse such data; scores stay sound all the same.)
    const OUT_OF_RANGE: i64 = -100;

    #[test]
    fn lengths_change_the_winner() {
        // Per choice -4/2, -5/4 code points (8 bytes), -6/5: the sums favour 0, code points 2, bytes 1.
        let texts = texts(&["ab", "дом!", "house"]);
        let of = |gold| choices(&[-4.0, -5.0, -6.0], &texts, Gold::One(gold));
        assert_eq!(acc(&likeliest(&of(0))), Score::Value(1.0));
        assert_eq!(acc_norm(&of(2)), Score::Value(1.0));
        assert_eq!(acc_bytes(&of(1)), Score::Value(1.0));
        assert_eq!(acc_norm(&of(1)), Score::Value(0.0));
    }

    #[test]
    fn the_first_maximum_wins() {
        let texts = texts(&["a", "b", "c"]);
        let first = |gold| acc(&likeliest(&choices(&[-2.0, -1.0, -1.0], &texts, Gold::One(gold))));
        assert_eq!(first(1), Score::Value(1.0));
        assert_eq!(first(2), Score::Value(0.0));
        assert_eq!(argmax([1.0, f64::NAN, f64::NAN, 2.0]), 1);
        assert_eq!(argmax([f64::NEG_INFINITY, f64::NEG_INFINITY]), 0);
    }

    #[test]
    fn any_of_several_and_none_out_of_range() {
        let texts = texts(&["a", "b", "c"]);
        assert_eq!(acc(&likeliest(&choices(&[-2.0, -0.5, -3.0], &texts, Gold::Any(&[0, 1])))), Score::Value(1.0));
        assert_eq!(
            exact_match(&choices(&[-2.0, -0.5, -3.0], &texts, Gold::Any(&[OUT_OF_RANGE, 1]))),
            Score::Value(1.0)
        );
        let wrong = choices(&[-0.5, -2.0, -3.0], &texts, Gold::One(OUT_OF_RANGE));
        assert_eq!(acc(&likeliest(&wrong)), Score::Value(0.0));
        for metric in [acc_norm, acc_bytes, exact_match] {
            assert_eq!(metric(&wrong), Score::Value(0.0));
        }
        assert_eq!(labels(&likeliest(&wrong)), Score::Labels { gold: OUT_OF_RANGE, predicted: 0 });
        for metric in [brier_score, likelihood] {
            assert!(matches!(metric(&wrong), Score::Unscored(_)));
        }
    }

    #[test]
    fn mutual_information_subtracts_the_prior() {
        let texts = texts(&["a", "b"]);
        let mut two = choices(&[-3.0, -4.0], &texts, Gold::One(1));
        assert!(matches!(acc_mutual_info(&two), Score::Unscored(_)));
        two.unconditional = Ok(vec![-3.0, -6.0]);
        assert_eq!(acc_mutual_info(&two), Score::Value(1.0));
        assert_eq!(acc(&likeliest(&two)), Score::Value(0.0));
    }

    #[test]
    fn brier_of_a_softmax() {
        let texts = texts(&["a", "b", "c"]);
        let logprobs = [0.2f64.ln() - 900.0, 0.5f64.ln() - 900.0, 0.3f64.ln() - 900.0];
        let Score::Value(brier) = brier_score(&choices(&logprobs, &texts, Gold::One(1))) else { panic!() };
        assert!((brier - 0.38).abs() < 1e-12, "{brier}");
        assert_eq!(likelihood(&choices(&[0.0, -1.0, -2.0], &texts, Gold::Any(&[0]))), Score::Value(1.0));
    }
}
