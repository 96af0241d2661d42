//! Requests to work: which token sequences go through the model, and which of their positions are asked about.
//!
//! Comes in: token ids of requests. Goes out: one tree for all of them, and their answers as the parts come together.

use super::decode::{Continuation, Generation};
use super::encode::Pair;
use super::sampling::Picker;
use super::score::SpanScore;
use super::tree::TreeBuilder;
use crate::request::{Answer, Finish, Response, Unscored, Usage};
use std::collections::HashMap;

/// What the answers to a request's parts will make.
struct Asked {
    rolling: bool,
    parts: Vec<Option<SpanScore>>,
    usage: Usage,
}

/// Where the score of a sequence belongs: a request, and which part of it (windows of a long text; else 0).
#[derive(Debug, Clone, Copy)]
struct Part {
    request: usize,
    part: usize,
}

/// All work of a batch of requests.
pub struct Plan<'a> {
    max_length: usize,
    length_class: &'a dyn Fn(usize) -> usize,
    pub sequences: TreeBuilder,
    pub continuations: Vec<Continuation>,
    pub ledger: Ledger,
}

/// The answers as they come together.
#[derive(Default)]
pub struct Ledger {
    /// By `ask`.
    parts: Vec<Part>,
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

impl<'a> Plan<'a> {
    /// `length_class` says which lengths of sequences may share prefixes.
    pub fn new(max_length: usize, length_class: &'a dyn Fn(usize) -> usize) -> Plan<'a> {
        let (sequences, continuations) = (TreeBuilder::default(), Vec::new());
        Plan { max_length, length_class, sequences, continuations, ledger: Ledger::default() }
    }

    /// Adds a log-likelihood request.
    pub fn add_pair(&mut self, request: usize, pair: &Pair) -> Result<(), Unscored> {
        let (input, cut) = fit(pair, self.max_length)?;
        let usage = Usage {
            prompt_tokens: input.len() + 1 - pair.continuation.len(),
            completion_tokens: pair.continuation.len(),
            truncated_tokens: cut,
            ..Usage::default()
        };
        self.ledger.asked.insert(request, Asked { rolling: false, parts: vec![None], usage });
        self.add_part(Part { request, part: 0 }, input, &pair.continuation);
        Ok(())
    }

    /// Adds a rolling request; a text without tokens is answered at once.
    pub fn add_rolling(&mut self, request: usize, tokens: &[u32], prefix: u32) -> Option<Response> {
        let windows = rolling_windows(tokens, prefix, self.max_length);
        let usage = Usage { prompt_tokens: 1, completion_tokens: tokens.len(), ..Usage::default() };
        if windows.is_empty() {
            return Some(Response::new(Answer::Rolling { logprob: 0.0, num_tokens: 0 }, usage));
        }
        self.ledger.asked.insert(request, Asked { rolling: true, parts: vec![None; windows.len()], usage });
        for (part, (input, targets)) in windows.into_iter().enumerate() {
            self.add_part(Part { request, part }, input, &targets);
        }
        None
    }

    /// Adds a prompt; one that nothing may follow is answered at once.
    pub fn add_prompt(&mut self, ids: Vec<u32>, generation: Generation, picker: Picker) -> Option<Response> {
        if generation.max_new_tokens == 0 {
            let usage = Usage {
                prompt_tokens: generation.prompt_tokens,
                completion_tokens: 0,
                truncated_tokens: generation.truncated_tokens,
                ..Usage::default()
            };
            return Some(Response::new(Answer::Text { text: String::new(), finish: Finish::Length }, usage));
        }
        let ask = self.continuations.len() as u32;
        let class = (self.length_class)(ids.len()) as u32;
        self.sequences.add_prompt(ask, class, ids);
        self.continuations.push(Continuation::new(generation, picker));
        None
    }

    fn add_part(&mut self, part: Part, input: Vec<u32>, targets: &[u32]) {
        let ask = self.ledger.parts.len() as u32;
        let Some(last) = targets.last() else { return };
        let class = (self.length_class)(input.len()) as u32;
        self.sequences.add_scored(ask, class, input, targets.len(), *last);
        self.ledger.parts.push(part);
    }
}

impl Ledger {
    /// Takes the score of a sequence; returns the request and its answer once all its parts are there. The first part that could not
    /// be scored decides the whole request.
    pub fn scored(&mut self, ask: u32, score: SpanScore) -> Option<(usize, Result<Response, Unscored>)> {
        let Part { request, part } = *self.parts.get(ask as usize)?;
        let asked = self.asked.get_mut(&request)?;
        match (score.checked(), asked.parts.get_mut(part)) {
            (Ok(score), Some(part)) => *part = Some(score),
            (Err(reason), _) => {
                self.asked.remove(&request);
                return Some((request, Err(reason)));
            }
            (Ok(_), None) => return None,
        }
        let parts: Vec<SpanScore> = asked.parts.iter().copied().collect::<Option<_>>()?;
        let asked = self.asked.remove(&request)?;
        let logprob = parts.iter().map(|part| part.logprob).sum();
        let num_tokens = asked.usage.completion_tokens;
        let answer = if asked.rolling {
            Answer::Rolling { logprob, num_tokens }
        } else {
            Answer::Loglikelihood { logprob, is_greedy: parts.iter().all(|part| part.is_greedy), num_tokens }
        };
        Some((request, Ok(Response::new(answer, asked.usage))))
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
    fn parts_make_one_answer() {
        let mut plan = Plan::new(2, &|_| 0);
        assert!(plan.add_rolling(7, &[5, 6, 7], 1).is_none());
        assert!(plan.add_rolling(1, &[], 1).is_some());
        let score = |logprob| SpanScore { logprob, is_greedy: true };
        assert!(plan.ledger.scored(0, score(-1.0)).is_none());
        let (request, response) = plan.ledger.scored(1, score(-2.0)).unwrap();
        assert_eq!((request, response.unwrap().answer), (7, Answer::Rolling { logprob: -3.0, num_tokens: 3 }));
        plan.add_pair(3, &pair(&[1, 2], &[7])).unwrap();
        assert!(plan.ledger.scored(2, score(f64::NAN)).unwrap().1.is_err());
    }

    #[test]
    fn a_text_of_no_tokens_is_there_at_once() {
        let generation = |max_new_tokens| Generation {
            request: 0,
            prompt_tokens: 2,
            truncated_tokens: 0,
            max_new_tokens,
            stops: Vec::new(),
        };
        let mut plan = Plan::new(2, &|_| 0);
        let response = plan.add_prompt(vec![1, 2], generation(0), Picker::Greedy).unwrap();
        assert_eq!(response.answer, Answer::Text { text: String::new(), finish: Finish::Length });
        assert!(plan.add_prompt(vec![1, 2], generation(1), Picker::Greedy).is_none());
        assert_eq!((plan.continuations.len(), plan.sequences.num_tokens()), (1, 2));
    }
}
