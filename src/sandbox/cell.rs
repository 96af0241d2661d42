//! One sandboxed process: frames to and from its driver, and its end.

use super::outcome::{Ending, Limits, ProgramOutcome, Usage};
use super::pipes::{Lost, Pipes};
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Time on top of a limit that is enforced elsewhere, before the harness itself acts.
const GRACE: Duration = Duration::from_millis(500);

/// How often a waiting harness looks whether it is to stop.
const BEAT: Duration = Duration::from_millis(100);

/// Who holds the process: it can end it, and knows how it ended.
pub(super) trait Keeper: Send {
    /// A descriptor that becomes readable when the process has ended, where there is one.
    fn ended_fd(&self) -> Option<RawFd>;
    /// Whether the process has ended. Does not wait.
    fn ended(&mut self) -> bool;
    /// Ends the process and everything it started, if that has not happened, and says how it ended.
    fn kill(&mut self) -> Ended;
    /// Whether the keeper ends the process at its wall limit by itself.
    fn keeps_time(&self) -> bool;
}

/// How a process ended, as far as the keeper knows.
#[derive(Debug, Clone)]
pub(super) struct Ended {
    /// As the kernel says it.
    pub cause: Cause,
    /// Seconds of processor time.
    pub cpu: f64,
    /// Peak resident bytes.
    pub memory: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cause {
    Exited(i32),
    Signalled(i32),
    /// The keeper ended it because of a limit.
    Limit(Ending),
    /// The keeper lost it.
    Lost(String),
}

/// A fresh sandboxed interpreter that runs a trusted driver. Dropping it ends the process.
pub struct Cell {
    pipes: Pipes,
    keeper: Box<dyn Keeper>,
    limits: Limits,
    /// When the harness stops waiting: at its wall limit, or before.
    deadline: Instant,
    started: Instant,
    /// Set when all processes of the sandbox are to end.
    interrupt: Arc<AtomicBool>,
    ended: bool,
    timed_out: bool,
    interrupted: bool,
    finished: bool,
}

impl Cell {
    pub(super) fn new(pipes: Pipes, keeper: Box<dyn Keeper>, limits: Limits) -> Cell {
        let started = Instant::now();
        let margin = if keeper.keeps_time() { GRACE } else { Duration::ZERO };
        Cell {
            pipes,
            keeper,
            limits,
            deadline: started + limits.wall + margin,
            started,
            interrupt: Arc::default(),
            ended: false,
            timed_out: false,
            interrupted: false,
            finished: false,
        }
    }

    /// Ends the process, as a failure of the sandbox, when this is set.
    pub(super) fn heed(mut self, interrupt: &Arc<AtomicBool>) -> Cell {
        self.interrupt = interrupt.clone();
        self
    }

    /// Waits from now on for no longer than this, and never beyond the wall limit.
    pub(super) fn expect_within(&mut self, patience: Duration) {
        let margin = if self.keeper.keeps_time() { GRACE } else { Duration::ZERO };
        let wall = self.started + self.limits.wall + margin;
        self.deadline = wall.min(Instant::now() + patience);
    }

    /// Sends one frame to the driver. Its output is taken meanwhile, so neither side can stall the other.
    ///
    /// # Errors
    /// When the process ended, closed its end or did not read within its wall limit.
    pub fn send(&mut self, frame: &[u8]) -> Result<(), Lost> {
        self.pipes.queue(frame)?;
        while self.pipes.takes() && !self.pipes.sent() {
            self.step()?;
        }
        if self.pipes.takes() { Ok(()) } else { Err(self.lost()) }
    }

    /// The next frame from the driver.
    ///
    /// # Errors
    /// When the process ended, closed its end, ran into a time limit or announced too long a frame.
    pub fn recv(&mut self) -> Result<Vec<u8>, Lost> {
        loop {
            match self.pipes.frame() {
                Ok(Some(frame)) => return Ok(frame),
                Ok(None) => self.step()?,
                Err(Lost::Closed) => return Err(self.lost()),
                Err(lost) => return Err(lost),
            }
        }
    }

    /// Ends the process if it still lives, and says how it ended.
    pub fn finish(mut self) -> ProgramOutcome {
        self.outcome()
    }

    /// Waits for the process to end by itself or by a limit. A last frame `memory` says that it ran out of memory.
    pub(super) fn wait(mut self) -> ProgramOutcome {
        while self.step().is_ok() {}
        let mut outcome = self.outcome();
        if matches!(self.pipes.frame(), Ok(Some(frame)) if frame == b"memory")
            && matches!(outcome.ending, Ending::Exited(_))
        {
            outcome.ending = Ending::OutOfMemory;
        }
        outcome
    }

    /// Moves bytes once. An error when time is up, or when the process is gone and all its bytes are here.
    fn step(&mut self) -> Result<(), Lost> {
        if self.ended {
            return if self.pipes.drain() { Ok(()) } else { Err(self.lost()) };
        }
        if self.interrupt.load(Ordering::Relaxed) {
            self.interrupted = true;
            return Err(Lost::Closed);
        }
        let now = Instant::now();
        if now >= self.deadline {
            self.timed_out = true;
            return Err(Lost::TimedOut);
        }
        self.pump(self.deadline.min(now + BEAT));
        Ok(())
    }

    /// Waits for bytes or for the end of the process, until `deadline` at most.
    fn pump(&mut self, deadline: Instant) {
        let ended_fd = self.keeper.ended_fd();
        // Without a descriptor that tells, the end of the process is looked for now and then.
        let pause = Duration::from_millis(if self.pipes.ended() { 2 } else { 20 });
        let until = if ended_fd.is_some() { deadline } else { deadline.min(Instant::now() + pause) };
        if self.pipes.pump(ended_fd, until) || ended_fd.is_none() {
            self.ended = self.keeper.ended();
        }
    }

    /// Why the channel is closed. The word that a limit was hit may come a little after the closing itself.
    fn lost(&mut self) -> Lost {
        let deadline = Instant::now() + GRACE;
        while !self.ended && !self.timed_out && !self.interrupted && Instant::now() < deadline {
            self.pump(deadline);
        }
        if !self.timed_out && self.ended {
            self.timed_out = self.keeper.kill().cause == Cause::Limit(Ending::TimedOut);
        }
        if self.timed_out { Lost::TimedOut } else { Lost::Closed }
    }

    fn outcome(&mut self) -> ProgramOutcome {
        let wall = self.started.elapsed().as_secs_f64();
        let ended = self.keeper.kill();
        self.finished = true;
        self.pipes.drain();
        let ending = match ended.cause {
            _ if self.interrupted => Ending::SandboxFailed("interrupted".to_owned()),
            Cause::Lost(reason) => Ending::SandboxFailed(reason),
            Cause::Limit(ending) => ending,
            _ if self.timed_out => Ending::TimedOut,
            Cause::Exited(code) => Ending::Exited(code),
            Cause::Signalled(libc::SIGXCPU) => Ending::TimedOut,
            Cause::Signalled(libc::SIGXFSZ) => Ending::OutOfDisk,
            Cause::Signalled(libc::SIGKILL) if ended.cpu >= self.limits.cpu.as_secs_f64() => Ending::TimedOut,
            Cause::Signalled(signal) => Ending::Signalled(signal),
        };
        let (stdout, stderr) = self.pipes.outputs();
        ProgramOutcome { ending, stdout, stderr, usage: Usage { cpu: ended.cpu, wall, memory: ended.memory } }
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        if !self.finished {
            self.keeper.kill();
        }
    }
}
