//! How often the intervals of `fairmark::stats` hold the truth, as a page of tables.
//!
//!     cargo run --release --example coverage > reports/coverage.md
//!
//! What has finitely many outcomes is counted out, without noise; the rest is simulated from fixed seeds, so that the same program
//! writes the same page on any number of processors.

mod exact;
mod simulated;
mod table;

use std::io::{self, Write};

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(INTRODUCTION.as_bytes())?;
    for section in exact::SECTIONS.iter().chain(simulated::SECTIONS) {
        write!(out, "\n{}", section())?;
    }
    Ok(())
}

const INTRODUCTION: &str = "\
# How often our intervals hold the truth

Made by `cargo run --release --example coverage > reports/coverage.md`, in about two minutes; `tests/coverage.rs` counts a part of it again.
All intervals are asked for 95 %. *Least*, *mean* and *most* are over the settings that stand above each table; *width* is the mean width of
the interval, in points. *Holds* says whether the mean lies between 94 and 96 % and the least is at least 92 % (from 50 values, pairs or
clusters on) or 94 % (from 500 on), up to two errors of the simulation; below 50 nothing is promised. No interval for right and wrong
answers can do better than this everywhere: their number is whole, so that coverage is a saw.

What is marked *(default)* is taken where none is asked for (`src/stats/choose.rs`, `src/stats/compare.rs`), and holds, except in the two
tables of outcomes that hardly ever occur, which say why. What does not hold is offered for those who ask for it, and `fairmark` takes it
only where nothing better has an end.
";
