//! Text from outside as it may be shown. The ground floor.
//!
//! Names, keys, columns, tensors, documents and what servers say may hold escape codes that repaint a terminal, marks that turn the
//! direction of writing, line breaks that make lines of their own, and megabytes. Files keep such text as it is; whatever is shown to
//! people goes through one of these functions on its way, and `cli/talk.rs`, which alone writes to the terminal, sees to that.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Characters of a quotation in a message: what stands between backticks.
const QUOTED: usize = 200;
/// Characters of one part of a message: its beginning and its end, with `...` between them.
const MESSAGE: (usize, usize) = (1200, 400);
/// Names of a list that are shown; the others are counted.
const LISTED: usize = 16;
/// Characters of one name of a list.
const NAME: usize = 80;

/// Whether a character shows nothing itself and changes what others show: controls (C0 with line breaks and tabs, DEL, C1), direction,
/// zero width, line and paragraph separators, tags, and what annotates.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// One line: every hidden character is written as an escape (`\n`, `\u{1b}`).
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, |_| false)
}

/// Text of several lines, a prompt: its line breaks and tabs stay, and so do the joiners that Persian, Hindi and emoji are written with.
pub fn block(text: &str) -> Cow<'_, str> {
    escaped(text, |c| matches!(c, '\n' | '\t' | '\u{200c}' | '\u{200d}'))
}

/// [`block`] of text that we have coloured: the codes for colours and weights stay, no others.
pub fn styled(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\u{1b}[") {
        let (before, code) = rest.split_at(at);
        out.push_str(&block(before));
        let end = code.char_indices().skip(2).find(|(_, c)| !c.is_ascii_digit() && *c != ';');
        match end {
            Some((end, 'm')) => {
                out.push_str(&code[..=end]);
                rest = &code[end + 1..];
            }
            _ => {
                out.push_str(&line("\u{1b}"));
                rest = &code[1..];
            }
        }
    }
    out.push_str(&block(rest));
    out
}

/// The first `most` characters on one line, with `...` where there are more.
pub fn excerpt(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}...", line(&text[..end])),
        None => line(text).into_owned(),
    }
}

/// A message that may quote what others wrote: on one line, quotations between backticks cut short, and the whole bounded.
pub fn message(text: &str) -> String {
    if text.len() <= QUOTED {
        return line(text).into_owned();
    }
    let mut out = String::new();
    for (n, part) in text.split('`').enumerate() {
        if n > 0 {
            out.push('`');
        }
        // Every second part stands between backticks.
        if n % 2 == 1 { out.push_str(&excerpt(part, QUOTED)) } else { out.push_str(&line(part)) }
    }
    let (head, tail) = MESSAGE;
    let length = out.chars().count();
    if length <= head + tail {
        return out;
    }
    let from = |skipped: usize| out.char_indices().nth(skipped).map_or(out.len(), |(at, _)| at);
    format!("{} ... {}", &out[..from(head)], &out[from(length - tail)..])
}

