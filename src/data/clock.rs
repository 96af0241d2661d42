//! Dates, times and decimal numbers as Python's `str` shows them.

/// Seconds east of UTC of a time zone; `None` for local times.
///
/// Errors: named zones other than UTC, which need tables that are not carried; their name.
pub(super) fn offset(zone: Option<&str>) -> Result<Option<i64>, String> {
    let Some(name) = zone else { return Ok(None) };
    if matches!(name, "UTC" | "Etc/UTC" | "GMT" | "Z") {
        return Ok(Some(0));
    }
    fixed_offset(name).map(Some).ok_or_else(|| name.to_owned())
}

/// `+02:00` in seconds.
fn fixed_offset(name: &str) -> Option<i64> {
    let sign = match name.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = name.get(1..)?.split_once(':')?;
    Some(sign * (hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60))
}

/// `2020-02-29` for a number of days since 1970 (Howard Hinnant's `civil_from_days`, public domain).
pub(super) fn date(days: i64) -> String {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// As `str(datetime)` shows it: `2020-02-29 10:00:00[.000001][+00:00]`.
pub(super) fn datetime(ticks: i64, per_second: i64, offset: Option<i64>) -> String {
    let seconds = ticks.div_euclid(per_second).saturating_add(offset.unwrap_or(0));
    let part = ticks.rem_euclid(per_second);
    let mut text =
        format!("{} {}", date(seconds.div_euclid(86_400)), of_day(seconds.rem_euclid(86_400), part, per_second));
    if let Some(east) = offset {
        let sign = if east < 0 { '-' } else { '+' };
        text += &format!("{sign}{:02}:{:02}", east.abs() / 3600, east.abs() / 60 % 60);
    }
    text
}

/// As `str(datetime.time)` shows it.
pub(super) fn time(ticks: i64, per_second: i64) -> String {
    of_day(ticks.div_euclid(per_second), ticks.rem_euclid(per_second), per_second)
}

fn of_day(seconds: i64, part: i64, per_second: i64) -> String {
    let clock = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    clock + &fraction(part, per_second)
}

/// `.000001`; nothing for whole seconds. Python knows microseconds.
fn fraction(part: i64, per_second: i64) -> String {
    match i128::from(part) * 1_000_000 / i128::from(per_second) {
        0 => String::new(),
        micros => format!(".{micros:06}"),
    }
}

/// As `str(timedelta)` shows it: `-1 day, 23:59:59.500000`.
pub(super) fn timedelta(ticks: i64, per_second: i64) -> String {
    let (seconds, part) = (ticks.div_euclid(per_second), ticks.rem_euclid(per_second));
    let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let days = match days {
        0 => String::new(),
        1 | -1 => format!("{days} day, "),
        _ => format!("{days} days, "),
    };
    let clock = format!("{}:{:02}:{:02}", of_day / 3600, of_day / 60 % 60, of_day % 60);
    days + &clock + &fraction(part, per_second)
}

/// As `str(Decimal)` shows `digits · 10^-scale`: with all its places, and with an exponent where there were too many noughts.
pub(super) fn decimal(digits: i128, scale: usize) -> String {
    let sign = if digits < 0 { "-" } else { "" };
    let text = digits.unsigned_abs().to_string();
    // Digits before the point.
    let left = text.len() as i64 - scale as i64;
    if left <= -6 {
        let (first, rest) = text.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        return format!("{sign}{first}{point}{rest}E{}", left - 1);
    }
    match usize::try_from(left) {
        Ok(left) if left >= text.len() => format!("{sign}{text}"),
        Ok(left) if left > 0 => format!("{sign}{}.{}", &text[..left], &text[left..]),
        _ => format!("{sign}0.{}{text}", "0".repeat(left.unsigned_abs() as usize)),
    }
}

#[cfg(test)]
mod tests {
    //! Expected texts printed by CPython 3.11's `datetime` and `decimal`.
    use super::*;

    #[test]
    fn dates_and_times() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(18_321), "2020-02-29");
        assert_eq!(date(-1), "1969-12-31");
        assert_eq!(datetime(1_582_970_400_000_001, 1_000_000, None), "2020-02-29 10:00:00.000001");
        assert_eq!(datetime(-1, 1000, Some(0)), "1969-12-31 23:59:59.999000+00:00");
        assert_eq!(datetime(0, 1_000_000_000, fixed_offset("-03:30")), "1969-12-31 20:30:00-03:30");
        assert_eq!(time(36_000_000_001, 1_000_000), "10:00:00.000001");
        assert_eq!(time(86_399_999, 1000), "23:59:59.999000");
        assert_eq!(offset(Some("Europe/Berlin")), Err("Europe/Berlin".to_owned()));
    }

    #[test]
    fn durations() {
        assert_eq!(timedelta(0, 1), "0:00:00");
        assert_eq!(timedelta(93_784_000_005, 1_000_000), "1 day, 2:03:04.000005");
        assert_eq!(timedelta(-500, 1000), "-1 day, 23:59:59.500000");
        assert_eq!(timedelta(-200_000, 1), "-3 days, 16:26:40");
        assert_eq!(timedelta(i64::MAX, 1_000_000_000), "106751 days, 23:47:16.854775");
    }

    #[test]
    fn decimals() {
        for (digits, scale, text) in [
            (150, 2, "1.50"),
            (-5, 2, "-0.05"),
            (0, 2, "0.00"),
            (0, 7, "0E-7"),
            (1, 6, "0.000001"),
            (1, 7, "1E-7"),
            (-12, 9, "-1.2E-8"),
            (12, 0, "12"),
            (i128::MAX, 38, "1.70141183460469231731687303715884105727"),
        ] {
            assert_eq!(decimal(digits, scale), text);
        }
    }
}
