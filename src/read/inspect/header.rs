//! What a log says of itself (`header.json`; `_journal/start.json` while it is being written) to a [`Run`].

use super::archive::Archive;
use super::digest::Digest;
use crate::error::{Error, Result};
use crate::estimate::{Estimate, StderrMethod};
use crate::read::results::label;
use crate::record::{Model, Node, Program, Run, Samples, Task, Writer};
use crate::remark::Remark;
use crate::run::Status;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::path::Path;

/// The version of logs that is read.
const VERSION: u64 = 2;

/// Figures that tell the error of another one.
const STDERRS: [&str; 2] = ["stderr", "bootstrap_stderr"];

/// Figures that are no mean of scores, whatever they come to.
const SPREADS: [&str; 4] = ["stderr", "bootstrap_stderr", "std", "var"];

/// `header.json`; the start has the first two.
#[derive(Debug, Deserialize)]
pub(super) struct Log {
    version: u64,
    eval: Spec,
    status: Option<String>,
    results: Option<Results>,
}

#[derive(Debug, Deserialize)]
struct Spec {
    created: Option<String>,
    task: String,
    task_version: Option<Value>,
    task_display_name: Option<String>,
    model: String,
    dataset: Option<Dataset>,
    config: Option<Config>,
    packages: Option<HashMap<String, Value>>,
    scorers: Option<Digest>,
}

#[derive(Debug, Deserialize)]
struct Dataset {
    samples: Option<usize>,
}

#[derive(Debug, Deserialize)]
struct Config {
    epochs: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Results {
    #[serde(default)]
    total_samples: u64,
    #[serde(default)]
    scores: Vec<Score>,
}

#[derive(Debug, Deserialize)]
struct Score {
    name: String,
    scorer: String,
    reducer: Option<String>,
    scored_samples: Option<usize>,
    unscored_samples: Option<usize>,
    #[serde(default)]
    metrics: serde_json::Map<String, Value>,
}

/// A scorer, or a key of one: which scores of the samples it is, and which figures are made of them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Column {
    pub filter: String,
    pub scorer: String,
    pub key: Option<String>,
    /// Names of figures that may be a mean of the scores.
    pub metrics: Vec<String>,
    /// Whether the epochs of a document are averaged.
    pub averages: bool,
}

/// Reads the header, or what there is instead.
///
/// # Errors
/// There is none, it is damaged, or of another version.
pub(super) fn read(archive: &Archive) -> Result<Log> {
    let missing = || {
        Err(Error::input("this is no log of Inspect: it has neither `header.json` nor `_journal/start.json`")
            .hint("name a file that `inspect eval` wrote"))
    };
    let log: Log = archive.header().or_else(|| archive.start()).unwrap_or_else(missing)?;
    if log.version != VERSION {
        let message =
            format!("this log has version {} of Inspect's logs, and this fairmark reads {VERSION}", log.version);
        return Err(Error::input(message).hint("`inspect log convert` of a newer Inspect writes it again"));
    }
    Ok(log)
}

impl Log {
    /// How often each document was asked.
    pub(super) fn epochs(&self) -> u64 {
        self.eval.config.as_ref().and_then(|config| config.epochs).unwrap_or(1).max(1)
    }

    /// Scorers and keys of scorers, each once.
    pub(super) fn columns(&self) -> Vec<Column> {
        self.scores().iter().map(Score::column).collect()
    }

    fn scores(&self) -> &[Score] {
        self.results.as_ref().map(|results| results.scores.as_slice()).unwrap_or_default()
    }

    /// Documents that should have been asked.
    fn planned(&self) -> Option<usize> {
        let total = self.results.as_ref()?.total_samples;
        Some((total / self.epochs()) as usize).filter(|planned| *planned > 0)
    }

    /// The run that a log is. `recorded`: documents of which there are samples.
    pub(super) fn into_run(self, path: &Path, recorded: usize) -> Run {
        let eval = &self.eval;
        let version = eval.packages.as_ref().and_then(|packages| packages.get("inspect_ai"));
        let version = version.and_then(Value::as_str).map(str::to_owned);
        let mut run = Run {
            spec_sha256: None,
            path: path.to_path_buf(),
            writer: Writer { program: Program::Inspect, version },
            model: Model { label: label(&eval.model), name: Some(eval.model.clone()), ..Model::default() },
            status: if self.status.as_deref() == Some("success") { Status::Complete } else { Status::Incomplete },
            repeatable: None,
            started: eval.created.as_deref().and_then(seconds),
            tree: vec![Node::Task(eval.task.clone())],
            tasks: vec![self.task(path, recorded)],
            groups: Vec::new(),
            not_run: Vec::new(),
            usage: None,
        };
        if !run.is_whole() {
            run.status = Status::Incomplete;
        }
        run
    }

