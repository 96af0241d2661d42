//! The standard cache: `<kind>s--<org>--<name>/{blobs,refs,snapshots/<commit>}`.

use super::{Listing, Repo, RepoFile, is_hex, is_inside, offline_error};
use crate::error::{Error, Result};
use crate::file;
use std::path::{Path, PathBuf};

/// The folder of one repository.
#[derive(Debug)]
pub(super) struct RepoCache {
    root: PathBuf,
    cache: PathBuf,
    folder: String,
}

impl RepoCache {
    pub fn new(cache: &Path, repo: &Repo) -> Self {
        let folder = format!("{}--{}", repo.kind.plural(), repo.id.replace('/', "--"));
        RepoCache { root: cache.join(&folder), cache: cache.to_path_buf(), folder }
    }

    pub fn snapshot_dir(&self, commit: &str) -> PathBuf {
        self.root.join("snapshots").join(commit)
    }

    /// The contents of a file, named by its checksum.
    pub fn blob(&self, name: &str) -> PathBuf {
        self.root.join("blobs").join(name)
    }

    /// The lock that the hub's own tools take while they write a blob.
    pub fn lock_file(&self, blob: &str) -> PathBuf {
        self.cache.join(".locks").join(&self.folder).join(format!("{blob}.lock"))
    }

    /// Notes which commit a branch or tag stands at.
    pub fn remember(&self, revision: &str, commit: &str) -> Result<()> {
        if revision == commit {
            return Ok(());
        }
        let path = self.root.join("refs").join(revision);
        if reference(&path).is_some_and(|known| known == commit) {
            return Ok(());
        }
        write_atomically(&path, commit.as_bytes())
    }

    /// Where the listing of a commit is kept. Other tools leave the folder alone.
    fn note_file(&self, commit: &str) -> PathBuf {
        self.root.join(".fairmark").join(format!("{commit}.json"))
    }

    /// Keeps a listing, so that the same layout is found without the network.
    pub fn note(&self, listing: &Listing) -> Result<()> {
        let path = self.note_file(&listing.commit);
        if self.noted(&listing.commit).is_some_and(|known| known == *listing) {
            return Ok(());
        }
        let text = serde_json::to_vec(listing).map_err(|err| Error::input("cannot note a listing").cause(err))?;
        write_atomically(&path, &text)
    }

    /// The listing of a commit, if it was kept; one that cannot be read or believed is none.
    pub fn noted(&self, commit: &str) -> Option<Listing> {
        let text = file::read(&self.note_file(commit), file::SMALL).ok()?;
        let listing: Listing = serde_json::from_slice(&text).ok()?;
        let names = |file: &RepoFile| {
            let blob = file.blob.as_ref().is_none_or(|name| is_hex(name, 40) || is_hex(name, 64));
            is_inside(&file.path) && blob && file.sha256.as_ref().is_none_or(|sum| is_hex(sum, 64))
        };
        (listing.commit == commit && listing.complete && listing.files.iter().all(names)).then_some(listing)
    }

    /// What the cache knows of a revision, without the network.
    pub fn listing(&self, repo: &Repo, revision: &str) -> Result<Listing> {
        let commit = reference(&self.root.join("refs").join(revision)).unwrap_or_else(|| revision.to_string());
        if let Some(listing) = Some(&commit).filter(|commit| is_hex(commit, 40)).and_then(|commit| self.noted(commit)) {
            return Ok(listing);
        }
        let dir = self.snapshot_dir(&commit);
        if !is_hex(&commit, 40) || !dir.is_dir() {
            let message = format!("`{}` at {revision} is not in the cache, and the network is off", repo.id);
            return Err(offline_error(message, &self.cache));
        }
        let mut files = Vec::new();
        walk(&dir, "", &mut files)?;
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Listing { commit, files, complete: false })
    }
}

/// The commit in a reference's file.
fn reference(path: &Path) -> Option<String> {
    const LONGEST: u64 = 1024;
    file::read_to_string(path, LONGEST).ok().map(|text| text.trim().to_string())
}

fn walk(dir: &Path, prefix: &str, files: &mut Vec<RepoFile>) -> Result<()> {
    let entries = std::fs::read_dir(dir).map_err(|err| Error::io("cannot list", dir, err))?;
    for entry in entries {
        let entry = entry.map_err(|err| Error::io("cannot list", dir, err))?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = format!("{prefix}{name}");
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            walk(&entry.path(), &format!("{path}/"), files)?;
        } else if entry.path().is_file() {
            files.push(RepoFile { path, size: None, sha256: None, blob: None });
        }
    }
    Ok(())
}

/// Whether the file is there with the size it should have.
pub(super) fn is_whole(path: &Path, size: Option<u64>) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.is_file() && size.is_none_or(|size| found.len() == size))
}

/// Puts a blob into a snapshot: a relative symbolic link, or a copy where links cannot be made.
pub(super) fn link(blob: &Path, local: &Path) -> Result<()> {
    let folder = local.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(|err| Error::io("cannot create", folder, err))?;
    if local.symlink_metadata().is_ok() {
        std::fs::remove_file(local).map_err(|err| Error::io("cannot replace", local, err))?;
    }
    if symlink(blob, local).is_ok() || std::fs::hard_link(blob, local).is_ok() {
        return Ok(());
    }
    std::fs::copy(blob, local).map(|_| ()).map_err(|err| Error::io("cannot write", local, err))
}

#[cfg(unix)]
fn symlink(blob: &Path, local: &Path) -> std::io::Result<()> {
    let root = blob.parent().and_then(Path::parent).unwrap_or(Path::new("/"));
    let relative = match (local.strip_prefix(root), blob.strip_prefix(root)) {
        (Ok(local), Ok(blob)) => {
            let mut path = PathBuf::new();
            local.components().skip(1).for_each(|_| path.push(".."));
            path.join(blob)
        }
        _ => blob.to_path_buf(),
    };
    std::os::unix::fs::symlink(relative, local)
}

#[cfg(not(unix))]
fn symlink(_: &Path, _: &Path) -> std::io::Result<()> {
    Err(std::io::Error::from(std::io::ErrorKind::Unsupported))
}

/// Writes a file so that a reader sees the old or the new contents, never a part.
pub(super) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder {
        std::fs::create_dir_all(folder).map_err(|err| Error::io("cannot create", folder, err))?;
    }
    file::write_whole(path, bytes).map_err(|err| Error::io("cannot write", path, err))
}
