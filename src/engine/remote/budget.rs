//! What may be spent, and what was.

use super::RemoteOptions;
use crate::engine::tokens::DEFAULT_MAX_GEN_TOKS;
use crate::error::{Error, ErrorKind, Result};
use crate::price::PriceTable;
use crate::request::Prompt;
use crate::request::{Request, RequestKind, Usage};
use std::sync::{Mutex, PoisonError};

/// Bytes that make a token before anything is known: fewer than usual, so that the first guesses are high.
const BYTES_PER_TOKEN: f64 = 2.0;

/// How much higher than what was seen so far guesses are.
const MARGIN: f64 = 1.25;

/// What a number of tokens costs.
pub type Cost = Box<dyn Fn(&Usage) -> f64 + Send + Sync>;

/// Limits of what one session spends.
pub struct Budget {
    max_tokens: Option<u64>,
    max_cost: Option<f64>,
    cost: Option<Cost>,
    /// Tokens that may be added to each text, for thoughts.
    reasoning_tokens: usize,
    books: Mutex<Books>,
}

#[derive(Debug, Clone, Default)]
struct Books {
    tokens: u64,
    cost: f64,
    reserved_tokens: u64,
    reserved_cost: f64,
    /// Prompts so far, in bytes and tokens.
    prompt_bytes: u64,
    prompt_tokens: u64,
}

/// What is set aside for a request that is in flight.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reserve {
    tokens: u64,
    cost: f64,
    bytes: u64,
}

/// Whether a request may be asked.
#[derive(Debug)]
pub enum Grant {
    Go(Reserve),
    /// Not before others have come back and show that they took less.
    Wait,
    /// Not in this session.
    Spent,
}

/// What tokens of a model cost; `None`: nobody knows, and nobody asked.
pub fn cost(model: &str, options: &RemoteOptions) -> Result<Option<Cost>> {
    let price = PriceTable::load(options.prices.as_deref())?.price(model);
    if options.max_cost.is_some() && price.is_none() {
        return Err(Error::input(format!("--max-cost: nobody knows what `{model}` costs"))
            .hint("put a row for it into a file and name that with --prices, or use --max-tokens-total"));
    }
    Ok(price.map(|price| -> Cost { Box::new(move |usage| price.cost(usage)) }))
}

impl Budget {
    /// `cost`: what tokens of this model cost, where that is known.
    pub fn new(options: &RemoteOptions, cost: Option<Cost>) -> Budget {
        Budget {
            max_tokens: options.max_tokens_total,
            max_cost: options.max_cost,
            cost,
            reasoning_tokens: options.reasoning_tokens,
            books: Mutex::default(),
        }
    }

    fn is_limited(&self) -> bool {
        self.max_tokens.is_some() || self.max_cost.is_some()
    }

    fn cost(&self, usage: &Usage) -> f64 {
        self.cost.as_ref().map_or(0.0, |cost| cost(usage))
    }

    /// Sets aside what a request may take.
    pub fn reserve(&self, request: &Request) -> Grant {
        if !self.is_limited() {
            return Grant::Go(Reserve::default());
        }
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        let (calls, bytes, written) = size(request);
        let per_byte = match books.prompt_bytes {
            0 => 1.0 / BYTES_PER_TOKEN,
            bytes => books.prompt_tokens as f64 / bytes as f64 * MARGIN,
        };
        let usage = Usage {
            prompt_tokens: (bytes as f64 * per_byte).ceil() as usize + calls,
            completion_tokens: written.map_or(calls, |written| written + self.reasoning_tokens),
            ..Usage::default()
        };
        let reserve = Reserve {
            tokens: (usage.prompt_tokens + usage.completion_tokens) as u64,
            cost: self.cost(&usage),
            bytes: bytes as u64,
        };
        let fits = |reserved_tokens: u64, reserved_cost: f64| {
            self.max_tokens.is_none_or(|most| books.tokens + reserved_tokens + reserve.tokens <= most)
                && self.max_cost.is_none_or(|most| books.cost + reserved_cost + reserve.cost <= most)
        };
        if fits(books.reserved_tokens, books.reserved_cost) {
            books.reserved_tokens += reserve.tokens;
            books.reserved_cost += reserve.cost;
            Grant::Go(reserve)
        } else if fits(0, 0.0) {
            Grant::Wait
        } else {
            Grant::Spent
        }
    }

