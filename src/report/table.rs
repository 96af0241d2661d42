//! The comparison table for terminals.

use super::grid::{Grid, GridCell, Look};
use super::intervals::ends;
use super::view::{Cell, Note, Row, SideBySide, Weak};
use crate::run::NotRun;
use crate::visible;
use std::ops::Range;

/// How the table is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// For a terminal: headings and groups are bold, best figures green as well as starred.
    Colour,
    /// The same without escape codes.
    Plain,
    /// A Markdown table.
    Markdown,
}

/// Characters of a name in a table.
const LONGEST_NAME: usize = 100;

/// Notes that are shown; the results files have all of it.
const MOST_NOTES: usize = 20;

/// What a star means.
const STARRED: &str =
    "* no other column beats it beyond noise, and it beats some (paired tests on the same documents, Holm, 5 %)";
const NO_STAR: &str = "no star: no column beats another beyond noise (paired tests on the same documents, Holm, 5 %)";

/// Draws all tables, with an empty line between them. Of one that is wider than `width` columns of text, the models that do not fit
/// follow under it.
pub fn render_all(comparisons: &[SideBySide], style: Style, width: Option<usize>) -> String {
    comparisons.iter().map(|comparison| render(comparison, style, width)).collect::<Vec<_>>().join("\n")
}

/// Draws the table, and under it what missing documents mean for its figures; it ends with a newline.
fn render(comparison: &SideBySide, style: Style, width: Option<usize>) -> String {
    let side_by_side = width.map_or(comparison.models.len(), |width| fitting(comparison, width)).max(1);
    let starts = (0..comparison.models.len().max(1)).step_by(side_by_side);
    let tables = starts.map(|start| {
        let end = (start + side_by_side).min(comparison.models.len());
        draw(comparison, start..end, style)
    });
    let mut lines = notes(&comparison.notes());
    lines.extend(comparison.infinite().into_iter().map(|(model, metric, name)| {
        let model = model.map(|model| format!("{model}: ")).unwrap_or_default();
        format!("{model}{metric} of {name}: inf, larger than any number of 64 bits (1.8e308)")
    }));
    lines.extend(comparison.remarks.iter().cloned());
    lines.extend(comparison.weak.iter().map(weak));
    lines.extend(comparison.not_run.iter().map(|NotRun { task, reason }| format!("{task} was not run: {reason}")));
    let title = match (&comparison.title, style) {
        (None, _) => String::new(),
        (Some(title), Style::Markdown) => format!("### {}\n\n", visible::markdown(title)),
        (Some(title), _) => format!("{}\n", visible::line(title)),
    };
    let footnote = match (comparison.starred.map(|starred| if starred { STARRED } else { NO_STAR }), style) {
        (None, _) => String::new(),
        (Some(text), Style::Markdown) => format!("\n{}\n", visible::markdown(text)),
        (Some(text), _) => format!("{text}\n"),
    };
    let methods = said(&comparison.methods, style);
    format!("{title}{}{footnote}{methods}{}", tables.collect::<Vec<_>>().join("\n"), listed(lines, style))
}

/// How many models stand side by side within `width` columns of text.
fn fitting(comparison: &SideBySide, width: usize) -> usize {
    let fits = |models: &Range<usize>| {
        let table = draw(comparison, models.clone(), Style::Plain);
        table.lines().all(|line| line.chars().count() <= width)
    };
    let of = comparison.models.len();
    let all_fit = |n: &usize| (0..of).step_by(*n).all(|start| fits(&(start..(start + n).min(of))));
    (1..=of).rev().find(all_fit).unwrap_or(1)
}

/// The table of some of the models.
fn draw(comparison: &SideBySide, models: Range<usize>, style: Style) -> String {
    let look = if style == Style::Markdown { Look::Markdown } else { Look::Lines };
    let mut grid = Grid::new(look, style == Style::Colour);
    let ours = ["Task", "n", "Shots", "Metric", ""].map(GridCell::ours);
    let names = comparison.models.get(models.clone()).unwrap_or_default().iter().map(|name| GridCell::new(cut(name)));
    grid.header(ours.into_iter().chain(names).map(GridCell::bold));
    for row in &comparison.rows {
        grid.row(cells(row, models.clone(), style));
    }
    if style != Style::Markdown {
        grid.padding((1, 0), |_| true);
    }
    grid.right(|index| index == 1 || index == 2 || index >= 5);
    grid.draw()
}

/// A line for each note.
fn notes(notes: &[Note]) -> Vec<String> {
    let mut lines: Vec<String> = notes.iter().take(MOST_NOTES).map(note).collect();
    if notes.len() > MOST_NOTES {
        lines
            .push(format!("and {} more figures lack documents: the results files list them", notes.len() - MOST_NOTES));
    }
    lines
}

/// `humaneval (†): 3 of 164 verdicts in one process, which a solution can fake: docs/security.md`
fn weak(Weak { model, task, verdicts, of }: &Weak) -> String {
    let model = model.as_ref().map(|model| format!("{model}: ")).unwrap_or_default();
    format!(
        "{model}{task} (†): {verdicts} of {of} verdicts in one process, which a solution can fake: docs/security.md"
    )
}

