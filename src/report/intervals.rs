//! What stands under tables with intervals: their methods, when these mislead, and what has no interval.

use super::view::named;
use crate::compare::{Found, Intervals};
use crate::estimate::{Estimate, StderrMethod};
use crate::record::Run;
use crate::remark::{Gathered, Remark, gather};
use crate::stats::{Caution, METHODS, Method, Scope};

/// Lines of either kind.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Below {
    /// What the intervals are.
    pub said: Vec<String>,
    /// What to beware of.
    pub warned: Vec<String>,
}

/// What there is to say of the intervals of runs.
pub(super) fn below(runs: &[(&str, &Run)], intervals: &Intervals) -> Below {
    let mut used: Vec<(Method, &'static str, Vec<String>)> = Vec::new();
    let mut remarks: Vec<Remark> = Vec::new();
    for (place, (label, run)) in runs.iter().enumerate() {
        for (name, estimate) in figures(run) {
            let figure = format!("{} of {name}", named(&estimate.metric, &estimate.filter));
            let subject = if runs.len() > 1 { format!("{label}: {figure}") } else { figure.clone() };
            match intervals.of(place, name, estimate) {
                Some(Ok(found)) => {
                    let of_clusters = |caution: &&Caution| matches!(caution, Caution::OtherClusters { .. });
                    let (method, meaning) =
                        (found.method, meaning(found.scope, found.cautions.iter().any(|c| of_clusters(&c))));
                    let others = found.cautions.iter().filter(|caution| !of_clusters(caution));
                    remarks.extend(others.map(|caution| Remark::warning(&subject, caution.to_string())));
                    match used.iter_mut().find(|(m, known, _)| (*m, *known) == (method, meaning)) {
                        Some((.., figures)) if figures.contains(&figure) => {}
                        Some((.., figures)) => figures.push(figure),
                        None => used.push((method, meaning, vec![figure])),
                    }
                }
                Some(Err(reason)) => remarks.push(Remark::warning(&subject, no_interval(estimate, reason))),
                None => {}
            }
        }
    }
    used.sort_by_key(|(method, ..)| METHODS.iter().position(|known| known == method));
    let mut said = Vec::new();
    if !used.is_empty() {
        said.push(format!("[ ] {:.0} % intervals, by the methods:", 100.0 * intervals.level.confidence()));
    }
    said.extend(used.iter().map(|(method, meaning, figures)| {
        let row = method.row();
        format!("{}, scope {meaning}: {}; it misleads {}", row.name, first_of(figures), row.misleads)
    }));
    Below { said, warned: gather(&remarks).iter().map(Gathered::line).collect() }
}

/// All figures of a run, with the names of their tasks and groups.
fn figures(run: &Run) -> impl Iterator<Item = (&str, &Estimate)> {
    let tasks = run.tasks.iter().flat_map(|task| task.estimates.iter().map(|estimate| (task.name.as_str(), estimate)));
    let groups = run.groups.iter();
    tasks.chain(groups.flat_map(|group| group.estimates.iter().map(|estimate| (group.name.as_str(), estimate))))
}

/// Figures that are named; the others are counted.
const NAMED: usize = 3;

/// `acc of a, acc of b, acc of c and 54 more`
fn first_of(figures: &[String]) -> String {
    let named: Vec<&str> = figures.iter().take(NAMED).map(String::as_str).collect();
    match figures.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// A scope with the question that an interval of it answers.
fn meaning(scope: Scope, of_clusters: bool) -> &'static str {
    match (scope, of_clusters) {
        (Scope::Documents, _) => "documents (these very documents)",
        (Scope::Reruns, _) => "reruns (the same documents asked again)",
        (Scope::Population, false) => "population (further documents of this kind)",
        (Scope::Population, true) => {
            "population (further clusters of this kind, not further documents of the same ones)"
        }
    }
}

/// Why a figure has no interval, and what stands in its place.
fn no_interval(estimate: &Estimate, reason: &str) -> String {
    let instead = match (estimate.stderr, estimate.stderr_method) {
        (None, _) => "it stands alone",
        (Some(_), Some(StderrMethod::Bootstrap)) => "± is its standard error by bootstrap, as the reference has it",
        (Some(_), Some(StderrMethod::Mean)) => "± is its standard error as a mean, as the reference has it",
        (Some(_), Some(StderrMethod::Pooled)) => "± is its standard error pooled over tasks, as the reference has it",
        (Some(_), Some(StderrMethod::UnweightedMean)) => "± is its standard error over tasks alike",
        (Some(_), None) => "± is its standard error as the run has it",
    };
    format!("no interval: {reason}; {instead}")
}

/// An interval as it stands behind its value: with so many digits that its width shows two.
pub(super) fn ends(low: f64, high: f64) -> String {
    let width = high - low;
    let largest = low.abs().max(high.abs());
    if !(1e-4..1e6).contains(&width) || largest >= 1e6 {
        return format!("[{low:.3e}, {high:.3e}]");
    }
    let digits = (1.0 - width.log10().floor()).clamp(0.0, 5.0) as usize;
    // No minus in front of what is shown as 0.
    let shown = |end: f64| {
        let text = format!("{end:.digits$}");
        if text.chars().any(|c| ('1'..='9').contains(&c)) { text } else { text.trim_start_matches('-').to_owned() }
    };
    format!("[{}, {}]", shown(low), shown(high))
}

/// The interval of a figure, where it has one.
pub(super) fn found<'a>(
    intervals: Option<&'a Intervals>,
    run: usize,
    name: &str,
    estimate: &Estimate,
) -> Option<&'a Found> {
    intervals.and_then(|intervals| intervals.of(run, name, estimate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_show_their_width() {
        let shown = [
            ((0.6123, 0.7644), "[0.61, 0.76]"),
            ((0.68067, 0.72980), "[0.681, 0.730]"),
            ((0.94, 0.9462), "[0.9400, 0.9462]"),
            ((-0.004, 0.95), "[0.00, 0.95]"),
            ((12.3, 47.9), "[12, 48]"),
            ((3.2, 5.9), "[3.2, 5.9]"),
            ((0.5, 0.50001), "[5.000e-1, 5.000e-1]"),
            ((2e6, 3e6), "[2.000e6, 3.000e6]"),
        ];
        for ((low, high), text) in shown {
            assert_eq!(ends(low, high), text);
        }
    }
}
