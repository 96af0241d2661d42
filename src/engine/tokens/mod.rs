//! Rules for tokens that all engines with a tokenizer share: how prompts and continuations are split, what a window holds, where texts
//! end, how turns become text.

mod chat;
mod encode;
mod stops;
mod windows;

pub use chat::{Chat, Rendered, SystemFallback, special_tokens, template_file, template_source};
pub use encode::{Context, Encoder, Pair};
pub use stops::{DEFAULT_MAX_GEN_TOKS, contains_stop, cut_at_stops};
pub use windows::{fit_pair, fit_prompt, rolling_windows};

/// The natural logarithm of a sum of probabilities given by theirs; `None` of nothing.
pub fn log_sum_exp(logprobs: impl Iterator<Item = f64>) -> Option<f64> {
    let logprobs: Vec<f64> = logprobs.collect();
    let largest = logprobs.iter().copied().reduce(f64::max)?;
    if largest == f64::NEG_INFINITY || logprobs.len() == 1 {
        return Some(largest);
    }
    Some(largest + logprobs.iter().map(|logprob| (logprob - largest).exp()).sum::<f64>().ln())
}
