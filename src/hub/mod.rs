//! The Hugging Face hub: models and datasets by id.
//!
//! Comes in: a repository id, a revision, which files are wanted. Goes out: a folder of files in the standard cache, which other
//! tools share. Never: what is in the files; printing (progress goes to a callback).

mod cache;
mod config;
mod download;
mod http;
mod lock;
#[cfg(test)]
pub(crate) mod mock;

pub use config::HubConfig;
pub use http::DownloadEvent;
pub use lock::{Lock, LockedFile};

use crate::error::{Error, Result};
use cache::RepoCache;
use http::Http;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The revision that is meant when none is named.
pub const MAIN: &str = "main";

/// What a repository holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RepoKind {
    Model,
    Dataset,
}

impl RepoKind {
    /// The plural, as in the hub's addresses.
    pub fn plural(self) -> &'static str {
        match self {
            RepoKind::Model => "models",
            RepoKind::Dataset => "datasets",
        }
    }
}

/// A repository of the hub, with a well-formed id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Repo {
    kind: RepoKind,
    id: String,
}

impl Repo {
    fn new(kind: RepoKind, id: &str) -> Result<Self> {
        let word = |part: &str| {
            !part.is_empty()
                && !part.starts_with(['.', '-'])
                && !part.contains("..")
                && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        };
        if !id.split('/').all(word) || id.split('/').count() > 2 {
            return Err(Error::input(format!("`{id}` is not a hub id")).hint("ids look like `openai/gsm8k`"));
        }
        Ok(Repo { kind, id: id.to_string() })
    }

    /// The path of the repository in the hub's addresses.
    fn page(&self) -> String {
        match self.kind {
            RepoKind::Model => self.id.clone(),
            RepoKind::Dataset => format!("datasets/{}", self.id),
        }
    }
}

/// A file as the hub lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepoFile {
    /// Path inside the repository.
    pub path: String,
    pub size: Option<u64>,
    /// Known for large files.
    pub sha256: Option<String>,
    /// The name of the file's contents in the cache.
    blob: Option<String>,
}

/// The files of a repository at a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    pub commit: String,
    pub files: Vec<RepoFile>,
    /// All files of the repository; offline, where its listing was never noted, only those in the cache are known.
    pub complete: bool,
}

/// A file that lies in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotFile {
    /// Path inside the repository.
    pub path: String,
    pub local: PathBuf,
}

/// The wanted files of a repository at a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The folder that the files' paths are relative to.
    pub dir: PathBuf,
    pub commit: String,
    pub files: Vec<SnapshotFile>,
}

type Progress = Arc<dyn Fn(DownloadEvent) + Send + Sync>;

/// A client of the hub. Its calls block; nothing is fetched that the cache has.
pub struct Hub {
    config: HubConfig,
    progress: Progress,
    http: OnceLock<Http>,
    listings: Mutex<HashMap<(Repo, String), Arc<Listing>>>,
}

impl Hub {
    /// A client as the `HF_*` variables say; `offline` also without `HF_HUB_OFFLINE`.
    pub fn from_env(offline: bool) -> Result<Hub> {
        let mut config = HubConfig::from_vars(&|name| std::env::var(name).ok())?;
        config.offline |= offline;
        Ok(Hub::new(config))
    }

    /// A client with a configuration of its own.
    pub fn new(config: HubConfig) -> Hub {
        Hub { config, progress: Arc::new(|_| {}), http: OnceLock::new(), listings: Mutex::default() }
    }

    /// Reports downloads to `progress`, on another thread than the caller's.
    pub fn with_progress(mut self, progress: impl Fn(DownloadEvent) + Send + Sync + 'static) -> Hub {
        self.progress = Arc::new(progress);
        self
    }

    /// Whether the network may be used.
    pub fn is_offline(&self) -> bool {
        self.config.offline
    }

