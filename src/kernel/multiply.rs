//! y = x W^T: cut into blocks of depth and rows, spread over the threads of the current rayon pool.
//! In: rows of x, packed matrices. Out: rows of y. Never lets the number of rows or threads change the order of a sum:
//! each element is the sum over blocks of depth, in order, of `tile`'s chains, and the blocks depend on `ins` alone.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::buffer::{Buffer, Scratch, ScratchBuffer};
use super::int8::{BLOCK, ByteRows};
use super::isa::Isa;
use super::matrix::{Arithmetic, PackedMatrix, Panels};
use super::packed_rows::{Form, Order, Tiles, pack};
use super::tile::{LINE, PANEL, Start, Tile, max_rows, multiply_tile_ahead};
use super::tile_bf16::{DotTile, PairsTile, multiply_dot_tile, multiply_pairs_tile};
use super::tile_grouped::{GROUPED_ROWS, GroupedTile, multiply_grouped_tile};
use super::tile_int8::{ByteTile, multiply_byte_tile};

/// Inputs of a block of depth, at most: a panel's block (96 KiB), the next one and a block of rows stay in the second-level
/// cache, and most matrices read and write y once or twice.
const DEPTH: usize = 768;
/// Matrices no deeper than four times this are cut into blocks of it: sums of several shorter chains round less than one long chain
/// does, and matrices this small are not where the time goes.
const SHALLOW: usize = 64;
/// Values of x in a block of rows over one block of depth: half of a second-level cache of 1 MiB.
const ROW_BLOCK: usize = 144 << 10;
/// Tiles up to which bfloat16 panels are widened in registers for each: with more, once into a buffer is as fast.
const PAIRS_TILES: usize = 3;
/// Multiply-adds below which a second thread costs more than it saves.
const ALONE: usize = 1 << 17;

/// y[m][column..] for several matrices that share their input (q, k, v; gate, up): parts[i] is written at the columns
/// after those of parts[..i]. x: [m][ins] rows, one after the other; rows of y are `y_stride` apart, at least the sum of
/// outs. Overwrites those columns of y and nothing else. Each element's bits depend on its row, its weights and the
/// instruction set, never on `m`, the row's place or the threads.
///
/// # Panics
/// When matrices differ in `ins`, or x or y are too short for `m` rows.
pub fn multiply(parts: &[&PackedMatrix], arithmetic: Arithmetic, x: &[f32], m: usize, y: &mut [f32], y_stride: usize) {
    multiply_on(Isa::best(), parts, arithmetic, x, m, y, y_stride);
}

/// The same on a named instruction set, for tests.
///
/// # Panics
/// As `multiply`, and when the processor lacks `isa`.
pub fn multiply_on(
    isa: Isa,
    parts: &[&PackedMatrix],
    arithmetic: Arithmetic,
    x: &[f32],
    m: usize,
    y: &mut [f32],
    y_stride: usize,
) {
    assert!(isa.is_available(), "this processor lacks {}", isa.name());
    let Some(first) = parts.first() else { return };
    let ins = first.ins();
    let outs: usize = parts.iter().map(|part| part.outs()).sum();
    if m == 0 || outs == 0 {
        return;
    }
    assert!(parts.iter().all(|part| part.ins() == ins), "matrices of different inputs");
    assert!(x.len() >= m * ins, "{} values of x for {m} rows of {ins}", x.len());
    assert!(y_stride >= outs && y.len() >= (m - 1) * y_stride + outs, "y is too short for {m} rows of {outs}");
    if ins == 0 {
        y.chunks_mut(y_stride).take(m).for_each(|row| row[..outs].fill(0.0));
        return;
    }
    let tiles = Tiles::new(m, max_rows(isa));
    let rows = Rows::prepare(isa, parts, arithmetic, x, ins, tiles);
    let product = Product::new(isa, parts, arithmetic, rows, tiles, (y.as_mut_ptr(), y_stride));
    product.run(m * ins * outs);
}

/// The product of rows with one matrix, a block of columns at a time: y is `[m][panels * 32]`, its columns from `first` on are those of
/// the block that `take` is given with the block's first column and width.
pub(super) fn multiply_by_blocks(
    (matrix, arithmetic): (&PackedMatrix, Arithmetic),
    x: &[f32],
    m: usize,
    panels: usize,
    y: &mut [f32],
    mut take: impl FnMut(usize, usize, &mut [f32]),
) {
    let (isa, ins, stride) = (Isa::best(), matrix.ins(), panels * PANEL);
    assert!(x.len() >= m * ins && y.len() >= m * stride, "x or y is too short for {m} rows");
    if m == 0 || ins == 0 {
        return;
    }
    let tiles = Tiles::new(m, max_rows(isa));
    let parts = [matrix];
    let mut rows = Rows::prepare(isa, &parts, arithmetic, x, ins, tiles);
    for first in (0..matrix.panel_count()).step_by(panels) {
        let mut product = Product::new(isa, &parts, arithmetic, rows, tiles, (y.as_mut_ptr(), stride));
        product.narrow(first..(first + panels).min(matrix.panel_count()));
        let width = (matrix.outs() - first * PANEL).min(stride);
        product.run(m * ins * width);
        rows = product.rows;
        take(first * PANEL, width, y);
    }
}

