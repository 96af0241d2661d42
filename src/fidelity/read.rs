//! Positions from disk. Everything read is untrusted: sizes are bounded, columns checked.

use super::table::Table;
use super::write::names;
use super::{FORMAT_VERSION, Header, Position};
use crate::caught::caught;
use crate::error::{Error, Result};
use crate::file;
use std::path::{Path, PathBuf};

/// Bytes of a header at most.
const LARGEST_HEADER: u64 = 1 << 16;

/// Positions of a source at most: 5 GB of them in memory.
const MOST_POSITIONS: u64 = 100_000_000;

/// Bytes of a table for each position, at most, and of all else in it.
const BYTES_PER_POSITION: u64 = 64;
const OTHER_BYTES: u64 = 16 << 20;

/// Entries of a folder that are looked at.
const MOST_ENTRIES: usize = 200_000;

/// What distributions a run folder has, by source.
///
/// # Errors
/// The folder or a header cannot be read; a header is damaged or of another version.
pub fn headers(folder: &Path) -> Result<Vec<Header>> {
    Ok(found(folder)?.into_iter().map(|(_, header)| header).collect())
}

/// The positions that a header of this folder is about.
///
/// # Errors
/// There are none; the table is damaged, too large, or not what the header says.
pub fn positions(folder: &Path, header: &Header) -> Result<Vec<Position>> {
    let about = found(folder)?.into_iter().find(|(_, other)| other == header).map(|(path, _)| path);
    let Some(about) = about else {
        return Err(Error::input(format!("there are no distributions of {} here", header.source))
            .file(folder)
            .hint("`fairmark run --distributions` records them"));
    };
    let path = about.with_extension("parquet");
    table(&path, header).map_err(|err| err.file(&path).hint("record them again: `fairmark run --distributions`"))
}

/// Headers with their files, in the order of their names.
fn found(folder: &Path) -> Result<Vec<(PathBuf, Header)>> {
    let fail = |err| Error::io("cannot read this folder", folder, err);
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fail)?.take(MOST_ENTRIES) {
        let path = entry.map_err(fail)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with("distributions_") && name.ends_with(".json") {
            paths.push(path);
        }
    }
    paths.sort();
    paths.into_iter().map(|path| header(&path).map(|header| (path, header))).collect()
}

fn header(path: &Path) -> Result<Header> {
    let bytes = file::read(path, LARGEST_HEADER).map_err(|err| Error::io("cannot read", path, err))?;
    let damaged =
        |err: serde_json::Error| Error::input("this header of distributions is damaged").file(path).cause(err);
    let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(damaged)?;
    match value.get("format_version").and_then(serde_json::Value::as_u64) {
        Some(version) if version == u64::from(FORMAT_VERSION) => {}
        Some(version) => {
            let message = format!("distributions of format {version}, and this fairmark reads {FORMAT_VERSION}");
            return Err(Error::input(message).file(path).hint("record them again with this fairmark"));
        }
        None => return Err(Error::input("this is no header of distributions: no `format_version`").file(path)),
    }
    let header: Header = serde_json::from_value(value).map_err(damaged)?;
    // A header under another name would be another source's.
    let stem = names(&header.source, "").map(|name| name.trim_end_matches(".json").to_string());
    let named = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if !stem.first().is_some_and(|stem| named.starts_with(stem.as_str())) {
        return Err(Error::input("this header of distributions names another source").file(path).key("source"));
    }
    if header.floor.is_some_and(|floor| !floor.is_finite()) || header.positions > MOST_POSITIONS {
        return Err(Error::input("this header of distributions is damaged").file(path));
    }
    Ok(header)
}

