//! The zip that a log is: which entries it has, and one of them parsed, in bounded memory. Nothing is unpacked to disk.
//!
//! The directory is walked twice by the `zip` crate, which keeps none of it; entries are inflated here, because Inspect's own method (93,
//! zstd) is none of those that the crate is built with.

use super::constants::Constants;
use super::sample::Sample;
use crate::caught::caught;
use crate::error::{Error, Result};
use crate::file;
use crate::read::samples::hash_of;
use flate2::{Crc, read::DeflateDecoder};
use serde::de::DeserializeOwned;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use zip::CompressionMethod;
use zip::unstable::read::ZipIterable;

/// Entries of a log at most, and bytes of their names.
const MOST_ENTRIES: usize = 5_000_000;
const LONGEST_NAME: usize = 4096;

/// Bytes that an entry, and that all samples together, may have when they are inflated.
const LARGEST_ENTRY: u64 = 4 << 30;
const LARGEST_LOG: u64 = 1 << 40;

/// Bytes that a header may have: most of them are the ids of the documents.
const LARGEST_HEADER: u64 = 32 << 20;

/// The window that a zstd frame may ask for, as a power of two: what zstd itself takes by default.
const LARGEST_WINDOW: u32 = 27;

/// A log's entries.
pub(super) struct Archive {
    path: PathBuf,
    file: File,
    header: Option<Place>,
    start: Option<Place>,
    samples: Vec<Place>,
}

/// Where an entry is, and what its directory says of it.
struct Place {
    name: Box<str>,
    /// Of its local header.
    at: u64,
    compressed: u64,
    size: u64,
    crc: u32,
    method: Method,
}

#[derive(Clone, Copy)]
enum Method {
    Stored,
    Deflate,
    Zstd,
}

/// What an entry is to us.
enum Kind {
    Header,
    Start,
    Sample,
    Other,
}

impl Archive {
    /// Reads the directory. Of entries of one name the last counts, as in Python.
    ///
    /// # Errors
    /// It is no zip, its directory is damaged, has too many entries, or one that cannot be read.
    pub(super) fn open(path: &Path) -> Result<Archive> {
        let open = || file::open(path).map_err(|err| Error::io("cannot read", path, err));
        let reader = BufReader::new(open()?);
        let mut archive =
            Archive { path: path.to_path_buf(), file: open()?, header: None, start: None, samples: Vec::new() };
        let walked = caught(|| archive.walk(reader));
        walked.map_err(Error::input).flatten().map_err(|err| {
            err.file(path)
                .hint("a log is a zip that ends with its directory: it may be truncated, or no log of Inspect")
        })?;
        let inflated: u128 = archive.samples.iter().map(|place| u128::from(place.size)).sum();
        if inflated > u128::from(LARGEST_LOG) {
            let message = format!("the samples of this log have {inflated} bytes, more than are read ({LARGEST_LOG})");
            return Err(Error::input(message).file(path));
        }
        Ok(archive)
    }

    fn walk(&mut self, reader: BufReader<File>) -> Result<()> {
        let damaged = |err: zip::result::ZipError| Error::input("the directory of this log is damaged").cause(err);
        let mut entries = ZipIterable::try_new(reader, zip::read::Config::default()).map_err(damaged)?;
        if entries.len() > MOST_ENTRIES {
            let message = format!("this log has {} entries, more than are read ({MOST_ENTRIES})", entries.len());
            return Err(Error::input(message));
        }
        let mut known: HashMap<u128, usize> = HashMap::new();
        for entry in entries.files().map_err(damaged)? {
            let entry = entry.map_err(damaged)?;
            let raw = entry.name_raw();
            if raw.len() > LONGEST_NAME {
                return Err(Error::input(format!("an entry of this log has a name of {} bytes", raw.len())));
            }
            let name = String::from_utf8_lossy(raw);
            let kind = kind_of(&name);
            if matches!(kind, Kind::Other) {
                continue;
            }
            let place = Place {
                name: name.as_ref().into(),
                at: entry.header_start(),
                compressed: entry.compressed_size(),
                size: entry.size(),
                crc: entry.crc32(),
                method: method(entry.compression(), entry.encrypted()).map_err(|err| err.key(name.clone()))?,
            };
            let most = if matches!(kind, Kind::Sample) { LARGEST_ENTRY } else { LARGEST_HEADER };
            if place.size > most {
                let message = format!("this entry has {} bytes, more than are read ({most})", place.size);
                return Err(Error::input(message).key(name));
            }
            let next = self.samples.len();
            match kind {
                Kind::Header => self.header = Some(place),
                Kind::Start => self.start = Some(place),
                Kind::Sample => match self.samples.get_mut(*known.entry(hash_of(&name)).or_insert(next)) {
                    Some(known) => *known = place,
                    None => self.samples.push(place),
                },
                Kind::Other => {}
            }
        }
        Ok(())
    }

    /// How many samples there are.
    pub(super) fn samples(&self) -> usize {
        self.samples.len()
    }

    /// How many documents there are, by the names of the samples.
    pub(super) fn documents(&self) -> usize {
        let of = |place: &Place| sample_of(&place.name).map(hash_of);
        self.samples.iter().filter_map(of).collect::<HashSet<u128>>().len()
    }

