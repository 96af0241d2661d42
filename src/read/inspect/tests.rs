//! Logs that Inspect wrote, against what Inspect reads in them; and logs that nobody should write.

use super::{open, samples};
use crate::error::Result;
use crate::record::{Line, Program, Samples};
use crate::run::Status;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/runs/inspect").join(name)
}

fn lines(path: &Path) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    samples(path, &mut |line| {
        lines.push(line);
        Ok(())
    })?;
    Ok(lines)
}

/// `golden.json` is what `read_eval_log` and `value_to_float` of inspect_ai 0.3.285 make of the same files (`make_inspect.py` beside it).
#[test]
fn logs_say_what_inspect_reads_in_them() {
    let golden: Value = serde_json::from_slice(&std::fs::read(fixture("golden.json")).unwrap()).unwrap();
    let golden = golden.as_object().unwrap();
    assert!(golden.len() >= 10);
    for (name, expected) in golden {
        let run = open(&fixture(name)).unwrap();
        let task = &run.tasks[0];
        assert_eq!(json!(task.name), expected["task"], "{name}");
        assert_eq!(json!(run.model.name), expected["model"], "{name}");
        assert_eq!((run.writer.program, run.model.label.as_str()), (Program::Inspect, "model"));
        let figures = expected["figures"].as_object().unwrap();
        for (filter, figure) in figures {
            for (metric, value) in figure["metrics"].as_object().unwrap() {
                let Some(found) = task.estimates.iter().find(|e| e.filter == *filter && e.metric == *metric) else {
                    assert!(metric == "stderr", "{name}: {filter} {metric}");
                    continue;
                };
                assert_eq!((json!(found.value), json!(found.n)), (value.clone(), figure["scored"].clone()), "{name}");
                assert_eq!(found.higher_is_better, (metric == "accuracy").then_some(true));
                if metric == "accuracy" {
                    assert_eq!(json!(found.stderr), figure["metrics"]["stderr"], "{name}");
                }
            }
        }
        let mut documents: BTreeMap<String, BTreeMap<String, f64>> = BTreeMap::new();
        for line in lines(&fixture(name)).unwrap() {
            let id = line.doc_id.as_str().map_or_else(|| line.doc_id.to_string(), str::to_owned);
            let document = documents.entry(id).or_default();
            assert_eq!(line.unscored.is_some(), line.values.is_empty());
            if let Some(score) = line.score("accuracy").or_else(|| line.score("mean")) {
                document.insert(line.filter.unwrap(), score);
            }
        }
        if !figures.is_empty() {
            assert_eq!(json!(documents), expected["documents"], "{name}");
        }
        let whole = expected["status"] == "success" && !["errors.eval", "kinds.eval"].contains(&name.as_str());
        assert_eq!(run.status == Status::Complete, whole, "{name}");
    }
}

/// By read_eval_log: 12 documents, sum-3 and sum-8 without scores; epochs of 12 documents; the log of a run that goes on.
#[test]
fn what_has_no_score_is_counted() {
    let errors = open(&fixture("errors.eval")).unwrap();
    assert_eq!(errors.tasks[0].unscored, [("the sample ended in an error, or was not run".to_owned(), 2)]);
    assert_eq!((errors.tasks[0].effective, errors.tasks[0].estimates[0].unscored), (Some(12), 2));
    let kinds = open(&fixture("kinds.eval")).unwrap();
    assert_eq!(kinds.tasks[0].unscored, [("its scorer gave no score".to_owned(), 1)]);
    let epochs = open(&fixture("epochs.eval")).unwrap();
    assert_eq!((epochs.tasks[0].effective, lines(&fixture("epochs.eval")).unwrap().len()), (Some(12), 12));
    assert!(epochs.tasks[0].remarks[0].text.contains("asked 2 times"));
    let unfinished = open(&fixture("unfinished.eval")).unwrap();
    assert_eq!((unfinished.status, unfinished.tasks[0].effective), (Status::Incomplete, Some(4)));
    assert!(unfinished.is_unfinished() && unfinished.tasks[0].estimates.is_empty());
    assert!(open(&fixture("broken.eval")).unwrap().is_unfinished());
}

#[test]
fn one_log_in_three_zips_is_one_log() {
    let key = |line: &Line| (line.document, line.filter.clone(), line.score("accuracy").map(f64::to_bits), line.answer);
    let sorted = |name: &str| {
        let mut keys: Vec<_> = lines(&fixture(name)).unwrap().iter().map(key).collect();
        keys.sort();
        keys
    };
    assert_eq!(sorted("sums.eval").len(), 24, "twelve documents under two scorers");
    assert_eq!(sorted("sums.eval"), sorted("deflated.eval"));
    assert_eq!(sorted("sums.eval"), sorted("stored.eval"));
    assert_eq!(open(&fixture("sums.eval")).unwrap().tasks[0].version, Some(json!(2)));
}

