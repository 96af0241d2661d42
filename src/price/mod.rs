//! What answers cost: a small table of public list prices that a file of the user's goes before.
//!
//! Comes in: a model's name and its [`Usage`]. Goes out: US dollars, or nothing where nobody knows the price: unknown is not free.
//! Never: asks a provider; the built-in table is as old as the dates in it.

mod read;

use crate::error::{Error, Result};
use crate::pattern;
use crate::request::Usage;
pub use read::Row;
use std::path::Path;

/// The built-in table.
const BUILT_IN: &str = include_str!("prices.json");

/// Prices are for so many tokens.
const PER: f64 = 1e6;

/// Providers whose list prices routers pass on under `provider/model`.
const ROUTED: &[&str] = &["openai/", "anthropic/", "google/"];

/// What tokens of one model cost: US dollars for a million.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Price {
    pub input: f64,
    /// Prompt tokens that the provider had in a cache of its own.
    pub cached_input: f64,
    /// Generated tokens, thoughts included.
    pub output: f64,
}

impl Price {
    /// What an answer costs, in US dollars. Cached tokens are a part of the prompt's, thoughts a part of the completion's.
    pub fn cost(&self, usage: &Usage) -> f64 {
        let cached = usage.cached_tokens.min(usage.prompt_tokens);
        let fresh = (usage.prompt_tokens - cached) as f64 * self.input;
        (fresh + cached as f64 * self.cached_input + usage.completion_tokens as f64 * self.output) / PER
    }
}

/// Prices by patterns of model names.
#[derive(Debug, Clone, PartialEq)]
pub struct PriceTable {
    /// The user's rows, then the built-in ones.
    rows: Vec<Row>,
    /// How many of them are the user's.
    own: usize,
}

impl PriceTable {
    /// The built-in table, with the rows of a file before it.
    pub fn load(file: Option<&Path>) -> Result<PriceTable> {
        let built_in = read::parse(BUILT_IN.as_bytes())?;
        let mut rows = match file {
            Some(path) => {
                let bytes = crate::file::read(path, crate::file::SMALL).map_err(|e| {
                    Error::io("cannot read the price table", path, e).hint("`--prices` takes a JSON file")
                })?;
                read::parse(&bytes).map_err(|e| e.file(path))?
            }
            None => Vec::new(),
        };
        let own = rows.len();
        rows.extend(built_in);
        Ok(PriceTable { rows, own })
    }

    /// The price of a model; `None`: unknown.
    pub fn price(&self, model: &str) -> Option<Price> {
        self.row(model).map(Row::price)
    }

    /// The row that gives a model's price: the user's before the built-in ones, and of several that fit the one with the most letters
    /// that are no wildcards.
    pub fn row(&self, model: &str) -> Option<&Row> {
        let model = model.to_lowercase();
        let routed = ROUTED.iter().find_map(|provider| model.strip_prefix(provider));
        let (own, built_in) = self.rows.split_at_checked(self.own)?;
        let find = |rows| best(rows, &model).or_else(|| best(rows, routed?));
        find(own).or_else(|| find(built_in))
    }

    /// All rows, in the order in which they are searched.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// All rows as texts for a listing: patterns, input, cached input, output (US dollars for a million tokens), date, note.
    pub fn list(&self) -> Vec<Vec<String>> {
        self.rows.iter().map(Row::cells).collect()
    }
}

/// The most specific row that fits; of equals the first.
fn best<'a>(rows: &'a [Row], model: &str) -> Option<&'a Row> {
    rows.iter()
        .flat_map(|row| row.model.iter().map(move |pattern| (pattern, row)))
        .filter(|(pattern, _)| pattern::matches_name(pattern, model))
        .min_by_key(|(pattern, _)| std::cmp::Reverse(specificity(pattern)))
        .map(|(_, row)| row)
}

