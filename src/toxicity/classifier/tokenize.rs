//! Texts to token ids for a classifier: `tokenizer.json`, or the older files that say the same.

use super::config::Config;
use crate::error::{Error, Result};
use crate::model::{guard, read_json};
use serde::Deserialize;
use serde_json::Value;
use std::path::{Path, PathBuf};
use tokenizers::models::{bpe::BPE, wordpiece::WordPiece};
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::{bert::BertPreTokenizer, byte_level::ByteLevel};
use tokenizers::processors::{bert::BertProcessing, roberta::RobertaProcessing};
use tokenizers::{AddedToken, Tokenizer, TruncationParams};

const TOKENIZER: &str = "tokenizer.json";
const WORDPIECE: &str = "vocab.txt";
const BPE_VOCAB: &str = "vocab.json";
const BPE_MERGES: &str = "merges.txt";
const SETTINGS: &str = "tokenizer_config.json";

/// Tokens of a text that are looked at, unless the user wants more: what most classifiers were trained with.
pub const DEFAULT_LENGTH: usize = 512;

/// The keys of `tokenizer_config.json` that are read.
#[derive(Debug, Deserialize, Default)]
struct Settings {
    model_max_length: Option<f64>,
    do_lower_case: Option<bool>,
    strip_accents: Option<bool>,
    tokenize_chinese_chars: Option<bool>,
    add_prefix_space: Option<bool>,
    unk_token: Option<Value>,
    cls_token: Option<Value>,
    sep_token: Option<Value>,
    pad_token: Option<Value>,
    mask_token: Option<Value>,
}

/// A tokenizer that cuts texts off at a length, special tokens included.
pub struct TextTokenizer {
    inner: Tokenizer,
    file: PathBuf,
    vocab_size: usize,
    pub max_length: usize,
}

impl TextTokenizer {
    /// The tokenizer of a classifier's folder. `asked`: tokens of a text that the user wants to be looked at.
    pub fn load(dir: &Path, config: &Config, asked: Option<usize>) -> Result<TextTokenizer> {
        let settings: Settings = read_json(&dir.join(SETTINGS))?.unwrap_or_default();
        let (mut inner, file) = open(dir, &settings)?;
        let max_length = max_length(config, &settings, asked)?;
        inner.with_padding(None);
        let truncation = TruncationParams { max_length, ..TruncationParams::default() };
        inner
            .with_truncation(Some(truncation))
            .map_err(|e| Error::input("cannot cut texts off").file(&file).cause(e))?;
        Ok(TextTokenizer { inner, file, vocab_size: config.vocab_size, max_length })
    }

    /// All that decides the ids of a text, as JSON.
    pub fn fingerprint(&self) -> Result<String> {
        self.inner.to_string(false).map_err(|e| Error::input("cannot be written down").file(&self.file).cause(e))
    }

    /// Ids of a text with its special tokens; of a long one, of its beginning. The error is for this text alone.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, String> {
        let failed = |e: &dyn std::fmt::Display| format!("the text cannot be tokenized: {e}");
        let encoding =
            guard::run(|| self.inner.encode_fast(text, true)).map_err(|e| failed(&e))?.map_err(|e| failed(&e))?;
        let ids = encoding.get_ids().to_vec();
        match ids.iter().find(|id| **id as usize >= self.vocab_size) {
            Some(id) => Err(format!("the tokenizer gave the token {id}, but the model has {} only", self.vocab_size)),
            None if ids.is_empty() => Err("the text has no tokens".to_string()),
            None => Ok(ids),
        }
    }
}

/// The shortest of what the model can take, what its tokenizer says, and 512 (or what the user asks for).
fn max_length(config: &Config, settings: &Settings, asked: Option<usize>) -> Result<usize> {
    let offset = if config.arch.counts_from_padding { config.pad_token_id as usize + 1 } else { 0 };
    let possible = config.max_positions.saturating_sub(offset);
    if let Some(asked) = asked.filter(|asked| *asked > possible) {
        return Err(Error::input(format!("the classifier takes {possible} tokens, not {asked}")).key("max_length"));
    }
    let said = settings.model_max_length.filter(|said| *said >= 1.0 && *said < 1e9).map(|said| said as usize);
    let most = asked.unwrap_or_else(|| said.unwrap_or(DEFAULT_LENGTH).min(DEFAULT_LENGTH)).min(possible);
    match most {
        0..=2 => Err(Error::input(format!("{most} tokens leave no room for a text")).key("max_position_embeddings")),
        most => Ok(most),
    }
}

