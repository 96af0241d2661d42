//! Where a model is: a folder, a GGUF file, or a repository of the hub.

use super::config::{CONFIG, GENERATION_CONFIG};
use super::folder::ADAPTER;
use super::tokenizer::{ADDED_TOKENS, MERGES, MODEL, SPECIAL_TOKENS_MAP, TOKENIZER, TOKENIZER_CONFIG, VOCAB};
use super::weights::{OLD_AWQ, OLD_GPTQ, gguf};
use crate::embedded::{self, Unpacked};
use crate::error::{Error, Result};
use crate::hub::{Hub, RepoKind, Snapshot};
use std::path::{Path, PathBuf};

/// Small files of a checkpoint.
const METADATA: &[&str] = &[
    CONFIG,
    GENERATION_CONFIG,
    TOKENIZER,
    TOKENIZER_CONFIG,
    SPECIAL_TOKENS_MAP,
    ADDED_TOKENS,
    "chat_template.jinja",
    // Old tokenizers, the first of text classifiers only.
    "vocab.txt",
    VOCAB,
    MERGES,
    OLD_GPTQ,
    OLD_AWQ,
    // What says that a repository holds something else.
    ADAPTER,
    "model_index.json",
    "params.json",
];

/// Bytes of a file that is looked at to say what it is.
const PEEKED: u64 = 1 << 20;

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
    /// Keeps `dir` on disk, for the model that is part of the binary.
    pub unpacked: Option<Unpacked>,
}

/// Finds a model: the built-in one by its name, others by folder, by GGUF file, or on the hub (`org/name`, `org/name@revision`,
/// `org/name/file.gguf`).
pub fn find(model: &str, hub: &Hub, part: Part) -> Result<ModelSource> {
    let local = |dir: PathBuf, label| Ok(ModelSource { dir, label, commit: None, revision: None, unpacked: None });
    if model == embedded::MODEL_NAME {
        let unpacked = Unpacked::new(embedded::MODEL_FOLDER)?;
        let source = local(unpacked.path().to_path_buf(), model.to_string())?;
        return Ok(ModelSource { unpacked: Some(unpacked), ..source });
    }
    let path = Path::new(model);
    if gguf::is_gguf(path) {
        return local(path.to_path_buf(), file_label(path));
    }
    if path.is_dir() {
        // A folder of transformers may hold copies of its model in GGUF; without a configuration it is such a file's folder.
        let file = if path.join(CONFIG).exists() { None } else { gguf::find(path)? };
        return local(file.unwrap_or(path.to_path_buf()), folder_label(path));
    }
    if path.exists() {
        let hint = match crate::file::read(path, PEEKED) {
            Err(err) if err.kind() == std::io::ErrorKind::InvalidData => crate::file::LFS_POINTER,
            _ => "name a GGUF file, or the folder that holds config.json and the weights",
        };
        return Err(Error::input("is a file, not a model").file(path).hint(hint));
    }
    match HubName::parse(model) {
        Some(name) => name.find(hub, part),
        None => Err(Error::input("there is no such folder").file(path).hint(
            "a model is a folder with config.json, tokenizer.json and model.safetensors, a .gguf file, or a hub id like \
             `org/name`",
        )),
    }
}

/// A model of the hub as it is written: `org/name`, `org/name/file.gguf`, each perhaps with `@revision`.
struct HubName<'a> {
    id: &'a str,
    /// A GGUF file in the repository.
    file: Option<&'a str>,
    revision: Option<&'a str>,
}

