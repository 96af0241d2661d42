//! The two processes of a hunt: the parent counts and keeps what is found, the child reads inputs under a limit of memory and a watchdog.

use super::change::input;
use super::targets::Room;
use super::{Kind, kind};
use std::cell::RefCell;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a hunt is.
#[derive(Clone, Copy)]
pub enum Bound {
    Inputs(u64),
    Seconds(u64),
}

/// Seconds for one input; tests share machines.
const LONGEST: u64 = 20;
/// Bytes of memory that one input may need on top of what the unchanged inputs need.
const MOST_MEMORY: u64 = 2 << 30;
/// Findings of one hunt, after which it ends.
const ENOUGH: usize = 20;
/// How the watchdog ends the process.
const HANGS: i32 = 97;
/// What the child is told.
const ORDER: &str = "FAIRMARK_FUZZ_CHILD";

/// Lets a child read changed inputs of a kind; panics with what was found.
pub fn hunt(kind: &Kind, seed: u64, bound: Bound) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz");
    std::fs::create_dir_all(&folder).expect("a folder");
    let state = folder.join(format!("{}-{}.state", kind.name, std::process::id()));
    let started = Instant::now();
    let mut from = 0;
    let mut found = Vec::new();
    loop {
        let (to, seconds) = match bound {
            Bound::Inputs(count) => (count, 0),
            Bound::Seconds(all) => (u64::MAX, all.saturating_sub(started.elapsed().as_secs())),
        };
        let over = matches!(bound, Bound::Seconds(_)) && seconds == 0;
        if from >= to || over || found.len() >= ENOUGH {
            break;
        }
        std::fs::write(&state, from.to_string()).expect("a file");
        let program = std::env::current_exe().expect("this program");
        let order = format!("{} {seed} {from} {to} {seconds} {}", kind.name, state.display());
        let mut command = Command::new(program);
        command.args(["--exact", "child_process", "--ignored", "--nocapture", "--test-threads=1"]).env(ORDER, order);
        let output = command.stdin(Stdio::null()).output().expect("a child");
        let text = std::fs::read_to_string(&state).expect("the child's state");
        let mut lines = text.lines();
        let reached: u64 = lines.next().and_then(|line| line.trim().parse().ok()).unwrap_or(from);
        for line in lines {
            let (number, what) = line.split_once(' ').unwrap_or_default();
            found.push(keep(kind, &folder, seed, number.parse().unwrap_or(0), what));
        }
        if output.status.success() {
            from = reached;
            if matches!(bound, Bound::Inputs(_)) { break } else { continue }
        }
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        let last = err.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default().to_string();
        let how = match (output.status.code(), output.status.signal()) {
            (Some(HANGS), _) => format!("took more than {LONGEST} s"),
            (_, Some(signal)) => format!("signal {signal}: {last}"),
            (code, _) => format!("exit {code:?}: {last}"),
        };
        found.push(keep(kind, &folder, seed, reached, &how));
        from = reached + 1;
    }
    let _ = std::fs::remove_file(&state);
    let took = started.elapsed().as_secs_f64();
    eprintln!("{}: {from} inputs in {took:.0} s, {} findings", kind.name, found.len());
    assert!(found.is_empty(), "{} findings:\n{}", found.len(), found.join("\n"));
}

/// Writes an input that something was found with; a line about it.
fn keep(kind: &Kind, folder: &Path, seed: u64, number: u64, what: &str) -> String {
    let file = folder.join(format!("{}-{seed}-{number}", kind.name));
    std::fs::write(&file, input(kind, &(kind.corpus)(), seed, number)).expect("a file");
    format!("{}: {what}", file.display())
}

thread_local! {
    /// Where the last panic of this thread was.
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// The number of the input that is being read.
static NOW: AtomicU64 = AtomicU64::new(0);

/// The child's work.
pub fn work() {
    let Ok(order) = std::env::var(ORDER) else { return };
    let words: Vec<&str> = order.splitn(6, ' ').collect();
    let number = |at: usize| -> u64 { words[at].parse().expect("a number") };
    let (kind, seed, from, to, seconds) = (kind(words[0]), number(1), number(2), number(3), number(4));
    let state = PathBuf::from(words[5]);
    std::panic::set_hook(Box::new(|info| {
        let said = info.to_string().replace('\n', " ");
        PANIC.with(|panic| *panic.borrow_mut() = said);
    }));
    let corpus = (kind.corpus)();
    let mut room = Room::new();
    for input in &corpus {
        (kind.read)(&mut room, input);
    }
    limit_memory();
    NOW.store(from, Ordering::Relaxed);
    std::thread::spawn(watch);
    let started = Instant::now();
    let mut found = String::new();
    for number in from..to {
        if seconds > 0 && started.elapsed().as_secs() >= seconds {
            break;
        }
        NOW.store(number, Ordering::Relaxed);
        std::fs::write(&state, format!("{number}\n{found}")).expect("a file");
        let bytes = input(kind, &corpus, seed, number);
        let read = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| (kind.read)(&mut room, &bytes)));
        if read.is_err() {
            let said = PANIC.with(|panic| panic.borrow().clone());
            found.push_str(&format!("{number} {said}\n"));
            room = Room::new();
        }
    }
    let reached = NOW.load(Ordering::Relaxed) + 1;
    std::fs::write(&state, format!("{reached}\n{found}")).expect("a file");
}

/// Ends the process when an input takes too long.
fn watch() {
    let (mut last, mut since) = (u64::MAX, Instant::now());
    loop {
        std::thread::sleep(Duration::from_millis(200));
        let now = NOW.load(Ordering::Relaxed);
        if now != last {
            (last, since) = (now, Instant::now());
        } else if since.elapsed().as_secs() >= LONGEST {
            // SAFETY: ends the process without running anything of it.
            unsafe { libc::_exit(HANGS) };
        }
    }
}

/// Lets the process have so much more memory than it has.
fn limit_memory() {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = pages.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or(1 << 20);
    let most = pages * 4096 + MOST_MEMORY;
    let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
    // SAFETY: a limit for this process.
    unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) };
}
