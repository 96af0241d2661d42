//! The demo world: an invented valley, six small data sets about it in the shape of well-known benchmarks, and the text a
//! demo model is trained on. Everything follows from one seed.

mod chores;
mod code;
mod dice;
mod facts;
mod grumbles;
mod myths;
mod sums;
mod words;

use dice::Dice;
use serde_json::Value;

/// The seed of the committed data sets.
pub const SEED: u64 = 7;

/// What one data set gives: rows for shots, held-out rows, and documents to learn from.
pub struct Part {
    pub name: &'static str,
    pub train: Vec<Value>,
    pub test: Vec<Value>,
    /// Documents of the training text; no test row stands in them.
    pub documents: Vec<String>,
}

/// The six data sets.
pub fn parts(seed: u64) -> Vec<Part> {
    // A seed of its own for each: what changes in one leaves the others as they are.
    let makers: [fn(&mut Dice) -> Part; 6] =
        [facts::part, chores::part, sums::part, code::part, myths::part, grumbles::part];
    makers.iter().zip(seed..).map(|(make, seed)| make(&mut Dice::new(seed))).collect()
}

/// The documents of all parts in a shuffled order.
pub fn documents(parts: &[Part], seed: u64) -> Vec<String> {
    let mut all: Vec<String> = parts.iter().flat_map(|part| part.documents.iter().cloned()).collect();
    Dice::new(seed).shuffle(&mut all);
    all
}

/// The files of the data sets: name and content, one JSON object a line.
pub fn files(parts: &[Part]) -> Vec<(String, String)> {
    let lines = |rows: &[Value]| rows.iter().map(|row| format!("{row}\n")).collect::<String>();
    let both = |part: &Part| {
        let file = |split: &str, rows: &[Value]| (format!("{}_{split}.jsonl", part.name), lines(rows));
        [file("train", &part.train), file("test", &part.test)]
    };
    parts.iter().flat_map(both).collect()
}