/// The tokenizer of the first kind of file that there is.
fn open(dir: &Path, settings: &Settings) -> Result<(Tokenizer, PathBuf)> {
    let there = |name: &str| Some(dir.join(name)).filter(|path| path.exists());
    if let Some(file) = there(TOKENIZER) {
        return Ok((guard::read(&file)?, file));
    }
    if let Some(file) = there(WORDPIECE) {
        return Ok((wordpiece(&file, settings).map_err(|e| e.file(&file))?, file));
    }
    if let (Some(vocab), Some(merges)) = (there(BPE_VOCAB), there(BPE_MERGES)) {
        return Ok((byte_pairs(&vocab, &merges, settings).map_err(|e| e.file(&vocab))?, vocab));
    }
    Err(Error::input("is not there").file(dir.join(TOKENIZER)).hint(
        "save the tokenizer in the fast format: AutoTokenizer.from_pretrained(...).save_pretrained(...) in transformers \
         (vocab.txt, or vocab.json with merges.txt, are read too)",
    ))
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

fn strange(cause: impl Into<Cause>) -> Error {
    Error::input("is not a vocabulary that can be read").cause(cause)
}

/// What BERT's own tokenizer does: clean, lower-case, split at white space and punctuation, longest pieces first.
fn wordpiece(vocab: &Path, settings: &Settings) -> Result<Tokenizer> {
    let named = |value: &Option<Value>, default: &str| name(value).unwrap_or_else(|| default.to_string());
    let [unk, cls, sep] =
        [(&settings.unk_token, "[UNK]"), (&settings.cls_token, "[CLS]"), (&settings.sep_token, "[SEP]")]
            .map(|(v, d)| named(v, d));
    let vocabulary = WordPiece::read_file(&vocab.to_string_lossy()).map_err(strange)?;
    let model = WordPiece::builder().vocab(vocabulary).unk_token(unk.clone()).build().map_err(strange)?;
    let mut tokenizer = Tokenizer::new(model);
    let ends = [sep.clone(), cls.clone()].map(|token| Some((token.clone(), tokenizer.token_to_id(&token)?)));
    let [Some(end), Some(start)] = ends else {
        return Err(Error::input(format!("has no tokens {cls} and {sep}")));
    };
    let lowercase = settings.do_lower_case.unwrap_or(true);
    let chinese = settings.tokenize_chinese_chars.unwrap_or(true);
    let normalizer = BertNormalizer::new(true, chinese, settings.strip_accents, lowercase);
    tokenizer.with_normalizer(Some(normalizer)).map_err(strange)?;
    tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
    tokenizer.with_post_processor(Some(BertProcessing::new(end, start)));
    let pad = named(&settings.pad_token, "[PAD]");
    let mask = named(&settings.mask_token, "[MASK]");
    add_special(&mut tokenizer, [unk, sep, pad, cls, mask])?;
    Ok(tokenizer)
}

/// What RoBERTa's own tokenizer does: byte-level pairs, as GPT-2.
fn byte_pairs(vocab: &Path, merges: &Path, settings: &Settings) -> Result<Tokenizer> {
    let named = |value: &Option<Value>, default: &str| name(value).unwrap_or_else(|| default.to_string());
    let [cls, sep] = [(&settings.cls_token, "<s>"), (&settings.sep_token, "</s>")].map(|(v, d)| named(v, d));
    let (vocabulary, pairs) = BPE::read_file(&vocab.to_string_lossy(), &merges.to_string_lossy()).map_err(strange)?;
    let model = BPE::builder().vocab_and_merges(vocabulary, pairs).build().map_err(strange)?;
    let mut tokenizer = Tokenizer::new(model);
    let ends = [sep.clone(), cls.clone()].map(|token| Some((token.clone(), tokenizer.token_to_id(&token)?)));
    let [Some(end), Some(start)] = ends else {
        return Err(Error::input(format!("has no tokens {cls} and {sep}")));
    };
    let spaced = settings.add_prefix_space.unwrap_or(false);
    tokenizer.with_pre_tokenizer(Some(ByteLevel::new(spaced, true, true)));
    tokenizer.with_decoder(Some(ByteLevel::default()));
    tokenizer.with_post_processor(Some(RobertaProcessing::new(end, start).add_prefix_space(spaced)));
    let (unk, pad) = (named(&settings.unk_token, "<unk>"), named(&settings.pad_token, "<pad>"));
    add_special(&mut tokenizer, [cls, pad, sep, unk])?;
    let mask = named(&settings.mask_token, "<mask>");
    if tokenizer.token_to_id(&mask).is_some() {
        let mask = AddedToken::from(mask, true).lstrip(true);
        tokenizer.add_special_tokens([mask]).map_err(strange)?;
    }
    Ok(tokenizer)
}

/// The text of a special token, written as a string or as an object with `content`.
fn name(value: &Option<Value>) -> Option<String> {
    let value = value.as_ref()?;
    value.as_str().or_else(|| value.get("content")?.as_str()).map(str::to_string)
}

/// Makes those special that the vocabulary has.
fn add_special(tokenizer: &mut Tokenizer, names: impl IntoIterator<Item = String>) -> Result<()> {
    let known: Vec<AddedToken> = names
        .into_iter()
        .filter(|name| tokenizer.token_to_id(name).is_some())
        .map(|name| AddedToken::from(name, true))
        .collect();
    tokenizer.add_special_tokens(known).map(drop).map_err(strange)
}
