//! What stdout is: whether it takes colours, and how wide it is.

use crate::report::{Style, terminal_width};
use std::io::IsTerminal;

/// How tables are drawn on stdout, and the columns of text that they have room for: any number in a file or a pipe, and in Markdown.
pub fn screen(markdown: bool) -> (Style, Option<usize>) {
    if markdown {
        return (Style::Markdown, None);
    }
    let style = if coloured() { Style::Colour } else { Style::Plain };
    (style, terminal_width())
}

/// What the conventional variables say (`NO_COLOR` not empty, `CLICOLOR_FORCE` not 0), else whether it is a terminal.
fn coloured() -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let forced = set("CLICOLOR_FORCE").is_some_and(|value| value != "0");
    set("NO_COLOR").is_none() && (forced || std::io::stdout().is_terminal())
}
