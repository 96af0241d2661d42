//! Finds the host's Python and learns where its files lie.

use super::host::{self, Packages};
use crate::error::{Error, Result};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a Python may take to say what it is, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(30);

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
    /// The standard library's folders, as Python calls them; none lies in another.
    pub libraries: Vec<PathBuf>,
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
        Interpreter::find_within(wanted, PATIENCE)
    }

    fn find_within(wanted: Option<&Path>, patience: Duration) -> Result<Interpreter> {
        let named = wanted.unwrap_or(Path::new("python3"));
        let hint = "install Python 3.8 or newer, or name one";
        let said = host::ask(named, QUESTION, Packages::Without, patience)
            .map_err(|e| Error::io("cannot start the Python that is to run programs", named, e).hint(hint))?;
        let [said, complaint] = said.ok_or_else(|| {
            let message = format!("this Python does not answer within {patience:?}");
            Error::input(message).file(named).hint(hint)
        })?;
        let answer: Answer = serde_json::from_slice(&said).map_err(|_| {
            let said = String::from_utf8_lossy(&complaint);
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
        let libraries = libraries(answer.library, &answer.folders);
        let mut reads = answer.folders;
        reads.retain(|folder| libraries.contains(folder) || !folder.is_dir());
        reads.extend(answer.libraries);
        reads.push(path.clone());
        Ok(Interpreter { path, version: answer.version, ctypes: answer.ctypes, libraries, reads: existing(reads) })
    }
}

/// The folders that hold the standard library: the one so called, and others on Python's path beside it. One that holds it in turn (`/usr/lib`)
/// has much else.
fn libraries(library: PathBuf, folders: &[PathBuf]) -> Vec<PathBuf> {
    let mut found: Vec<(PathBuf, PathBuf)> = Vec::new();
    for folder in std::iter::once(&library).chain(folders) {
        let Some(real) = folder.canonicalize().ok().filter(|real| real.is_dir()) else { continue };
        if !found.iter().any(|(_, known)| real.starts_with(known) || known.starts_with(&real)) {
            found.push((folder.clone(), real));
        }
    }
    found.into_iter().map(|(folder, _)| folder).collect()
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
    use std::time::Instant;

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
    fn a_python_that_hangs_is_an_error_and_ended() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let (slow, note) = (dir.path().join("python3"), dir.path().join("pid"));
        std::fs::write(&slow, format!("#!/bin/sh\nsleep 600 &\necho $! > '{}'\nwait\n", note.display())).unwrap();
        std::fs::set_permissions(&slow, std::fs::Permissions::from_mode(0o755)).unwrap();
        let err = Interpreter::find_within(Some(&slow), Duration::from_secs(2)).unwrap_err();
        assert!(err.to_string().contains("does not answer within 2s"), "{err}");
        let pid: libc::pid_t = std::fs::read_to_string(note).unwrap().trim().parse().unwrap();
        let deadline = Instant::now() + PATIENCE;
        // SAFETY: a plain question.
        while unsafe { libc::kill(pid, 0) } == 0 {
            let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            if state.contains(") Z") {
                break;
            }
            assert!(Instant::now() < deadline, "what it started lives on");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn a_wrong_path_is_an_error_with_a_hint() {
        let err = Interpreter::find(Some(Path::new("/nowhere/python3"))).unwrap_err();
        assert!(err.to_string().contains("/nowhere/python3") && err.hint_text().is_some());
    }
}
