//! Measures of how far two texts share words, characters or edits: BLEU, chrF, TER, ROUGE, answer F1.
//!
//! Comes in: a text and its references. Goes out: scores, and for corpus measures the counts that add up to them. Never: I/O,
//! models, tasks. Each measure equals its reference package to the last digits (see the file of each); differences of Unicode
//! versions aside, which concern characters that are younger than Unicode 14.

pub mod answer;
pub mod bleu;
pub mod chrf;
mod edit_distance;
#[cfg(test)]
pub(in crate::score) mod golden;
mod lcs;
mod porter;
pub mod rouge;
pub mod ter;
pub mod tokenizer;
pub mod truthful;
