//! Positions on disk: a table beside the run's samples, and what is known of it as a whole.

use super::{Header, Position};
use crate::error::{Error, Result};
use crate::file::{self, unique_name};
use polars::prelude::{Column, DataFrame, IntoColumn, NamedFrom, ParquetWriter, PolarsResult, Series};
use std::path::Path;

/// The files of one source in a run folder: header, table. `start`: the run's start, as its other files have it in their names.
pub fn names(source: &str, start: &str) -> [String; 2] {
    let stem = format!("distributions_{}_{}", unique_name(source), start.replace(':', "-"));
    [format!("{stem}.json"), format!("{stem}.parquet")]
}

/// Writes the positions of a source into a run folder, the header last: without it there is no table.
///
/// # Errors
/// A file cannot be written.
pub fn write(folder: &Path, start: &str, header: &Header, positions: &[Position]) -> Result<()> {
    let [about, table] = names(&header.source, start).map(|name| folder.join(name));
    let failed = |err: polars::prelude::PolarsError| Error::input("cannot write as Parquet").file(&table).cause(err);
    let mut bytes = Vec::new();
    let mut frame = frame(positions).map_err(failed)?;
    ParquetWriter::new(&mut bytes).finish(&mut frame).map_err(failed)?;
    let text = serde_json::to_string_pretty(header).map_err(|err| Error::input("cannot encode a header").cause(err))?;
    whole(&table, &bytes)?;
    whole(&about, format!("{text}\n").as_bytes())
}

fn whole(path: &Path, bytes: &[u8]) -> Result<()> {
    file::write_whole(path, bytes).map_err(|err| {
        let remedy = file::remedy(&err);
        Error::io("cannot write", path, err).hint(remedy)
    })
}

/// The table: a row for each position.
fn frame(positions: &[Position]) -> PolarsResult<DataFrame> {
    fn column<T>(name: &str, values: Vec<T>) -> Column
    where
        Series: NamedFrom<Vec<T>, [T]>,
    {
        Series::new(name.into(), values).into_column()
    }
    let numbers = |of: fn(&Position) -> f64| positions.iter().map(of).collect::<Vec<f64>>();
    let columns = vec![
        column("sequence", positions.iter().map(|p| p.sequence).collect::<Vec<u32>>()),
        column("kl", numbers(|p| p.kl)),
        column("reference_logprob", numbers(|p| p.reference_logprob)),
        column("candidate_logprob", numbers(|p| p.candidate_logprob)),
        column("reference_top", numbers(|p| p.reference_top)),
        Series::new("same_top".into(), positions.iter().map(|p| p.same_top).collect::<Vec<bool>>()).into_column(),
        column("top5", positions.iter().map(|p| u32::from(p.top5)).collect::<Vec<u32>>()),
    ];
    DataFrame::new(positions.len(), columns)
}
