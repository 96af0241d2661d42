//! Comparisons as tables: a candidate against its base, and all pairs in a matrix.

use super::grid::{Grid, GridCell, Look};
use super::plain::Plain;
use super::table::{Style, number};
use super::view::named;
use crate::compare::{Comparison, Flipped, Row};
use crate::error::Result;
use crate::remark::{Remark, gather};
use crate::stats::Caution;
use crate::visible;

/// Documents that are named as having got worse.
const MOST_NAMED: usize = 5;

/// Rows that are explained under a table.
const MOST_EXPLAINED: usize = 10;

/// Characters of a heading and of a task's name.
const LONGEST_HEADING: usize = 24;
const LONGEST_NAME: usize = 60;

/// A column of a comparison: its heading, and what stands in it.
struct Column<'a> {
    heading: String,
    is_right: bool,
    cell: Box<dyn Fn(&Row) -> String + 'a>,
}

/// All comparisons, with an empty line between them. A table that is wider than `width` columns of text is drawn in two parts.
pub fn render_comparisons(comparisons: &[Comparison], style: Style, width: Option<usize>) -> String {
    comparisons.iter().map(|comparison| render(comparison, style, width)).collect::<Vec<_>>().join("\n")
}

fn render(comparison: &Comparison, style: Style, width: Option<usize>) -> String {
    let keys = keys();
    let (figures, flips) = (figures(comparison), flips());
    let whole: Vec<&Column<'_>> = keys.iter().chain(&figures).chain(&flips).collect();
    let drawn = draw(comparison, &whole, style);
    let fits = width.is_none_or(|width| drawn.lines().all(|line| line.chars().count() <= width));
    let tables = if fits {
        drawn
    } else {
        let parts = [&figures, &flips].map(|part| keys.iter().chain(part).collect::<Vec<_>>());
        parts.map(|part| draw(comparison, &part, style)).join("\n")
    };
    let title = format!("{} against {}", comparison.candidate, comparison.base);
    let title = match style {
        Style::Markdown => format!("### {}\n\n", visible::markdown(&visible::message(&title))),
        _ => format!("{}\n", visible::message(&title)),
    };
    let shown = |line: &String| match style {
        Style::Markdown => format!("- {}\n", visible::markdown(&visible::message(line))),
        _ => format!("{}\n", visible::message(line)),
    };
    let lines: String = lines(comparison).iter().map(shown).collect();
    format!("{title}{tables}{}{lines}", if style == Style::Markdown { "\n" } else { "" })
}

fn draw(comparison: &Comparison, columns: &[&Column<'_>], style: Style) -> String {
    let look = if style == Style::Markdown { Look::Markdown } else { Look::Lines };
    let mut grid = Grid::new(look, style == Style::Colour);
    grid.header(columns.iter().map(|column| GridCell::new(column.heading.clone()).bold()));
    for row in &comparison.rows {
        let cells = columns.iter().map(|column| {
            let cell = GridCell::new((column.cell)(row));
            if row.moved() || row.is_group { cell.bold() } else { cell }
        });
        grid.row(cells);
    }
    if style != Style::Markdown {
        grid.padding((1, 0), |_| true);
    }
    grid.right(|index| columns.get(index).is_some_and(|column| column.is_right));
    grid.draw()
}

fn column<'a>(heading: impl Into<String>, is_right: bool, cell: impl Fn(&Row) -> String + 'a) -> Column<'a> {
    Column { heading: heading.into(), is_right, cell: Box::new(cell) }
}

fn figure(value: Option<f64>) -> String {
    value.map(number).unwrap_or_default()
}

fn count(value: Option<usize>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// `+0.0120`
pub(super) fn signed(value: f64) -> String {
    let text = number(value.abs());
    // What is shown as 0 has no sign.
    match text.chars().any(|c| c.is_ascii_digit() && c != '0') {
        true => format!("{}{text}", if value < 0.0 { '-' } else { '+' }),
        false => text,
    }
}

/// A p that is shown as 0 is not 0.
pub(super) fn probability(p: f64) -> String {
    if p < 5e-5 { "<0.0001".to_owned() } else { format!("{p:.4}") }
}

fn keys() -> Vec<Column<'static>> {
    vec![
        column("Task", false, |row| visible::excerpt(&row.task, LONGEST_NAME)),
        column("n", true, |row| row.n.to_string()),
        column("Metric", false, |row| named(&row.metric, &row.filter)),
        column("", false, |row| match row.higher_is_better {
            Some(true) => "↑".to_owned(),
            Some(false) => "↓".to_owned(),
            None => String::new(),
        }),
    ]
}

