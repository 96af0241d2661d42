//! JSON files: one object a line, or one array of objects, perhaps under a key of an object (`field`).
//!
//! Every row is looked at first, whatever the limit: its kinds decide the columns' types, and a bad one can be named. Of lines only those
//! are kept that are wanted. NaN and the infinities, which Python writes, are read as nothing and counted.

use super::budget::{self, Budget};
use super::quirk::{Oddity, Quirks};
use super::shape::{Column, NOT_FINITE, NOT_FINITE_JSON, ObjectShape, Tally, weigh};
use super::source::{Text, utf8};
use super::table::Parsed;
use crate::doc::Fields;
use crate::error::{Error, Result, nearest};
use crate::python::json::replace_constants;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// What is wanted of a file.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// The key of the object at the top that holds the rows.
    pub field: Option<&'a str>,
    /// Only the first rows.
    pub rows: Option<usize>,
    pub budget: &'a Budget,
}

/// Reads the text of a JSON or JSON Lines file.
pub(super) fn read(mut text: Text<'_>, wanted: Wanted<'_>) -> Result<Parsed> {
    loop {
        let next = text.peek()?;
        let blank = next.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        match next.get(blank) {
            _ if wanted.field.is_some() => return read_whole(&text.rest(wanted.budget)?, wanted),
            Some(b'[') => return read_whole(&text.rest(wanted.budget)?, wanted),
            // Lines are counted where they are read, blank ones too.
            Some(_) => return read_lines(text, wanted),
            None if next.is_empty() => return Ok(Parsed::default()),
            None => text.skip(blank),
        }
    }
}

/// One object a line. Only `\n` ends a line: U+2028 and the like may stand in strings.
fn read_lines(mut text: Text<'_>, wanted: Wanted<'_>) -> Result<Parsed> {
    let Wanted { budget, .. } = wanted;
    let most = wanted.rows.unwrap_or(usize::MAX);
    let mut rows = Rows::new(budget);
    let mut kept: Vec<(usize, String)> = Vec::new();
    let mut line = Vec::new();
    while let Some(number) = text.line(&mut line, budget)? {
        let line = utf8(&line, number)?;
        if line.bytes().all(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')) {
            continue;
        }
        let line = as_json(line);
        let mut input = serde_json::Deserializer::from_str(&line);
        let seen = rows.shape.observe_row(&mut input, &rows.tally).and_then(|()| input.end());
        seen.map_err(|err| bad_line(&err, number, &line, rows.total == 0))?;
        let weight = rows.tally.take_values();
        rows.total += 1;
        budget.check(rows.tally.shapes(), "the keys of the rows").map_err(|err| err.line(number))?;
        if kept.len() < most {
            // The line and, later, its values.
            budget.take(line.len() as u64 + weight, "the rows").map_err(|err| err.line(number))?;
            kept.push((number, line.into_owned()));
        }
    }
    let values = kept.into_iter().map(|(number, line)| {
        let value = serde_json::from_str(&line).map_err(|err| bad_line(&err, number, &line, false))?;
        Ok((number, value))
    });
    rows.finish(values)
}

/// What is known of the rows of a file.
struct Rows<'a> {
    shape: ObjectShape,
    tally: Tally,
    total: usize,
    budget: &'a Budget,
}

impl<'a> Rows<'a> {
    fn new(budget: &'a Budget) -> Self {
        Rows { shape: ObjectShape::default(), tally: Tally::default(), total: 0, budget }
    }

    /// Makes rows of all columns from those that are wanted, each with its number in the file.
    fn finish(self, rows: impl ExactSizeIterator<Item = Result<(usize, Map<String, Value>)>>) -> Result<Parsed> {
        let columns = self.shape.columns();
        if self.total > 0 && columns.is_empty() {
            return Err(Error::input("the rows have no fields"));
        }
        let missing = (rows.len() as u64).saturating_mul(columns.len() as u64).saturating_sub(self.shape.values());
        let names: u64 = columns.iter().map(|column| column.name.len() as u64).sum();
        let each = budget::cell(names / columns.len().max(1) as u64);
        let what = format!("{} different keys in {} rows", columns.len(), rows.len());
        self.budget.take(missing.saturating_mul(each), &what).map_err(|err| {
            err.hint("every row gets every key, as in a table: is one of them an object whose keys are data?")
        })?;
        let mut quirks = Quirks::default();
        let made = rows.map(|row| {
            let (number, row) = row?;
            Ok(fitted(row, &columns, &mut |column| quirks.add(column, Oddity::NotFinite, number)))
        });
        let rows: Vec<Fields> = made.collect::<Result<_>>()?;
        Ok(Parsed { quirks: quirks.of(self.total), total: self.total, rows, unread: Vec::new() })
    }
}