    /// The files of a repository; the revision is a branch, tag or commit, `main` by default.
    pub fn list_files(&self, kind: RepoKind, id: &str, revision: Option<&str>) -> Result<Arc<Listing>> {
        let repo = Repo::new(kind, id)?;
        let revision = checked_revision(revision.unwrap_or(MAIN))?;
        let key = (repo.clone(), revision.to_string());
        if let Some(known) = self.listings.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(known.clone());
        }
        let cache = RepoCache::new(&self.config.cache, &repo);
        // What stands at a commit does not change, so nobody needs to be asked again.
        let known = if is_hex(revision, 40) { cache.noted(revision) } else { None };
        let listing = match known {
            Some(listing) => listing,
            None if self.config.offline => cache.listing(&repo, revision)?,
            None => self.fetch_listing(&repo, revision).map_err(|err| match cache.listing(&repo, revision) {
                Ok(_) => {
                    unreachable_hint(err, "; the cache has it from an earlier time: --offline takes what is there")
                }
                Err(_) => unreachable_hint(err, ""),
            })?,
        };
        let listing = Arc::new(listing);
        self.listings.lock().unwrap_or_else(PoisonError::into_inner).insert(key, listing.clone());
        Ok(listing)
    }

    /// Brings the wanted files of a repository into the cache.
    pub fn snapshot(
        &self,
        kind: RepoKind,
        id: &str,
        revision: Option<&str>,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Result<Snapshot> {
        let repo = Repo::new(kind, id)?;
        let listing = self.list_files(kind, id, revision)?;
        let cache = RepoCache::new(&self.config.cache, &repo);
        let mut files = Vec::new();
        for file in listing.files.iter().filter(|file| wanted(&file.path)) {
            let local = self.ensure(&repo, &cache, &listing.commit, file)?;
            files.push(SnapshotFile { path: file.path.clone(), local });
        }
        Ok(Snapshot { dir: cache.snapshot_dir(&listing.commit), commit: listing.commit.clone(), files })
    }

    /// Brings one file into the cache; an error when the repository does not have it.
    pub fn file(&self, kind: RepoKind, id: &str, revision: Option<&str>, path: &str) -> Result<PathBuf> {
        let snapshot = self.snapshot(kind, id, revision, &|name| name == path)?;
        match snapshot.files.into_iter().next() {
            Some(file) => Ok(file.local),
            None if self.config.offline => {
                Err(offline_error(format!("`{path}` of `{id}` is not in the cache"), &self.config.cache))
            }
            None => Err(Error::input(format!("`{id}` has no file `{path}` at {}", revision.unwrap_or(MAIN)))),
        }
    }

    /// The file's place in the cache, after a download if it is not there.
    fn ensure(&self, repo: &Repo, cache: &RepoCache, commit: &str, file: &RepoFile) -> Result<PathBuf> {
        let local = cache.snapshot_dir(commit).join(&file.path);
        if cache::is_whole(&local, file.size) {
            return Ok(local);
        }
        if let Some(blob) =
            file.blob.as_deref().map(|name| cache.blob(name)).filter(|blob| cache::is_whole(blob, file.size))
        {
            cache::link(&blob, &local)?;
            return Ok(local);
        }
        if self.config.offline {
            return Err(offline_error(
                format!("`{}` of `{}` is not in the cache", file.path, repo.id),
                &self.config.cache,
            ));
        }
        let http = self.http()?;
        on_runtime(|| download::fetch(http, repo, cache, commit, file, self.progress.as_ref()))
            .map_err(|err| unreachable_hint(err, ""))?;
        Ok(local)
    }

    fn fetch_listing(&self, repo: &Repo, revision: &str) -> Result<Listing> {
        let http = self.http()?;
        let address =
            format!("api/{}/{}/revision/{}?blobs=true", repo.kind.plural(), repo.id, http::encode(revision, false));
        let info: ApiInfo = on_runtime(|| http.json(&address, repo, revision, self.progress.as_ref()))?;
        checked_commit(&info.sha)?;
        let files = info.siblings.into_iter().map(RepoFile::try_from).collect::<Result<Vec<_>>>()?;
        let cache = RepoCache::new(&self.config.cache, repo);
        let listing = Listing { commit: info.sha, files, complete: true };
        cache.note(&listing)?;
        cache.remember(revision, &listing.commit)?;
        Ok(listing)
    }

    /// The HTTP client, made when it is first needed.
    fn http(&self) -> Result<&Http> {
        if self.http.get().is_none() {
            let http = Http::new(&self.config)?;
            return Ok(self.http.get_or_init(|| http));
        }
        self.http.get().ok_or_else(|| Error::input("the HTTP client is not ready"))
    }
}

