//! The cache before a scripted engine: hits, modes, what is kept; files that are not ours; pruning.

use super::store::{Access, OpenError, Store};
use super::*;
use crate::engine::mock::MockEngine;
use crate::error::Error;
use crate::request::{RequestKind, Unscored};
use std::cell::RefCell;
use std::rc::Rc;

/// Answers as the mock does, but refuses texts with `refuse`, fails those with `fail`, and notes what it is asked.
struct Scripted {
    mock: MockEngine,
    identity: Identity,
    asked: Rc<RefCell<Vec<usize>>>,
    twice: bool,
}

impl Scripted {
    fn new(model: &str) -> Scripted {
        let mock = MockEngine::new(model).unwrap();
        Scripted { identity: mock.identity().clone(), mock, asked: Rc::default(), twice: false }
    }
}

impl Engine for Scripted {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn render(&self, prompt: &Prompt) -> Result<String> {
        self.mock.render(prompt)
    }

    fn inspect(&self, request: &Request) -> Result<Inspection> {
        self.mock.inspect(request)
    }

    fn answer(&self, requests: &[Request], cancel: &Cancel, sink: &mut Sink<'_>) -> Result<()> {
        let mut answers = Vec::new();
        self.mock.answer(requests, cancel, &mut |update| {
            answers.push(update);
            Ok(())
        })?;
        self.asked.borrow_mut().push(requests.len());
        // The last comes first.
        for (update, request) in answers.into_iter().zip(requests).rev() {
            let Update::Answered(index, mut outcome, _) = update else { continue };
            let RequestKind::Loglikelihood { continuation, .. } = &request.kind else { continue };
            if continuation.contains("refuse") {
                outcome = Err(Unscored::refused("a filter"));
            } else if continuation.contains("fail") {
                outcome = Err(Unscored::new("timeout"));
            }
            let delivery = Delivery { latency_ms: Some(7), retries: 1, cached: false };
            sink(Update::Answered(index, outcome, delivery))?;
            if self.twice {
                sink(Update::Answered(index, Err(Unscored::refused("said twice")), delivery))?;
                sink(Update::Answered(requests.len() + 5, Err(Unscored::refused("never asked")), delivery))?;
            }
        }
        Ok(())
    }

    fn notices(&self) -> Vec<String> {
        vec!["its own".into()]
    }
}

fn request(text: &str) -> Request {
    let context = Prompt::Text("context".into());
    Request { kind: RequestKind::Loglikelihood { context, continuation: text.into() }, sample: 0, seed: 0 }
}

pub(super) fn requests(range: std::ops::Range<usize>) -> Vec<Request> {
    range.map(|i| request(&format!("answer {i}"))).collect()
}

pub(super) struct Bench {
    dir: tempfile::TempDir,
    asked: Rc<RefCell<Vec<usize>>>,
}

impl Bench {
    pub(super) fn new() -> Bench {
        Bench { dir: tempfile::tempdir().unwrap(), asked: Rc::default() }
    }

    pub(super) fn file(&self) -> PathBuf {
        self.dir.path().join("sub/r.sqlite")
    }

    fn options(&self, mode: CacheMode) -> CacheOptions {
        CacheOptions { mode, file: Some(self.file()), retry_refused: false }
    }

    fn engine(&self, model: &str, options: &CacheOptions, twice: bool) -> Result<Box<dyn Engine>> {
        let inner = Scripted { asked: self.asked.clone(), twice, ..Scripted::new(model) };
        CachedEngine::wrap(Box::new(inner), options)
    }

    /// What is answered, in the order of the requests, and how many the engine behind the cache was asked.
    pub(super) fn run(&self, mode: CacheMode, requests: &[Request]) -> (Vec<Vec<(Outcome, Delivery)>>, usize) {
        let engine = self.engine("mock", &self.options(mode), false).unwrap();
        self.asked.borrow_mut().clear();
        (answers(engine.as_ref(), requests), self.asked.borrow_mut().drain(..).sum())
    }
}

pub(super) fn answers(engine: &dyn Engine, requests: &[Request]) -> Vec<Vec<(Outcome, Delivery)>> {
    let mut answers = vec![Vec::new(); requests.len()];
    engine
        .answer(requests, &Cancel::default(), &mut |update| {
            if let Update::Answered(index, outcome, delivery) = update {
                answers[index].push((outcome, delivery));
            }
            Ok(())
        })
        .unwrap();
    answers
}

pub(super) fn outcomes(answers: &[Vec<(Outcome, Delivery)>]) -> Vec<&Outcome> {
    answers.iter().map(|given| &given.first().unwrap().0).collect()
}

