//! A moment that a chat template prints, in local time as transformers has it: `datetime.now().strftime(format)`.

use chrono::{Datelike, NaiveDate, NaiveDateTime, NaiveTime, Timelike};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// Date and time without a time zone. Midnight is written as the date alone: `2026-11-30`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment(NaiveDateTime);

/// What of a moment a template prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    Day,
    Time,
}

/// Formats of `strftime` that are others together.
const COMPOSED: &[(char, &str)] = &[
    ('F', "%Y-%m-%d"),
    ('T', "%H:%M:%S"),
    ('R', "%H:%M"),
    ('D', "%m/%d/%y"),
    ('x', "%m/%d/%y"),
    ('X', "%H:%M:%S"),
    ('c', "%a %b %e %H:%M:%S %Y"),
    ('r', "%I:%M:%S %p"),
    ('h', "%b"),
];

/// Formats that hold more than the day.
const OF_TIME: &[char] = &['H', 'I', 'M', 'S', 'p', 'P', 'f', 'T', 'R', 'X', 'c', 'r', 's', 'k', 'l'];

impl Moment {
    /// The local time of this machine, to the second.
    pub fn now() -> Moment {
        let now = chrono::Local::now().naive_local();
        Moment(now.with_nanosecond(0).unwrap_or(now))
    }

    /// The same day at midnight, where no more of it is printed.
    pub fn to(self, precision: Precision) -> Moment {
        match precision {
            Precision::Day => Moment(self.0.date().and_time(NaiveTime::MIN)),
            Precision::Time => self,
        }
    }

    /// `30 Nov 2026`, with the time where there is one.
    pub fn shown(self) -> String {
        let day = self.0.format("%d %b %Y");
        if self.0.time() == NaiveTime::MIN { day.to_string() } else { format!("{day} {}", self.0.format("%H:%M:%S")) }
    }

    /// `datetime.strftime(format)` of CPython on Linux, in the C locale; the error names a format that is unknown.
    pub fn strftime(self, format: &str) -> Result<String, String> {
        let mut out = String::new();
        let mut chars = format.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            let mut code = chars.next();
            let flag = code.filter(|c| matches!(c, '-' | '_' | '0' | '^' | '#'));
            if flag.is_some() {
                code = chars.next();
            }
            let unknown =
                || format!("strftime_now: `%{}` is not supported", code.map(String::from).unwrap_or_default());
            let field = code.and_then(|code| self.field(code)).ok_or_else(unknown)?;
            out.push_str(&flagged(field, flag));
        }
        Ok(out)
    }

    fn field(self, code: char) -> Option<String> {
        let at = self.0;
        let hour12 = (at.hour() + 11) % 12 + 1;
        Some(match code {
            'Y' => at.year().to_string(),
            'y' => format!("{:02}", at.year().rem_euclid(100)),
            'C' => format!("{:02}", at.year().div_euclid(100)),
            'm' => format!("{:02}", at.month()),
            'd' => format!("{:02}", at.day()),
            'e' => format!("{:>2}", at.day()),
            'j' => format!("{:03}", at.ordinal()),
            'H' => format!("{:02}", at.hour()),
            'k' => format!("{:>2}", at.hour()),
            'I' => format!("{hour12:02}"),
            'l' => format!("{hour12:>2}"),
            'M' => format!("{:02}", at.minute()),
            'S' => format!("{:02}", at.second()),
            'f' => format!("{:06}", at.nanosecond() / 1000),
            'p' => if at.hour() < 12 { "AM" } else { "PM" }.into(),
            'P' => if at.hour() < 12 { "am" } else { "pm" }.into(),
            'u' => at.weekday().number_from_monday().to_string(),
            'w' => at.weekday().num_days_from_sunday().to_string(),
            // A moment without a time zone has no name for one.
            'z' | 'Z' => String::new(),
            '%' => "%".into(),
            'n' => "\n".into(),
            't' => "\t".into(),
            // chrono writes these as C does.
            'B' | 'b' | 'A' | 'a' | 'U' | 'W' | 'V' | 'G' | 'g' => at.format(&format!("%{code}")).to_string(),
            code => {
                let (_, format) = COMPOSED.iter().find(|(composed, _)| *composed == code)?;
                self.strftime(format).ok()?
            }
        })
    }
}

