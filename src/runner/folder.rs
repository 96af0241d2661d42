//! A run's folder: `<out>/<model>-<spec>/` with `run.json`, `journal.jsonl` and, when finished, the results.

use super::journal::{Journal, Recorded};
use crate::error::{Error, ErrorKind, Result};
use crate::file::safe_name;
use crate::run::{Effort, Environment, FORMAT_VERSION, Header, Spec, Status};
use crate::usage::Totals;
use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

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
    let probe = out.join(format!(".fairmark-probe-{}", std::process::id()));
    File::create(&probe).map_err(fail)?;
    fs::remove_file(&probe).map_err(fail)
}

impl RunFolder {
    /// Opens the folder of this spec, or makes it. With `fresh`, what an earlier run left there is removed first.
    pub fn open(out: &Path, spec: Spec, effort: Effort, environment: Environment, fresh: bool) -> Result<RunFolder> {
        let (spec_sha256, address) = (spec.sha256(), spec.address());
        let path = out.join(format!("{}-{}", safe_name(&spec.model.label), address.get(..12).unwrap_or(&address)));
        fs::create_dir_all(&path).map_err(|e| Error::io("cannot make the run folder", &path, e))?;
        let lock = lock(&path.join(".lock"))?;
        if fresh {
            remove_outputs(&path)?;
        }
        let header_path = path.join("run.json");
        let header = match fs::read(&header_path) {
            Ok(bytes) => read_header(&header_path, &bytes, &spec, &environment)?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let status = Status::Incomplete;
                Header { format_version: FORMAT_VERSION, status, spec_sha256, spec, effort, environment }
            }
            Err(e) => return Err(Error::io("cannot read the run's header", &header_path, e)),
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

    /// Journal lines that could not be read.
    pub fn num_damaged(&self) -> usize {
        self.recorded.damaged
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
        let partial = self.path.join(format!(".{name}.partial"));
        let fail =
            |e| Error::io("cannot write", &path, e).hint("the journal is safe; make room and run the same command");
        let mut file = File::create(&partial).map_err(fail)?;
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(fail)?;
        fs::rename(&partial, &path).map_err(fail)?;
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
    let hint = "move the folder away, or start anew with `--fresh`";
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
    // A date that nobody chose is kept: it is that of the run's beginning.
    if header.spec.address() != spec.address() || header.spec_sha256 != header.spec.sha256() {
        return Err(Error::input("this folder holds a run of something else").file(path).hint(hint));
    }
    Ok(header)
}

fn lock(path: &Path) -> Result<File> {
    let file = File::create(path).map_err(|e| Error::io("cannot make the lock file", path, e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::new(ErrorKind::Incomplete, "another fairmark is writing this run")
            .file(path)
            .hint("wait for it to end, or write elsewhere with `--out DIR`")),
        Err(TryLockError::Error(e)) => Err(Error::io("cannot lock the run folder", path, e)),
    }
}

/// Removes only what fairmark itself writes.
fn remove_outputs(path: &Path) -> Result<()> {
    let fail = |e| Error::io("cannot clear the run folder", path, e);
    for entry in fs::read_dir(path).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let ours = ["run.json", "journal.jsonl", "samples.parquet", "usage.json"].contains(&name.as_str())
            || (name.starts_with("results_") && name.ends_with(".json"))
            || (name.starts_with("samples_") && name.ends_with(".jsonl"));
        if ours {
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
}
