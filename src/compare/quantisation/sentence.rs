//! What a format cost, in words.

use super::super::Comparison;
use super::chance::AtChance;
use super::measured::{Column, Divergence, Standing};
use crate::fidelity::Kind;
use crate::visible;

/// `q4_k: no figure moved beyond noise (...); 3.1 % of 1319 answers flipped (21 to wrong, 20 to right); KL 0.0210 ± 0.0020, 40× the bf16
/// line; the worst 1 % of positions carry 35 % of it`.
pub(super) fn sentence(
    column: &Column,
    comparison: Option<&Comparison>,
    (rounding, at_chance): (Option<&str>, &[AtChance]),
) -> String {
    let label = &column.label;
    let scores = comparison.map(|comparison| {
        let sentence = comparison.sentence.as_str();
        sentence.strip_prefix(label.as_str()).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(sentence).to_owned()
    });
    let mut parts: Vec<String> = scores.into_iter().collect();
    match column.first() {
        // Whose run it is need not be said.
        Some(row) if row.standing == Standing::Itself => {}
        Some(row) => parts.extend(divergence(row, rounding)),
        None => parts.push("its distributions were not recorded".to_owned()),
    }
    // Only of tasks that were compared.
    let compared = |found: &&AtChance| {
        comparison.is_some_and(|comparison| comparison.rows.iter().any(|row| row.task == found.task))
    };
    let of = |found: &AtChance| format!("{} ({:.4}, chance {:.4})", found.task, found.score, found.chance);
    let guessed: Vec<String> = at_chance.iter().filter(compared).map(of).collect();
    if !guessed.is_empty() {
        let names = visible::list(&guessed);
        parts.push(format!("the base itself is at chance on {names}: a change there says nothing of quality"));
    }
    format!("{label}: {}", parts.join("; "))
}

fn divergence(row: &Divergence, rounding: Option<&str>) -> Vec<String> {
    let summary = &row.summary;
    let on = if row.source.starts_with("corpus:") { format!(" on {}", row.source) } else { String::new() };
    if summary.infinite > 0 {
        let of = summary.positions;
        let median = figure(summary.median);
        return vec![format!(
            "KL{on} infinite: at {} of {of} positions it rules out what the reference holds possible (median {median})",
            summary.infinite
        )];
    }
    let measure = match row.kind {
        Kind::Full => format!("KL{on}"),
        Kind::Sampled => format!("KL{on} (of a sample of positions)"),
        Kind::Lower => format!("KL{on} at least"),
    };
    let error = summary.kl.stderr.map(|stderr| format!(" ± {}", figure(stderr))).unwrap_or_default();
    let value = match summary.kl.value {
        0.0 if summary.max == 0.0 => return vec![format!("{measure} 0: every distribution is the reference's")],
        value => format!("{measure} {}{error}", figure(value)),
    };
    let line = rounding.map_or_else(|| "the line".to_owned(), |label| format!("the {label} line"));
    let standing = match row.standing {
        _ if row.within_floor => ", within twice the floor of the stored rows".to_owned(),
        Standing::Line => ", which is the line of rounding".to_owned(),
        Standing::WithinRounding => format!(", within rounding (at most twice {line})"),
        Standing::Times(times) => format!(", {}× {line}", multiple(times)),
        Standing::Itself | Standing::Unknown => String::new(),
    };
    let mut said = vec![format!("{value}{standing}")];
    said.extend(summary.worst.map(|worst| {
        let share = 100.0 * worst.share;
        format!("the worst 1 % of positions carry {share:.0} % of it")
    }));
    said
}

/// Four decimals, or three significant digits of what would be 0.
fn figure(value: f64) -> String {
    if value != 0.0 && value.abs() < 1e-3 { format!("{value:.2e}") } else { format!("{value:.4}") }
}

/// `2.7`, `40`
fn multiple(times: f64) -> String {
    if times < 10.0 { format!("{times:.1}") } else { format!("{times:.0}") }
}
