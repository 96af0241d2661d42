//! Bytes of a checkpoint: a stretch of a mapped file, or of memory where a file's own order cannot be used.
//!
//! Comes in: a path. Goes out: stretches that are cheap to clone and keep the mapping alive. Never: what the bytes mean.

use crate::error::{Error, Result};
use crate::file;
use memmap2::Mmap;
use std::ops::{Deref, Range};
use std::path::Path;
use std::sync::Arc;

/// Some bytes; a clone shares them.
#[derive(Clone)]
pub struct Bytes {
    backing: Arc<Backing>,
    range: Range<usize>,
}

enum Backing {
    Mapped(Mmap),
    Owned(Vec<u8>),
}

impl Backing {
    fn all(&self) -> &[u8] {
        match self {
            Backing::Mapped(map) => map,
            Backing::Owned(bytes) => bytes,
        }
    }
}

impl Bytes {
    /// Maps a whole plain file. An error where it cannot be opened or mapped, or where git-lfs did not fetch it.
    pub fn map(path: &Path) -> Result<Bytes> {
        let io = |e| Error::io("cannot read", path, e);
        let opened = file::open(path).map_err(io)?;
        // Mapping nothing is an error on some systems.
        if opened.metadata().map_err(io)?.len() == 0 {
            return Ok(Bytes::from(Vec::new()));
        }
        // SAFETY: the mapping is only sound while nobody shortens or rewrites the file. Checkpoints are not written while they are
        // being read; programs that map them (all of this ecosystem) rely on it.
        let map = unsafe { Mmap::map(&opened) }.map_err(io)?;
        if file::is_lfs_pointer(&map) {
            return Err(Error::input(file::LFS_POINTER).file(path));
        }
        let range = 0..map.len();
        Ok(Bytes { backing: Arc::new(Backing::Mapped(map)), range })
    }

    /// A part of these bytes; `None` where it is not inside.
    pub fn part(&self, range: Range<usize>) -> Option<Bytes> {
        if range.start > range.end || range.end > self.range.len() {
            return None;
        }
        let start = self.range.start;
        Some(Bytes { backing: self.backing.clone(), range: start + range.start..start + range.end })
    }
}

impl Bytes {
    /// Lets go of the memory that a mapped file's pages take here, because they will hardly be read again; where they are, they are
    /// read from the file anew.
    pub fn release(&self) {
        #[cfg(unix)]
        if let Backing::Mapped(map) = &*self.backing {
            // SAFETY: a file that is mapped for reading has no changes that could be lost.
            let advised = unsafe {
                map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, self.range.start, self.range.len())
            };
            // It is advice: where the system does not take it, the pages stay.
            drop(advised);
        }
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Bytes {
        let range = 0..bytes.len();
        Bytes { backing: Arc::new(Backing::Owned(bytes)), range }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.backing.all()[self.range.clone()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_lie_inside() {
        let bytes = Bytes::from(vec![0, 1, 2, 3, 4]).part(1..4).unwrap();
        assert_eq!(&*bytes, [1, 2, 3]);
        assert_eq!(&*bytes.part(1..3).unwrap(), [2, 3]);
        assert!(bytes.part(1..4).is_none() && bytes.part(usize::MAX..usize::MAX).is_none());
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        std::fs::write(&path, "").unwrap();
        assert!(Bytes::map(&path).unwrap().is_empty());
        std::fs::write(&path, "abc").unwrap();
        assert_eq!(&*Bytes::map(&path).unwrap(), b"abc");
    }
}
