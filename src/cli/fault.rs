//! A panic is a fault of this program: said in one line, without the paths of the machine that built it.

use super::talk;
use std::backtrace::Backtrace;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::process::ExitCode;

/// The exit code where there is nothing that the user could mend or continue but by another command.
const CANNOT: u8 = 2;

/// Runs the program; a panic in it is said shortly and gives exit code 2.
pub fn guarded(program: impl FnOnce() -> ExitCode) -> ExitCode {
    std::panic::set_hook(Box::new(say));
    catch_unwind(AssertUnwindSafe(program)).unwrap_or(ExitCode::from(CANNOT))
}

fn say(info: &PanicHookInfo<'_>) {
    let payload = info.payload();
    let text = payload.downcast_ref::<&str>().copied().or(payload.downcast_ref::<String>().map(String::as_str));
    let message = text.unwrap_or("it does not say why");
    let place = info.location().map(|at| format!("{}:{}", short(at.file()), at.line())).unwrap_or_default();
    talk::say(format_args!("error: a fault of fairmark's own, at {place}: {message}"));
    talk::say(
        "  hint: please report this line with the command; what was answered is kept, and the same command goes on",
    );
    // Who asks for it gets all of it.
    if std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0") {
        Backtrace::force_capture().to_string().lines().for_each(talk::say);
    }
}

/// A source file without the folders that it lay in when the program was built: `src/cli/run.rs`, `polars-core-0.55.2/src/frame.rs`.
fn short(file: &str) -> &str {
    for above in ["/registry/src/", "\\registry\\src\\", "/git/checkouts/"] {
        if let Some((_, inside)) = file.split_once(above) {
            // The next part names the registry.
            return inside.split_once(['/', '\\']).map_or(inside, |(_, file)| file);
        }
    }
    match file.rsplit_once("/src/") {
        Some(_) if !file.starts_with('/') => file,
        Some((_, inside)) => inside,
        None => file.rsplit(['/', '\\']).next().filter(|_| file.starts_with('/')).unwrap_or(file),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_shown_without_the_builders_folders() {
        for (file, shown) in [
            ("src/cli/run.rs", "src/cli/run.rs"),
            ("/home/me/.cargo/registry/src/index.crates.io-19/polars-0.55/src/a/b.rs", "polars-0.55/src/a/b.rs"),
            ("C:\\me\\registry\\src\\index\\x-1\\src\\b.rs", "x-1\\src\\b.rs"),
            ("/home/me/fairmark/src/cli/run.rs", "cli/run.rs"),
            ("/rustc/59807616e/library/core/src/option.rs", "option.rs"),
            ("/home/me/build.rs", "build.rs"),
        ] {
            assert_eq!(short(file), shown, "{file}");
        }
    }
}
