//! The registry: which names exist, what kind they are, which file says so.

use super::config::{Config, Loader};
use super::files;
use super::resolve;
use crate::error::{Error, Result};
use crate::task::Origin;
use crate::yaml::{Value, Yaml};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What a name in the registry stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Task,
    /// A task written as a Python class (`class`): listed, and refused when it is asked for.
    PythonTask,
    Group,
    /// A named set of tasks, from the `tag` of each.
    Tag,
}

impl Kind {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Task => "task",
            Kind::PythonTask => "python task",
            Kind::Group => "group",
            Kind::Tag => "tag",
        }
    }
}

/// One name of the registry, as cheaply as it can be known: nothing is validated yet.
#[derive(Debug, Clone)]
pub struct Entry {
    pub name: String,
    pub kind: Kind,
    /// Where it is defined; of a tag, where its first task is.
    pub origin: Origin,
    /// A tag's tasks; the tags of a task.
    pub members: BTreeSet<String>,
    /// `task_alias` or `group_alias`.
    pub alias: Option<String>,
    /// `output_type` as written.
    pub output_type: Option<String>,
    /// `dataset_path` and `dataset_name` as written.
    pub dataset: Option<String>,
}

/// All names, with what was odd about their files.
#[derive(Debug, Default)]
pub struct Index {
    pub entries: BTreeMap<String, Entry>,
    pub warnings: Vec<String>,
    /// Files that could not be read.
    pub broken: Vec<Broken>,
}

/// A task file that could not be read.
#[derive(Debug)]
pub struct Broken {
    pub file: PathBuf,
    /// The names that it seems to define, so that asking for one gives the error and not "unknown task".
    pub names: Vec<String>,
    pub error: Error,
}

impl Index {
    /// Reads the built-in tasks, then each folder; later ones override.
    pub fn build(include_paths: &[PathBuf], loader: &mut Loader) -> Result<Index> {
        let mut index = Index::default();
        index.add_root(files::built_in(), loader);
        for root in include_paths {
            index.add_root(files::under(root)?, loader);
        }
        Ok(index)
    }

    fn add_root(&mut self, files: impl IntoIterator<Item = PathBuf>, loader: &mut Loader) {
        let mut found = BTreeMap::new();
        for file in files {
            match loader.load(&file) {
                Ok(Some(config)) => match labelled(&config) {
                    Some((names, error)) => self.broken.push(Broken { names, file, error }),
                    None => self.register(&config, &file, &mut found),
                },
                Ok(None) => {}
                Err(error) => self.broken.push(Broken { names: Vec::from_iter(seeming_name(&file)), file, error }),
            }
        }
        for (name, entry) in found {
            if let Some(old) = self.entries.insert(name, entry) {
                let Some(new) = self.entries.get(&old.name) else { continue };
                self.warnings.push(format!(
                    "{} `{}` from {} overrides the one from {}",
                    old.kind.as_str(),
                    old.name,
                    new.origin.file.display(),
                    old.origin.file.display()
                ));
            }
        }
    }

    /// What there is to say about the files, each thing once: one broken template may be included by hundreds.
    pub fn all_warnings(&self) -> Vec<String> {
        let mut all = self.warnings.clone();
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for broken in &self.broken {
            *counts.entry(broken.error.to_string()).or_default() += 1;
        }
        all.extend(counts.into_iter().map(|(error, count)| match count {
            1 => format!("task file left out: {error}"),
            _ => format!("{count} task files left out: {error}"),
        }));
        all
    }

    /// Puts the name of one file, and its tags, into the names of its root. First wins.
    fn register(&mut self, config: &Config, file: &Path, found: &mut BTreeMap<String, Entry>) {
        let Some((name, kind)) = identify(config) else { return };
        let entry = entry(config, name, kind);
        if let Some(first) = found.get(&entry.name) {
            self.warnings.push(format!(
                "{} `{}` in {} is ignored: {} already defines that name",
                kind.as_str(),
                entry.name,
                file.display(),
                first.origin.file.display()
            ));
            return;
        }
        if kind != Kind::Group {
            for tag in &entry.members {
                let set = found.entry(tag.clone()).or_insert_with(|| tag_entry(tag, &entry.origin));
                if set.kind == Kind::Tag {
                    set.members.insert(entry.name.clone());
                }
            }
        }
        found.insert(entry.name.clone(), entry);
    }
}

