//! Norms of rows.
//!
//! In: rows of f32. Out: rows of f32. Sums run over fixed lanes by column, so a row's bits depend on the row alone.

use super::exp::{load_some, store_some};
use super::isa::Isa;
use super::lanes::{Lanes, Work, run_on};
use super::rows::{rows_at_once, width_checked};
use rayon::prelude::*;

/// `out = x / sqrt(mean(x^2) + eps) * weight` for each row of `width`.
pub fn rms_norm(x: &[f32], width: usize, weight: &[f32], eps: f32, out: &mut [f32]) {
    let block = rows_at_once(width) * width_checked(width);
    out.par_chunks_mut(block).zip(x.par_chunks(block)).for_each(|(out, x)| {
        // SAFETY: `best` names an instruction set of this processor.
        unsafe { run_on(Isa::best(), Rms { x, width, weight, eps, out }) }
    });
}

/// `x += factor * y`, then `out` is the norm of `x` as in [`rms_norm`]: one pass over memory for both.
pub fn add_rms_norm(x: &mut [f32], y: &[f32], factor: f32, width: usize, weight: &[f32], eps: f32, out: &mut [f32]) {
    let block = rows_at_once(width) * width_checked(width);
    out.par_chunks_mut(block).zip(x.par_chunks_mut(block)).zip(y.par_chunks(block)).for_each(|((out, x), y)| {
        let rows = out.chunks_mut(width).zip(x.chunks_mut(width)).zip(y.chunks(width));
        for ((out, x), y) in rows {
            super::rows::add_to(x, y, factor);
            // SAFETY: as above.
            unsafe { run_on(Isa::best(), Rms { x, width, weight, eps, out }) }
        }
    });
}

/// The norm of [`rms_norm`] in place, over parts of rows: part `p` of row `r` is `data[r * stride + first_column + p * width ..]`, `width`
/// being that of `weight`.
pub fn rms_norm_parts(data: &mut [f32], stride: usize, first_column: usize, parts: usize, weight: &[f32], eps: f32) {
    let width = weight.len();
    data.par_chunks_mut(stride * rows_at_once(parts * width)).for_each(|rows| {
        let mut normed = vec![0.0; parts * width];
        for row in rows.chunks_mut(stride) {
            let part = &mut row[first_column..first_column + parts * width];
            // SAFETY: as above.
            unsafe { run_on(Isa::best(), Rms { x: part, width, weight, eps, out: &mut normed }) }
            part.copy_from_slice(&normed);
        }
    });
}

/// `out = (x - mean(x)) / sqrt(var(x) + eps) * weight + bias` for each row of `width`; the variance is that of the whole row (divided by
/// its width).
pub fn layer_norm(x: &[f32], width: usize, weight: &[f32], bias: Option<&[f32]>, eps: f32, out: &mut [f32]) {
    let block = rows_at_once(width) * width_checked(width);
    out.par_chunks_mut(block).zip(x.par_chunks(block)).for_each(|(out, x)| {
        // SAFETY: as above.
        unsafe { run_on(Isa::best(), Layer { x, width, weight, bias, eps, out }) }
    });
}

struct Rms<'a> {
    x: &'a [f32],
    width: usize,
    weight: &'a [f32],
    eps: f32,
    out: &'a mut [f32],
}

impl Work for Rms<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        for (out, x) in self.out.chunks_mut(self.width).zip(self.x.chunks(self.width)) {
            // SAFETY: within rows of equal width.
            unsafe {
                let squares = sum::<V>(x, |x| x.mul(x));
                let factor = factor(squares, self.width, self.eps);
                affine::<V>(x, 0.0, factor, self.weight, None, out);
            }
        }
    }
}

struct Layer<'a> {
    x: &'a [f32],
    width: usize,
    weight: &'a [f32],
    bias: Option<&'a [f32]>,
    eps: f32,
    out: &'a mut [f32],
}

impl Work for Layer<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        for (out, x) in self.out.chunks_mut(self.width).zip(self.x.chunks(self.width)) {
            // SAFETY: within rows of equal width.
            unsafe {
                let mean = sum::<V>(x, |x| x) / self.width as f32;
                // Lanes beyond the row hold zeros: their share of the sum is taken off again by not counting them.
                let squares = sum_centred::<V>(x, mean);
                let factor = factor(squares, self.width, self.eps);
                affine::<V>(x, mean, factor, self.weight, self.bias, out);
            }
        }
    }
}

/// `1 / sqrt(squares / width + eps)`, rounded once: an error here would scale the whole row.
fn factor(squares: f32, width: usize, eps: f32) -> f32 {
    (f64::from(squares) / width as f64 + f64::from(eps)).sqrt().recip() as f32
}

/// Vectors that are summed side by side, to hide the time that an addition takes.
const CHAINS: usize = 4;

/// The sum of `f` over a row; `f` of zero must be zero.
///
/// # Safety
/// As all of [`Lanes`].
#[inline(always)]
unsafe fn sum<V: Lanes>(x: &[f32], f: impl Fn(V) -> V) -> f32 {
    // SAFETY: loads within the row.
    unsafe {
        let mut sums = [V::splat(0.0); CHAINS];
        for (i, chunk) in x.chunks(V::COUNT).enumerate() {
            let value = f(load_some(chunk.as_ptr(), chunk.len(), 0.0));
            sums[i % CHAINS] = sums[i % CHAINS].add(value);
        }
        sums[0].add(sums[1]).add(sums[2].add(sums[3])).sum()
    }
}

