//! The folder of one sandbox below a folder that all users may share, and the sweep of those that killed harnesses left.

use super::folder::{self, Budget};
use crate::error::{Error, Result};
use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, fstat, openat, statat, unlinkat};
use std::ffi::CStr;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

/// Start of the names of all sandboxes' folders.
const PREFIX: &str = "fairmark-sandbox-";

/// The file that says a folder is a sandbox's. A name says nothing: anybody may choose it, and may move a folder of ours to it where the
/// shared folder lets him.
const MARK: &CStr = c"made-by-fairmark";

/// One that is just being made is not locked yet.
const YOUNG: Duration = Duration::from_secs(60);

/// Entries of the shared folder that a sweep looks at, entries that it removes, and its time. What is left waits for the next sweep.
const MOST_SEEN: usize = 200_000;
const MOST_REMOVED: u64 = 2_000_000;
const MOST_TIME: Duration = Duration::from_secs(5);

/// A new folder for scratch directories, and the lock that says it is in use.
pub(super) fn make(wanted: Option<PathBuf>) -> Result<(TempDir, File)> {
    let base = wanted.unwrap_or_else(std::env::temp_dir);
    let cannot = |e| {
        let cannot = Error::io("cannot make a folder for scratch directories", &base, e);
        cannot.hint("name another folder for temporary files by the environment variable TMPDIR")
    };
    let base = base.canonicalize().map_err(cannot)?;
    sweep(&base);
    let made = tempfile::Builder::new().prefix(PREFIX).tempdir_in(&base).map_err(cannot)?;
    let lock = folder::open(CWD, made.path()).map_err(|e| cannot(e.into()))?;
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC;
    openat(&lock, MARK, flags, Mode::RUSR | Mode::WUSR).map_err(|e| cannot(e.into()))?;
    let lock = File::from(lock);
    lock.try_lock().map_err(|e| cannot(e.into()))?;
    Ok((made, lock))
}

/// Removes the folders of harnesses that were killed, as far as that goes.
fn sweep(base: &Path) {
    let Ok(base) = folder::open(CWD, base) else { return };
    let Ok(entries) = Dir::read_from(&base) else { return };
    let mut budget = Budget::new(MOST_REMOVED, MOST_TIME);
    for entry in entries.take(MOST_SEEN).map_while(|entry| entry.ok()) {
        let name = entry.file_name();
        if name.to_bytes().starts_with(PREFIX.as_bytes()) && remove_left(base.as_fd(), name, &mut budget).is_none() {
            return;
        }
    }
}

/// Removes a folder that nobody uses any more. `None`: the budget is spent.
fn remove_left(base: BorrowedFd<'_>, name: &CStr, budget: &mut Budget) -> Option<()> {
    let Some(left) = left_folder(base, name) else { return Some(()) };
    let left = File::from(left);
    if left.try_lock().is_err() {
        return Some(());
    }
    // The mark goes last: without it the next sweep would leave the rest.
    folder::empty(left.as_fd(), Some(MARK), budget).ok()?;
    let _ = unlinkat(&left, MARK, AtFlags::empty());
    let _ = unlinkat(base, name, AtFlags::REMOVEDIR);
    Some(())
}

/// A real folder of this user that a sandbox made some time ago.
fn left_folder(base: BorrowedFd<'_>, name: &CStr) -> Option<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::RDONLY;
    let left = openat(base, name, flags, Mode::empty()).ok()?;
    // SAFETY: a plain question.
    let ours = unsafe { libc::geteuid() };
    let (about, mark) = (fstat(&left).ok()?, statat(&left, MARK, AtFlags::SYMLINK_NOFOLLOW).ok()?);
    let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(about.st_mtime).ok()?);
    let old = changed.elapsed().is_ok_and(|age| age > YOUNG);
    (about.st_uid == ours && mark.st_uid == ours && old).then_some(left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    const HOUR: Duration = Duration::from_secs(3600);

    fn age(folder: &Path) {
        File::open(folder).unwrap().set_modified(SystemTime::now() - HOUR).unwrap();
    }

    #[test]
    fn only_what_a_sandbox_made_is_swept() {
        let base = tempfile::tempdir().unwrap();
        let place = |name: &str| base.path().join(format!("{PREFIX}{name}"));
        let outside = base.path().join("outside");
        let deep = outside.join("0/1/2/3/4/5/6/7/8/9/10/11/12/13/14");
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(outside.join("made-by-fairmark"), "").unwrap();
        for name in ["left", "unmarked", "young"] {
            std::fs::create_dir_all(place(name).join("0/deep")).unwrap();
        }
        for name in ["left", "young"] {
            std::fs::write(place(name).join("made-by-fairmark"), "").unwrap();
        }
        symlink(&outside, place("left").join("link")).unwrap();
        symlink(&outside, place("link")).unwrap();
        let pipe = place("pipe");
        rustix::fs::mknodat(CWD, &pipe, rustix::fs::FileType::Fifo, Mode::RWXU, 0).unwrap();
        ["left", "unmarked"].iter().for_each(|name| age(&place(name)));
        age(&outside);
        let (made, _lock) = make(Some(base.path().to_path_buf())).unwrap();
        assert!(!place("left").exists(), "a killed harness's");
        assert!(place("unmarked").exists() && place("young").exists());
        assert!(place("link").is_symlink() && pipe.exists() && deep.exists());
        age(made.path());
        let (_second, _lock2) = make(Some(base.path().to_path_buf())).unwrap();
        assert!(made.path().exists(), "in use");
    }
}
