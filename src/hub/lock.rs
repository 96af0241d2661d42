//! `fairmark.lock`: which commits and files of the hub a project's numbers were made with.

use super::cache::write_atomically;
use super::{MAIN, RepoKind};
use crate::error::{Error, Result};
use crate::file;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const VERSION: u32 = 1;

/// The lock file and what is in it. A file that does not exist yet is empty.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    contents: Contents,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    version: u32,
    /// By `datasets/openai/gsm8k@main`.
    repositories: BTreeMap<String, LockedRepo>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LockedRepo {
    commit: String,
    #[serde(default)]
    files: BTreeMap<String, LockedFile>,
}

/// What a file must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedFile {
    pub sha256: String,
    pub bytes: u64,
    pub rows: Option<usize>,
}

impl Lock {
    /// Reads the file, if it exists.
    pub fn open(path: &Path) -> Result<Self> {
        let empty = Contents { version: VERSION, repositories: BTreeMap::new() };
        let contents = match file::read(path, file::SMALL) {
            Ok(bytes) => serde_json::from_slice::<Contents>(&bytes).map_err(|err| {
                Error::input("not a lock file")
                    .at(path, err.line())
                    .cause(err)
                    .hint("delete it to pin the present state")
            })?,
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => empty,
            Err(err) => return Err(Error::io("cannot read", path, err)),
        };
        if contents.version != VERSION {
            let message = format!("the lock file has version {}, this program knows {VERSION}", contents.version);
            return Err(Error::input(message).file(path));
        }
        Ok(Lock { path: path.to_path_buf(), contents })
    }

    /// The name of a repository at a revision.
    pub fn key(kind: RepoKind, id: &str, revision: Option<&str>) -> String {
        format!("{}/{id}@{}", kind.plural(), revision.unwrap_or(MAIN))
    }

    /// The commit that is pinned for a repository.
    pub fn commit(&self, key: &str) -> Option<&str> {
        self.contents.repositories.get(key).map(|repo| repo.commit.as_str())
    }

    /// Compares a file with the lock, or adds it and writes the lock anew.
    pub fn check(&mut self, key: &str, commit: &str, file: &str, found: LockedFile) -> Result<()> {
        let repo = self.contents.repositories.entry(key.to_string()).or_default();
        if repo.commit.is_empty() {
            repo.commit = commit.to_string();
        }
        if repo.commit != commit {
            let message = format!("`{key}` is at commit {commit}, the lock says {}", repo.commit);
            return Err(Error::input(message).file(&self.path));
        }
        match repo.files.get(file) {
            None => {
                repo.files.insert(file.to_string(), found);
                self.save()
            }
            Some(locked) if *locked == found => Ok(()),
            Some(locked) => {
                let difference = if locked.sha256 == found.sha256 {
                    format!("{:?} rows, not {:?}", found.rows.unwrap_or_default(), locked.rows.unwrap_or_default())
                } else {
                    format!("the SHA-256 {}, not {}", found.sha256, locked.sha256)
                };
                let err = Error::input(format!("`{file}` of `{key}` has {difference}")).file(&self.path);
                Err(err.hint("delete the damaged file from the hub's cache; or, to accept the change, its entry from the lock file"))
            }
        }
    }

    /// Whether a file of a repository is locked.
    pub fn holds(&self, key: &str, file: &str) -> bool {
        self.contents.repositories.get(key).is_some_and(|repo| repo.files.contains_key(file))
    }

    fn save(&self) -> Result<()> {
        let mut text = serde_json::to_vec_pretty(&self.contents)
            .map_err(|err| Error::input("cannot write the lock file").file(&self.path).cause(err))?;
        text.push(b'\n');
        write_atomically(&self.path, &text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(sum: &str, rows: usize) -> LockedFile {
        LockedFile { sha256: sum.into(), bytes: 3, rows: Some(rows) }
    }

    #[test]
    fn adds_then_checks() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fairmark.lock");
        let key = Lock::key(RepoKind::Dataset, "a/b", None);
        let mut lock = Lock::open(&path).unwrap();
        assert_eq!(lock.commit(&key), None);
        lock.check(&key, "c1", "x.parquet", file("s", 2)).unwrap();
        let mut lock = Lock::open(&path).unwrap();
        assert_eq!((key.as_str(), lock.commit(&key)), ("datasets/a/b@main", Some("c1")));
        lock.check(&key, "c1", "x.parquet", file("s", 2)).unwrap();
        let err = lock.check(&key, "c1", "x.parquet", file("t", 2)).unwrap_err();
        assert!(err.to_string().contains("`x.parquet`") && err.to_string().contains("SHA-256 t, not s"), "{err}");
        assert!(lock.check(&key, "c1", "x.parquet", file("s", 3)).unwrap_err().to_string().contains("3 rows, not 2"));
        assert!(lock.check(&key, "c2", "x.parquet", file("s", 2)).is_err());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn damaged_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fairmark.lock");
        std::fs::write(&path, "{\n\"version\": }").unwrap();
        assert_eq!(Lock::open(&path).unwrap_err().place().line, Some(2));
        std::fs::write(&path, r#"{"version": 9, "repositories": {}}"#).unwrap();
        assert!(Lock::open(&path).unwrap_err().to_string().contains("version 9"));
    }
}
