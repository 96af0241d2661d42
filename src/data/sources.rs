//! `sources.yaml`: which file of a data folder holds which split of which hub dataset.
//!
//! ```yaml
//! cais/mmlu:                          # a dataset_path
//!   "*":                              # a dataset_name, or any
//!     where: {"subject": "{config}"}  # keep these rows; {config} is the dataset_name asked for
//!     test: mmlu/test.jsonl.gz        # a file, or a list of files read in order
//! ```

use super::table::Format;
use crate::embedded;
use crate::error::{Error, Result, nearest};
use crate::file;
use crate::yaml::{Entry, Value, Yaml, parse_texts};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// The name of the file in the data folder.
pub(super) const FILE_NAME: &str = "sources.yaml";

/// A data folder.
#[derive(Debug)]
pub(super) struct Sources {
    dir: PathBuf,
    datasets: Vec<(String, Vec<Config>)>,
}

#[derive(Debug)]
struct Config {
    /// A `dataset_name`, or `*`.
    name: String,
    filters: Vec<Filter>,
    splits: Vec<(String, Vec<String>)>,
}

/// Keeps the rows whose column has the value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Filter {
    pub column: String,
    pub value: String,
}

/// What a dataset and a configuration come to: splits of files inside the folder, and which of their rows.
#[derive(Debug, PartialEq)]
pub(super) struct Selection {
    pub filters: Vec<Filter>,
    /// Split to files, relative to the folder.
    pub splits: Vec<(String, Vec<String>)>,
}

impl Sources {
    /// Reads `dir/sources.yaml`.
    pub fn open(dir: &Path) -> Result<Self> {
        let path = dir.join(FILE_NAME);
        let text = file::read_to_string(&path, file::SMALL).map_err(|err| {
            Error::io("cannot read", &path, err)
                .hint("a data folder has a sources.yaml that says which file holds which split of which dataset")
        })?;
        let datasets = parse(&text, &path)?;
        Ok(Sources { dir: dir.to_path_buf(), datasets })
    }

    /// The data folder in the binary.
    pub fn embedded() -> Result<Self> {
        let path = embedded::shown(FILE_NAME);
        let bytes = embedded::file(FILE_NAME).unwrap_or_default();
        let datasets = parse(&String::from_utf8_lossy(bytes), &path)?;
        Ok(Sources { dir: embedded::shown(""), datasets })
    }

    /// The full path of a file of the folder.
    pub fn path(&self, file: &str) -> PathBuf {
        self.dir.join(file)
    }

    pub fn file(&self) -> PathBuf {
        self.dir.join(FILE_NAME)
    }

    /// The datasets that the folder has.
    pub fn datasets(&self) -> impl Iterator<Item = &str> {
        self.datasets.iter().map(|(name, _)| name.as_str())
    }

    /// The configurations of a dataset, with their splits.
    pub fn configs(&self, dataset: &str) -> impl Iterator<Item = (&str, Vec<&str>)> {
        let configs = self.datasets.iter().filter(move |(name, _)| name == dataset).flat_map(|(_, configs)| configs);
        configs.map(|config| (config.name.as_str(), config.splits.iter().map(|(split, _)| split.as_str()).collect()))
    }

    /// Looks a dataset up; `None` when the folder does not have it.
    pub fn find(&self, dataset: &str, config: Option<&str>) -> Result<Option<Selection>> {
        let Some((_, configs)) = self.datasets.iter().find(|(name, _)| name == dataset) else { return Ok(None) };
        let named = config.and_then(|config| configs.iter().find(|entry| entry.name == config));
        let found =
            named.or_else(|| configs.iter().find(|entry| entry.name == "*")).or_else(|| match configs.as_slice() {
                [only] if config.is_none() => Some(only),
                _ => None,
            });
        let found = found.ok_or_else(|| self.no_config(dataset, config, configs))?;
        found.resolve(config).map(Some).map_err(|err| err.context(format!("`{dataset}`")).file(self.file()))
    }

    fn no_config(&self, dataset: &str, config: Option<&str>, configs: &[Config]) -> Error {
        let names: Vec<&str> = configs.iter().map(|entry| entry.name.as_str()).collect();
        let message = match config {
            Some(config) => format!("`{dataset}` has no configuration `{config}` here"),
            None => format!("`{dataset}` has several configurations here and the task names none"),
        };
        let near = config.and_then(|config| nearest(config, names.iter().copied()));
        let hint = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are: {}", crate::visible::list(&names)),
        };
        Error::input(message).file(self.file()).hint(hint)
    }
}

impl Config {
    fn resolve(&self, config: Option<&str>) -> Result<Selection> {
        let fill = |text: &str| match (text.contains("{config}"), config) {
            (false, _) => Ok(text.to_string()),
            (true, Some(config)) => Ok(text.replace("{config}", config)),
            (true, None) => Err(Error::input("`{config}` stands in the entry and the task names no configuration")
                .hint("set dataset_name in the task")),
        };
        let filter = |filter: &Filter| Ok(Filter { column: filter.column.clone(), value: fill(&filter.value)? });
        let files = |files: &Vec<String>| {
            files
                .iter()
                .map(|file| fill(file).and_then(|file| inside(&file).map(|()| file)))
                .collect::<Result<Vec<_>>>()
        };
        Ok(Selection {
            filters: self.filters.iter().map(filter).collect::<Result<_>>()?,
            splits: self
                .splits
                .iter()
                .map(|(split, names)| Ok((split.clone(), files(names)?)))
                .collect::<Result<_>>()?,
        })
    }
}

