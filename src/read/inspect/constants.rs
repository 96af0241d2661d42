//! JSON as Python writes it, made standard while it streams: `NaN`, `Infinity` and `-Infinity` outside of texts become null.

use std::io::{self, Read};

/// Bytes that are read at once.
const CHUNK: usize = 64 << 10;

/// Bytes of a word at most: longer ones are no constants.
const LONGEST_WORD: usize = 16;

/// Bytes of a text at most: what a reader behind this keeps of one stays bounded.
const LONGEST_TEXT: u64 = 64 << 20;

/// Where in the JSON the stream stands.
enum State {
    Outside,
    /// In a text of so many bytes so far; after a backslash.
    Text(u64, bool),
}

/// A reader over another one.
pub(super) struct Constants<R> {
    inner: R,
    chunk: Vec<u8>,
    ready: Vec<u8>,
    given: usize,
    word: Vec<u8>,
    state: State,
    ended: bool,
    longest: u64,
}

impl<R: Read> Constants<R> {
    pub(super) fn new(inner: R) -> Self {
        Constants {
            inner,
            chunk: vec![0; CHUNK],
            ready: Vec::with_capacity(CHUNK + LONGEST_WORD),
            given: 0,
            word: Vec::with_capacity(LONGEST_WORD),
            state: State::Outside,
            ended: false,
            longest: LONGEST_TEXT,
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        self.ready.clear();
        self.given = 0;
        while self.ready.is_empty() && !self.ended {
            let mut chunk = std::mem::take(&mut self.chunk);
            let read = self.inner.read(&mut chunk)?;
            self.ended = read == 0;
            let mut rest = chunk.get(..read).unwrap_or_default();
            while let Some(byte) = rest.first() {
                let plain = self.plain(rest)?;
                let (same, after) = rest.split_at(plain);
                self.ready.extend_from_slice(same);
                rest = after;
                if plain == 0 {
                    self.byte(*byte)?;
                    rest = after.get(1..).unwrap_or_default();
                }
            }
            self.chunk = chunk;
            if self.ended {
                self.end_word();
            }
        }
        Ok(())
    }

    /// How many bytes within a text come before anything that ends it.
    fn plain(&mut self, rest: &[u8]) -> io::Result<usize> {
        let State::Text(length, false) = &mut self.state else { return Ok(0) };
        let plain = rest.iter().position(|byte| matches!(byte, b'"' | b'\\')).unwrap_or(rest.len());
        *length += plain as u64;
        match *length > self.longest {
            true => Err(io::Error::other(format!("a text of more than {} bytes", self.longest))),
            false => Ok(plain),
        }
    }

    fn byte(&mut self, byte: u8) -> io::Result<()> {
        match &mut self.state {
            State::Text(length, escaped) => {
                *length += 1;
                match (byte, *escaped) {
                    (b'"', false) => self.state = State::Outside,
                    (b'\\', false) => *escaped = true,
                    _ => *escaped = false,
                }
                self.ready.push(byte);
            }
            State::Outside if byte.is_ascii_alphabetic() || byte == b'-' => {
                self.word.push(byte);
                if self.word.len() > LONGEST_WORD {
                    self.ready.append(&mut self.word);
                }
            }
            State::Outside => {
                self.end_word();
                if byte == b'"' {
                    self.state = State::Text(0, false);
                }
                self.ready.push(byte);
            }
        }
        Ok(())
    }

    fn end_word(&mut self) {
        match self.word.as_slice() {
            b"NaN" | b"Infinity" | b"-Infinity" => {
                self.ready.extend_from_slice(b"null");
                self.word.clear();
            }
            _ => self.ready.append(&mut self.word),
        }
    }
}

impl<R: Read> Read for Constants<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given == self.ready.len() {
            self.fill()?;
        }
        let left = self.ready.get(self.given..).unwrap_or_default();
        let count = left.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(left) {
            *to = *from;
        }
        self.given += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte at a time.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.0.len().min(1).min(buffer.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    #[test]
    fn constants_become_null_outside_of_texts() {
        let text = r#"{"a": NaN, "NaN": [-Infinity,Infinity], "b": "\"NaN", "c\\": NaN, "d": -1e-5, "e": true}"#;
        let standard = r#"{"a": null, "NaN": [null,null], "b": "\"NaN", "c\\": null, "d": -1e-5, "e": true}"#;
        let mut whole = String::new();
        Constants::new(text.as_bytes()).read_to_string(&mut whole).unwrap();
        assert_eq!(whole, standard);
        let mut slow = String::new();
        Constants::new(Slow(text.as_bytes())).read_to_string(&mut slow).unwrap();
        assert_eq!(slow, standard);
    }

    #[test]
    fn texts_are_bounded() {
        let bounded = |text: &str| {
            let mut constants = Constants { longest: 100, ..Constants::new(Slow(text.as_bytes())) };
            io::copy(&mut constants, &mut io::sink())
        };
        assert!(bounded(&format!("[\"{}\", \"{}\"]", "x".repeat(99), "y".repeat(99))).is_ok());
        let err = bounded(&format!("\"{}", "x".repeat(102))).unwrap_err();
        assert!(err.to_string().contains("a text of more than"), "{err}");
        assert_eq!(io::copy(&mut Constants::new("NaNNaNNaNNaNNaNNaNNaN".as_bytes()), &mut io::sink()).unwrap(), 21);
    }
}
