//! How a Python of this machine is started, whoever starts it: nothing of the caller's folder or environment counts.
//!
//! With `-c`, Python's first place for modules is the current folder, and half a dozen variables add others. A folder that somebody else
//! filled (a checkpoint, a cloned repository) must not be able to run code of its own by way of a `json.py`.

use super::template::PYTHON_FLAGS;
use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Most bytes of an answer.
const LONGEST: u64 = 1 << 20;

/// What `python3` needs where it is a script that looks for the chosen version (pyenv, asdf). None of it is Python's own.
const FOR_SHIMS: [&str; 6] =
    ["HOME", "PYENV_ROOT", "PYENV_VERSION", "ASDF_DIR", "ASDF_DATA_DIR", "ASDF_PYTHON_VERSION"];

/// Whether a question needs the packages that are installed beside the standard library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packages {
    With,
    Without,
}

/// A Python whose path is known, with an emptied environment and `/` for its working folder. `PYTHONHASHSEED` is heeded, so that
/// sets come in the same order in every run; that is why it is not `-I`, which is the same otherwise.
pub(super) fn python(path: &Path) -> Command {
    let mut command = Command::new(path);
    command.args(PYTHON_FLAGS).env_clear().env("PYTHONHASHSEED", "0").current_dir("/");
    command
}

/// What a Python says to a question (its source), on standard output and error; `None` when it takes longer than `patience`.
///
/// Errors: there is no such Python, or it cannot be started.
pub(crate) fn ask(
    named: &Path,
    question: &str,
    packages: Packages,
    patience: Duration,
) -> io::Result<Option<[Vec<u8>; 2]>> {
    let deadline = Instant::now() + patience;
    let mut command = Command::new(located(named)?);
    command.args(["-I", "-B", "-X", "utf8"]).args((packages == Packages::Without).then_some("-S"));
    command.args(["-c", question]).current_dir("/").env_clear().envs(for_shims()).process_group(0);
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

/// The caller's environment without what a Python would heed: for programs that start one themselves.
pub(super) fn environment_without_python() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os().filter(|(name, _)| !name.as_bytes().starts_with(b"PYTHON"))
}

/// The path of a program that may be named without one. Places of the search path that hang on the current folder do not count.
fn located(named: &Path) -> io::Result<PathBuf> {
    if named.components().count() != 1 || named.is_absolute() {
        return std::path::absolute(named);
    }
    let runs =
        |path: &PathBuf| path.metadata().is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0);
    let found = std::env::split_paths(&search_path()).map(|folder| folder.join(named)).find(runs);
    found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "not found in the search path (PATH)"))
}

/// `PATH` without places that hang on the current folder.
fn search_path() -> OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).filter(|folder| folder.is_absolute()).collect();
    OsString::from_vec(folders.iter().map(|folder| folder.as_os_str().as_bytes()).collect::<Vec<_>>().join(&b':'))
}

fn for_shims() -> impl Iterator<Item = (&'static str, OsString)> {
    let kept = FOR_SHIMS.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
    kept.chain([("PATH", search_path())])
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_up_and_a_path_is_made_whole() {
        assert!(located(Path::new("sh")).unwrap().is_absolute());
        let here = std::env::current_dir().unwrap();
        assert_eq!(located(Path::new("./venv/bin/python")).unwrap(), here.join("venv/bin/python"));
        assert_eq!(located(Path::new("no-such-program")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
