//! What tokens cost: a small table that anyone can edit.
//!
//! Comes in: a model's name and what it took. Goes out: US dollars, or that nobody knows. Never: guesses.

use crate::error::{Error, Result};
use crate::request::Usage;
use serde::Deserialize;
use std::path::Path;

/// The built-in table.
const BUILT_IN: &str = include_str!("prices.json");

/// US dollars for a million tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Price {
    pub input: f64,
    /// Prompt tokens that the provider had in its cache.
    pub cached_input: f64,
    /// Generated tokens, thoughts included.
    pub output: f64,
}

impl Price {
    /// What an answer costs, in US dollars.
    pub fn cost(&self, usage: &Usage) -> f64 {
        let cached = usage.cached_tokens.min(usage.prompt_tokens);
        let fresh = (usage.prompt_tokens - cached) as f64 * self.input;
        (fresh + cached as f64 * self.cached_input + usage.completion_tokens as f64 * self.output) / 1e6
    }
}

/// A row of the table.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// A pattern: `*` stands for anything.
    pub model: String,
    pub input: f64,
    /// As `input` where it is left out.
    #[serde(default)]
    pub cached_input: Option<f64>,
    pub output: f64,
    /// When the price was looked up.
    #[serde(default)]
    pub as_of: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default, rename = "about")]
    _about: String,
    prices: Vec<Row>,
}

/// Prices by model.
#[derive(Debug, Clone, PartialEq)]
pub struct PriceTable(Vec<Row>);

impl PriceTable {
    /// The built-in table, with the rows of a file before it.
    pub fn load(file: Option<&Path>) -> Result<PriceTable> {
        let mut rows = Vec::new();
        if let Some(path) = file {
            let text = std::fs::read_to_string(path).map_err(|e| Error::io("cannot read the price table", path, e))?;
            let own = parse(&text).map_err(|e| {
                e.file(path).hint(
                    r#"write {"prices": [{"model": "my-model*", "input": 0.5, "cached_input": 0.1, "output": 1.5, "as_of": "2026-11"}]}, in US dollars for a million tokens"#,
                )
            })?;
            rows.extend(own);
        }
        rows.extend(parse(BUILT_IN)?);
        Ok(PriceTable(rows))
    }

    /// The price of a model: of the rows that fit, the one with the longest pattern; of equal ones the first.
    pub fn price(&self, model: &str) -> Option<Price> {
        let model = model.to_lowercase();
        // Routers name models `provider/model`.
        let last = model.rsplit('/').next().unwrap_or(&model);
        let fits = |row: &&Row| matches(&row.model, &model) || matches(&row.model, last);
        // The last of equals would win: the rows are taken from behind.
        let row = self.0.iter().rev().filter(fits).max_by_key(|row| row.model.len())?;
        Some(Price { input: row.input, cached_input: row.cached_input.unwrap_or(row.input), output: row.output })
    }

    /// All rows, those of the user's file first.
    pub fn rows(&self) -> &[Row] {
        &self.0
    }
}

fn parse(text: &str) -> Result<Vec<Row>> {
    let table: Table =
        serde_json::from_str(text).map_err(|e| Error::input("the price table cannot be read").cause(e))?;
    for (index, row) in table.prices.iter().enumerate() {
        let figures = [row.input, row.output, row.cached_input.unwrap_or(0.0)];
        if row.model.trim().is_empty() || figures.iter().any(|figure| !figure.is_finite() || *figure < 0.0) {
            return Err(
                Error::input("a row needs a model and prices that are not below 0").key(format!("prices[{index}]"))
            );
        }
    }
    Ok(table.prices.into_iter().map(|row| Row { model: row.model.to_lowercase(), ..row }).collect())
}

/// Whether a text fits a pattern in which `*` stands for anything.
pub fn matches(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut left) = text.strip_prefix(start) else { return false };
    let parts: Vec<&str> = rest.split('*').collect();
    let Some((last, middle)) = parts.split_last() else { return true };
    for part in middle {
        match left.find(part) {
            Some(at) => left = left.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    left.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_pattern_counts() {
        let table = PriceTable::load(None).unwrap();
        assert_eq!(table.price("gpt-4o-mini-2024-07-18").unwrap().input, 0.15);
        assert_eq!(table.price("openai/GPT-4o").unwrap().output, 10.0);
        assert_eq!(table.price("my-own-model"), None);
    }

    #[test]
    fn own_rows_come_first() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("prices.json");
        std::fs::write(&file, r#"{"prices": [{"model": "gpt-4o-mini*", "input": 9, "output": 1}]}"#).unwrap();
        let price = PriceTable::load(Some(&file)).unwrap().price("gpt-4o-mini").unwrap();
        assert_eq!((price.input, price.cached_input), (9.0, 9.0));
        std::fs::write(&file, r#"{"prices": [{"model": "x", "input": -1, "output": 1}]}"#).unwrap();
        let error = PriceTable::load(Some(&file)).unwrap_err().to_string();
        assert!(error.contains("prices[0]") && error.contains("prices.json"), "{error}");
        std::fs::write(&file, "{").unwrap();
        assert!(PriceTable::load(Some(&file)).unwrap_err().to_string().contains("cannot be read"));
    }

    #[test]
    fn patterns() {
        for (pattern, text, fits) in [
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*c", "abc", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxc", false),
            ("abc", "abcd", false),
            ("*", "", true),
            ("a*a", "a", false),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn costs() {
        let price = Price { input: 2.0, cached_input: 1.0, output: 10.0 };
        let usage =
            Usage { prompt_tokens: 1_000_000, cached_tokens: 500_000, completion_tokens: 100_000, ..Usage::default() };
        assert!((price.cost(&usage) - 2.5).abs() < 1e-12, "1.0 + 0.5 + 1.0");
    }
}
