//! interim
use super::exp::exp;
use super::isa::Isa;
use super::kv::{KvBlock, KvShape};
use super::lanes::{Lanes, Work, run_on};
use super::tile::{Start, Tile, max_rows, multiply_tile};
use rayon::prelude::*;
pub struct AttentionSpec {
    pub heads: usize,
    pub kv: KvShape,
    pub scale: f32,
    pub softcap: Option<f32>,
    pub window: Option<usize>,
}
pub struct Stretch<'a> {
    pub first_row: usize,
    pub rows: usize,
    pub past: Vec<&'a KvBlock>,
    pub own: &'a KvBlock,
}
struct Softmax<'a>(&'a mut [f32]);
impl Work for Softmax<'_> {
    type Output = f32;
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) -> f32 {
        unsafe {
            let x = self.0;
            let n = x.len();
            let max = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let m = V::splat(max);
            let mut s = V::splat(0.0);
            let mut i = 0;
            while i < n {
                let k = (n - i).min(V::COUNT);
                let mut t = [f32::NEG_INFINITY; 16];
                t[..k].copy_from_slice(&x[i..i + k]);
                let e = exp(V::load(t.as_ptr()).sub(m));
                e.store(t.as_mut_ptr());
                s = s.add(e);
                x[i..i + k].copy_from_slice(&t[..k]);
                i += V::COUNT;
            }
            s.sum()
        }
    }
}
#[derive(Clone, Copy)]
struct Ptr(*mut f32);
unsafe impl Send for Ptr {}
unsafe impl Sync for Ptr {}
impl Ptr {
    fn get(&self) -> *mut f32 {
        self.0
    }
}
pub fn attention(
    spec: &AttentionSpec,
    stretches: &[Stretch<'_>],
    q: &[f32],
    q_stride: usize,
    out: &mut [f32],
    out_stride: usize,
) {
    let isa = Isa::best();
    let (d, vd) = (spec.kv.head_dim, spec.kv.value_dim);
    let vp = vd.next_multiple_of(16);
    let g = spec.heads / spec.kv.kv_heads;
    let op = Ptr(out.as_mut_ptr());
    let mut tasks = vec![];
    for (s, st) in stretches.iter().enumerate() {
        for h in 0..spec.kv.kv_heads {
            for r in (0..st.rows).step_by(16) {
                tasks.push((s, h, r))
            }
        }
    }
    tasks.par_iter().for_each_init(
        || (Vec::new(), Vec::new(), Vec::new()),
        |(scores, qb, ob): &mut (Vec<f32>, Vec<f32>, Vec<f32>), &(s, h, r0)| {
            let st = &stretches[s];
            let r1 = (r0 + 16).min(st.rows);
            let past: usize = st.past.iter().map(|b| b.len()).sum();
            let before = past + st.own.len() - st.rows;
            let len = before + r1;
            let ld = len.next_multiple_of(32) + 32;
            let rows = (r1 - r0) * g;
            scores.resize(rows * ld, 0.0);
            qb.resize(rows * d, 0.0);
            ob.resize(rows * vp, 0.0);
            for r in 0..rows {
                let src = &q[(st.first_row + r0 + r / g) * q_stride + (h * g + r % g) * d..][..d];
                for i in 0..d {
                    qb[r * d + i] = src[i] * spec.scale
                }
            }
            let segs: Vec<(&KvBlock, usize)> =
                st.past.iter().map(|b| (*b, b.len())).chain(std::iter::once((st.own, len - past))).collect();
            let mr = max_rows(isa);
            let mut r = 0;
            while r < rows {
                let m = (rows - r).min(mr);
                let mut at = 0;
                for (b, n) in &segs {
                    for p in 0..n.div_ceil(32) {
                        unsafe {
                            multiply_tile(
                                isa,
                                m,
                                32,
                                Tile {
                                    depth: d,
                                    a: qb.as_ptr().add(r * d),
                                    a_row: d,
                                    a_step: 1,
                                    b: b.keys_of(h).add(p * 32 * d),
                                    b_step: 32,
                                    c: scores.as_mut_ptr().add(r * ld + at + p * 32),
                                    c_row: ld,
                                    start: Start::Zero,
                                },
                            )
                        }
                    }
                    at += n;
                }
                let mut inv = [0.0f32; 16];
                for i in 0..m {
                    let end = before + r0 + (r + i) / g + 1;
                    let start = spec.window.map_or(0, |w| end.saturating_sub(w));
                    let row = &mut scores[(r + i) * ld..][..ld];
                    if let Some(c) = spec.softcap {
                        for x in &mut row[..end] {
                            *x = c * (*x / c).tanh()
                        }
                    }
                    row[..start].fill(f32::NEG_INFINITY);
                    inv[i] = 1.0 / unsafe { run_on(isa, Softmax(&mut row[..end])) };
                    row[end..].fill(0.0);
                }
                let mut at = 0;
                for (si, (b, n)) in segs.iter().enumerate() {
                    unsafe {
                        multiply_tile(
                            isa,
                            m,
                            vp,
                            Tile {
                                depth: *n,
                                a: scores.as_ptr().add(r * ld + at),
                                a_row: ld,
                                a_step: 1,
                                b: b.values_of(h),
                                b_step: vp,
                                c: ob.as_mut_ptr().add(r * vp),
                                c_row: vp,
                                start: if si == 0 { Start::Zero } else { Start::Continue },
                            },
                        )
                    }
                    at += n;
                }
                for i in 0..m {
                    let to = unsafe {
                        std::slice::from_raw_parts_mut(
                            op.get().add((st.first_row + r0 + (r + i) / g) * out_stride + (h * g + (r + i) % g) * vd),
                            vd,
                        )
                    };
                    for x in 0..vd {
                        to[x] = ob[(r + i) * vp + x] * inv[i]
                    }
                }
                r += m;
            }
        },
    );
}
