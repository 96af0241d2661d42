//! JSON files: one object a line, or one array of objects.
//!
//! Every line is checked first, so that a bad one can be named; polars then reads the lines with the schema found.

use super::frame;
use super::shape::{Column, Kind, ObjectShape};
use super::table::Columns;
use crate::error::{Error, Result};
use polars::prelude::{DataType, Field, JsonFormat, JsonReader, PlSmallStr, Schema, SerReader};
use serde_json::Value;
use std::borrow::Cow;
use std::sync::Arc;

/// Reads the text of a JSON or JSON Lines file.
pub(super) fn read(text: &str) -> Result<Columns> {
    if text.trim_start().starts_with('[') {
        let lines = lines_of_array(text)?;
        return read_lines(&lines, "row");
    }
    read_lines(text, "line")
}

/// An array of objects as lines; an array of strings becomes a column `text`, as in `datasets`.
fn lines_of_array(text: &str) -> Result<String> {
    let items: Vec<Value> = serde_json::from_str(text).map_err(|err| {
        let hint = if err.is_eof() { "the file may be truncated" } else { "expected an array of objects" };
        Error::input(format!("not valid JSON: {}", reason(&err))).line(err.line()).hint(hint)
    })?;
    let mut lines = String::new();
    for item in items {
        match item {
            Value::String(_) => lines += &serde_json::json!({ "text": item }).to_string(),
            other => lines += &other.to_string(),
        }
        lines.push('\n');
    }
    Ok(lines)
}

/// `unit` is what errors count: the lines of the file, or the rows of an array.
fn read_lines(text: &str, unit: &str) -> Result<Columns> {
    let (columns, rows) = observe(text, unit)?;
    if rows == 0 {
        return Ok(Columns::default());
    }
    if columns.is_empty() {
        return Err(Error::input("the rows have no fields"));
    }
    let ready = if columns.iter().any(|column| column.as_text) {
        Cow::Owned(with_text_cells(text, &columns)?)
    } else {
        Cow::Borrowed(text.trim_end_matches(['\n', '\r', ' ']))
    };
    // Names must outlive the reader, and the reader wants the last line without its end.
    let frame = frame::guarded("polars cannot read the rows", || {
        JsonReader::new(std::io::Cursor::new(ready.as_bytes()))
            .with_json_format(JsonFormat::JsonLines)
            .with_schema(Arc::new(schema(&columns)))
            .finish()
    })?;
    let mut read = frame::columns(&frame)?;
    for ((_, values), column) in read.iter_mut().zip(&columns).filter(|(_, column)| column.as_text) {
        for value in values.iter_mut() {
            *value = parse_cell(value.take(), column)?;
        }
    }
    Columns::new(read, rows)
}

/// Looks at every line; gives the columns and the number of rows.
fn observe(text: &str, unit: &str) -> Result<(Vec<Column>, usize)> {
    let mut shape = ObjectShape::default();
    let mut rows = 0;
    for (number, line) in numbered(text) {
        rows += 1;
        shape.observe_row(line).map_err(|err| bad_line(&err, number, line, unit, rows == 1))?;
    }
    Ok((shape.columns(), rows))
}

/// The lines that are not blank, numbered from 1. Only `\n` ends a line: U+2028 and the like may stand in strings.
fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let blank = |line: &str| line.bytes().all(|byte| matches!(byte, b' ' | b'\t' | b'\r'));
    text.split('\n').enumerate().map(|(i, line)| (i + 1, line)).filter(move |(_, line)| !blank(line))
}

fn bad_line(err: &serde_json::Error, number: usize, line: &str, unit: &str, first: bool) -> Error {
    let message = format!("not a row of JSON: {} (column {})", reason(err), err.column());
    let error = if unit == "line" {
        Error::input(message).line(number)
    } else {
        Error::input(message).key(format!("{unit} {number}"))
    };
    if err.is_eof() && first && line.trim_start().starts_with('{') {
        return error.hint("write one object a line, or one array of objects");
    }
    if err.is_eof() {
        return error.hint("the file may be truncated");
    }
    error
}

/// serde_json's message without its position, which counts within the line.
fn reason(err: &serde_json::Error) -> String {
    let text = err.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(reason, _)| reason.to_string())
}

fn schema(columns: &[Column]) -> Schema {
    let dtype = |column: &Column| if column.as_text { DataType::String } else { dtype(&column.kind) };
    columns.iter().map(|column| Field::new(PlSmallStr::from_str(&column.name), dtype(column))).collect()
}

fn dtype(kind: &Kind) -> DataType {
    match kind {
        // Polars' reader has gaps for nulls inside lists; any type can hold them.
        Kind::Null | Kind::Bool => DataType::Boolean,
        Kind::Int => DataType::Int64,
        Kind::Float => DataType::Float64,
        Kind::Text | Kind::Any => DataType::String,
        Kind::List(inner) => DataType::List(Box::new(dtype(inner))),
        Kind::Struct(fields) => {
            let field = |(name, kind): &(String, Kind)| Field::new(PlSmallStr::from_str(name), dtype(kind));
            DataType::Struct(fields.iter().map(field).collect())
        }
    }
}

/// The same lines, with the cells of the columns that must travel as text written as strings of JSON.
fn with_text_cells(text: &str, columns: &[Column]) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    for (number, line) in numbered(text) {
        let mut row: serde_json::Map<String, Value> =
            serde_json::from_str(line).map_err(|err| bad_line(&err, number, line, "line", false))?;
        for column in columns.iter().filter(|column| column.as_text) {
            if let Some(cell) = row.get_mut(&column.name).filter(|cell| !cell.is_null()) {
                *cell = Value::String(cell.to_string());
            }
        }
        if !out.is_empty() {
            out.push('\n');
        }
        out += &Value::Object(row).to_string();
    }
    Ok(out)
}

