//! Finds the host's Python and learns where its files lie.

use super::template::PYTHON_FLAGS;
use crate::error::{Error, Result};
use serde::Deserialize;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long a Python may take to say what it is, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(30);

/// Most bytes of its answer.
const LONGEST: u64 = 1 << 20;

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
        Interpreter::find_within(wanted, PATIENCE)
    }

    fn find_within(wanted: Option<&Path>, patience: Duration) -> Result<Interpreter> {
        let named = wanted.unwrap_or(Path::new("python3"));
        let hint = "install Python 3.8 or newer, or name one";
        let said = ask(named, patience)
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
        let mut reads = answer.folders;
        reads.extend(answer.libraries);
        reads.push(path.clone());
        let (version, library) = (answer.version, answer.library);
        Ok(Interpreter { path, version, ctypes: answer.ctypes, library, reads: existing(reads) })
    }
}

/// What a Python says to the question, on standard output and error; `None` when it takes too long.
fn ask(named: &Path, patience: Duration) -> std::io::Result<Option<[Vec<u8>; 2]>> {
    let deadline = Instant::now() + patience;
    let mut command = Command::new(named);
    command.args(PYTHON_FLAGS).args(["-c", QUESTION]).process_group(0);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let texts = (child.stdout.take().map(reader), child.stderr.take().map(reader));
    let text = |reader: Option<mpsc::Receiver<Vec<u8>>>| {
        reader?.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()
    };
    let said = text(texts.0).zip(text(texts.1));
    let ended = said.is_some() && ends_by(&mut child, deadline);
    if !ended {
        kill_group(&mut child);
    }
    Ok(said.filter(|_| ended).map(|(output, complaint)| [output, complaint]))
}

/// Reads a pipe on a thread of its own: who else holds the other end is not known.
fn reader(pipe: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = Vec::new();
        // What came before an error is all there is.
        let _ = pipe.take(LONGEST).read_to_end(&mut text);
        let _ = sender.send(text);
    });
    receiver
}

fn ends_by(child: &mut Child, deadline: Instant) -> bool {
    while matches!(child.try_wait(), Ok(None)) {
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}

/// Ends a child that leads a group, which may be a script that has started others.
fn kill_group(child: &mut Child) {
    if let Ok(pid) = libc::pid_t::try_from(child.id()) {
        // SAFETY: a plain call. The child is not reaped yet, so its number is nobody else's.
        unsafe { libc::kill(-pid, libc::SIGKILL) };
    }
    let _ = child.kill();
    let _ = child.wait();
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
