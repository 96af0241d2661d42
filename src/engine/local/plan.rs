//! Requests to work: which token sequences go through the model, and which of their positions are asked for.
//!
//! Requests with the same input share one sequence, whatever their continuations: the four letters of a multiple-choice question
//! cost one forward pass. This is the seam for a scorer that also shares prefixes: it takes the sequences and answers spans.

use super::encode::Pair;
use crate::request::{Answer, Response, Unscored, Usage};
use std::collections::HashMap;

/// Log-probabilities that are asked for: those of `targets` at the last positions of a sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    pub request: usize,
    /// Which part of the request (windows of a long text; else 0).
    pub part: usize,
    pub targets: Vec<u32>,
}

/// Tokens that go through the model once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
    pub input: Vec<u32>,
    pub spans: Vec<Span>,
}

/// The score of a span.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpanScore {
    pub logprob: f64,
    pub is_greedy: bool,
}

/// What the answers to a request's parts will make.
struct Asked {
    rolling: bool,
    parts: Vec<Option<SpanScore>>,
    usage: Usage,
}

/// All scoring work of a batch of requests, and the answers as they come together.
pub struct ScorePlan {
    max_length: usize,
    sequences: Vec<Sequence>,
    by_input: HashMap<Vec<u32>, usize>,
    asked: HashMap<usize, Asked>,
}

/// A pair in a window: what is fed to the model, and how much of the context was cut.
pub fn fit(pair: &Pair, max_length: usize) -> Result<(Vec<u32>, usize), Unscored> {
    let Pair { context, continuation } = pair;
    if continuation.len() > max_length {
        return Err(Unscored::new(format!(
            "the continuation has {} tokens and the window only {max_length}",
            continuation.len()
        )));
    }
    let total = context.len() + continuation.len();
    let cut = total.saturating_sub(max_length + 1);
    // The last token is only predicted, never fed.
    let input = context.iter().chain(continuation).copied().take(total - 1).skip(cut).collect();
    Ok((input, cut))
}

/// Windows of a long text: each predicts tokens that no other predicts, the first from `prefix`, the others from what stands
/// before them; the last one is filled up with earlier context. Pairs of (input, targets).
pub fn rolling_windows(tokens: &[u32], prefix: u32, max_length: usize) -> Vec<(Vec<u32>, Vec<u32>)> {
    let first = tokens.len().min(max_length);
    let (head, rest) = tokens.split_at(first);
    let mut windows = Vec::new();
    if first > 0 {
        let input = std::iter::once(prefix).chain(head.iter().copied().take(first - 1)).collect();
        windows.push((input, head.to_vec()));
    }
    let mut end = first;
    for targets in rest.chunks(max_length) {
        end += targets.len();
        let input = tokens.iter().copied().take(end - 1).skip(end - 1 - max_length).collect();
        windows.push((input, targets.to_vec()));
    }
    windows
}

impl ScorePlan {
    pub fn new(max_length: usize) -> ScorePlan {
        ScorePlan { max_length, sequences: Vec::new(), by_input: HashMap::new(), asked: HashMap::new() }
    }

    /// Adds a log-likelihood request.
    pub fn add_pair(&mut self, request: usize, pair: Pair) -> Result<(), Unscored> {
        let (input, cut) = fit(&pair, self.max_length)?;
        let usage = Usage {
            prompt_tokens: input.len() + 1 - pair.continuation.len(),
            completion_tokens: pair.continuation.len(),
            truncated_tokens: cut,
        };
        self.asked.insert(request, Asked { rolling: false, parts: vec![None], usage });
        self.add_span(input, Span { request, part: 0, targets: pair.continuation });
        Ok(())
    }

    /// Adds a rolling request; a text without tokens is answered at once.
    pub fn add_rolling(&mut self, request: usize, tokens: &[u32], prefix: u32) -> Option<Response> {
        let windows = rolling_windows(tokens, prefix, self.max_length);
        let usage = Usage { prompt_tokens: 1, completion_tokens: tokens.len(), truncated_tokens: 0 };
        if windows.is_empty() {
            return Some(Response { answer: Answer::Rolling { logprob: 0.0, num_tokens: 0 }, usage });
        }
        self.asked.insert(request, Asked { rolling: true, parts: vec![None; windows.len()], usage });
        for (part, (input, targets)) in windows.into_iter().enumerate() {
            self.add_span(input, Span { request, part, targets });
        }
        None
    }

    fn add_span(&mut self, input: Vec<u32>, span: Span) {
        let next = self.sequences.len();
        let index = *self.by_input.entry(input.clone()).or_insert(next);
        match self.sequences.get_mut(index) {
            Some(sequence) => sequence.spans.push(span),
            None => self.sequences.push(Sequence { input, spans: vec![span] }),
        }
    }

