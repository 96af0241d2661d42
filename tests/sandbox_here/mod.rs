//! Machines without a sandbox: what needs one is skipped, and says so. Where `FAIRMARK_REQUIRE_SANDBOX` is set, it fails instead.

use fairmark::sandbox::{Sandbox, Settings};
use std::io::Write;
use std::sync::OnceLock;

/// Ends the whole test program, as passed, where no sandbox can be opened.
pub fn or_skip() {
    static ASKED: OnceLock<()> = OnceLock::new();
    ASKED.get_or_init(|| {
        if let Err(err) = Sandbox::open(Settings::default()) {
            assert!(std::env::var_os("FAIRMARK_REQUIRE_SANDBOX").is_none(), "no sandbox here: {err}");
            say(&format!("skipped: all tests of this file, because there is no sandbox here: {err}"));
            std::process::exit(0);
        }
    });
}

/// Says something past the test harness, which keeps what passing tests print to itself.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
