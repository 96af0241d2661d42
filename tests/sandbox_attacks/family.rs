//! Which processes a process has started, and those that they have.

use std::collections::{HashMap, HashSet};

/// Numbers of all processes below this one.
pub fn descendants(root: u32) -> HashSet<u32> {
    let parents: HashMap<u32, u32> = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid: u32| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let mut fields = stat.rsplit(')').next()?.split_whitespace();
            let alive = fields.next()? != "Z";
            alive.then_some((pid, fields.next()?.parse().ok()?))
        })
        .collect();
    let below = |mut pid: u32| {
        while let Some(parent) = parents.get(&pid) {
            if *parent == root {
                return true;
            }
            pid = *parent;
        }
        false
    };
    parents.keys().copied().filter(|pid| below(*pid)).collect()
}
