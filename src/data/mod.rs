//! Data sets: from a `DatasetRef` and a split name to documents.
//!
//! Comes in: a task. Goes out: its documents, the pool of its shots, and a record of every file read (path, SHA-256, bytes, rows).
//! Sources are local files, a data folder with a `sources.yaml`, and the hub. Never: prompts, models, scores.

mod arrow;
mod budget;
mod clock;
mod csv;
mod json;
mod layout;
mod origin;
mod parquet;
mod plan;
mod quirk;
mod shape;
mod slice;
mod source;
mod sources;
mod steps;
mod table;
mod used;

pub use budget::DEFAULT_MEMORY;
pub use quirk::{Oddity, Quirk, Unread};
pub use steps::apply_steps;
pub use table::FileRecord;

use crate::doc::{Doc, Fields};
use crate::error::{Error, Result, nearest};
use crate::hub::{Hub, Lock, LockedFile};
use crate::remark::Remark;
use crate::task::{DatasetRef, DocStep, Task};
use crate::template::Templates;
use csv::CsvForm;
use origin::{Located, Origin, Resolved};
use serde_json::Value;
use sources::{Filter, Sources};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use table::{FileRows, Form};
use used::Used;

/// Where data may come from.
#[derive(Debug, Clone, Default)]
pub struct DataOptions {
    /// A folder with a `sources.yaml`; datasets that it has are read from it.
    pub data_dir: Option<PathBuf>,
    /// Never use the network.
    pub offline: bool,
    /// A lock file: hub revisions and checksums that must not change.
    pub lock: Option<PathBuf>,
    /// Task files and the data folder may name files outside of the folder that they lie in.
    pub allow_outside: bool,
    /// Bytes of memory that the rows of one file may take; `None`: [`DEFAULT_MEMORY`].
    pub memory: Option<u64>,
}

/// The rows of a split.
#[derive(Debug, Clone)]
pub struct Table {
    pub columns: Vec<String>,
    pub rows: Vec<Fields>,
    /// The rows that there are, where only the first were wanted.
    pub total: usize,
    pub files: Vec<FileRecord>,
    /// What could not be read, with the file.
    pub unread: Vec<(PathBuf, Unread)>,
    /// What was read as nothing, with the file's name.
    pub quirks: Vec<(String, Quirk)>,
}

/// The data of a task, after its `process_docs`.
#[derive(Debug, Clone)]
pub struct TaskDocs {
    /// The evaluated split, or the first of it.
    pub docs: Vec<Doc>,
    /// Documents in the evaluated split.
    pub original: usize,
    /// What shots are drawn from; `None` when it was not asked for.
    pub pool: Option<Vec<Fields>>,
    /// The shots come, as far as the task file says, from the split that is evaluated: the document asked about must be kept out.
    pub pool_is_evaluated_split: bool,
    /// The columns of the documents.
    pub columns: Vec<String>,
    pub files: Vec<FileRecord>,
    /// What the user should know about the data.
    pub remarks: Vec<Remark>,
}

/// Reads data sets; every file once.
pub struct DataSource {
    options: DataOptions,
    sources: Option<Sources>,
    hub: Hub,
    lock: Option<Mutex<Lock>>,
    resolved: Mutex<Vec<(DatasetRef, Arc<Resolved>)>>,
    files: Mutex<HashMap<(PathBuf, Form), Arc<FileRows>>>,
}

impl DataSource {
    /// Checks the options, and reads `sources.yaml` and the lock file, before any data.
    pub fn open(options: DataOptions) -> Result<DataSource> {
        let hub = Hub::from_env(options.offline)?;
        Self::with_hub(options, hub)
    }

    /// With a hub client of its own (progress, another cache).
    pub fn with_hub(options: DataOptions, hub: Hub) -> Result<DataSource> {
        let sources = options.data_dir.as_deref().map(Sources::open).transpose()?;
        let lock = options.lock.as_deref().map(Lock::open).transpose()?.map(Mutex::new);
        Ok(DataSource { options, sources, hub, lock, resolved: Mutex::default(), files: Mutex::default() })
    }

    /// Whether the data set has the split. It may have to ask the hub.
    pub fn has_split(&self, dataset: &DatasetRef, split: &str) -> Result<bool> {
        let resolved = self.resolve(dataset)?;
        if resolved.files(split).is_some() {
            return Ok(true);
        }
        Ok(slice::parse(split).is_ok_and(|parts| parts.iter().all(|part| resolved.files(&part.split).is_some())))
    }

    /// Reads a split: a name, or a slice of one (`train[:100]`), or several joined by `+`.
    pub fn load_split(&self, dataset: &DatasetRef, split: &str) -> Result<Table> {
        self.load_rows(dataset, split, None)
    }

