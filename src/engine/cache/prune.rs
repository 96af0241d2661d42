//! What the response cache holds, by model, and taking things out of it.

use super::key::{hex, unhex};
use super::schema::LONG;
use super::store::{Access, OpenError, Store, beside, failed, is_busy};
use crate::error::{Error, Result};
use crate::pattern;
use rusqlite::{TransactionBehavior, params};
use std::path::{Path, PathBuf};

/// Unused pages of a hundred from which on the file is written anew.
const MUCH_FREE: i64 = 25;

/// Answers that [`find`] gives, at most.
const MOST_FOUND: i64 = 20;

/// Hexadecimal digits of a request's key.
const KEY_DIGITS: usize = 64;

/// What a cache holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    pub file: PathBuf,
    /// Bytes on disk, with the files that SQLite has beside it.
    pub bytes: u64,
    /// Those with the most answers first.
    pub models: Vec<ModelStats>,
}

/// What it holds of one model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelStats {
    /// SHA-256 (hex) of the identity.
    pub identity: String,
    pub engine: String,
    pub name: String,
    pub label: String,
    pub answers: u64,
    /// Refusals among them.
    pub refused: u64,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    /// Bytes of the answers.
    pub bytes: u64,
    /// Seconds since 1970.
    pub oldest: i64,
    pub newest: i64,
}

/// Which answers to take out: all that fit every part that is named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Older than that: seconds since 1970.
    pub before: Option<i64>,
    /// A shell pattern of the model's name or label.
    pub model: Option<String>,
}

/// What was taken out (or would be).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    pub answers: u64,
    /// Bytes of the answers.
    pub bytes: u64,
    /// The file was written anew without the holes.
    pub vacuumed: bool,
}

/// An answer, for looking at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The request's key (hex).
    pub key: String,
    pub model: String,
    /// Seconds since 1970.
    pub at: i64,
    /// JSON.
    pub answer: String,
}

/// Opens a cache that must exist.
fn open(path: &Path, access: Access) -> Result<Store> {
    let store = Store::open(path, access).map_err(|e| match e {
        OpenError::Missing => Error::input("there is no response cache yet")
            .file(path)
            .hint("a run that asks a server makes it; `--cache-file` names another one"),
        OpenError::Unavailable(error) | OpenError::Unfit(error) => error,
    })?;
    store.allow(LONG);
    Ok(store)
}

/// Looks through the whole file.
pub fn stats(path: &Path) -> Result<Stats> {
    let store = open(path, Access::Read)?;
    let models = models(&store).map_err(|e| failed(path, e))?;
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
    let bytes = size(path) + size(&beside(path, "-wal")) + size(&beside(path, "-shm"));
    Ok(Stats { file: path.to_path_buf(), bytes, models })
}

fn models(store: &Store) -> rusqlite::Result<Vec<ModelStats>> {
    let mut statement = store.connection.prepare(
        "SELECT a.identity, coalesce(m.engine, ''), coalesce(m.name, ''), coalesce(m.label, ''), a.answers, a.refused,
                a.prompt_tokens, a.completion_tokens, a.bytes, a.oldest, a.newest
         FROM (SELECT identity, count(*) AS answers, sum(refused) AS refused, sum(prompt_tokens) AS prompt_tokens,
                      sum(completion_tokens) AS completion_tokens, sum(size) AS bytes, min(at) AS oldest, max(at) AS newest
               FROM answers GROUP BY identity) a
         LEFT JOIN models m USING (identity)
         ORDER BY a.answers DESC, m.name, a.identity",
    )?;
    let rows = statement.query_map([], |row| {
        // Counts are never below 0, whatever a file says.
        let count = |index: usize| row.get::<_, i64>(index).map(|count| count.max(0) as u64);
        Ok(ModelStats {
            identity: hex(&row.get::<_, Vec<u8>>(0)?),
            engine: row.get(1)?,
            name: row.get(2)?,
            label: row.get(3)?,
            answers: count(4)?,
            refused: count(5)?,
            prompt_tokens: count(6)?,
            completion_tokens: count(7)?,
            bytes: count(8)?,
            oldest: row.get(9)?,
            newest: row.get(10)?,
        })
    })?;
    rows.collect()
}

