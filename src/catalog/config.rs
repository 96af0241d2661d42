//! A task file with its includes merged: the top-level keys as written, each knowing its file and line.

use super::files;
use crate::error::{Error, Result};
use crate::yaml::{self, Entry, Value, Yaml};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Most keys at a file's top level: there are some forty, and a group may have all of them for its tasks.
const MAX_KEYS: usize = 1000;

/// Most files that one `include` names.
const MAX_INCLUDES: usize = 1000;

/// Longest chain of includes.
const MAX_CHAIN: usize = 32;

/// The merged keys of a task or group.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file that was asked for (includes bring keys of other files).
    pub file: Arc<Path>,
    pub entries: Vec<Entry>,
}

impl Config {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Yaml> {
        find(&self.entries, key)
    }

    /// The value of a key that is present and not null.
    pub fn set(&self, key: &str) -> Option<&Yaml> {
        self.get(key).filter(|yaml| yaml.value != Value::Null)
    }

    /// Puts keys over the present ones: shallow, as the reference merges.
    pub fn lay_over(&mut self, over: &[Entry]) {
        yaml::put_all(&mut self.entries, over.iter().cloned());
    }

    /// Takes a key out.
    pub fn remove(&mut self, key: &str) -> Option<Yaml> {
        let at = self.entries.iter().position(|entry| is(entry, key))?;
        Some(self.entries.remove(at).value)
    }

    /// The value that names the task or group.
    pub fn name(&self) -> Option<&Yaml> {
        self.get("group").or_else(|| self.get("task"))
    }

    /// An error about the whole: at its file and the line of its name.
    pub fn error(&self, message: impl Into<String>) -> Error {
        match self.name() {
            Some(yaml) => yaml.error(message),
            None => Error::input(message).file(&self.file),
        }
    }
}

/// Whether an entry has this key.
pub fn is(entry: &Entry, key: &str) -> bool {
    matches!(&entry.key.value, Value::Str(text) if text == key)
}

/// The value of a key among entries.
pub fn find<'a>(entries: &'a [Entry], key: &str) -> Option<&'a Yaml> {
    entries.iter().find(|entry| is(entry, key)).map(|entry| &entry.value)
}

/// Loads task files, keeping included ones: hundreds of files include one template.
#[derive(Debug, Default)]
pub struct Loader {
    /// By identity of the file.
    known: HashMap<PathBuf, Arc<Config>>,
}

impl Loader {
    /// Reads a file and what it includes. `None` when it is not a mapping, so no task.
    pub fn load(&mut self, path: &Path) -> Result<Option<Config>> {
        self.load_chain(path, &mut Vec::new())
    }

    fn load_chain(&mut self, path: &Path, chain: &mut Vec<(PathBuf, PathBuf)>) -> Result<Option<Config>> {
        let file: Arc<Path> = Arc::from(path);
        let document = yaml::parse(&files::read(path)?, &file)?;
        let Value::Map(entries) = document.value else { return Ok(None) };
        if let Some(entry) = entries.get(MAX_KEYS) {
            return Err(entry.key.error(format!("more than {MAX_KEYS} keys, this is no task file")));
        }
        let mut own = Config { file: file.clone(), entries };
        let Some(include) = own.remove("include") else { return Ok(Some(own)) };
        chain.push((files::identity(path), path.to_path_buf()));
        let entries = self.merged(&include, chain)?;
        chain.pop();
        let mut merged = Config { file, entries };
        merged.lay_over(&own.entries);
        Ok(Some(merged))
    }

    /// The merged keys of the files that an `include` outside a file's top level names.
    pub fn included(&mut self, include: &Yaml) -> Result<Vec<Entry>> {
        self.merged(include, &mut Vec::new())
    }

    fn merged(&mut self, include: &Yaml, chain: &mut Vec<(PathBuf, PathBuf)>) -> Result<Vec<Entry>> {
        let mut merged = Config { file: include.file.clone(), entries: Vec::new() };
        for (name, at) in include_names(include)? {
            let config = self.include(&files::included(&include.file, name), at, chain)?;
            merged.lay_over(&config.entries);
        }
        Ok(merged.entries)
    }

