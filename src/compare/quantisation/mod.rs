//! What quantising cost: formats of one model against a reference, in sizes, speed, scores and distributions.
//!
//! Comes in: runs, their comparisons with the first of them, and the positions at which their distributions were held against its own. Goes
//! out: [`Quantisation`], plain data for a renderer. Refuses what cannot stand side by side: see [`quantisation`].

mod chance;
mod check;
mod measured;
mod pareto;
mod sentence;
mod size;
#[cfg(test)]
mod tests;

pub use chance::AtChance;
pub use measured::{Divergence, Standing};
pub use pareto::Dominated;
pub use size::Size;

use super::{Comparison, Row};
use crate::error::Result;
use crate::fidelity::{Header, Position};
use crate::record::Run;
use crate::visible;
use measured::Column;
use serde::Serialize;

/// What formats cost against a reference. Every part is in the order of the runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quantisation {
    /// The run that scores are compared with.
    pub base: String,
    /// The run that distributions were held against: the base, where nobody turned them round.
    pub reference: String,
    /// The format that only rounds: what lies within twice its divergence is within rounding. `None` where there is none among the runs.
    pub rounding: Option<String>,
    /// All runs, the base first.
    pub sizes: Vec<Size>,
    pub scores: Vec<Score>,
    /// By format: all tasks together, each task, each text.
    pub divergences: Vec<Divergence>,
    /// Formats that another one beats in size and in nearness.
    pub dominated: Vec<Dominated>,
    /// Tasks on which the base does no better than chance.
    pub at_chance: Vec<AtChance>,
    /// One for each format.
    pub sentences: Vec<String>,
    /// What else to know.
    pub notes: Vec<String>,
}

/// A figure of a task under a format, against the reference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Score {
    pub format: String,
    #[serde(flatten)]
    pub row: Row,
}

/// Where distributions are read from: [`fidelity`](crate::fidelity), in most cases.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    /// What a run has positions of; nothing where it has none.
    pub headers: &'a dyn Fn(&Run) -> Result<Vec<Header>>,
    /// The positions that one of them is about.
    pub positions: &'a dyn Fn(&Run, &Header) -> Result<Vec<Position>>,
}

/// The tables of runs with their labels, the base of the `comparisons` first. `None` where no run has distributions. Headers are read first,
/// then the positions of one run at a time.
///
/// # Errors
/// Two runs have positions of other kinds, of other tokens or vocabularies, or against other references; a format replaced no weight; no
/// position of a source is finite; the reference differs from itself; those of `read`.
pub fn quantisation(
    runs: &[(&str, &Run)],
    comparisons: &[Comparison],
    read: Reader<'_>,
) -> Result<Option<Quantisation>> {
    let Some((base, _)) = runs.first() else { return Ok(None) };
    let recorded = runs.iter().map(|(label, run)| Ok((*label, *run, (read.headers)(run)?)));
    let mut recorded: Vec<check::Recorded<'_>> = recorded.collect::<Result<_>>()?;
    let Some(checked) = check::check(&mut recorded)? else { return Ok(None) };
    let columns = recorded.iter().map(|recorded| column(recorded, &checked.spec, read));
    let columns: Vec<Column> = columns.collect::<Result<_>>()?;
    let reference = checked.reference.as_str();
    let line = measured::rounding(runs, reference);
    let line = line.and_then(|label| columns.iter().find(|column| column.label == label)).cloned();
    let line = line.filter(|line| !line.rows.is_empty());
    let sizes: Vec<Size> = runs.iter().map(|(label, run)| Size::of(label, run)).collect();
    let at_chance = runs.first().map_or(Ok(Vec::new()), |(_, run)| chance::at_chance(run))?;
    let mut found = Quantisation {
        base: (*base).to_owned(),
        reference: reference.to_owned(),
        rounding: line.as_ref().map(|line| line.label.clone()),
        dominated: pareto::dominated(&sizes, &columns, reference),
        scores: Vec::new(),
        divergences: Vec::new(),
        sentences: Vec::new(),
        notes: [checked.notes.clone(), notes(&columns, &sizes, reference)].concat(),
        at_chance,
        sizes,
    };
    for mut column in columns {
        column.stand(reference, line.as_ref());
        if column.label != *base {
            let comparison = comparisons.iter().find(|c| c.base == *base && c.candidate == column.label);
            let rows = comparison.map(|comparison| comparison.rows.as_slice()).unwrap_or_default();
            found.scores.extend(rows.iter().map(|row| Score { format: column.label.clone(), row: row.clone() }));
            let rounding = found.rounding.as_deref();
            found.sentences.push(sentence::sentence(&column, comparison, (rounding, &found.at_chance)));
        }
        found.divergences.extend(column.rows);
    }
    Ok(Some(found))
}

/// The divergences of one run; its positions are kept no longer than that.
fn column((label, run, headers): &check::Recorded<'_>, reference: &str, read: Reader<'_>) -> Result<Column> {
    let is_reference = run.spec_sha256.as_deref() == Some(reference);
    let mut measured = Vec::new();
    for header in headers {
        let positions = (read.positions)(run, header)?;
        check::positions((label, run), header, &positions, is_reference)?;
        measured.push((header.clone(), positions));
    }
    Column::of((label, run), &measured)
}

/// What readers of the tables must know.
fn notes(columns: &[Column], sizes: &[Size], reference: &str) -> Vec<String> {
    let mut notes = Vec::new();
    // The reference need not be held against itself.
    let without = columns.iter().filter(|column| column.label != reference && column.rows.is_empty());
    let without: Vec<&str> = without.map(|column| column.label.as_str()).collect();
    if !without.is_empty() {
        let names = visible::list(&without);
        notes.push(format!("without distributions (`fairmark run --distributions` records them): {names}"));
    }
    let rows = || columns.iter().flat_map(|column| &column.rows).filter(|row| row.sources == 1);
    for Divergence { format, source, summary, .. } in rows() {
        if summary.not_finite > 0 {
            let of = summary.positions + summary.not_finite;
            notes.push(format!(
                "{format}: at {} of {of} positions of {source} a logit was no number: they are left out",
                summary.not_finite
            ));
        }
        if summary.infinite > 0 {
            notes.push(format!(
                "{format}: at {} positions of {source} the KL is infinite: the format gives no probability to what the reference holds possible",
                summary.infinite
            ));
        }
    }
    let few = rows().filter(|row| row.summary.sequences == 1 || row.summary.kl.of_few_sequences());
    let mut few: Vec<&str> = few.map(|row| row.source.as_str()).collect();
    few.sort_unstable();
    few.dedup();
    if !few.is_empty() {
        let names = visible::list(&few);
        notes.push(format!("fewer than 30 sequences, of which errors are made: they can be far too small ({names})"));
    }
    if sizes.iter().any(|size| size.tokens_per_second.is_some()) {
        notes.push("tokens/s: prompts and texts together, of the last session of each run, measured once".to_owned());
    }
    notes
}
