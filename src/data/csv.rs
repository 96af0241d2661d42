//! CSV and TSV files, read as `datasets` (through pandas) reads them.
//!
//! A scan finds the records first, so that a bad one can be named; the columns get their types by pandas' rules: words like `NA` are null
//! (and counted), whole numbers with nulls become fractions.

use super::budget::Budget;
use super::quirk::{Oddity, Quirks};
use super::table::{Columns, Parsed};
use crate::error::{Error, Result};
use crate::task::NullWords;
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// How the file is written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct CsvForm {
    /// `None`: a comma, or a tab in a `.tsv` file.
    pub delimiter: Option<char>,
    /// Names for the columns; the file then has no header.
    pub column_names: Option<Vec<String>>,
    pub nulls: NullWords,
}

/// Cells that pandas takes for nulls.
const NULLS: &[&str] = &[
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null",
];

const TRUE: &[&str] = &["True", "TRUE", "true"];
const FALSE: &[&str] = &["False", "FALSE", "false"];

/// Reads the text of a CSV file whose default delimiter is `default`.
pub(super) fn read(text: &str, form: &CsvForm, default: u8, budget: &Budget) -> Result<Parsed> {
    let delimiter = match form.delimiter {
        None => default,
        Some(c) if c.is_ascii() && c != '"' && c != '\n' && c != '\r' => c as u8,
        Some(c) => return Err(Error::input(format!("{c:?} cannot be a column delimiter"))),
    };
    budget.take(text.len() as u64, "this file")?;
    let records = scan(text, delimiter)?;
    let mut records = records.iter();
    let names = match &form.column_names {
        Some(names) => names.clone(),
        None => match records.next() {
            Some(header) => unique_names(header.cells(text, delimiter)),
            None => return Ok(Parsed::default()),
        },
    };
    let rows = records.len();
    if rows == 0 {
        return Ok(Parsed::default());
    }
    budget.take_table(rows, names.iter().map(|name| name.len() as u64))?;
    let mut quirks = Quirks::default();
    let mut columns: Vec<Vec<Option<String>>> = names.iter().map(|_| Vec::with_capacity(rows)).collect();
    let nulls: Vec<Nulls> = names.iter().map(|name| Nulls::of(&form.nulls, name)).collect();
    for record in records {
        if record.fields > names.len() {
            let message = format!("{} fields where the header has {}", record.fields, names.len());
            return Err(Error::input(message).line(record.line).hint("quote fields that contain the delimiter"));
        }
        let mut cells = record.cells(text, delimiter).into_iter();
        for ((column, name), nulls) in columns.iter_mut().zip(&names).zip(&nulls) {
            // What a short row leaves out is null whatever the words.
            let cell = cells.next().filter(|cell| match nulls.find(cell) {
                Some(Null::Word) => {
                    quirks.add(name, Oddity::NullWord, record.line);
                    false
                }
                found => found.is_none(),
            });
            column.push(cell);
        }
    }
    let columns = names.into_iter().zip(columns.into_iter().map(typed)).collect();
    Ok(Parsed { quirks: quirks.of(rows), ..Parsed::of(Columns::new(columns, rows)?) })
}

/// The words that are null in one column.
struct Nulls<'a> {
    default: bool,
    more: Vec<&'a str>,
}

/// A cell that is null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Null {
    /// It is empty, or the task file says so.
    Meant,
    /// By pandas' list of words.
    Word,
}

