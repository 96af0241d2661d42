//! The client against a server on this machine.

use super::mock::{Answer, COMMIT, MockHub, contents, listing};
use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};

const BIG: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";

fn is_api(path: &str) -> bool {
    path.starts_with("/api/models/a/b/revision/main")
}

/// A model repository with a card and a large file; `serve` answers for the large file.
fn model(serve: impl Fn(&mock::Request, usize) -> Answer + Send + Sync + 'static) -> MockHub {
    let calls = AtomicUsize::new(0);
    MockHub::start(move |request| match request.path.as_str() {
        path if is_api(path) => listing(COMMIT, &[("README.md", b"# x"), ("sub/w.bin", BIG)]),
        path if path.ends_with("/README.md") => Answer::new(200, "# x"),
        path if path == format!("/a/b/resolve/{COMMIT}/sub/w.bin") => {
            serve(request, calls.fetch_add(1, Ordering::SeqCst))
        }
        _ => Answer::new(404, "").header("X-Error-Code", "EntryNotFound"),
    })
}

fn big(hub: &Hub) -> Result<PathBuf> {
    hub.file(RepoKind::Model, "a/b", None, "sub/w.bin")
}

#[test]
fn lists_downloads_and_keeps() {
    let home = tempfile::tempdir().unwrap();
    let server = model(|request, _| contents(request, BIG));
    let snapshot = server.client(home.path()).snapshot(RepoKind::Model, "a/b", None, &|_| true).unwrap();
    let root = home.path().join("hub/models--a--b");
    assert_eq!(snapshot.dir, root.join("snapshots").join(COMMIT));
    assert_eq!(snapshot.commit, COMMIT);
    assert_eq!(snapshot.files.iter().map(|f| f.path.as_str()).collect::<Vec<_>>(), ["README.md", "sub/w.bin"]);
    assert_eq!(std::fs::read(snapshot.dir.join("sub/w.bin")).unwrap(), BIG);
    assert_eq!(std::fs::read_to_string(root.join("refs/main")).unwrap(), COMMIT);
    let sum = hex(&<sha2::Sha256 as sha2::Digest>::digest(BIG));
    assert!(root.join("blobs").join(&sum).is_file());
    #[cfg(unix)]
    assert_eq!(
        std::fs::read_link(snapshot.dir.join("sub/w.bin")).unwrap(),
        Path::new("../../../blobs").join(&sum),
        "links as other tools make them"
    );
    let asked = server.paths().len();
    // A second client asks for the listing only; offline nothing is asked.
    big(&server.client(home.path())).unwrap();
    assert_eq!(server.paths().len(), asked + 1);
    let offline = Hub::new(HubConfig { offline: true, ..server.config(home.path()) });
    assert_eq!(std::fs::read(big(&offline).unwrap()).unwrap(), BIG);
    assert_eq!(offline.snapshot(RepoKind::Model, "a/b", Some(COMMIT), &|_| true).unwrap().files.len(), 2);
    assert_eq!(server.paths().len(), asked + 1);
    assert!(server.log.lock().unwrap().iter().all(|r| r.authorization.as_deref() == Some("Bearer hf_test")));
}

#[test]
fn offline_misses_say_what_is_missing() {
    let home = tempfile::tempdir().unwrap();
    let server = model(|request, _| contents(request, BIG));
    let offline = Hub::new(HubConfig { offline: true, ..server.config(home.path()) });
    let err = big(&offline).unwrap_err();
    assert!(err.to_string().contains("`a/b` at main is not in the cache"), "{err}");
    server.client(home.path()).file(RepoKind::Model, "a/b", None, "README.md").unwrap();
    let offline = Hub::new(HubConfig { offline: true, ..server.config(home.path()) });
    let err = big(&offline).unwrap_err();
    assert!(
        err.to_string().contains("`sub/w.bin` of `a/b`") && err.hint_text().unwrap().contains("--offline"),
        "{err}"
    );
}