#[test]
fn hits_are_not_asked_and_misses_find_their_places() {
    let bench = Bench::new();
    let (first, asked) = bench.run(CacheMode::On, &requests(0..1500));
    assert_eq!(asked, 1500);
    assert!(first.iter().all(|given| given.len() == 1 && !given[0].1.cached));
    // Every third is new.
    let mixed: Vec<Request> =
        (0..900).map(|i| request(&format!("answer {}", if i % 3 == 0 { 5000 + i } else { i }))).collect();
    let (second, asked) = bench.run(CacheMode::On, &mixed);
    assert_eq!(asked, 300);
    let plain = answers(&MockEngine::new("mock").unwrap(), &mixed);
    assert_eq!(outcomes(&second), outcomes(&plain), "the same answers at the same places");
    let cached = Delivery { latency_ms: None, retries: 0, cached: true };
    for (i, given) in second.iter().enumerate() {
        assert_eq!(given.len(), 1);
        assert_eq!(given[0].1 == cached, i % 3 != 0, "{i}");
    }
    // Another identity finds nothing.
    let other = bench.engine("mock:seed=1", &bench.options(CacheMode::On), false).unwrap();
    answers(other.as_ref(), &mixed);
    assert_eq!(bench.asked.take(), [900]);
    assert_eq!(other.notices(), ["its own"]);
}

#[test]
fn modes() {
    let bench = Bench::new();
    let all = requests(0..10);
    assert_eq!(bench.run(CacheMode::Off, &all).1, 10);
    assert!(!bench.file().exists());
    let engine = bench.engine("mock", &bench.options(CacheMode::Read), false).unwrap();
    assert!(engine.notices()[1].contains("no response cache yet"), "{:?}", engine.notices());
    assert!(!bench.file().exists(), "reading makes nothing");
    assert_eq!(bench.run(CacheMode::Refresh, &all[..4]).1, 4);
    assert_eq!(bench.run(CacheMode::Read, &all).1, 6);
    assert_eq!(bench.run(CacheMode::Read, &all).1, 6, "reading keeps nothing");
    assert_eq!(bench.run(CacheMode::Refresh, &all).1, 10, "everything anew");
    assert_eq!(bench.run(CacheMode::On, &all).1, 0);
    assert_eq!(stats(&bench.file()).unwrap().models[0].answers, 10, "replaced, not doubled");
}

#[test]
fn refusals_are_kept_and_failures_are_not() {
    let bench = Bench::new();
    let all = [request("answer"), request("refuse"), request("fail")];
    assert_eq!(bench.run(CacheMode::On, &all).1, 3);
    let (again, asked) = bench.run(CacheMode::On, &all);
    assert_eq!(asked, 1);
    assert_eq!(again[1][0].0, Err(Unscored::refused("a filter")));
    assert!(again[1][0].1.cached && !again[2][0].1.cached);
    let options = CacheOptions { retry_refused: true, ..bench.options(CacheMode::On) };
    answers(bench.engine("mock", &options, false).unwrap().as_ref(), &all);
    assert_eq!(bench.asked.take(), [2]);
}

#[test]
fn what_is_said_twice_or_unasked_is_not_kept() {
    let bench = Bench::new();
    let engine = bench.engine("mock", &bench.options(CacheMode::On), true).unwrap();
    let first = answers(engine.as_ref(), &requests(0..5));
    assert!(first.iter().all(|given| given.len() == 2), "the driver sees both and takes the first");
    assert_eq!(stats(&bench.file()).unwrap().models[0].refused, 0);
    let (second, asked) = bench.run(CacheMode::On, &requests(0..5));
    assert_eq!((outcomes(&second), asked), (outcomes(&first), 0));
}

#[test]
fn a_damaged_row_is_asked_again() {
    let bench = Bench::new();
    bench.run(CacheMode::On, &requests(0..5));
    let store = Store::open(&bench.file(), Access::Change).map_err(|_| "open").unwrap();
    store.connection.execute("UPDATE answers SET answer = substr(answer, 5) WHERE rowid = 2", []).unwrap();
    drop(store);
    assert_eq!(bench.run(CacheMode::On, &requests(0..5)).1, 1);
    assert_eq!(bench.run(CacheMode::On, &requests(0..5)).1, 0);
}

