//! Folders whose content a hostile program made: removing them whatever they hold.

use std::path::{Path, PathBuf};

/// Levels that are removed in one go. As many names of full length still fit in a path.
const LEVELS: usize = 12;

/// Removes a folder and all below it, as far as possible.
///
/// The standard library goes one call deeper for each level, which folders in folders in folders could make too deep. So
/// deep ones are first moved up.
pub(super) fn remove(folder: &Path) {
    for round in 0..1_000_000 {
        let Some(deep) = descend(folder) else { break };
        if std::fs::rename(&deep, folder.join(format!("fairmark-{round}"))).is_err() {
            return;
        }
    }
    // Best effort: what stays lies below a folder that is this sandbox's own.
    let _ = std::fs::remove_dir_all(folder);
}

/// A folder that lies too far down, if there is one.
fn descend(folder: &Path) -> Option<PathBuf> {
    let mut stack = vec![(folder.to_path_buf(), 0)];
    while let Some((path, level)) = stack.pop() {
        if level == LEVELS {
            return Some(path);
        }
        for entry in std::fs::read_dir(&path).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|t| t.is_dir()) {
                stack.push((entry.path(), level + 1));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