/// A path that stays inside the folder.
fn inside(file: &str) -> Result<()> {
    let plain = Path::new(file).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if file.is_empty() || !plain || file.contains('\\') || file.contains('\0') {
        let err = Error::input(format!("`{file}` leads out of the data folder"));
        return Err(err.hint("give paths relative to sources.yaml, without `..`"));
    }
    Ok(())
}

fn parse(text: &str, file: &Path) -> Result<Vec<(String, Vec<Config>)>> {
    let root = parse_texts(text, &Arc::from(file))?;
    let datasets =
        if root.value == Value::Null { &[] } else { expect_map(&root, "dataset names with their configurations")? };
    datasets
        .iter()
        .map(|Entry { key, value }| {
            let configs = expect_map(value, "configurations with their splits")?;
            let configs = configs.iter().map(|entry| parse_config(entry.key.key_text(), &entry.value));
            Ok((key.key_text(), configs.collect::<Result<_>>()?))
        })
        .collect()
}

fn parse_config(name: String, node: &Yaml) -> Result<Config> {
    let mut config = Config { name, filters: Vec::new(), splits: Vec::new() };
    for Entry { key, value: node } in expect_map(node, "splits with their files")? {
        let key = key.key_text();
        if key == "where" {
            for Entry { key: column, value } in expect_map(node, "columns with values")? {
                let value = value.as_text().ok_or_else(|| value.error("expected a value"))?.to_owned();
                config.filters.push(Filter { column: column.key_text(), value });
            }
            continue;
        }
        let files = node.texts()?;
        for file in &files {
            inside(file).map_err(|err| err.at(&node.file, node.line))?;
            if Format::of(file).is_none() {
                return Err(node
                    .error(format!("the format of `{file}` is not known"))
                    .hint("files may be .parquet, .jsonl, .json, .csv or .tsv, each also with .gz"));
            }
        }
        if files.is_empty() {
            return Err(node.error(format!("the split `{key}` has no files")));
        }
        config.splits.push((key, files));
    }
    Ok(config)
}

fn expect_map<'a>(node: &'a Yaml, what: &str) -> Result<&'a [Entry]> {
    node.as_map().ok_or_else(|| node.error(format!("expected {what}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
cais/mmlu:
  "*":
    where: {"subject": "{config}"}
    test: "mmlu/test.jsonl.gz"
    dev: ["a.jsonl", 'b.csv']
one/only:
  main:
    test: "{config}.parquet"
"#;

    fn sources(text: &str) -> Result<Sources> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE_NAME), text).unwrap();
        Sources::open(dir.path())
    }

    #[test]
    fn lookup() {
        let sources = sources(TEXT).unwrap();
        let found = sources.find("cais/mmlu", Some("anatomy")).unwrap().unwrap();
        assert_eq!(found.filters, [Filter { column: "subject".into(), value: "anatomy".into() }]);
        assert_eq!(found.splits[1], ("dev".to_string(), vec!["a.jsonl".to_string(), "b.csv".to_string()]));
        assert_eq!(sources.find("openai/gsm8k", None).unwrap(), None);
        assert_eq!(sources.find("one/only", Some("main")).unwrap().unwrap().splits[0].1, ["main.parquet"]);
        // The one configuration serves a task that names none, but here it wants the name.
        assert!(sources.find("one/only", None).unwrap_err().to_string().contains("dataset_name"));
        let err = sources.find("one/only", Some("mian")).unwrap_err();
        assert!(err.to_string().contains("did you mean `main`"), "{err}");
    }

    #[test]
    fn escapes_are_refused() {
        for file in ["../x.jsonl", "/etc/x.jsonl", "a/../../x.jsonl", ""] {
            let err = sources(&format!("a/b:\n  c:\n    test: \"{file}\"\n")).unwrap_err();
            assert_eq!(err.place().line, Some(3), "{err}");
        }
        let sources = sources("a/b:\n  \"*\":\n    test: \"x/{config}.jsonl\"\n").unwrap();
        assert!(sources.find("a/b", Some("../../secret")).unwrap_err().to_string().contains("leads out"));
    }

    #[test]
    fn malformed() {
        for (text, line) in
            [("- a\n", 1), ("a: b\n", 1), ("a:\n  b:\n    test: x.arrow\n", 3), ("a:\n  b:\n    test: []\n", 3)]
        {
            let err = sources(text).unwrap_err();
            assert_eq!(err.place().line, Some(line), "{err}");
            assert!(err.to_string().contains(FILE_NAME), "{err}");
        }
        let missing = Sources::open(Path::new("no/such/folder")).unwrap_err();
        assert!(missing.hint_text().is_some());
    }
}