fn figures(comparison: &Comparison) -> Vec<Column<'_>> {
    let level = format!("{:.0} % interval", 100.0 * comparison.level.confidence());
    vec![
        column(visible::excerpt(&comparison.base, LONGEST_HEADING), true, |row| figure(row.base)),
        column(visible::excerpt(&comparison.candidate, LONGEST_HEADING), true, |row| figure(row.candidate)),
        column("Δ", true, |row| {
            let paired = row.paired.as_ref().map(|paired| paired.difference.value);
            let plain = || row.candidate.zip(row.base).map(|(candidate, base)| candidate - base);
            paired.or_else(plain).map(signed).unwrap_or_default()
        }),
        column("SE", true, |row| figure(row.paired.as_ref().map(|paired| paired.stderr))),
        column(level, true, |row| {
            let interval = row.paired.as_ref().map(|paired| paired.difference.interval);
            interval.map(|ends| format!("{} to {}", signed(ends.low()), signed(ends.high()))).unwrap_or_default()
        }),
    ]
}

fn flips() -> Vec<Column<'static>> {
    vec![
        column("→wrong", true, |row| count(row.paired.as_ref().and_then(|paired| paired.to_wrong))),
        column("→right", true, |row| count(row.paired.as_ref().and_then(|paired| paired.to_right))),
        column("wrong→other", true, |row| count(row.other_wrong)),
        column("p", true, |row| row.paired.as_ref().map(|paired| probability(paired.test.p)).unwrap_or_default()),
        column("p exact", true, |row| {
            let exact = row.paired.as_ref().and_then(|paired| paired.exact.as_ref());
            exact.map(|test| probability(test.p)).unwrap_or_default()
        }),
        column("p Holm", true, |row| {
            let star = if row.moved() { "*" } else { "" };
            row.p_adjusted.map(|p| format!("{star}{}", probability(p))).unwrap_or_default()
        }),
        column("could see", true, |row| figure(row.paired.as_ref().and_then(|paired| paired.detectable))),
    ]
}

/// What the columns mean.
const MEANING: &str = "p decides (McNemar's mid-p where answers are right or wrong), p Holm holds it against all rows of tasks; \"could see\" is \
                       the least difference that so many documents show in 80 % of cases";

/// What stands under the table.
fn lines(comparison: &Comparison) -> Vec<String> {
    let Comparison { rows, exact, left_out, notes, sentence, worst, scope, .. } = comparison;
    let mut lines = vec![sentence.clone()];
    let on_these = match exact {
        true => "on these documents the differences are exact: both engines repeat themselves; ",
        false => "",
    };
    lines.push(format!("scope: {on_these}intervals and p are about further documents of this kind ({scope})"));
    lines.push(MEANING.to_owned());
    let clustered = rows.iter().filter_map(|row| Some(format!("{} {}", row.task, row.clusters?)));
    let mut clustered: Vec<String> = clustered.collect();
    clustered.dedup();
    if !clustered.is_empty() {
        lines.push(format!(
            "clusters of documents that are alike: {}; intervals and p speak of further clusters like these",
            visible::list(&clustered)
        ));
    }
    lines.extend(left_out.iter().map(|what| format!("left out: {what}")));
    lines.extend(notes.iter().map(|note| format!("note: {note}")));
    lines.extend(cautions(rows));
    let of = |row: &Row| format!("{} of {}", named(&row.metric, &row.filter), row.task);
    let unpaired = rows.iter().filter_map(|row| {
        let reason = row.unpaired.as_ref()?;
        Some(format!("{}: no paired difference: {reason}", of(row)))
    });
    let unscored = rows.iter().filter(|row| row.unscored > 0);
    let unscored = unscored
        .map(|row| format!("{}: {} documents without a score in one of the runs are left out", of(row), row.unscored));
    let explained: Vec<String> = unpaired.chain(unscored).collect();
    lines.extend(explained.iter().take(MOST_EXPLAINED).cloned());
    if explained.len() > MOST_EXPLAINED {
        lines.push(format!("and {} more rows like these", explained.len() - MOST_EXPLAINED));
    }
    if !worst.is_empty() {
        lines.push("got worse, most first:".to_owned());
        lines.extend(worst.iter().take(MOST_NAMED).map(worse));
    }
    lines
}

/// What to beware of in the intervals and tests, each with the rows that it holds for.
fn cautions(rows: &[Row]) -> Vec<String> {
    let mut remarks = Vec::new();
    for row in rows {
        let Some(paired) = &row.paired else { continue };
        let subject = format!("{} of {}", named(&row.metric, &row.filter), row.task);
        let all = paired.difference.cautions.iter().chain(&paired.test.cautions);
        // That is said of all clusters at once.
        let others = all.filter(|caution| !matches!(caution, Caution::OtherClusters { .. }));
        remarks.extend(others.map(|caution| Remark::warning(&subject, caution.to_string())));
    }
    gather(&remarks).iter().map(|gathered| format!("caution: {}", gathered.line())).collect()
}

