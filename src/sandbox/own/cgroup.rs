//! A control group for each zygote, where this machine lets the harness make one: memory and number of processes, counted
//! for all that runs in it. Version 1 has a tree for each controller, version 2 one tree for all.

use crate::sandbox::host;
use crate::sandbox::outcome::Limits;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// What a zygote needs besides its child: itself, shared pages, the kernel's own books.
const OVERHEAD: u64 = 256 << 20;

/// The processes of a zygote: itself and the one that waits for it.
const OWN_PROCESSES: u64 = 2;

/// A zygote's groups; removed when dropped.
#[derive(Debug)]
pub(super) struct Cgroup {
    memory: PathBuf,
    processes: PathBuf,
    version: u8,
    memory_set: u64,
    processes_set: u64,
}

impl Cgroup {
    /// Makes a group of this name below the harness's own and moves the process into it.
    ///
    /// # Errors
    /// When there are no control groups, or none that this user may divide: the layer is then left out.
    pub(super) fn new(name: &str, pid: u32) -> io::Result<Cgroup> {
        let groups = std::fs::read_to_string("/proc/self/cgroup")?;
        let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
        let mut refusal = io::Error::other("no control groups are mounted");
        for version in [2, 1] {
            let parents = ["memory", "pids"].map(|c| own_group(&groups, &mounts, version, c));
            let [Some(memory), Some(processes)] = parents else { continue };
            sweep(&memory);
            sweep(&processes);
            let (memory, processes) = (memory.join(name), processes.join(name));
            let group = Cgroup { memory, processes, version, memory_set: 0, processes_set: 0 };
            match group.make(pid) {
                Ok(()) => return Ok(group),
                Err(e) => refusal = e,
            }
        }
        Err(refusal)
    }

    fn make(&self, pid: u32) -> io::Result<()> {
        for folder in self.folders() {
            std::fs::create_dir(folder)?;
        }
        // Without the controllers' files the group counts nothing.
        for file in [self.memory_file(), self.processes.join("pids.max")] {
            std::fs::metadata(file)?;
        }
        for folder in self.folders() {
            std::fs::write(folder.join("cgroup.procs"), pid.to_string())?;
        }
        Ok(())
    }

    fn folders(&self) -> impl Iterator<Item = &Path> {
        let other = (self.processes != self.memory).then_some(self.processes.as_path());
        std::iter::once(self.memory.as_path()).chain(other)
    }

    fn memory_file(&self) -> PathBuf {
        self.memory.join(if self.version == 2 { "memory.max" } else { "memory.limit_in_bytes" })
    }

    /// Sets what the next child may use.
    pub(super) fn set(&mut self, limits: &Limits) -> io::Result<()> {
        let memory = limits.memory.saturating_add(limits.scratch()).saturating_add(OVERHEAD).min(i64::MAX as u64);
        if memory != self.memory_set {
            std::fs::write(self.memory_file(), memory.to_string())?;
            self.memory_set = memory;
        }
        let processes = limits.threads.max(1) + OWN_PROCESSES;
        if processes != self.processes_set {
            std::fs::write(self.processes.join("pids.max"), processes.to_string())?;
            self.processes_set = processes;
        }
        Ok(())
    }

    /// How often the kernel has ended a process of this group for want of memory.
    pub(super) fn memory_kills(&self) -> u64 {
        let file = self.memory.join(if self.version == 2 { "memory.events" } else { "memory.oom_control" });
        let text = std::fs::read_to_string(file).unwrap_or_default();
        text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok()).unwrap_or(0)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // The last process may still be on its way out.
        let patience = Instant::now() + Duration::from_secs(2);
        for folder in self.folders() {
            while std::fs::remove_dir(folder).is_err() && folder.exists() && Instant::now() < patience {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }
}

/// Whether groups can be had here, tried out on a process that does nothing; else the reason.
pub(super) fn probe(python: &Path) -> std::result::Result<(), String> {
    let mut idle = host::python(python)
        .args(["-c", "input()"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| e.to_string())?;
    let tried = Cgroup::new(&unique_name(), idle.id()).and_then(|mut group| {
        let set = group.set(&Limits::default());
        let _ = idle.kill();
        let _ = idle.wait();
        set
    });
    let _ = idle.kill();
    let _ = idle.wait();
    tried.map_err(|e| format!("control groups cannot be divided here: {e}"))
}

/// Removes the groups of harnesses that were killed. The kernel refuses where a process is left in one.
fn sweep(parent: &Path) {
    for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|n| n.strip_prefix("fairmark-")?.split('-').next()?.parse::<u32>().ok());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            let _ = std::fs::remove_dir(entry.path());
        }
    }
}

/// A name that no other group of this machine has.
pub(super) fn unique_name() -> String {
    format!("fairmark-{}-{:08x}", std::process::id(), fastrand::u32(..))
}

/// The folder of the harness's own group in the tree of a controller.
fn own_group(groups: &str, mounts: &str, version: u8, controller: &str) -> Option<PathBuf> {
    let path = groups.lines().find_map(|line| {
        let (number, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let fits = if version == 2 { number == "0" } else { controllers.split(',').any(|c| c == controller) };
        fits.then_some(path)
    })?;
    mounts.lines().find_map(|line| {
        // Number, parent, device, root, place, options, ..., "-", kind, source, options of the file system.
        let (mount, system) = line.split_once(" - ")?;
        let mut words = mount.split(' ').skip(3);
        let (root, place) = (words.next()?, words.next()?);
        let mut system = system.split(' ');
        let (kind, options) = (system.next()?, system.nth(1)?);
        let fits = match version {
            2 => kind == "cgroup2",
            _ => kind == "cgroup" && options.split(',').any(|o| o == controller),
        };
        let below = Path::new(path).strip_prefix(root).ok()?;
        fits.then(|| Path::new(place).join(below))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_own_group() {
        let groups = "4:memory:/a/b\n2:cpu,pids:/\n0::/user.slice/x\n";
        let mounts = "30 1 0:1 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                      31 1 0:1 / /sys/fs/cgroup/pids rw shared:2 - cgroup cgroup rw,cpu,pids\n\
                      32 1 0:2 /user.slice /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let find = |version, controller| own_group(groups, mounts, version, controller);
        assert_eq!(find(1, "memory"), Some(PathBuf::from("/sys/fs/cgroup/memory/a/b")));
        assert_eq!(find(1, "pids"), Some(PathBuf::from("/sys/fs/cgroup/pids/")));
        assert_eq!(find(2, "memory"), Some(PathBuf::from("/sys/fs/cgroup/x")));
        assert_eq!(own_group("", mounts, 1, "memory"), None);
    }
}
