//! The zygotes of a sandbox: taken for one child at a time, and given back.

use super::rules::Rules;
use super::user;
use super::zygote::{Hello, Plan, Report, Zygote};
use crate::error::{Error, Result};
use crate::sandbox::cell::{Cause, Cell, Ended, Keeper};
use crate::sandbox::outcome::{Ending, Limits};
use crate::sandbox::pipes::{Pipes, TheirEnds};
use crate::sandbox::process::cause;
use std::os::fd::{AsFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Starts cells in warmed interpreters.
pub(in crate::sandbox) struct Pool(Arc<Shared>);

pub(super) struct Shared {
    pub plan: Plan,
    /// `None` where Landlock is left out.
    pub rules: Option<Rules>,
    /// Whether every zygote becomes another user.
    pub drops_user: bool,
    /// Zygotes kept when idle.
    pub kept: usize,
    pub state: Mutex<State>,
    pub serial: AtomicU64,
}

#[derive(Default)]
pub(super) struct State {
    idle: Vec<Zygote>,
    uids: Vec<u32>,
}

impl Shared {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An idle zygote, or a new one.
    fn take(&self) -> Result<Zygote> {
        if let Some(zygote) = self.state().idle.pop() {
            return Ok(zygote);
        }
        let uid = if self.drops_user {
            let mut state = self.state();
            let uid = user::unused(&state.uids)?;
            state.uids.push(uid);
            Some(uid)
        } else {
            None
        };
        let name = self.serial.fetch_add(1, Ordering::Relaxed).to_string();
        Zygote::start(&self.plan, &name, uid)
    }

    /// Keeps a zygote whose child is gone, or ends it.
    fn give_back(&self, zygote: Zygote) {
        let mut state = self.state();
        if state.idle.len() < self.kept {
            state.idle.push(zygote);
            return;
        }
        drop(state);
        self.end(zygote);
    }

    fn end(&self, zygote: Zygote) {
        let uid = zygote.uid();
        drop(zygote);
        self.state().uids.retain(|u| Some(*u) != uid);
    }
}

impl Pool {
    pub(super) fn new(shared: Shared) -> Pool {
        Pool(Arc::new(shared))
    }

    /// The parts again, of a pool that has no cells.
    pub(super) fn into_shared(self) -> Result<Shared> {
        let shared = Arc::into_inner(self.0).ok_or_else(|| Error::input("the sandbox is already in use"))?;
        shared.state().idle.clear();
        Ok(shared)
    }

    /// Warms one zygote: what it could set up.
    pub(super) fn try_out(&self) -> Result<Hello> {
        let zygote = self.0.take()?;
        let hello = zygote.hello.clone();
        self.0.give_back(zygote);
        Ok(hello)
    }

    /// Starts a child. `order`: the driver and its limits, as the zygote wants them.
    pub(in crate::sandbox) fn start(&self, order: &[u8], limits: &Limits) -> Result<Cell> {
        let cannot = |e: std::io::Error| Error::input("cannot start a sandboxed process").cause(e);
        let ruleset = self.0.rules.as_ref().map(Rules::ruleset).transpose()?;
        // A zygote that has died while idle (somebody killed it) is replaced, once.
        for last in [false, true] {
            let (pipes, ends) = Pipes::new(limits).map_err(cannot)?;
            let TheirEnds { input, output, stdout, stderr } = ends;
            let mut descriptors = vec![input.as_fd(), output.as_fd(), stdout.as_fd(), stderr.as_fd()];
            descriptors.extend(ruleset.as_ref().map(AsFd::as_fd));
            let mut zygote = self.0.take()?;
            match zygote.order(order, limits, &descriptors) {
                Ok(()) => {
                    let lease = Lease { zygote: Some(zygote), pool: self.0.clone(), ended: None };
                    return Ok(Cell::new(pipes, Box::new(lease), *limits));
                }
                Err(e) => {
                    self.0.end(zygote);
                    if last {
                        return Err(cannot(e));
                    }
                }
            }
        }
        Err(Error::input("cannot start a sandboxed process"))
    }
}

/// A zygote while it has a child.
struct Lease {
    zygote: Option<Zygote>,
    pool: Arc<Shared>,
    ended: Option<Ended>,
}

impl Lease {
    /// Takes the report of the child's end, which is there or about to come.
    fn take_report(&mut self) -> Ended {
        let Some(zygote) = &mut self.zygote else {
            return lost("its zygote is gone".to_owned());
        };
        match zygote.report() {
            Ok(report) => {
                let mut ended = ended(&report);
                if ended.cause == Cause::Signalled(libc::SIGKILL) && zygote.ran_out_of_memory() {
                    ended.cause = Cause::Limit(Ending::OutOfMemory);
                }
                ended
            }
            Err(e) => {
                // It cannot be used any more, and nothing that it started may go on.
                if let Some(zygote) = self.zygote.take() {
                    self.pool.end(zygote);
                }
                lost(format!("lost the warmed Python: {e}"))
            }
        }
    }
}

impl Keeper for Lease {
    fn ended_fd(&self) -> Option<RawFd> {
        self.zygote.as_ref().map(Zygote::fd)
    }

    fn ended(&mut self) -> bool {
        if self.ended.is_none() {
            self.ended = Some(self.take_report());
        }
        true
    }

    fn kill(&mut self) -> Ended {
        if self.ended.is_none() {
            if let Some(zygote) = &mut self.zygote {
                // A zygote that does not hear this does not report either, and is ended then.
                let _ = zygote.end_child();
            }
            self.ended = Some(self.take_report());
        }
        self.ended.clone().unwrap_or_else(|| lost("no word of its end".to_owned()))
    }

    fn keeps_time(&self) -> bool {
        true
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.kill();
        if let Some(zygote) = self.zygote.take() {
            match zygote.clean() {
                Ok(()) => self.pool.give_back(zygote),
                Err(_) => self.pool.end(zygote),
            }
        }
    }
}

fn lost(reason: String) -> Ended {
    Ended { cause: Cause::Lost(reason), cpu: 0.0, memory: 0 }
}

fn ended(report: &Report) -> Ended {
    let cause = match report.why.as_deref() {
        _ if !report.failed.is_empty() => Cause::Lost(format!("a layer could not be set up: {}", report.failed)),
        Some("time") => Cause::Limit(Ending::TimedOut),
        Some("disk") => Cause::Limit(Ending::OutOfDisk),
        _ => cause(report.status),
    };
    Ended { cause, cpu: report.cpu, memory: report.memory }
}
