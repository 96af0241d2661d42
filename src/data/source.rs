//! The bytes of a data file: opened as a plain file, unpacked where they are packed, and their checksum made while they are read.

use super::budget::Budget;
use super::origin::Located;
use crate::error::{Error, Result};
use crate::file;
use flate2::bufread::MultiGzDecoder;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek, SeekFrom};

/// What a gzip file begins with.
const GZIP: &[u8] = &[0x1f, 0x8b];

const CHUNK: usize = 1 << 16;

/// A file on disk or in the binary.
#[derive(Debug)]
pub(super) enum Source {
    File(File),
    Bytes(Cursor<&'static [u8]>),
    /// Unpacked into memory.
    Unpacked(Cursor<Vec<u8>>),
}

impl Source {
    pub fn open(located: &Located) -> Result<Source> {
        match located.embedded {
            Some(bytes) => Ok(Source::Bytes(Cursor::new(bytes))),
            None => {
                file::open(&located.path).map(Source::File).map_err(|err| Error::io("cannot read", &located.path, err))
            }
        }
    }

    fn inner(&mut self) -> &mut dyn ReadSeek {
        match self {
            Source::File(file) => file,
            Source::Bytes(bytes) => bytes,
            Source::Unpacked(bytes) => bytes,
        }
    }

    pub fn len(&mut self) -> io::Result<u64> {
        let length = self.seek(SeekFrom::End(0))?;
        self.rewind()?;
        Ok(length)
    }

    /// So many bytes from a place. Errors: there are fewer.
    pub fn part(&mut self, from: u64, length: usize) -> io::Result<Vec<u8>> {
        let all = self.len()?;
        if from.checked_add(length as u64).is_none_or(|end| end > all) {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a part of the file lies behind its end"));
        }
        self.seek(SeekFrom::Start(from))?;
        let mut bytes = vec![0; length];
        self.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    pub fn is_gzip(&mut self) -> io::Result<bool> {
        let mut start = Vec::new();
        self.by_ref().take(GZIP.len() as u64).read_to_end(&mut start)?;
        self.rewind()?;
        Ok(start == GZIP)
    }
}

trait ReadSeek: Read + Seek {}
impl<T: Read + Seek> ReadSeek for T {}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner().read(buffer)
    }
}

impl Seek for Source {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner().seek(to)
    }
}

/// Reads on and remembers what came by.
pub(super) struct Hashed<R> {
    inner: R,
    hasher: Sha256,
    bytes: u64,
}

impl<R: Read> Hashed<R> {
    pub fn new(inner: R) -> Self {
        Hashed { inner, hasher: Sha256::new(), bytes: 0 }
    }

    /// Reads what is left; SHA-256 in hex and number of all bytes.
    pub fn finish(mut self) -> io::Result<(String, u64)> {
        let mut buffer = vec![0; CHUNK];
        while self.read(&mut buffer)? > 0 {}
        Ok((crate::hub::hex(&self.hasher.finalize()), self.bytes))
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}

/// Text that is read piece by piece, unpacked where it is packed.
pub(super) struct Text<'a> {
    input: Box<dyn BufRead + 'a>,
    packed: bool,
    lines: usize,
}

impl<'a> Text<'a> {
    /// A byte order mark at the beginning is left out.
    pub fn new(raw: impl Read + 'a, packed: bool) -> Result<Self> {
        let raw = BufReader::with_capacity(CHUNK, raw);
        let input: Box<dyn BufRead + 'a> = match packed {
            true => Box::new(BufReader::with_capacity(CHUNK, MultiGzDecoder::new(raw))),
            false => Box::new(raw),
        };
        let mut text = Text { input, packed, lines: 0 };
        if text.peek()?.starts_with(b"\xef\xbb\xbf") {
            text.input.consume(3);
        }
        Ok(text)
    }

    /// What comes next, at least one byte unless the text is at its end.
    pub fn peek(&mut self) -> Result<&[u8]> {
        // Two calls, because a borrow that is given back blocks the error's.
        if let Err(err) = self.input.fill_buf() {
            return Err(self.failed(err));
        }
        self.input.fill_buf().map_err(|err| Error::input("cannot read").cause(err))
    }

    pub fn skip(&mut self, bytes: usize) {
        self.input.consume(bytes);
    }

    /// The next line with its end, its number from 1 in the file; `None` at the end.
    ///
    /// Errors: a line that is longer than the memory that is left.
    pub fn line(&mut self, into: &mut Vec<u8>, budget: &Budget) -> Result<Option<usize>> {
        into.clear();
        let most = budget.left();
        let read = self.input.by_ref().take(most.saturating_add(1)).read_until(b'\n', into);
        if let Err(err) = read {
            return Err(self.failed(err));
        }
        if into.is_empty() {
            return Ok(None);
        }
        self.lines += 1;
        budget.check(into.len() as u64, "this line").map_err(|err| err.line(self.lines))?;
        Ok(Some(self.lines))
    }

    /// All that is left.
    pub fn rest(&mut self, budget: &Budget) -> Result<String> {
        let mut bytes = Vec::new();
        let read = self.input.by_ref().take(budget.left().saturating_add(1)).read_to_end(&mut bytes);
        if let Err(err) = read {
            self.lines = count_lines(&bytes);
            return Err(self.failed(err));
        }
        budget.check(bytes.len() as u64, "this file")?;
        String::from_utf8(bytes).map_err(|err| {
            let before = err.as_bytes().get(..err.utf8_error().valid_up_to()).unwrap_or_default();
            not_utf8(count_lines(before) + 1, err.utf8_error())
        })
    }

    fn failed(&self, err: io::Error) -> Error {
        if !self.packed || err.kind() == io::ErrorKind::OutOfMemory {
            return Error::input("cannot read").cause(err);
        }
        let whole = self.lines;
        let err = Error::input("the gzip data is truncated or damaged").line(whole + 1).cause(err);
        err.hint(format!("{whole} whole lines could be unpacked; fetch the file again"))
    }
}

/// Unpacks a whole file into memory. Errors: it is larger than the budget.
pub(super) fn unpacked(source: &mut Source, budget: &Budget) -> Result<Source> {
    let mut bytes = Vec::new();
    let unpacked =
        MultiGzDecoder::new(BufReader::new(source)).take(budget.left().saturating_add(1)).read_to_end(&mut bytes);
    unpacked.map_err(|err| Error::input("the gzip data is truncated or damaged").cause(err))?;
    budget.check(bytes.len() as u64, "this file")?;
    Ok(Source::Unpacked(Cursor::new(bytes)))
}

/// A line as text.
pub(super) fn utf8(line: &[u8], number: usize) -> Result<&str> {
    std::str::from_utf8(line).map_err(|err| not_utf8(number, err))
}

fn not_utf8(line: usize, err: std::str::Utf8Error) -> Error {
    Error::input("not UTF-8 text").line(line).cause(err).hint("convert the file to UTF-8")
}

fn count_lines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}
