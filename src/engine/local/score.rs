//! Log-likelihoods: which requests share a forward pass, and what they get from it.

use super::encode::Pair;
use super::{LocalEngine, Outcome};
use crate::error::Result;
use crate::model::decoder::KvCache;
use crate::request::{Answer, Request, RequestKind, Response, Unscored, Usage};
use candle_core::Tensor;
use std::collections::HashMap;

/// Rows of logits made at a time: 64 rows of a 256k vocabulary are 64 MiB.
const LOGIT_ROWS: usize = 64;

/// Requests that one forward pass answers.
pub(super) enum Group {
    /// Pairs whose model input is equal (the letters of a multiple-choice question).
    Pairs { input: Vec<u32>, members: Vec<Member> },
    Single(usize),
}

/// A pair in a group.
pub(super) struct Member {
    index: usize,
    continuation: Vec<u32>,
    truncated: usize,
}

impl LocalEngine {
    /// Encodes the pairs, gathers equal inputs, longest first; and lists what cannot be answered.
    pub(super) fn plan(&self, requests: &[Request]) -> Result<(Vec<Group>, Vec<(usize, Unscored)>)> {
        let mut pairs: Vec<(Vec<u32>, Vec<Member>)> = Vec::new();
        let mut by_input: HashMap<Vec<u32>, usize> = HashMap::new();
        let mut singles = Vec::new();
        let mut refused = Vec::new();
        for (index, request) in requests.iter().enumerate() {
            let RequestKind::Loglikelihood { context, continuation } = &request.kind else {
                singles.push(Group::Single(index));
                continue;
            };
            let pair = self.encode_pair(&self.chat.render(context)?, continuation)?;
            match self.model_input(pair) {
                Err(unscored) => refused.push((index, unscored)),
                Ok((input, continuation, truncated)) => {
                    let place = *by_input.entry(input).or_insert_with_key(|input| {
                        pairs.push((input.clone(), Vec::new()));
                        pairs.len() - 1
                    });
                    pairs[place].1.push(Member { index, continuation, truncated });
                }
            }
        }
        // Long ones first: the progress display is not too hopeful, and the last workers end together.
        pairs.sort_by_key(|(input, _)| std::cmp::Reverse(input.len()));
        let mut groups: Vec<Group> = pairs.into_iter().map(|(input, members)| Group::Pairs { input, members }).collect();
        groups.extend(singles);
        Ok((groups, refused))
    }

    /// The last `max_length + 1` ids without the final one, the continuation, and how many ids were cut.
    fn model_input(&self, pair: Pair) -> std::result::Result<(Vec<u32>, Vec<u32>, usize), Unscored> {
        let Pair { context, continuation } = pair;
        if continuation.is_empty() {
            return Err(Unscored::new("the continuation has no tokens of its own"));
        }
        if continuation.len() > self.max_length {
            return Err(Unscored::new(format!(
                "the continuation alone ({} tokens) is longer than the window of {}",
                continuation.len(),
                self.max_length
            )));
        }
        let mut ids = context;
        ids.extend(&continuation);
        let truncated = ids.len().saturating_sub(self.max_length + 1);
        ids.drain(..truncated);
        ids.pop();
        Ok((ids, continuation, truncated))
    }

    pub(super) fn score_pairs(&self, input: &[u32], members: &[Member]) -> Vec<(usize, Outcome)> {
        let outcome = self.score_members(input, members);
        match outcome {
            Ok(answers) => members.iter().map(|m| m.index).zip(answers).collect(),
            Err(e) => members.iter().map(|m| (m.index, Err(Unscored::new(format!("the forward pass failed: {e}"))))).collect(),
        }
    }

    fn score_members(&self, input: &[u32], members: &[Member]) -> candle_core::Result<Vec<Outcome>> {
        let rows = members.iter().map(|m| m.continuation.len()).max().unwrap_or(0);
        let start = input.len() - rows;
        let hidden = self.decoder.forward(input, &mut KvCache::default())?.narrow(0, start, rows)?;
        let mut sums = vec![(0f64, true); members.len()];
        self.for_each_row(&hidden, |row, logits| {
            let normaliser = log_sum_exp(logits);
            let best = argmax(logits);
            for (member, sum) in members.iter().zip(&mut sums) {
                let skipped = rows - member.continuation.len();
                let Some(id) = row.checked_sub(skipped).and_then(|i| member.continuation.get(i)) else { continue };
                let logit = logits.get(*id as usize).copied().unwrap_or(f32::NAN);
                sum.0 += f64::from(logit) - normaliser;
                sum.1 &= best == *id as usize;
            }
        })?;
        let answer = |(member, (logprob, is_greedy)): (&Member, (f64, bool))| {
            let num_tokens = member.continuation.len();
            let usage = Usage {
                prompt_tokens: input.len(),
                completion_tokens: num_tokens,
                truncated_tokens: member.truncated,
            };
            finite(logprob).map(|logprob| Response { answer: Answer::Loglikelihood { logprob, is_greedy, num_tokens }, usage })
        };
        Ok(members.iter().zip(sums).map(answer).collect())
    }

