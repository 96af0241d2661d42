//! The SQLite file of the response cache: schema, opening, reading and adding rows.

use super::key::Hash;
use super::schema::{Deadline, SCHEMA, SHORT, check_files, distrust, is_ours};
use crate::error::{Error, Result};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, TransactionBehavior, params};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Version of the schema, in `user_version`.
const SCHEMA_VERSION: i64 = 1;

/// `application_id` of the file: "fmrk".
const APPLICATION: i64 = 0x666d_726b;

/// How long a connection waits for another one's write.
const BUSY: Duration = Duration::from_secs(20);

const FIND: &str = "SELECT answer FROM answers WHERE key = ?1 AND identity = ?2";

const ADD: &str = "
    INSERT OR REPLACE INTO answers (identity, key, at, size, prompt_tokens, completion_tokens, refused, answer)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

const ADD_MODEL: &str = "INSERT OR IGNORE INTO models (identity, engine, name, label) VALUES (?1, ?2, ?3, ?4)";

/// How a store is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Made if it is not there.
    Write,
    /// Must be there; nothing is changed.
    Read,
    /// Must be there; rows are removed.
    Change,
}

/// Why a store cannot be opened.
#[derive(Debug)]
pub enum OpenError {
    /// It is not there, and was not to be made.
    Missing,
    /// The machine does not let us: no such folder, read-only, no room.
    Unavailable(Error),
    /// It is there and not ours to use: damaged, of a newer fairmark, of another program.
    Unfit(Error),
}

/// Whose answers are written.
#[derive(Debug, Clone)]
pub struct Model {
    pub identity: Hash,
    pub engine: String,
    pub name: String,
    pub label: String,
}

/// An answer on its way into the store.
#[derive(Debug)]
pub struct Entry {
    pub key: Hash,
    /// Seconds since 1970; set when it is put there.
    pub at: i64,
    pub prompt_tokens: usize,
    pub completion_tokens: usize,
    pub refused: bool,
    pub answer: String,
}

/// One connection to the file.
#[derive(Debug)]
pub struct Store {
    pub(super) path: PathBuf,
    pub(super) connection: Connection,
    deadline: Deadline,
}

impl Store {
    /// Opens the file; with [`Access::Write`], makes it and its folder.
    pub fn open(path: &Path, access: Access) -> Result<Store, OpenError> {
        if access != Access::Write && !path.exists() {
            return Err(OpenError::Missing);
        }
        if let (Access::Write, Some(folder)) = (access, path.parent()) {
            fs::create_dir_all(folder).map_err(|e| {
                OpenError::Unavailable(Error::io("cannot make the folder of the response cache", folder, e))
            })?;
        }
        check_files(path, access == Access::Read).map_err(OpenError::Unfit)?;
        let opened = match connect(path, access, false) {
            // In a folder that cannot be written SQLite has no room for its files, and nobody else writes there either.
            Err(e) if access == Access::Read && is_unwritable(&e) && !beside(path, "-wal").exists() => {
                connect(path, access, true)
            }
            opened => opened,
        };
        let mut connection = opened.map_err(|e| unopened(path, e))?;
        let deadline = Deadline::on(&mut connection).map_err(|e| unopened(path, e))?;
        // SQLite opens what it cannot write for reading, without a word.
        if access != Access::Read && connection.is_readonly("main").map_err(|e| unopened(path, e))? {
            let error = Error::input("the response cache cannot be written").file(path);
            return Err(OpenError::Unavailable(error.hint("free it, or use `--cache read`")));
        }
        Store { path: path.to_path_buf(), connection, deadline }.checked(access)
    }

    /// Checks whose file it is and of which version, and makes the tables of a new one.
    fn checked(mut self, access: Access) -> Result<Store, OpenError> {
        let version = match self.pragma("user_version") {
            Ok(0) if access == Access::Write => self.create().and_then(|()| self.pragma("user_version")),
            version => version,
        };
        let version = version.map_err(|e| unopened(&self.path, e))?;
        let application = self.pragma("application_id").map_err(|e| unopened(&self.path, e))?;
        let what = match (application, version) {
            (APPLICATION, SCHEMA_VERSION) if is_ours(&self.connection).map_err(|e| unopened(&self.path, e))? => {
                return Ok(self);
            }
            (APPLICATION, newer) if newer > SCHEMA_VERSION => {
                "this response cache was written by a newer version of fairmark"
            }
            _ => "this file is no response cache of fairmark's",
        };
        let hint = "name another file with `--cache-file`, or leave the cache out with `--cache off`";
        Err(OpenError::Unfit(Error::input(what).file(&self.path).hint(hint)))
    }

