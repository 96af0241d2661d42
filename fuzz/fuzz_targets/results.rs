//! Any bytes as this kind of file; what is read is in `tests/fuzz/targets.rs`, and `tests/fuzz.rs` does the same without a fuzzer.
//!
//! `cargo +nightly fuzz run results -- -max_total_time=3600 -rss_limit_mb=4096 -timeout=20`

#![no_main]

#[path = "../../tests/fuzz/targets.rs"]
#[allow(dead_code)]
mod targets;

use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;

thread_local! {
    static ROOM: RefCell<targets::Room> = RefCell::new(targets::Room::new());
}

fuzz_target!(|bytes: &[u8]| {
    ROOM.with(|room| targets::results(&mut room.borrow_mut(), bytes));
});
