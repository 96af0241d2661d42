//! One file of the hub into the cache: a temporary file beside its place, resumed, checked, then renamed.

use super::cache::{self, RepoCache};
use super::http::{DownloadEvent, Failure, Http, Reply, Subject, encode};
use super::{Repo, RepoFile, hex, is_hex};
use crate::error::{Error, Result};
use crate::file;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderMap};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Bytes of a file of which neither the listing nor the answer says how large it is.
const UNSTATED: u64 = 1 << 30;

/// A file on its way.
struct Job<'a> {
    http: &'a Http,
    repo: &'a Repo,
    commit: &'a str,
    file: &'a RepoFile,
    progress: &'a dyn Fn(DownloadEvent),
}

/// Fetches a file into the cache and links it into the snapshot.
pub(super) async fn fetch(
    http: &Http,
    repo: &Repo,
    cache: &RepoCache,
    commit: &str,
    file: &RepoFile,
    progress: &dyn Fn(DownloadEvent<'_>),
) -> Result<()> {
    let local = cache.snapshot_dir(commit).join(&file.path);
    // Where the listing has no checksum, commit and path make a name that is as lasting.
    let name =
        file.blob.clone().unwrap_or_else(|| hex(&Sha256::digest(format!("{commit}/{}", file.path)))[..40].to_string());
    let blob = cache.blob(&name);
    let _lock = take_lock(&cache.lock_file(&name))?;
    // Another process may have been faster.
    if !cache::is_whole(&blob, file.size) {
        let part = cache.blob(&format!("{name}.incomplete"));
        make_folder(&part)?;
        let job = Job { http, repo, commit, file, progress };
        let bytes = job.run(&part).await?;
        std::fs::rename(&part, &blob).map_err(|err| Error::io("cannot write", &blob, err))?;
        progress(DownloadEvent::Done { file: &file.path, bytes });
    }
    cache::link(&blob, &local)
}

/// Waits until no other process writes the blob.
fn take_lock(path: &Path) -> Result<File> {
    make_folder(path)?;
    let file = file::open_own(path).map_err(|err| Error::io("cannot write", path, err))?;
    // Some network file systems cannot lock; then two processes may fetch the same file, and the checksum decides.
    let _ = file.lock();
    Ok(file)
}

fn make_folder(path: &Path) -> Result<()> {
    let folder = path.parent().map(Path::to_path_buf).unwrap_or_else(|| PathBuf::from("."));
    std::fs::create_dir_all(&folder)
        .map_err(|err| Error::io("cannot create", &folder, err).hint("set HF_HOME to a folder that can be written"))
}

impl Job<'_> {
    /// Fills `part` until it is whole and right; gives its size.
    async fn run(&self, part: &Path) -> Result<u64> {
        let mut attempts = self.http.attempts(self.progress);
        loop {
            let resumed = std::fs::metadata(part).is_ok_and(|found| found.len() > 0);
            match self.attempt(part).await {
                Ok(bytes) => return Ok(bytes),
                Err(Failure::Final(err)) if resumed && !part.exists() => {
                    // What was left from an earlier attempt was wrong and is gone: once more, from the start.
                    attempts.again(Failure::Again(err, None)).await?;
                }
                Err(failure) => attempts.again(failure).await?,
            }
        }
    }

    async fn attempt(&self, part: &Path) -> Result<u64, Failure> {
        let have = std::fs::metadata(part).map_or(0, |found| found.len());
        let have = if self.file.size.is_some_and(|size| have > size) { 0 } else { have };
        let address =
            format!("{}/resolve/{}/{}", self.repo.page(), encode(self.commit, false), encode(&self.file.path, true));
        let subject = Subject { repo: self.repo, revision: self.commit, file: Some(&self.file.path) };
        let range = Some(have).filter(|have| *have > 0 && self.file.size != Some(*have));
        let mut hasher = Sha256::new();
        let (bytes, expected) = if have > 0 && range.is_none() {
            (hash_file(part, &mut hasher)?, Expected::of(self.file, &HeaderMap::new()))
        } else {
            let reply = self.http.get(&address, range, &subject).await?;
            let expected = Expected::of(self.file, &reply.headers);
            (self.receive(reply, part, have, &expected, &mut hasher).await?, expected)
        };
        self.check(part, bytes, &expected, &hex(&hasher.finalize()))?;
        Ok(bytes)
    }

    /// Writes the answer's body; gives the size of the file.
    async fn receive(
        &self,
        reply: Reply,
        part: &Path,
        have: u64,
        expected: &Expected,
        hasher: &mut Sha256,
    ) -> Result<u64, Failure> {
        let mut response = reply.response;
        if response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
            let _ = std::fs::remove_file(part);
            let error = Error::input(format!("the hub cannot go on with `{}`", self.file.path));
            return Err(Failure::Again(error, None));
        }
        let goes_on = response.status() == StatusCode::PARTIAL_CONTENT && starts_at(response.headers(), have);
        let mut bytes = if goes_on { hash_file(part, hasher)? } else { 0 };
        let mut out = open(part, goes_on)?;
        let total = expected.size;
        let path = self.file.path.as_str();
        (self.progress)(DownloadEvent::Start { repo: &self.repo.id, file: path, have: bytes, total });
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) => {
                    self.check_length(part, bytes + chunk.len() as u64, total)?;
                    out.write_all(&chunk).map_err(|err| Error::io("cannot write", part, err))?;
                    hasher.update(&chunk);
                    bytes += chunk.len() as u64;
                    (self.progress)(DownloadEvent::Progress { file: path, have: bytes, total });
                }
                Ok(None) => break,
                Err(err) => return Err(self.http.broken(err)),
            }
        }
        out.sync_all().map_err(|err| Error::io("cannot write", part, err))?;
        Ok(bytes)
    }

    /// Ends a download as soon as it has more bytes than it should.
    fn check_length(&self, part: &Path, bytes: u64, total: Option<u64>) -> Result<(), Failure> {
        if bytes <= total.unwrap_or(UNSTATED) {
            return Ok(());
        }
        let _ = std::fs::remove_file(part);
        let name = format!("`{}` of `{}`", self.file.path, self.repo.id);
        let message = match total {
            Some(total) => format!("the download of {name} goes on after the {total} bytes that were announced"),
            None => {
                format!("the download of {name} is larger than {} GiB, and nobody says how large it is", UNSTATED >> 30)
            }
        };
        Err(Failure::Final(Error::input(message).hint("try again; check HF_ENDPOINT and the proxy")))
    }

    /// A part that is too short can be gone on with; a wrong one is thrown away.
    fn check(&self, part: &Path, bytes: u64, expected: &Expected, sha256: &str) -> Result<(), Failure> {
        let name = format!("`{}` of `{}`", self.file.path, self.repo.id);
        if let Some(size) = expected.size.filter(|size| bytes < *size) {
            let error = Error::input(format!("{name} ended after {bytes} of {size} bytes"));
            return Err(Failure::Again(error, None));
        }
        let wrong_size =
            expected.size.filter(|size| *size != bytes).map(|size| format!("has {bytes} bytes, not {size}"));
        let wrong_sum = expected.sha256.as_deref().filter(|sum| !sum.eq_ignore_ascii_case(sha256));
        let wrong_sum = wrong_sum.map(|sum| format!("has the SHA-256 {sha256}, not {sum}"));
        if let Some(wrong) = wrong_size.or(wrong_sum) {
            let _ = std::fs::remove_file(part);
            let error = Error::input(format!("the download of {name} {wrong}"));
            return Err(Failure::Final(error.hint("try again; a proxy may have changed the file")));
        }
        Ok(())
    }
}

