//! Base files of llama.cpp's perplexity tool (`--kl-divergence-base`): a reference's distributions over windows of a text, in 16 bits.
//!
//! Source: `tools/perplexity/perplexity.cpp` of llama.cpp. `_logits_`, i32 window, i32 vocabulary, i32 windows, i32 tokens, then for the second
//! half of each window a row for each token that is predicted from more than half a window: f32 scale, f32 least, and a u16 for each token (one
//! more where their number is odd); ln p = scale * code + least. What lies more than 16 below the greatest logit is put there.
//!
//! A divergence from such a row is a kind of its own, [`KIND`]: rounding makes it differ from that of exact rows, also below 0.

use super::Measured;
use super::measure::{Row, likeliest_shared};
use crate::error::{Error, Result};
use crate::file::{self, Partial};
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};

/// What these divergences are called.
pub const KIND: &str = "kl_llama_cpp";

const MAGIC: &[u8; 8] = b"_logits_";
const HEADER: u64 = 20;

/// Logits further below the greatest are not told apart, and probabilities below e^-16 are not summed.
const DEEPEST: f32 = 16.0;

const STEPS: f32 = 65535.0;

/// Windows of llama.cpp have at least so many tokens here, and vocabularies and files at most so many.
const SHORTEST_WINDOW: usize = 4;
const LONGEST_WINDOW: usize = 1 << 20;
const LARGEST_VOCABULARY: usize = 1 << 24;
const MOST_TOKENS: usize = 1 << 28;

/// Windows and what they hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Windows {
    /// Tokens of a window.
    pub window: usize,
    pub vocabulary: usize,
    /// Of all windows, one after the other.
    pub tokens: Vec<u32>,
}

impl Windows {
    /// Cuts tokens in whole windows; what is left at the end is left out.
    ///
    /// # Errors
    /// The window is too short or too long, or the text has not a whole one.
    pub fn of(mut tokens: Vec<u32>, window: usize, vocabulary: usize) -> Result<Windows> {
        if !(SHORTEST_WINDOW..=LONGEST_WINDOW).contains(&window) {
            return Err(Error::input(format!(
                "windows of {window} tokens: from {SHORTEST_WINDOW} to {LONGEST_WINDOW} are possible"
            )));
        }
        let whole = tokens.len() / window * window;
        if whole == 0 {
            let found = tokens.len();
            return Err(Error::input(format!("the text has {found} tokens, less than a window of {window}"))
                .hint("choose a longer text or a smaller --window"));
        }
        if whole > MOST_TOKENS {
            return Err(Error::input(format!("the text has more than {MOST_TOKENS} tokens")));
        }
        tokens.truncate(whole);
        Ok(Windows { window, vocabulary, tokens })
    }

    /// How many tokens of a window are predicted: those after more than half of it.
    pub fn scored(&self) -> usize {
        self.window - 1 - self.first()
    }

    /// The first position of a window whose next token is predicted.
    pub fn first(&self) -> usize {
        self.window / 2
    }

    /// Numbers of 16 bits in a row: scale, least and codes, an even number of them.
    fn width(&self) -> usize {
        2 * self.vocabulary.div_ceil(2) + 4
    }

    /// Bytes of the whole file.
    fn bytes(&self) -> Option<u64> {
        let (tokens, row) = (self.tokens.len() as u64, 2 * self.width() as u64);
        let rows = (self.tokens.len() / self.window) as u64 * self.scored() as u64;
        rows.checked_mul(row)?.checked_add(4 * tokens)?.checked_add(HEADER)
    }
}

/// Writes such a file.
pub struct Writer {
    file: Partial,
    path: PathBuf,
    width: usize,
    vocabulary: usize,
    to_come: usize,
}

