//! One task of attention: some queries of one sequence against one head of keys and values, in one thread.
//! In: the problem, the task, the thread's buffers. Out: its rows of the output. Never looks at other tasks.

use std::ops::Range;

use super::attention::{Segment, Sequence, Task};
#[cfg(target_arch = "x86_64")]
use super::attention_dots::{Dots, High, make_pairs, multiply_dots};
use super::attention_memory::{Buffers, Place, Problem, WIDENED};
use super::attention_softmax::{Divide, ROWS, Softmax};
use super::attention_widen::{Round, WidenKeys, WidenValues};
use super::kv::KvFormat;
use super::lanes::run_on;
use super::packed_rows::Tiles;
use super::tile::{PANEL, Start, Tile, max_rows, multiply_tile};

/// Rows of a task that are multiplied together.
#[derive(Clone)]
struct Piece {
    /// In the task.
    rows: Range<usize>,
    /// Positions that any of them sees; all of them see the same where pieces are exact.
    seen: Range<usize>,
}

/// The work on one task.
struct Run<'a, 'b> {
    problem: &'a Problem<'a>,
    sequence: &'a Sequence<'a>,
    head: usize,
    place: Place,
    buffers: &'a mut Buffers<'b>,
}

pub(super) fn run_task(problem: &Problem<'_>, task: &Task, buffers: &mut Buffers<'_>) {
    let sequence = &problem.sequences[task.sequence];
    let mut run = Run { problem, sequence, head: task.head, place: Place::new(problem, task), buffers };
    let first = run.place.rows.start;
    let tiles: Vec<Piece> = task
        .range
        .clone()
        .map(|tile| {
            let rows = task.tiles.range(tile);
            run.piece(rows.start - first..rows.end - first)
        })
        .collect();
    run.take_queries();
    run.score(&tiles);
    let exact = sequence.segments_in(&run.place.seen).any(|segment| !segment.finite);
    let pieces = if exact { run.positions() } else { tiles.clone() };
    run.share(&pieces);
    run.mix(&pieces, exact);
    run.put();
}

impl Run<'_, '_> {
    fn piece(&self, rows: Range<usize>) -> Piece {
        let (group, first) = (self.problem.group(), self.place.rows.start);
        let positions = (first + rows.start) / group..(first + rows.end).div_ceil(group);
        Piece { rows, seen: self.sequence.seen(positions, self.problem.spec.window) }
    }

    /// Pieces of rows at the same position, low enough for a tile.
    fn positions(&self) -> Vec<Piece> {
        let (group, rows) = (self.problem.group(), &self.place.rows);
        let highest = max_rows(self.problem.isa);
        let mut pieces = Vec::new();
        let mut row = rows.start;
        while row < rows.end {
            let end = ((row / group + 1) * group).min(row + highest).min(rows.end);
            pieces.push(self.piece(row - rows.start..end - rows.start));
            row = end;
        }
        pieces
    }

    /// Copies the queries together, as the tiles read them.
    fn take_queries(&mut self) {
        let Problem { isa, spec, format, q, q_stride, .. } = *self.problem;
        let (dim, words, group) = (spec.kv.head_dim, self.problem.query_words(), self.problem.group());
        for (i, row) in self.place.rows.clone().enumerate() {
            let at = (self.sequence.first_row + row / group) * q_stride + (self.head * group + row % group) * dim;
            let (from, to) = (&q[at..at + dim], &mut self.buffers.queries[i * words..][..words]);
            match format {
                KvFormat::F32 => to.copy_from_slice(from),
                KvFormat::Bf16 if !self.problem.dots() => {
                    to.copy_from_slice(from);
                    // SAFETY: `attention_on` checked the instruction set.
                    unsafe { run_on(isa, Round(to)) }
                }
                KvFormat::Bf16 => {
                    #[cfg(target_arch = "x86_64")]
                    // SAFETY: as above; `words` pairs hold `dim` values.
                    unsafe {
                        make_pairs(from.as_ptr(), dim, High::Second, to.as_mut_ptr().cast())
                    }
                }
            }
        }
    }

