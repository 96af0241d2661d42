//! What quantising cost, as tables one under the other with the same first column: sizes and speed, scores, divergence, agreement, divergence
//! by the reference's confidence.

use super::comparison::{probability, signed};
use super::grid::{Grid, GridCell, Look};
use super::table::{Style, number};
use super::view::named;
use crate::compare::quantisation::{Divergence, Dominated, Quantisation, Score, Size, Standing};
use crate::fidelity::{Kind, Mean, Tail};
use crate::visible;

/// Characters of a format's name and of other names.
const LONGEST_FORMAT: usize = 32;
const LONGEST_NAME: usize = 60;

/// What the rows of one table are about.
struct Column<'a, T> {
    heading: String,
    is_right: bool,
    cell: Box<dyn Fn(&T) -> String + 'a>,
}

fn column<'a, T>(heading: impl Into<String>, cell: impl Fn(&T) -> String + 'a) -> Column<'a, T> {
    Column { heading: heading.into(), is_right: true, cell: Box::new(cell) }
}

fn name<'a, T>(heading: &str, most: usize, cell: impl Fn(&T) -> String + 'a) -> Column<'a, T> {
    Column { heading: heading.into(), is_right: false, cell: Box::new(move |row| visible::excerpt(&cell(row), most)) }
}

/// All tables with their titles, sentences and notes. A table that is wider than `width` columns of text goes on under itself.
pub fn render_quantisation(found: &Quantisation, style: Style, width: Option<usize>) -> String {
    let mut parts = vec![heading(&format!("What each format costs against {}", found.base), style)];
    parts.push(table("Size and speed", &found.sizes, (&sizes(), 1), (style, width)));
    if !found.scores.is_empty() {
        parts.push(table("Scores", &found.scores, (&scores(&found.base), 4), (style, width)));
    }
    let rounding = found.rounding.as_deref();
    parts.push(table("Divergence", &found.divergences, (&divergences(rounding), 4), (style, width)));
    parts.push(table("Agreement", &found.divergences, (&agreement(), 2), (style, width)));
    let title = "KL by the reference's greatest probability";
    parts.push(table(title, &found.divergences, (&by_confidence(found), 2), (style, width)));
    parts.push(lines(found).iter().map(|line| shown(line, style)).collect());
    parts.join("\n")
}

fn heading(text: &str, style: Style) -> String {
    match style {
        Style::Markdown => format!("### {}\n", visible::markdown(&visible::message(text))),
        _ => format!("{}\n", visible::message(text)),
    }
}

fn shown(line: &str, style: Style) -> String {
    match style {
        Style::Markdown => format!("- {}\n", visible::markdown(&visible::message(line))),
        _ => format!("{}\n", visible::message(line)),
    }
}

