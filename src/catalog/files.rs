//! Where task files are: compiled into the binary, or on disk. Built-in ones have paths that begin with `built-in:`.

use crate::error::{Error, Result};
use crate::file;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

// `FILES`: every file under `tasks/` with its text, in order of path; written by `build.rs`.
include!(concat!(env!("OUT_DIR"), "/tasks.rs"));

/// What the path of a built-in file begins with.
const BUILT_IN: &str = "built-in:";

/// Folders that are never looked into.
const IGNORED: [&str; 2] = ["__pycache__", ".ipynb_checkpoints"];

/// Largest task file that is read, in bytes.
const MAX_BYTES: u64 = 32 << 20;

/// The built-in task files (`*.yaml`), in order.
pub fn built_in() -> impl Iterator<Item = PathBuf> {
    FILES.iter().filter(|(name, _)| name.ends_with(".yaml")).map(|(name, _)| built_in_path(name))
}

fn built_in_path(name: &str) -> PathBuf {
    PathBuf::from(format!("{BUILT_IN}{name}"))
}

/// The `*.yaml` files under a folder, ordered by whole path compared as text. Linked folders are not followed.
pub fn under(root: &Path) -> Result<Vec<PathBuf>> {
    if !root.is_dir() {
        return Err(Error::input("no such folder of task files").file(root));
    }
    let mut found = Vec::new();
    let mut folders = VecDeque::from([root.to_path_buf()]);
    while let Some(folder) = folders.pop_front() {
        for entry in fs::read_dir(&folder).map_err(|err| Error::io("cannot list", &folder, err))? {
            let entry = entry.map_err(|err| Error::io("cannot list", &folder, err))?;
            let path = entry.path();
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let ignored = IGNORED.iter().any(|name| entry.file_name() == *name);
            if is_folder && !ignored {
                folders.push_back(path);
            } else if !is_folder && is_yaml(&path) {
                found.push(path);
            }
        }
    }
    found.sort_by(|a, b| a.as_os_str().cmp(b.as_os_str()));
    Ok(found)
}

/// Whether a path ends in `.yaml`.
pub fn is_yaml(path: &Path) -> bool {
    path.as_os_str().to_string_lossy().ends_with(".yaml")
}

/// The text of a task file.
pub fn read(path: &Path) -> Result<Cow<'static, str>> {
    if let Some(name) = built_in_name(path) {
        let Some((_, text)) = FILES.iter().find(|(file, _)| *file == name) else {
            let near = crate::error::nearest(&name, FILES.iter().map(|(file, _)| *file));
            let err = Error::input("there is no such built-in file").file(path);
            return Err(match near {
                Some(near) => err.hint(format!("did you mean `{BUILT_IN}{near}`?")),
                None => err,
            });
        };
        return Ok(Cow::Borrowed(text));
    }
    let bytes = file::read(path, MAX_BYTES).map_err(|err| match err.kind() {
        ErrorKind::FileTooLarge => {
            Error::input(format!("larger than {} MiB, this is no task file", MAX_BYTES >> 20)).file(path)
        }
        _ => Error::io("cannot read", path, err),
    })?;
    String::from_utf8(bytes).map(Cow::Owned).map_err(|err| {
        let valid = err.utf8_error().valid_up_to();
        let line = 1 + err.as_bytes().iter().take(valid).filter(|byte| **byte == b'\n').count();
        Error::input("not UTF-8 text").at(path, line).hint("save the file as UTF-8")
    })
}

/// The file that `include: name` in `from` means: relative to `from`, absolute, or `built-in:...`.
pub fn included(from: &Path, name: &str) -> PathBuf {
    if let Some(rest) = name.strip_prefix(BUILT_IN) {
        return built_in_path(&normalized(Path::new(rest)));
    }
    match built_in_name(from) {
        Some(own) if !Path::new(name).is_absolute() => {
            let folder = Path::new(&own).parent().unwrap_or(Path::new(""));
            built_in_path(&normalized(&folder.join(name)))
        }
        _ => from.parent().unwrap_or(Path::new("")).join(name),
    }
}

/// One name for one file, so that an include cycle is seen through links and `..`.
pub fn identity(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
}

fn built_in_name(path: &Path) -> Option<String> {
    path.to_str()?.strip_prefix(BUILT_IN).map(str::to_owned)
}

/// The path without `.` and `..`, with `/` between its parts.
fn normalized(path: &Path) -> String {
    let mut parts: Vec<Cow<'_, str>> = Vec::new();
    for part in path.iter().map(|part| part.to_string_lossy()) {
        match part.as_ref() {
            "." => {}
            ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn includes_are_relative_to_the_file() {
        let cases = [
            ("built-in:a/b.yaml", "../c/_t", "built-in:c/_t"),
            ("built-in:a/b.yaml", "./_t", "built-in:a/_t"),
            ("/x/b.yaml", "../c/_t", "/x/../c/_t"),
            ("/x/b.yaml", "built-in:mmlu/_mmlu_template", "built-in:mmlu/_mmlu_template"),
            ("built-in:a/b.yaml", "/x/_t", "/x/_t"),
        ];
        for (from, name, want) in cases {
            assert_eq!(included(Path::new(from), name), Path::new(want), "{from} {name}");
        }
    }

    #[test]
    fn built_in_files_are_there() {
        assert!(built_in().count() > 60);
        assert!(read(Path::new("built-in:mmlu/_mmlu_template")).unwrap().contains("cais/mmlu"));
        let err = read(Path::new("built-in:mmlu/_mmlu_tmplate")).unwrap_err().to_string();
        assert!(err.contains("did you mean `built-in:mmlu/_mmlu_template`?"), "{err}");
    }

    #[test]
    fn other_encodings_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("t.yaml");
        fs::write(&file, b"task: x\nname: caf\xe9\n").unwrap();
        let err = read(&file).unwrap_err().to_string();
        assert!(err.contains("t.yaml:2: not UTF-8 text"), "{err}");
        assert!(read(folder.path()).unwrap_err().to_string().contains("not a file"));
    }
}
