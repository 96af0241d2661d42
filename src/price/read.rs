//! Reads a price table: `{"prices": [{"model": "glob", "input": .., "cached_input": .., "output": .., "as_of": ".."}]}`.

use super::Price;
use crate::error::{Error, Result};
use serde::Deserialize;
use serde_json::Value;

/// What a table looks like, for hints.
const EXAMPLE: &str = r#"write `{"prices": [{"model": "my-model*", "input": 1.5, "cached_input": 0.5, "output": 6, "as_of": "2026-01-31"}]}`, in US dollars for a million tokens"#;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default, rename = "about")]
    _about: Value,
    /// Read row by row, so that an error can name its row.
    prices: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Patterns {
    One(String),
    Several(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    model: Patterns,
    input: f64,
    #[serde(default)]
    cached_input: Option<f64>,
    output: f64,
    as_of: String,
    #[serde(default)]
    currency: Option<String>,
    #[serde(default)]
    note: String,
}

/// A row of the table: US dollars for a million tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Shell patterns of model names, in lower case.
    pub model: Vec<String>,
    pub input: f64,
    /// Tokens of the prompt that the provider had in a cache; `None`: as other input.
    pub cached_input: Option<f64>,
    pub output: f64,
    /// Date at which the price was looked up.
    pub as_of: String,
    pub note: String,
}

impl Row {
    pub fn price(&self) -> Price {
        let cached_input = self.cached_input.unwrap_or(self.input);
        Price { input: self.input, cached_input, output: self.output }
    }

    pub(super) fn cells(&self) -> Vec<String> {
        let Price { input, cached_input, output } = self.price();
        let figures = [input, cached_input, output].map(|price| price.to_string());
        std::iter::once(self.model.join(", ")).chain(figures).chain([self.as_of.clone(), self.note.clone()]).collect()
    }
}

impl Written {
    fn checked(self) -> Result<Row> {
        let model = match self.model {
            Patterns::One(model) => vec![model],
            Patterns::Several(models) => models,
        };
        if model.is_empty() || model.iter().any(|pattern| pattern.trim().is_empty()) {
            return Err(Error::input("a row needs at least one model"));
        }
        if let Some(currency) = self.currency.filter(|currency| currency != "USD") {
            return Err(Error::input(format!("prices are in US dollars, not in `{currency}`")));
        }
        let prices = [("input", Some(self.input)), ("cached_input", self.cached_input), ("output", Some(self.output))];
        for (name, price) in prices {
            if price.is_some_and(|price| !price.is_finite() || price < 0.0) {
                return Err(Error::input(format!("{name} must be a price, 0 or more")));
            }
        }
        Ok(Row {
            model: model.iter().map(|pattern| pattern.trim().to_lowercase()).collect(),
            input: self.input,
            cached_input: self.cached_input,
            output: self.output,
            as_of: self.as_of,
            note: self.note,
        })
    }
}

/// The rows of a table.
pub(super) fn parse(bytes: &[u8]) -> Result<Vec<Row>> {
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|e| Error::input("the price table is not valid JSON").cause(e).hint(EXAMPLE))?;
    if !value.is_object() {
        return Err(Error::input("the price table is no object with `prices`").hint(EXAMPLE));
    }
    let table =
        Table::deserialize(value).map_err(|e| Error::input("the price table cannot be read").cause(e).hint(EXAMPLE))?;
    let row = |(index, value): (usize, Value)| {
        let written = Written::deserialize(value).map_err(|e| Error::input("the row cannot be read").cause(e));
        written.and_then(Written::checked).map_err(|e| e.key(format!("row {}", index + 1)).hint(EXAMPLE))
    };
    table.prices.into_iter().enumerate().map(row).collect()
}