/// A row with all columns in their order; `odd` is told of columns with numbers that JSON cannot hold.
fn fitted(mut row: Map<String, Value>, columns: &[Column], odd: &mut dyn FnMut(&str)) -> Fields {
    let cell = |column: &Column| {
        let value = row.get_mut(&column.name).map_or(Value::Null, Value::take);
        if has_not_finite(&value) {
            odd(&column.name);
        }
        (column.name.clone(), column.kind.fit(value))
    };
    columns.iter().map(cell).collect()
}

fn has_not_finite(value: &Value) -> bool {
    match value {
        Value::String(text) => text == NOT_FINITE,
        Value::Array(items) => items.iter().any(has_not_finite),
        Value::Object(fields) => fields.values().any(has_not_finite),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// One array of objects; with a `field`, under that key of an object.
fn read_whole(text: &str, wanted: Wanted<'_>) -> Result<Parsed> {
    let text = as_json(text);
    let bad = |err: serde_json::Error| {
        let hint = if err.is_eof() { "the file may be truncated" } else { "expected an array of objects" };
        Error::input(format!("not valid JSON: {}", reason(&err))).line(err.line()).hint(hint)
    };
    wanted.budget.take(weigh(&text).map_err(bad)?.saturating_add(text.len() as u64), "this file")?;
    let mut value: Value = serde_json::from_str(&text).map_err(bad)?;
    if let Some(field) = wanted.field {
        value = under(value, field)?;
    }
    let items = match value {
        Value::Array(items) => items,
        Value::Object(columns) => of_columns(columns)?,
        other => return Err(Error::input(format!("expected an array of objects, found {}", kind_of(&other)))),
    };
    let mut rows = Rows::new(wanted.budget);
    let mut objects = Vec::with_capacity(items.len());
    for (number, item) in items.into_iter().enumerate() {
        let item = match item {
            // As in `datasets`.
            text @ Value::String(_) => Value::Object(Map::from_iter([("text".to_owned(), text)])),
            other => other,
        };
        let seen = rows.shape.observe_row(&item, &rows.tally);
        let Value::Object(row) = item else {
            return Err(Error::input(format!("expected an object, found {}", kind_of(&item)))
                .key(format!("row {}", number + 1)));
        };
        seen.map_err(|err| Error::input(format!("not a row: {}", reason(&err))).key(format!("row {}", number + 1)))?;
        rows.total += 1;
        objects.push(Ok((number, row)));
    }
    objects.truncate(wanted.rows.unwrap_or(usize::MAX));
    rows.finish(objects.into_iter())
}

/// The value of a key of the object at the top.
fn under(value: Value, field: &str) -> Result<Value> {
    let err = |message: String| Error::input(message).key("field");
    let Value::Object(mut top) = value else {
        return Err(err(format!("`field: {field}` wants an object at the top, not {}", kind_of(&value))));
    };
    if let Some(value) = top.get_mut(field) {
        return Ok(value.take());
    }
    let names: Vec<&str> = top.keys().map(String::as_str).collect();
    let err = err(format!("there is no key `{field}` at the top"));
    Err(match nearest(field, names.iter().copied()) {
        Some(near) => err.hint(format!("did you mean `{near}`?")),
        None => err.hint(format!("there are: {}", names.iter().take(20).copied().collect::<Vec<_>>().join(", "))),
    })
}

/// Rows of an object that has a list for each column.
fn of_columns(columns: Map<String, Value>) -> Result<Vec<Value>> {
    let length = columns.values().next().and_then(Value::as_array).map_or(0, Vec::len);
    if !columns.values().all(|column| column.as_array().is_some_and(|column| column.len() == length)) {
        let err =
            Error::input("expected an array of objects, or an object with equally long arrays, one for each column");
        return Err(err.hint("`dataset_kwargs: {field: key}` says under which key the rows are"));
    }
    let mut rows = vec![Map::new(); length];
    for (name, column) in columns {
        let Value::Array(values) = column else { continue };
        for (row, value) in rows.iter_mut().zip(values) {
            row.insert(name.clone(), value);
        }
    }
    Ok(rows.into_iter().map(Value::Object).collect())
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Python's `json.dumps` writes `NaN`, `Infinity` and `-Infinity`: a text takes their place.
fn as_json(text: &str) -> Cow<'_, str> {
    replace_constants(text, |_| NOT_FINITE_JSON)
}

fn bad_line(err: &serde_json::Error, number: usize, line: &str, first: bool) -> Error {
    let error = Error::input(format!("not a row of JSON: {} (column {})", reason(err), err.column())).line(number);
    if err.is_eof() && first && line.trim_start().starts_with('{') {
        return error.hint(
            "write one object a line, or one array of objects; `dataset_kwargs: {field: key}` reads rows under a key",
        );
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

#[cfg(test)]
mod tests {
    //! Rows as `datasets` 5.2 loads them from the same text, except that texts that look like dates stay texts.
    use super::*;

    fn parsed(text: &str, field: Option<&str>, rows: Option<usize>) -> Result<Parsed> {
        let budget = Budget::new(64 << 20);
        super::read(Text::new(text.as_bytes(), false)?, Wanted { field, rows, budget: &budget })
    }

    fn read(text: &str) -> Result<Parsed> {
        parsed(text, None, None)
    }

    fn rows(text: &str) -> String {
        let rows = read(text).unwrap().rows;
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
        let read = read(&text).unwrap().rows;
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
            ("{\"a\":nan}\n", 1, "expected ident"),
            ("{\"a\":+Infinity}\n", 1, "expected value"),
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

    #[test]
    fn what_python_writes_for_numbers_that_json_lacks() {
        let text = "{\"a\":1,\"b\":[NaN,2],\"c\":\"NaN \\\" Infinity\"}\n{\"a\":-Infinity,\"b\":[],\"c\":\"\"}\n{\"a\":Infinity,\"b\":[3]}";
        assert_eq!(
            rows(text),
            "{\"a\":1.0,\"b\":[null,2.0],\"c\":\"NaN \\\" Infinity\"}\n{\"a\":null,\"b\":[],\"c\":\"\"}\n{\"a\":null,\"b\":[3.0],\"c\":null}"
        );
        let quirks = read(text).unwrap().quirks;
        let found: Vec<_> = quirks.iter().map(|q| (q.column.as_str(), q.count, q.of, q.rows.as_slice())).collect();
        assert_eq!(found, [("b", 1, 3, [1].as_slice()), ("a", 2, 3, [2, 3].as_slice())]);
        assert_eq!(rows("[{\"a\": NaN}, {\"a\": \"x\"}]"), "{\"a\":null}\n{\"a\":\"x\"}");
    }

    #[test]
    fn rows_under_a_key() {
        let of = |text: &str, field| {
            parsed(text, Some(field), None).map(|parsed| serde_json::to_string(&parsed.rows).unwrap())
        };
        let squad = "{\"version\": \"1\",\n \"data\": [{\"a\": 1}, {\"a\": 2.5, \"b\": \"x\"}]}";
        assert_eq!(of(squad, "data").unwrap(), "[{\"a\":1.0,\"b\":null},{\"a\":2.5,\"b\":\"x\"}]");
        assert_eq!(
            of("{\"d\": {\"a\": [1, 2], \"b\": [3, 4]}}", "d").unwrap(),
            "[{\"a\":1,\"b\":3},{\"a\":2,\"b\":4}]"
        );
        assert!(of(squad, "dta").unwrap_err().to_string().contains("did you mean `data`"));
        assert!(of(squad, "version").unwrap_err().to_string().contains("found a text"));
        assert!(of("[1]", "data").unwrap_err().to_string().contains("wants an object at the top, not an array"));
        assert!(of("{\"d\": [1]}", "d").unwrap_err().to_string().contains("expected an object, found a number"));
    }

    #[test]
    fn only_what_is_wanted_is_kept() {
        let text = "{\"a\":1}\n{\"a\":2,\"b\":true}\n{\"a\":2.5}\n";
        let two = parsed(text, None, Some(2)).unwrap();
        assert_eq!(serde_json::to_string(&two.rows).unwrap(), "[{\"a\":1.0,\"b\":null},{\"a\":2.0,\"b\":true}]");
        assert_eq!(two.total, 3);
    }

    #[test]
    fn memory_is_bounded() {
        let own: String = (0..20_000).map(|i| format!("{{\"key{i}\":1}}\n")).collect();
        let err = read(&own).unwrap_err().to_string();
        assert!(err.contains("20000 different keys in 20000 rows") && err.contains("64.0 MiB"), "{err}");
        let few = parsed(&own, None, Some(2)).unwrap();
        assert_eq!((few.rows.len(), few.rows[0].len(), few.total), (2, 20_000, 20_000));
        let array = format!("[{}]", own.trim().replace('\n', ","));
        assert!(read(&array).unwrap_err().to_string().contains("different keys"));
        let long = format!("{{\"a\":[{}1]}}\n", "1,".repeat(1_000_000));
        let err = read(&long).unwrap_err();
        assert!(err.to_string().contains("the rows would take more") && err.place().line == Some(1), "{err}");
        let line = format!("{{\"a\":\"{}\"}}\n", "x".repeat(70 << 20));
        assert!(read(&line).unwrap_err().to_string().contains("this line would take more"));
    }
}