#[test]
fn a_blob_of_another_tool_is_used() {
    let home = tempfile::tempdir().unwrap();
    let server = model(|_, _| Answer::new(500, ""));
    let blobs = home.path().join("hub/models--a--b/blobs");
    std::fs::create_dir_all(&blobs).unwrap();
    std::fs::write(blobs.join(hex(&<sha2::Sha256 as sha2::Digest>::digest(BIG))), BIG).unwrap();
    assert_eq!(std::fs::read(big(&server.client(home.path())).unwrap()).unwrap(), BIG);
}

#[test]
fn redirects_without_the_token() {
    let home = tempfile::tempdir().unwrap();
    let store = MockHub::start(|request| contents(request, BIG));
    // `localhost` is another origin than the hub's address.
    let target = format!("{}/store?signature=1", store.address.replace("127.0.0.1", "localhost"));
    let server = model(move |_, _| Answer::new(302, "").header("Location", target.clone()));
    assert_eq!(std::fs::read(big(&server.client(home.path())).unwrap()).unwrap(), BIG);
    assert!(store.log.lock().unwrap()[0].authorization.is_none());
}

#[test]
fn broken_connections_are_resumed() {
    let home = tempfile::tempdir().unwrap();
    let server = model(|request, call| match call {
        0 => Answer { cut: Some(10), ..contents(request, BIG) },
        1 => Answer::new(503, ""),
        _ => contents(request, BIG),
    });
    let events = Arc::new(Mutex::new(Vec::new()));
    let seen = events.clone();
    let hub = server.client(home.path()).with_progress(move |event| seen.lock().unwrap().push(format!("{event:?}")));
    assert_eq!(std::fs::read(big(&hub).unwrap()).unwrap(), BIG);
    let ranges: Vec<Option<u64>> =
        server.log.lock().unwrap().iter().filter(|r| r.path.ends_with("w.bin")).map(|r| r.range).collect();
    assert_eq!(ranges, [None, Some(10), Some(10)]);
    let events = events.lock().unwrap();
    assert!(events.iter().any(|e| e.starts_with("Retry")) && events.last().unwrap().contains("Done"), "{events:?}");
    assert!(events.iter().any(|e| e.contains("have: 10, total: Some(36)")), "{events:?}");
}

#[test]
fn a_server_without_ranges_starts_again() {
    let home = tempfile::tempdir().unwrap();
    let server = model(|request, call| match call {
        0 => Answer { cut: Some(10), ..contents(request, BIG) },
        _ => Answer::new(200, BIG),
    });
    assert_eq!(std::fs::read(big(&server.client(home.path())).unwrap()).unwrap(), BIG);
}

#[test]
fn wrong_bytes_are_refused_and_removed() {
    let home = tempfile::tempdir().unwrap();
    let wrong = BIG.to_ascii_uppercase();
    let server = model(move |request, _| contents(request, &wrong));
    let err = big(&server.client(home.path())).unwrap_err();
    assert!(err.to_string().contains("`sub/w.bin` of `a/b` has the SHA-256"), "{err}");
    assert_eq!(std::fs::read_dir(home.path().join("hub/models--a--b/blobs")).unwrap().count(), 0);
    // A damaged beginning from an earlier attempt is thrown away and fetched anew.
    let server = model(|request, _| contents(request, BIG));
    let sum = hex(&<sha2::Sha256 as sha2::Digest>::digest(BIG));
    let part = home.path().join(format!("hub/models--a--b/blobs/{sum}.incomplete"));
    std::fs::write(&part, b"XXXX").unwrap();
    assert_eq!(std::fs::read(big(&server.client(home.path())).unwrap()).unwrap(), BIG);
    assert!(!part.exists());
}