    fn pragma(&self, name: &str) -> rusqlite::Result<i64> {
        self.connection.pragma_query_value(None, name, |row| row.get(0))
    }

    /// The tables, in a file that holds nothing at all; of several processes one makes them.
    fn create(&mut self) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let objects: i64 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if objects == 0 {
            transaction.execute_batch(SCHEMA)?;
            transaction.pragma_update(None, "application_id", APPLICATION)?;
            transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        }
        transaction.commit()
    }

    /// Gives what is done next so much time.
    pub(super) fn allow(&self, time: Duration) {
        self.deadline.allow(time);
    }

    /// The texts under these keys, in their order, as of one moment.
    pub fn find(&self, identity: &Hash, keys: &[Hash]) -> rusqlite::Result<Vec<Option<String>>> {
        self.allow(SHORT);
        let transaction = self.connection.unchecked_transaction()?;
        let mut statement = transaction.prepare_cached(FIND)?;
        keys.iter().map(|key| statement.query_row(params![key, identity], |row| row.get(0)).optional()).collect()
    }

    /// Adds a batch in one transaction: all of it or nothing.
    pub fn add(&mut self, model: &Model, entries: &[Entry]) -> rusqlite::Result<()> {
        self.allow(SHORT);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            // Each time: another process may have pruned the model away.
            let mut statement = transaction.prepare_cached(ADD_MODEL)?;
            statement.execute(params![model.identity, model.engine, model.name, model.label])?;
            let mut statement = transaction.prepare_cached(ADD)?;
            for entry in entries {
                statement.execute(params![
                    model.identity,
                    entry.key,
                    entry.at,
                    entry.answer.len() as i64,
                    entry.prompt_tokens as i64,
                    entry.completion_tokens as i64,
                    entry.refused,
                    entry.answer
                ])?;
            }
        }
        transaction.commit()
    }
}

/// The file's name with an ending.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(ending);
    PathBuf::from(name)
}

fn connect(path: &Path, access: Access, immutable: bool) -> rusqlite::Result<Connection> {
    let rights = match access {
        Access::Write => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
        Access::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
        Access::Change => OpenFlags::SQLITE_OPEN_READ_WRITE,
    };
    let flags = rights | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = if immutable {
        Connection::open_with_flags(immutable_uri(path), flags | OpenFlags::SQLITE_OPEN_URI)?
    } else {
        Connection::open_with_flags(path, flags)?
    };
    connection.busy_timeout(BUSY)?;
    distrust(&connection)?;
    // Looks into the file: opening alone does not.
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))?;
    if access == Access::Write {
        into_wal(&connection)?;
    }
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    Ok(connection)
}

/// Readers do not wait for writers in that mode. File systems without shared memory keep the old one, which works too, only slower.
fn into_wal(connection: &Connection) -> rusqlite::Result<()> {
    // SQLite does not wait by itself when two connections change the mode at once.
    for _ in 0..100 {
        match connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0)) {
            Err(e) if is_busy(&e) => std::thread::sleep(Duration::from_millis(20)),
            result => return result.map(drop),
        }
    }
    Ok(())
}

/// `file:...?immutable=1`, with what means something in such names escaped.
fn immutable_uri(path: &Path) -> String {
    let mut uri = String::from("file:");
    for c in path.to_string_lossy().chars() {
        match c {
            '%' => uri.push_str("%25"),
            '?' => uri.push_str("%3f"),
            '#' => uri.push_str("%23"),
            c => uri.push(c),
        }
    }
    uri + "?immutable=1"
}

/// Whether another connection was writing for too long.
pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

fn is_unwritable(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied))
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt))
}

fn unopened(path: &Path, error: rusqlite::Error) -> OpenError {
    let unfit = is_damage(&error);
    let error = failed(path, error);
    if unfit { OpenError::Unfit(error) } else { OpenError::Unavailable(error) }
}

/// A failed statement as an error with a hint.
pub(super) fn failed(path: &Path, error: rusqlite::Error) -> Error {
    let (what, hint) = if is_damage(&error) {
        (
            "the response cache is damaged",
            "nothing was deleted: move the file away, name another with `--cache-file`, or use `--cache off`",
        )
    } else if is_busy(&error) {
        ("another process keeps the response cache locked", "wait for it to end, or use `--cache off`")
    } else if error.sqlite_error_code() == Some(ErrorCode::DiskFull) {
        ("there is no room for the response cache", "make room, or use `--cache read`")
    } else if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) {
        (
            "the response cache takes too long to be read: it may have been tampered with",
            "name another file with `--cache-file`, or use `--cache off`",
        )
    } else {
        ("cannot use the response cache", "name another file with `--cache-file`, or use `--cache off`")
    };
    Error::input(what).file(path).cause(error).hint(hint)
}
