//! The files of a finished run: their names, known before anything is asked, and their writing. The reference's results and samples, and
//! all samples as Parquet.

pub(super) mod parquet;
pub(super) mod results;
pub(super) mod samples;

use super::{Finished, Means, RunFolder};
use crate::error::Result;
use crate::file::unique_name;
use crate::request::Prompt;
use crate::run::Status;
use parquet::samples_parquet;
use results::{JudgeReport, ResultsInput, results_json};
use samples::samples_jsonl;

/// Names of the files of a finished run that depend on its tasks and its start.
pub struct Names {
    /// One for each task.
    samples: Vec<String>,
    results: String,
}

impl Names {
    /// Those of a run of these tasks.
    pub fn new<'a>(folder: &RunFolder, tasks: impl Iterator<Item = &'a str>) -> Names {
        let date = folder.header.environment.started.replace(':', "-");
        let samples = |task| format!("samples_{}_{date}.jsonl", unique_name(task));
        Names { samples: tasks.map(samples).collect(), results: format!("results_{date}.json") }
    }

    /// All names of files that are written when the answers are there.
    pub fn all(self) -> Vec<String> {
        let fixed = ["samples.parquet", "usage.json", "run.json"].map(str::to_string);
        [self.samples, vec![self.results], fixed.to_vec()].concat()
    }
}

/// Writes samples, results and state of a finished run.
pub fn write_outputs(folder: &mut RunFolder, finished: &Finished, means: &Means<'_>, seconds: f64) -> Result<()> {
    let engine = means.engine;
    let render = |prompt: &Prompt| engine.render(prompt);
    let names = Names::new(folder, finished.tasks.iter().map(|task| task.task.name.as_str()));
    let mut hashes = Vec::new();
    for (task, name) in finished.tasks.iter().zip(&names.samples) {
        let samples = samples_jsonl(task, &render)?;
        folder.write_file(name, samples.jsonl.as_bytes())?;
        hashes.push((task.task.name.clone(), samples.task_hash));
    }
    folder.write_file("samples.parquet", &samples_parquet(&finished.tasks)?)?;
    let load_seconds = engine.load_seconds();
    let judges = judges_of(finished, means);
    let input = ResultsInput { header: &folder.header, finished, task_hashes: &hashes, judges, seconds, load_seconds };
    folder.write_file(&names.results, results_json(&input).as_bytes())?;
    // With documents unscored or tasks not run, the same command asks for them again.
    folder.set_status(if finished.is_whole() { Status::Complete } else { Status::Incomplete })
}

/// Who judged the tasks of a run, and how.
fn judges_of(finished: &Finished, means: &Means<'_>) -> Vec<JudgeReport> {
    let used = |name: &str| finished.tasks.iter().any(|t| t.task.judge.as_ref().is_some_and(|j| j.function == name));
    let judges = means.judges.all().filter(|(row, _)| used(row.name));
    judges
        .map(|(_, judge)| JudgeReport { identity: judge.identity().clone(), environment: judge.environment() })
        .collect()
}
