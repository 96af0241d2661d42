//! The comparison table for terminals.

use super::view::{Cell, Comparison, Row};
use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{Attribute, CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};

/// How the table is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// For a terminal: best figures are bold as well as starred.
    Colour,
    /// The same without escape codes.
    Plain,
    /// A Markdown table.
    Markdown,
}

/// A line above, below and under the header, none between rows.
const THREE_LINES: TableStyle = TableStyle::new()
    .top_border(LineStyle::new('─', '─', '─', '─'))
    .header_separator(LineStyle::new('─', '─', '─', '─'))
    .bottom_border(LineStyle::new('─', '─', '─', '─'));

/// Draws the table; it ends with a newline.
pub fn render(comparison: &Comparison, style: Style) -> String {
    let mut table = Table::new();
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.load_style(if style == Style::Markdown { ASCII_MARKDOWN } else { THREE_LINES });
    if style == Style::Colour {
        table.enforce_styling();
    }
    let mut header = vec!["Task".to_string(), "n".into(), "Shots".into(), "Metric".into(), String::new()];
    header.extend(comparison.models.iter().cloned());
    table.set_header(header.into_iter().map(|text| bold(comfy_table::Cell::new(text), style)));
    for row in &comparison.rows {
        table.add_row(cells(row, style));
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        if index == 1 || index == 2 || index >= 5 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    format!("{}\n", trim_lines(&table.to_string()))
}

fn cells(row: &Row, style: Style) -> Vec<comfy_table::Cell> {
    let indent = if style == Style::Markdown { "&nbsp;&nbsp;" } else { "  " };
    let name = if row.first { format!("{}{}", indent.repeat(row.depth), row.name) } else { String::new() };
    let name = comfy_table::Cell::new(name);
    let count = |value: Option<usize>| value.filter(|_| row.first).map(|v| v.to_string()).unwrap_or_default();
    let direction = match row.higher_is_better {
        Some(true) => "↑",
        Some(false) => "↓",
        None => "",
    };
    let mut cells = vec![
        if row.is_group { bold(name, style) } else { name },
        comfy_table::Cell::new(count(row.n)),
        comfy_table::Cell::new(count(row.num_fewshot)),
        comfy_table::Cell::new(&row.metric),
        comfy_table::Cell::new(direction),
    ];
    cells.extend(row.cells.iter().map(|cell| match cell {
        Some(cell) if cell.best => bold(comfy_table::Cell::new(figure(cell)), style),
        Some(cell) => comfy_table::Cell::new(figure(cell)),
        None => comfy_table::Cell::new(""),
    }));
    cells
}

/// `*0.4400 ± 0.0709`: a star for the best, `!` when documents are missing from the figure.
fn figure(cell: &Cell) -> String {
    let star = if cell.best { "*" } else { "" };
    let missing = if cell.unscored > 0 { " !" } else { "" };
    match (cell.value, cell.stderr) {
        (Some(value), Some(stderr)) => format!("{star}{} ± {}{missing}", number(value), number(stderr)),
        (Some(value), None) => format!("{star}{}{missing}", number(value)),
        (None, _) => format!("not scored{missing}"),
    }
}

/// Four decimals, or four significant digits where that would hide a large or a tiny number.
fn number(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e6).contains(&size) { format!("{value:.3e}") } else { format!("{value:.4}") }
}

fn bold(cell: comfy_table::Cell, style: Style) -> comfy_table::Cell {
    if style == Style::Colour { cell.add_attribute(Attribute::Bold) } else { cell }
}

fn trim_lines(text: &str) -> String {
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures() {
        let cell = |value, stderr, best, unscored| Cell { value, stderr, best, unscored };
        assert_eq!(figure(&cell(Some(0.44), Some(0.07), true, 0)), "*0.4400 ± 0.0700");
        assert_eq!(figure(&cell(Some(123_456_789.0), None, false, 2)), "1.235e8 !");
        assert_eq!(figure(&cell(None, None, false, 5)), "not scored !");
        assert_eq!(figure(&cell(Some(0.0), Some(0.0), false, 0)), "0.0000 ± 0.0000");
    }
}