    /// As [`DataSource::load_split`], but of a split without a slice perhaps only the first rows.
    fn load_rows(&self, dataset: &DatasetRef, split: &str, wanted: Option<usize>) -> Result<Table> {
        let resolved = self.resolve(dataset)?;
        let mut table = TableBuilder::default();
        if resolved.files(split).is_some() {
            // What is filtered must be read to the end.
            let wanted = wanted.filter(|_| resolved.filters.is_empty());
            self.read_split(dataset, &resolved, (split, wanted), &mut table)?;
        } else {
            let unknown = || no_split(dataset, &resolved, split);
            for part in slice::parse(split).map_err(|_| unknown())? {
                resolved.files(&part.split).ok_or_else(unknown)?;
                let before = table.rows.len();
                self.read_split(dataset, &resolved, (&part.split, None), &mut table)?;
                let range = part.range(table.rows.len() - before);
                table.rows.truncate(before + range.end);
                table.rows.drain(before..before + range.start);
            }
            table.total = table.rows.len();
        }
        if table.rows.is_empty() {
            let message = format!("the split `{split}` of {} has no rows", shown(dataset));
            return Err(Error::input(message).hint("check dataset_name, the slice, and `where` in sources.yaml"));
        }
        Ok(table.finish())
    }

    /// The documents of a task; the pool only if shots are wanted, as its split may be absent otherwise.
    ///
    /// The rules are the reference's (0.4.13, `ConfigurableTask`): the test split is evaluated, else validation. The pool is
    /// `fewshot_config.split`, else the fixed samples, else training, else validation, else test.
    pub fn task_docs(&self, task: &Task, need_pool: bool) -> Result<TaskDocs> {
        self.first_docs(task, need_pool, None)
    }

    /// As [`DataSource::task_docs`], of the evaluated split only as many documents as are wanted, where that makes no difference: a step
    /// that leaves rows out or makes new ones needs them all. All of a file is looked at in any case, for its checksum and its columns.
    pub fn first_docs(&self, task: &Task, need_pool: bool, wanted: Option<usize>) -> Result<TaskDocs> {
        let split = task.splits.evaluated().ok_or_else(|| {
            Error::input("the task names no test_split and no validation_split").at(&task.origin.file, task.origin.line)
        })?;
        let templates = Templates::new();
        let counts = |step: &DocStep| matches!(step, DocStep::Keep(_) | DocStep::Explode { .. });
        let wanted = wanted.filter(|_| !task.steps.iter().any(counts));
        let mut table = self.load_rows(&task.dataset, split, wanted)?;
        let mut pool_remarks = Vec::new();
        let used = Used::of(task);
        let remarks = table.remarks(&task.name, &used)?;
        let mut files = std::mem::take(&mut table.files);
        let read = table.rows.len();
        let rows = apply_steps(table.rows, &used::without_dropping(&task.steps, &absent(&table.unread)), &templates)?;
        let original = if rows.len() == read { table.total } else { rows.len() };
        let columns = columns_of(&rows);
        if rows.is_empty() {
            return Err(Error::input(format!("process_docs leaves no document of the split `{split}`")));
        }
        let pool = match need_pool {
            true => Some(self.pool(task, &templates, &mut files, &mut pool_remarks)?),
            false => None,
        };
        let remarks = [remarks, pool_remarks].concat();
        let docs = rows.into_iter().enumerate().map(|(id, fields)| Doc { id, fields }).collect();
        // The reference compares the two names as written, so that neither being named counts as the same.
        let pool_is_evaluated_split = task.fewshot.split == task.splits.test;
        Ok(TaskDocs { docs, original, pool, pool_is_evaluated_split, columns, files, remarks })
    }

    fn pool(
        &self,
        task: &Task,
        templates: &Templates,
        files: &mut Vec<FileRecord>,
        remarks: &mut Vec<Remark>,
    ) -> Result<Vec<Fields>> {
        let splits = &task.splits;
        let (split, steps) = match (&task.fewshot.split, &task.fewshot.samples) {
            (Some(split), _) => (Some(split), task.fewshot.steps.as_ref().unwrap_or(&task.steps)),
            (None, Some(samples)) => return Ok(samples.clone()),
            (None, None) => {
                (splits.training.as_ref().or(splits.validation.as_ref()).or(splits.test.as_ref()), &task.steps)
            }
        };
        let split = split.ok_or_else(|| Error::input("there is no split to draw shots from"))?;
        let mut table = self.load_split(&task.dataset, split).map_err(|err| err.context("the shots"))?;
        remarks.extend(table.remarks(&task.name, &Used::of(task)).map_err(|err| err.context("the shots"))?);
        for file in std::mem::take(&mut table.files) {
            if !files.contains(&file) {
                files.push(file);
            }
        }
        apply_steps(table.rows, &used::without_dropping(steps, &absent(&table.unread)), templates)
    }

