//! Runs on disk to [`Run`]s: ours, those of lm-evaluation-harness, and logs of Inspect.
//!
//! Comes in: a folder or a file. Goes out: a [`Run`], and its samples one by one, so that a run of a million samples is read in bounded
//! memory. Never: a model, data, the network. Everything read is untrusted.

mod filters;
mod find;
mod inspect;
mod journal;
mod lines;
mod ours;
mod results;
mod samples;

use crate::engine::Identity;
use crate::error::{Error, ErrorKind, Result};
use crate::record::{Line, Program, Run, Samples, Task};
use serde_json::{Map, Value};
use std::path::Path;

pub(crate) use samples::hash_of;

use find::{Found, find};

/// Opens a run: a run folder, a folder of the reference's with one results file (perhaps one level down), a results file, or an Inspect
/// log. One of ours that is not finished has no figures, and what was recorded of each task.
///
/// # Errors
/// There is no run, or more than one; its files are damaged, or of a version that is not known.
pub fn open(path: &Path) -> Result<Run> {
    match find(path)? {
        Found::Ours { folder, header } => ours::open(&folder, *header),
        Found::Results(file) => results::open(&file),
        Found::Inspect(file) => inspect::open(&file),
    }
}

/// Opens a finished run.
///
/// # Errors
/// Those of [`open`]; the run is not finished (exit code 3).
pub fn open_finished(path: &Path) -> Result<Run> {
    let run = open(path)?;
    match run.tasks.iter().all(|task| task.estimates.is_empty()) && run.is_unfinished() {
        true => Err(Error::new(ErrorKind::Incomplete, "this run is not finished").file(path).hint(
            match run.writer.program {
                Program::Inspect => "`inspect eval-retry` with this log goes on with it",
                _ => "give the command that began it again: it goes on where it stopped",
            },
        )),
        false => Ok(run),
    }
}

/// Reads the samples of a task one by one as they are written, with documents, prompts and answers.
///
/// # Errors
/// Those of [`samples`]; the run's writer keeps no such lines.
pub fn written_samples(run: &Run, task: &Task, visit: &mut dyn FnMut(Map<String, Value>) -> Result<()>) -> Result<()> {
    match &task.samples {
        Samples::Lines(file) => lines::read_written(file, visit),
        Samples::Inspect(_) => {
            Err(Error::input("a log of Inspect does not hold what was asked in a form that can be scored again")
                .file(&run.path))
        }
        Samples::Missing => Err(no_samples(run, task)),
    }
}

/// Who answered, where the run is one of ours.
///
/// # Errors
/// The run's header cannot be read.
pub fn identity(run: &Run) -> Result<Option<Identity>> {
    match run.writer.program {
        Program::Fairmark if run.path.join("run.json").exists() => {
            Ok(Some(ours::header(&run.path.join("run.json"))?.spec.model))
        }
        _ => Ok(None),
    }
}

/// Reads the samples of a task one by one: document by document, under each filter pipeline.
///
/// # Errors
/// The run has none; names the line that is damaged or too long; those of `visit`.
pub fn samples(run: &Run, task: &Task, visit: &mut dyn FnMut(Line) -> Result<()>) -> Result<()> {
    match &task.samples {
        Samples::Lines(file) => {
            let mut filters = filters::Filters::of(task);
            lines::read(file, &mut |mut line| {
                filters.name(&mut line);
                visit(line)
            })
        }
        Samples::Inspect(file) => inspect::samples(file, visit),
        Samples::Missing => Err(no_samples(run, task)),
    }
}

fn no_samples(run: &Run, task: &Task) -> Error {
    Error::input(format!("this run has no samples of {}", task.name))
        .file(&run.path)
        .hint("lm-evaluation-harness writes them with --log_samples, Inspect unless --no-log-samples, fairmark always")
}
