//! One warmed interpreter: its process, its control socket, its scratch directory.

use super::cgroup::{self, Cgroup};
use super::control::Control;
use super::user;
use crate::error::{Error, Result};
use crate::sandbox::outcome::Limits;
use crate::sandbox::{folder, host};
use serde::Deserialize;
use serde_json::{Value, json};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// The zygote's program, in three parts.
const SOURCE: &str = concat!(
    include_str!("zygote/setup.py"),
    "\n\n",
    include_str!("zygote/child.py"),
    "\n\n",
    include_str!("zygote/serve.py")
);

/// Reads that program from the control socket, so that it does not fill the process list.
const STUB: &str = "import sys
sys.path[:] = [p for p in sys.path if p]
import os
def take(n):
    b = b''
    while len(b) < n:
        b += os.read(3, n - len(b)) or os._exit(1)
    return b
exec(compile(take(int.from_bytes(take(4), 'little')), '<zygote>', 'exec'))
# A warmed Python of fairmark's sandbox.";

/// How long a zygote may take to warm up, on a machine that is busy with other things.
const WARMING: Duration = Duration::from_secs(60);

/// How long it may take to end a child that it was told to end.
const ENDING: Duration = Duration::from_secs(15);

/// The number of the control socket in the zygote.
const CONTROL: RawFd = 3;

/// What every zygote of a sandbox has in common.
pub(super) struct Plan {
    pub python: PathBuf,
    /// Sent as the first frame, completed with what differs.
    pub order: Value,
    pub base: PathBuf,
    /// Whether every zygote gets a control group.
    pub cgroups: bool,
}

/// What a zygote says when it is ready.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Hello {
    pub failed: String,
    pub namespaces: Vec<String>,
    /// Why there are no namespaces.
    pub reason: String,
    /// Whether each child's scratch directory is a file system of its own.
    pub tmpfs: bool,
    pub uid: u32,
}

/// What a zygote says when a child has ended.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Report {
    /// As `wait` gives it.
    pub status: i32,
    pub cpu: f64,
    pub memory: u64,
    /// Why it was ended: `time`, `disk`, `asked`.
    pub why: Option<String>,
    /// What could not be set up, if the driver never ran.
    pub failed: String,
}

pub(super) struct Zygote {
    process: Child,
    control: Control,
    scratch: PathBuf,
    uid: Option<u32>,
    /// After the process, so that it is removed after it.
    cgroup: Option<Cgroup>,
    memory_kills: u64,
    pub hello: Hello,
}

impl Zygote {
    /// Starts one and waits until it is warm. `uid`: the user to become.
    pub(super) fn start(plan: &Plan, name: &str, uid: Option<u32>) -> Result<Zygote> {
        let scratch = plan.base.join(name);
        make_scratch(&scratch, uid)?;
        let failed = |e| Error::io("cannot start a warmed Python", &plan.python, e);
        let (ours, theirs) = UnixStream::pair().map_err(failed)?;
        let mut command = host::python(&plan.python);
        command.args(["-c", STUB]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let number = theirs.as_raw_fd();
        // SAFETY: the hook allocates nothing and takes no locks.
        unsafe { command.pre_exec(move || place(number)) };
        let process = command.spawn().map_err(failed)?;
        drop(theirs);
        let control = Control::new(ours);
        let hello = Hello::default();
        let mut zygote = Zygote { process, control, scratch, uid, cgroup: None, memory_kills: 0, hello };
        if plan.cgroups {
            let group = Cgroup::new(&cgroup::unique_name(), zygote.process.id());
            zygote.cgroup = Some(group.map_err(failed)?);
        }
        let mut order = plan.order.clone();
        if let Some(fields) = order.as_object_mut() {
            fields.insert("scratch".to_owned(), json!(zygote.scratch));
            fields.insert("uid".to_owned(), json!(uid));
        }
        let mut greet = || {
            zygote.control.send(SOURCE.as_bytes(), &[])?;
            zygote.control.send(order.to_string().as_bytes(), &[])?;
            zygote.control.receive(WARMING)
        };
        zygote.hello = greet().map_err(|e: io::Error| match e.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                Error::input(format!("a warmed Python was not ready within {WARMING:?}")).file(&plan.python)
            }
            io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
                Error::input("a warmed Python ended before it was ready").file(&plan.python)
            }
            _ => failed(e),
        })?;
        if zygote.hello.failed.is_empty() {
            return Ok(zygote);
        }
        Err(Error::input(format!("a warmed Python could not set itself up: {}", zygote.hello.failed))
            .file(&plan.python))
    }

    /// A descriptor that becomes readable when the child has ended.
    pub(super) fn fd(&self) -> RawFd {
        self.control.fd()
    }

    pub(super) fn uid(&self) -> Option<u32> {
        self.uid
    }

    /// Starts a child.
    pub(super) fn order(&mut self, order: &[u8], limits: &Limits, ends: &[BorrowedFd<'_>]) -> io::Result<()> {
        if let Some(group) = &mut self.cgroup {
            group.set(limits)?;
            self.memory_kills = group.memory_kills();
        }
        self.control.send(order, ends)
    }

    /// How the child ended; waits for it.
    pub(super) fn report(&mut self) -> io::Result<Report> {
        self.control.receive(ENDING)
    }

    /// Whether the kernel ended something of the last child for want of memory.
    pub(super) fn ran_out_of_memory(&self) -> bool {
        self.cgroup.as_ref().is_some_and(|group| group.memory_kills() > self.memory_kills)
    }

    /// Tells it to end the child.
    pub(super) fn end_child(&mut self) -> io::Result<()> {
        self.control.send(b"{}", &[])
    }

    /// Empties the scratch directory after a child, where that is not a file system that is gone already.
    pub(super) fn clean(&self) -> Result<()> {
        if self.hello.tmpfs {
            return Ok(());
        }
        folder::remove(&self.scratch);
        make_scratch(&self.scratch, self.uid)
    }
}

impl Drop for Zygote {
    fn drop(&mut self) {
        // What it started goes with it: its namespace ends, or the kernel signals its children.
        let _ = self.process.kill();
        let patience = Instant::now() + ENDING;
        while matches!(self.process.try_wait(), Ok(None)) && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(1));
        }
        folder::remove(&self.scratch);
    }
}

fn make_scratch(path: &Path, uid: Option<u32>) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().mode(0o700).create(path);
    made.map_err(|e| Error::io("cannot make a scratch directory", path, e))?;
    uid.map_or(Ok(()), |uid| user::give(path, uid))
}

/// Between fork and exec: the control socket gets its number, and a terminal's signals pass the zygote by.
fn place(number: RawFd) -> io::Result<()> {
    // SAFETY: plain calls. `dup2` of a descriptor onto itself would leave it to be closed, so that is done by hand.
    let done = unsafe {
        let placed =
            if number == CONTROL { libc::fcntl(number, libc::F_SETFD, 0) } else { libc::dup2(number, CONTROL) };
        if placed < 0 { placed } else { libc::setsid() }
    };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
