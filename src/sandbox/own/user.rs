//! Who the programs are: an unused user, where the harness is root.

use crate::error::{Error, Result};
use std::path::Path;

/// Numbers that neither people, services, containers nor `systemd` use.
const HIGH: std::ops::Range<u32> = 1_900_000_000..2_100_000_000;

/// The like for containers that know only the first 65536 numbers.
const LOW: std::ops::Range<u32> = 30_000..60_000;

/// Whether the harness is root.
pub(super) fn is_root() -> bool {
    // SAFETY: a plain call.
    unsafe { libc::geteuid() == 0 }
}

/// A user id that nobody has: not in the user database, mapped into this container, and not taken by another zygote.
pub(super) fn unused(taken: &[u32]) -> Result<u32> {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    for range in [HIGH, LOW] {
        for _ in 0..32 {
            let uid = fastrand::u32(range.clone());
            if is_mapped(&map, uid) && !taken.contains(&uid) && !is_known(uid) {
                return Ok(uid);
            }
        }
    }
    Err(Error::input("found no unused user id for sandboxed programs").hint("run as a user other than root"))
}

/// Whether a number means something here. Each line: first number inside, first outside, how many.
fn is_mapped(map: &str, uid: u32) -> bool {
    let fields = |line: &str| -> Option<(u64, u64)> {
        let mut words = line.split_whitespace().map(str::parse);
        let (first, _, count) = (words.next()?.ok()?, words.next()?.ok()?, words.next()?.ok()?);
        Some((first, count))
    };
    map.lines().filter_map(fields).any(|(first, count)| (first..first + count).contains(&u64::from(uid)))
}

/// Whether the user database knows the number.
fn is_known(uid: u32) -> bool {
    let mut buffer = vec![0 as libc::c_char; 16 << 10];
    // SAFETY: plain data that `getpwuid_r` fills; all pointers live through the call.
    unsafe {
        let mut entry: libc::passwd = std::mem::zeroed();
        let mut found = std::ptr::null_mut();
        let code = libc::getpwuid_r(uid, &mut entry, buffer.as_mut_ptr(), buffer.len(), &mut found);
        code == 0 && !found.is_null()
    }
}

/// Gives a path to a user.
pub(super) fn give(path: &Path, uid: u32) -> Result<()> {
    std::os::unix::fs::chown(path, Some(uid), Some(uid))
        .map_err(|e| Error::io("cannot give a folder to the user of sandboxed programs", path, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_and_users() {
        assert!(is_mapped("         0          0 4294967295\n", 1_900_000_001));
        assert!(!is_mapped("         0     100000      65536\n", 1_900_000_001));
        assert!(is_mapped("0 100000 65536", 40_000) && is_known(0));
    }
}
