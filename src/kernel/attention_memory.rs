//! What attention's tasks share, and the memory of each thread.
//! In: a call's problem and its tasks. Out: lengths and places. Never computes.

use std::ops::Range;

use super::attention::{AttentionSpec, Sequence, Task};
use super::isa::Isa;
use super::kv::KvFormat;
use super::tile::PANEL;

/// What all tasks of a call share.
pub(super) struct Problem<'a> {
    pub isa: Isa,
    pub spec: &'a AttentionSpec,
    pub format: KvFormat,
    pub sequences: Vec<Sequence<'a>>,
    pub q: &'a [f32],
    pub q_stride: usize,
    pub out: *mut f32,
    pub out_stride: usize,
}

// SAFETY: tasks write disjoint parts of `out`, which `attention_on` borrows mutably while they run.
unsafe impl Sync for Problem<'_> {}

impl Problem<'_> {
    /// Whether pairs of bfloat16 are multiplied as they are.
    pub fn dots(&self) -> bool {
        self.format == KvFormat::Bf16 && self.isa == Isa::Avx512Bf16
    }

    /// Whether keys and values are widened to f32 before they are used.
    pub fn widens(&self) -> bool {
        self.format == KvFormat::Bf16 && self.isa != Isa::Avx512Bf16
    }

    /// 32-bit words of a query's row.
    pub fn query_words(&self) -> usize {
        if self.dots() { self.format.key_words(self.spec.kv) } else { self.spec.kv.head_dim }
    }

    pub fn group(&self) -> usize {
        self.spec.heads / self.spec.kv.kv_heads
    }
}

/// A thread's memory.
pub(super) struct Buffers<'a> {
    /// [row][row_len]: scores, then shares, then (for dot products) pairs of shares.
    pub scores: &'a mut [f32],
    /// One over the sum of each row's shares.
    pub totals: &'a mut [f32],
    /// [row][query_words]
    pub queries: &'a mut [f32],
    /// [row][value_width]
    pub sums: &'a mut [f32],
    /// Where keys and values are widened (a panel, or `WIDENED` rows of values), and pairs cut.
    pub wide: &'a mut [f32],
}

/// Positions whose values are widened at once.
pub(super) const WIDENED: usize = 32;

impl<'a> Buffers<'a> {
    /// Lengths of the five that serve all of these tasks.
    pub fn sizes(problem: &Problem<'_>, tasks: &[Task]) -> [usize; 5] {
        let kv = problem.spec.kv;
        let (mut scores, mut rows) = (0, 0);
        for task in tasks {
            let place = Place::new(problem, task);
            scores = scores.max(place.rows.len() * place.row_len);
            rows = rows.max(place.rows.len());
        }
        let wide = (kv.head_dim * PANEL).max(WIDENED * kv.value_width());
        [scores, rows, rows * problem.query_words(), rows * kv.value_width(), wide].map(|len| len.next_multiple_of(16))
    }

    pub fn new(memory: &'a mut [f32], [scores, totals, queries, sums, _]: [usize; 5]) -> Buffers<'a> {
        let (scores, rest) = memory.split_at_mut(scores);
        let (totals, rest) = rest.split_at_mut(totals);
        let (queries, rest) = rest.split_at_mut(queries);
        let (sums, wide) = rest.split_at_mut(sums);
        Buffers { scores, totals, queries, sums, wide }
    }
}

/// Where a task's positions lie in its rows of scores.
pub(super) struct Place {
    /// Of the sequence's stack.
    pub rows: Range<usize>,
    /// Positions that any of them sees.
    pub seen: Range<usize>,
    /// Position of a row's first score: a multiple of 16, at least a panel before `seen` or 0.
    pub base: usize,
    /// Scores of a row, with a panel's room at the end, that may be written behind the last position.
    pub row_len: usize,
}

impl Place {
    pub fn new(problem: &Problem<'_>, task: &Task) -> Place {
        let group = problem.group();
        let rows = task.tiles.range(task.range.start).start..task.tiles.range(task.range.end - 1).end;
        let sequence = &problem.sequences[task.sequence];
        let seen = sequence.seen(rows.start / group..rows.end.div_ceil(group), problem.spec.window);
        let base = seen.start.saturating_sub(PANEL) / 16 * 16;
        // An odd number of cache lines: rows begin in different sets of the cache.
        let row_len = ((seen.end - base + PANEL).div_ceil(16) | 1) * 16;
        Place { rows, seen, base, row_len }
    }
}
