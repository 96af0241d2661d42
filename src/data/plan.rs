//! Which parts of a Parquet column can be read, and as what: the type that the decoder is asked for, which of the column's leaves it
//! takes, and what is left out.

use super::quirk::Unread;
use polars_arrow::datatypes::{ArrowDataType, Field, IntervalUnit};

/// What is read of a column.
pub(super) struct Plan {
    /// `None`: nothing.
    pub field: Option<Field>,
    /// One for each leaf in the file.
    pub leaves: Vec<bool>,
}

/// Plans a column; what is left out goes to `unread`.
pub(super) fn of(field: &Field, unread: &mut Vec<Unread>) -> Plan {
    let mut leaves = Vec::new();
    let dtype = walk(&field.dtype, &field.name, &mut leaves, unread);
    Plan { field: dtype.map(|dtype| typed(field, dtype)), leaves }
}

/// The field with another type. Its metadata would make the decoder look for types of its own.
fn typed(field: &Field, dtype: ArrowDataType) -> Field {
    Field { dtype, metadata: None, ..field.clone() }
}

/// The type to ask for; `None` where nothing of it can be read.
fn walk(dtype: &ArrowDataType, path: &str, leaves: &mut Vec<bool>, unread: &mut Vec<Unread>) -> Option<ArrowDataType> {
    use ArrowDataType as T;
    match dtype {
        T::List(inner) | T::LargeList(inner) | T::FixedSizeList(inner, _) => {
            let read = walk(&inner.dtype, &format!("{path}[]"), leaves, unread)?;
            Some(T::LargeList(Box::new(typed(inner, read))))
        }
        T::Struct(fields) => {
            let mut kept = Vec::new();
            for field in fields {
                let read = walk(&field.dtype, &format!("{path}.{}", field.name), leaves, unread);
                kept.extend(read.map(|dtype| typed(field, dtype)));
            }
            (!kept.is_empty()).then_some(T::Struct(kept))
        }
        // A dictionary is how a column is written, not what it is.
        T::Dictionary(_, inner, _) => walk(inner, path, leaves, unread),
        T::Extension(extension) => walk(&extension.inner, path, leaves, unread),
        T::Map(inner, _) => {
            let first = leaves.len();
            walk(&inner.dtype, path, leaves, &mut Vec::new());
            leaves.iter_mut().skip(first).for_each(|leaf| *leaf = false);
            unread.push(Unread { path: path.to_owned(), kind: name(dtype) });
            None
        }
        leaf => {
            let read = leaf_type(leaf);
            leaves.push(read.is_some());
            if read.is_none() {
                unread.push(Unread { path: path.to_owned(), kind: name(leaf) });
            }
            read
        }
    }
}

/// What a leaf is read as.
fn leaf_type(dtype: &ArrowDataType) -> Option<ArrowDataType> {
    use ArrowDataType as T;
    match dtype {
        T::Utf8 | T::LargeUtf8 | T::Utf8View => Some(T::Utf8View),
        T::Null
        | T::Boolean
        | T::Date32
        | T::Date64
        | T::Timestamp(..)
        | T::Time32(_)
        | T::Time64(_)
        | T::Duration(_) => Some(dtype.clone()),
        T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::UInt8 | T::UInt16 | T::UInt32 | T::UInt64 => Some(dtype.clone()),
        T::Float32 | T::Float64 => Some(dtype.clone()),
        // Read as its two bytes.
        T::Float16 => Some(T::FixedSizeBinary(2)),
        T::Decimal(precision, scale) | T::Decimal32(precision, scale) | T::Decimal64(precision, scale) => {
            Some(T::Decimal(*precision, *scale))
        }
        _ => None,
    }
}

/// What pandas and Parquet call a type that cannot be read.
fn name(dtype: &ArrowDataType) -> String {
    use ArrowDataType as T;
    match dtype {
        T::Binary | T::LargeBinary | T::BinaryView => "binary".into(),
        T::FixedSizeBinary(size) => format!("fixed_size_binary[{size}]"),
        T::Map(..) => "map".into(),
        T::Decimal256(precision, scale) => format!("decimal256({precision}, {scale})"),
        T::Interval(IntervalUnit::YearMonth | IntervalUnit::DayTime | IntervalUnit::MonthDayNano) => "interval".into(),
        T::Interval(_) => "interval".into(),
        T::Union(_) => "union".into(),
        T::Int128 => "int128".into(),
        T::UInt128 => "uint128".into(),
        other => format!("{other:?}").split(['(', ' ', '{']).next().unwrap_or("unknown").to_lowercase(),
    }
}
