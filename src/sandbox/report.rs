//! What a sandbox enforces, for results files and for people.

use super::settings::Layer;
use serde::Serialize;
use std::path::PathBuf;

/// What stands between the programs and the machine. Goes into the results.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// `own`, `unsafe` or the external runner's name.
    pub runner: String,
    /// Layers in force for every program. Empty for `unsafe`; an external runner's are its own affair.
    pub layers: Vec<Layer>,
    /// Layers that could be but are not, each with the reason.
    pub missing: Vec<Missing>,
    /// Version of the Landlock interface in force, 0 without.
    pub landlock_abi: u32,
    /// What the namespaces cover: `user`, `network`, `pid`, `ipc`, `mount`, `uts`.
    pub namespaces: Vec<String>,
    /// What holds a program's scratch directory: `tmpfs` (its size cannot be passed) or `folder` (it is watched).
    pub scratch: String,
    pub interpreter: PathBuf,
    /// As Python says it: `3.11.7`.
    pub python: String,
    /// User id of the programs, where it is known. Drawn anew each time where fairmark is root, so results do not have it.
    #[serde(skip)]
    pub uid: Option<u32>,
}

/// A layer that is not in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    pub layer: Layer,
    pub reason: String,
}

impl Report {
    /// Whether untrusted code may run here: a runner that contains it, with no required layer left out.
    pub fn contains(&self) -> bool {
        match self.runner.as_str() {
            "unsafe" => false,
            "own" => [Layer::Landlock, Layer::Seccomp, Layer::Rlimits].iter().all(|l| self.layers.contains(l)),
            _ => true,
        }
    }

    /// One line for the terminal.
    pub fn summary(&self) -> String {
        let python = format!("Python {} ({})", self.python, self.interpreter.display());
        match self.runner.as_str() {
            "unsafe" => format!("UNSAFE: programs run with NO sandbox, with all rights of this user; {python}"),
            "own" => {
                let layers: Vec<String> = self.layers.iter().map(|l| self.describe(*l)).collect();
                let gap = if self.contains() { "" } else { "NOT CONTAINED: " };
                let missing: Vec<String> =
                    self.missing.iter().map(|m| format!("{:?}", m.layer).to_lowercase()).collect();
                let without =
                    if missing.is_empty() { String::new() } else { format!("; without {}", missing.join(", ")) };
                format!("{gap}sandbox: {}{without}; {python}", layers.join(", "))
            }
            name => format!("sandbox: external runner {name}; {python}"),
        }
    }

    fn describe(&self, layer: Layer) -> String {
        match layer {
            Layer::Landlock => format!("landlock (ABI {})", self.landlock_abi),
            Layer::Seccomp => "seccomp".to_owned(),
            Layer::Rlimits => "rlimits".to_owned(),
            Layer::Namespaces => format!("namespaces ({})", self.namespaces.join(", ")),
            Layer::UidDrop => format!("user id {}", self.uid.unwrap_or_default()),
            Layer::Cgroup => "cgroup".to_owned(),
        }
    }
}