/// x as the parts need it.
struct Rows<'a> {
    order: Order,
    /// f32
    values: Option<Source<'a>>,
    pairs: Option<ScratchBuffer<'static>>,
    bytes: Option<ByteRows>,
}

enum Source<'a> {
    InPlace(&'a [f32]),
    Packed(ScratchBuffer<'static>),
}

static SCRATCH: Scratch = Scratch::new();

impl<'a> Rows<'a> {
    fn prepare(
        isa: Isa,
        parts: &[&PackedMatrix],
        arithmetic: Arithmetic,
        x: &'a [f32],
        ins: usize,
        tiles: Tiles,
    ) -> Rows<'a> {
        let order = Order::best(tiles.rows, ins, parts.iter().map(|part| part.outs()).sum());
        let make = |form: Form| {
            let mut packed = SCRATCH.take(tiles.rows * form.words(ins));
            pack(isa, (form, order), x, ins, tiles, &mut packed);
            packed
        };
        let count = |way| parts.iter().filter(|part| Way::of(isa, arithmetic, part) == way).count();
        let (dots, bytes) = (count(Way::Dots) > 0, count(Way::Bytes) > 0);
        let values = (count(Way::Values) > 0).then(|| match (arithmetic, order) {
            (Arithmetic::Bf16, _) => Source::Packed(make(Form::Rounded)),
            (_, Order::Rows) => Source::InPlace(x),
            (_, Order::Depths) => Source::Packed(make(Form::Exact)),
        });
        let bytes = bytes.then(|| ByteRows::round(isa, &SCRATCH, &x[..tiles.rows * ins], ins));
        Rows { order, values, pairs: dots.then(|| make(Form::Pairs)), bytes }
    }
}

/// How a part is multiplied.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// f32 by f32.
    Values,
    /// Dot products of bfloat16 pairs.
    Dots,
    /// Dot products of bytes.
    Bytes,
}

impl Way {
    fn of(isa: Isa, arithmetic: Arithmetic, part: &PackedMatrix) -> Way {
        match arithmetic {
            Arithmetic::Bf16 if isa == Isa::Avx512Bf16 && matches!(part.panels, Panels::Bf16(_)) => Way::Dots,
            Arithmetic::Int8 if part.takes_bytes() => Way::Bytes,
            _ => Way::Values,
        }
    }
}

/// One call's work, shared by its threads.
struct Product<'a> {
    isa: Isa,
    parts: Vec<Part<'a>>,
    rows: Rows<'a>,
    ins: usize,
    /// Inputs of a block of depth.
    depth: usize,
    tiles: Tiles,
    /// Tiles of a block of rows.
    block: usize,
    y: *mut f32,
    y_stride: usize,
    /// Units handed out: panels of all parts for the first block of rows, for the second, ...
    next: AtomicUsize,
    panels: usize,
}

struct Part<'a> {
    matrix: &'a PackedMatrix,
    /// First column in y.
    column: usize,
    /// First of the product's panels.
    panel: usize,
    /// The part's panels that take part.
    taken: Range<usize>,
    way: Way,
}

// SAFETY: threads write disjoint blocks of y, which `multiply_on` borrows mutably while they run.
unsafe impl Sync for Product<'_> {}

/// Panels of one part for one block of rows.
struct Chunk {
    part: usize,
    panels: Range<usize>,
    tiles: Range<usize>,
}

impl<'a> Product<'a> {
    fn new(
        isa: Isa,
        matrices: &[&'a PackedMatrix],
        arithmetic: Arithmetic,
        rows: Rows<'a>,
        tiles: Tiles,
        (y, y_stride): (*mut f32, usize),
    ) -> Product<'a> {
        let (mut parts, mut column, mut panel) = (Vec::with_capacity(matrices.len()), 0, 0);
        for &matrix in matrices {
            let taken = 0..matrix.panel_count();
            parts.push(Part { matrix, column, panel, taken, way: Way::of(isa, arithmetic, matrix) });
            column += matrix.outs();
            panel += matrix.panel_count();
        }
        let ins = matrices[0].ins();
        // Blocks of nearly equal depth, so that none is a stub; whole blocks of 32, so that neither pairs nor blocks of bytes are cut.
        let deepest = if ins <= 4 * SHALLOW { SHALLOW } else { DEPTH };
        let depth = ins.div_ceil(ins.div_ceil(deepest)).next_multiple_of(BLOCK);
        let fitting = (ROW_BLOCK / (depth * max_rows(isa))).max(1);
        let block = tiles.count.div_ceil(tiles.count.div_ceil(fitting));
        Product { isa, parts, rows, ins, depth, tiles, block, y, y_stride, next: AtomicUsize::new(0), panels: panel }
    }

