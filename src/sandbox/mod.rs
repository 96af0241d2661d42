//! Runs untrusted Python programs behind kernel layers.
//!
//! Comes in: programs (or trusted driver scripts that will load untrusted code), files, limits. Goes out: outcomes. Never: knows benchmarks.

mod outcome;
mod report;
mod settings;
mod template;
mod verdicts;

#[cfg(unix)]
pub mod judge;

#[cfg(not(unix))]
mod elsewhere;

#[cfg(unix)]
mod canary;
#[cfg(unix)]
mod cell;
#[cfg(unix)]
mod folder;
#[cfg(unix)]
mod host;
#[cfg(unix)]
mod interpreter;
#[cfg(unix)]
mod open;
#[cfg(target_os = "linux")]
mod own;
#[cfg(unix)]
mod pipes;
#[cfg(unix)]
mod process;
#[cfg(unix)]
mod scratch;

pub use outcome::{Ending, Limits, Program, ProgramOutcome, Usage};
pub use report::{Missing, Report};
pub use settings::{Layer, Runner, Settings};
pub use template::Template;

#[cfg(unix)]
pub use cell::Cell;
#[cfg(unix)]
pub(crate) use host::{Packages, ask as ask_python};
#[cfg(unix)]
pub use open::{Driver, Sandbox};
#[cfg(unix)]
pub use pipes::{Lost, MAX_FRAME};

#[cfg(not(unix))]
pub(crate) use elsewhere::{Packages, ask_python};
#[cfg(not(unix))]
pub use elsewhere::{Sandbox, judge};
