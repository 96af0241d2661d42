//! Where the time of forward passes goes, by kind of work, with the arithmetic done: for benchmarks and `--verbose`.
//!
//! Passes run one after the other and each part of one is measured on the thread that waits for it, so the times add up to the
//! wall time of the passes. Reading the clock some hundred times a pass costs nothing that shows.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Kinds of work in a forward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Matrix products of linear layers.
    Linear,
    /// Scores, softmax and mixing of values.
    Attention,
    /// The language-model head with log-sum-exp.
    Head,
    /// Norms and sums of hidden states.
    Norms,
    /// Activations and their products.
    Activation,
    /// Turning queries and keys, and storing keys and values.
    RotaryAndCache,
    /// Looking up rows of the embedding.
    Embedding,
}

/// All kinds, with names for tables.
pub const KINDS: &[(Kind, &str)] = &[
    (Kind::Linear, "linear layers"),
    (Kind::Attention, "attention"),
    (Kind::Head, "head and log-sum-exp"),
    (Kind::Norms, "norms and residual sums"),
    (Kind::Activation, "activations"),
    (Kind::RotaryAndCache, "rotary, keys and values"),
    (Kind::Embedding, "embedding"),
];

/// Time and arithmetic of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Spent {
    pub time: Duration,
    /// Floating-point operations, a multiply-add counted as two; only what matrix products and attention do is counted.
    pub flops: u64,
}

struct Counter {
    nanoseconds: AtomicU64,
    flops: AtomicU64,
}

static COUNTERS: [Counter; KINDS.len()] =
    [const { Counter { nanoseconds: AtomicU64::new(0), flops: AtomicU64::new(0) } }; KINDS.len()];

/// Runs a part of a forward pass and counts its time and its `flops`.
pub fn spend<T>(kind: Kind, flops: u64, work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let result = work();
    let counter = &COUNTERS[kind as usize];
    counter.nanoseconds.fetch_add(started.elapsed().as_nanos() as u64, Ordering::Relaxed);
    counter.flops.fetch_add(flops, Ordering::Relaxed);
    result
}

/// What was spent since the last call, in the order of [`KINDS`].
pub fn take() -> Vec<(Kind, &'static str, Spent)> {
    let spent = |(kind, name): &(Kind, &'static str)| {
        let counter = &COUNTERS[*kind as usize];
        let time = Duration::from_nanos(counter.nanoseconds.swap(0, Ordering::Relaxed));
        (*kind, *name, Spent { time, flops: counter.flops.swap(0, Ordering::Relaxed) })
    };
    KINDS.iter().map(spent).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_stand_where_their_numbers_say() {
        for (index, (kind, _)) in KINDS.iter().enumerate() {
            assert_eq!(*kind as usize, index);
        }
        assert_eq!(spend(Kind::Embedding, 0, || 7), 7);
    }
}