/// Lines that warn of nothing; below a Markdown table a list.
fn said(lines: &[String], style: Style) -> String {
    let shown = |line: &String| match style {
        Style::Markdown => format!("- {}\n", visible::markdown(&visible::message(line))),
        _ => format!("{}\n", visible::message(line)),
    };
    let head = if style == Style::Markdown && !lines.is_empty() { "\n" } else { "" };
    format!("{head}{}", lines.iter().map(shown).collect::<String>())
}

/// Lines with a mark; below a Markdown table a list.
fn listed(lines: Vec<String>, style: Style) -> String {
    let (head, mark) = if style == Style::Markdown { ("\n", "- ") } else { ("", "! ") };
    let shown = |line: String| match style {
        Style::Markdown => visible::markdown(&visible::message(&line)),
        _ => visible::message(&line),
    };
    let lines: Vec<String> = lines.into_iter().map(|line| format!("{mark}{}\n", shown(line))).collect();
    if lines.is_empty() { String::new() } else { format!("{head}{}", lines.concat()) }
}

/// `acc of demo_x: 0.5000, between 0.4800 and 0.5200 if the 12 of 300 unscored documents were all wrong or all right`.
fn note(note: &Note) -> String {
    let Note { model, name, metric, value, cell } = note;
    let model = model.as_ref().map(|model| format!("{model}: ")).unwrap_or_default();
    let refused = match cell.refused {
        0 => String::new(),
        all if all == cell.unscored => ", all of them refused,".to_owned(),
        some => format!(", {some} of them refused,"),
    };
    let head = format!("{model}{metric} of {name}: {}", number(*value));
    let (unscored, of) = (cell.unscored, cell.of);
    match cell.bounds {
        Some((low, high)) => format!(
            "{head}, between {} and {} if the {unscored} of {of} unscored documents{refused} were all wrong or all right",
            number(low),
            number(high)
        ),
        None => format!("{head} without {unscored} of {of} documents{}", refused.trim_end_matches(',')),
    }
}

fn cells(row: &Row, models: Range<usize>, style: Style) -> Vec<GridCell> {
    let indent = if style == Style::Markdown { "&nbsp;&nbsp;" } else { "  " };
    let name = match row.first {
        true => GridCell::new(cut(&row.name)).after(indent.repeat(row.depth)),
        false => GridCell::ours(""),
    };
    let count = |value: Option<usize>| value.map(|v| v.to_string()).unwrap_or_default();
    let direction = match row.higher_is_better {
        Some(true) => "↑",
        Some(false) => "↓",
        None => "",
    };
    let mut cells = vec![
        if row.is_group { name.bold() } else { name },
        GridCell::ours(count(row.n)),
        GridCell::ours(count(row.num_fewshot.filter(|_| row.first))),
        GridCell::new(cut(&row.metric)),
        GridCell::ours(direction),
    ];
    cells.extend(row.cells.get(models).unwrap_or_default().iter().map(|cell| match cell {
        Some(cell) if cell.best => GridCell::ours(figure(cell)).bold().green(),
        Some(cell) => GridCell::ours(figure(cell)),
        None => GridCell::ours(""),
    }));
    cells
}

/// A name that leaves room for the others.
fn cut(name: &str) -> String {
    visible::excerpt(name, LONGEST_NAME)
}

/// `*0.4400 ± 0.0709`: a star for the best, `!` when documents are missing from the figure, `†` when solutions could have faked verdicts.
/// Without a value: `not scored` (no document was), `undefined` (the statistic of those that were does not exist), `no documents` (the
/// metric is about none of them).
fn figure(cell: &Cell) -> String {
    let star = if cell.best { "*" } else { "" };
    let missing = format!("{}{}", if cell.unscored > 0 { " !" } else { "" }, if cell.weak { " †" } else { "" });
    match (cell.value, cell.stderr) {
        (Some(value), _) if cell.interval.is_some() => {
            let ends = cell.interval.map(|interval| ends(interval.low(), interval.high())).unwrap_or_default();
            format!("{star}{} {ends}{missing}", number(value))
        }
        (Some(value), Some(stderr)) => format!("{star}{} ± {}{missing}", number(value), number(stderr)),
        (Some(value), None) => format!("{star}{}{missing}", number(value)),
        (None, _) if cell.of == 0 => "no documents".to_owned(),
        (None, _) if cell.of > cell.unscored => format!("undefined{missing}"),
        (None, _) => format!("not scored{missing}"),
    }
}

