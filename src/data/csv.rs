//! CSV and TSV files, read as `datasets` (through pandas) reads them.
//!
//! A scan finds the records first, so that a bad one can be named; polars then reads every cell as text, and the columns get
//! their types by pandas' rules: words like `NA` are null, whole numbers with nulls become fractions.

use super::frame;
use super::table::Columns;
use crate::error::{Error, Result};
use polars::prelude::{CsvReadOptions, DataType, Field, PlSmallStr, Schema, SerReader};
use serde_json::Value;
use std::sync::Arc;

/// How the file is written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct CsvForm {
    /// `None`: a comma, or a tab in a `.tsv` file.
    pub delimiter: Option<char>,
    /// Names for the columns; the file then has no header.
    pub column_names: Option<Vec<String>>,
}

/// Cells that pandas takes for nulls.
const NULLS: &[&str] = &[
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null",
];

const TRUE: &[&str] = &["True", "TRUE", "true"];
const FALSE: &[&str] = &["False", "FALSE", "false"];

/// Reads the text of a CSV file whose default delimiter is `default`.
pub(super) fn read(text: &str, form: &CsvForm, default: u8) -> Result<Columns> {
    let delimiter = match form.delimiter {
        None => default,
        Some(c) if c.is_ascii() && c != '"' && c != '\n' && c != '\r' => c as u8,
        Some(c) => return Err(Error::input(format!("{c:?} cannot be a column delimiter"))),
    };
    let records = scan(text, delimiter)?;
    let mut records = records.iter();
    let names = match &form.column_names {
        Some(names) => names.clone(),
        None => match records.next() {
            Some(header) => unique_names(header.cells(text, delimiter)),
            None => return Ok(Columns::default()),
        },
    };
    let mut body = String::with_capacity(text.len());
    let mut rows = 0;
    for record in records {
        if record.fields > names.len() {
            let message = format!("{} fields where the header has {}", record.fields, names.len());
            return Err(Error::input(message).line(record.line).hint("quote fields that contain the delimiter"));
        }
        record.write(text, delimiter, &mut body);
        rows += 1;
    }
    if rows == 0 {
        return Ok(Columns::default());
    }
    let cells = cells(body, &names, delimiter, rows)?;
    Columns::new(cells.into_iter().map(|(name, cells)| (name, typed(cells))).collect(), rows)
}

/// Every cell as text, by polars.
fn cells(body: String, names: &[String], delimiter: u8, rows: usize) -> Result<Vec<(String, Vec<Value>)>> {
    let schema: Schema = names.iter().map(|name| Field::new(PlSmallStr::from_str(name), DataType::String)).collect();
    let frame = frame::guarded("polars cannot read the rows", || {
        CsvReadOptions::default()
            .with_has_header(false)
            .with_schema(Some(Arc::new(schema)))
            .with_infer_schema_length(Some(0))
            .map_parse_options(|options| options.with_separator(delimiter).with_truncate_ragged_lines(true))
            .into_reader_with_file_handle(std::io::Cursor::new(body.into_bytes()))
            .finish()
    })?;
    if frame.height() != rows {
        let message = format!("{rows} rows by the quotes, {} by the line ends", frame.height());
        return Err(Error::input(message).hint("a quote inside a field must be doubled, and the field quoted"));
    }
    frame::columns(&frame)
}

/// One record of the file: a byte range, the line it starts on, its number of fields, whether a plain field has a quote.
struct Record {
    start: usize,
    end: usize,
    line: usize,
    fields: usize,
    stray_quote: bool,
}

impl Record {
    fn text<'a>(&self, text: &'a str) -> &'a str {
        text.get(self.start..self.end).unwrap_or_default()
    }

    /// The cells, without their quotes.
    fn cells(&self, text: &str, delimiter: u8) -> Vec<String> {
        let delimiter = char::from(delimiter);
        let mut cells = Vec::new();
        let mut cell = String::new();
        let (mut at_start, mut quoted) = (true, false);
        let mut chars = self.text(text).chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '"' if quoted => match chars.next_if_eq(&'"') {
                    Some(quote) => cell.push(quote),
                    None => quoted = false,
                },
                '"' if at_start => quoted = true,
                c if c == delimiter && !quoted => {
                    cells.push(std::mem::take(&mut cell));
                    at_start = true;
                    continue;
                }
                c => cell.push(c),
            }
            at_start = false;
        }
        cells.push(cell);
        cells
    }

    /// The record as polars can read it: a quote within a plain field would confuse it.
    fn write(&self, text: &str, delimiter: u8, body: &mut String) {
        if self.stray_quote {
            let quoted = |cell: String| format!("\"{}\"", cell.replace('"', "\"\""));
            let cells: Vec<String> = self.cells(text, delimiter).into_iter().map(quoted).collect();
            *body += &cells.join(char::from(delimiter).encode_utf8(&mut [0; 4]));
        } else {
            *body += self.text(text);
        }
        body.push('\n');
    }
}

