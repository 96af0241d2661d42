//! One data file, whatever its format, as rows; with its checksum.

use super::budget::Budget;
use super::csv::{self, CsvForm};
use super::origin::Located;
use super::quirk::{Quirk, Unread};
use super::source::{self, Hashed, Source, Text};
use super::{json, parquet};
use crate::doc::Fields;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io::{self, Seek};

/// The formats, by file name; `.gz` may follow.
const FORMATS: &[(&str, Format)] = &[
    (".parquet", Format::Parquet),
    (".jsonl", Format::Json),
    (".ndjson", Format::Json),
    (".json", Format::Json),
    (".csv", Format::Csv(b',')),
    (".tsv", Format::Csv(b'\t')),
];

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Format {
    Parquet,
    Json,
    /// With the delimiter that is usual for the file's name.
    Csv(u8),
}

impl Format {
    /// The format that a file's name tells.
    pub fn of(name: &str) -> Option<Format> {
        let name = name.strip_suffix(".gz").unwrap_or(name);
        FORMATS.iter().find(|(end, _)| name.ends_with(end)).map(|(_, format)| *format)
    }
}

/// Where rows came from: enough to check that a later run reads the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// As the data set names it: `mmlu/dev.jsonl` in a data folder, `hf://datasets/<id>@<commit>/<file>` on the hub.
    pub name: String,
    pub sha256: String,
    pub bytes: u64,
    pub rows: usize,
}

/// What a file came to, before it has a name.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    /// The rows that were wanted, in file order.
    pub rows: Vec<Fields>,
    /// The rows that there are.
    pub total: usize,
    pub unread: Vec<Unread>,
    pub quirks: Vec<Quirk>,
}

impl Parsed {
    pub fn of(columns: Columns) -> Parsed {
        let total = columns.rows;
        Parsed { rows: columns.into_rows(), total, ..Parsed::default() }
    }
}

/// The columns of one file.
#[derive(Debug, Default)]
pub(super) struct Columns {
    names: Vec<String>,
    values: Vec<Vec<Value>>,
    rows: usize,
}

impl Columns {
    /// Checks that all columns have `rows` values.
    pub fn new(columns: Vec<(String, Vec<Value>)>, rows: usize) -> Result<Self> {
        if let Some((name, values)) = columns.iter().find(|(_, values)| values.len() != rows) {
            return Err(Error::input(format!("column `{name}` has {} values for {rows} rows", values.len())));
        }
        let (names, values) = columns.into_iter().unzip();
        Ok(Columns { names, values, rows })
    }

    /// The rows, in file order.
    pub fn into_rows(self) -> Vec<Fields> {
        let mut rows = vec![Fields::new(); self.rows];
        for (name, values) in self.names.into_iter().zip(self.values) {
            for (row, value) in rows.iter_mut().zip(values) {
                row.insert(name.clone(), value);
            }
        }
        rows
    }
}

/// How a data set's files are read.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Form {
    /// Where names need not tell the format.
    pub format: Option<Format>,
    pub csv: CsvForm,
    /// `json`: the key that holds the rows.
    pub field: Option<String>,
    /// Only the first rows are wanted; the others are counted.
    pub rows: Option<usize>,
}

/// A file's rows and its record.
#[derive(Debug)]
pub(super) struct FileRows {
    pub rows: Vec<Fields>,
    pub record: FileRecord,
    pub unread: Vec<Unread>,
    pub quirks: Vec<Quirk>,
}

/// Reads a file, whose rows may take `memory` bytes. Its name in the record tells the format unless one is given. Errors name the file.
pub(super) fn read_file(file: &Located, form: &Form, memory: u64) -> Result<FileRows> {
    let Located { path, shown, .. } = file;
    let format = form.format.or_else(|| Format::of(shown)).ok_or_else(|| {
        let known: Vec<&str> = FORMATS.iter().map(|(end, _)| *end).collect();
        Error::input("the format of this file is not known")
            .file(path)
            .hint(format!("known: {}, each also with .gz", known.join(", ")))
    })?;
    let (parsed, (sha256, bytes)) = read(file, form, format, &Budget::new(memory)).map_err(|err| err.file(path))?;
    let Parsed { mut rows, total, unread, quirks } = parsed;
    rows.truncate(form.rows.unwrap_or(usize::MAX));
    let record = FileRecord { name: shown.to_string(), sha256, bytes, rows: total };
    Ok(FileRows { rows, record, unread, quirks })
}

/// SHA-256 in hex and number of a file's bytes.
type Sum = (String, u64);

