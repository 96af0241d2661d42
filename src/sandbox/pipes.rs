//! The pipes between the harness and one sandboxed process: a framed channel each way, and its two output streams.
//!
//! Everything is non-blocking and moved in one place, so that a process that fills one pipe never stalls another.

use super::outcome::Limits;
use std::collections::VecDeque;
use std::io::{ErrorKind, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

/// Longest frame that is taken from a sandboxed process, bytes.
pub const MAX_FRAME: usize = 16 << 20;

/// Bytes moved with one system call.
const CHUNK: usize = 64 << 10;

/// Why nothing more comes from, or goes to, a sandboxed process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// It closed its end, or ended.
    Closed,
    /// It ran into its wall-clock or processor limit.
    TimedOut,
    /// It announced a frame longer than [`MAX_FRAME`].
    TooLong,
}

/// The ends that the sandboxed process gets.
pub(super) struct TheirEnds {
    pub input: PipeReader,
    pub output: PipeWriter,
    pub stdout: PipeWriter,
    pub stderr: PipeWriter,
}

/// The harness's ends.
pub(super) struct Pipes {
    to: Option<PipeWriter>,
    from: Option<PipeReader>,
    stdout: Stream,
    stderr: Stream,
    outbox: VecDeque<u8>,
    inbox: VecDeque<u8>,
}

/// An output stream: the first bytes are kept, the rest is read and dropped.
struct Stream {
    pipe: Option<PipeReader>,
    kept: Vec<u8>,
    cap: usize,
}

impl Pipes {
    /// Both sides of a new set.
    pub(super) fn new(limits: &Limits) -> std::io::Result<(Pipes, TheirEnds)> {
        let (input, to) = std::io::pipe()?;
        let (from, output) = std::io::pipe()?;
        let (stdout_ours, stdout) = std::io::pipe()?;
        let (stderr_ours, stderr) = std::io::pipe()?;
        for fd in [to.as_raw_fd(), from.as_raw_fd(), stdout_ours.as_raw_fd(), stderr_ours.as_raw_fd()] {
            set_nonblocking(fd)?;
        }
        let cap = usize::try_from(limits.output).unwrap_or(usize::MAX);
        let stream = |pipe| Stream { pipe: Some(pipe), kept: Vec::new(), cap };
        let pipes = Pipes {
            to: Some(to),
            from: Some(from),
            stdout: stream(stdout_ours),
            stderr: stream(stderr_ours),
            outbox: VecDeque::new(),
            inbox: VecDeque::new(),
        };
        Ok((pipes, TheirEnds { input, output, stdout, stderr }))
    }

    /// Queues a frame; [`Pipes::pump`] moves it.
    pub(super) fn queue(&mut self, frame: &[u8]) -> Result<(), Lost> {
        let length = u32::try_from(frame.len()).map_err(|_| Lost::TooLong)?;
        self.outbox.extend(length.to_le_bytes());
        self.outbox.extend(frame);
        Ok(())
    }

    /// Whether all queued frames are in the pipe.
    pub(super) fn sent(&self) -> bool {
        self.outbox.is_empty()
    }

    /// Whether the process still takes frames.
    pub(super) fn takes(&self) -> bool {
        self.to.is_some()
    }

    /// Whether every pipe from the process has ended.
    pub(super) fn ended(&self) -> bool {
        self.from.is_none() && self.stdout.pipe.is_none() && self.stderr.pipe.is_none()
    }

    /// The next whole frame, if it is here.
    pub(super) fn frame(&mut self) -> Result<Option<Vec<u8>>, Lost> {
        let mut head = [0; 4];
        if self.inbox.len() < head.len() {
            return if self.from.is_none() { Err(Lost::Closed) } else { Ok(None) };
        }
        head.iter_mut().zip(&self.inbox).for_each(|(byte, sent)| *byte = *sent);
        let length = u32::from_le_bytes(head) as usize;
        if length > MAX_FRAME {
            return Err(Lost::TooLong);
        }
        if self.inbox.len() < 4 + length {
            return if self.from.is_none() { Err(Lost::Closed) } else { Ok(None) };
        }
        // Costs what the frame is long, however much lies behind it.
        self.inbox.drain(..4);
        Ok(Some(self.inbox.drain(..length).collect()))
    }