/// An entry as the directory and its own header tell of it.
struct Entry {
    name: String,
    method: u16,
    flags: u16,
    stored: Vec<u8>,
    size: u32,
    crc: u32,
}

fn entry(name: &str, text: impl AsRef<[u8]>) -> Entry {
    let text = text.as_ref();
    let mut crc = flate2::Crc::new();
    crc.update(text);
    Entry { name: name.into(), method: 0, flags: 0, stored: text.to_vec(), size: text.len() as u32, crc: crc.sum() }
}

fn deflated(name: &str, text: impl AsRef<[u8]>) -> Entry {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_ref()).unwrap();
    Entry { method: 8, stored: encoder.finish().unwrap(), ..entry(name, text) }
}

/// The bytes of a zip. `wide`: sizes and offsets stand in fields of 64 bits.
fn zip(entries: &[Entry], wide: bool) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    let le16 = |to: &mut Vec<u8>, values: &[u16]| values.iter().for_each(|value| to.extend(value.to_le_bytes()));
    let le32 = |to: &mut Vec<u8>, values: &[u32]| values.iter().for_each(|value| to.extend(value.to_le_bytes()));
    for entry in entries {
        let (at, length) = (bytes.len() as u32, entry.stored.len() as u32);
        let name = entry.name.len() as u16;
        bytes.extend(b"PK\x03\x04");
        le16(&mut bytes, &[45, entry.flags, entry.method, 0, 33]);
        le32(&mut bytes, &[entry.crc, length, entry.size]);
        le16(&mut bytes, &[name, 0]);
        bytes.extend(entry.name.as_bytes());
        bytes.extend(&entry.stored);
        let mut extra = Vec::new();
        if wide {
            le16(&mut extra, &[1, 24]);
            [entry.size, length, at].iter().for_each(|value| extra.extend(u64::from(*value).to_le_bytes()));
        }
        let shown = |value: u32| if wide { u32::MAX } else { value };
        directory.extend(b"PK\x01\x02");
        le16(&mut directory, &[45, 45, entry.flags, entry.method, 0, 33]);
        le32(&mut directory, &[entry.crc, shown(length), shown(entry.size)]);
        le16(&mut directory, &[name, extra.len() as u16, 0, 0, 0]);
        le32(&mut directory, &[0, shown(at)]);
        directory.extend(entry.name.as_bytes());
        directory.extend(extra);
    }
    let (at, length, count) = (bytes.len() as u32, directory.len() as u32, entries.len() as u16);
    bytes.extend(directory);
    if wide {
        let end = bytes.len() as u64;
        bytes.extend(b"PK\x06\x06");
        bytes.extend(44u64.to_le_bytes());
        le16(&mut bytes, &[45, 45]);
        le32(&mut bytes, &[0, 0]);
        [u64::from(count), u64::from(count), u64::from(length), u64::from(at)]
            .iter()
            .for_each(|value| bytes.extend(value.to_le_bytes()));
        bytes.extend(b"PK\x06\x07");
        le32(&mut bytes, &[0]);
        bytes.extend(end.to_le_bytes());
        le32(&mut bytes, &[1]);
    }
    bytes.extend(b"PK\x05\x06");
    le16(&mut bytes, &[0, 0, if wide { u16::MAX } else { count }, if wide { u16::MAX } else { count }]);
    le32(&mut bytes, &if wide { [u32::MAX; 2] } else { [length, at] });
    le16(&mut bytes, &[0]);
    bytes
}

fn header() -> Entry {
    let scores = json!([{"name": "m", "scorer": "m", "scored_samples": 1, "unscored_samples": 0,
        "metrics": {"accuracy": {"name": "accuracy", "value": 1.0}}}]);
    let eval = json!({"task": "t", "model": "x/y", "created": "2026-01-01T00:00:00Z", "config": {}, "dataset": {}});
    let header = json!({"version": 2, "status": "success", "eval": eval,
        "results": {"total_samples": 1, "completed_samples": 1, "scores": scores}});
    entry("header.json", header.to_string())
}

fn sample(name: &str, id: &str) -> Entry {
    let text = format!(
        "{{\"id\": {id:?}, \"epoch\": 1, \"input\": \"q\", \"target\": \"a\", \"scores\": {{\"m\": {{\"value\": \"C\"}}}}}}"
    );
    entry(name, text)
}

/// What both readers say of a zip: all of it, or the first error.
fn read(bytes: &[u8]) -> Result<usize> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.eval");
    std::fs::write(&file, bytes).unwrap();
    let run = open(&file)?;
    assert!(matches!(run.tasks[0].samples, Samples::Inspect(_) | Samples::Missing));
    Ok(lines(&file)?.len())
}

