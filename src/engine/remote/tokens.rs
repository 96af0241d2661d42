//! The model's tokenizer and chat template, where the user names them (`--tokenizer`).

use super::memo::Memo;
use crate::embedded::{self, Unpacked};
use crate::engine::EngineOptions;
use crate::engine::tokens::{Chat, Context, Encoder, special_tokens, template_source};
use crate::error::{Error, Result};
use crate::hub::Hub;
use crate::model::{ModelSource, Part, Tokenizer, find};
use crate::request::Message;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Contexts kept as token ids: those of requests in flight, which stand near each other.
const CONTEXTS: usize = 512;

/// A tokenizer in this process.
pub struct Tokens {
    pub tokenizer: Tokenizer,
    /// Hash of all that decides ids.
    pub fingerprint: String,
    /// The source of the chat template that comes with it.
    pub template: Option<String>,
    /// The text of the EOS token, which is a stop string as well.
    pub eos_text: Option<String>,
    /// Ready to render, if conversations are wanted.
    chat: Option<Chat>,
    add_bos: Option<bool>,
    contexts: Memo<Arc<Context>>,
}

impl Tokens {
    /// Looks whether a tokenizer can be had.
    pub fn check(name: &str, options: &EngineOptions) -> Result<()> {
        let (path, _unpacked) = place(name, options)?;
        Tokenizer::alone(&path).map(drop).map_err(named)
    }

    /// Loads a tokenizer by folder, file or hub id.
    pub fn load(name: &str, options: &EngineOptions) -> Result<Tokens> {
        let (path, _unpacked) = place(name, options)?;
        let tokenizer = Tokenizer::alone(&path).map_err(named)?;
        let folder = if path.is_dir() || is_gguf(&path) { path.as_path() } else { path.parent().unwrap_or(&path) };
        let template = template_source(folder)?;
        let chat = match &template {
            Some(source) if options.chat => Some(Chat::new(source, special_tokens(folder, &tokenizer)?, options)?),
            _ => None,
        };
        Ok(Tokens {
            fingerprint: tokenizer.fingerprint()?,
            eos_text: tokenizer.eos.as_ref().map(|eos| tokenizer.decode(&[eos.id], false)).transpose()?,
            template,
            tokenizer,
            chat,
            add_bos: options.add_bos,
            contexts: Memo::new(CONTEXTS),
        })
    }

    pub fn encoder(&self) -> Result<Encoder<'_>> {
        Encoder::new(&self.tokenizer, self.add_bos)
    }

    /// Whether it has a template, and conversations are wanted.
    pub fn has_chat(&self) -> bool {
        self.chat.is_some()
    }

    /// The chat template that comes with it, if conversations are wanted.
    pub fn chat(&self) -> Option<&Chat> {
        self.chat.as_ref()
    }

    /// A conversation as text, with what the user should know about it.
    pub fn render(&self, turns: &[Message]) -> std::result::Result<(String, Option<&'static str>), String> {
        let chat = self.chat.as_ref().ok_or("the tokenizer has no chat template")?;
        chat.render(turns).map(|rendered| (rendered.text, rendered.notice))
    }

    /// A context as ids. Those of requests that share one are made once.
    pub async fn context(&self, encoder: &Encoder<'_>, text: &str) -> Result<Arc<Context>> {
        self.contexts.get(text, async { encoder.context(text.to_string()).map(Arc::new) }).await
    }

    /// A text for a server that puts BOS before it by itself: without one that a template has written.
    pub fn without_bos<'a>(&self, text: &'a str) -> &'a str {
        let bos = self.tokenizer.bos.as_ref().map(|bos| bos.text.as_str()).filter(|bos| !bos.is_empty());
        bos.and_then(|bos| text.strip_prefix(bos)).unwrap_or(text)
    }
}

fn named(err: Error) -> Error {
    err.context("--tokenizer")
}

fn is_gguf(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "gguf")
}

/// Where a tokenizer is, and what keeps it there where it is part of the binary.
fn place(name: &str, options: &EngineOptions) -> Result<(PathBuf, Option<Unpacked>)> {
    let path = Path::new(name);
    if path.exists() && name != embedded::MODEL_NAME {
        return Ok((path.to_path_buf(), None));
    }
    let hub = Hub::from_env(options.offline)?;
    let hub = match options.on_download {
        Some(report) => hub.with_progress(report),
        None => hub,
    };
    let ModelSource { dir, unpacked, .. } = find(name, &hub, Part::Metadata).map_err(named)?;
    Ok((dir, unpacked))
}