    /// Leaves only some panels of a product of one part; the first of them is written at the first column.
    fn narrow(&mut self, panels: std::ops::Range<usize>) {
        self.panels = panels.len();
        self.parts.iter_mut().for_each(|part| part.taken = panels.clone());
    }

    fn run(&self, multiply_adds: usize) {
        let threads = if multiply_adds <= ALONE { 1 } else { rayon::current_num_threads() };
        if threads == 1 {
            return self.work(1);
        }
        (0..threads).into_par_iter().with_max_len(1).for_each(|_| self.work(threads));
    }

    /// Takes chunks until none is left: large ones first, single panels in the end, so that all threads finish together.
    fn work(&self, threads: usize) {
        thread_local! {
            static WIDENED: RefCell<Buffer<f32>> = RefCell::new(Buffer::new(DEPTH * PANEL));
        }
        WIDENED.with(|widened| {
            // A thread is here once at a time: nothing below gives it to rayon. If that changes, a second buffer serves.
            match widened.try_borrow_mut() {
                Ok(mut widened) => self.take_chunks(threads, &mut widened),
                Err(_) => self.take_chunks(threads, &mut Buffer::new(DEPTH * PANEL)),
            }
        });
    }

    fn take_chunks(&self, threads: usize, widened: &mut [f32]) {
        while let Some(chunk) = self.next_chunk(threads) {
            self.multiply_chunk(&chunk, widened);
        }
    }

    fn next_chunk(&self, threads: usize) -> Option<Chunk> {
        let total = self.panels * self.tiles.count.div_ceil(self.block);
        let mut start = self.next.load(Ordering::Relaxed);
        loop {
            if start >= total {
                return None;
            }
            let (block, panel) = (start / self.panels, start % self.panels);
            let part = self.parts.partition_point(|part| part.panel <= panel) - 1;
            let first = panel - self.parts[part].panel;
            let left = self.parts[part].taken.len() - first;
            let count = ((total - start) / (4 * threads)).clamp(1, left);
            match self.next.compare_exchange_weak(start, start + count, Ordering::Relaxed, Ordering::Relaxed) {
                Err(now) => start = now,
                Ok(_) => {
                    let tiles = block * self.block..((block + 1) * self.block).min(self.tiles.count);
                    let first = first + self.parts[part].taken.start;
                    return Some(Chunk { part, panels: first..first + count, tiles });
                }
            }
        }
    }

    fn multiply_chunk(&self, chunk: &Chunk, widened: &mut [f32]) {
        let part = &self.parts[chunk.part];
        for start in (0..self.ins).step_by(self.depth) {
            let depth = start..(start + self.depth).min(self.ins);
            for panel in chunk.panels.clone() {
                let weights = self.weights(part, panel, depth.clone(), widened);
                // While the first tiles are multiplied, the next panel's block is fetched: a line at each step of
                // depth, and two lines a step are what f32 and pairs have.
                let next = part.matrix.address(panel + 1, depth.start);
                let here = part.matrix.address(panel, depth.start);
                for (i, tile) in chunk.tiles.clone().enumerate() {
                    let ahead = if i < 2 { next.wrapping_add(i * depth.len() * LINE) } else { here };
                    let block = Block { part, panel, depth: depth.clone(), weights, ahead };
                    self.multiply_tile(&block, self.tiles.range(tile));
                }
            }
        }
    }

    /// Where the kernels read a panel's block: as it is kept, or widened.
    fn weights(&self, part: &Part, panel: usize, depth: Range<usize>, widened: &mut [f32]) -> Weights {
        match &part.matrix.panels {
            _ if part.way == Way::Bytes => Weights::Codes,
            Panels::Grouped(_) if self.tiles.rows <= GROUPED_ROWS && self.rows.order == Order::Rows => Weights::Codes,
            Panels::F32(values) => Weights::Values(values[(panel * self.ins + depth.start) * PANEL..].as_ptr()),
            Panels::Bf16(pairs) if part.way == Way::Dots || self.tiles.count <= PAIRS_TILES => {
                Weights::Pairs(pairs[(panel * self.ins.div_ceil(2) + depth.start / 2) * PANEL..].as_ptr())
            }
            _ => {
                part.matrix.widen(self.isa, panel, depth, widened);
                Weights::Values(widened.as_ptr())
            }
        }
    }

