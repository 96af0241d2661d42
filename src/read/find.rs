//! Where a run is: what a path means.

use super::inspect;
use super::ours::{self, Header};
use crate::error::{Error, Result};
use crate::visible;
use std::path::{Path, PathBuf};

/// What was found.
pub(super) enum Found {
    /// A run folder of ours.
    Ours { folder: PathBuf, header: Box<Header> },
    /// A results file of the reference's form.
    Results(PathBuf),
    /// A log of Inspect.
    Inspect(PathBuf),
}

/// Entries of a folder that are looked at.
const MOST_ENTRIES: usize = 200_000;

/// Finds the run that a path means.
pub(super) fn find(path: &Path) -> Result<Found> {
    let kind = std::fs::metadata(path).map_err(|err| {
        Error::io("cannot read this run", path, err).hint("name a run folder, as `fairmark run` prints it")
    })?;
    if !kind.is_dir() {
        return of_file(path);
    }
    if path.join("run.json").exists() {
        return of_ours(path);
    }
    let here = runs_in(path)?;
    let found = if here.is_empty() { one_level_down(path)? } else { here };
    match found.as_slice() {
        [] => Err(Error::input("there is no run in this folder").file(path).hint(
            "a run folder has a run.json; a folder of lm-evaluation-harness a results_<date>.json, a log of \
                   Inspect ends in .eval",
        )),
        [one] if one.is_dir() => of_ours(one),
        [one] => of_file(one),
        several => {
            let names: Vec<String> = several.iter().map(|path| path.display().to_string()).collect();
            Err(Error::input(format!("there are {} runs in this folder", several.len()))
                .file(path)
                .hint(format!("name one of them: {}", visible::list(&names))))
        }
    }
}

fn of_file(path: &Path) -> Result<Found> {
    let name = name_of(path).unwrap_or_default();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if name == "run.json" {
        return of_ours(folder);
    }
    if is_log(path) {
        return Ok(Found::Inspect(path.to_path_buf()));
    }
    if name.ends_with(".jsonl") || name.ends_with(".parquet") {
        return Err(Error::input("this is a file of samples, and a run is wanted").file(path).hint("name its folder"));
    }
    // A results file of ours has its header beside it.
    if folder.join("run.json").is_file() {
        let header = ours::header(&folder.join("run.json"))?;
        if header.results_name() == name {
            return Ok(Found::Ours { folder: folder.to_path_buf(), header: Box::new(header) });
        }
    }
    Ok(Found::Results(path.to_path_buf()))
}

fn of_ours(folder: &Path) -> Result<Found> {
    let header = Box::new(ours::header(&folder.join("run.json"))?);
    Ok(Found::Ours { folder: folder.to_path_buf(), header })
}

/// Results files and logs in a folder, sorted.
fn runs_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let is_results = |name: &str| name.starts_with("results") && name.ends_with(".json");
    let is_run = |path: &PathBuf| (name_of(path).is_some_and(is_results) || is_log(path)) && path.is_file();
    Ok(entries(folder)?.into_iter().filter(is_run).collect())
}

fn is_log(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == inspect::EXTENSION)
}

/// Runs in the folders of a folder.
fn one_level_down(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for below in entries(folder)?.into_iter().filter(|path| path.is_dir()) {
        if below.join("run.json").is_file() {
            found.push(below);
        } else {
            found.extend(runs_in(&below)?);
        }
    }
    Ok(found)
}

fn name_of(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let fail = |err| Error::io("cannot read this folder", folder, err);
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fail)?.take(MOST_ENTRIES) {
        entries.push(entry.map_err(fail)?.path());
    }
    entries.sort();
    Ok(entries)
}
