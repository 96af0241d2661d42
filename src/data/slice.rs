//! Split names with slices, as `datasets` reads them: `train[:100]`, `train[10%:20%]`, `a+b`.

use crate::error::{Error, Result};
use std::ops::Range;

/// A part of a split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub split: String,
    from: Option<i64>,
    to: Option<i64>,
    percent: bool,
}

/// Reads `name`, `name[from:to]`, `name[from%:to%]`, joined by `+`.
pub(super) fn parse(spec: &str) -> Result<Vec<Part>> {
    spec.split('+').map(|part| parse_part(part.trim()).ok_or_else(|| malformed(spec))).collect()
}

fn malformed(spec: &str) -> Error {
    Error::input(format!("`{spec}` is not a split"))
        .hint("write a name, `name[:100]`, `name[10%:20%]`, or several joined by `+`")
}

fn parse_part(part: &str) -> Option<Part> {
    let Some((split, rest)) = part.split_once('[') else {
        return (!part.is_empty()).then(|| Part { split: part.to_string(), from: None, to: None, percent: false });
    };
    let (from, to) = rest.strip_suffix(']')?.split_once(':')?;
    let (from, from_percent) = bound(from)?;
    let (to, to_percent) = bound(to)?;
    let percent = from_percent || to_percent;
    let mixed = (percent && from.is_some() && !from_percent) || (percent && to.is_some() && !to_percent);
    let too_far = percent && [from, to].iter().flatten().any(|bound| bound.abs() > 100);
    if split.is_empty() || mixed || too_far {
        return None;
    }
    Some(Part { split: split.to_string(), from, to, percent })
}

/// A bound and whether it is in percent.
fn bound(text: &str) -> Option<(Option<i64>, bool)> {
    if text.is_empty() {
        return Some((None, false));
    }
    let (digits, percent) = text.strip_suffix('%').map_or((text, false), |digits| (digits, true));
    Some((Some(digits.replace('_', "").parse().ok()?), percent))
}

impl Part {
    /// The rows that are meant, of `rows`.
    pub fn range(&self, rows: usize) -> Range<usize> {
        let total = rows as i64;
        let place = |bound: Option<i64>, default: i64| {
            let bound = match bound {
                None => return default,
                // `datasets` rounds as Python does: halves to the even number.
                Some(bound) if self.percent => (bound as f64 * total as f64 / 100.0).round_ties_even() as i64,
                Some(bound) => bound,
            };
            if bound < 0 { (total.saturating_add(bound)).max(0) } else { bound.min(total) }
        };
        let (from, to) = (place(self.from, 0), place(self.to, total));
        from as usize..to.max(from) as usize
    }
}

#[cfg(test)]
mod tests {
    //! Ranges as `datasets.ReadInstruction.from_spec(..).to_absolute(..)` gives them (5.2).
    use super::*;

    fn range(spec: &str, rows: usize) -> Range<usize> {
        parse(spec).unwrap()[0].range(rows)
    }

    #[test]
    fn ranges() {
        assert_eq!(range("train", 7), 0..7);
        assert_eq!(range("train[:100]", 7), 0..7);
        assert_eq!(range("train[2:5]", 7), 2..5);
        assert_eq!(range("train[-3:]", 7), 4..7);
        assert_eq!(range("train[:-3]", 7), 0..4);
        assert_eq!(range("train[10%:20%]", 1000), 100..200);
        assert_eq!(range("train[:50%]", 5), 0..2);
        assert_eq!(range("train[:50%]", 7), 0..4);
        assert_eq!(range("train[-20%:]", 10), 8..10);
        assert_eq!(range("train[5:2]", 7), 5..5);
        assert_eq!(range("a.b[:1_0]", 20), 0..10);
    }

    #[test]
    fn sums_and_errors() {
        let parts = parse("a[:2]+b").unwrap();
        assert_eq!(parts.iter().map(|p| p.split.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        for bad in ["", "a[", "a[1]", "a[x:]", "a+", "[1:2]", "a[1:5%]", "a[:200%]"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
