//! Parquet files.

use super::frame;
use super::table::Columns;
use crate::error::{Error, Result};
use polars::prelude::{ArrowDataType, ParquetReader, SerReader};
use std::io::Cursor;

const MAGIC: &[u8] = b"PAR1";

/// Reads the bytes of a Parquet file.
pub(super) fn read(bytes: &[u8]) -> Result<Columns> {
    check_ends(bytes)?;
    let mut reader = ParquetReader::new(Cursor::new(bytes));
    let schema = frame::guarded("the Parquet footer cannot be read", || reader.schema())
        .map_err(|err| err.hint("the file is damaged; fetch it again"))?;
    for field in schema.iter_values() {
        check(&field.dtype, &field.name)?;
    }
    let frame = frame::guarded("the Parquet pages cannot be read", || reader.finish())
        .map_err(|err| err.hint("the file is damaged; fetch it again"))?;
    let rows = frame.height();
    Columns::new(frame::columns(&frame)?, rows)
}

/// The mark at both ends tells a truncated file from another kind of file.
fn check_ends(bytes: &[u8]) -> Result<()> {
    if !bytes.starts_with(MAGIC) {
        let hint = if bytes.starts_with(b"version https://git-lfs") {
            "this is a Git LFS pointer: fetch the real file (git lfs pull)"
        } else {
            "is it another format, or damaged?"
        };
        return Err(Error::input("not a Parquet file").hint(hint));
    }
    if bytes.len() < 12 || !bytes.ends_with(MAGIC) {
        return Err(Error::input("the Parquet footer is missing").hint("the file is truncated; fetch it again"));
    }
    Ok(())
}

/// Refuses types that have no place in a prompt before polars meets them (it panics on some).
fn check(dtype: &ArrowDataType, path: &str) -> Result<()> {
    use ArrowDataType as T;
    match dtype {
        T::Null | T::Boolean | T::Utf8 | T::LargeUtf8 | T::Utf8View | T::Date32 | T::Date64 | T::Timestamp(..) => {
            Ok(())
        }
        T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::UInt8 | T::UInt16 | T::UInt32 | T::UInt64 => Ok(()),
        T::Float32 | T::Float64 => Ok(()),
        T::List(inner) | T::LargeList(inner) => check(&inner.dtype, &format!("{path}[]")),
        T::Struct(fields) => fields.iter().try_for_each(|field| check(&field.dtype, &format!("{path}.{}", field.name))),
        T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => Err(frame::binary(path)),
        other => Err(frame::unsupported(path, &format!("{other:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars::prelude::{
        Column, DataFrame, DataType, IntoColumn, IntoSeries, ListChunked, NamedFrom, ParquetWriter, Series,
        StructChunked, TimeUnit,
    };

    fn written(columns: Vec<Column>) -> Vec<u8> {
        let mut frame = DataFrame::new_infer_height(columns).unwrap();
        let mut bytes = Vec::new();
        ParquetWriter::new(&mut bytes).finish(&mut frame).unwrap();
        bytes
    }

    fn sample() -> Vec<u8> {
        let x = Series::new("x".into(), &[Some(1i64), None, Some(3)]);
        let y = Series::new("y".into(), &["a", "b", "c"]);
        let pair = StructChunked::from_series("pair".into(), 3, [x.clone(), y].iter()).unwrap();
        let lists: ListChunked =
            [Some(Series::new("".into(), &["p", "q"])), None, Some(Series::new("".into(), &[] as &[&str]))]
                .into_iter()
                .collect();
        written(vec![
            x.into_column(),
            pair.into_series().into_column(),
            lists.into_series().with_name("list".into()).into_column(),
            Series::new("f".into(), &[0.5f32, f32::NAN, 2.0]).into_column(),
            Series::new("i".into(), &[1i8, -2, 3]).into_column(),
            Series::new("d".into(), &[0i32, 18_321, -1]).cast(&DataType::Date).unwrap().into_column(),
            Series::new("t".into(), &[0i64, 1, 2])
                .cast(&DataType::Datetime(TimeUnit::Microseconds, None))
                .unwrap()
                .into_column(),
        ])
    }

    #[test]
    fn every_type() {
        let rows = read(&sample()).unwrap().into_rows();
        let lines: Vec<String> = rows.iter().map(|row| serde_json::to_string(row).unwrap()).collect();
        assert_eq!(
            lines,
            [
                r#"{"x":1,"pair":{"x":1,"y":"a"},"list":["p","q"],"f":0.5,"i":1,"d":"1970-01-01","t":"1970-01-01 00:00:00"}"#,
                r#"{"x":null,"pair":{"x":null,"y":"b"},"list":null,"f":null,"i":-2,"d":"2020-02-29","t":"1970-01-01 00:00:00.000001"}"#,
                r#"{"x":3,"pair":{"x":3,"y":"c"},"list":[],"f":2.0,"i":3,"d":"1969-12-31","t":"1970-01-01 00:00:00.000002"}"#,
            ]
        );
    }

    #[test]
    fn damage() {
        let whole = sample();
        let cut = &whole[..whole.len() - 20];
        assert!(read(cut).unwrap_err().to_string().contains("truncated"));
        assert!(read(b"{\"a\":1}").unwrap_err().to_string().contains("not a Parquet file"));
        assert!(read(b"version https://git-lfs.github.com/spec/v1\n").unwrap_err().to_string().contains("LFS"));
        let mut footer = whole.clone();
        let end = footer.len() - 60;
        footer[end..end + 40].fill(0xff);
        assert!(read(&footer).is_err());
        // Any single damaged byte gives rows or an error, never a panic that escapes.
        for at in (4..whole.len() - 4).step_by(97) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x55;
            let _ = read(&bytes);
        }
    }

    #[test]
    fn binary_is_refused_by_name() {
        let bytes = Series::new("bytes".into(), &[b"abc".as_slice()]);
        let err = read(&written(vec![bytes.clone().with_name("blob".into()).into_column()])).unwrap_err();
        assert!(err.to_string().contains("column `blob` holds binary data"), "{err}");
        let path = Series::new("path".into(), &["x.png"]);
        let image = StructChunked::from_series("image".into(), 1, [bytes, path].iter()).unwrap();
        let err = read(&written(vec![image.into_series().into_column()])).unwrap_err();
        assert!(err.to_string().contains("`image.bytes`") && err.to_string().contains("multimodal"), "{err}");
    }
}
