//! From the merged keys of a file to a [`Task`]: every key is known, every value has its type, every name exists.
//!
//! Nothing here reads data: what can be wrong before the data is opened is found before the data is opened.

mod dataset;
mod fewshot;
mod filters;
mod generation;
mod group;
mod judge;
mod literals;
mod metrics;
mod prompt;
mod steps;

use super::config::Config;
use super::read::{self, Keys};
use crate::error::Result;
use crate::task::{MOST_REPEATS, Origin, OutputType, Task};
use crate::yaml::{Value, Yaml};
use serde_json::Map;

pub use group::{check_aggregates, group_metrics};

/// The keys of a task.
const KEYS: &[&str] = &[
    "task",
    "task_alias",
    "tag",
    "dataset_path",
    "dataset_name",
    "dataset_kwargs",
    "training_split",
    "validation_split",
    "test_split",
    "fewshot_split",
    "process_docs",
    "doc_to_text",
    "doc_to_target",
    "doc_to_choice",
    "read_target",
    "process_results",
    "judge",
    "description",
    "target_delimiter",
    "fewshot_delimiter",
    "gen_prefix",
    "fewshot_config",
    "num_fewshot",
    "metric_list",
    "output_type",
    "generation_kwargs",
    "repeats",
    "filter_list",
    "should_decontaminate",
    "doc_to_decontamination_query",
    "unsafe_code",
    "metadata",
];

/// The keys of a group; all others in a group are defaults for its tasks.
pub const GROUP_KEYS: &[&str] = &["group", "group_alias", "task", "aggregate_metric_list", "metadata"];

/// Keys of the reference format that mean nothing to a task itself.
pub const STRUCTURE: &[&str] = &["group", "task_list", "tag"];

/// Keys of the reference format that are refused by name, with the reason.
const REFUSED: &[(&str, &str)] = &[
    ("class", "it names a Python class, and fairmark does not run Python"),
    ("custom_dataset", "it names a Python function that makes the data, and fairmark does not run Python"),
    ("doc_to_image", "images are not supported yet"),
    ("doc_to_audio", "audio is not supported yet"),
    ("use_prompt", "prompts from promptsource are not supported: write `doc_to_text`"),
];

/// The output types, by name.
const OUTPUT_TYPES: &[OutputType] = &[
    OutputType::MultipleChoice,
    OutputType::Loglikelihood,
    OutputType::LoglikelihoodRolling,
    OutputType::GenerateUntil,
];

/// The task that `config` describes, under the name `name`.
pub fn task(config: &Config, name: &str) -> Result<Task> {
    check_keys(config)?;
    let keys = Keys::new(&config.entries, "a task");
    let written = written(config)?;
    let output_type = output_type(&keys)?;
    let prompt = prompt::prompt(&keys, config, output_type)?;
    let steps = keys.get("process_docs").map(steps::steps).transpose()?.unwrap_or_default();
    let process_results = keys.get("process_results").map(metrics::process_results).transpose()?;
    keys.flag("should_decontaminate")?;
    keys.text("doc_to_decontamination_query")?;
    let metadata = metadata(&keys)?;
    let task = Task {
        name: name.to_owned(),
        alias: keys.text("task_alias")?.map(str::to_owned),
        tags: keys.texts("tag")?.unwrap_or_default(),
        origin: origin(config),
        dataset: dataset::dataset(&keys, config)?,
        splits: dataset::splits(&keys, config)?,
        steps,
        output_type,
        description: template_or(&keys, "description", "")?,
        fewshot: fewshot::fewshot(&keys, &prompt)?,
        metrics: metrics::metrics(&keys, output_type, process_results.as_ref())?,
        process_results,
        judge: keys.get("judge").map(judge::judge).transpose()?,
        generation_kwargs: generation::generation(&keys, output_type, &prompt.fewshot_delimiter)?,
        prompt,
        repeats: repeats(&keys)?,
        filters: filters::filters(&keys)?,
        unsafe_code: keys.flag("unsafe_code")?.unwrap_or(false),
        version: metadata.get("version").cloned(),
        cluster: cluster(&keys)?,
        metadata,
        config: written,
        remarks: literals::remarks(&keys, name),
    };
    // What depends on several keys at once, such as an aggregation that does not fit its metric's scores.
    crate::score::check_task(&task).map_err(|err| match keys.get("metric_list") {
        Some(yaml) => err.at(&yaml.file, yaml.line),
        None => err.file(&config.file),
    })?;
    Ok(task)
}

/// Where a task or group was written.
pub fn origin(config: &Config) -> Origin {
    let line = config.name().map_or(1, |yaml| yaml.line);
    Origin { file: config.file.to_path_buf(), line }
}

