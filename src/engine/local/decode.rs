//! Text that follows a prompt, token by token.

use super::sampling::Picker;
use crate::engine::tokens::{contains_stop, cut_at_stops};
use crate::error::Result;
use crate::request::{Answer, Finish, Response, Usage};

/// Tokens looked at beyond those that a stop string can have, for pieces of characters at the edge.
const TAIL_MARGIN: usize = 8;

/// How a prompt is to be continued.
#[derive(Debug, Clone, PartialEq)]
pub struct Generation {
    pub request: usize,
    /// Tokens of the prompt, without those that were cut off.
    pub prompt_tokens: usize,
    pub truncated_tokens: usize,
    pub max_new_tokens: usize,
    /// Stop strings in the order of the task, the end-of-sequence token's text last.
    pub stops: Vec<String>,
}

/// How tokens become text, and which of them end one.
#[derive(Clone, Copy)]
pub struct Texts<'a> {
    /// The text of tokens; special ones are left out if so wished.
    pub decode: &'a (dyn Fn(&[u32], bool) -> Result<String> + Sync),
    /// Tokens that end a text.
    pub eos: &'a [u32],
}

/// A text as it grows. It ends at an end-of-sequence token (which is not part of the text), a stop string or the limit.
pub struct Continuation {
    pub generation: Generation,
    pub picker: Picker,
    /// The tokens so far.
    generated: Vec<u32>,
    /// Tokens picked, one that ended the text included.
    picked: usize,
}

impl Continuation {
    pub fn new(generation: Generation, picker: Picker) -> Continuation {
        Continuation { generation, picker, generated: Vec::new(), picked: 0 }
    }

    /// The tokens so far, without one that ended the text.
    pub fn tokens(&self) -> &[u32] {
        &self.generated
    }

    /// Tokens picked so far.
    pub fn picked(&self) -> usize {
        self.picked
    }

    /// Takes the next token. Gives the answer if that ends the text.
    pub fn push(&mut self, next: u32, texts: &Texts<'_>) -> Result<Option<Response>> {
        self.picked += 1;
        if texts.eos.contains(&next) {
            return self.finish(Finish::Stop, texts).map(Some);
        }
        self.generated.push(next);
        let stops = &self.generation.stops;
        let tail = stops.iter().map(String::len).max().unwrap_or(0) + TAIL_MARGIN;
        // Special tokens count here, so that a stop string may name one (`</s>`, `<|im_end|>`).
        let recent = self.generated.get(self.generated.len().saturating_sub(tail)..).unwrap_or_default();
        if contains_stop(&(texts.decode)(recent, false)?, stops) {
            return self.finish(Finish::Stop, texts).map(Some);
        }
        if self.picked < self.generation.max_new_tokens {
            return Ok(None);
        }
        self.finish(Finish::Length, texts).map(Some)
    }

    /// The answer, if the text ends here.
    pub fn finish(&self, finish: Finish, texts: &Texts<'_>) -> Result<Response> {
        let Generation { prompt_tokens, truncated_tokens, stops, .. } = &self.generation;
        let text = (texts.decode)(&self.generated, true)?;
        let kept = cut_at_stops(&text, stops);
        let finish = if kept.len() < text.len() { Finish::Stop } else { finish };
        let usage = Usage {
            prompt_tokens: *prompt_tokens,
            completion_tokens: self.picked,
            truncated_tokens: *truncated_tokens,
            ..Usage::default()
        };
        Ok(Response::new(Answer::Text { text: kept.to_string(), finish }, usage))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Letters of an alphabet: 0 is `a`, 26 a special token.
    fn decode(ids: &[u32], skip_special: bool) -> Result<String> {
        let letter = |id: &u32| match id {
            26 if skip_special => String::new(),
            26 => "</s>".to_string(),
            id => char::from_u32(97 + id).unwrap_or('?').to_string(),
        };
        Ok(ids.iter().map(letter).collect())
    }

    /// Feeds tokens until the text ends: text, finish, tokens taken.
    fn run(max_new_tokens: usize, stops: &[&str], eos: &[u32], tokens: &[u32]) -> (String, Finish, usize) {
        let stops = stops.iter().map(|s| s.to_string()).collect();
        let generation = Generation { request: 0, prompt_tokens: 3, truncated_tokens: 0, max_new_tokens, stops };
        let mut continuation = Continuation::new(generation, Picker::Greedy);
        let texts = Texts { decode: &decode, eos };
        let mut answers = tokens.iter().filter_map(|token| continuation.push(*token, &texts).unwrap());
        let Answer::Text { text, finish } = answers.next().unwrap().answer else { panic!("a text") };
        (text, finish, continuation.picked())
    }

    #[test]
    fn ends_at_stop_strings_across_tokens_at_any_end_token_and_at_the_limit() {
        let tokens: Vec<u32> = (0..20).collect();
        assert_eq!(run(20, &["fg"], &[], &tokens), ("abcde".to_string(), Finish::Stop, 7));
        assert_eq!(run(20, &[], &[99, 3], &tokens), ("abc".to_string(), Finish::Stop, 4));
        assert_eq!(run(3, &["x"], &[], &tokens), ("abc".to_string(), Finish::Length, 3));
        assert_eq!(run(9, &["</s>"], &[], &[0, 26, 1]), ("a".to_string(), Finish::Stop, 2));
    }
}
