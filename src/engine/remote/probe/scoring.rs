//! Whether a server really scores prompts. Some return log-probabilities of generated tokens only, or zeros; taken for scores, these
//! would make every choice alike and every accuracy that of chance. Any doubt is a reason to refuse.

use super::super::wire::TokenScore;

/// How far two scores of one prompt may be apart, relative: without a word, and at all.
const SILENT: f64 = 1e-6;
const TOLERATED: f64 = 1e-3;

/// Entries that a prompt of some words has at least.
const FEWEST: usize = 3;

/// What a server said about a prompt.
#[derive(Debug, Clone)]
pub struct Scored {
    /// Without those that follow the prompt.
    pub tokens: Vec<TokenScore>,
    /// The token that it wrote behind the prompt, greedily, where that is listed.
    pub following: Option<TokenScore>,
    /// Tokens of the prompt by the server's own account; 0: it does not say.
    pub prompt_tokens: usize,
}

/// A server that scores prompts.
#[derive(Debug, PartialEq)]
pub struct Proof {
    pub sum: f64,
    pub notice: Option<String>,
}

/// Judges scores of one prompt, of the same again, and of one with another ending.
pub fn judge(first: &Scored, again: &Scored, other: &Scored) -> Result<Proof, String> {
    let one = sum(first)?;
    let (two, three) = (sum(again)?, sum(other)?);
    if one == three {
        return Err("it gives two different continuations of one context the same log-probability".to_string());
    }
    // Numbers that stand one place off are the likeliest token's at no place. (A penalty may explain it once.)
    let is_unlikely = |scored: &Scored| scored.following.as_ref().and_then(|token| token.is_greedy) == Some(false);
    if is_unlikely(first) && is_unlikely(other) {
        return Err("the tokens that it writes greedily are not the likeliest by its own log-probabilities".to_string());
    }
    let apart = (one - two).abs() / one.abs();
    if apart > TOLERATED {
        return Err(format!("it scores the same prompt {one:.6} and then {two:.6}"));
    }
    let notice = (apart > SILENT)
        .then(|| format!("the server's scores do not repeat exactly: one prompt scored {one:.6} and then {two:.6}"));
    Ok(Proof { sum: one, notice })
}

/// What a prompt sums to, if its entries are what they should be.
fn sum(scored: &Scored) -> Result<f64, String> {
    let (entries, told) = (scored.tokens.len(), scored.prompt_tokens);
    if entries < FEWEST {
        return Err("the server returns log-probabilities of generated tokens only".to_string());
    }
    // One may be hidden: the token that the server puts before every text.
    if told > 0 && entries != told && entries + 1 != told {
        return Err(format!("it returns {entries} log-probabilities for a prompt of {told} tokens"));
    }
    let (head, rest) = scored.tokens.split_first().ok_or("it returns nothing")?;
    if let Some(logprob) = head.logprob {
        return Err(format!(
            "it gives the first token a log-probability ({logprob}), although nothing stands before it"
        ));
    }
    let mut sum = 0.0;
    for (index, token) in rest.iter().enumerate() {
        let logprob =
            token.logprob.ok_or_else(|| format!("it gives token {} of a prompt no log-probability", index + 2))?;
        if !logprob.is_finite() || logprob > 1e-3 {
            return Err(format!("it gives a token the log-probability {logprob}"));
        }
        sum += logprob;
    }
    if rest.iter().all(|token| token.logprob == Some(0.0)) {
        return Err("all log-probabilities that it returns are 0, as if every token were certain".to_string());
    }
    Ok(sum)
}

/// Tokens that stand before those of a text: none, or BOS.
pub fn leading(tokens: &[TokenScore]) -> usize {
    let [first, second, ..] = tokens else { return 0 };
    let is_marker = first.text.as_deref().is_none_or(|text| text.is_empty() || is_special(text));
    // A first token without a text is the first of the prompt when the second begins behind it.
    let begins_text = second.offset.is_some_and(|offset| offset > 0);
    let unknown = second.offset.is_none() && first.text.as_deref().is_none_or(str::is_empty);
    usize::from(is_marker && !begins_text && !unknown)
}