    /// `header.json`, which stands in a log that is finished.
    pub(super) fn header<T: DeserializeOwned>(&self) -> Option<Result<T>> {
        self.header.as_ref().map(|place| self.parse(place))
    }

    /// `_journal/start.json`, which stands in every log.
    pub(super) fn start<T: DeserializeOwned>(&self) -> Option<Result<T>> {
        self.start.as_ref().map(|place| self.parse(place))
    }

    /// A sample, with its name.
    pub(super) fn sample(&self, index: usize) -> Result<(String, Sample)> {
        let missing = || Error::input("this log has no such sample").file(&self.path);
        let place = self.samples.get(index).ok_or_else(missing)?;
        Ok((place.name.to_string(), self.parse(place)?))
    }

    /// An entry parsed while it is inflated.
    fn parse<T: DeserializeOwned>(&self, place: &Place) -> Result<T> {
        let parsed = caught(|| parse(&self.file, place)).map_err(io::Error::other).flatten();
        parsed.map_err(|err| {
            let hint = "take another copy of the log, or write it again with `inspect log convert`";
            Error::input("this entry of the log is damaged").file(&self.path).key(&*place.name).cause(err).hint(hint)
        })
    }
}

fn parse<T: DeserializeOwned>(file: &File, place: &Place) -> io::Result<T> {
    let raw = raw(file, place)?;
    let inflated: Box<dyn Read + '_> = match place.method {
        Method::Stored => Box::new(raw),
        Method::Deflate => Box::new(DeflateDecoder::new(raw)),
        Method::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::new(raw)?;
            decoder.window_log_max(LARGEST_WINDOW)?;
            Box::new(decoder)
        }
    };
    let checked = Checked { inner: inflated, left: place.size, crc: Crc::new(), expected: place.crc };
    let mut json = serde_json::Deserializer::from_reader(BufReader::with_capacity(1 << 16, Constants::new(checked)));
    let value = T::deserialize(&mut json)?;
    json.end()?;
    Ok(value)
}

/// The bytes of an entry as they are stored.
fn raw<'a>(mut file: &'a File, place: &Place) -> io::Result<io::Take<BufReader<&'a File>>> {
    let damaged = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    file.seek(SeekFrom::Start(place.at))?;
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let mut local = [0; 30];
    reader.read_exact(&mut local)?;
    let [b'P', b'K', 3, 4, ..] = local else {
        return Err(damaged("there is no entry where the directory says"));
    };
    let length = u16::from_le_bytes([local[26], local[27]]);
    let extra = u16::from_le_bytes([local[28], local[29]]);
    let mut name = vec![0; usize::from(length)];
    reader.read_exact(&mut name)?;
    if String::from_utf8_lossy(&name) != *place.name {
        return Err(damaged("the entry there has another name than the directory says"));
    }
    io::copy(&mut reader.by_ref().take(u64::from(extra)), &mut io::sink())?;
    Ok(reader.take(place.compressed))
}

/// Bytes of an entry, held against the size and the checksum that its directory says.
struct Checked<R> {
    inner: R,
    left: u64,
    crc: Crc,
    expected: u32,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let damaged = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let count = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| damaged("it has more bytes than it says"))?;
        self.crc.update(buffer.get(..count).unwrap_or_default());
        if count == 0 && !buffer.is_empty() {
            if self.left > 0 {
                return Err(damaged("it has fewer bytes than it says"));
            }
            if self.crc.sum() != self.expected {
                return Err(damaged("its checksum is wrong"));
            }
        }
        Ok(count)
    }
}

fn method(method: CompressionMethod, encrypted: bool) -> Result<Method> {
    match method {
        _ if encrypted => {
            Err(Error::input("this entry is encrypted").hint("Inspect encrypts nothing: unpack it first"))
        }
        CompressionMethod::STORE => Ok(Method::Stored),
        CompressionMethod::DEFLATE => Ok(Method::Deflate),
        CompressionMethod::ZSTD => Ok(Method::Zstd),
        other => Err(Error::input(format!("this entry is compressed in a way that is not read ({other})"))
            .hint("Inspect writes zstd or deflate: `inspect log convert` writes the log again")),
    }
}

fn kind_of(name: &str) -> Kind {
    match name {
        "header.json" => Kind::Header,
        "_journal/start.json" => Kind::Start,
        name if sample_of(name).is_some() => Kind::Sample,
        _ => Kind::Other,
    }
}

/// The document that an entry is a sample of: `samples/<id>_epoch_<n>.json`, or a folder of that name with a `sample.json`, as large
/// samples are written.
fn sample_of(name: &str) -> Option<&str> {
    let inside = name.strip_prefix("samples/")?;
    let stem = inside.strip_suffix("/sample.json").or_else(|| inside.strip_suffix(".json"))?;
    let (document, epoch) = stem.rsplit_once("_epoch_")?;
    (!epoch.is_empty() && epoch.bytes().all(|byte| byte.is_ascii_digit())).then_some(document)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_known_by_their_names() {
        let names = ["samples/q/1_epoch_2.json", "samples/../x_epoch_1.json", "samples/a_epoch_1/sample.json"];
        assert_eq!(names.map(sample_of), [Some("q/1"), Some("../x"), Some("a")]);
        for other in ["samples/a.json", "samples/a_epoch_.json", "samples/a_epoch_1/events/0.json", "a_epoch_1.json"] {
            assert_eq!(sample_of(other), None, "{other}");
        }
    }
}