    /// One tile over one block of depth; through a copy where the panel is wider than the matrix.
    fn multiply_tile(&self, block: &Block, rows: Range<usize>) {
        let (matrix, column) = (block.part.matrix, block.panel * PANEL);
        let width = (matrix.outs() - column).min(PANEL);
        let place = column - block.part.taken.start * PANEL;
        // SAFETY: within the rows and columns that `multiply_on` checked.
        let y = unsafe { self.y.add(rows.start * self.y_stride + block.part.column + place) };
        if width == PANEL {
            return self.kernel(block, rows, y, self.y_stride);
        }
        let mut copy = [0f32; 12 * PANEL];
        let lines = copy.chunks_exact_mut(PANEL).take(rows.len());
        // SAFETY: `width` columns of these rows belong to this panel, and no other thread works on them.
        lines.enumerate().for_each(|(i, line)| unsafe { line.as_mut_ptr().copy_from(y.add(i * self.y_stride), width) });
        self.kernel(block, rows.clone(), copy.as_mut_ptr(), PANEL);
        for (i, line) in copy.chunks_exact(PANEL).take(rows.len()).enumerate() {
            // SAFETY: as above.
            unsafe { y.add(i * self.y_stride).copy_from(line.as_ptr(), width) }
        }
    }

    fn kernel(&self, block: &Block, rows: Range<usize>, c: *mut f32, c_row: usize) {
        let (first, depth, ahead, height) = (block.depth.start, block.depth.len(), block.ahead, rows.len());
        let start = if first == 0 { Start::Zero } else { Start::Add };
        if let (Way::Bytes, Some(bytes), Panels::Grouped(panels)) =
            (block.part.way, &self.rows.bytes, &block.part.matrix.panels)
        {
            let start = if first == 0 { Start::Zero } else { Start::Continue };
            let (first_block, blocks, panel) = (first / BLOCK, depth.div_ceil(BLOCK), block.panel);
            let (rows, first_row) = (bytes, rows.start);
            let tile = ByteTile { rows, first_row, height, panels, panel, first_block, blocks, c, c_row, start };
            // SAFETY: `multiply_on` checked the instruction set; rows, panels and y hold what the tile names.
            return unsafe { multiply_byte_tile(self.isa, &tile) };
        }
        if block.part.way == Way::Dots {
            let (Some(pairs), Weights::Pairs(b)) = (&self.rows.pairs, block.weights) else { return };
            let words = self.ins.div_ceil(2);
            let (a_row, a_step) = self.rows.order.steps(words, height);
            let a = pairs[rows.start * words + first / 2 * a_step..].as_ptr().cast();
            let tile = DotTile { pairs: depth.div_ceil(2), a, a_row, a_step, b, c, c_row, start };
            // SAFETY: `Way::of` asked for the instruction set; packed rows, panels and y hold what the tile names.
            return unsafe { multiply_dot_tile(height, tile, ahead) };
        }
        let x = match &self.rows.values {
            Some(Source::InPlace(x)) => x,
            Some(Source::Packed(x)) => &x[..],
            None => return,
        };
        let (a_row, a_step) = self.rows.order.steps(self.ins, height);
        let a = x[rows.start * self.ins + first * a_step..].as_ptr();
        // SAFETY: `multiply_on` checked the instruction set; rows, panels and y hold what the tiles name.
        unsafe {
            match block.weights {
                Weights::Values(b) => {
                    let tile = Tile { depth, a, a_row, a_step, b, b_step: PANEL, c, c_row, start };
                    multiply_tile_ahead(self.isa, height, PANEL, tile, ahead);
                }
                Weights::Codes => {
                    let Panels::Grouped(panels) = &block.part.matrix.panels else { return };
                    let (panel, depth) = (block.panel, block.depth.clone());
                    let tile = GroupedTile { panels, panel, depth, a, a_row, c, c_row, start };
                    multiply_grouped_tile(self.isa, height, &tile);
                }
                Weights::Pairs(b) => {
                    let tile = PairsTile { depth, a, a_row, a_step, b, c, c_row, start };
                    multiply_pairs_tile(self.isa, height, tile, ahead);
                }
            }
        }
    }
}

/// A panel's block of depth.
struct Block<'a> {
    part: &'a Part<'a>,
    panel: usize,
    depth: Range<usize>,
    weights: Weights,
    /// What is read next.
    ahead: *const f32,
}

#[derive(Clone, Copy)]
enum Weights {
    /// [depth][32]
    Values(*const f32),
    /// [depth.div_ceil(2)][32]
    Pairs(*const u32),
    /// Codes as they are kept.
    Codes,
}
