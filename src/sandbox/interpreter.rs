//! Finds the host's Python and learns where its files lie.

use super::template::PYTHON_FLAGS;
use crate::error::{Error, Result};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Oldest Python that works.
const OLDEST: (u32, u32) = (3, 8);

/// Prints what the launcher must know, as JSON. `/proc/self/maps` names the shared libraries that are loaded.
const QUESTION: &str = r#"
import importlib, json, os, sys, sysconfig
try:
    import ctypes
except ImportError:
    ctypes = None
libraries = set()
shared = sysconfig.get_config_var("DESTSHARED")
for file in sorted(os.listdir(shared)) if shared and os.path.isdir(shared) else []:
    name = file.split(".")[0]
    if not name.startswith(("_test", "_tkinter", "_xx", "xx")):
        try:
            importlib.import_module(name)
        except Exception:
            pass
try:
    with open("/proc/self/maps") as maps:
        libraries = {line.split(None, 5)[5].strip() for line in maps if len(line.split(None, 5)) == 6}
except OSError:
    pass
paths = sysconfig.get_paths()
folders = {paths["stdlib"], paths["platstdlib"], shared or paths["platstdlib"]}
folders |= {p for p in sys.path if p}
print(json.dumps({
    "executable": sys.executable,
    "version": sys.version.split()[0],
    "pair": sys.version_info[:2],
    "ctypes": ctypes is not None,
    "library": paths["stdlib"],
    "folders": sorted(folders),
    "libraries": sorted(p for p in libraries if p.startswith("/")),
}))
"#;

/// The Python that runs the programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Interpreter {
    /// The real executable, without shims and links.
    pub path: PathBuf,
    /// `3.11.7`.
    pub version: String,
    /// Whether it can make system calls itself, which the launcher needs.
    pub ctypes: bool,
    /// The standard library's folder.
    pub library: PathBuf,
    /// Folders and files that it reads: standard library, shared libraries, the executable.
    pub reads: Vec<PathBuf>,
}

#[derive(Deserialize)]
struct Answer {
    executable: String,
    version: String,
    pair: (u32, u32),
    ctypes: bool,
    library: PathBuf,
    folders: Vec<PathBuf>,
    libraries: Vec<PathBuf>,
}

impl Interpreter {
    /// Asks the given Python, or the first `python3` on the path.
    pub(super) fn find(wanted: Option<&Path>) -> Result<Interpreter> {
        let named = wanted.unwrap_or(Path::new("python3"));
        let hint = "install Python 3.8 or newer, or name one";
        let output = Command::new(named)
            .args(PYTHON_FLAGS)
            .args(["-c", QUESTION])
            .stdin(Stdio::null())
            .output()
            .map_err(|e| Error::io("cannot start the Python that is to run programs", named, e).hint(hint))?;
        let answer: Answer = serde_json::from_slice(&output.stdout).map_err(|_| {
            let said = String::from_utf8_lossy(&output.stderr);
            let last = said.lines().last().unwrap_or("no answer").to_owned();
            Error::input(format!("this Python does not work: {last}")).file(named).hint(hint)
        })?;
        if answer.pair < OLDEST {
            let message = format!("Python {} is too old to run programs", answer.version);
            return Err(Error::input(message).file(named).hint(hint));
        }
        // A link (of a virtual environment, say) would have to be shown to a container as well.
        let path = PathBuf::from(answer.executable);
        let path = path.canonicalize().unwrap_or(path);
        let mut reads = answer.folders;
        reads.extend(answer.libraries);
        reads.push(path.clone());
        let (version, library) = (answer.version, answer.library);
        Ok(Interpreter { path, version, ctypes: answer.ctypes, library, reads: existing(reads) })
    }
}

/// The real paths of those that exist, without any that lie inside another.
fn existing(paths: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut real: Vec<PathBuf> = paths.iter().filter_map(|p| p.canonicalize().ok()).collect();
    real.sort();
    real.dedup();
    // Sorted, a folder comes before what lies in it.
    let mut kept: Vec<PathBuf> = Vec::new();
    for path in real {
        if !kept.iter().any(|k| path.starts_with(k)) {
            kept.push(path);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_paths_are_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(base.join("a/b")).unwrap();
        std::fs::create_dir_all(base.join("ab")).unwrap();
        let found = existing(vec![base.join("a/b"), base.join("ab"), base.join("a"), base.join("gone")]);
        assert_eq!(found, [base.join("a"), base.join("ab")]);
    }

    #[test]
    fn a_wrong_path_is_an_error_with_a_hint() {
        let err = Interpreter::find(Some(Path::new("/nowhere/python3"))).unwrap_err();
        assert!(err.to_string().contains("/nowhere/python3") && err.hint_text().is_some());
    }
}
