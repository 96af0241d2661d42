//! Log-probabilities of single tokens, node by node, and the sums that requests ask for.

use super::tree::{Sequence, Tree};
use crate::request::Unscored;
use std::collections::HashMap;

/// The score of a span of tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpanScore {
    pub logprob: f64,
    pub is_greedy: bool,
}

/// The score of one token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TokenScore {
    pub log_prob: f64,
    pub is_greedy: bool,
}

/// The scores of a node's tokens.
#[derive(Debug, Default)]
struct NodeScores {
    /// What follows inside the node, from its first row that is asked about.
    inside: Vec<TokenScore>,
    /// What follows its end, by token.
    at_end: Vec<(u32, TokenScore)>,
}

/// Scores of the nodes whose sequences are not all answered.
#[derive(Debug, Default)]
pub struct Scores(HashMap<u32, NodeScores>);

impl Scores {
    /// Takes the score of the token that follows the next row inside a node.
    pub fn push_inside(&mut self, node: u32, score: TokenScore) {
        self.0.entry(node).or_default().inside.push(score);
    }

    /// Takes the scores of the tokens that follow a node's end, sorted by token.
    pub fn set_at_end(&mut self, node: u32, scores: Vec<(u32, TokenScore)>) {
        self.0.entry(node).or_default().at_end = scores;
    }

    /// Forgets a node.
    pub fn forget(&mut self, node: u32) {
        self.0.remove(&node);
    }

    /// The score of a sequence that ends at a node. The tokens are added up one by one from the first, wherever the nodes begin and
    /// end, so that the sum depends on the sequence alone.
    pub fn span(&self, tree: &Tree, node: u32, sequence: &Sequence) -> Option<SpanScore> {
        let mut path: Vec<u32> = Vec::new();
        for node in tree.upwards(node) {
            path.push(node);
            if tree.node(node).depth <= sequence.first {
                break;
            }
        }
        path.reverse();
        let mut sum = SpanScore { logprob: 0.0, is_greedy: true };
        let mut add = |score: &TokenScore| {
            sum.logprob += score.log_prob;
            sum.is_greedy &= score.is_greedy;
        };
        let next = path.iter().skip(1).map(|node| tree.first_token(*node)).chain([sequence.last]);
        for (node, next) in path.iter().zip(next) {
            let scores = self.0.get(node)?;
            let first_row = tree.node(*node).rows().start;
            scores.inside.iter().skip(sequence.first.saturating_sub(first_row) as usize).for_each(&mut add);
            let at_end = scores.at_end.binary_search_by_key(&next, |(token, _)| *token).ok()?;
            add(&scores.at_end.get(at_end)?.1);
        }
        Some(sum)
    }
}

impl SpanScore {
    /// The score, or why it is none.
    pub fn checked(self) -> Result<SpanScore, Unscored> {
        if self.logprob.is_finite() {
            return Ok(self);
        }
        let what = if self.logprob.is_nan() { "NaN" } else { "an infinite log-probability" };
        Err(Unscored::new(format!("the model gave {what}: its weights or its arithmetic (--dtype) are at fault")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::local::tree::TreeBuilder;

    #[test]
    fn sums_run_over_nodes() {
        let mut builder = TreeBuilder::default();
        builder.add_scored(0, 0, [1, 2, 3], 3, 4);
        builder.add_scored(1, 0, [1, 2, 5], 1, 6);
        let tree = builder.build();
        let score = |n: f64| TokenScore { log_prob: -n, is_greedy: n < 3.0 };
        let mut scores = Scores::default();
        scores.push_inside(0, score(1.0));
        scores.set_at_end(0, vec![(3, score(2.0))]);
        scores.set_at_end(1, vec![(4, score(4.0))]);
        scores.set_at_end(2, vec![(6, score(0.5))]);
        let span = |node| scores.span(&tree, node, &tree.ending(node)[0]).unwrap();
        assert_eq!(span(1), SpanScore { logprob: -7.0, is_greedy: false });
        assert_eq!(span(2), SpanScore { logprob: -0.5, is_greedy: true });
        scores.forget(0);
        assert_eq!(scores.span(&tree, 1, &tree.ending(1)[0]), None);
        assert!(SpanScore { logprob: f64::NAN, is_greedy: false }.checked().unwrap_err().reason.contains("NaN"));
    }
}