    /// Finds out, once per data set, where its splits are.
    fn resolve(&self, dataset: &DatasetRef) -> Result<Arc<Resolved>> {
        let known = self.resolved.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, resolved)) = known.iter().find(|(known, _)| known == dataset) {
            return Ok(resolved.clone());
        }
        drop(known);
        let pinned = |key: &str| {
            let lock = self.lock.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
            lock.commit(key).map(str::to_string)
        };
        let allow_outside = self.options.allow_outside;
        let locked = |key: &str, file: &str| match &self.lock {
            Some(lock) => lock.lock().unwrap_or_else(PoisonError::into_inner).holds(key, file),
            None => false,
        };
        let sources = self.sources.as_ref();
        let origin = Origin { sources, hub: &self.hub, pinned: &pinned, locked: &locked, allow_outside };
        let resolved = Arc::new(origin.resolve(dataset).map_err(|err| self.with_data_dir_hint(err, dataset))?);
        self.resolved.lock().unwrap_or_else(PoisonError::into_inner).push((dataset.clone(), resolved.clone()));
        Ok(resolved)
    }

    /// A data set that the data folder lacks was looked for on the hub: say both.
    fn with_data_dir_hint(&self, err: Error, dataset: &DatasetRef) -> Error {
        match &self.sources {
            Some(sources) if !sources.datasets().any(|name| name == dataset.path) => {
                let file = sources.file();
                err.context(format!("`{}` is not in {} and was looked for on the hub", dataset.path, file.display()))
            }
            _ => err,
        }
    }

    fn read_split(
        &self,
        dataset: &DatasetRef,
        resolved: &Resolved,
        (split, wanted): (&str, Option<usize>),
        table: &mut TableBuilder,
    ) -> Result<()> {
        let files = resolved.fetch(&self.hub, split)?;
        let before = table.rows.len();
        let mut rows_read = 0;
        for file in &files {
            let left = wanted.map(|wanted| wanted.saturating_sub(table.rows.len() - before));
            let read = self.read(file, dataset, resolved, left)?;
            rows_read += read.record.rows;
            table.add(&read, &resolved.filters, file)?;
        }
        if rows_read == 0 {
            let file = files.first().map(|file| file.path.clone()).unwrap_or_default();
            return Err(Error::input(format!("the split `{split}` has no rows"))
                .file(file)
                .hint("is the file truncated?"));
        }
        if table.rows.len() == before && !resolved.filters.is_empty() {
            let wanted: Vec<String> =
                resolved.filters.iter().map(|filter| format!("{} = {:?}", filter.column, filter.value)).collect();
            let file = files.first().map(|file| file.path.clone()).unwrap_or_default();
            return Err(Error::input(format!("no row has {}", wanted.join(" and ")))
                .file(file)
                .hint("check dataset_name"));
        }
        Ok(())
    }

    /// Reads a file, or gives what was read before; hub files are held against the lock.
    fn read(
        &self,
        file: &Located,
        dataset: &DatasetRef,
        resolved: &Resolved,
        rows: Option<usize>,
    ) -> Result<Arc<FileRows>> {
        let csv = CsvForm {
            delimiter: dataset.delimiter,
            column_names: dataset.column_names.clone(),
            nulls: dataset.nulls.clone(),
        };
        let form = Form { format: resolved.format, csv, field: dataset.field.clone(), rows };
        let key = (file.path.clone(), form);
        if let Some(read) = self.files.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(read.clone());
        }
        let read = Arc::new(table::read_file(file, &key.1, self.options.memory.unwrap_or(DEFAULT_MEMORY))?);
        if let (Some(lock), Some(pin)) = (&self.lock, &file.pin) {
            let record = &read.record;
            let found = LockedFile { sha256: record.sha256.clone(), bytes: record.bytes, rows: Some(record.rows) };
            lock.lock().unwrap_or_else(PoisonError::into_inner).check(&pin.key, &pin.commit, &pin.file, found)?;
        }
        self.files.lock().unwrap_or_else(PoisonError::into_inner).insert(key, read.clone());
        Ok(read)
    }

    /// The options it was opened with.
    pub fn options(&self) -> &DataOptions {
        &self.options
    }

    /// What the data folder has: data sets, their configurations (`*`: any) and splits.
    pub fn data_dir_contents(&self) -> Vec<(String, String, Vec<String>)> {
        let Some(sources) = &self.sources else { return Vec::new() };
        let owned = |names: Vec<&str>| names.into_iter().map(str::to_string).collect();
        sources
            .datasets()
            .flat_map(|name| {
                sources.configs(name).map(move |(config, splits)| (name.to_string(), config.to_string(), owned(splits)))
            })
            .collect()
    }
}

