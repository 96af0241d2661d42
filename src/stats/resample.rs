//! Seeded draws with replacement, for the bootstraps: equal data give equal digits whatever the number of threads.

use rayon::prelude::{IntoParallelIterator, ParallelIterator};
use serde::Serialize;

use crate::python::random::PyRandom;

/// How many resamples, and from which seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Draws {
    pub count: usize,
    pub seed: u32,
}

impl Draws {
    /// 9,999 resamples: enough that the ends of a 95 % interval vary by about 2 % of its width from seed to seed.
    pub const USUAL: Draws = Draws { count: 9_999, seed: 0 };

    const CHUNK: usize = 1_000;

    /// `statistic` of each draw, in order. It gets a generator to draw from and room for a draw of its own.
    ///
    /// Chunk `i` comes from the generator with the seed's 32 bits above those of `i`, so that chunks of two seeds never meet.
    pub(super) fn map<R: Send>(self, statistic: impl Fn(&mut PyRandom, &mut Vec<u32>) -> R + Sync) -> Vec<R> {
        let chunks = self.count.div_ceil(Draws::CHUNK);
        let of_chunk = |chunk: usize| -> Vec<R> {
            let mut random = PyRandom::new(u64::from(self.seed) << 32 | chunk as u64);
            let mut room = Vec::new();
            let count = Draws::CHUNK.min(self.count - chunk * Draws::CHUNK);
            (0..count).map(|_| statistic(&mut random, &mut room)).collect()
        };
        (0..chunks).into_par_iter().flat_map_iter(of_chunk).collect()
    }
}

/// Fills `room` with `units` numbers below `units`, drawn with replacement.
pub(super) fn draw(random: &mut PyRandom, room: &mut Vec<u32>, units: usize) {
    room.clear();
    room.extend((0..units).map(|_| random.choice_index(units) as u32));
}

/// The `q` quantile of sorted values, linear between neighbours: numpy's default, llama.cpp's rule. `None` for none.
pub(super) fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = q.clamp(0.0, 1.0) * last as f64;
    let below = place.floor() as usize;
    let (low, high) = (sorted[below], sorted[(below + 1).min(last)]);
    // Infinite neighbours that are alike must not make a NaN.
    Some(if low == high { low } else { low + (high - low) * (place - below as f64) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `numpy.quantile([1, 2, 4, 8], q)`.
    #[test]
    fn quantiles_as_numpy() {
        let sorted = [1.0, 2.0, 4.0, 8.0];
        for (q, expected) in [(0.0, 1.0), (0.1, 1.3), (0.5, 3.0), (0.9, 6.8), (1.0, 8.0)] {
            assert!((quantile(&sorted, q).unwrap() - expected).abs() < 1e-12);
        }
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[f64::INFINITY; 2], 0.5), Some(f64::INFINITY));
    }

    #[test]
    fn draws_depend_on_the_seed_alone() {
        let of = |seed| {
            Draws { count: 2_500, seed }.map(|random, room| {
                draw(random, room, 5);
                room.clone()
            })
        };
        let one = of(1);
        assert_eq!(one.len(), 2_500);
        assert_eq!(one, rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap().install(|| of(1)));
        assert_ne!(one, of(2));
        assert!(one.iter().flatten().all(|index| *index < 5));
    }
}
