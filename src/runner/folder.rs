//! A run's folder: `<out>/<model>-<spec>/` with `run.json`, `journal.jsonl` and, when finished, the results.

use super::journal::{Journal, Recorded};
use crate::error::{Error, ErrorKind, Result};
use crate::file::{self, safe_name};
use crate::run::{Effort, Environment, FORMAT_VERSION, Header, Spec, Status};
use crate::usage::Totals;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

/// What to do about a folder that cannot be gone on with.
pub(super) const ANEW: &str = "move the folder away, or start anew with `--fresh`";
/// What to do about links and other odd files in a run folder.
pub(super) const ODD: &str =
    "a run folder holds plain files of its own: move the folder away, or write elsewhere with `--out DIR`";

/// An open run folder, locked against other processes.
pub struct RunFolder {
    pub path: PathBuf,
    pub header: Header,
    pub(super) journal: Journal,
    pub(super) recorded: Recorded,
    _lock: File,
}

/// Checks early, before weights are loaded, that runs can be written under `out`.
pub fn check_writable(out: &Path) -> Result<()> {
    let fail =
        |e| Error::io("cannot write runs to this folder", out, e).hint("name another one with `--out DIR`, or free it");
    fs::create_dir_all(out).map_err(fail)?;
    // Under a name that nobody can know beforehand.
    tempfile::Builder::new().prefix(".fairmark-").suffix(".probe").tempfile_in(out).map(drop).map_err(fail)
}

impl RunFolder {
    /// Opens the folder of this spec, or makes it. With `fresh`, what an earlier run left there is removed first.
    ///
    /// Errors: the folder, or a file of the run in it, is a link or no plain file; another process writes the run; what is there is damaged
    /// or of another version.
    pub fn open(out: &Path, spec: Spec, effort: Effort, environment: Environment, fresh: bool) -> Result<RunFolder> {
        let (spec_sha256, address) = (spec.sha256(), spec.address());
        let path = out.join(format!("{}-{}", safe_name(&spec.model.label), address.get(..12).unwrap_or(&address)));
        file::make_own_folder(&path).map_err(|e| Error::io("cannot make the run folder", &path, e).hint(ODD))?;
        let lock = lock(&path.join(".lock"))?;
        sweep(&path, fresh)?;
        let header_path = path.join("run.json");
        let header = match file::read_own(&header_path, file::SMALL) {
            Ok(bytes) => read_header(&header_path, &bytes, &spec, &environment)?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let status = Status::Incomplete;
                Header { format_version: FORMAT_VERSION, status, spec_sha256, spec, effort, environment }
            }
            Err(e) => return Err(Error::io("cannot read the run's header", &header_path, e).hint(ODD)),
        };
        let (journal, recorded) = Journal::open(&path.join("journal.jsonl"))?;
        let folder = RunFolder { path, header, journal, recorded, _lock: lock };
        folder.write_header()?;
        Ok(folder)
    }

    /// The run of another instruction set that is the same otherwise, if its folder lies beside this one: its path and that set.
    pub fn elsewhere(&self) -> Option<(PathBuf, String)> {
        self.header.spec.isa()?;
        let folders = fs::read_dir(self.path.parent()?).ok()?.flatten().map(|entry| entry.path());
        let prefix = format!("{}-", safe_name(&self.header.spec.model.label));
        let is_candidate = |path: &PathBuf| {
            *path != self.path && path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix))
        };
        let mut candidates: Vec<PathBuf> = folders.filter(is_candidate).collect();
        candidates.sort();
        candidates.into_iter().find_map(|path| {
            let bytes = crate::file::read(&path.join("run.json"), crate::file::SMALL).ok()?;
            let header: Header = serde_json::from_slice(&bytes).ok()?;
            let isa = header.spec.isa().filter(|_| self.header.spec.is_same_elsewhere(&header.spec))?.to_string();
            Some((path, isa))
        })
    }

    /// Checks, before anything is asked, that files of these names can be written.
    pub fn check_files(&self, names: &[String]) -> Result<()> {
        for name in names {
            let path = self.path.join(name);
            match fs::symlink_metadata(&path) {
                // A link is replaced, not followed.
                Ok(found) if !found.is_file() && !found.is_symlink() => {
                    return Err(Error::input("this is no file, and a file of the run goes there").file(path).hint(ODD));
                }
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    let hint = file::remedy(&e);
                    return Err(Error::io("cannot be written", &path, e).hint(hint));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Answers that an earlier, interrupted run left.
    pub fn num_recorded(&self) -> usize {
        self.recorded.answers.len()
    }

    /// Forgets what models and providers refused, so that it is asked again.
    pub fn forget_refusals(&mut self) {
        self.recorded.answers.retain(|_, outcome| outcome.is_ok());
    }

    /// What the answers took, those of earlier sessions included.
    pub fn totals(&self) -> &Totals {
        &self.recorded.totals
    }

    /// Whether the run had been finished before.
    pub fn is_complete(&self) -> bool {
        self.header.status == Status::Complete
    }

    /// Sets the state in `run.json`.
    pub fn set_status(&mut self, status: Status) -> Result<()> {
        self.header.status = status;
        self.write_header()
    }

    /// Writes a file of the run whole or not at all.
    pub fn write_file(&self, name: &str, bytes: &[u8]) -> Result<PathBuf> {
        let path = self.path.join(name);
        file::write_whole(&path, bytes).map_err(|e| {
            let remedy = file::remedy(&e);
            let hint =
                format!("{remedy}; the answers are safe in the journal, and the same command writes the file then");
            Error::io("cannot write", &path, e).hint(hint)
        })?;
        Ok(path)
    }

    fn write_header(&self) -> Result<()> {
        let mut bytes = serde_json::to_vec_pretty(&self.header)
            .map_err(|e| Error::input("cannot encode the run's header").cause(e))?;
        bytes.push(b'\n');
        self.write_file("run.json", &bytes).map(drop)
    }
}

/// The header of an earlier, equal run. Its answers are taken over, so it must come from the same version of fairmark.
fn read_header(path: &Path, bytes: &[u8], spec: &Spec, environment: &Environment) -> Result<Header> {
    let hint = ANEW;
    let value: serde_json::Value = serde_json::from_slice(bytes)
        .map_err(|e| Error::input("this run's header is damaged").file(path).cause(e).hint(hint))?;
    let version = value.get("format_version").and_then(serde_json::Value::as_u64);
    if version != Some(u64::from(FORMAT_VERSION)) {
        let theirs = version.map_or("an unknown format".to_string(), |version| format!("format {version}"));
        let problem =
            format!("this run is written in {theirs} of run folders, and this fairmark writes format {FORMAT_VERSION}");
        return Err(Error::input(problem).file(path).hint(hint));
    }
    let header: Header = serde_json::from_value(value)
        .map_err(|e| Error::input("this run's header is damaged").file(path).cause(e).hint(hint))?;
    let (theirs, ours) = (&header.environment.fairmark_version, &environment.fairmark_version);
    if theirs != ours {
        return Err(Error::input(format!("this run was begun by fairmark {theirs}, and this is {ours}"))
            .file(path)
            .hint(hint));
    }
    // A date that nobody chose is kept: it is that of the run's beginning. The spec goes into the results, and the start into the names of
    // files.
    if header.spec.address() != spec.address() || header.spec_sha256 != header.spec.sha256() {
        return Err(Error::input("this folder holds a run of something else").file(path).hint(hint));
    }
    if !is_date(&header.environment.started) || !header.environment.started_unix.is_finite() {
        return Err(Error::input("the start of this run is no date").file(path).hint(hint));
    }
    Ok(header)
}

/// Whether a text is a date as [`Environment::started`] has it.
fn is_date(text: &str) -> bool {
    chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").is_ok()
        && text.chars().all(|c| c.is_ascii_digit() || "-:.T".contains(c))
}

fn lock(path: &Path) -> Result<File> {
    let file = file::open_own(path).map_err(|e| Error::io("cannot make the lock file", path, e).hint(ODD))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::new(ErrorKind::Incomplete, "another fairmark is writing this run")
            .file(path)
            .hint("wait for it to end, or write elsewhere with `--out DIR`")),
        Err(TryLockError::Error(e)) => Err(Error::io("cannot lock the run folder", path, e)),
    }
}