/// A name before any pattern, then by letters that are no wildcards.
fn specificity(pattern: &str) -> (bool, usize) {
    (!pattern::is_name_pattern(pattern), pattern.chars().filter(|c| !"*?".contains(*c)).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Result<PriceTable> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("prices.json");
        std::fs::write(&path, text).unwrap();
        PriceTable::load(Some(&path))
    }

    fn usage(prompt: usize, cached: usize, completion: usize) -> Usage {
        Usage {
            prompt_tokens: prompt,
            completion_tokens: completion,
            cached_tokens: cached,
            reasoning_tokens: completion / 2,
            ..Usage::default()
        }
    }

    #[test]
    fn the_built_in_table_is_sound() {
        let table = PriceTable::load(None).unwrap();
        assert!(table.rows().len() > 20);
        for row in table.rows() {
            assert_eq!(row.as_of.len(), "2025-09-01".len(), "{row:?}");
            assert!(row.cached_input.is_none_or(|cached| cached < row.input), "{row:?}");
        }
    }

    #[test]
    fn costs_by_hand() {
        let price = PriceTable::load(None).unwrap().price("gpt-4o-mini").unwrap();
        // 600,000 fresh at 0.15, 400,000 cached at 0.075, 100,000 out at 0.60; thoughts are not counted again.
        let want = 0.09 + 0.03 + 0.06;
        assert!((price.cost(&usage(1_000_000, 400_000, 100_000)) - want).abs() < 1e-12);
        // A provider that reports more cached tokens than tokens.
        assert!((price.cost(&usage(10, 20, 0)) - 10.0 * 0.075 / 1e6).abs() < 1e-18);
        assert_eq!(price.cost(&usage(0, 0, 0)), 0.0);
    }

    #[test]
    fn names_and_the_most_specific_pattern() {
        let built_in = PriceTable::load(None).unwrap();
        let input = |model: &str| built_in.price(model).map(|p| p.input);
        assert_eq!(input("gpt-4o-mini-2024-07-18"), Some(0.15));
        assert_eq!(input("gpt-4o-2024-05-13"), Some(5.0));
        assert_eq!(input("GPT-4o-2024-08-06"), Some(2.5));
        assert_eq!(input("openai/gpt-4o-mini"), Some(0.15));
        assert_eq!(input("claude-opus-4-5-20251101"), Some(5.0));
        assert_eq!(input("claude-opus-4-20250514"), Some(15.0));
        // What nobody wrote down is unknown, not free and not a guess.
        for unknown in ["gpt-4o-audio-preview", "o3-pro", "gpt-5-pro", "my-model", "someone/gpt-4o-mini", "", "/"] {
            assert_eq!(input(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn rows_of_the_user_go_first() {
        let table = table(
            r#"{"prices": [
                {"model": "GPT-4*", "input": 1, "output": 2, "as_of": "2026-01-01"},
                {"model": ["x", "gpt-4o-m*"], "input": 3, "output": 4, "as_of": "2026-01-01", "note": "ours"}]}"#,
        )
        .unwrap();
        let price = table.price("gpt-4o-mini").unwrap();
        assert_eq!((price.input, price.cached_input, price.output), (3.0, 3.0, 4.0));
        assert_eq!(table.price("gpt-4.1").unwrap().input, 1.0);
        assert_eq!(table.price("o3").unwrap().input, 2.0, "the built-in rows stay");
        assert_eq!(table.list()[1], ["x, gpt-4o-m*", "3", "3", "4", "2026-01-01", "ours"]);
    }

    #[test]
    fn errors_name_file_and_row() {
        let row =
            |text: &str| format!(r#"{{"prices": [{{"model": "a", "input": 1, "output": 1, "as_of": "d"}}, {text}]}}"#);
        for (text, says) in [
            ("{".to_string(), "not valid JSON"),
            ("[]".to_string(), "prices"),
            (r#"{"prices": 3}"#.to_string(), "prices"),
            (r#"{"prices": [], "price": 1}"#.to_string(), "`price`"),
            (row("7"), "row 2"),
            (row(r#"{"model": [], "input": 1, "output": 1, "as_of": "d"}"#), "row 2"),
            (row(r#"{"model": ["b", " "], "input": 1, "output": 1, "as_of": "d"}"#), "row 2"),
            (row(r#"{"model": "b", "input": -1, "output": 1, "as_of": "d"}"#), "input"),
            (row(r#"{"model": "b", "input": 1, "as_of": "d"}"#), "output"),
            (row(r#"{"model": "b", "input": 1, "output": 1}"#), "as_of"),
            (row(r#"{"model": "b", "input": 1, "output": 1, "as_of": "d", "in": 2}"#), "`in`"),
            (row(r#"{"model": "b", "currency": "EUR", "input": 1, "output": 1, "as_of": "d"}"#), "dollars"),
        ] {
            let err = table(&text).unwrap_err().to_string();
            assert!(err.contains("prices.json") && err.contains(says), "{text}: {err}");
        }
        let err = PriceTable::load(Some(Path::new("no/such.json"))).unwrap_err().to_string();
        assert!(err.contains("no/such.json") && err.contains("--prices"), "{err}");
    }
}