    /// The whole text in disjoint windows: the first predicts from the prefix token, the others from what comes before.
    pub(super) fn score_rolling(&self, text: &str) -> Outcome {
        let fail = |e: &dyn std::fmt::Display| Unscored::new(format!("the forward pass failed: {e}"));
        let ids = self.tokenizer.encode(text).map_err(|e| fail(&e))?;
        let prefix = self.prefix_id().map_err(|e| fail(&e))?;
        let mut total = 0.0;
        for pair in rolling_windows(&ids, prefix, self.max_length) {
            let (input, continuation, truncated) = self.model_input(pair)?;
            let member = Member { index: 0, continuation, truncated };
            let answers = self.score_members(&input, std::slice::from_ref(&member)).map_err(|e| fail(&e))?;
            for answer in answers {
                if let Answer::Loglikelihood { logprob, .. } = answer?.answer {
                    total += logprob;
                }
            }
        }
        let usage = Usage { prompt_tokens: 1, completion_tokens: ids.len(), truncated_tokens: 0 };
        Ok(Response { answer: Answer::Rolling { logprob: total, num_tokens: ids.len() }, usage })
    }

    /// Calls `each` with every row's number and f32 logits, a few rows at a time.
    fn for_each_row(&self, hidden: &Tensor, mut each: impl FnMut(usize, &[f32])) -> candle_core::Result<()> {
        let rows = hidden.dim(0)?;
        for start in (0..rows).step_by(LOGIT_ROWS) {
            let logits = self.decoder.logits(&hidden.narrow(0, start, LOGIT_ROWS.min(rows - start))?)?;
            for (offset, row) in logits.to_vec2::<f32>()?.iter().enumerate() {
                each(start + offset, row);
            }
        }
        Ok(())
    }
}

/// The windows of `lm_eval.utils.get_rolling_token_windows` (one token of context) made disjoint.
fn rolling_windows(ids: &[u32], prefix: u32, max_length: usize) -> Vec<Pair> {
    let first = ids.len().min(max_length);
    if first == 0 {
        return Vec::new();
    }
    let mut windows = vec![Pair { context: vec![prefix], continuation: ids[..first].to_vec() }];
    let mut predicted = first;
    while predicted < ids.len() {
        let end = (predicted + max_length).min(ids.len());
        let start = end.saturating_sub(max_length + 1);
        windows.push(Pair { context: ids[start..predicted].to_vec(), continuation: ids[predicted..end].to_vec() });
        predicted = end;
    }
    windows
}

/// ln Σ exp, shifted by the maximum, summed in f64.
fn log_sum_exp(logits: &[f32]) -> f64 {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|l| f64::from((l - max).exp())).sum();
    f64::from(max) + sum.ln()
}

/// Index of the first maximum.
pub(super) fn argmax(logits: &[f32]) -> usize {
    let mut best = 0;
    for (index, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = index;
        }
    }
    best
}

fn finite(logprob: f64) -> std::result::Result<f64, Unscored> {
    if logprob.is_finite() { Ok(logprob) } else { Err(Unscored::new("the model gave a log-probability that is not a number")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Printed by `get_rolling_token_windows` and `make_disjoint_window` of lm_eval 0.4.13.
    #[test]
    fn windows_are_those_of_the_reference() {
        let show = |ids: &[u32], max| {
            let windows = rolling_windows(ids, 100, max);
            windows.into_iter().map(|p| (p.context, p.continuation)).collect::<Vec<_>>()
        };
        let ids: Vec<u32> = (0..10).collect();
        assert_eq!(
            show(&ids, 4),
            [
                (vec![100], vec![0, 1, 2, 3]),
                (vec![3], vec![4, 5, 6, 7]),
                (vec![5, 6, 7], vec![8, 9]),
            ]
        );
        assert_eq!(show(&ids[..3], 4), [(vec![100], vec![0, 1, 2])]);
        assert_eq!(show(&[], 4), []);
    }

    #[test]
    fn first_maximum_wins() {
        assert_eq!(argmax(&[1.0, 3.0, 3.0]), 1);
        assert!((log_sum_exp(&[0.0, 0.0]) - 2f64.ln()).abs() < 1e-12);
    }
}
