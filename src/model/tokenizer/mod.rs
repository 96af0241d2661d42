//! `tokenizer.json` and what lies beside it, older files of tokenizers, or the header of a GGUF file: texts to token ids and back.

mod added;
pub(crate) mod guard;
mod markers;
mod pairs;
mod sentencepiece;
#[cfg(test)]
mod tests;

pub use pairs::{MERGES, VOCAB};
pub use sentencepiece::MODEL;

use super::config::read_json;
use super::weights::gguf;
use super::{ModelConfig, folder};
use crate::error::{Error, Result};
use added::{Beside, Written};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub const TOKENIZER: &str = "tokenizer.json";
pub const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
pub const SPECIAL_TOKENS_MAP: &str = "special_tokens_map.json";
pub const ADDED_TOKENS: &str = "added_tokens.json";

/// transformers writes 10^30 where a tokenizer has no limit; no real one comes near this.
const NO_LIMIT: f64 = 1e9;

/// A token with a meaning of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecialToken {
    pub id: u32,
    pub text: String,
}

/// Texts to ids and back.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    file: PathBuf,
    pub bos: Option<SpecialToken>,
    pub eos: Option<SpecialToken>,
    pub pad: Option<SpecialToken>,
    /// `model_max_length`, where it is a real limit.
    pub max_length: Option<usize>,
    /// Put BOS in front although no post-processor does.
    prepends_bos: bool,
    /// `add_bos_token` says otherwise than the post-processor does.
    pub bos_contradiction: bool,
    /// Rows of the model's embedding, where that is known.
    rows: Option<usize>,
    /// What had to be guessed and what does not fit, for the user.
    pub notices: Vec<String>,
}

/// What a model's configuration says about tokens.
#[derive(Debug, Clone, Copy, Default)]
struct Ids {
    vocab_size: Option<usize>,
    bos: Option<u32>,
    eos: Option<u32>,
    /// `model_type`
    family: Option<&'static str>,
}

impl Ids {
    fn of(config: &ModelConfig) -> Ids {
        Ids {
            vocab_size: Some(config.vocab_size),
            bos: config.bos_token_id,
            eos: config.eos_token_ids.first().copied(),
            family: config.arch().ok().map(|arch| arch.model_type),
        }
    }
}

impl Tokenizer {
    /// Loads the tokenizer of a model's folder (or GGUF file) and checks that the model has all its tokens.
    pub fn load(dir: &Path, config: &ModelConfig) -> Result<Tokenizer> {
        if gguf::is_gguf(dir) {
            return Tokenizer::of_header(dir, config);
        }
        Tokenizer::of_files(&dir.join(TOKENIZER), Ids::of(config))
    }

    /// Loads a tokenizer whose model is elsewhere: a folder, a `tokenizer.json` or a GGUF file. A configuration beside it is heeded as
    /// far as it can be read.
    pub fn alone(path: &Path) -> Result<Tokenizer> {
        if gguf::is_gguf(path) {
            return Tokenizer::of_header(path, &ModelConfig::load(path)?);
        }
        let file = if path.is_dir() { path.join(TOKENIZER) } else { path.to_path_buf() };
        let dir = file.parent().unwrap_or(Path::new(""));
        let ids = ModelConfig::load(dir).map_or_else(|_| Ids::default(), |config| Ids::of(&config));
        Tokenizer::of_files(&file, ids)
    }

