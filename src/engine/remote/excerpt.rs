//! What servers say, made fit for messages: short and on one line.

use crate::visible;

/// Characters that a message shows.
const SHOWN: usize = 200;

/// The first 200 characters, those that hide, reorder or repaint written as escapes.
pub fn excerpt(text: &str) -> String {
    visible::excerpt(text.trim(), SHOWN)
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
