//! The floor that earlier runs of one model justify: how low the next run may fall by the noise of reruns alone.
//!
//! `floor = x̄ - t(k-1)·s·√(1+1/k)` is the one-sided prediction bound of one further run: a run of the same model lies below it with a
//! chance of α. Hahn and Meeker (1991), Statistical Intervals, 4.7. Fixed floors that were guessed, and lowered each time they cried
//! wolf, are what this replaces. Misleads where runs differ in more than chance (another server, another subset), and with fewer than
//! some five runs the floor is low: that is what so few say.

use super::given::{Level, Observations, Unfit};
use super::power::Demand;
use super::special::normal_quantile;
use super::student::mean_error;

/// What earlier runs of one model on the same documents say of the next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibration {
    pub runs: usize,
    pub mean: f64,
    /// Standard deviation from run to run.
    pub deviation: f64,
    /// The next run lies below with the demanded error rate, if nothing changed.
    pub floor: f64,
    /// The drop that takes the next run below the floor with the demanded power.
    pub visible_drop: f64,
}

/// Of the scores of `runs`, for a one-sided demand: its α is the rate of false alarms.
///
/// # Errors
/// With fewer than two runs; when all are alike (a deterministic engine needs no allowance for reruns).
pub fn calibrate(runs: &[f64], demand: Demand) -> Result<Calibration, Unfit> {
    let error = mean_error(Observations::new(runs)?)?;
    if error.stderr == 0.0 {
        return Err(Unfit::NoSpread);
    }
    let count = runs.len() as f64;
    let deviation = error.stderr * count.sqrt();
    let next = deviation * (1.0 + 1.0 / count).sqrt();
    let allowance = Level::one_sided(demand.alpha())?.t(error.freedom) * next;
    let visible_drop = allowance + normal_quantile(demand.power()) * next;
    Ok(Calibration { runs: runs.len(), mean: error.mean, deviation, floor: error.mean - allowance, visible_drop })
}

#[cfg(test)]
mod tests {
    use super::super::golden::{near, within};
    use super::*;

    /// By hand: mean 0.9, s = 0.01, k = 5, t(4) at 0.05 = 2.13184678632665.
    #[test]
    fn the_floor_of_the_next_run() {
        let runs = [0.9, 0.91, 0.89, 0.91, 0.89];
        let demand = Demand::one_sided(0.05, 0.8).unwrap();
        let floor = calibrate(&runs, demand).unwrap();
        within(floor.deviation, 0.01, 1e-12);
        near(floor.floor, 0.9 - 2.13184678632665 * 0.01 * 1.2f64.sqrt());
        near(floor.visible_drop, (2.13184678632665 + 0.8416212335729143) * 0.01 * 1.2f64.sqrt());
    }

    #[test]
    fn no_noise_no_allowance() {
        let demand = Demand::one_sided(0.05, 0.8).unwrap();
        assert_eq!(calibrate(&[0.7; 4], demand), Err(Unfit::NoSpread));
        assert!(calibrate(&[0.7], demand).is_err());
    }
}
