//! Tokens that a server scored: which of them are the continuation's, and what they sum to.

use super::wire::TokenScore;
use crate::request::Unscored;

/// Rounding of log-probabilities of near-certain tokens.
const ROUNDING: f64 = 1e-3;

/// What a continuation scored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sum {
    pub logprob: f64,
    /// `None`: the server does not say.
    pub is_greedy: Option<bool>,
    pub num_tokens: usize,
}

/// The index of the first token of what begins at `boundary` (in characters of the prompt), where a token begins there; `None` where one
/// straddles it or offsets are not known. `leading`: tokens that the server puts before every text.
pub fn border(tokens: &[TokenScore], boundary: usize, leading: usize) -> Option<usize> {
    if boundary == 0 {
        return Some(leading);
    }
    for (index, token) in tokens.iter().enumerate() {
        let offset = token.offset?;
        if offset >= boundary {
            return (offset == boundary).then_some(index);
        }
    }
    None
}

/// What the tokens from `first` on sum to.
pub fn sum(tokens: &[TokenScore], first: usize) -> Result<Sum, Unscored> {
    let scored = tokens.get(first..).unwrap_or_default();
    let mut sum = Sum { logprob: 0.0, is_greedy: Some(true), num_tokens: scored.len() };
    for token in scored {
        let logprob = checked(token)?;
        sum.logprob += logprob;
        // What has more than half of all probability is the likeliest.
        let is_greedy = token.is_greedy.or((logprob.exp() > 0.5 + ROUNDING).then_some(true));
        sum.is_greedy = match (sum.is_greedy, is_greedy) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        };
    }
    Ok(sum)
}

fn checked(token: &TokenScore) -> Result<f64, Unscored> {
    let Some(logprob) = token.logprob else {
        return Err(Unscored::new(
            "the server scores no first token: nothing stands before it (with --tokenizer, a beginning-of-sequence token is sent, where \
             the server takes token ids)",
        ));
    };
    if logprob.is_nan() || logprob == f64::NEG_INFINITY {
        return Err(Unscored::new(format!("the server gave {logprob} as a log-probability")));
    }
    if logprob > ROUNDING {
        return Err(Unscored::new(format!("the server gave {logprob} as a log-probability, which is above 0")));
    }
    Ok(logprob.min(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(offset: Option<usize>, logprob: Option<f64>, is_greedy: Option<bool>) -> TokenScore {
        TokenScore { offset, logprob, is_greedy, ..TokenScore::default() }
    }

    #[test]
    fn the_continuation_begins_where_a_token_does() {
        let at = |offsets: &[Option<usize>], boundary| {
            let tokens: Vec<TokenScore> = offsets.iter().map(|offset| token(*offset, None, None)).collect();
            border(&tokens, boundary, 1)
        };
        assert_eq!(at(&[Some(0), Some(0), Some(3), Some(5)], 3), Some(2));
        assert_eq!(at(&[Some(0), Some(0), Some(3), Some(5)], 4), None, "straddled");
        assert_eq!(at(&[Some(0), Some(0), Some(3), Some(5)], 6), None);
        assert_eq!(at(&[Some(0), Some(0), Some(3)], 0), Some(1), "behind what stands before every text");
        assert_eq!(at(&[Some(0), None, Some(3)], 3), None);
    }

    #[test]
    fn sums_are_checked() {
        let scores = |scores: &[(Option<f64>, Option<bool>)]| {
            let tokens: Vec<TokenScore> = scores.iter().map(|(l, g)| token(None, *l, *g)).collect();
            sum(&tokens, 0)
        };
        let found = scores(&[(Some(-1.0), Some(true)), (Some(-0.1), None)]).unwrap();
        assert_eq!(found, Sum { logprob: -1.1, is_greedy: Some(true), num_tokens: 2 });
        assert_eq!(scores(&[(Some(-1.0), None), (Some(-1.0), Some(true))]).unwrap().is_greedy, None);
        assert_eq!(scores(&[(Some(-1.0), None), (Some(-1.0), Some(false))]).unwrap().is_greedy, Some(false));
        for (bad, says) in [(None, "nothing stands before"), (Some(f64::NAN), "NaN"), (Some(0.5), "above 0")] {
            assert!(scores(&[(bad, None)]).unwrap_err().reason.contains(says));
        }
    }
}
