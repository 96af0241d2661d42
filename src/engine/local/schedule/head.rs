//! What a pass asks of the language-model head: each row once, with all that anybody wants to know about it.

use crate::engine::local::lm::{LanguageModel, RowScore};
use crate::engine::local::score::TokenScore;
use crate::error::Result;
use crate::request::Unscored;
use std::ops::Range;

/// A token that is asked about only to see whether there are numbers at all.
pub(super) const PROBE: u32 = 0;

/// Rows of a pass that go through the head.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) rows: Vec<usize>,
    targets: Vec<u32>,
    ranges: Vec<Range<usize>>,
    /// Rows whose logits are needed.
    drawn: Vec<usize>,
}

/// What the head said.
pub(super) struct Heard {
    pub(super) scores: Vec<RowScore>,
    /// `[drawn, vocabulary]`
    logits: Vec<f32>,
    vocabulary: usize,
}

/// Where a piece's or text's answers stand in [`Heard`].
#[derive(Default)]
pub(super) struct Place {
    /// Rows inside a node.
    pub(super) inside: Range<usize>,
    /// The row at the end of a node or text.
    pub(super) end: Option<usize>,
    pub(super) drawn: Option<usize>,
}

impl Asked {
    pub(super) fn ask(&mut self, row: usize, targets: &[u32]) -> usize {
        let start = self.targets.len();
        self.targets.extend_from_slice(targets);
        self.ranges.push(start..self.targets.len());
        self.rows.push(row);
        self.rows.len() - 1
    }

    pub(super) fn draw(&mut self, row: usize) -> usize {
        self.drawn.push(row);
        self.drawn.len() - 1
    }

    /// What is needed to choose the token after a row.
    pub(super) fn choose(&mut self, row: usize, draws: bool) -> Place {
        if draws {
            Place { drawn: Some(self.draw(row)), ..Place::default() }
        } else {
            Place { end: Some(self.ask(row, &[PROBE])), ..Place::default() }
        }
    }

    pub(super) fn hear<M: LanguageModel>(&self, model: &M, hidden: &M::Hidden) -> Result<Heard> {
        let targets: Vec<&[u32]> = self.ranges.iter().map(|range| &self.targets[range.clone()]).collect();
        let scores = if self.rows.is_empty() { Vec::new() } else { model.log_probs(hidden, &self.rows, &targets)? };
        let logits = if self.drawn.is_empty() { Vec::new() } else { model.logits(hidden, &self.drawn)? };
        let vocabulary = logits.len() / self.drawn.len().max(1);
        Ok(Heard { scores, logits, vocabulary })
    }
}

impl Heard {
    /// The first argmax and the logits after a row; an error when there are no numbers.
    pub(super) fn choice(&self, place: &Place, draws: bool) -> std::result::Result<(u32, &[f32]), Unscored> {
        let choice = if draws {
            let first = place.drawn.unwrap_or(usize::MAX).saturating_mul(self.vocabulary);
            let logits = self.logits.get(first..first.saturating_add(self.vocabulary)).unwrap_or_default();
            (!logits.is_empty() && !logits.iter().any(|logit| logit.is_nan())).then_some((0, logits))
        } else {
            let score = place.end.and_then(|end| self.scores.get(end));
            let is_number = |score: &&RowScore| !score.log_probs.iter().any(|log_prob| log_prob.is_nan());
            score.filter(is_number).map(|score| (score.argmax, &[][..]))
        };
        choice.ok_or_else(|| {
            Unscored::new("the model gave NaN logits: its weights or its arithmetic (--dtype) are at fault")
        })
    }
}

/// The score of one of the tokens that a row was asked about.
pub(super) fn token_score(score: &RowScore, target: usize, token: u32) -> TokenScore {
    let log_prob = score.log_probs.get(target).copied().unwrap_or(f64::NAN);
    TokenScore { log_prob, is_greedy: score.argmax == token }
}
