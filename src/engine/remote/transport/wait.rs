//! How long a server asks to be left alone: `Retry-After` and its relatives.

use chrono::{DateTime, NaiveDateTime};
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Limits that OpenAI and those who copied it report: what is left, and when it is whole again.
const RESETS: &[(&str, &str)] = &[
    ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
];

/// Units of `6m0s`, in seconds. `ms` stands before `m` and `s`.
const UNITS: &[(&str, f64)] =
    &[("ms", 1e-3), ("us", 1e-6), ("µs", 1e-6), ("ns", 1e-9), ("d", 86400.0), ("h", 3600.0), ("m", 60.0), ("s", 1.0)];

/// The two older forms of HTTP dates (RFC 9110, 5.6.7).
const OLD_DATES: &[&str] = &["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];

/// The wait that the headers of a refusal ask for. A date is compared with the server's own clock where it says what that shows, else with `now`.
pub(super) fn asked(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if let Some(ms) = text("retry-after-ms").and_then(|text| text.parse::<f64>().ok()) {
        return duration(ms / 1000.0);
    }
    if let Some(after) = text(RETRY_AFTER.as_str()) {
        if let Ok(seconds) = after.parse::<f64>() {
            return duration(seconds);
        }
        let clock = text(DATE.as_str()).and_then(unix_seconds).unwrap_or_else(|| {
            now.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
        });
        return unix_seconds(after).and_then(|date| duration(date.saturating_sub(clock) as f64));
    }
    let exhausted = |(left, reset): &(&str, &str)| match text(left) {
        Some("0") => text(reset).and_then(compound),
        _ => None,
    };
    RESETS.iter().filter_map(exhausted).max()
}

/// Seconds that make sense as a wait; those before now are none at all.
fn duration(seconds: f64) -> Option<Duration> {
    if seconds.is_nan() { None } else { Duration::try_from_secs_f64(seconds.clamp(0.0, 1e9)).ok() }
}

/// An HTTP date, in seconds since 1970.
fn unix_seconds(text: &str) -> Option<i64> {
    if let Ok(date) = DateTime::parse_from_rfc2822(text) {
        return Some(date.timestamp());
    }
    OLD_DATES
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .map(|date| date.and_utc().timestamp())
}

/// `1s`, `6m0s`, `20ms`, `1h2m3.5s`, or plain seconds.
fn compound(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse::<f64>() {
        return duration(seconds);
    }
    let mut rest = text;
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, unit) = rest.split_at(digits);
        let number: f64 = number.parse().ok()?;
        let (name, size) = UNITS.iter().find(|(name, _)| unit.starts_with(name))?;
        total += number * size;
        rest = unit.strip_prefix(name)?;
    }
    if text.is_empty() { None } else { duration(total) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::{HeaderName, HeaderValue};

    fn wait(pairs: &[(&str, &str)]) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap());
        }
        // Sun, 06 Nov 1994 08:49:37 GMT
        asked(&headers, UNIX_EPOCH + Duration::from_secs(784_111_777))
    }

    fn after(value: &str) -> Option<Duration> {
        wait(&[("retry-after", value)])
    }

    #[test]
    fn seconds_and_dates() {
        assert_eq!(after("0"), Some(Duration::ZERO));
        assert_eq!(after("120"), Some(Duration::from_secs(120)));
        assert_eq!(after(" 1.5 "), Some(Duration::from_millis(1500)));
        assert_eq!(after("-3"), Some(Duration::ZERO));
        assert_eq!(after("Sun, 06 Nov 1994 08:50:37 GMT"), Some(Duration::from_secs(60)));
        assert_eq!(after("Sunday, 06-Nov-94 08:50:37 GMT"), Some(Duration::from_secs(60)));
        assert_eq!(after("Sun Nov  6 08:50:37 1994"), Some(Duration::from_secs(60)));
        assert_eq!(after("Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO), "past");
    }

    #[test]
    fn the_servers_own_clock_counts() {
        let pairs = [("retry-after", "Mon, 07 Nov 1994 00:00:30 GMT"), ("date", "Mon, 07 Nov 1994 00:00:00 GMT")];
        assert_eq!(wait(&pairs), Some(Duration::from_secs(30)));
    }

    #[test]
    fn nonsense_is_no_wait() {
        for text in ["", "soon", "NaN", "Sun, 99 Nov 1994 08:50:37 GMT", "12 parsecs"] {
            assert_eq!(after(text), None, "{text:?}");
        }
        assert!(after("inf").is_some_and(|wait| wait.as_secs() <= 1_000_000_000));
        assert!(after("1e300").is_some());
    }

    #[test]
    fn milliseconds_and_resets() {
        assert_eq!(wait(&[("retry-after-ms", "250"), ("retry-after", "9")]), Some(Duration::from_millis(250)));
        let reset =
            |left, text| wait(&[("x-ratelimit-remaining-requests", left), ("x-ratelimit-reset-requests", text)]);
        assert_eq!(reset("0", "6m0s"), Some(Duration::from_secs(360)));
        assert_eq!(reset("0", "1s"), Some(Duration::from_secs(1)));
        assert_eq!(reset("0", "20ms"), Some(Duration::from_millis(20)));
        assert_eq!(reset("0", "1h2m3.5s"), Some(Duration::from_millis(3_723_500)));
        assert_eq!(reset("0", "7"), Some(Duration::from_secs(7)));
        assert_eq!(reset("5", "6m0s"), None, "something is left: this is not what was exceeded");
        for text in ["", "s", "1", "1x", "1s2", "..s"] {
            let _ = reset("0", text);
        }
        assert_eq!(reset("0", "1x"), None);
        assert_eq!(reset("0", "1s2"), None);
    }
}
