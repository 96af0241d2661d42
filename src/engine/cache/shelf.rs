//! What one answerer (an engine, a judge) keeps in the cache file: looked up and put there by hash.

use super::CacheOptions;
use super::key::Hash;
use super::place::default_file;
use super::store::{self, Access, Entry, Model, OpenError, Store};
use super::writer::Writer;
use crate::engine::remote::CacheMode;
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// An answerer's part of the cache file.
pub struct Shelf {
    identity: Hash,
    /// What is kept is taken from here.
    reader: Option<Store>,
    /// What is new goes there.
    writer: Option<Writer>,
    notices: Mutex<Vec<String>>,
}

impl Shelf {
    /// Opens the file that the options name, or the default one.
    ///
    /// Errors: the file is damaged, of a newer fairmark or of another program; or it was named and cannot be opened. A default file that
    /// cannot be opened is a notice.
    pub fn open(model: Model, options: &CacheOptions) -> Result<Shelf> {
        let file = options.file.clone().map_or_else(default_file, Ok);
        Shelf::open_at(model, options, file)
    }

    /// `file`: the named one, or the default.
    pub fn open_at(model: Model, options: &CacheOptions, file: Result<PathBuf>) -> Result<Shelf> {
        let mut shelf = Shelf { identity: model.identity, reader: None, writer: None, notices: Mutex::default() };
        let path = match file {
            Ok(path) => path,
            Err(error) => {
                shelf.without(&error);
                return Ok(shelf);
            }
        };
        match shelf.connect(&path, options.mode, model) {
            Ok(()) => {}
            Err(OpenError::Missing) => shelf.note(format!("there is no response cache yet at {}", path.display())),
            Err(OpenError::Unavailable(error)) if options.file.is_none() => shelf.without(&error),
            Err(OpenError::Unavailable(error) | OpenError::Unfit(error)) => return Err(error),
        }
        Ok(shelf)
    }

    fn connect(&mut self, path: &Path, mode: CacheMode, model: Model) -> Result<(), OpenError> {
        if matches!(mode, CacheMode::On | CacheMode::Refresh) {
            self.writer = Some(Writer::start(Store::open(path, Access::Write)?, model));
        }
        if matches!(mode, CacheMode::On | CacheMode::Read) {
            self.reader = Some(Store::open(path, Access::Read)?);
        }
        Ok(())
    }

    fn note(&self, notice: String) {
        let mut notices = self.notices.lock().unwrap_or_else(PoisonError::into_inner);
        if !notices.contains(&notice) {
            notices.push(notice);
        }
    }

    fn without(&self, error: &Error) {
        self.note(format!("the response cache is left out: {error}"));
    }

    /// Whether there is nothing to take from and nothing to put into.
    pub fn is_idle(&self) -> bool {
        self.reader.is_none() && self.writer.is_none()
    }

    /// What is kept under each key.
    pub fn find(&self, keys: &[Hash]) -> Vec<Option<String>> {
        let Some(reader) = &self.reader else { return vec![None; keys.len()] };
        reader.find(&self.identity, keys).unwrap_or_else(|e| {
            self.without(&store::failed(&reader.path, e));
            vec![None; keys.len()]
        })
    }

    /// Puts an entry there; `at` becomes now.
    pub fn put(&self, entry: Entry) {
        if let Some(writer) = &self.writer {
            let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() as i64;
            writer.put(Entry { at, ..entry });
        }
    }

    /// Waits until everything is on disk (or given up).
    pub fn flush(&self) {
        self.writer.iter().for_each(Writer::flush);
    }

    /// What the user should know, so far.
    pub fn notices(&self) -> Vec<String> {
        let mut notices = self.notices.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let trouble = self.writer.as_ref().and_then(Writer::trouble);
        notices.extend(trouble.map(|said| format!("answers are not kept for later runs: {said}")));
        notices
    }
}
