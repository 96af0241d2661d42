//! Files of lines, one after the other, each of bounded length; and samples files of the reference's form.

use super::samples::Written;
use crate::error::{Error, Result};
use crate::file;
use crate::python::json::standard;
use crate::record::Line;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// Bytes of a line at most: a document, its prompts and its answers.
const LONGEST: u64 = 64 << 20;

/// Calls `visit` with the number (from 1) and the bytes of every line that is not empty.
///
/// # Errors
/// A file that cannot be read, a line that is too long; those of `visit`, with file and line.
pub(super) fn each(path: &Path, visit: &mut dyn FnMut(usize, &[u8]) -> Result<()>) -> Result<()> {
    let cannot = |err| Error::io("cannot read", path, err);
    let mut reader = BufReader::with_capacity(1 << 20, file::open(path).map_err(cannot)?);
    let (mut line, mut number) = (Vec::new(), 0);
    loop {
        line.clear();
        if reader.by_ref().take(LONGEST + 1).read_until(b'\n', &mut line).map_err(cannot)? == 0 {
            return Ok(());
        }
        number += 1;
        if line.len() as u64 > LONGEST {
            return Err(Error::input(format!("this line has more than {LONGEST} bytes")).at(path, number));
        }
        if !line.iter().all(u8::is_ascii_whitespace) {
            visit(number, &line).map_err(|err| err.at(path, number))?;
        }
    }
}

/// Reads a samples file.
///
/// # Errors
/// Those of [`each`]; a line that is no sample.
pub(super) fn read(path: &Path, visit: &mut dyn FnMut(Line) -> Result<()>) -> Result<()> {
    each(path, &mut |_, bytes| visit(sample::<Written>(bytes)?.into_line()))
}

/// Reads a samples file with all that stands in its lines.
///
/// # Errors
/// Those of [`each`]; a line that is no object.
pub(super) fn read_written(path: &Path, visit: &mut dyn FnMut(Map<String, Value>) -> Result<()>) -> Result<()> {
    each(path, &mut |_, bytes| visit(sample(bytes)?))
}

/// A line of a samples file. Python writes `NaN` and the infinities where JSON has nothing.
fn sample<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let first = serde_json::from_slice(bytes);
    let read = match (&first, std::str::from_utf8(bytes)) {
        (Err(_), Ok(text)) => serde_json::from_str(&standard(text)),
        _ => first,
    };
    read.map_err(|err| {
        let hint = "the file may be truncated: write it again (`fairmark run` does), or take another copy";
        Error::input("this line is no sample").cause(err).hint(hint)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read_text(text: &str) -> Result<Vec<Line>> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("samples_t.jsonl");
        std::fs::write(&file, text).unwrap();
        let mut lines = Vec::new();
        read(&file, &mut |line| {
            lines.push(line);
            Ok(())
        })?;
        Ok(lines)
    }

    #[test]
    fn lines_that_are_no_samples_are_named() {
        let deep = "[".repeat(1_000_000);
        for bad in ["[1]", "{\"doc_id\": 1", &format!("{{\"doc\": {deep}"), "{\"doc_hash\": 3}", "\u{0}"] {
            let err = read_text(&format!("{{\"doc_id\": 0}}\n\n{bad}\n")).unwrap_err();
            assert_eq!(err.place().line, Some(3), "{err}");
        }
        assert!(read_text("").unwrap().is_empty());
    }

    /// Python writes NaN and the infinities into JSON, and surrogates alone.
    #[test]
    fn what_python_writes_is_read() {
        let text = "{\"doc_id\": 0, \"doc\": {\"a\": NaN, \"b\": \"\\ud83d\"}, \"acc\": NaN, \"b\": -Infinity, \"c\": \"NaN\"}";
        let lines = read_text(text).unwrap();
        assert_eq!((lines[0].score("acc"), lines[0].score("b")), (None, None));
        assert_eq!(lines[0].values["c"], json!("NaN"));
    }
}