/// A table under its title, in as many parts as the width asks for; each part begins with the first `keys` columns.
fn table<T>(
    title: &str,
    rows: &[T],
    (columns, keys): (&[Column<'_, T>], usize),
    (style, width): (Style, Option<usize>),
) -> String {
    let (keys, mut left) = columns.split_at(keys.min(columns.len()));
    let drawn = |some: &[Column<'_, T>]| draw(rows, &keys.iter().chain(some).collect::<Vec<_>>(), style);
    let fits = |text: &str| width.is_none_or(|width| text.lines().all(|line| line.chars().count() <= width));
    let mut parts = Vec::new();
    while !left.is_empty() {
        let taken = (1..=left.len()).rev().find(|n| fits(&drawn(&left[..*n]))).unwrap_or(1);
        parts.push(drawn(&left[..taken]));
        left = &left[taken..];
    }
    let gap = if style == Style::Markdown { "\n" } else { "" };
    let title = match style {
        Style::Markdown => format!("{}:\n", visible::markdown(title)),
        _ => format!("{}\n", visible::line(title)),
    };
    format!("{title}{gap}{}", parts.join("\n"))
}

fn draw<T>(rows: &[T], columns: &[&Column<'_, T>], style: Style) -> String {
    let look = if style == Style::Markdown { Look::Markdown } else { Look::Lines };
    let mut grid = Grid::new(look, style == Style::Colour);
    grid.header(columns.iter().map(|column| GridCell::new(column.heading.clone()).bold()));
    for row in rows {
        grid.row(columns.iter().map(|column| GridCell::new((column.cell)(row))));
    }
    if style != Style::Markdown {
        grid.padding((1, 0), |_| true);
    }
    grid.right(|index| columns.get(index).is_some_and(|column| column.is_right));
    grid.draw()
}

fn sizes() -> Vec<Column<'static, Size>> {
    let text = |value: Option<String>| value.unwrap_or_default();
    vec![
        name("Format", LONGEST_FORMAT, |size: &Size| size.format.clone()),
        name("stored as", LONGEST_NAME, |size: &Size| size.storage.clone().unwrap_or_default()),
        column("bytes stored", move |size: &Size| text(size.stored_bytes.map(|bytes| bytes.to_string()))),
        column("bytes in memory", move |size: &Size| text(size.memory_bytes.map(|bytes| bytes.to_string()))),
        column("bits/weight", move |size: &Size| text(size.bits_per_weight.map(|bits| format!("{bits:.2}")))),
        column("tokens/s", move |size: &Size| text(size.tokens_per_second.map(|speed| format!("{speed:.0}")))),
    ]
}

fn scores<'a>(base: &str) -> Vec<Column<'a, Score>> {
    let figure = |value: Option<f64>| value.map(number).unwrap_or_default();
    let count = |value: Option<usize>| value.map(|count| count.to_string()).unwrap_or_default();
    vec![
        name("Format", LONGEST_FORMAT, |score: &Score| score.format.clone()),
        name("Task", LONGEST_NAME, |score: &Score| score.row.task.clone()),
        column("n", |score: &Score| score.row.n.to_string()),
        name("Metric", LONGEST_NAME, |score: &Score| {
            let direction = match score.row.higher_is_better {
                Some(true) => " ↑",
                Some(false) => " ↓",
                None => "",
            };
            format!("{}{direction}", named(&score.row.metric, &score.row.filter))
        }),
        column(visible::excerpt(base, LONGEST_FORMAT), move |score: &Score| figure(score.row.base)),
        column("score", move |score: &Score| figure(score.row.candidate)),
        column("Δ", |score: &Score| {
            let paired = score.row.paired.as_ref().map(|paired| signed(paired.difference.value));
            paired.unwrap_or_default()
        }),
        column("95 % interval", |score: &Score| {
            let ends = score.row.paired.as_ref().map(|paired| paired.difference.interval);
            ends.map(|ends| format!("{} to {}", signed(ends.low()), signed(ends.high()))).unwrap_or_default()
        }),
        column("→wrong", move |score: &Score| count(score.row.paired.as_ref().and_then(|paired| paired.to_wrong))),
        column("→right", move |score: &Score| count(score.row.paired.as_ref().and_then(|paired| paired.to_right))),
        column("wrong→other", move |score: &Score| count(score.row.other_wrong)),
        column("p Holm", |score: &Score| {
            let star = if score.row.moved() { "*" } else { "" };
            score.row.p_adjusted.map(|p| format!("{star}{}", probability(p))).unwrap_or_default()
        }),
    ]
}

fn divergences(rounding: Option<&str>) -> Vec<Column<'_, Divergence>> {
    let mut columns = keys();
    columns.extend([
        name("kind", LONGEST_NAME, |row: &Divergence| row.kind.name().to_owned()),
        column("positions", |row: &Divergence| row.summary.positions.to_string()),
        column("KL", |row: &Divergence| mean(&row.summary.kl)),
    ]);
    if let Some(rounding) = rounding {
        let heading = format!("× {}", visible::excerpt(rounding, LONGEST_FORMAT));
        columns.push(column(heading, |row: &Divergence| standing(row)));
    }
    columns.extend([
        column("median", |row: &Divergence| number(row.summary.median)),
        column("90 %", |row: &Divergence| tail(row.summary.p90)),
        column("99 %", |row: &Divergence| tail(row.summary.p99)),
        column("99.9 %", |row: &Divergence| tail(row.summary.p99_9)),
        column("max", |row: &Divergence| number(row.summary.max)),
        column("worst 1 %", |row: &Divergence| {
            row.summary.worst.map(|worst| format!("{:.0} %", 100.0 * worst.share)).unwrap_or_default()
        }),
    ]);
    columns
}

fn agreement() -> Vec<Column<'static, Divergence>> {
    let mut columns = keys();
    let percent = |mean: &Mean| {
        let error = mean.stderr.map(|stderr| format!(" ± {:.2}", 100.0 * stderr)).unwrap_or_default();
        format!("{:.2}{error} %", 100.0 * mean.value)
    };
    columns.extend([
        column("same top-1", move |row: &Divergence| percent(&row.summary.same_top)),
        column("top-5 recall", move |row: &Divergence| percent(&row.summary.top5_recall)),
        column("Δp", |row: &Divergence| {
            let Mean { value, stderr, .. } = &row.summary.shift.mean;
            format!("{}{}", signed(*value), error(*stderr))
        }),
        column("RMS Δp", |row: &Divergence| {
            format!("{}{}", number(row.summary.shift.rms), error(row.summary.shift.rms_stderr))
        }),
        column("PPL reference", |row: &Divergence| number(row.summary.perplexity.reference)),
        column("PPL", |row: &Divergence| number(row.summary.perplexity.candidate)),
        column("PPL ratio", |row: &Divergence| {
            let perplexity = &row.summary.perplexity;
            let ratio = perplexity.ratio.map(|ratio| format!("{}{}", number(ratio), error(perplexity.ratio_stderr)));
            ratio.unwrap_or_else(|| "undefined".to_owned())
        }),
        column("correlation", |row: &Divergence| {
            row.summary.perplexity.correlation.map(|value| format!("{:.2} %", 100.0 * value)).unwrap_or_default()
        }),
    ]);
    columns
}

fn by_confidence(found: &Quantisation) -> Vec<Column<'static, Divergence>> {
    let mut columns = keys();
    let bins = found.divergences.first().map(|row| row.summary.by_confidence.as_slice()).unwrap_or_default();
    for (at, bin) in bins.iter().enumerate() {
        let heading = format!("{} to {}", bin.low, bin.high);
        columns.push(column(heading, move |row: &Divergence| {
            let bin = row.summary.by_confidence.get(at).and_then(|bin| Some((bin.kl.as_ref()?, bin.positions)));
            bin.map(|(kl, n)| format!("{} (n {n})", mean(kl))).unwrap_or_else(|| "(n 0)".to_owned())
        }));
    }
    columns
}