/// Takes answers out; with `dry_run` only counts them.
pub fn prune(path: &Path, selection: &Selection, dry_run: bool) -> Result<Pruned> {
    let mut store = open(path, if dry_run { Access::Read } else { Access::Change })?;
    remove(&mut store, selection, dry_run).map_err(|e| failed(path, e))
}

fn remove(store: &mut Store, selection: &Selection, dry_run: bool) -> rusqlite::Result<Pruned> {
    let fits = |model: &ModelStats| {
        selection
            .model
            .as_ref()
            .is_none_or(|p| pattern::matches_name(p, &model.name) || pattern::matches_name(p, &model.label))
    };
    let identities: Vec<Vec<u8>> =
        models(store)?.iter().filter(|model| fits(model)).filter_map(|model| unhex(&model.identity)).collect();
    let before = selection.before.unwrap_or(i64::MAX);
    let behavior = if dry_run { TransactionBehavior::Deferred } else { TransactionBehavior::Immediate };
    let transaction = store.connection.transaction_with_behavior(behavior)?;
    let mut pruned = Pruned::default();
    for identity in &identities {
        let (answers, bytes): (i64, i64) = transaction.query_row(
            "SELECT count(*), coalesce(sum(size), 0) FROM answers WHERE identity = ?1 AND at < ?2",
            params![identity, before],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        pruned.answers += answers.max(0) as u64;
        pruned.bytes += bytes.max(0) as u64;
        if !dry_run {
            transaction.execute("DELETE FROM answers WHERE identity = ?1 AND at < ?2", params![identity, before])?;
        }
    }
    if !dry_run {
        transaction.execute("DELETE FROM models WHERE identity NOT IN (SELECT identity FROM answers)", [])?;
    }
    transaction.commit()?;
    pruned.vacuumed = !dry_run && vacuum(store)?;
    Ok(pruned)
}

/// Writes the file anew when much of it is free, unless another process uses it: its holes are filled again in time.
fn vacuum(store: &Store) -> rusqlite::Result<bool> {
    let pages = |name: &str| store.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let free = pages("freelist_count")?;
    if free == 0 || free * 100 < pages("page_count")? * MUCH_FREE {
        return Ok(false);
    }
    match store.connection.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE);") {
        Err(e) if is_busy(&e) => Ok(false),
        done => done.map(|()| true),
    }
}

/// The answers to requests whose key begins so (hex), at most twenty, newest first.
pub fn find(path: &Path, prefix: &str) -> Result<Vec<Found>> {
    let prefix = prefix.to_lowercase();
    if prefix.is_empty() || prefix.len() > KEY_DIGITS || !prefix.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err(Error::input(format!("`{prefix}` is no beginning of a request's key"))
            .hint("keys are 64 hexadecimal digits; a run's journal.jsonl has them"));
    }
    let store = open(path, Access::Read)?;
    rows(&store, &prefix).map_err(|e| failed(path, e))
}

fn rows(store: &Store, prefix: &str) -> rusqlite::Result<Vec<Found>> {
    // Keys stand in the order of their digits: those that begin so lie between these two.
    let filled = |digit: &str| {
        unhex(&format!("{prefix}{}", digit.repeat(KEY_DIGITS.saturating_sub(prefix.len())))).unwrap_or_default()
    };
    let mut statement = store.connection.prepare(
        "SELECT a.key, coalesce(m.name, hex(a.identity)), a.at, a.answer FROM answers a LEFT JOIN models m USING (identity)
         WHERE a.key BETWEEN ?1 AND ?2 ORDER BY a.at DESC, a.key LIMIT ?3",
    )?;
    let rows = statement.query_map(params![filled("0"), filled("f"), MOST_FOUND], |row| {
        let key = hex(&row.get::<_, Vec<u8>>(0)?);
        Ok(Found { key, model: row.get(1)?, at: row.get(2)?, answer: row.get(3)? })
    })?;
    rows.collect()
}