/// A field after glibc's flags: without padding, padded with blanks or noughts, in capitals, in the other case.
fn flagged(field: String, flag: Option<char>) -> String {
    let is_number = field.trim_start().chars().all(|c| c.is_ascii_digit());
    let bare = || field.trim_start_matches(['0', ' ']).to_string();
    let bare = || Some(bare()).filter(|bare| !bare.is_empty()).unwrap_or_else(|| "0".to_string());
    match flag {
        Some('-') if is_number => bare(),
        Some('_') if is_number => format!("{:>width$}", bare(), width = field.len()),
        Some('0') if is_number => format!("{:0>width$}", bare(), width = field.len()),
        Some('^') => field.to_uppercase(),
        Some('#') if field.chars().any(char::is_lowercase) => field.to_uppercase(),
        Some('#') => field.to_lowercase(),
        _ => field,
    }
}

/// What of a moment a `strftime` format prints.
pub fn precision_of(format: &str) -> Precision {
    let mut after_sign = false;
    for c in format.chars() {
        match (after_sign, c) {
            (false, '%') => after_sign = true,
            (true, '-' | '_' | '0' | '^' | '#') => {}
            (true, c) if OF_TIME.contains(&c) => return Precision::Time,
            _ => after_sign = false,
        }
    }
    Precision::Day
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.time() == NaiveTime::MIN {
            true => write!(f, "{}", self.0.format("%Y-%m-%d")),
            false => write!(f, "{}", self.0.format("%Y-%m-%dT%H:%M:%S")),
        }
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Moment, String> {
        let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").map(|day| day.and_time(NaiveTime::MIN));
        let parsed = day.or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S"));
        let parsed = parsed.ok().filter(|at| (1..=9999).contains(&at.year()));
        parsed.map(Moment).ok_or_else(|| "is no date like 2026-11-30 or 2026-11-30T14:05:00".to_string())
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Moment, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Expected: CPython 3.11 on Linux, datetime(...).strftime(format).
    #[test]
    fn fields() {
        let at: Moment = "2024-02-29T13:30:05".parse().unwrap();
        for (format, expected) in [
            (
                "%d %b %Y %H:%M:%S %A %B %y %I%p %m %a 100%%",
                "29 Feb 2024 13:30:05 Thursday February 24 01PM 02 Thu 100%",
            ),
            ("%j %U %W %V %G %u %w %C", "060 08 09 09 2024 4 4 20"),
            ("%F %T %R %D %c", "2024-02-29 13:30:05 13:30 02/29/24 Thu Feb 29 13:30:05 2024"),
            ("%-m/%-d %e %_m %^a %-H", "2/29 29  2 THU 13"),
            ("%f|%z|%Z|%n", "000000|||\n"),
        ] {
            assert_eq!(at.strftime(format).unwrap(), expected, "{format}");
        }
        assert!(at.strftime("%Q").unwrap_err().contains("%Q") && at.strftime("%").is_err());
    }

    #[test]
    fn days_and_times() {
        let at: Moment = "2026-11-30T20:38:32".parse().unwrap();
        assert_eq!((at.to_string().as_str(), at.shown().as_str()), ("2026-11-30T20:38:32", "30 Nov 2026 20:38:32"));
        let day = at.to(Precision::Day);
        assert_eq!((day.to_string().as_str(), day.shown().as_str()), ("2026-11-30", "30 Nov 2026"));
        assert_eq!("2026-11-30".parse(), Ok(day));
        assert!("2026-02-30".parse::<Moment>().is_err() && "tomorrow".parse::<Moment>().is_err());
        assert_eq!((precision_of("%d %b %Y"), precision_of("%Y, %-H")), (Precision::Day, Precision::Time));
        assert_eq!(precision_of("%%H"), Precision::Day);
    }
}