impl<'a> HubName<'a> {
    fn parse(model: &'a str) -> Option<HubName<'a>> {
        let (path, revision) = match model.split_once('@') {
            Some((path, revision)) => (path, Some(revision)),
            None => (model, None),
        };
        if !path.split('/').all(is_name) {
            return None;
        }
        let (_, rest) = path.split_once('/')?;
        match rest.split_once('/') {
            None => Some(HubName { id: path, file: None, revision }),
            Some((_, file)) if file.ends_with(gguf::ENDING) => {
                Some(HubName { id: &path[..path.len() - file.len() - 1], file: Some(file), revision })
            }
            Some(_) => None,
        }
    }

    fn find(&self, hub: &Hub, part: Part) -> Result<ModelSource> {
        let found = match self.file {
            Some(file) => self.fetch_gguf(hub, file).map(|snapshot| (snapshot.dir.join(file), snapshot.commit)),
            None => self.fetch(hub, part).map(|snapshot| (snapshot.dir, snapshot.commit)),
        };
        let (dir, commit) = found.map_err(|e| {
            let hint = format!("there is no folder `{}` here either", self.id);
            e.context(format!("cannot get the model `{}`", self.id)).hint(hint)
        })?;
        let name = self.id.rsplit('/').next().unwrap_or(self.id);
        Ok(ModelSource {
            label: self.file.map_or(name.to_string(), |file| file_label(Path::new(file))),
            dir,
            commit: Some(commit),
            revision: self.revision.map(str::to_string),
            unpacked: None,
        })
    }

    /// Configuration, tokenizer and, if wanted, weights of the first format that there is.
    fn fetch(&self, hub: &Hub, part: Part) -> Result<Snapshot> {
        let listing = hub.list_files(RepoKind::Model, self.id, self.revision)?;
        let has = |is: &dyn Fn(&str) -> bool| listing.files.iter().any(|file| is(&file.path));
        let format = WEIGHTS.iter().find(|is| has(*is));
        let gguf = listing.files.iter().find(|file| file.path.ends_with(gguf::ENDING));
        if let (None, Some(file), true) = (format, gguf, listing.complete) {
            return Err(Error::input("its weights are GGUF files only")
                .hint(format!("name one of them, such as `{}/{}`", self.id, file.path)));
        }
        let is_weights = |name: &str| part == Part::All && format.is_some_and(|is| is(name));
        // SentencePiece's file is read where there is no other.
        let old_tokenizer = !has(&|name| name == TOKENIZER);
        let is_metadata = |name: &str| METADATA.contains(&name) || (old_tokenizer && name == MODEL);
        let wanted = |name: &str| is_metadata(name) || is_weights(name);
        hub.snapshot(RepoKind::Model, self.id, self.revision, &wanted)
    }

    /// One GGUF file, with its parts where it is split. Everything is in it.
    fn fetch_gguf(&self, hub: &Hub, file: &str) -> Result<Snapshot> {
        let listing = hub.list_files(RepoKind::Model, self.id, self.revision)?;
        if !listing.files.iter().any(|known| known.path == file) {
            let known = listing.files.iter().map(|file| file.path.as_str());
            let known: Vec<&str> = known.filter(|name| name.ends_with(gguf::ENDING)).collect();
            return Err(Error::input(format!("the repository has no file {file}"))
                .hint(format!("its GGUF files are: {}", known.join(", "))));
        }
        hub.snapshot(RepoKind::Model, self.id, self.revision, &|name: &str| gguf::same_model(name, file))
    }
}

/// Letters, digits, `-`, `_` and `.`, and not a part of a relative path.
fn is_name(part: &str) -> bool {
    part.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

/// Weights as transformers names them, by format in the order in which they are looked for; other copies of them in the repository
/// are not wanted.
const WEIGHTS: &[fn(&str) -> bool] = &[is_safetensors, is_pickle];

fn is_safetensors(name: &str) -> bool {
    name == "model.safetensors.index.json" || (name.starts_with("model") && name.ends_with(".safetensors"))
}

fn is_pickle(name: &str) -> bool {
    name == "pytorch_model.bin.index.json" || (name.starts_with("pytorch_model") && name.ends_with(".bin"))
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
    use crate::hub::mock::{Answer, COMMIT, MockHub, contents, listing};

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
    fn knows_hub_names_and_weight_files() {
        let parse = |name| HubName::parse(name).map(|name| (name.id, name.file, name.revision));
        assert_eq!(parse("google/gemma-2b"), Some(("google/gemma-2b", None, None)));
        assert_eq!(parse("a/SmolLM-135M@v1"), Some(("a/SmolLM-135M", None, Some("v1"))));
        assert_eq!(parse("a/b/x.Q4_K.gguf@v1"), Some(("a/b", Some("x.Q4_K.gguf"), Some("v1"))));
        assert_eq!(parse("a/b/sub/x.gguf"), Some(("a/b", Some("sub/x.gguf"), None)));
        for no in ["gemma", "../gemma", "a/b/c", "a/b/../x.gguf", "a//x.gguf", "a/b/", ""] {
            assert_eq!(parse(no), None, "{no}");
        }
        assert!(is_safetensors("model-00001-of-00002.safetensors") && !is_safetensors("onnx/model.safetensors"));
        assert!(!is_safetensors("consolidated.safetensors"));
        assert!(is_pickle("pytorch_model-00001-of-00002.bin") && !is_pickle("training_args.bin"));
        assert!(!is_pickle("optimizer.bin") && !is_pickle("sub/pytorch_model.bin"));
    }

    /// Files of a repository `a/b`, which all hold their own name.
    fn repository(files: &'static [&'static str]) -> (tempfile::TempDir, Hub) {
        let server = MockHub::start(move |request| {
            let listed: Vec<(&str, &[u8])> = files.iter().map(|name| (*name, name.as_bytes())).collect();
            let path = request.path.split('?').next().unwrap_or_default();
            match path.strip_prefix(&format!("/a/b/resolve/{COMMIT}/")) {
                Some(name) => contents(request, name.as_bytes()),
                None if path.starts_with("/api/models/a/b/") => listing(COMMIT, &listed),
                None => Answer::new(404, "").header("X-Error-Code", "RepoNotFound"),
            }
        });
        let home = tempfile::tempdir().unwrap();
        let hub = server.client(home.path());
        (home, hub)
    }

    fn fetched(dir: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(dir).unwrap().flatten();
        let mut names: Vec<String> = entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn weights_of_the_first_format_are_fetched() {
        let (_home, hub) = repository(&["config.json", "model.safetensors", "pytorch_model.bin", "x.gguf"]);
        let found = find("a/b", &hub, Part::Metadata).unwrap();
        assert_eq!(fetched(&found.dir), ["config.json"]);
        assert_eq!(fetched(&find("a/b", &hub, Part::All).unwrap().dir), ["config.json", "model.safetensors"]);
        let (_home, hub) = repository(&["config.json", "pytorch_model.bin", "training_args.bin", "x.gguf"]);
        assert_eq!(fetched(&find("a/b", &hub, Part::All).unwrap().dir), ["config.json", "pytorch_model.bin"]);
    }

    #[test]
    fn gguf_files_of_the_hub_are_named() {
        let files = &["README.md", "x-00001-of-00002.gguf", "x-00002-of-00002.gguf", "y.gguf"];
        let (_home, hub) = repository(files);
        let err = find("a/b", &hub, Part::All).unwrap_err().to_string();
        assert!(err.contains("GGUF files only") && err.contains("`a/b/x-00001-of-00002.gguf`"), "{err}");
        let err = find("a/b/z.gguf", &hub, Part::All).unwrap_err().to_string();
        assert!(err.contains("no file z.gguf") && err.contains("y.gguf"), "{err}");
        let found = find("a/b/x-00001-of-00002.gguf", &hub, Part::Metadata).unwrap();
        assert_eq!(found.label, "x-00001-of-00002");
        assert_eq!(found.commit.as_deref(), Some(COMMIT));
        assert_eq!(fetched(found.dir.parent().unwrap()), files[1..3]);
    }
}
