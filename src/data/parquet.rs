//! Parquet files: their columns, row group by row group, by the reader that polars has, without polars' own types.
//!
//! What cannot be read is left out and remembered ([`Unread`]): it is an error only for those who ask for it.

use super::budget::Budget;
use super::quirk::{Oddity, Quirks, Unread};
use super::source::Source;
use super::table::{Columns, Parsed};
use super::{arrow, plan};
use crate::caught::caught;
use crate::error::{Error, Result};
use polars_arrow::array::Array;
use polars_buffer::Buffer;
use polars_parquet::parquet::page::CompressedPage;
use polars_parquet::read::{
    BasicDecompressor, ColumnChunkMetadata, FileMetadata, Filter, PageReader, RowGroupMetadata, column_iter_to_arrays,
    infer_schema, read_metadata,
};
use serde_json::Value;
use std::fmt::Display;
use std::io::{Cursor, Seek};

const MAGIC: &[u8] = b"PAR1";

/// What a value costs while its page is decoded, besides its bytes.
const DECODED: u64 = 16;

/// Reads a Parquet file; only the first `wanted` rows where that is said.
pub(super) fn read(source: &mut Source, wanted: Option<usize>, budget: &Budget) -> Result<Parsed> {
    check_ends(source)?;
    let metadata = guarded("the Parquet footer cannot be read", || read_metadata(source))?;
    let (columns, unread) = columns(&metadata)?;
    let total = metadata.row_groups.iter().fold(0usize, |sum, group| sum.saturating_add(group.num_rows()));
    let rows = wanted.unwrap_or(usize::MAX).min(total);
    budget.take_table(rows, columns.iter().map(|column| column.field.name.len() as u64))?;
    let mut values: Vec<Vec<Value>> = columns.iter().map(|_| Vec::new()).collect();
    let mut quirks = Quirks::default();
    let mut done = 0;
    for group in &metadata.row_groups {
        let take = (rows - done).min(group.num_rows());
        if take == 0 {
            continue;
        }
        for (column, values) in columns.iter().zip(&mut values) {
            let array = decode(source, group, column, take, budget)?;
            let name = column.field.name.as_str();
            let mut odd = |row: usize| quirks.add(name, Oddity::NotFinite, done + row);
            let mut cells = arrow::values(array.as_ref(), name, &mut arrow::Sink { budget, odd: &mut odd })?;
            values.append(&mut cells);
        }
        done += take;
    }
    let columns = columns.iter().map(|column| column.field.name.to_string()).zip(values).collect();
    Ok(Parsed { rows: Columns::new(columns, rows)?.into_rows(), total, unread, quirks: quirks.of(total) })
}

/// A column that can be read, perhaps without some of its fields.
struct Column {
    field: polars_arrow::datatypes::Field,
    /// Of the column's leaves in the file: which are read.
    leaves: Vec<bool>,
}

fn columns(metadata: &FileMetadata) -> Result<(Vec<Column>, Vec<Unread>)> {
    let schema = guarded("the Parquet footer cannot be read", || infer_schema(metadata))?;
    let (mut columns, mut unread) = (Vec::new(), Vec::new());
    for field in schema.iter_values() {
        let plan = plan::of(field, &mut unread);
        if let Some(field) = plan.field {
            columns.push(Column { field, leaves: plan.leaves });
        }
    }
    Ok((columns, unread))
}

