//! Causal attention of packed rows over the keys and values of their sequences.
//! In: queries, blocks of keys and values. Out: mixed values. Never copies keys or values together, and never lets
//! anything but a query's own sequence change its bits: neither blocks, nor rows beside it, nor threads.
//!
//! Every score is one chain over channels, every mixed value one chain over positions in order, and the sum of the shares
//! is made in lanes by absolute position. Masked positions contribute nothing: a share of zero where values are finite, no
//! step at all where they are not. (The two have the same bits: adding zero changes a sum only from -0 to 0, and no
//! result is -0.)

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::attention_memory::{Buffers, Problem};
use super::attention_task::run_task;
use super::buffer::Scratch;
use super::isa::Isa;
use super::kv::{KvBlock, KvFormat, KvShape, Part};
use super::packed_rows::Tiles;
use super::tile::max_rows;

/// Heads and how they attend.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttentionSpec {
    /// Query heads: a multiple of the key-value heads, those that share one side by side.
    pub heads: usize,
    pub kv: KvShape,
    /// Factor of the scores.
    pub scale: f32,
    /// `cap * tanh(score / cap)`, after the factor.
    pub softcap: Option<f32>,
    /// Positions that a query sees, itself included; `None`: all before it.
    pub window: Option<usize>,
}

/// Consecutive rows of one sequence.
pub struct Stretch<'a> {
    /// In the queries and the output.
    pub first_row: usize,
    pub rows: usize,
    /// What stands before `own`, from the sequence's beginning.
    pub past: Vec<&'a KvBlock>,
    /// Ends with these rows' keys and values.
    pub own: &'a KvBlock,
}

/// A stretch's sequence, as tasks read it.
pub(super) struct Sequence<'a> {
    pub first_row: usize,
    pub rows: usize,
    /// Position of the first row.
    pub start: usize,
    pub segments: Vec<Segment<'a>>,
    /// The longest block of its past: what it most shares with others.
    longest: Option<&'a KvBlock>,
}

/// Keys and values that lie together.
pub(super) struct Segment<'a> {
    pub part: Part<'a>,
    /// Position of the first.
    pub at: usize,
    pub finite: bool,
}

/// Some queries of one sequence that share a head of keys and values.
pub(super) struct Task {
    pub sequence: usize,
    pub head: usize,
    /// The stack of all such queries is cut into these: [row][head of the group].
    pub tiles: Tiles,
    /// The task's.
    pub range: Range<usize>,
    cost: usize,
}