/// `  fairmark show copa --doc 3    # acc 1 → 0`
fn worse(flip: &Flipped) -> String {
    let Flipped { task, metric, filter, doc_id, base, candidate, .. } = flip;
    if !flip.shown {
        return format!(
            "  {task}, document {doc_id}: {} {} → {}",
            named(metric, filter),
            short(*base),
            short(*candidate)
        );
    }
    let (task, doc, metric) = (argument(task), argument(doc_id), named(metric, filter));
    format!("  fairmark show {task} --doc {doc}    # {metric} {} → {}", short(*base), short(*candidate))
}

/// A word for a shell: what could be more than a word is quoted.
fn argument(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@".contains(c);
    if !word.is_empty() && word.chars().all(plain) && !word.starts_with('-') {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn short(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e6 { format!("{value}") } else { number(value) }
}

/// The comparisons' rows, unrounded.
///
/// # Errors
/// The table cannot be written.
pub fn comparisons_csv(comparisons: &[Comparison]) -> Result<String> {
    let of = |comparison: &'_ Comparison| comparison.rows.len();
    let mut rows: Vec<(&Comparison, &Row)> = Vec::with_capacity(comparisons.iter().map(of).sum());
    for comparison in comparisons {
        rows.extend(comparison.rows.iter().map(|row| (comparison, row)));
    }
    let paired = |pick: fn(&crate::stats::Comparison) -> Option<f64>| {
        rows.iter().map(move |(_, row)| row.paired.as_ref().and_then(pick))
    };
    let counted = |pick: fn(&crate::stats::Comparison) -> Option<usize>| {
        rows.iter().map(move |(_, row)| row.paired.as_ref().and_then(pick))
    };
    let method = |row: &Row| row.paired.as_ref().map_or("", |paired| paired.difference.method.row().name);
    let test = |row: &Row| row.paired.as_ref().map_or("", |paired| paired.test.method.row().name);
    Plain::default()
        .texts("base", rows.iter().map(|(c, _)| &c.base))
        .texts("candidate", rows.iter().map(|(c, _)| &c.candidate))
        .texts("task", rows.iter().map(|(_, row)| &row.task))
        .texts("kind", rows.iter().map(|(_, row)| if row.is_group { "group" } else { "task" }))
        .texts("metric", rows.iter().map(|(_, row)| &row.metric))
        .texts("filter", rows.iter().map(|(_, row)| &row.filter))
        .counts("n", rows.iter().map(|(_, row)| Some(row.n)))
        .counts("unscored", rows.iter().map(|(_, row)| Some(row.unscored)))
        .numbers("base_value", rows.iter().map(|(_, row)| row.base))
        .numbers("candidate_value", rows.iter().map(|(_, row)| row.candidate))
        .numbers("difference", paired(|p| Some(p.difference.value)))
        .numbers("stderr", paired(|p| Some(p.stderr)))
        .numbers("low", paired(|p| Some(p.difference.interval.low())))
        .numbers("high", paired(|p| Some(p.difference.interval.high())))
        .numbers("confidence", rows.iter().map(|(c, row)| row.paired.as_ref().map(|_| c.level.confidence())))
        .texts("interval_method", rows.iter().map(|(_, row)| method(row)))
        .texts("scope", rows.iter().map(|(c, _)| c.scope.to_string()))
        .counts("to_wrong", counted(|p| p.to_wrong))
        .counts("to_right", counted(|p| p.to_right))
        .counts("wrong_to_other", rows.iter().map(|(_, row)| row.other_wrong))
        .numbers("p", paired(|p| Some(p.test.p)))
        .texts("test", rows.iter().map(|(_, row)| test(row)))
        .numbers("p_exact", paired(|p| p.exact.as_ref().map(|test| test.p)))
        .numbers("p_holm", rows.iter().map(|(_, row)| row.p_adjusted))
        .numbers("probability_better", paired(|p| p.better))
        .numbers("detectable", paired(|p| p.detectable))
        .csv()
}

/// Several candidates against one base in one table of differences, and a sentence for each.
pub fn render_against_base(comparisons: &[Comparison], style: Style) -> String {
    let Some(first) = comparisons.first() else { return String::new() };
    let look = if style == Style::Markdown { Look::Markdown } else { Look::Lines };
    let mut grid = Grid::new(look, style == Style::Colour);
    let heading = |label: &str| GridCell::new(visible::excerpt(label, LONGEST_HEADING));
    let keys = ["Task", "n", "Metric", ""].map(GridCell::ours);
    let candidates =
        comparisons.iter().map(|c| GridCell::new(format!("Δ {}", visible::excerpt(&c.candidate, LONGEST_HEADING))));
    grid.header(keys.into_iter().chain([heading(&first.base)]).chain(candidates).map(GridCell::bold));
    for row in first.rows.iter().filter(|row| !row.is_group) {
        let of = |comparison: &Comparison| {
            let is =
                |other: &&Row| (&other.task, &other.metric, &other.filter) == (&row.task, &row.metric, &row.filter);
            let found = comparison.rows.iter().find(is)?;
            let star = if found.moved() { "*" } else { "" };
            Some(format!("{star}{}", signed(found.paired.as_ref()?.difference.value)))
        };
        let keys = self::keys();
        let cells = keys.iter().map(|column| GridCell::new((column.cell)(row)));
        let cells = cells.chain([GridCell::new(figure(row.base))]);
        grid.row(cells.chain(comparisons.iter().map(|comparison| GridCell::new(of(comparison).unwrap_or_default()))));
    }
    if style != Style::Markdown {
        grid.padding((1, 0), |_| true);
    }
    grid.right(|index| index == 1 || index > 3);
    let mut lines = vec![
        "Δ is over the same documents; a star: beyond noise (paired test, Holm over the rows of a format, 5 %)"
            .to_owned(),
    ];
    lines.extend(comparisons.iter().map(|comparison| comparison.sentence.clone()));
    let mark = if style == Style::Markdown { "- " } else { "" };
    let shown = |line: String| match style {
        Style::Markdown => visible::markdown(&visible::message(&line)),
        _ => visible::message(&line),
    };
    let lines: String = lines.into_iter().map(|line| format!("{mark}{}\n", shown(line))).collect();
    format!("{}{}{lines}", grid.draw(), if style == Style::Markdown { "\n" } else { "" })
}

/// A matrix for each figure: what the run of a column gained over that of a row. A star marks differences beyond noise.
pub fn render_matrix(labels: &[&str], comparisons: &[Comparison], style: Style) -> String {
    let mut figures: Vec<(&str, &str, &str)> = Vec::new();
    for row in comparisons.iter().flat_map(|comparison| &comparison.rows) {
        let figure = (row.task.as_str(), row.metric.as_str(), row.filter.as_str());
        if !figures.contains(&figure) {
            figures.push(figure);
        }
    }
    let look = if style == Style::Markdown { Look::Markdown } else { Look::Lines };
    let mut tables: Vec<String> = Vec::new();
    for (task, metric, filter) in figures {
        let mut grid = Grid::new(look, style == Style::Colour);
        let heading = format!("{} of {}", named(metric, filter), visible::excerpt(task, LONGEST_NAME));
        let name = |label: &&str| GridCell::new(visible::excerpt(label, LONGEST_HEADING));
        grid.header(std::iter::once(GridCell::new(heading)).chain(labels.iter().map(name)).map(GridCell::bold));
        for base in labels {
            let cell = |candidate: &&str| against(comparisons, (base, candidate), (task, metric, filter));
            grid.row(std::iter::once(name(base)).chain(labels.iter().map(|label| GridCell::new(cell(label)))));
        }
        if style != Style::Markdown {
            grid.padding((1, 0), |_| true);
        }
        grid.right(|index| index > 0);
        tables.push(grid.draw());
    }
    let meaning = "what the run of a column gained over that of a row, over the same documents; a star: beyond noise (Holm over the rows of \
                   a pair, 5 %)";
    tables.push(format!("{meaning}\n"));
    tables.join("\n")
}

/// The figure of one pair, whichever way round it was compared.
fn against(comparisons: &[Comparison], (base, candidate): (&str, &str), figure: (&str, &str, &str)) -> String {
    let of = |base: &str, candidate: &str| {
        let comparison = comparisons.iter().find(|c| c.base == base && c.candidate == candidate)?;
        let is = |row: &&Row| (row.task.as_str(), row.metric.as_str(), row.filter.as_str()) == figure;
        let row = comparison.rows.iter().find(is)?;
        Some((row.paired.as_ref()?.difference.value, row.moved()))
    };
    let found = of(base, candidate).or_else(|| of(candidate, base).map(|(difference, moved)| (-difference, moved)));
    found
        .map(|(difference, moved)| format!("{}{}", if moved { "*" } else { "" }, signed(difference)))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short_and_true() {
        assert_eq!([0.0121, -0.2, 0.0].map(signed), ["+0.0121", "-0.2000", "0.0000"]);
        assert_eq!([1.0, 0.28906, 1e-9].map(probability), ["1.0000", "0.2891", "<0.0001"]);
        assert_eq!([1.0, 0.0, 0.25].map(short), ["1", "0", "0.2500"]);
    }

    #[test]
    fn commands_can_be_copied() {
        let words = ["copa", "12", "a b", "$(x)'", "-x", ""].map(argument);
        assert_eq!(words, ["copa", "12", "'a b'", r"'$(x)'\'''", "'-x'", "''"]);
    }
}
