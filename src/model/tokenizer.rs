//! `tokenizer.json` and what lies beside it, or the header of a GGUF file: texts to token ids and back.

use super::ModelConfig;
use super::config::read_json;
use super::weights::gguf;
use crate::error::{Error, Result};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use tokenizers::AddedToken;

pub const TOKENIZER: &str = "tokenizer.json";
pub const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
pub const SPECIAL_TOKENS_MAP: &str = "special_tokens_map.json";

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
    /// What had to be guessed, for the user.
    pub notice: Option<String>,
}

/// What a model's configuration says about tokens.
#[derive(Debug, Clone, Copy, Default)]
struct Ids {
    vocab_size: Option<usize>,
    bos: Option<u32>,
    eos: Option<u32>,
}

/// The keys of `tokenizer_config.json` that are read. (`special_tokens_map.json` has some of them.)
#[derive(Deserialize, Default)]
struct Written {
    #[serde(default)]
    add_bos_token: Option<bool>,
    #[serde(default)]
    model_max_length: Option<f64>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl Written {
    /// The text of a special token, written as a string or as an object with `content`.
    fn token(&self, key: &str) -> Option<String> {
        let value = self.rest.get(key)?;
        value.as_str().or_else(|| value.get("content")?.as_str()).map(str::to_string)
    }

    /// Further special tokens.
    fn extra(&self) -> impl Iterator<Item = String> {
        let lists =
            ["extra_special_tokens", "additional_special_tokens"].into_iter().filter_map(|key| self.rest.get(key));
        let tokens = lists.filter_map(Value::as_array).flatten();
        tokens.filter_map(|t| t.as_str().or_else(|| t.get("content")?.as_str()).map(str::to_string))
    }
}

impl Tokenizer {
    /// Loads the tokenizer of a model's folder (or GGUF file) and checks that the model has all its tokens.
    pub fn load(dir: &Path, config: &ModelConfig) -> Result<Tokenizer> {
        if gguf::is_gguf(dir) {
            return Tokenizer::of_header(dir, config);
        }
        let ids = Ids {
            vocab_size: Some(config.vocab_size),
            bos: config.bos_token_id,
            eos: config.eos_token_ids.first().copied(),
        };
        Tokenizer::of_files(&dir.join(TOKENIZER), ids)
    }

    /// Loads a tokenizer whose model is elsewhere: a folder, a `tokenizer.json` or a GGUF file. A configuration beside it is heeded as
    /// far as it can be read.
    pub fn alone(path: &Path) -> Result<Tokenizer> {
        if gguf::is_gguf(path) {
            return Tokenizer::of_header(path, &ModelConfig::load(path)?);
        }
        let file = if path.is_dir() { path.join(TOKENIZER) } else { path.to_path_buf() };
        let dir = file.parent().unwrap_or(Path::new(""));
        let ids = ModelConfig::load(dir).map_or_else(
            |_| Ids::default(),
            |config| Ids {
                vocab_size: Some(config.vocab_size),
                bos: config.bos_token_id,
                eos: config.eos_token_ids.first().copied(),
            },
        );
        Tokenizer::of_files(&file, ids)
    }

    /// The tokenizer in a file and those beside it.
    fn of_files(file: &Path, ids: Ids) -> Result<Tokenizer> {
        let dir = file.parent().unwrap_or(Path::new(""));
        let mut inner = read(file)?;
        if let Some(vocab_size) = ids.vocab_size {
            check_size(&inner, vocab_size).map_err(|e| e.file(file))?;
        }
        let written: Written = read_json(&dir.join(TOKENIZER_CONFIG))?.unwrap_or_default();
        let map: Written = read_json(&dir.join(SPECIAL_TOKENS_MAP))?.unwrap_or_default();
        let text = |key: &str| written.token(key).or_else(|| map.token(key));
        let named = ["bos_token", "eos_token", "pad_token", "unk_token"].into_iter().filter_map(text);
        mark_special(&mut inner, named.chain(written.extra())).map_err(|e| e.file(dir.join(TOKENIZER_CONFIG)))?;
        let named = |key: &str, id: Option<u32>| {
            let by_text = text(key).and_then(|text| Some(SpecialToken { id: inner.token_to_id(&text)?, text }));
            by_text.or_else(|| id.and_then(|id| Some(SpecialToken { id, text: inner.id_to_token(id)? })))
        };
        let (bos, eos) = (named("bos_token", ids.bos), named("eos_token", ids.eos));
        let pad = named("pad_token", None);
        let max_length = written.model_max_length.filter(|n| *n >= 1.0 && *n < NO_LIMIT).map(|n| n as usize);
        let (prepends_bos, bos_contradiction, notice) = (false, false, None);
        let file = file.to_path_buf();
        let mut tokenizer =
            Tokenizer { inner, file, bos, eos, pad, max_length, prepends_bos, bos_contradiction, notice };
        tokenizer.decide_bos(written.add_bos_token)?;
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
        check_size(&read.inner, config.vocab_size).map_err(|e| e.file(file))?;
        let token = |id: Option<u32>| id.and_then(|id| Some(SpecialToken { id, text: read.inner.id_to_token(id)? }));
        Ok(Tokenizer {
            bos: token(read.bos),
            eos: token(read.eos),
            pad: token(read.pad),
            inner: read.inner,
            file: file.to_path_buf(),
            max_length: None,
            // Its post-processor does what the header says.
            prepends_bos: false,
            bos_contradiction: false,
            notice: read.notice,
        })
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
        let encoding = self.inner.encode_fast(text, special);
        let encoding = encoding.map_err(|e| Error::input("cannot tokenize a text").file(&self.file).cause(e))?;
        let bos = self.bos.iter().filter(|_| special && self.prepends_bos).map(|bos| bos.id);
        Ok(bos.chain(encoding.get_ids().iter().copied()).collect())
    }

