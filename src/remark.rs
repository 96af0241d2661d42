//! What a user should know and what ends nothing: remarks on tasks, data and flags. Plain data.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    /// Good to know; the numbers are what was asked for.
    Note,
    /// The numbers may not be what was meant.
    Warning,
}

/// One thing to know about one subject.
///
/// Remarks of equal weight and text on different subjects are one line with a count: see [`gather`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Remark {
    pub weight: Weight,
    /// What it is about: a task's name, a file. `None` for the whole command.
    pub subject: Option<String>,
    /// A lower-case fragment, as errors have them. What counts for one subject only (a number of documents) belongs into `count`.
    pub text: String,
    /// Documents (prompts, rows, ...) that it touches, and of how many, with what they are called: `(3, 4, "prompts")`.
    pub count: Option<(usize, usize, Cow<'static, str>)>,
}

impl Remark {
    /// A note on `subject`.
    pub fn note(subject: impl Into<String>, text: impl Into<String>) -> Remark {
        Remark { weight: Weight::Note, subject: Some(subject.into()), text: text.into(), count: None }
    }

    /// A warning about `subject`.
    pub fn warning(subject: impl Into<String>, text: impl Into<String>) -> Remark {
        Remark { weight: Weight::Warning, ..Remark::note(subject, text) }
    }

    /// Says how many of how many it touches.
    pub fn count(mut self, touched: usize, of: usize, what: impl Into<Cow<'static, str>>) -> Remark {
        self.count = Some((touched, of, what.into()));
        self
    }
}

/// Remarks that say the same, with all their subjects and the sum of their counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gathered {
    pub weight: Weight,
    pub subjects: Vec<String>,
    pub text: String,
    pub count: Option<(usize, usize, Cow<'static, str>)>,
}

/// Puts equal remarks together, in the order of their first appearance; the same remark on the same subject counts once.
pub fn gather(remarks: &[Remark]) -> Vec<Gathered> {
    let mut all: Vec<Gathered> = Vec::new();
    let (mut seen, mut places) = (HashSet::new(), HashMap::new());
    for remark in remarks {
        if !seen.insert(remark) {
            continue;
        }
        let what = remark.count.as_ref().map(|(_, _, what)| what);
        let place = *places.entry((remark.weight, &remark.text, what)).or_insert_with(|| {
            all.push(Gathered {
                weight: remark.weight,
                subjects: Vec::new(),
                text: remark.text.clone(),
                count: what.map(|what| (0, 0, what.clone())),
            });
            all.len() - 1
        });
        let Some(gathered) = all.get_mut(place) else { continue };
        gathered.subjects.extend(remark.subject.clone());
        if let (Some(sum), Some(more)) = (&mut gathered.count, &remark.count) {
            (sum.0, sum.1) = (sum.0 + more.0, sum.1 + more.1);
        }
    }
    all
}

/// A text without its numbers and quotations: what texts that say the same of different things have in common.
pub fn pattern(text: &str) -> String {
    let mut pattern = String::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '`' | '"' => {
                // A quotation without an end is none.
                let quoted: String = rest.clone().take_while(|inner| *inner != c).collect();
                let ends = rest.clone().nth(quoted.chars().count()).is_some();
                if ends {
                    rest.nth(quoted.chars().count());
                }
                pattern.push(c);
            }
            c if c.is_ascii_digit() => {
                while rest.next_if(|c| c.is_ascii_digit() || *c == '.' || *c == ',').is_some() {}
                pattern.push('0');
            }
            c => pattern.push(c),
        }
    }
    pattern
}

impl Gathered {
    /// Subjects that are named; the others are counted.
    const NAMED: usize = 3;

    /// `mmlu_anatomy, mmlu_astronomy, mmlu_law and 24 more: text (31 of 870 prompts)`.
    pub fn line(&self) -> String {
        let named: Vec<&str> = self.subjects.iter().take(Self::NAMED).map(String::as_str).collect();
        let mut line = named.join(", ");
        if self.subjects.len() > Self::NAMED {
            line.push_str(&format!(" and {} more", self.subjects.len() - Self::NAMED));
        }
        if !line.is_empty() {
            line.push_str(": ");
        }
        line.push_str(&self.text);
        if let Some((touched, of, what)) = &self.count {
            line.push_str(&format!(" ({touched} of {of} {what})"));
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_remarks_are_one_line() {
        let mut remarks: Vec<Remark> = (0..5)
            .map(|i| Remark::warning(format!("t{i}"), "prompts hold their own answer").count(i, 10, "prompts"))
            .collect();
        remarks.push(Remark::note("t0", "another thing"));
        remarks.push(remarks[0].clone());
        let lines: Vec<String> = gather(&remarks).iter().map(Gathered::line).collect();
        assert_eq!(
            lines,
            ["t0, t1, t2 and 2 more: prompts hold their own answer (10 of 50 prompts)", "t0: another thing"]
        );
    }

    #[test]
    fn a_pattern_has_no_numbers_and_quotations() {
        let alike = ["`a b` has 12 tokens, 1.5 of 3", "`c` has 3 tokens, 2.5 of 40"].map(pattern);
        assert_eq!(alike[0], alike[1]);
        assert_ne!(pattern("it's `a` token"), pattern("it's `a` word"));
        assert_eq!(pattern("an open \" stays 7"), "an open \" stays 0");
    }
}
