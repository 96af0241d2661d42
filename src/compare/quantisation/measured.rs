//! The divergences of one run: all tasks together, each task, each text; and how they stand to what rounding alone does.

use crate::error::{Error, Result};
use crate::estimate::figure;
use crate::fidelity::{Header, Kind, Position, Summary, Total, totals};
use crate::record::Run;
use serde::Serialize;

/// How sources that are texts begin.
const CORPUS: &str = "corpus:";

/// The name of all tasks together.
const ALL: &str = "all tasks";

/// Within so many times the line a format does no more than rounding does.
const WITHIN: f64 = 2.0;

/// The divergence of one format from the reference on one source, or on all tasks together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Divergence {
    pub format: String,
    /// A task, `all tasks`, or `corpus:<file name>`.
    pub source: String,
    /// How many sources these are the positions of.
    pub sources: usize,
    pub kind: Kind,
    /// Tokens of a window of a text.
    pub window: Option<usize>,
    /// `kl_sampled`: what storing the reference's rows cost, on average.
    #[serde(serialize_with = "figure::serialize")]
    pub floor: Option<f64>,
    /// The mean lies within twice that floor: it may be nothing but storage.
    pub within_floor: bool,
    pub standing: Standing,
    pub summary: Summary,
}

/// How a mean KL stands to that of the format that only rounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The reference against itself.
    Itself,
    /// The format that only rounds.
    Line,
    /// At most twice the line.
    WithinRounding,
    /// So many times the line.
    Times(f64),
    /// There is no line, or one of 0.
    Unknown,
}

/// One run with its divergences.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub label: String,
    pub rows: Vec<Divergence>,
    /// Of the first row: its KL by sequence, and what the tokens are known by. `None` where a position is not finite.
    pub totals: Option<(Vec<String>, Vec<Total>)>,
}

/// Positions that make a row.
struct Part<'a> {
    source: String,
    headers: Vec<&'a Header>,
    lists: Vec<&'a [Position]>,
}

impl Column {
    /// # Errors
    /// No position of a source is finite.
    pub(super) fn of((label, run): (&str, &Run), measured: &[(Header, Vec<Position>)]) -> Result<Column> {
        let parts = parts(measured);
        let rows = parts.iter().map(|part| {
            row(label, part).ok_or_else(|| {
                Error::input(format!("{label} has no finite position of {}", part.source)).file(&run.path)
            })
        });
        let rows: Vec<Divergence> = rows.collect::<Result<_>>()?;
        let first = parts.first().and_then(|part| {
            let tokens = part.headers.iter().map(|header| header.tokens_sha256.clone()).collect();
            Some((tokens, totals(&part.lists)?))
        });
        Ok(Column { label: label.to_owned(), rows, totals: first })
    }

    /// The row that stands for all: all tasks, or the only task, or the first text.
    pub(super) fn first(&self) -> Option<&Divergence> {
        self.rows.first()
    }

    /// Says how every row stands to the line's of the same source.
    pub(super) fn stand(&mut self, reference: &str, line: Option<&Column>) {
        let label = self.label.clone();
        for row in &mut self.rows {
            let same = |other: &&Divergence| other.source == row.source && other.kind == row.kind;
            let of_line = line.and_then(|line| line.rows.iter().find(same));
            row.standing = match of_line {
                _ if label == reference => Standing::Itself,
                _ if line.is_some_and(|line| line.label == label) => Standing::Line,
                // Over other sources it would be another line.
                Some(of_line) if of_line.sources == row.sources && all(of_line) == all(row) => {
                    standing(row.summary.kl.value, of_line.summary.kl.value)
                }
                _ => Standing::Unknown,
            };
        }
    }
}

/// Positions, with those that were not finite.
fn all(row: &Divergence) -> usize {
    row.summary.positions + row.summary.not_finite
}

fn standing(kl: f64, line: f64) -> Standing {
    match kl {
        kl if kl.is_infinite() || line.is_infinite() || line < 0.0 => Standing::Unknown,
        kl if kl <= WITHIN * line => Standing::WithinRounding,
        kl if line > 0.0 => Standing::Times(kl / line),
        _ => Standing::Unknown,
    }
}

/// All tasks of a kind together where they are several, each task, each text: the exact kinds first.
fn parts(measured: &[(Header, Vec<Position>)]) -> Vec<Part<'_>> {
    let (texts, tasks): (Vec<_>, Vec<_>) = measured.iter().partition(|(header, _)| header.source.starts_with(CORPUS));
    let part = |source: &str, of: &[&'_ (Header, Vec<Position>)]| -> (String, Vec<usize>) {
        let at = |one: &&(Header, Vec<Position>)| measured.iter().position(|known| std::ptr::eq(known, *one));
        (source.to_owned(), of.iter().filter_map(at).collect())
    };
    let mut found = Vec::new();
    for kind in [Kind::Full, Kind::Sampled, Kind::Lower] {
        let of_kind: Vec<_> = tasks.iter().filter(|(header, _)| header.kind == kind).copied().collect();
        if of_kind.len() > 1 {
            found.push(part(ALL, &of_kind));
        }
        found.extend(of_kind.iter().map(|one| part(&one.0.source, &[one])));
    }
    found.extend(texts.iter().map(|one| part(&one.0.source, &[one])));
    let made = |(source, at): (String, Vec<usize>)| {
        let of: Vec<&(Header, Vec<Position>)> = at.iter().filter_map(|at| measured.get(*at)).collect();
        let headers = of.iter().map(|(header, _)| header).collect();
        Part { source, headers, lists: of.iter().map(|(_, positions)| positions.as_slice()).collect() }
    };
    found.into_iter().map(made).collect()
}

fn row(label: &str, part: &Part<'_>) -> Option<Divergence> {
    let first = part.headers.first()?;
    let summary = Summary::of(&part.lists, first.vocabulary)?;
    let floor = floor(&part.headers);
    Some(Divergence {
        format: label.to_owned(),
        source: part.source.clone(),
        sources: part.headers.len(),
        kind: first.kind,
        window: first.window.filter(|_| part.headers.len() == 1),
        floor,
        within_floor: floor.is_some_and(|floor| summary.kl.value <= WITHIN * floor.abs()),
        standing: Standing::Unknown,
        summary,
    })
}

/// The mean over all positions; `None` where one source has none.
fn floor(headers: &[&Header]) -> Option<f64> {
    let of = |header: &&Header| Some(header.floor? * header.positions as f64);
    let sum: f64 = headers.iter().map(of).sum::<Option<f64>>()?;
    let positions: f64 = headers.iter().map(|header| header.positions as f64).sum();
    Some(sum / positions).filter(|floor| floor.is_finite())
}

/// The run in whose format the reference's weights are only rounded: bfloat16; float32 where the reference is that.
pub(super) fn rounding<'a>(runs: &[(&'a str, &Run)], reference: &str) -> Option<&'a str> {
    let of_reference = &runs.iter().find(|(label, _)| *label == reference)?.1.model;
    let is_plain = |storage: &str| matches!(storage, "float32" | "bfloat16" | "float16");
    let stored = of_reference.storage.as_deref().filter(|storage| is_plain(storage))?;
    let wanted = if stored == "bfloat16" { "float32" } else { "bfloat16" };
    let is = |(label, run): &&(&str, &Run)| {
        let same_size = match (run.model.num_parameters, of_reference.num_parameters) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => true,
        };
        let stored_so = run.model.storage.as_deref() == Some(wanted) && run.model.precision.is_none();
        *label != reference && stored_so && same_size
    };
    runs.iter().find(is).map(|(label, _)| *label)
}