fn is_special(text: &str) -> bool {
    let text = text.trim();
    text.len() > 2 && (text.starts_with('<') && text.ends_with('>') || text.starts_with('[') && text.ends_with(']'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scored(logprobs: &[f64]) -> Scored {
        let token = |(index, logprob): (usize, &f64)| TokenScore {
            logprob: Some(*logprob).filter(|_| index > 0),
            ..TokenScore::default()
        };
        Scored { tokens: logprobs.iter().enumerate().map(token).collect(), prompt_tokens: 0, following: None }
    }

    #[test]
    fn who_scores_prompts_is_believed() {
        let (good, other) = (scored(&[0.0, -1.0, -2.0, -3.0]), scored(&[0.0, -1.0, -2.0, -7.0]));
        assert_eq!(judge(&good, &good, &other), Ok(Proof { sum: -6.0, notice: None }));
        for prompt_tokens in [4, 5] {
            assert!(judge(&Scored { prompt_tokens, ..good.clone() }, &good, &other).is_ok());
        }
        let near = scored(&[0.0, -1.0, -2.0, -3.001]);
        assert!(judge(&good, &near, &other).unwrap().notice.unwrap().contains("do not repeat"));
    }

    #[test]
    fn any_doubt_is_a_refusal() {
        let (good, other) = (scored(&[0.0, -1.0, -2.0, -3.0]), scored(&[0.0, -1.0, -2.0, -7.0]));
        let refused = |first: &Scored, again: &Scored, other: &Scored, says: &str| {
            let reason = judge(first, again, other).unwrap_err();
            assert!(reason.contains(says), "{reason}");
        };
        refused(&good, &good, &good, "same log-probability");
        refused(&good, &scored(&[0.0, -1.0, -2.0, -3.1]), &other, "scores the same prompt -6.000000 and then -6.1");
        let few = scored(&[0.0]);
        refused(&few, &few, &few, "generated tokens only");
        let none = scored(&[]);
        refused(&none, &none, &none, "generated tokens only");
        let zeros = scored(&[0.0; 5]);
        refused(&zeros, &zeros, &zeros, "are 0");
        refused(
            &Scored { prompt_tokens: 9, ..good.clone() },
            &good,
            &other,
            "4 log-probabilities for a prompt of 9 tokens",
        );
        let mut first = good.clone();
        first.tokens[0].logprob = Some(-1.0);
        refused(&first, &first, &other, "nothing stands before it");
        let behind = |scored: &Scored| Scored {
            following: Some(TokenScore { is_greedy: Some(false), ..TokenScore::default() }),
            ..scored.clone()
        };
        refused(&behind(&good), &good, &behind(&other), "not the likeliest");
        assert!(judge(&behind(&good), &good, &other).is_ok());
        let mut gap = good.clone();
        gap.tokens[2].logprob = None;
        refused(&gap, &gap, &other, "token 3");
        let mut above = good.clone();
        above.tokens[2].logprob = Some(1.0);
        refused(&above, &above, &other, "log-probability 1");
    }

    #[test]
    fn what_stands_before_texts_is_counted() {
        let tokens = |list: &[(Option<&str>, Option<usize>)]| -> Vec<TokenScore> {
            let token = |(text, offset): &(Option<&str>, Option<usize>)| TokenScore {
                text: text.map(str::to_string),
                offset: *offset,
                ..TokenScore::default()
            };
            list.iter().map(token).collect()
        };
        assert_eq!(leading(&tokens(&[(Some("<s>"), Some(0)), (Some("The"), Some(0))])), 1);
        assert_eq!(leading(&tokens(&[(None, Some(0)), (Some("The"), Some(0))])), 1);
        assert_eq!(leading(&tokens(&[(None, Some(0)), (Some(" quick"), Some(3))])), 0);
        assert_eq!(leading(&tokens(&[(Some(" "), Some(0)), (Some("T"), Some(0))])), 0);
        assert_eq!(leading(&tokens(&[(Some("The"), Some(0)), (Some(" quick"), Some(3))])), 0);
        assert_eq!(leading(&tokens(&[(None, None), (Some(" quick"), None)])), 0);
    }
}
