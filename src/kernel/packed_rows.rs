//! Rows of x as the micro-kernels read them: as they are or rounded to bfloat16, row by row or, in tiles of nearly equal
//! height, all rows of a depth side by side. In: x. Out: the same rows. Made once a call, shared by all threads.

use std::ops::Range;

use rayon::prelude::*;

use super::isa::Isa;
use super::lanes::{Lanes, Work, run_on};

/// The tiles that `m` rows are cut into: as few as hold them, their heights at most one apart.
#[derive(Clone, Copy)]
pub(super) struct Tiles {
    pub rows: usize,
    pub count: usize,
}

impl Tiles {
    pub fn new(rows: usize, highest: usize) -> Tiles {
        Tiles { rows, count: rows.div_ceil(highest) }
    }

    /// Rows of tile `i`.
    pub fn range(self, i: usize) -> Range<usize> {
        self.rows * i / self.count..self.rows * (i + 1) / self.count
    }
}

/// Where rows lie, and what the kernels read there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// f32 as they are.
    Exact,
    /// f32 rounded to bfloat16.
    Rounded,
    /// Pairs of bfloat16, an odd last input paired with zero.
    Pairs,
}

impl Form {
    /// 32-bit words of a row.
    pub fn words(self, ins: usize) -> usize {
        if self == Form::Pairs { ins.div_ceil(2) } else { ins }
    }
}

/// How the rows of a tile lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// [height][words]
    Rows,
    /// [words][height]
    Depths,
}

impl Order {
    /// The one that is read faster. Side by side costs a copy, which many outputs pay back; rows that lie a multiple of
    /// 4 KiB apart share few sets of the first-level cache and are always moved together.
    pub fn best(rows: usize, ins: usize, outs: usize) -> Order {
        let side_by_side = rows > 4 && (outs >= 8192 || ins.is_multiple_of(1024));
        if side_by_side { Order::Depths } else { Order::Rows }
    }

    /// Words from a row to the next, and from a depth to the next.
    pub fn steps(self, words: usize, height: usize) -> (usize, usize) {
        if self == Order::Rows { (words, 1) } else { (1, height) }
    }
}

/// x: [rows][ins] to tiles in `order`; `packed` has rows * words 32-bit words (for `Pairs`, bits of pairs).
pub(super) fn pack(isa: Isa, (form, order): (Form, Order), x: &[f32], ins: usize, tiles: Tiles, packed: &mut [f32]) {
    let words = form.words(ins);
    assert!(x.len() >= tiles.rows * ins && packed.len() >= tiles.rows * words);
    let mut rest = &mut packed[..tiles.rows * words];
    let mut work = Vec::with_capacity(tiles.count);
    for i in 0..tiles.count {
        let range = tiles.range(i);
        let (tile, after) = rest.split_at_mut(range.len() * words);
        work.push((&x[range.start * ins..range.end * ins], tile));
        rest = after;
    }
    // Below this many values a second thread costs more than it saves.
    const ALONE: usize = 1 << 16;
    let tiles_at_once = (ALONE / (words * tiles.range(0).len()).max(1)).max(1);
    work.into_par_iter().with_min_len(tiles_at_once).for_each(|(rows, tile)| {
        // SAFETY: multiplication checked that the processor runs `isa`.
        unsafe { run_on(isa, PackTile { form, order, rows, ins, tile }) }
    });
}

struct PackTile<'a> {
    form: Form,
    order: Order,
    rows: &'a [f32],
    ins: usize,
    tile: &'a mut [f32],
}

/// Words of a row that are converted before they are spread.
const STRETCH: usize = 64;
/// Rows that are spread together: a vector's worth of each depth is stored at once.
const ROWS: usize = 4;

impl Work for PackTile<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let words = self.form.words(self.ins);
        let height = self.tile.len() / words.max(1);
        if self.order == Order::Rows {
            for (row, to) in self.rows.chunks_exact(self.ins.max(1)).zip(self.tile.chunks_exact_mut(words.max(1))) {
                for (i, to) in to.chunks_mut(STRETCH).enumerate() {
                    let mut line = [0f32; STRETCH];
                    // SAFETY: called in `Work::run`.
                    unsafe { convert::<V>(self.form, row, i * STRETCH, &mut line) };
                    to.copy_from_slice(&line[..to.len()]);
                }
            }
            return;
        }
        let mut row = 0;
        while row < height {
            let count = ROWS.min(height - row);
            // The last few rows are spread together with some before them once more, rather than one by one.
            let first = if count < ROWS && height >= ROWS { height - ROWS } else { row };
            for start in (0..words).step_by(STRETCH) {
                let len = STRETCH.min(words - start);
                let mut lines = [[0f32; STRETCH]; ROWS];
                for (i, line) in lines.iter_mut().enumerate().take(ROWS.min(height)) {
                    let row = &self.rows[(first + i) * self.ins..(first + i + 1) * self.ins];
                    // SAFETY: called in `Work::run`.
                    unsafe { convert::<V>(self.form, row, start, line) };
                }
                spread(&lines, &mut self.tile[start * height..(start + len) * height], height, first);
            }
            row += count;
        }
    }
}

/// Lines [rows][words] to rows `first..` of a tile's part, [words][height].
#[inline(always)]
fn spread(lines: &[[f32; STRETCH]; ROWS], part: &mut [f32], height: usize, first: usize) {
    if height < ROWS {
        for (word, column) in part.chunks_exact_mut(height).enumerate() {
            column.iter_mut().zip(lines).for_each(|(to, line)| *to = line[word]);
        }
        return;
    }
    let [a, b, c, d] = lines;
    for (word, column) in part.chunks_exact_mut(height).enumerate().take(STRETCH) {
        column[first..first + ROWS].copy_from_slice(&[a[word], b[word], c[word], d[word]]);
    }
}

/// Words of a row from `start` on in `form`; zeros after the row's end.
///
/// # Safety
/// Called in `Work::run`.
#[inline(always)]
unsafe fn convert<V: Lanes>(form: Form, row: &[f32], start: usize, line: &mut [f32; STRETCH]) {
    let (start, most) = if form == Form::Pairs { (2 * start, 2 * STRETCH) } else { (start, STRETCH) };
    let part = &row[start..(start + most).min(row.len())];
    if form == Form::Exact {
        line[..part.len()].copy_from_slice(part);
        return;
    }
    let mut rounded = [0f32; 2 * STRETCH];
    rounded[..part.len()].copy_from_slice(part);
    for chunk in rounded.chunks_exact_mut(V::COUNT) {
        // SAFETY: a chunk holds COUNT values.
        unsafe { V::load(chunk.as_ptr()).round_bf16().store(chunk.as_mut_ptr()) };
    }
    if form == Form::Rounded {
        line.copy_from_slice(&rounded[..STRETCH]);
        return;
    }
    for (word, pair) in line.iter_mut().zip(rounded.chunks_exact(2)) {
        *word = f32::from_bits((pair[0].to_bits() >> 16) | pair[1].to_bits());
    }
}
