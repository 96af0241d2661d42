//! What is odd about a column and ends nothing: words of a CSV file that were read as nothing, numbers that JSON cannot hold, columns that
//! cannot be read.

use crate::error::Error;

/// Rows that are named; the others are counted.
const NAMED: usize = 3;

/// What happened to values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Oddity {
    /// Words such as `NA` or `None` in a CSV file, which pandas reads as nothing.
    NullWord,
    /// NaN and infinities, which documents hold as nothing.
    NotFinite,
}

/// Values of a column that were read as nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quirk {
    pub column: String,
    pub oddity: Oddity,
    pub count: usize,
    /// Of how many rows.
    pub of: usize,
    /// The first rows, as the file counts: lines of a text file, else rows from 0.
    pub rows: Vec<usize>,
}

/// A column, or a field in one, that has no place in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// `image.bytes`, `tags[]`.
    pub path: String,
    /// What pandas and Parquet call its type.
    pub kind: String,
}

impl Unread {
    /// The error for those who ask for it.
    pub fn error(&self) -> Error {
        let Unread { path, kind } = self;
        let err = Error::input(format!("column `{path}` has the type {kind}, which has no place in a prompt"));
        match self.path.ends_with("bytes") && kind == "binary" {
            true => err.hint("it looks like an image or audio column; multimodal tasks are not supported"),
            false => err.hint("write it as text, numbers, dates, lists or structs of them; columns that no task asks for may be of any type"),
        }
    }

    /// The column that it is in.
    pub fn column(&self) -> &str {
        self.path.split(['.', '[']).next().unwrap_or(&self.path)
    }
}

/// Gathers quirks while rows are read.
#[derive(Debug, Default)]
pub(super) struct Quirks(Vec<Quirk>);

impl Quirks {
    pub fn add(&mut self, column: &str, oddity: Oddity, row: usize) {
        let known = self.0.iter_mut().rev().find(|quirk| quirk.column == column && quirk.oddity == oddity);
        match known {
            Some(quirk) => {
                quirk.count += 1;
                if quirk.rows.len() < NAMED && quirk.rows.last() != Some(&row) {
                    quirk.rows.push(row);
                }
            }
            None => self.0.push(Quirk { column: column.to_owned(), oddity, count: 1, of: 0, rows: vec![row] }),
        }
    }

    /// All of them, of so many rows.
    pub fn of(self, rows: usize) -> Vec<Quirk> {
        self.0.into_iter().map(|quirk| Quirk { of: rows, ..quirk }).collect()
    }
}

impl Quirk {
    /// What happened, for a remark.
    pub fn text(&self, file: &str) -> String {
        let rows: Vec<String> = self.rows.iter().map(usize::to_string).collect();
        let more = if self.count > rows.len() { ", ..." } else { "" };
        let (rows, column) = (format!("{}{more}", rows.join(", ")), &self.column);
        match self.oddity {
            Oddity::NullWord => format!(
                "column `{column}` of {file}: words such as NA, None and null are read as nothing, as pandas reads them (lines {rows}); \
                 `dataset_kwargs: {{keep_default_na: false}}` keeps them as text"
            ),
            Oddity::NotFinite => format!(
                "column `{column}` of {file}: NaN and infinities are read as nothing, because documents cannot hold them (rows {rows})"
            ),
        }
    }
}