fn keys<'a>() -> Vec<Column<'a, Divergence>> {
    vec![
        name("Format", LONGEST_FORMAT, |row: &Divergence| row.format.clone()),
        name("Source", LONGEST_NAME, |row: &Divergence| row.source.clone()),
    ]
}

fn error(stderr: Option<f64>) -> String {
    stderr.map(|stderr| format!(" ± {}", number(stderr))).unwrap_or_default()
}

fn mean(mean: &Mean) -> String {
    // Exactly 0 is not a small number that was rounded.
    if mean.value == 0.0 && mean.stderr == Some(0.0) {
        return "0".to_owned();
    }
    format!("{}{}", number(mean.value), error(mean.stderr))
}

/// `0.5213`, or `0.9471 (max of 120)` where the sample has no such tail.
fn tail(tail: Tail) -> String {
    match tail {
        Tail::Percentile(value) => number(value),
        Tail::MaxOf { value, n } => format!("{} (max of {n})", number(value)),
    }
}

pub(super) fn standing(row: &Divergence) -> String {
    match row.standing {
        _ if row.within_floor => "within floor".to_owned(),
        Standing::Itself => "itself".to_owned(),
        Standing::Line => "1.0".to_owned(),
        Standing::WithinRounding => "within rounding".to_owned(),
        Standing::Times(times) if times < 10.0 => format!("{times:.1}"),
        Standing::Times(times) => format!("{times:.0}"),
        Standing::Unknown => String::new(),
    }
}

/// What the columns mean.
const MEANING: [&str; 2] = [
    "KL(reference || format) in nats of the next token, ± its standard error over sequences; percentiles by llama.cpp's rule, \"max of n\" where \
     fewer than ten positions lie above; worst 1 %: the share of all KL that they carry",
    "Δp: change of the following token's probability; PPL ratio: format over reference, paired at the same positions; p Holm: over the figures of a \
     format",
];