fn parse_cell(cell: Value, column: &Column) -> Result<Value> {
    let Value::String(text) = cell else { return Ok(cell) };
    let value = serde_json::from_str(&text)
        .map_err(|err| Error::input(format!("column `{}` did not survive reading", column.name)).cause(err))?;
    Ok(column.kind.fit(value))
}

#[cfg(test)]
mod tests {
    //! Rows as `datasets` 5.2 loads them from the same text, except that texts that look like dates stay texts.
    use super::*;

    fn rows(text: &str) -> String {
        let rows = read(text).unwrap().into_rows();
        rows.iter().map(|row| serde_json::to_string(row).unwrap()).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn plain_rows_and_missing_fields() {
        assert_eq!(
            rows("{\"a\":1,\"b\":2}\n\n{\"b\":3,\"c\":\"x\"}\r\n"),
            "{\"a\":1,\"b\":2,\"c\":null}\n{\"a\":null,\"b\":3,\"c\":\"x\"}"
        );
    }

    #[test]
    fn numbers() {
        assert_eq!(rows("{\"a\":1}\n{\"a\":1.5}"), "{\"a\":1.0}\n{\"a\":1.5}");
        assert_eq!(rows("{\"a\":9223372036854775808}\n{\"a\":1}"), "{\"a\":9.223372036854776e+18}\n{\"a\":1.0}");
        assert_eq!(rows("{\"a\":123456789012345678901234567890}"), "{\"a\":1.2345678901234568e+29}");
        assert_eq!(
            rows("{\"a\":-9223372036854775808,\"b\":0.1,\"c\":1e5}"),
            "{\"a\":-9223372036854775808,\"b\":0.1,\"c\":100000.0}"
        );
        assert_eq!(rows("{\"a\":[1,null,2.5]}"), "{\"a\":[1.0,null,2.5]}");
    }

    #[test]
    fn nested() {
        let text = "{\"a\":{\"x\":null,\"y\":[]}}\n{\"a\":{\"y\":[\"q\"],\"x\":{\"z\":1}}}\n{\"a\":null}";
        assert_eq!(rows(text), "{\"a\":{\"x\":null,\"y\":[]}}\n{\"a\":{\"x\":{\"z\":1},\"y\":[\"q\"]}}\n{\"a\":null}");
        let text = "{\"a\":[{\"x\":[1,2]},{\"x\":[]}],\"b\":[]}\n{\"a\":[],\"b\":[null]}";
        assert_eq!(rows(text), text);
    }

    #[test]
    fn mixed_values_stay_as_written() {
        for text in [
            "{\"a\":1}\n{\"a\":\"x\"}\n{\"a\":null}",
            "{\"a\":{\"x\":1,\"y\":2}}\n{\"a\":{\"y\":3,\"z\":\"q\"}}",
            "{\"a\":[{\"x\":1}],\"b\":1}\n{\"a\":[{\"y\":\"\\n\"}],\"b\":2}",
            "{\"a\":\"1\"}\n{\"a\":[1]}",
        ] {
            assert_eq!(rows(text), text);
        }
    }

    #[test]
    fn strings() {
        let text =
            "{\"a\":\"2020-01-01\",\"b\":\"x\\u0000y\"}\n{\"a\":\"2021-01-01T10:00:00Z\",\"b\":\"\u{2028}\\\"\"}";
        assert_eq!(rows(text), text);
        assert_eq!(rows("{\"a\":null,\"b\":1}\n{\"a\":null,\"b\":1}"), "{\"a\":null,\"b\":1}\n{\"a\":null,\"b\":1}");
    }

    #[test]
    fn arrays() {
        assert_eq!(rows("[{\"a\":1,\"b\":\"x\"},\n {\"a\":2}]"), "{\"a\":1,\"b\":\"x\"}\n{\"a\":2,\"b\":null}");
        assert_eq!(rows("[\"a\",\"b\"]"), "{\"text\":\"a\"}\n{\"text\":\"b\"}");
        let err = read("[{\"a\":1},\n{\"a\":").unwrap_err();
        assert!(err.place().line == Some(2) && err.to_string().contains("truncated"), "{err}");
        assert_eq!(read("[{\"a\":1}, 5]").unwrap_err().place().key.as_deref(), Some("row 2"));
    }

    #[test]
    fn many_rows_and_a_long_last_line() {
        let mut text: String = (0..3000).map(|i| format!("{{\"i\":{i},\"s\":\"row {i}\"}}\n")).collect();
        text += &format!("{{\"i\":3000,\"s\":\"{}\"}}\n", "z".repeat(400_000));
        let read = read(&text).unwrap().into_rows();
        assert_eq!(read.len(), 3001);
        assert_eq!(read[2999]["i"], 2999);
    }

    #[test]
    fn damaged_lines_are_named() {
        for (text, line, part) in [
            ("{\"a\":1}\n{\"a\":", 2, "truncated"),
            ("{\"a\":1}\n\n{\"a\":x}\n{}", 3, "expected value"),
            ("{\"a\":1}\n[1]\n", 2, "one row"),
            ("{\"a\":1}{\"a\":2}\n", 1, "trailing"),
            ("{\"a\":NaN}\n", 1, "expected value"),
            ("{\"a\":\"\\ud800\"}\n", 1, "hex escape"),
            ("{\n  \"a\": 1\n}\n", 1, "one object a line"),
        ] {
            let err = read(text).unwrap_err();
            assert_eq!(err.place().line, Some(line), "{err}");
            assert!(err.to_string().contains(part), "{err}");
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(5000), "]".repeat(5000));
        assert!(read(&deep).unwrap_err().to_string().contains("recursion"));
    }
}
