//! Where the splits of a data set are: the data folder, files on disk, or the hub.

use super::layout::{self, Config, SplitFiles};
use super::sources::{Filter, Sources};
use super::table::Format;
use crate::embedded;
use crate::error::{Error, Result, nearest};
use crate::file;
use crate::hub::{Hub, Listing, Lock, RepoKind};
use crate::pattern::{PathPattern, is_path_pattern};
use crate::task::DatasetRef;
use std::path::{Component, Path, PathBuf};

/// Where the hub keeps a Parquet copy of every public data set.
const CONVERTED: &str = "refs/convert/parquet";

/// The loaders that `dataset_path` can name in place of a data set.
const LOADERS: &[(&str, Format)] = &[("json", Format::Json), ("csv", Format::Csv(b',')), ("parquet", Format::Parquet)];

/// What is needed to find data.
pub(super) struct Origin<'a> {
    pub sources: Option<&'a Sources>,
    pub hub: &'a Hub,
    /// The commit that the lock file has for a repository.
    pub pinned: &'a dyn Fn(&str) -> Option<String>,
    /// Files on disk may lie outside of the folder of whoever names them.
    pub allow_outside: bool,
    /// Whether the lock file has a file of a repository.
    pub locked: &'a dyn Fn(&str, &str) -> bool,
}

/// The splits of a data set and where their files are.
#[derive(Debug)]
pub(super) struct Resolved {
    pub splits: Vec<SplitFiles>,
    /// Only these rows count.
    pub filters: Vec<Filter>,
    /// The format, where names need not tell it.
    pub format: Option<Format>,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// Files on disk, relative to a folder; where `within` is given, none may lie outside of it.
    Disk { dir: PathBuf, within: Option<Within> },
    /// Files in the binary.
    Embedded,
    /// Files of a hub repository at a commit.
    Hub { id: String, commit: String, key: String, offline: bool },
}

/// A file that was found.
#[derive(Debug)]
pub(super) struct Located {
    pub path: PathBuf,
    /// Its bytes, where it is part of the binary and not on disk.
    pub embedded: Option<&'static [u8]>,
    /// Its name in the run's record.
    pub shown: String,
    pub pin: Option<Pin>,
}

/// Its entry in the lock file.
#[derive(Debug)]
pub(super) struct Pin {
    pub key: String,
    pub commit: String,
    pub file: String,
}

impl Located {
    /// A file on disk that no lock file knows.
    pub fn on_disk(path: PathBuf, shown: &str) -> Located {
        Located { path, embedded: None, shown: shown.to_string(), pin: None }
    }
}

impl Resolved {
    /// The files of a split.
    pub fn files(&self, split: &str) -> Option<&SplitFiles> {
        self.splits.iter().find(|known| known.split == split)
    }

    /// The place in words.
    pub fn place(&self) -> String {
        match &self.place {
            Place::Disk { dir, .. } if dir.as_os_str().is_empty() => "its data files".to_string(),
            Place::Disk { dir, .. } => dir.display().to_string(),
            Place::Embedded => "the built-in demo".to_string(),
            Place::Hub { commit, .. } => format!("its repository at {commit}"),
        }
    }

    /// Brings the files of a split to the disk.
    pub fn fetch(&self, hub: &Hub, split: &str) -> Result<Vec<Located>> {
        let Some(files) = self.files(split) else { return Ok(Vec::new()) };
        match &self.place {
            Place::Disk { dir, within } => {
                let located = |file: &String| {
                    within.iter().try_for_each(|within| within.check(&dir.join(file), file))?;
                    Ok(Located::on_disk(dir.join(file), file))
                };
                files.files.iter().map(located).collect()
            }
            Place::Embedded => {
                let located = |file: &String| Located {
                    path: embedded::shown(file),
                    embedded: Some(embedded::file(file).unwrap_or_default()),
                    shown: file.clone(),
                    pin: None,
                };
                Ok(files.files.iter().map(located).collect())
            }
            Place::Hub { id, commit, key, offline } => {
                if files.partial {
                    let message = format!("the hub's Parquet copy of `{id}` holds only the first rows of `{split}`");
                    let err = Error::input(message);
                    return Err(
                        err.hint("fetch the data set yourself and name its files in a sources.yaml (--data-dir)")
                    );
                }
                if *offline {
                    if files.files.is_empty() {
                        let err =
                            Error::input(format!("the files of the split `{split}` of `{id}` are not in the cache"));
                        return Err(err.hint("run once without --offline to fetch them"));
                    }
                    check_shards(&files.files, id)?;
                }
                let wanted = |file: &str| files.files.iter().any(|name| name == file);
                let snapshot = hub.snapshot(RepoKind::Dataset, id, Some(commit), &wanted)?;
                let located = |file: &String| Located {
                    path: snapshot.dir.join(file),
                    embedded: None,
                    shown: format!("hf://datasets/{id}@{commit}/{file}"),
                    pin: Some(Pin { key: key.clone(), commit: commit.clone(), file: file.clone() }),
                };
                Ok(files.files.iter().map(located).collect())
            }
        }
    }
}

