//! Panics of libraries on hostile files, as errors: caught, their message kept, nothing printed. The ground floor.
//!
//! Our own code never panics on purpose, so its panics keep the usual message and end the program.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Characters of a panic's message that are kept: some libraries quote what they were given.
const LONGEST: usize = 300;

/// How the threads of polars' pool begin: a panic there is carried to the caller, but printed where it happens.
const POOL: &str = "polars";

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

static RUNNING: AtomicUsize = AtomicUsize::new(0);
static HOOK: Once = Once::new();

/// Runs a library's code; where it panics, gives the message (one line, shortened) and prints nothing.
///
/// What the code was changing when it panicked must not be used afterwards.
pub fn caught<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    HOOK.call_once(install);
    let _quiet = Quiet::begin();
    panic::catch_unwind(AssertUnwindSafe(run)).map_err(|payload| message(payload.as_ref()))
}

/// Keeps the hook quiet for this thread while it lives.
struct Quiet;

impl Quiet {
    fn begin() -> Quiet {
        DEPTH.set(DEPTH.get() + 1);
        RUNNING.fetch_add(1, Ordering::SeqCst);
        Quiet
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get().saturating_sub(1));
        RUNNING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Puts a hook before the one that is there.
fn install() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
        if !is_quiet() {
            before(info);
        }
    }));
}

fn is_quiet() -> bool {
    // A thread that is ending has no depth any more.
    let here = DEPTH.try_with(Cell::get).unwrap_or(0) > 0;
    let in_pool = || std::thread::current().name().is_some_and(|name| name.starts_with(POOL));
    here || (RUNNING.load(Ordering::SeqCst) > 0 && in_pool())
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str).or_else(|| payload.downcast_ref::<&str>().copied());
    let text = text.unwrap_or("no message").split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_is_kept() {
        assert_eq!(caught(|| 7), Ok(7));
        assert_eq!(caught(|| -> u8 { panic!("two\n  lines: {}", 1 + 1) }), Err("two lines: 2".to_owned()));
        assert_eq!(caught(|| -> u8 { panic!("plain") }), Err("plain".to_owned()));
        assert_eq!(caught(|| -> u8 { panic::panic_any(3) }), Err("no message".to_owned()));
        let long = caught(|| -> u8 { panic!("{}", "\u{e9}".repeat(1000)) }).unwrap_err();
        assert_eq!(long.chars().count(), LONGEST + 1);
    }

    #[test]
    fn one_inside_another_stays_quiet() {
        let inner = caught(|| {
            let inner = caught(|| -> u8 { panic!("inner") });
            assert!(is_quiet());
            inner
        });
        assert_eq!(inner, Ok(Err("inner".to_owned())));
        assert!(!is_quiet(), "the thread speaks again");
    }

    #[test]
    fn other_threads_are_not_silenced() {
        let outside = caught(|| std::thread::spawn(is_quiet).join().unwrap_or(true));
        assert_eq!(outside, Ok(false));
        let pool = caught(|| {
            let thread = std::thread::Builder::new().name("polars-0".into());
            thread.spawn(is_quiet).unwrap().join().unwrap_or(false)
        });
        assert_eq!(pool, Ok(true));
    }
}