    /// The sequences, longest first, so that what takes most memory and time shows at once.
    pub fn take_sequences(&mut self) -> Vec<Sequence> {
        self.by_input = HashMap::new();
        let mut sequences = std::mem::take(&mut self.sequences);
        sequences.sort_by_key(|sequence| std::cmp::Reverse(sequence.input.len()));
        sequences
    }

    /// Takes the score of a span; returns the request's answer once all its parts are there. The first part that could not be
    /// scored decides the whole request.
    pub fn scored(&mut self, span: &Span, score: Result<SpanScore, Unscored>) -> Option<Result<Response, Unscored>> {
        let asked = self.asked.get_mut(&span.request)?;
        match (score, asked.parts.get_mut(span.part)) {
            (Ok(score), Some(part)) => *part = Some(score),
            (Err(reason), _) => {
                self.asked.remove(&span.request);
                return Some(Err(reason));
            }
            (Ok(_), None) => return None,
        }
        let parts: Vec<SpanScore> = asked.parts.iter().copied().collect::<Option<_>>()?;
        let asked = self.asked.remove(&span.request)?;
        let logprob = parts.iter().map(|part| part.logprob).sum();
        let num_tokens = asked.usage.completion_tokens;
        let answer = if asked.rolling {
            Answer::Rolling { logprob, num_tokens }
        } else {
            Answer::Loglikelihood { logprob, is_greedy: parts.iter().all(|part| part.is_greedy), num_tokens }
        };
        Some(Ok(Response { answer, usage: asked.usage }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(context: &[u32], continuation: &[u32]) -> Pair {
        Pair { context: context.to_vec(), continuation: continuation.to_vec() }
    }

    #[test]
    fn cuts_the_context_from_the_left() {
        assert_eq!(fit(&pair(&[1, 2, 3], &[4, 5]), 4).unwrap(), (vec![1, 2, 3, 4], 0));
        assert_eq!(fit(&pair(&[1, 2, 3], &[4, 5]), 3).unwrap(), (vec![2, 3, 4], 1));
        assert_eq!(fit(&pair(&[1, 2, 3], &[4, 5]), 2).unwrap(), (vec![3, 4], 2));
        assert!(fit(&pair(&[1, 2, 3], &[4, 5]), 1).unwrap_err().reason.contains("window only 1"));
    }

    // Expected windows: get_rolling_token_windows and make_disjoint_window of lm-eval 0.4.13 with prefix 100, max_seq_len 4,
    // context_len 1 over range(10), then (context + continuation)[-5:][:-1].
    #[test]
    fn rolling_windows_equal_the_references() {
        let tokens: Vec<u32> = (0..10).collect();
        let expected = [
            (vec![100, 0, 1, 2], vec![0, 1, 2, 3]),
            (vec![3, 4, 5, 6], vec![4, 5, 6, 7]),
            (vec![5, 6, 7, 8], vec![8, 9]),
        ];
        assert_eq!(rolling_windows(&tokens, 100, 4), expected);
        assert_eq!(rolling_windows(&tokens[..2], 100, 4), [(vec![100, 0], vec![0, 1])]);
        assert_eq!(rolling_windows(&[], 100, 4), []);
    }

    #[test]
    fn equal_inputs_share_a_sequence() {
        let mut plan = ScorePlan::new(16);
        plan.add_pair(0, pair(&[1, 2], &[7])).unwrap();
        plan.add_pair(1, pair(&[1, 2], &[8])).unwrap();
        plan.add_pair(2, pair(&[1], &[2, 9])).unwrap();
        plan.add_pair(3, pair(&[1, 2, 3], &[7])).unwrap();
        let sequences = plan.take_sequences();
        assert_eq!(sequences.iter().map(|s| s.input.clone()).collect::<Vec<_>>(), [vec![1, 2, 3], vec![1, 2]]);
        assert_eq!(sequences[1].spans.iter().map(|s| s.request).collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn parts_make_one_answer() {
        let mut plan = ScorePlan::new(2);
        assert!(plan.add_rolling(0, &[5, 6, 7], 1).is_none());
        let spans: Vec<Span> = plan.take_sequences().into_iter().flat_map(|s| s.spans).collect();
        let score = |logprob| Ok(SpanScore { logprob, is_greedy: true });
        assert!(plan.scored(&spans[0], score(-1.0)).is_none());
        let response = plan.scored(&spans[1], score(-2.0)).unwrap().unwrap();
        assert_eq!(response.answer, Answer::Rolling { logprob: -3.0, num_tokens: 3 });
        assert!(plan.add_rolling(1, &[], 1).is_some());
    }
}