/// Removes what killed sessions left half-written, and with `fresh` all that fairmark itself writes: links by themselves, never what is
/// behind them.
fn sweep(path: &Path, fresh: bool) -> Result<()> {
    let fail = |e| Error::io("cannot clear the run folder", path, e);
    for entry in fs::read_dir(path).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let partial = name.starts_with(".fairmark-") && name.ends_with(".partial");
        let ours = ["run.json", "journal.jsonl", "samples.parquet", "usage.json"].contains(&name.as_str())
            || (name.starts_with("results_") && name.ends_with(".json"))
            || (name.starts_with("samples_") && name.ends_with(".jsonl"))
            || name.starts_with("distributions_");
        if (partial || fresh && ours) && !entry.file_type().map_err(fail)?.is_dir() {
            fs::remove_file(entry.path()).map_err(fail)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unwritable_folder_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "x").unwrap();
        let err = check_writable(&file).unwrap_err();
        assert!(err.to_string().contains("--out DIR"), "{err}");
    }

    #[test]
    fn a_start_is_a_date_and_nothing_else() {
        for good in ["2026-11-24T02:05:33.123456", "2026-01-01T00:00:00"] {
            assert!(is_date(good), "{good}");
        }
        for bad in ["", "../../2026", "2026-11-24", "2026-11-24T02:05:33.123456/x", "2026-13-24T02:05:33", "x\u{1b}"] {
            assert!(!is_date(bad), "{bad}");
        }
    }
}
