//! Keys and values of one layer, as attention reads them.
//! In: rows of keys and values. Out: panels of keys, rows of values. Never moves what it holds: a full block grows by
//! another chunk.

use super::buffer::Buffer;
use super::isa::Isa;
use super::lanes::{Lanes, Work, run_on};
use super::matrix::Arithmetic;
use super::tile::PANEL;

/// Heads of keys and values, and their widths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KvShape {
    pub kv_heads: usize,
    /// Width of a key.
    pub head_dim: usize,
    pub value_dim: usize,
}

impl KvShape {
    /// Width of a stored value: whole vectors.
    pub(super) fn value_width(self) -> usize {
        self.value_dim.next_multiple_of(16)
    }
}

/// How keys and values are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KvFormat {
    F32,
    /// Rounded to bfloat16, halves to even.
    Bf16,
}

impl KvFormat {
    /// What goes with an arithmetic of matrices.
    pub fn of(arithmetic: Arithmetic) -> KvFormat {
        match arithmetic {
            Arithmetic::F32 | Arithmetic::Int8 => KvFormat::F32,
            Arithmetic::Bf16 => KvFormat::Bf16,
        }
    }

    /// 32-bit words of a panel column of keys.
    pub(super) fn key_words(self, shape: KvShape) -> usize {
        match self {
            KvFormat::F32 => shape.head_dim,
            KvFormat::Bf16 => shape.head_dim.div_ceil(2),
        }
    }

    /// Positions that share a row of values.
    pub(super) fn positions(self) -> usize {
        match self {
            KvFormat::F32 => 1,
            KvFormat::Bf16 => 2,
        }
    }
}

/// Keys and values of consecutive positions of one sequence in one layer.
pub struct KvBlock {
    shape: KvShape,
    format: KvFormat,
    chunks: Vec<Chunk>,
    len: usize,
    finite: bool,
}

/// A piece of a block that was allocated at once. Words are bits of f32 or pairs of bfloat16.
///
/// keys: [kv_heads][capacity / 32] panels, each [head_dim][32], of f32; or [head_dim.div_ceil(2)][32], of pairs (even
/// channel low, odd one high).
/// values: [kv_heads][capacity][value_width], of f32; or [kv_heads][capacity / 2][value_width], of pairs (even position
/// *high*: the processor's dot product adds the high halves first).
struct Chunk {
    keys: Buffer<u32>,
    values: Buffer<u32>,
    capacity: usize,
    len: usize,
}

impl KvBlock {
    /// Empty, with room for `capacity` positions (rounded up to 32).
    pub fn new(shape: KvShape, format: KvFormat, capacity: usize) -> KvBlock {
        let chunks = vec![Chunk::new(shape, format, capacity)];
        KvBlock { shape, format, chunks, len: 0, finite: true }
    }

    /// Bytes that a block of such a capacity takes.
    pub fn bytes_of(shape: KvShape, format: KvFormat, capacity: usize) -> usize {
        let words = Chunk::key_words(shape, format, capacity) + Chunk::value_words(shape, format, capacity);
        words.saturating_mul(4)
    }