fn read(file: &Located, form: &Form, format: Format, budget: &Budget) -> Result<(Parsed, Sum)> {
    let failed = |err: io::Error| Error::input("cannot read").cause(err);
    let mut source = Source::open(file)?;
    let packed = source.is_gzip().map_err(failed)?;
    if format == Format::Parquet {
        let sum = Hashed::new(&mut source).finish().map_err(failed)?;
        source.rewind().map_err(failed)?;
        let mut source = if packed { source::unpacked(&mut source, budget)? } else { source };
        return Ok((parquet::read(&mut source, form.rows, budget)?, sum));
    }
    let mut raw = Hashed::new(source);
    let mut text = Text::new(&mut raw, packed)?;
    let parsed = match format {
        Format::Csv(delimiter) => {
            let all = text.rest(budget)?;
            drop(text);
            csv::read(&all, &form.csv, delimiter, budget)?
        }
        _ => json::read(text, json::Wanted { field: form.field.as_deref(), rows: form.rows, budget })?,
    };
    Ok((parsed, raw.finish().map_err(failed)?))
}

#[cfg(test)]
mod tests {
    use super::super::budget;
    use super::*;
    use sha2::{Digest, Sha256};
    use std::io::Write;

    fn read_bytes(name: &str, bytes: &[u8]) -> Result<FileRows> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        read_file(&Located::on_disk(path, name), &Form::default(), budget::DEFAULT_MEMORY)
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn formats_by_name() {
        assert_eq!(Format::of("a/b.jsonl.gz"), Some(Format::Json));
        assert_eq!(Format::of("x.tsv"), Some(Format::Csv(b'\t')));
        assert_eq!(Format::of("x.arrow"), None);
        assert_eq!(read_bytes("x.tsv", b"a\tb\n1\tx,y\n").unwrap().rows[0]["b"], "x,y");
        assert!(read_bytes("x.arrow", b"").unwrap_err().hint_text().unwrap().contains(".parquet"));
    }

    #[test]
    fn record_and_gzip() {
        let plain = b"{\"a\":1}\n{\"a\":2}\n";
        let read = read_bytes("x.jsonl", plain).unwrap();
        let sha256 = |bytes: &[u8]| crate::hub::hex(&Sha256::digest(bytes));
        assert_eq!(read.record.sha256, sha256(plain));
        assert_eq!((read.record.rows, read.record.bytes), (2, 16));
        let packed = gzip(plain);
        assert_eq!(read_bytes("x.jsonl.gz", &packed).unwrap().rows, read.rows);
        let err = read_bytes("x.jsonl.gz", &packed[..packed.len() - 6]).unwrap_err();
        assert!(err.to_string().contains("x.jsonl.gz") && err.to_string().contains("gzip"), "{err}");
    }

    #[test]
    fn bombs_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let read = |name: &str, bytes: &[u8], rows| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            read_file(&Located::on_disk(path, name), &Form { rows, ..Form::default() }, 1 << 20)
        };
        let rows = gzip(&b"{\"a\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}\n".repeat(100_000));
        for (name, bytes) in [
            ("line.jsonl.gz", gzip(&[b"{\"a\":\"".as_slice(), &vec![b'x'; 8 << 20], b"\"}"].concat())),
            ("rows.jsonl.gz", rows.clone()),
            ("array.json.gz", gzip(&[b"[".as_slice(), &b"1,".repeat(2 << 20), b"1]"].concat())),
            ("cells.csv.gz", gzip(&b"a,b\n".repeat(2 << 20))),
            ("file.parquet", gzip(&vec![0; 8 << 20])),
        ] {
            let err = read(name, &bytes, None).unwrap_err();
            assert!(err.to_string().contains("would take more than the 1.0 MiB"), "{name}: {err}");
            assert!(err.hint_text().unwrap().contains("--max-memory-data"), "{name}");
        }
        // Of a file that is too large as a whole, the first rows can be had, with the record of all of it.
        let two = read("rows.jsonl.gz", &rows, Some(2)).unwrap();
        assert_eq!((two.rows.len(), two.record.rows, two.record.bytes), (2, 100_000, rows.len() as u64));
    }

    #[test]
    #[cfg(unix)]
    fn what_is_no_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for (name, target) in [("zero.jsonl", "/dev/zero"), ("folder.csv", "/")] {
            std::os::unix::fs::symlink(target, dir.path().join(name)).unwrap();
            let err = read_file(&Located::on_disk(dir.path().join(name), name), &Form::default(), 1 << 20).unwrap_err();
            assert!(err.to_string().contains("not a file"), "{err}");
        }
    }

    #[test]
    fn bad_text_and_empty_files() {
        let err = read_bytes("x.jsonl", b"{\"a\":1}\n{\"a\":\"\xff\"}\n").unwrap_err();
        assert_eq!(err.place().line, Some(2), "{err}");
        assert!(err.to_string().contains("UTF-8"));
        for name in ["x.jsonl", "x.csv", "x.json"] {
            assert!(read_bytes(name, b"\n").unwrap().rows.is_empty(), "{name}");
        }
        assert!(read_bytes("x.csv", b"a,b\n").unwrap().rows.is_empty());
        assert_eq!(read_bytes("x.jsonl", b"\xef\xbb\xbf{\"a\":1}").unwrap().rows[0]["a"], 1);
    }
}