    /// The tokenizer in a file and those beside it.
    fn of_files(file: &Path, ids: Ids) -> Result<Tokenizer> {
        let dir = file.parent().unwrap_or(Path::new(""));
        let beside = Beside {
            config: read_json(&dir.join(TOKENIZER_CONFIG))?.unwrap_or_default(),
            map: read_json(&dir.join(SPECIAL_TOKENS_MAP))?.unwrap_or_default(),
            added: read_json(&dir.join(ADDED_TOKENS))?.unwrap_or_default(),
        };
        let (mut inner, file, add_bos) = read(file, &beside.config, ids.family)?;
        let moved = beside.add_to(&mut inner).map_err(|e| e.file(dir.join(TOKENIZER_CONFIG)))?;
        let mut notices: Vec<String> = moved.into_iter().collect();
        if let Some(vocab_size) = ids.vocab_size {
            notices.extend(check_size(&inner, vocab_size).map_err(|e| e.file(&file))?);
        }
        let named = |key: &str, id: Option<u32>| {
            let by_text = beside.text(key).and_then(|text| Some(SpecialToken { id: inner.token_to_id(&text)?, text }));
            by_text.or_else(|| id.and_then(|id| Some(SpecialToken { id, text: inner.id_to_token(id)? })))
        };
        let (bos, eos) = (named("bos_token", ids.bos), named("eos_token", ids.eos));
        let pad = named("pad_token", None);
        let longest = beside.config.model_max_length.filter(|n| *n >= 1.0 && *n < NO_LIMIT);
        let mut tokenizer = Tokenizer {
            inner,
            file,
            bos,
            eos,
            pad,
            max_length: longest.map(|n| n as usize),
            prepends_bos: false,
            bos_contradiction: false,
            rows: ids.vocab_size,
            notices,
        };
        tokenizer.decide_bos(add_bos)?;
        tokenizer.try_out()?;
        Ok(tokenizer)
    }

    /// SHA-256 (hex) of all that decides the ids of a text.
    pub fn fingerprint(&self) -> Result<String> {
        let inner = self.inner.to_string(false);
        let inner = inner.map_err(|e| Error::input("cannot be written down").file(&self.file).cause(e))?;
        let (bos, eos) = (self.bos.as_ref().map(|t| t.id), self.eos.as_ref().map(|t| t.id));
        Ok(crate::python::json::sha256(&format!("{inner}#{bos:?}#{eos:?}#{}", self.prepends_bos)))
    }

    /// The tokenizer in the header of a GGUF file.
    fn of_header(file: &Path, config: &ModelConfig) -> Result<Tokenizer> {
        let read = gguf::tokenizer(gguf::Gguf::open(file)?.metadata())?;
        let rowless = check_size(&read.inner, config.vocab_size).map_err(|e| e.file(file))?;
        let token = |id: Option<u32>| id.and_then(|id| Some(SpecialToken { id, text: read.inner.id_to_token(id)? }));
        let tokenizer = Tokenizer {
            bos: token(read.bos),
            eos: token(read.eos),
            pad: token(read.pad),
            inner: read.inner,
            file: file.to_path_buf(),
            max_length: None,
            // Its post-processor does what the header says.
            prepends_bos: false,
            bos_contradiction: false,
            rows: Some(config.vocab_size),
            notices: read.notice.into_iter().chain(rowless).collect(),
        };
        tokenizer.try_out()?;
        Ok(tokenizer)
    }

    /// Refuses a tokenizer that fails at the shortest texts.
    fn try_out(&self) -> Result<()> {
        let ids = self.encode("a b", true)?;
        self.decode(&ids, false).map(drop)
    }

    /// The post-processor of `tokenizer.json` decides whether BOS stands in front; only where there is none does
    /// `add_bos_token`.
    fn decide_bos(&mut self, wanted: Option<bool>) -> Result<()> {
        let Some(bos) = self.bos.as_ref().map(|bos| bos.id) else { return Ok(()) };
        if self.inner.get_post_processor().is_none() {
            self.prepends_bos = wanted == Some(true);
        } else {
            let does = self.encode("a", true)?.first() == Some(&bos);
            self.bos_contradiction = wanted.is_some_and(|wanted| wanted != does);
        }
        Ok(())
    }

    /// Ids of a text, with or without what the tokenizer puts around it (BOS).
    pub fn encode(&self, text: &str, special: bool) -> Result<Vec<u32>> {
        let failed = || format!("cannot tokenize a text of {} bytes", text.len());
        let encoding = guard::run(|| self.inner.encode_fast(text, special));
        let encoding = encoding.map_err(|e| e.context(failed()).file(&self.file))?;
        let encoding = encoding.map_err(|e| Error::input(failed()).file(&self.file).cause(e))?;
        let bos = self.bos.iter().filter(|_| special && self.prepends_bos).map(|bos| bos.id);
        Ok(bos.chain(encoding.get_ids().iter().copied()).collect())
    }