/// Refuses what is not supported by name, then what is not known at all.
fn check_keys(config: &Config) -> Result<()> {
    for entry in &config.entries {
        let name = entry.key.key_text();
        let refusal = REFUSED.iter().find(|(key, _)| *key == name);
        if let Some((_, reason)) = refusal
            && entry.value.value != Value::Null
        {
            let err = entry.key.error(format!("`{name}` is not supported: {reason}"));
            return Err(err.hint("docs/tasks.md says what takes its place"));
        }
        if let Some(refused) = entry.value.refused(&name) {
            return Err(refused);
        }
    }
    let known: Vec<&str> = KEYS.iter().copied().chain(REFUSED.iter().map(|(key, _)| *key)).collect();
    for entry in &config.entries {
        let name = entry.key.key_text();
        if STRUCTURE.contains(&name.as_str()) || known.contains(&name.as_str()) {
            continue;
        }
        // A misspelt key of a group arrives here as a default for its tasks.
        let candidates: Vec<&str> = known.iter().chain(GROUP_KEYS).copied().chain(["include"]).collect();
        return Err(read::unknown(&entry.key, &format!("unknown key `{name}`"), &name, &candidates));
    }
    Ok(())
}

/// The keys as written, for the results file.
fn written(config: &Config) -> Result<Map<String, serde_json::Value>> {
    let mut map = Map::new();
    for entry in &config.entries {
        let name = entry.key.key_text();
        map.insert(name.clone(), entry.value.to_json(&name)?);
    }
    Ok(map)
}

fn output_type(keys: &Keys<'_>) -> Result<OutputType> {
    let Some(yaml) = keys.get("output_type") else { return Ok(OutputType::GenerateUntil) };
    let name = read::text(yaml, "output_type")?;
    OUTPUT_TYPES.iter().copied().find(|kind| kind.as_str() == name).ok_or_else(|| {
        let known: Vec<&str> = OUTPUT_TYPES.iter().map(|kind| kind.as_str()).collect();
        read::unknown(yaml, &format!("unknown output type `{name}`"), name, &known)
    })
}

fn repeats(keys: &Keys<'_>) -> Result<u32> {
    let Some(yaml) = keys.get("repeats") else { return Ok(1) };
    match u32::try_from(read::count(yaml, "repeats")?) {
        Ok(number) if number > MOST_REPEATS => {
            Err(yaml.error(format!("`repeats: {number}` asks for more than {MOST_REPEATS} answers to each document")))
        }
        Ok(number) if number > 0 => Ok(number),
        _ => Err(read::wrong(yaml, "repeats", "a number from 1")),
    }
}

/// `metadata`; anything but a mapping is kept under `_metadata`, as the reference keeps it.
fn metadata(keys: &Keys<'_>) -> Result<Map<String, serde_json::Value>> {
    let Some(yaml) = keys.get("metadata") else { return Ok(Map::new()) };
    match yaml.to_json("metadata")? {
        serde_json::Value::Object(map) => Ok(map),
        other => Ok(Map::from_iter([("_metadata".to_owned(), other)])),
    }
}

/// `metadata.cluster`: which documents are alike. The reference knows no such key and passes over it.
fn cluster(keys: &Keys<'_>) -> Result<Option<String>> {
    let Some(yaml) = keys.get("metadata") else { return Ok(None) };
    let Value::Map(entries) = &yaml.value else { return Ok(None) };
    match Keys::new(entries, "metadata").get("cluster") {
        Some(yaml) => read::template(yaml, "metadata.cluster").map(Some),
        None => Ok(None),
    }
}

fn template_or(keys: &Keys<'_>, key: &str, default: &str) -> Result<String> {
    keys.get(key).map_or_else(|| Ok(default.to_owned()), |yaml| read::template(yaml, key))
}

/// Whether a value is a mapping of exactly one key: a step, say. The key and its value.
fn single<'a>(yaml: &'a Yaml, what: &str) -> Result<(&'a Yaml, &'a Yaml)> {
    match &yaml.value {
        Value::Map(entries) => match entries.as_slice() {
            [entry] => Ok((&entry.key, &entry.value)),
            _ => Err(yaml.error(format!("{what} is a mapping of one key, this one has {}", entries.len()))),
        },
        _ => Err(read::wrong(yaml, what, "a mapping of one key")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{refused, task};

    const BASE: &str = "task: t\ndataset_path: a/b\ntest_split: test\ndoc_to_text: x\ndoc_to_target: y\n";

    #[test]
    fn clusters_are_named_by_a_template() {
        let of = |metadata: &str| task(&format!("{BASE}metadata: {metadata}\n")).cluster;
        assert_eq!(of("{version: 1, cluster: '{{passage}}'}"), Some("{{passage}}".into()));
        assert_eq!((of("{version: 1}"), of("{cluster: null}"), of("[cluster]")), (None, None, None));
        let err = refused(&format!("{BASE}metadata:\n  cluster: 3\n"));
        assert!(err.contains("t.yaml:7: `metadata.cluster` must be text, not the number 3"), "{err}");
        let err = refused(&format!("{BASE}metadata:\n  version: 1\n  cluster: '{{{{ passage '\n"));
        assert!(err.contains("t.yaml:8: `metadata.cluster` is no valid template"), "{err}");
        let err = refused(&format!("{BASE}metadata: {{cluster: '{{{{ passage | loweer }}}}'}}\n"));
        assert!(err.contains("loweer"), "{err}");
    }
}
