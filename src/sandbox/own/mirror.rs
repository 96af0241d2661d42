//! A second place for the standard library, which has what programs may import and nothing else.
//!
//! Packages of the host (`site-packages`) commonly lie in the library's own folder, and a rule that opens a folder opens all below it. So
//! programs get a folder with the library's entries one by one. Where a harness that runs as root drops its rights, and Python lies below
//! a private home folder, links into it would lead nowhere: the whole library is then linked hard (or copied, from another file system).

use crate::error::{Error, Result};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Parts of the library that no program needs and that are large, and packages of the host.
const SKIPPED: [&str; 8] =
    ["site-packages", "dist-packages", "test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip"];

/// How folders of the library come to the second place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// By name: where they are, every user may read them.
    Linked,
    /// With all that is in them.
    Copied,
}

/// Whether a user without any rights of its own can read what lies in the folder.
pub(super) fn is_open(folder: &Path) -> bool {
    let allows =
        |path: &Path, bits: u32| std::fs::metadata(path).is_ok_and(|about| about.permissions().mode() & bits == bits);
    allows(folder, 0o005) && folder.ancestors().skip(1).all(|parent| allows(parent, 0o001))
}

/// Makes the second place `into`; what programs must be able to read for it, itself included.
pub(super) fn make(library: &Path, into: &Path, manner: Manner) -> Result<Vec<PathBuf>> {
    let mut reads = vec![into.to_path_buf()];
    fill(library, into, manner, &mut reads).map_err(|e| {
        Error::io("cannot link or copy Python's library to", into, e)
            .hint("name a Python that all users may read, or by TMPDIR a folder with room for 100 MB")
    })?;
    Ok(reads)
}

fn fill(from: &Path, to: &Path, manner: Manner, reads: &mut Vec<PathBuf>) -> std::io::Result<()> {
    std::fs::create_dir(to)?;
    std::fs::set_permissions(to, std::fs::Permissions::from_mode(0o755))?;
    for entry in std::fs::read_dir(from)? {
        let name = entry?.file_name();
        // Follows links: whatever a library's name leads to belongs to it, unless that is something to be skipped.
        let Ok(source) = from.join(&name).canonicalize() else { continue };
        if SKIPPED.iter().any(|skipped| name == *skipped || source.file_name().is_some_and(|n| n == *skipped)) {
            continue;
        }
        let (about, target) = (std::fs::metadata(&source)?, to.join(&name));
        match manner {
            Manner::Copied if about.is_dir() => fill(&source, &target, manner, reads)?,
            Manner::Linked if about.is_dir() => {
                std::os::unix::fs::symlink(&source, &target)?;
                reads.push(source);
            }
            _ if about.is_file() => copy(&source, &target)?,
            _ => (),
        }
    }
    Ok(())
}

/// A second name for a file, or a second file with its date: the compiled files are good only with the source's own.
fn copy(source: &Path, target: &Path) -> std::io::Result<()> {
    if std::fs::hard_link(source, target).is_ok() {
        return Ok(());
    }
    std::fs::copy(source, target)?;
    let modified = std::fs::metadata(source)?.modified()?;
    std::fs::set_permissions(target, std::fs::Permissions::from_mode(0o644))?;
    std::fs::File::options().write(true).open(target)?.set_modified(modified)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_the_library_and_skips_the_rest() {
        let base = tempfile::tempdir().unwrap();
        std::fs::set_permissions(base.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        let library = base.path().canonicalize().unwrap().join("lib");
        std::fs::create_dir_all(library.join("json")).unwrap();
        std::fs::create_dir_all(library.join("site-packages")).unwrap();
        std::os::unix::fs::symlink("site-packages", library.join("vendored")).unwrap();
        std::fs::write(library.join("json/tool.py"), "x = 1").unwrap();
        std::fs::write(library.join("os.py"), "x = 2").unwrap();
        for (manner, name) in [(Manner::Copied, "copied"), (Manner::Linked, "linked")] {
            let made = base.path().join(name);
            let reads = make(&library, &made, manner).unwrap();
            assert_eq!(std::fs::read_to_string(made.join("json/tool.py")).unwrap(), "x = 1");
            assert_eq!(std::fs::read_to_string(made.join("os.py")).unwrap(), "x = 2");
            let mut names: Vec<_> = std::fs::read_dir(&made).unwrap().map(|e| e.unwrap().file_name()).collect();
            names.sort();
            assert_eq!(names, ["json", "os.py"]);
            let linked = (manner == Manner::Linked).then(|| library.join("json"));
            assert_eq!(reads, [made].into_iter().chain(linked).collect::<Vec<_>>());
        }
        assert!(!is_open(&library), "others cannot pass through the folder above");
        assert!(is_open(Path::new("/usr")));
    }
}