    fn include(&mut self, path: &Path, at: &Yaml, chain: &mut Vec<(PathBuf, PathBuf)>) -> Result<Arc<Config>> {
        let identity = files::identity(path);
        if let Some(config) = self.known.get(&identity) {
            return Ok(config.clone());
        }
        if let Some(start) = chain.iter().position(|(seen, _)| *seen == identity) {
            let files = chain[start..].iter().map(|(_, shown)| shown.as_path()).chain([path]);
            let names: Vec<String> = files.map(|file| file.display().to_string()).collect();
            return Err(at.error(format!("include cycle: {}", names.join(" -> "))));
        }
        if chain.len() >= MAX_CHAIN {
            return Err(at.error(format!("more than {MAX_CHAIN} includes of includes")));
        }
        let missing = !path.to_string_lossy().starts_with("built-in:") && !path.exists();
        if missing {
            return Err(at.error(format!("included file {} does not exist", path.display())));
        }
        let Some(mut config) = self.load_chain(path, chain)? else {
            return Err(at.error(format!("included file {} is not a mapping of keys", path.display())));
        };
        // The reference's `task_list` names tasks of the included file alone.
        config.remove("task_list");
        let config = Arc::new(config);
        self.known.insert(identity, config.clone());
        Ok(config)
    }
}

/// `include` as a list of names, each with its place.
fn include_names(include: &Yaml) -> Result<Vec<(&str, &Yaml)>> {
    match &include.value {
        Value::Str(name) => Ok(vec![(name, include)]),
        Value::Null => Ok(Vec::new()),
        Value::Seq(items) if items.len() > MAX_INCLUDES => {
            Err(include.error(format!("`include` names more than {MAX_INCLUDES} files")))
        }
        Value::Seq(items) => items
            .iter()
            .map(|item| match &item.value {
                Value::Str(name) => Ok((name.as_str(), item)),
                _ => Err(item.error(format!("`include` takes paths, not {}", item.describe()))),
            })
            .collect(),
        _ => Err(include.error(format!("`include` takes a path or a list of paths, not {}", include.describe()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    fn load(folder: &tempfile::TempDir, name: &str) -> Result<Config> {
        Loader::default().load(&folder.path().join(name)).map(|config| config.expect("a mapping"))
    }

    #[test]
    fn later_includes_beat_earlier_and_local_keys_beat_all() {
        let files = [
            ("_a", "x: a\ny: a\nz: a\ngeneration_kwargs: {until: [a], do_sample: false}\ntask_list: [q]\n"),
            ("_b", "include: _c\ny: b\n"),
            ("_c", "y: c\nw: c\n"),
            ("t.yaml", "include: [_a, _b]\nz: t\ngeneration_kwargs: {until: [t]}\n"),
        ];
        let config = load(&folder(&files), "t.yaml").unwrap();
        let shown: Vec<String> = config
            .entries
            .iter()
            .map(|entry| format!("{}={}", entry.key.key_text(), entry.value.to_json("").unwrap()))
            .collect();
        // Expected: `load_yaml` of the reference (lm-eval 0.4.13) on these files.
        let want = [r#"x="a""#, r#"y="b""#, r#"z="t""#, r#"generation_kwargs={"until":["t"]}"#, r#"w="c""#];
        assert_eq!(shown, want);
        assert!(config.get("w").unwrap().file.ends_with("_c"));
    }

    #[test]
    fn a_diamond_is_no_cycle_and_a_cycle_names_its_chain() {
        let files = [
            ("_base", "x: 1\n"),
            ("_l", "include: _base\n"),
            ("_r", "include: _base\n"),
            ("t.yaml", "include: [_l, _r]\n"),
            ("u.yaml", "task: u\ninclude: _v\n"),
            ("_v", "include: ./u.yaml\n"),
        ];
        let folder = folder(&files);
        assert_eq!(load(&folder, "t.yaml").unwrap().entries.len(), 1);
        let err = load(&folder, "u.yaml").unwrap_err().to_string();
        assert!(err.contains("_v:1: include cycle: ") && err.matches("u.yaml").count() == 2, "{err}");
    }

    #[test]
    fn many_keys_and_many_includes_are_refused() {
        let keys: String = (0..1001).map(|i| format!("k{i}: 1\n")).collect();
        let includes = format!("include: [{}]\n", "_base, ".repeat(1001));
        let folder = folder(&[("t.yaml", &keys), ("u.yaml", &includes), ("_base", "x: 1\n")]);
        let err = load(&folder, "t.yaml").unwrap_err().to_string();
        assert!(err.contains("t.yaml:1001: more than 1000 keys"), "{err}");
        assert!(load(&folder, "u.yaml").unwrap_err().to_string().contains("more than 1000 files"));
    }

    #[test]
    fn a_missing_include_is_named_where_it_is_asked_for() {
        let folder =
            folder(&[("t.yaml", "task: t\ninclude: _gone\n"), ("u.yaml", "include: 3\n"), ("v.yaml", "- 1\n")]);
        let err = load(&folder, "t.yaml").unwrap_err().to_string();
        assert!(err.contains("t.yaml:2: included file ") && err.ends_with("_gone does not exist"), "{err}");
        assert!(load(&folder, "u.yaml").unwrap_err().to_string().contains("takes a path or a list"));
        assert!(Loader::default().load(&folder.path().join("v.yaml")).unwrap().is_none());
    }
}