#[test]
fn a_hub_that_does_not_stop_is_left() {
    let home = tempfile::tempdir().unwrap();
    let endless = [BIG, BIG, BIG].concat();
    let server = model(move |_, _| Answer::new(200, endless.clone()));
    let err = big(&server.client(home.path())).unwrap_err();
    assert!(err.to_string().contains("goes on after the 36 bytes"), "{err}");
    assert_eq!(std::fs::read_dir(home.path().join("hub/models--a--b/blobs")).unwrap().count(), 0);
    let server = MockHub::start(|_| Answer::new(200, vec![b' '; (64 << 20) + 1]));
    let err = server.client(home.path()).list_files(RepoKind::Model, "a/b", None).unwrap_err();
    assert!(err.to_string().contains("longer than 64 MiB"), "{err}");
}

#[test]
#[cfg(unix)]
fn references_that_are_no_files() {
    let home = tempfile::tempdir().unwrap();
    let server = model(|request, _| contents(request, BIG));
    big(&server.client(home.path())).unwrap();
    let main = home.path().join("hub/models--a--b/refs/main");
    std::fs::remove_file(&main).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &main).unwrap();
    let offline = Hub::new(HubConfig { offline: true, ..server.config(home.path()) });
    assert!(big(&offline).unwrap_err().to_string().contains("not in the cache"));
    // Online the reference is written anew, not followed.
    big(&server.client(home.path())).unwrap();
    assert_eq!(std::fs::read_to_string(&main).unwrap(), COMMIT);
}

#[test]
fn refusals_are_explained() {
    for (status, code, parts) in [
        (401, "RepoNotFound", ["does not exist, or is private or gated", "HF_TOKEN"]),
        (401, "GatedRepo", ["is gated", "accept its licence"]),
        (403, "", ["is gated", "set HF_TOKEN"]),
        (404, "RevisionNotFound", ["no revision `main`", "tag or commit"]),
        (404, "RepoNotFound", ["the hub has no `a/b`", "check the id"]),
    ] {
        let home = tempfile::tempdir().unwrap();
        let server = MockHub::start(move |_| Answer::new(status, "{}").header("X-Error-Code", code));
        let err = server.client(home.path()).list_files(RepoKind::Model, "a/b", None).unwrap_err();
        assert!(parts.iter().all(|part| err.to_string().contains(part)), "{status} {code}: {err}");
        assert_eq!(server.paths().len(), 1, "refusals are not tried again");
    }
    let home = tempfile::tempdir().unwrap();
    let server = MockHub::start(|_| Answer::new(429, "").header("Retry-After", "0"));
    let err = server.client(home.path()).list_files(RepoKind::Model, "a/b", None).unwrap_err();
    assert!(err.to_string().contains("429"), "{err}");
    assert_eq!(server.paths().len(), 4);
    let nobody = HubConfig { endpoint: "http://127.0.0.1:1".into(), retries: 1, ..server.config(home.path()) };
    let err = Hub::new(nobody).list_files(RepoKind::Model, "a/b", None).unwrap_err();
    assert!(err.to_string().contains("cannot reach the hub") && err.hint_text().is_some(), "{err}");
}

#[test]
fn unsafe_names_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let server = MockHub::start(|_| listing(COMMIT, &[("../../evil", b"x")]));
    let err = server.client(home.path()).list_files(RepoKind::Model, "a/b", None).unwrap_err();
    assert!(err.to_string().contains("unsafe"), "{err}");
    let server = MockHub::start(|_| listing("../..", &[]));
    assert!(server.client(home.path()).list_files(RepoKind::Model, "a/b", None).is_err());
    for id in ["../x", "a/b/c", "", "a//b", "a/.."] {
        assert!(server.client(home.path()).list_files(RepoKind::Model, id, None).is_err(), "{id}");
    }
    assert!(server.client(home.path()).list_files(RepoKind::Model, "a/b", Some("../x")).is_err());
}

#[tokio::test]
async fn works_inside_a_runtime() {
    let home = tempfile::tempdir().unwrap();
    let server = model(|request, _| contents(request, BIG));
    assert!(big(&server.client(home.path())).is_ok());
}
