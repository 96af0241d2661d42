//! What a sandbox is asked to be: who runs the programs, how many at once, where their files lie.

use super::template::Template;
use serde::Serialize;
use std::path::PathBuf;

/// How a sandbox is set up.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Programs at once; as many warmed interpreters are kept.
    pub workers: usize,
    /// Folder for the scratch directories; the system's temporary folder where `None`.
    pub scratch: Option<PathBuf>,
    /// The Python to use; the first `python3` on the path where `None`.
    pub interpreter: Option<PathBuf>,
    pub runner: Runner,
    /// Further folders that programs may read: packages outside of the standard library.
    pub reads: Vec<PathBuf>,
    /// Layers left out on purpose. For tests that show what a layer is good for; the report says so.
    pub without: Vec<Layer>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            workers: 1,
            scratch: None,
            interpreter: None,
            runner: Runner::Own,
            reads: Vec::new(),
            without: Vec::new(),
        }
    }
}

/// Who contains the programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Runner {
    /// The launcher of this crate (Linux only): Landlock, seccomp, limits, and namespaces where allowed.
    Own,
    /// A container command of the user's choice, started anew for every program.
    External(Template),
    /// Nobody: a plain process with limits. Only for code that is trusted anyway.
    Unsafe,
}

impl Runner {
    /// The name used in reports.
    pub fn name(&self) -> &str {
        match self {
            Runner::Own => "own",
            Runner::External(template) => template.name(),
            Runner::Unsafe => "unsafe",
        }
    }
}

/// One of the kernel mechanisms that contain a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// File, TCP, signal and abstract-socket rules. Required.
    Landlock,
    /// The list of allowed system calls. Required.
    Seccomp,
    /// Processor time, memory, file size, open files, threads. Required.
    Rlimits,
    /// Own user, network, process, IPC and mount namespaces. Added where allowed.
    Namespaces,
    /// Another user id than the harness's. Added where the harness is root.
    UidDrop,
    /// A control group that counts memory and threads. Added where allowed.
    Cgroup,
}
