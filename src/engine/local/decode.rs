//! Text that follows a prompt, token by token.

use super::sampling::Picker;
use crate::engine::Outcome;
use crate::engine::thinking::{Beginning, LONGEST_TAG, Parted, Tag, bare, beginning, behind, part, unfinished};
use crate::engine::tokens::{contains_stop, cut_at_stops};
use crate::error::Result;
use crate::request::{Answer, Finish, Response, Unscored, Usage};

/// Tokens looked at beyond those that a stop string can have, for pieces of characters at the edge.
const TAIL_MARGIN: usize = 8;

/// Tokens after which a text has begun, and be it with blanks.
const UNCLEAR: usize = 64;

/// How a prompt is to be continued.
#[derive(Debug, Clone, PartialEq)]
pub struct Generation {
    pub request: usize,
    /// Tokens of the prompt, without those that were cut off.
    pub prompt_tokens: usize,
    pub truncated_tokens: usize,
    /// Tokens at most, those for a thought included.
    pub max_new_tokens: usize,
    /// Stop strings in the order of the task, the end-of-sequence token's text last.
    pub stops: Vec<String>,
    pub thinking: Thinking,
}

/// What is known of a model's thoughts before it writes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Thinking {
    /// Whether it thinks, as the user says; `None`: as the text shows.
    pub expected: Option<bool>,
    /// The prompt begins a thought.
    pub begun: Option<Tag>,
    /// Those of `max_new_tokens` that are only for texts with a thought.
    pub tokens: usize,
}

/// How tokens become text, and which of them end one.
#[derive(Clone, Copy)]
pub struct Texts<'a> {
    /// The text of tokens; special ones are left out if so wished.
    pub decode: &'a (dyn Fn(&[u32], bool) -> Result<String> + Sync),
    /// Tokens that end a text.
    pub eos: &'a [u32],
}

/// What is being written.
#[derive(Debug, Clone, PartialEq)]
enum Part {
    /// Too little to say.
    Unclear,
    Thought(Option<Tag>),
    /// The answer behind a thought: its first token, and what of it stands in the thought's last.
    Behind {
        from: usize,
        rest: String,
    },
    /// An answer without a thought.
    Answer,
}

/// A text as it grows. It ends at an end-of-sequence token (which is not part of the text), a stop string or the limit. Stop strings are
/// of the answer: a thought may hold them.
pub struct Continuation {
    pub generation: Generation,
    pub picker: Picker,
    /// The tokens so far.
    generated: Vec<u32>,
    /// Tokens picked, one that ended the text included.
    picked: usize,
    part: Part,
}