/// Four decimals, or four significant digits where that would hide a large or a tiny number.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e6).contains(&size) { format!("{value:.3e}") } else { format!("{value:.4}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Interval;

    fn row_of(cells: Vec<Option<Cell>>) -> Row {
        Row {
            depth: 0,
            name: "demo_x".into(),
            is_group: false,
            first: true,
            num_fewshot: Some(0),
            n: Some(300),
            metric: "acc".into(),
            higher_is_better: Some(true),
            cells,
        }
    }

    #[test]
    fn figures() {
        let cell = |value, stderr, best, unscored| Cell {
            value,
            stderr,
            interval: None,
            best,
            unscored,
            refused: 0,
            of: 9,
            bounds: None,
            weak: false,
        };
        assert_eq!(figure(&cell(Some(0.44), Some(0.07), true, 0)), "*0.4400 ± 0.0700");
        assert_eq!(figure(&cell(Some(123_456_789.0), None, false, 2)), "1.235e8 !");
        assert_eq!(figure(&cell(None, None, false, 9)), "not scored !");
        assert_eq!(figure(&cell(None, None, false, 5)), "undefined !");
        assert_eq!(figure(&Cell { of: 0, ..cell(None, None, false, 0) }), "no documents");
        assert_eq!(figure(&cell(Some(f64::INFINITY), None, false, 0)), "inf");
        assert_eq!(figure(&Cell { weak: true, ..cell(Some(0.5), None, false, 1) }), "0.5000 ! †");
        assert_eq!(figure(&cell(Some(0.0), Some(0.0), false, 0)), "0.0000 ± 0.0000");
        let interval = Interval::new(0.6123, 0.7644);
        let shown = figure(&Cell { interval, ..cell(Some(0.6937), Some(0.0377), true, 2) });
        assert_eq!(shown, "*0.6937 [0.61, 0.76] !");
    }

    #[test]
    fn what_is_missing_stands_under_the_table() {
        let cell = Cell {
            value: Some(0.5),
            stderr: None,
            interval: None,
            best: false,
            unscored: 12,
            refused: 0,
            of: 300,
            bounds: Some((0.48, 0.52)),
            weak: false,
        };
        let row = row_of(vec![Some(cell)]);
        let shown = |cell: Cell, style| {
            let rows = vec![Row { cells: vec![Some(cell)], ..row.clone() }];
            let text = render(&SideBySide { models: vec!["m".into()], rows, ..SideBySide::default() }, style, None);
            text.lines().last().unwrap_or_default().to_owned()
        };
        let bounded = "acc of demo_x: 0.5000, between 0.4800 and 0.5200 if the 12 of 300 unscored documents were all wrong or all right";
        assert_eq!(shown(cell, Style::Plain), format!("! {bounded}"));
        assert_eq!(shown(cell, Style::Markdown), format!("- {bounded}"));
        let refused = shown(Cell { refused: 5, ..cell }, Style::Plain);
        assert!(refused.ends_with("unscored documents, 5 of them refused, were all wrong or all right"), "{refused}");
        let unbounded = shown(Cell { bounds: None, refused: 12, ..cell }, Style::Plain);
        assert_eq!(unbounded, "! acc of demo_x: 0.5000 without 12 of 300 documents, all of them refused");
        assert!(!shown(Cell { unscored: 0, ..cell }, Style::Plain).contains("demo_x:"));
        let many = SideBySide { models: vec!["m".into()], rows: vec![row.clone(); 30], ..SideBySide::default() };
        let text = render(&many, Style::Plain, None);
        assert_eq!(text.lines().filter(|line| line.starts_with("! acc of")).count(), MOST_NOTES);
        assert!(text.ends_with("! and 10 more figures lack documents: the results files list them\n"), "{text}");
    }

    #[test]
    fn models_that_do_not_fit_follow_below() {
        let cell = Cell {
            value: Some(0.5),
            stderr: Some(0.1),
            interval: None,
            best: false,
            unscored: 0,
            refused: 0,
            of: 9,
            bounds: None,
            weak: false,
        };
        let row = row_of(vec![Some(cell); 5]);
        let models = ["m1", "m2", "m3", "m4", "m5"].map(str::to_string).to_vec();
        let not_run = vec![NotRun { task: "code".into(), reason: "no sandbox".into() }];
        let comparison = SideBySide { models, rows: vec![row], not_run, ..SideBySide::default() };
        let drawn = |width| render(&comparison, Style::Plain, width);
        assert_eq!(drawn(Some(1000)), drawn(None));
        let split = drawn(Some(80));
        assert!(split.lines().all(|line| line.chars().count() <= 80), "{split}");
        let headers: Vec<&str> = split.lines().filter(|line| line.contains("Task")).collect();
        assert!(headers.len() > 1 && headers[0].contains("m1") && !headers[0].contains("m5"), "{split}");
        let shown: Vec<&str> =
            split.split_whitespace().filter(|word| comparison.models.iter().any(|m| m == word)).collect();
        assert_eq!(shown, comparison.models, "every model once, in its order");
        assert_eq!(split.matches("demo_x").count(), headers.len());
        assert_eq!(split.matches("was not run").count(), 1);
        // Narrower than one model: one at a time all the same.
        assert_eq!(drawn(Some(10)).matches("Task").count(), 5);
    }
}
