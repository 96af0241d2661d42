//! A sandboxed process that is a child of the harness: plain (`Runner::Unsafe`) or inside an external runner.

use super::cell::{Cause, Ended, Keeper};
use super::outcome::Ending;
use super::pipes::TheirEnds;
use super::{folder, host};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How the process gets its channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wiring {
    /// As descriptors 3 and 4.
    Direct,
    /// As standard input and output, where a runner hands nothing else through; the program's output joins its errors.
    Mapped,
}

/// A child process in its own process group, and its scratch directory.
pub(super) struct Child {
    pid: libc::pid_t,
    ended: Option<Ended>,
    group_killed: bool,
    scratch: Option<PathBuf>,
}

impl Child {
    /// Starts `command` with the given ends. The scratch directory is removed when the child is dropped.
    pub(super) fn spawn(mut command: Command, ends: TheirEnds, wiring: Wiring, scratch: PathBuf) -> io::Result<Child> {
        command.env_clear().env("PYTHONHASHSEED", "0").current_dir(&scratch);
        match wiring {
            Wiring::Direct => {
                command.stdin(Stdio::null()).stdout(ends.stdout).stderr(ends.stderr);
            }
            Wiring::Mapped => {
                // An external runner's own client needs to find its files and its daemon.
                command.envs(host::environment_without_python());
                command.stdin(ends.input.try_clone()?).stdout(ends.output.try_clone()?).stderr(ends.stderr);
            }
        }
        let (input, output) = (ends.input.as_raw_fd(), ends.output.as_raw_fd());
        let hook = move || {
            // SAFETY: only calls that may be made between fork and exec.
            if unsafe { libc::setsid() } < 0 {
                return Err(io::Error::last_os_error());
            }
            if wiring == Wiring::Direct { unsafe { place(input, output) } } else { Ok(()) }
        };
        // SAFETY: the hook allocates nothing and takes no locks.
        unsafe { command.pre_exec(hook) };
        let child = command.spawn()?;
        let pid = libc::pid_t::try_from(child.id()).map_err(io::Error::other)?;
        Ok(Child { pid, ended: None, group_killed: false, scratch: Some(scratch) })
    }

    /// Reaps the child if it has ended; with `wait`, waits for that.
    fn reap(&mut self, wait: bool) {
        if self.ended.is_some() {
            return;
        }
        let flags = if wait { 0 } else { libc::WNOHANG };
        let mut status = 0;
        // SAFETY: `rusage` is plain data, and all pointers live through the call.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        let pid = unsafe { libc::wait4(self.pid, &mut status, flags, &mut usage) };
        if pid == self.pid {
            self.ended = Some(Ended { cause: cause(status), cpu: cpu_seconds(&usage), memory: peak_bytes(&usage) });
        } else if pid < 0 && io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            let cause = Cause::Lost(format!("lost track of process {}", self.pid));
            self.ended = Some(Ended { cause, cpu: 0.0, memory: 0 });
        }
    }
}

impl Keeper for Child {
    fn ended_fd(&self) -> Option<RawFd> {
        None
    }

    fn ended(&mut self) -> bool {
        self.reap(false);
        self.ended.is_some()
    }

    fn kill(&mut self) -> Ended {
        if !self.group_killed {
            // Before the leader is reaped its number cannot pass to a stranger; after, the group may still have members.
            // SAFETY: a plain call.
            unsafe { libc::kill(-self.pid, libc::SIGKILL) };
            self.group_killed = true;
        }
        let patience = Instant::now() + Duration::from_secs(10);
        loop {
            self.reap(false);
            if let Some(ended) = &self.ended {
                return ended.clone();
            }
            if Instant::now() > patience {
                let cause = Cause::Lost("the process does not end when killed".to_owned());
                return Ended { cause, cpu: 0.0, memory: 0 };
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn keeps_time(&self) -> bool {
        false
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
        if let Some(scratch) = self.scratch.take() {
            folder::remove(&scratch);
        }
    }
}

/// Puts the channel on descriptors 3 and 4, whatever numbers it has now.
///
/// # Safety
/// For use between fork and exec only: overwrites descriptors 3 and 4.
unsafe fn place(input: RawFd, output: RawFd) -> io::Result<()> {
    // SAFETY: plain calls. Both are first moved out of the way of each other; `dup2` clears close-on-exec.
    unsafe {
        let input = libc::fcntl(input, libc::F_DUPFD_CLOEXEC, 10);
        let output = libc::fcntl(output, libc::F_DUPFD_CLOEXEC, 10);
        if input < 0 || output < 0 || libc::dup2(input, 3) < 0 || libc::dup2(output, 4) < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// What a wait status says.
pub(super) fn cause(status: libc::c_int) -> Cause {
    if libc::WIFEXITED(status) {
        Cause::Exited(libc::WEXITSTATUS(status))
    } else if libc::WTERMSIG(status) == libc::SIGXCPU {
        Cause::Limit(Ending::TimedOut)
    } else {
        Cause::Signalled(libc::WTERMSIG(status))
    }
}

fn cpu_seconds(usage: &libc::rusage) -> f64 {
    let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 * 1e-6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

fn peak_bytes(usage: &libc::rusage) -> u64 {
    // Kilobytes, but bytes on Apple systems.
    let unit = if cfg!(target_vendor = "apple") { 1 } else { 1024 };
    u64::try_from(usage.ru_maxrss).unwrap_or(0) * unit
}
