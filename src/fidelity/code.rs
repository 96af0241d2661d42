//! Whole rows on disk, 16 bits a token: what `kl_sampled` keeps of the reference.
//!
//! `fairrows`, u32 version, u32 vocabulary, then the rows: a u16 for each token, how far its logit lies below the row's greatest, in
//! steps of [`DEEPEST`] / 65535. All little-endian. What lies deeper than [`DEEPEST`] is put there: less than 1e-17 of the probability each.

use crate::error::{Error, Result};
use crate::file::{self, Partial};
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"fairrows";
const VERSION: u32 = 1;
const HEADER: u64 = 16;

/// Nats below the greatest logit that can be told apart. A step is then 0.0006 nats, and what rounding does to a divergence about half its
/// square's twelfth: 1.5e-8.
const DEEPEST: f64 = 40.0;

/// Values of a code.
const STEPS: f64 = 65535.0;

/// Tokens of a vocabulary at most.
const LARGEST_VOCABULARY: usize = 1 << 24;

/// Writes rows, one after the other.
pub struct CodedWriter {
    file: Partial,
    path: PathBuf,
    vocabulary: usize,
}

impl CodedWriter {
    /// Begins a file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn new(path: &Path, vocabulary: usize) -> Result<CodedWriter> {
        let mut file = Partial::new(path).map_err(|err| cannot_write(path, err))?;
        let header =
            [MAGIC.as_slice(), &VERSION.to_le_bytes(), &u32::try_from(vocabulary).unwrap_or(u32::MAX).to_le_bytes()];
        header.iter().try_for_each(|part| file.write_all(part)).map_err(|err| cannot_write(path, err))?;
        Ok(CodedWriter { file, path: path.to_path_buf(), vocabulary })
    }

    /// Adds a row of logits. One that is not finite is kept as such.
    ///
    /// # Errors
    /// The row has another width; the disk is full.
    pub fn row(&mut self, logits: &[f32]) -> Result<()> {
        if logits.len() != self.vocabulary {
            return Err(Error::input("a row that does not belong to this file").file(&self.path));
        }
        self.file.write_all(&coded(logits)).map_err(|err| cannot_write(&self.path, err))
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn finish(self) -> Result<()> {
        self.file.finish().map_err(|err| cannot_write(&self.path, err))
    }
}

fn cannot_write(path: &Path, err: std::io::Error) -> Error {
    let remedy = file::remedy(&err);
    Error::io("cannot write", path, err).hint(remedy)
}

/// A row's codes. A row that is not finite has no token at the top: no code of it is 0.
fn coded(logits: &[f32]) -> Vec<u8> {
    let finite = logits.iter().all(|logit| logit.is_finite());
    let largest = logits.iter().fold(f64::NEG_INFINITY, |largest, logit| largest.max(f64::from(*logit)));
    let code = |logit: &f32| match finite {
        true => ((largest - f64::from(*logit)) / DEEPEST * STEPS).round().clamp(0.0, STEPS) as u16,
        false => u16::MAX,
    };
    logits.iter().flat_map(|logit| code(logit).to_le_bytes()).collect()
}

/// Reads rows, one after the other.
pub struct CodedReader {
    file: BufReader<File>,
    path: PathBuf,
    vocabulary: usize,
    to_come: u64,
    bytes: Vec<u8>,
}

