//! How much memory keys and values may take.

/// Most bytes that are taken when nobody says otherwise.
const MOST: usize = 4 << 30;

/// Least bytes that are taken then: what a container counts as used is in part the cache of the model's own files.
const LEAST: usize = 64 << 20;

/// Bytes that are taken where nobody knows how much memory is free.
const UNKNOWN: usize = 1 << 30;

/// The most that is taken when nobody says otherwise: a quarter of the memory that is free, 4 GiB at most.
pub fn default_kv_memory() -> usize {
    available().map_or(UNKNOWN, |bytes| (bytes / 4).clamp(LEAST, MOST))
}

/// Bytes that can still be had: what the machine has free, and less where this process is confined to less (as in a container).
fn available() -> Option<usize> {
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| mem_available(&text))?;
    let read = |name: &str| -> Option<usize> {
        std::fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok()?.trim().parse().ok()
    };
    let confined = read("memory.max").zip(read("memory.current")).map(|(max, current)| max.saturating_sub(current));
    Some(machine.min(confined.unwrap_or(usize::MAX)))
}

fn mem_available(meminfo: &str) -> Option<usize> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// Bytes for people: `950 B`, `1.5 MiB`.
pub fn show_bytes(bytes: usize) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "KiB", "MiB"] {
        if value < 1000.0 {
            return if unit == "B" { format!("{value} {unit}") } else { format!("{value:.1} {unit}") };
        }
        value /= 1024.0;
    }
    format!("{value:.1} GiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sensible_share_is_taken() {
        assert_eq!(mem_available("MemTotal: 9 kB\nMemAvailable:   1024 kB\n"), Some(1 << 20));
        assert_eq!(mem_available("MemTotal: 9 kB\n"), None);
        assert!((LEAST..=MOST).contains(&default_kv_memory()));
        let shown = [950, 1_572_864, 3 << 30].map(show_bytes);
        assert_eq!(shown, ["950 B", "1.5 MiB", "3.0 GiB"]);
    }
}
