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

#[cfg(test)]
mod tests {
    use super::super::origin::Located;
    use super::super::table::{FileRows, Form, read_file};
    use super::*;
    use polars::prelude::{Column, DataFrame, IntoColumn, NamedFrom, ParquetWriter, Series};

    const ODD: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/parquet/odd_types.parquet"));

    fn written(columns: Vec<Column>) -> Vec<u8> {
        let mut frame = DataFrame::new_infer_height(columns).unwrap();
        let mut bytes = Vec::new();
        ParquetWriter::new(&mut bytes).with_row_group_size(Some(2)).finish(&mut frame).unwrap();
        bytes
    }

    fn read(bytes: &[u8], rows: Option<usize>, memory: u64) -> Result<FileRows> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.parquet");
        std::fs::write(&path, bytes).unwrap();
        read_file(&Located::on_disk(path, "x.parquet"), &Form { rows, ..Form::default() }, memory)
    }

    /// The rows as pyarrow 26 gives them (`to_pylist`, printed by `str`); see make_parquet.py.
    #[test]
    fn types_as_python_shows_them() {
        let read = read(ODD, None, 1 << 20).unwrap();
        let expected: Value = serde_json::json!({
            "q": "one", "category": "a", "number_category": 7, "decimal": "1.50", "small": "-0.000001200", "half": 0.5,
            "single": 0.10000000149011612, "nan": null, "fixed": [1.0, null], "time": "10:00:00.000001",
            "time_ms": "23:59:59", "duration": "-1 day, 0:00:01", "day": "2020-02-29",
            "moment": "2020-02-29 10:00:00+00:00", "image": {"path": "a.png"},
            "nested": [{"name": "n", "at": "01:02:03", "label": "c"}], "map": [{"key": "k", "value": 1}], "large": ["x", null],
        });
        assert_eq!(Value::Object(read.rows[0].clone()), expected);
        let nulls = read.rows[1].iter().filter(|(name, _)| !["q", "nan"].contains(&name.as_str()));
        assert!(nulls.into_iter().all(|(_, value)| value.is_null()), "{:?}", read.rows[1]);
        let unread: Vec<(&str, &str)> = read.unread.iter().map(|u| (u.path.as_str(), u.kind.as_str())).collect();
        assert_eq!(
            unread,
            [
                ("bytes", "binary"),
                ("image.bytes", "binary"),
                ("nested[].blob", "binary"),
                ("uuid", "fixed_size_binary[16]"),
            ]
        );
        let quirks: Vec<_> = read.quirks.iter().map(|q| (q.column.as_str(), q.count, q.of, q.rows.clone())).collect();
        assert_eq!(quirks, [("nan", 1, 2, vec![0]), ("fixed", 1, 2, vec![0])]);
    }

    #[test]
    fn the_first_rows_of_several_groups() {
        let bytes = written(vec![
            Series::new("x".into(), (0..7i64).collect::<Vec<_>>()).into_column(),
            Series::new("y".into(), (0..7).map(|i| format!("t{i}")).collect::<Vec<_>>()).into_column(),
        ]);
        let read = read(&bytes, Some(3), 1 << 20).unwrap();
        let lines: Vec<String> = read.rows.iter().map(|row| serde_json::to_string(row).unwrap()).collect();
        assert_eq!(lines, [r#"{"x":0,"y":"t0"}"#, r#"{"x":1,"y":"t1"}"#, r#"{"x":2,"y":"t2"}"#]);
        assert_eq!((read.record.rows, read.record.bytes), (7, bytes.len() as u64));
    }

    #[test]
    fn damage() {
        let reads = |bytes: &[u8]| read(bytes, None, 1 << 20);
        let cut = &ODD[..ODD.len() - 20];
        assert!(reads(cut).unwrap_err().to_string().contains("truncated"));
        assert!(reads(b"{\"a\":1}").unwrap_err().to_string().contains("not a Parquet file"));
        assert!(reads(b"PAR1").unwrap_err().to_string().contains("footer is missing"));
        assert!(reads(b"version https://git-lfs.github.com/spec/v1\n").unwrap_err().to_string().contains("LFS"));
        let mut footer = ODD.to_vec();
        let end = footer.len() - 60;
        footer[end..end + 40].fill(0xff);
        assert!(reads(&footer).is_err());
        // Any single damaged byte gives rows or an error, never a panic that escapes.
        for at in (4..ODD.len() - 4).step_by(53) {
            let mut bytes = ODD.to_vec();
            bytes[at] ^= 0x55;
            let _ = reads(&bytes);
        }
    }

    #[test]
    fn memory_is_bounded() {
        let long = "x".repeat(1 << 16);
        let texts = written(vec![Series::new("x".into(), vec![long.as_str(); 100]).into_column()]);
        assert!(texts.len() < 1 << 16, "a dictionary: {} bytes", texts.len());
        let err = read(&texts, None, 1 << 20).unwrap_err();
        assert!(err.to_string().contains("column `x` would take more than the 1.0 MiB"), "{err}");
        assert_eq!(read(&texts, Some(2), 1 << 20).unwrap().rows.len(), 2);
        let many = written(vec![Series::new("x".into(), vec![true; 100_000]).into_column()]);
        assert!(read(&many, None, 1 << 20).unwrap_err().to_string().contains("a table of 100000 rows"));
    }
}
