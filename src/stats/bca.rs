//! The BCa bootstrap: an interval for any statistic, corrected for bias and acceleration.
//!
//! `z0 = Φ⁻¹((#{θ* < θ̂} + ½#{θ* = θ̂})/B)`: the half for ties is scipy's, and matters for accuracies, where many resamples give the same
//! value. `a = Σu³ / 6(Σu²)^{3/2}` over the jackknife, `u` the mean of the leave-one-out values less each of them. The ends are the
//! quantiles of θ* at `Φ(z0 + (z0 ± z)/(1 - a(z0 ± z)))`. Where values come in clusters, clusters are drawn and left out.
//!
//! Efron (1987), JASA 82; Efron and Tibshirani (1993), 14.3 and 15.4. Misleads in samples below some 50, where it is too narrow, and for
//! extremes such as a maximum or a far percentile.

use super::given::{Level, Observations, Unfit};
use super::interval::{Interval, IntervalEstimate, Scope};
use super::method::Method;
use super::resample::{Draws, draw, quantile};
use super::special::{normal_cdf, normal_quantile};
use super::student::normal_theory;

/// The interval from `resampled` values of a statistic that is `observed` on all units and `jackknife` without each of them.
///
/// # Errors
/// [`Unfit::NoSpread`] when the statistic never changes, or all resamples lie on one side of what was observed.
pub fn bca(observed: f64, resampled: &[f64], jackknife: &[f64], level: Level) -> Result<Interval, Unfit> {
    for list in [resampled, jackknife] {
        if let Some(at) = list.iter().position(|value| !value.is_finite()) {
            return Err(Unfit::NotFinite { at });
        }
    }
    let below = resampled.iter().filter(|value| **value < observed).count() as f64;
    let equal = resampled.iter().filter(|value| **value == observed).count() as f64;
    let bias = normal_quantile((below + equal / 2.0) / resampled.len() as f64);
    let acceleration = acceleration(jackknife);
    let mut sorted = resampled.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let end = |z: f64| {
        let z = bias + z;
        quantile(&sorted, normal_cdf(bias + z / (1.0 - acceleration * z)))
    };
    let z = level.z();
    if !bias.is_finite() || !acceleration.is_finite() {
        return Err(Unfit::NoSpread);
    }
    let (low, high) = end(-z).zip(end(z)).ok_or(Unfit::NoSpread)?;
    Interval::new(low, high).ok_or(Unfit::NoSpread)
}

/// `Σu³ / 6(Σu²)^{3/2}`: how fast the error of the statistic changes with its value.
fn acceleration(jackknife: &[f64]) -> f64 {
    let mean = jackknife.iter().sum::<f64>() / jackknife.len() as f64;
    let powers = |power: i32| jackknife.iter().map(|value| (mean - value).powi(power)).sum::<f64>();
    powers(3) / (6.0 * powers(2).powf(1.5))
}

/// The BCa interval of any statistic of `units` independent units: `statistic` gets the numbers of the units that count, some of them
/// more than once.
///
/// Without each unit it is asked once, so that the cost is `units` times what one call costs, besides the draws.
///
/// # Errors
/// As [`bca`]; with fewer than two units; when the statistic is not finite for a resample.
pub fn bootstrap_interval(
    units: usize,
    statistic: impl Fn(&[u32]) -> f64 + Sync,
    level: Level,
    draws: Draws,
) -> Result<IntervalEstimate, Unfit> {
    if units < 2 {
        return Err(Unfit::TooFew { what: "units", n: units, least: 2 });
    }
    let all: Vec<u32> = (0..units as u32).collect();
    let observed = statistic(&all);
    if !observed.is_finite() {
        return Err(Unfit::NotFinite { at: 0 });
    }
    let resampled = draws.map(|random, room| {
        draw(random, room, units);
        statistic(room)
    });
    let without = |left_out: usize| -> f64 {
        let rest: Vec<u32> = all.iter().copied().filter(|unit| *unit as usize != left_out).collect();
        statistic(&rest)
    };
    let jackknife: Vec<f64> = (0..units).map(without).collect();
    let interval = bca(observed, &resampled, &jackknife, level)?;
    Ok(IntervalEstimate {
        value: observed,
        stderr: None,
        interval,
        level,
        method: Method::Bca,
        scope: Scope::Population,
        n: units,
        units,
        cautions: Vec::new(),
    })
}

