//! Systems without a sandbox: nothing is run there, and the error says so.

use super::outcome::{Limits, Program, ProgramOutcome};
use super::report::Report;
use super::settings::Settings;
use crate::error::{Error, Result};
use std::path::Path;
use std::time::Duration;

/// Whether a question needs the packages that are installed beside the standard library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packages {
    With,
}

/// Errors: always; without a sandbox there is nothing to ask a Python for.
pub(crate) fn ask_python(_: &Path, _: &str, _: Packages, _: Duration) -> std::io::Result<Option<[Vec<u8>; 2]>> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// There is none.
pub enum Sandbox {}

impl Sandbox {
    /// # Errors
    /// Always.
    pub fn open(_: Settings) -> Result<Sandbox> {
        Err(Error::input("programs cannot be run on this system").hint("use Linux, where they have a sandbox"))
    }

    pub fn report(&self) -> &Report {
        match *self {}
    }

    pub fn run(&self, _: &Program, _: &Limits) -> ProgramOutcome {
        match *self {}
    }

    pub fn interrupt(&self) {
        match *self {}
    }
}

pub mod judge {
    //! Judges nothing.

    use super::Sandbox;
    use crate::error::Result;
    use crate::sandbox::outcome::Limits;
    use crate::sandbox::report::Report;
    pub use crate::sandbox::verdicts::{Course, Kind, Mode, Outcome, Shown, Solution, Tests, Verdict};

    /// There is none.
    pub enum Judge {}

    impl Judge {
        /// # Errors
        /// None: there is no sandbox to call it with.
        pub fn open(sandbox: Sandbox) -> Result<Judge> {
            match sandbox {}
        }

        pub fn report(&self) -> &Report {
            match *self {}
        }

        pub fn sandbox(&self) -> &Sandbox {
            match *self {}
        }

        pub fn with_secret(self, _: [u8; 32]) -> Judge {
            match self {}
        }

        pub fn run(&self, _: &Solution, _: &Tests, _: &Limits, _: impl Into<Course>) -> Outcome {
            match *self {}
        }

        pub fn course_for(&self, _: &Solution, _: &Tests, _: &Limits) -> Option<Course> {
            match *self {}
        }
    }
}
