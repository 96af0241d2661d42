//! Log-probabilities of a prompt's tokens to log-likelihoods of continuations: which of the listed tokens are the prompt's, where the
//! continuation begins, and whether the numbers can be what they claim to be. Pure.

use super::wire::TokenScore;
use crate::python::text::rstrip;

/// A prompt's tokens as a server scored them.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// The prompt's own tokens, without what was written after them.
    pub tokens: Vec<TokenScore>,
    /// Where each begins in the prompt, in characters; empty where texts do not say so.
    pub starts: Vec<usize>,
    /// Tokens that the server wrote after the prompt and lists with it.
    pub following: Vec<TokenScore>,
}

impl Scored {
    /// Separates a text prompt's tokens from those that follow. `generated`: how many follow as far as the server says.
    pub fn of_text(mut tokens: Vec<TokenScore>, generated: usize, prompt: &str) -> Scored {
        let starts = starts(&tokens, prompt);
        let own = match &starts {
            Some(starts) => {
                let length = prompt.chars().count();
                starts.iter().take_while(|start| **start < length).count()
            }
            None => tokens.len().saturating_sub(generated),
        };
        let following = tokens.split_off(own);
        let starts = starts.unwrap_or_default().into_iter().take(own).collect();
        Scored { tokens, starts, following }
    }

    /// The first tokens, as many as were sent.
    pub fn of_ids(mut tokens: Vec<TokenScore>, sent: usize) -> Scored {
        let following = tokens.split_off(sent.min(tokens.len()));
        Scored { tokens, starts: Vec::new(), following }
    }

    /// How many tokens stand before character `boundary`; `None` when a token straddles it, or nobody knows.
    pub fn tokens_before(&self, boundary: usize) -> Option<usize> {
        if self.starts.is_empty() {
            return None;
        }
        if boundary == 0 {
            return Some(self.shown_before());
        }
        let before = self.starts.iter().take_while(|start| **start < boundary).count();
        let next = self.starts.get(before).copied();
        match next {
            Some(next) => (next == boundary).then_some(before),
            // Nothing begins there: the last token goes beyond.
            None => None,
        }
    }

    /// Tokens that are listed before the prompt's text begins: a BOS token that the server shows.
    pub fn shown_before(&self) -> usize {
        self.starts.iter().skip(1).take_while(|start| **start == 0).count()
    }

    /// Sum over the tokens from an index on, and whether each is the likeliest at its place (unknown counts as not).
    pub fn sum_from(&self, first: usize) -> Result<(f64, bool, usize), String> {
        let tokens = self.tokens.get(first..).unwrap_or_default();
        if tokens.is_empty() {
            return Err("the continuation has no token of its own".to_string());
        }
        let mut sum = 0.0;
        for token in tokens {
            sum += token.logprob.ok_or_else(|| {
                "the server gives no log-probability for the continuation's first token: nothing stands before it (--tokenizer puts \
                 a BOS token there)"
                    .to_string()
            })?;
        }
        Ok((sum, tokens.iter().all(|token| token.is_greedy == Some(true)), tokens.len()))
    }

    /// Whether every scored token says whether it is the likeliest.
    pub fn knows_greedy(&self) -> bool {
        self.tokens.iter().filter(|token| token.logprob.is_some()).all(|token| token.is_greedy.is_some())
    }
}

/// Where a context ends for the sake of tokens, in characters: white space at its end belongs to the continuation.
pub fn boundary(context: &str) -> usize {
    rstrip(context).chars().count()
}

/// Where each token begins in the prompt, from their texts; `None` when those do not spell it.
fn starts(tokens: &[TokenScore], prompt: &str) -> Option<Vec<usize>> {
    let texts: Option<Vec<&str>> = tokens.iter().map(|token| token.text.as_deref()).collect();
    let texts = texts.filter(|texts| !texts.is_empty())?;
    let echoed = texts.concat();
    // A BOS token may be shown at the front, and white space at the front may be swallowed.
    let body = prompt.trim_start();
    let at = echoed.find(body)?;
    let before = echoed.get(..at)?.chars().count() as i64;
    let swallowed = prompt.chars().count() as i64 - body.chars().count() as i64;
    if before > swallowed + texts.first()?.chars().count() as i64 {
        return None;
    }
    let shift = before - swallowed;
    let mut position = 0i64;
    let mut starts = Vec::with_capacity(texts.len());
    for text in texts {
        starts.push((position - shift).max(0) as usize);
        position += text.chars().count() as i64;
    }
    Some(starts)
}

