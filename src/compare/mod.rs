//! What changed between runs over the same documents: pairs, flips, differences with their intervals, a sentence.
//!
//! Comes in: runs as they stand on disk, ours or another harness's. Goes out: [`Comparison`]s, stars and [`Intervals`], plain data for a
//! renderer. Never: asks a model, prints, or compares what is not comparable.

mod check;
mod group;
mod interval;
mod pair;
pub mod power;
pub mod quantisation;
mod row;
mod scores;
mod sentence;
mod stars;

pub use interval::{Found, Intervals, intervals};
pub use row::{Flipped, Row};
pub use stars::{Stars, stars};

use crate::error::{Error, Result};
use crate::record::Run;
use crate::stats::{Correction, Level, Scope};
use serde::Serialize;

/// What may be compared, and how wide intervals are.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Use what both runs have, and leave out the rest, instead of refusing.
    pub intersect: bool,
    /// Confidence of the intervals.
    pub level: Level,
}

impl Default for Options {
    fn default() -> Self {
        Options { intersect: false, level: Level::P95 }
    }
}

/// A candidate against its base.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    pub base: String,
    pub candidate: String,
    /// Confidence of the intervals.
    pub level: Level,
    /// What the intervals and the tests are about.
    pub scope: Scope,
    /// Both engines give the same answers again: on these documents the differences are exact.
    pub exact: bool,
    /// A row for each task, filter and metric, and one for each group.
    pub rows: Vec<Row>,
    /// What was left out, and why.
    pub left_out: Vec<String>,
    /// What else to know.
    pub notes: Vec<String>,
    /// The verdict in words.
    pub sentence: String,
    /// Documents that got worse most.
    pub worst: Vec<Flipped>,
}

/// Documents of a comparison that are listed as having got worse.
const MOST_WORST: usize = 10;

/// Compares a candidate with its base.
///
/// # Errors
/// They differ in tasks, documents, shots, filters, metrics or task versions, and `intersect` does not allow it; nothing is left to
/// compare; samples are missing or damaged.
pub fn compare(base: (&str, &Run), candidate: (&str, &Run), options: &Options) -> Result<Comparison> {
    let mut found = row::Found::default();
    let common = check::common_tasks(base.1, candidate.1, &mut found.differs);
    let mut parts = Vec::new();
    for (of_base, of_candidate) in &common {
        check::refuse(&found.differs, candidate.1, options.intersect)?;
        parts.extend(row::rows((base.1, of_base), (candidate.1, of_candidate), options, &mut found)?);
    }
    check::refuse(&found.differs, candidate.1, options.intersect)?;
    let row::Found { mut rows, mut worst, differs, mut notes } = found;
    if rows.is_empty() {
        let said = if differs.is_empty() { "no task has figures".to_owned() } else { differs.join("; ") };
        return Err(Error::input(format!("these runs have no figure in common: {said}")).file(&candidate.1.path));
    }
    adjust(&mut rows);
    let rows = group::with_groups(rows, (base.1, candidate.1), &parts, options.level);
    worst.sort_by(|a: &Flipped, b: &Flipped| a.change.total_cmp(&b.change));
    worst.truncate(MOST_WORST);
    notes.sort();
    notes.dedup();
    let sentence = sentence::sentence(candidate.0, &rows);
    Ok(Comparison {
        base: base.0.into(),
        candidate: candidate.0.into(),
        level: options.level,
        scope: Scope::Population,
        exact: base.1.repeatable == Some(true) && candidate.1.repeatable == Some(true),
        rows,
        left_out: differs,
        notes,
        sentence,
        worst,
    })
}

/// Holds every p against all others of the table.
fn adjust(rows: &mut [Row]) {
    let ps: Vec<f64> = rows.iter().filter_map(|row| row.paired.as_ref().map(|paired| paired.test.p)).collect();
    let Ok(adjusted) = Correction::Holm.adjust(&ps) else { return };
    let tested = rows.iter_mut().filter(|row| row.paired.is_some());
    for (row, p) in tested.zip(adjusted) {
        row.p_adjusted = Some(p);
    }
}
