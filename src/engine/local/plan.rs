//! Requests to work: which token sequences go through the model, and which of their positions are asked about.
//!
//! Comes in: token ids of requests. Goes out: one tree for all of them, and their answers as the parts come together.

use super::decode::{Continuation, Generation};
use super::sampling::Picker;
use super::score::SpanScore;
use super::tree::TreeBuilder;
use crate::engine::tokens::{Pair, fit_pair, log_sum_exp, rolling_windows};
use crate::request::{Answer, Finish, Response, Unscored, Usage};
use std::collections::HashMap;

/// What the answers to a request's parts will make.
struct Asked {
    form: Form,
    parts: Vec<Option<SpanScore>>,
    usage: Usage,
}

/// What the parts of a request are.
enum Form {
    /// One continuation.
    Pair,
    /// Windows of a long text.
    Rolling,
    /// So many ways to write each label, one label after the other.
    Choice(Vec<usize>),
}

/// Where the score of a sequence belongs: a request, and which part of it (windows of a long text, ways to write labels; else 0).
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

impl<'a> Plan<'a> {
    /// `length_class` says which lengths of sequences may share prefixes.
    pub fn new(max_length: usize, length_class: &'a dyn Fn(usize) -> usize) -> Plan<'a> {
        let (sequences, continuations) = (TreeBuilder::default(), Vec::new());
        Plan { max_length, length_class, sequences, continuations, ledger: Ledger::default() }
    }

    /// Adds a log-likelihood request.
    pub fn add_pair(&mut self, request: usize, pair: &Pair) -> Result<(), Unscored> {
        let (input, cut) = fit_pair(pair, self.max_length)?;
        let usage = Usage {
            prompt_tokens: input.len() + 1 - pair.continuation.len(),
            completion_tokens: pair.continuation.len(),
            truncated_tokens: cut,
            ..Usage::default()
        };
        self.ledger.asked.insert(request, Asked { form: Form::Pair, parts: vec![None], usage });
        self.add_part(Part { request, part: 0 }, input, &pair.continuation);
        Ok(())
    }

    /// Adds a choice among labels: for each label the ways to write it, as continuations of one context. Each is an ordinary pair.
    pub fn add_choice(&mut self, request: usize, labels: &[Vec<Pair>]) -> Result<(), Unscored> {
        let pairs = || labels.iter().flatten();
        let inputs: Vec<_> = pairs().map(|pair| fit_pair(pair, self.max_length)).collect::<Result<_, _>>()?;
        let usage = Usage {
            prompt_tokens: pairs().map(|pair| pair.context.len()).max().unwrap_or(0),
            completion_tokens: pairs().map(|pair| pair.continuation.len()).sum(),
            truncated_tokens: inputs.iter().map(|(_, cut)| *cut).max().unwrap_or(0),
            ..Usage::default()
        };
        let usage = Usage { prompt_tokens: usage.prompt_tokens - usage.truncated_tokens, ..usage };
        let form = Form::Choice(labels.iter().map(Vec::len).collect());
        self.ledger.asked.insert(request, Asked { form, parts: vec![None; inputs.len()], usage });
        for (part, ((input, _), pair)) in inputs.into_iter().zip(pairs()).enumerate() {
            self.add_part(Part { request, part }, input, &pair.continuation);
        }
        Ok(())
    }

    /// Adds a rolling request; a text without tokens is answered at once.
    pub fn add_rolling(&mut self, request: usize, tokens: &[u32], prefix: u32) -> Option<Response> {
        let windows = rolling_windows(tokens, prefix, self.max_length);
        let usage = Usage { prompt_tokens: 1, completion_tokens: tokens.len(), ..Usage::default() };
        if windows.is_empty() {
            return Some(Response::new(Answer::Rolling { logprob: 0.0, num_tokens: 0 }, usage));
        }
        self.ledger.asked.insert(request, Asked { form: Form::Rolling, parts: vec![None; windows.len()], usage });
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
        let answer = match asked.form {
            Form::Pair => {
                Answer::Loglikelihood { logprob, is_greedy: parts.iter().all(|part| part.is_greedy), num_tokens }
            }
            Form::Rolling => Answer::Rolling { logprob, num_tokens },
            Form::Choice(ways) => {
                let mut rest = parts.iter();
                let label = |ways: usize| log_sum_exp(rest.by_ref().take(ways).map(|part| part.logprob));
                Answer::Choice { logprobs: ways.into_iter().map(label).collect() }
            }
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
    fn the_ways_to_write_a_label_are_added_up() {
        let mut plan = Plan::new(3, &|_| 0);
        plan.add_choice(4, &[vec![pair(&[1, 2, 3], &[7]), pair(&[1, 2, 3], &[8])], vec![pair(&[1, 2, 3], &[9, 6])]])
            .unwrap();
        let score = |p: f64| SpanScore { logprob: p.ln(), is_greedy: true };
        assert!(plan.ledger.scored(1, score(0.25)).is_none());
        assert!(plan.ledger.scored(2, score(0.125)).is_none());
        let (request, response) = plan.ledger.scored(0, score(0.5)).unwrap();
        let Response { answer: Answer::Choice { logprobs }, usage, .. } = response.unwrap() else { panic!("a choice") };
        assert_eq!((request, usage.completion_tokens, usage.truncated_tokens), (4, 4, 1));
        assert!((logprobs[0].unwrap() - 0.75f64.ln()).abs() < 1e-12 && logprobs[1] == Some(0.125f64.ln()));
        assert!(plan.add_choice(5, &[vec![pair(&[1], &[7, 7, 7, 7])]]).is_err());
    }

    #[test]
    fn a_text_of_no_tokens_is_there_at_once() {
        let generation = |max_new_tokens| Generation {
            request: 0,
            prompt_tokens: 2,
            truncated_tokens: 0,
            max_new_tokens,
            stops: Vec::new(),
            thinking: Default::default(),
        };
        let mut plan = Plan::new(2, &|_| 0);
        let response = plan.add_prompt(vec![1, 2], generation(0), Picker::Greedy).unwrap();
        assert_eq!(response.answer, Answer::Text { text: String::new(), finish: Finish::Length });
        assert!(plan.add_prompt(vec![1, 2], generation(1), Picker::Greedy).is_none());
        assert_eq!((plan.continuations.len(), plan.sequences.num_tokens()), (1, 2));
    }
}