    /// The text of ids; special tokens are left out if so wished.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String> {
        let text = guard::run(|| self.inner.decode(ids, skip_special));
        let text = text.map_err(|e| e.context("cannot turn tokens into text").file(&self.file))?;
        text.map_err(|e| Error::input("cannot turn tokens into text").file(&self.file).cause(e))
    }

    /// The id of a token of the vocabulary.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// Why a model cannot take these ids: one of them has no row in its embedding.
    pub fn without_row(&self, ids: &[u32]) -> Option<String> {
        let rows = self.rows?;
        let id = ids.iter().find(|id| **id as usize >= rows)?;
        let token: String = self.inner.id_to_token(*id).unwrap_or_default().chars().take(60).collect();
        Some(format!(
            "the text holds the token {token:?} (id {id}), which has no row in the model's embedding of {rows}"
        ))
    }

    /// Special tokens that end a turn by their own text, of those that a text (a chat template) writes.
    pub fn turn_ends(&self, text: &str) -> Vec<SpecialToken> {
        let special = self.inner.get_added_tokens_decoder();
        let id = |token: &str| self.id(token).filter(|id| special.get(id).is_some_and(|known| known.content == token));
        let ends = gguf::ends(id).filter_map(|id| Some(SpecialToken { id, text: special.get(&id)?.content.clone() }));
        ends.filter(|end| text.contains(&end.text)).collect()
    }

    /// The token that stands before a text without context: BOS, else EOS.
    pub fn prefix(&self) -> Option<&SpecialToken> {
        self.bos.as_ref().or(self.eos.as_ref())
    }
}

/// The tokenizer of a `tokenizer.json`, or of older files in its folder, with the file that it was read from, and whether BOS goes in front
/// where no post-processor says so.
fn read(
    file: &Path,
    written: &Written,
    family: Option<&'static str>,
) -> Result<(tokenizers::Tokenizer, PathBuf, Option<bool>)> {
    let dir = file.parent().unwrap_or(Path::new(""));
    if !file.exists() && file.file_name().is_some_and(|name| name == TOKENIZER) {
        let there = |name: &str| Some(dir.join(name)).filter(|path| path.exists());
        if let Some(path) = there(MODEL) {
            // All families that have SentencePiece's files put BOS in front.
            return Ok((sentencepiece::read(&path, written)?, path, written.add_bos_token.or(Some(true))));
        }
        if let (Some(path), Some(_)) = (there(VOCAB), there(MERGES)) {
            return Ok((pairs::read(dir, written, family)?, path, written.add_bos_token));
        }
        return Err(folder::no_tokenizer(dir, file));
    }
    let mut tokenizer = guard::read(file)?;
    // Settings for batches of a fixed length are for other programs.
    tokenizer.with_padding(None);
    tokenizer.with_truncation(None).map_err(|e| Error::input("cannot be set up").file(file).cause(e))?;
    Ok((tokenizer, file.to_path_buf(), written.add_bos_token))
}

/// Refuses a vocabulary that is not the model's. Added tokens beyond the embedding's rows harm only texts that hold them: they are noted.
fn check_size(tokenizer: &tokenizers::Tokenizer, vocab_size: usize) -> Result<Option<String>> {
    let vocab = tokenizer.get_vocab(true);
    if vocab.is_empty() {
        return Err(Error::input("the tokenizer has no tokens"));
    }
    let added = tokenizer.get_added_tokens_decoder();
    let beyond: BTreeSet<(u32, &String)> =
        vocab.iter().filter(|(_, id)| **id as usize >= vocab_size).map(|(token, id)| (*id, token)).collect();
    let shown = |token: &str| format!("{:?}", token.chars().take(60).collect::<String>());
    if let Some((id, token)) = beyond.iter().rev().find(|(id, _)| !added.contains_key(id)) {
        return Err(Error::input(format!(
            "the tokenizer has the token {} with id {id}, but the model's vocabulary has {vocab_size} (vocab_size in config.json)",
            shown(token)
        ))
        .hint("tokenizer and weights are of different models"));
    }
    Ok(beyond.first().map(|(id, token)| {
        let more = if beyond.len() == 1 { String::new() } else { format!(" and {} more", beyond.len() - 1) };
        format!(
            "the added token {} (id {id}){more} has no row in the model's embedding of {vocab_size}; documents whose text holds \
             such a token are not scored",
            shown(token)
        )
    }))
}