    /// Positions that it holds.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.keys.bytes() + chunk.values.bytes()).sum()
    }

    pub(super) fn shape(&self) -> KvShape {
        self.shape
    }

    pub(super) fn format(&self) -> KvFormat {
        self.format
    }

    /// Whether all values are: only then may a share of zero stand for a masked position.
    pub(super) fn is_finite(&self) -> bool {
        self.finite
    }

    /// Its chunks that hold something, in order.
    pub(super) fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        self.chunks.iter().filter(|chunk| chunk.len > 0).map(|chunk| Part {
            keys: &chunk.keys,
            values: &chunk.values,
            key_words: chunk.keys.len() / self.shape.kv_heads.max(1),
            value_words: chunk.values.len() / self.shape.kv_heads.max(1),
            len: chunk.len,
        })
    }

    /// Appends `rows` positions. Row r of k: [kv_heads][head_dim] from `r * k_stride` on; v: [kv_heads][value_dim] alike.
    ///
    /// # Panics
    /// When k or v are too short for the rows.
    pub fn append(&mut self, k: &[f32], k_stride: usize, v: &[f32], v_stride: usize, rows: usize) {
        let KvShape { kv_heads, head_dim, value_dim } = self.shape;
        let mut done = 0;
        while done < rows {
            let chunk = match self.chunks.last_mut() {
                Some(chunk) if chunk.len < chunk.capacity => chunk,
                _ => {
                    let capacity = (rows - done).max(self.len / 2);
                    self.chunks.push(Chunk::new(self.shape, self.format, capacity));
                    continue;
                }
            };
            let count = (rows - done).min(chunk.capacity - chunk.len);
            let k = &k[done * k_stride..][..(count - 1) * k_stride + kv_heads * head_dim];
            let v = &v[done * v_stride..][..(count - 1) * v_stride + kv_heads * value_dim];
            let work = Append { shape: self.shape, format: self.format, chunk, k, k_stride, v, v_stride, count };
            // SAFETY: `best` names an instruction set of this processor; rounding has the same bits on all.
            self.finite &= unsafe { run_on(Isa::best(), work) };
            chunk.len += count;
            self.len += count;
            done += count;
        }
    }
}

impl Chunk {
    fn new(shape: KvShape, format: KvFormat, capacity: usize) -> Chunk {
        Chunk {
            keys: Buffer::new(Chunk::key_words(shape, format, capacity)),
            values: Buffer::new(Chunk::value_words(shape, format, capacity)),
            capacity: Chunk::rounded(capacity),
            len: 0,
        }
    }

    /// Whole panels, at least one.
    fn rounded(capacity: usize) -> usize {
        capacity.max(1).checked_next_multiple_of(PANEL).unwrap_or(usize::MAX)
    }

    // Impossible sizes saturate, and then fail as allocations.
    fn key_words(shape: KvShape, format: KvFormat, capacity: usize) -> usize {
        Chunk::rounded(capacity).saturating_mul(shape.kv_heads * format.key_words(shape))
    }

    fn value_words(shape: KvShape, format: KvFormat, capacity: usize) -> usize {
        (Chunk::rounded(capacity) / format.positions()).saturating_mul(shape.kv_heads * shape.value_width())
    }
}

/// Keys and values of consecutive positions that lie together.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    keys: &'a [u32],
    values: &'a [u32],
    /// Words of a head's keys.
    key_words: usize,
    /// Words of a head's values.
    value_words: usize,
    pub len: usize,
}

impl<'a> Part<'a> {
    /// Panels of a head's keys.
    pub fn keys(&self, head: usize) -> &'a [u32] {
        &self.keys[head * self.key_words..][..self.key_words]
    }

    /// Rows of a head's values.
    pub fn values(&self, head: usize) -> &'a [u32] {
        &self.values[head * self.value_words..][..self.value_words]
    }
}

/// `count` rows behind what the chunk holds, which has the room. Gives whether all values are finite as they are stored.
struct Append<'a> {
    shape: KvShape,
    format: KvFormat,
    chunk: &'a mut Chunk,
    k: &'a [f32],
    k_stride: usize,
    v: &'a [f32],
    v_stride: usize,
    count: usize,
}

/// Rows and channels of keys that are turned over at once.
const SQUARE: usize = 16;

