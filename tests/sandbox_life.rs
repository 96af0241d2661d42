//! The sandbox's own life: what it reports and refuses, that it leaves nothing behind, and that it works for long.
#![cfg(target_os = "linux")]

mod sandbox_here;

#[path = "sandbox_attacks/family.rs"]
mod family;

use fairmark::sandbox::{
    Driver, Ending, Layer, Limits, Lost, Program, ProgramOutcome, Runner, Sandbox, Settings, Template,
};
use family::descendants;
use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Tells a copy of this test that it is the harness that will be killed.
const DOOMED: &str = "FAIRMARK_TEST_DOOMED";

/// Patience of these tests with a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn generous() -> Limits {
    Limits { cpu: PATIENCE, wall: PATIENCE, ..Limits::default() }
}

fn run(sandbox: &Sandbox, code: &str) -> ProgramOutcome {
    sandbox.run(&Program { code: code.to_owned(), files: vec![("a.txt".to_owned(), b"hi".to_vec())] }, &generous())
}

fn every_runner() -> Vec<Sandbox> {
    let mut settings = vec![Settings::default(), Settings { runner: Runner::Unsafe, ..Settings::default() }];
    if Command::new("bwrap").args(["--ro-bind", "/", "/", "true"]).status().is_ok_and(|s| s.success()) {
        let runner = Runner::External(Template::named("bwrap").unwrap());
        settings.push(Settings { runner, ..Settings::default() });
    } else {
        sandbox_here::say("the template of bwrap: skipped: bwrap is not installed");
    }
    settings.into_iter().map(|s| Sandbox::open(s).unwrap()).collect()
}

#[test]
fn programs_run_as_python_would_run_them() {
    sandbox_here::or_skip();
    for sandbox in every_runner() {
        println!("{}", sandbox.report().summary());
        let code = "import os, sys\nprint(open('a.txt').read(), len(os.environ), sys.argv, __name__)\n\
                    print('é', file=sys.stderr)\nsys.exit(3)";
        let out = run(&sandbox, code);
        assert_eq!(out.ending, Ending::Exited(3), "{out:?}");
        assert!(out.stderr.contains("é\n"), "{out:?}");
        let said = format!("{}{}", out.stdout, out.stderr);
        assert!(said.contains("hi 0 ['program.py'] __main__\n"), "{out:?}");
        let trace = run(&sandbox, "def f():\n    return 1 / 0\nf()").stderr;
        assert!(trace.contains("line 2, in f\n    return 1 / 0") && trace.ends_with("division by zero\n"), "{trace}");
        assert!(!trace.contains("exec("), "no frames of the driver: {trace}");
        assert_eq!(
            run(&sandbox, "import threading, time\nthreading.Thread(target=lambda: exit()).start()").ending,
            Ending::Exited(0)
        );
        assert_eq!(run(&sandbox, "x = bytearray(3 << 30)").ending, Ending::OutOfMemory);
        let set = "print({str(i) for i in range(50)})";
        let (one, two) = (run(&sandbox, set), run(&sandbox, set));
        assert_eq!((one.stdout, one.stderr), (two.stdout, two.stderr), "the order of sets");
    }
}

