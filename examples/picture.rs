//! Makes the picture of the README: what `fairmark demo` prints on a terminal, as SVG.
//!
//!     cargo build --release && cargo run --release --example picture -- target/release/fairmark docs/demo.svg
//!
//! The program is run for it; nothing in the picture is written by hand.

use std::error::Error;
use std::process::Command;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(program), Some(file)) = (arguments.next(), arguments.next()) else {
        return Err("say which program to run and where the picture goes: target/release/fairmark docs/demo.svg".into());
    };
    let out = tempfile::tempdir()?;
    let output = Command::new(program).args(["demo", "--out"]).arg(out.path()).env("CLICOLOR_FORCE", "1").output()?;
    if !output.status.success() {
        return Err(format!("the demo did not succeed: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let table = String::from_utf8(output.stdout)?;
    let screen = format!("\u{1b}[1;32m$\u{1b}[0m \u{1b}[1mfairmark demo\u{1b}[0m\n\n{table}");
    let picture = anstyle_svg::Term::new().render_svg(&screen);
    std::fs::write(&file, picture)?;
    println!("{file} shows {} lines of `fairmark demo`", table.lines().count());
    Ok(())
}
