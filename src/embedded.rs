//! The demo's data sets and model, compiled into the binary: what `datasets/demo` holds.
//!
//! Comes in: a name. Goes out: the bytes of that file, or a folder of files on disk for what can only be read from there. Never: knows
//! what is in the files.

use crate::error::{Error, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

// `FILES`: names relative to `datasets/demo`, and bytes.
include!(concat!(env!("OUT_DIR"), "/demo.rs"));

/// The name by which the demo's model is asked for.
pub const MODEL_NAME: &str = "demo";

/// Where its files are.
pub const MODEL_FOLDER: &str = "model/";

/// The bytes of a file, by its name relative to `datasets/demo`.
pub fn file(name: &str) -> Option<&'static [u8]> {
    FILES.iter().find(|(known, _)| *known == name).map(|(_, bytes)| *bytes)
}

/// A folder that holds embedded files for as long as somebody holds it.
#[derive(Debug, Clone)]
pub struct Unpacked(Arc<TempDir>);

impl Unpacked {
    /// Writes the files under `prefix` into a new temporary folder. It is removed with the last copy of what is returned; files that
    /// are still mapped into memory stay readable.
    ///
    /// Errors: the folder for temporary files cannot be written.
    pub fn new(prefix: &str) -> Result<Unpacked> {
        let folder = tempfile::Builder::new().prefix("fairmark-demo-").tempdir();
        let hint = "fairmark unpacks its demo there; TMPDIR names another folder";
        let folder = folder.map_err(|err| Error::io("cannot write to", &std::env::temp_dir(), err).hint(hint))?;
        for (name, bytes) in FILES {
            let Some(name) = name.strip_prefix(prefix) else { continue };
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).map_err(|err| Error::io("cannot write", &path, err).hint(hint))?;
        }
        Ok(Unpacked(Arc::new(folder)))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

/// Two are equal when they are one folder.
impl PartialEq for Unpacked {
    fn eq(&self, other: &Self) -> bool {
        self.path() == other.path()
    }
}

impl Eq for Unpacked {}

/// A name for an embedded file in messages.
pub fn shown(name: &str) -> PathBuf {
    Path::new("<embedded>").join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_demo_is_there_byte_for_byte() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/demo");
        let names = |folder: &Path| -> Vec<String> {
            let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
            let files = entries.filter(|entry| entry.path().is_file());
            files.map(|entry| entry.file_name().into_string().unwrap()).filter(|name| name != "README.md").collect()
        };
        let data = names(&folder);
        let model = names(&folder.join("model")).into_iter().map(|name| format!("model/{name}"));
        let all: Vec<String> = data.into_iter().chain(model).collect();
        assert_eq!(all.len(), FILES.len(), "{all:?}");
        for name in all {
            assert!(file(&name).is_some_and(|bytes| bytes == std::fs::read(folder.join(&name)).unwrap()), "{name}");
        }
    }

    #[test]
    fn a_folder_lasts_as_long_as_its_holder() {
        let unpacked = Unpacked::new(MODEL_FOLDER).unwrap();
        let (path, copy) = (unpacked.path().to_path_buf(), unpacked.clone());
        assert_eq!(std::fs::read(path.join("config.json")).unwrap(), file("model/config.json").unwrap());
        assert!(!path.join("sources.yaml").exists() && !path.join("facts_test.jsonl").exists());
        drop(unpacked);
        assert!(path.join("config.json").exists());
        drop(copy);
        assert!(!path.exists());
    }
}
