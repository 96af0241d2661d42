//! How much memory the rows of one file may take: counted before it is taken, so that a small file that unpacks to a huge one is an error.

use crate::error::{Error, Result};
use serde_json::Value;
use std::cell::Cell;

/// Bytes that the rows of one file may take, unless the user says otherwise: `--max-memory-data`.
pub const DEFAULT_MEMORY: u64 = 4 << 30;

/// What a key of a row costs besides its text and its value.
const KEY: u64 = 48;

/// What a value costs besides its text.
pub(super) const CELL: u64 = size_of::<Value>() as u64;

/// What is left of it.
#[derive(Debug)]
pub(super) struct Budget {
    most: u64,
    used: Cell<u64>,
}

impl Budget {
    pub fn new(most: u64) -> Self {
        Budget { most, used: Cell::new(0) }
    }

    /// Bytes that may still be taken.
    pub fn left(&self) -> u64 {
        self.most.saturating_sub(self.used.get())
    }

    /// Counts `bytes` that stay.
    ///
    /// Errors: they are more than are left; `what` says what takes them.
    pub fn take(&self, bytes: u64, what: &str) -> Result<()> {
        self.check(bytes, what)?;
        self.used.set(self.used.get().saturating_add(bytes));
        Ok(())
    }

    /// Refuses what is more than is left, without taking it. Errors: those of [`Budget::take`].
    pub fn check(&self, bytes: u64, what: &str) -> Result<()> {
        if bytes <= self.left() {
            return Ok(());
        }
        let message = format!("{what} would take more than the {} that the rows of a file may take", shown(self.most));
        Err(Error::input(message).hint("is the file what it should be? `--max-memory-data 16GiB` allows more"))
    }

    /// Counts a table of so many rows and columns whose texts are counted apart.
    pub fn take_table(&self, rows: usize, names: impl Iterator<Item = u64>) -> Result<()> {
        let row: u64 = names.map(cell).fold(0, u64::saturating_add);
        self.take(row.saturating_add(KEY).saturating_mul(rows as u64), &format!("a table of {rows} rows"))
    }
}

/// A value and its key in a row, without the value's text.
pub(super) fn cell(name_length: u64) -> u64 {
    CELL + KEY + name_length
}

fn shown(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", bytes as f64 / 1_073_741_824.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_gone() {
        let budget = Budget::new(2048);
        budget.take(2000, "x").unwrap();
        budget.check(48, "x").unwrap();
        let err = budget.take(49, "the line").unwrap_err();
        assert!(err.to_string().starts_with("the line would take more than the 2.0 KiB"), "{err}");
        assert!(err.hint_text().unwrap().contains("--max-memory-data"));
        assert!(Budget::new(1 << 20).take_table(usize::MAX, [1u64, 2].into_iter()).is_err());
    }
}
