//! Our run folders: the header, the results file with its own section, and what an unfinished run has recorded.

use super::{journal, results};
use crate::error::{Error, Result};
use crate::file;
use crate::record::{Model, Node, Program, Run, Task, Writer};
use crate::run::{self, FORMAT_VERSION, PRECISION_OPTION, Status};
use serde_json::Value;
use std::path::Path;

/// Bytes of `usage.json` at most.
const LARGEST_USAGE: u64 = 1 << 20;

/// The header of a run folder.
pub(super) type Header = run::Header;

impl Header {
    /// The name of the run's results file.
    pub(super) fn results_name(&self) -> String {
        format!("results_{}.json", self.environment.started.replace(':', "-"))
    }
}

/// Reads `run.json`.
pub(super) fn header(path: &Path) -> Result<Header> {
    let bytes = file::read(path, file::SMALL).map_err(|err| Error::io("cannot read", path, err))?;
    let damaged = |err: serde_json::Error| Error::input("this run's header is damaged").file(path).cause(err);
    let value: Value = serde_json::from_slice(&bytes).map_err(damaged)?;
    match value.get("format_version").and_then(Value::as_u64) {
        Some(version) if version == u64::from(FORMAT_VERSION) => {}
        Some(version) => {
            let message =
                format!("this run has format {version} of run folders, and this fairmark reads {FORMAT_VERSION}");
            let hint = match version < u64::from(FORMAT_VERSION) {
                true => "run it again with this fairmark, or read it with the one that wrote it",
                false => "read it with the fairmark that wrote it",
            };
            return Err(Error::input(message).file(path).hint(hint));
        }
        None => return Err(Error::input("this is no run's header: it has no `format_version`").file(path)),
    }
    let header: Header = serde_json::from_value(value).map_err(damaged)?;
    let odd = |c: char| !(c.is_ascii_digit() || "-:.T".contains(c));
    if header.environment.started.contains(odd) || header.environment.started.is_empty() {
        return Err(Error::input("this run's header is damaged: its start is no date").file(path));
    }
    Ok(header)
}

/// Reads a run folder.
pub(super) fn open(folder: &Path, header: Header) -> Result<Run> {
    let file = folder.join(header.results_name());
    let mut run = if file.exists() { results::open(&file)? } else { unfinished(folder, &header)? };
    run.path = folder.to_path_buf();
    run.status = header.status;
    run.spec_sha256 = Some(header.spec_sha256.clone());
    run.usage = file::read(&folder.join("usage.json"), LARGEST_USAGE)
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok());
    Ok(run)
}

/// A run without results: its tasks, and how many documents of each have their scores.
fn unfinished(folder: &Path, header: &Header) -> Result<Run> {
    let scored = journal::scored(&folder.join("journal.jsonl"))?;
    let spec = &header.spec;
    let task = |spec: &run::TaskSpec| Task {
        name: spec.name.clone(),
        alias: spec.name.clone(),
        version: spec.version.clone(),
        effective: Some(scored.get(&spec.name).copied().unwrap_or(0)),
        ..Task::default()
    };
    Ok(Run {
        path: folder.to_path_buf(),
        writer: Writer { program: Program::Fairmark, version: Some(header.environment.fairmark_version.clone()) },
        model: model(spec),
        status: Status::Incomplete,
        repeatable: Some(repeats(&spec.model.engine)),
        started: Some(header.environment.started_unix),
        tree: spec.tasks.iter().map(|task| Node::Task(task.name.clone())).collect(),
        tasks: spec.tasks.iter().map(task).collect(),
        groups: Vec::new(),
        not_run: Vec::new(),
        spec_sha256: Some(header.spec_sha256.clone()),
        usage: None,
    })
}

/// The model that a spec names.
pub(super) fn model(spec: &run::Spec) -> Model {
    let model = &spec.model;
    Model {
        name: Some(model.name.clone()),
        label: model.label.clone(),
        storage: model.storage.clone().or_else(|| model.dtype.clone()),
        precision: model.options.iter().find_map(|option| option.strip_prefix(PRECISION_OPTION)).map(str::to_owned),
        bytes: model.model_bytes,
        num_parameters: model.num_parameters,
    }
}

/// Our own engines give the same bits again; servers do not promise it.
pub(super) fn repeats(engine: &str) -> bool {
    matches!(engine, "local" | "mock")
}
