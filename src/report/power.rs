//! What runs of some size can see, as tables: the least differences, and the documents that a wished one needs.

use super::grid::{Grid, GridCell, Look};
use super::table::{Style, number};
use super::view::named;
use crate::compare::power::{Outlook, Sight, Wish};
use crate::stats::FLIP_RATES;
use crate::visible;

/// Characters of a task's name.
const LONGEST_NAME: usize = 60;

/// Lines on single figures that are shown.
const MOST_NOTES: usize = 10;

/// One column: its heading, and what stands in it.
type Column<'a> = (String, Box<dyn Fn(&Outlook) -> String + 'a>);

/// The tables with what their columns mean.
pub fn render_power(outlooks: &[Outlook], wish: Wish, style: Style) -> String {
    let mut tables = vec![draw(outlooks, &sights(outlooks), style)];
    if wish.difference.is_some() {
        tables.push(draw(outlooks, &needs(outlooks), style));
    }
    let shown = |line: String| match style {
        Style::Markdown => format!("- {}\n", visible::markdown(&visible::message(&line))),
        _ => format!("{}\n", visible::message(&line)),
    };
    let lines: String = lines(outlooks, wish).into_iter().map(shown).collect();
    format!("{}{}{lines}", tables.join("\n"), if style == Style::Markdown { "\n" } else { "" })
}