impl CodedReader {
    /// Opens a file of rows of this width.
    ///
    /// # Errors
    /// It is no such file, of another vocabulary, or not whole.
    pub fn open(path: &Path, vocabulary: usize) -> Result<CodedReader> {
        let fail = |err| Error::io("cannot read", path, err);
        let file = file::open(path).map_err(fail)?;
        let length = file.metadata().map_err(fail)?.len();
        let mut file = BufReader::with_capacity(1 << 16, file);
        let mut header = [0; HEADER as usize];
        let odd = |what: String| Error::input(what).file(path).hint("give the command again, with --fresh");
        file.read_exact(&mut header).map_err(|err| odd("these are no stored rows".into()).cause(err))?;
        let (magic, rest) = header.split_at(MAGIC.len());
        let word = |at: usize| rest.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes);
        if magic != MAGIC || word(0) != VERSION {
            return Err(odd("these are no stored rows".into()));
        }
        let found = word(4) as usize;
        if found != vocabulary || found == 0 || found > LARGEST_VOCABULARY {
            return Err(odd(format!("rows of {found} tokens are stored, and {vocabulary} are wanted")));
        }
        let (bytes, width) = (length.saturating_sub(HEADER), 2 * found as u64);
        if !bytes.is_multiple_of(width) {
            return Err(odd("the file of stored rows is not whole".into()));
        }
        let rows = bytes / width;
        Ok(CodedReader { file, path: path.to_path_buf(), vocabulary, to_come: rows, bytes: vec![0; 2 * found] })
    }

    /// Rows that were not read yet.
    pub fn to_come(&self) -> u64 {
        self.to_come
    }

    /// The next row, as logits whose greatest is 0; NaN throughout where it was not finite. `[vocabulary]`
    ///
    /// # Errors
    /// There is none; the file cannot be read.
    pub fn row(&mut self) -> Result<Vec<f32>> {
        let Some(left) = self.to_come.checked_sub(1) else {
            return Err(Error::input("there are fewer stored rows than positions").file(&self.path));
        };
        self.to_come = left;
        self.file.read_exact(&mut self.bytes).map_err(|err| Error::io("cannot read", &self.path, err))?;
        let logit = |code: &[u8]| -(f64::from(u16::from_le_bytes([code[0], code[1]])) / STEPS * DEEPEST) as f32;
        let mut row = Vec::with_capacity(self.vocabulary);
        row.extend(self.bytes.chunks_exact(2).map(logit));
        if !row.contains(&0.0) {
            row.fill(f32::NAN);
        }
        Ok(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fidelity::full;

    fn rows() -> Vec<Vec<f32>> {
        let row = |seed: u32| {
            let logit = move |i: u32| ((i * 37 + seed * 11) % 101) as f32 / 7.0 - 5.0;
            (0..50).map(logit).collect::<Vec<f32>>()
        };
        (0..5).map(row).collect()
    }

    #[test]
    fn rows_come_back_within_a_step() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rows");
        let mut writer = CodedWriter::new(&path, 50).unwrap();
        rows().iter().for_each(|row| writer.row(row).unwrap());
        assert!(writer.row(&[0.0; 49]).is_err());
        let mut odd = vec![1.0; 50];
        odd[3] = f32::NAN;
        writer.row(&odd).unwrap();
        writer.finish().unwrap();
        let mut reader = CodedReader::open(&path, 50).unwrap();
        for row in rows() {
            let found = full(&reader.row().unwrap(), &row, 3);
            assert!(found.kl >= 0.0 && found.kl < 1e-7, "{found:?}");
            assert!((found.reference_logprob - found.candidate_logprob).abs() < 1e-3);
        }
        assert!(reader.row().unwrap().iter().all(|logit| logit.is_nan()));
        assert!(reader.row().is_err());
        assert_eq!(reader.to_come(), 0);
    }

    #[test]
    fn what_lies_deep_is_put_at_the_bottom() {
        let bytes = coded(&[0.0, -1e4, -39.9999]);
        assert_eq!(bytes, [0, 0, 255, 255, 255, 255]);
    }

    #[test]
    fn other_files_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rows");
        let mut writer = CodedWriter::new(&path, 50).unwrap();
        rows().iter().for_each(|row| writer.row(row).unwrap());
        writer.finish().unwrap();
        let whole = std::fs::read(&path).unwrap();
        assert!(CodedReader::open(&path, 51).err().unwrap().to_string().contains("rows of 50 tokens"));
        for cut in [0, 7, 15, 17, whole.len() - 1] {
            std::fs::write(&path, &whole[..cut]).unwrap();
            assert!(CodedReader::open(&path, 50).is_err(), "{cut}");
        }
        assert!(CodedReader::open(&path, 50).err().unwrap().to_string().contains("not whole"));
        drop(CodedWriter::new(&path, 50).unwrap());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing partial is left");
    }
}
