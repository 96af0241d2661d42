//! What formats of one model cost: the tables of runs that have distributions.

use crate::compare::quantisation::{Quantisation, Reader, quantisation};
use crate::compare::{Comparison, Options, compare};
use crate::error::Result;
use crate::fidelity;
use crate::record::Run;

/// Every run against the first.
pub fn against_first(runs: &[(String, Run)], options: &Options) -> Result<Vec<Comparison>> {
    let Some(((label, base), others)) = runs.split_first() else { return Ok(Vec::new()) };
    others.iter().map(|(other, run)| compare((label, base), (other, run), options)).collect()
}

/// The tables of runs, where one of them has distributions. `comparisons`: of each with the first.
pub fn costs(runs: &[(String, Run)], comparisons: &[Comparison]) -> Result<Option<Quantisation>> {
    let columns: Vec<(&str, &Run)> = runs.iter().map(|(label, run)| (label.as_str(), run)).collect();
    // Only our own runs have a folder of their own.
    let headers = |run: &Run| if run.path.is_dir() { fidelity::headers(&run.path) } else { Ok(Vec::new()) };
    let positions = |run: &Run, header: &fidelity::Header| fidelity::positions(&run.path, header);
    quantisation(&columns, comparisons, Reader { headers: &headers, positions: &positions })
}