/// Names one after the other; of many, the first ones and how many more there are.
pub fn list<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> String {
    let mut names = names.into_iter();
    let shown: Vec<String> = names.by_ref().take(LISTED).map(|name| excerpt(name.as_ref(), NAME)).collect();
    match names.count() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// One line inside a page of Markdown: nothing in it is markup, HTML, a link or the end of a table's cell.
pub fn markdown(text: &str) -> String {
    let mut out = String::new();
    for c in line(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\\' | '|' | '`' | '*' | '[' | ']' | '~' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

/// JSON as it may be shown: hidden characters, which can only stand inside its texts, as JSON's own escapes; it stays the same JSON.
pub fn json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) && !matches!(c, '\n' | '\t') {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out
}

fn escaped(text: &str, stays: impl Fn(char) -> bool) -> Cow<'_, str> {
    let hides = |c: char| is_hidden(c) && !stays(c);
    let Some(first) = text.find(hides) else { return Cow::Borrowed(text) };
    let (head, tail) = text.split_at(first);
    let mut out = String::with_capacity(text.len() + 8);
    out.push_str(head);
    for c in tail.chars() {
        match c {
            c if !hides(c) => out.push(c),
            '\n' | '\r' | '\t' => out.extend(c.escape_default()),
            c => out.extend(c.escape_unicode()),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_hidden_is_shown_as_it_is() {
        let text = "a\u{1b}[31mb\u{9b}1m\u{202e}c\u{2066}\u{200b}\u{feff}\u{7}\u{0}\u{7f}\u{2028}\u{e0041}";
        let wanted =
            "a\\u{1b}[31mb\\u{9b}1m\\u{202e}c\\u{2066}\\u{200b}\\u{feff}\\u{7}\\u{0}\\u{7f}\\u{2028}\\u{e0041}";
        assert_eq!(line(text), wanted);
        assert_eq!(block(text), wanted);
        assert_eq!(line("a\r\nb\tc"), "a\\r\\nb\\tc");
        assert_eq!(block("a\r\nb\tc"), "a\\r\nb\tc");
        for plain in ["é 漢字 العربية עברית 👍🏽 ± ↑ ━╸ &nbsp;", "e\u{301} \u{2764}\u{fe0f}", ""]
        {
            assert!(matches!(line(plain), Cow::Borrowed(_)), "{plain}");
        }
        // What Persian and families of emoji are written with.
        let joined = "\u{645}\u{6cc}\u{200c}\u{62e} \u{1f469}\u{200d}\u{1f467}";
        assert_eq!(block(joined), joined);
        assert_eq!(line("a\u{200d}b"), "a\\u{200d}b");
    }

    #[test]
    fn colours_of_our_own_stay_and_nothing_else() {
        assert_eq!(styled("\u{1b}[1mbold\u{1b}[0;32m\n"), "\u{1b}[1mbold\u{1b}[0;32m\n");
        assert_eq!(styled("a\u{1b}]0;t\u{7}\u{1b}[2Jb\u{1b}["), "a\\u{1b}]0;t\\u{7}\\u{1b}[2Jb\\u{1b}[");
        assert_eq!(styled("\u{1b}[1"), "\\u{1b}[1");
        assert_eq!(styled("\u{1b}[\u{1b}[1mx"), "\\u{1b}[\u{1b}[1mx");
    }

    #[test]
    fn messages_are_bounded() {
        assert_eq!(excerpt("ééé", 3), "ééé");
        assert_eq!(excerpt("éé\n\n", 3), "éé\\n...");
        let long = "x".repeat(5_000_000);
        let said = message(&format!("unknown key `{long}` in `file`, and that is why"));
        assert!(said.starts_with("unknown key `xxx") && said.ends_with("x...` in `file`, and that is why"), "{said}");
        assert!(said.len() < 300);
        let said = message(&format!("{long}: the end"));
        assert!(said.ends_with("x: the end") && said.contains("x ... x") && said.len() < 2000, "{}", said.len());
        assert_eq!(message("short `\u{1b}`"), "short `\\u{1b}`");
        let many: Vec<String> = (0..100_000).map(|i| format!("c{i}")).collect();
        let said = list(&many);
        assert!(said.starts_with("c0, c1, ") && said.ends_with("c15 and 99984 more"), "{said}");
        assert_eq!(list(["a", "b\u{1b}"]), "a, b\\u{1b}");
        assert!(list([long]).len() < 100);
    }

    #[test]
    fn markdown_and_json() {
        assert_eq!(
            markdown("a|b`c`\n<img src=x> [x](y) demo_x"),
            "a\\|b\\`c\\`\\\\n&lt;img src=x&gt; \\[x\\](y) demo_x"
        );
        let text = serde_json::to_string_pretty(&["\u{202e}\u{2028}\u{e0041}é"]).unwrap();
        let shown = json(&text);
        assert!(shown.contains("\\u202e\\u2028\\udb40\\udc41é"), "{shown}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&shown).unwrap(), ["\u{202e}\u{2028}\u{e0041}é"]);
    }
}