/// The first rows of a column in a row group.
fn decode(
    source: &mut Source,
    group: &RowGroupMetadata,
    column: &Column,
    rows: usize,
    budget: &Budget,
) -> Result<Box<dyn Array>> {
    let name = column.field.name.as_str();
    let damaged = || Error::input(format!("column `{name}` is damaged")).hint("fetch the file again");
    let chunks: Vec<&ColumnChunkMetadata> = match group.columns_under_root_iter(name) {
        Some(chunks) if chunks.len() == column.leaves.len() => {
            chunks.zip(&column.leaves).filter(|(_, read)| **read).map(|(chunk, _)| chunk).collect()
        }
        _ => return Err(damaged()),
    };
    let mut bytes = Vec::with_capacity(chunks.len());
    for chunk in &chunks {
        let range = guarded("a part of the Parquet file cannot be read", || Ok::<_, String>(chunk.byte_range()))?;
        let length = range.end.checked_sub(range.start).and_then(|length| usize::try_from(length).ok());
        let part = source.part(range.start, length.ok_or_else(damaged)?).map_err(|err| damaged().cause(err))?;
        let part = Buffer::from(part);
        let size = guarded("the Parquet pages cannot be read", || unpacked_size(chunk, part.clone()))?;
        budget.check(size, &format!("column `{name}`"))?;
        bytes.push(part);
    }
    let arrays = guarded("the Parquet pages cannot be read", || {
        let pages = chunks.iter().zip(bytes);
        let (pages, types) = pages
            .map(|(chunk, bytes)| {
                let pages = PageReader::new(Cursor::new(bytes), chunk, Vec::new(), usize::MAX);
                (BasicDecompressor::new(pages, Vec::new()), &chunk.descriptor().descriptor.primitive_type)
            })
            .unzip();
        column_iter_to_arrays(pages, types, column.field.clone(), Some(Filter::new_limited(rows)))
    })?;
    match <[Box<dyn Array>; 1]>::try_from(arrays.0) {
        Ok([array]) if array.len() == rows => Ok(array),
        _ => Err(damaged()),
    }
}

/// Bytes that the pages of a column unpack to, with what their values cost: what the column says, or more where the heads of its data
/// pages say so, which the decoder holds them to. (Of a dictionary, which is one page and at most 2 GiB, only the column tells.)
fn unpacked_size(chunk: &ColumnChunkMetadata, bytes: Buffer<u8>) -> Result<u64, String> {
    let (mut size, mut values) = (0u64, 0u64);
    for page in PageReader::new(Cursor::new(bytes), chunk, Vec::new(), usize::MAX) {
        if let CompressedPage::Data(page) = page.map_err(|err| err.to_string())? {
            size = size.saturating_add(page.uncompressed_size() as u64);
            values = values.saturating_add(page.num_values() as u64);
        }
    }
    let stated = u64::try_from(chunk.uncompressed_size()).unwrap_or(u64::MAX);
    Ok(size.max(stated).saturating_add(values.saturating_mul(DECODED)))
}

/// Runs the library's code on a file that may be damaged: its errors and its panics become errors.
fn guarded<T, E: Display>(what: &str, run: impl FnOnce() -> Result<T, E>) -> Result<T> {
    let reason = match caught(run) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(err)) => err.to_string(),
        Err(panic) => panic,
    };
    let reason: String = reason.chars().take(200).collect();
    Err(Error::input(format!("{what}: {reason}")).hint("the file is damaged; fetch it again"))
}

/// The mark at both ends tells a truncated file from another kind of file.
fn check_ends(source: &mut Source) -> Result<()> {
    const LFS: &[u8] = b"version https://git-lfs";
    let failed = |err: std::io::Error| Error::input("cannot read").cause(err);
    let length = source.len().map_err(failed)?;
    let start = source.part(0, length.min(LFS.len() as u64) as usize).map_err(failed)?;
    if !start.starts_with(MAGIC) {
        let hint = match start.starts_with(LFS) {
            true => "this is a Git LFS pointer: fetch the real file (git lfs pull)",
            false => "is it another format, or damaged?",
        };
        return Err(Error::input("not a Parquet file").hint(hint));
    }
    let end = source.part(length.saturating_sub(4), 4).map_err(failed)?;
    if length < 12 || end != MAGIC {
        return Err(Error::input("the Parquet footer is missing").hint("the file is truncated; fetch it again"));
    }
    source.rewind().map_err(failed)
}
