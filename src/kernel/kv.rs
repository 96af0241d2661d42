//! interim
use super::buffer::Buffer;
use super::matrix::Arithmetic;
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KvShape {
    pub kv_heads: usize,
    pub head_dim: usize,
    pub value_dim: usize,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KvFormat {
    F32,
    Bf16,
}
impl KvFormat {
    pub fn of(a: Arithmetic) -> KvFormat {
        match a {
            Arithmetic::F32 => KvFormat::F32,
            Arithmetic::Bf16 => KvFormat::Bf16,
        }
    }
}
pub struct KvBlock {
    pub(super) keys: Buffer<f32>,
    pub(super) values: Buffer<f32>,
    shape: KvShape,
    len: usize,
    capacity: usize,
}
impl KvBlock {
    pub fn new(shape: KvShape, _f: KvFormat, capacity: usize) -> KvBlock {
        let capacity = capacity.max(1).next_multiple_of(32);
        KvBlock {
            keys: Buffer::new(shape.kv_heads * capacity * shape.head_dim),
            values: Buffer::new(shape.kv_heads * capacity * shape.value_dim.next_multiple_of(16)),
            shape,
            len: 0,
            capacity,
        }
    }
    pub fn bytes_of(shape: KvShape, _f: KvFormat, capacity: usize) -> usize {
        let c = capacity.max(1).next_multiple_of(32);
        4 * shape.kv_heads * c * (shape.head_dim + shape.value_dim.next_multiple_of(16))
    }
    pub fn len(&self) -> usize {
        self.len
    }
    pub(super) fn keys_of(&self, head: usize) -> *const f32 {
        self.keys[head * self.capacity * self.shape.head_dim..].as_ptr()
    }
    pub(super) fn values_of(&self, head: usize) -> *const f32 {
        self.values[head * self.capacity * self.shape.value_dim.next_multiple_of(16)..].as_ptr()
    }
    pub fn append(&mut self, k: &[f32], k_stride: usize, v: &[f32], v_stride: usize, rows: usize) {
        if self.len + rows > self.capacity {
            let mut bigger = KvBlock::new(self.shape, KvFormat::F32, (self.len + rows).max(2 * self.capacity));
            let (a, b) = (self.capacity * self.shape.head_dim, bigger.capacity * self.shape.head_dim);
            for h in 0..self.shape.kv_heads {
                bigger.keys[h * b..][..a].copy_from_slice(&self.keys[h * a..][..a])
            }
            let vd = self.shape.value_dim.next_multiple_of(16);
            let (a, b) = (self.capacity * vd, bigger.capacity * vd);
            for h in 0..self.shape.kv_heads {
                bigger.values[h * b..][..a].copy_from_slice(&self.values[h * a..][..a])
            }
            bigger.len = self.len;
            *self = bigger;
        }
        let d = self.shape.head_dim;
        let vd = self.shape.value_dim;
        let vp = vd.next_multiple_of(16);
        for r in 0..rows {
            let p = self.len + r;
            for h in 0..self.shape.kv_heads {
                let kb = &mut self.keys[h * self.capacity * d + p / 32 * 32 * d + p % 32..];
                for i in 0..d {
                    kb[i * 32] = k[r * k_stride + h * d + i]
                }
                self.values[(h * self.capacity + p) * vp..][..vd].copy_from_slice(&v[r * v_stride + h * vd..][..vd]);
            }
        }
        self.len += rows;
    }
}