#[test]
fn common_libraries_work_inside() {
    sandbox_here::or_skip();
    let sandbox = Sandbox::open(Settings::default()).unwrap();
    let code = "import asyncio, concurrent.futures, csv, dataclasses, decimal, hashlib, json, logging, os, re
import secrets, shutil, sqlite3, statistics, subprocess, sys, tempfile, threading, uuid, zipfile
sys.version_info < (3, 9) or __import__('zoneinfo')
async def twice(x):
    await asyncio.sleep(0)
    return 2 * x
assert asyncio.run(twice(4)) == 8
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    assert sum(pool.map(lambda x: x * x, range(10))) == 285
with tempfile.TemporaryFile(dir='.') as file:
    file.write(b'x')
assert sqlite3.connect(':memory:').execute('select 1 + 1').fetchone() == (2,)
os.mkdir('d'); open('d/f', 'w').write('x'); os.rename('d/f', 'g'); os.symlink('g', 'h'); os.link('g', 'i')
shutil.rmtree('d'); assert open('h').read() == open('i').read() == 'x'
assert hashlib.sha256(b'').hexdigest().startswith('e3b0c442')
assert len(os.urandom(8)) == 8 and open('/dev/null').read() == ''
import random, time, signal
time.sleep(0.01); random.random(); secrets.token_hex(4)
signal.signal(signal.SIGUSR1, lambda *_: print('rang'))
signal.raise_signal(signal.SIGUSR1)
os.kill(os.getpid(), signal.SIGUSR1)
print('all well')";
    let out = run(&sandbox, code);
    assert_eq!((out.ending.clone(), out.stdout.as_str()), (Ending::Exited(0), "rang\nrang\nall well\n"), "{out:?}");
    // What older Pythons do at the end of a thread, for which the C library needs another library.
    let code = "import _thread, ctypes, time\nend = ctypes.CDLL(None).pthread_exit
_thread.start_new_thread(lambda: end(None), ())\ntime.sleep(0.5)\nprint('lives on')";
    let out = run(&sandbox, code);
    assert_eq!((out.ending.clone(), out.stdout.as_str()), (Ending::Exited(0), "lives on\n"), "{out:?}");
}

#[test]
fn cells_talk_in_frames() {
    sandbox_here::or_skip();
    let echo = Driver {
        name: "echo",
        source: "import os\nwhile True:\n    data = os.read(3, 1 << 20)\n    if not data:\n        break\n    while data:\n        data = data[os.write(4, data):]\n",
    };
    for sandbox in every_runner() {
        let mut cell = sandbox.start(&echo, &generous()).unwrap();
        let large = vec![7; 3 << 20];
        cell.send(b"hello").unwrap();
        cell.send(&large).unwrap();
        assert_eq!(cell.recv().unwrap(), b"hello");
        assert_eq!(cell.recv().unwrap(), large);
        assert!(matches!(cell.finish().ending, Ending::Signalled(libc::SIGKILL)));
        let quiet = Driver { name: "quiet", source: "import time\ntime.sleep(600)\n" };
        let short = Limits { wall: Duration::from_secs(2), ..generous() };
        let mut cell = sandbox.start(&quiet, &short).unwrap();
        assert_eq!(cell.recv(), Err(Lost::TimedOut));
        assert_eq!(cell.send(&large), Err(Lost::TimedOut), "a child that does not read");
        assert_eq!(cell.finish().ending, Ending::TimedOut);
        let gone = Driver { name: "gone", source: "import sys\nsys.exit(5)\n" };
        let mut cell = sandbox.start(&gone, &generous()).unwrap();
        assert_eq!(cell.recv(), Err(Lost::Closed));
        assert_eq!(cell.finish().ending, Ending::Exited(5));
        let liar = Driver { name: "liar", source: "import os\nos.write(4, b'\\xff' * 4)\nos.read(3, 1)\n" };
        assert_eq!(sandbox.start(&liar, &generous()).unwrap().recv(), Err(Lost::TooLong));
    }
}

#[test]
fn an_interrupted_sandbox_ends_its_programs() {
    sandbox_here::or_skip();
    for sandbox in every_runner() {
        let begun = Instant::now();
        let ending = std::thread::scope(|scope| {
            let running = scope.spawn(|| run(&sandbox, "import time\ntime.sleep(1000)").ending);
            std::thread::sleep(Duration::from_millis(500));
            sandbox.interrupt();
            running.join().unwrap()
        });
        assert_eq!(ending, Ending::SandboxFailed("interrupted".to_owned()));
        assert_eq!(run(&sandbox, "print(1)").ending, Ending::SandboxFailed("interrupted".to_owned()));
        assert!(begun.elapsed() < PATIENCE / 2, "{:?}", begun.elapsed());
    }
}

fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.trim_start().starts_with('Z') && !rest.is_empty())
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "still not so: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn nothing_outlives_a_killed_harness() {
    sandbox_here::or_skip();
    if std::env::var_os(DOOMED).is_some() {
        let without = if std::env::var_os(DOOMED).unwrap() == "bare" { vec![Layer::Namespaces] } else { Vec::new() };
        let sandbox = Sandbox::open(Settings { without, ..Settings::default() }).unwrap();
        let busy = Driver { name: "busy", source: "import os\nos.write(4, b'\\0\\0\\0\\0')\nwhile True: pass\n" };
        let mut cells: Vec<_> = (0..2).map(|_| sandbox.start(&busy, &generous()).unwrap()).collect();
        cells.iter_mut().for_each(|cell| drop(cell.recv().unwrap()));
        std::fs::write(std::env::var_os("FAIRMARK_TEST_READY").unwrap(), "x").unwrap();
        std::thread::sleep(PATIENCE);
        return;
    }
    for kind in ["full", "bare"] {
        let base = tempfile::tempdir().unwrap();
        let ready = base.path().join("ready");
        let mut harness = Command::new(std::env::current_exe().unwrap())
            .args(["nothing_outlives_a_killed_harness", "--exact"])
            .env(DOOMED, kind)
            .env("FAIRMARK_TEST_READY", &ready)
            .env("TMPDIR", base.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        wait_until("the harness has two programs running", || ready.exists());
        let started = descendants(harness.id());
        assert!(started.len() >= 4, "two zygotes and two programs: {started:?}");
        harness.kill().unwrap();
        harness.wait().unwrap();
        wait_until("all its processes are gone", || !started.iter().any(|pid| is_alive(*pid)));
    }
}

#[test]
fn a_daemon_dies_even_without_seccomp() {
    sandbox_here::or_skip();
    // Two forks, a session of its own, output closed: found by its namespace, or by whom orphans come to.
    let code = "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        \
                [os.close(n) for n in (0, 1, 2, 4)]\n        time.sleep(600)\n    os._exit(0)\nos.wait()\nprint('started')";
    for without in [vec![Layer::Seccomp], vec![Layer::Seccomp, Layer::Namespaces]] {
        let sandbox = Sandbox::open(Settings { without, ..Settings::default() }).unwrap();
        assert!(!sandbox.report().contains());
        let before = descendants(std::process::id());
        let out = run(&sandbox, code);
        assert_eq!(out.stdout, "started\n", "{out:?}");
        let zygotes: HashSet<u32> = before.union(&descendants(std::process::id())).copied().collect();
        drop(sandbox);
        wait_until("the daemon is gone", || !zygotes.difference(&before).any(|pid| is_alive(*pid)));
    }
}

#[test]
fn memory_is_counted_by_the_control_group_too() {
    sandbox_here::or_skip();
    let settings = Settings { without: vec![Layer::Rlimits], ..Settings::default() };
    let sandbox = Sandbox::open(settings.clone()).unwrap();
    if !sandbox.report().layers.contains(&Layer::Cgroup) {
        sandbox_here::say(&format!(
            "memory_is_counted_by_the_control_group_too: skipped: {:?}",
            sandbox.report().missing
        ));
        return;
    }
    let program = Program { code: "x = bytearray(700 << 20)\nprint(len(x))".to_owned(), files: Vec::new() };
    let limits = Limits { memory: 64 << 20, ..generous() };
    assert_eq!(sandbox.run(&program, &limits).ending, Ending::OutOfMemory);
    assert_eq!(run(&sandbox, "print(1)").stdout, "1\n", "the zygote lives on");
    let settings = Settings { without: vec![Layer::Rlimits, Layer::Cgroup], ..settings };
    let control = Sandbox::open(settings).unwrap().run(&program, &limits);
    assert_eq!(control.stdout, format!("{}\n", 700 << 20), "control: without both, it gets what it asks for");
}

