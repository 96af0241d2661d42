//! What may be spent: tokens and money of one command, with a reserve for what is on its way.

use crate::price::Price;
use crate::request::Usage;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bounds, and what was spent so far.
#[derive(Debug)]
pub struct Budget {
    max_tokens: Option<u64>,
    max_cost: Option<f64>,
    price: Option<Price>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    tokens: u64,
    cost: f64,
    reserved_tokens: u64,
    reserved_cost: f64,
    stopped: bool,
}

/// What a request may take, at most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    pub prompt_tokens: usize,
    pub completion_tokens: usize,
}

impl Estimate {
    fn usage(self) -> Usage {
        Usage { prompt_tokens: self.prompt_tokens, completion_tokens: self.completion_tokens, ..Usage::default() }
    }
}

impl Budget {
    pub fn new(max_tokens: Option<u64>, max_cost: Option<f64>, price: Option<Price>) -> Budget {
        Budget { max_tokens, max_cost, price, state: Mutex::new(State::default()) }
    }

    /// Sets something aside for a request; `false` when that might exceed the budget, and nothing more is to be asked.
    pub fn reserve(&self, estimate: Estimate) -> bool {
        let mut state = self.lock();
        let (tokens, cost) = self.of(estimate.usage());
        let too_many = self.max_tokens.is_some_and(|max| state.tokens + state.reserved_tokens + tokens > max);
        let too_dear = self.max_cost.is_some_and(|max| state.cost + state.reserved_cost + cost > max);
        if too_many || too_dear {
            // What is on its way usually takes less than was set aside: only when nothing is, this is the end.
            state.stopped = state.reserved_tokens == 0;
            return false;
        }
        state.reserved_tokens += tokens;
        state.reserved_cost += cost;
        true
    }

    /// Books what a request really took.
    pub fn spend(&self, estimate: Estimate, usage: Usage) {
        let mut state = self.lock();
        let (reserved_tokens, reserved_cost) = self.of(estimate.usage());
        let (tokens, cost) = self.of(usage);
        state.reserved_tokens = state.reserved_tokens.saturating_sub(reserved_tokens);
        state.reserved_cost = (state.reserved_cost - reserved_cost).max(0.0);
        state.tokens += tokens;
        state.cost += cost;
    }

    /// Says what was spent, when the budget ended the work.
    pub fn notice(&self) -> Option<String> {
        let state = self.lock();
        if !state.stopped {
            return None;
        }
        let spent = match self.max_cost {
            Some(max) => format!("{:.4} of {max} US dollars", state.cost),
            None => format!("{} of {} tokens", state.tokens, self.max_tokens.unwrap_or_default()),
        };
        Some(format!("stopped by the budget: {spent} spent; the same command goes on with a new one"))
    }

    fn of(&self, usage: Usage) -> (u64, f64) {
        let tokens = (usage.prompt_tokens + usage.completion_tokens) as u64;
        (tokens, self.price.as_ref().map_or(0.0, |price| price.cost(&usage)))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASK: Estimate = Estimate { prompt_tokens: 60, completion_tokens: 40 };

    #[test]
    fn stops_before_more_is_spent() {
        let budget = Budget::new(Some(250), None, None);
        assert!(budget.reserve(ASK) && budget.reserve(ASK));
        assert!(!budget.reserve(ASK), "a third might exceed it");
        assert_eq!(budget.notice(), None, "two are still on their way");
        budget.spend(ASK, Usage { prompt_tokens: 60, completion_tokens: 10, ..Usage::default() });
        assert!(!budget.reserve(ASK), "70 + 100 + 100");
        budget.spend(ASK, Usage { prompt_tokens: 60, completion_tokens: 10, ..Usage::default() });
        assert!(budget.reserve(ASK), "140 + 100");
        budget.spend(ASK, Usage { prompt_tokens: 60, completion_tokens: 20, ..Usage::default() });
        assert!(!budget.reserve(ASK));
        assert!(budget.notice().unwrap().contains("220 of 250 tokens"));
    }

    #[test]
    fn counts_money() {
        let price = Price { input: 1e6, cached_input: 5e5, output: 2e6 };
        let budget = Budget::new(None, Some(150.0), Some(price));
        assert!(budget.reserve(ASK), "60 + 2 x 40 = 140");
        assert!(!budget.reserve(ASK));
        budget.spend(ASK, Usage { prompt_tokens: 60, cached_tokens: 20, completion_tokens: 0, ..Usage::default() });
        assert!(!budget.reserve(ASK), "40 + 10 = 50 spent, 140 more");
        assert!(budget.notice().unwrap().contains("50.0000 of 150 US dollars"));
    }

    #[test]
    fn without_bounds_everything_goes() {
        let budget = Budget::new(None, None, None);
        assert!((0..1000).all(|_| budget.reserve(ASK)));
        assert_eq!(budget.notice(), None);
    }
}
