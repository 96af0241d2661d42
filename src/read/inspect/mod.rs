//! Logs of Inspect (`.eval`, version 2): a zip of JSON files, read entry by entry in bounded memory.
//!
//! One log is one task. Inspect's scorer both finds the answer and judges it; it stands where a filter pipeline stands, so that figures of
//! two logs with the same scorer have the same names: filter `match`, metric `accuracy`. A score with several keys gives a filter for each
//! (`looks/length`), and a way to reduce epochs that is no mean is part of the name (`match (mode)`).
//!
//! Source of the layout: inspect_ai 0.3.285, `log/_recorders/eval.py`, `log/_log.py`, `_eval/task/results.py`.

mod archive;
mod constants;
mod digest;
mod documents;
mod header;
mod sample;
mod value;

use crate::error::{Error, Result};
use crate::record::{Line, Run};
use archive::Archive;
use documents::Documents;
use std::path::Path;

/// How a log's name ends.
pub(super) const EXTENSION: &str = "eval";

/// Opens a log. One that is still being written, or whose writer was ended, has no figures and status incomplete.
///
/// # Errors
/// It cannot be read, is damaged, no log of Inspect, of another version, or larger than what is read.
pub(super) fn open(path: &Path) -> Result<Run> {
    let archive = Archive::open(path)?;
    let log = header::read(&archive).map_err(|err| err.file(path))?;
    Ok(log.into_run(path, archive.documents()))
}

/// Reads the scores of a log one by one: document by document, under each scorer. Where documents were asked several times their scores
/// are averaged first, which needs as much memory as they have numbers.
///
/// # Errors
/// Those of [`open`]; a sample that is damaged, or stands twice; those of `visit`.
pub(super) fn samples(path: &Path, visit: &mut dyn FnMut(Line) -> Result<()>) -> Result<()> {
    let archive = Archive::open(path)?;
    let log = header::read(&archive).map_err(|err| err.file(path))?;
    let mut documents = Documents::new(log.columns(), log.epochs());
    for index in 0..archive.samples() {
        let (name, sample) = archive.sample(index)?;
        let named = |err: Error| err.file(path).key(name.clone());
        documents.add(sample, visit).map_err(named)?;
    }
    documents.finish(visit)
}

#[cfg(test)]
mod tests;