impl<'a> Nulls<'a> {
    /// As in pandas: words for some columns say nothing about the others.
    fn of(words: &'a NullWords, column: &str) -> Nulls<'a> {
        let own = words.by_column.iter().filter(|(name, _)| name == column).flat_map(|(_, words)| words);
        Nulls { default: !words.only_given, more: words.everywhere.iter().chain(own).map(String::as_str).collect() }
    }

    fn find(&self, cell: &str) -> Option<Null> {
        let same_number = |word: &&str| word.parse::<f64>().ok().is_some_and(|word| cell.parse() == Ok(word));
        if self.more.contains(&cell) || self.more.iter().any(same_number) {
            return Some(Null::Meant);
        }
        match cell {
            _ if !self.default => None,
            "" => Some(Null::Meant),
            cell => NULLS.contains(&cell).then_some(Null::Word),
        }
    }
}

/// One record of the file: a byte range, the line it starts on, its number of fields.
struct Record {
    start: usize,
    end: usize,
    line: usize,
    fields: usize,
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
}

/// Finds the records. A field that starts with a quote goes on to the closing quote, over line ends; blank lines are skipped.
fn scan(text: &str, delimiter: u8) -> Result<Vec<Record>> {
    let bytes = text.as_bytes();
    let mut records = Vec::new();
    let mut line = 1;
    let mut at = 0;
    while at < bytes.len() {
        let mut record = Record { start: at, end: at, line, fields: 1 };
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
    let mut seen: HashSet<String> = HashSet::new();
    let mut copies: HashMap<String, usize> = HashMap::new();
    let unique = |(i, name): (usize, String)| {
        let base = if name.is_empty() { format!("Unnamed: {i}") } else { name };
        let mut unique = base.clone();
        let copy = copies.entry(base.clone()).or_default();
        while !seen.insert(unique.clone()) {
            *copy += 1;
            unique = format!("{base}.{copy}");
        }
        unique
    };
    names.into_iter().enumerate().map(unique).collect()
}

/// Gives a column of texts its type.
fn typed(cells: Vec<Option<String>>) -> Vec<Value> {
    let has_nulls = cells.iter().any(Option::is_none);
    let all = |test: &dyn Fn(&str) -> bool| cells.iter().flatten().all(|cell| test(cell));
    let whole = |text: &str| text.trim().parse::<i64>().ok();
    let long = |text: &str| text.trim().parse::<u64>().ok();
    if all(&|text| boolean(text).is_some()) {
        return each(&cells, boolean);
    }
    if !has_nulls && all(&|text| whole(text).is_some()) {
        return each(&cells, whole);
    }
    if !has_nulls && all(&|text| long(text).is_some()) {
        return each(&cells, long);
    }
    if all(&|text| fraction(text).is_some()) {
        return each(&cells, fraction);
    }
    cells.into_iter().map(Value::from).collect()
}

fn each<T>(cells: &[Option<String>], read: impl Fn(&str) -> Option<T>) -> Vec<Value>
where
    Value: From<Option<T>>,
{
    cells.iter().map(|cell| Value::from(cell.as_deref().and_then(&read))).collect()
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

    fn parsed(text: &str, form: &CsvForm) -> Result<Parsed> {
        read(text, form, b',', &Budget::new(1 << 20))
    }

    fn rows(text: &str) -> Vec<String> {
        let rows = parsed(text, &CsvForm::default()).unwrap().rows;
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
        let form =
            CsvForm { delimiter: Some(';'), column_names: Some(vec!["q".into(), "n".into()]), ..CsvForm::default() };
        let read = parsed("x,y;1\nz;2\n", &form).unwrap().rows;
        assert_eq!(serde_json::to_string(&read).unwrap(), r#"[{"q":"x,y","n":1},{"q":"z","n":2}]"#);
        let form = CsvForm { delimiter: Some('→'), ..CsvForm::default() };
        assert!(parsed("a\n1\n", &form).is_err());
    }

    #[test]
    fn damaged_rows_are_named() {
        for (text, line, part) in [
            ("a,b\n1,2\n1,2,3\n", 3, "3 fields where the header has 2"),
            ("a,b\n\"p\nq\",2\n1,2,3\n", 4, "3 fields"),
            ("a,b\n1,2\n\"x,2\n", 3, "never closed"),
            ("a,b\n\"x\"y,2\n", 2, "after a closing quote"),
        ] {
            let err = parsed(text, &CsvForm::default()).unwrap_err();
            assert_eq!(err.place().line, Some(line), "{err}");
            assert!(err.to_string().contains(part), "{err}");
        }
    }

    #[test]
    fn a_quote_inside_a_plain_field() {
        assert_eq!(rows("a,b\n5\" disk,1\n\"x, y\",2\n"), [r#"{"a":"5\" disk","b":1}"#, r#"{"a":"x, y","b":2}"#]);
    }

    /// `pandas.read_csv` 3.0 with the same arguments.
    #[test]
    fn null_words() {
        let text = "q,a\nx,None\ny,NA\nz,\nw,-1\n";
        let with = |only_given, everywhere: &[&str], by_column: &[(&str, &[&str])]| {
            let texts = |words: &[&str]| words.iter().map(|word| word.to_string()).collect::<Vec<_>>();
            let by_column = by_column.iter().map(|(name, words)| (name.to_string(), texts(words))).collect();
            let nulls = NullWords { only_given, everywhere: texts(everywhere), by_column };
            let parsed = parsed(text, &CsvForm { nulls, ..CsvForm::default() }).unwrap();
            let values: Vec<Value> = parsed.rows.iter().map(|row| row["a"].clone()).collect();
            (Value::from(values), parsed.quirks)
        };
        let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let (values, quirks) = with(false, &[], &[]);
        assert_eq!(values, json("[null, null, null, -1.0]"));
        assert_eq!((quirks.len(), quirks[0].count, quirks[0].of), (1, 2, 4));
        assert_eq!(quirks[0].rows, [2, 3]);
        assert_eq!(with(true, &[], &[]), (json(r#"["None", "NA", "", "-1"]"#), Vec::new()));
        assert_eq!(with(true, &["NA"], &[]).0, json(r#"["None", null, "", "-1"]"#));
        assert_eq!(with(false, &["-1.0"], &[]).0, json("[null, null, null, null]"));
        assert_eq!(with(true, &[], &[("a", &["None"])]).0, json(r#"[null, "NA", "", "-1"]"#));
        assert_eq!(with(true, &[], &[("q", &["None"])]).0, json(r#"["None", "NA", "", "-1"]"#));
    }

    #[test]
    fn many_columns_and_little_memory() {
        let header = vec!["a"; 200_000].join(",");
        let wide = read(&format!("{header}\n1\n"), &CsvForm::default(), b',', &Budget::new(1 << 30)).unwrap();
        assert_eq!((wide.rows[0].len(), &wide.rows[0]["a"]), (200_000, &Value::from(1)));
        assert!(wide.rows[0].contains_key("a.199999"));
        let err = parsed(&"a,b\n".repeat(100_000), &CsvForm::default()).unwrap_err();
        assert!(err.to_string().contains("rows would take more than the 1.0 MiB"), "{err}");
    }
}