/// The sum of `(x - mean)^2` over a row.
///
/// # Safety
/// As all of [`Lanes`].
#[inline(always)]
unsafe fn sum_centred<V: Lanes>(x: &[f32], mean: f32) -> f32 {
    // SAFETY: loads within the row.
    unsafe {
        let centre = V::splat(mean);
        let mut sums = [V::splat(0.0); CHAINS];
        for (i, chunk) in x.chunks(V::COUNT).enumerate() {
            // Filled with the mean, lanes beyond the row add nothing.
            let value = load_some::<V>(chunk.as_ptr(), chunk.len(), mean).sub(centre);
            sums[i % CHAINS] = value.mul_add(value, sums[i % CHAINS]);
        }
        sums[0].add(sums[1]).add(sums[2].add(sums[3])).sum()
    }
}

/// `out = (x - mean) * factor * weight + bias`
///
/// # Safety
/// As all of [`Lanes`]; all slices are as long as `x`.
#[inline(always)]
unsafe fn affine<V: Lanes>(x: &[f32], mean: f32, factor: f32, weight: &[f32], bias: Option<&[f32]>, out: &mut [f32]) {
    // SAFETY: the caller's promise, checked for the safe slices.
    unsafe {
        assert!(weight.len() >= x.len() && out.len() >= x.len() && bias.is_none_or(|b| b.len() >= x.len()));
        for at in (0..x.len()).step_by(V::COUNT) {
            let count = (x.len() - at).min(V::COUNT);
            let load = |from: &[f32]| load_some::<V>(from.as_ptr().add(at), count, 0.0);
            let value = load(x).sub(V::splat(mean)).mul(V::splat(factor)).mul(load(weight));
            let value = bias.map_or(value, |bias| value.add(load(bias)));
            store_some(value, out.as_mut_ptr().add(at), count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(width: usize, seed: usize) -> Vec<f32> {
        (0..width).map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 500.0 - 2.0).collect()
    }

    fn close(found: &[f32], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (f, e) in found.iter().zip(expected) {
            assert!((f64::from(*f) - e).abs() <= 2e-6 * (1.0 + e.abs()), "{f} is not {e}");
        }
    }

    /// The formulas in f64.
    fn expected(x: &[f32], weight: &[f32], bias: Option<&[f32]>, eps: f64, centred: bool) -> Vec<f64> {
        let n = x.len() as f64;
        let mean = if centred { x.iter().map(|v| f64::from(*v)).sum::<f64>() / n } else { 0.0 };
        let variance = x.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / n;
        let one = |(i, v): (usize, &f32)| {
            (f64::from(*v) - mean) / (variance + eps).sqrt() * f64::from(weight[i]) + bias.map_or(0.0, |b| b[i].into())
        };
        x.iter().enumerate().map(one).collect()
    }

    #[test]
    fn norms_are_their_formulas_for_any_width() {
        for width in [1, 3, 16, 17, 64, 576, 1000] {
            let (weight, bias) = (row(width, 3), row(width, 4));
            for rows in [1, 5] {
                let x: Vec<f32> = (0..rows).flat_map(|r| row(width, r + 10)).collect();
                let y: Vec<f32> = (0..rows).flat_map(|r| row(width, r + 90)).collect();
                let mut out = vec![0.0; x.len()];
                let all = |x: &[f32], bias: Option<&[f32]>, centred| -> Vec<f64> {
                    x.chunks(width).flat_map(|x| expected(x, &weight, bias, 1e-5, centred)).collect()
                };
                rms_norm(&x, width, &weight, 1e-5, &mut out);
                close(&out, &all(&x, None, false));
                layer_norm(&x, width, &weight, Some(&bias), 1e-5, &mut out);
                close(&out, &all(&x, Some(&bias), true));
                let mut sum = x.clone();
                add_rms_norm(&mut sum, &y, 0.5, width, &weight, 1e-5, &mut out);
                let expected_sum: Vec<f32> = x.iter().zip(&y).map(|(x, y)| x + 0.5 * y).collect();
                close(&sum, &expected_sum.iter().map(|v| f64::from(*v)).collect::<Vec<_>>());
                close(&out, &all(&expected_sum, None, false));
            }
        }
    }

    #[test]
    fn parts_of_rows_are_normed_in_place() {
        let (width, parts, stride) = (20, 3, 70);
        let weight = row(width, 1);
        let data: Vec<f32> = (0..4).flat_map(|r| row(stride, r)).collect();
        let mut found = data.clone();
        rms_norm_parts(&mut found, stride, 5, parts, &weight, 1e-6);
        for (found, data) in found.chunks(stride).zip(data.chunks(stride)) {
            assert_eq!((&found[..5], &found[65..]), (&data[..5], &data[65..]));
            for part in 0..parts {
                let at = 5 + part * width;
                close(&found[at..at + width], &expected(&data[at..at + width], &weight, None, 1e-6, false));
            }
        }
    }
}