fn draw(outlooks: &[Outlook], columns: &[Column<'_>], style: Style) -> String {
    let look = if style == Style::Markdown { Look::Markdown } else { Look::Lines };
    let mut grid = Grid::new(look, style == Style::Colour);
    let ours = ["Task", "n", "Metric"].map(str::to_owned).into_iter();
    grid.header(ours.chain(columns.iter().map(|(heading, _)| heading.clone())).map(|text| GridCell::new(text).bold()));
    for outlook in outlooks {
        let name = GridCell::new(visible::excerpt(&outlook.name, LONGEST_NAME));
        let metric = outlook.metric.as_deref().map(|metric| named(metric, outlook.filter.as_deref().unwrap_or("none")));
        let first = [
            if outlook.is_group { name.bold() } else { name },
            GridCell::ours(outlook.documents.to_string()),
            GridCell::new(metric.unwrap_or_default()),
        ];
        grid.row(first.into_iter().chain(columns.iter().map(|(_, cell)| GridCell::new(cell(outlook)))));
    }
    if style != Style::Markdown {
        grid.padding((1, 0), |_| true);
    }
    grid.right(|index| index == 1 || index > 2);
    grid.draw()
}

/// Whether some flips were seen, and not only assumed.
fn seen(outlooks: &[Outlook]) -> bool {
    outlooks.iter().flat_map(|outlook| &outlook.paired).any(|sight| sight.seen)
}

fn assumed(outlooks: &[Outlook]) -> bool {
    outlooks.iter().flat_map(|outlook| &outlook.paired).any(|sight| !sight.seen)
}

/// The sights over the same documents, with their headings: of what was seen, and of each assumed rate.
fn paired<'a>(outlooks: &[Outlook], cell: fn(&Sight) -> String) -> Vec<Column<'a>> {
    let mut columns: Vec<Column<'a>> = Vec::new();
    if seen(outlooks) {
        let of = |outlook: &Outlook| outlook.paired.iter().find(|sight| sight.seen).cloned();
        let rate = move |outlook: &Outlook| {
            let rate = of(outlook).and_then(|sight| sight.flip_rate);
            rate.map(|rate| format!("{:.1} %", 100.0 * rate)).unwrap_or_default()
        };
        columns.push(("flips seen".into(), Box::new(rate)));
        columns.push(("same documents".into(), Box::new(move |o| of(o).as_ref().map(cell).unwrap_or_default())));
    }
    if assumed(outlooks) {
        for rate in FLIP_RATES {
            let of = move |outlook: &Outlook| {
                let sight = outlook.paired.iter().find(|sight| !sight.seen && sight.flip_rate == Some(rate));
                sight.map(cell).unwrap_or_default()
            };
            columns.push((format!("flips {:.0} %", 100.0 * rate), Box::new(of)));
        }
    }
    columns
}

/// What each row sees.
fn sights<'a>(outlooks: &[Outlook]) -> Vec<Column<'a>> {
    let figure = |value: Option<f64>| value.map(number).unwrap_or_default();
    let least = |sight: &Sight| sight.least.map_or_else(|| "–".to_owned(), number);
    let mut columns: Vec<Column<'a>> = Vec::new();
    if outlooks.iter().any(|outlook| outlook.base.is_some()) {
        columns.push(("score".into(), Box::new(move |outlook| figure(outlook.base))));
    }
    columns.push(("±".into(), Box::new(move |outlook| figure(outlook.half_width))));
    let unpaired = move |outlook: &Outlook| outlook.unpaired.as_ref().map(least).unwrap_or_default();
    columns.push(("other documents".into(), Box::new(unpaired)));
    columns.extend(paired(outlooks, least));
    columns
}

/// What each row needs for the wished difference, and whether it has it.
fn needs<'a>(outlooks: &[Outlook]) -> Vec<Column<'a>> {
    let need = |sight: &Sight| match (sight.needed, sight.enough) {
        (Some(needed), Some(enough)) => format!("{:.0} {}", needed.ceil(), if enough { "yes" } else { "no" }),
        _ => "–".to_owned(),
    };
    let unpaired = move |outlook: &Outlook| outlook.unpaired.as_ref().map(need).unwrap_or_default();
    let mut columns: Vec<Column<'a>> = vec![("needs, other documents".into(), Box::new(unpaired))];
    columns.extend(paired(outlooks, need));
    columns
}

/// What the columns mean, and what is missing.
fn lines(outlooks: &[Outlook], wish: Wish) -> Vec<String> {
    let based = outlooks.iter().any(|outlook| outlook.base.is_some());
    let at = if based { "at the baseline's score" } else { "at a score of 0.5, where they are widest" };
    let mut lines = vec![
        format!(
            "± is half of the {:.0} % interval of the score itself, \"other documents\" the least difference to a run over other documents that shows in 80 % of cases, both {at}",
            100.0 * wish.level.confidence()
        ),
        "the other columns are the least difference to a run over the same documents that shows in 80 % of cases, by the share of documents whose verdict flips; –: even flips that all go one way would not show".to_owned(),
    ];
    if assumed(outlooks) {
        let how = if based {
            "give a second run with --candidate to take it from there"
        } else {
            "give two runs with --baseline and --candidate to take it from there"
        };
        lines.push(format!("how many verdicts flip is assumed: 2 to 20 %; {how}"));
    }
    if let Some(difference) = wish.difference {
        lines.push(format!(
            "needs: documents for a difference of {difference} to show in 80 % of cases, and whether there are as many; –: so few flips cannot make it"
        ));
    }
    let fewer = outlooks.iter().filter(|outlook| outlook.counts_as < outlook.documents && outlook.is_group);
    let fewer: Vec<String> = fewer.map(|o| format!("{} as {}", o.name, o.counts_as)).collect();
    if !fewer.is_empty() {
        lines.push(format!(
            "groups whose tasks count alike see as little as fewer documents would: {}",
            visible::list(&fewer)
        ));
    }
    let is_hopeful = |o: &&Outlook| o.clusters.is_some() && o.paired.iter().any(|sight| !sight.seen);
    let mut clustered: Vec<String> = Vec::new();
    for outlook in outlooks.iter().filter(is_hopeful) {
        let said = format!("{} in {}", outlook.name, outlook.clusters.unwrap_or_default());
        if !clustered.contains(&said) {
            clustered.push(said);
        }
    }
    if !clustered.is_empty() {
        lines.push(format!(
            "documents that are alike stand in clusters: {}; assumed flips are taken for independent there, which is too hopeful",
            visible::list(&clustered)
        ));
    }
    let notes = outlooks.iter().filter_map(|o| Some((o, o.note.as_ref()?)));
    let notes: Vec<String> = notes.map(|(outlook, note)| format!("{}: {note}", about(outlook))).collect();
    lines.extend(notes.iter().take(MOST_NOTES).cloned());
    if notes.len() > MOST_NOTES {
        lines.push(format!("and {} more rows like these", notes.len() - MOST_NOTES));
    }
    lines
}

/// `acc of boolq`
fn about(outlook: &Outlook) -> String {
    match &outlook.metric {
        Some(metric) => {
            format!("{} of {}", named(metric, outlook.filter.as_deref().unwrap_or("none")), outlook.name)
        }
        None => outlook.name.clone(),
    }
}