impl Writer {
    /// Begins a file.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn new(path: &Path, windows: &Windows) -> Result<Writer> {
        let mut file = Partial::new(path).map_err(|err| cannot_write(path, err))?;
        let chunks = windows.tokens.len() / windows.window;
        let mut bytes = MAGIC.to_vec();
        let numbers = [windows.window, windows.vocabulary, chunks].map(|number| number as u32);
        numbers.iter().chain(&windows.tokens).for_each(|number| bytes.extend(number.to_le_bytes()));
        file.write_all(&bytes).map_err(|err| cannot_write(path, err))?;
        let to_come = chunks * windows.scored();
        Ok(Writer { file, path: path.to_path_buf(), width: windows.width(), vocabulary: windows.vocabulary, to_come })
    }

    /// Adds the row of the next token that is predicted. `[vocabulary]`
    ///
    /// # Errors
    /// A logit is not finite, which the format cannot hold; a row of another width, or one too many; the disk is full.
    pub fn row(&mut self, logits: &[f32]) -> Result<()> {
        if logits.len() != self.vocabulary || self.to_come == 0 {
            return Err(Error::input("a row that does not belong to this file").file(&self.path));
        }
        if !logits.iter().all(|logit| logit.is_finite()) {
            return Err(Error::input("the model gave logits that are not finite, which this format cannot hold"));
        }
        self.to_come -= 1;
        let mut bytes = coded(logits);
        bytes.resize(2 * self.width, 0);
        self.file.write_all(&bytes).map_err(|err| cannot_write(&self.path, err))
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// Rows are missing; the file cannot be written.
    pub fn finish(self) -> Result<()> {
        if self.to_come > 0 {
            return Err(Error::input(format!("{} rows are missing", self.to_come)).file(&self.path));
        }
        self.file.finish().map_err(|err| cannot_write(&self.path, err))
    }
}

fn cannot_write(path: &Path, err: std::io::Error) -> Error {
    let remedy = file::remedy(&err);
    Error::io("cannot write", path, err).hint(remedy)
}

/// A row's bytes, by the arithmetic of `log_softmax` there.
fn coded(logits: &[f32]) -> Vec<u8> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let least = logits.iter().copied().fold(f32::INFINITY, f32::min).max(largest - DEEPEST);
    let sum: f64 = logits.iter().map(|logit| f64::from((logit - largest).exp())).sum();
    let scale = (largest - least) / STEPS;
    let mut bytes = Vec::with_capacity(2 * logits.len() + 10);
    bytes.extend(scale.to_le_bytes());
    bytes.extend((least - largest - sum.ln() as f32).to_le_bytes());
    let code = |logit: &f32| match scale > 0.0 && *logit > least {
        true => ((logit - least) * (1.0 / scale)).round_ties_even().clamp(0.0, STEPS) as u16,
        false => 0,
    };
    logits.iter().for_each(|logit| bytes.extend(code(logit).to_le_bytes()));
    bytes
}

/// Reads such a file row by row.
pub struct Reader {
    file: BufReader<File>,
    path: PathBuf,
    pub windows: Windows,
    bytes: Vec<u8>,
    to_come: usize,
}

/// A row of such a file.
#[derive(Debug, Clone, PartialEq)]
pub struct BaseRow {
    /// ln p of each token. `[vocabulary]`
    pub log_probs: Vec<f32>,
}