impl Work for Append<'_> {
    type Output = bool;

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) -> bool {
        let first = self.chunk.len;
        let key_words = self.chunk.keys.len() / self.shape.kv_heads.max(1);
        let value_words = self.chunk.values.len() / self.shape.kv_heads.max(1);
        let mut finite = true;
        let mut row = 0;
        while row < self.count {
            // Squares keep to a panel.
            let at = first + row;
            let count = (self.count - row).min(SQUARE - at % SQUARE);
            for head in 0..self.shape.kv_heads {
                let keys = &mut self.chunk.keys[head * key_words..][..key_words];
                let rows = &self.k[row * self.k_stride + head * self.shape.head_dim..];
                // SAFETY: called in `Work::run`.
                unsafe { keep_keys::<V>(self.format, rows, self.k_stride, self.shape.head_dim, count, at, keys) };
            }
            row += count;
        }
        let (dim, width) = (self.shape.value_dim, self.shape.value_width());
        for row in 0..self.count {
            let at = first + row;
            for head in 0..self.shape.kv_heads {
                let from = &self.v[row * self.v_stride + head * dim..][..dim];
                let to = head * value_words + at / self.format.positions() * width;
                let to = &mut self.chunk.values[to..][..dim];
                // SAFETY: called in `Work::run`.
                finite &= unsafe { keep_value::<V>(self.format, from, at % 2 == 1, to) };
            }
        }
        finite
    }
}

/// Keys of up to a square of rows, `stride` apart, into the columns from `at` on of their panel.
///
/// # Safety
/// Called in `Work::run`.
#[inline(always)]
unsafe fn keep_keys<V: Lanes>(
    format: KvFormat,
    rows: &[f32],
    stride: usize,
    dim: usize,
    count: usize,
    at: usize,
    keys: &mut [u32],
) {
    let depth = if format == KvFormat::F32 { dim } else { dim.div_ceil(2) };
    let panel = &mut keys[at / PANEL * depth * PANEL..][..depth * PANEL];
    let column = at % PANEL;
    for channel in (0..dim).step_by(SQUARE) {
        let channels = (dim - channel).min(SQUARE);
        let mut square = [[0u32; SQUARE]; SQUARE];
        for (i, line) in square.iter_mut().enumerate().take(count) {
            let from = &rows[i * stride + channel..][..channels];
            line.iter_mut().zip(from).for_each(|(word, value)| *word = value.to_bits());
            if format == KvFormat::Bf16 {
                // SAFETY: called in `Work::run`.
                unsafe { round::<V>(line) };
            }
        }
        let (words, first) = match format {
            KvFormat::F32 => (channels, channel),
            KvFormat::Bf16 => (channels.div_ceil(2), channel / 2),
        };
        for word in 0..words {
            let to = &mut panel[(first + word) * PANEL + column..][..count];
            for (to, line) in to.iter_mut().zip(&square) {
                *to = match format {
                    KvFormat::F32 => line[word],
                    KvFormat::Bf16 => line[2 * word] >> 16 | line[2 * word + 1],
                };
            }
        }
    }
}

/// One value's row; an odd position goes into the low halves. Gives whether all of it is finite.
///
/// # Safety
/// Called in `Work::run`.
#[inline(always)]
unsafe fn keep_value<V: Lanes>(format: KvFormat, from: &[f32], odd: bool, to: &mut [u32]) -> bool {
    let mut greatest = 0;
    for (from, to) in from.chunks(SQUARE).zip(to.chunks_mut(SQUARE)) {
        let mut line = [0u32; SQUARE];
        line.iter_mut().zip(from).for_each(|(word, value)| *word = value.to_bits());
        if format == KvFormat::Bf16 {
            // SAFETY: called in `Work::run`.
            unsafe { round::<V>(&mut line) };
        }
        greatest = line.iter().fold(greatest, |greatest, &word| greatest.max(word & 0x7fff_ffff));
        if format == KvFormat::Bf16 && odd {
            to.iter_mut().zip(line).for_each(|(to, word)| *to |= word >> 16);
        } else {
            to.copy_from_slice(&line[..to.len()]);
        }
    }
    greatest < f32::INFINITY.to_bits()
}

/// Bits of f32, rounded to bfloat16.
///
/// # Safety
/// Called in `Work::run`.
#[inline(always)]
unsafe fn round<V: Lanes>(line: &mut [u32; SQUARE]) {
    for part in line.chunks_exact_mut(V::COUNT) {
        // SAFETY: COUNT words of the size of f32.
        unsafe { V::load(part.as_ptr().cast()).round_bf16().store(part.as_mut_ptr().cast()) };
    }
}