impl Continuation {
    pub fn new(generation: Generation, picker: Picker) -> Continuation {
        let Thinking { expected, begun, .. } = generation.thinking;
        let part = match (expected, begun) {
            (Some(false), _) => Part::Answer,
            (_, Some(tag)) => Part::Thought(Some(tag)),
            (Some(true), None) => Part::Thought(None),
            (None, None) => Part::Unclear,
        };
        Continuation { generation, picker, generated: Vec::new(), picked: 0, part }
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
    pub fn push(&mut self, next: u32, texts: &Texts<'_>) -> Result<Option<Outcome>> {
        self.picked += 1;
        if texts.eos.contains(&next) {
            return self.finish(Finish::Stop, texts).map(Some);
        }
        self.generated.push(next);
        self.follow(texts)?;
        if self.is_stopped(texts)? {
            return self.finish(Finish::Stop, texts).map(Some);
        }
        let Generation { max_new_tokens, thinking, .. } = &self.generation;
        let thinks = matches!(self.part, Part::Thought(_) | Part::Behind { .. });
        if self.picked < if thinks { *max_new_tokens } else { max_new_tokens.saturating_sub(thinking.tokens) } {
            return Ok(None);
        }
        self.finish(Finish::Length, texts).map(Some)
    }

    /// Tokens that may hold so many bytes of text, the last ones.
    fn recent(&self, bytes: usize) -> usize {
        self.generated.len().saturating_sub(bytes + TAIL_MARGIN)
    }

    /// The text of tokens from one on. Special tokens count here, so that a stop string (`</s>`, `<|im_end|>`) or a tag may be one.
    fn text_from(&self, from: usize, texts: &Texts<'_>) -> Result<String> {
        (texts.decode)(self.generated.get(from..).unwrap_or_default(), false)
    }

    /// Sees where a thought begins and where it ends.
    fn follow(&mut self, texts: &Texts<'_>) -> Result<()> {
        match &mut self.part {
            Part::Unclear => match beginning(&self.text_from(0, texts)?) {
                Beginning::Thought(tag) => self.part = Part::Thought(Some(tag)),
                Beginning::Unclear if self.generated.len() < UNCLEAR => return Ok(()),
                Beginning::Answer | Beginning::Unclear => self.part = Part::Answer,
            },
            Part::Behind { from, rest } => {
                // Blank lines before the answer are no part of it.
                if *from + 1 == self.generated.len() && rest.trim().is_empty() {
                    let last = self.generated.get(*from..).unwrap_or_default();
                    if (texts.decode)(last, false)?.trim().is_empty() {
                        *from += 1;
                    }
                }
                return Ok(());
            }
            Part::Thought(_) | Part::Answer => {}
        }
        if let Part::Thought(tag) = self.part
            && let Some(rest) = behind(&self.text_from(self.recent(LONGEST_TAG), texts)?, tag)
        {
            self.part = Part::Behind { from: self.generated.len(), rest: rest.to_string() };
        }
        Ok(())
    }

    /// Whether a stop string stands in the answer.
    fn is_stopped(&self, texts: &Texts<'_>) -> Result<bool> {
        let stops = &self.generation.stops;
        let recent = self.recent(stops.iter().map(String::len).max().unwrap_or(0));
        Ok(match &self.part {
            Part::Thought(_) => false,
            Part::Behind { from, rest } if recent <= *from => {
                contains_stop(format!("{rest}{}", self.text_from(*from, texts)?).trim_start(), stops)
            }
            _ => contains_stop(&self.text_from(recent, texts)?, stops),
        })
    }

    /// The answer, if the text ends here.
    pub fn finish(&self, finish: Finish, texts: &Texts<'_>) -> Result<Outcome> {
        let Generation { prompt_tokens, truncated_tokens, stops, thinking, .. } = &self.generation;
        let cut_off = finish == Finish::Length;
        let plain = |from: usize| (texts.decode)(self.generated.get(from..).unwrap_or_default(), true);
        let (text, thought, thought_tokens) = match &self.part {
            Part::Behind { from, rest } => {
                let thought = (texts.decode)(self.generated.get(..*from).unwrap_or_default(), false)?;
                let text = format!("{rest}{}", plain(*from)?).trim_start().to_string();
                (text, Some(bare(&thought).to_string()), *from)
            }
            // Only what was said to be a thought may turn out to be none.
            Part::Thought(tag) if cut_off || tag.is_some() => {
                return Ok(Err(Unscored::new(unfinished(self.picked, cut_off))));
            }
            _ => match part(&plain(0)?, None, thinking.expected, cut_off) {
                Parted::Answer { text, thought } => (text, thought, 0),
                Parted::Unfinished => return Ok(Err(Unscored::new(unfinished(self.picked, cut_off)))),
            },
        };
        let kept = cut_at_stops(&text, stops);
        let finish = if kept.len() < text.len() { Finish::Stop } else { finish };
        let usage = Usage {
            prompt_tokens: *prompt_tokens,
            completion_tokens: self.picked,
            truncated_tokens: *truncated_tokens,
            reasoning_tokens: thought_tokens,
            ..Usage::default()
        };
        let response = Response::new(Answer::Text { text: kept.to_string(), finish }, usage);
        Ok(Ok(Response { reasoning: thought.filter(|thought| !thought.is_empty()), ..response }))
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
        let thinking = Thinking::default();
        let generation =
            Generation { request: 0, prompt_tokens: 3, truncated_tokens: 0, max_new_tokens, stops, thinking };
        let mut continuation = Continuation::new(generation, Picker::Greedy);
        let texts = Texts { decode: &decode, eos };
        let mut answers =
            tokens.iter().filter_map(|token| continuation.push(*token, &texts).unwrap().map(Result::unwrap));
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

    /// Feeds pieces of text, one token each; `%` are special tokens' characters, `.` ends the text.
    fn write(pieces: &[&str], thinking: Thinking, max_new_tokens: usize) -> Option<Outcome> {
        let decode = |ids: &[u32], skip_special: bool| {
            let piece = |id: &u32| pieces[*id as usize];
            Ok(ids.iter().map(piece).filter(|piece| !(skip_special && piece.starts_with('['))).collect::<String>())
        };
        let eos: Vec<u32> = (0..pieces.len() as u32).filter(|id| pieces[*id as usize] == ".").collect();
        let generation = Generation {
            request: 0,
            prompt_tokens: 3,
            truncated_tokens: 0,
            max_new_tokens,
            stops: vec!["\n".to_string()],
            thinking,
        };
        let mut continuation = Continuation::new(generation, Picker::Greedy);
        let texts = Texts { decode: &decode, eos: &eos };
        (0..pieces.len() as u32).find_map(|id| continuation.push(id, &texts).unwrap())
    }

    fn answered(pieces: &[&str], thinking: Thinking) -> (String, Option<String>, usize) {
        let response = write(pieces, thinking, 50).unwrap().unwrap();
        let Answer::Text { text, .. } = response.answer else { panic!("a text") };
        (text, response.reasoning, response.usage.reasoning_tokens)
    }

    #[test]
    fn thoughts_are_cut_off_and_stop_strings_are_the_answers() {
        let auto = Thinking::default();
        let on = Thinking { expected: Some(true), ..auto };
        let begun = Thinking { begun: Some(("<think>", "</think>")), ..auto };
        let thought = |text: &str, thought: &str, tokens| (text.to_string(), Some(thought.to_string()), tokens);
        let long = ["<th", "ink>", "\n", "hm", "\n", "</think>", "\n", "\n", "42", "\n", "43"];
        assert_eq!(answered(&long, auto), thought("42", "hm", 8));
        assert_eq!(answered(&long[2..], begun), thought("42", "hm", 6));
        assert_eq!(answered(&long[2..], on), thought("42", "hm", 6));
        assert_eq!(answered(&["[THINK]", "a", "b", "[/THINK]", "c", "."], auto), thought("c", "ab", 4));
        assert_eq!(answered(&["<think>", "a</think>\n4", "2", "\n"], auto), thought("42", "a", 2));
        let plain = |text: &str| (text.to_string(), None, 0);
        assert_eq!(answered(&["<th", "e answer", "\n"], auto), plain("<the answer"));
        assert_eq!(answered(&["4", "2", "."], on), plain("42"));
        let off = Thinking { expected: Some(false), ..auto };
        assert_eq!(answered(&["<think>", "a", "\n"], off), plain("<think>a"));
        assert_eq!(answered(&["\n", "x"], auto), plain(""));
    }

    #[test]
    fn unfinished_thoughts_are_not_scored() {
        let unscored = |pieces: &[&str], thinking, most| write(pieces, thinking, most).unwrap().unwrap_err().reason;
        let auto = Thinking::default();
        assert!(unscored(&["<think>", "a", "."], auto, 50).contains("middle of its thought"));
        assert!(unscored(&["<think>", "a", "b", "c"], auto, 3).contains("cut off after 3 tokens"));
        let on = Thinking { expected: Some(true), ..auto };
        assert!(unscored(&["a", "b", "c"], on, 3).contains("cut off"));
        // Room for a thought is only for texts that have one.
        let room = Thinking { tokens: 3, ..auto };
        let Ok(response) = write(&["a", "b", "c", "d", "e"], room, 5).unwrap() else { panic!("an answer") };
        assert_eq!(response.usage.completion_tokens, 2);
        assert!(unscored(&["<think>", "b", "c", "d", "e"], room, 5).contains("cut off after 5"));
    }
}
