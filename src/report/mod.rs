//! Runs to screens and tables: plain data that others made comes in, text goes out.
//!
//! Comes in: runs as they stand on disk ([`Run`](crate::record::Run)), comparisons. Goes out: text. Never: computes a statistic, or reads a
//! model, data or a run's files.

mod benchmarks;
mod comparison;
mod grid;
mod intervals;
mod plain;
mod power;
mod quantisation;
mod quantisation_csv;
mod runs;
mod table;
mod view;
#[cfg(test)]
mod view_tests;

pub use benchmarks::{Benchmark, CARD, HEADINGS, benchmarks_markdown};
pub use comparison::{comparisons_csv, render_against_base, render_comparisons, render_matrix};
pub use grid::{Grid, GridCell, Look, terminal_width};
pub use power::render_power;
pub use quantisation::render_quantisation;
pub use quantisation_csv::quantisation_csv;
pub use runs::{runs_csv, runs_json};
pub use table::{Style, render_all};
pub use view::{SideBySide, side_by_side, side_by_side_with};
