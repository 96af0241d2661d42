//! Where a model is: a folder, a GGUF file, or a repository of the hub.

use super::config::{CONFIG, GENERATION_CONFIG};
use super::tokenizer::{SPECIAL_TOKENS_MAP, TOKENIZER, TOKENIZER_CONFIG};
use super::weights::gguf;
use crate::error::{Error, Result};
use crate::hub::{Hub, RepoKind};
use std::path::{Path, PathBuf};

/// Small files of a checkpoint.
const METADATA: &[&str] =
    &[CONFIG, GENERATION_CONFIG, TOKENIZER, TOKENIZER_CONFIG, SPECIAL_TOKENS_MAP, "chat_template.jinja"];

/// How much of a model is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Everything but the weights.
    Metadata,
    All,
}

/// A model that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelSource {
    /// The folder, or the GGUF file.
    pub dir: PathBuf,
    /// Name for tables: the last part of the folder or id.
    pub label: String,
    /// The commit, for a model of the hub.
    pub commit: Option<String>,
    /// The revision that was asked for.
    pub revision: Option<String>,
}

/// Finds a model by folder, by GGUF file, or by hub id (`org/name`, `org/name@revision`).
pub fn find(model: &str, hub: &Hub, part: Part) -> Result<ModelSource> {
    let path = Path::new(model);
    let local = |dir: PathBuf, label| Ok(ModelSource { dir, label, commit: None, revision: None });
    if gguf::is_gguf(path) {
        return local(path.to_path_buf(), file_label(path));
    }
    if path.is_dir() {
        // A folder of transformers may hold copies of its model in GGUF; without a configuration it is such a file's folder.
        let file = if path.join(CONFIG).exists() { None } else { gguf::find(path)? };
        return local(file.unwrap_or(path.to_path_buf()), folder_label(path));
    }
    if path.exists() {
        return Err(Error::input("is a file")
            .file(path)
            .hint("name a .gguf file, or the folder that holds config.json and the weights"));
    }
    let (id, revision) = match model.split_once('@') {
        Some((id, revision)) => (id, Some(revision)),
        None => (model, None),
    };
    if !is_hub_id(id) {
        return Err(Error::input("there is no such folder").file(path).hint(
            "a model is a folder with config.json, tokenizer.json and model.safetensors, a .gguf file, or a hub id like \
             `org/name`",
        ));
    }
    let wanted = |name: &str| METADATA.contains(&name) || (part == Part::All && is_weights(name));
    let snapshot = hub.snapshot(RepoKind::Model, id, revision, &wanted).map_err(|e| {
        e.context(format!("cannot get the model `{id}`")).hint(format!("there is no folder `{id}` here either"))
    })?;
    Ok(ModelSource {
        dir: snapshot.dir,
        label: id.rsplit('/').next().unwrap_or(id).to_string(),
        commit: Some(snapshot.commit),
        revision: revision.map(str::to_string),
    })
}

/// `org/name` of letters, digits, `-`, `_` and `.`, and not a relative path.
fn is_hub_id(id: &str) -> bool {
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    matches!(id.split('/').collect::<Vec<_>>().as_slice(), [org, name] if part(org) && part(name))
}

/// Weights as transformers names them; other copies of them in the repository are not wanted.
fn is_weights(name: &str) -> bool {
    name == "model.safetensors.index.json" || (name.starts_with("model") && name.ends_with(".safetensors"))
}

/// The name of a file without its ending.
fn file_label(path: &Path) -> String {
    path.file_stem().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

fn folder_label(path: &Path) -> String {
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let whole = || std::fs::canonicalize(path).ok().and_then(|path| name(&path));
    name(path).or_else(whole).unwrap_or_else(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_wins_and_nonsense_is_refused() {
        let hub = Hub::from_env(true).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let model = dir.path().join("my-model");
        std::fs::create_dir(&model).unwrap();
        let found = find(model.to_str().unwrap(), &hub, Part::All).unwrap();
        assert_eq!((found.label.as_str(), found.commit), ("my-model", None));
        let file = model.join("config.json");
        std::fs::write(&file, "{}").unwrap();
        assert!(find(file.to_str().unwrap(), &hub, Part::All).unwrap_err().to_string().contains("is a file"));
        for missing in ["no-such-folder", "./no/such", "a/b/c", "../x/y", "/no/such/folder", ""] {
            let err = find(missing, &hub, Part::All).unwrap_err().to_string();
            assert!(err.contains("no such folder") && err.contains("hint:"), "{err}");
        }
    }

    #[test]
    fn gguf_files_are_models() {
        let hub = Hub::from_env(true).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("tiny");
        let file = folder.join("tiny-Q4_K.gguf");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(&file, "").unwrap();
        let found = |path: &Path| {
            let found = find(path.to_str().unwrap(), &hub, Part::All).unwrap();
            (found.dir, found.label)
        };
        assert_eq!(found(&file), (file.clone(), "tiny-Q4_K".to_string()));
        assert_eq!(found(&folder), (file.clone(), "tiny".to_string()));
        std::fs::write(folder.join(CONFIG), "{}").unwrap();
        assert_eq!(found(&folder), (folder.clone(), "tiny".to_string()));
    }

    #[test]
    fn knows_hub_ids_and_weight_files() {
        assert!(is_hub_id("google/gemma-2b") && is_hub_id("HuggingFaceTB/SmolLM-135M"));
        assert!(!is_hub_id("gemma") && !is_hub_id("../gemma") && !is_hub_id("a/b/c"));
        assert!(is_weights("model-00001-of-00002.safetensors") && !is_weights("onnx/model.safetensors"));
        assert!(!is_weights("consolidated.safetensors"));
    }
}
