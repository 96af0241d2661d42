//! What stands in the file of the response cache, and that nothing else does: a file from elsewhere may bring triggers, views and pages that
//! never end.

use super::store::beside;
use crate::error::Error;
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One row an answer; `models` says who the identities are.
pub(super) const SCHEMA: &str = "
    CREATE TABLE models (
        identity BLOB PRIMARY KEY, engine TEXT NOT NULL, name TEXT NOT NULL, label TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE answers (
        identity BLOB NOT NULL,
        key BLOB NOT NULL,
        at INTEGER NOT NULL,
        size INTEGER NOT NULL,
        prompt_tokens INTEGER NOT NULL,
        completion_tokens INTEGER NOT NULL,
        refused INTEGER NOT NULL,
        answer TEXT NOT NULL,
        UNIQUE (key, identity)
    );";

/// Files that SQLite has beside the database.
const BESIDE: &[&str] = &["-wal", "-shm", "-journal"];

/// Steps of SQLite's machine between two looks at the clock.
const STEPS: i32 = 10_000;

/// How long looking up and adding may take; nobody who waits for a lock takes steps.
pub(super) const SHORT: Duration = Duration::from_secs(120);
/// How long going through the whole file may take.
pub(super) const LONG: Duration = Duration::from_secs(3600);

/// Until when statements may run.
#[derive(Debug, Clone)]
pub(super) struct Deadline(Arc<Mutex<Instant>>);

impl Deadline {
    /// Ends what runs on a connection when its time is over.
    pub fn on(connection: &mut Connection) -> rusqlite::Result<Deadline> {
        let deadline = Deadline(Arc::new(Mutex::new(Instant::now() + SHORT)));
        let watched = deadline.clone();
        connection.progress_handler(STEPS, Some(move || Instant::now() >= *watched.at()))?;
        Ok(deadline)
    }

    /// Gives what comes now so much time.
    pub fn allow(&self, time: Duration) {
        *self.at() = Instant::now() + time;
    }

    fn at(&self) -> std::sync::MutexGuard<'_, Instant> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets nothing in the file act: no triggers, no views, no functions from its schema, no broken cells.
pub(super) fn distrust(connection: &Connection) -> rusqlite::Result<()> {
    for (setting, value) in [
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
    ] {
        connection.set_db_config(setting, value)?;
    }
    connection.pragma_update(None, "cell_size_check", true)
}

/// Whether the file has the tables of a cache and nothing else.
pub(super) fn is_ours(connection: &Connection) -> rusqlite::Result<bool> {
    let pattern = Connection::open_in_memory()?;
    pattern.execute_batch(SCHEMA)?;
    Ok(objects(connection)? == objects(&pattern)?)
}

/// Type, name, table and statement of everything in a database, by name; white space does not matter.
fn objects(connection: &Connection) -> rusqlite::Result<Vec<[String; 4]>> {
    let mut statement = connection
        .prepare("SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema ORDER BY name, type LIMIT 100")?;
    let rows = statement.query_map([], |row| {
        let column = |index: usize| row.get::<_, String>(index);
        let sql = column(3)?.split_whitespace().collect::<Vec<_>>().join(" ");
        Ok([column(0)?, column(1)?, column(2)?, sql])
    })?;
    rows.collect()
}

/// Looks whether there are plain files under the names that SQLite will open, if anything is there. What is only read may be a link.
pub(super) fn check_files(path: &Path, is_read_only: bool) -> Result<(), Error> {
    let beside = BESIDE.iter().map(|ending| beside(path, ending));
    for (index, file) in [path.to_path_buf()].into_iter().chain(beside).enumerate() {
        let follows = is_read_only && index == 0;
        let found = if follows { std::fs::metadata(&file) } else { std::fs::symlink_metadata(&file) };
        let Ok(kind) = found.map(|found| found.file_type()) else { continue };
        // A folder in the place of the file is told by SQLite's own error.
        let what = match (kind.is_symlink(), kind.is_file() || kind.is_dir()) {
            (true, _) => "is a link, and a response cache is not written through links",
            (_, false) => "is a pipe or a device, not a file",
            _ => continue,
        };
        return Err(Error::input(format!("this file is no response cache of fairmark's: it {what}"))
            .file(&file)
            .hint("name the file itself with `--cache-file`, or leave the cache out with `--cache off`"));
    }
    Ok(())
}
