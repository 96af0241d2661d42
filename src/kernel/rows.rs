//! Elementwise arithmetic on rows, in parallel over the current thread pool.
//!
//! In: rows of f32. Out: the same rows. Each element is computed on its own.

use super::buffer::{Scratch, ScratchBuffer};
use rayon::prelude::*;

/// Temporaries of the row kernels.
static SCRATCH: Scratch = Scratch::new();

/// A temporary with unspecified contents.
pub(super) fn scratch(len: usize) -> ScratchBuffer<'static> {
    SCRATCH.take(len)
}

/// Values that are worth a task of their own.
const BLOCK: usize = 1 << 15;

/// Rows of a width that make a task.
pub(super) fn rows_at_once(width: usize) -> usize {
    (BLOCK / width.max(1)).max(1)
}

/// A width that rows can be cut by: at least 1.
pub(super) fn width_checked(width: usize) -> usize {
    width.max(1)
}

/// `x += factor * y` on one thread.
pub(super) fn add_to(x: &mut [f32], y: &[f32], factor: f32) {
    if factor == 1.0 {
        x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
    } else {
        x.iter_mut().zip(y).for_each(|(x, y)| *x += factor * y);
    }
}

/// `x += y`
pub fn add(x: &mut [f32], y: &[f32]) {
    add_scaled(x, y, 1.0);
}

/// `x += factor * y`
pub fn add_scaled(x: &mut [f32], y: &[f32], factor: f32) {
    x.par_chunks_mut(BLOCK).zip(y.par_chunks(BLOCK)).for_each(|(x, y)| add_to(x, y, factor));
}

/// `x *= factor`
pub fn scale(x: &mut [f32], factor: f32) {
    x.par_chunks_mut(BLOCK).for_each(|x| x.iter_mut().for_each(|x| *x *= factor));
}

/// Adds a vector to each row of `width`.
pub fn add_bias(x: &mut [f32], width: usize, bias: &[f32]) {
    let block = rows_at_once(width) * width_checked(width);
    x.par_chunks_mut(block).for_each(|rows| rows.chunks_mut(width).for_each(|row| add_to(row, bias, 1.0)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_added_and_scaled() {
        let y: Vec<f32> = (0..100_000).map(|i| i as f32).collect();
        let mut x = vec![1.0f32; y.len()];
        add(&mut x, &y);
        add_scaled(&mut x, &y, 0.5);
        scale(&mut x, 2.0);
        assert!(x.iter().enumerate().all(|(i, x)| *x == 2.0 * (1.0 + 1.5 * i as f32)));
        let mut rows = vec![0.0; 12];
        add_bias(&mut rows, 4, &[1.0, 2.0, 3.0, 4.0]);
        assert_eq!(rows, [1.0, 2.0, 3.0, 4.0].repeat(3));
    }
}