fn table(path: &Path, header: &Header) -> Result<Vec<Position>> {
    let most = header.positions.saturating_mul(BYTES_PER_POSITION).saturating_add(OTHER_BYTES);
    let bytes = file::read(path, most).map_err(|err| Error::io("cannot read", path, err))?;
    let read = caught(|| Table { bytes: &bytes, positions: header.positions, most }.read());
    let rows = read.and_then(|read| read).map_err(|reason| {
        let reason: String = reason.chars().take(200).collect();
        Error::input(format!("the table of positions is damaged: {reason}"))
    })?;
    match rows.iter().all(|row| u64::from(row.sequence) < header.sequences) {
        true => Ok(rows),
        false => Err(Error::input("the table of positions is not what its header says")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fidelity::{Kind, write};

    fn sample() -> (Header, Vec<Position>) {
        let at = |i: u32| Position {
            sequence: i / 3,
            kl: if i == 4 { f64::NAN } else { f64::from(i) * 1e-7 },
            reference_logprob: -f64::from(i),
            candidate_logprob: if i == 5 { f64::NEG_INFINITY } else { -f64::from(i) - 0.1 },
            reference_top: 0.25,
            same_top: i.is_multiple_of(2),
            top5: (i % 6) as u8,
        };
        let header = Header {
            format_version: FORMAT_VERSION,
            kind: Kind::Sampled,
            reference: "m".into(),
            reference_spec: "ab".into(),
            source: "corpus:a/b.txt".into(),
            vocabulary: 50,
            tokens_sha256: "cd".into(),
            positions: 12,
            sequences: 4,
            window: Some(512),
            floor: Some(1.5e-8),
            replaced: Some((3, 4)),
        };
        (header, (0..12).map(at).collect())
    }

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let (header, rows) = sample();
        write(dir.path(), "2026-11-24T02:05:33.1", &header, &rows).unwrap();
        let other = Header { source: "arc".into(), kind: Kind::Full, positions: 0, sequences: 0, ..header.clone() };
        write(dir.path(), "2026-11-24T02:05:33.1", &other, &[]).unwrap();
        assert_eq!(headers(dir.path()).unwrap(), [other.clone(), header.clone()]);
        // NaN is not equal to itself.
        assert_eq!(format!("{:?}", positions(dir.path(), &header).unwrap()), format!("{rows:?}"));
        assert_eq!(positions(dir.path(), &other).unwrap(), []);
        let absent = Header { tokens_sha256: "ef".into(), ..header };
        assert!(positions(dir.path(), &absent).unwrap_err().to_string().contains("no distributions of corpus:a/b.txt"));
        let text = std::fs::read_to_string(dir.path().join("distributions_arc_2026-11-24T02-05-33.1.json")).unwrap();
        assert!(text.contains("\"kind\": \"kl\""), "{text}");
    }

    #[test]
    fn damaged_files_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let (header, rows) = sample();
        let start = "2026-11-24T02:05:33.1";
        write(dir.path(), start, &header, &rows).unwrap();
        let [about, table] = names(&header.source, start).map(|name| dir.path().join(name));
        let whole = std::fs::read(&table).unwrap();
        for cut in (0..whole.len()).step_by(11) {
            std::fs::write(&table, &whole[..cut]).unwrap();
            let err = positions(dir.path(), &header).unwrap_err().to_string();
            assert!(err.contains(".parquet") && err.contains("hint:"), "{cut}: {err}");
        }
        // One byte changed: an error, or as many rows as before; never a panic.
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 0x55;
            std::fs::write(&table, &changed).unwrap();
            if let Ok(rows) = positions(dir.path(), &header) {
                assert_eq!(rows.len(), 12);
            }
        }
        // Another number of positions than the table has, and other clusters.
        std::fs::write(&table, &whole).unwrap();
        for other in [Header { positions: 13, ..header.clone() }, Header { sequences: 3, ..header.clone() }] {
            std::fs::write(&about, serde_json::to_string(&other).unwrap()).unwrap();
            assert!(positions(dir.path(), &other).unwrap_err().to_string().contains("header says"));
        }
        let text = serde_json::to_string(&header).unwrap();
        for (from, to, says) in [
            ("\"format_version\":1", "\"format_version\":2", "format 2"),
            ("\"format_version\":1", "\"version\":1", "no `format_version`"),
            ("corpus:a/b.txt", "other", "another source"),
            ("\"positions\":12", "\"positions\":100000000000", "damaged"),
            ("\"kl_sampled\"", "\"kl_top\"", "damaged"),
            ("{", "{{", "damaged"),
        ] {
            std::fs::write(&about, text.replacen(from, to, 1)).unwrap();
            assert!(headers(dir.path()).unwrap_err().to_string().contains(says), "{to}");
        }
        std::fs::write(&about, " ".repeat(1 << 17)).unwrap();
        assert!(headers(dir.path()).unwrap_err().to_string().contains("larger than"));
    }
}
