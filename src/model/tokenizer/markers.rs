//! Markers of a chat template that the tokenizer takes to pieces.
//!
//! Comes in: a template, or what it writes. Goes out: markers that are tokens of the vocabulary and yet do not come out as one. Never: markers that
//! no vocabulary knows; a template may write what it likes.

use super::Tokenizer;
use crate::error::Result;
use std::collections::BTreeSet;

/// Bytes of a marker, at most; longer stretches between brackets are text.
const LONGEST: usize = 64;

/// Markers of a text that are looked at.
const MOST: usize = 256;

impl Tokenizer {
    /// Markers in a text (`<...>`, `[...]`) that are tokens of the vocabulary and do not come out as that one.
    ///
    /// Errors: the tokenizers library fails.
    pub fn torn_markers(&self, text: &str) -> Result<Vec<String>> {
        let mut torn = Vec::new();
        for marker in markers(text) {
            let Some(id) = self.id(marker) else { continue };
            if !self.encode(marker, false)?.contains(&id) {
                torn.push(marker.to_string());
            }
        }
        Ok(torn)
    }
}

/// What stands between brackets, these included, without white space, each once.
fn markers(text: &str) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    for (open, close) in [('<', '>'), ('[', ']')] {
        let starts = text.match_indices(open).map(|(at, _)| at);
        for start in starts {
            let end = text[start..].char_indices().take_while(|(at, _)| *at < LONGEST).find(|(_, c)| *c == close);
            let Some(marker) = end.map(|(at, _)| &text[start..start + at + close.len_utf8()]) else { continue };
            let inner = &marker[1..marker.len() - 1];
            if found.len() < MOST && !inner.is_empty() && !inner.contains(|c: char| c.is_whitespace() || c == open) {
                found.insert(marker);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_stand_in_brackets() {
        let found = markers("{{ '<|im_start|>' + m['role'] }}[INST] a < b <</SYS>> <x y> <end_of_turn>\n");
        let found: Vec<&str> = found.into_iter().collect();
        assert_eq!(found, ["</SYS>", "<end_of_turn>", "<|im_start|>", "['role']", "[INST]"]);
        assert!(markers(&"<".repeat(1000)).is_empty());
    }
}