/// Whether a server scores prompts: `first` and `again` are answers to one prompt, `other` to one with another ending.
/// `prompt_tokens`: how many the server says the prompt has; `written`: how many tokens it says to have written after it and should list.
pub fn is_scoring(
    first: &Scored,
    again: &Scored,
    other: &Scored,
    (prompt_tokens, written): (usize, usize),
) -> Result<(), String> {
    let scored = |of: &Scored| of.tokens.iter().filter_map(|token| token.logprob).collect::<Vec<f64>>();
    let (one, two, three) = (scored(first), scored(again), scored(other));
    let entries = first.tokens.len();
    if entries < 3 || one.len() < 2 {
        return Err(format!(
            "it lists log-probabilities of {} of the prompt's {} tokens",
            one.len(),
            prompt_tokens.max(entries)
        ));
    }
    if prompt_tokens > 0 && !(entries == prompt_tokens || entries + 1 == prompt_tokens) {
        return Err(format!("it lists {entries} tokens of a prompt that has {prompt_tokens}"));
    }
    if let Some(place) = first.tokens.iter().skip(1).position(|token| token.logprob.is_none()) {
        return Err(format!("it gives no log-probability for token {} of the prompt", place + 2));
    }
    // A server that leaves one number out at the front has all others one place off, and none for the token that it wrote.
    if written > 0 && first.following.is_empty() && other.following.is_empty() {
        return Err("it lists no log-probability for the token after the prompt: its numbers may stand one place off"
            .to_string());
    }
    let unlikely = |of: &Scored| of.following.first().and_then(|token| token.is_greedy) == Some(false);
    if written > 0 && (unlikely(first) || unlikely(other)) {
        return Err("the token that it wrote is not the likeliest one by its own numbers".to_string());
    }
    if one.iter().all(|value| *value == 0.0) {
        return Err("it says that every token of the prompt is certain (log-probability 0)".to_string());
    }
    let sum = |values: &[f64]| values.iter().sum::<f64>();
    if sum(&one) == sum(&three) {
        return Err("it gives two different continuations of one context the same log-probability".to_string());
    }
    let apart = (sum(&one) - sum(&two)).abs();
    if !(apart < 1e-3) {
        return Err(format!("it scores the same prompt differently each time (by {apart:.4})"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str, logprob: Option<f64>) -> TokenScore {
        TokenScore { text: Some(text.into()), logprob, is_greedy: Some(true), ..TokenScore::default() }
    }

    fn tokens(list: &[(&str, f64)]) -> Vec<TokenScore> {
        let mut tokens: Vec<_> = list.iter().map(|(text, logprob)| token(text, Some(*logprob))).collect();
        tokens[0].logprob = None;
        tokens
    }

    #[test]
    fn the_prompts_tokens_end_with_its_text() {
        let list = tokens(&[("Once", 0.0), (" upon", -1.0), (" a", -2.0), (" time", -3.0), (",", -4.0)]);
        let scored = Scored::of_text(list.clone(), 1, "Once upon a time");
        assert_eq!((scored.tokens.len(), scored.starts.clone()), (4, vec![0, 4, 9, 11]));
        assert_eq!(scored.tokens_before(boundary("Once upon ")), Some(2));
        assert_eq!(scored.sum_from(2), Ok((-5.0, true, 2)));
        assert_eq!(scored.tokens_before(6), None, "a token straddles it");
        // A server that shows its BOS token, and one that says nothing of what follows.
        let mut with_bos = vec![token("<s>", None)];
        with_bos.extend(list.clone());
        with_bos[1].logprob = Some(-0.5);
        let scored = Scored::of_text(with_bos, 0, "Once upon a time");
        assert_eq!((scored.tokens.len(), scored.tokens_before(4), scored.tokens_before(0)), (5, Some(2), Some(1)));
        // The first blank is swallowed.
        let scored = Scored::of_text(list, 1, " Once upon a time");
        assert_eq!(scored.tokens_before(boundary(" Once upon")), Some(2));
    }

    #[test]
    fn texts_that_do_not_spell_the_prompt_are_counted() {
        let list = tokens(&[("On", 0.0), ("▁", -1.0), ("ce!", -2.0)]);
        let scored = Scored::of_text(list, 1, "Once");
        assert_eq!((scored.tokens.len(), scored.tokens_before(2)), (2, None));
    }

    #[test]
    fn a_continuation_without_a_number_is_none() {
        let scored = Scored::of_text(tokens(&[("a", 0.0), ("b", -1.0)]), 0, "ab");
        assert!(scored.sum_from(0).unwrap_err().contains("--tokenizer"));
        assert!(scored.sum_from(2).unwrap_err().contains("no token"));
    }

    #[test]
    fn who_does_not_score_prompts_is_found_out() {
        let scored = |values: &[f64]| {
            let list: Vec<(&str, f64)> = values.iter().map(|v| ("x", *v)).collect();
            Scored { tokens: tokens(&list), starts: Vec::new(), following: Vec::new() }
        };
        let (good, other) = (scored(&[0.0, -1.0, -2.0, -3.0]), scored(&[0.0, -1.0, -2.0, -7.0]));
        assert_eq!(is_scoring(&good, &good, &other, (4, 0)), Ok(()));
        assert_eq!(is_scoring(&good, &good, &other, (5, 0)), Ok(()), "a hidden BOS token");
        let zero = scored(&[0.0; 4]);
        assert!(is_scoring(&zero, &zero, &zero, (4, 0)).unwrap_err().contains("certain"));
        assert!(is_scoring(&good, &good, &good, (4, 0)).unwrap_err().contains("same log-probability"));
        let drifting = scored(&[0.0, -1.0, -2.0, -3.1]);
        assert!(is_scoring(&good, &drifting, &other, (4, 0)).unwrap_err().contains("differently"));
        assert!(is_scoring(&good, &good, &other, (9, 0)).unwrap_err().contains("4 tokens of a prompt that has 9"));
        let generated_only = scored(&[0.0]);
        assert!(
            is_scoring(&generated_only, &generated_only, &other, (4, 0)).unwrap_err().contains("0 of the prompt's 4")
        );
        let mut gap = good.clone();
        gap.tokens[2].logprob = None;
        assert!(is_scoring(&gap, &gap, &other, (4, 0)).unwrap_err().contains("token 3"));
        // llama-cpp-python's server with a model without BOS: all numbers one place off.
        let told = |following| Scored { following, ..good.clone() };
        assert!(is_scoring(&good, &good, &other, (4, 1)).unwrap_err().contains("one place off"));
        assert_eq!(is_scoring(&told(tokens(&[("x", 0.0)])), &good, &other, (4, 1)), Ok(()));
        let unlikely = TokenScore { is_greedy: Some(false), ..TokenScore::default() };
        assert!(is_scoring(&told(vec![unlikely]), &good, &other, (4, 1)).unwrap_err().contains("not the likeliest"));
    }
}
