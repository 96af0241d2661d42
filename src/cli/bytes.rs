//! Sizes as people write them: `512MB`, `2GiB`.

/// Units by their powers of 1000 and 1024. A letter alone means the latter, as memory is counted.
const UNITS: &[(&str, f64)] = &[
    ("", 1.0),
    ("b", 1.0),
    ("kb", 1e3),
    ("mb", 1e6),
    ("gb", 1e9),
    ("tb", 1e12),
    ("k", 1024.0),
    ("m", 1_048_576.0),
    ("g", 1_073_741_824.0),
    ("t", 1_099_511_627_776.0),
    ("kib", 1024.0),
    ("mib", 1_048_576.0),
    ("gib", 1_073_741_824.0),
    ("tib", 1_099_511_627_776.0),
];

/// Reads a number of bytes with a unit, for clap.
pub fn parse_bytes(text: &str) -> Result<usize, String> {
    let hint = "write a number with a unit, like `512MB`, `2GiB` or `1.5G`";
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: f64 = number.parse().map_err(|_| format!("`{number}` is not a number; {hint}"))?;
    let unit = unit.trim().to_ascii_lowercase();
    let Some((_, factor)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(format!("`{unit}` is not a unit of memory; {hint}"));
    };
    let bytes = number * factor;
    if bytes < 1.0 || bytes >= usize::MAX as f64 {
        return Err(format!("that is no amount of memory; {hint}"));
    }
    Ok(bytes as usize)
}

#[cfg(test)]
mod tests {
    use super::parse_bytes;

    #[test]
    fn sizes_are_read_with_their_units() {
        for (text, bytes) in [
            ("512MB", 512_000_000),
            ("2GiB", 2 << 30),
            ("2 gib", 2 << 30),
            ("1.5G", 3 << 29),
            ("64k", 65_536),
            ("100", 100),
            ("8B", 8),
        ] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for (text, says) in [
            ("", "not a number"),
            ("GB", "not a number"),
            ("2GX", "`gx`"),
            ("1.2.3M", "1.2.3"),
            ("0", "no amount"),
            ("-1G", "not a number"),
            ("9e9G", "unit"),
            ("99999999999T", "no amount"),
        ] {
            let err = parse_bytes(text).unwrap_err();
            assert!(err.contains(says) && err.contains("512MB"), "{text}: {err}");
        }
    }
}
