//! The bootstrap-t: Student's interval with quantiles of its own, from resampled units instead of a table.
//!
//! Each resample of whole clusters gives `t* = (x̄* - x̄) / SE*`, with the clustered error (CR1) of the resample; the interval runs
//! from `x̄ - t*(1-α/2)·SE` to `x̄ - t*(α/2)·SE`. Efron (1981), Canadian J. Statistics 9; for few clusters Cameron, Gelbach and Miller
//! (2008), Rev. Economics and Statistics 90. It knows skewness, which Student's table does not.
//!
//! Misleads where resamples without any spread are likely (a handful of clusters, almost constant scores): such a resample says
//! nothing and is counted as infinitely far out; where one of the quantiles falls on it there is no interval.

use super::given::{Level, Observations, Total, Unfit};
use super::interval::{Interval, IntervalEstimate, Scope};
use super::method::Method;
use super::resample::{Draws, draw, quantile};
use super::student::{mean_error, normal_theory};

/// The mean with its bootstrap-t interval, by clusters where there are such.
///
/// # Errors
/// When all values are alike, or so many resamples are that the interval has no end.
pub fn bootstrap_t(observations: Observations<'_>, level: Level, draws: Draws) -> Result<IntervalEstimate, Unfit> {
    let error = mean_error(observations)?;
    if error.stderr == 0.0 {
        return Err(Unfit::NoSpread);
    }
    let totals = observations.totals(error.mean);
    // What remains of nothing in sums of many numbers.
    let rounding = 1e-12 * totals.iter().map(|total| total.sum.abs()).sum::<f64>()
        / totals.iter().map(|total| total.weight).sum::<f64>();
    let mut deviates = draws.map(|random, room| {
        draw(random, room, totals.len());
        studentised(&totals, room, rounding)
    });
    deviates.sort_unstable_by(f64::total_cmp);
    let at = |q: f64| quantile(&deviates, q).unwrap_or(f64::NAN);
    let (low, high) =
        (error.mean - at(1.0 - level.tail()) * error.stderr, error.mean - at(level.tail()) * error.stderr);
    Ok(IntervalEstimate {
        value: error.mean,
        stderr: Some(error.stderr),
        interval: Interval::new(low, high).ok_or(Unfit::NoSpread)?,
        level,
        method: Method::BootstrapT,
        scope: Scope::Population,
        n: observations.n(),
        units: observations.units(),
        cautions: normal_theory(observations),
    })
}

/// The distance of a resample's mean from the mean of all (which the totals are centred on), in errors of its own.
fn studentised(totals: &[Total], drawn: &[u32], rounding: f64) -> f64 {
    let drawn = || drawn.iter().map(|unit| totals[*unit as usize]);
    let weight: f64 = drawn().map(|total| total.weight).sum();
    let mean: f64 = drawn().map(|total| total.sum).sum::<f64>() / weight;
    let squares: f64 = drawn().map(|total| (total.sum - mean * total.weight).powi(2)).sum();
    let units = drawn().count() as f64;
    let error = (units / (units - 1.0) * squares).sqrt() / weight;
    if mean.abs() <= rounding {
        0.0
    } else if error <= rounding {
        mean.signum() * f64::INFINITY
    } else {
        mean / error
    }
}

#[cfg(test)]
mod tests {
    use super::super::given::Clusters;
    use super::super::golden::{ends, golden, numbers, rows};
    use super::*;

    /// The same draws in Python, with numpy's means and quantiles.
    #[test]
    fn as_the_same_draws_in_python() {
        for row in rows(&golden("bootstraps")["students"]) {
            let (x, keys) = (numbers(&row["x"]), rows(&row["g"]));
            let clusters = Clusters::new(keys.iter().map(|key| key.as_u64())).unwrap();
            let observations = Observations::new(&x).unwrap().clustered(&clusters).unwrap();
            let estimate = bootstrap_t(observations, Level::P95, Draws { count: 1_500, seed: 3 }).unwrap();
            ends(estimate.interval, &row["interval"]);
        }
    }

    #[test]
    fn almost_constant_values_have_no_interval() {
        let mut values = [0.0; 20];
        values[3] = 1.0;
        let rare = Observations::new(&values).unwrap();
        assert_eq!(bootstrap_t(rare, Level::P95, Draws::USUAL).unwrap_err(), Unfit::NoSpread);
        let alike = Observations::new(&[1.0; 20]).unwrap();
        assert_eq!(bootstrap_t(alike, Level::P95, Draws::USUAL).unwrap_err(), Unfit::NoSpread);
    }
}