    /// What was kept of the two output streams.
    pub(super) fn outputs(&mut self) -> (String, String) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (text(&self.stdout.kept), text(&self.stderr.kept))
    }

    /// Waits until something can move, `also` becomes readable or `until` passes, and moves what can.
    /// True when `also` is readable.
    pub(super) fn pump(&mut self, also: Option<RawFd>, until: Instant) -> bool {
        let from = self.from.as_ref().filter(|_| self.inbox.len() < MAX_FRAME + 4).map(AsRawFd::as_raw_fd);
        let to = self.to.as_ref().filter(|_| !self.outbox.is_empty()).map(AsRawFd::as_raw_fd);
        let stdout = self.stdout.pipe.as_ref().map(AsRawFd::as_raw_fd);
        let stderr = self.stderr.pipe.as_ref().map(AsRawFd::as_raw_fd);
        // A negative descriptor is one that `poll` passes over.
        let entry = |fd: Option<RawFd>, events| libc::pollfd { fd: fd.unwrap_or(-1), events, revents: 0 };
        let mut polled = [
            entry(to, libc::POLLOUT),
            entry(from, libc::POLLIN),
            entry(stdout, libc::POLLIN),
            entry(stderr, libc::POLLIN),
            entry(also, libc::POLLIN),
        ];
        poll(&mut polled, until.saturating_duration_since(Instant::now()));
        let [to, from, stdout, stderr, also] = polled.map(|p| p.revents != 0);
        if to {
            self.write();
        }
        if from {
            self.read();
        }
        if stdout {
            self.stdout.read();
        }
        if stderr {
            self.stderr.read();
        }
        also
    }

    /// Takes what already lies in the pipes of a process that is gone, without waiting. True when that was anything.
    pub(super) fn drain(&mut self) -> bool {
        let first = self.progress();
        // A pipe holds little; a bound is needed because a stranger may still hold the other end and write.
        for _ in 0..8 {
            let before = self.progress();
            self.pump(None, Instant::now());
            if self.progress() == before {
                break;
            }
        }
        self.progress() != first
    }

    fn progress(&self) -> (usize, usize, usize, [bool; 3]) {
        let open = [self.from.is_some(), self.stdout.pipe.is_some(), self.stderr.pipe.is_some()];
        (self.inbox.len(), self.stdout.kept.len(), self.stderr.kept.len(), open)
    }

    fn write(&mut self) {
        let Some(to) = &mut self.to else { return };
        let (front, _) = self.outbox.as_slices();
        match to.write(&front[..front.len().min(CHUNK)]) {
            Ok(count) => drop(self.outbox.drain(..count)),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => {
                self.to = None;
                self.outbox.clear();
            }
        }
    }

    fn read(&mut self) {
        let Some(from) = &mut self.from else { return };
        match read_chunk(from, |bytes| self.inbox.extend(bytes)) {
            Some(true) | None => {}
            Some(false) => self.from = None,
        }
    }
}

impl Stream {
    fn read(&mut self) {
        let Some(pipe) = &mut self.pipe else { return };
        let room = self.cap.saturating_sub(self.kept.len());
        let open = read_chunk(pipe, |bytes| self.kept.extend_from_slice(&bytes[..bytes.len().min(room)]));
        if open == Some(false) {
            self.pipe = None;
        }
    }
}

/// Reads once. `None`: nothing there; `Some(false)`: the other side is closed.
fn read_chunk(pipe: &mut PipeReader, mut take: impl FnMut(&[u8])) -> Option<bool> {
    let mut buffer = [0; CHUNK];
    match pipe.read(&mut buffer) {
        Ok(0) => Some(false),
        Ok(count) => {
            take(buffer.get(..count).unwrap_or_default());
            Some(true)
        }
        Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => None,
        Err(_) => Some(false),
    }
}

/// `poll`, with a timeout rounded up to the next millisecond.
pub(super) fn poll(polled: &mut [libc::pollfd], timeout: Duration) {
    let millis = timeout.as_micros().div_ceil(1000).min(60_000) as libc::c_int;
    // SAFETY: the pointer and the length are those of one slice.
    let ready = unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, millis) };
    if ready < 0 {
        // Interrupted: whatever the fields hold means nothing.
        polled.iter_mut().for_each(|p| p.revents = 0);
    }
}

fn set_nonblocking(fd: RawFd) -> std::io::Result<()> {
    // SAFETY: plain calls on a descriptor that the caller owns.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    let set = if flags < 0 { flags } else { unsafe { libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK) } };
    if set < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_and_caps() {
        let limits = Limits { output: 3, ..Limits::default() };
        let (mut ours, mut theirs) = Pipes::new(&limits).unwrap();
        theirs.stdout.write_all(b"abcdef").unwrap();
        theirs.output.write_all(&[2, 0, 0, 0, b'h', b'i', 9, 0, 0, 0, b'x']).unwrap();
        ours.drain();
        assert_eq!(ours.frame(), Ok(Some(b"hi".to_vec())));
        assert_eq!(ours.frame(), Ok(None));
        assert_eq!(ours.outputs().0, "abc");
        drop(theirs);
        ours.drain();
        assert_eq!(ours.frame(), Err(Lost::Closed));
        assert!(ours.ended());
    }

    #[test]
    fn a_frame_too_long_is_refused() {
        let (mut ours, mut theirs) = Pipes::new(&Limits::default()).unwrap();
        theirs.output.write_all(&u32::MAX.to_le_bytes()).unwrap();
        ours.drain();
        assert_eq!(ours.frame(), Err(Lost::TooLong));
    }

    #[test]
    fn many_small_frames_come_in_order() {
        let (mut ours, mut theirs) = Pipes::new(&Limits::default()).unwrap();
        let mut found = Vec::new();
        for burst in 0..50u8 {
            let frames: Vec<u8> = (0..200u8).flat_map(|n| [2, 0, 0, 0, burst, n]).collect();
            theirs.output.write_all(&frames).unwrap();
            ours.drain();
            // Some are left lying, so that later ones go behind them.
            for _ in 0..150 {
                found.extend(ours.frame().unwrap().into_iter().flatten());
            }
        }
        while let Ok(Some(frame)) = ours.frame() {
            found.extend(frame);
        }
        let sent: Vec<u8> = (0..50u8).flat_map(|burst| (0..200u8).flat_map(move |n| [burst, n])).collect();
        assert_eq!(found, sent);
    }
}