/// Rows gathered from files.
#[derive(Default)]
struct TableBuilder {
    rows: Vec<Fields>,
    total: usize,
    files: Vec<FileRecord>,
    unread: Vec<(PathBuf, Unread)>,
    quirks: Vec<(String, Quirk)>,
}

impl TableBuilder {
    fn add(&mut self, read: &FileRows, filters: &[Filter], file: &Located) -> Result<()> {
        if let Some(missing) =
            filters.iter().find(|f| read.rows.first().is_some_and(|row| !row.contains_key(&f.column)))
        {
            let message = format!("there is no column `{}`, which sources.yaml filters by", missing.column);
            return Err(Error::input(message).file(&file.path));
        }
        let keep = |row: &&Fields| {
            filters.iter().all(|filter| row.get(&filter.column).is_some_and(|cell| equals(cell, &filter.value)))
        };
        let before = self.rows.len();
        self.rows.extend(read.rows.iter().filter(keep).cloned());
        self.total += if filters.is_empty() { read.record.rows } else { self.rows.len() - before };
        if !self.files.contains(&read.record) {
            self.files.push(read.record.clone());
            self.unread.extend(read.unread.iter().map(|unread| (file.path.clone(), unread.clone())));
            self.quirks.extend(read.quirks.iter().map(|quirk| (read.record.name.clone(), quirk.clone())));
        }
        Ok(())
    }

    /// Gives every row the same columns; what a file leaves out is null.
    fn finish(self) -> Table {
        let columns = columns_of(&self.rows);
        let same = |row: &Fields| row.len() == columns.len() && row.keys().eq(columns.iter());
        let rows = self.rows.into_iter().map(|mut row| match same(&row) {
            true => row,
            false => columns.iter().map(|name| (name.clone(), row.remove(name).unwrap_or(Value::Null))).collect(),
        });
        let TableBuilder { total, files, unread, quirks, .. } = self;
        Table { rows: rows.collect(), total, columns: columns.clone(), files, unread, quirks }
    }
}

impl Table {
    /// What the user should know of the columns that a task uses; of the others only what is worth a note.
    ///
    /// Errors: the task asks for a column that could not be read.
    fn remarks(&self, task: &str, used: &Used) -> Result<Vec<Remark>> {
        if let Some((file, unread)) = self.unread.iter().find(|(_, unread)| used.asks_for(&unread.path)) {
            return Err(unread.error().file(file));
        }
        let remark = |(file, quirk): &(String, Quirk)| {
            let used = used.asks_for(&quirk.column);
            let remark = match quirk.oddity {
                Oddity::NullWord if !used => return None,
                Oddity::NotFinite if !used => Remark::note(task, quirk.text(file)),
                _ => Remark::warning(task, quirk.text(file)),
            };
            Some(remark.count(quirk.count, quirk.of, "rows"))
        };
        Ok(self.quirks.iter().filter_map(remark).collect())
    }
}

/// The columns of which nothing could be read.
fn absent(unread: &[(PathBuf, Unread)]) -> HashSet<String> {
    unread
        .iter()
        .map(|(_, unread)| unread.path.clone())
        .chain(unread.iter().map(|(_, unread)| unread.column().to_owned()))
        .collect()
}

/// The columns of rows, in the order in which they are first seen.
fn columns_of(rows: &[Fields]) -> Vec<String> {
    let mut columns: Vec<String> = Vec::new();
    let mut known: HashSet<&str> = HashSet::new();
    for row in rows {
        if row.len() == columns.len() && row.keys().eq(columns.iter()) {
            continue;
        }
        columns.extend(row.keys().filter(|name| known.insert(name)).cloned());
    }
    columns
}

/// Whether a cell has the value that is written in `sources.yaml`.
fn equals(cell: &Value, text: &str) -> bool {
    match cell {
        Value::String(cell) => cell == text,
        Value::Bool(cell) => text.eq_ignore_ascii_case(if *cell { "true" } else { "false" }),
        Value::Null => matches!(text, "null" | "~"),
        Value::Number(cell) => cell.to_string() == text,
        Value::Array(_) | Value::Object(_) => false,
    }
}

/// `openai/gsm8k (main)` in messages.
fn shown(dataset: &DatasetRef) -> String {
    match &dataset.name {
        Some(name) => format!("`{}` ({name})", dataset.path),
        None => format!("`{}`", dataset.path),
    }
}

fn no_split(dataset: &DatasetRef, resolved: &Resolved, split: &str) -> Error {
    let names: Vec<&str> = resolved.splits.iter().map(|split| split.split.as_str()).collect();
    let err = Error::input(format!("{} has no split `{split}` in {}", shown(dataset), resolved.place()));
    match nearest(split, names.iter().copied()) {
        Some(near) => err.hint(format!("did you mean `{near}`?")),
        None => err.hint(format!("there are: {}", crate::visible::list(&names))),
    }
}

#[cfg(test)]
mod tests;