    /// The text of ids; special tokens are left out if so wished.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String> {
        let text = self.inner.decode(ids, skip_special);
        text.map_err(|e| Error::input("cannot turn tokens into text").file(&self.file).cause(e))
    }

    /// The token that stands before a text without context: BOS, else EOS.
    pub fn prefix(&self) -> Option<&SpecialToken> {
        self.bos.as_ref().or(self.eos.as_ref())
    }
}

fn read(file: &Path) -> Result<tokenizers::Tokenizer> {
    let bytes = std::fs::read(file).map_err(|e| {
        let missing = e.kind() == std::io::ErrorKind::NotFound;
        let err = Error::io(if missing { "is not there" } else { "cannot read" }, file, e);
        err.hint(
            "save the tokenizer in the fast format: AutoTokenizer.from_pretrained(...).save_pretrained(...) in transformers",
        )
    })?;
    let mut tokenizer = tokenizers::Tokenizer::from_bytes(&bytes).map_err(|e| {
        Error::input("is not a tokenizer that can be read").file(file).cause(e).hint(
            "it should be the tokenizer.json of the Hugging Face tokenizers library; fetch it again if it was cut short",
        )
    })?;
    // Settings for batches of a fixed length are for other programs.
    tokenizer.with_padding(None);
    tokenizer.with_truncation(None).map_err(|e| Error::input("cannot be set up").file(file).cause(e))?;
    Ok(tokenizer)
}

fn check_size(tokenizer: &tokenizers::Tokenizer, vocab_size: usize) -> Result<()> {
    let vocab = tokenizer.get_vocab(true);
    match vocab.iter().max_by_key(|(_, id)| **id) {
        None => Err(Error::input("the tokenizer has no tokens")),
        Some((token, id)) if *id as usize >= vocab_size => Err(Error::input(format!(
            "the tokenizer has the token {token:?} with id {id}, but the model's vocabulary has {vocab_size} (vocab_size in \
             config.json)"
        ))
        .hint("tokenizer and weights are of different models, or tokens were added without growing the embedding")),
        Some(_) => Ok(()),
    }
}