#[test]
fn files_that_are_not_ours_are_refused_and_left_alone() {
    let bench = Bench::new();
    std::fs::create_dir_all(bench.file().parent().unwrap()).unwrap();
    let refused = |says: &str| {
        let before = std::fs::read(bench.file()).unwrap();
        let mut errors = vec![stats(&bench.file()).unwrap_err().to_string()];
        // Whether the file was named or not.
        for file in [Some(bench.file()), None] {
            for mode in [CacheMode::On, CacheMode::Read, CacheMode::Refresh] {
                let options = CacheOptions { mode, file: file.clone(), retry_refused: false };
                let mock = Box::new(MockEngine::new("mock").unwrap());
                errors.push(CachedEngine::open(mock, &options, Ok(bench.file())).err().unwrap().to_string());
            }
        }
        for error in errors {
            assert!(error.contains(says) && error.contains("hint: ") && error.contains("r.sqlite"), "{error}");
        }
        assert!(std::fs::read(bench.file()).unwrap() == before, "the file is as it was");
    };
    std::fs::write(bench.file(), "this is no database, and it is long enough to be looked at".repeat(40)).unwrap();
    refused("damaged");
    std::fs::remove_file(bench.file()).unwrap();
    let foreign = rusqlite::Connection::open(bench.file()).unwrap();
    foreign.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE theirs (x);").unwrap();
    drop(foreign);
    refused("no response cache");
    std::fs::remove_file(bench.file()).unwrap();
    bench.run(CacheMode::On, &requests(0..2));
    let newer = rusqlite::Connection::open(bench.file()).unwrap();
    newer.pragma_update(None, "user_version", 2).unwrap();
    drop(newer);
    refused("newer version");
}

/// Ours by its numbers, and with something in it that we did not make.
#[test]
fn a_cache_with_more_in_it_than_tables_is_none() {
    for more in [
        "CREATE TRIGGER t BEFORE INSERT ON answers BEGIN SELECT count(*) FROM (WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c); END;",
        "CREATE TRIGGER t BEFORE INSERT ON answers BEGIN SELECT raise(abort, 'look here'); END;",
        "CREATE VIEW v AS SELECT 1;",
        "CREATE TABLE more (x);",
        "CREATE INDEX i ON answers (at);",
        "ALTER TABLE answers ADD COLUMN more;",
        "ALTER TABLE answers RENAME TO theirs; CREATE VIEW answers AS SELECT * FROM theirs;",
        "DROP TABLE models;",
        "ALTER TABLE models RENAME COLUMN label TO name2;",
    ] {
        let bench = Bench::new();
        bench.run(CacheMode::On, &requests(0..2));
        let theirs = rusqlite::Connection::open(bench.file()).unwrap();
        theirs.execute_batch(more).unwrap();
        drop(theirs);
        for mode in [CacheMode::On, CacheMode::Read, CacheMode::Refresh] {
            let error = bench.engine("mock", &bench.options(mode), false).err().unwrap().to_string();
            assert!(error.contains("no response cache of fairmark's") && error.contains("hint: "), "{more}: {error}");
        }
        assert!(stats(&bench.file()).is_err() && find(&bench.file(), "ab").is_err(), "{more}");
        assert!(prune(&bench.file(), &Selection::default(), false).is_err(), "{more}");
    }
}

#[test]
#[cfg(unix)]
fn links_pipes_and_devices_are_no_caches() {
    use std::os::unix::fs::symlink;
    let bench = Bench::new();
    let folder = bench.file().parent().unwrap().to_path_buf();
    std::fs::create_dir_all(&folder).unwrap();
    let outside = bench.dir.path().join("outside");
    std::fs::write(&outside, "").unwrap();
    let refused = |file: &std::path::Path| {
        let options = CacheOptions { mode: CacheMode::On, file: Some(file.to_path_buf()), retry_refused: false };
        let mock = Box::new(MockEngine::new("mock").unwrap());
        let error = CachedEngine::wrap(mock, &options).err().unwrap().to_string();
        assert!(error.contains("no response cache of fairmark's"), "{error}");
    };
    let (link, pipe, zero) = (folder.join("link"), folder.join("pipe"), folder.join("zero"));
    symlink(&outside, &link).unwrap();
    symlink("/dev/zero", &zero).unwrap();
    let name = std::ffi::CString::new(pipe.to_str().unwrap()).unwrap();
    // SAFETY: a path that ends in a nought.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    [&link, &pipe, &zero].into_iter().for_each(|file| refused(file));
    refused(std::path::Path::new("/dev/zero"));
    // Beside the file, too.
    let file = folder.join("r.sqlite");
    symlink(&outside, folder.join("r.sqlite-wal")).unwrap();
    refused(&file);
    assert_eq!(std::fs::read(&outside).unwrap(), b"");
    // What is only read may be a link.
    std::fs::remove_file(folder.join("r.sqlite-wal")).unwrap();
    bench.run(CacheMode::On, &requests(0..2));
    let elsewhere = folder.join("elsewhere");
    symlink(bench.file(), &elsewhere).unwrap();
    assert_eq!(stats(&elsewhere).unwrap().models[0].answers, 2);
}

