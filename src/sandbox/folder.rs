//! Folders whose content a hostile program made: removing them whatever they hold.
//!
//! Every folder is opened in the one above it and never through a link, so that nothing outside is touched, whoever renames what
//! meanwhile. Time and number of entries are bounded.

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, fchmod, fstat, openat, renameat, unlinkat};
use rustix::io::Errno;
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// Levels that are removed in one go: each holds two descriptors.
const LEVELS: usize = 12;

/// What a program can have left in its scratch directory is less; no harness waits longer.
const OWN: (u64, Duration) = (10_000_000, Duration::from_secs(60));

/// How much a removal may do.
pub(super) struct Budget {
    entries: u64,
    until: Instant,
}

impl Budget {
    pub(super) fn new(entries: u64, time: Duration) -> Budget {
        Budget { entries, until: Instant::now() + time }
    }

    fn spend(&mut self) -> Result<(), Errno> {
        self.entries = self.entries.checked_sub(1).ok_or(Errno::DQUOT)?;
        if Instant::now() < self.until { Ok(()) } else { Err(Errno::TIMEDOUT) }
    }
}

/// Removes a folder and all below it, as far as possible: best effort, since what stays lies below a folder that is this sandbox's own.
pub(super) fn remove(folder: &Path) {
    let mut budget = Budget::new(OWN.0, OWN.1);
    if let Ok(opened) = open(CWD, folder)
        && empty(opened.as_fd(), None, &mut budget).is_ok()
    {
        let _ = unlinkat(CWD, folder, AtFlags::REMOVEDIR);
    }
}

/// Opens a real folder in another one, without waiting for anybody. If it is ours and closed to us, it is opened up first.
pub(super) fn open<P: rustix::path::Arg + Copy>(above: BorrowedFd<'_>, name: P) -> Result<OwnedFd, Errno> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match openat(above, name, flags | OFlags::RDONLY, Mode::empty()) {
        #[cfg(target_os = "linux")]
        Err(Errno::ACCESS) => {
            use std::os::fd::AsRawFd;
            // The descriptor says what is changed; the name may be another folder's by now.
            let closed = openat(above, name, flags | OFlags::PATH, Mode::empty())?;
            rustix::fs::chmod(format!("/proc/self/fd/{}", closed.as_raw_fd()), Mode::RWXU)?;
            openat(above, name, flags | OFlags::RDONLY, Mode::empty())
        }
        opened => opened,
    }
}

/// Empties a folder, but for the entry `last`.
///
/// Errors: the budget is spent, or something cannot be removed.
pub(super) fn empty(folder: BorrowedFd<'_>, last: Option<&CStr>, budget: &mut Budget) -> Result<(), Errno> {
    let mut sweeper = Sweeper { top: folder, last, moved: 0, budget };
    // What was moved up for lying too deep is seen by the next round.
    while sweeper.clear(folder, 0)? {}
    Ok(())
}

struct Sweeper<'a> {
    top: BorrowedFd<'a>,
    last: Option<&'a CStr>,
    /// Folders moved up so far.
    moved: u64,
    budget: &'a mut Budget,
}

impl Sweeper<'_> {
    /// Removes what is in a folder; whether some of it has to be looked at once more.
    fn clear(&mut self, folder: BorrowedFd<'_>, level: usize) -> Result<bool, Errno> {
        // Without the rights to search and to write, nothing in it could be removed.
        if fstat(folder)?.st_mode & 0o700 != 0o700 {
            fchmod(folder, Mode::RWXU)?;
        }
        let mut again = false;
        for entry in Dir::read_from(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." || level == 0 && Some(name) == self.last {
                continue;
            }
            self.budget.spend()?;
            match unlinkat(folder, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(Errno::ISDIR | Errno::PERM) => again |= self.clear_folder(folder, name, level)?,
                Err(e) => return Err(e),
            }
        }
        Ok(again)
    }

    fn clear_folder(&mut self, above: BorrowedFd<'_>, name: &CStr, level: usize) -> Result<bool, Errno> {
        let folder = open(above, name)?;
        if level + 1 == LEVELS {
            if fstat(&folder)?.st_mode & 0o700 != 0o700 {
                fchmod(&folder, Mode::RWXU)?;
            }
            self.moved += 1;
            renameat(above, name, self.top, format!("fairmark-moved-{}-{:016x}", self.moved, fastrand::u64(..)))?;
            return Ok(true);
        }
        let again = self.clear(folder.as_fd(), level + 1)?;
        match unlinkat(above, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(again),
            // Something came into it, or the file system passed over an entry while others went.
            Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(true),
            Err(e) => Err(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn removes_very_deep_folders() {
        let base = tempfile::tempdir().unwrap();
        let top = base.path().join("top");
        // Built from the inside out, as the path would be too long for one call.
        let (mut inner, mut outer) = (base.path().join("a"), base.path().join("b"));
        std::fs::create_dir(&inner).unwrap();
        for _ in 0..600 {
            std::fs::create_dir(&outer).unwrap();
            std::fs::rename(&inner, outer.join("d")).unwrap();
            std::mem::swap(&mut inner, &mut outer);
        }
        std::fs::rename(&inner, &top).unwrap();
        remove(&top);
        assert_eq!(std::fs::read_dir(base.path()).unwrap().count(), 0);
    }

    #[test]
    fn removes_what_is_closed_or_odd_and_follows_no_link() {
        let base = tempfile::tempdir().unwrap();
        let (top, outside) = (base.path().join("top"), base.path().join("outside"));
        std::fs::create_dir_all(outside.join("in")).unwrap();
        std::fs::create_dir_all(top.join("closed/inner")).unwrap();
        symlink(&outside, top.join("link")).unwrap();
        symlink(&outside, top.join("closed/link")).unwrap();
        rustix::fs::mknodat(CWD, top.join("pipe"), rustix::fs::FileType::Fifo, Mode::RWXU, 0).unwrap();
        for (folder, mode) in [("closed/inner", 0), ("closed", 0o300)] {
            std::fs::set_permissions(top.join(folder), std::fs::Permissions::from_mode(mode)).unwrap();
        }
        remove(&top);
        assert!(!top.exists() && outside.join("in").exists());
        symlink(&outside, &top).unwrap();
        remove(&top);
        assert!(top.exists() && outside.join("in").exists(), "a link in the folder's own place");
    }

    #[test]
    fn does_no_more_than_it_may() {
        let base = tempfile::tempdir().unwrap();
        for n in 0..20 {
            std::fs::write(base.path().join(n.to_string()), "x").unwrap();
        }
        let folder = open(CWD, base.path()).unwrap();
        assert!(empty(folder.as_fd(), None, &mut Budget::new(5, OWN.1)).is_err());
        assert_eq!(std::fs::read_dir(base.path()).unwrap().count(), 15);
        assert!(empty(folder.as_fd(), None, &mut Budget::new(50, Duration::ZERO)).is_err());
        empty(folder.as_fd(), Some(c"7"), &mut Budget::new(50, OWN.1)).unwrap();
        assert_eq!(std::fs::read_dir(base.path()).unwrap().count(), 1);
    }
}
