//! A second place for the standard library, where the programs' user cannot reach the first.
//!
//! A harness that runs as root drops its rights; a Python below a private home folder is then out of reach. Its library is
//! linked (or copied, from another file system) into the sandbox's folder.

use crate::error::{Error, Result};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Parts of the library that no program needs and that are large.
const SKIPPED: [&str; 8] =
    ["site-packages", "dist-packages", "test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip"];

/// Whether a user without any rights of its own can read what lies in the folder.
pub(super) fn is_open(folder: &Path) -> bool {
    let allows =
        |path: &Path, bits: u32| std::fs::metadata(path).is_ok_and(|about| about.permissions().mode() & bits == bits);
    allows(folder, 0o005) && folder.ancestors().skip(1).all(|parent| allows(parent, 0o001))
}

/// Makes the second place.
pub(super) fn make(library: &Path, into: &Path) -> Result<PathBuf> {
    copy(library, into).map_err(|e| {
        Error::io("cannot link or copy Python's library to", into, e)
            .hint("name a Python that all users may read, or by TMPDIR a folder with room for 100 MB")
    })?;
    Ok(into.to_path_buf())
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir(to)?;
    std::fs::set_permissions(to, std::fs::Permissions::from_mode(0o755))?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (name, source) = (entry.file_name(), entry.path());
        // Follows links: whatever a library's name leads to belongs to it.
        let about = match std::fs::metadata(&source) {
            Ok(about) => about,
            Err(_) => continue,
        };
        if about.is_dir() {
            if !SKIPPED.iter().any(|s| name == *s) {
                copy(&source, &to.join(name))?;
            }
        } else if about.is_file() && std::fs::hard_link(&source, to.join(&name)).is_err() {
            let target = to.join(&name);
            std::fs::copy(&source, &target)?;
            // The compiled files are good only with the source's own date.
            let file = std::fs::File::options().write(true).open(&target)?;
            file.set_modified(about.modified()?)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_files_and_skips_the_rest() {
        let base = tempfile::tempdir().unwrap();
        std::fs::set_permissions(base.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        let library = base.path().join("lib");
        std::fs::create_dir_all(library.join("json")).unwrap();
        std::fs::create_dir_all(library.join("site-packages")).unwrap();
        std::fs::write(library.join("json/tool.py"), "x = 1").unwrap();
        let made = make(&library, &base.path().join("new")).unwrap();
        assert_eq!(std::fs::read_to_string(made.join("json/tool.py")).unwrap(), "x = 1");
        assert!(!made.join("site-packages").exists());
        assert!(!is_open(&library), "others cannot pass through the folder above");
        assert!(is_open(Path::new("/usr")));
    }
}
