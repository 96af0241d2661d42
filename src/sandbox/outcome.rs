//! Programs, limits and outcomes: the sandbox's nouns. Plain data.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A program to run: Python source, and files that lie in its scratch directory when it starts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Program {
    pub code: String,
    /// Relative name (no `/`, no leading dot) and content.
    pub files: Vec<(String, Vec<u8>)>,
}

/// What a run may use. All are hard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Processor time of the process.
    pub cpu: Duration,
    /// Time by the clock.
    pub wall: Duration,
    /// Bytes of address space beyond the warmed interpreter's.
    pub memory: u64,
    /// Bytes of a single file.
    pub file_size: u64,
    pub open_files: u64,
    /// Threads and processes.
    pub threads: u64,
    /// Bytes kept of standard output and error, each.
    pub output: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            cpu: Duration::from_secs(10),
            wall: Duration::from_secs(20),
            memory: 1 << 30,
            file_size: 16 << 20,
            open_files: 64,
            threads: 16,
            output: 64 << 10,
        }
    }
}

impl Limits {
    /// Bytes of all files in the scratch directory together.
    pub fn scratch(&self) -> u64 {
        self.file_size.saturating_mul(4)
    }
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// By itself, with this exit code.
    Exited(i32),
    /// By a signal that it got or caused (not from a limit).
    Signalled(i32),
    /// Over `cpu` or `wall`.
    TimedOut,
    /// Over `memory`.
    OutOfMemory,
    /// Over its share of disk (scratch directory or file size), by the launcher.
    OutOfDisk,
    /// The sandbox itself failed: says nothing about the program.
    SandboxFailed(String),
}

/// What was used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Seconds of processor time.
    pub cpu: f64,
    /// Seconds by the clock.
    pub wall: f64,
    /// Peak resident bytes, 0 where unknown.
    pub memory: u64,
}

/// What a program's run came to.
#[derive(Debug, Clone, PartialEq)]
pub struct ProgramOutcome {
    pub ending: Ending,
    /// First bytes of standard output and error (lossy UTF-8, each capped at `Limits::output`).
    pub stdout: String,
    pub stderr: String,
    pub usage: Usage,
}
