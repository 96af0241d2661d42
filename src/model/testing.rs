//! What tests of models share: the checkpoints that lie beside the repository, where they do.

use std::path::PathBuf;

/// The folder of shared checkpoints and reference answers; says so and returns `None` where it is absent.
pub fn shared() -> Option<PathBuf> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared"));
    if path.is_dir() {
        return Some(path);
    }
    say_skipped();
    None
}

/// Says that a test is skipped, past the test harness, which keeps what passing tests print to itself.
pub fn say_skipped() {
    use std::io::Write;
    let test = std::thread::current().name().unwrap_or("a test").to_string();
    let _ = writeln!(std::io::stderr(), "{test}: skipped: ../shared is not there");
}

/// The folder of a shared checkpoint.
pub fn shared_model(name: &str) -> Option<PathBuf> {
    shared().map(|path| path.join("models").join(name))
}

/// A copy of a shared checkpoint that a test may spoil.
pub fn copy_model(name: &str) -> Option<tempfile::TempDir> {
    let from = shared_model(name)?;
    let to = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        // Written anew, because the originals may be read-only.
        std::fs::write(to.path().join(entry.file_name()), std::fs::read(entry.path()).unwrap()).unwrap();
    }
    Some(to)
}

/// The folder of a checkpoint in `tests/fixtures`.
pub fn fixture(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures")).join(name)
}