/// What the hub's API says of a revision.
#[derive(Deserialize)]
struct ApiInfo {
    sha: String,
    #[serde(default)]
    siblings: Vec<ApiFile>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ApiFile {
    rfilename: String,
    size: Option<u64>,
    blob_id: Option<String>,
    lfs: Option<ApiLfs>,
}

#[derive(Deserialize)]
struct ApiLfs {
    sha256: Option<String>,
    size: Option<u64>,
}

impl TryFrom<ApiFile> for RepoFile {
    type Error = Error;

    fn try_from(file: ApiFile) -> Result<Self> {
        if !is_inside(&file.rfilename) {
            return Err(Error::input(format!("the hub lists a file with the unsafe name {:?}", file.rfilename)));
        }
        let sha256 = file.lfs.as_ref().and_then(|lfs| lfs.sha256.clone()).filter(|sum| is_hex(sum, 64));
        let size = file.lfs.as_ref().and_then(|lfs| lfs.size).or(file.size);
        let blob = sha256.clone().or(file.blob_id.filter(|name| is_hex(name, 40)));
        Ok(RepoFile { path: file.rfilename, size, sha256, blob })
    }
}

/// Whether a file's name stays inside its repository.
fn is_inside(name: &str) -> bool {
    let normal = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
    normal && !name.is_empty() && !name.contains(['\\', '\0'])
}

/// Runs a future to its end on a thread of its own, so that callers may themselves be inside a runtime.
fn on_runtime<T: Send, F: Future<Output = Result<T>>>(work: impl FnOnce() -> F + Send) -> Result<T> {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|err| Error::input("cannot start the network runtime").cause(err))?;
        runtime.block_on(work())
    };
    let joined = std::thread::scope(|scope| scope.spawn(run).join());
    joined.unwrap_or_else(|_| Err(Error::input("the download stopped unexpectedly")))
}

/// A revision that can be part of a path in the cache.
fn checked_revision(revision: &str) -> Result<&str> {
    let inside = Path::new(revision).components().all(|part| matches!(part, Component::Normal(_)));
    if revision.is_empty() || !inside || revision.contains(['\\', '\0']) {
        return Err(Error::input(format!("`{revision}` is not a revision")).hint("give a branch, a tag or a commit"));
    }
    Ok(revision)
}

fn checked_commit(commit: &str) -> Result<()> {
    if is_hex(commit, 40) { Ok(()) } else { Err(Error::input(format!("the hub gives the strange commit {commit:?}"))) }
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Bytes in hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Says what to do about a hub that cannot be reached; `more` only where it is of use.
fn unreachable_hint(err: Error, more: &str) -> Error {
    match err.message().starts_with(http::UNREACHABLE) {
        true => err.hint(format!("check the network, proxy and HF_ENDPOINT{more}")),
        false => err,
    }
}

fn offline_error(message: String, cache: &Path) -> Error {
    Error::input(message).hint(format!(
        "run once without --offline (and without HF_HUB_OFFLINE) to fetch it; the cache is {}",
        cache.display()
    ))
}

#[cfg(test)]
mod tests;
