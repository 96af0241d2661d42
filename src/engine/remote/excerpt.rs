//! What servers say, made fit for messages: short and on one line.

/// Characters that a message shows.
const SHOWN: usize = 200;

/// The first 200 characters, with control characters and those that reorder or hide text written as escapes.
pub fn excerpt(text: &str) -> String {
    let text = text.trim();
    let mut out = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == SHOWN {
            out.push_str("...");
            break;
        }
        if c.is_control() {
            out.extend(c.escape_default());
        } else if is_invisible(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// Zero-width, line-separating and direction-changing characters.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpts_are_short_and_on_one_line() {
        assert_eq!(excerpt("  a\nb\tc\u{1b}[31m\u{202e}x\u{0} "), "a\\nb\\tc\\u{1b}[31m\\u{202e}x\\u{0}");
        let cut = excerpt(&"é".repeat(500));
        assert_eq!(cut.chars().count(), 203);
        assert!(cut.ends_with("é..."));
        assert_eq!(excerpt(&"x".repeat(200)), "x".repeat(200));
    }
}
