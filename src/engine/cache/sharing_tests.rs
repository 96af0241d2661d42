//! Several connections and processes on one file; kills.

use super::store::{Access, Entry, Model, Store};
use super::tests::{Bench, answers, outcomes, requests};
use super::writer::Writer;
use super::*;
use crate::engine::mock::MockEngine;
use std::path::Path;
use std::process::{Child, Command};

/// Names the file for a test that runs as another process.
const CHILD_FILE: &str = "FAIRMARK_TEST_CACHE_FILE";
/// Which answers that process asks for.
const CHILD_RANGE: &str = "FAIRMARK_TEST_CACHE_RANGE";

#[test]
fn connections_write_at_once() {
    let bench = Bench::new();
    let file = bench.file();
    std::thread::scope(|scope| {
        for part in 0..4u8 {
            let file = &file;
            scope.spawn(move || {
                let store = Store::open(file, Access::Write).map_err(|_| "open").unwrap();
                let model = Model {
                    identity: [part % 2; 32],
                    engine: "e".into(),
                    name: format!("m{}", part % 2),
                    label: "l".into(),
                };
                let writer = Writer::start(store, model);
                for i in 0..3000u32 {
                    let mut key = [0; 32];
                    key[..4].copy_from_slice(&i.to_be_bytes());
                    let answer = format!("{part} {i}");
                    writer.put(Entry { key, at: 1, prompt_tokens: 1, completion_tokens: 1, refused: false, answer });
                    if i % 1000 == 0 {
                        writer.flush();
                    }
                }
                assert_eq!(writer.trouble(), None);
            });
        }
    });
    let figures: Vec<_> = stats(&file).unwrap().models.iter().map(|m| (m.name.clone(), m.answers)).collect();
    assert_eq!(figures, [("m0".to_string(), 3000), ("m1".to_string(), 3000)]);
}

/// Runs [`child`] in a process of its own.
fn spawn_child(file: &Path, range: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "engine::cache::sharing_tests::child", "--nocapture"])
        .env(CHILD_FILE, file)
        .env(CHILD_RANGE, range)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap()
}

/// Does nothing unless another test calls it: asks the mock through the cache.
#[test]
fn child() {
    let (Ok(file), Ok(range)) = (std::env::var(CHILD_FILE), std::env::var(CHILD_RANGE)) else { return };
    let (from, to) = range.split_once('-').unwrap();
    let mode = CacheMode::On;
    let options = CacheOptions { mode, file: Some(file.into()), retry_refused: false };
    let engine = CachedEngine::wrap(Box::new(MockEngine::new("mock").unwrap()), &options).unwrap();
    answers(engine.as_ref(), &requests(from.parse().unwrap()..to.parse().unwrap()));
    assert!(engine.notices().is_empty(), "{:?}", engine.notices());
}

#[test]
fn processes_share_a_file() {
    let bench = Bench::new();
    let children: Vec<Child> =
        ["0-3000", "2000-5000", "1000-4000"].iter().map(|range| spawn_child(&bench.file(), range)).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let (given, asked) = bench.run(CacheMode::On, &requests(0..5000));
    assert_eq!(asked, 0);
    let plain = answers(&MockEngine::new("mock").unwrap(), &requests(0..5000));
    assert_eq!(outcomes(&given), outcomes(&plain));
}

#[test]
fn a_killed_process_leaves_whole_answers() {
    let bench = Bench::new();
    let many = 20_000;
    let kept = || stats(&bench.file()).map_or(0, |stats| stats.models.iter().map(|m| m.answers).sum::<u64>());
    for round in 1..=4 {
        let before = kept();
        let mut child = spawn_child(&bench.file(), &format!("0-{many}"));
        // In the middle: some batches are in the file, and more are on their way.
        while kept() < before + 600 * round && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(kept() >= before);
        let store = Store::open(&bench.file(), Access::Change).map_err(|_| "open").unwrap();
        let check: String = store.connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(check, "ok");
    }
    let kept = kept() as usize;
    let (given, asked) = bench.run(CacheMode::On, &requests(0..many));
    assert_eq!(asked, many - kept, "what is in the file is not asked again");
    let plain = answers(&MockEngine::new("mock").unwrap(), &requests(0..many));
    assert_eq!(outcomes(&given), outcomes(&plain));
}

#[test]
fn without_a_flush_the_last_batch_is_lost_at_most() {
    let bench = Bench::new();
    let store = Store::open(&bench.file(), Access::Write).map_err(|_| "open").unwrap();
    let model = Model { identity: [1; 32], engine: "e".into(), name: "m".into(), label: "l".into() };
    let writer = Writer::start(store, model);
    let entry = |i: u8| {
        let answer = "x".to_string();
        Entry { key: [i; 32], at: 1, prompt_tokens: 0, completion_tokens: 0, refused: false, answer }
    };
    (0..10).for_each(|i| writer.put(entry(i)));
    writer.flush();
    let reader = Store::open(&bench.file(), Access::Read).map_err(|_| "open").unwrap();
    assert!(reader.find(&[1; 32], &[[3; 32]]).unwrap()[0].is_some(), "flushed");
    (10..20).for_each(|i| writer.put(entry(i)));
    // Dropping is flushing; a batch is whole or not there.
    drop(writer);
    let keys: Vec<Hash> = (0..20).map(|i| [i; 32]).collect();
    assert!(reader.find(&[1; 32], &keys).unwrap().iter().all(Option::is_some));
}
