//! Solutions, tests and verdicts: the judge's nouns. Plain data.

use super::outcome::Usage;
use serde::{Deserialize, Serialize};

/// Code to be judged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Solution {
    pub code: String,
    /// Functions, classes or values of the code that the tests name.
    pub entry_points: Vec<String>,
}

/// Trusted code that raises an exception where the solution is wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tests {
    /// Runs before the tests in their namespace; entry points then hide what it defines under their names.
    pub prelude: String,
    pub code: String,
}

/// How solution and tests meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// In two processes that exchange plain data. The tests never run the solution's code.
    TwoProcesses,
    /// In one process: for tests whose arguments or results are no plain data. A determined solution can cheat.
    OneProcess,
}

/// What a name of a solution stands for. Whatever can be called and is no class is a function: lambdas, what a decorator made, partial
/// functions, objects with `__call__`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Function,
    Class,
    /// A class of exceptions.
    Error,
    Value,
}

impl Kind {
    /// The word that processes use for it.
    pub const fn word(self) -> &'static str {
        match self {
            Kind::Function => "function",
            Kind::Class => "class",
            Kind::Error => "error",
            Kind::Value => "value",
        }
    }

    /// The kind of this word.
    pub fn of(word: &str) -> Option<Kind> {
        [Kind::Function, Kind::Class, Kind::Error, Kind::Value].into_iter().find(|kind| kind.word() == word)
    }
}

/// How solutions are judged after their reference was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Course {
    pub mode: Mode,
    /// `None`: nothing is known of a reference.
    pub reference: Option<Shown>,
}

/// What a reference showed of itself under its tests; a solution has to be like it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shown {
    /// What each entry point is, in their order.
    pub kinds: Vec<Kind>,
    /// What gave the tests objects that stay with the solution: entry points, and their methods and attributes (`Stack.copy`). Anywhere
    /// else a solution's objects are dead, as tests expect plain data there.
    pub givers: Vec<String>,
}

impl From<Mode> for Course {
    fn from(mode: Mode) -> Course {
        Course { mode, reference: None }
    }
}

/// What a judgement came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every statement of the tests ran, and none raised.
    Passed,
    Failed {
        /// Type of the exception and its message, or what the solution did instead of answering.
        reason: String,
        /// The lines that failed, outermost first; may be empty.
        trace: String,
    },
    TimedOut,
    OutOfMemory,
    /// Says nothing about the solution.
    SandboxError {
        reason: String,
    },
}

/// A verdict with its evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    pub verdict: Verdict,
    pub mode: Mode,
    /// What could not cross between two processes, where that decided the verdict.
    pub unportable: Option<String>,
    /// Of all processes together.
    pub usage: Usage,
}