impl Origin<'_> {
    /// Finds a data set: a loader's files, a folder, the data folder, the built-in demo, else the hub.
    pub fn resolve(&self, dataset: &DatasetRef) -> Result<Resolved> {
        if let Some((_, format)) = LOADERS.iter().find(|(name, _)| *name == dataset.path) {
            return local_files(dataset, *format, self.task_folder(dataset));
        }
        if dataset.path.starts_with(['.', '/', '~']) {
            return local_folder(dataset, self.task_folder(dataset));
        }
        let data_folder = |sources: &Sources| Place::Disk {
            dir: sources.path(""),
            within: (!self.allow_outside).then(|| Within { folder: sources.path(""), whose: "data folder" }),
        };
        if let Some(sources) = self.sources
            && let Some(found) = in_sources(sources, dataset, data_folder(sources))?
        {
            return Ok(found);
        }
        if let Some(found) = in_sources(&Sources::embedded()?, dataset, Place::Embedded)? {
            return Ok(found);
        }
        match self.sources {
            Some(sources) if self.hub.is_offline() => Err(not_in_folder(sources, &dataset.path)),
            _ => self.on_hub(dataset),
        }
    }

    /// Where the files of a task must lie.
    fn task_folder(&self, dataset: &DatasetRef) -> Option<Within> {
        (!self.allow_outside).then(|| Within { folder: dataset.base.clone(), whose: "folder of the task file" })
    }

    fn on_hub(&self, dataset: &DatasetRef) -> Result<Resolved> {
        let id = dataset.path.as_str();
        if let Some(resolved) = self.locked_copy(dataset)? {
            return Ok(resolved);
        }
        let (key, own) = self.listing(id, dataset.revision.as_deref())?;
        let names: Vec<String> = own.files.iter().map(|file| file.path.clone()).collect();
        let on_commit = |key, listing: &Listing, splits| on_commit(id, key, listing, splits);
        if !dataset.data_files.is_empty() {
            let base = dataset.data_dir.as_deref().map(|dir| format!("{}/", dir.trim_matches('/'))).unwrap_or_default();
            let split = |(split, patterns): &(String, Vec<String>)| {
                let files = layout::matching(&names, &base, patterns).map_err(|err| err.context(format!("`{id}`")))?;
                Ok(SplitFiles { split: split.clone(), files, partial: false })
            };
            return Ok(on_commit(key, &own, dataset.data_files.iter().map(split).collect::<Result<_>>()?));
        }
        let card = match names.iter().any(|name| name == "README.md") {
            true => match self.card(id, &own.commit) {
                // Of a cache that another tool made, the card may be missing.
                Err(_) if self.hub.is_offline() => None,
                card => Some(card?),
            },
            false => None,
        };
        let has_script = names.iter().any(|name| is_script(name, id));
        let configs = match layout::configs(&names, card.as_deref(), dataset.data_dir.as_deref(), own.complete) {
            Ok(configs) if !has_script => configs,
            Ok(_) => Vec::new(),
            // The card may speak of files that are not in the cache.
            Err(_) if !own.complete => Vec::new(),
            Err(err) => return Err(err.context(format!("`{id}`"))),
        };
        let chosen = layout::select(&configs, dataset.name.as_deref(), id);
        if let Ok(config) = &chosen
            && is_parquet(config)
        {
            return Ok(on_commit(key, &own, config.splits.clone()));
        }
        // Files of other kinds: the hub's Parquet copy has the declared types; without one, the files themselves.
        let mut files = chosen.iter().flat_map(|config| &config.splits).flat_map(|split| &split.files);
        let locked = files.any(|file| (self.locked)(&key, file));
        let converted = match locked || dataset.revision.is_some() {
            // The lock was made with the files themselves.
            true => None,
            false => self.listing(id, Some(CONVERTED)).ok(),
        };
        if let Some((key, listing)) = converted {
            let names: Vec<String> = listing.files.iter().map(|file| file.path.clone()).collect();
            let copies = layout::converted(&names);
            let wanted = dataset.name.as_deref().or(chosen.as_ref().ok().map(|config| config.name.as_str()));
            if let Ok(config) = layout::select(&copies, wanted, id)
                && (config.splits.iter().all(|split| !split.partial) || chosen.is_err())
            {
                return Ok(on_commit(key, &listing, config.splits.clone()));
            }
        }
        if configs.is_empty() {
            let message = format!("`{id}` has no data files that can be read");
            let err = Error::input(message);
            return Err(if own.complete {
                err.hint("it has neither Parquet, JSON nor CSV files, nor a Parquet copy on the hub")
            } else {
                err.hint("its data files are not in the cache; run once without --offline")
            });
        }
        chosen.map(|config| on_commit(key, &own, config.splits.clone()))
    }

    /// The hub's Parquet copy, where the lock file was made with it and not with the data set's own files.
    fn locked_copy(&self, dataset: &DatasetRef) -> Result<Option<Resolved>> {
        let id = dataset.path.as_str();
        let is_locked = |revision| (self.pinned)(&Lock::key(RepoKind::Dataset, id, revision)).is_some();
        let plain = dataset.revision.is_none() && dataset.data_files.is_empty() && dataset.data_dir.is_none();
        if !plain || is_locked(None) || !is_locked(Some(CONVERTED)) {
            return Ok(None);
        }
        let (key, listing) = self.listing(id, Some(CONVERTED))?;
        let names: Vec<String> = listing.files.iter().map(|file| file.path.clone()).collect();
        let copies = layout::converted(&names);
        let config = layout::select(&copies, dataset.name.as_deref(), id).ok();
        Ok(config.map(|config| on_commit(id, key, &listing, config.splits.clone())))
    }

    /// The files of a data set at a revision, or at the commit that the lock file has for it; and the lock's key.
    fn listing(&self, id: &str, revision: Option<&str>) -> Result<(String, std::sync::Arc<Listing>)> {
        let key = Lock::key(RepoKind::Dataset, id, revision);
        let pinned = (self.pinned)(&key);
        let listing = self.hub.list_files(RepoKind::Dataset, id, pinned.as_deref().or(revision))?;
        Ok((key, listing))
    }

    fn card(&self, id: &str, commit: &str) -> Result<String> {
        let path = self.hub.file(RepoKind::Dataset, id, Some(commit), "README.md")?;
        let bytes = file::read(&path, file::SMALL).map_err(|err| Error::io("cannot read", &path, err))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// A folder that files may not lie outside of: task files and data folders come from others, and what is read goes to a model's server.
#[derive(Debug, Clone)]
struct Within {
    folder: PathBuf,
    /// What the folder is, for messages.
    whose: &'static str,
}

impl Within {
    /// Refuses a path (`shown` as it was written) that leads out of the folder: by its words, or by links on its way.
    fn check(&self, path: &Path, shown: &str) -> Result<()> {
        let here = |path: &Path| if path.as_os_str().is_empty() { PathBuf::from(".") } else { path.to_path_buf() };
        let folder = here(&self.folder);
        let folder = folder.canonicalize().map_err(|err| Error::io("cannot find the folder", &folder, err))?;
        let inside = match here(path).canonicalize() {
            // A snapshot of the hub's cache is made of links into its repository's folder.
            Ok(real) => real.starts_with(&folder) || snapshot_of(&folder).is_some_and(|repo| real.starts_with(repo)),
            // What is not there is said by whoever opens it, unless its words lead out already.
            Err(_) => {
                let below = [&self.folder, &folder].into_iter().find_map(|folder| path.strip_prefix(folder).ok());
                below.is_some_and(is_inside)
            }
        };
        if inside {
            return Ok(());
        }
        Err(Error::input(format!("`{shown}` leads out of the {}", self.whose))
            .hint("`--allow-outside` reads it all the same: for files that you trust, as what they name may be sent to a server"))
    }
}

/// The repository's folder in the hub's cache, where a folder is one of its snapshots.
fn snapshot_of(folder: &Path) -> Option<PathBuf> {
    let snapshots = folder.parent().filter(|parent| parent.ends_with("snapshots"))?;
    let repo = snapshots.parent()?;
    (repo.join("blobs").is_dir() && repo.join("refs").is_dir()).then(|| repo.join("blobs"))
}

/// Whether the words of a path stay within the folder that it is relative to.
fn is_inside(path: &Path) -> bool {
    let mut depth = 0usize;
    path.components().all(|part| match part {
        Component::Normal(_) => {
            depth += 1;
            true
        }
        Component::CurDir => true,
        Component::ParentDir => {
            let is_below = depth > 0;
            depth = depth.saturating_sub(1);
            is_below
        }
        Component::RootDir | Component::Prefix(_) => false,
    })
}

fn on_commit(id: &str, key: String, listing: &Listing, splits: Vec<SplitFiles>) -> Resolved {
    let offline = !listing.complete;
    let place = Place::Hub { id: id.to_string(), commit: listing.commit.clone(), key, offline };
    Resolved { splits, filters: Vec::new(), format: None, place }
}

/// `openai/gsm8k` with a `gsm8k.py` is loaded by that program, which we do not run.
fn is_script(file: &str, id: &str) -> bool {
    let name = id.rsplit('/').next().unwrap_or(id);
    file.strip_suffix(".py").is_some_and(|stem| stem == name)
}

fn is_parquet(config: &Config) -> bool {
    let parquet = |split: &SplitFiles| split.files.iter().all(|file| Format::of(file) == Some(Format::Parquet));
    config.splits.iter().any(|split| !split.files.is_empty()) && config.splits.iter().all(parquet)
}

/// Offline the cache may hold some shards only; their names tell how many there are.
fn check_shards(files: &[String], id: &str) -> Result<()> {
    for file in files {
        let Some(total) = file.rfind("-of-").and_then(|at| file.get(at + 4..at + 9)?.parse::<usize>().ok()) else {
            continue;
        };
        let stem = file.rfind("-of-").and_then(|at| file.get(..at.saturating_sub(5))).unwrap_or_default();
        let there = files.iter().filter(|other| other.starts_with(stem)).count();
        if there < total {
            let message = format!("{there} of the {total} files of `{stem}…` of `{id}` are in the cache");
            return Err(Error::input(message).hint("run once without --offline to fetch the others"));
        }
    }
    Ok(())
}

fn not_in_folder(sources: &Sources, dataset: &str) -> Error {
    let names: Vec<&str> = sources.datasets().collect();
    let err =
        Error::input(format!("`{dataset}` is not in the data folder, and the network is off")).file(sources.file());
    match nearest(dataset, names.iter().copied()) {
        Some(near) => err.hint(format!("did you mean `{near}`? without --offline it would be fetched from the hub")),
        None => err.hint(format!(
            "there are: {}; without --offline it would be fetched from the hub",
            crate::visible::list(&names)
        )),
    }
}

/// What a `sources.yaml` has of a data set; `None` where it has nothing.
fn in_sources(sources: &Sources, dataset: &DatasetRef, place: Place) -> Result<Option<Resolved>> {
    let found = sources.find(&dataset.path, dataset.name.as_deref())?;
    Ok(found.map(|found| {
        let split = |(split, files)| SplitFiles { split, files, partial: false };
        let splits = found.splits.into_iter().map(split).collect();
        Resolved { splits, filters: found.filters, format: None, place }
    }))
}

/// `dataset_path: json` and the like with `data_files`, relative to the task file.
fn local_files(dataset: &DatasetRef, format: Format, within: Option<Within>) -> Result<Resolved> {
    let base = match &dataset.data_dir {
        Some(dir) => dataset.base.join(dir),
        None => dataset.base.clone(),
    };
    let within = within.as_ref();
    if let (Some(within), Some(dir)) = (within, &dataset.data_dir) {
        within.check(&base, dir)?;
    }
    let splits = if !dataset.data_files.is_empty() {
        let split = |(split, patterns): &(String, Vec<String>)| {
            let files =
                patterns.iter().map(|pattern| expand(&base, pattern, within)).collect::<Result<Vec<_>>>()?.concat();
            Ok(SplitFiles { split: split.clone(), files, partial: false })
        };
        dataset.data_files.iter().map(split).collect::<Result<_>>()?
    } else if dataset.data_dir.is_some() {
        folder_configs(&base, None)?.into_iter().next().map(|config| config.splits).unwrap_or_default()
    } else {
        let err = Error::input(format!("dataset_path `{}` needs data_files", dataset.path));
        return Err(err.hint("dataset_kwargs: {data_files: {test: test.jsonl}}"));
    };
    // Files of the loader's kind may have any name; a known name tells more (`.tsv`).
    let named = |file: &String| matches!((Format::of(file), format), (Some(Format::Csv(_)), Format::Csv(_)));
    let by_name = splits.iter().flat_map(|split: &SplitFiles| &split.files).all(named);
    let format = if by_name { None } else { Some(format) };
    let place = Place::Disk { dir: base, within: within.cloned() };
    Ok(Resolved { splits, filters: Vec::new(), format, place })
}

/// `dataset_path: ./folder`: laid out like a repository.
fn local_folder(dataset: &DatasetRef, within: Option<Within>) -> Result<Resolved> {
    let base = dataset.base.join(&dataset.path);
    let within = within.as_ref();
    if let Some(within) = within {
        within.check(&base, &dataset.path)?;
        let inner = dataset.data_dir.as_deref().unwrap_or_default();
        within.check(&base.join(inner), inner)?;
    }
    if !base.is_dir() {
        return Err(Error::input("there is no such folder")
            .file(&base)
            .hint("dataset_path is relative to the task file"));
    }
    let splits = if dataset.data_files.is_empty() {
        let configs = folder_configs(&base, dataset.data_dir.as_deref())?;
        layout::select(&configs, dataset.name.as_deref(), &dataset.path)?.splits.clone()
    } else {
        let split = |(split, patterns): &(String, Vec<String>)| {
            let files =
                patterns.iter().map(|pattern| expand(&base, pattern, within)).collect::<Result<Vec<_>>>()?.concat();
            Ok(SplitFiles { split: split.clone(), files, partial: false })
        };
        dataset.data_files.iter().map(split).collect::<Result<_>>()?
    };
    let place = Place::Disk { dir: base, within: within.cloned() };
    Ok(Resolved { splits, filters: Vec::new(), format: None, place })
}

fn folder_configs(base: &Path, data_dir: Option<&str>) -> Result<Vec<Config>> {
    let mut names = Vec::new();
    walk(base, "", &mut names)?;
    names.sort();
    let card = file::read_to_string(&base.join("README.md"), file::SMALL).ok();
    let configs = layout::configs(&names, card.as_deref(), data_dir, true)?;
    if configs.iter().all(|config| config.splits.is_empty()) {
        return Err(Error::input("there are no data files in this folder").file(base));
    }
    Ok(configs)
}

/// The files that a pattern means, relative to `base`; a plain name must exist.
fn expand(base: &Path, pattern: &str, within: Option<&Within>) -> Result<Vec<String>> {
    if pattern.contains("://") {
        let err = Error::input(format!("data_files from the network are not supported: `{pattern}`"));
        return Err(err.hint("fetch the file and name it by its path"));
    }
    if !is_path_pattern(pattern) || base.join(pattern).is_file() {
        return Ok(vec![pattern.to_string()]);
    }
    // Only the folder before the first wildcard is searched.
    let fixed = pattern.find(['*', '?', '[', '{']).and_then(|at| pattern.get(..at)).unwrap_or_default();
    let folder = fixed.rfind('/').and_then(|at| fixed.get(..=at)).unwrap_or_default();
    // Not even names are looked at outside.
    within.map_or(Ok(()), |within| within.check(&base.join(folder), pattern))?;
    let mut names = Vec::new();
    walk(&base.join(folder), folder, &mut names)?;
    let glob = PathPattern::new(pattern);
    names.retain(|name| glob.matches(name.strip_prefix("./").unwrap_or(name)));
    names.sort();
    if names.is_empty() {
        return Err(Error::input(format!("no file fits `{pattern}`")).file(base));
    }
    Ok(names)
}

/// All files under a folder, as paths with `prefix`; hidden ones and linked folders are left out.
fn walk(dir: &Path, prefix: &str, names: &mut Vec<String>) -> Result<()> {
    let entries = std::fs::read_dir(dir).map_err(|err| Error::io("cannot list", dir, err))?;
    for entry in entries {
        let entry = entry.map_err(|err| Error::io("cannot list", dir, err))?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if name.starts_with('.') {
            continue;
        }
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            walk(&entry.path(), &format!("{prefix}{name}/"), names)?;
        } else if entry.path().is_file() {
            names.push(format!("{prefix}{name}"));
        }
    }
    Ok(())
}