/// What stands under the tables.
fn lines(found: &Quantisation) -> Vec<String> {
    let mut lines = found.sentences.clone();
    lines.extend(found.dominated.iter().map(dominated));
    lines.extend(MEANING.map(str::to_owned));
    let kinds = |wanted: Kind| found.divergences.iter().any(|row| row.kind == wanted);
    if kinds(Kind::Sampled) {
        let floors = found.divergences.iter().filter_map(|row| row.floor);
        let most = floors.fold(0.0, |most: f64, floor| most.max(floor.abs()));
        lines.push(format!(
            "kl_sampled: at a sample of positions, against stored rows; storing them costs up to {} on average",
            number(most)
        ));
    }
    if kinds(Kind::Lower) {
        let what = "the reference's 64 likeliest tokens and one rest: a lower bound";
        lines.push(format!("kl_lower: {what}"));
    }
    if let Some(rounding) = &found.rounding {
        lines.push(format!("within rounding: at most twice the KL of {rounding}, which only rounds the weights"));
    }
    lines.extend(found.notes.iter().map(|note| format!("note: {note}")));
    lines
}

/// `nf4 has no use here: q4_0 is smaller (563 of 600 bytes), also faster, and nearer to f32 (KL lower by 0.0121, p <0.0001 over 300 sequences)`
fn dominated(Dominated { format, by, nearer, p, sequences, bytes, bytes_of_other, faster }: &Dominated) -> String {
    let faster = if *faster == Some(true) { ", faster" } else { "" };
    let nearer = number(*nearer);
    format!(
        "{format} is dominated: {by} is smaller ({bytes_of_other} bytes, not {bytes}){faster} and nearer to the reference (KL lower by {nearer}, \
         paired over {sequences} sequences, p {} by Holm)",
        probability(*p)
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::fidelity::testing::{positions, unchanged};
    use crate::fidelity::{Position, Summary};

    pub(in crate::report) fn found() -> Quantisation {
        let reference = unchanged(&positions(1, 1200, 20, 0.01));
        let row = |format: &str, list: &[Position], standing| Divergence {
            format: format.into(),
            source: "a|b\u{1b}[31m".into(),
            sources: 1,
            kind: Kind::Full,
            window: None,
            floor: None,
            within_floor: false,
            standing,
            summary: Summary::of(&[list], 512).unwrap(),
        };
        let size = |format: &str, bytes| Size {
            format: format.into(),
            storage: Some("float32".into()),
            stored_bytes: Some(bytes),
            memory_bytes: Some(bytes + 1),
            num_parameters: Some(1000),
            bits_per_weight: Some(8.0 * bytes as f64 / 1000.0),
            tokens_per_second: None,
        };
        let dominated = Dominated {
            format: "nf4".into(),
            by: "q4_0".into(),
            nearer: 0.0121,
            p: 1e-9,
            sequences: 60,
            bytes: 600,
            bytes_of_other: 563,
            faster: Some(true),
        };
        Quantisation {
            base: "f32".into(),
            reference: "f32".into(),
            rounding: Some("bf16".into()),
            sizes: vec![size("f32", 4000), size("q4_0", 563)],
            scores: Vec::new(),
            divergences: vec![
                row("f32", &reference, Standing::Itself),
                row("q4_0", &positions(2, 1200, 20, 0.05), Standing::Times(40.2)),
            ],
            dominated: vec![dominated],
            at_chance: Vec::new(),
            sentences: vec!["q4_0: no figure moved".into()],
            notes: vec!["of one\nline".into()],
        }
    }

    #[test]
    fn tables_go_on_under_themselves() {
        let wide = render_quantisation(&found(), Style::Plain, None);
        let narrow = render_quantisation(&found(), Style::Plain, Some(80));
        assert!(narrow.lines().filter(|line| line.starts_with('─')).all(|line| line.chars().count() <= 80), "{narrow}");
        assert!(narrow.matches("Format").count() > wide.matches("Format").count());
        for part in [
            "Size and speed",
            "KL",
            "max of 1200",
            "40",
            "itself",
            "same top-1",
            "100.00 ± 0.00 %",
            "4.50",
            "0.95 to 1",
        ] {
            assert!(wide.contains(part) && narrow.contains(part), "{part}: {wide}");
        }
        assert!(wide.contains("1.0000 ± 0.0000") && !wide.contains('\u{1b}'), "{wide}");
        assert!(wide.contains("nf4 is dominated: q4_0 is smaller (563 bytes, not 600), faster and nearer"), "{wide}");
        assert!(!wide.contains("Scores") && !wide.contains("of one\nline"));
    }

    #[test]
    fn markdown_has_no_markup_of_others() {
        let text = render_quantisation(&found(), Style::Markdown, None);
        assert!(text.contains("a\\|b") && text.starts_with("### What each format costs against f32\n"), "{text}");
        assert!(text.lines().filter(|line| line.starts_with('|')).count() > 12, "{text}");
    }
}