/// Finds the records. A field that starts with a quote goes on to the closing quote, over line ends; blank lines are skipped.
fn scan(text: &str, delimiter: u8) -> Result<Vec<Record>> {
    let bytes = text.as_bytes();
    let mut records = Vec::new();
    let mut line = 1;
    let mut at = 0;
    while at < bytes.len() {
        let mut record = Record { start: at, end: at, line, fields: 1, stray_quote: false };
        let mut field_start = true;
        loop {
            match bytes.get(at) {
                None | Some(b'\n') => break,
                Some(b'"') if field_start => {
                    at = closing_quote(bytes, at, &mut line).ok_or_else(|| unclosed(record.line))?;
                    let next = bytes.get(at).copied().unwrap_or(b'\n');
                    if next != delimiter && next != b'\n' && next != b'\r' {
                        let err = Error::input("text after a closing quote").line(line);
                        return Err(err.hint("a quote inside a quoted field must be doubled"));
                    }
                    field_start = false;
                }
                Some(byte) => {
                    record.stray_quote |= *byte == b'"';
                    field_start = *byte == delimiter;
                    record.fields += usize::from(field_start);
                    at += 1;
                }
            }
        }
        record.end = at;
        if record.text(text).ends_with('\r') {
            record.end -= 1;
        }
        if record.end > record.start {
            records.push(record);
        }
        at += 1;
        line += 1;
    }
    Ok(records)
}

/// The place after the closing quote of the field that opens at `at`.
fn closing_quote(bytes: &[u8], mut at: usize, line: &mut usize) -> Option<usize> {
    loop {
        at += 1;
        match bytes.get(at)? {
            b'"' if bytes.get(at + 1) == Some(&b'"') => at += 1,
            b'"' => return Some(at + 1),
            b'\n' => *line += 1,
            _ => {}
        }
    }
}

fn unclosed(line: usize) -> Error {
    Error::input("a quote that opens in this row is never closed").line(line).hint("the file may be truncated")
}

/// Pandas' names for columns without a name or with one that stood before.
fn unique_names(names: Vec<String>) -> Vec<String> {
    let mut out: Vec<String> = Vec::with_capacity(names.len());
    for (i, name) in names.into_iter().enumerate() {
        let base = if name.is_empty() { format!("Unnamed: {i}") } else { name };
        let mut unique = base.clone();
        let mut copy = 0;
        while out.contains(&unique) {
            copy += 1;
            unique = format!("{base}.{copy}");
        }
        out.push(unique);
    }
    out
}

/// Gives a column of texts its type.
fn typed(cells: Vec<Value>) -> Vec<Value> {
    let cells: Vec<Option<String>> = cells
        .into_iter()
        .map(|cell| match cell {
            Value::String(text) if !NULLS.contains(&text.as_str()) => Some(text),
            _ => None,
        })
        .collect();
    let has_nulls = cells.iter().any(Option::is_none);
    let present = || cells.iter().flatten().map(String::as_str);
    let all = |test: &dyn Fn(&str) -> bool| present().all(test);
    if all(&|text| boolean(text).is_some()) {
        return cells.iter().map(|cell| Value::from(cell.as_deref().and_then(boolean))).collect();
    }
    if !has_nulls && all(&|text| text.trim().parse::<i64>().is_ok()) {
        return cells
            .iter()
            .map(|cell| Value::from(cell.as_deref().and_then(|t| t.trim().parse::<i64>().ok())))
            .collect();
    }
    if !has_nulls && all(&|text| text.trim().parse::<u64>().is_ok()) {
        return cells
            .iter()
            .map(|cell| Value::from(cell.as_deref().and_then(|t| t.trim().parse::<u64>().ok())))
            .collect();
    }
    if all(&|text| fraction(text).is_some()) {
        return cells.iter().map(|cell| Value::from(cell.as_deref().and_then(fraction))).collect();
    }
    cells.into_iter().map(Value::from).collect()
}

fn boolean(text: &str) -> Option<bool> {
    if TRUE.contains(&text) {
        return Some(true);
    }
    FALSE.contains(&text).then_some(false)
}

/// A number with or without a fraction; not the words for infinity, which JSON cannot hold, nor whole numbers beyond 64 bits.
fn fraction(text: &str) -> Option<f64> {
    let text = text.trim();
    if !text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte)) {
        return None;
    }
    let whole = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number: &f64| number.is_finite() && !(whole && *number > u64::MAX as f64))
}

