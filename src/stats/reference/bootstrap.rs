//! The reference's bootstrap: spread of a statistic over sets drawn with replacement.
//!
//! Draws come in chunks of at most 1,000, chunk `i` from `random.Random(i).choices`, so that equal data give equal digits
//! whatever the number of threads. Efron (1979), "Bootstrap methods: another look at the jackknife".

use super::{NonEmpty, sample_stddev};
use crate::python::random::PyRandom;
use rayon::prelude::{IntoParallelIterator, ParallelIterator};

const CHUNK: usize = 1000;

/// Standard error of `statistic` by `iters` resamples; `None` when fewer than two replicates are drawn or the statistic
/// does not exist for one of them.
///
/// As in the reference the number of draws is rounded down to whole chunks (1,500 means 1,000). The estimate has no Bessel
/// correction: for a mean it is smaller than `s / √n` by about `√((n - 1) / n)`, which shows in small samples.
pub fn bootstrap_stderr<T: Copy + Sync>(
    xs: NonEmpty<'_, T>,
    iters: usize,
    statistic: impl Fn(NonEmpty<'_, T>) -> Option<f64> + Sync,
) -> Option<f64> {
    let chunk = iters.min(CHUNK);
    let chunks = iters.checked_div(chunk)?;
    let replicates: Vec<Vec<f64>> = (0..chunks)
        .into_par_iter()
        .map(|seed| draw_chunk(xs, seed as u64, chunk, &statistic))
        .collect::<Option<_>>()?;
    let replicates = replicates.concat();
    sample_stddev(NonEmpty::new(&replicates)?).filter(|stderr| stderr.is_finite())
}

/// The replicates of one chunk, in order.
fn draw_chunk<T: Copy>(
    xs: NonEmpty<'_, T>,
    seed: u64,
    draws: usize,
    statistic: impl Fn(NonEmpty<'_, T>) -> Option<f64>,
) -> Option<Vec<f64>> {
    let mut random = PyRandom::new(seed);
    let mut resample = Vec::with_capacity(xs.len());
    (0..draws)
        .map(|_| {
            resample.clear();
            resample.extend((0..xs.len()).map(|_| xs[random.choice_index(xs.len())]));
            statistic(NonEmpty::new(&resample)?)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    //! Expected values: `bootstrap_stderr` of lm_eval 0.4.13 (`DISABLE_MULTIPROC=1`) on the same arrays.
    use super::super::{Average, Labels, f1, matthews_corrcoef, median, nanmean, perplexity};
    use super::*;

    const XS: [f64; 23] = [
        -1.619, -0.754, -3.255, -0.362, -2.679, -1.828, -0.29, -2.537, -0.187, -2.168, -0.349, -0.454, -2.123, -4.134,
        -0.619, -1.116, -3.137, -4.739, -2.886, -1.983, -4.881, -0.233, -4.292,
    ];

    #[test]
    fn numbers_as_the_reference() {
        let xs = NonEmpty::new(&XS).unwrap();
        let expected = [
            (40, 0.6024438924827302, 2.7487539265184275, 0.348991750611753),
            (999, 0.5145676333429399, 2.807075537907582, 0.33191868304498556),
            (1000, 0.5149487155082559, 2.806090287056352, 0.33178762774444903),
            (2500, 0.5063654177349485, 2.6955117281562684, 0.32259921425088484),
        ];
        for (iters, of_median, of_perplexity, of_nanmean) in expected {
            assert_eq!(bootstrap_stderr(xs, iters, |xs| Some(median(xs))), Some(of_median));
            assert_eq!(bootstrap_stderr(xs, iters, |xs| Some(perplexity(xs))), Some(of_perplexity));
            assert_eq!(bootstrap_stderr(xs, iters, nanmean), Some(of_nanmean));
        }
        let holes = [1.5, f64::NAN, 2.25, -3.0, f64::NAN, 0.1];
        assert_eq!(bootstrap_stderr(NonEmpty::new(&holes).unwrap(), 60, nanmean), Some(0.9230127705210172));
    }

    fn labels(gold: &[i64], predicted: &[i64]) -> Vec<Labels> {
        gold.iter().zip(predicted).map(|(&gold, &predicted)| Labels { gold, predicted }).collect()
    }

    #[test]
    fn labels_as_the_reference() {
        let two = labels(&[0, 1, 1, 0, 1, 0, 0, 1, 1, 1, 0, 1], &[0, 1, 0, 0, 1, 1, 0, 1, 1, 0, 0, 1]);
        let two = NonEmpty::new(&two).unwrap();
        assert_eq!(bootstrap_stderr(two, 50, |xs| Some(f1(xs, Average::Binary))), Some(0.17001048693073095));
        assert_eq!(bootstrap_stderr(two, 50, |xs| Some(matthews_corrcoef(xs))), Some(0.2865567055136876));
        let many = labels(&[0, 1, 2, 2, 1, 0, -100, 3, 1, 2], &[0, 2, 2, 2, 1, 1, 0, 3, 1, 0]);
        let many = NonEmpty::new(&many).unwrap();
        assert_eq!(bootstrap_stderr(many, 50, |xs| Some(matthews_corrcoef(xs))), Some(0.20269864066191778));
    }

    #[test]
    fn too_few_draws_give_nothing() {
        let xs = NonEmpty::new(&XS).unwrap();
        for iters in [0, 1] {
            assert_eq!(bootstrap_stderr(xs, iters, |xs| Some(median(xs))), None);
        }
        assert_eq!(bootstrap_stderr(NonEmpty::new(&[f64::NAN; 3]).unwrap(), 10, nanmean), None);
    }
}