#[test]
fn a_default_file_that_cannot_be_made_is_a_notice_and_a_named_one_an_error() {
    let bench = Bench::new();
    let blocked = bench.dir.path().join("file");
    std::fs::write(&blocked, "x").unwrap();
    let path = blocked.join("sub/r.sqlite");
    let open = |file: Option<PathBuf>, path: Result<PathBuf>| {
        let options = CacheOptions { mode: CacheMode::On, file, retry_refused: false };
        CachedEngine::open(Box::new(MockEngine::new("mock").unwrap()), &options, path)
    };
    assert!(open(Some(path.clone()), Ok(path.clone())).is_err());
    for engine in [open(None, Ok(path)), open(None, Err(Error::input("no home")))] {
        let engine = engine.unwrap();
        assert!(engine.notices()[0].contains("left out"), "{:?}", engine.notices());
        assert_eq!(answers(&engine, &requests(0..3)).len(), 3);
    }
}

#[test]
fn nothing_but_names_and_answers_stands_in_the_file() {
    let bench = Bench::new();
    let all = requests(0..3);
    let mut inner = Scripted::new("mock");
    inner.identity.options.push("extra_body={\"api_key\": \"canary-1234\"}".into());
    let engine = CachedEngine::wrap(Box::new(inner), &bench.options(CacheMode::On)).unwrap();
    answers(engine.as_ref(), &all);
    drop(engine);
    let bytes = std::fs::read(bench.file()).unwrap();
    assert!(bytes.windows(4).any(|w| w == b"mock"));
    for secret in [b"canary".as_slice(), b"context".as_slice()] {
        assert!(!bytes.windows(secret.len()).any(|w| w == secret));
    }
}

#[test]
fn stats_prune_and_find() {
    let bench = Bench::new();
    assert!(stats(&bench.file()).unwrap_err().to_string().contains("no response cache yet"));
    bench.run(CacheMode::On, &requests(0..300));
    let other = bench.engine("mock:seed=1", &bench.options(CacheMode::On), false).unwrap();
    answers(other.as_ref(), &[request("refuse"), request("b")]);
    drop(other);
    let file = bench.file();
    let seen = stats(&file).unwrap();
    let figures: Vec<_> = seen.models.iter().map(|m| (m.name.as_str(), m.answers, m.refused)).collect();
    assert_eq!(figures, [("mock", 300, 0), ("mock:seed=1", 2, 1)]);
    assert!(seen.bytes > seen.models[0].bytes && seen.models[0].prompt_tokens == 600, "{seen:?}");

    let key = request("answer 7").key();
    let found = find(&file, &key[..12].to_uppercase()).unwrap();
    assert_eq!((found.len(), found[0].key.as_str(), found[0].model.as_str()), (1, key.as_str(), "mock"));
    assert!(found[0].answer.contains("logprob"));
    assert_eq!(find(&file, &key).unwrap().len(), 1);
    assert!(find(&file, &"0".repeat(64)).unwrap().is_empty());
    for bad in ["", "xyz", "é", &"0".repeat(65)] {
        assert!(find(&file, bad).is_err(), "{bad}");
    }

    let select = |before: Option<i64>, model: Option<&str>| Selection { before, model: model.map(str::to_string) };
    let count = |selection: &Selection, dry_run| prune(&file, selection, dry_run).unwrap().answers;
    assert_eq!(count(&select(None, None), true), 302);
    assert_eq!(count(&select(Some(1_000_000_000), None), false), 0, "nothing is that old");
    let store = Store::open(&file, Access::Change).map_err(|_| "open").unwrap();
    store.connection.execute("UPDATE answers SET at = 1000 WHERE rowid <= 100", []).unwrap();
    drop(store);
    assert_eq!(count(&select(Some(2000), Some("*seed*")), false), 0, "both parts must fit");
    assert_eq!(count(&select(Some(2000), Some("mock")), false), 100);
    assert_eq!(count(&select(None, Some("mock:*")), false), 2);
    assert_eq!(stats(&file).unwrap().models.len(), 1);
    let pruned = prune(&file, &select(None, None), false).unwrap();
    assert_eq!((pruned.answers, pruned.vacuumed), (200, true));
    assert!(stats(&file).unwrap().models.is_empty());
    assert_eq!(bench.run(CacheMode::On, &requests(0..3)).1, 3, "an emptied cache goes on");
}

#[test]
fn missing_files_are_told_from_unusable_ones() {
    let bench = Bench::new();
    assert!(matches!(Store::open(&bench.file(), Access::Read), Err(OpenError::Missing)));
    assert!(matches!(Store::open(&bench.file(), Access::Change), Err(OpenError::Missing)));
    assert!(matches!(Store::open(bench.dir.path(), Access::Write), Err(OpenError::Unavailable(_))));
}
