//! `dataset_path`, `dataset_name`, `dataset_kwargs` and the split names.

use super::super::config::Config;
use super::super::read::{self, Keys};
use crate::error::Result;
use crate::task::{DatasetRef, Splits};
use crate::yaml::{Value, Yaml};
use std::path::Path;

/// `dataset_kwargs` that say which data.
const KWARGS: &[&str] = &[
    "data_files",
    "data_dir",
    "revision",
    "column_names",
    "delimiter",
    "sep",
    "header",
    "field",
    "keep_default_na",
    "na_values",
];
/// `dataset_kwargs` that say only how the reference's loader should go about it.
const INERT: &[&str] = &["trust_remote_code", "streaming", "verification_mode"];
/// `dataset_kwargs` that change the data and are not supported.
const REFUSED: &[&str] = &["features", "split", "name", "quotechar", "skiprows", "encoding"];
/// `dataset_path`s that are file formats, not hub ids.
const LOADERS: &[&str] = &["json", "csv", "parquet"];

pub fn dataset(keys: &Keys<'_>, config: &Config) -> Result<DatasetRef> {
    let Some(path) = keys.text("dataset_path")? else {
        let hint = "name a hub data set (`owner/name`), or `json`, `csv` or `parquet` with `dataset_kwargs.data_files`";
        return Err(config.error("the task has no `dataset_path`").hint(hint));
    };
    let mut dataset = DatasetRef {
        path: path.to_owned(),
        name: keys.text("dataset_name")?.map(str::to_owned),
        base: config.file.parent().unwrap_or(Path::new("")).to_path_buf(),
        ..DatasetRef::default()
    };
    if let Some(yaml) = keys.get("dataset_kwargs") {
        kwargs(yaml, &mut dataset)?;
    }
    if LOADERS.contains(&path) && dataset.data_files.is_empty() && dataset.data_dir.is_none() {
        return Err(config.error(format!("`dataset_path: {path}` needs `dataset_kwargs.data_files`")));
    }
    Ok(dataset)
}

fn kwargs(yaml: &Yaml, dataset: &mut DatasetRef) -> Result<()> {
    let keys = Keys::of(yaml, "dataset_kwargs", "`dataset_kwargs`")?;
    for entry in keys.entries() {
        let name = entry.key.key_text();
        if REFUSED.contains(&name.as_str()) {
            return Err(entry.key.error(format!("`dataset_kwargs.{name}` is not supported")));
        }
    }
    keys.only(&[KWARGS, INERT].concat())?;
    if let Some(files) = keys.get("data_files") {
        dataset.data_files = data_files(files)?;
        // Paths count from the file that names them, which may be an included one.
        dataset.base = files.file.parent().unwrap_or(Path::new("")).to_path_buf();
    }
    dataset.data_dir = keys.text("data_dir")?.map(str::to_owned);
    dataset.revision = keys.text("revision")?.map(str::to_owned);
    dataset.column_names = keys.texts("column_names")?;
    dataset.field = keys.text("field")?.map(str::to_owned);
    dataset.nulls.only_given = !keys.flag("keep_default_na")?.unwrap_or(true);
    if let Some(words) = keys.get("na_values") {
        na_values(words, dataset)?;
    }
    for key in ["delimiter", "sep"] {
        let Some(yaml) = keys.get(key) else { continue };
        let mut chars = read::text(yaml, key)?.chars();
        match (chars.next(), chars.next()) {
            (Some(c), None) => dataset.delimiter = Some(c),
            _ => return Err(yaml.error(format!("`{key}` must be one character"))),
        }
    }
    header(keys, dataset)
}

