//! `tokenizer.json` with what `tokenizer_config.json` adds: special tokens, the BOS rule, the chat template.

use crate::error::{Error, Result};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A model's tokenizer.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    file: PathBuf,
    bos: Option<Special>,
    eos: Option<Special>,
    pad: Option<Special>,
    /// Whether texts get the beginning-of-sequence token; `None`: as the post-processor does.
    add_bos: Option<bool>,
    model_max_length: Option<usize>,
    chat_template: Option<String>,
}

/// A special token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Special {
    pub text: String,
    pub id: u32,
}

impl Tokenizer {
    /// Reads the tokenizer files in `folder`. `add_bos` overrides what they say about the beginning of sequence.
    pub fn read(folder: &Path, add_bos: Option<bool>) -> Result<Tokenizer> {
        let file = folder.join("tokenizer.json");
        let bytes = std::fs::read(&file).map_err(|e| {
            Error::io("cannot read the tokenizer", &file, e)
                .hint("fairmark reads tokenizer.json; models with only tokenizer.model must be converted first")
        })?;
        let mut inner = tokenizers::Tokenizer::from_bytes(&bytes).map_err(|e| {
            Error::input("this is not a tokenizer that can be read").file(&file).cause(e).hint("download the file again")
        })?;
        // Prompts are cut by the engine, which counts what it cuts; batches are not padded.
        inner.with_truncation(None).map_err(|e| Error::input("cannot switch truncation off").file(&file).cause(e))?;
        inner.with_padding(None);
        let config = config(folder)?;
        let special = |key: &str| -> Option<Special> {
            let text = match &config[key] {
                Value::String(text) => text,
                object => object.get("content")?.as_str()?,
            };
            Some(Special { text: text.to_string(), id: inner.token_to_id(text)? })
        };
        let (bos, eos, pad) = (special("bos_token"), special("eos_token"), special("pad_token"));
        let add_bos = add_bos.or(config["add_bos_token"].as_bool());
        let model_max_length = config["model_max_length"].as_u64().filter(|n| *n < 1 << 32).map(|n| n as usize);
        let chat_template = chat_template(folder, &config)?;
        Ok(Tokenizer { inner, file, bos, eos, pad, add_bos, model_max_length, chat_template })
    }

    pub fn bos(&self) -> Option<&Special> {
        self.bos.as_ref()
    }

    pub fn eos(&self) -> Option<&Special> {
        self.eos.as_ref()
    }

    pub fn pad(&self) -> Option<&Special> {
        self.pad.as_ref()
    }

    pub fn model_max_length(&self) -> Option<usize> {
        self.model_max_length
    }

    /// The chat template's source.
    pub fn chat_template(&self) -> Option<&str> {
        self.chat_template.as_deref()
    }

    /// The largest token id plus one must not exceed the embedding's rows.
    pub fn check_vocabulary(&self, rows: usize) -> Result<()> {
        let largest = self.inner.get_vocab(true).into_values().max().unwrap_or(0) as usize;
        if largest < rows {
            return Ok(());
        }
        Err(Error::input(format!("the tokenizer has ids up to {largest}, the model's embedding only {rows} rows"))
            .file(&self.file)
            .hint("tokenizer and weights do not belong together; take both from the same checkpoint"))
    }

    /// Token ids of a text. Special tokens are added by the tokenizer's own rule, except that the beginning of sequence
    /// is never doubled: a text that starts with it (from a chat template) gets nothing added.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let has_bos = self.bos.as_ref().is_some_and(|bos| text.starts_with(&bos.text));
        let add = !has_bos && self.add_bos != Some(false);
        let mut ids = self.encode_raw(text, add)?;
        if let (true, Some(true), Some(bos)) = (add, self.add_bos, &self.bos)
            && ids.first() != Some(&bos.id)
        {
            ids.insert(0, bos.id);
        }
        Ok(ids)
    }

    /// Token ids of a text, with or without the post-processor's special tokens.
    pub fn encode_raw(&self, text: &str, special: bool) -> Result<Vec<u32>> {
        let encoding = self.inner.encode_fast(text, special);
        let encoding = encoding.map_err(|e| Error::input("cannot tokenize a text").file(&self.file).cause(e))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Text of token ids, special tokens left out.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        self.inner.decode(ids, true).map_err(|e| Error::input("cannot decode tokens").file(&self.file).cause(e))
    }
}

/// `tokenizer_config.json`, or null.
fn config(folder: &Path) -> Result<Value> {
    let file = folder.join("tokenizer_config.json");
    let bytes = match std::fs::read(&file) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Value::Null),
        Err(e) => return Err(Error::io("cannot read the tokenizer's configuration", &file, e)),
    };
    serde_json::from_slice(&bytes)
        .map_err(|e| Error::input("this is not a tokenizer configuration").file(&file).cause(e).hint("download it again"))
}

/// `chat_template.jinja`, else `chat_template` of the configuration: a text, or a list of named ones (`default` counts).
fn chat_template(folder: &Path, config: &Value) -> Result<Option<String>> {
    let file = folder.join("chat_template.jinja");
    match std::fs::read_to_string(&file) {
        Ok(text) => return Ok(Some(text)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(Error::io("cannot read the chat template", &file, e)),
    }
    Ok(match &config["chat_template"] {
        Value::String(text) => Some(text.clone()),
        Value::Array(named) => {
            let default = named.iter().find(|t| t["name"] == "default").or(named.first());
            default.and_then(|t| t["template"].as_str()).map(str::to_string)
        }
        _ => None,
    })
}