/// The BCa interval of a mean, by clusters where there are such.
///
/// # Errors
/// As [`bca`].
pub fn bca_mean(observations: Observations<'_>, level: Level, draws: Draws) -> Result<IntervalEstimate, Unfit> {
    let mean = observations.mean()?;
    let totals = observations.totals(mean);
    // Resamples with the mean of all are ties: what rounding leaves between them is far below the least real difference.
    let rounding = 1e-11 * totals.iter().map(|total| total.sum.abs()).sum::<f64>();
    let of = |weight: f64, sum: f64| if sum.abs() <= rounding { 0.0 } else { sum / weight };
    let resampled = draws.map(|random, room| {
        draw(random, room, totals.len());
        let drawn = || room.iter().map(|unit| totals[*unit as usize]);
        of(drawn().map(|total| total.weight).sum(), drawn().map(|total| total.sum).sum())
    });
    let weight: f64 = totals.iter().map(|total| total.weight).sum();
    let jackknife: Vec<f64> = totals.iter().map(|total| -total.sum / (weight - total.weight)).collect();
    let moved = bca(0.0, &resampled, &jackknife, level)?;
    let interval = Interval::new(mean + moved.low(), mean + moved.high()).ok_or(Unfit::NotFinite { at: 0 })?;
    Ok(IntervalEstimate {
        value: mean,
        stderr: None,
        interval,
        level,
        method: Method::Bca,
        scope: Scope::Population,
        n: observations.n(),
        units: observations.units(),
        cautions: normal_theory(observations),
    })
}

#[cfg(test)]
mod tests {
    //! Expected values: `scipy.stats.bootstrap(method='BCa')` of scipy 1.17.1, from its own resamples.
    use super::super::given::Clusters;
    use super::super::golden::{ends, golden, number, numbers, rows, within};
    use super::*;

    #[test]
    fn as_scipy_from_its_own_resamples() {
        for row in rows(&golden("bootstraps")["bca"]) {
            let (resampled, jackknife) = (numbers(&row["resampled"]), numbers(&row["jackknife"]));
            let interval = bca(number(&row["observed"]), &resampled, &jackknife, Level::P90).unwrap();
            ends(interval, &row["interval"]);
        }
    }

    /// Efron and Tibshirani (1993), table 14.2: spatial test data A, variance, 90 %: 115.8 to 259.6; scipy's seeds give 115.9 to 117 and
    /// 260 to 263.
    #[test]
    fn the_published_example() {
        let spatial: Vec<f64> = numbers(&rows(&golden("bootstraps")["bca"])[0]["data"]);
        let variance = |units: &[u32]| {
            let n = units.len() as f64;
            let mean = units.iter().map(|unit| spatial[*unit as usize]).sum::<f64>() / n;
            units.iter().map(|unit| (spatial[*unit as usize] - mean).powi(2)).sum::<f64>() / n
        };
        let interval = bootstrap_interval(26, variance, Level::P90, Draws::USUAL).unwrap().interval;
        within(interval.low(), 115.8, 0.03);
        within(interval.high(), 259.6, 0.03);
    }

    #[test]
    fn a_mean_is_a_statistic_like_others() {
        let values = [1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0];
        let mean = |units: &[u32]| units.iter().map(|unit| values[*unit as usize]).sum::<f64>() / units.len() as f64;
        let any = bootstrap_interval(12, mean, Level::P95, Draws::USUAL).unwrap().interval;
        let own = bca_mean(Observations::new(&values).unwrap(), Level::P95, Draws::USUAL).unwrap().interval;
        within(own.low(), any.low(), 1e-12);
        within(own.high(), any.high(), 1e-12);
    }

    #[test]
    fn nothing_from_constant_data() {
        let alike = Observations::new(&[1.0; 9]).unwrap();
        assert_eq!(bca_mean(alike, Level::P95, Draws::USUAL).unwrap_err(), Unfit::NoSpread);
        assert!(bootstrap_interval(1, |_| 0.0, Level::P95, Draws::USUAL).is_err());
        assert!(bootstrap_interval(5, |_| f64::NAN, Level::P95, Draws::USUAL).is_err());
    }

    #[test]
    fn whole_clusters_are_drawn() {
        let values: Vec<f64> = (0..60).map(|at| f64::from(at / 10 % 2)).collect();
        let clusters = Clusters::new((0..60).map(|at| at / 10)).unwrap();
        let plain = Observations::new(&values).unwrap();
        let width = |observations| bca_mean(observations, Level::P95, Draws::USUAL).unwrap().interval.width();
        assert!(width(plain.clustered(&clusters).unwrap()) > 2.0 * width(plain));
    }
}
