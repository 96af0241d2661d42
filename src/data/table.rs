//! One data file, whatever its format, as rows; with its checksum.

use super::csv::{self, CsvForm};
use super::origin::Located;
use super::{json, parquet};
use crate::doc::Fields;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::io::Read;

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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// A file's rows and its record.
#[derive(Debug)]
pub(super) struct FileRows {
    pub rows: Vec<Fields>,
    pub record: FileRecord,
}

/// Reads a file. Its name in the record tells the format unless one is given. Errors name the file.
pub(super) fn read_file(file: &Located, format: Option<Format>, form: &CsvForm) -> Result<FileRows> {
    let Located { path, shown, .. } = file;
    let bytes = match file.embedded {
        Some(bytes) => Cow::Borrowed(bytes),
        None => Cow::Owned(std::fs::read(path).map_err(|err| Error::io("cannot read", path, err))?),
    };
    let format = format.or_else(|| Format::of(shown)).ok_or_else(|| {
        let known: Vec<&str> = FORMATS.iter().map(|(end, _)| *end).collect();
        Error::input("the format of this file is not known")
            .file(path)
            .hint(format!("known: {}, each also with .gz", known.join(", ")))
    })?;
    let rows = parse(&bytes, format, form).map_err(|err| err.file(path))?.into_rows();
    let record =
        FileRecord { name: shown.to_string(), sha256: sha256(&bytes), bytes: bytes.len() as u64, rows: rows.len() };
    Ok(FileRows { rows, record })
}

fn parse(bytes: &[u8], format: Format, form: &CsvForm) -> Result<Columns> {
    let bytes = unpacked(bytes)?;
    match format {
        Format::Parquet => parquet::read(&bytes),
        Format::Json => json::read(utf8(&bytes)?),
        Format::Csv(delimiter) => csv::read(utf8(&bytes)?, form, delimiter),
    }
}

/// Undoes gzip, told by its mark and not by the name.
fn unpacked(bytes: &[u8]) -> Result<Cow<'_, [u8]>> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(Cow::Borrowed(bytes));
    }
    let mut out = Vec::with_capacity(bytes.len().saturating_mul(4));
    match flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut out) {
        Ok(_) => Ok(Cow::Owned(out)),
        Err(err) => {
            let whole = out.iter().filter(|byte| **byte == b'\n').count();
            let err = Error::input("the gzip data is truncated or damaged").line(whole + 1).cause(err);
            Err(err.hint(format!("{whole} whole lines could be unpacked; fetch the file again")))
        }
    }
}

/// The text without a byte order mark; bad bytes are named by line.
fn utf8(bytes: &[u8]) -> Result<&str> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|err| {
        let before = bytes.get(..err.valid_up_to()).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        Error::input("not UTF-8 text").line(line).cause(err).hint("convert the file to UTF-8")
    })
}

/// SHA-256 in hex.
fn sha256(bytes: &[u8]) -> String {
    crate::hub::hex(&Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn read_bytes(name: &str, bytes: &[u8]) -> Result<FileRows> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        read_file(&Located::on_disk(path, name), None, &CsvForm::default())
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
        // sha256sum of the 16 bytes
        assert_eq!(read.record.sha256, sha256(plain));
        assert_eq!((read.record.rows, read.record.bytes), (2, 16));
        let packed = gzip(plain);
        assert_eq!(read_bytes("x.jsonl.gz", &packed).unwrap().rows, read.rows);
        let err = read_bytes("x.jsonl.gz", &packed[..packed.len() - 6]).unwrap_err();
        assert!(err.to_string().contains("x.jsonl.gz") && err.to_string().contains("gzip"), "{err}");
    }

    #[test]
    fn checksum_of_known_text() {
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
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