#[cfg(test)]
mod tests {
    //! Rows as `datasets` 5.2 loads them from the same text.
    use super::*;

    fn rows(text: &str) -> Vec<String> {
        let rows = read(text, &CsvForm::default(), b',').unwrap().into_rows();
        rows.iter().map(|row| serde_json::to_string(row).unwrap()).collect()
    }

    #[test]
    fn types() {
        assert_eq!(rows("a,b,c\n1,2.5,x\n2,3,y\n"), [r#"{"a":1,"b":2.5,"c":"x"}"#, r#"{"a":2,"b":3.0,"c":"y"}"#]);
        assert_eq!(rows("a\n2020-01-01\n"), [r#"{"a":"2020-01-01"}"#]);
        assert_eq!(rows("a,b\n1,\n,x\n"), [r#"{"a":1.0,"b":null}"#, r#"{"a":null,"b":"x"}"#]);
        assert_eq!(
            rows("a,b\nNA,x\nNone,nan\nnull,N/A\n"),
            [r#"{"a":null,"b":"x"}"#, r#"{"a":null,"b":null}"#, r#"{"a":null,"b":null}"#]
        );
        assert_eq!(rows("a,b\nTrue,true\n,false\n"), [r#"{"a":true,"b":true}"#, r#"{"a":null,"b":false}"#]);
        assert_eq!(rows("a\n007\n08\n"), [r#"{"a":7}"#, r#"{"a":8}"#]);
        assert_eq!(rows("a\n1\nx\n"), [r#"{"a":"1"}"#, r#"{"a":"x"}"#]);
        assert_eq!(rows("a,b\n 1, x \n"), [r#"{"a":1,"b":" x "}"#]);
        assert_eq!(rows("a,b\n\"\",1\nx,2\n"), [r#"{"a":null,"b":1}"#, r#"{"a":"x","b":2}"#]);
        assert_eq!(rows("a\n9223372036854775808\n1\n"), [r#"{"a":9223372036854775808}"#, r#"{"a":1}"#]);
        assert_eq!(rows("a\n1e5\n2\n"), [r#"{"a":100000.0}"#, r#"{"a":2.0}"#]);
    }

    #[test]
    fn quotes_and_lines() {
        assert_eq!(
            rows("a,b\n\"x, \"\"y\"\"\nz\",2\n\"3\",4\n"),
            [r#"{"a":"x, \"y\"\nz","b":2}"#, r#"{"a":"3","b":4}"#]
        );
        assert_eq!(rows("a,b\r\n1,2\r\n\r\n3,4"), [r#"{"a":1,"b":2}"#, r#"{"a":3,"b":4}"#]);
        assert_eq!(rows("a,b\n1,2\n1\n"), [r#"{"a":1,"b":2.0}"#, r#"{"a":1,"b":null}"#]);
        assert_eq!(rows("a,a\n1,2\n"), [r#"{"a":1,"a.1":2}"#]);
        assert_eq!(rows(",a\n0,x\n"), [r#"{"Unnamed: 0":0,"a":"x"}"#]);
        assert_eq!(rows("a\n\nx\n\ny\n"), [r#"{"a":"x"}"#, r#"{"a":"y"}"#]);
    }

    #[test]
    fn delimiter_and_names() {
        let form = CsvForm { delimiter: Some(';'), column_names: Some(vec!["q".into(), "n".into()]) };
        let read = read("x,y;1\nz;2\n", &form, b',').unwrap().into_rows();
        assert_eq!(serde_json::to_string(&read).unwrap(), r#"[{"q":"x,y","n":1},{"q":"z","n":2}]"#);
        let form = CsvForm { delimiter: Some('→'), column_names: None };
        assert!(super::read("a\n1\n", &form, b',').is_err());
    }

    #[test]
    fn damaged_rows_are_named() {
        for (text, line, part) in [
            ("a,b\n1,2\n1,2,3\n", 3, "3 fields where the header has 2"),
            ("a,b\n\"p\nq\",2\n1,2,3\n", 4, "3 fields"),
            ("a,b\n1,2\n\"x,2\n", 3, "never closed"),
            ("a,b\n\"x\"y,2\n", 2, "after a closing quote"),
        ] {
            let err = read(text, &CsvForm::default(), b',').unwrap_err();
            assert_eq!(err.place().line, Some(line), "{err}");
            assert!(err.to_string().contains(part), "{err}");
        }
    }

    #[test]
    fn a_quote_inside_a_plain_field() {
        assert_eq!(rows("a,b\n5\" disk,1\n\"x, y\",2\n"), [r#"{"a":"5\" disk","b":1}"#, r#"{"a":"x, y","b":2}"#]);
    }
}