#[track_caller]
fn refused(bytes: &[u8], said: &str) {
    let err = read(bytes).unwrap_err();
    let whole = format!("{err:?} {}", err.one_line());
    assert!(whole.contains(said), "{whole}");
    assert!(err.place().file.is_some(), "{whole}");
}

const ONE: &str = "samples/1_epoch_1.json";

#[test]
fn zips_of_all_kinds_are_read() {
    let of = |wide| read(&zip(&[header(), sample(ONE, "1")], wide)).unwrap();
    assert_eq!((of(false), of(true)), (1, 1));
    // Names lead nowhere: nothing is unpacked.
    let odd = [
        "samples/../../../etc/passwd_epoch_1.json",
        "samples//x/\u{1b}[2J_epoch_1.json",
        "samples/big_epoch_1/sample.json",
    ];
    let mut entries: Vec<Entry> = odd.iter().enumerate().map(|(at, name)| sample(name, &at.to_string())).collect();
    entries.insert(0, header());
    assert_eq!(read(&zip(&entries, false)).unwrap(), 3);
    // Of one name the last counts, as in Python.
    assert_eq!(read(&zip(&[header(), entry(ONE, "no json"), sample(ONE, "1")], false)).unwrap(), 1);
    let many: Vec<Entry> =
        (0..3000).map(|at| sample(&format!("samples/{at}_epoch_1.json"), &at.to_string())).chain([header()]).collect();
    assert_eq!(read(&zip(&many, false)).unwrap(), 3000);
}

#[test]
fn hostile_logs_are_refused_by_name() {
    let with = |entry: Entry| zip(&[header(), entry], false);
    refused(b"", "directory of this log");
    refused(b"PK\x03\x04 and no more", "directory of this log");
    refused(&zip(&[entry("x.json", "{}")], false), "this is no log of Inspect");
    refused(&zip(&[entry("header.json", "[]"), sample(ONE, "1")], false), "header.json");
    let other = String::from_utf8(header().stored).unwrap().replace("\"version\":2", "\"version\":3");
    refused(&zip(&[entry("header.json", other)], false), "version 3");
    // An entry that is more, or less, or another than its directory says.
    refused(&with(Entry { size: 9, ..sample(ONE, "1") }), "more bytes than it says");
    refused(&with(Entry { size: 9999, ..sample(ONE, "1") }), "fewer bytes than it says");
    refused(&with(Entry { crc: 1, ..sample(ONE, "1") }), "checksum");
    refused(&with(Entry { size: 64, ..deflated(ONE, vec![b' '; 10 << 20]) }), "more bytes than it says");
    refused(&with(Entry { flags: 1, ..sample(ONE, "1") }), "encrypted");
    refused(&with(Entry { method: 14, ..sample(ONE, "1") }), "a way that is not read");
    refused(&with(Entry { method: 8, ..sample(ONE, "1") }), ONE);
    refused(&with(Entry { method: 93, ..sample(ONE, "1") }), ONE);
    refused(&zip(&[Entry { size: 1 << 30, ..header() }], false), "more than are read");
    // A frame of zstd that asks for a window of 2 GB.
    let text = sample(ONE, "1").stored;
    let block = ((text.len() as u32) << 3 | 1).to_le_bytes();
    let frame = [&[0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3][..], &block[..3], &text].concat();
    refused(&with(Entry { method: 93, stored: frame, ..sample(ONE, "1") }), "too much memory");
    // Samples that are none.
    let deep = "[".repeat(1_000_000);
    refused(&with(entry(ONE, format!("{{\"id\": 1, \"epoch\": 1, \"input\": {deep}"))), ONE);
    refused(&with(entry(ONE, format!("{{\"id\": 1, \"epoch\": 1, \"events\": {deep}"))), ONE);
    refused(&with(entry(ONE, format!("{{\"id\": {deep}"))), ONE);
    refused(&with(entry(ONE, "{} {}")), ONE);
    refused(&zip(&[header(), sample(ONE, "1"), sample("samples/x_epoch_1.json", "1")], false), "stands twice");
    let second = r#"{"id": 1, "epoch": 2, "input": "", "target": ""}"#;
    refused(&with(entry(ONE, second)), "has an epoch 2");
}

/// Whatever is cut off or changed: an error or a reading, never a panic.
#[test]
fn damaged_logs_do_no_harm() {
    let whole = zip(&[header(), deflated("samples/1_epoch_1.json", sample(ONE, "1").stored)], true);
    for length in (0..whole.len()).step_by(5) {
        assert!(read(&whole[..length]).is_err(), "{length}");
    }
    for at in (0..whole.len()).step_by(3) {
        for mask in [0x01, 0xff] {
            let mut changed = whole.clone();
            changed[at] ^= mask;
            if let Err(err) = read(&changed) {
                assert!(!err.message().is_empty());
            }
        }
    }
}