    /// Scores of all positions that the tiles see. A panel's columns behind its segment's end land where the next
    /// segment's first scores, which come later, or nothing belong.
    fn score(&mut self, tiles: &[Piece]) {
        let Problem { isa, spec, .. } = *self.problem;
        let (dim, words, head) = (spec.kv.head_dim, self.problem.format.key_words(spec.kv), self.head);
        let (row_len, base, query_words) = (self.place.row_len, self.place.base, self.problem.query_words());
        let seen = self.place.seen.clone();
        let sequence = self.sequence;
        for segment in sequence.segments_in(&seen) {
            let keys = segment.part.keys(head);
            let (local, end) = (segment.local(&seen), segment.at + segment.part.len);
            for panel in local.start / PANEL..local.end.div_ceil(PANEL) {
                let at = segment.at + panel * PANEL;
                let keys = &keys[panel * words * PANEL..][..words * PANEL];
                if self.problem.widens() {
                    // SAFETY: `attention_on` checked the instruction set.
                    unsafe { run_on(isa, WidenKeys { from: keys, to: self.buffers.wide, dim }) }
                }
                for tile in tiles.iter().filter(|tile| at < tile.seen.end && at + PANEL > tile.seen.start) {
                    let width = (tile.seen.end.min(end) - at).min(PANEL).next_multiple_of(16);
                    let queries = self.buffers.queries[tile.rows.start * query_words..].as_ptr();
                    let scores = self.buffers.scores[tile.rows.start * row_len + at - base..].as_mut_ptr();
                    let rows = tile.rows.len();
                    #[cfg(target_arch = "x86_64")]
                    if self.problem.dots() {
                        let dots = Dots {
                            pairs: words,
                            a: queries.cast(),
                            a_row: words,
                            b: keys.as_ptr(),
                            b_step: PANEL,
                            c: scores,
                            c_row: row_len,
                            go_on: false,
                        };
                        // SAFETY: the instruction set was checked; queries, panels and scores have these lengths, rows of
                        // scores a panel's room behind the last position.
                        unsafe { multiply_dots(rows, width, dots) };
                        continue;
                    }
                    let b = if self.problem.widens() { self.buffers.wide.as_ptr() } else { keys.as_ptr().cast() };
                    let tile = Tile {
                        depth: dim,
                        a: queries,
                        a_row: dim,
                        a_step: 1,
                        b,
                        b_step: PANEL,
                        c: scores,
                        c_row: row_len,
                        start: Start::Zero,
                    };
                    // SAFETY: as above.
                    unsafe { multiply_tile(isa, rows, width, tile) };
                }
            }
        }
    }

    /// Softmax of each row.
    fn share(&mut self, pieces: &[Piece]) {
        let Problem { isa, spec, .. } = *self.problem;
        let Place { base, row_len, .. } = self.place;
        for piece in pieces {
            // A pair that begins one position early finds zero there.
            let mixed = piece.seen.start.saturating_sub(1).max(base) - base..piece.seen.end - base;
            let some = Tiles::new(piece.rows.len(), ROWS);
            for i in 0..some.count {
                let rows = piece.rows.start + some.range(i).start..piece.rows.start + some.range(i).end;
                let seen: [Range<usize>; ROWS] = std::array::from_fn(|i| {
                    let row = (rows.start + i).min(rows.end - 1);
                    let seen = self.piece(row..row + 1).seen;
                    seen.start - base..seen.end - base
                });
                let shares = Softmax {
                    rows: &mut self.buffers.scores[rows.start * row_len..rows.end * row_len],
                    row_len,
                    seen: &seen[..rows.len()],
                    mixed: mixed.clone(),
                    scale: spec.scale,
                    softcap: spec.softcap,
                    totals: &mut self.buffers.totals[rows.clone()],
                };
                // SAFETY: `attention_on` checked the instruction set.
                unsafe { run_on(isa, shares) };
                if self.problem.widens() {
                    for row in rows {
                        let shares = &mut self.buffers.scores[row * row_len..][mixed.clone()];
                        // SAFETY: as above.
                        unsafe { run_on(isa, Round(shares)) }
                    }
                }
            }
        }
    }

    /// Mixes the values: sums over the positions that the pieces see, in order.
    fn mix(&mut self, pieces: &[Piece], exact: bool) {
        let width = self.problem.spec.kv.value_width();
        self.buffers.sums[..self.place.rows.len() * width].fill(0.0);
        let (sequence, seen) = (self.sequence, self.place.seen.clone());
        for segment in sequence.segments_in(&seen) {
            if !self.problem.dots() {
                self.mix_values(segment, pieces);
                continue;
            }
            #[cfg(target_arch = "x86_64")]
            for piece in pieces {
                self.mix_pairs(segment, piece, exact);
            }
        }
        let _ = exact;
    }