/// out[row][head] = sum over the positions the row sees of share * value, the shares being the softmax of the scores
/// `q . key`. q: rows of [heads][head_dim], `q_stride` apart; out: rows of [heads][value_dim], `out_stride` apart, those
/// of the stretches and nothing else is written.
///
/// # Panics
/// When q or out are too short, blocks have other shapes than `spec` or differ in format, `own` holds fewer positions
/// than rows, or the heads are no multiple of the key-value heads.
pub fn attention(
    spec: &AttentionSpec,
    stretches: &[Stretch<'_>],
    q: &[f32],
    q_stride: usize,
    out: &mut [f32],
    out_stride: usize,
) {
    attention_on(Isa::best(), spec, stretches, q, q_stride, out, out_stride);
}

/// The same on a named instruction set, for tests.
///
/// # Panics
/// As `attention`, and when the processor lacks `isa`.
pub fn attention_on(
    isa: Isa,
    spec: &AttentionSpec,
    stretches: &[Stretch<'_>],
    q: &[f32],
    q_stride: usize,
    out: &mut [f32],
    out_stride: usize,
) {
    assert!(isa.is_available(), "this processor lacks {}", isa.name());
    let Some(first) = stretches.first() else { return };
    let format = first.own.format();
    check(spec, format, stretches, (q.len(), q_stride), (out.len(), out_stride));
    if spec.heads == 0 || spec.kv.value_dim == 0 {
        return;
    }
    let sequences: Vec<Sequence<'_>> = stretches.iter().map(Sequence::new).collect();
    let out = out.as_mut_ptr();
    let problem = Problem { isa, spec, format, sequences, q, q_stride, out, out_stride };
    let tasks = plan(&problem);
    run(&problem, &tasks);
}

fn check(
    spec: &AttentionSpec,
    format: KvFormat,
    stretches: &[Stretch<'_>],
    (q_len, q_stride): (usize, usize),
    (out_len, out_stride): (usize, usize),
) {
    let AttentionSpec { heads, kv, window, .. } = *spec;
    assert!(kv.kv_heads > 0 && heads % kv.kv_heads == 0, "{heads} heads over {} of keys", kv.kv_heads);
    assert!(window != Some(0), "a window of no positions");
    let (q_width, out_width) = (heads * kv.head_dim, heads * kv.value_dim);
    assert!(q_stride >= q_width && out_stride >= out_width, "rows overlap");
    for stretch in stretches.iter().filter(|stretch| stretch.rows > 0) {
        let last = stretch.first_row + stretch.rows - 1;
        assert!(q_len >= last * q_stride + q_width, "q is too short for row {last}");
        assert!(out_len >= last * out_stride + out_width, "out is too short for row {last}");
        assert!(stretch.own.len() >= stretch.rows, "{} rows, {} keys", stretch.rows, stretch.own.len());
        let blocks = || stretch.past.iter().copied().chain([stretch.own]);
        assert!(blocks().all(|block| block.shape() == kv && block.format() == format), "blocks of other kinds");
    }
}

impl<'a> Sequence<'a> {
    fn new(stretch: &Stretch<'a>) -> Sequence<'a> {
        let (mut segments, mut at) = (Vec::with_capacity(stretch.past.len() + 1), 0);
        for block in stretch.past.iter().copied().chain([stretch.own]) {
            for part in block.parts() {
                segments.push(Segment { part, at, finite: block.is_finite() });
                at += part.len;
            }
        }
        let longest = stretch.past.iter().copied().max_by_key(|block| block.len());
        Sequence { first_row: stretch.first_row, rows: stretch.rows, start: at - stretch.rows, segments, longest }
    }

    /// Whether the two read much of the same keys and values.
    fn shares_with(&self, other: &Sequence<'_>) -> bool {
        matches!((self.longest, other.longest), (Some(one), Some(two)) if std::ptr::eq(one, two))
    }

    /// Positions that any of these rows sees.
    pub fn seen(&self, rows: Range<usize>, window: Option<usize>) -> Range<usize> {
        let first = self.start + rows.start + 1;
        window.map_or(0, |window| first.saturating_sub(window))..self.start + rows.end
    }

    /// Segments with any of these positions.
    pub fn segments_in(&self, seen: &Range<usize>) -> impl Iterator<Item = &Segment<'a>> {
        let seen = seen.clone();
        self.segments.iter().filter(move |segment| !segment.local(&seen).is_empty())
    }
}

impl Segment<'_> {
    /// Those of the segment's positions, counted from its first, that are in `seen`.
    pub fn local(&self, seen: &Range<usize>) -> Range<usize> {
        seen.start.saturating_sub(self.at)..seen.end.saturating_sub(self.at).min(self.part.len)
    }
}

/// Scores of a task, in values: half of a second-level cache, so that keys and values have the other half.
const SCORES: usize = 96 << 10;
/// Tiles of a task, at most: enough to use a panel while it is in the first-level cache.
const TILES: usize = 4;
/// The same where panels are widened first.
const TILES_WIDENED: usize = 16;
/// Tasks for each thread, at least where there are so many tiles.
const TASKS: usize = 8;
/// Multiply-adds below which a second thread costs more than it saves.
const ALONE: usize = 1 << 17;

/// Cuts the work into tasks, the costly ones first, so that all threads finish together. Among those of like cost,
/// sequences with a common past take turns head by head and meet its keys and values in the cache.
fn plan(problem: &Problem<'_>) -> Vec<Task> {
    let spec = problem.spec;
    let group = spec.heads / spec.kv.kv_heads;
    let cut = |sequence: &Sequence<'_>| Tiles::new(sequence.rows * group, max_rows(problem.isa));
    let total: usize = problem.sequences.iter().map(|sequence| cut(sequence).count).sum::<usize>() * spec.kv.kv_heads;
    let most = if problem.widens() { TILES_WIDENED } else { TILES };
    let most = most.min(total / (TASKS * rayon::current_num_threads())).max(1);
    let mut tasks = Vec::new();
    let mut first = 0;
    for family in problem.sequences.chunk_by(|one, two| one.shares_with(two)) {
        for head in 0..spec.kv.kv_heads {
            for (i, sequence) in family.iter().enumerate() {
                let tiles = cut(sequence);
                let length = sequence.seen(0..sequence.rows, spec.window).len();
                let fitting = (SCORES / (length * max_rows(problem.isa)).max(1)).clamp(1, most);
                let parts = tiles.count.div_ceil(fitting);
                for part in 0..parts {
                    let range = tiles.count * part / parts..tiles.count * (part + 1) / parts;
                    let rows = tiles.range(range.start).start..tiles.range(range.end - 1).end;
                    let seen = sequence.seen(rows.start / group..rows.end.div_ceil(group), spec.window);
                    tasks.push(Task { sequence: first + i, head, tiles, range, cost: rows.len() * seen.len() });
                }
            }
        }
        first += family.len();
    }
    tasks.sort_by_key(|task| std::cmp::Reverse(task.cost.checked_ilog2()));
    tasks
}

fn run(problem: &Problem<'_>, tasks: &[Task]) {
    static SCRATCH: Scratch = Scratch::new();
    let kv = problem.spec.kv;
    let sizes = Buffers::sizes(problem, tasks);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut memory = SCRATCH.take(sizes.iter().sum());
        let mut buffers = Buffers::new(&mut memory, sizes);
        while let Some(task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
            run_task(problem, task, &mut buffers);
        }
    };
    let cost: usize = tasks.iter().map(|task| task.cost).sum::<usize>() * (kv.head_dim + kv.value_dim);
    let threads = rayon::current_num_threads().min(tasks.len());
    if threads <= 1 || cost <= ALONE {
        return work();
    }
    (0..threads).into_par_iter().with_max_len(1).for_each(|_| work());
}
