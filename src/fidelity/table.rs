//! The table of positions out of a Parquet file that anybody may have made: column by column, by the reader that polars has, with bounds
//! that polars itself does not keep.

use super::Position;
use polars_arrow::array::{Array, BooleanArray, PrimitiveArray};
use polars_arrow::datatypes::{ArrowDataType, Field};
use polars_buffer::Buffer;
use polars_parquet::parquet::page::CompressedPage;
use polars_parquet::read::{
    BasicDecompressor, ColumnChunkMetadata, Filter, PageReader, RowGroupMetadata, column_iter_to_arrays, infer_schema,
    read_metadata,
};
use std::io::Cursor;

/// Why a file is no such table.
type Read<T> = std::result::Result<T, String>;

/// A file's bytes and what is known of it.
pub(super) struct Table<'a> {
    pub bytes: &'a [u8],
    /// Rows, as the header says.
    pub positions: u64,
    /// Bytes that a column may unpack to.
    pub most: u64,
}

/// The columns so far.
#[derive(Default)]
struct Columns {
    sequence: Vec<u32>,
    kl: Vec<f64>,
    reference: Vec<f64>,
    candidate: Vec<f64>,
    top: Vec<f64>,
    same: Vec<bool>,
    top5: Vec<u32>,
}

impl Table<'_> {
    /// All rows.
    ///
    /// Errors: another number of rows or other columns than there should be; values are missing; pages are damaged or too large. Panics
    /// where the library does.
    pub(super) fn read(&self) -> Read<Vec<Position>> {
        let metadata = read_metadata(&mut Cursor::new(self.bytes)).map_err(shown)?;
        let schema = infer_schema(&metadata).map_err(shown)?;
        let rows = metadata.row_groups.iter().fold(0u64, |rows, group| rows.saturating_add(group.num_rows() as u64));
        if rows != self.positions {
            return Err(format!("it has {rows} rows, and the header says {}", self.positions));
        }
        let mut columns = Columns::default();
        for group in &metadata.row_groups {
            let array = |name: &str, dtype: ArrowDataType| {
                let field = schema.iter_values().find(|field| field.name.as_str() == name);
                match field.filter(|field| field.dtype == dtype) {
                    Some(field) => self.decode(group, field),
                    None => Err(format!("column `{name}` is missing, or of another type")),
                }
            };
            let counts = |name| array(name, ArrowDataType::UInt32).and_then(|array| primitives::<u32>(array.as_ref()));
            let numbers =
                |name| array(name, ArrowDataType::Float64).and_then(|array| primitives::<f64>(array.as_ref()));
            columns.sequence.extend(counts("sequence")?);
            columns.kl.extend(numbers("kl")?);
            columns.reference.extend(numbers("reference_logprob")?);
            columns.candidate.extend(numbers("candidate_logprob")?);
            columns.top.extend(numbers("reference_top")?);
            columns.same.extend(truths(array("same_top", ArrowDataType::Boolean)?.as_ref())?);
            columns.top5.extend(counts("top5")?);
        }
        columns.rows()
    }

    /// A column of a row group.
    fn decode(&self, group: &RowGroupMetadata, field: &Field) -> Read<Box<dyn Array>> {
        let name = field.name.as_str();
        let damaged = || format!("column `{name}` is damaged");
        let mut chunks = group.columns_under_root_iter(name).ok_or_else(damaged)?;
        let (Some(chunk), None) = (chunks.next(), chunks.next()) else { return Err(damaged()) };
        let range = chunk.byte_range();
        let place = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
        let part = place.and_then(|(start, end)| self.bytes.get(start..end)).ok_or_else(damaged)?;
        let part = Buffer::from(part.to_vec());
        if unpacked_size(chunk, part.clone())? > self.most {
            return Err(format!("column `{name}` is larger than it can be"));
        }
        let pages = PageReader::new(Cursor::new(part), chunk, Vec::new(), usize::MAX);
        let pages = vec![BasicDecompressor::new(pages, Vec::new())];
        let types = vec![&chunk.descriptor().descriptor.primitive_type];
        // The limit is what keeps the lengths of runs within the rows.
        let limit = Some(Filter::new_limited(group.num_rows()));
        let arrays = column_iter_to_arrays(pages, types, field.clone(), limit).map_err(shown)?;
        match <[Box<dyn Array>; 1]>::try_from(arrays.0) {
            Ok([array]) if array.len() == group.num_rows() => Ok(array),
            _ => Err(damaged()),
        }
    }
}

/// Bytes that the pages of a column say they unpack to, or the column, where that is more.
fn unpacked_size(chunk: &ColumnChunkMetadata, bytes: Buffer<u8>) -> Read<u64> {
    let mut size = 0u64;
    for page in PageReader::new(Cursor::new(bytes), chunk, Vec::new(), usize::MAX) {
        if let CompressedPage::Data(page) = page.map_err(shown)? {
            size = size.saturating_add(page.uncompressed_size() as u64);
        }
    }
    Ok(size.max(u64::try_from(chunk.uncompressed_size()).unwrap_or(u64::MAX)))
}

fn shown(err: impl std::fmt::Display) -> String {
    err.to_string()
}

fn primitives<T: polars_arrow::types::NativeType>(array: &dyn Array) -> Read<Vec<T>> {
    let array = array.as_any().downcast_ref::<PrimitiveArray<T>>().ok_or("a column has another type")?;
    match array.null_count() {
        0 => Ok(array.values().as_slice().to_vec()),
        _ => Err("values are missing".into()),
    }
}

fn truths(array: &dyn Array) -> Read<Vec<bool>> {
    let array = array.as_any().downcast_ref::<BooleanArray>().ok_or("a column has another type")?;
    match array.null_count() {
        0 => Ok(array.values().iter().collect()),
        _ => Err("values are missing".into()),
    }
}

impl Columns {
    fn rows(self) -> Read<Vec<Position>> {
        let mut rows = Vec::with_capacity(self.kl.len());
        let logs = self.kl.into_iter().zip(self.reference).zip(self.candidate).zip(self.top);
        let rest = self.sequence.into_iter().zip(self.same).zip(self.top5);
        for ((((kl, reference_logprob), candidate_logprob), reference_top), ((sequence, same_top), top5)) in
            logs.zip(rest)
        {
            if top5 > 5 {
                return Err(format!("{top5} of five"));
            }
            let top5 = top5 as u8;
            rows.push(Position { sequence, kl, reference_logprob, candidate_logprob, reference_top, same_top, top5 });
        }
        Ok(rows)
    }
}