/// What a whole file must be.
struct Expected {
    size: Option<u64>,
    sha256: Option<String>,
}

impl Expected {
    /// The listing knows it, else the answer's headers.
    fn of(file: &RepoFile, headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let number = |name: &str| text(name).and_then(|value| value.parse().ok());
        let length = || if headers.contains_key(CONTENT_RANGE) { None } else { number(CONTENT_LENGTH.as_str()) };
        let tag = || text("x-linked-etag").map(|tag| tag.trim_start_matches("W/").trim_matches('"').to_string());
        Expected {
            size: file.size.or_else(|| number("x-linked-size")).or_else(length),
            sha256: file.sha256.clone().or_else(|| tag().filter(|tag| is_hex(tag, 64))),
        }
    }
}

/// Whether a `Content-Range` continues at the given byte.
fn starts_at(headers: &HeaderMap, byte: u64) -> bool {
    let range = headers.get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
    range.is_some_and(|range| range.trim_start().starts_with(&format!("bytes {byte}-")))
}

fn open(part: &Path, append: bool) -> Result<File> {
    let failed = |err| Error::io("cannot write", part, err);
    let mut file = file::open_own(part).map_err(failed)?;
    match append {
        true => file.seek(SeekFrom::End(0)).map(drop),
        false => file.set_len(0),
    }
    .map_err(failed)?;
    Ok(file)
}

/// Takes what is there into the checksum; gives its size.
fn hash_file(part: &Path, hasher: &mut Sha256) -> Result<u64> {
    let failed = |err| Error::io("cannot read", part, err);
    let mut file = file::open(part).map_err(failed)?;
    let mut buffer = vec![0; 1 << 20];
    let mut bytes = 0;
    loop {
        let read = file.read(&mut buffer).map_err(failed)?;
        let Some(chunk) = buffer.get(..read).filter(|chunk| !chunk.is_empty()) else { return Ok(bytes) };
        hasher.update(chunk);
        bytes += read as u64;
    }
}
