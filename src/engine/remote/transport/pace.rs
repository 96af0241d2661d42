//! Requests and tokens per minute.

use std::time::Duration;
use tokio::time::Instant;

/// So much of a minute may be made up for in a burst, after a wait that was a little too long.
const BURST: f64 = 1.0 / 60.0;

/// A token bucket, kept as the time when it will be full again (the generic cell rate algorithm).
///
/// What goes through in any minute is at most `per_minute` (for tokens: plus the last call, whose size may exceed all limits): the rate between
/// bursts is lower by as much as a burst may hold.
#[derive(Debug)]
struct Bucket {
    seconds_per_unit: f64,
    /// How far ahead of the rate a call may be.
    ahead: Duration,
    /// When all that went through will have been worked off.
    full_at: Option<Instant>,
}

impl Bucket {
    /// For things that go through one by one.
    fn of_requests(per_minute: f64) -> Bucket {
        let extra = (per_minute * BURST).floor().max(1.0) - 1.0;
        let seconds_per_unit = 60.0 / (per_minute - extra);
        Bucket { seconds_per_unit, ahead: seconds(extra * seconds_per_unit), full_at: None }
    }

    /// For things that go through many at a time.
    fn of_tokens(per_minute: f64) -> Bucket {
        Bucket { seconds_per_unit: 60.0 / (per_minute * (1.0 - BURST)), ahead: seconds(60.0 * BURST), full_at: None }
    }

    /// When the next call may go.
    fn ready_at(&self) -> Option<Instant> {
        self.full_at.and_then(|full| full.checked_sub(self.ahead))
    }

    fn take(&mut self, amount: f64, now: Instant) {
        let from = self.full_at.map_or(now, |full| full.max(now));
        self.full_at = Some(from + seconds(amount * self.seconds_per_unit));
    }
}

/// A wait of at most a year.
fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value.clamp(0.0, 365.0 * 86400.0)).unwrap_or_default()
}

/// Both limits, over all servers of a model.
#[derive(Debug)]
pub(super) struct Pace {
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
}

impl Pace {
    /// The limits must be above 0.
    pub fn new(requests_per_minute: Option<f64>, tokens_per_minute: Option<f64>) -> Pace {
        Pace {
            requests: requests_per_minute.map(Bucket::of_requests),
            tokens: tokens_per_minute.map(Bucket::of_tokens),
        }
    }

    /// When the next call may go; `None`: at once, and it always may.
    pub fn ready_at(&self) -> Option<Instant> {
        let requests = self.requests.as_ref().and_then(Bucket::ready_at);
        let tokens = self.tokens.as_ref().and_then(Bucket::ready_at);
        requests.max(tokens)
    }

    /// Counts a call. One that is larger than a minute's tokens goes too; those behind it wait longer.
    pub fn take(&mut self, tokens: usize, now: Instant) {
        if let Some(bucket) = &mut self.requests {
            bucket.take(1.0, now);
        }
        if let Some(bucket) = &mut self.tokens {
            bucket.take(tokens as f64, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds at which `count` calls go, when each goes as soon as it may.
    fn times(mut pace: Pace, count: usize, tokens: impl Fn(usize) -> usize) -> Vec<f64> {
        let start = Instant::now();
        let mut now = start;
        let mut out = Vec::new();
        for i in 0..count {
            now = now.max(pace.ready_at().unwrap_or(now));
            pace.take(tokens(i), now);
            out.push((now - start).as_secs_f64());
        }
        out
    }

    /// The most calls in any minute, the end not counted.
    fn busiest_minute(times: &[f64]) -> usize {
        times.iter().map(|&t| times.iter().filter(|&&u| u >= t && u < t + 60.0 - 1e-6).count()).max().unwrap()
    }

    #[test]
    fn no_minute_holds_more_requests_than_allowed() {
        for rpm in [1.0, 0.5, 7.0, 60.0, 90.0, 600.0, 3001.0] {
            let times = times(Pace::new(Some(rpm), None), (rpm as usize).max(2) * 3, |_| 0);
            let busiest = busiest_minute(&times);
            assert!(busiest <= (rpm as usize).max(1), "{rpm}: {busiest}");
            assert!(busiest as f64 >= rpm * 0.97 - 1.0, "{rpm}: {busiest}");
        }
    }

    #[test]
    fn slow_rates_are_evenly_spaced() {
        let times = times(Pace::new(Some(30.0), None), 4, |_| 0);
        let expected = [0.0, 2.0, 4.0, 6.0];
        assert!(times.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{times:?}");
    }

    #[test]
    fn tokens_are_worked_off_before_the_next_call() {
        // 6000 a minute are 100 a second, less the share for bursts.
        let times = times(Pace::new(None, Some(6000.0)), 3, |_| 500);
        assert_eq!(times[0], 0.0);
        assert!((times[1] - (500.0 / (100.0 * 59.0 / 60.0) - 1.0)).abs() < 1e-6, "{times:?}");
        assert!((times[2] - times[1] - 500.0 / (100.0 * 59.0 / 60.0)).abs() < 1e-6, "{times:?}");
        let per_minute: f64 = 500.0 * busiest_minute(&self::times(Pace::new(None, Some(6000.0)), 60, |_| 500)) as f64;
        assert!((5500.0..=6500.0).contains(&per_minute), "{per_minute}");
    }

    #[test]
    fn a_call_larger_than_a_minute_goes_and_those_behind_it_pay() {
        let times = times(Pace::new(Some(6000.0), Some(600.0)), 3, |i| if i == 0 { 1200 } else { 1 });
        assert_eq!(times[0], 0.0);
        assert!(times[1] > 100.0 && times[1] < 125.0, "{times:?}");
    }

    #[test]
    fn a_late_call_is_made_up_for_but_an_idle_hour_is_not() {
        let mut pace = Pace::new(Some(6000.0), None);
        let start = Instant::now();
        pace.take(0, start);
        let later = start + Duration::from_secs(3600);
        let mut at_once = 0;
        while pace.ready_at().is_none_or(|ready| ready <= later) {
            pace.take(0, later);
            at_once += 1;
        }
        assert_eq!(at_once, 100, "a second's worth");
    }

    #[test]
    fn without_limits_everything_goes() {
        assert_eq!(times(Pace::new(None, None), 3, |_| 1000), [0.0; 3]);
        // Absurd rates do not overflow.
        let mut pace = Pace::new(Some(1e-300), Some(1e-300));
        pace.take(usize::MAX, Instant::now());
        assert!(pace.ready_at().is_some());
    }
}
