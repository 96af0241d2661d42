//! A hub's cache and a data folder with a few rows of each data set that tasks read, and models under hub ids.
//!
//! The rows are in `hub.json`: `{data set: {configuration: {split: [row, ...]}}}`, with the columns that the real sets have. They were made
//! up for this test; none comes from a benchmark. `"*"` stands for every configuration that a built-in task names.

use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The commit of everything in the cache.
const COMMIT: &str = "00000000000000000000000000000000000000d0";

/// The cache below a `HF_HOME`.
pub struct HubCache {
    root: PathBuf,
}

impl HubCache {
    pub fn new(hf_home: &Path) -> HubCache {
        HubCache { root: hf_home.join("hub") }
    }

    /// Puts a folder of files under a model's id, for `revision`.
    pub fn add_model(&self, id: &str, revision: &str, files: &[PathBuf]) {
        let snapshot = self.repository("models", id, revision);
        for file in files {
            super::world::link(file, &snapshot.join(file.file_name().unwrap()));
        }
    }

    /// Writes all data sets.
    pub fn add_data(&self, configurations: &BTreeMap<String, BTreeSet<String>>) {
        for (id, named) in data_sets() {
            let snapshot = self.repository("datasets", &id, "main");
            let mut card = String::from("---\nconfigs:\n");
            for (name, splits) in expanded(&named, configurations.get(&id)) {
                let _ = writeln!(card, "- config_name: {name}\n  data_files:");
                for (split, rows) in splits {
                    write_rows(&snapshot.join(&name).join(format!("{split}.jsonl")), &rows);
                    let _ = writeln!(card, "  - split: {split}\n    path: {name}/{split}.jsonl");
                }
            }
            std::fs::write(snapshot.join("README.md"), format!("{card}---\n")).unwrap();
        }
    }

    /// The snapshot's folder of a new repository.
    fn repository(&self, kind: &str, id: &str, revision: &str) -> PathBuf {
        let folder = self.root.join(format!("{kind}--{}", id.replace('/', "--")));
        let snapshot = folder.join("snapshots").join(COMMIT);
        std::fs::create_dir_all(&snapshot).unwrap();
        std::fs::create_dir_all(folder.join("refs")).unwrap();
        std::fs::write(folder.join("refs").join(revision), COMMIT).unwrap();
        snapshot
    }
}

/// Writes the same data sets as a folder for `--data-dir`.
pub fn write_data_folder(folder: &Path) {
    let mut sources = String::new();
    for (id, named) in data_sets() {
        let _ = writeln!(sources, "{id}:");
        for (name, splits) in &named {
            let name = if name == "default" { "*" } else { name };
            let _ = writeln!(sources, "  \"{name}\":");
            for (split, rows) in splits.as_object().unwrap() {
                let file = format!("{}/{}/{split}.jsonl", id.replace('/', "--"), name.replace('*', "any"));
                write_rows(&folder.join(&file), rows);
                let _ = writeln!(sources, "    {split}: \"{file}\"");
            }
        }
    }
    std::fs::write(folder.join("sources.yaml"), sources).unwrap();
}

fn data_sets() -> BTreeMap<String, Map<String, Value>> {
    serde_json::from_str(include_str!("hub.json")).unwrap()
}

/// Configurations with their splits; `"*"` becomes those that are asked for.
fn expanded(named: &Map<String, Value>, asked: Option<&BTreeSet<String>>) -> Vec<(String, Vec<(String, Value)>)> {
    let splits = |value: &Value| value.as_object().unwrap().clone().into_iter().collect::<Vec<_>>();
    let mut all = Vec::new();
    for (name, value) in named {
        match (name.as_str(), asked) {
            ("*", Some(asked)) => all.extend(asked.iter().map(|name| (name.clone(), splits(value)))),
            _ => all.push((name.clone(), splits(value))),
        }
    }
    all
}

fn write_rows(file: &Path, rows: &Value) {
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let lines: String = rows.as_array().unwrap().iter().map(|row| format!("{row}\n")).collect();
    std::fs::write(file, lines).unwrap();
}
