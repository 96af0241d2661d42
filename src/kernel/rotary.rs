//! Rotary position embedding: pairs of channels turn by an angle.
//!
//! In: rows of heads, cosines and sines of each row. Out: the same rows, turned.

use super::exp::{load_some, store_some};
use super::isa::Isa;
use super::lanes::{Lanes, Work, run_on};
use super::rows::rows_at_once;
use rayon::prelude::*;

/// Heads in packed rows: head `h` of a row of `stride` begins at `first_column + h * head_dim`, and its first `rotary_dim` channels turn,
/// each of the first half with its fellow of the second half (as transformers has them).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turned {
    pub stride: usize,
    pub first_column: usize,
    pub heads: usize,
    pub head_dim: usize,
    pub rotary_dim: usize,
}

/// Turns heads in place. `cos` and `sin`: `[rows, rotary_dim / 2]`.
pub fn rotate(data: &mut [f32], heads: Turned, cos: &[f32], sin: &[f32]) {
    let pairs = heads.rotary_dim / 2;
    if pairs == 0 {
        return;
    }
    let rows = rows_at_once(heads.heads * heads.rotary_dim);
    let angles = cos.par_chunks(rows * pairs).zip(sin.par_chunks(rows * pairs));
    data.par_chunks_mut(rows * heads.stride).zip(angles).for_each(|(data, (cos, sin))| {
        // SAFETY: `best` names an instruction set of this processor.
        unsafe { run_on(Isa::best(), Rotate { data, heads, cos, sin }) }
    });
}

struct Rotate<'a> {
    data: &'a mut [f32],
    heads: Turned,
    cos: &'a [f32],
    sin: &'a [f32],
}

impl Work for Rotate<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let Turned { stride, first_column, heads, head_dim, rotary_dim } = self.heads;
        let pairs = rotary_dim / 2;
        let angles = self.cos.chunks(pairs).zip(self.sin.chunks(pairs));
        for (row, (cos, sin)) in self.data.chunks_mut(stride).zip(angles) {
            for head in 0..heads {
                let head = &mut row[first_column + head * head_dim..][..rotary_dim];
                let (first, second) = head.split_at_mut(pairs);
                for at in (0..pairs).step_by(V::COUNT) {
                    let count = (pairs - at).min(V::COUNT);
                    // SAFETY: `count` values from `at` on lie within all four.
                    unsafe {
                        let load = |from: &[f32]| load_some::<V>(from.as_ptr().add(at), count, 0.0);
                        let (x, y, c, s) = (load(first), load(second), load(cos), load(sin));
                        store_some(x.mul_add(c, V::splat(0.0).sub(y.mul(s))), first.as_mut_ptr().add(at), count);
                        store_some(y.mul_add(c, x.mul(s)), second.as_mut_ptr().add(at), count);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_turn_and_the_rest_stays() {
        // A quarter turn swaps a pair: (x, y) becomes (-y, x).
        let heads = Turned { stride: 11, first_column: 1, heads: 2, head_dim: 5, rotary_dim: 4 };
        let mut data: Vec<f32> = (0..22).map(|i| i as f32).collect();
        rotate(&mut data, heads, &[1.0, 0.0, 0.0, 1.0], &[0.0, 1.0, 1.0, 0.0]);
        let first: Vec<f32> = vec![0.0, 1.0, -4.0, 3.0, 2.0, 5.0, 6.0, -9.0, 8.0, 7.0, 10.0];
        let second: Vec<f32> = vec![11.0, -14.0, 13.0, 12.0, 15.0, 16.0, -19.0, 18.0, 17.0, 20.0, 21.0];
        assert_eq!(data, [first, second].concat());
    }
}
