//! The sandbox over many runs. Alone in its process, as it counts what the whole process has open.
#![cfg(target_os = "linux")]

mod sandbox_here;

#[path = "sandbox_attacks/family.rs"]
mod family;

use fairmark::sandbox::{Ending, Limits, Program, ProgramOutcome, Sandbox, Settings};
use family::descendants;
use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

fn generous() -> Limits {
    let patience = Duration::from_secs(60);
    Limits { cpu: patience, wall: patience, ..Limits::default() }
}

fn run(sandbox: &Sandbox, code: &str) -> ProgramOutcome {
    sandbox.run(&Program { code: code.to_owned(), files: vec![("a.txt".to_owned(), b"hi".to_vec())] }, &generous())
}

#[test]
fn five_hundred_runs_leave_nothing() {
    sandbox_here::or_skip();
    let base = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::open(Settings { scratch: Some(base.path().to_path_buf()), ..Settings::default() }).unwrap();
    let code = "import os, tempfile\nopen('f', 'w').write('x')\nos.mkdir('d')\nprint(sorted(os.listdir()))";
    let entries = |path: &Path| std::fs::read_dir(path).unwrap().map(|e| e.unwrap().path()).collect::<HashSet<_>>();
    let folder = entries(base.path()).into_iter().next().unwrap();
    let look = || {
        let mine = descendants(std::process::id());
        (entries(Path::new("/proc/self/fd")).len(), mine.len(), entries(&folder).len())
    };
    assert_eq!(run(&sandbox, code).stdout, "['a.txt', 'd', 'f']\n");
    let before = look();
    for round in 0..500 {
        let out = match round % 50 {
            48 => run(&sandbox, "import os; os.abort()"),
            49 => sandbox.run(
                &Program { code: "while True: pass".to_owned(), files: Vec::new() },
                &Limits { cpu: Duration::from_millis(20), ..generous() },
            ),
            _ => run(&sandbox, code),
        };
        match round % 50 {
            48 => assert_eq!(out.ending, Ending::Signalled(libc::SIGABRT)),
            49 => assert_eq!(out.ending, Ending::TimedOut),
            _ => assert_eq!(out.stdout, "['a.txt', 'd', 'f']\n", "{out:?}"),
        }
    }
    let after = look();
    assert!(after.0 <= before.0 + 2 && after.1 <= before.1 && after.2 == before.2, "{before:?} became {after:?}");
    drop(sandbox);
    assert!(entries(base.path()).is_empty());
}