/// `header: null` (no header line) goes with `column_names`; otherwise the first line is the header.
fn header(keys: Keys<'_>, dataset: &DatasetRef) -> Result<()> {
    let Some(entry) = keys.entries().iter().find(|entry| entry.key.key_text() == "header") else { return Ok(()) };
    let named = dataset.column_names.is_some();
    match &entry.value.value {
        Value::Null if named => Ok(()),
        Value::Null => Err(entry.key.error("`header: null` needs `column_names`")),
        Value::Int(0) if !named => Ok(()),
        Value::Str(text) if text == "infer" => Ok(()),
        _ => Err(entry.value.error("`header` is supported as null (with `column_names`) or 0 (without)")),
    }
}

/// Words that stand for nothing: one, a list, or for each column.
fn na_values(yaml: &Yaml, dataset: &mut DatasetRef) -> Result<()> {
    let words = |yaml: &Yaml| match &yaml.value {
        Value::Seq(items) => items.iter().map(Yaml::key_text).collect(),
        _ => vec![yaml.key_text()],
    };
    match &yaml.value {
        Value::Map(entries) => {
            dataset.nulls.by_column = entries.iter().map(|entry| (entry.key.key_text(), words(&entry.value))).collect();
        }
        _ => dataset.nulls.everywhere = words(yaml),
    }
    Ok(())
}

/// Split to files: a bare text or list is the `train` split.
fn data_files(yaml: &Yaml) -> Result<Vec<(String, Vec<String>)>> {
    match &yaml.value {
        Value::Map(entries) => {
            entries.iter().map(|entry| Ok((entry.key.key_text(), read::texts(&entry.value, "data_files")?))).collect()
        }
        _ => Ok(vec![("train".to_owned(), read::texts(yaml, "data_files")?)]),
    }
}

pub fn splits(keys: &Keys<'_>, config: &Config) -> Result<Splits> {
    let name = |key| Ok::<_, crate::error::Error>(keys.text(key)?.map(str::to_owned));
    let splits = Splits {
        training: name("training_split")?,
        validation: name("validation_split")?,
        test: name("test_split")?,
        fewshot: name("fewshot_split")?,
    };
    if splits.evaluated().is_none() {
        let err = config.error("the task names no split to evaluate");
        return Err(err.hint("set `test_split` or `validation_split`"));
    }
    Ok(splits)
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{refused, task};

    const BASE: &str = "task: t\ntest_split: test\ndoc_to_text: x\ndoc_to_target: y\n";

    #[test]
    fn files_and_csv_options() {
        let text = "dataset_path: csv\ndataset_kwargs:\n  data_files: {test: a.csv, dev: [b.csv, c.csv]}\n  header: null\n  column_names: [q, a]\n  sep: \";\"\n  trust_remote_code: true\n";
        let dataset = task(&format!("{BASE}{text}")).dataset;
        let want = vec![("test".into(), vec!["a.csv".into()]), ("dev".into(), vec!["b.csv".into(), "c.csv".into()])];
        assert_eq!(dataset.data_files, want);
        assert_eq!((dataset.delimiter, dataset.column_names), (Some(';'), Some(vec!["q".into(), "a".into()])));
    }

    #[test]
    fn what_is_missing_or_unknown_is_named() {
        assert!(refused(BASE).contains("t.yaml:1: the task has no `dataset_path`"));
        assert!(refused(&format!("{BASE}dataset_path: json\n")).contains("needs `dataset_kwargs.data_files`"));
        let err = refused(&format!("{BASE}dataset_path: a/b\ndataset_kwargs:\n  data_file: x\n"));
        assert!(err.contains("t.yaml:7: unknown key `data_file`") && err.contains("`data_files`?"), "{err}");
        let err = refused(&format!("{BASE}dataset_path: a/b\ndataset_kwargs: {{features: {{}}}}\n"));
        assert!(err.contains("`dataset_kwargs.features` is not supported"), "{err}");
        let err = refused("task: t\ndataset_path: a/b\ntraining_split: train\ndoc_to_text: x\ndoc_to_target: y\n");
        assert!(err.contains("no split to evaluate"), "{err}");
    }
}