    fn task(&self, path: &Path, recorded: usize) -> Task {
        let eval = &self.eval;
        let alias = eval.task_display_name.as_ref().filter(|name| !name.is_empty()).unwrap_or(&eval.task);
        let mut config = Map::new();
        if let Some(scorers) = eval.scorers {
            config.insert("scorers".into(), Value::String(scorers.hex()));
        }
        let epochs = self.epochs();
        let averaged = (epochs > 1).then(|| {
            Remark::note(
                &eval.task,
                format!("each document was asked {epochs} times, and its scores are averaged first"),
            )
        });
        Task {
            name: eval.task.clone(),
            alias: alias.clone(),
            // 0 is what stands where a task says none.
            version: eval.task_version.clone().filter(|version| version.as_u64() != Some(0) && !version.is_null()),
            original: eval.dataset.as_ref().and_then(|dataset| dataset.samples),
            effective: Some(self.planned().unwrap_or(recorded)),
            estimates: self.scores().iter().flat_map(|score| self.estimates(score)).collect(),
            unscored: self.unscored(),
            remarks: averaged.into_iter().collect(),
            config,
            samples: if recorded > 0 { Samples::Inspect(path.to_path_buf()) } else { Samples::Missing },
            ..Task::default()
        }
    }

    /// Documents without scores: those that no scorer saw, and those that one saw and did not score.
    fn unscored(&self) -> Vec<(String, usize)> {
        let (Some(planned), false) = (self.planned(), self.scores().is_empty()) else { return Vec::new() };
        let seen = |score: &Score| Some(score.scored_samples? + score.unscored_samples?);
        let Some(seen) = self.scores().iter().map(seen).collect::<Option<Vec<usize>>>() else { return Vec::new() };
        let missing = planned.saturating_sub(seen.into_iter().min().unwrap_or(planned));
        let left_out = self.scores().iter().filter_map(|score| score.unscored_samples).max().unwrap_or(0);
        let reasons =
            [("the sample ended in an error, or was not run", missing), ("its scorer gave no score", left_out)];
        reasons.into_iter().filter(|(_, count)| *count > 0).map(|(why, count)| (why.to_owned(), count)).collect()
    }

    fn estimates(&self, score: &Score) -> Vec<Estimate> {
        let scored = score.scored_samples.or(self.planned()).unwrap_or(0);
        let figures = score.metrics.iter().filter(|(name, _)| !STDERRS.contains(&name.as_str()));
        let estimate = |(name, metric): (&String, &Value)| {
            let (stderr, method) = score.error_of(name);
            Estimate {
                metric: name.clone(),
                filter: score.filter(),
                value: metric.get("value").and_then(Value::as_f64),
                stderr,
                stderr_method: method,
                n: scored,
                unscored: self.planned().map_or(0, |planned| planned.saturating_sub(scored)),
                refused: 0,
                bounds: None,
                // The share of right answers, by what the metric says of itself; of other figures nobody knows.
                higher_is_better: (name == "accuracy").then_some(true),
            }
        };
        figures.map(estimate).collect()
    }
}

impl Score {
    /// A key of a scorer's scores has the key's name, and the scorer's beside it.
    fn key(&self) -> Option<&str> {
        // Of two scorers of one name the second is called `match1`: its figures say so in their name, not in the scorer's.
        let numbered =
            self.name.strip_prefix(&self.scorer).is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()));
        (!numbered).then_some(self.name.as_str())
    }

    fn averages(&self) -> bool {
        self.reducer.as_deref().is_none_or(|reducer| reducer == "mean")
    }

    fn filter(&self) -> String {
        let plain = match self.key() {
            Some(key) => format!("{}/{key}", self.scorer),
            None => self.name.clone(),
        };
        match &self.reducer {
            Some(reducer) if !self.averages() => format!("{plain} ({reducer})"),
            _ => plain,
        }
    }

    fn column(&self) -> Column {
        let key = self.key().map(str::to_owned);
        let is_mean = |(name, metric): &(&String, &Value)| {
            // Of a figure that has parts each is over some of the documents.
            !SPREADS.contains(&name.as_str()) && metric.get("group").is_none_or(Value::is_null)
        };
        Column {
            filter: self.filter(),
            scorer: if key.is_some() { self.scorer.clone() } else { self.name.clone() },
            key,
            metrics: self.metrics.iter().filter(is_mean).map(|(name, _)| name.clone()).collect(),
            averages: self.averages(),
        }
    }

    /// The standard error that stands beside a mean.
    fn error_of(&self, metric: &str) -> (Option<f64>, Option<StderrMethod>) {
        if !["accuracy", "mean"].contains(&metric) {
            return (None, None);
        }
        let find = |name: &&str| self.metrics.get(*name);
        let Some((name, found)) = STDERRS.iter().find_map(|name| Some((*name, find(name)?))) else {
            return (None, None);
        };
        let clustered = found.pointer("/params/cluster").is_some_and(|cluster| !cluster.is_null());
        let method = match name {
            "bootstrap_stderr" => Some(StderrMethod::Bootstrap),
            _ => (!clustered).then_some(StderrMethod::Mean),
        };
        (found.get("value").and_then(Value::as_f64), method)
    }
}

/// Seconds since 1970 of a date as Inspect writes it.
fn seconds(date: &str) -> Option<f64> {
    let date = chrono::DateTime::parse_from_rfc3339(date).ok()?;
    Some(date.timestamp() as f64 + f64::from(date.timestamp_subsec_micros()) / 1e6)
}
