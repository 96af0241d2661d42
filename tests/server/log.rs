//! What a server saw.

use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What became of a prompt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    pub asked: u32,
    /// Answers that were right and sent whole.
    pub answered: u32,
    pub faults: u32,
}

/// What was asked.
#[derive(Debug, Default)]
pub struct Log {
    /// By kind and text: `score: ...`, `generate: ...`, `chat: ...`.
    pub prompts: HashMap<String, Count>,
    /// Distinct request lines and headers.
    pub heads: BTreeSet<String>,
    /// How often each fault happened.
    pub faults: BTreeMap<String, u32>,
}

impl Log {
    pub fn asked(&self) -> u32 {
        self.prompts.values().map(|count| count.asked).sum()
    }

    /// Prompts of one kind (`score`, `generate`, `chat`).
    pub fn of_kind(&self, kind: &str) -> impl Iterator<Item = &str> {
        let prefix = format!("{kind}: ");
        self.prompts.keys().filter_map(move |key| key.strip_prefix(&prefix).map(|_| &key[prefix.len()..]))
    }

    /// Whether any prompt has this in it.
    pub fn mentions(&self, text: &str) -> bool {
        self.prompts.keys().any(|key| key.contains(text))
    }

    /// Whether any request line or header has this in it.
    pub fn saw(&self, text: &str) -> bool {
        self.heads.iter().any(|head| head.contains(text))
    }

    pub fn keep_head(&mut self, head: &str) {
        for line in head.lines() {
            if !self.heads.contains(line) {
                self.heads.insert(line.to_string());
            }
        }
    }
}
