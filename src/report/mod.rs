//! Runs to files and screens: the reference's result files, a Parquet of the samples, the terminal's table.
//!
//! Comes in: finished runs. Goes out: text and bytes. Never: computes a statistic, or reads a model.

mod benchmarks;
mod grid;
mod parquet;
mod results;
mod samples;
mod table;
mod view;
#[cfg(test)]
mod view_tests;

pub use benchmarks::{Benchmark, CARD, HEADINGS, benchmarks_markdown};
pub use grid::{Grid, GridCell, Look, terminal_width};
pub use parquet::samples_parquet;
pub use results::{JudgeReport, ResultsInput, results_json};
pub use samples::{TaskSamples, samples_jsonl};
pub use table::{Style, render_all};
pub use view::{Cell, Comparison, Note, Row, compare};
