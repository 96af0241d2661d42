//! The model's own tokenizer, where the user has it: prompts become the ids that a local run would make of them.

use crate::engine::EngineOptions;
use crate::engine::tokens::{Chat, Encoder, template_source};
use crate::error::Result;
use crate::hub::Hub;
use crate::model::{ModelConfig, Part, Tokenizer, find, fingerprint};
use crate::python::json::sha256;
use std::path::{Path, PathBuf};

/// A tokenizer with its chat template.
pub struct LocalTokens {
    pub tokenizer: Tokenizer,
    pub chat: Option<Chat>,
    pub chat_template: Option<String>,
    pub add_bos: Option<bool>,
    /// Window that the tokenizer's folder names.
    pub max_length: Option<usize>,
    /// SHA-256 of what decides ids.
    pub sha: String,
}

impl LocalTokens {
    /// Loads a folder, a `tokenizer.json` (the folder around it), a `.gguf` file or a hub id.
    pub fn load(name: &str, options: &EngineOptions) -> Result<LocalTokens> {
        let dir = folder(name, options)?;
        let config = ModelConfig::load(&dir)?;
        let tokenizer = Tokenizer::load(&dir, &config)?;
        let chat_template = template_source(&dir)?;
        let text =
            |token: &Option<crate::model::SpecialToken>| token.as_ref().map(|t| t.text.clone()).unwrap_or_default();
        let chat = match &chat_template {
            Some(source) => {
                Some(Chat::new(source, &text(&tokenizer.bos), &text(&tokenizer.eos), options.system_fallback)?)
            }
            None => None,
        };
        let sha = std::fs::read(dir.join("tokenizer.json")).map(|bytes| sha256(&String::from_utf8_lossy(&bytes)));
        let sha = sha.or_else(|_| fingerprint(&dir))?;
        let max_length = config.max_length.or(tokenizer.max_length);
        Ok(LocalTokens { tokenizer, chat, chat_template, add_bos: options.add_bos, max_length, sha })
    }

    pub fn encoder(&self) -> Result<Encoder<'_>> {
        Encoder::new(&self.tokenizer, self.add_bos)
    }
}

fn folder(name: &str, options: &EngineOptions) -> Result<PathBuf> {
    let path = Path::new(name);
    if path.is_file() && path.file_name().is_some_and(|file| file == "tokenizer.json") {
        return Ok(path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_path_buf());
    }
    let hub = Hub::from_env(options.offline)?;
    let hub = match options.on_download {
        Some(report) => hub.with_progress(report),
        None => hub,
    };
    Ok(find(name, &hub, Part::Metadata)?.dir)
}
