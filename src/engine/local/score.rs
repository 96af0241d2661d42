//! Log-probabilities of the positions that are asked for.

use super::plan::{Sequence, Span, SpanScore};
use crate::error::Result;
use crate::model::Model;
use crate::request::Unscored;

/// Rows that the language-model head takes at a time, counted from the start of the sequence. Fixed places make a row's numbers
/// depend on the sequence alone, not on which other rows were asked for, and bound the memory for logits.
const HEAD_ROWS: usize = 16;

/// What is needed of one row of logits.
struct Row<'a> {
    logits: &'a [f32],
    /// Logarithm of the sum of exponentials. In f64: beside a logit of 20, f32 would lose what tells 0.9999 from 1.
    log_sum: f64,
    /// The most likely token; the first of equals.
    argmax: usize,
}

impl<'a> Row<'a> {
    fn new(logits: &'a [f32]) -> Row<'a> {
        let (argmax, max) = largest(logits);
        // Terms are added up in f64: the order of a vocabulary should not matter.
        let sum: f64 = logits.iter().map(|logit| f64::from((logit - max).exp())).sum();
        Row { logits, log_sum: f64::from(max) + sum.ln(), argmax }
    }

    fn log_prob(&self, token: u32) -> f64 {
        self.logits.get(token as usize).map_or(f64::NAN, |logit| f64::from(*logit) - self.log_sum)
    }
}

/// Index and value of the largest logit, the first of equals.
pub fn largest(logits: &[f32]) -> (usize, f32) {
    let mut best = (0, f32::NEG_INFINITY);
    for (index, logit) in logits.iter().enumerate() {
        if *logit > best.1 {
            best = (index, *logit);
        }
    }
    best
}

/// Runs a sequence through the model and scores its spans, in their order.
pub fn score(model: &Model, sequence: &Sequence) -> Result<Vec<std::result::Result<SpanScore, Unscored>>> {
    let hidden = model.forward(&sequence.input, None)?; // [input, hidden]
    let len = sequence.input.len();
    let longest = sequence.spans.iter().map(|span| span.targets.len()).max().unwrap_or(0);
    let first = len.saturating_sub(longest);
    let mut scores = vec![SpanScore { logprob: 0.0, is_greedy: true }; sequence.spans.len()];
    for block in (first / HEAD_ROWS * HEAD_ROWS..len).step_by(HEAD_ROWS) {
        let rows = HEAD_ROWS.min(len - block);
        let logits = model.logits(&hidden, block, rows)?; // [rows, vocabulary]
        for (position, logits) in
            (block..).zip(logits.chunks_exact(model.config.vocab_size)).filter(|(p, _)| *p >= first)
        {
            let row = Row::new(logits);
            for (span, score) in sequence.spans.iter().zip(&mut scores) {
                if let Some(target) = target_at(span, position, len) {
                    score.logprob += row.log_prob(target);
                    score.is_greedy &= row.argmax == target as usize;
                }
            }
        }
    }
    Ok(scores.into_iter().map(finite).collect())
}

/// The token that a span predicts at a position of its sequence.
fn target_at(span: &Span, position: usize, len: usize) -> Option<u32> {
    let first = len.checked_sub(span.targets.len())?;
    span.targets.get(position.checked_sub(first)?).copied()
}

fn finite(score: SpanScore) -> std::result::Result<SpanScore, Unscored> {
    if score.logprob.is_finite() {
        return Ok(score);
    }
    let what = if score.logprob.is_nan() { "NaN" } else { "an infinite log-probability" };
    Err(Unscored::new(format!("the model gave {what}: its weights or its arithmetic (--dtype) are at fault")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::testing::shared_model;
    use crate::model::{DTypeChoice, Model};
    use serde_json::Value;

    #[test]
    fn a_row_gives_log_softmax_and_first_argmax() {
        let row = Row::new(&[1.0, 3.0, 3.0, 0.0]);
        // torch.log_softmax(torch.tensor([1., 3., 3., 0.]), -1)
        for (token, expected) in [(0, -2.781_672), (1, -0.781_671_9), (3, -3.781_672)] {
            assert!((row.log_prob(token) - expected).abs() < 1e-6);
        }
        assert_eq!(row.argmax, 1);
        assert!(row.log_prob(4).is_nan());
        assert!(finite(SpanScore { logprob: f64::NAN, is_greedy: false }).unwrap_err().reason.contains("NaN"));
    }

    fn sequence(ids: &[u32], targets: usize) -> Sequence {
        let span = Span { request: 0, part: 0, targets: ids[ids.len() - targets..].to_vec() };
        Sequence { input: ids[..ids.len() - 1].to_vec(), spans: vec![span] }
    }

    // reference.json: transformers in f32.
    #[test]
    fn log_probabilities_equal_the_reference() {
        for name in ["stories260K", "llama2xs-279K"] {
            let Some(dir) = shared_model(name) else { return };
            let model = Model::load(&dir, DTypeChoice::Auto).unwrap();
            let reference = std::fs::read(dir.join("reference.json")).unwrap();
            let reference: Value = serde_json::from_slice(&reference).unwrap();
            let ids = |v: &Value| serde_json::from_value::<Vec<u32>>(v.clone()).unwrap();
            for scored in reference["scored"].as_array().unwrap() {
                let ids = ids(&scored["ids"]);
                let score = score(&model, &sequence(&ids, ids.len() - 1)).unwrap()[0].clone().unwrap();
                assert!((score.logprob - scored["sum_logprob"].as_f64().unwrap()).abs() < 1e-3, "{name}: {score:?}");
                assert_eq!(score.is_greedy, scored["is_greedy"].as_bool().unwrap());
                // Each token on its own: the shared blocks of the head give the same bits whatever is asked for.
                let parts: Vec<f64> = (1..ids.len())
                    .map(|end| super::score(&model, &sequence(&ids[..=end], 1)).unwrap()[0].clone().unwrap().logprob)
                    .collect();
                for (part, expected) in parts.iter().zip(scored["token_logprobs"].as_array().unwrap()) {
                    assert!((part - expected.as_f64().unwrap()).abs() < 1e-4, "{name}");
                }
            }
        }
    }

    #[test]
    fn a_span_has_the_same_bits_alone_and_in_company() {
        let Some(dir) = shared_model("tiny-llama") else { return };
        let model = Model::load(&dir, DTypeChoice::Auto).unwrap();
        let ids: Vec<u32> = (0..150).map(|i| (i * 37) % 4096).collect();
        let spans: Vec<Span> =
            [1, 2, 17, 40, 149].map(|n| Span { request: n, part: 0, targets: ids[ids.len() - n..].to_vec() }).into();
        let together = score(&model, &Sequence { input: ids[..149].to_vec(), spans: spans.clone() }).unwrap();
        for (span, together) in spans.into_iter().zip(together) {
            let alone = score(&model, &Sequence { input: ids[..149].to_vec(), spans: vec![span] }).unwrap();
            assert_eq!(alone[0].as_ref().unwrap().logprob.to_bits(), together.unwrap().logprob.to_bits());
        }
    }
}
