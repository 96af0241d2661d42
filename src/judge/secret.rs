//! The secret that decides, with the tests of a document, what random numbers they draw.
//!
//! A solution that knew it could foretell what tests expect. It is drawn once for a user and machine and kept beside the response cache,
//! so that a run that is continued or made again gives the same verdicts.

use crate::engine::cache::{CacheOptions, default_file};
use crate::file;
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The file's name.
const NAME: &str = "judge-secret";

pub type Secret = [u8; 32];

/// The secret, and what is to be said where it could not be kept.
pub fn of(cache: &CacheOptions) -> (Secret, Option<String>) {
    let beside = cache.file.clone().map_or_else(default_file, Ok);
    let kept = beside.map_err(|err| err.one_line()).and_then(|beside| {
        let file = beside.with_file_name(NAME);
        kept(&file).map_err(|err| format!("{}: {err}", file.display()))
    });
    match kept {
        Ok(secret) => (secret, None),
        Err(why) => (
            drawn(),
            Some(format!(
                "tests that draw random numbers may draw others in the next run: cannot keep a secret: {why}"
            )),
        ),
    }
}

/// What is in the file, which is made where it is missing: by whoever comes first.
fn kept(file: &Path) -> std::io::Result<Secret> {
    if let Some(secret) = read(file)? {
        return Ok(secret);
    }
    let folder = file.parent().map(Path::to_path_buf).filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| PathBuf::from("."));
    std::fs::create_dir_all(&folder)?;
    // For this user's eyes only, as temporary files are.
    let mut partial = tempfile::Builder::new().prefix(".fairmark-").suffix(".partial").tempfile_in(folder)?;
    partial.write_all(&drawn())?;
    partial.as_file().sync_all()?;
    if let Err(err) = partial.persist_noclobber(file)
        && err.error.kind() != std::io::ErrorKind::AlreadyExists
    {
        return Err(err.error);
    }
    read(file)?.ok_or_else(|| std::io::ErrorKind::NotFound.into())
}

fn read(path: &Path) -> std::io::Result<Option<Secret>> {
    match file::read(path, 32) {
        Ok(bytes) => bytes.try_into().map(Some).map_err(|_| std::io::Error::other("is no secret: remove it")),
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(err) => Err(err),
    }
}

/// Keyed hashes under keys from the operating system.
fn drawn() -> Secret {
    let mut secret = Secret::default();
    for part in secret.chunks_mut(8) {
        part.copy_from_slice(&RandomState::new().hash_one(0u8).to_le_bytes());
    }
    secret
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_drawn_once_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let of = |name: &str| super::of(&CacheOptions { file: Some(dir.path().join(name)), ..Default::default() });
        let (first, complaint) = of("sub/cache.sqlite");
        assert_eq!(complaint, None);
        assert_eq!(of("sub/other.sqlite"), (first, None));
        assert_ne!(of("cache.sqlite").0, first);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let about = std::fs::metadata(dir.path().join("sub/judge-secret")).unwrap();
            assert_eq!(about.permissions().mode() & 0o777, 0o600);
        }
        std::fs::write(dir.path().join("judge-secret"), "short").unwrap();
        assert!(of("cache.sqlite").1.unwrap().contains("cannot keep a secret"));
    }
}