    /// Takes down what a request took.
    pub fn settle(&self, reserve: Reserve, usage: &Usage) {
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        books.reserved_tokens = books.reserved_tokens.saturating_sub(reserve.tokens);
        books.reserved_cost = (books.reserved_cost - reserve.cost).max(0.0);
        books.tokens += (usage.prompt_tokens + usage.completion_tokens) as u64;
        books.cost += self.cost(usage);
        if usage.prompt_tokens > 0 {
            books.prompt_bytes += reserve.bytes;
            books.prompt_tokens += usage.prompt_tokens as u64;
        }
    }

    /// Why nothing more is asked: what was spent, and of which limit.
    pub fn spent(&self, answered: usize, of: usize) -> Error {
        let books = self.books.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut limits = Vec::new();
        limits.extend(self.max_tokens.map(|most| format!("--max-tokens-total {most}")));
        limits.extend(self.max_cost.map(|most| format!("--max-cost {most}")));
        let cost = if self.cost.is_some() { format!(" and {:.4} US dollars", books.cost) } else { String::new() };
        let problem = format!(
            "{answered} of {of} requests are answered: the next would go beyond {} ({} tokens{cost} are spent)",
            limits.join(" or "),
            books.tokens
        );
        Error::new(ErrorKind::Incomplete, problem)
            .hint("every answer is kept: the same command goes on, with a budget of its own")
    }
}

/// Calls, bytes of prompts and tokens to be written (`None`: none but what a call cannot do without) of a request.
fn size(request: &Request) -> (usize, usize, Option<usize>) {
    match &request.kind {
        RequestKind::Loglikelihood { context, continuation } => (1, bytes(context) + continuation.len(), None),
        RequestKind::LoglikelihoodRolling { text } => (1, text.len(), None),
        RequestKind::Generate { context, decoding } => {
            (1, bytes(context), Some(decoding.max_gen_toks.unwrap_or(DEFAULT_MAX_GEN_TOKS)))
        }
        RequestKind::Choose { context, .. } => (1, bytes(context), None),
    }
}

fn bytes(prompt: &Prompt) -> usize {
    match prompt {
        Prompt::Text(text) => text.len(),
        Prompt::Chat(turns) => turns.iter().map(|turn| turn.content.len() + 16).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(bytes: usize) -> Request {
        let kind = RequestKind::Loglikelihood { context: Prompt::Text("x".repeat(bytes)), continuation: String::new() };
        Request { kind, sample: 0, seed: 0 }
    }

    fn used(prompt_tokens: usize) -> Usage {
        Usage { prompt_tokens, ..Usage::default() }
    }

    #[test]
    fn what_is_in_flight_is_set_aside_until_it_is_known() {
        let options = RemoteOptions { max_tokens_total: Some(120), ..RemoteOptions::default() };
        let budget = Budget::new(&options, None);
        let Grant::Go(first) = budget.reserve(&score(100)) else { panic!("50 tokens, guessed high") };
        let Grant::Go(second) = budget.reserve(&score(100)) else { panic!("50 tokens more") };
        assert!(matches!(budget.reserve(&score(100)), Grant::Wait));
        budget.settle(first, &used(20));
        budget.settle(second, &used(20));
        let Grant::Go(third) = budget.reserve(&score(100)) else { panic!("20 tokens each") };
        budget.settle(third, &used(75));
        assert!(matches!(budget.reserve(&score(100)), Grant::Spent));
        let err = budget.spent(3, 9);
        assert_eq!(err.kind(), ErrorKind::Incomplete);
        assert!(err.to_string().contains("3 of 9") && err.to_string().contains("115 tokens"), "{err}");
    }

    #[test]
    fn money_is_counted() {
        let options = RemoteOptions { max_cost: Some(1.0), ..RemoteOptions::default() };
        let budget = Budget::new(&options, Some(Box::new(|usage| usage.prompt_tokens as f64 * 0.01)));
        let Grant::Go(first) = budget.reserve(&score(100)) else { panic!("half of it") };
        budget.settle(first, &used(80));
        assert!(matches!(budget.reserve(&score(100)), Grant::Spent));
        assert!(budget.spent(1, 2).to_string().contains("0.8000"));
        assert!(matches!(Budget::new(&RemoteOptions::default(), None).reserve(&score(1 << 20)), Grant::Go(_)));
    }
}
