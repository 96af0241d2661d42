//! How toxic texts are: scorers, and what is made of their scores.
//!
//! Comes in: texts, and the address of a scorer (`linear`, `hf:org/name`, `perspective`, ...). Goes out: a probability in 0..1 for each
//! text, or the reason why there is none; measures of many scores (`measures`), and how well two scorers agree (`agreement`). Never: a
//! score that nobody gave. A text that could not be scored is an error, not a harmless text.
//!
//! Classifiers run here (`classifier`, `linear`), services are asked (`remote`); `judge` has the words for a language model as judge.

pub mod agreement;
mod classifier;
pub mod judge;
pub mod linear;
pub mod measures;
mod options;
mod registry;
mod remote;
mod scorer;

pub use agreement::{Agreement, agreement};
pub use registry::{DEFAULT_SCORER, OpenOptions, Row, TOXICITY_SCORERS, open};
pub use scorer::{Score, ScoreSink, Scorer, ScorerIdentity};
