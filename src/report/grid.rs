//! Texts in rows and columns, drawn: the only file that draws tables.
//!
//! Cells come from task files, servers and caches. A cell is one line without control characters and of bounded length, and in
//! Markdown none of it is markup: what makes it so stands here, once.

use crate::visible;
use comfy_table::presets::{ASCII_MARKDOWN, NOTHING};
use comfy_table::{Attribute, CellAlignment, Color, ContentArrangement, LineStyle, Table, TableStyle};

/// Characters of a cell.
const LONGEST_CELL: usize = 1000;

/// How the rows are set apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// By space.
    Bare,
    /// By a line above, below and under the header.
    Lines,
    /// As Markdown.
    Markdown,
}

/// A line above, below and under the header, none between rows.
const THREE_LINES: TableStyle = TableStyle::new()
    .top_border(LineStyle::new('─', '─', '─', '─'))
    .header_separator(LineStyle::new('─', '─', '─', '─'))
    .bottom_border(LineStyle::new('─', '─', '─', '─'));

/// One text of a grid.
#[derive(Debug, Clone, Default)]
pub struct GridCell {
    before: String,
    text: String,
    bold: bool,
    green: bool,
}

impl GridCell {
    /// A text from anywhere.
    pub fn new(text: impl Into<String>) -> GridCell {
        GridCell { text: text.into(), ..GridCell::default() }
    }

    /// Puts a text of our own in front, which is markup where the grid is Markdown.
    pub fn after(self, before: impl Into<String>) -> GridCell {
        GridCell { before: before.into(), ..self }
    }

    /// A text of our own: markup where the grid is Markdown.
    pub fn ours(text: impl Into<String>) -> GridCell {
        GridCell::default().after(text)
    }

    /// Bold where there are colours.
    pub fn bold(self) -> GridCell {
        GridCell { bold: true, ..self }
    }

    /// Green where there are colours.
    pub fn green(self) -> GridCell {
        GridCell { green: true, ..self }
    }
}

impl<T: Into<String>> From<T> for GridCell {
    fn from(text: T) -> GridCell {
        GridCell::new(text)
    }
}

/// Rows of texts under an optional header.
pub struct Grid {
    table: Table,
    look: Look,
    coloured: bool,
}

impl Grid {
    /// An empty grid. `coloured`: for a terminal that takes codes.
    pub fn new(look: Look, coloured: bool) -> Grid {
        let mut table = Table::new();
        table.set_content_arrangement(ContentArrangement::Disabled);
        match look {
            Look::Bare => table.load_style(NOTHING),
            Look::Lines => table.load_style(THREE_LINES),
            Look::Markdown => table.load_style(ASCII_MARKDOWN),
        };
        if coloured {
            table.enforce_styling();
        }
        Grid { table, look, coloured }
    }

    /// Sets the header.
    pub fn header<T: Into<GridCell>>(&mut self, cells: impl IntoIterator<Item = T>) {
        let cells: Vec<_> = cells.into_iter().map(|cell| self.cell(cell.into())).collect();
        self.table.set_header(cells);
    }

    /// Adds a row.
    pub fn row<T: Into<GridCell>>(&mut self, cells: impl IntoIterator<Item = T>) {
        let cells: Vec<_> = cells.into_iter().map(|cell| self.cell(cell.into())).collect();
        self.table.add_row(cells);
    }

    /// Sets columns to the right.
    pub fn right(&mut self, is_right: impl Fn(usize) -> bool) {
        for (index, column) in self.table.column_iter_mut().enumerate() {
            if is_right(index) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
    }

    /// Sets the spaces before and behind the texts of some columns.
    pub fn padding(&mut self, (before, behind): (u16, u16), is_meant: impl Fn(usize) -> bool) {
        for (index, column) in self.table.column_iter_mut().enumerate() {
            if is_meant(index) {
                column.set_padding((before, behind));
            }
        }
    }

    /// Draws it, every line with its end and without spaces before that.
    pub fn draw(&self) -> String {
        self.table.to_string().lines().map(|line| format!("{}\n", line.trim_end())).collect()
    }

    fn cell(&self, cell: GridCell) -> comfy_table::Cell {
        let text = visible::excerpt(&cell.text, LONGEST_CELL);
        let text = if self.look == Look::Markdown { visible::markdown(&text) } else { text };
        let mut drawn = comfy_table::Cell::new(format!("{}{text}", visible::line(&cell.before)));
        if cell.bold && self.coloured {
            drawn = drawn.add_attribute(Attribute::Bold);
        }
        if cell.green && self.coloured {
            drawn = drawn.fg(Color::Green);
        }
        drawn
    }
}

/// The columns of text that stdout has room for, if it is a terminal.
pub fn terminal_width() -> Option<usize> {
    Table::new().width().map(usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_cannot_leave_their_place() {
        let hostile = "a\nwarning: all is well\u{1b}[31m|`<b>`\u{202e}";
        let drawn = |look| {
            let mut grid = Grid::new(look, false);
            grid.header(["Task", hostile]);
            grid.row([GridCell::new(hostile).after("&nbsp;"), GridCell::ours("*1")]);
            grid.row([GridCell::new("x".repeat(5_000_000)), GridCell::new("")]);
            grid.draw()
        };
        for look in [Look::Bare, Look::Lines, Look::Markdown] {
            let text = drawn(look);
            assert!(!text.contains(|c| c != '\n' && visible::is_hidden(c)), "{text}");
            assert!(text.lines().count() <= 6 && text.len() < 20_000, "{} lines", text.lines().count());
        }
        let text = drawn(Look::Markdown);
        assert!(
            text.contains("&nbsp;a\\\\nwarning") && text.contains("\\|\\`&lt;b&gt;\\`") && text.contains(" *1"),
            "{text}"
        );
    }
}
