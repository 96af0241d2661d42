//! A toy in the place of a language model, for tests: what it says is a hash of the whole prefix, and it notices every wrong step.

use super::lm::{Branch, LanguageModel, RowScore};
use crate::error::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Tokens that there are.
pub const VOCABULARY: u32 = 7;

/// Bytes for a token.
pub const BYTES: usize = 8;

/// What the toy went through.
#[derive(Debug, Default)]
pub struct Counts {
    /// Tokens that went through forward passes.
    pub computed: AtomicUsize,
    pub passes: AtomicUsize,
    /// Most tokens in a pass.
    pub largest_pass: AtomicUsize,
    live: AtomicUsize,
    /// Most bytes of keys and values at a time.
    pub most_live: AtomicUsize,
    /// Rows that went through the head.
    pub rows: AtomicUsize,
}

#[derive(Debug, Default)]
pub struct Toy {
    pub counts: Arc<Counts>,
    pub longest: Option<usize>,
}

/// Keys and values: what stands before, the state after the last token.
pub struct ToyKv {
    counts: Arc<Counts>,
    capacity: usize,
    len: usize,
    before: Option<u64>,
    end: u64,
}

impl ToyKv {
    /// As the real ones grow.
    fn grow(&mut self) {
        let capacity = self.len.max(2 * self.capacity);
        let more = (capacity - self.capacity) * BYTES;
        let live = self.counts.live.fetch_add(more, Ordering::SeqCst) + more;
        self.counts.most_live.fetch_max(live, Ordering::SeqCst);
        self.capacity = capacity;
    }
}

impl Drop for ToyKv {
    fn drop(&mut self) {
        self.counts.live.fetch_sub(self.capacity * BYTES, Ordering::SeqCst);
    }
}

/// The state before the first token.
pub const BEGINNING: u64 = 0x5eed;

/// The state after one more token.
pub fn after(state: u64, token: u32, sequence_len: usize) -> u64 {
    mix(state ^ mix(u64::from(token) + 1).wrapping_add(sequence_len as u64))
}

/// splitmix64
pub fn mix(state: u64) -> u64 {
    let z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

pub fn argmax(state: u64) -> u32 {
    (mix(state ^ 1) % u64::from(VOCABULARY)) as u32
}

pub fn log_prob(state: u64, token: u32) -> f64 {
    -((mix(state ^ (u64::from(token) + 99)) >> 11) as f64) / (1u64 << 51) as f64
}

pub fn logits(state: u64) -> Vec<f32> {
    (0..VOCABULARY).map(|token| log_prob(state, token) as f32).collect()
}

impl LanguageModel for Toy {
    type Kv = ToyKv;
    type Hidden = Vec<u64>;

    fn new_kv(&self, capacity: usize) -> ToyKv {
        let live = self.counts.live.fetch_add(capacity * BYTES, Ordering::SeqCst) + capacity * BYTES;
        self.counts.most_live.fetch_max(live, Ordering::SeqCst);
        ToyKv { counts: self.counts.clone(), capacity, len: 0, before: None, end: 0 }
    }

    fn kv_bytes(&self, tokens: usize) -> usize {
        tokens * BYTES
    }

    fn forward(&self, branches: &mut [Branch<'_, ToyKv>]) -> Result<Vec<u64>> {
        let mut hidden = Vec::new();
        for branch in branches {
            let mut state = BEGINNING;
            for past in &branch.past {
                assert_eq!(past.before, Some(state), "keys of another prefix");
                assert_eq!(past.len, past.capacity, "an ancestor that is not complete");
                state = past.end;
            }
            assert!(!branch.tokens.is_empty(), "a branch without tokens");
            let own = &mut *branch.own;
            assert_eq!(*own.before.get_or_insert(state), state, "a stretch that goes on elsewhere");
            own.len += branch.tokens.len();
            if own.len > own.capacity {
                own.grow();
            }
            let mut state = if own.len > branch.tokens.len() { own.end } else { state };
            for token in branch.tokens {
                state = after(state, *token, branch.sequence_len);
                hidden.push(state);
            }
            own.end = state;
        }
        self.counts.computed.fetch_add(hidden.len(), Ordering::SeqCst);
        self.counts.passes.fetch_add(1, Ordering::SeqCst);
        self.counts.largest_pass.fetch_max(hidden.len(), Ordering::SeqCst);
        Ok(hidden)
    }

    fn log_probs(&self, hidden: &Vec<u64>, rows: &[usize], targets: &[&[u32]]) -> Result<Vec<RowScore>> {
        self.counts.rows.fetch_add(rows.len(), Ordering::SeqCst);
        let score = |(row, targets): (&usize, &&[u32])| RowScore {
            argmax: argmax(hidden[*row]),
            log_probs: targets.iter().map(|token| log_prob(hidden[*row], *token)).collect(),
        };
        Ok(rows.iter().zip(targets).map(score).collect())
    }

    fn logits(&self, hidden: &Vec<u64>, rows: &[usize]) -> Result<Vec<f32>> {
        Ok(rows.iter().flat_map(|row| logits(hidden[*row])).collect())
    }

    fn depends_on_length(&self) -> Option<usize> {
        self.longest
    }
}
