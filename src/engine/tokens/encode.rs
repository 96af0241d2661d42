//! Prompts and continuations to token ids, split as the reference splits them.

use crate::error::Result;
use crate::model::Tokenizer;
use crate::python::text::rstrip;
use crate::request::Unscored;

/// Turns texts into ids.
pub struct Encoder<'a> {
    pub tokenizer: &'a Tokenizer,
    /// Forces BOS on or off; `None` leaves it to the tokenizer's files.
    pub add_bos: Option<bool>,
    /// How the token that stands before an empty context looks as text.
    prefix_text: Option<String>,
}

/// A context that several continuations may share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    pub text: String,
    /// Ids of the text without the white space at its end, which belongs to the continuation.
    ids: Vec<u32>,
}

/// A context and its continuation, as ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    pub context: Vec<u32>,
    pub continuation: Vec<u32>,
}

impl<'a> Encoder<'a> {
    pub fn new(tokenizer: &'a Tokenizer, add_bos: Option<bool>) -> Result<Encoder<'a>> {
        let prefix_text = tokenizer.prefix().map(|token| tokenizer.decode(&[token.id], false)).transpose()?;
        Ok(Encoder { tokenizer, add_bos, prefix_text })
    }

    /// Ids of a text to be scored or of a context: with BOS where the tokenizer's files (or the user) say so, and never a second
    /// one where a chat template has already written it.
    pub fn text(&self, text: &str) -> Result<Vec<u32>> {
        self.guarded(text, self.prefix_text.as_deref())
    }

    /// Ids of a prompt to be continued. (The reference looks for a written BOS here, but not for a written EOS.)
    pub fn prompt(&self, text: &str) -> Result<Vec<u32>> {
        self.guarded(text, self.tokenizer.bos.as_ref().map(|bos| bos.text.as_str()))
    }

    fn guarded(&self, text: &str, written: Option<&str>) -> Result<Vec<u32>> {
        let special = self.add_bos.unwrap_or(true) && !written.is_some_and(|w| !w.is_empty() && text.starts_with(w));
        let mut ids = self.tokenizer.encode(text, special)?;
        if special
            && self.add_bos == Some(true)
            && let Some(bos) = &self.tokenizer.bos
            && ids.first() != Some(&bos.id)
        {
            ids.insert(0, bos.id);
        }
        Ok(ids)
    }

    /// Prepares a context.
    pub fn context(&self, text: String) -> Result<Context> {
        let ids = if text.is_empty() { Vec::new() } else { self.text(rstrip(&text))? };
        Ok(Context { text, ids })
    }

    /// Splits context and continuation: both are tokenized together, and what goes beyond the length of the context's own ids is
    /// the continuation. White space at the end of the context counts to the continuation.
    pub fn pair(&self, context: &Context, continuation: &str) -> Result<Result<Pair, Unscored>> {
        let (mut context_ids, mut continuation_ids) = if context.text.is_empty() {
            (Vec::new(), self.tokenizer.encode(continuation, false)?)
        } else {
            let whole = self.text(&format!("{}{continuation}", context.text))?;
            (context.ids.clone(), whole.get(context.ids.len()..).unwrap_or_default().to_vec())
        };
        if context_ids.is_empty() {
            let Some(prefix) = self.tokenizer.prefix() else {
                return Ok(Err(Unscored::new(
                    "the context is empty and the tokenizer has neither a BOS nor an EOS token",
                )));
            };
            if continuation_ids.first() == Some(&prefix.id) {
                continuation_ids.remove(0);
            }
            context_ids.push(prefix.id);
        }
        if continuation_ids.is_empty() {
            return Ok(Err(Unscored::new(format!("the continuation {continuation:?} has no token of its own"))));
        }
        Ok(Ok(Pair { context: context_ids, continuation: continuation_ids }))
    }

    /// A choice among labels: for each label the continuations that begin an answer with it, which are the label alone and the label
    /// behind a blank. The probability of the label is the sum of theirs, so that it does not matter which of them a prompt's last
    /// characters and the tokenizer suggest.
    pub fn choice(&self, context: &Context, labels: &[String]) -> Result<Result<Vec<Vec<Pair>>, Unscored>> {
        let mut choice = Vec::with_capacity(labels.len());
        for label in labels {
            let mut ways: Vec<Pair> = Vec::with_capacity(2);
            let mut failure = None;
            for way in [label.clone(), format!(" {label}")] {
                match self.pair(context, &way)? {
                    // Some tokenizers see no difference.
                    Ok(pair) if ways.contains(&pair) => {}
                    Ok(pair) => ways.push(pair),
                    Err(reason) => failure = Some(reason),
                }
            }
            match failure {
                Some(reason) if ways.is_empty() => return Ok(Err(reason)),
                _ => choice.push(ways),
            }
        }
        Ok(Ok(choice))
    }

    /// How many BOS tokens stand at the front.
    pub fn bos_count(&self, ids: &[u32]) -> usize {
        let bos = self.tokenizer.bos.as_ref().map(|bos| bos.id);
        ids.iter().take_while(|id| Some(**id) == bos).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ModelConfig;
    use crate::model::testing::shared_model;

    fn tokenizer(model: &str) -> Option<Tokenizer> {
        let dir = shared_model(model)?;
        Some(Tokenizer::load(&dir, &ModelConfig::load(&dir).unwrap()).unwrap())
    }

    // Expected ids: HFLM of lm-eval 0.4.13 on the same folders, `_encode_pair(context, continuation)` and, for the empty
    // context, the branch of `loglikelihood`.
    #[test]
    fn pairs_equal_the_references() {
        for (model, add_bos, context, continuation, expected) in PAIRS {
            let Some(tokenizer) = tokenizer(model) else { return };
            let encoder = Encoder::new(&tokenizer, *add_bos).unwrap();
            let pair = encoder.pair(&encoder.context(context.to_string()).unwrap(), continuation).unwrap().unwrap();
            let found = (pair.context.as_slice(), pair.continuation.as_slice());
            assert_eq!(found, *expected, "{model} {add_bos:?} {context:?} {continuation:?}");
        }
    }

    type Case = (&'static str, Option<bool>, &'static str, &'static str, (&'static [u32], &'static [u32]));
    #[rustfmt::skip]
    const PAIRS: &[Case] = &[
        ("stories260K", None, "Once upon a time", " there was", (&[1, 403, 407, 261, 378], &[383, 286])),
        ("stories260K", None, "Once upon a time ", "there was", (&[1, 403, 407, 261, 378], &[383, 286])),
        ("stories260K", None, "Once upon a time\u{a0}\n", "there was", (&[1, 403, 407, 261, 378], &[498, 13, 413, 260, 276, 286])),
        ("stories260K", None, "", " there was", (&[1], &[410, 383, 286])),
        ("stories260K", None, "", "<s>Once", (&[1], &[403])),
        ("stories260K", None, " \n", "Once", (&[1], &[410, 410, 13, 441, 416, 331])),
        ("tiny-gemma", None, "Hi there", " you", (&[2, 45, 78, 962], &[314])),
        ("tiny-gemma", None, "<bos>Hi there", " you", (&[2, 45, 78, 962], &[314])),
        ("tiny-gemma", Some(false), "Hi there", " you", (&[45, 78, 962], &[314])),
        ("tiny-gemma", Some(true), "Hi there", " you", (&[2, 45, 78, 962], &[314])),
        ("tiny-gemma", Some(true), "<bos>Hi there", " you", (&[2, 45, 78, 962], &[314])),
        ("tiny-gemma", None, "", " hello", (&[2], &[443, 535, 84])),
        ("tiny-llama", None, "The quick bro", "wn fox", (&[2, 950, 3506, 2477], &[294, 84, 93])),
    ];

    #[test]
    fn labels_are_written_with_and_without_a_blank() {
        let Some(tokenizer) = tokenizer("stories260K") else { return };
        let encoder = Encoder::new(&tokenizer, None).unwrap();
        let context = encoder.context("Answer:".into()).unwrap();
        let choice = encoder.choice(&context, &["A".to_string(), "B".to_string()]).unwrap().unwrap();
        let way = |label: &str| encoder.pair(&context, label).unwrap().unwrap();
        assert_eq!(choice, [vec![way("A"), way(" A")], vec![way("B"), way(" B")]]);
        assert_ne!(choice[0][0], choice[0][1]);
    }

    #[test]
    fn a_continuation_without_tokens_is_unscored() {
        let Some(tokenizer) = tokenizer("tiny-gemma") else { return };
        let encoder = Encoder::new(&tokenizer, None).unwrap();
        let context = encoder.context("Hello".into()).unwrap();
        assert!(encoder.pair(&context, "").unwrap().unwrap_err().reason.contains("no token"));
    }
}
