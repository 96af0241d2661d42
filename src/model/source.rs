//! Where a model's files are: a folder, or a hub id whose snapshot is fetched.

use crate::error::{Error, Result};
use crate::hub::{Hub, RepoKind};
use std::path::{Path, PathBuf};

/// A model's files on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFolder {
    pub path: PathBuf,
    /// The hub's commit, when the files come from there.
    pub commit: Option<String>,
    pub revision: Option<String>,
    /// Name for tables.
    pub label: String,
}

/// Finds `model`: a folder if there is one of that name, else a hub id `org/name[@revision]`.
pub fn resolve(model: &str, offline: bool) -> Result<ModelFolder> {
    let path = Path::new(model);
    if path.is_dir() {
        let full = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        let label = full.file_name().map_or_else(|| model.to_string(), |n| n.to_string_lossy().into_owned());
        return Ok(ModelFolder { path: path.to_path_buf(), commit: None, revision: None, label });
    }
    let (id, revision) = match model.split_once('@') {
        Some((id, revision)) => (id, Some(revision.to_string())),
        None => (model, None),
    };
    if path.exists() || !is_hub_id(id) {
        return Err(Error::input("there is no model folder of this name")
            .file(path)
            .hint("name a folder with config.json, tokenizer.json and safetensors files, or a hub id such as org/name"));
    }
    let snapshot = Hub::from_env(offline)?
        .snapshot(RepoKind::Model, id, revision.as_deref(), &is_wanted)
        .map_err(|e| e.hint(format!("`{model}` is not a folder here, so it was taken for a hub id")))?;
    let label = id.rsplit('/').next().unwrap_or(id).to_string();
    Ok(ModelFolder { path: snapshot.dir, commit: Some(snapshot.commit), revision, label })
}

/// `org/name`, with the characters that the hub allows.
fn is_hub_id(id: &str) -> bool {
    let good = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    matches!(id.split('/').collect::<Vec<_>>().as_slice(), [org, name] if good(org) && good(name))
}

/// The files that loading a model needs.
fn is_wanted(file: &str) -> bool {
    let root = !file.contains('/');
    root && (file.ends_with(".safetensors")
        || file.ends_with(".safetensors.index.json")
        || [
            "config.json",
            "generation_config.json",
            "tokenizer.json",
            "tokenizer_config.json",
            "special_tokens_map.json",
            "chat_template.jinja",
        ]
        .contains(&file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hub_ids() {
        assert!(is_hub_id("meta-llama/Llama-3.2-1B"));
        for bad in ["../models/x", "name", "a/b/c", "/abs", "org/", "org/.."] {
            assert!(!is_hub_id(bad), "{bad}");
        }
    }

    #[test]
    fn a_missing_folder_is_named() {
        let err = resolve("../nowhere/model", true).unwrap_err().to_string();
        assert!(err.contains("../nowhere/model") && err.contains("hint:"), "{err}");
    }
}