#[test]
fn folders_of_killed_harnesses_are_removed() {
    sandbox_here::or_skip();
    let base = tempfile::tempdir().unwrap();
    let [stale, fresh] = ["fairmark-sandbox-old", "fairmark-sandbox-new"].map(|name| base.path().join(name));
    for folder in [&stale, &fresh] {
        std::fs::create_dir_all(folder.join("0")).unwrap();
        std::fs::write(folder.join("made-by-fairmark"), "").unwrap();
    }
    let hour_ago = std::time::SystemTime::now() - Duration::from_secs(3600);
    std::fs::File::open(&stale).unwrap().set_modified(hour_ago).unwrap();
    let open = || Sandbox::open(Settings { scratch: Some(base.path().to_path_buf()), ..Settings::default() }).unwrap();
    let first = open();
    assert!(!stale.exists() && fresh.exists());
    for entry in std::fs::read_dir(base.path()).unwrap() {
        std::fs::File::open(entry.unwrap().path()).unwrap().set_modified(hour_ago).unwrap();
    }
    let second = open();
    assert!(!fresh.exists());
    assert_eq!(std::fs::read_dir(base.path()).unwrap().count(), 2, "the folders of the living stay");
    drop((first, second));
}

#[test]
fn deep_folders_do_not_stop_the_sandbox() {
    sandbox_here::or_skip();
    let sandbox = Sandbox::open(Settings { without: vec![Layer::Namespaces], ..Settings::default() }).unwrap();
    let code = "import os\nfor _ in range(1500):\n    os.mkdir('d'); os.chdir('d')\nprint('deep')";
    for _ in 0..2 {
        let out = run(&sandbox, code);
        assert!(out.stdout == "deep\n" || out.ending == Ending::OutOfDisk, "{out:?}");
    }
    assert_eq!(run(&sandbox, "import os; print(os.listdir())").stdout, "['a.txt']\n");
}

/// A stand-in for a Python that answers like this.
fn fake_python(base: &Path, answer: &str) -> std::path::PathBuf {
    let path = base.join("python3");
    std::fs::write(&path, format!("#!/bin/sh\necho '{answer}'\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn what_cannot_be_enforced_is_an_error() {
    sandbox_here::or_skip();
    let base = tempfile::tempdir().unwrap();
    let open = |python: &Path, runner| {
        let settings = Settings { interpreter: Some(python.to_path_buf()), runner, ..Settings::default() };
        Sandbox::open(settings).err().map(|e| e.to_string()).unwrap_or_default()
    };
    let answer = |version: &str, pair: &str, ctypes: bool| {
        format!(
            "{{\"executable\": \"/bin/sh\", \"version\": \"{version}\", \"pair\": {pair}, \"ctypes\": {ctypes}, \
             \"library\": \"/usr\", \"folders\": [], \"libraries\": []}}"
        )
    };
    let old = fake_python(base.path(), &answer("3.7.2", "[3, 7]", true));
    assert!(open(&old, Runner::Own).contains("Python 3.7.2 is too old"));
    let bare = fake_python(base.path(), &answer("3.12.1", "[3, 12]", false));
    assert!(open(&bare, Runner::Own).contains("no `ctypes`"));
    assert!(open(Path::new("/nowhere/python3"), Runner::Own).contains("hint: "));
    let missing = Template::custom("mine", vec!["/nowhere/runner".to_owned(), "{bootstrap}".to_owned()]).unwrap();
    let real = Path::new("python3");
    let said = open(real, Runner::External(missing));
    assert!(said.contains("/nowhere/runner: cannot start a process"), "{said}");
    assert!(said.contains("hint: is `/nowhere/runner` installed"), "{said}");
    let words = ["sh", "-c", "echo no daemon >&2; echo see the help >&2; exit 125", "{bootstrap}"];
    let talking = Template::custom("mine", words.map(str::to_owned).to_vec()).unwrap();
    let said = open(real, Runner::External(talking));
    assert!(said.contains("exit code 125: no daemon; see the help"), "{said}");
    let broken = Template::custom("mine", vec!["false".to_owned(), "{bootstrap}".to_owned()]).unwrap();
    assert!(open(real, Runner::External(broken)).contains("does not work"));
    let plain = Sandbox::open(Settings { runner: Runner::Unsafe, ..Settings::default() }).unwrap();
    assert!(plain.report().summary().starts_with("UNSAFE") && !plain.report().contains());
}