impl Reader {
    /// Opens a file.
    ///
    /// # Errors
    /// It is no such file, or not whole; its sizes are not possible.
    pub fn open(path: &Path) -> Result<Reader> {
        let fail = |err| Error::io("cannot read", path, err);
        let file = file::open(path).map_err(fail)?;
        let length = file.metadata().map_err(fail)?.len();
        let mut file = BufReader::with_capacity(1 << 16, file);
        let no_file = || Error::input("this is no base file of llama.cpp's perplexity tool").file(path);
        let mut header = [0; HEADER as usize];
        file.read_exact(&mut header).map_err(|err| no_file().cause(err))?;
        if !header.starts_with(MAGIC) {
            return Err(no_file());
        }
        let number = |at: usize| {
            let bytes = header.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
            usize::try_from(bytes.map_or(0, i32::from_le_bytes)).unwrap_or(0)
        };
        let (window, vocabulary, chunks) = (number(8), number(12), number(16));
        let possible = (SHORTEST_WINDOW..=LONGEST_WINDOW).contains(&window)
            && (1..=LARGEST_VOCABULARY).contains(&vocabulary)
            && chunks > 0;
        let tokens = window.checked_mul(chunks).filter(|tokens| possible && *tokens <= MOST_TOKENS);
        let Some(tokens) = tokens.filter(|tokens| *tokens as u64 * 4 <= length) else {
            return Err(Error::input(format!("{chunks} windows of {window} tokens over {vocabulary}: not possible"))
                .file(path)
                .hint("the file is damaged or cut"));
        };
        let mut bytes = vec![0; 4 * tokens];
        file.read_exact(&mut bytes).map_err(fail)?;
        let tokens: Vec<u32> = bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        let windows = Windows { window, vocabulary, tokens };
        if windows.bytes() != Some(length) {
            return Err(Error::input("this base file is not whole").file(path).hint("was llama-perplexity stopped?"));
        }
        if let Some(token) = windows.tokens.iter().find(|token| **token as usize >= vocabulary) {
            return Err(Error::input(format!("token {token} is outside of the vocabulary of {vocabulary}")).file(path));
        }
        let (to_come, bytes) = (chunks * windows.scored(), vec![0; 2 * windows.width()]);
        Ok(Reader { file, path: path.to_path_buf(), windows, bytes, to_come })
    }

    /// The next row.
    ///
    /// # Errors
    /// There is none; it is damaged; the file cannot be read.
    pub fn row(&mut self) -> Result<BaseRow> {
        let left = self.to_come.checked_sub(1);
        self.to_come = left.ok_or_else(|| Error::input("this base file has no more rows").file(&self.path))?;
        self.file.read_exact(&mut self.bytes).map_err(|err| Error::io("cannot read", &self.path, err))?;
        let number = |at: usize| {
            let bytes = self.bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
            bytes.map_or(f32::NAN, f32::from_le_bytes)
        };
        let (scale, least) = (number(0), number(4));
        // Probabilities are at most 1, and a step is at most what 16 nats make.
        if !(0.0..=DEEPEST / STEPS * 1.001).contains(&scale) || !(-1e4..=1e-3).contains(&least) {
            return Err(
                Error::input("a row of this base file is damaged: scale or least are not possible").file(&self.path)
            );
        }
        let codes = self.bytes.get(8..).unwrap_or_default().chunks_exact(2).take(self.windows.vocabulary);
        let log_probs = codes.map(|code| scale * f32::from(u16::from_le_bytes([code[0], code[1]])) + least);
        Ok(BaseRow { log_probs: log_probs.collect() })
    }
}

impl BaseRow {
    /// Against a row of logits, by llama.cpp's rule: the sum over tokens of p (ln p - ln q) where ln p is above -16. `next`: the token that
    /// follows.
    pub fn compared(&self, candidate: &[f32], next: u32) -> Measured {
        let q = Row::new(candidate);
        let logprob = |token: u32| self.log_probs.get(token as usize).map_or(f64::NAN, |found| f64::from(*found));
        let comparable = q.is_finite && candidate.len() == self.log_probs.len();
        let terms =
            self.log_probs.iter().zip(candidate).filter(|(log_p, _)| **log_p > -DEEPEST).map(|(log_p, logit)| {
                let log_p = f64::from(*log_p);
                log_p.exp() * (log_p - q.log_prob(*logit))
            });
        let (top5, same_top) = if comparable { likeliest_shared(&self.log_probs, candidate) } else { (0, false) };
        let largest = self.log_probs.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        Measured {
            kl: if comparable { terms.sum() } else { f64::NAN },
            reference_logprob: logprob(next),
            candidate_logprob: q.of(next),
            reference_top: f64::from(largest).exp(),
            same_top,
            top5,
        }
    }
}