/// A task with a `group`, which labelled tasks in older versions of the reference and now makes a group of the file: the names in it,
/// and what is wrong.
pub fn labelled(config: &Config) -> Option<(Vec<String>, Error)> {
    let text = |yaml: &Yaml| if let Value::Str(text) = &yaml.value { Some(text.clone()) } else { None };
    let (label, task) = (config.set("group")?, text(config.set("task")?)?);
    // A group's `task` may be one name; what it asks is a task's own.
    if !["dataset_path", "doc_to_text", "output_type"].iter().any(|key| config.set(key).is_some()) {
        return None;
    }
    let labels: Vec<String> = match &label.value {
        Value::Seq(items) => items.iter().filter_map(text).collect(),
        _ => text(label).into_iter().collect(),
    };
    let message = format!("`group` makes a group of the file, and the file describes the task `{task}`");
    let hint = format!("older versions of lm-evaluation-harness labelled tasks so: write `tag: {}`", shown(&labels));
    Some(([vec![task], labels].concat(), label.error(message).hint(hint)))
}

/// `name`, or `[one, two]`.
fn shown(labels: &[String]) -> String {
    match labels {
        [one] => one.clone(),
        labels => format!("[{}]", labels.join(", ")),
    }
}

/// The name in the first line that says `task: name` or `group: name`, of a file that is no good otherwise.
fn seeming_name(file: &Path) -> Option<String> {
    let text = files::read(file).ok()?;
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        let bare = |text: &str| text.trim().trim_matches(['"', '\'']).to_owned();
        matches!(bare(key).as_str(), "task" | "group").then(|| bare(value)).filter(|name| !name.is_empty())
    })
}

/// Name and kind of a file's content, by its keys; `None` if it is neither task nor group.
pub fn identify(config: &Config) -> Option<(&str, Kind)> {
    let text = |key| match config.get(key).map(|yaml| &yaml.value) {
        Some(Value::Str(text)) => Some(text.as_str()),
        _ => None,
    };
    if config.get("class").is_some() {
        return text("task").map(|name| (name, Kind::PythonTask));
    }
    if config.get("group").is_some() {
        return text("group").map(|name| (name, Kind::Group));
    }
    text("task").map(|name| (name, Kind::Task))
}

fn entry(config: &Config, name: &str, kind: Kind) -> Entry {
    let text = |key| match config.get(key).map(|yaml| &yaml.value) {
        Some(Value::Str(text)) => Some(text.clone()),
        _ => None,
    };
    let dataset = text("dataset_path").map(|path| match text("dataset_name") {
        Some(name) => format!("{path}/{name}"),
        None => path,
    });
    Entry {
        name: name.to_owned(),
        kind,
        origin: resolve::origin(config),
        members: tags(config.get("tag")),
        alias: text("task_alias").or_else(|| text("group_alias")),
        output_type: if kind == Kind::Group { None } else { text("output_type") },
        dataset: if kind == Kind::Group { None } else { dataset },
    }
}

fn tag_entry(name: &str, first: &Origin) -> Entry {
    Entry {
        name: name.to_owned(),
        kind: Kind::Tag,
        origin: first.clone(),
        members: BTreeSet::new(),
        alias: None,
        output_type: None,
        dataset: None,
    }
}

/// The texts of a `tag` key; what is no text is left for validation to name.
fn tags(yaml: Option<&Yaml>) -> BTreeSet<String> {
    match yaml.map(|yaml| &yaml.value) {
        Some(Value::Str(text)) => BTreeSet::from([text.clone()]),
        Some(Value::Seq(items)) => items
            .iter()
            .filter_map(|item| match &item.value {
                Value::Str(text) => Some(text.clone()),
                _ => None,
            })
            .collect(),
        _ => BTreeSet::new(),
    }
}