    /// One segment's values, in f32 or widened to it.
    fn mix_values(&mut self, segment: &Segment<'_>, pieces: &[Piece]) {
        let Problem { isa, spec, .. } = *self.problem;
        let Place { base, row_len, .. } = self.place;
        let (width, values) = (spec.kv.value_width(), segment.part.values(self.head));
        let local = segment.local(&self.place.seen);
        let widens = self.problem.widens();
        let step = if widens { WIDENED } else { segment.part.len };
        for first in (local.start / step * step..local.end).step_by(step) {
            let mut from = values.as_ptr().cast();
            if widens {
                let pairs = &values[first / 2 * width..][..(local.end - first).min(WIDENED).div_ceil(2) * width];
                // SAFETY: `attention_on` checked the instruction set.
                unsafe { run_on(isa, WidenValues { from: pairs, to: self.buffers.wide, width }) }
                from = self.buffers.wide.as_ptr();
            }
            for piece in pieces {
                let local = segment.local(&piece.seen);
                let (start, end) = (local.start.max(first), local.end.min(first + step));
                if start >= end {
                    continue;
                }
                let shares = piece.rows.start * row_len + segment.at + start - base;
                let tile = Tile {
                    depth: end - start,
                    a: self.buffers.scores[shares..].as_ptr(),
                    a_row: row_len,
                    a_step: 1,
                    // SAFETY: `start` is a position of the segment, and of what was widened.
                    b: unsafe { from.add((start - first) * width) },
                    b_step: width,
                    c: self.buffers.sums[piece.rows.start * width..].as_mut_ptr(),
                    c_row: width,
                    start: Start::Continue,
                };
                // SAFETY: the instruction set was checked; shares, values and sums have these lengths.
                unsafe { multiply_tile(isa, piece.rows.len(), width, tile) };
            }
        }
    }

    /// One segment's values in pairs of positions. Shares become pairs where they stand. Where pieces are exact, a half of
    /// a pair that they do not see is no part of the sum; else its share is zero.
    #[cfg(target_arch = "x86_64")]
    fn mix_pairs(&mut self, segment: &Segment<'_>, piece: &Piece, exact: bool) {
        let Place { base, row_len, .. } = self.place;
        let local = segment.local(&piece.seen);
        if local.is_empty() {
            return;
        }
        let (first, width) = (local.start & !1, self.problem.spec.kv.value_width());
        let (count, pairs) = (local.end - first, (local.end - first).div_ceil(2));
        let shares = segment.at + first - base;
        for row in piece.rows.clone() {
            let at = self.buffers.scores[row * row_len + shares..][..count].as_mut_ptr();
            // SAFETY: `dots` asked for the instruction set; pairs begin where their shares do.
            unsafe { make_pairs(at, count, High::First, at.cast()) };
        }
        let values = &segment.part.values(self.head)[first / 2 * width..][..pairs * width];
        let a = self.buffers.scores[piece.rows.start * row_len + shares..].as_ptr().cast::<u32>();
        let c = self.buffers.sums[piece.rows.start * width..].as_mut_ptr();
        let multiply = |from: usize, values: &[u32]| {
            let pairs = values.len() / width;
            let a = a.wrapping_add(from);
            let dots =
                Dots { pairs, a, a_row: row_len, b: values.as_ptr(), b_step: width, c, c_row: width, go_on: true };
            // SAFETY: the instruction set was asked for; shares, values and sums have these lengths.
            unsafe { multiply_dots(piece.rows.len(), width, dots) };
        };
        let late = exact && local.start % 2 == 1;
        let early = exact && local.end % 2 == 1;
        let whole = usize::from(late)..pairs - usize::from(early);
        let mut cut = |pair: usize, half: u32| {
            let words = values[pair * width..][..width].iter().map(|word| f32::from_bits(word & half));
            self.buffers.wide.iter_mut().zip(words).for_each(|(to, word)| *to = word);
            // SAFETY: words of the same size, borrowed as long.
            multiply(pair, unsafe { std::slice::from_raw_parts(self.buffers.wide.as_ptr().cast(), width) });
        };
        if late {
            cut(0, 0x0000_ffff);
        }
        multiply(whole.start, &values[whole.start * width..whole.end * width]);
        if early {
            cut(pairs - 1, 0xffff_0000);
        }
    }

    /// The sums over the shares' sums, to the output.
    fn put(&mut self) {
        let Problem { isa, spec, out, out_stride, .. } = *self.problem;
        let (dim, width, group) = (spec.kv.value_dim, spec.kv.value_width(), self.problem.group());
        for (i, row) in self.place.rows.clone().enumerate() {
            let at = (self.sequence.first_row + row / group) * out_stride + (self.head * group + row % group) * dim;
            // SAFETY: `attention_on` checked that the output holds the row; no other task writes this head of it.
            let to = unsafe { std::slice::from_raw_parts_mut(out.add(at), dim) };
            let from = &self.buffers.sums[i * width..][..dim];
            // SAFETY: the instruction set was checked.
            unsafe { run_on(isa, Divide { from, total: self.buffers.totals[i], to }) }
        }
    }
}