/// Makes tokens special that the configuration names as such; the model's own ids are kept, and tokens that the vocabulary lacks
/// are left out, because the model has no row for them.
fn mark_special(tokenizer: &mut tokenizers::Tokenizer, texts: impl Iterator<Item = String>) -> Result<()> {
    let known = tokenizer.get_added_tokens_decoder();
    let new = texts.filter(|text| {
        tokenizer.token_to_id(text).is_some_and(|id| !known.get(&id).is_some_and(|t| t.special && t.content == *text))
    });
    let new: Vec<AddedToken> = new.map(|text| AddedToken::from(text, true)).collect();
    if new.is_empty() {
        return Ok(());
    }
    let added = tokenizer.add_special_tokens(new);
    added.map(drop).map_err(|e| Error::input("names special tokens that cannot be added").cause(e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::testing::{copy_model, shared};
    use serde_json::json;

    fn load(dir: &Path) -> Result<Tokenizer> {
        Tokenizer::load(dir, &ModelConfig::load(dir)?)
    }

    fn change(dir: &Path, file: &str, change: impl FnOnce(&mut Value)) {
        let path = dir.join(file);
        let mut value: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        change(&mut value);
        std::fs::write(path, value.to_string()).unwrap();
    }

    #[test]
    fn bos_comes_from_the_files() {
        let Some(model) = copy_model("stories260K") else { return };
        let dir = model.path();
        let ids = |special| load(dir).unwrap().encode("Once upon a time", special).unwrap();
        // prompt_ids of the model's reference.json
        assert_eq!(ids(true), [1, 403, 407, 261, 378]);
        assert_eq!(ids(false), [403, 407, 261, 378]);
        change(dir, TOKENIZER, |t| t["post_processor"] = Value::Null);
        assert_eq!(ids(true), [403, 407, 261, 378]);
        change(dir, TOKENIZER_CONFIG, |c| c["add_bos_token"] = json!(true));
        assert_eq!(ids(true), [1, 403, 407, 261, 378]);
    }

    #[test]
    fn headers_of_gguf_files_have_tokenizers() {
        let Some(model) = copy_model("stories260K") else { return };
        let mut config = ModelConfig::load(model.path()).unwrap();
        let file = model.path().join("stories260K-q8_0.gguf");
        let tokenizer = Tokenizer::load(&file, &config).unwrap();
        let ids = tokenizer.encode("Once upon a time", true).unwrap();
        assert_eq!(ids, [1, 403, 407, 261, 378]);
        assert_eq!(tokenizer.decode(&ids, true).unwrap(), "Once upon a time");
        assert_eq!(tokenizer.prefix(), Some(&SpecialToken { id: 1, text: "<s>".into() }));
        assert_eq!((tokenizer.eos.unwrap().text.as_str(), tokenizer.pad), ("</s>", None));
        config.vocab_size = 500;
        let err = Tokenizer::load(&file, &config).err().unwrap().to_string();
        assert!(err.contains("stories260K-q8_0.gguf") && err.contains("vocabulary has 500"), "{err}");
    }

    #[test]
    fn a_tokenizer_may_stand_alone() {
        let Some(model) = copy_model("stories260K") else { return };
        let dir = model.path();
        let expected = load(dir).unwrap();
        for path in [dir.to_path_buf(), dir.join(TOKENIZER)] {
            let found = Tokenizer::alone(&path).unwrap();
            assert_eq!(found.encode("Once upon a time", true).unwrap(), [1, 403, 407, 261, 378]);
            assert_eq!((&found.bos, &found.eos), (&expected.bos, &expected.eos));
            assert_eq!(found.fingerprint().unwrap(), expected.fingerprint().unwrap());
        }
        std::fs::remove_file(dir.join("config.json")).unwrap();
        assert_eq!(Tokenizer::alone(dir).unwrap().bos, expected.bos);
        assert!(Tokenizer::alone(&dir.join("none.json")).is_err());
        let Some(other) = copy_model("tiny-gemma") else { return };
        assert_ne!(Tokenizer::alone(other.path()).unwrap().fingerprint().unwrap(), expected.fingerprint().unwrap());
    }

    #[test]
    fn special_tokens_are_strings_or_objects() {
        let Some(model) = copy_model("tiny-gemma") else { return };
        let dir = model.path();
        change(dir, TOKENIZER_CONFIG, |c| {
            c["bos_token"] = json!({"__type": "AddedToken", "content": "<bos>", "lstrip": false});
            c["eos_token"] = Value::Null;
            c["model_max_length"] = json!(1e30);
        });
        let tokenizer = load(dir).unwrap();
        assert_eq!(tokenizer.bos, Some(SpecialToken { id: 2, text: "<bos>".into() }));
        assert_eq!(tokenizer.eos.as_ref().unwrap().text, "<eos>", "from config.json");
        assert_eq!(tokenizer.max_length, None);
        assert!(!tokenizer.bos_contradiction);
        change(dir, TOKENIZER_CONFIG, |c| c["add_bos_token"] = json!(false));
        let tokenizer = load(dir).unwrap();
        assert!(tokenizer.bos_contradiction);
        assert_eq!(tokenizer.encode("x", true).unwrap()[0], 2, "the post-processor decides");
    }

    #[test]
    fn wrong_tokenizers_are_refused() {
        let Some(model) = copy_model("tiny-gemma") else { return };
        let dir = model.path();
        let says = |part: &str| {
            let err = load(dir).err().expect("should be refused").to_string();
            assert!(err.contains(part) && err.contains("tokenizer.json") && err.contains("hint:"), "{part}: {err}");
        };
        change(dir, "config.json", |c| c["vocab_size"] = json!(4000));
        says("vocabulary has 4000");
        std::fs::write(dir.join(TOKENIZER), "{\"version\": 1").unwrap();
        says("is not a tokenizer");
        std::fs::write(dir.join(TOKENIZER), b"{\"version\": \"\xff\"}").unwrap();
        says("is not a tokenizer");
        std::fs::remove_file(dir.join(TOKENIZER)).unwrap();
        says("is not there");
    }

    #[test]
    fn ids_equal_the_published_vectors() {
        let Some(shared) = shared() else { return };
        let path = shared.join("tokenizers/vectors.json");
        let vectors: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let texts: Vec<String> = serde_json::from_value(vectors["texts"].clone()).unwrap();
        for family in ["llama2", "gemma"] {
            let tokenizer = read(&shared.join("tokenizers").join(family).join(TOKENIZER)).unwrap();
            let expected: Vec<Vec<u32>> = serde_json::from_value(vectors["ids"][family].clone()).unwrap();
            assert_eq!(texts.len(), expected.len());
            for (text, expected) in texts.iter().zip(expected) {
                assert_eq!(tokenizer.encode(text.as_str(), false).unwrap().get_ids(), expected, "{family}: {text:?}");
            }
        }
    }
}
