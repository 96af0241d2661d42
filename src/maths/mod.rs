//! Equivalence of mathematical answers (the MATH benchmark, minerva_math, AGIEval's math).
//!
//! In: the text of a generation and a gold solution or answer. Out: the answer in it, and whether two answers are the
//! same, with the tier that decided. Pure: nothing is run here; sympy's word comes from a program whose input and output
//! [`symbolic`] knows. Answers are untrusted: sizes and depths are bounded, and time is linear in the text.

pub mod agieval;
pub mod boxed;
pub mod exact;
pub mod hendrycks;
pub mod minerva;
mod python_number;
pub mod symbolic;

pub use agieval::{agieval_equal, parse_math_answer};
pub use boxed::{BoxError, boxed_answer, last_boxed, remove_boxed};
pub use exact::exact;
pub use hendrycks::{hendrycks_answer, hendrycks_equal};
pub use minerva::{minerva_answer, minerva_gold, normalize_final_answer};
pub use verdict::{Tier, decide};

mod verdict;

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod sympy_test;
#[cfg(test)]
mod tests;
